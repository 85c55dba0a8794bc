//! Telling what a file is.
//!
//! Binary formats are told by their content alone. A name that promises one is not believed: a
//! `.pdf` that is none is damaged, not a text. Among texts nothing in the content is reliable, so
//! there the name decides, then the media type, then the first characters.

use std::io::{Cursor, Read as _};

use file_format::FileFormat;
use office_oxide::DocumentFormat;
use zip::ZipArchive;

use super::{ExtractError, Hint, archive, mail, text};

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Text of no particular kind.
    Text,
    /// Markdown.
    Markdown,
    /// A web page.
    Html,
    /// Source code and configuration, where `#` opens a comment.
    Code,
    /// JSON and JSON lines.
    Json,
    /// XML.
    Xml,
    /// A Jupyter notebook.
    Notebook,
    /// Comma, semicolon or tab separated values.
    Delimited,
    /// PDF.
    Pdf,
    /// A document of an office program.
    Office(DocumentFormat),
    /// OpenDocument: text, spreadsheet, presentation or drawing.
    OpenDocument,
    /// An electronic book.
    Epub,
    /// Rich Text.
    Rtf,
    /// A mail with its attachments.
    Mail,
    /// A mail as Outlook saves it.
    OutlookMail,
    /// A ZIP archive of files.
    Archive,
    /// One file, packed.
    Gzip,
}

/// Entries of a package that are looked at; real office documents have some hundreds.
const MOST_ENTRIES: usize = 10_000;

/// How far into a file the mark of a PDF may be; readers have always been lenient about it.
const PDF_MARK_WITHIN: usize = 1024;

/// Tell how `bytes` are to be read.
///
/// # Errors
/// If they cannot be read: empty, damaged, or of a kind without text.
pub fn sniff(bytes: &[u8], hint: &Hint) -> Result<Format, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::Empty);
    }
    let promised = promised(hint);
    let head = &bytes[..bytes.len().min(PDF_MARK_WITHIN)];
    let pdf_mark = head.windows(5).position(|window| window == b"%PDF-");
    if pdf_mark.is_some_and(|at| promised == Some(Format::Pdf) || head[..at].trim_ascii().is_empty()) {
        return Ok(Format::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return package(bytes);
    }
    if bytes.starts_with(b"\x1F\x8B\x08") {
        return Ok(Format::Gzip);
    }
    if bytes.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
        return compound(bytes);
    }
    match promised {
        Some(Format::Pdf) => return Err(not_a("PDF")),
        _ if bytes.trim_ascii_start().starts_with(b"{\\rtf") => return Ok(Format::Rtf),
        Some(Format::Office(format)) if !text::is_text(bytes) => return Err(not_a(program(format))),
        // A single attachment in another encoding makes a mail no less of one.
        Some(Format::Mail) if mail::looks_like_one(bytes) => return Ok(Format::Mail),
        _ => {}
    }
    if !text::is_text(bytes) || (text::has_zeros(bytes) && is_known_binary(bytes)) {
        return Err(binary(bytes));
    }
    Ok(match promised {
        Some(format) if format.is_text() => match by_first_characters(bytes) {
            // Saved pages are often called texts; no other text begins like one.
            Format::Html if format == Format::Text => Format::Html,
            _ => format,
        },
        _ => by_first_characters(bytes),
    })
}

impl Format {
    /// Whether any text can be of this kind, so that only its name can tell.
    fn is_text(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Markdown
                | Self::Html
                | Self::Code
                | Self::Json
                | Self::Xml
                | Self::Notebook
                | Self::Delimited
        )
    }
}

fn not_a(what: &str) -> ExtractError {
    ExtractError::Damaged(format!("The file is named like a {what} document but its content is not one."))
}

/// What the name or the media type promise, if they promise something that can be read.
pub(crate) fn promised(hint: &Hint) -> Option<Format> {
    hint.extension().and_then(|extension| by_extension(&extension)).or_else(|| by_media_type(&hint.essence()))
}

fn by_extension(extension: &str) -> Option<Format> {
    Some(match extension {
        "txt" | "text" | "log" | "rst" | "adoc" | "asciidoc" | "org" | "srt" | "vtt" => Format::Text,
        "md" | "markdown" | "mdown" | "mkd" | "mdx" | "qmd" | "rmd" => Format::Markdown,
        "html" | "htm" | "xhtml" => Format::Html,
        "json" | "jsonl" | "ndjson" | "geojson" | "json5" | "har" => Format::Json,
        "ipynb" => Format::Notebook,
        "csv" | "tsv" | "tab" | "psv" => Format::Delimited,
        "xml" | "svg" | "rss" | "atom" | "xsd" | "xsl" | "xslt" | "kml" | "gpx" | "plist" => Format::Xml,
        "pdf" => Format::Pdf,
        "eml" | "mht" | "mhtml" => Format::Mail,
        "bash" | "bat" | "c" | "cc" | "cfg" | "clj" | "cmake" | "conf" | "cpp" | "cs" | "css" | "cue"
        | "cxx" | "dart" | "diff" | "dockerfile" | "el" | "elm" | "env" | "erl" | "ex" | "exs" | "f90"
        | "fish" | "fs" | "go" | "gradle" | "graphql" | "groovy" | "h" | "hcl" | "hh" | "hpp" | "hs"
        | "ini" | "java" | "jl" | "js" | "jsx" | "kt" | "kts" | "less" | "lisp" | "lua" | "m" | "mak"
        | "mk" | "ml" | "mm" | "mts" | "nim" | "nix" | "patch" | "php" | "pl" | "pm" | "properties"
        | "proto" | "ps1" | "py" | "pyi" | "r" | "rb" | "rs" | "sass" | "scala" | "scm" | "scss" | "sh"
        | "sol" | "sql" | "svelte" | "swift" | "tcl" | "tex" | "tf" | "toml" | "ts" | "tsx" | "vb"
        | "vim" | "vue" | "yaml" | "yml" | "zig" | "zsh" => Format::Code,
        other => Format::Office(DocumentFormat::from_extension(other)?),
    })
}

fn by_media_type(essence: &str) -> Option<Format> {
    Some(match essence {
        "text/markdown" | "text/x-markdown" => Format::Markdown,
        "text/html" | "application/xhtml+xml" => Format::Html,
        "text/csv" | "text/tab-separated-values" | "application/csv" => Format::Delimited,
        "application/json" | "application/x-ndjson" | "application/jsonl" => Format::Json,
        "application/x-ipynb+json" => Format::Notebook,
        "application/xml" | "text/xml" => Format::Xml,
        "application/pdf" => Format::Pdf,
        "message/rfc822" => Format::Mail,
        "application/javascript"
        | "text/javascript"
        | "text/css"
        | "application/yaml"
        | "application/toml" => Format::Code,
        other if other.starts_with("text/x-") => Format::Code,
        other if other.ends_with("+json") => Format::Json,
        other if other.ends_with("+xml") => Format::Xml,
        other => {
            const OFFICE: [DocumentFormat; 6] = [
                DocumentFormat::Docx,
                DocumentFormat::Xlsx,
                DocumentFormat::Pptx,
                DocumentFormat::Doc,
                DocumentFormat::Xls,
                DocumentFormat::Ppt,
            ];
            Format::Office(OFFICE.into_iter().find(|format| format.mime_type() == other)?)
        }
    })
}

fn by_first_characters(bytes: &[u8]) -> Format {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).to_ascii_lowercase();
    let head = head.trim_start_matches(|sign: char| sign.is_whitespace() || sign == '\u{feff}');
    if head.starts_with("<!doctype html") || head.starts_with("<html") {
        Format::Html
    } else if head.starts_with("<?xml") {
        if head.contains("<html") { Format::Html } else { Format::Xml }
    } else if mail::looks_like_one(bytes) {
        Format::Mail
    } else {
        Format::Text
    }
}

/// What a zip archive holds.
fn package(bytes: &[u8]) -> Result<Format, ExtractError> {
    let mut archive = archive::open(bytes)?;
    if archive.len() > MOST_ENTRIES {
        return Err(ExtractError::Limit(format!("{MOST_ENTRIES} files in one archive")));
    }
    let kind = own_media_type(&mut archive).unwrap_or_default();
    if kind == "application/epub+zip" || archive.index_for_name("META-INF/container.xml").is_some() {
        return Ok(Format::Epub);
    }
    if kind.starts_with("application/vnd.oasis.opendocument.") {
        return Ok(Format::OpenDocument);
    }
    // People keep folders of such names too; a package says what its parts are, or has its main one.
    let names = || archive.file_names().flatten().map(|name| name.trim_start_matches('/').to_owned());
    let is_package = names().any(|name| name == "[Content_Types].xml");
    for (folder, main, format) in [
        ("word/", "word/document.xml", DocumentFormat::Docx),
        ("ppt/", "ppt/presentation.xml", DocumentFormat::Pptx),
        ("xl/", "xl/workbook.xml", DocumentFormat::Xlsx),
    ] {
        if names().any(|name| name == main || (is_package && name.starts_with(folder))) {
            return Ok(Format::Office(format));
        }
    }
    Ok(Format::Archive)
}

/// The media type that EPUB and OpenDocument say in an entry of its own.
fn own_media_type(archive: &mut ZipArchive<Cursor<&[u8]>>) -> Option<String> {
    let entry = archive.by_name("mimetype").ok()?;
    let mut text = String::new();
    entry.take(100).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

/// Which office document an OLE compound file is, by the names of its streams.
///
/// The names are looked for anywhere: the directory can be at any place, and following a hostile
/// allocation table only to find it is the parser's business.
fn compound(bytes: &[u8]) -> Result<Format, ExtractError> {
    let has = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // Directory entries begin at multiples of 128 bytes.
        bytes.chunks(128).any(|entry| entry.starts_with(&name))
    };
    if has("EncryptedPackage") {
        Err(ExtractError::Encrypted)
    } else if has("WordDocument") {
        Ok(Format::Office(DocumentFormat::Doc))
    } else if has("PowerPoint Document") {
        Ok(Format::Office(DocumentFormat::Ppt))
    } else if has("Workbook") || has("Book") {
        Ok(Format::Office(DocumentFormat::Xls))
    } else if has("__properties_version1.0") {
        Ok(Format::OutlookMail)
    } else {
        Err(ExtractError::Unsupported("application/x-ole-storage".to_owned()))
    }
}

/// Whether these are the first bytes of a known format that is no text. Short ones can have few
/// enough zeros to pass for text that is padded with them.
fn is_known_binary(bytes: &[u8]) -> bool {
    let known = FileFormat::from_bytes(&bytes[..bytes.len().min(1 << 20)]);
    !matches!(known, FileFormat::ArbitraryBinaryData | FileFormat::PlainText | FileFormat::Empty)
}

/// Why bytes that are no text and none of our formats are not read.
fn binary(bytes: &[u8]) -> ExtractError {
    match FileFormat::from_bytes(&bytes[..bytes.len().min(1 << 20)]) {
        FileFormat::ArbitraryBinaryData | FileFormat::PlainText | FileFormat::Empty => ExtractError::Damaged(
            "The file is neither text nor a document of a known format; it may be damaged.".to_owned(),
        ),
        known => ExtractError::Unsupported(known.media_type().to_owned()),
    }
}

fn program(format: DocumentFormat) -> &'static str {
    match format {
        DocumentFormat::Docx | DocumentFormat::Doc => "Word",
        DocumentFormat::Xlsx | DocumentFormat::Xls => "Excel",
        DocumentFormat::Pptx | DocumentFormat::Ppt => "PowerPoint",
    }
}

//! Telling what a file is.
//!
//! Binary formats are told by their content alone. A name that promises one is not believed: a
//! `.pdf` that is none is damaged, not a text. Among texts nothing in the content is reliable, so
//! there the name decides, then the media type, then the first characters.

use std::io::Cursor;

use file_format::FileFormat;
use office_oxide::DocumentFormat;
use zip::ZipArchive;

use super::{ExtractError, Hint, text};

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
        return package(bytes, hint);
    }
    if bytes.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
        return compound(bytes);
    }
    match promised {
        Some(Format::Pdf) => return Err(not_a("PDF")),
        Some(Format::Office(format)) if !text::is_text(bytes) => return Err(not_a(program(format))),
        _ => {}
    }
    if !text::is_text(bytes) {
        return Err(binary(bytes));
    }
    if bytes.starts_with(b"{\\rtf") {
        return Err(ExtractError::Unsupported("application/rtf".to_owned()));
    }
    Ok(match promised {
        Some(Format::Office(_)) | None => by_first_characters(bytes),
        Some(format) => format,
    })
}

fn not_a(what: &str) -> ExtractError {
    ExtractError::Damaged(format!("The file is named like a {what} document but its content is not one."))
}

/// What the name or the media type promise, if they promise something that can be read.
fn promised(hint: &Hint) -> Option<Format> {
    hint.extension().and_then(|extension| by_extension(&extension)).or_else(|| by_media_type(&hint.essence()))
}

fn by_extension(extension: &str) -> Option<Format> {
    Some(match extension {
        "txt" | "text" | "log" | "rst" | "adoc" | "asciidoc" | "org" | "srt" | "vtt" | "eml" => Format::Text,
        "md" | "markdown" | "mdown" | "mkd" | "mdx" | "qmd" | "rmd" => Format::Markdown,
        "html" | "htm" | "xhtml" => Format::Html,
        "json" | "jsonl" | "ndjson" | "geojson" | "json5" | "har" => Format::Json,
        "ipynb" => Format::Notebook,
        "csv" | "tsv" | "tab" | "psv" => Format::Delimited,
        "xml" | "svg" | "rss" | "atom" | "xsd" | "xsl" | "xslt" | "kml" | "gpx" | "plist" => Format::Xml,
        "pdf" => Format::Pdf,
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
    } else {
        Format::Text
    }
}

/// Which office document a zip archive is.
fn package(bytes: &[u8], hint: &Hint) -> Result<Format, ExtractError> {
    let archive = match ZipArchive::new(Cursor::new(bytes)) {
        Ok(archive) => archive,
        Err(_) => {
            return Err(ExtractError::Damaged(
                "The file is a damaged archive: its end is missing or unreadable.".to_owned(),
            ));
        }
    };
    if archive.len() > MOST_ENTRIES {
        return Err(ExtractError::Limit(format!("{MOST_ENTRIES} entries in one archive")));
    }
    for name in archive.file_names().flatten() {
        for (folder, format) in
            [("word/", DocumentFormat::Docx), ("ppt/", DocumentFormat::Pptx), ("xl/", DocumentFormat::Xlsx)]
        {
            if name.trim_start_matches('/').starts_with(folder) {
                return Ok(Format::Office(format));
            }
        }
    }
    Err(ExtractError::Unsupported(own_media_type(bytes).unwrap_or_else(|| {
        let essence = hint.essence();
        let generic = essence.is_empty() || essence == "application/octet-stream";
        if generic { "application/zip".to_owned() } else { essence }
    })))
}

/// The media type that some packages (EPUB, OpenDocument) say in their first entry, which is not
/// compressed.
fn own_media_type(bytes: &[u8]) -> Option<String> {
    let rest = bytes.get(30..)?.strip_prefix(b"mimetype")?;
    let end = rest
        .iter()
        .take(100)
        .position(|byte| !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'+' | b'-'))?;
    let text = String::from_utf8(rest[..end].to_vec()).ok()?;
    text.contains('/').then_some(text)
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
        Err(ExtractError::Unsupported("application/vnd.ms-outlook".to_owned()))
    } else {
        Err(ExtractError::Unsupported("application/x-ole-storage".to_owned()))
    }
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

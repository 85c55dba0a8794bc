use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::fixtures::{docx, package, paragraph, pdf, zip_of};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).expect("memory takes everything");
    packed.finish().expect("memory takes everything")
}

fn limited(name: &str, bytes: Vec<u8>, limits: Limits) -> Result<Extracted, ExtractError> {
    extract(&Hint::new(name, ""), Source::Bytes(bytes.into()), &limits)
}

#[test]
fn an_archive_is_its_files_each_a_section_with_its_pages() {
    let file = zip_of(&[
        ("notes/trams.md", b"# Trams\n\nLine 4 is late."),
        ("notes/", b""),
        ("town.pdf", &pdf(&["Bakers start at four", "Markets close at noon"])),
        ("fare.py", b"# not a heading\nfare = 2\n"),
        ("__MACOSX/._town.pdf", b"\0\x05\x16\x07"),
        ("empty.txt", b""),
    ]);

    let document = read("town.zip", &file).expect("it has text").document;

    assert_eq!(
        slices(&document),
        [
            "[notes/trams.md]\n\n# Trams\n\nLine 4 is late.\n\n",
            "[town.pdf]\n\nBakers start at four\n\n",
            "Markets close at noon\n\n",
            "[fare.py]\n\n```\n# not a heading\nfare = 2\n\n```",
        ]
    );
    let titles: Vec<_> = document.sections.iter().map(|part| (part.title.as_deref(), part.page)).collect();
    assert_eq!(
        titles,
        [
            (Some("notes/trams.md"), None),
            (Some("town.pdf"), Some(0)),
            (Some("town.pdf"), Some(1)),
            (Some("fare.py"), None)
        ]
    );
    assert_eq!(document.metadata["files"], 3);
    assert!(!document.metadata.contains_key("skipped_files"));
}

#[test]
fn what_cannot_be_read_in_an_archive_is_named_and_the_rest_is_kept() {
    let file = zip_of(&[
        ("a.txt", b"Line 4 is late."),
        ("b.pdf", b"%PDF-1.4 not really"),
        ("c.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0"),
    ]);

    let document = read("town.zip", &file).expect("one file has text").document;

    assert_eq!(document.text, "[a.txt]\n\nLine 4 is late.");
    assert_eq!(document.metadata["skipped_total"], 2);
    assert_eq!(document.metadata["skipped_files"][0]["name"], "b.pdf");
    assert_eq!(
        document.metadata["skipped_files"][1]["reason"],
        "File type image/png is not supported for processing"
    );
}

#[test]
fn an_archive_without_anything_to_read_says_why() {
    let refused = read("town.zip", &zip_of(&[("b.pdf", b"%PDF-1.4 not really")]));

    let Err(ExtractError::Damaged(words)) = refused else { panic!("{refused:?}") };
    assert!(
        words.starts_with("No file in it can be read. The first is `b.pdf`: The PDF is damaged"),
        "{words}"
    );
    assert_eq!(read("town.zip", &zip_of(&[])), Err(ExtractError::Empty));
}

#[test]
fn names_that_lead_out_of_the_archive_lead_nowhere() {
    let file = zip_of(&[
        ("../../etc/passwd.txt", b"one"),
        ("C:\\windows\\system.txt", b"two"),
        ("/absolute\u{202E}\n.txt", b"three"),
        ("..", b"four"),
    ]);

    let document = read("town.zip", &file).expect("it has text").document;

    let titles: Vec<_> = document.sections.iter().filter_map(|part| part.title.as_deref()).collect();
    assert_eq!(titles, ["etc/passwd.txt", "windows/system.txt", "absolute.txt", "unnamed"]);
}

#[test]
fn archives_in_archives_end_at_the_nesting_limit() {
    let mut file = zip_of(&[("deep.txt", b"Line 4 is late.")]);
    for level in 0..3 {
        file = zip_of(&[(&format!("level{level}.zip"), &file)]);
    }

    assert!(limited("a.zip", file.clone(), Limits { nesting: 4, ..Limits::default() }).is_ok());
    assert_eq!(
        limited("a.zip", file, Limits { nesting: 3, ..Limits::default() }),
        Err(ExtractError::Limit("3 files inside one another".to_owned()))
    );
}

#[test]
fn what_all_archives_together_expand_to_is_bounded() {
    let zeros = vec![b' '; 1 << 20];
    let inner = zip_of(&[("a.txt", &zeros)]);
    let inner: Vec<(String, &[u8])> =
        (0..10).map(|number| (format!("{number}.zip"), inner.as_slice())).collect();
    let inner: Vec<(&str, &[u8])> = inner.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let bomb = zip_of(&inner);
    let limits = Limits { expanded_bytes: 4 << 20, ..Limits::default() };
    assert!(bomb.len() < 64 << 10, "it is small while it is packed");

    assert_eq!(
        limited("a.zip", bomb, limits),
        Err(ExtractError::Limit("4 MB of unpacked content".to_owned()))
    );
    assert_eq!(
        limited("a.txt.gz", gzip(&vec![b'x'; 5 << 20]), limits),
        Err(ExtractError::Limit("4 MB of unpacked content".to_owned()))
    );
}

#[test]
fn an_archive_of_too_many_files_is_refused() {
    let names: Vec<String> = (0..30).map(|number| format!("{number}.txt")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"text".as_slice())).collect();

    assert_eq!(
        limited("a.zip", zip_of(&entries), Limits { entries: 20, ..Limits::default() }),
        Err(ExtractError::Limit("20 files in one archive".to_owned()))
    );
}

#[test]
fn an_office_package_in_an_archive_is_a_document_and_not_an_archive() {
    let file = zip_of(&[("bridge.docx", &docx(&paragraph("Two bolts were replaced.")))]);

    assert_eq!(text_of("a.zip", &file), "[bridge.docx]\n\nTwo bolts were replaced.");
}

#[test]
fn a_folder_of_the_name_that_office_programs_use_is_still_an_archive() {
    assert_eq!(text_of("a.zip", &package(&[("word/list.txt", "one")])), "[word/list.txt]\n\none");
}

#[test]
fn a_packed_file_is_read_as_what_it_is() {
    let packed = gzip(b"<html><body><p>Line 4 is late.</p></body></html>");

    let found = read("trams.html.gz", &packed).expect("it has text");

    assert_eq!(found.document.text, "Line 4 is late.");
    assert!(matches!(read("a.gz", &packed[..20]), Err(ExtractError::Damaged(_))));
}

#[test]
fn names_in_other_encodings_are_read() {
    let (name, _, _) = encoding_rs::SHIFT_JIS.encode("日本語のメモの一覧.txt");
    let file = zip_of(&[(&"x".repeat(name.len()), b"text")]);
    let place = b"x".repeat(name.len());
    let mut renamed = file.clone();
    for at in 0..file.len() - place.len() {
        if file[at..].starts_with(&place) {
            renamed[at..at + name.len()].copy_from_slice(&name);
        }
    }

    assert!(text_of("a.zip", &renamed).starts_with("[日本語のメモの一覧.txt]"));
}

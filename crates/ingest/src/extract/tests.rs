use breezeway_knowledge::Section;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fixtures::{docx, epub, odf, paragraph, pdf, pptx, xlsx};

mod archives;
mod books;
mod mails;
#[cfg(unix)]
mod scans;

fn read_as(name: &str, media_type: &str, bytes: &[u8]) -> Result<Extracted, ExtractError> {
    extract(
        &Hint::new(name, media_type),
        Source::Bytes(Bytes::copy_from_slice(bytes)),
        &Limits { text_bytes: 1 << 20, ..Limits::default() },
    )
}

fn read(name: &str, bytes: &[u8]) -> Result<Extracted, ExtractError> {
    read_as(name, "", bytes)
}

fn text_of(name: &str, bytes: &[u8]) -> String {
    read(name, bytes).expect("the file has text").document.text
}

fn slices(document: &Document) -> Vec<&str> {
    document.sections.iter().map(|Section { start, end, .. }| &document.text[*start..*end]).collect()
}

#[test]
fn text_of_any_kind_is_kept_as_it_was_written() {
    let text = "{\"city\": \"Turin\"}\n-- and another line\n";

    for (name, media_type) in [
        ("notes.txt", "text/plain"),
        ("notes.md", "text/markdown"),
        ("notes.json", "application/json"),
        ("notes.py", "text/x-python"),
        ("notes.xml", "text/xml"),
        ("notes.log", "application/octet-stream"),
        ("noextension", "text/plain"),
        ("noextension", ""),
    ] {
        let found = read_as(name, media_type, text.as_bytes()).expect("it is text");
        assert_eq!(found.document.text, text, "{name} {media_type}");
        assert_eq!(found.document.sections, [], "{name} {media_type}");
    }
}

#[test]
fn the_name_tells_prose_from_code_and_data() {
    for (name, kind) in [
        ("a.txt", TextKind::Prose),
        ("a.md", TextKind::Prose),
        ("a.py", TextKind::Code),
        ("a.RS", TextKind::Code),
        ("a.yaml", TextKind::Code),
        ("a.json", TextKind::Data),
        ("a.csv", TextKind::Data),
        ("a.svg", TextKind::Data),
        ("a", TextKind::Prose),
    ] {
        assert_eq!(read(name, b"# one two\n").expect("it is text").kind, kind, "{name}");
    }
    assert_eq!(read_as("a", "text/x-python", b"# one").expect("it is text").kind, TextKind::Code);
}

#[test]
fn line_ends_zeros_and_byte_order_marks_are_made_one_kind() {
    assert_eq!(text_of("a.txt", b"one\r\ntwo\rthree\n\0four"), "one\ntwo\nthree\nfour");
    assert_eq!(text_of("a.txt", "\u{feff}marked".as_bytes()), "marked");
}

#[test]
fn every_usual_encoding_is_read() {
    let (text, japanese) = (
        "Où est la gare, s'il vous plaît ? Là-bas, près du marché.",
        "日本語の文章をここに書きます。駅はどこですか。",
    );
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [&[0xFF, 0xFE][..], &little].concat();

    assert_eq!(text_of("a.txt", text.as_bytes()), text);
    assert_eq!(text_of("a.txt", &little), text);
    assert_eq!(text_of("a.txt", &big), text);
    assert_eq!(text_of("a.txt", &marked), text);
    assert_eq!(text_of("a.txt", &encoding_rs::WINDOWS_1252.encode(text).0), text);
    assert_eq!(text_of("a.txt", &encoding_rs::SHIFT_JIS.encode(japanese).0), japanese);
    assert_eq!(text_of("a.txt", &encoding_rs::EUC_JP.encode(japanese).0), japanese);
}

#[test]
fn one_broken_byte_does_not_turn_utf_8_into_another_encoding() {
    let mut bytes = "Größe, Länge, Höhe und Tiefe über alles: äöüß ÄÖÜ äöüß ÄÖÜ äöü".repeat(3).into_bytes();
    bytes.push(0xC3);

    assert!(text_of("a.txt", &bytes).starts_with("Größe, Länge"));
}

#[test]
fn what_has_no_text_is_refused_with_its_reason() {
    let noise: Vec<u8> =
        (0..4096_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();

    assert_eq!(read("a.txt", b""), Err(ExtractError::Empty));
    assert_eq!(read("a.txt", b" \n\t\n"), Err(ExtractError::Empty));
    assert_eq!(
        read("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0"),
        Err(ExtractError::Unsupported("image/png".to_owned()))
    );
    assert_eq!(text_of("a.txt", &b"text\0\0"[..].repeat(50)), "text".repeat(50));
    for name in ["a.txt", "a.bin", "a.pdf", "a.docx"] {
        assert!(matches!(read(name, &noise), Err(ExtractError::Damaged(_))), "{name}");
    }
    assert!(matches!(read("a.pdf", b"plain text"), Err(ExtractError::Damaged(_))));
    assert!(matches!(read("a.pdf", b"%PDF-1.4 not really"), Err(ExtractError::Damaged(_))));
    assert!(matches!(read("a.docx", b"PK\x03\x04 not really"), Err(ExtractError::Damaged(_))));
}

#[test]
fn a_pdf_has_a_section_for_each_page() {
    let file = pdf(&["Bakers start at four", "", "Markets close at noon"]);

    let document = read("town.pdf", &file).expect("it has text").document;

    let pages: Vec<_> = slices(&document).into_iter().map(str::trim).collect();
    assert_eq!(pages, ["Bakers start at four", "", "Markets close at noon"]);
    assert_eq!(document.sections[2].page, Some(2));
    assert_eq!(document.sections[2].page_label.as_deref(), Some("3"));
    assert_eq!(document.sections[2].end, document.text.len());
    assert_eq!(document.metadata["title"], "Town notes");
    assert_eq!(document.metadata["total_pages"], 3);
    assert_eq!(document.metadata["needs_ocr"], json!([2]));
}

#[test]
fn a_scan_is_said_to_need_ocr() {
    assert_eq!(read("scan.pdf", &pdf(&["", ""])), Err(ExtractError::NeedsOcr));
}

#[test]
fn a_pdf_that_lost_its_end_or_its_table_is_repaired() {
    let whole = pdf(&["Bakers start at four", "Markets close at noon"]);
    let end = whole.windows(4).rposition(|window| window == b"xref").expect("it has a table");
    let mut confused = whole.clone();
    confused[end - 20..].fill(b'7');

    for damaged in [&whole[..end - 20], &confused] {
        let document = read("town.pdf", damaged).expect("its objects are there").document;
        let pages: Vec<_> = slices(&document).into_iter().map(str::trim).collect();
        assert_eq!(pages, ["Bakers start at four", "Markets close at noon"]);
    }
}

#[test]
fn objects_packed_into_streams_are_found_in_a_damaged_pdf() {
    use std::io::Write as _;

    let objects = "1 0 2 31 3 77 <</Type/Catalog/Pages 2 0 R    >><</Type/Pages/Count 1/Kids[3 0 R]            >><</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 5 0 R>>>>/Contents 6 0 R>>";
    let first = objects.find('<').expect("an object");
    let (one, two) =
        (objects.find("<</Type/Pages").expect("pages"), objects.find("<</Type/Page/").expect("a page"));
    let table = format!("1 0 2 {} 3 {} ", one - first, two - first);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(format!("{table}{}", &objects[first..]).as_bytes()).expect("memory takes everything");
    let packed = packed.finish().expect("memory takes everything");
    let mut file = format!(
        "%PDF-1.5\n4 0 obj\n<</Type/ObjStm/N 3/First {}/Filter/FlateDecode/Length {}>>stream\n",
        table.len(),
        packed.len()
    )
    .into_bytes();
    file.extend_from_slice(&packed);
    let text = "BT /F 12 Tf 60 760 Td (Bakers start at four) Tj ET";
    let rest = format!(
        "\nendstream\nendobj\n5 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>\nendobj\n6 0 obj\n<</Length {}>>stream\n{text}\nendstream\nendobj\n",
        text.len()
    );
    file.extend_from_slice(rest.as_bytes());

    let without_catalog: Vec<u8> =
        [&file[..9], file.windows(5).position(|it| it == b"5 0 o").map(|at| &file[at..]).expect("a font")]
            .concat();
    let page = b"\n7 0 obj\n<</Type /Page/MediaBox[0 0 595 842]/Resources<</Font<</F 5 0 R>>>>/Contents 6 0 R>>\nendobj\n";

    let made = read("town.pdf", &[&without_catalog, &page[..]].concat()).expect("its page is there").document;
    assert_eq!(text_of("town.pdf", &file), "Bakers start at four");
    assert_eq!(made.text, "Bakers start at four");
    assert_eq!(made.metadata["repaired"], true);
}

#[test]
fn a_pdf_with_too_many_pages_is_refused() {
    let limits = Limits { pages: 2, ..Limits::default() };
    let source = Source::Bytes(pdf(&["one", "two", "three"]).into());

    let refused = extract(&Hint::new("a.pdf", ""), source, &limits);

    assert_eq!(refused, Err(ExtractError::Limit("2 pages".to_owned())));
}

#[test]
fn a_word_document_becomes_paragraphs_and_tables() {
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", paragraph(text));
    let row = |a: &str, b: &str| format!("<w:tr>{}{}</w:tr>", cell(a), cell(b));
    let body = [
        paragraph("Bridge inspection"),
        paragraph("Two bolts &amp; a nut were replaced."),
        format!("<w:tbl>{}{}</w:tbl>", row("part", "state"), row("bolt|nut", "new")),
    ];

    let text = text_of("bridge.docx", &docx(&body.concat()));

    assert!(text.starts_with("Bridge inspection\n\nTwo bolts & a nut were replaced.\n\n"), "{text}");
    assert!(text.contains("| part | state |\n| --- | --- |\n| bolt\\|nut | new |"), "{text}");
}

#[test]
fn slides_and_sheets_are_sections() {
    let slides = read("deck.pptx", &pptx(&[("Trams", "Line 4 is late"), ("Boats", "None today")]))
        .expect("it has text")
        .document;
    let sheet = read("stock.xlsx", &xlsx("Stock", &[&["part", "count"], &["bolt", "12"]]))
        .expect("it has text")
        .document;

    assert_eq!(slices(&slides), ["## Trams\n\nLine 4 is late\n\n", "## Boats\n\nNone today"]);
    assert_eq!(slides.sections[1].page, Some(1));
    assert_eq!(slides.sections[1].title.as_deref(), Some("Boats"));
    assert_eq!(sheet.text, "## Stock\n\n| part | count |\n| --- | --- |\n| bolt | 12 |");
    assert_eq!(sheet.sections[0].title.as_deref(), Some("Stock"));
}

#[test]
fn a_package_that_expands_too_far_is_refused() {
    let bomb = docx(&paragraph(&"bolt ".repeat(4 << 20)));
    let limits = Limits { expanded_bytes: 8 << 20, ..Limits::default() };
    assert!(bomb.len() < 1 << 20, "the bomb is small while it is packed");

    let refused = extract(&Hint::new("a.docx", ""), Source::Bytes(bomb.into()), &limits);

    assert_eq!(refused, Err(ExtractError::Limit("8 MB of unpacked content".to_owned())));
}

#[test]
fn a_web_page_is_its_text() {
    let page = "<html><head><title>The  canal &amp; more</title><style>p{}</style></head><body>\
        <nav><a href='/'>Home</a></nav><h1>The canal</h1><p>Boats <b>drift</b> on <a href='/w'>water_ways</a>.</p>\
        <p hidden>secret</p><div style='display: none'>secret</div><script>let secret;</script>\
        <ul><li>one</li><li>two</li></ul><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>\
        <footer>Imprint</footer></body></html>";

    let document = read("canal.html", page.as_bytes()).expect("it has text").document;

    assert_eq!(
        document.text,
        "# The canal\n\nBoats drift on water_ways.\n\n- one\n- two\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"
    );
    assert_eq!(document.metadata["title"], "The canal & more");
}

#[test]
fn a_page_of_navigation_alone_is_still_read() {
    assert_eq!(text_of("a.html", b"<html><nav>Home, sweet home</nav></html>"), "Home, sweet home");
}

#[test]
fn html_that_is_nested_without_end_is_refused() {
    let nested = format!("<html>{}text", "<div>".repeat(60_000));

    assert!(matches!(read("a.html", nested.as_bytes()), Err(ExtractError::Limit(_))));
}

#[test]
fn tags_in_programs_comments_and_open_list_items_are_no_nesting() {
    let page = format!(
        "<html><script>'{0}'</script><!-- {0} --><p>text{1}",
        "<div>".repeat(5000),
        "<p>and<br>".repeat(5000)
    );

    assert!(text_of("a.html", page.as_bytes()).starts_with("text\n\nand"));
}

#[test]
fn rows_of_a_table_name_their_columns() {
    let expected = "name: Ada\ntown: Turin; north\n\nname: Bo\ntown: Oslo\n";

    assert_eq!(text_of("a.csv", b"name,town\nAda,\"Turin; north\"\nBo,Oslo\n"), expected);
    assert_eq!(text_of("a.csv", b"name;town\r\nAda;\"Turin; north\"\r\nBo;Oslo\r\n"), expected);
    assert_eq!(text_of("a.tsv", b"name\ttown\nAda\tTurin; north\nBo\tOslo\n"), expected);
}

#[test]
fn a_table_without_a_header_stays_as_it_was_written() {
    for text in ["1,2,3\n4,5,6\n", "Ada,Ada\nBo,Cy\n", "just a line\n"] {
        assert_eq!(text_of("a.csv", text.as_bytes()), text);
    }
}

#[test]
fn a_notebook_is_its_cells() {
    let notebook = json!({
        "metadata": {"kernelspec": {"language": "python"}},
        "cells": [
            {"cell_type": "markdown", "source": ["# Bolts\n", "How many?"]},
            {"cell_type": "code", "source": "print(2)", "outputs": [
                {"text": ["2\n"]}, {"data": {"image/png": "iVBORw0KGgo="}}
            ]},
        ],
    });

    let text = text_of("a.ipynb", notebook.to_string().as_bytes());

    assert_eq!(text, "# Bolts\nHow many?\n\n```python\nprint(2)\n```\n\n```\n2\n```");
}

#[test]
fn text_beyond_the_limit_is_refused() {
    assert_eq!(
        read("a.txt", &vec![b'x'; (1 << 20) + 1]),
        Err(ExtractError::Limit("1 MB of text".to_owned()))
    );
}

#[test]
fn a_file_is_read_from_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("blob");
    std::fs::write(&path, "from disk").expect("written");

    let found = extract(&Hint::new("a.txt", ""), Source::Path(path.clone()), &Limits::default());
    let gone = extract(&Hint::new("a.txt", ""), Source::Path(path.join("no")), &Limits::default());

    assert_eq!(found.expect("it is text").document.text, "from disk");
    let ExtractError::Crashed(words) = gone.expect_err("it is not there") else { panic!("another error") };
    assert!(!words.contains("blob"), "the path is not shown");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_panic_and_every_document_is_sound(
        name in prop::sample::select(vec!["a.txt", "a.csv", "a.html", "a.md", "a.ipynb", "a.xml", "a.rtf", "a.eml", "a"]),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Ok(Extracted { document, .. }) = read(name, &bytes) {
            prop_assert!(!document.text.contains(['\r', '\0']));
            prop_assert!(!document.text.trim().is_empty());
        }
    }

    #[test]
    fn a_changed_document_never_takes_the_reader_down(
        (at, byte) in (0_usize..1_000_000, any::<u8>()),
        cut in 0_usize..1_000_000,
    ) {
        let odt = odf("text", "", "<office:text><text:p>text</text:p></office:text>");
        let files = [docx(&paragraph("text")), xlsx("s", &[&["a"]]), pptx(&[("t", "b")]), odt, epub(&["text"])];
        for mut file in files {
            let length = file.len();
            file[at % length] = byte;
            let _ = read("a", &file);
            file.truncate(cut % length);
            let _ = read("a", &file);
        }
    }

    #[test]
    fn text_in_utf_8_survives_but_for_its_line_ends(text in "[a-z][\\p{L}\\p{N}\\p{P}\\p{S} \n\t&&[^\u{115F}\u{1160}\u{3164}\u{FFA0}]]{0,200}") {
        prop_assert_eq!(text_of("a.txt", text.as_bytes()), text);
    }
}

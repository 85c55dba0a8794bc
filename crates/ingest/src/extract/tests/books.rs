use super::*;
use crate::fixtures::{epub, odf, zip_of};

#[test]
fn an_open_document_is_headings_lists_tables_and_notes() {
    let styles = "<style:style style:name='P1' style:parent-style-name='Title'/>\
        <style:style style:name='T1'><style:text-properties text:display='none'/></style:style>";
    let body = "<office:text>\
        <text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>\
        <text:p text:style-name='P1'>The bridge</text:p>\
        <text:h text:outline-level='2'>Bolts</text:h>\
        <text:p>Two  bolts<text:s text:c='2'/>and<text:tab/>a nut<text:note><text:note-citation>1</text:note-citation>\
        <text:note-body><text:p>of steel</text:p></text:note-body></text:note>.<text:span text:style-name='T1'>secret</text:span></text:p>\
        <text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>inner</text:p></text:list-item></text:list></text:list-item>\
        <text:list-item><text:p>two</text:p></text:list-item></text:list>\
        <table:table><table:table-row><table:table-cell><text:p>part</text:p></table:table-cell><table:table-cell><text:p>state</text:p></table:table-cell></table:table-row>\
        <table:table-row><table:table-cell table:number-columns-repeated='2'><text:p>new</text:p></table:table-cell></table:table-row></table:table>\
        </office:text>";

    let document = read("bridge.odt", &odf("text", styles, body)).expect("it has text").document;

    assert_eq!(
        document.text,
        "# The bridge\n\n## Bolts\n\nTwo bolts  and\ta nut (of steel).\n\n- one\n  - inner\n- two\n\n\
        | part | state |\n| --- | --- |\n| new | new |"
    );
    assert_eq!(document.sections, []);
    assert_eq!(document.metadata["title"], "Town & notes");
    assert_eq!(document.metadata["author"], "Ada");
}

#[test]
fn sheets_of_an_open_document_are_sections_without_the_cells_that_nobody_wrote() {
    let cell = |text: &str| format!("<table:table-cell><text:p>{text}</text:p></table:table-cell>");
    let body = format!(
        "<office:spreadsheet><table:table table:name='Stock'>\
        <table:table-row>{}<table:table-cell table:number-columns-repeated='2'/>{}<table:table-cell table:number-columns-repeated='16380'/></table:table-row>\
        <table:table-row table:number-rows-repeated='2'>{}</table:table-row>\
        <table:table-row table:number-rows-repeated='1048000'><table:table-cell table:number-columns-repeated='16384'/></table:table-row>\
        </table:table><table:table table:name='Empty'/></office:spreadsheet>",
        cell("part"),
        cell("count"),
        cell("bolt"),
    );

    let document = read("stock.ods", &odf("spreadsheet", "", &body)).expect("it has text").document;

    assert_eq!(
        document.text,
        "## Stock\n\n| part |  |  | count |\n| --- | --- | --- | --- |\n| bolt |  |  |  |\n| bolt |  |  |  |"
    );
    assert_eq!(document.sections.len(), 1);
    assert_eq!(document.sections[0].title.as_deref(), Some("Stock"));
}

#[test]
fn a_sheet_that_repeats_itself_without_end_is_bounded() {
    let row = format!(
        "<table:table-row table:number-rows-repeated='1048000'><table:table-cell table:number-columns-repeated='16384'><text:p>{}</text:p></table:table-cell></table:table-row>",
        "bolt ".repeat(100)
    );
    let body =
        format!("<office:spreadsheet><table:table>{}</table:table></office:spreadsheet>", row.repeat(200));

    let refused = read("a.ods", &odf("spreadsheet", "", &body));

    assert_eq!(refused, Err(ExtractError::Limit("1 MB of text".to_owned())));
}

#[test]
fn slides_of_an_open_document_have_their_numbers_and_notes() {
    let slide = |title: &str, text: &str, notes: &str| {
        format!(
            "<draw:page><draw:frame presentation:class='title'><draw:text-box><text:p>{title}</text:p></draw:text-box></draw:frame>\
            <draw:frame><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>\
            <presentation:notes><draw:frame><draw:text-box><text:p>{notes}</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>"
        )
    };
    let body = format!(
        "<office:presentation>{}{}</office:presentation>",
        slide("Trams", "Line 4 is late", "say why"),
        slide("Boats", "None today", "")
    );

    let document = read("deck.odp", &odf("presentation", "", &body)).expect("it has text").document;

    assert_eq!(
        slices(&document),
        ["## Trams\n\nLine 4 is late\n\nNotes:\n\nsay why\n\n", "## Boats\n\nNone today"]
    );
    assert_eq!(document.sections[1].page, Some(1));
    assert_eq!(document.sections[1].title.as_deref(), Some("Boats"));
    assert_eq!(document.metadata["total_pages"], 2);
}

#[test]
fn an_open_document_that_is_not_packed_or_is_locked_is_told() {
    let flat = "<?xml version='1.0'?><office:document xmlns:office='urn:oasis:names:tc:opendocument:xmlns:office:1.0' \
        xmlns:text='urn:oasis:names:tc:opendocument:xmlns:text:1.0'><office:body><office:text><text:h>Trams</text:h></office:text></office:body></office:document>";
    let locked = zip_of(&[
        ("mimetype", b"application/vnd.oasis.opendocument.text"),
        ("META-INF/manifest.xml", b"<m><manifest:encryption-data/></m>"),
        ("content.xml", b"\x01\x02\x03"),
    ]);

    assert_eq!(text_of("a.fodt", flat.as_bytes()), "# Trams");
    assert_eq!(text_of("a.xml", flat.as_bytes()), "# Trams");
    assert_eq!(read("a.odt", &locked), Err(ExtractError::Encrypted));
}

#[test]
fn a_book_is_its_chapters_in_the_order_of_the_spine() {
    let file = epub(&[
        "<h1>Locks</h1><p>Boats rise.</p>",
        "<p>  </p>",
        "<h1>Weirs</h1><p hidden='hidden'>no</p><p>Water falls.</p>",
    ]);

    let document = read("canals.epub", &file).expect("it has text").document;

    assert_eq!(slices(&document), ["# Locks\n\nBoats rise.\n\n", "# Weirs\n\nWater falls."]);
    assert_eq!(document.metadata["title"], "Canals");
}

#[test]
fn a_book_of_which_nothing_is_left_is_damaged() {
    let file = zip_of(&[
        ("mimetype", b"application/epub+zip"),
        ("META-INF/container.xml", b"<c><rootfile full-path='book.opf'/></c>"),
        ("book.opf", b"<p><manifest><item id='a' href='../../../etc/a.xhtml'/></manifest><spine><itemref idref='a'/></spine></p>"),
    ]);

    assert!(matches!(read("a.epub", &file), Err(ExtractError::Damaged(_))));
    assert!(matches!(
        read("a.epub", &zip_of(&[("META-INF/container.xml", b"<c/>")])),
        Err(ExtractError::Damaged(_))
    ));
}

#[test]
fn rich_text_is_paragraphs_headings_tables_in_any_code_page() {
    let file =
        br"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Times;}{\f1\fcharset128 Mincho;}{\f2\fcharset204 Cyr;}}
{\stylesheet{\s0 Normal;}{\s1 heading 1;}}{\info{\title Bridge}{\author Ada}}{\header page header}
\pard\s1 Bolts\par\pard\plain Caf\'e9 \u8364? {\v hidden}\f1\'93\'fa\'96\'7b {\f2\'cf\'f0\'e8} \{x\}\par
{\pict\picw1 ffd8}{\*\unknown gone}\u-10179?\u-8704? ok\line next\par
{\pntext\f0\'b7\tab}item\par
\trowd\pard\intbl part\cell state\cell\row\trowd\intbl bolt\cell new\cell\row\pard after\par}";

    let document = read("bridge.rtf", file).expect("it has text").document;

    assert_eq!(
        document.text,
        "# Bolts\n\nCafé € 日本 При {x}\n\n😀 ok\nnext\n\n- item\n\n| part | state |\n| --- | --- |\n| bolt | new |\n\nafter"
    );
    assert_eq!(document.metadata["title"], "Bridge");
    assert_eq!(document.metadata["author"], "Ada");
}

#[test]
fn rich_text_is_known_by_its_begin_and_bounded_in_depth() {
    assert_eq!(text_of("a.doc", br"{\rtf1 plain}"), "plain");
    assert_eq!(text_of("a", br"{\rtf1\bin9 }}}}}}}}}plain}"), "plain");
    assert_eq!(
        read("a.rtf", format!("{{\\rtf1 {}", "{".repeat(20_000)).as_bytes()),
        Err(ExtractError::Limit("10000 groups inside one another".to_owned()))
    );
}

#[test]
fn an_article_in_xml_is_text_and_other_xml_stays_as_it_is() {
    let article = "<?xml version='1.0'?><!DOCTYPE article [<!ENTITY x SYSTEM 'file:///etc/hosts'><!ENTITY y 'no'>]>\
        <article><front><article-meta><title-group><article-title>On <i>trams</i></article-title></title-group></article-meta></front>\
        <body><sec><title>Delays</title><p>Line&#160;4 &lt; <b>late</b>&x;&y;.</p><list><list-item><p>one</p></list-item></list>\
        <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></sec></body></article>";
    let settings = "<server><port>80</port></server>";

    let found = read("a.xml", article.as_bytes()).expect("it has text");

    assert_eq!(
        found.document.text,
        "# On trams\n\n## Delays\n\nLine 4 < late.\n\none\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"
    );
    assert_eq!(found.kind, TextKind::Prose);
    assert_eq!(found.document.metadata["title"], "On trams");
    assert_eq!(text_of("a.xml", settings.as_bytes()), settings);
}

#[test]
fn xml_that_is_nested_without_end_is_no_harm() {
    let nested = "<article>".repeat(100_000);

    assert_eq!(
        read("a.xml", nested.as_bytes()),
        Err(ExtractError::Limit("512 elements inside one another".to_owned()))
    );
}

//! Small documents of the usual kinds, made on the spot.

use std::{fmt::Write as _, io::Cursor, io::Write as _};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A PDF whose pages hold one line each; an empty line makes a page with a picture only.
pub(crate) fn pdf(pages: &[&str]) -> Vec<u8> {
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        format!(
            "<</Type/Pages/Count {}/Kids[{}]>>",
            pages.len(),
            (0..pages.len()).map(|number| format!("{} 0 R ", 6 + 2 * number)).collect::<String>()
        ),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
        "<</Title(Town notes)/Producer(fixtures)>>".to_owned(),
        "<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8/Length 1>>stream\nx\nendstream"
            .to_owned(),
    ];
    for (number, line) in pages.iter().enumerate() {
        let drawing = match *line {
            "" => "q 500 0 0 700 50 50 cm /I Do Q".to_owned(),
            line => format!("BT /F 12 Tf 60 760 Td ({line}) Tj ET"),
        };
        objects.push(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>/XObject<</I 5 0 R>>>>/Contents {} 0 R>>",
            7 + 2 * number
        ));
        objects.push(format!("<</Length {}>>stream\n{drawing}\nendstream", drawing.len()));
    }
    let mut file = "%PDF-1.5\n".to_owned();
    let mut offsets = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", number + 1).expect("a string takes everything");
    }
    let start = file.len();
    write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).expect("a string takes everything");
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").expect("a string takes everything");
    }
    write!(file, "trailer<</Root 1 0 R/Info 4 0 R/Size {}>>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1)
        .expect("a string takes everything");
    file.into_bytes()
}

/// A zip archive of these entries.
pub(crate) fn package(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        // Formats that name their media type first want it uncompressed.
        let method =
            if *name == "mimetype" { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method))
            .expect("memory takes everything");
        zip.write_all(content.as_bytes()).expect("memory takes everything");
    }
    zip.finish().expect("memory takes everything").into_inner()
}

const OFFICE: &str = "application/vnd.openxmlformats-officedocument";
const RELATION: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";

fn types(parts: &[(&str, &str)]) -> String {
    let overrides: String = parts
        .iter()
        .map(|(part, kind)| format!(r#"<Override PartName="/{part}" ContentType="{OFFICE}.{kind}+xml"/>"#))
        .collect();
    format!(
        r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>"#
    )
}

fn relations(targets: &[(&str, &str, &str)]) -> String {
    let lines: String = targets
        .iter()
        .map(|(id, kind, target)| {
            format!(r#"<Relationship Id="{id}" Type="{RELATION}/{kind}" Target="{target}"/>"#)
        })
        .collect();
    format!(r#"<?xml version="1.0"?><Relationships xmlns="{RELATIONS}">{lines}</Relationships>"#)
}

/// A Word document with the given inner XML of its body.
pub(crate) fn docx(body: &str) -> Vec<u8> {
    let document = format!(
        r#"<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>"#
    );
    package(&[
        ("[Content_Types].xml", &types(&[("word/document.xml", "wordprocessingml.document.main")])),
        ("_rels/.rels", &relations(&[("r1", "officeDocument", "word/document.xml")])),
        ("word/document.xml", &document),
    ])
}

/// A paragraph of a Word document.
pub(crate) fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

/// A workbook with one sheet of texts.
pub(crate) fn xlsx(sheet: &str, rows: &[&[&str]]) -> Vec<u8> {
    let mut cells = String::new();
    for (number, row) in (1..).zip(rows) {
        write!(cells, r#"<row r="{number}">"#).expect("a string takes everything");
        for (column, text) in ('A'..).zip(*row) {
            write!(cells, r#"<c r="{column}{number}" t="inlineStr"><is><t>{text}</t></is></c>"#)
                .expect("a string takes everything");
        }
        cells.push_str("</row>");
    }
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    package(&[
        (
            "[Content_Types].xml",
            &types(&[
                ("xl/workbook.xml", "spreadsheetml.sheet.main"),
                ("xl/worksheets/sheet1.xml", "spreadsheetml.worksheet"),
            ]),
        ),
        ("_rels/.rels", &relations(&[("r1", "officeDocument", "xl/workbook.xml")])),
        (
            "xl/workbook.xml",
            &format!(
                r#"<workbook xmlns="{main}" xmlns:r="{RELATION}"><sheets><sheet name="{sheet}" sheetId="1" r:id="r1"/></sheets></workbook>"#
            ),
        ),
        ("xl/_rels/workbook.xml.rels", &relations(&[("r1", "worksheet", "worksheets/sheet1.xml")])),
        (
            "xl/worksheets/sheet1.xml",
            &format!(r#"<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>"#),
        ),
    ])
}

/// A presentation with a title and a text on each slide.
pub(crate) fn pptx(slides: &[(&str, &str)]) -> Vec<u8> {
    let (main, drawing) = (
        "http://schemas.openxmlformats.org/presentationml/2006/main",
        "http://schemas.openxmlformats.org/drawingml/2006/main",
    );
    let shape = |number: usize, kind: &str, text: &str| {
        format!(
            r#"<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="s{number}"/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"#
        )
    };
    let mut parts = vec![("ppt/presentation.xml".to_owned(), "presentationml.presentation.main".to_owned())];
    let mut entries = Vec::new();
    let (mut list, mut links) = (String::new(), Vec::new());
    for (number, (title, body)) in (1..).zip(slides) {
        let name = format!("ppt/slides/slide{number}.xml");
        let (title, body) = (shape(2, "title", title), shape(3, "body", body));
        entries.push((
            name.clone(),
            format!(
                r#"<p:sld xmlns:p="{main}" xmlns:a="{drawing}"><p:cSld><p:spTree><p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>{title}{body}</p:spTree></p:cSld></p:sld>"#
            ),
        ));
        parts.push((name, "presentationml.slide".to_owned()));
        write!(list, r#"<p:sldId id="{}" r:id="r{number}"/>"#, 255 + number)
            .expect("a string takes everything");
        links.push((format!("r{number}"), format!("slides/slide{number}.xml")));
    }
    let parts: Vec<(&str, &str)> = parts.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    let links: Vec<(&str, &str, &str)> =
        links.iter().map(|(id, target)| (id.as_str(), "slide", target.as_str())).collect();
    entries.push(("[Content_Types].xml".to_owned(), types(&parts)));
    entries.push(("_rels/.rels".to_owned(), relations(&[("r1", "officeDocument", "ppt/presentation.xml")])));
    entries.push((
        "ppt/presentation.xml".to_owned(),
        format!(
            r#"<p:presentation xmlns:p="{main}" xmlns:r="{RELATION}"><p:sldIdLst>{list}</p:sldIdLst></p:presentation>"#
        ),
    ));
    entries.push(("ppt/_rels/presentation.xml.rels".to_owned(), relations(&links)));
    let entries: Vec<(&str, &str)> =
        entries.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    package(&entries)
}

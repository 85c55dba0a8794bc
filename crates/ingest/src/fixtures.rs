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
        format!(
            "<</Type/XObject/Subtype/Image/Width 320/Height 80/ColorSpace/DeviceGray/BitsPerComponent 8/Length 25600>>stream\n{}\nendstream",
            "x".repeat(25600)
        ),
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

/// A zip archive of these texts.
pub(crate) fn package(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<(&str, &[u8])> =
        entries.iter().map(|(name, content)| (*name, content.as_bytes())).collect();
    zip_of(&entries)
}

/// A zip archive of these entries.
pub(crate) fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        // Formats that name their media type first want it uncompressed.
        let method =
            if *name == "mimetype" { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method))
            .expect("memory takes everything");
        zip.write_all(content).expect("memory takes everything");
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

/// An OpenDocument file of a kind, with the given inner XML of its body and of its styles.
pub(crate) fn odf(kind: &str, styles: &str, body: &str) -> Vec<u8> {
    let spaces: String = ["office", "text", "table", "draw", "presentation", "style"]
        .iter()
        .map(|name| {
            let place = if *name == "draw" { "drawing" } else { name };
            format!(r#" xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{place}:1.0""#)
        })
        .collect();
    let content = format!(
        r#"<?xml version="1.0"?><office:document-content{spaces}><office:automatic-styles>{styles}</office:automatic-styles><office:body>{body}</office:body></office:document-content>"#
    );
    let meta = format!(
        r#"<office:document-meta{spaces} xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta><dc:title>Town &amp; notes</dc:title><dc:creator>Ada</dc:creator></office:meta></office:document-meta>"#
    );
    package(&[
        ("mimetype", &format!("application/vnd.oasis.opendocument.{kind}")),
        ("META-INF/manifest.xml", "<manifest/>"),
        ("content.xml", &content),
        ("meta.xml", &meta),
    ])
}

/// An EPUB of these chapters, each the inner HTML of its body.
pub(crate) fn epub(chapters: &[&str]) -> Vec<u8> {
    let mut entries = vec![
        ("mimetype".to_owned(), "application/epub+zip".to_owned()),
        (
            "META-INF/container.xml".to_owned(),
            r#"<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>"#
                .to_owned(),
        ),
    ];
    let (mut items, mut spine) = (String::new(), String::new());
    for (number, chapter) in chapters.iter().enumerate() {
        write!(items, r#"<item id="c{number}" href="text/chapter%20{number}.xhtml"/>"#)
            .expect("a string takes everything");
        write!(spine, r#"<itemref idref="c{number}"/>"#).expect("a string takes everything");
        entries.push((
            format!("OPS/text/chapter {number}.xhtml"),
            format!("<html><head><title>c</title></head><body>{chapter}</body></html>"),
        ));
    }
    entries.push((
        "OPS/book.opf".to_owned(),
        format!(
            r#"<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Canals</dc:title></metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"#
        ),
    ));
    let entries: Vec<(&str, &str)> =
        entries.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    package(&entries)
}

/// A file inside of a compound file: its path and its content; `None` makes a folder.
pub(crate) type Stream<'a> = (&'a str, Option<Vec<u8>>);

/// A compound file, as simple as there can be: everything in sectors of its own, folders as lists.
pub(crate) fn compound(streams: &[Stream<'_>]) -> Vec<u8> {
    const SECTOR: usize = 512;
    const NONE: u32 = u32::MAX;
    const END: u32 = u32::MAX - 1;
    let (mut data, mut chains): (Vec<u8>, Vec<u32>) = (Vec::new(), Vec::new());
    let mut store = |content: &[u8]| {
        let first = chains.len() as u32;
        let sectors = content.len().div_ceil(SECTOR) as u32;
        chains.extend((1..=sectors).map(|step| if step == sectors { END } else { first + step }));
        data.extend_from_slice(content);
        data.resize(chains.len() * SECTOR, 0);
        if sectors == 0 { END } else { first }
    };
    let children = |folder: &str| -> Vec<u32> {
        let inside = |path: &str| path.rsplit_once('/').map_or("", |(above, _)| above) == folder;
        (1..).zip(streams).filter(|(_, (path, _))| inside(path)).map(|(number, _)| number).collect()
    };
    let mut directory = Vec::new();
    let mut entry = |name: &str, kind: u8, right: u32, child: u32, start: u32, size: usize| {
        let mut units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = units.len() as u16 + 2;
        units.resize(64, 0);
        directory.extend_from_slice(&units);
        directory.extend_from_slice(&length.to_le_bytes());
        directory.extend_from_slice(&[kind, 1]);
        for number in [NONE, right, child] {
            directory.extend_from_slice(&number.to_le_bytes());
        }
        directory.extend_from_slice(&[0; 36]);
        directory.extend_from_slice(&start.to_le_bytes());
        directory.extend_from_slice(&(size as u64).to_le_bytes());
    };
    entry("Root Entry", 5, NONE, children("").first().copied().unwrap_or(NONE), END, 0);
    for (number, (path, content)) in (1..).zip(streams) {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let right = children(above).into_iter().find(|&other| other > number).unwrap_or(NONE);
        match content {
            Some(content) => entry(name, 2, right, NONE, store(content), content.len()),
            None => entry(name, 1, right, children(path).first().copied().unwrap_or(NONE), 0, 0),
        }
    }
    while directory.len() % SECTOR != 0 {
        directory.extend_from_slice(&[0; 68]);
        directory.extend_from_slice(&[0xFF; 12]);
        directory.extend_from_slice(&[0; 48]);
    }
    let first_of_directory = store(&directory);
    let used = chains.len();
    // The allocation table describes itself too.
    let tables = (1..).find(|tables| tables * SECTOR / 4 >= used + tables).expect("some number is enough");
    chains.extend((0..tables).map(|_| u32::MAX - 2));
    chains.resize(tables * SECTOR / 4, NONE);
    data.extend(chains.iter().flat_map(|next| next.to_le_bytes()));

    let mut file = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    file.extend_from_slice(&[0; 16]);
    for number in [0x3E_u16, 3, 0xFFFE, 9, 6, 0, 0, 0] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    for number in [0, tables as u32, first_of_directory, 0, 4096, END, 0, END, 0] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    let places = (0..109).map(|table| if table < tables { (used + table) as u32 } else { NONE });
    file.extend(places.flat_map(u32::to_le_bytes));
    file.extend_from_slice(&data);
    file
}

//! Text recognition, with a program that only acts as one.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use tempfile::TempDir;

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0";

fn program(script: &str) -> (TempDir, Ocr) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("recogniser");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made a program");
    let ocr =
        Ocr { program, languages: "eng+deu".to_owned(), data_folder: None, time: Duration::from_secs(20) };
    (folder, ocr)
}

fn read_by(ocr: &Ocr, name: &str, bytes: Vec<u8>) -> Result<Extracted, ExtractError> {
    extract_with(&Hint::new(name, ""), Source::Bytes(bytes.into()), &Limits::default(), Some(ocr))
}

#[test]
fn pages_that_are_pictures_get_the_text_that_is_recognised() {
    let (_folder, ocr) =
        program("/usr/bin/env cat > /dev/null; echo \"seen by $*\"; echo $OMP_THREAD_LIMIT$HOME");

    let document = read_by(&ocr, "a.pdf", pdf(&["Bakers", "", "Markets"])).expect("it has text").document;

    let pages: Vec<_> = slices(&document).into_iter().map(str::trim).collect();
    assert_eq!(pages, ["Bakers", "seen by stdin stdout -l eng+deu\n1", "Markets"]);
    assert_eq!(document.metadata["ocr_pages"], json!([2]));
    assert!(!document.metadata.contains_key("needs_ocr"));
}

#[test]
fn a_recogniser_that_fails_or_sees_nothing_leaves_the_page_as_it_is() {
    for script in ["exit 1", "/usr/bin/env cat > /dev/null", "echo words; exit 3"] {
        let (_folder, ocr) = program(script);

        let document = read_by(&ocr, "a.pdf", pdf(&["Bakers", ""])).expect("it has text").document;

        assert_eq!(document.metadata["needs_ocr"], json!([2]), "{script}");
        assert_eq!(read_by(&ocr, "a.pdf", pdf(&[""])), Err(ExtractError::NeedsOcr), "{script}");
    }
}

#[test]
fn a_recogniser_that_hangs_is_ended() {
    let (_folder, ocr) = program("exec sleep 1000");
    let ocr = Ocr { time: Duration::from_millis(50), ..ocr };

    assert_eq!(read_by(&ocr, "a.pdf", pdf(&[""])), Err(ExtractError::NeedsOcr));
}

#[test]
fn a_picture_by_itself_is_read_only_if_that_is_switched_on() {
    let (_folder, ocr) = program("/usr/bin/env cat > /dev/null; echo Line 4 is late.");

    let document = read_by(&ocr, "a.png", PNG.to_vec()).expect("it has text").document;

    assert_eq!(document.text, "Line 4 is late.");
    assert_eq!(document.metadata["ocr"], json!(true));
    assert_eq!(read("a.png", PNG), Err(ExtractError::Unsupported("image/png".to_owned())));
}

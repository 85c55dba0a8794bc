//! Files read by a child process.

use std::path::PathBuf;

use super::*;
use crate::fixtures::pdf;

/// The example that is a child process, which cargo builds beside the tests.
fn child() -> Extraction {
    let test = std::env::current_exe().expect("a test is a program");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("it lies in a target folder");
    let program = folder.join("examples").join(format!("extract_child{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "build it with `cargo build -p breezeway-ingest --examples`");
    Extraction::Child { program, arguments: Vec::new() }
}

async fn processed_by(
    extraction: Extraction,
    limits: Limits,
    name: &str,
    bytes: impl Into<Bytes>,
) -> (Town, FileId) {
    let town = Town::with(IngestConfig { extraction, limits, ..config() }, None);
    let id = town.upload(name, bytes).await;
    town.work_until_final(&id).await;
    (town, id)
}

#[tokio::test]
async fn a_child_process_reads_the_same_as_this_one() {
    let file = pdf(&["Bakers start at four", "Markets close at noon"]);

    let (child, by_child) = processed_by(child(), config().limits, "town.pdf", file.clone()).await;
    let (here, by_us) = processed_by(Extraction::InProcess, config().limits, "town.pdf", file).await;

    let by_child = child.library.document(&by_child).await.expect("memory answers");
    assert!(by_child.as_ref().is_some_and(|document| document.text.contains("Markets close at noon")));
    assert_eq!(by_child, here.library.document(&by_us).await.expect("memory answers"));
}

#[tokio::test]
async fn a_child_process_says_why_a_file_cannot_be_read() {
    let (town, id) = processed_by(child(), config().limits, "a.pdf", "plain text").await;

    let FileState::Failed(reason) = town.state(&id).await else { panic!("it failed") };
    assert!(reason.contains("named like a PDF"), "{reason}");
}

#[tokio::test]
async fn a_text_larger_than_one_frame_arrives_whole() {
    let text = "0123456789 wörter\n".repeat(150_000);

    let (town, id) = processed_by(child(), config().limits, "a.txt", text.clone()).await;

    let document = town.library.document(&id).await.expect("memory answers").expect("it was processed");
    assert!(document.text == text);
}

/// A child that does not do its work.
#[cfg(unix)]
fn shell(script: &str) -> Extraction {
    Extraction::Child {
        program: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".to_owned(), script.to_owned()],
    }
}

#[cfg(unix)]
#[tokio::test]
async fn whatever_a_child_does_the_file_fails_with_words() {
    let limits = Limits { time: Duration::from_secs(2), text_bytes: 1000, ..Limits::default() };
    for (script, reason) in [
        ("exit 3", "The file could not be read: its reader ended with code 3"),
        ("kill -SEGV $$", "The file could not be read: its reader was ended by signal 11"),
        ("kill -XCPU $$", "The file exceeds the limit of 2 seconds of work for one file"),
        (
            "echo memory allocation of 9 bytes failed >&2; kill -ABRT $$",
            "The file exceeds the limit of 1024 MB of memory for one file",
        ),
        (
            "printf 'B\\000\\000\\377\\377'; exec cat /dev/zero",
            "The file exceeds the limit of 1000 bytes of text",
        ),
        (
            "printf 'O\\377\\377\\377\\377'; exec sleep 100",
            "The file could not be read: its reader answered nonsense",
        ),
        (
            "printf 'O\\000\\000\\000\\002{}'; exec sleep 100",
            "The file could not be read: its reader answered nonsense",
        ),
        ("exec sleep 100", "The file exceeds the limit of 2 seconds for one file"),
    ] {
        let (town, id) = processed_by(shell(script), limits, "a.txt", "words").await;

        assert_eq!(town.state(&id).await, FileState::Failed(reason.to_owned()), "{script}");
    }
}

#[tokio::test]
async fn a_child_that_cannot_be_started_is_tried_again() {
    let missing = Extraction::Child { program: PathBuf::from("/nowhere/at/all"), arguments: Vec::new() };
    let town = Town::with(IngestConfig { extraction: missing, ..config() }, None);
    let id = town.upload("a.txt", "words").await;

    town.work_until(async || {
        town.come_back_later(&id).await;
        town.state(&id).await.is_final()
    })
    .await;

    assert_eq!(
        town.state(&id).await,
        FileState::Failed("the text extractor could not be started".to_owned())
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_child_cannot_take_more_memory_than_it_is_given() {
    // A tree of this page takes a hundred times the page.
    let limits = Limits { memory_bytes: 8 << 20, ..config().limits };
    let page = "<p>a".repeat(600_000);

    let (town, id) = processed_by(child(), limits, "a.html", page).await;

    let FileState::Failed(reason) = town.state(&id).await else { panic!("it failed") };
    assert_eq!(reason, "The file exceeds the limit of 8 MB of memory for one file");
}

//! Recognising the text of pictures, with a `tesseract` that is installed on the machine.
//!
//! The program gets the picture through a pipe and answers through another, so it writes no file. It
//! is started by the process that reads the document, and inherits that one's limits.

use std::{
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// The longest text of one picture, in bytes.
const LONGEST_TEXT: u64 = 4 << 20;

/// Text recognition, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ocr {
    /// The program, by its full path: the process that starts it has no search path.
    pub program: PathBuf,
    /// What languages to expect, in the program's own notation (`eng+deu`).
    pub languages: String,
    /// Where its language files are, if not where it looks by itself.
    pub data_folder: Option<PathBuf>,
    /// The longest time for one picture.
    pub time: Duration,
}

impl Ocr {
    /// The text of a picture in a format that the program knows. `None` if it failed, which it does
    /// in many ways that say nothing to the file's owner; an empty text if there is none.
    pub(super) fn text(&self, picture: &[u8]) -> Option<String> {
        let mut command = Command::new(&self.program);
        command
            .args(["stdin", "stdout", "-l", &self.languages])
            .env_clear()
            // It would start as many threads as there are processors, for each picture.
            .env("OMP_THREAD_LIMIT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(folder) = &self.data_folder {
            command.env("TESSDATA_PREFIX", folder);
        }
        let mut child = command.spawn().ok()?;
        let text = self.converse(&mut child, picture);
        if text.is_none() {
            // It may have ended meanwhile.
            let _ = child.kill();
        }
        let ended = child.wait().ok()?;
        text.filter(|_| ended.success())
    }

    fn converse(&self, child: &mut Child, picture: &[u8]) -> Option<String> {
        let (mut stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
        let (tell, told) = mpsc::channel();
        let listen = move || {
            let mut text = Vec::new();
            let whole = stdout.take(LONGEST_TEXT).read_to_end(&mut text).map(|_| text);
            // Nobody listens any more after the deadline.
            let _ = tell.send(whole);
        };
        thread::Builder::new().name("ocr".to_owned()).spawn(listen).ok()?;
        let picture = picture.to_vec();
        // A program that ends early does not read to the end, and then its answer counts.
        let say = move || drop(stdin.write_all(&picture));
        thread::Builder::new().name("ocr".to_owned()).spawn(say).ok()?;
        let text = told.recv_timeout(self.time).ok()?.ok()?;
        Some(String::from_utf8_lossy(&text).replace('\u{C}', "\n").trim().to_owned())
    }
}

/// Whether this media type is of a picture that text recognition reads.
pub(super) fn is_picture(media_type: &str) -> bool {
    matches!(
        media_type,
        "image/png"
            | "image/jpeg"
            | "image/tiff"
            | "image/bmp"
            | "image/x-ms-bmp"
            | "image/webp"
            | "image/gif"
    )
}

//! Writing a multipart form.

use std::fmt::Write as _;

use bytes::Bytes;

/// A form under way.
pub(super) struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    pub(super) fn new() -> Self {
        // Random, so that no file can hold it on purpose.
        let boundary = format!("breezeway-{}", breezeway_core::FileId::mint());
        Self { boundary, body: Vec::new() }
    }

    pub(super) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    pub(super) fn field(&mut self, name: &str, value: &str) {
        self.begin(name, "");
        self.body.extend_from_slice(b"\r\n");
        self.body.extend_from_slice(value.as_bytes());
        self.body.extend_from_slice(b"\r\n");
    }

    pub(super) fn file(&mut self, name: &str, file_name: &str, media_type: &str, bytes: &[u8]) {
        let is_type = !media_type.is_empty() && media_type.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let media_type = if is_type { media_type } else { "application/octet-stream" };
        self.begin(name, &format!("; filename=\"{}\"", escaped(file_name)));
        self.body.extend_from_slice(format!("Content-Type: {media_type}\r\n\r\n").as_bytes());
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
    }

    fn begin(&mut self, name: &str, more: &str) {
        let head = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{}\"{more}\r\n",
            self.boundary,
            escaped(name)
        );
        self.body.extend_from_slice(head.as_bytes());
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        self.body.into()
    }
}

/// A name inside quotes, as browsers write it.
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for sign in name.chars() {
        match sign {
            '"' => out.push_str("%22"),
            sign if sign.is_control() => out.push(' '),
            sign => out.push(sign),
        }
    }
    out
}

/// A name for a header, with everything but the plainest signs as percent and digits.
pub(super) fn quoted(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

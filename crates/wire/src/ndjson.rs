//! Newline-delimited JSON, decoded as it arrives.

use std::fmt;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

pub use crate::frame::{MAX_FRAME_BYTES, TooLong};

/// One line: the very bytes that came, line end included.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// The bytes, up to and including the line feed (or what came before the stream ended).
    pub raw: Bytes,
}

impl fmt::Debug for Line {
    /// How long it is, not what it says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("raw_bytes", &self.raw.len()).finish()
    }
}

impl Line {
    /// Whether there is nothing on it but white space.
    pub fn is_blank(&self) -> bool {
        self.raw.trim_ascii().is_empty()
    }

    /// The JSON on it.
    pub fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.raw)
    }
}

/// Cuts a stream of bytes into lines, wherever the network cut it.
pub struct Decoder {
    limit: usize,
    rest: BytesMut,
    /// Up to where `rest` is known to hold no line feed.
    seen: usize,
    failed: bool,
}

impl fmt::Debug for Decoder {
    /// How much is held back, not what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("limit", &self.limit)
            .field("rest_bytes", &self.rest.len())
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder that refuses lines of more than `max_line_bytes`; [`MAX_FRAME_BYTES`] suits most.
    pub fn new(max_line_bytes: usize) -> Self {
        Self { limit: max_line_bytes, rest: BytesMut::new(), seen: 0, failed: false }
    }

    /// Take bytes in and hand out the lines they complete, blank ones too.
    ///
    /// Once a line was too long every further call says so.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Line>, TooLong> {
        if self.failed {
            return Err(TooLong { limit: self.limit });
        }
        self.rest.extend_from_slice(bytes);

        let mut lines = Vec::new();
        while let Some(found) = self.rest[self.seen..].iter().position(|byte| *byte == b'\n') {
            let raw = self.rest.split_to(self.seen + found + 1).freeze();
            self.seen = 0;
            if raw.len() > self.limit {
                return Err(self.fail());
            }
            lines.push(Line { raw });
        }
        self.seen = self.rest.len();
        if self.rest.len() > self.limit {
            return Err(self.fail());
        }
        Ok(lines)
    }

    /// What came of a line that the stream did not end.
    pub fn finish(self) -> Option<Line> {
        (!self.failed && !self.rest.is_empty()).then(|| Line { raw: self.rest.freeze() })
    }

    fn fail(&mut self) -> TooLong {
        self.failed = true;
        self.rest = BytesMut::new();
        TooLong { limit: self.limit }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Line> {
        let mut decoder = Decoder::new(MAX_FRAME_BYTES);
        let mut lines = Vec::new();
        for piece in pieces {
            lines.extend(decoder.push(piece).unwrap());
        }
        lines.extend(decoder.finish());
        lines
    }

    #[test]
    fn lines_are_read_whatever_ends_them() {
        let lines = decode([&b"{\"a\":1}\n\r\n{\"a\":2}\r\n{\"a\":3}"[..]]);

        let said: Vec<_> =
            lines.iter().filter(|line| !line.is_blank()).map(|line| line.json().unwrap()).collect();
        assert_eq!(said, [json!({"a": 1}), json!({"a": 2}), json!({"a": 3})]);
        assert!(lines[1].is_blank());
    }

    #[test]
    fn a_line_longer_than_agreed_is_refused_and_forgotten() {
        let mut decoder = Decoder::new(4);

        assert_eq!(decoder.push(b"123\n12").unwrap().len(), 1);
        assert_eq!(decoder.push(b"345"), Err(TooLong { limit: 4 }));
        assert_eq!(decoder.push(b"\n1\n"), Err(TooLong { limit: 4 }));
        assert_eq!(decoder.finish(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn where_the_bytes_are_split_changes_nothing(stream in "[a\n\r\u{e9}]{0,60}", size in 1_usize..9) {
            let whole = decode([stream.as_bytes()]);

            prop_assert_eq!(&decode(stream.as_bytes().chunks(size)), &whole);
            let joined: Vec<u8> = whole.iter().flat_map(|line| line.raw.to_vec()).collect();
            prop_assert_eq!(joined, stream.as_bytes());
        }
    }
}

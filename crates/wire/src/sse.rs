//! Server-sent events, decoded as they arrive.
//!
//! The decoder follows the event stream section of the HTML standard for what an event means, with
//! two additions for a gateway: nothing that came is lost (the `raw` of all frames, joined, is the
//! input), and an event cut off by the end of the stream is handed out instead of thrown away.
//!
//! What a reader would get wrong: a line may end with a lone carriage return, so an event whose last
//! byte so far is one cannot be handed out before the next byte tells whether a line feed belongs
//! to it. Only streams that never use line feeds ever wait for that.

use std::fmt;

use bytes::{Bytes, BytesMut};

pub use crate::frame::{Frame, MAX_FRAME_BYTES, TooLong};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Cuts a stream of bytes into events, wherever the network cut it.
pub struct Decoder {
    limit: usize,
    /// What came and is not handed out yet.
    rest: BytesMut,
    /// Up to where `rest` was looked at.
    seen: usize,
    /// Where the line begins that `seen` is in.
    line: usize,
    /// Whether no frame was handed out yet: the only place where a byte order mark is one.
    first: bool,
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
    /// A decoder that refuses events of more than `max_frame_bytes`; [`MAX_FRAME_BYTES`] suits most.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self { limit: max_frame_bytes, rest: BytesMut::new(), seen: 0, line: 0, first: true, failed: false }
    }

    /// Take bytes in and hand out the events they complete. Empty lines and comments come as
    /// frames without data.
    ///
    /// Once an event was too long every further call says so: where the next one begins is unknown.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, TooLong> {
        if self.failed {
            return Err(TooLong { limit: self.limit });
        }
        self.rest.extend_from_slice(bytes);

        let mut frames = Vec::new();
        while let Some(end) = self.next_end() {
            let raw = self.rest.split_to(end).freeze();
            (self.seen, self.line) = (0, 0);
            if raw.len() > self.limit {
                return Err(self.fail());
            }
            frames.push(frame(raw, self.first));
            self.first = false;
        }
        if self.rest.len() > self.limit {
            return Err(self.fail());
        }
        Ok(frames)
    }

    /// What came of an event that the stream did not end.
    pub fn finish(self) -> Option<Frame> {
        (!self.failed && !self.rest.is_empty()).then(|| frame(self.rest.freeze(), self.first))
    }

    /// Where the first event of `rest` ends, if all of it is there.
    fn next_end(&mut self) -> Option<usize> {
        loop {
            let unseen = &self.rest[self.seen..];
            let Some(found) = unseen.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.seen = self.rest.len();
                return None;
            };
            let at = self.seen + found;
            let end = match (self.rest[at], self.rest.get(at + 1)) {
                (b'\n', _) => at + 1,
                (_, Some(b'\n')) => at + 2,
                (_, Some(_)) => at + 1,
                // The line feed may be the next thing to come.
                (_, None) => {
                    self.seen = at;
                    return None;
                }
            };
            let mut content = &self.rest[self.line..at];
            if self.first && self.line == 0 {
                content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
            }
            (self.seen, self.line) = (end, end);
            if content.is_empty() {
                return Some(end);
            }
        }
    }

    fn fail(&mut self) -> TooLong {
        self.failed = true;
        self.rest = BytesMut::new();
        TooLong { limit: self.limit }
    }
}

/// Read an event out of its bytes.
fn frame(raw: Bytes, first: bool) -> Frame {
    let mut event = None;
    let mut data = Data::None;
    let mut at = if first && raw.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    while at < raw.len() {
        let rest = &raw[at..];
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let line = raw.slice(at..at + length);
        // A carriage return and its line feed count twice here; the empty line between means nothing.
        at += length + 1;
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let space = usize::from(line.get(colon + 1) == Some(&b' '));
                (line.slice(..colon), line.slice(colon + 1 + space..))
            }
            None => (line, Bytes::new()),
        };
        match name.as_ref() {
            b"data" => data = data.with_line(value),
            b"event" => event = Some(String::from_utf8_lossy(&value).into_owned()),
            _ => {}
        }
    }
    let data = match data {
        Data::None => Bytes::new(),
        Data::Line(line) => line,
        Data::Lines(lines) => lines.into(),
    };
    Frame { raw, event, data }
}

/// The `data` of an event so far. Nearly all have one line, which needs no copy.
enum Data {
    None,
    Line(Bytes),
    Lines(Vec<u8>),
}

impl Data {
    fn with_line(self, line: Bytes) -> Self {
        let mut lines = match self {
            Self::None => return Self::Line(line),
            Self::Line(first) => Vec::from(first),
            Self::Lines(lines) => lines,
        };
        lines.push(b'\n');
        lines.extend_from_slice(&line);
        Self::Lines(lines)
    }
}

#[cfg(test)]
mod tests;

//! Frames: one piece of a stream as bytes, with its meaning beside it.

use std::fmt;

use breezeway_core::{Classify, ErrorKind};
use bytes::Bytes;
use serde_json::{Map, Value};

/// What one event or line may measure unless the caller says otherwise. Images and embeddings travel
/// in single events, so it is far above what text needs.
pub const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// An event or a line went on for longer than agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a piece of the stream is longer than {limit} bytes")]
pub struct TooLong {
    /// What was agreed.
    pub limit: usize,
}

impl Classify for TooLong {
    fn kind(&self) -> ErrorKind {
        // Whoever streams is the upstream; a client's body has a limit of its own.
        ErrorKind::Upstream
    }
}

/// One server-sent event: the very bytes that came, and its `data` read out of them.
///
/// Bytes first: where the dialects of client and upstream agree, `raw` is passed on untouched and
/// `data` only looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The bytes, up to and including the empty line that ends the event (or what came of it before
    /// the stream broke off).
    pub raw: Bytes,
    /// The `event:` field, if there was one.
    pub event: Option<String>,
    /// The `data:` lines joined by newlines; empty for a comment.
    pub data: Bytes,
}

impl fmt::Debug for Frame {
    /// Nothing of what was answered: frames end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("event", &self.event)
            .field("raw_bytes", &self.raw.len())
            .field("data_bytes", &self.data.len())
            .finish()
    }
}

impl Frame {
    /// A frame that says `data: <json>`.
    pub fn json(value: &Value) -> Self {
        let data = Bytes::from(value.to_string());
        Self { raw: [b"data: ", data.as_ref(), b"\n\n"].concat().into(), event: None, data }
    }

    /// A frame that says `event: <name>` and `data: <json>`. The name is ours, a single word.
    pub fn named(name: &'static str, value: &Value) -> Self {
        let data = Bytes::from(value.to_string());
        let raw = [b"event: ", name.as_bytes(), b"\ndata: ", data.as_ref(), b"\n\n"].concat();
        Self { raw: raw.into(), event: Some(name.into()), data }
    }

    /// The frame that ends a stream of OpenAI's dialect.
    pub fn done() -> Self {
        Self {
            raw: Bytes::from_static(b"data: [DONE]\n\n"),
            event: None,
            data: Bytes::from_static(b"[DONE]"),
        }
    }

    /// Whether this is the end mark of OpenAI's dialect.
    pub fn is_done(&self) -> bool {
        self.data.trim_ascii() == b"[DONE]"
    }

    /// The JSON object in `data`, read anew at each call; `None` for comments, the end mark and
    /// whatever else is no object.
    pub fn chunk(&self) -> Option<Map<String, Value>> {
        if self.data.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        serde_json::from_slice(&self.data).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_named_frame_has_both_lines() {
        let frame = Frame::named("ping", &json!({"type": "ping"}));

        assert_eq!(&frame.raw[..], b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
        assert_eq!(frame.event.as_deref(), Some("ping"));
    }

    #[test]
    fn a_chunk_is_read_from_objects_only() {
        let said = |data: &'static [u8]| Frame { raw: Bytes::new(), event: None, data: data.into() }.chunk();

        assert_eq!(said(b" {\"a\":1}").unwrap()["a"], 1);
        assert_eq!(said(b"[DONE]"), None);
        assert_eq!(said(b""), None);
        assert_eq!(said(b"{\"a\":"), None);
        assert_eq!(said(b"[1]"), None);
    }
}

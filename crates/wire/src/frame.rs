//! Frames: one piece of a stream as bytes, with its meaning beside it.

use bytes::Bytes;

/// One server-sent event: the very bytes that came, and its `data` read out of them.
///
/// Bytes first: where the dialects of client and upstream agree, `raw` is passed on untouched and
/// `data` only looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The bytes, up to and including the empty line that ends the event (or what came of it before
    /// the stream broke off).
    pub raw: Bytes,
    /// The `event:` field, if there was one.
    pub event: Option<String>,
    /// The `data:` lines joined by newlines; empty for a comment.
    pub data: Bytes,
}

impl Frame {
    /// A frame that says `data: <json>`.
    pub fn json(value: &serde_json::Value) -> Self {
        let data = Bytes::from(value.to_string());
        Self { raw: [b"data: ", data.as_ref(), b"\n\n"].concat().into(), event: None, data }
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
}

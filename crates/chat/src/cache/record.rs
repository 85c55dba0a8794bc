//! Streams that are kept while they pass.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use breezeway_registry::{FrameStream, UpstreamError};
use breezeway_wire::Frame;
use bytes::Bytes;
use futures_util::Stream;

use super::{Cache, Kept, Key, bytes_of};

/// The same stream; what passes is kept once its end mark has come. A stream that breaks off, holds an
/// error or is too long is not, and neither is one whose client leaves.
pub(crate) fn recorded(frames: FrameStream, cache: Cache, key: Key) -> FrameStream {
    Box::pin(Recorded { frames, record: Some(Record { cache, key, kept: Vec::new(), bytes: 0 }) })
}

struct Recorded {
    frames: FrameStream,
    /// Gone once it is kept, or known not to be.
    record: Option<Record>,
}

struct Record {
    cache: Cache,
    key: Key,
    kept: Vec<Frame>,
    bytes: usize,
}

impl Record {
    /// Take a frame in. `None` if there is nothing more to take in.
    fn see(mut self, frame: &Frame) -> Option<Self> {
        self.bytes += bytes_of(frame);
        if self.bytes > self.cache.largest() || holds_error(&frame.data) {
            return None;
        }
        self.kept.push(copied(frame));
        if !frame.is_done() {
            return Some(self);
        }
        self.cache.put(self.key, Kept::Frames(self.kept.into()));
        None
    }
}

/// A frame that holds no more than its own bytes: what arrives is a part of a larger read.
fn copied(frame: &Frame) -> Frame {
    let raw = Bytes::copy_from_slice(&frame.raw);
    // Where `data` is within `raw`, unless it is an allocation of its own: lines that were joined.
    let begin = (frame.data.as_ptr() as usize).wrapping_sub(frame.raw.as_ptr() as usize);
    let end = begin.checked_add(frame.data.len()).filter(|end| *end <= raw.len());
    let data = end.map_or_else(|| Bytes::copy_from_slice(&frame.data), |end| raw.slice(begin..end));
    Frame { raw, event: frame.event.clone(), data }
}

/// Whether JSON has a key or a text `error` in it. Inside of a text its quotes would be written `\"`.
pub(crate) fn holds_error(json: &[u8]) -> bool {
    const ERROR: &[u8] = b"\"error\"";
    json.windows(ERROR.len()).any(|window| window == ERROR)
}

impl Stream for Recorded {
    type Item = Result<Frame, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.frames.as_mut().poll_next(cx));
        let record = self.record.take();
        if let Some(Ok(frame)) = &item {
            self.record = record.and_then(|record| record.see(frame));
        }
        Poll::Ready(item)
    }
}

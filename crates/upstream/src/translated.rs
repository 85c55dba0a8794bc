//! Streamed answers of other dialects, as frames of OpenAI's.

use std::collections::VecDeque;

use breezeway_registry::{ByteStream, FrameStream, UpstreamError};
use breezeway_wire::Frame;
use futures_util::{StreamExt, stream};

use crate::answer::read_end;

/// Puts the bytes of one stream into OpenAI's dialect, split anywhere.
pub trait Translation: Send + 'static {
    /// What the next bytes say.
    ///
    /// # Errors
    /// If they are none of its dialect's.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, UpstreamError>;

    /// What was still waiting for more bytes, when there are no more.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    fn finish(&mut self) -> Result<Vec<Frame>, UpstreamError>;

    /// Whether the answer is complete.
    fn is_done(&self) -> bool;
}

/// The frames of a streamed answer. Bytes that end before it is complete are a broken stream.
pub fn translated(bytes: ByteStream, translation: impl Translation) -> FrameStream {
    let start = Translated { bytes, translation, ready: VecDeque::new(), is_over: false };
    Box::pin(stream::unfold(Some(start), |state| async move { state?.next().await }))
}

struct Translated<T> {
    bytes: ByteStream,
    translation: T,
    ready: VecDeque<Frame>,
    /// Whether the bytes have ended.
    is_over: bool,
}

impl<T: Translation> Translated<T> {
    async fn next(mut self) -> Option<(Result<Frame, UpstreamError>, Option<Self>)> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some((Ok(frame), Some(self)));
            }
            if self.translation.is_done() {
                read_end(&mut self.bytes).await;
                return None;
            }
            if let Err(error) = self.read_on().await {
                return Some((Err(error), None));
            }
        }
    }

    async fn read_on(&mut self) -> Result<(), UpstreamError> {
        if self.is_over {
            return Err(UpstreamError::Broken("the answer ended before it was complete".to_owned()));
        }
        let frames = match self.bytes.next().await {
            Some(piece) => self.translation.push(&piece?)?,
            None => {
                self.is_over = true;
                self.translation.finish()?
            }
        };
        self.ready.extend(frames);
        Ok(())
    }
}

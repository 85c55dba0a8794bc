//! The events of a streamed message as frames of OpenAI's dialect, as they come.

use std::collections::VecDeque;

use breezeway_registry::{ByteStream, FrameStream, UpstreamError};
use breezeway_wire::{
    Frame,
    anthropic::upstream::EventTranslator,
    sse::{self, MAX_FRAME_BYTES},
};
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use crate::answer::END_WAIT;

/// The frames of a streamed message. Bytes that end before its last event are a broken stream.
pub(super) fn translated(bytes: ByteStream, translator: EventTranslator) -> FrameStream {
    let decoder = sse::Decoder::new(MAX_FRAME_BYTES);
    let start = Events { bytes, decoder: Some(decoder), translator, ready: VecDeque::new() };
    Box::pin(stream::unfold(Some(start), |state| async move { state?.next().await }))
}

struct Events {
    bytes: ByteStream,
    /// Gone once the bytes have ended.
    decoder: Option<sse::Decoder>,
    translator: EventTranslator,
    ready: VecDeque<Frame>,
}

impl Events {
    async fn next(mut self) -> Option<(Result<Frame, UpstreamError>, Option<Self>)> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some((Ok(frame), Some(self)));
            }
            if self.translator.is_done() {
                // The end is usually there already; having read it, the connection is reused.
                let _ = timeout(END_WAIT, async { while let Some(Ok(_)) = self.bytes.next().await {} }).await;
                return None;
            }
            if let Err(error) = self.read_on().await {
                return Some((Err(error), None));
            }
        }
    }

    async fn read_on(&mut self) -> Result<(), UpstreamError> {
        let broken = || UpstreamError::Broken("the answer ended before it was complete".to_owned());
        let decoder = self.decoder.as_mut().ok_or_else(broken)?;
        let events = match self.bytes.next().await {
            Some(piece) => {
                decoder.push(&piece?).map_err(|long| UpstreamError::Malformed(long.to_string()))?
            }
            None => self.decoder.take().and_then(sse::Decoder::finish).into_iter().collect(),
        };
        for event in &events {
            self.ready.extend(self.translator.push(event));
        }
        Ok(())
    }
}

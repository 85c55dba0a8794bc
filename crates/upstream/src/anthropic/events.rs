//! The events of a streamed message.

use breezeway_registry::UpstreamError;
use breezeway_wire::{
    Frame,
    anthropic::upstream::EventTranslator,
    sse::{self, MAX_FRAME_BYTES},
};

use crate::translated::Translation;

pub(super) struct Events {
    /// Gone once the bytes have ended.
    decoder: Option<sse::Decoder>,
    translator: EventTranslator,
}

impl Events {
    pub(super) fn new(translator: EventTranslator) -> Self {
        Self { decoder: Some(sse::Decoder::new(MAX_FRAME_BYTES)), translator }
    }

    fn translate(&mut self, events: impl IntoIterator<Item = Frame>) -> Vec<Frame> {
        events.into_iter().flat_map(|event| self.translator.push(&event)).collect()
    }
}

impl Translation for Events {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, UpstreamError> {
        let Some(decoder) = &mut self.decoder else { return Ok(Vec::new()) };
        let events = decoder.push(bytes).map_err(|long| UpstreamError::Malformed(long.to_string()))?;
        Ok(self.translate(events))
    }

    fn finish(&mut self) -> Result<Vec<Frame>, UpstreamError> {
        let last = self.decoder.take().and_then(sse::Decoder::finish);
        Ok(self.translate(last))
    }

    fn is_done(&self) -> bool {
        self.translator.is_done()
    }
}

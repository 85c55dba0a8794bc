#![no_main]

mod cut;

use breezeway_wire::{
    Frame, Translate,
    anthropic::{self, upstream::EventTranslator},
    ndjson,
    ollama::{
        self,
        client::{Form, LineTranslator, Told},
    },
    openai::CompletionTranslator,
    responses::{Envelope, ResponseTranslator},
    sse,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Map;

/// Every translator of what upstreams stream into what clients read.
fn translators() -> Vec<Box<dyn Translate>> {
    let told = || Told { model: "m".into(), created_at: "2027-01-15T08:00:00Z".into() };
    vec![
        Box::new(anthropic::StreamTranslator::new("msg_1", "m")),
        Box::new(CompletionTranslator::new(None)),
        Box::new(ResponseTranslator::new(Envelope::new("resp_1", 1, &Map::new()))),
        Box::new(LineTranslator::new(Form::Chat, told(), || 1)),
        Box::new(LineTranslator::new(Form::Generate, told(), || 1)),
    ]
}

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Frame> {
    let mut decoder = sse::Decoder::new(sse::MAX_FRAME_BYTES);
    let mut frames: Vec<Frame> = pieces.flat_map(|piece| decoder.push(piece).unwrap_or_default()).collect();
    frames.extend(decoder.finish());
    frames
}

/// Streams of OpenAI's dialect in all others.
fn told(frames: &[Frame]) -> Vec<Vec<Frame>> {
    let told = translators().into_iter().map(|mut translator| {
        let mut told: Vec<Frame> = frames.iter().flat_map(|frame| translator.push(frame)).collect();
        told.extend(translator.finish());
        told
    });
    told.collect()
}

/// Streams of Anthropic's in OpenAI's dialect.
fn of_anthropic(frames: &[Frame]) -> Vec<Frame> {
    let mut translator = EventTranslator::new(1, true);
    let mut told: Vec<Frame> = frames.iter().flat_map(|frame| translator.push(frame)).collect();
    told.extend(translator.finish());
    told
}

/// Streams of Ollama's in OpenAI's dialect.
fn of_ollama<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Frame> {
    let stamp = ollama::Stamp { id: "x".into(), created: 1, model: "m".into() };
    let mut translator = ollama::StreamTranslator::new(stamp);
    let mut decoder = ndjson::Decoder::new(ndjson::MAX_FRAME_BYTES);
    let mut lines: Vec<_> = pieces.flat_map(|piece| decoder.push(piece).unwrap_or_default()).collect();
    lines.extend(decoder.finish());
    let values = lines.iter().filter_map(|line| line.json().ok());
    let mut told: Vec<Frame> = values.flat_map(|line| translator.push(&line)).collect();
    told.extend(translator.finish());
    told
}

fn ends_once(frames: &[Frame]) -> bool {
    frames.iter().filter(|frame| frame.is_done()).count() == 1 && frames.last().is_some_and(Frame::is_done)
}

fuzz_target!(|input: &[u8]| {
    let (bytes, pieces) = cut::cut(input);
    let pieces: Vec<&[u8]> = pieces.collect();
    let whole = frames(std::iter::once(bytes));
    let cut = frames(pieces.iter().copied());

    assert_eq!(told(&cut), told(&whole));
    assert_eq!(of_anthropic(&cut), of_anthropic(&whole));
    assert!(ends_once(&of_anthropic(&whole)));
    let lines = of_ollama(std::iter::once(bytes));
    assert_eq!(of_ollama(pieces.into_iter()), lines);
    assert!(ends_once(&lines));
});

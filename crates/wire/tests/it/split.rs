//! Where the network cuts a stream makes no difference to what comes of it, in any dialect.

use std::fs;

use breezeway_wire::{Frame, Translate, anthropic, ndjson, ollama, openai, responses, sse};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{envelope, stamp, text, told};

/// The bytes of every fixture that is a stream of OpenAI's dialect, with a comment in the middle.
fn streams() -> Vec<Vec<u8>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/wire");
    let mut streams = Vec::new();
    for folder in ["anthropic/stream", "ollama_client/stream", "responses/stream"] {
        for entry in fs::read_dir(format!("{root}/{folder}")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let chunks: Vec<Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
                streams
                    .push(chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n: awake\n\n")).collect());
            }
        }
    }
    streams.iter().map(|stream: &String| format!("{stream}data: [DONE]\n\n").into_bytes()).collect()
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn frames(bytes: &[u8], cuts: &[usize]) -> Vec<Frame> {
    let mut decoder = sse::Decoder::new(sse::MAX_FRAME_BYTES);
    let mut frames: Vec<Frame> =
        pieces(bytes, cuts).into_iter().flat_map(|piece| decoder.push(piece).unwrap()).collect();
    frames.extend(decoder.finish());
    frames
}

/// What comes of a stream in all dialects that clients speak.
fn told_in_all(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let translators: [Box<dyn Translate>; 5] = [
        Box::new(anthropic::StreamTranslator::new("msg_1", "m")),
        Box::new(openai::CompletionTranslator::new(None)),
        Box::new(responses::ResponseTranslator::new(envelope())),
        Box::new(ollama::client::LineTranslator::new(ollama::client::Form::Chat, told(), || 1)),
        Box::new(ollama::client::LineTranslator::new(ollama::client::Form::Generate, told(), || 1)),
    ];
    let frames = frames(bytes, cuts);
    let told = translators.into_iter().map(|mut translator| {
        let mut told: Vec<Frame> = frames.iter().flat_map(|frame| translator.push(frame)).collect();
        told.extend(translator.finish());
        told.iter().flat_map(|frame| frame.raw.to_vec()).collect()
    });
    told.collect()
}

/// The bytes of every fixture that is a stream of Anthropic's.
fn events() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/wire/anthropic_upstream/stream");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path| serde_json::from_slice::<Vec<Value>>(&fs::read(path).unwrap()).unwrap();
    let written = |event: &Value| format!("event: {}\r\ndata: {event}\n\n", event["type"].as_str().unwrap());
    let is_json = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "json");
    paths
        .filter(is_json)
        .map(|path| read(path).iter().map(written).collect::<String>().into_bytes())
        .collect()
}

/// What comes of a stream of Anthropic's in OpenAI's dialect.
fn told_by_anthropic(bytes: &[u8], cuts: &[usize]) -> String {
    let mut translator = anthropic::upstream::EventTranslator::new(1, true);
    let mut told: Vec<Frame> = frames(bytes, cuts).iter().flat_map(|frame| translator.push(frame)).collect();
    told.extend(translator.finish());
    text(&told)
}

fn lines(bytes: &[u8], cuts: &[usize]) -> String {
    let mut decoder = ndjson::Decoder::new(ndjson::MAX_FRAME_BYTES);
    let mut translator = ollama::StreamTranslator::new(stamp());
    let mut told = Vec::new();
    for piece in pieces(bytes, cuts) {
        for line in decoder.push(piece).unwrap().iter().filter(|line| !line.is_blank()) {
            told.extend(translator.push(&line.json().unwrap()));
        }
    }
    told.extend(translator.finish());
    text(&told)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn events_are_the_same_wherever_they_are_cut(cuts in prop::collection::vec(any::<usize>(), 0..24)) {
        for stream in streams() {
            prop_assert_eq!(told_in_all(&stream, &cuts), told_in_all(&stream, &[]));
        }
    }

    #[test]
    fn anthropics_events_are_the_same_wherever_they_are_cut(
        cuts in prop::collection::vec(any::<usize>(), 0..24),
    ) {
        for stream in events() {
            prop_assert_eq!(told_by_anthropic(&stream, &cuts), told_by_anthropic(&stream, &[]));
        }
    }

    #[test]
    fn lines_are_the_same_wherever_they_are_cut(cuts in prop::collection::vec(any::<usize>(), 0..24)) {
        let lines_of = [
            json!({"message": {"role": "assistant", "content": "Hé"}, "done": false}),
            json!({"message": {"content": "llo", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}}),
            json!({"done": true, "done_reason": "stop", "eval_count": 2}),
        ];
        let stream: String = lines_of.iter().map(|line| format!("{line}\r\n\n")).collect();

        prop_assert_eq!(lines(stream.as_bytes(), &cuts), lines(stream.as_bytes(), &[]));
    }

    #[test]
    fn any_bytes_are_told_in_every_dialect(bytes in prop::collection::vec(any::<u8>(), 0..400), cuts in prop::collection::vec(any::<usize>(), 0..6)) {
        prop_assert_eq!(told_in_all(&bytes, &cuts).len(), 5);
    }
}

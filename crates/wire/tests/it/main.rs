//! Conversions as data: each fixture is what comes in, its snapshot beside it what goes out.

mod split;

use std::fs;

use breezeway_wire::{ChatRequest, Frame, Translate, anthropic, ollama, openai, responses};
use serde_json::{Map, Value};

/// Convert every fixture that matches `pattern` and compare with the snapshot in its folder.
fn check(pattern: &str, convert: fn(Value) -> String) {
    insta::glob!("../../../../fixtures/wire", pattern, |path| {
        let given = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(path.parent().unwrap());
        settings.set_prepend_module_to_snapshot(false);

        settings.bind(|| insta::assert_snapshot!("out", convert(given)));
    });
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn text(frames: &[Frame]) -> String {
    frames.iter().map(|frame| String::from_utf8(frame.raw.to_vec()).unwrap()).collect()
}

fn stamp() -> ollama::Stamp {
    ollama::Stamp {
        id: "llama3.2:latest-0f8fad5b".into(),
        created: 1_700_000_000,
        model: "llama3.2:latest".into(),
    }
}

#[test]
fn chat_requests_are_put_into_ollamas_dialect() {
    check("ollama/request/*.json", |request| {
        pretty(&ollama::chat_request(ChatRequest::try_from(request).unwrap()).into())
    });
}

#[test]
fn answers_of_ollama_are_put_into_openais_dialect() {
    check("ollama/answer/*.json", |answer| pretty(&ollama::completion(&object(answer), &stamp()).unwrap()));
}

#[test]
fn streams_of_ollama_are_put_into_openais_dialect() {
    check("ollama/stream/*.json", |lines| {
        let mut translator = ollama::StreamTranslator::new(stamp());
        let lines = lines.as_array().unwrap();
        let mut frames: Vec<Frame> = lines.iter().flat_map(|line| translator.push(line)).collect();
        frames.extend(translator.finish());
        text(&frames)
    });
}

#[test]
fn messages_requests_are_put_into_openais_dialect() {
    check("anthropic/request/*.json", |request| {
        pretty(&anthropic::chat_request(object(request)).unwrap().into_map().into())
    });
}

#[test]
fn answers_are_put_into_anthropics_dialect() {
    check("anthropic/answer/*.json", |answer| {
        pretty(&anthropic::message(&object(answer), "m", "msg_0f8fad5b").unwrap())
    });
}

#[test]
fn streams_are_put_into_anthropics_dialect() {
    check("anthropic/stream/*.json", |chunks| {
        let mut translator = anthropic::StreamTranslator::new("msg_0f8fad5b", "m");
        let chunks = chunks.as_array().unwrap().iter().map(Frame::json).chain([Frame::done()]);
        text(&chunks.flat_map(|frame| translator.push(&frame)).collect::<Vec<_>>())
    });
}

#[test]
fn whole_answers_are_told_as_streams() {
    check("openai/whole/*.json", |answer| text(&openai::frames_of(object(answer))));
}

fn told() -> ollama::client::Told {
    ollama::client::Told { model: "m".into(), created_at: "2027-01-15T08:00:00Z".into() }
}

#[test]
fn requests_of_ollamas_clients_are_put_into_openais_dialect() {
    check("ollama_client/chat/*.json", |request| {
        pretty(&ollama::client::chat_of_chat(object(request)).unwrap().into_map().into())
    });
    check("ollama_client/generate/*.json", |request| {
        pretty(&ollama::client::chat_of_generate(object(request)).unwrap().into_map().into())
    });
}

#[test]
fn answers_are_put_into_ollamas_dialect() {
    check("ollama_client/answer/*.json", |answer| {
        let forms = [ollama::client::Form::Chat, ollama::client::Form::Generate];
        let answers =
            forms.map(|form| ollama::client::answer(&object(answer.clone()), form, &told(), 1_000).unwrap());
        pretty(&answers.to_vec().into())
    });
}

#[test]
fn streams_are_put_into_ollamas_dialect() {
    check("ollama_client/stream/*.json", |chunks| {
        let mut translator =
            ollama::client::LineTranslator::new(ollama::client::Form::Chat, told(), || 1_000);
        let chunks = chunks.as_array().unwrap().iter().map(Frame::json).chain([Frame::done()]);
        text(&chunks.flat_map(|frame| translator.push(&frame)).collect::<Vec<_>>())
    });
}

fn envelope() -> responses::Envelope {
    let request = serde_json::json!({"model": "m", "temperature": 0.5, "metadata": {"a": "b"}});
    responses::Envelope::new("resp_0f8fad5b", 1_700_000_000, &object(request))
}

#[test]
fn requests_for_responses_are_put_into_chats() {
    check("responses/request/*.json", |request| {
        pretty(&responses::chat_request(object(request), &[]).unwrap().into_map().into())
    });
}

#[test]
fn answers_are_put_into_responses() {
    check("responses/answer/*.json", |answer| {
        pretty(&responses::response(&object(answer), &envelope()).unwrap())
    });
}

#[test]
fn streams_are_put_into_the_events_of_a_response() {
    check("responses/stream/*.json", |chunks| {
        let mut translator = responses::ResponseTranslator::new(envelope());
        let chunks = chunks.as_array().unwrap().iter().map(Frame::json).chain([Frame::done()]);
        text(&chunks.flat_map(|frame| translator.push(&frame)).collect::<Vec<_>>())
    });
}

#[test]
fn chats_are_put_into_anthropics_dialect() {
    check("anthropic_upstream/request/*.json", |request| {
        let chat = ChatRequest::try_from(request).unwrap();
        pretty(&anthropic::upstream::messages_request(chat, 8192).unwrap().into())
    });
}

#[test]
fn messages_are_put_into_openais_dialect() {
    check("anthropic_upstream/answer/*.json", |answer| {
        pretty(&anthropic::upstream::completion(&object(answer), 1_700_000_000).unwrap())
    });
}

#[test]
fn events_of_messages_are_put_into_openais_dialect() {
    check("anthropic_upstream/stream/*.json", |events| {
        let mut translator = anthropic::upstream::EventTranslator::new(1_700_000_000, true);
        let events = events.as_array().unwrap().iter().map(Frame::json);
        let mut frames: Vec<Frame> = events.flat_map(|event| translator.push(&event)).collect();
        frames.extend(translator.finish());
        text(&frames)
    });
}

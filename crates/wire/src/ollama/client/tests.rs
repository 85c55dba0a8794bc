use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{Frame, Translate, testing};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn chat(request: Value) -> Value {
    chat_of_chat(object(request)).unwrap().into_map().into()
}

fn told() -> Told {
    Told { model: "m".into(), created_at: "2027-01-15T08:00:00Z".into() }
}

fn lines(form: Form, frames: &[Frame]) -> Vec<Value> {
    let mut translator = LineTranslator::new(form, told(), || 5);
    let mut lines: Vec<Frame> = frames.iter().flat_map(|frame| translator.push(frame)).collect();
    lines.extend(translator.finish());
    lines.iter().map(|line| serde_json::from_slice(&line.raw).unwrap()).collect()
}

#[test]
fn it_streams_unless_told_not_to() {
    assert_eq!(chat(json!({"model": "m"}))["stream"], true);
    assert_eq!(chat(json!({"stream": false}))["stream"], false);
    assert_eq!(chat(json!({"stream": false}))["stream_options"], Value::Null);
}

#[test]
fn options_formats_and_thinking_are_translated() {
    let body = chat(json!({
        "options": {"temperature": 0.5, "num_predict": 7, "num_ctx": 9, "stop": ["a"]},
        "keep_alive": "5m", "think": false, "format": {"type": "object"}, "x_unknown": 1.50,
    }));

    assert_eq!((&body["temperature"], &body["max_tokens"]), (&json!(0.5), &json!(7)));
    assert_eq!(body["stop"], json!(["a"]));
    assert_eq!(body["reasoning_effort"], "none");
    assert_eq!(body["response_format"]["json_schema"]["schema"], json!({"type": "object"}));
    assert_eq!(body["x_unknown"], json!(1.50));
    for gone in ["options", "keep_alive", "think", "format", "num_ctx"] {
        assert_eq!(body[gone], Value::Null, "{gone}");
    }
    assert_eq!(chat(json!({"format": "json"}))["response_format"], json!({"type": "json_object"}));
    assert_eq!(chat(json!({"think": "high"}))["reasoning_effort"], "high");
    assert_eq!(chat(json!({"think": true}))["reasoning_effort"], Value::Null);
    assert_eq!(chat(json!({"options": {"num_predict": -1}}))["max_tokens"], Value::Null);
}

#[test]
fn results_find_the_calls_they_answer() {
    let call = |name: &str| json!({"function": {"name": name, "arguments": {"a": 1}}});
    let body = chat(json!({"messages": [
        {"role": "assistant", "content": "", "tool_calls": [call("f"), call("g")]},
        {"role": "tool", "content": "of g", "tool_name": "g"},
        {"role": "tool", "content": "of f"},
    ]}));

    let messages = &body["messages"];
    let calls = &messages[0]["tool_calls"];
    assert_eq!(calls[0]["function"]["arguments"], "{\"a\":1}");
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    assert_eq!(messages[1]["tool_call_id"], calls[1]["id"]);
    assert_eq!(messages[2]["tool_call_id"], calls[0]["id"]);
}

#[test]
fn a_prompt_with_pictures_becomes_a_message() {
    let request = json!({"model": "m", "prompt": "What?", "system": "Brief.", "images": ["/9j/AA", "iVBOR"]});

    let body = Value::from(chat_of_generate(object(request)).unwrap().into_map());

    assert_eq!(body["messages"][0], json!({"role": "system", "content": "Brief."}));
    let parts = &body["messages"][1]["content"];
    assert_eq!(parts[0], json!({"type": "text", "text": "What?"}));
    assert_eq!(parts[1]["image_url"]["url"], "data:image/jpeg;base64,/9j/AA");
    assert_eq!(parts[2]["image_url"]["url"], "data:image/png;base64,iVBOR");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    assert!(chat_of_chat(object(json!({"messages": 1}))).is_err());
    assert!(chat_of_generate(object(json!({"prompt": [1]}))).is_err());
    assert!(chat_of_generate(object(json!({"prompt": "a", "suffix": "b"}))).is_err());
    assert!(embed_request(object(json!({"input": [1]}))).is_err());
}

#[test]
fn a_stream_that_fails_says_so_once() {
    let mut translator = LineTranslator::new(Form::Chat, told(), || 5);

    let failed = translator.fail("gone");

    assert_eq!(&failed[0].raw[..], b"{\"error\":\"gone\"}\n");
    assert_eq!(translator.finish(), []);
    assert_eq!(translator.push(&Frame::json(&json!({"choices": [{"delta": {"content": "x"}}]}))), []);
}

#[test]
fn vectors_come_in_order_however_they_are_written() {
    let entry = |index: u64, embedding: Value| json!({"index": index, "embedding": embedding});
    let answer = object(json!({
        "data": [entry(1, json!("AACAPwAAAL8=")), entry(0, json!([0.25]))],
        "usage": {"prompt_tokens": 3},
    }));

    let told = embed_answer(answer, "m", false).unwrap();

    assert_eq!(told["embeddings"], json!([[0.25], [1.0, -0.5]]));
    assert_eq!(told["prompt_eval_count"], 3);
    assert_eq!(
        embed_answer(object(json!({"data": [entry(0, json!([1]))]})), "m", true).unwrap(),
        json!({"embedding": [1]})
    );
    assert_eq!(embed_answer(object(json!({"data": [entry(0, json!("AAA"))]})), "m", true), None);
    assert_eq!(embed_answer(object(json!({"data": [3]})), "m", false), None);
    assert_eq!(embed_answer(Map::new(), "m", false), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_request_is_put_into_openais_dialect(request in testing::objects_with_list("messages")) {
        let count = request["messages"].as_array().map(Vec::len);

        let body = chat_of_chat(request).unwrap();

        prop_assert!(body.as_map()["stream"].is_boolean());
        prop_assert_eq!(Some(body.messages().len()), count);
    }

    #[test]
    fn unknown_fields_survive(request in testing::objects(), value in testing::values()) {
        let mut request = request;
        request.insert("x_unknown".into(), value.clone());
        request.insert("messages".into(), json!([{"role": "user", "content": "hi", "x_unknown": value}]));

        let body = chat_of_chat(request).unwrap();

        prop_assert_eq!(&body.as_map()["x_unknown"], &value);
        prop_assert_eq!(&body.messages()[0]["x_unknown"], &value);
    }

    #[test]
    fn any_stream_ends_in_one_last_line(chunks in prop::collection::vec(testing::objects_with_list("choices"), 0..6)) {
        let frames: Vec<Frame> = chunks.into_iter().map(|chunk| Frame::json(&chunk.into())).collect();

        let lines = lines(Form::Chat, &frames);

        let ends = lines.iter().filter(|line| line["done"] == true || !line["error"].is_null()).count();
        prop_assert_eq!(ends, 1);
        let last = lines.last().unwrap();
        prop_assert!(last["done"] == true || !last["error"].is_null());
    }

    #[test]
    fn any_answer_is_told_or_refused(completion in testing::objects_with_list("choices")) {
        let _ = answer(&completion, Form::Chat, &told(), 1);
        let _ = answer(&completion, Form::Generate, &told(), 1);
        let _ = embed_answer(completion, "m", false);
    }
}

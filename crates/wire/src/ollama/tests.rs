use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{ChatRequest, Frame, testing};

fn stamp() -> Stamp {
    Stamp { id: "chatcmpl-1".into(), created: 7, model: "m".into() }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("`{other}` is no object"),
    }
}

fn body(request: Value) -> Value {
    chat_request(ChatRequest::try_from(request).unwrap()).into()
}

fn check(request: Value, field: &str, expected: Value) {
    assert_eq!(body(request.clone())[field], expected, "{request}");
}

#[test]
fn parameters_arrive_where_ollama_reads_them() {
    check(
        json!({"temperature": 0.5, "seed": 1, "top_k": 3}),
        "options",
        json!({"temperature": 0.5, "seed": 1, "top_k": 3}),
    );
    check(json!({"max_tokens": 5}), "options", json!({"num_predict": 5}));
    check(json!({"max_tokens": 5, "max_completion_tokens": 6}), "options", json!({"num_predict": 6}));
    check(json!({"max_tokens": 5, "max_completion_tokens": null}), "options", json!({"num_predict": 5}));
    check(json!({"max_tokens": 5, "options": {"num_predict": 9}}), "options", json!({"num_predict": 9}));
    check(json!({"stop": "a"}), "options", json!({"stop": ["a"]}));
    check(json!({"stop": ["a", "b"]}), "options", json!({"stop": ["a", "b"]}));
    check(json!({"stop": null, "temperature": null}), "options", json!(null));
    check(json!({"options": {"num_ctx": 99}}), "options", json!({"num_ctx": 99}));
    check(json!({"options": "nonsense"}), "options", json!(null));
}

#[test]
fn formats_and_effort_are_translated() {
    let schema = json!({"type": "object"});

    check(json!({"response_format": {"type": "json_object"}}), "format", json!("json"));
    check(json!({"response_format": {"type": "text"}}), "format", json!(null));
    check(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}),
        "format",
        schema.clone(),
    );
    check(json!({"format": "json", "response_format": {"type": "text"}}), "format", json!("json"));
    check(json!({"reasoning_effort": "none"}), "think", json!(false));
    check(json!({"reasoning_effort": "minimal"}), "think", json!("low"));
    check(json!({"reasoning_effort": "medium"}), "think", json!("medium"));
    check(json!({"reasoning": {"effort": "high"}}), "think", json!("high"));
    check(json!({"reasoning": [1]}), "think", json!(null));
    check(json!({"think": true, "reasoning_effort": "low"}), "think", json!(true));
}

#[test]
fn stream_is_always_said() {
    check(json!({}), "stream", json!(false));
    check(json!({"stream": null}), "stream", json!(false));
    check(json!({"stream": true}), "stream", json!(true));
}

#[test]
fn fields_only_ollama_knows_are_passed_on() {
    check(json!({"keep_alive": "5m"}), "keep_alive", json!("5m"));
    check(json!({"x_new": [1]}), "x_new", json!([1]));
    check(json!({"user": "u", "n": 1}), "user", json!(null));
}

#[test]
fn tools_the_caller_forbids_are_left_out() {
    check(json!({"tools": [1], "tool_choice": "none"}), "tools", json!(null));
    check(json!({"tools": [1], "tool_choice": "auto"}), "tools", json!([1]));
}

#[test]
fn messages_that_are_none_are_left_to_ollama() {
    check(json!({"messages": "hi"}), "messages", json!("hi"));
    check(json!({"messages": ["hi", 5]}), "messages", json!(["hi", 5]));
}

#[test]
fn a_last_line_that_still_speaks_is_heard() {
    let mut translator = StreamTranslator::new(stamp());

    let frames = translator.push(&json!({"message": {"content": "all at once"}, "done": true}));

    let said: Vec<_> =
        frames.iter().filter_map(Frame::chunk).map(|chunk| chunk["choices"][0].clone()).collect();
    assert_eq!(said[0]["delta"], json!({"role": "assistant", "content": "all at once"}));
    assert_eq!(said[1]["delta"], json!({}));
    assert_eq!(said[1]["finish_reason"], "stop");
    assert!(frames[2].is_done());
}

#[test]
fn nothing_follows_an_error_line() {
    let mut translator = StreamTranslator::new(stamp());
    translator.push(&json!({"message": {"content": "a"}}));

    let frames = translator.push(&json!({"error": "out of memory"}));

    assert_eq!(&frames[0].raw[..], b"data: {\"error\":{\"message\":\"out of memory\"}}\n\n");
    assert!(frames[1].is_done());
    assert!(translator.is_done());
    assert_eq!(translator.push(&json!({"message": {"content": "b"}})), []);
    assert_eq!(translator.finish(), []);
}

#[test]
fn lines_that_just_stop_are_an_error() {
    let mut translator = StreamTranslator::new(stamp());
    translator.push(&json!({"message": {"content": "a"}, "done": false}));

    let frames = translator.finish();

    assert!(frames[0].chunk().unwrap().contains_key("error"));
    assert!(frames[1].is_done());
}

#[test]
fn an_answer_without_a_message_is_refused() {
    assert_eq!(completion(&object(json!({"done": true})), &stamp()), Err(Malformed("message")));
}

#[test]
fn vectors_are_written_as_asked() {
    let (body, encoding) = embed_request(object(
        json!({"model": "m", "input": ["a"], "encoding_format": "base64", "user": "u"}),
    ));
    let answer = || object(json!({"embeddings": [[1.0, -0.5]], "prompt_eval_count": 3}));

    assert_eq!(Value::Object(body), json!({"model": "m", "input": ["a"]}));
    assert_eq!(encoding, Encoding::Base64);
    assert_eq!(embeddings(answer(), "m", encoding).unwrap()["data"][0]["embedding"], "AACAPwAAAL8=");
    assert_eq!(
        embeddings(answer(), "m", Encoding::Float).unwrap(),
        json!({
            "object": "list",
            "data": [{"object": "embedding", "embedding": [1.0, -0.5], "index": 0}],
            "model": "m",
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        })
    );
}

#[test]
fn an_answer_without_vectors_is_refused() {
    for answer in
        [json!({}), json!({"embeddings": 1}), json!({"embeddings": [1]}), json!({"embeddings": [["a"]]})]
    {
        assert_eq!(embeddings(object(answer), "m", Encoding::Base64), Err(Malformed("embeddings")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_request_can_be_put_into_the_dialect(request in testing::objects_with_list("messages")) {
        let count = request["messages"].as_array().map(Vec::len);

        let body = chat_request(ChatRequest::new(request));

        prop_assert!(body["stream"].is_boolean());
        prop_assert_eq!(body["messages"].as_array().map(Vec::len), count);
    }

    #[test]
    fn unknown_fields_survive(request in testing::objects(), value in testing::values()) {
        let mut request = request;
        request.insert("x_unknown".into(), value.clone());
        request.insert("messages".into(), json!([{"role": "user", "content": "hi", "x_unknown": value}]));

        let body = chat_request(ChatRequest::new(request));

        prop_assert_eq!(&body["x_unknown"], &value);
        prop_assert_eq!(&body["messages"][0]["x_unknown"], &value);
    }

    #[test]
    fn any_answer_is_read_or_refused(mut answer in testing::objects(), message in testing::objects()) {
        let _ = completion(&answer, &stamp());
        let _ = embeddings(answer.clone(), "m", Encoding::Base64);
        answer.insert("message".into(), message.into());

        let completion = completion(&answer, &stamp()).unwrap();

        prop_assert_eq!(&completion["object"], "chat.completion");
    }

    #[test]
    fn any_stream_ends_in_one_end_mark(lines in prop::collection::vec(testing::values(), 0..8)) {
        let mut translator = StreamTranslator::new(stamp());

        let mut frames: Vec<Frame> = lines.iter().flat_map(|line| translator.push(line)).collect();
        frames.extend(translator.finish());

        prop_assert!(frames.last().is_some_and(Frame::is_done));
        prop_assert_eq!(frames.iter().filter(|frame| frame.is_done()).count(), 1);
    }
}

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{Frame, Translate, testing};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("`{other}` is no object"),
    }
}

/// A request that has all it needs, with `more` in it.
fn request(more: Value) -> Map<String, Value> {
    let mut request = object(json!({"model": "m", "max_tokens": 5, "messages": []}));
    request.extend(object(more));
    request
}

fn check(more: Value, field: &str, expected: Value) {
    let body: Value = chat_request(request(more.clone())).unwrap().into_map().into();
    assert_eq!(body[field], expected, "{more}");
}

fn refused(more: Value, expected: InvalidMessages) {
    assert_eq!(chat_request(request(more.clone())), Err(expected), "{more}");
}

/// Translate chunks that each have one choice with the given delta and reason, then `[DONE]`.
fn stream(deltas: &[(Value, Option<&str>)]) -> Vec<Value> {
    let mut translator = StreamTranslator::new("msg_1", "m");
    let chunks = deltas.iter().map(|(delta, reason)| {
        Frame::json(&json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}))
    });
    let frames: Vec<Frame> =
        chunks.chain([Frame::done()]).flat_map(|frame| translator.push(&frame)).collect();
    frames.iter().map(|frame| frame.chunk().unwrap().into()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[test]
fn a_request_may_leave_the_limit_to_the_upstream() {
    let request = object(json!({"model": "m", "messages": []}));

    let chat = chat_request(request).unwrap();

    assert_eq!(chat.into_map(), object(json!({"model": "m", "messages": []})));
}

#[test]
fn a_request_names_what_it_lacks() {
    refused(json!({"model": null}), InvalidMessages::Missing("model"));
    refused(json!({"messages": null}), InvalidMessages::Missing("messages"));
    refused(json!({"model": 5}), InvalidMessages::Wrong("model"));
    refused(json!({"messages": "hi"}), InvalidMessages::Wrong("messages"));
    refused(json!({"max_tokens": "many"}), InvalidMessages::Wrong("max_tokens"));
    assert_eq!(InvalidMessages::Missing("model").to_string(), "field `model` is required");
}

#[test]
fn who_asks_is_told_under_the_other_name() {
    check(json!({"metadata": {"user_id": "u1", "x": 1}}), "user", json!("u1"));
    check(json!({"metadata": {"user_id": 7}}), "user", Value::Null);
}

#[test]
fn a_system_prompt_is_the_first_message() {
    let said = json!([{"role": "system", "content": "Be brief."}]);

    check(json!({"system": "Be brief."}), "messages", said.clone());
    check(json!({"system": [{"type": "text", "text": "Be brief."}]}), "messages", said);
    check(json!({"system": ""}), "messages", json!([]));
}

#[test]
fn text_stays_text_as_long_as_it_is_alone() {
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let image = json!({"type": "image", "source": {"type": "url", "url": "https://a/b.png"}});
    let part = json!({"type": "image_url", "image_url": {"url": "https://a/b.png"}});

    check(user(json!("hi")), "messages", user(json!("hi"))["messages"].clone());
    check(user(json!([{"type": "text", "text": "hi"}])), "messages", user(json!("hi"))["messages"].clone());
    check(
        user(json!([image, {"type": "text", "text": "hi"}])),
        "messages",
        user(json!([part, {"type": "text", "text": "hi"}]))["messages"].clone(),
    );
}

#[test]
fn a_choice_of_tools_is_translated() {
    let with = |choice: Value| json!({"tools": [{"name": "f", "input_schema": {}}], "tool_choice": choice});

    check(with(json!({"type": "auto"})), "tool_choice", json!("auto"));
    check(with(json!({"type": "any"})), "tool_choice", json!("required"));
    check(with(json!({"type": "none"})), "tool_choice", json!("none"));
    check(
        with(json!({"type": "tool", "name": "f"})),
        "tool_choice",
        json!({"type": "function", "function": {"name": "f"}}),
    );
    check(
        with(json!({"type": "auto", "disable_parallel_tool_use": true})),
        "parallel_tool_calls",
        json!(false),
    );
    check(json!({"tool_choice": {"type": "auto"}}), "tool_choice", json!(null));
}

#[test]
fn tools_that_the_provider_runs_are_left_out() {
    let tools = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "any"}});

    check(tools.clone(), "tools", json!(null));
    check(tools, "tool_choice", json!(null));
}

#[test]
fn usage_is_asked_for_with_a_stream_only() {
    check(json!({"stream": true}), "stream_options", json!({"include_usage": true}));
    check(json!({"stream": false}), "stream_options", json!(null));
    check(json!({"stream": false}), "stream", json!(false));
    check(json!({}), "stream", json!(null));
}

#[test]
fn an_answer_ends_for_the_reason_clients_know() {
    let check = |finish: Value, more: Value, expected: (&str, Value)| {
        let mut message = object(json!({"role": "assistant", "content": "a"}));
        message.extend(object(more));
        let choice = json!({"index": 0, "message": message, "finish_reason": finish, "stop_reason": message.get("at")});
        let answer = super::message(&object(json!({"choices": [choice]})), "m", "msg_1").unwrap();
        assert_eq!(answer["stop_reason"], expected.0, "{choice}");
        assert_eq!(answer["stop_sequence"], expected.1, "{choice}");
    };
    let call = json!({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]});

    check(json!("stop"), json!({}), ("end_turn", json!(null)));
    check(json!("length"), json!({}), ("max_tokens", json!(null)));
    check(json!("tool_calls"), call.clone(), ("tool_use", json!(null)));
    check(json!("stop"), call, ("tool_use", json!(null)));
    check(json!("content_filter"), json!({}), ("refusal", json!(null)));
    check(json!("stop"), json!({"refusal": "I will not."}), ("refusal", json!(null)));
    check(json!("stop"), json!({"at": "###"}), ("stop_sequence", json!("###")));
    check(json!(null), json!({}), ("end_turn", json!(null)));
}

#[test]
fn an_answer_that_is_none_is_refused() {
    for answer in
        [json!({}), json!({"choices": []}), json!({"choices": [{}]}), json!({"error": {"message": "no"}})]
    {
        assert_eq!(message(&object(answer), "m", "msg_1"), Err(NotACompletion));
    }
}

#[test]
fn a_stream_has_the_events_in_order_and_no_empty_delta() {
    let events = stream(&[
        (json!({"role": "assistant", "content": ""}), None),
        (json!({"content": "one "}), None),
        (json!({"content": "two"}), None),
        (json!({}), Some("stop")),
    ]);

    assert_eq!(
        kinds(&events),
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
}

#[test]
fn calls_without_numbers_are_told_apart() {
    let call = |id: Value, name: Value, arguments: &str| {
        (json!({"tool_calls": [{"id": id, "function": {"name": name, "arguments": arguments}}]}), None)
    };

    let events = stream(&[
        call(json!("a"), json!("f"), "{\"x\":"),
        call(json!("a"), json!(null), "1}"),
        call(json!("b"), json!("f"), "{}"),
        call(json!(null), json!("g"), "{"),
        call(json!(null), json!(null), "}"),
    ]);

    let started: Vec<_> = events.iter().filter(|event| event["type"] == "content_block_start").collect();
    let pieces: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "content_block_delta")
        .map(|event| (event["index"].as_u64().unwrap(), event["delta"]["partial_json"].as_str().unwrap()))
        .collect();
    assert_eq!(started[2]["content_block"]["id"], "toolu_msg1_2");
    assert_eq!(pieces, [(0, "{\"x\":"), (0, "1}"), (1, "{}"), (2, "{"), (2, "}")]);
}

#[test]
fn a_late_piece_finds_its_block() {
    let call = |index: u64, id: Option<&str>, arguments: &str| {
        let function = json!({"name": id, "arguments": arguments});
        (json!({"tool_calls": [{"index": index, "id": id, "function": function}]}), None)
    };

    let events =
        stream(&[call(0, Some("a"), "{"), call(1, Some("b"), "{"), call(0, None, "}"), call(1, None, "}")]);

    let pieces: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "content_block_delta")
        .map(|event| (event["index"].as_u64().unwrap(), event["delta"]["partial_json"].as_str().unwrap()))
        .collect();
    assert_eq!(pieces, [(0, "{"), (1, "{"), (0, "}"), (1, "}")]);
}

#[test]
fn an_error_in_the_stream_is_the_last_event() {
    let mut translator = StreamTranslator::new("msg_1", "m");
    translator.push(&Frame::json(&json!({"choices": [{"delta": {"content": "a"}}]})));

    let events = translator.push(&crate::openai::error_frame("out of memory"));

    assert_eq!(
        &events[0].raw[..],
        b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"out of memory\"}}\n\n"
    );
    assert_eq!(translator.push(&Frame::done()), []);
    assert_eq!(translator.finish(), []);
    assert_eq!(translator.fail("again"), []);
}

#[test]
fn a_comment_within_a_message_is_a_ping() {
    let mut translator = StreamTranslator::new("msg_1", "m");
    let mut decoder = crate::sse::Decoder::new(1000);

    let frames = decoder.push(b"data: {\"choices\":[]}\n\n: still here\n\n").unwrap();
    let events: Vec<Frame> = frames.iter().flat_map(|frame| translator.push(frame)).collect();

    assert_eq!(events.last(), Some(&ping()));
}

#[test]
fn comments_pass_and_other_noise_does_not() {
    let mut translator = StreamTranslator::new("msg_1", "m");
    let mut decoder = crate::sse::Decoder::new(1000);

    let frames = decoder.push(b": still here\n\n\ndata: nonsense\n\n").unwrap();
    let passed: Vec<Frame> = frames.iter().flat_map(|frame| translator.push(frame)).collect();

    assert_eq!(passed, frames[..1]);
}

#[test]
fn a_stream_of_nothing_is_an_empty_message() {
    assert_eq!(kinds(&stream(&[])), ["message_start", "message_delta", "message_stop"]);
}

/// Requests that have what is required and anything else.
fn requests() -> impl Strategy<Value = Map<String, Value>> {
    testing::objects_with_list("messages").prop_map(|mut request| {
        request.insert("model".into(), "m".into());
        request.insert("max_tokens".into(), 1.into());
        request
    })
}

/// Messages whose content is a list of nearly right blocks.
fn turns() -> impl Strategy<Value = Value> {
    let role = prop::sample::select(vec!["user", "assistant", "system"]);
    (role, testing::objects_with_list("content")).prop_map(|(role, mut message)| {
        message.insert("role".into(), role.into());
        message.into()
    })
}

fn deltas() -> impl Strategy<Value = Frame> {
    (testing::objects(), testing::values(), testing::objects_with_list("tool_calls")).prop_map(
        |(mut chunk, reason, delta)| {
            chunk.shift_remove("error");
            chunk.insert("choices".into(), json!([{"delta": delta, "finish_reason": reason}]));
            Frame::json(&chunk.into())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_request_is_translated_or_refused(request in testing::objects()) {
        let _ = chat_request(request);
    }

    #[test]
    fn any_conversation_can_be_translated(
        request in requests(),
        turns in prop::collection::vec(turns(), 0..4),
    ) {
        let mut request = request;
        prop_assert!(chat_request(request.clone()).is_ok());
        request.insert("messages".into(), turns.into());

        let translated = chat_request(request).unwrap();

        for message in translated.messages() {
            prop_assert!(message["role"].is_string());
        }
    }

    #[test]
    fn any_answer_is_translated_or_refused(
        mut answer in testing::objects_with_list("choices"),
        said in testing::objects_with_list("tool_calls"),
    ) {
        let _ = message(&answer, "m", "msg_1");
        answer.insert("choices".into(), json!([{"message": said}]));

        let message = message(&answer, "m", "msg_1").unwrap();

        prop_assert_eq!(&message["type"], "message");
    }

    #[test]
    fn any_stream_keeps_the_order_of_events(chunks in prop::collection::vec(deltas(), 0..6)) {
        let mut translator = StreamTranslator::new("msg_1", "m");

        let mut frames: Vec<Frame> = chunks.iter().flat_map(|frame| translator.push(frame)).collect();
        frames.extend(translator.finish());

        let events: Vec<Value> = frames.iter().map(|frame| frame.chunk().unwrap().into()).collect();
        let kinds = kinds(&events);
        prop_assert_eq!(kinds.first(), Some(&"message_start"));
        prop_assert_eq!(kinds.last(), Some(&"message_stop"));
        let mut started = 0;
        let mut open = None;
        for event in &events {
            match event["type"].as_str().unwrap() {
                "content_block_start" => {
                    prop_assert_eq!(open, None);
                    prop_assert_eq!(&event["index"], started);
                    open = Some(started);
                    started += 1;
                }
                "content_block_stop" => {
                    prop_assert_eq!(event["index"].as_u64(), open);
                    open = None;
                }
                "content_block_delta" => prop_assert!(event["index"].as_u64().unwrap() < started),
                _ => {}
            }
        }
        prop_assert_eq!(open, None);
    }
}

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{Frame, Translate, testing};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn chat(request: Value, history: &[Value]) -> Value {
    chat_request(object(request), history).unwrap().into_map().into()
}

fn envelope() -> Envelope {
    Envelope::new("resp_1", 7, &object(json!({"model": "m"})))
}

fn events(frames: &[Frame]) -> Vec<Value> {
    let mut translator = ResponseTranslator::new(envelope());
    let mut events: Vec<Frame> = frames.iter().flat_map(|frame| translator.push(frame)).collect();
    events.extend(translator.finish());
    events.iter().map(|event| event.chunk().unwrap().into()).collect()
}

#[test]
fn a_text_is_a_message_and_history_comes_first() {
    let history = [
        json!({"role": "user", "content": "one"}),
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]}),
    ];

    let body = chat(
        json!({"model": "m", "input": "three", "instructions": "Brief.", "x": 1.50, "store": false}),
        &history,
    );

    assert_eq!(
        body,
        json!({"model": "m", "x": 1.50, "messages": [
            {"role": "system", "content": "Brief."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ]})
    );
}

#[test]
fn calls_join_the_message_before_them() {
    let call = |id: &str| json!({"type": "function_call", "id": "fc", "call_id": id, "name": "f", "arguments": "{}"});
    let body = chat(
        json!({"input": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"role": "assistant", "content": "Looking."}, call("a"), call("b"),
            {"type": "function_call_output", "call_id": "a", "output": "1"},
            {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
            call("c"),
        ]}),
        &[],
    );

    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4);
    assert_eq!(
        (&messages[0]["reasoning_content"], &messages[0]["content"]),
        (&json!("hm"), &json!("Looking."))
    );
    assert_eq!(messages[0]["tool_calls"].as_array().unwrap().len(), 2);
    assert_eq!(messages[2], json!({"role": "tool", "tool_call_id": "b", "content": "2"}));
    assert_eq!((&messages[3]["content"], &messages[3]["tool_calls"][0]["id"]), (&Value::Null, &json!("c")));
}

#[test]
fn what_is_kept_elsewhere_is_refused() {
    for (request, field) in [
        (json!({"input": 7}), "input"),
        (json!({"input": [{"content": "x"}]}), "input"),
        (json!({"input": [{"type": "item_reference", "id": "x"}]}), "input"),
        (json!({"background": true}), "background"),
        (json!({"conversation": "c"}), "conversation"),
        (json!({"prompt": {"id": "p"}}), "prompt"),
    ] {
        assert_eq!(chat_request(object(request.clone()), &[]).unwrap_err().field, field, "{request}");
    }
    assert!(chat_request(object(json!({"background": false, "conversation": null})), &[]).is_ok());
}

#[test]
fn tools_of_the_provider_are_left_out() {
    let body = chat(json!({"tools": [{"type": "web_search"}], "tool_choice": "required"}), &[]);

    assert_eq!((&body["tools"], &body["tool_choice"]), (&Value::Null, &Value::Null));
}

#[test]
fn an_answer_that_was_cut_short_says_so() {
    let choice = json!({"message": {"content": "He"}, "finish_reason": "length"});

    let response = response(&object(json!({"choices": [choice]})), &envelope()).unwrap();

    assert_eq!((&response["status"], &response["usage"]), (&json!("incomplete"), &Value::Null));
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
}

#[test]
fn what_came_before_an_error_is_followed_by_a_failure() {
    let frames = [
        Frame::json(&json!({"choices": [{"delta": {"content": "He"}}]})),
        Frame::json(&json!({"error": {"message": "gone"}})),
        Frame::done(),
    ];

    let events = events(&frames);

    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["error"], json!({"code": "server_error", "message": "gone"}));
}

#[test]
fn interleaved_calls_are_put_together() {
    let piece = |index: u64, more: Value| {
        let mut call = json!({"index": index});
        call.as_object_mut().unwrap().extend(object(more));
        Frame::json(&json!({"choices": [{"delta": {"tool_calls": [call]}}]}))
    };
    let frames = [
        piece(0, json!({"id": "a", "function": {"name": "f", "arguments": "{\"x\""}})),
        piece(1, json!({"id": "b", "function": {"name": "g"}})),
        piece(0, json!({"function": {"arguments": ":1}"}})),
    ];

    let events = events(&frames);

    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!((&output[0]["call_id"], &output[0]["arguments"]), (&json!("a"), &json!("{\"x\":1}")));
    assert_eq!((&output[1]["name"], &output[1]["arguments"]), (&json!("g"), &json!("{}")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_request_is_put_into_a_chat_or_refused(request in testing::objects_with_list("input"), history in prop::collection::vec(testing::values(), 0..3)) {
        if let Ok(chat) = chat_request(request, &history) {
            prop_assert!(chat.as_map()["messages"].is_array());
        }
    }

    #[test]
    fn unknown_fields_survive(value in testing::values()) {
        let body = chat(json!({"model": "m", "input": "hi", "x_unknown": value}), &[]);

        prop_assert_eq!(&body["x_unknown"], &value);
    }

    #[test]
    fn any_stream_is_numbered_and_ends_once(chunks in prop::collection::vec(testing::objects_with_list("choices"), 0..6)) {
        let frames: Vec<Frame> = chunks.into_iter().map(|chunk| Frame::json(&chunk.into())).collect();

        let events = events(&frames);

        for (number, event) in events.iter().enumerate() {
            prop_assert_eq!(event["sequence_number"].as_u64(), Some(number as u64));
        }
        let is_end = |event: &&Value| matches!(event["type"].as_str(), Some("response.completed" | "response.incomplete" | "response.failed"));
        prop_assert_eq!(events.iter().filter(is_end).count(), 1);
        prop_assert!(events.last().as_ref().is_some_and(is_end));
    }

    #[test]
    fn any_answer_is_told_or_refused(completion in testing::objects_with_list("choices")) {
        let _ = response(&completion, &envelope());
    }
}

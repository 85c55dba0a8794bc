use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{ChatRequest, Frame, testing};

fn unusable(content: Value) -> &'static str {
    let messages = json!([{"role": "user", "content": [content]}]);
    let request = ChatRequest::try_from(json!({"model": "m", "messages": messages})).unwrap();
    messages_request(request, 1).unwrap_err().why
}

#[test]
fn what_a_model_cannot_take_is_refused_rather_than_left_out() {
    for content in [
        json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
        json!({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}),
        json!({"type": "file", "file": {}}),
        json!({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}),
        json!({"type": "video_url"}),
    ] {
        assert!(!unusable(content.clone()).is_empty(), "{content}");
    }
}

fn translated(events: &[Value], wants_usage: bool) -> Vec<Frame> {
    let mut translator = EventTranslator::new(1, wants_usage);
    let mut frames: Vec<Frame> =
        events.iter().flat_map(|event| translator.push(&Frame::json(event))).collect();
    frames.extend(translator.finish());
    frames
}

#[test]
fn thoughts_of_any_length_are_told_and_only_short_ones_again() {
    let long = "x".repeat(600_000);
    let delta = json!({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": long}});
    let events = [
        json!({"type": "content_block_start", "content_block": {"type": "thinking"}}),
        delta.clone(),
        delta,
        json!({"type": "content_block_stop"}),
        json!({"type": "message_stop"}),
    ];

    let frames = translated(&events, false);

    let chunks: Vec<_> = frames.iter().filter_map(Frame::chunk).map(Value::Object).collect();
    assert_eq!(chunks.len(), 3);
    assert!(chunks.iter().all(|chunk| chunk["choices"][0]["delta"].get("thinking_blocks").is_none()));
}

/// A message as Anthropic takes it: turns that alternate, and blocks in each.
fn is_in_order(body: &Map<String, Value>) -> bool {
    let messages = body["messages"].as_array().unwrap();
    let alternate = messages.windows(2).all(|pair| pair[0]["role"] != pair[1]["role"]);
    let plain = |message: &Value| {
        ["user", "assistant"].contains(&message["role"].as_str().unwrap_or_default())
            && message["content"].as_array().is_some_and(|content| !content.is_empty())
    };
    // Turns between which one was left out stand together; Anthropic joins them.
    (alternate || body.get("thinking").is_none()) && messages.iter().all(plain)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_chat_is_put_in_order_or_refused(request in testing::objects_with_list("messages")) {
        if let Ok(body) = messages_request(ChatRequest::new(request), 4096) {
            prop_assert!(is_in_order(&body), "{:?}", body);
            prop_assert!(!body["max_tokens"].is_null());
        }
    }

    #[test]
    fn any_answer_is_a_completion_or_none(answer in testing::objects_with_list("content")) {
        let told = completion(&answer, 1).unwrap();

        prop_assert!(told["choices"][0]["finish_reason"].is_string());
    }

    #[test]
    fn any_events_end_once(events in prop::collection::vec(testing::values(), 0..12)) {
        let frames = translated(&events, true);

        prop_assert_eq!(frames.iter().filter(|frame| frame.is_done()).count(), 1);
        prop_assert!(frames.last().unwrap().is_done());
    }
}

use super::*;

/// A chunk of the first choice.
fn piece(id: &str, delta: Value, reason: Option<&str>) -> Frame {
    Frame::json(&json!({"id": id, "created": 1, "choices": [{"index": 0, "delta": delta,
        "finish_reason": reason}]}))
}

fn calls(deltas: Value) -> Value {
    json!({"tool_calls": deltas})
}

fn used(id: &str, tokens: u64) -> Frame {
    Frame::json(&json!({"id": id, "created": 1, "choices": [], "usage": {"total_tokens": tokens}}))
}

fn streamed(tool_ids: &[&str]) -> Value {
    let mut request = ask(tool_ids);
    request["stream"] = true.into();
    request
}

#[tokio::test]
async fn a_stream_has_the_text_of_all_rounds_and_one_end() {
    let (bench, shed) = tooled(|_| {}).await;
    bench.cloud.reply_frames(vec![
        Ok(piece("a", json!({"role": "assistant", "content": "Let me "}), None)),
        Ok(piece("a", json!({"content": "see. "}), None)),
        Ok(piece(
            "a",
            calls(json!([{"index": 0, "id": "c1", "type": "function",
            "function": {"name": "weather", "arguments": ""}}])),
            None,
        )),
        Ok(piece(
            "a",
            calls(json!([{"index": 0, "function": {"arguments": "{\"city\":\"Bergen\"}"}}])),
            None,
        )),
        Ok(piece("a", json!({}), Some("tool_calls"))),
        Ok(used("a", 10)),
        Ok(Frame::done()),
    ]);
    bench.cloud.reply_frames(vec![
        Ok(piece("b", json!({"role": "assistant", "content": ""}), None)),
        Ok(piece("b", json!({"content": "12 degrees."}), None)),
        Ok(piece("b", json!({}), Some("stop"))),
        Ok(used("b", 20)),
        Ok(Frame::done()),
    ]);

    let text = bench.text(streamed(&["weather"])).await;

    assert_eq!(called(&shed), [r#"weather {"city":"Bergen"}"#]);
    assert_snapshot!(text, @r#"
    data: {"id":"a","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"Let me "},"finish_reason":null}]}

    data: {"id":"a","created":1,"choices":[{"index":0,"delta":{"content":"see. "},"finish_reason":null}]}

    : tool weather started

    : tool weather finished

    data: {"id":"a","created":1,"choices":[{"index":0,"delta":{"content":"12 degrees."},"finish_reason":null}]}

    data: {"id":"a","created":1,"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

    data: {"id":"a","created":1,"choices":[],"usage":{"total_tokens":30}}

    data: [DONE]
    "#);
    let messages = bench.cloud.requests()[1].messages().to_vec();
    assert_eq!(messages[1]["content"], "Let me see. ");
    assert_eq!(messages[1]["tool_calls"], json!([call("c1", "weather", r#"{"city":"Bergen"}"#)]));
    assert_eq!(messages[2]["tool_call_id"], "c1");
}

#[tokio::test]
async fn a_stream_without_calls_of_ours_is_the_upstreams_own_bytes() {
    let (bench, _) = tooled(|_| {}).await;
    let frames = || {
        vec![
            piece("a", json!({"role": "assistant", "content": "x"}), None),
            piece(
                "a",
                calls(json!([{"index": 0, "id": "c1", "type": "function",
                "function": {"name": "mine", "arguments": "{"}}])),
                None,
            ),
            piece("a", calls(json!([{"index": 0, "function": {"arguments": "}"}}])), None),
            piece("a", json!({}), Some("tool_calls")),
            used("a", 3),
            Frame::done(),
        ]
    };
    bench.cloud.reply_frames(frames().into_iter().map(Ok).collect());
    let mut request = streamed(&["weather"]);
    request["tools"] = json!([{"type": "function", "function": {"name": "mine"}}]);

    let text = bench.text(request).await;

    let sent: String =
        frames().iter().map(|frame| String::from_utf8_lossy(&frame.raw).into_owned()).collect();
    assert_eq!(text, sent);
}

#[tokio::test]
async fn in_a_stream_the_caller_sees_its_calls_numbered_from_zero() {
    let (bench, shed) = tooled(|_| {}).await;
    bench.cloud.reply_frames(vec![
        Ok(piece(
            "a",
            calls(json!([
                {"index": 0, "id": "c1", "function": {"name": "weather", "arguments": "{}"}},
                {"index": 1, "id": "c2", "function": {"name": "mine", "arguments": "{"}},
            ])),
            None,
        )),
        Ok(piece("a", calls(json!([{"index": 1, "function": {"arguments": "}"}}])), None)),
        Ok(piece("a", json!({}), Some("tool_calls"))),
        Ok(Frame::done()),
    ]);
    let mut request = streamed(&["weather"]);
    request["tools"] = json!([{"type": "function", "function": {"name": "mine"}}]);

    let text = bench.text(request).await;

    assert_eq!(called(&shed), [] as [&str; 0]);
    assert_snapshot!(text, @r#"
    data: {"id":"a","created":1,"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c2","function":{"name":"mine","arguments":"{"}}]},"finish_reason":null}]}

    data: {"id":"a","created":1,"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]},"finish_reason":null}]}

    data: {"id":"a","created":1,"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

    data: [DONE]
    "#);
}

#[tokio::test]
async fn calls_that_are_not_numbered_are_told_apart() {
    let (bench, shed) = tooled(|_| {}).await;
    let whole = |id: &str, city: &str| {
        let arguments = json!({"city": city}).to_string();
        json!({"id": id, "function": {"name": "weather", "arguments": arguments}})
    };
    let numbered = |id: &str, city: &str| {
        let mut call = whole(id, city);
        call["index"] = 0.into();
        call
    };
    bench.cloud.reply_frames(vec![
        Ok(piece("a", calls(json!([numbered("c1", "a"), numbered("c2", "b")])), None)),
        Ok(piece("a", calls(json!([whole("c3", "c"), whole("c4", "d"), "nonsense", 7])), Some("stop"))),
        Ok(Frame::done()),
    ]);

    bench.text(streamed(&["weather"])).await;

    let cities: Vec<_> = shed.called.lock().unwrap().iter().map(|(_, it)| it["city"].clone()).collect();
    assert_eq!(cities, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_stream_that_breaks_in_a_later_round_says_so() {
    let (bench, _) = tooled(|_| {}).await;
    let first = || vec![Ok(piece("a", calls(json!([call("c1", "weather", "{}")])), None)), Ok(Frame::done())];
    bench.cloud.reply_frames(first());
    bench.cloud.fail_chat(UpstreamError::Unreachable("no route".into()));
    bench.cloud.reply_frames(first());
    bench.cloud.reply_frames(vec![Ok(chunk("par")), Err(broken())]);

    let refused = bench.text(streamed(&["weather"])).await;
    let broke = bench.text(streamed(&["weather"])).await;

    assert!(refused.ends_with("data: [DONE]\n\n") && refused.contains("cannot be reached"), "{refused}");
    assert!(broke.contains("par") && broke.contains("error: "), "{broke}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_calls() {
    let (bench, shed) = tooled(|_| {}).await;
    bench.cloud.reply_frames(vec![
        Ok(piece("a", calls(json!([call("c1", "weather", r#"{"city":"slow"}"#)])), None)),
        Ok(Frame::done()),
    ]);
    let Answer::Stream(mut frames) = bench.complete(streamed(&["weather"])).await.unwrap() else {
        panic!("a stream was asked for")
    };
    let first = frames.next().await.unwrap().unwrap();
    assert_eq!(first.raw, ": tool weather started\n\n");
    let running = || shed.running.load(std::sync::atomic::Ordering::SeqCst);
    let waiting = tokio::time::timeout(Duration::from_millis(20), frames.next()).await;
    assert!(waiting.is_err());
    assert_eq!(running(), 1);

    drop(frames);

    assert_eq!((running(), bench.cloud.open_calls()), (0, 0));
}

use insta::assert_snapshot;

use super::*;

#[tokio::test]
async fn a_plain_request_reaches_the_upstream_as_it_was_sent() {
    let bench = bench(Vec::new(), |_| {}).await;
    let request = json!({"model": "c.gpt", "messages": says("hi"), "x_vendor": {"a": 1.50}, "seed": 7});

    let answer = bench.text(request.clone()).await;

    let mut expected = request;
    expected["model"] = "gpt".into();
    let sent = bench.cloud.requests().pop().unwrap();
    assert_eq!(Value::Object(sent.into_map()).to_string(), expected.to_string());
    assert_eq!(answer, r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"ok"}}]}"#);
}

#[tokio::test]
async fn the_fields_of_this_server_are_consumed() {
    let bench = bench(Vec::new(), |_| {}).await;

    bench
        .text(json!({
            "model": "c.gpt", "chat_id": "local:1", "messages": says("hi"), "session_id": "s", "id": "m",
            "features": {"web_search": false}, "stream": false, "stream_options": {"include_usage": true},
            "params": {"system": "Today is {{CURRENT_DATE}}.", "temperature": 0.4, "num_ctx": 9,
                "function_calling": "native"},
            "top_p": 0.1, "background_tasks": {"title_generation": true}, "files": [],
        }))
        .await;

    assert_snapshot!(last(&bench.cloud), @r#"
    {
      "model": "gpt",
      "messages": [
        {
          "role": "system",
          "content": "Today is 2024-02-29."
        },
        {
          "role": "user",
          "content": "hi"
        }
      ],
      "stream": false,
      "top_p": 0.1,
      "temperature": 0.4
    }
    "#);
}

#[tokio::test]
async fn options_of_a_model_at_ollama_go_into_its_options() {
    let bench = bench(Vec::new(), |_| {}).await;

    bench
        .text(json!({
            "model": "llama3.2", "messages": says("hi"), "params": {"temperature": 0.4, "num_ctx": 99},
        }))
        .await;

    assert_snapshot!(last(&bench.local), @r#"
    {
      "model": "llama3.2:latest",
      "messages": [
        {
          "role": "user",
          "content": "hi"
        }
      ],
      "options": {
        "temperature": 0.4,
        "num_ctx": 99
      }
    }
    "#);
}

#[tokio::test]
async fn a_custom_model_speaks_before_the_callers_system_message() {
    let params = json!({"system": "You are Zed, and {{USER_NAME}} asks.", "temperature": 0.2, "top_p": 0.9});
    let bench = bench(vec![custom("zed", "c.gpt", params, json!({}))], |_| {}).await;

    bench
        .text(json!({
            "model": "zed", "temperature": 1, "params": {"system": "Rhyme.", "top_p": 0.5},
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        }))
        .await;

    assert_snapshot!(last(&bench.cloud), @r#"
    {
      "model": "gpt",
      "temperature": 1,
      "messages": [
        {
          "role": "system",
          "content": "You are Zed, and Ada asks.\nRhyme.\nBe brief."
        },
        {
          "role": "user",
          "content": "hi"
        }
      ],
      "top_p": 0.5
    }
    "#);
}

#[tokio::test]
async fn unknown_and_forbidden_models_are_not_found() {
    let bench = bench(Vec::new(), |_| {}).await;
    let ask = async |role, model: Value| {
        let request = ChatRequest::try_from(json!({"model": model, "messages": says("hi")})).unwrap();
        bench.router.complete(&principal(role), request).await.err()
    };

    for (role, model) in [
        (Role::Admin, json!("nobody")),
        (Role::Admin, json!(7)),
        (Role::Admin, json!(null)),
        (Role::User, json!("c.gpt")),
    ] {
        assert!(matches!(ask(role, model.clone()).await, Some(Error::NoSuchModel)), "{model}");
    }
    assert_eq!(bench.cloud.requests(), []);
}

#[tokio::test]
async fn messages_that_are_no_list_are_refused_and_missing_ones_passed_on() {
    let bench = bench(Vec::new(), |_| {}).await;

    let refused = bench.complete(json!({"model": "c.gpt", "messages": "hi"})).await.err();
    bench.text(json!({"model": "c.gpt"})).await;
    bench.text(json!({"model": "c.gpt", "messages": [], "files": [{"type": "file", "id": "bell"}]})).await;

    assert!(matches!(refused, Some(Error::BadMessages("str"))));
    let sent: Vec<_> =
        bench.cloud.requests().into_iter().map(|sent| Value::Object(sent.into_map())).collect();
    assert_eq!(sent, [json!({"model": "gpt"}), json!({"model": "gpt", "messages": []})]);
}

#[tokio::test]
async fn the_upstreams_error_is_the_answer() {
    let bench = bench(Vec::new(), |_| {}).await;
    bench.cloud.fail_chat(UpstreamError::Answered {
        status: 429,
        content_type: Some("application/json".into()),
        body: Bytes::from_static(b"{}"),
        retry_after: Some("7".into()),
    });

    let error = bench.complete(json!({"model": "c.gpt", "messages": says("hi"), "stream": true})).await.err();

    assert!(matches!(
        error,
        Some(Error::Upstream(UpstreamError::Answered { status: 429, retry_after: Some(after), .. })) if after == "7"
    ));
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_and_ends_with_its_first_error() {
    let bench = bench(Vec::new(), |_| {}).await;
    let odd = Frame { raw: ": ping\r\ndata:{\"a\" : 1}\r\n\r\n".into(), ..chunk("x") };
    bench.cloud.reply_frames(vec![Ok(odd), Ok(chunk("far")), Err(broken()), Ok(chunk("never"))]);

    let text = bench.text(json!({"model": "c.gpt", "messages": says("hi"), "stream": true})).await;

    assert_eq!(
        text,
        ": ping\r\ndata:{\"a\" : 1}\r\n\r\n\
         data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"far\"}}]}\n\n\
         error: the upstream broke off: it hung up\n"
    );
}

#[tokio::test]
async fn dropping_an_answer_closes_the_upstream() {
    let bench = bench(Vec::new(), |_| {}).await;
    bench.cloud.reply_frames_then_hang(vec![Ok(chunk("so"))]);
    let request = json!({"model": "c.gpt", "messages": says("hi"), "stream": true});

    let answer = bench.complete(request).await.unwrap();
    let while_streaming = bench.cloud.open_calls();
    drop(answer);

    assert_eq!((while_streaming, bench.cloud.open_calls()), (1, 0));
}

#[tokio::test]
async fn dropping_a_request_closes_the_upstream() {
    let bench = bench(Vec::new(), |_| {}).await;
    bench.cloud.hang_chat();

    let left = bench.complete(json!({"model": "c.gpt", "messages": says("hi")}));
    let left = tokio::time::timeout(Duration::from_millis(1), left).await;

    assert!(left.is_err());
    assert_eq!(bench.cloud.requests().len(), 1);
    assert_eq!(bench.cloud.open_calls(), 0);
}

#[tokio::test]
async fn a_broken_stream_closes_the_upstream_before_the_client_goes() {
    let bench = bench(Vec::new(), |_| {}).await;
    bench.cloud.reply_frames_then_hang(vec![Err(broken())]);
    let request = json!({"model": "c.gpt", "messages": says("hi"), "stream": true});

    let Answer::Stream(mut frames) = bench.complete(request).await.unwrap() else { panic!("it streams") };
    let first = frames.next().await;

    assert!(matches!(first, Some(Err(UpstreamError::Broken(_)))));
    assert_eq!(bench.cloud.open_calls(), 0);
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn a_relayed_request_has_no_custom_model_and_no_context() {
    let bench = bench(vec![custom("zed", "c.gpt", json!({}), json!({}))], |_| {}).await;
    let relay = async |role, model: &str| {
        let files = json!([{"type": "file", "id": "bell"}]);
        let request =
            json!({"model": model, "messages": says("hi"), "files": files, "chat_id": "x", "seed": 1});
        bench.router.relay(&principal(role), ChatRequest::try_from(request).unwrap()).await
    };

    let answered = text_of(relay(Role::Admin, "c.gpt").await.unwrap()).await;

    assert!(!answered.contains("sources"));
    let sent = bench.cloud.requests().pop().unwrap();
    assert_eq!(Value::Object(sent.into_map()), json!({"model": "gpt", "messages": says("hi"), "seed": 1}));
    assert!(matches!(relay(Role::Admin, "zed").await.err(), Some(Error::NoSuchModel)));
    assert!(matches!(relay(Role::Admin, "llama3.2").await.err(), Some(Error::NoSuchModel)));
    assert!(matches!(relay(Role::User, "c.gpt").await.err(), Some(Error::NoSuchModel)));
}

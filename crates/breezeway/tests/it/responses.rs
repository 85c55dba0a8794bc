//! The Responses API: at upstreams that have it, over chats, and from what is kept.

use breezeway_testkit::{Reply, chat_chunk, sse_event};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::{Client, TestServer},
    models::{overlay, public},
};

const PATH: &str = "/v1/responses";

/// Everywhere the API is.
const PATHS: [&str; 4] = [PATH, "/api/v1/responses", "/openai/responses", "/ollama/v1/responses"];

fn ask(model: &str, input: &str) -> Value {
    json!({"model": model, "input": input})
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Ask the chatting model, and answer what was answered.
async fn said(client: &Client, body: Value) -> Value {
    let answer = client.post(PATH, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn text(response: &Value) -> &str {
    response["output"][0]["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn an_upstream_that_has_it_answers_itself() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let own = json!({"id": "resp_theirs", "output": [], "x": 1.50});
    let body =
        with(ask("gpt-small", "hi"), json!({"background": false, "previous_response_id": "resp_theirs"}));

    for path in PATHS {
        upstreams.openai.queue("/v1/responses", Reply::json(200, &own));
        let answer = ada.post(path, body.clone()).await;

        assert_eq!(answer.text(), own.to_string(), "{path}");
        assert_eq!(upstreams.openai.last_at("/v1/responses").json(), body, "{path}");
    }
}

#[tokio::test]
async fn an_upstream_that_only_chats_is_asked_for_a_chat() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    upstreams.openai.always("/v1/responses", Reply::json(404, &json!({"error": "no such path"})));

    for path in PATHS {
        let answer = ada.post(path, with(ask("gpt-small", "hi"), json!({"instructions": "Brief."}))).await;

        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(text(&answer.json()), "echo: hi", "{path}");
        assert_eq!(
            upstreams.openai.last_at("/v1/chat/completions").json(),
            json!({"model": "gpt-small", "messages": [
                {"role": "system", "content": "Brief."}, {"role": "user", "content": "hi"},
            ]})
        );
    }
    assert_eq!(upstreams.openai.received_at("/v1/responses").len(), 1, "it is asked once in a while");
    for path in &PATHS[..3] {
        assert_eq!(text(&ada.post(path, ask("llama3.2", "hi")).await.json()), "echo: hi", "{path}");
    }
}

#[tokio::test]
async fn an_older_ollama_is_asked_for_a_chat() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    upstreams.ollama.always("/v1/responses", Reply::bytes(404, "text/plain", "404 page not found"));

    let answer = ada.post("/ollama/v1/responses", ask("llama3.2", "hi")).await;

    assert_eq!(text(&answer.json()), "echo: hi");
}

#[tokio::test]
async fn a_stream_has_the_events_of_a_response() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    overlay(&ada, "zed", json!("gpt-small"), public()).await;
    let chunks = [
        chat_chunk("gpt-small", &json!({"role": "assistant", "content": "He"}), None),
        chat_chunk("gpt-small", &json!({"content": "llo"}), Some("stop")),
    ];
    let events = chunks.iter().map(sse_event).chain(["data: [DONE]\n\n".to_owned()]);
    upstreams.openai.queue("/v1/chat/completions", Reply::sse(events));

    let answer = ada.post(PATH, with(ask("zed", "hi"), json!({"stream": true}))).await;

    assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
    let events: Vec<Value> = answer
        .text()
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_snapshot!(kinds.join("\n"), @r"
    response.created
    response.in_progress
    response.output_item.added
    response.content_part.added
    response.output_text.delta
    response.output_text.delta
    response.output_text.done
    response.content_part.done
    response.output_item.done
    response.completed
    ");
    // Whoever has read the last event can go on from it.
    let last = &events.last().unwrap()["response"];
    let id = last["id"].as_str().unwrap();
    assert_eq!(ada.get(&format!("{PATH}/{id}")).await.json(), *last);
    assert_eq!(last["model"], "zed");
}

#[tokio::test]
async fn a_conversation_goes_on_from_an_id() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    let first = said(&ada, with(ask("llama3.2", "one"), json!({"instructions": "Only now."}))).await;
    let on = |previous: &Value, input: &str| {
        with(ask("llama3.2", input), json!({"previous_response_id": previous["id"]}))
    };
    let second = said(&ada, on(&first, "two")).await;
    said(&ada, on(&second, "three")).await;

    assert_eq!(second["previous_response_id"], first["id"]);
    let messages = upstreams.ollama.last_at("/api/chat").json()["messages"].clone();
    let said: Vec<&str> =
        messages.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["one", "echo: one", "two", "echo: two", "three"]);
}

#[tokio::test]
async fn a_response_of_somebody_elses_does_not_exist() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    overlay(&ada, "llama3.2:latest", Value::Null, public()).await;
    let id = said(&ada, ask("llama3.2", "secret")).await["id"].as_str().unwrap().to_owned();
    let path = format!("{PATH}/{id}");

    let foreign = eve.post(PATH, with(ask("llama3.2", "x"), json!({"previous_response_id": id}))).await;

    let shown = foreign.text().replace(&id, "[id]");
    assert_eq!(foreign.status, 404);
    assert_snapshot!(shown, @r#"{"error":{"message":"Previous response with id '[id]' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"},"detail":"Previous response with id '[id]' not found."}"#);
    let unknown = eve.get(&format!("{PATH}/nothing")).await;
    for answer in [eve.get(&path).await, eve.delete(&path).await] {
        assert_eq!(answer.text().replace(&id, "nothing"), unknown.text());
        assert_eq!(answer.status, 404);
    }
    assert_eq!(ada.delete(&path).await.json(), json!({"id": id, "object": "response", "deleted": true}));
    assert_eq!(ada.get(&path).await.status, 404);
}

#[tokio::test]
async fn nothing_is_kept_that_should_not_be() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let made = ada.post("/api/v1/auths/api_keys", json!({"name": "reader", "read_only": true})).await.json();
    let reader = ada.with_token(made["api_key"].as_str().unwrap());

    let unwanted = said(&ada, with(ask("llama3.2", "x"), json!({"store": false}))).await;
    let unwritten = said(&reader, ask("llama3.2", "x")).await;
    let kept = said(&ada, ask("llama3.2", "x")).await;

    for (response, stays) in [(unwanted, false), (unwritten, false), (kept, true)] {
        assert_eq!(response["store"], stays);
        let found = ada.get(&format!("{PATH}/{}", response["id"].as_str().unwrap())).await.status == 200;
        assert_eq!(found, stays);
    }
}

#[tokio::test]
async fn who_leaves_takes_their_responses_along() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    overlay(&ada, "llama3.2:latest", Value::Null, public()).await;
    said(&eve, ask("llama3.2", "x")).await;

    assert_eq!(ada.delete(&format!("/api/v1/users/{}?transfer_to={}", eve.id, ada.id)).await.status, 200);

    assert_eq!(server.breezeway.store().check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_the_shape_of_its_mount() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let wrong = json!({"model": "llama3.2", "input": 7});

    assert_snapshot!(ada.post(PATH, wrong.clone()).await.json()["error"], @r#"{"message":"`input`: field `input` must be a text or a list of items","type":"invalid_request_error","param":"input","code":null}"#);
    assert_eq!(ada.post("/api/v1/responses", wrong).await.status, 422);
    assert_eq!(ada.post(PATH, ask("nothing", "x")).await.json()["error"]["code"], "model_not_found");
    assert_snapshot!(ada.post("/openai/responses", ask("nothing", "x")).await.summary(), @r#"
    404 Not Found
    {"detail":"Model 'nothing' was not found"}
    "#);
    assert_snapshot!(ada.post("/api/v1/responses", ask("nothing", "x")).await.summary(), @r#"
    400 Bad Request
    {"detail":"Model not found"}
    "#);
}

#[tokio::test]
async fn a_conversation_goes_on_from_a_call_with_what_was_thought_before_it() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    upstreams
        .openai
        .always("/v1/responses", Reply::json(404, &json!({"error": {"message": "no such path"}})));
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "warmth", "arguments": "{\"city\":\"Oslo\"}"}});
    let message =
        json!({"role": "assistant", "content": null, "reasoning_content": "I look.", "tool_calls": [call]});
    let completion =
        json!({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]});
    for stream in [false, true] {
        let reply = match stream {
            false => Reply::json(200, &completion),
            true => Reply::sse([
                format!(
                    "data: {}\n\n",
                    json!({"choices": [{"index": 0, "delta": {"reasoning_content": "I look."}}]})
                ),
                format!(
                    "data: {}\n\n",
                    json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "warmth", "arguments": "{\"city\":\"Oslo\"}"}}]}}]})
                ),
                format!(
                    "data: {}\n\ndata: [DONE]\n\n",
                    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
                ),
            ]),
        };
        upstreams.openai.queue("/v1/chat/completions", reply);
        let ask = json!({"model": "gpt-small", "input": "How warm is it?", "stream": stream});
        let began = ada.post("/v1/responses", ask).await.text();
        let id = began.split("\"id\":\"resp_").nth(1).unwrap().split('"').next().unwrap();

        let output = json!([{"type": "function_call_output", "call_id": "call_1", "output": "3 degrees"}]);
        let ask =
            json!({"model": "gpt-small", "previous_response_id": format!("resp_{id}"), "input": output});
        let went_on = ada.post("/v1/responses", ask).await;

        assert_eq!(went_on.status, 200, "{}", went_on.summary());
        let asked = upstreams.openai.last_at("/v1/chat/completions").json()["messages"].clone();
        assert_eq!(
            asked,
            json!([
                {"role": "user", "content": "How warm is it?"},
                {"role": "assistant", "content": null, "reasoning_content": "I look.", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "3 degrees"},
            ]),
        );
    }
}

//! OpenAI's files and vector stores over the library, and the search of files in responses.

use breezeway_testkit::Reply;
use http::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Client, TestServer},
    sweeps::processed,
};

async fn upload(client: &Client, name: &str, text: &str) -> String {
    let body = format!(
        "--edge\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n\
         --edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         content-type: text/plain\r\n\r\n{text}\r\n--edge--\r\n"
    );
    let client_ = client.with_header("content-type", "multipart/form-data; boundary=edge");
    let answer = client_.send(Method::POST, "/v1/files", body.into()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let file = answer.json();
    assert_eq!((&file["object"], &file["purpose"]), (&json!("file"), &json!("assistants")));
    let id = file["id"].as_str().unwrap().to_owned();
    processed(client, &id).await;
    id
}

async fn ok(client: &Client, path: &str, body: Value) -> Value {
    let answer = client.post(path, body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

async fn read(client: &Client, path: &str) -> Value {
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

async fn started() -> (TestServer, crate::harness::Upstreams, Client) {
    let (mut server, upstreams) = TestServer::with_upstreams().await;
    server.run();
    let ada = server.sign_up("ada").await;
    (server, upstreams, ada)
}

#[tokio::test]
async fn a_file_lives_and_dies() {
    let (_server, _upstreams, ada) = started().await;
    let file = upload(&ada, "sky.txt", "The sky is blue.").await;

    let shown = read(&ada, &format!("/v1/files/{file}")).await;
    assert_eq!((&shown["status"], &shown["bytes"]), (&json!("processed"), &json!(16)));
    assert_eq!(read(&ada, "/v1/files?purpose=assistants").await["data"][0]["id"], file.as_str());
    assert_eq!(read(&ada, "/v1/files?purpose=batch").await["data"], json!([]));
    assert_eq!(ada.get(&format!("/v1/files/{file}/content")).await.text(), "The sky is blue.");

    let gone = ada.delete(&format!("/v1/files/{file}")).await.json();
    assert_eq!(gone, json!({"id": file, "object": "file", "deleted": true}));
    let missing = ada.get(&format!("/v1/files/{file}")).await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn a_store_is_a_collection_with_files_attributes_and_a_search() {
    let (server, _upstreams, ada) = started().await;
    let (sky, sea) = (
        upload(&ada, "sky.txt", "The sky is blue.").await,
        upload(&ada, "sea.txt", "The sky at sea is grey.").await,
    );
    let form = json!({"name": "Skies", "file_ids": [sky], "metadata": {"team": "air"},
        "expires_after": {"anchor": "last_active_at", "days": 7}});
    let store = ok(&ada, "/v1/vector_stores", form).await;
    let path = format!("/v1/vector_stores/{}", store["id"].as_str().unwrap());
    assert_eq!(
        store["file_counts"],
        json!({"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1})
    );
    assert_eq!((&store["status"], &store["metadata"]), (&json!("completed"), &json!({"team": "air"})));

    let added =
        ok(&ada, &format!("{path}/files"), json!({"file_id": sea, "attributes": {"region": "north"}})).await;
    assert_eq!(
        (&added["object"], &added["attributes"]),
        (&json!("vector_store.file"), &json!({"region": "north"}))
    );
    assert_eq!(read(&ada, &format!("{path}/files")).await["data"].as_array().unwrap().len(), 2);
    ok(&ada, &format!("{path}/files/{sky}"), json!({"attributes": {"region": "south", "year": 2026}})).await;

    let found = ok(&ada, &format!("{path}/search"), json!({"query": "sky colour"})).await;
    assert_eq!(found["data"].as_array().unwrap().len(), 2);
    let filters = json!({"type": "and", "filters": [
        {"type": "eq", "key": "region", "value": "south"}, {"type": "gte", "key": "year", "value": 2025},
    ]});
    let found = ok(
        &ada,
        &format!("{path}/search"),
        json!({"query": ["sky", "blue"], "filters": filters, "max_num_results": 5}),
    )
    .await;
    assert_eq!(found["search_query"], json!(["sky", "blue"]));
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert_eq!(found["data"][0]["file_id"], sky.as_str());
    assert_eq!(found["data"][0]["content"], json!([{"type": "text", "text": "The sky is blue."}]));

    let content = read(&ada, &format!("{path}/files/{sky}/content")).await;
    assert_eq!(content["data"][0]["text"], "The sky is blue.");
    let renamed = ok(&ada, &path, json!({"name": "Air", "expires_after": null})).await;
    assert_eq!((&renamed["name"], &renamed["expires_at"]), (&json!("Air"), &Value::Null));
    assert_eq!(renamed["metadata"], json!({"team": "air"}), "what is left out stays");
    assert_eq!(read(&ada, "/v1/vector_stores").await["data"][0]["id"], store["id"]);

    let left = ada.delete(&format!("{path}/files/{sky}")).await.json();
    assert_eq!(left["object"], "vector_store.file.deleted");
    assert_eq!(ada.get(&format!("{path}/files/{sky}")).await.status, 404);
    assert_eq!(read(&ada, &format!("/v1/files/{sky}")).await["id"], sky.as_str(), "the file stays");
    let eve = server.sign_up("eve").await;
    for stranger in ["", "/files", "/search"] {
        let answer = match stranger {
            "/search" => eve.post(&format!("{path}/search"), json!({"query": "sky"})).await,
            _ => eve.get(&format!("{path}{stranger}")).await,
        };
        assert_eq!(answer.status, 404, "{stranger}");
    }
    assert_eq!(ada.delete(&path).await.json()["object"], "vector_store.deleted");
    assert_eq!(ada.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_store_that_nobody_uses_expires() {
    let (server, _upstreams, ada) = started().await;
    let form = json!({"expires_after": {"anchor": "last_active_at", "days": 1}});
    let store = ok(&ada, "/v1/vector_stores", form).await;
    let path = format!("/v1/vector_stores/{}", store["id"].as_str().unwrap());

    server.pass(86_000);
    ok(&ada, &format!("{path}/search"), json!({"query": "sky"})).await;
    server.pass(86_000);
    assert_eq!(read(&ada, &path).await["status"], "completed", "it was used meanwhile");
    server.pass(86_400);

    assert_eq!(read(&ada, &path).await["status"], "expired");
    assert_eq!(ada.post(&format!("{path}/search"), json!({"query": "sky"})).await.status, 400);
}

#[tokio::test]
async fn a_batch_tells_how_far_its_files_are() {
    let (_server, _upstreams, ada) = started().await;
    let (a, b) = (upload(&ada, "a.txt", "One tram.").await, upload(&ada, "b.txt", "Two trams.").await);
    let store = ok(&ada, "/v1/vector_stores", json!({"name": "Trams"})).await;
    let path = format!("/v1/vector_stores/{}", store["id"].as_str().unwrap());

    let form = json!({"file_ids": [a, b], "attributes": {"kind": "rail"}});
    let batch = ok(&ada, &format!("{path}/file_batches"), form).await;

    let at = format!("{path}/file_batches/{}", batch["id"].as_str().unwrap());
    let shown = read(&ada, &at).await;
    assert_eq!((&shown["status"], &shown["file_counts"]["completed"]), (&json!("completed"), &json!(2)));
    let files = read(&ada, &format!("{at}/files?filter=completed&limit=1")).await;
    assert_eq!(
        (&files["has_more"], &files["data"][0]["attributes"]),
        (&json!(true), &json!({"kind": "rail"}))
    );
    ada.delete(&format!("{path}/files/{b}")).await;
    let cancelled = ok(&ada, &format!("{at}/cancel"), json!({})).await;
    assert_eq!(
        cancelled["file_counts"],
        json!({"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 1, "total": 2})
    );
    assert_eq!(ada.get(&format!("{path}/file_batches/vsfb_unknown")).await.status, 404);
}

#[tokio::test]
async fn a_response_searches_files_and_cites_them() {
    let (_server, upstreams, ada) = started().await;
    let sky = upload(&ada, "sky.txt", "The sky is blue.").await;
    let store = ok(&ada, "/v1/vector_stores", json!({"file_ids": [sky]})).await;
    let completion = json!({"choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "It is blue [1]."}}]});
    let ask = json!({
        "model": "gpt-small", "input": "What colour has the sky?", "include": ["file_search_call.results"],
        "tools": [{"type": "file_search", "vector_store_ids": [store["id"]], "max_num_results": 2}],
    });
    upstreams.openai.queue("/v1/chat/completions", Reply::json(200, &completion));

    let response = ok(&ada, "/v1/responses", ask.clone()).await;

    let call = &response["output"][0];
    assert_eq!((&call["type"], &call["status"]), (&json!("file_search_call"), &json!("completed")));
    assert_eq!(call["queries"], json!(["What colour has the sky?"]));
    assert_eq!(call["results"][0]["text"], "The sky is blue.");
    assert_eq!(
        response["output"][1]["content"][0]["annotations"],
        json!([{"type": "file_citation", "index": 11, "file_id": sky, "filename": "sky.txt"}])
    );
    assert!(upstreams.openai.received_at("/v1/responses").is_empty(), "the library is ours");

    let mut streamed = ask;
    streamed["stream"] = true.into();
    let text = ada.post("/v1/responses", streamed).await.text();
    let kinds: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let searched = kinds.iter().position(|kind| *kind == "response.file_search_call.searching").unwrap();
    let delta = kinds.iter().position(|kind| *kind == "response.output_text.delta").unwrap();
    assert!(searched < delta);
    let last: Value = serde_json::from_str(
        text.lines().rfind(|line| line.starts_with("data: {")).unwrap().strip_prefix("data: ").unwrap(),
    )
    .unwrap();
    assert_eq!(last["response"]["output"][0]["type"], "file_search_call");
}

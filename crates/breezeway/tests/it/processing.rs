//! Files on their way: how far they are, stopping them, doing it once more.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use breezeway::{
    Embedding,
    parts::embedding::{EmbedError, EmbeddingModel, Fingerprint, HashedModel, Purpose, Vector},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::{Client, TestServer, eventually};

/// A model that answers as often as it is let to.
struct Slow {
    inner: HashedModel,
    lets: Semaphore,
    asked: Mutex<usize>,
}

#[async_trait]
impl EmbeddingModel for Slow {
    fn fingerprint(&self) -> &Fingerprint {
        self.inner.fingerprint()
    }

    fn dimensions(&self) -> Option<usize> {
        self.inner.dimensions()
    }

    fn is_multilingual(&self) -> bool {
        true
    }

    async fn embed(&self, purpose: Purpose, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        *self.asked.lock().unwrap() += texts.len();
        self.lets.acquire().await.unwrap().forget();
        self.inner.embed(purpose, texts).await
    }
}

async fn slow() -> (TestServer, Arc<Slow>) {
    let model = Arc::new(Slow { inner: HashedModel::new(8), lets: Semaphore::new(0), asked: Mutex::new(0) });
    let given = model.clone();
    let mut server = TestServer::with(move |config| config.embedding = Embedding::Model(given)).await;
    server.run();
    (server, model)
}

async fn upload(client: &Client, name: &str, text: &str) -> String {
    client.upload(name, text).await.json()["id"].as_str().unwrap().to_owned()
}

async fn status(client: &Client, file: &str) -> Value {
    client.get(&format!("/api/v1/files/{file}/process/status")).await.json()
}

async fn reaches(client: &Client, file: &str, wanted: &str) -> Value {
    eventually(wanted, async || Some(status(client, file).await).filter(|it| it["status"] == wanted)).await
}

/// A text of `parts` chunks.
fn parts(parts: usize) -> String {
    (0..parts).map(|part| format!("# Part {part}\nwords of part {part}\n")).collect()
}

#[tokio::test]
async fn the_status_says_how_far_a_file_is() {
    let (server, model) = slow().await;
    let ada = server.sign_up("ada").await;
    let file = upload(&ada, "parts.md", &parts(40)).await;

    eventually("it is being embedded", async || (*model.asked.lock().unwrap() > 0).then_some(())).await;
    let begun = status(&ada, &file).await;
    model.lets.add_permits(1);
    let half = eventually("a batch is done", async || {
        Some(status(&ada, &file).await).filter(|status| status["chunks_done"] != 0)
    })
    .await;
    model.lets.add_permits(100);

    let expected =
        json!({"status": "processing", "stage": "embedding", "chunks_done": 0, "chunks_total": 40});
    assert_eq!(begun, expected);
    assert!(half["chunks_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{half}");
    assert!(half["seconds_left"].is_u64(), "{half}");
    assert_eq!(reaches(&ada, &file, "completed").await, json!({"status": "completed"}));
}

#[tokio::test]
async fn a_status_stream_tells_every_change_and_ends() {
    let (server, model) = slow().await;
    let ada = server.sign_up("ada").await;
    let file = upload(&ada, "parts.md", &parts(3)).await;
    eventually("it is being embedded", async || (*model.asked.lock().unwrap() > 0).then_some(())).await;

    let path = format!("/api/v1/files/{file}/process/status?stream=true");
    let stream = ada.get_then(&path, || model.lets.add_permits(100)).await;

    let text = stream.text();
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    assert_eq!(events[0]["status"], "processing", "{text}");
    assert_eq!(events.last().unwrap(), &json!({"status": "completed"}), "{text}");
}

#[tokio::test]
async fn an_upload_can_wait_for_what_comes_of_it() {
    let mut server = TestServer::start().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let body = "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"sea.txt\"\r\n\
                content-type: text/plain\r\n\r\nThe sea.\r\n--edge--\r\n";
    let form = ada.with_header("content-type", "multipart/form-data; boundary=edge");

    let waited = form.send(http::Method::POST, "/api/v1/files/?wait=true", body.into()).await.json();

    assert_eq!(waited["data"]["status"], "completed", "{waited}");
    assert!(waited["hash"].is_string(), "{waited}");
}

#[tokio::test]
async fn a_file_can_be_stopped_and_taken_up_again() {
    let (server, model) = slow().await;
    let eve = server.sign_up("eve").await;
    let file = upload(&eve, "parts.md", &parts(3)).await;
    let process = format!("/api/v1/files/{file}/process");
    eventually("it is being embedded", async || (*model.asked.lock().unwrap() > 0).then_some(())).await;

    let too_early = eve.post(&format!("{process}/retry"), json!({})).await;
    let stopped = eve.post(&format!("{process}/cancel"), json!({})).await;
    let twice = eve.post(&format!("{process}/cancel"), json!({})).await;
    let then = status(&eve, &file).await;
    model.lets.add_permits(100);
    let again = eve.post(&format!("{process}/retry"), json!({})).await;

    assert_eq!((too_early.status, stopped.status, twice.status), (409, 200, 409));
    assert_eq!(stopped.json()["data"]["status"], "cancelled");
    assert_eq!(then, json!({"status": "cancelled"}));
    assert_eq!(again.json()["data"]["status"], "pending");
    reaches(&eve, &file, "completed").await;
}

#[tokio::test]
async fn others_can_neither_stop_a_file_nor_see_that_there_is_one() {
    let server = TestServer::start().await;
    let (_, ada, eve) =
        (server.sign_up("root").await, server.sign_up("ada").await, server.sign_up("eve").await);
    let file = upload(&ada, "a.txt", "words").await;

    for action in ["/cancel", "/retry", ""] {
        let answer = eve.post(&format!("/api/v1/files/{file}/process{action}"), json!({})).await;
        assert_eq!(answer.status, 404, "{action}");
    }
}

#[tokio::test]
async fn a_whole_collection_is_processed_again_and_nothing_is_embedded_twice() {
    let (server, model) = slow().await;
    model.lets.add_permits(1000);
    let ada = server.sign_up("ada").await;
    let shelf = ada.post("/api/v1/knowledge/create", json!({"name": "Parts", "description": ""})).await;
    let shelf = shelf.json()["id"].as_str().unwrap().to_owned();
    let mut files = Vec::new();
    for number in 2..5 {
        let file = upload(&ada, &format!("{number}.md"), &parts(number)).await;
        reaches(&ada, &file, "completed").await;
        ada.post(&format!("/api/v1/knowledge/{shelf}/file/add"), json!({"file_id": file})).await;
        files.push(file);
    }
    let asked = *model.asked.lock().unwrap();

    let answer = ada.post(&format!("/api/v1/knowledge/{shelf}/process"), json!({})).await;
    for file in &files {
        reaches(&ada, file, "completed").await;
    }

    assert_eq!(answer.json(), json!({"status": true, "files": 3}));
    assert_eq!(asked, 4, "the three share their parts, so the largest is all there is");
    assert_eq!(*model.asked.lock().unwrap(), asked, "known texts are not embedded again");
    assert_eq!(server.breezeway.store().check().await.unwrap(), Vec::<String>::new());
}

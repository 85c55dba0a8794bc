//! Files on their way in.

use std::time::Duration;

use breezeway_testkit::{Client, Reply, ScriptedUpstream};
use serde_json::{Value, json};

use crate::gateway::{Setup, chat, eventually, found_in, id_of, names, processed};

const FILES: &str = "/api/v1/files/";

async fn total(client: &Client) -> u64 {
    client.get("/api/v1/files/?content=false").await.json()["total"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_large_upload_does_not_pass_through_memory() {
    let gateway = Setup::new().start().await;
    let client = gateway.admin().await;
    // Whatever the first upload needs is there before the second is measured.
    id_of(
        &client
            .upload("/api/v1/files/?process=false", "small.bin", "application/octet-stream", b"first")
            .await,
    );
    let before = gateway.peak_memory();
    let large: Vec<u8> = (0..64_u32 << 20).map(|index| (index ^ (index >> 9)) as u8).collect();

    let answer =
        client.upload("/api/v1/files/?process=false", "large.bin", "application/octet-stream", &large).await;

    let id = id_of(&answer);
    assert_eq!(answer.json()["meta"]["size"], large.len());
    let uploaded = gateway.peak_memory() - before;
    assert!(uploaded < 24 << 20, "{} MB for the way in", uploaded >> 20);
    let back = client.get(&format!("/api/v1/files/{id}/content")).await;
    assert!(back.body == large, "it comes back as it was");
    let downloaded = gateway.peak_memory() - before;
    assert!(downloaded < 32 << 20, "{} MB for the way in and out", downloaded >> 20);
}

#[tokio::test]
async fn upload_add_ask_works_without_waiting_in_between() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin_with_model().await;
    let new = json!({"name": "Islands", "description": "what is known of them"});
    let collection = id_of(&client.post_json("/api/v1/knowledge/create", &new).await);
    let text = "The ferry to Stronsay leaves at seven past noon.";

    let file = id_of(&client.upload(FILES, "ferry.txt", "text/plain", text.as_bytes()).await);
    let added = client
        .post_json(&format!("/api/v1/knowledge/{collection}/file/add"), &json!({ "file_id": file }))
        .await;
    let mut question = chat("When does the ferry to Stronsay leave?", false);
    question["files"] = json!([{"type": "collection", "id": collection}]);
    let asked = client.post_json("/api/chat/completions", &question).await;

    assert_eq!(added.status, 200, "{}", added.summary());
    assert_eq!(asked.status, 200, "{}", asked.summary());
    let sources: Value = eventually("the text is found", async || {
        let answer = client.post_json("/api/chat/completions", &question).await.json();
        answer.get("sources").cloned()
    })
    .await;
    assert!(sources[0]["document"][0].as_str().is_some_and(|found| found.contains(text)), "{sources}");
    let prompt = upstream.last_at("/v1/chat/completions").json().to_string();
    assert!(prompt.contains("seven past noon"), "{prompt}");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let setup = Setup::new();
    let gateway = setup.start().await;
    let token = gateway.token().await;
    let client = gateway.client().bearer(&token);
    let head = format!(
        "POST /api/v1/files/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n"
    );

    let mut leaving = gateway.connect().await;
    leaving.send(&head).await;
    leaving.send("half of it ".repeat(100_000)).await;
    eventually("it is being written", async || (!setup.blobs().is_empty()).then_some(())).await;
    drop(leaving);
    let unfinished = client
        .request(
            http::Method::POST,
            FILES,
            Some("multipart/form-data; boundary=b"),
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nno end of the form",
        )
        .await;

    assert_eq!(unfinished.status, 400, "{}", unfinished.summary());
    eventually("nothing is left", async || setup.blobs().is_empty().then_some(())).await;
    assert_eq!(total(&client).await, 0, "{:?}", names(&setup.blobs(), &setup.data()));
}

#[tokio::test]
async fn a_name_is_never_a_path() {
    let setup = Setup::new();
    let gateway = setup.start().await;
    let client = gateway.admin().await;

    for (sent, kept) in [
        ("../../evil.txt", "evil.txt"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\evil.txt", "evil.txt"),
        ("C:\\Windows\\evil.txt", "evil.txt"),
        ("ünïcode 名前.txt", "ünïcode 名前.txt"),
    ] {
        let answer = client.upload("/api/v1/files/?process=false", sent, "text/plain", sent.as_bytes()).await;
        let id = id_of(&answer);

        assert_eq!(answer.json()["filename"], kept, "{sent}");
        assert_eq!(client.get(&format!("/api/v1/files/{id}/content")).await.body, sent.as_bytes());
    }
    for sent in ["..", ".", "", "/"] {
        let answer = client.upload("/api/v1/files/?process=false", sent, "text/plain", b"text").await;

        assert!(
            answer.status == 200 || (400..500).contains(&answer.status),
            "{sent:?}: {}",
            answer.summary()
        );
    }
    let inside = names(&setup.blobs(), &setup.data());
    assert!(inside.iter().all(|name| name.starts_with("blobs/") && !name.contains("evil")), "{inside:?}");
}

#[tokio::test]
async fn an_empty_file_is_refused_and_leaves_nothing() {
    let setup = Setup::new();
    let gateway = setup.start().await;
    let client = gateway.admin().await;

    let answer = client.upload(FILES, "empty.txt", "text/plain", b"").await;

    assert_eq!(answer.status, 400);
    let detail = answer.json()["detail"].as_str().map(str::to_owned).expect("in words");
    assert!(detail.starts_with("The content provided is empty."), "{detail}");
    assert_eq!(total(&client).await, 0);
    assert_eq!(setup.blobs().len(), 0);
}

#[tokio::test]
async fn an_upload_outlives_an_embedding_service_that_is_down() {
    let upstream = ScriptedUpstream::start().await;
    let busy = json!({"error": {"message": "loading"}});
    upstream.queue("/v1/embeddings", Reply::json(503, &busy).after(Duration::from_millis(200)));
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin().await;

    let id = id_of(&client.upload(FILES, "patient.txt", "text/plain", b"Patience is a lantern.").await);
    upstream.wait_for("/v1/embeddings").await;
    let early = client.get(&format!("/api/v1/files/{id}/process/status")).await.json()["status"].clone();

    assert_eq!(early, "processing");
    assert_eq!(processed(&client, &id).await, "completed");
    assert!(found_in(&client, &id, "lantern").await.contains("Patience is a lantern."));
}

#[tokio::test]
async fn several_uploads_at_once_are_all_there() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin().await;

    let mut uploads = tokio::task::JoinSet::new();
    for index in 0..24 {
        let client = client.clone();
        uploads.spawn(async move {
            let text = format!("Lighthouse number {index} burns marker{index}oil.");
            let answer = client.upload(FILES, &format!("{index}.txt"), "text/plain", text.as_bytes()).await;
            (id_of(&answer), format!("marker{index}oil"))
        });
    }
    let uploads = uploads.join_all().await;

    for (id, marker) in uploads {
        assert_eq!(processed(&client, &id).await, "completed");
        assert!(found_in(&client, &id, &marker).await.contains(&marker));
    }
    assert_eq!(total(&client).await, 24);
    assert!(gateway.peak_memory() < 600 << 20, "{} MB", gateway.peak_memory() >> 20);
    tokio::time::timeout(Duration::from_secs(20), gateway.stop()).await.expect("it stops in time");
}

//! Whether what is kept is in order, and putting it in order.

use breezeway::parts::knowledge::{BlobStore, FsBlobs, LibraryStore};
use serde_json::json;

use crate::harness::{TestServer, eventually};

async fn with_files() -> (TestServer, crate::harness::Client, Vec<String>) {
    let mut server = TestServer::start().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let mut files = Vec::new();
    for name in ["one", "two", "three"] {
        let text = format!("# {name}\nThe boat called {name}.\n# both\nShared words.");
        let file = ada.upload(&format!("{name}.md"), &text).await.json()["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/files/{file}/process/status");
        eventually("it is read", async || {
            (ada.get(&path).await.json()["status"] == "completed").then_some(())
        })
        .await;
        files.push(file);
    }
    (server, ada, files)
}

#[tokio::test]
async fn a_library_in_use_is_in_order() {
    let (server, ada, files) = with_files().await;
    ada.delete(&format!("/api/v1/files/{}", files[0])).await;

    let answer = ada.post("/api/v1/retrieval/fsck", json!({})).await;

    let clean = json!({"clean": true, "found": {"database": [], "blobs": [], "index": []}});
    assert_eq!(answer.json(), clean);
    assert!(server.breezeway.check().await.unwrap().is_empty());
}

#[tokio::test]
async fn bytes_without_a_file_and_files_without_bytes_are_found() {
    let (server, ada, files) = with_files().await;
    let blobs = FsBlobs::open(server.folder().join("blobs")).await.unwrap();
    let stray = Box::pin(futures_util::stream::iter([Ok("nobody's".into())]));
    let stray = blobs.put(stray, 100).await.unwrap().hash;
    let lost = files[1].parse().unwrap();
    let lost = server.breezeway.store().file(&lost).await.unwrap().unwrap();
    blobs.delete(&lost.blob).await.unwrap();

    let found = ada.post("/api/v1/retrieval/fsck", json!({})).await.json();
    let repaired = ada.post("/api/v1/retrieval/fsck?repair=true", json!({})).await.json();

    let vanished = format!("the bytes of file `{}` have vanished", lost.id);
    assert_eq!(found["found"]["blobs"], json!([vanished, format!("no file has the bytes `{stray}`")]));
    assert_eq!(repaired["left"]["blobs"], json!([vanished]), "what has vanished cannot be brought back");
    assert_eq!((&found["clean"], &repaired["clean"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn only_admins_may_look() {
    let server = TestServer::start().await;
    let (_, eve) = (server.sign_up("root").await, server.sign_up("eve").await);

    assert_eq!(eve.post("/api/v1/retrieval/fsck?repair=true", json!({})).await.status, 401);
}

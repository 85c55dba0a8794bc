//! Being killed at any moment.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use breezeway_testkit::{Client, ScriptedUpstream};
use http::Method;
use tokio::{task::JoinSet, time::sleep};

use crate::gateway::{Setup, found_in, processed_within};

const ROUNDS: usize = 5;
const UPLOADS: usize = 10;
/// A claim of a killed process runs out, and then its file is taken up again.
const TAKEN_UP_AGAIN: Duration = Duration::from_secs(60);

/// Somewhere between the first byte of the first upload and the end of all processing.
fn some_moment() -> Duration {
    Duration::from_millis(30 + RandomState::new().build_hasher().finish() % 500)
}

/// Upload one file; its id if it was accepted.
async fn upload(client: Client, name: String, text: String) -> Option<(String, String)> {
    let boundary = "b0undary";
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}.txt\"\r\n\
         Content-Type: text/plain\r\n\r\n{text}\r\n--{boundary}--\r\n"
    );
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let answer = client.try_request(Method::POST, "/api/v1/files/", Some(&content_type), body).await.ok()?;
    // An answer means that the file is kept; a refusal would be a fault of its own.
    assert_eq!(answer.status, 200, "{}", answer.summary());
    Some((answer.json()["id"].as_str().expect("it has an id").to_owned(), name))
}

#[tokio::test]
async fn what_was_accepted_survives_being_killed_again_and_again() {
    let upstream = ScriptedUpstream::start().await;
    let setup = Setup::openai(&upstream);
    let mut accepted = Vec::new();

    for round in 0..ROUNDS {
        let gateway = setup.start().await;
        let client = gateway.admin().await;
        let mut uploads = JoinSet::new();
        for index in 0..UPLOADS {
            let name = format!("marker{round}x{index}");
            let text = format!("The keeper wrote {name} into the log. ").repeat(40 * (index + 1));
            uploads.spawn(upload(client.clone(), name, text));
        }
        sleep(some_moment()).await;
        gateway.kill();
        accepted.extend(uploads.join_all().await.into_iter().flatten());
        assert_eq!(setup.contradictions().await, Vec::<String>::new(), "after round {round}");
    }
    let gateway = setup.start().await;
    let client = gateway.admin().await;

    assert!(!accepted.is_empty(), "some uploads were in time");
    for (id, name) in &accepted {
        assert_eq!(processed_within(TAKEN_UP_AGAIN, &client, id).await, "completed", "{name}");
        let found = found_in(&client, id, name).await;
        assert!(found.contains(name), "{name}: {found}");
    }
    let listed = client.get("/api/v1/files/?content=false").await.json()["total"].as_u64().expect("a number");
    assert!(listed >= accepted.len() as u64);
    gateway.stop().await;
    assert_eq!(setup.contradictions().await, Vec::<String>::new());
    let incoming = std::fs::read_dir(setup.data().join("blobs/incoming")).into_iter().flatten().count();
    assert_eq!(incoming, 0, "nothing half written is left");
}

#[tokio::test]
async fn accounts_and_sessions_survive_being_killed() {
    let setup = Setup::new();
    let gateway = setup.start().await;
    let token = gateway.token().await;
    let key =
        gateway.client().bearer(&token).post_json("/api/v1/auths/api_key", &serde_json::json!({})).await;
    let key = key.json()["api_key"].as_str().expect("a key").to_owned();

    gateway.kill();
    let gateway = setup.start().await;

    for credential in [&token, &key] {
        assert_eq!(gateway.client().bearer(credential).get("/api/models").await.status, 200);
    }
    let shown = gateway.client().bearer(&token).get("/api/v1/auths/api_key").await;
    assert_eq!(shown.json()["api_key"], key.as_str(), "the key can still be unsealed");
}

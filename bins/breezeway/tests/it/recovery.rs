//! Being killed at any moment.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use breezeway_testkit::{Client, ScriptedUpstream};
use http::Method;
use tokio::{task::JoinSet, time::sleep};

use crate::gateway::{Setup, found_in, processed_within};

/// How often the gateway is killed, unless this variable says otherwise: `cargo xtask crash` sets it.
const ROUNDS: usize = 4;
const ROUNDS_VARIABLE: &str = "BREEZEWAY_CRASH_ROUNDS";
const UPLOADS: usize = 8;
/// A claim of a killed process runs out, and then its file is taken up again.
const TAKEN_UP_AGAIN: Duration = Duration::from_secs(60);

fn rounds() -> usize {
    #[expect(clippy::disallowed_methods, reason = "how the project's own command talks to a test")]
    let asked = std::env::var(ROUNDS_VARIABLE).ok();
    asked.map_or(ROUNDS, |asked| asked.parse().expect("a number of rounds"))
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Somewhere between the first byte of the first upload and the end of all processing.
fn some_moment() -> Duration {
    Duration::from_millis(30 + random() % 700)
}

/// The text of a file: short ones are done at once, long ones are killed in each of their steps.
fn text_of(name: &str, index: usize) -> String {
    let parts = 1 + index * index * 12;
    (0..parts)
        .map(|part| format!("# Part {part}\nThe keeper wrote {name} of {part} into the log.\n\n"))
        .collect()
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

/// What is done to the library while the gateway is killed, and what is known of it afterwards.
#[derive(Default)]
struct Shelf {
    /// Files that were accepted and that nobody has tried to delete, by their markers.
    kept: Vec<(String, String)>,
    /// Files that were put into the collection, as far as the answer came.
    members: Vec<String>,
}

/// Everything at once: uploads, files put into a collection, a file deleted, one read once more.
async fn trouble(
    client: &Client,
    round: usize,
    collection: &str,
    shelf: &mut Shelf,
) -> JoinSet<Option<(String, String)>> {
    let mut uploads = JoinSet::new();
    for index in 0..UPLOADS {
        let name = format!("marker{round}x{index}");
        let text = text_of(&name, index);
        uploads.spawn(upload(client.clone(), name, text));
    }
    if shelf.kept.len() > 4 {
        // Said before it is done: killed in between, it may be there or not.
        let (doomed, _) = shelf.kept.swap_remove(random() as usize % shelf.kept.len());
        shelf.members.retain(|member| *member != doomed);
        let (again, _) = &shelf.kept[random() as usize % shelf.kept.len()];
        let (deleting, again, adding) =
            (client.clone(), (client.clone(), again.clone()), (client.clone(), shelf.kept[0].0.clone()));
        let add = format!("/api/v1/knowledge/{collection}/file/add");
        let added = adding.1.clone();
        let answer = adding.0.try_request(
            Method::POST,
            &add,
            Some("application/json"),
            serde_json::json!({ "file_id": added }).to_string(),
        );
        if answer.await.is_ok_and(|answer| answer.status == 200) {
            shelf.members.push(adding.1);
        }
        uploads.spawn(async move {
            let _ = deleting.try_request(Method::DELETE, &format!("/api/v1/files/{doomed}"), None, "").await;
            None
        });
        uploads.spawn(async move {
            let path = format!("/api/v1/files/{}/process", again.1);
            let _ = again.0.try_request(Method::POST, &path, None, "").await;
            None
        });
    }
    uploads
}

#[tokio::test]
async fn what_was_accepted_survives_being_killed_again_and_again() {
    let upstream = ScriptedUpstream::start().await;
    let setup = Setup::openai(&upstream);
    let mut shelf = Shelf::default();
    let gateway = setup.start().await;
    let new = serde_json::json!({"name": "Log", "description": ""});
    let collection = gateway.admin().await.post_json("/api/v1/knowledge/create", &new).await;
    let collection = collection.json()["id"].as_str().expect("it has an id").to_owned();
    gateway.stop().await;

    for round in 0..rounds() {
        let gateway = setup.start().await;
        let client = gateway.admin().await;
        let mut uploads = trouble(&client, round, &collection, &mut shelf).await;
        sleep(some_moment()).await;
        gateway.kill();
        while let Some(done) = uploads.join_next().await {
            shelf.kept.extend(done.expect("no panic"));
        }
        // As whoever finds the machine after a power cut would look. Bytes whose row was not written in
        // time are nobody's until the next start, which sweeps them up.
        let fsck = setup.run(&["fsck"], "");
        let told = String::from_utf8_lossy(&fsck.stdout).into_owned();
        let findings =
            told.lines().filter(|line| *line != "clean" && !line.contains("no file has the bytes"));
        assert_eq!(
            findings.collect::<Vec<_>>(),
            [""; 0],
            "round {round}: {}",
            String::from_utf8_lossy(&fsck.stderr)
        );
    }
    let gateway = setup.start().await;
    let client = gateway.admin().await;

    assert!(!shelf.kept.is_empty(), "some uploads were in time");
    for (id, name) in &shelf.kept {
        assert_eq!(processed_within(TAKEN_UP_AGAIN, &client, id).await, "completed", "{name}");
        let found = found_in(&client, id, name).await;
        assert!(found.contains(name), "{name}: {found}");
    }
    let members = client.get(&format!("/api/v1/knowledge/{collection}/files")).await.json().to_string();
    for member in &shelf.members {
        assert!(members.contains(member.as_str()), "what was put into the collection stays in it");
    }
    let listed = client.get("/api/v1/files/?content=false").await.json()["total"].as_u64().expect("a number");
    assert!(listed >= shelf.kept.len() as u64);
    let live = client.post_json("/api/v1/retrieval/fsck", &serde_json::json!({})).await.json();
    assert_eq!(live["clean"], true, "{live}");
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

//! Breezeway inside a program: an account, a document and a question about it, without a socket of
//! our own.
//!
//! The upstream is scripted, so that this runs anywhere. With a real one, only its address differs.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, sync::Arc, time::Duration};

use breezeway::{
    Breezeway, Config, Embedding,
    parts::{
        auth::NewAccount,
        chat::Answer,
        core::{FileId, Principal, Role},
        embedding::HashedModel,
        knowledge::{File, FileState, Upload},
        registry::{Connection, ConnectionKind},
        wire::ChatRequest,
    },
};
use breezeway_testkit::{Reply, ScriptedUpstream, chat_completion};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let upstream = ScriptedUpstream::with_models(["small"]).await;
    upstream.queue(
        "/v1/chat/completions",
        Reply::json(200, &chat_completion("small", "It waits at the harbour [1].")),
    );

    // Plain values: no environment is read, and nothing is written outside of this folder.
    let folder = tempfile::tempdir()?;
    let mut config = Config::at(folder.path(), "a long random text that outlives restarts");
    config.connections = vec![Connection::new(ConnectionKind::OpenAi, 0, upstream.openai_url())];
    config.embedding = Embedding::Model(Arc::new(HashedModel::new(384)));
    let breezeway = Breezeway::builder(config).build().await?;

    // Background work runs on the runtime this is called on, until it is told to end.
    let background = breezeway.spawn();
    breezeway.registry().refresh(false).await;

    // Whoever signs up first is the admin.
    let session = breezeway
        .auth()
        .sign_up(NewAccount {
            email: "ada@example.org".into(),
            name: "Ada".into(),
            password: "correct horse battery staple".into(),
            role: Role::User,
            profile_image_url: None,
        })
        .await?;
    let ada = breezeway.auth().authenticate(session.token.expose())?;

    let upload = Upload {
        name: "trams.txt".into(),
        media_type: "text/plain".into(),
        process: true,
        metadata: serde_json::Map::new(),
        into: None,
    };
    let bytes = futures_util::stream::iter([Ok("The night tram waits at the harbour until two.".into())]);
    let file = breezeway.library().add_file(&ada, upload, Box::pin(bytes)).await?;
    let file = ready(&breezeway, &ada, &file.id).await?;
    println!("`{}` is {}", file.name, file.state.as_str());

    let request = ChatRequest::try_from(json!({
        "model": "small",
        "messages": [{"role": "user", "content": "Where does the night tram wait?"}],
        "files": [{"type": "file", "id": file.id.as_str()}],
    }))?;
    let Answer::Whole(answer) = breezeway.chat().complete(&ada, request).await? else {
        return Err("a stream, although none was asked for".into());
    };
    let answer: Value = serde_json::from_slice(&answer)?;

    let said = &answer["choices"][0]["message"]["content"];
    println!("answer:  {said}");
    assert_eq!(said, "It waits at the harbour [1].");

    let source = &answer["sources"][0];
    println!("source:  {} from {}", source["document"][0], source["metadata"][0]["name"]);
    assert_eq!(source["document"][0], "The night tram waits at the harbour until two.");
    assert_eq!(source["metadata"][0]["name"], "trams.txt");

    // The passage is what the model was given to answer from.
    let asked = upstream.last_at("/v1/chat/completions").json();
    let prompt = asked["messages"][0]["content"].as_str().unwrap_or_default();
    assert!(prompt.contains("The night tram waits at the harbour until two."));
    assert!(asked.get("files").is_none());

    background.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// The file, once its text can be found.
async fn ready(breezeway: &Breezeway, principal: &Principal, id: &FileId) -> Result<File, Box<dyn Error>> {
    let waiting = async {
        loop {
            let file = breezeway.library().file(principal, id).await?;
            match &file.state {
                FileState::Failed(reason) => return Err(reason.clone().into()),
                state if state.is_final() => return Ok(file),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await?
}

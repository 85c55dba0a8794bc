//! Breezeway as a part of somebody else's HTTP service: its API under `/llm`, beside routes that it
//! knows nothing of.
//!
//! No listener is opened here. What comes out is an axum router like any other, and requests are put
//! through it by hand.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
    routing::get,
};
use breezeway::{
    Breezeway, Config,
    parts::registry::{Connection, ConnectionKind},
};
use breezeway_testkit::ScriptedUpstream;
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let upstream = ScriptedUpstream::with_models(["llama3.2:latest"]).await;
    let folder = tempfile::tempdir()?;
    let mut config = Config::at(folder.path(), "a long random text that outlives restarts");
    config.connections = vec![Connection::new(ConnectionKind::Ollama, 0, upstream.url())];
    let breezeway = Breezeway::builder(config).build().await?;
    let background = breezeway.spawn();
    breezeway.registry().refresh(false).await;

    let app = Router::new()
        .route("/healthz", get(async || "all is well"))
        .nest_service("/llm", breezeway.service());

    let (status, body) = ask(&app, Request::get("/healthz").body(Body::empty())?).await?;
    println!("GET /healthz → {status} {body}");
    assert_eq!((status, body.as_str()), (StatusCode::OK, "all is well"));

    // Breezeway keeps its own doors: its routes want a credential, the others do not.
    let (status, body) = ask(&app, Request::get("/llm/api/models").body(Body::empty())?).await?;
    println!("GET /llm/api/models → {status} {body}");
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    let account = json!({"name": "Ada", "email": "ada@example.org", "password": "choose-one"});
    let (status, body) = ask(&app, post("/llm/api/v1/auths/signup", None, &account)?).await?;
    assert_eq!(status, StatusCode::OK, "{body}");
    let session: Value = serde_json::from_str(&body)?;
    let token = session["token"].as_str().ok_or("a session has a token")?;

    let question =
        json!({"model": "llama3.2", "messages": [{"role": "user", "content": "Why is the sky blue?"}]});
    let (status, body) = ask(&app, post("/llm/api/chat/completions", Some(token), &question)?).await?;
    let answer: Value = serde_json::from_str(&body)?;
    println!("POST /llm/api/chat/completions → {status} {}", answer["choices"][0]["message"]["content"]);
    assert_eq!(status, StatusCode::OK);
    assert!(answer["choices"][0]["message"]["content"].is_string());

    // The same state is there without HTTP.
    assert_eq!(breezeway.auth().accounts().len(), 1);

    background.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

fn post(path: &str, token: Option<&str>, body: &Value) -> Result<Request<Body>, axum::http::Error> {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Body::from(body.to_string()))
}

async fn ask(app: &Router, request: Request<Body>) -> Result<(StatusCode, String), Box<dyn Error>> {
    let response = app.clone().oneshot(request).await?;
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

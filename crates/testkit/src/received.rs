//! What a scripted upstream was asked.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use serde_json::Value;
use tokio::sync::watch;

/// How an exchange ended, seen from the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The whole scripted reply was handed over, its scripted cut included.
    Finished,
    /// The client closed the connection before that.
    ClientLeft,
}

/// One request, recorded when its head arrives; its body grows while it is read.
#[derive(Debug)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path without the query.
    pub path: String,
    /// The query, if there was one.
    pub query: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    body: Mutex<BytesMut>,
    body_length: watch::Sender<usize>,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Received {
    pub(crate) fn new(head: http::request::Parts) -> Self {
        Self {
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            method: head.method,
            headers: head.headers,
            body: Mutex::default(),
            body_length: watch::Sender::new(0),
            outcome: watch::Sender::new(None),
        }
    }

    /// The body as far as it has come.
    pub fn body(&self) -> Bytes {
        Bytes::copy_from_slice(&self.body.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap_or_default()
    }

    /// A header as text, if it was sent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Wait until `length` bytes of the body have come.
    pub async fn body_reaches(&self, length: usize) {
        let mut lengths = self.body_length.subscribe();
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = lengths.wait_for(|&now| now >= length).await;
    }

    /// Wait for the end of the exchange.
    pub async fn outcome(&self) -> Outcome {
        let mut outcomes = self.outcome.subscribe();
        let outcome = outcomes.wait_for(Option::is_some).await.map(|outcome| *outcome);
        outcome.ok().flatten().expect("the sender lives as long as the request it belongs to")
    }

    /// How the exchange ended, if it has.
    pub fn outcome_now(&self) -> Option<Outcome> {
        *self.outcome.borrow()
    }

    pub(crate) fn push(&self, piece: &[u8]) {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.extend_from_slice(piece);
        self.body_length.send_replace(body.len());
    }
}

/// Decides how an exchange ended: dropped unfinished, the client has left.
#[derive(Debug)]
pub(crate) struct Guard(pub(crate) Arc<Received>);

impl Guard {
    pub(crate) fn finish(&self) {
        self.settle(Outcome::Finished);
    }

    fn settle(&self, outcome: Outcome) {
        self.0.outcome.send_if_modified(|settled| {
            let first = settled.is_none();
            settled.get_or_insert(outcome);
            first
        });
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.settle(Outcome::ClientLeft);
    }
}

//! Requests to one tool server: bounded, with its own secrets, which no text that comes back holds.

use std::time::Duration;

use breezeway_chat::ToolFailure;
use breezeway_core::Secret;
use breezeway_registry::{ByteStream, Connection, ConnectionKind, UpstreamError};
use breezeway_upstream::{Endpoint, HttpClient, Patience, answered, byte_stream, message_in};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Method, header};

use crate::{Error, Result, ToolServer};

/// How long a server may take to say what it offers.
pub(crate) const LISTING_WAIT: Duration = Duration::from_secs(10);

/// How long a call may take.
pub(crate) const CALL_WAIT: Duration = Duration::from_secs(60);

/// The longest description of a server, in bytes.
pub(crate) const MOST_DESCRIPTION: usize = 4 << 20;

/// Most bytes of a result that are read; a model is shown less.
pub(crate) const MOST_RESULT: usize = 1 << 20;

/// Sends requests to one server.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    client: HttpClient,
    endpoint: Endpoint,
    secrets: Vec<Secret>,
}

/// An answer of the 2xx family.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: ByteStream,
}

impl Caller {
    /// Somebody who calls `server` below `base`.
    pub(crate) fn new(client: HttpClient, server: &ToolServer, base: &str) -> Result<Self> {
        // The kind says how keys are sent: as bearer tokens.
        let mut connection = Connection::new(ConnectionKind::OpenAi, 0, base);
        connection.key = server.key.clone();
        connection.headers = server.headers.clone();
        Ok(Self { client, endpoint: Endpoint::of(&connection)?, secrets: server.secrets() })
    }

    pub(crate) fn client(&self) -> &HttpClient {
        &self.client
    }

    /// Send a request and wait for the head of its answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, UpstreamError> {
        let mut headers = headers;
        if body.is_some() {
            headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        }
        let body = body.map_or_else(breezeway_upstream::empty_body, breezeway_upstream::full_body);
        let request = self.endpoint.request(method, path, headers, body)?;
        let response = answered(self.client.send(request).await?).await?;
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok(Answer {
            status: head.status.as_u16(),
            content_type: content_type.unwrap_or_default().to_ascii_lowercase(),
            body: byte_stream(body, Patience::default()),
            headers: head.headers,
        })
    }

    /// A text without the server's secrets, should it have sent them back.
    pub(crate) fn without_secrets(&self, mut text: String) -> String {
        for secret in &self.secrets {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "[secret]");
            }
        }
        text
    }

    /// A failure as the model is told it: what went wrong, and nothing about this network.
    pub(crate) fn failure(&self, error: &UpstreamError) -> ToolFailure {
        ToolFailure(match error {
            UpstreamError::Answered { status, body, .. } => {
                self.without_secrets(format!("it answered {status}: {}", message_in(body)))
            }
            UpstreamError::Unreachable(_) => "its server cannot be reached".into(),
            UpstreamError::Broken(_) => "its server broke off".into(),
            UpstreamError::TimedOut(_) => "it took too long".into(),
            UpstreamError::Malformed(_) => "its server gave no proper answer".into(),
            _ => "it cannot be called".into(),
        })
    }
}

impl Answer {
    /// The beginning of the body, up to `most` bytes, and whether there was more. What is not read is
    /// not waited for: the connection is closed.
    pub(crate) async fn beginning(self, most: usize) -> Result<(Vec<u8>, bool), UpstreamError> {
        let mut kept = Vec::new();
        let mut body = self.body;
        while let Some(piece) = body.next().await {
            let piece = piece?;
            let room = most - kept.len();
            kept.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                return Ok((kept, true));
            }
        }
        Ok((kept, false))
    }

    /// The whole body, unless it is longer than `most` bytes.
    pub(crate) async fn whole(self, most: usize) -> Result<Vec<u8>> {
        match self.beginning(most).await? {
            (body, false) => Ok(body),
            (_, true) => Err(Error::BadDescription(format!("it is longer than {most} bytes"))),
        }
    }
}

/// Where a URL's path begins: the server, and the rest.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let behind_scheme = url.find("://").map_or(0, |at| at + 3);
    match url[behind_scheme..].find('/') {
        Some(at) => url.split_at(behind_scheme + at),
        None => (url, "/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_server_and_a_path() {
        assert_eq!(split("http://h:1/mcp/?a=b/c"), ("http://h:1", "/mcp/?a=b/c"));
        assert_eq!(split("https://h"), ("https://h", "/"));
        assert_eq!(split("h/x"), ("h", "/x"));
    }
}

//! A small HTTP client for tests.

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client as Pooled, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

const BOUNDARY: &str = "breezeway-testkit-boundary-1f0c";

/// Asks one server. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    headers: HeaderMap,
    pooled: Pooled<HttpConnector, Full<Bytes>>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An answer that is still arriving. Dropping it closes the connection.
#[derive(Debug)]
pub struct Streaming {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    buffered: BytesMut,
}

/// A part of a multipart form.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The field's name.
    pub name: &'a str,
    /// The file's name, if the part is a file.
    pub file_name: Option<&'a str>,
    /// Its content type, if one is to be sent.
    pub content_type: Option<&'a str>,
    /// Its content.
    pub content: &'a [u8],
}

impl Client {
    /// A client for paths under `base`, such as `http://127.0.0.1:40123`.
    pub fn new(base: impl Into<String>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            base: base.into(),
            headers: HeaderMap::new(),
            pooled: Pooled::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// The same client with `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(&self, token: &str) -> Self {
        self.with_header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// The same client with one more header.
    #[must_use]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        let name = HeaderName::try_from(name).expect("a test names a valid header");
        client.headers.insert(name, HeaderValue::try_from(value).expect("and a valid value"));
        client
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, None, Bytes::new()).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path, None, Bytes::new()).await
    }

    /// `POST` of a JSON value.
    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, Some("application/json"), body.to_string()).await
    }

    /// `POST` of one file in the form field `file`.
    pub async fn upload(&self, path: &str, file_name: &str, content_type: &str, content: &[u8]) -> Answer {
        let content_type = Some(content_type);
        self.post_form(path, &[Part { name: "file", file_name: Some(file_name), content_type, content }])
            .await
    }

    /// `POST` of a multipart form.
    pub async fn post_form(&self, path: &str, parts: &[Part<'_>]) -> Answer {
        let mut body = Vec::new();
        for part in parts {
            let mut head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"", part.name);
            if let Some(file_name) = part.file_name {
                head += &format!("; filename=\"{}\"", file_name.replace('"', "%22"));
            }
            if let Some(content_type) = part.content_type {
                head += &format!("\r\nContent-Type: {content_type}");
            }
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(part.content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        self.request(Method::POST, path, Some(&content_type), body).await
    }

    /// Any request with a whole answer.
    ///
    /// # Panics
    /// If there is no answer; see [`Client::try_request`].
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Answer {
        let asked = format!("{method} {path}");
        self.try_request(method, path, content_type, body)
            .await
            .unwrap_or_else(|why| panic!("`{asked}` is answered: {why}"))
    }

    /// Any request with a whole answer, or what went wrong on the connection.
    pub async fn try_request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let response = self.send(method, path, content_type, body.into()).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|why| why.to_string())?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// `POST` of a JSON value whose answer is read while it arrives.
    pub async fn stream(&self, path: &str, body: &Value) -> Streaming {
        self.stream_request(Method::POST, path, Some("application/json"), body.to_string()).await
    }

    /// Any request whose answer is read while it arrives.
    ///
    /// # Panics
    /// If no head of an answer comes.
    pub async fn stream_request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Streaming {
        let response =
            self.send(method, path, content_type, body.into()).await.expect("the head of an answer comes");
        let (head, body) = response.into_parts();
        Streaming { status: head.status.as_u16(), headers: head.headers, body, buffered: BytesMut::new() }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Response<Incoming>, String> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.clone());
        }
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = request.body(Full::new(body)).map_err(|why| why.to_string())?;
        self.pooled.request(request).await.map_err(|why| format!("{why:?}"))
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|why| panic!("the body is JSON ({why}): {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text, if there is one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Status and body, for snapshots.
    pub fn summary(&self) -> String {
        format!("{}\n{}", self.status, self.text())
    }
}

impl Streaming {
    /// The next piece; `None` at the end, an error where the connection broke.
    pub async fn piece(&mut self) -> Option<Result<Bytes, String>> {
        if !self.buffered.is_empty() {
            return Some(Ok(self.buffered.split().freeze()));
        }
        loop {
            match self.body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => return Some(Ok(data)),
                    Err(_trailers) => {}
                },
                Err(why) => return Some(Err(why.to_string())),
            }
        }
    }

    /// The next line without its end; `None` at the end.
    ///
    /// # Panics
    /// If the connection breaks.
    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffered.iter().position(|&byte| byte == b'\n') {
                let line = self.buffered.split_to(end + 1);
                return Some(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame.expect("the stream does not break").into_data() {
                        self.buffered.extend_from_slice(&data);
                    }
                }
                None if self.buffered.is_empty() => return None,
                None => return Some(String::from_utf8_lossy(&self.buffered.split()).into_owned()),
            }
        }
    }

    /// Everything that is still to come, as text.
    ///
    /// # Panics
    /// If the connection breaks.
    pub async fn rest(mut self) -> String {
        let mut all = Vec::new();
        while let Some(piece) = self.piece().await {
            all.extend_from_slice(&piece.expect("the stream does not break"));
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

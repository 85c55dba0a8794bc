//! A client of the gateway, without a socket between.

use std::net::IpAddr;

use breezeway::parts::middleware::{PeerAddress, Stack};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::ServiceExt;

use super::Answer;

/// Asks as one account, or as nobody.
#[derive(Clone)]
pub(crate) struct Client {
    service: Stack<Full<Bytes>>,
    headers: HeaderMap,
    peer: Option<IpAddr>,
    /// The account, if there is one.
    pub(crate) id: String,
    /// Its session token or key, if there is one.
    pub(crate) token: String,
}

impl Client {
    pub(crate) fn new(service: Stack<Full<Bytes>>) -> Self {
        // Every client says which host it asks.
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("127.0.0.1:3000"))]);
        Self { service, headers, peer: None, id: String::new(), token: String::new() }
    }

    /// The same client with the token and id that a sign-in was answered with.
    pub(crate) fn signed_in(&self, session: &Value) -> Self {
        let id = session["id"].as_str().unwrap().to_owned();
        Self { id, ..self.with_token(session["token"].as_str().unwrap()) }
    }

    /// The same client with another credential.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        let client = self.with_header("authorization", &format!("Bearer {token}"));
        Self { token: token.to_owned(), ..client }
    }

    /// The same client with a header more, or another value for it.
    pub(crate) fn with_header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        let value = HeaderValue::from_str(value).unwrap();
        client.headers.insert(HeaderName::try_from(name).unwrap(), value);
        client
    }

    /// The same client with one more header, although there is one of that name.
    pub(crate) fn with_header_too(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        let value = HeaderValue::from_str(value).unwrap();
        client.headers.append(HeaderName::try_from(name).unwrap(), value);
        client
    }

    /// The same client over a connection from this address.
    pub(crate) fn at_address(&self, address: &str) -> Self {
        Self { peer: Some(address.parse().unwrap()), ..self.clone() }
    }

    /// The same account with a fresh API key.
    pub(crate) async fn with_api_key(&self) -> Self {
        let answer = self.post("/api/v1/auths/api_key", ()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.with_token(answer.json()["api_key"].as_str().unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, Bytes::new()).await
    }

    /// `POST` JSON, or nothing.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let Body(body) = body.into();
        self.send(Method::POST, path, body).await
    }

    /// Upload a file of text.
    pub(crate) async fn upload(&self, name: &str, text: &str) -> Answer {
        self.upload_to("/api/v1/files/", name, text).await
    }

    /// Upload a file of text somewhere.
    pub(crate) async fn upload_to(&self, path: &str, name: &str, text: &str) -> Answer {
        let body = format!(
            "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: text/plain\r\n\r\n{text}\r\n--edge--\r\n"
        );
        let client = self.with_header("content-type", "multipart/form-data; boundary=edge");
        client.send(Method::POST, path, body.into()).await
    }

    /// Any request. What looks like JSON says that it is.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Bytes) -> Answer {
        self.send_then(method, path, body, || {}).await
    }

    /// Get something that comes piece by piece, and do something when its first piece has come.
    pub(crate) async fn get_then(&self, path: &str, then: impl FnOnce()) -> Answer {
        self.send_then(Method::GET, path, Bytes::new(), then).await
    }

    async fn send_then(&self, method: Method, path: &str, body: Bytes, then: impl FnOnce()) -> Answer {
        let mut request = Request::builder().method(method).uri(path).body(Full::new(body)).unwrap();
        request.headers_mut().extend(self.headers.clone());
        if let Some(address) = self.peer {
            request.extensions_mut().insert(PeerAddress(address));
        }
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        let answer = self.service.clone().oneshot(request).await.unwrap();
        let (head, mut body) = answer.into_parts();
        let mut whole = Vec::new();
        let mut then = Some(then);
        // A body that has told its end is not asked again.
        while let Some(frame) = body.frame().await {
            let frame = frame.expect("the body comes to its end");
            whole.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            if let Some(then) = then.take() {
                then();
            }
        }
        let body = whole.into();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }
}

/// The body of a request: JSON, or nothing.
pub(crate) struct Body(Bytes);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self(Bytes::new())
    }
}

impl From<Value> for Body {
    fn from(value: Value) -> Self {
        Self(value.to_string().into())
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

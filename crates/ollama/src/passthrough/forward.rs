//! Handing a request on, and its answer back.

use breezeway_registry::{Connection, UpstreamError};
use breezeway_upstream::{Endpoint, Patience, RequestBody, answered, within};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED,
        RETRY_AFTER,
    },
    request::Parts,
};
use tracing::warn;

use super::{Passthrough, body::PassBody, failure::Failure};

/// Headers of a request that are handed on. Credentials come under names that an installation can
/// choose, so what is not known to be harmless stays here.
const ASKED: [HeaderName; 5] = [
    ACCEPT,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("anthropic-version"),
];

/// Headers of an answer that are handed on. An upstream sets no cookies and opens no origins here.
const ANSWERED: [HeaderName; 6] =
    [CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, LAST_MODIFIED, RETRY_AFTER];

/// A request to hand on.
pub(super) struct Forward<'a> {
    pub(super) head: &'a Parts,
    pub(super) path: &'a str,
    pub(super) method: Method,
    /// Whether the body is JSON, whatever the client called it.
    pub(super) json: bool,
}

impl Passthrough {
    /// Hand a request on to a connection. An error of the upstream is a failure here.
    pub(super) async fn forward(
        &self,
        connection: &Connection,
        forward: Forward<'_>,
        body: RequestBody,
    ) -> Result<Response<PassBody>, UpstreamError> {
        let path = match forward.head.uri.query() {
            Some(query) => format!("{}?{query}", forward.path),
            None => forward.path.to_owned(),
        };
        let is_head = forward.method == Method::HEAD;
        let headers = asked_headers(&forward);
        // The registry has checked it when it was configured.
        let endpoint =
            Endpoint::of(connection).map_err(|error| UpstreamError::Unreachable(error.to_string()))?;
        let request = endpoint.request(forward.method, &path, headers, body)?;
        let first_byte = connection.routing.first_byte_timeout;
        let response = within(connection.timeout, async {
            answered(within(first_byte, self.client.send(request)).await?).await
        });
        let response = response.await?;

        let (head, body) = response.into_parts();
        // Models load before the first byte, and that takes as long as it takes.
        let patience = Patience { first: None, between: connection.idle_timeout };
        let mut handed_on = Response::new(PassBody::arriving(body, patience));
        *handed_on.status_mut() = head.status;
        let length = is_head.then_some(CONTENT_LENGTH);
        for name in ANSWERED.into_iter().chain(length) {
            if let Some(value) = head.headers.get(&name) {
                handed_on.headers_mut().insert(name, value.clone());
            }
        }
        Ok(handed_on)
    }
}

/// How to speak to a connection.
pub(super) fn endpoint(connection: &Connection) -> Result<Endpoint, Failure> {
    Endpoint::of(connection).map_err(|error| {
        // The registry has checked it when it was configured.
        warn!(connection.index = connection.index, "An Ollama connection cannot be used: {error}");
        Failure::Disabled
    })
}

fn asked_headers(forward: &Forward<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in ASKED {
        if let Some(value) = forward.head.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if forward.json && !is_json(headers.get(CONTENT_TYPE)) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    content_type.and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains("json"))
}

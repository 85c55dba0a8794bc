//! Ollama's API over the models of all other upstreams, answered by the chat router and the API.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{Router, body::Body};
use breezeway_api::OwnEmbedding;
use breezeway_chat::{Answer, ChatRouter, Error};
use breezeway_core::{Classify, Principal};
use breezeway_ollama::{Elsewhere, ElsewhereError, PassBody};
use breezeway_registry::{ChatReply, Registry, UpstreamError};
use breezeway_wire::ChatRequest;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use tower::ServiceExt;

/// Answers for models that no Ollama connection has.
pub(crate) struct Others {
    pub(crate) registry: Registry,
    pub(crate) chat: ChatRouter,
    pub(crate) vectors: Arc<dyn OwnEmbedding>,
    /// The API's routes.
    pub(crate) router: Router,
}

#[async_trait]
impl Elsewhere for Others {
    fn has(&self, principal: &Principal, model: &str) -> bool {
        let is_own = |(name, _): (String, _)| name == model && principal.key_allows_model(model);
        self.registry.resolve(principal, model).is_ok() || self.vectors.model().is_some_and(is_own)
    }

    async fn chat(&self, principal: &Principal, request: ChatRequest) -> Result<ChatReply, ElsewhereError> {
        match self.chat.complete(principal, request).await.map_err(told)? {
            Answer::Whole(body) => Ok(ChatReply::Whole(body)),
            Answer::Stream(frames) => Ok(ChatReply::Stream(frames)),
        }
    }

    async fn embed(
        &self,
        principal: &Principal,
        request: Map<String, Value>,
    ) -> Result<Bytes, ElsewhereError> {
        let body = Value::Object(request).to_string();
        let (head, body) = self.v1(principal, "/v1/embeddings", body.into()).await.into_parts();
        let body = body.collect().await.map_err(|error| UpstreamError::Broken(error.to_string()))?.to_bytes();
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        Err(ElsewhereError::Upstream(UpstreamError::Answered {
            status: head.status.as_u16(),
            content_type: text(header::CONTENT_TYPE).map(str::to_owned),
            retry_after: text(header::RETRY_AFTER).map(str::to_owned),
            body,
        }))
    }

    async fn v1(&self, principal: &Principal, path: &str, body: Bytes) -> Response<PassBody> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = path.parse().unwrap_or_default();
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        request.extensions_mut().insert(principal.clone());
        let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        response.map(PassBody::new)
    }
}

fn told(error: Error) -> ElsewhereError {
    match error {
        Error::NoSuchModel => ElsewhereError::NoSuchModel,
        Error::Limit(refusal) => ElsewhereError::Limit(refusal),
        Error::Upstream(upstream) => ElsewhereError::Upstream(upstream),
        other => {
            let kind = other.kind();
            let is_callers = kind == breezeway_core::ErrorKind::Invalid;
            if !is_callers {
                tracing::error!(error = %other, "A chat failed");
            }
            let text =
                if is_callers { other.to_string() } else { "The chat could not be answered.".to_owned() };
            ElsewhereError::Other { kind, text }
        }
    }
}

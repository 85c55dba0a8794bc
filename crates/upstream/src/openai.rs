//! The OpenAI-compatible upstream and embedder.

mod azure;
mod embeddings;

use async_trait::async_trait;
use breezeway_registry::{
    CatalogEntry, ChatReply, Connection, Error, Flavour, Upstream, UpstreamError, UpstreamReply,
};
use breezeway_wire::ChatRequest;
use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value, json};

use self::azure::Azure;
pub use self::embeddings::{OpenAiEmbedder, OpenAiEmbeddings};
use crate::{
    Endpoint, Exchange, HttpClient, Patience, RequestBody,
    answer::{Form, byte_stream, check_json_object, frame_stream},
    json_request,
    relay::{Asked, is_streamed, relayed},
};

/// A connection that speaks OpenAI's API.
#[derive(Clone, Debug)]
pub struct OpenAiUpstream {
    endpoint: Endpoint,
    exchange: Exchange,
    model_ids: Vec<String>,
    patience: Patience,
    azure: Option<Azure>,
}

impl OpenAiUpstream {
    /// The adapter of a connection.
    ///
    /// # Errors
    /// [`Error::BadConnection`] if its URL, key or a header cannot be used.
    pub fn new(connection: &Connection, client: HttpClient) -> Result<Self, Error> {
        let (endpoint, azure) = match connection.flavour() {
            Flavour::Plain | Flavour::Anthropic { .. } => (Endpoint::of(connection)?, None),
            Flavour::Azure { api_version } => {
                (Endpoint::with_key_in(connection, azure::KEY)?, Some(Azure::new(connection, api_version)))
            }
        };
        Ok(Self {
            endpoint,
            exchange: Exchange::of(connection, client),
            model_ids: azure
                .as_ref()
                .and_then(Azure::only_model)
                .unwrap_or_else(|| connection.model_ids.clone()),
            azure,
            patience: Patience::throughout(connection.idle_timeout),
        })
    }

    /// A request for an operation, such as `/chat/completions`.
    fn post(
        &self,
        operation: &str,
        request: &Map<String, Value>,
    ) -> Result<Request<RequestBody>, UpstreamError> {
        let body = json_request(request);
        match &self.azure {
            None => self.endpoint.post_json(operation, body),
            Some(azure) => self.endpoint.post_json(&azure.path(operation, request)?, body),
        }
    }
}

#[async_trait]
impl Upstream for OpenAiUpstream {
    async fn catalog(&self) -> Result<Vec<CatalogEntry>, UpstreamError> {
        if !self.model_ids.is_empty() {
            let entry = |id: &String| entry(json!({"id": id, "object": "model", "created": 0}));
            return Ok(self.model_ids.iter().filter_map(entry).collect());
        }
        let body = self.exchange.ask_whole(self.endpoint.get("/models")?).await?;
        catalog(&body)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatReply, UpstreamError> {
        let streamed = request.is_stream();
        let sent = self.post("/chat/completions", request.as_map())?;
        // Its bytes are on their way; holding both through a long answer would double what is held.
        drop(request);
        let request = sent;
        if !streamed {
            return self.exchange.ask_whole(request).await.and_then(whole_chat);
        }
        let response = self.exchange.ask(request).await?;
        match Form::of(&response) {
            // Some upstreams do not stream, or not every model; the answer is an answer all the same.
            Form::Json => self.exchange.rest(response).await.and_then(whole_chat),
            Form::Page => Err(UpstreamError::Malformed("a web page".to_owned())),
            Form::Other => {
                Ok(ChatReply::Stream(frame_stream(byte_stream(response.into_body(), self.patience))))
            }
        }
    }

    async fn embeddings(&self, request: Map<String, Value>) -> Result<Bytes, UpstreamError> {
        let body = self.exchange.ask_whole(self.post("/embeddings", &request)?).await?;
        check_json_object(&body)?;
        Ok(body)
    }

    async fn relay(&self, path: &str, request: Map<String, Value>) -> Result<UpstreamReply, UpstreamError> {
        let path = format!("/{}", path.trim_start_matches('/'));
        let sent = self.post(&path, &request)?;
        let streamed = is_streamed(&request);
        drop(request);
        let response = self.exchange.ask(sent).await?;
        relayed(&self.exchange, response, Asked { path: &path, streamed, patience: self.patience }).await
    }
}

fn whole_chat(body: Bytes) -> Result<ChatReply, UpstreamError> {
    check_json_object(&body)?;
    Ok(ChatReply::Whole(body))
}

/// Read a model list: OpenAI's `{"data": […]}`, or the bare list of some servers.
fn catalog(body: &[u8]) -> Result<Vec<CatalogEntry>, UpstreamError> {
    let mut value: Value = serde_json::from_slice(body)
        .map_err(|why| UpstreamError::Malformed(format!("no JSON in its model list: {why}")))?;
    let list = match value.get_mut("data") {
        Some(data) => data.take(),
        None => value,
    };
    match list {
        Value::Array(entries) => Ok(entries.into_iter().filter_map(entry).collect()),
        _ => Err(UpstreamError::Malformed("no list in its model list".to_owned())),
    }
}

/// An entry of a model list, unless it has no id.
fn entry(value: Value) -> Option<CatalogEntry> {
    let Value::Object(details) = value else { return None };
    let text = |field: &str| details.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let id = text("id")?.to_owned();
    let name = text("name").unwrap_or(&id).to_owned();
    let created = details.get("created").map_or(0, |created| {
        // Some servers write seconds with a fraction.
        created.as_i64().or(created.as_f64().map(|seconds| seconds as i64)).unwrap_or(0)
    });
    Some(CatalogEntry { id, name, created, details, loaded_until: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(body: &str) -> Result<Vec<String>, UpstreamError> {
        Ok(catalog(body.as_bytes())?.into_iter().map(|entry| entry.id).collect())
    }

    #[test]
    fn a_model_list_is_read_with_and_without_its_envelope() {
        assert_eq!(ids(r#"{"object":"list","data":[{"id":"a"},{"id":"b"}]}"#).unwrap(), ["a", "b"]);
        assert_eq!(ids(r#"[{"id":"a"}]"#).unwrap(), ["a"]);
    }

    #[test]
    fn entries_without_an_id_are_skipped() {
        assert_eq!(ids(r#"{"data":[{"id":""},{},7,null,{"id":3},{"id":"b"}]}"#).unwrap(), ["b"]);
    }

    #[test]
    fn what_is_no_list_is_malformed() {
        for body in ["<html></html>", "{}", r#"{"data":null}"#, "3", ""] {
            assert!(matches!(ids(body), Err(UpstreamError::Malformed(_))), "{body}");
        }
    }

    #[test]
    fn an_entry_keeps_all_its_upstream_says() {
        let entry = entry(json!({"id": "a", "name": "A", "created": 5.5, "x": [1]})).unwrap();

        assert_eq!((entry.name.as_str(), entry.created), ("A", 5));
        assert_eq!(entry.details["x"], json!([1]));
    }
}

//! The Ollama upstream.

mod catalog;

use std::time::Duration;

use async_trait::async_trait;
use breezeway_core::Clock;
use breezeway_registry::{
    CatalogEntry, ChatReply, Connection, Error, Upstream, UpstreamError, UpstreamReply,
};
use breezeway_upstream::{
    Endpoint, Exchange, HttpClient, Patience, Translation, byte_stream, json_object, json_request,
    translated, within,
};
use breezeway_wire::{ChatRequest, Frame, ndjson, ollama};
use bytes::Bytes;
use futures_util::future::join;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use uuid::Uuid;

/// What is loaded is an ornament of the catalogue and must not hold it up.
const LOADED_WAIT: Duration = Duration::from_secs(2);

/// A connection that speaks Ollama's API.
#[derive(Clone, Debug)]
pub struct OllamaUpstream {
    endpoint: Endpoint,
    exchange: Exchange,
    clock: Clock,
    patience: Patience,
}

impl OllamaUpstream {
    /// The adapter of a connection.
    ///
    /// # Errors
    /// [`Error::BadConnection`] if its URL, key or a header cannot be used.
    pub fn new(connection: &Connection, client: HttpClient, clock: Clock) -> Result<Self, Error> {
        Ok(Self {
            endpoint: Endpoint::of(connection)?,
            exchange: Exchange::of(connection, client),
            clock,
            // Loading a model takes as long as it takes; only a stream that has begun can be late.
            patience: Patience { first: None, between: connection.idle_timeout },
        })
    }

    /// Its version, as a check that it is one.
    pub async fn version(&self) -> Result<String, UpstreamError> {
        let answer = json_object(&self.exchange.ask_whole(self.endpoint.get("/api/version")?).await?)?;
        let version = answer.get("version").and_then(Value::as_str);
        version.map(str::to_owned).ok_or_else(|| UpstreamError::Malformed("no `version`".to_owned()))
    }

    async fn loaded(&self) -> Result<Bytes, UpstreamError> {
        within(Some(LOADED_WAIT), self.exchange.ask_whole(self.endpoint.get("/api/ps")?)).await
    }
}

#[async_trait]
impl Upstream for OllamaUpstream {
    async fn catalog(&self) -> Result<Vec<CatalogEntry>, UpstreamError> {
        let tags = self.endpoint.get("/api/tags")?;
        let (tags, loaded) = join(self.exchange.ask_whole(tags), self.loaded()).await;
        catalog::read(&tags?, loaded.ok().as_deref())
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatReply, UpstreamError> {
        let streamed = request.is_stream();
        let model = request.model().unwrap_or_default().to_owned();
        // Open WebUI names whole answers after the model, and streamed ones as OpenAI does.
        let id = match streamed {
            true => format!("chatcmpl-{}", Uuid::new_v4()),
            false => format!("{model}-{}", Uuid::new_v4()),
        };
        let stamp = ollama::Stamp { id, created: self.clock.now().seconds(), model };
        let body = json_request(&ollama::chat_request(request));
        let request = self.endpoint.post_json("/api/chat", body)?;
        if streamed {
            let response = self.exchange.ask(request).await?;
            let lines = byte_stream(response.into_body(), self.patience);
            return Ok(ChatReply::Stream(translated(lines, Lines::new(stamp))));
        }
        let answer = json_object(&self.exchange.ask_whole(request).await?)?;
        let completion = ollama::completion(&answer, &stamp).map_err(malformed)?;
        Ok(ChatReply::Whole(completion.to_string().into()))
    }

    async fn embeddings(&self, request: Map<String, Value>) -> Result<Bytes, UpstreamError> {
        let model = request.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (request, encoding) = ollama::embed_request(request);
        let body =
            self.exchange.ask_whole(self.endpoint.post_json("/api/embed", json_request(&request))?).await?;
        let answer = ollama::embeddings(json_object(&body)?, &model, encoding).map_err(malformed)?;
        Ok(answer.to_string().into())
    }

    async fn relay(&self, path: &str, request: Map<String, Value>) -> Result<UpstreamReply, UpstreamError> {
        let path = format!("/v1/{}", path.trim_start_matches('/'));
        let response = self.exchange.ask(self.endpoint.post_json(&path, json_request(&request))?).await?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok(UpstreamReply {
            status: response.status().as_u16(),
            content_type: content_type.map(str::to_owned),
            body: byte_stream(response.into_body(), self.patience),
        })
    }
}

fn malformed(why: ollama::Malformed) -> UpstreamError {
    UpstreamError::Malformed(why.to_string())
}

/// The lines of a streamed answer.
struct Lines {
    /// Gone once the bytes have ended.
    decoder: Option<ndjson::Decoder>,
    translator: ollama::StreamTranslator,
}

impl Lines {
    fn new(stamp: ollama::Stamp) -> Self {
        Self {
            decoder: Some(ndjson::Decoder::new(ndjson::MAX_FRAME_BYTES)),
            translator: ollama::StreamTranslator::new(stamp),
        }
    }

    fn translate(
        &mut self,
        lines: impl IntoIterator<Item = ndjson::Line>,
    ) -> Result<Vec<Frame>, UpstreamError> {
        let mut frames = Vec::new();
        for line in lines.into_iter().filter(|line| !line.is_blank()) {
            let line =
                line.json().map_err(|why| UpstreamError::Malformed(format!("no JSON in a line: {why}")))?;
            frames.extend(self.translator.push(&line));
        }
        Ok(frames)
    }
}

impl Translation for Lines {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, UpstreamError> {
        let Some(decoder) = &mut self.decoder else { return Ok(Vec::new()) };
        let lines = decoder.push(bytes).map_err(|long| UpstreamError::Malformed(long.to_string()))?;
        self.translate(lines)
    }

    fn finish(&mut self) -> Result<Vec<Frame>, UpstreamError> {
        let last = self.decoder.take().and_then(ndjson::Decoder::finish);
        self.translate(last)
    }

    fn is_done(&self) -> bool {
        self.translator.is_done()
    }
}

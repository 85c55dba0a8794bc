//! The Ollama upstream.

mod catalog;

use std::{collections::VecDeque, time::Duration};

use async_trait::async_trait;
use breezeway_core::Clock;
use breezeway_registry::{
    ByteStream, CatalogEntry, ChatReply, Connection, Error, FrameStream, Upstream, UpstreamError,
    UpstreamReply,
};
use breezeway_upstream::{
    Endpoint, HttpClient, Patience, RequestBody, answered, byte_stream, json_object, json_request, plain,
    within,
};
use breezeway_wire::{ChatRequest, Frame, ndjson, ollama};
use bytes::Bytes;
use futures_util::{StreamExt, future::join, stream};
use http::{Request, Response, header::CONTENT_TYPE};
use hyper::body::Incoming;
use serde_json::{Map, Value};
use tokio::time::timeout;
use uuid::Uuid;

/// What is loaded is an ornament of the catalogue and must not hold it up.
const LOADED_WAIT: Duration = Duration::from_secs(2);

/// How long the end of a body may follow the last line, before the connection is given up.
const END_WAIT: Duration = Duration::from_millis(20);

/// A connection that speaks Ollama's API.
#[derive(Clone, Debug)]
pub struct OllamaUpstream {
    endpoint: Endpoint,
    client: HttpClient,
    clock: Clock,
    timeout: Option<Duration>,
    first_byte_timeout: Option<Duration>,
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
            client,
            clock,
            timeout: connection.timeout,
            first_byte_timeout: connection.routing.first_byte_timeout,
            // Loading a model takes as long as it takes; only a stream that has begun can be late.
            patience: Patience { first: None, between: connection.idle_timeout },
        })
    }

    /// Its version, as a check that it is one.
    pub async fn version(&self) -> Result<String, UpstreamError> {
        let answer = json_object(&self.ask_whole(self.endpoint.get("/api/version")?).await?)?;
        let version = answer.get("version").and_then(Value::as_str);
        version.map(str::to_owned).ok_or_else(|| UpstreamError::Malformed("no `version`".to_owned()))
    }

    async fn ask(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, UpstreamError> {
        within(self.timeout, async { plain(answered(self.head(request).await?).await?) }).await
    }

    /// The head of an answer, whatever its status.
    async fn head(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, UpstreamError> {
        within(self.first_byte_timeout, self.client.send(request)).await
    }

    async fn ask_whole(&self, request: Request<RequestBody>) -> Result<Bytes, UpstreamError> {
        within(self.timeout, async {
            let response = plain(answered(self.head(request).await?).await?)?;
            self.client.whole(response.into_body()).await
        })
        .await
    }

    async fn loaded(&self) -> Result<Bytes, UpstreamError> {
        within(Some(LOADED_WAIT), self.ask_whole(self.endpoint.get("/api/ps")?)).await
    }
}

#[async_trait]
impl Upstream for OllamaUpstream {
    async fn catalog(&self) -> Result<Vec<CatalogEntry>, UpstreamError> {
        let tags = self.endpoint.get("/api/tags")?;
        let (tags, loaded) = join(self.ask_whole(tags), self.loaded()).await;
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
            let response = self.ask(request).await?;
            let lines = byte_stream(response.into_body(), self.patience);
            return Ok(ChatReply::Stream(translated(lines, stamp)));
        }
        let answer = json_object(&self.ask_whole(request).await?)?;
        let completion = ollama::completion(&answer, &stamp).map_err(malformed)?;
        Ok(ChatReply::Whole(completion.to_string().into()))
    }

    async fn embeddings(&self, request: Map<String, Value>) -> Result<Bytes, UpstreamError> {
        let model = request.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (request, encoding) = ollama::embed_request(request);
        let body = self.ask_whole(self.endpoint.post_json("/api/embed", json_request(&request))?).await?;
        let answer = ollama::embeddings(json_object(&body)?, &model, encoding).map_err(malformed)?;
        Ok(answer.to_string().into())
    }

    async fn relay(&self, path: &str, request: Map<String, Value>) -> Result<UpstreamReply, UpstreamError> {
        let path = format!("/v1/{}", path.trim_start_matches('/'));
        let response = self.ask(self.endpoint.post_json(&path, json_request(&request))?).await?;
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

/// The lines of a streamed answer as frames of OpenAI's dialect. Lines that end without the last one
/// are a broken stream.
fn translated(bytes: ByteStream, stamp: ollama::Stamp) -> FrameStream {
    let start = Lines {
        bytes,
        decoder: Some(ndjson::Decoder::new(ndjson::MAX_FRAME_BYTES)),
        translator: ollama::StreamTranslator::new(stamp),
        ready: VecDeque::new(),
    };
    Box::pin(stream::unfold(Some(start), |state| async move { state?.next().await }))
}

struct Lines {
    bytes: ByteStream,
    /// Gone once the bytes have ended.
    decoder: Option<ndjson::Decoder>,
    translator: ollama::StreamTranslator,
    ready: VecDeque<Frame>,
}

impl Lines {
    async fn next(mut self) -> Option<(Result<Frame, UpstreamError>, Option<Self>)> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some((Ok(frame), Some(self)));
            }
            if self.translator.is_done() {
                // The end is usually there already; having read it, the connection is reused.
                let _ = timeout(END_WAIT, async { while let Some(Ok(_)) = self.bytes.next().await {} }).await;
                return None;
            }
            if let Err(error) = self.read_on().await {
                return Some((Err(error), None));
            }
        }
    }

    async fn read_on(&mut self) -> Result<(), UpstreamError> {
        let broken = || UpstreamError::Broken("the answer ended before it was complete".to_owned());
        let decoder = self.decoder.as_mut().ok_or_else(broken)?;
        let lines = match self.bytes.next().await {
            Some(piece) => {
                decoder.push(&piece?).map_err(|long| UpstreamError::Malformed(long.to_string()))?
            }
            None => self.decoder.take().and_then(ndjson::Decoder::finish).into_iter().collect(),
        };
        for line in lines.iter().filter(|line| !line.is_blank()) {
            let line =
                line.json().map_err(|why| UpstreamError::Malformed(format!("no JSON in a line: {why}")))?;
            self.ready.extend(self.translator.push(&line));
        }
        Ok(())
    }
}

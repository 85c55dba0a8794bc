//! The upstream that speaks Anthropic's Messages API and nothing else.
//!
//! Chats are put into its dialect and its answers into OpenAI's ([`breezeway_wire::anthropic::upstream`]).
//! A request that is Anthropic's already goes through as it is ([`Upstream::relay`]).

mod catalog;
mod events;

use async_trait::async_trait;
use breezeway_core::Clock;
use breezeway_registry::{
    CatalogEntry, ChatReply, Connection, Error, Flavour, Upstream, UpstreamError, UpstreamReply,
};
use breezeway_wire::{
    ChatRequest, Unusable,
    anthropic::upstream::{EventTranslator, completion, messages_request},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request,
    header::{CONTENT_TYPE, InvalidHeaderValue},
};
use serde_json::{Map, Value, json};

use self::events::Events;
use crate::{
    Endpoint, Exchange, HttpClient, Patience, RequestBody,
    answer::{Form, byte_stream, json_object},
    full_body, json_request,
    relay::{Asked, is_streamed, relayed},
    translated,
};

const KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// Where a request says which beta features it wants; Anthropic reads a header. The name is the one that
/// Bedrock has for it.
const BETA_FIELD: &str = "anthropic_beta";

/// A connection that speaks Anthropic's API.
#[derive(Clone, Debug)]
pub struct AnthropicUpstream {
    endpoint: Endpoint,
    exchange: Exchange,
    clock: Clock,
    /// What stands before the paths of the API, if the address has not got it.
    version_path: &'static str,
    model_ids: Vec<String>,
    max_tokens: u64,
    patience: Patience,
}

impl AnthropicUpstream {
    /// The adapter of a connection whose flavour is [`Flavour::Anthropic`].
    ///
    /// # Errors
    /// [`Error::BadConnection`] if its URL, key or a header cannot be used, or if it is of another flavour.
    pub fn new(connection: &Connection, client: HttpClient, clock: Clock) -> Result<Self, Error> {
        let bad = |why: &str| Error::BadConnection { url: connection.url.clone(), why: why.to_owned() };
        let Flavour::Anthropic { version, max_tokens } = connection.flavour() else {
            return Err(bad("it is not marked as one of Anthropic's"));
        };
        let version: Result<HeaderValue, InvalidHeaderValue> = version.try_into();
        let version = version.map_err(|_| bad("its `anthropic_version` is no header value"))?;
        let endpoint = Endpoint::with_key_in(connection, KEY)?.with_header(VERSION, version);
        let version_path = if endpoint.url().ends_with("/v1") { "" } else { "/v1" };
        Ok(Self {
            endpoint,
            exchange: Exchange::of(connection, client),
            clock,
            version_path,
            model_ids: connection.model_ids.clone(),
            max_tokens,
            patience: Patience::throughout(connection.idle_timeout),
        })
    }

    /// A request for an operation, such as `/messages`.
    fn post(
        &self,
        operation: &str,
        mut request: Map<String, Value>,
    ) -> Result<Request<RequestBody>, UpstreamError> {
        let mut headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if let Some(beta) = request.shift_remove(BETA_FIELD).as_ref().and_then(beta) {
            headers.insert(BETA, beta);
        }
        let path = format!("{}{operation}", self.version_path);
        self.endpoint.request(Method::POST, &path, headers, full_body(json_request(&request)))
    }

    fn whole_chat(&self, body: &[u8]) -> Result<ChatReply, UpstreamError> {
        let completion = completion(&json_object(body)?, self.clock.now().seconds());
        let completion = completion.map_err(|why| UpstreamError::Malformed(why.to_string()))?;
        Ok(ChatReply::Whole(completion.to_string().into()))
    }
}

#[async_trait]
impl Upstream for AnthropicUpstream {
    async fn catalog(&self) -> Result<Vec<CatalogEntry>, UpstreamError> {
        if !self.model_ids.is_empty() {
            let entry = |id: &String| catalog::entry(json!({"id": id, "type": "model"}));
            return Ok(self.model_ids.iter().filter_map(entry).collect());
        }
        let mut entries = Vec::new();
        let mut after = None;
        for _ in 0..catalog::MOST_PAGES {
            let path = catalog::path(self.version_path, after.as_deref());
            let page = catalog::page(&self.exchange.ask_whole(self.endpoint.get(&path)?).await?)?;
            entries.extend(page.entries);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(entries)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatReply, UpstreamError> {
        let streamed = request.is_stream();
        let options = request.as_map().get("stream_options");
        let wants_usage = options.is_some_and(|options| options["include_usage"] == true);
        let body = messages_request(request, self.max_tokens).map_err(refused)?;
        let request = self.post("/messages", body)?;
        if !streamed {
            return self.whole_chat(&self.exchange.ask_whole(request).await?);
        }
        let response = self.exchange.ask(request).await?;
        match Form::of(&response) {
            // Some who speak the dialect do not stream; the answer is an answer all the same.
            Form::Json => {
                let body = self.exchange.rest(response).await?;
                self.whole_chat(&body)
            }
            Form::Page => Err(UpstreamError::Malformed("a web page".to_owned())),
            Form::Other => {
                let translator = EventTranslator::new(self.clock.now().seconds(), wants_usage);
                let bytes = byte_stream(response.into_body(), self.patience);
                Ok(ChatReply::Stream(translated(bytes, Events::new(translator))))
            }
        }
    }

    async fn embeddings(&self, _request: Map<String, Value>) -> Result<Bytes, UpstreamError> {
        Err(UpstreamError::Unsupported("embeddings"))
    }

    async fn relay(&self, path: &str, request: Map<String, Value>) -> Result<UpstreamReply, UpstreamError> {
        let path = path.trim_start_matches('/');
        let (streamed, patience) = (is_streamed(&request), self.patience);
        let response = self.exchange.ask(self.post(&format!("/{path}"), request)?).await?;
        relayed(&self.exchange, response, Asked { path, streamed, patience }).await
    }
}

/// A chat that Anthropic's models cannot be asked, as an upstream would refuse it.
fn refused(why: Unusable) -> UpstreamError {
    let message = format!("`{}` {}", why.field, why.why);
    let error = json!({"error": {"message": message, "type": "invalid_request_error", "param": why.field, "code": null}});
    UpstreamError::Answered {
        status: 400,
        content_type: Some("application/json".to_owned()),
        body: error.to_string().into(),
        retry_after: None,
    }
}

/// The beta features of a request as a header: a text, or a list of them.
fn beta(said: &Value) -> Option<HeaderValue> {
    let all: Vec<&str> = match said {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    HeaderValue::from_str(&all.join(",")).ok().filter(|value| !value.is_empty())
}

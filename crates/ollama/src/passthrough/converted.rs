//! Models of other upstreams, for clients that speak Ollama's dialect alone.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Instant,
};

use breezeway_core::Principal;
use breezeway_registry::{ChatReply, ConnectionKind, FrameStream, Model, UpstreamError};
use breezeway_wire::{
    ChatRequest, Translate, Unusable,
    ollama::client::{self, Form, LineTranslator, Told},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};

use super::{
    Passthrough,
    body::{PassBody, json},
    elsewhere::Elsewhere,
    failure::Failure,
    routes::Found,
};
use breezeway_upstream::time::text_of;

/// The version that is told where no Ollama can be asked: that of the API spoken here.
pub(super) const VERSION: &str = "0.12.3";

/// What means something to Ollama alone. A custom model on top of one of its models understands it.
const NATIVE: [&str; 4] = ["options", "keep_alive", "format", "think"];

impl Passthrough {
    /// Answer for a model that no Ollama connection has, if somebody else has it and the route is one
    /// that means something for it.
    pub(super) async fn ask_elsewhere(
        &self,
        principal: &Principal,
        found: &Found<'_>,
        name: &str,
        body: &Bytes,
    ) -> Result<Response<PassBody>, Failure> {
        let unknown = || Failure::UnknownModel(name.to_owned());
        let elsewhere = self.elsewhere.as_deref().filter(|elsewhere| elsewhere.has(principal, name));
        let elsewhere = elsewhere.ok_or_else(unknown)?;
        if found.path.starts_with("/v1/") {
            return Ok(elsewhere.v1(principal, found.path, body.clone()).await);
        }
        let mut request: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        request.retain(|field, _| !field.eq_ignore_ascii_case("model"));
        request.insert("model".into(), name.into());
        match found.path {
            "/api/chat" => self.chat(elsewhere, principal, name, request, Form::Chat).await,
            "/api/generate" => self.chat(elsewhere, principal, name, request, Form::Generate).await,
            "/api/embed" => embed(elsewhere, principal, name, request, false).await,
            "/api/embeddings" => embed(elsewhere, principal, name, request, true).await,
            "/api/show" => {
                let route = self.registry.resolve(principal, name).map_err(|_| unknown())?;
                Ok(json(200, &shown(&route.model)))
            }
            _ => Err(unknown()),
        }
    }

    async fn chat(
        &self,
        elsewhere: &dyn Elsewhere,
        principal: &Principal,
        name: &str,
        request: Map<String, Value>,
        form: Form,
    ) -> Result<Response<PassBody>, Failure> {
        let begun = Instant::now();
        let elapsed = move || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let created_at = text_of(self.registry.clock().now().seconds());
        let told = Told { model: name.to_owned(), created_at };
        if let Some(reason) = asks_nothing(&request, form) {
            return Ok(json(200, &loaded(form, &told, reason)));
        }
        let native: Vec<(&str, Value)> =
            NATIVE.into_iter().filter_map(|field| Some((field, request.get(field)?.clone()))).collect();
        let mut chat = match form {
            Form::Chat => client::chat_of_chat(request),
            Form::Generate => client::chat_of_generate(request),
        }
        .map_err(unusable)?;
        if self.is_ollamas(principal, name) {
            keep(&mut chat, native);
        }
        match elsewhere.chat(principal, chat).await.map_err(|error| Failure::elsewhere(error, name))? {
            ChatReply::Whole(completion) => {
                let completion: Map<String, Value> = serde_json::from_slice(&completion).unwrap_or_default();
                let answer = client::answer(&completion, form, &told, elapsed());
                let none = || UpstreamError::Malformed("no chat completion".to_owned());
                Ok(json(200, &answer.ok_or_else(none)?))
            }
            ChatReply::Stream(frames) => {
                let lines = lines(frames, LineTranslator::new(form, told, elapsed));
                let mut response = Response::new(PassBody::pieces(lines));
                let ndjson = HeaderValue::from_static("application/x-ndjson");
                response.headers_mut().insert(CONTENT_TYPE, ndjson);
                Ok(response)
            }
        }
    }

    /// Whether the model is a custom one on top of one of Ollama's.
    fn is_ollamas(&self, principal: &Principal, name: &str) -> bool {
        let route = self.registry.resolve(principal, name);
        route.is_ok_and(|route| route.connection.kind == ConnectionKind::Ollama)
    }
}

fn keep(chat: &mut ChatRequest, native: Vec<(&str, Value)>) {
    for (field, value) in native {
        chat.as_map_mut().insert(field.to_owned(), value);
    }
}

/// Ollama's way to load a model, or to take it out of memory: a question without a word. The reason
/// that Ollama ends it with, if it is one.
fn asks_nothing(request: &Map<String, Value>, form: Form) -> Option<&'static str> {
    let is_empty = |field: &str| match request.get(field) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    };
    let nothing = match form {
        Form::Chat => is_empty("messages"),
        Form::Generate => is_empty("prompt") && is_empty("images") && is_empty("system"),
    };
    let leaves = request.get("keep_alive").is_some_and(|keep| *keep == json!(0) || *keep == json!("0"));
    nothing.then_some(if leaves { "unload" } else { "load" })
}

fn loaded(form: Form, told: &Told, reason: &str) -> Value {
    let mut answer = json!({"model": told.model, "created_at": told.created_at});
    match form {
        Form::Chat => answer["message"] = json!({"role": "assistant", "content": ""}),
        Form::Generate => answer["response"] = "".into(),
    }
    answer["done"] = true.into();
    answer["done_reason"] = reason.into();
    answer
}

async fn embed(
    elsewhere: &dyn Elsewhere,
    principal: &Principal,
    name: &str,
    request: Map<String, Value>,
    single: bool,
) -> Result<Response<PassBody>, Failure> {
    let request = client::embed_request(request).map_err(unusable)?;
    let answer = elsewhere.embed(principal, request).await;
    let answer = answer.map_err(|error| Failure::elsewhere(error, name))?;
    let answer: Map<String, Value> = serde_json::from_slice(&answer).unwrap_or_default();
    let none = || UpstreamError::Malformed("no embeddings".to_owned());
    Ok(json(200, &client::embed_answer(answer, name, single).ok_or_else(none)?))
}

fn unusable(what: Unusable) -> Failure {
    Failure::invalid("value_error", &["body", what.field], &what.to_string(), Value::Null)
}

/// The lines of a streamed answer, as they come.
fn lines(frames: FrameStream, translator: LineTranslator) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(Some((frames, translator)), |state| async move {
        let (mut frames, mut translator) = state?;
        loop {
            let (lines, goes_on) = match frames.next().await {
                Some(Ok(frame)) => (translator.push(&frame), true),
                Some(Err(error)) => (translator.fail(&error.to_string()), false),
                None => (translator.finish(), false),
            };
            if !lines.is_empty() || !goes_on {
                let bytes: Bytes = lines.iter().flat_map(|line| line.raw.iter().copied()).collect();
                return (!bytes.is_empty()).then(|| (bytes, goes_on.then_some((frames, translator))));
            }
        }
    })
}

/// A model of another upstream as `/api/tags` lists it. Nobody knows how large it is.
pub(super) fn tag(model: &Model) -> Value {
    let created = model.shown().map_or(0, |offer| offer.entry.created);
    let custom = model.overlay.as_ref().filter(|_| model.is_custom());
    let modified = custom.map_or(created, |overlay| overlay.updated_at.seconds());
    let connection_type = model.shown().and_then(|offer| offer.connection.connection_type.as_deref());
    json!({
        "name": model.id.as_str(),
        "model": model.id.as_str(),
        "modified_at": text_of(modified.max(0)),
        "size": 0,
        "digest": digest(model.id.as_str()),
        "details": details(),
        "connection_type": connection_type.unwrap_or("external"),
    })
}

/// What `/api/show` says of such a model.
fn shown(model: &Model) -> Value {
    let capabilities = model.overlay.as_ref().and_then(|overlay| overlay.meta.get("capabilities"));
    let sees = capabilities.is_some_and(|capabilities| capabilities["vision"] == true);
    let can: Vec<&str> = ["completion", "tools"].into_iter().chain(sees.then_some("vision")).collect();
    json!({
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": details(),
        "model_info": {"general.architecture": "unknown", "general.basename": model.name},
        "capabilities": can,
        "modified_at": tag(model)["modified_at"],
    })
}

fn details() -> Value {
    json!({
        "parent_model": "",
        "format": "",
        "family": "",
        "families": [],
        "parameter_size": "",
        "quantization_level": "",
    })
}

/// Clients cut twelve letters off the front of it, and tell models apart by them.
fn digest(id: &str) -> String {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    format!("{:016x}", hasher.finish()).repeat(4)
}

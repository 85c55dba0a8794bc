//! Services that read documents: Tika, Docling, and whatever speaks Open WebUI's protocol for such.
//!
//! The requests are those that such services get from Open WebUI, so one that works there works here.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use breezeway_ingest::{
    extract::Hint,
    service::{DocumentService, EngineConfig, EngineKind, ServiceError, ServicePart, is_plain_text},
};
use breezeway_upstream::{HttpClient, RequestBody, full_body};
use bytes::Bytes;
use http::{Request, StatusCode, request::Builder};
use serde_json::{Map, Value};
use tokio::time::timeout;

mod form;

use self::form::Form;

/// As much of a service's own words about an error as is shown.
const LONGEST_REASON: usize = 300;

/// The service in use, if there is one.
pub(crate) fn service(config: &EngineConfig, client: &HttpClient) -> Option<Arc<dyn DocumentService>> {
    let url = config.url().trim_end_matches('/').to_owned();
    if url.is_empty() {
        return None;
    }
    // A key goes to nobody but the one it was given for.
    let key = config.key.as_ref().filter(|(of, _)| of.trim_end_matches('/') == url);
    let key = key.map(|(_, key)| key.expose().to_owned());
    let remote = Remote { url, key, client: client.clone(), timeout: config.timeout };
    Some(match config.kind {
        EngineKind::Local => return None,
        EngineKind::Tika => Arc::new(Tika { remote, pdf_images: config.pdf_images }),
        EngineKind::Docling => Arc::new(Docling { remote, params: config.docling_params.clone() }),
        EngineKind::External => Arc::new(External { remote }),
    })
}

/// What all of them have in common.
struct Remote {
    url: String,
    key: Option<String>,
    client: HttpClient,
    timeout: Duration,
}

impl Remote {
    /// Send a request and read the answer as JSON.
    async fn ask(&self, request: Builder, body: RequestBody) -> Result<Value, ServiceError> {
        let broken = |error: &dyn std::fmt::Display| ServiceError::Unavailable(error.to_string());
        let request = request.body(body).map_err(|error| broken(&error))?;
        let exchange = async {
            let answer = self.client.send(request).await.map_err(|error| broken(&error))?;
            let status = answer.status();
            let body = self.client.whole(answer.into_body()).await.map_err(|error| broken(&error))?;
            Ok((status, body))
        };
        let seconds = self.timeout.as_secs();
        let late = |_| ServiceError::Unavailable(format!("no answer within {seconds} seconds"));
        let (status, body) = timeout(self.timeout, exchange).await.map_err(late)??;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|_| ServiceError::Refused("it answered something else than JSON".to_owned()))
    }
}

/// What a status that is no success means, with the service's own words.
fn refusal(status: StatusCode, body: &Bytes) -> ServiceError {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = ["detail", "message", "error"].iter().find_map(|name| json.get(name));
    let words = match words {
        Some(Value::String(words)) => words.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let words: String = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().take(LONGEST_REASON).collect();
    let reason = status.canonical_reason().unwrap_or_default();
    let text = match words.is_empty() {
        true => format!("{} {reason}", status.as_u16()),
        false => format!("{} {reason} - {words}", status.as_u16()),
    };
    let may_pass = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    // Services of this kind answer 500 for a document they cannot read as often as for a fault of
    // their own. Trying again is bounded, so both are tried again.
    if may_pass { ServiceError::Unavailable(text) } else { ServiceError::Refused(text) }
}

fn text_of(value: &Value, pointer: &str) -> Result<String, ServiceError> {
    match value.pointer(pointer) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(ServiceError::Refused("No text content found".to_owned())),
    }
}

struct Tika {
    remote: Remote,
    pdf_images: bool,
}

#[async_trait]
impl DocumentService for Tika {
    fn name(&self) -> &'static str {
        "Tika"
    }

    fn takes(&self, hint: &Hint) -> bool {
        !is_plain_text(hint)
    }

    async fn read(&self, _hint: &Hint, bytes: Bytes) -> Result<Vec<ServicePart>, ServiceError> {
        // No type is sent: it tells that better by itself than by what uploaders say.
        let mut request =
            Request::put(format!("{}/tika/text", self.remote.url)).header("accept", "application/json");
        if self.pdf_images {
            request = request.header("x-tika-pdfextractinlineimages", "true");
        }
        let answer = self.remote.ask(request, full_body(bytes)).await?;
        let text = text_of(&answer, "/X-TIKA:content")?;
        let mut metadata = Map::new();
        for (theirs, ours) in
            [("dc:title", "title"), ("dc:creator", "author"), ("xmpTPg:NPages", "total_pages")]
        {
            if let Some(value) = answer.get(theirs) {
                metadata.insert(ours.to_owned(), value.clone());
            }
        }
        Ok(vec![ServicePart { text, page: None, metadata }])
    }
}

struct Docling {
    remote: Remote,
    params: Map<String, Value>,
}

#[async_trait]
impl DocumentService for Docling {
    fn name(&self) -> &'static str {
        "Docling"
    }

    fn takes(&self, hint: &Hint) -> bool {
        !is_plain_text(hint)
    }

    async fn read(&self, hint: &Hint, bytes: Bytes) -> Result<Vec<ServicePart>, ServiceError> {
        let mut form = Form::new();
        if !self.params.contains_key("image_export_mode") {
            form.field("image_export_mode", "placeholder");
        }
        for (name, value) in &self.params {
            match value {
                Value::Null => {}
                Value::Array(values) => values.iter().for_each(|value| form.field(name, &plain(value))),
                value => form.field(name, &plain(value)),
            }
        }
        form.file("files", &hint.name, &hint.media_type, &bytes);
        let mut request = Request::post(format!("{}/v1/convert/file", self.remote.url))
            .header("content-type", form.content_type());
        if let Some(key) = &self.remote.key {
            request = request.header("x-api-key", key);
        }
        let answer = self.remote.ask(request, full_body(form.finish())).await?;
        let text = text_of(&answer, "/document/md_content")?;
        Ok(vec![ServicePart { text, ..ServicePart::default() }])
    }
}

/// A value as a form carries it: texts without their quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

struct External {
    remote: Remote,
}

#[async_trait]
impl DocumentService for External {
    fn name(&self) -> &'static str {
        "the external document loader"
    }

    fn takes(&self, _hint: &Hint) -> bool {
        true
    }

    async fn read(&self, hint: &Hint, bytes: Bytes) -> Result<Vec<ServicePart>, ServiceError> {
        let mut request = Request::put(format!("{}/process", self.remote.url))
            .header("x-filename", form::quoted(&hint.name));
        if http::HeaderValue::from_str(&hint.media_type).is_ok() && !hint.media_type.is_empty() {
            request = request.header("content-type", &hint.media_type);
        }
        if let Some(key) = &self.remote.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let parts = match self.remote.ask(request, full_body(bytes)).await? {
            Value::Array(parts) => parts,
            part @ Value::Object(_) => vec![part],
            _ => return Err(ServiceError::Refused("No content returned".to_owned())),
        };
        parts.iter().map(part).collect()
    }
}

fn part(value: &Value) -> Result<ServicePart, ServiceError> {
    let text = text_of(value, "/page_content")?;
    let metadata = value.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let page = metadata.get("page").and_then(Value::as_u64).and_then(|page| u32::try_from(page).ok());
    Ok(ServicePart { text, page, metadata })
}

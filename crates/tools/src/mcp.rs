//! The Model Context Protocol over streamable HTTP, as far as tools need it.
//!
//! # Design
//! This is a client of our own and not the `rmcp` crate. That one brings a service with tasks it starts
//! itself, which shutdown could not wait for, reconnects by rules of its own, and wants to own the
//! stream of messages; what is needed here is four requests and one way to read their answers, over the
//! client that all other upstreams share. Messages that a server sends beside an answer (progress, logs,
//! questions of its own) are passed over, since no capability was claimed for them.
//!
//! A session belongs to one request of a caller: whatever a server keeps in it, the next caller does
//! not find it there.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use breezeway_chat::{ToolFailure, ToolFunction};
use breezeway_registry::UpstreamError;
use breezeway_upstream::within;
use breezeway_wire::sse;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::Sender;

use crate::{
    Error, Result,
    caller::{Answer, CALL_WAIT, Caller, LISTING_WAIT, MOST_DESCRIPTION, MOST_RESULT},
    listing::{LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_SCHEMA, Listing, MOST_FUNCTIONS, Offer, cut},
};

/// The version that is offered; servers answer with the one they will speak.
const VERSION: &str = "2025-06-18";

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const SPOKEN: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// Pages of a list that are read.
const MOST_PAGES: usize = 16;

/// A session that is begun when it is needed. Dropping it tells the server, if anybody runs the queue.
pub(crate) struct Session {
    caller: Caller,
    path: String,
    opened: Mutex<Option<Arc<Opened>>>,
    /// Held by whoever begins.
    turn: tokio::sync::Mutex<()>,
    numbers: AtomicU64,
    closings: Sender<Closing>,
}

/// A session that was begun.
struct Opened {
    headers: HeaderMap,
    title: String,
    description: String,
}

/// A session that is to be ended.
pub(crate) struct Closing {
    caller: Caller,
    path: String,
    headers: HeaderMap,
}

impl Closing {
    /// Tell the server. What it answers makes no difference.
    pub(crate) async fn run(self) {
        let told = self.caller.send(Method::DELETE, &self.path, self.headers, None);
        let _ = within(Some(LISTING_WAIT), told).await;
    }
}

impl Session {
    pub(crate) fn new(caller: Caller, path: &str, closings: Sender<Closing>) -> Self {
        Self {
            caller,
            path: path.to_owned(),
            opened: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            numbers: AtomicU64::new(1),
            closings,
        }
    }

    /// Ask what there is.
    pub(crate) async fn listing(&self) -> Result<Listing> {
        let opened = self.open().await?;
        let mut offers = Vec::new();
        let mut cursor = Value::Null;
        for _ in 0..MOST_PAGES {
            let parameters = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
            let page = self.ask(&opened, "tools/list", parameters, MOST_DESCRIPTION).await??;
            let Some(tools) = page["tools"].as_array() else {
                return Err(Error::BadDescription("its list has no `tools`".into()));
            };
            let room = MOST_FUNCTIONS - offers.len();
            offers.extend(tools.iter().filter_map(offer).take(room));
            match &page["nextCursor"] {
                Value::String(next) if offers.len() < MOST_FUNCTIONS => cursor = next.as_str().into(),
                _ => break,
            }
        }
        Ok(Listing { title: opened.title.clone(), description: opened.description.clone(), offers })
    }

    /// Call a tool.
    pub(crate) async fn call(
        &self,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<String, ToolFailure> {
        let asked = within(Some(CALL_WAIT), async {
            let parameters = json!({"name": name, "arguments": arguments});
            let opened = self.open().await.map_err(as_upstream)?;
            match self.ask(&opened, "tools/call", parameters.clone(), MOST_RESULT).await {
                // The server has forgotten the session, so it has not run the call either.
                Err(UpstreamError::Answered { status: 404, .. }) if opened.headers.contains_key(SESSION) => {
                    self.forget(&opened);
                    let opened = self.open().await.map_err(as_upstream)?;
                    self.ask(&opened, "tools/call", parameters, MOST_RESULT).await
                }
                other => other,
            }
        });
        let answered = asked.await.map_err(|error| {
            tracing::info!(%error, "A tool failed");
            self.caller.failure(&error)
        })?;
        let (text, has_failed) = match answered {
            Ok(result) => (text_of(&result), result["isError"] == true),
            Err(Refused(why)) => (why, true),
        };
        let text = self.caller.without_secrets(text);
        if has_failed { Err(ToolFailure(text)) } else { Ok(text) }
    }

    async fn open(&self) -> Result<Arc<Opened>> {
        let _turn = self.turn.lock().await;
        if let Some(opened) = self.opened().clone() {
            return Ok(opened);
        }
        let opened = Arc::new(within_listing(self.begin()).await?);
        *self.opened() = Some(opened.clone());
        Ok(opened)
    }

    async fn begin(&self) -> Result<Opened> {
        let parameters = json!({
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": {"name": "breezeway", "version": env!("CARGO_PKG_VERSION")},
        });
        let mut headers = HeaderMap::new();
        let id = self.number();
        let answer = self.post(&headers, &request(id, "initialize", parameters)).await?;
        if let Some(session) = answer.headers.get(&SESSION) {
            let mut session = session.clone();
            session.set_sensitive(true);
            headers.insert(SESSION, session);
        }
        let said = read(answer, id, MOST_DESCRIPTION).await??;
        let Some(version) = said["protocolVersion"].as_str().and_then(|it| HeaderValue::from_str(it).ok())
        else {
            return Err(Error::BadDescription("it did not say which version of MCP it speaks".into()));
        };
        headers.insert(SPOKEN, version);
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.post(&headers, &told).await?;
        let info = |name: &str| said["serverInfo"][name].as_str().unwrap_or_default();
        let title = if info("title").is_empty() { info("name") } else { info("title") };
        Ok(Opened {
            headers,
            title: cut(title, LONGEST_NAME),
            description: cut(said["instructions"].as_str().unwrap_or_default(), LONGEST_DESCRIPTION),
        })
    }

    async fn ask(
        &self,
        opened: &Opened,
        method: &str,
        parameters: Value,
        most: usize,
    ) -> Result<Result<Value, Refused>, UpstreamError> {
        let id = self.number();
        let answer = self.post(&opened.headers, &request(id, method, parameters)).await?;
        read(answer, id, most).await
    }

    async fn post(&self, headers: &HeaderMap, message: &Value) -> Result<Answer, UpstreamError> {
        let mut headers = headers.clone();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        self.caller.send(Method::POST, &self.path, headers, Some(message.to_string().into())).await
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn opened(&self) -> MutexGuard<'_, Option<Arc<Opened>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, opened: &Arc<Opened>) {
        let mut known = self.opened();
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, opened)) {
            *known = None;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let opened = self.opened().take().filter(|opened| opened.headers.contains_key(SESSION));
        if let Some(opened) = opened {
            let headers = opened.headers.clone();
            let closing = Closing { caller: self.caller.clone(), path: self.path.clone(), headers };
            // If too many wait, or nobody runs them, the server's own time limit has to do.
            let _ = self.closings.try_send(closing);
        }
    }
}

/// What a server says instead of a result.
#[derive(Debug)]
struct Refused(String);

impl From<Refused> for Error {
    fn from(Refused(why): Refused) -> Self {
        Self::BadDescription(why)
    }
}

fn request(id: u64, method: &str, parameters: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters})
}

async fn within_listing<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(LISTING_WAIT, work)
        .await
        .unwrap_or_else(|_| Err(UpstreamError::TimedOut(LISTING_WAIT).into()))
}

fn as_upstream(error: Error) -> UpstreamError {
    match error {
        Error::Upstream(error) => error,
        other => UpstreamError::Malformed(other.to_string()),
    }
}

/// The answer to request `id`: a JSON object, or one of the events of a stream.
async fn read(answer: Answer, id: u64, most: usize) -> Result<Result<Value, Refused>, UpstreamError> {
    let malformed = |why: &str| UpstreamError::Malformed(why.to_owned());
    if answer.content_type.starts_with("text/event-stream") {
        return read_events(answer, id, most).await;
    }
    let (body, is_cut) = answer.beginning(most).await?;
    if is_cut {
        return Err(UpstreamError::Malformed(format!("more than {most} bytes")));
    }
    let message: Value = serde_json::from_slice(&body).map_err(|_| malformed("no JSON"))?;
    outcome(&message, id).ok_or_else(|| malformed("no answer to what was asked"))
}

async fn read_events(
    mut answer: Answer,
    id: u64,
    most: usize,
) -> Result<Result<Value, Refused>, UpstreamError> {
    let mut decoder = sse::Decoder::new(most);
    let mut read = 0;
    while let Some(piece) = answer.body.next().await {
        let piece = piece?;
        read += piece.len();
        // Events that are no answer count too: they must not go on for ever.
        if read > 2 * most {
            return Err(UpstreamError::Malformed(format!("more than {} bytes", 2 * most)));
        }
        let events = decoder.push(&piece).map_err(|long| UpstreamError::Malformed(long.to_string()))?;
        let found = events.iter().filter_map(|event| serde_json::from_slice::<Value>(&event.data).ok());
        if let Some(outcome) = found.filter_map(|message| outcome(&message, id)).next() {
            return Ok(outcome);
        }
    }
    Err(UpstreamError::Broken("its stream ended without an answer".into()))
}

/// `None` if the message is not the answer to request `id`.
fn outcome(message: &Value, id: u64) -> Option<Result<Value, Refused>> {
    if message.get("id")? != id {
        return None;
    }
    match (message.get("result"), message.get("error")) {
        (Some(result), _) => Some(Ok(result.clone())),
        (None, Some(error)) => {
            let said = error["message"].as_str().unwrap_or("it failed without a reason");
            Some(Err(Refused(cut(said, LONGEST_DESCRIPTION))))
        }
        // A request of the server's that happens to have this number.
        (None, None) => None,
    }
}

fn offer(tool: &Value) -> Option<Offer> {
    let name = tool["name"].as_str().filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME)?;
    let schema = tool["inputSchema"].as_object().cloned().unwrap_or_default();
    if tool["inputSchema"].to_string().len() > LONGEST_SCHEMA {
        return None;
    }
    Some(Offer {
        function: ToolFunction {
            name: name.to_owned(),
            description: cut(tool["description"].as_str().unwrap_or_default(), LONGEST_DESCRIPTION),
            parameters: with_type(schema),
        },
        operation: None,
    })
}

/// Services refuse schemas that do not say that they are objects.
fn with_type(mut schema: Map<String, Value>) -> Map<String, Value> {
    schema.entry("type").or_insert_with(|| "object".into());
    schema.entry("properties").or_insert_with(|| Map::new().into());
    schema
}

/// The text of a result: its texts, and what else there is by name alone.
fn text_of(result: &Value) -> String {
    let content = result["content"].as_array().into_iter().flatten();
    let texts: Vec<String> = content
        .map(|item| match (item["type"].as_str().unwrap_or_default(), &item["resource"]["text"]) {
            ("text", _) => item["text"].as_str().unwrap_or_default().to_owned(),
            ("resource", Value::String(text)) => text.clone(),
            ("resource_link", _) => format!("({})", item["uri"].as_str().unwrap_or_default()),
            (kind, _) => format!("({}, which is not shown)", cut(kind, 64)),
        })
        .collect();
    if texts.is_empty() && !result["structuredContent"].is_null() {
        return result["structuredContent"].to_string();
    }
    texts.join("\n")
}

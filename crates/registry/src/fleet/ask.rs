//! The three questions of the port as one, so that one loop can send each of them.

use breezeway_wire::ChatRequest;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{ChatReply, Upstream, UpstreamError, UpstreamReply};

/// A question of the port.
#[derive(Clone)]
pub(super) enum Ask<'a> {
    Chat(ChatRequest),
    Embeddings(Map<String, Value>),
    Relay(&'a str, Map<String, Value>),
}

/// Its answer.
pub(super) enum Got {
    Chat(ChatReply),
    Embeddings(Bytes),
    Relay(UpstreamReply),
}

impl Ask<'_> {
    /// Name the model as the connection calls it.
    pub(super) fn name(&mut self, model: &str) {
        let fields = match self {
            Self::Chat(request) => request.as_map_mut(),
            Self::Embeddings(request) | Self::Relay(_, request) => request,
        };
        if fields.get("model").and_then(Value::as_str) != Some(model) {
            fields.insert("model".to_owned(), model.into());
        }
    }

    pub(super) async fn send(self, upstream: &dyn Upstream) -> Result<Got, UpstreamError> {
        match self {
            Self::Chat(request) => upstream.chat(request).await.map(Got::Chat),
            Self::Embeddings(request) => upstream.embeddings(request).await.map(Got::Embeddings),
            Self::Relay(path, request) => upstream.relay(path, request).await.map(Got::Relay),
        }
    }
}

/// The question to send now: the last one needs no copy to be kept.
pub(super) fn copy_or_take<'a>(kept: &mut Option<Ask<'a>>, is_last: bool) -> Option<Ask<'a>> {
    if is_last { kept.take() } else { kept.clone() }
}

//! Calls in dialects that some upstreams speak themselves.

mod homes;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use breezeway_core::{Principal, UnixTime};
use breezeway_registry::{Connection, ConnectionKind, Flavour, Route, UpstreamError, UpstreamReply};
use breezeway_wire::ChatRequest;
use serde_json::{Map, Value};

pub(super) use self::homes::Homes;
use super::{Answer, ChatRouter, model_of};
use crate::{
    Error, Result,
    metered::{errand, estimated_input},
    own::{OWN_FIELDS, conversation_of},
};

/// An answer to a request in a dialect that not every upstream speaks.
pub enum Spoken {
    /// The upstream speaks it: its own bytes.
    Natively(UpstreamReply),
    /// It was asked as a chat: this has to be put into the dialect.
    AsChat(Answer),
}

impl ChatRouter {
    /// Answer a request at `path` of the upstream's own API, or as the chat that `as_chat` makes of it
    /// where the upstream is not known to have that path.
    ///
    /// The upstream is asked itself only for its own models as they are: what a custom layer says has
    /// no place in a request that is not understood here.
    ///
    /// # Errors
    /// As for [`complete`](Self::complete), and whatever `as_chat` finds wrong.
    pub async fn speak<E: From<Error>>(
        &self,
        principal: &Principal,
        path: &str,
        request: Map<String, Value>,
        as_chat: impl FnOnce(Map<String, Value>) -> Result<ChatRequest, E>,
    ) -> Result<Spoken, E> {
        if let Some(reply) = self.speak_natively(principal, path, &request).await? {
            return Ok(Spoken::Natively(reply));
        }
        let chat = as_chat(request)?;
        Ok(Spoken::AsChat(self.complete(principal, chat).await?))
    }

    /// The answer of the upstream itself at `path` of its own API; `None` if it is not known to have
    /// that path, or if the request is one that needs something of ours.
    ///
    /// # Errors
    /// As for [`complete`](Self::complete).
    pub async fn speak_natively(
        &self,
        principal: &Principal,
        path: &str,
        request: &Map<String, Value>,
    ) -> Result<Option<UpstreamReply>> {
        let mut route = self.registry.resolve(principal, model_of(request)?)?;
        let now = self.registry.clock().now();
        if !may_speak(&route, path, request) || self.silent.knows(&route.connection.url, path, now) {
            return Ok(None);
        }
        let mut asked = request.clone();
        asked.insert("model".into(), route.upstream_model.as_str().into());
        // Only the connection that gave an answer knows its id.
        let previous = request.get("previous_response_id").and_then(Value::as_str);
        let home = previous.and_then(|id| self.homes.find(&principal.user, id));
        if let Some(only) = home.and_then(|home| route.fleet.only(&home)) {
            route.upstream = Arc::new(only);
        }
        let errand = errand(principal, conversation_of(request));
        match self.metered.relay(principal, &route, &errand, path, asked).await {
            Ok(reply) if path == "responses" && route.fleet.has_choice() => {
                let served = errand.served().map(|served| served.connection);
                Ok(Some(match served {
                    Some(connection) => self.homes.watching(&principal.user, connection, reply),
                    None => reply,
                }))
            }
            Ok(reply) => Ok(Some(reply)),
            Err(Error::Upstream(UpstreamError::Answered { status: 404 | 405 | 501, .. })) => {
                // It may be the response to go on from that is not there.
                if !request.contains_key("previous_response_id") {
                    self.silent.note(&route.connection.url, path, now);
                }
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// The tokens of a request, roughly, where nobody else counts them.
    pub fn estimate(&self, request: &ChatRequest) -> u64 {
        estimated_input(request.as_map())
    }
}

/// Whether the upstream may have the path, and the request can be handed on as it is. All of the fleet
/// have to speak the dialect: it may be any of them that is asked.
fn may_speak(route: &Route, path: &str, request: &Map<String, Value>) -> bool {
    let is_plain = route.overlay.as_ref().is_none_or(|overlay| {
        let brings = |name: &str| overlay.meta.contains_key(name);
        overlay.base.is_none() && overlay.params.is_empty() && !brings("knowledge") && !brings("toolIds")
    });
    // Two of our own names are words of these dialects, too.
    let mut own = OWN_FIELDS.iter().filter(|name| !["metadata", "id"].contains(*name));
    let is_ours = own.any(|name| request.contains_key(*name));
    route.connection.kind == ConnectionKind::OpenAi
        && is_plain
        && !is_ours
        && route.fleet.connections().all(|connection| has_dialect(connection, path))
}

/// Whether a connection may speak the dialect that a path belongs to. Many who speak OpenAI's also have
/// Anthropic's messages; OpenAI's is what they are connected for, and only they can count tokens.
fn has_dialect(connection: &Connection, path: &str) -> bool {
    match connection.flavour() {
        Flavour::Anthropic { .. } => path.starts_with("messages"),
        Flavour::Plain | Flavour::Azure { .. } => path != "messages",
    }
}

/// Paths that connections were found not to have. Clones share one state.
///
/// An upstream is asked again after a while: it may have been updated, and a 404 may have been for a
/// model that it had just lost.
#[derive(Clone, Default)]
pub(super) struct Silent(Arc<Mutex<HashMap<(String, String), UnixTime>>>);

/// How long a missing path is remembered, in seconds.
const FORGOTTEN_AFTER: i64 = 600;

/// Most missing paths that are remembered. Paths are ours and connections an admin's, so it is far
/// above what there can be.
const MOST_REMEMBERED: usize = 1024;

impl Silent {
    fn knows(&self, url: &str, path: &str, now: UnixTime) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = known.get(&(url.to_owned(), path.to_owned()));
        noted.is_some_and(|noted| now.seconds() - noted.seconds() < FORGOTTEN_AFTER)
    }

    fn note(&self, url: &str, path: &str, now: UnixTime) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert((url.to_owned(), path.to_owned()), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_path_is_forgotten_after_a_while() {
        let silent = Silent::default();
        let at = UnixTime::from_seconds;

        silent.note("http://a", "responses", at(1000));

        assert!(silent.knows("http://a", "responses", at(1599)));
        assert!(!silent.knows("http://a", "responses", at(1600)));
        assert!(!silent.knows("http://a", "completions", at(1000)));
        assert!(!silent.knows("http://b", "responses", at(1000)));
    }
}

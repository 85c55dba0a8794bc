//! Calls of models, counted: an allowance is reserved before a call and settled when it is over.
//!
//! An answer's own words about what it took are read off its bytes as they pass. Where there are none,
//! what went in and what was written are estimated, and marked as such.

mod drain;
mod prompt;
mod streams;

use std::sync::Arc;

use breezeway_core::Principal;
use breezeway_registry::{ChatReply, Errand, Route, Served, UpstreamError, UpstreamReply};
use breezeway_usage::{Call, Meter, Operation, Outcome, Reservation, Tokens, Watch};
use breezeway_wire::{ChatRequest, Tally};
use bytes::Bytes;
use serde_json::{Map, Value};

pub(crate) use self::prompt::estimated_input;
use self::{drain::Drains, prompt::max_output, streams::watched};
use crate::Result;

/// What kept answers are accounted as coming from.
const CACHE: &str = "cache";

/// The meter, and what goes on with answers that nobody waits for any more. Clones share one state.
#[derive(Clone)]
pub(crate) struct Metered {
    meter: Meter,
    drains: Drains,
}

impl Metered {
    pub(crate) fn new(meter: Meter) -> Self {
        Self { meter, drains: Drains::default() }
    }

    /// Read answers that were given up to their ends, where the connection wants that. Runs for ever.
    pub(crate) async fn run(&self) {
        self.drains.run().await;
    }

    /// Ask a chat question, in a conversation that may have a name.
    pub(crate) async fn chat(
        &self,
        principal: &Principal,
        route: &Route,
        conversation: Option<&str>,
        request: ChatRequest,
    ) -> Result<ChatReply> {
        let mut reservation = self.reserve(principal, route, Operation::Chat, request.as_map()).await?;
        let errand = errand(principal, conversation);
        let reply = route.upstream.chat_for(&errand, request).await;
        let drains = self.served(route, &errand, &mut reservation);
        match reply {
            Ok(ChatReply::Whole(body)) => {
                settle_whole(reservation, &body);
                Ok(ChatReply::Whole(body))
            }
            Ok(ChatReply::Stream(stream)) => {
                let watch = Watch::new(reservation, Tally::new());
                Ok(ChatReply::Stream(watched(stream, watch, drains)))
            }
            Err(error) => {
                settle_error(reservation, &error);
                Err(error.into())
            }
        }
    }

    /// Ask for embeddings.
    pub(crate) async fn embeddings(
        &self,
        principal: &Principal,
        route: &Route,
        request: Map<String, Value>,
    ) -> Result<Bytes> {
        let mut reservation = self.reserve(principal, route, Operation::Embedding, &request).await?;
        let errand = Errand::of(&principal.user);
        let reply = route.upstream.embeddings_for(&errand, request).await;
        self.served(route, &errand, &mut reservation);
        match reply {
            Ok(body) => {
                settle_whole(reservation, &body);
                Ok(body)
            }
            Err(error) => {
                settle_error(reservation, &error);
                Err(error.into())
            }
        }
    }

    /// Pass a request on to a path of the upstream.
    pub(crate) async fn relay(
        &self,
        principal: &Principal,
        route: &Route,
        errand: &Errand,
        path: &str,
        request: Map<String, Value>,
    ) -> Result<UpstreamReply> {
        let operation = match path {
            "responses" | "chat/completions" | "messages" => Operation::Chat,
            "completions" => Operation::Completion,
            "embeddings" => Operation::Embedding,
            _ => Operation::Passthrough,
        };
        // To count what a request has is not to use it.
        let nothing = Map::new();
        let used = if path.ends_with("/count_tokens") { &nothing } else { &request };
        let mut reservation = self.reserve(principal, route, operation, used).await?;
        let reply = route.upstream.relay_for(errand, path, request).await;
        let drains = self.served(route, errand, &mut reservation);
        match reply {
            Ok(reply) => {
                let tally = Tally::of(reply.content_type.as_deref().unwrap_or_default());
                let watch = Watch::new(reservation, tally);
                let body = watched(reply.body, watch, drains);
                Ok(UpstreamReply { body, ..reply })
            }
            Err(error) => {
                settle_error(reservation, &error);
                Err(error.into())
            }
        }
    }

    /// Count an answer that was kept: a request without a token, so that limits of requests hold.
    pub(crate) async fn kept(
        &self,
        principal: &Principal,
        route: &Route,
        operation: Operation,
    ) -> Result<()> {
        let call = Call {
            operation,
            model: route.model.id.as_str().into(),
            upstream: Some(CACHE.into()),
            estimated_input: 0,
            max_output: Some(0),
        };
        let reservation = self.meter.reserve(principal, call).await?;
        reservation.settle(Tokens::default(), Outcome::Completed);
        Ok(())
    }

    async fn reserve(
        &self,
        principal: &Principal,
        route: &Route,
        operation: Operation,
        request: &Map<String, Value>,
    ) -> Result<Reservation> {
        let call = Call {
            operation,
            model: route.model.id.as_str().into(),
            upstream: Some(route.connection.label().into()),
            estimated_input: estimated_input(request),
            max_output: if operation == Operation::Embedding { Some(0) } else { max_output(request) },
        };
        Ok(self.meter.reserve(principal, call).await?)
    }

    /// Note which connection an errand ended at, and who reads the rest of an abandoned answer of it.
    fn served(&self, route: &Route, errand: &Errand, reservation: &mut Reservation) -> Option<Drains> {
        let Served { connection, upstream_model } = errand.served()?;
        if *upstream_model != *route.upstream_model && is_plain(route) {
            // The next model of an alias. A custom layer or a collection answers under its own name.
            reservation.set_model(connection.listed(&upstream_model).into());
        }
        if !Arc::ptr_eq(&connection, &route.connection) {
            reservation.set_upstream(connection.label().into());
        }
        connection.drains_aborted().then(|| self.drains.clone())
    }
}

/// Whether the model of a route is a connection's own, and the first to be asked.
fn is_plain(route: &Route) -> bool {
    route.connection.listed(&route.upstream_model) == route.model.id.as_str()
}

/// The errand of a caller, in a conversation that may have a name.
pub(crate) fn errand(principal: &Principal, conversation: Option<&str>) -> Errand {
    let errand = Errand::of(&principal.user);
    match conversation {
        Some(name) => errand.in_conversation(name),
        None => errand,
    }
}

/// Settle a call by its whole answer.
fn settle_whole(mut reservation: Reservation, body: &[u8]) {
    reservation.first_token();
    let mut watch = Watch::new(reservation, Tally::new());
    watch.see_whole(body);
    watch.end(Outcome::Completed);
}

/// Settle a call that had no answer.
fn settle_error(reservation: Reservation, error: &UpstreamError) {
    match error.may_have_worked() {
        true => reservation.settle_estimated(Outcome::Failed),
        false => reservation.settle(Tokens::default(), Outcome::Failed),
    }
}

//! The passthrough: Ollama's API behind our accounts.
//!
//! It looks into a request just far enough to know which model is meant and hands the bytes on, in
//! both directions, as they come. What it answers itself are the lists, which are merged over all
//! connections, and refusals.

mod body;
mod converted;
mod elsewhere;
mod failure;
mod forward;
mod held;
mod lists;
mod metered;
mod name;
mod routes;

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use breezeway_core::{ModelId, Principal, Role};
use breezeway_registry::{Connection, ConnectionKind, Errand, Fleet, Registry, Route, UpstreamError};
use breezeway_upstream::{BoxError, HttpClient, RequestBody};
use breezeway_usage::Meter;
use breezeway_wire::ChatRequest;
use bytes::Bytes;
use http::{Method, Request, Response, request::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use tower::Service;
use tracing::debug;

pub use self::{
    body::PassBody,
    elsewhere::{Elsewhere, ElsewhereError},
};
use self::{
    body::json,
    failure::Failure,
    forward::Forward,
    metered::{MeteredBody, settle_failure},
    routes::{Found, Kind},
};

/// What the passthrough needs to know.
#[derive(Clone, Debug)]
pub struct PassthroughConfig {
    /// Most bytes of a request that is read whole, to find out which model it is for.
    pub max_request_bytes: usize,
    /// Longest wait between two pieces of such a request.
    pub request_idle_timeout: Duration,
    /// Whether Ollama's API is served at all where no Ollama connection is configured.
    pub enabled: bool,
}

impl Default for PassthroughConfig {
    fn default() -> Self {
        // Some pictures in base64.
        Self { max_request_bytes: 32 << 20, request_idle_timeout: Duration::from_secs(30), enabled: true }
    }
}

/// Serves Ollama's API: the request's path is the one behind `/ollama`, its [`Principal`] is in the
/// extensions. Clones share everything.
///
/// # Design
/// It is a plain service instead of a set of handlers: a body that is only handed on needs no
/// extractor, and an answer that is only handed on keeps its length, type and pieces.
#[derive(Clone)]
pub struct Passthrough {
    registry: Registry,
    client: HttpClient,
    meter: Meter,
    config: PassthroughConfig,
    elsewhere: Option<Arc<dyn Elsewhere>>,
}

impl Passthrough {
    /// Serve the Ollama connections of `registry`; `meter` counts the calls of models.
    pub fn new(registry: Registry, client: HttpClient, meter: Meter, config: PassthroughConfig) -> Self {
        Self { registry, client, meter, config, elsewhere: None }
    }

    /// Serve the models of all other connections too, and custom ones: requests are put into OpenAI's
    /// dialect and answered there.
    #[must_use]
    pub fn with_elsewhere(mut self, elsewhere: Arc<dyn Elsewhere>) -> Self {
        self.elsewhere = Some(elsewhere);
        self
    }

    async fn answer(&self, head: &Parts, body: RequestBody) -> Result<Response<PassBody>, Failure> {
        if routes::is_alive(head) {
            return Ok(json(200, &serde_json::json!({"status": true})));
        }
        let principal = head.extensions.get::<Principal>().ok_or(Failure::NotAuthenticated)?;
        if principal.role == Role::Pending {
            return Err(Failure::Prohibited);
        }
        let found = routes::find(&head.method, head.uri.path())?;
        // What only admins do reaches all models of a connection, so a key for certain ones may not.
        let for_certain_models = principal.rules.as_ref().is_some_and(|rules| rules.models.is_some());
        if found.admins_only && (!principal.is_admin() || for_certain_models) {
            return Err(Failure::Prohibited);
        }
        if !self.registry.is_warm() {
            // Right after the start nothing is known yet, and "not found" would be wrong.
            self.registry.refresh(false).await;
        }
        if !self.is_enabled() {
            return Err(Failure::Disabled);
        }
        match found.kind {
            Kind::Tags => self.tags(principal, found.index).await,
            Kind::Models => self.models(principal, found.index),
            Kind::Loaded => self.loaded(found.index).await,
            Kind::Version => self.version(found.index).await,
            Kind::Unload => self.unload(principal, body).await,
            Kind::Ask { fields } => self.ask(principal, head, body, &found, fields).await,
            Kind::Change { fields } => {
                let response = self.ask(principal, head, body, &found, fields).await?;
                self.registry.refresh(false).await;
                // Ollama answers with nothing, and Open WebUI's clients read JSON.
                drop(response);
                Ok(json(200, &true.into()))
            }
            Kind::Stream { refreshes } => {
                let connection = self.connection(found.index)?;
                let forward = Forward { head, path: found.path, method: found.method(head), json: refreshes };
                let response = self.forward(&connection, forward, body).await?;
                Ok(match refreshes {
                    true => response.map(|body| body.then_refresh(self.registry.clone())),
                    false => response,
                })
            }
        }
    }

    /// Hand a request on to the connection that serves its model.
    async fn ask(
        &self,
        principal: &Principal,
        head: &Parts,
        body: RequestBody,
        found: &Found<'_>,
        fields: &'static [&'static str],
    ) -> Result<Response<PassBody>, Failure> {
        let body = body::whole(body, &self.config).await?;
        let named = name::find(&body, fields)?;
        let target = match self.target(principal, &named.name, found.index) {
            Err(Failure::UnknownModel(name)) if found.index.is_none() => {
                return self.ask_elsewhere(principal, found, &name, &body).await;
            }
            other => other?,
        };
        let mut reservation = self.reserve(principal, found.path, &target, &body).await?;
        let errand = target.errand(principal, &body);
        let method = found.method(head);
        let asked = target.fleet.call(&errand, |attempt| {
            let sent = match *attempt.upstream_model == *named.name {
                true => body.clone(),
                false => named.replaced(&body, &attempt.upstream_model),
            };
            let forward = Forward { head, path: found.path, method: method.clone(), json: true };
            async move {
                let sent = breezeway_upstream::full_body(sent);
                let response = self.forward(&attempt.connection, forward, sent).await?;
                if !attempt.holds_back {
                    return Ok(response);
                }
                let (head, body) = response.into_parts();
                Ok(Response::from_parts(head, body.begun().await?))
            }
        });
        let asked = asked.await;
        if let (Some(reservation), Some(served)) = (&mut reservation, errand.served()) {
            reservation.set_upstream(served.connection.label().into());
        }
        match asked {
            Ok((response, lease)) => {
                let (head, body) = response.into_parts();
                let body = body.held(lease);
                let body = match reservation {
                    Some(reservation) => {
                        PassBody::metered(MeteredBody::new(body, &head.headers, reservation))
                    }
                    None => body,
                };
                Ok(Response::from_parts(head, body))
            }
            Err(error) => {
                if let Some(reservation) = reservation {
                    settle_failure(reservation, &error);
                }
                // Older versions of Ollama have no Responses API.
                let is_old = found.path == "/v1/responses" && found.index.is_none() && is_missing(&error);
                let goes_on = target.has_others && error.may_go_elsewhere();
                match is_old || goes_on {
                    true => self.ask_elsewhere(principal, found, &named.name, &body).await,
                    false => Err(error.into()),
                }
            }
        }
    }

    /// The connections that serve a model.
    fn target(&self, principal: &Principal, name: &str, index: Option<usize>) -> Result<Target, Failure> {
        let Some(index) = index else {
            let route = self.resolve(principal, name)?;
            return Ok(Target {
                id: route.model.id.clone(),
                connection: route.connection,
                fleet: route.fleet,
                has_others: route.fallback.is_some(),
            });
        };
        let connection = self.connection(Some(index))?;
        let offered = |name: &str| {
            let Route { model, fleet, .. } = self.resolve(principal, name)?;
            let offer = model.offers.iter().find(|offer| offer.connection.index == index);
            let offer = offer.ok_or_else(|| Failure::UnknownModel(name.to_owned()))?;
            let connection = offer.connection.clone();
            let fleet = fleet.only(&connection).ok_or(Failure::NoSuchConnection(index))?;
            let fleet = Arc::new(fleet);
            Ok(Target { id: model.id.clone(), connection, fleet, has_others: false })
        };
        // Who picks a connection may leave its prefix out.
        let prefix = connection.prefix.as_deref().filter(|prefix| !prefix.is_empty());
        match prefix.map(|prefix| offered(&format!("{prefix}.{name}"))) {
            Some(Ok(target)) => Ok(target),
            Some(Err(Failure::UnknownModel(_))) | None => offered(name),
            Some(Err(failure)) => Err(failure),
        }
    }

    /// Whether there is anything to serve: an Ollama connection in use, or, where none is configured,
    /// models of others.
    fn is_enabled(&self) -> bool {
        let connections = self.connections();
        let others =
            || self.config.enabled && self.elsewhere.is_some() && !self.registry.base_models().is_empty();
        connections.iter().any(|connection| connection.enabled) || (connections.is_empty() && others())
    }

    fn resolve(&self, principal: &Principal, name: &str) -> Result<Route, Failure> {
        let route = self.registry.resolve_at(principal, ConnectionKind::Ollama, name);
        route.map_err(|_| Failure::UnknownModel(name.to_owned()))
    }

    /// The connection of an index, or the first.
    fn connection(&self, index: Option<usize>) -> Result<Arc<Connection>, Failure> {
        let connections = self.connections();
        let mut enabled = connections.into_iter().filter(|connection| connection.enabled);
        match index {
            None => enabled.next().ok_or(Failure::Disabled),
            Some(index) => {
                enabled.find(|connection| connection.index == index).ok_or(Failure::NoSuchConnection(index))
            }
        }
    }

    fn connections(&self) -> Vec<Arc<Connection>> {
        self.registry.connections(ConnectionKind::Ollama)
    }
}

/// Whether an upstream does not know the path.
fn is_missing(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Answered { status: 404 | 405 | 501, .. })
}

/// Where a request goes.
struct Target {
    /// What the model is called here.
    id: ModelId,
    /// The connection that is asked first, all else being equal.
    connection: Arc<Connection>,
    fleet: Arc<Fleet>,
    /// Whether the name also stands for models of others, which can be asked if these fail.
    has_others: bool,
}

impl Target {
    /// The errand of a request: whose it is, and where there is a choice, what it goes on with.
    fn errand(&self, principal: &Principal, body: &Bytes) -> Errand {
        let errand = Errand::of(&principal.user);
        if !self.fleet.has_choice() {
            return errand;
        }
        match serde_json::from_slice(body) {
            Ok(request) => errand.going_on_with(&ChatRequest::new(request)),
            Err(_) => errand,
        }
    }
}

impl fmt::Debug for Passthrough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passthrough").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for Passthrough
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<PassBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        let (head, body) = request.into_parts();
        let body = body.map_err(Into::into).boxed_unsync();
        Box::pin(async move {
            Ok(this.answer(&head, body).await.unwrap_or_else(|failure| {
                debug!(http.method = %head.method, "Refused an Ollama request: {failure}");
                let response = failure.into_response();
                match head.method == Method::HEAD {
                    true => response.map(|_| PassBody::empty()),
                    false => response,
                }
            }))
        })
    }
}

//! What a request leaves in the audit log: who asks, from where, under which id.

use std::{convert::Infallible, fmt, net::IpAddr, time::Duration};

use axum::extract::FromRequestParts;
use breezeway_auth::{Action, Actor, AuditEvent, AuditLog, Error, Target};
use breezeway_core::{Grants, Permission, Principal, Role, UnixTime, UserId};
use breezeway_middleware::{PeerAddress, RequestId};
use http::request::Parts;
use serde_json::{Map, Value};

use crate::state::ApiState;

/// How long one refusal by the throttle stands for all that follow it: the throttle's own window.
const THROTTLED_FOR: Duration = Duration::from_secs(180);

/// The longest address that an entry repeats, in characters: it is typed by strangers.
const TYPED_CHARS: usize = 254;

/// Reports what the caller does to the audit log.
pub(crate) struct Trail {
    log: AuditLog,
    actor: Option<Actor>,
    address: Option<IpAddr>,
    request_id: Option<String>,
}

impl FromRequestParts<ApiState> for Trail {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Infallible> {
        Ok(Self {
            log: state.audit.clone(),
            actor: parts.extensions.get::<Principal>().map(Actor::from),
            address: parts
                .extensions
                .get::<PeerAddress>()
                .map(|peer| state.config.proxies.client(peer.0, &parts.headers)),
            request_id: parts.extensions.get::<RequestId>().map(ToString::to_string),
        })
    }
}

impl Trail {
    /// Report what the caller has done. `detail` is an object, or null.
    pub(crate) async fn report(&self, action: Action, target: Target, detail: Value) {
        self.log.report(self.event(action, self.actor.clone(), Some(target), detail)).await;
    }

    /// Report that the caller has deleted something.
    pub(crate) async fn report_deleted(&self, kind: &str, id: impl fmt::Display) {
        self.report(Action::Deleted, Target::new(kind, id), Value::Null).await;
    }

    /// Report what somebody has done who was nobody when the request came.
    pub(crate) async fn report_as(&self, actor: impl Into<Actor>, action: Action, detail: Value) {
        let actor = actor.into();
        let target = Target::new("account", &actor.id);
        self.log.report(self.event(action, Some(actor), Some(target), detail)).await;
    }

    /// Report a sign-in that was refused, if it was refused for what the log is interested in.
    pub(crate) async fn report_refusal(&self, typed: &str, refusal: &Error) {
        let typed: String = typed.trim().to_lowercase().chars().take(TYPED_CHARS).collect();
        let event = |action| self.event(action, None, Some(Target::new("email", &typed)), Value::Null);
        match refusal {
            // A refusal costs nothing, so a stranger could fill the log with them.
            Error::Throttled(_) => {
                self.log.report_seldom(&typed, THROTTLED_FOR, event(Action::Throttled)).await;
            }
            Error::Lane(_) | Error::Store(_) => {}
            _ => self.log.report(event(Action::SignInFailed)).await,
        }
    }

    /// Report that somebody came back from a provider and was not let in. That costs a stranger nothing,
    /// so it is reported once a minute for each address.
    pub(crate) async fn report_refused_arrival(&self, provider: &str) {
        let subject = format!("{provider} {:?}", self.address);
        let target = Target::new("provider", provider);
        let event = self.event(Action::SignInFailed, None, Some(target), Value::Null);
        self.log.report_seldom(&subject, Duration::from_secs(60), event).await;
    }

    /// Report that an admin has looked at something, if it is another's.
    pub(crate) async fn report_foreign(
        &self,
        reader: &Principal,
        owner: &UserId,
        kind: &str,
        id: impl fmt::Display,
    ) {
        if reader.is_admin() && reader.user != *owner {
            let detail = serde_json::json!({"owner": owner.as_str()});
            self.report(Action::ForeignRead, Target::new(kind, id), detail).await;
        }
    }

    fn event(
        &self,
        action: Action,
        actor: Option<Actor>,
        target: Option<Target>,
        detail: Value,
    ) -> AuditEvent {
        let detail = match detail {
            Value::Object(detail) => detail,
            _ => Map::new(),
        };
        AuditEvent {
            // The log knows better.
            at: UnixTime::default(),
            action,
            actor,
            target,
            address: self.address,
            request_id: self.request_id.clone(),
            detail,
        }
    }
}

/// Whether somebody who is no admin might read what has these grants.
pub(crate) fn shared_with(reader: &Principal, owner: &UserId, grants: &Grants) -> bool {
    let plain = Principal { role: Role::User, ..reader.clone() };
    grants.allow(&plain, owner, Permission::Read)
}

//! Entries of the audit log.

use breezeway_auth::{Action, AuditEntry};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Something that was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditView {
    /// Later entries have higher numbers.
    id: u64,
    /// Seconds since 1970.
    at: i64,
    /// What: `sign_in`, `key_created`, `role_changed`, …
    action: &'static str,
    /// Who; `null` for strangers.
    actor: Option<ActorView>,
    /// To what.
    target: Option<TargetView>,
    /// The address that the request came from: the proxy's, if there is one in front.
    address: Option<String>,
    /// The `x-request-id` of the request, which the server's log has too.
    request_id: Option<String>,
    /// What else there is to say.
    #[schema(value_type = Object)]
    detail: Map<String, Value>,
}

/// Who did something.
#[derive(Serialize, ToSchema)]
struct ActorView {
    id: String,
    /// The address at that time.
    email: String,
}

/// What something was done to.
#[derive(Serialize, ToSchema)]
struct TargetView {
    /// `account`, `email`, `api_key`, `group`, `file`, `knowledge`, `settings`, `connections` or `index`.
    kind: String,
    id: String,
}

/// A page of the audit log, latest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditPage {
    items: Vec<AuditView>,
    /// What `before` has to be for the next page; `null` if this was the last.
    next: Option<u64>,
}

impl AuditPage {
    /// The page of these entries, of which `limit` were asked for.
    pub(crate) fn new(entries: Vec<AuditEntry>, limit: u64) -> Self {
        let is_full = entries.len() as u64 >= limit;
        let next = entries.last().map(|last| last.id).filter(|_| is_full);
        Self { items: entries.into_iter().map(AuditView::from).collect(), next }
    }
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let event = entry.event;
        Self {
            id: entry.id,
            at: event.at.seconds(),
            action: Action::as_str(event.action),
            actor: event.actor.map(|actor| ActorView { id: actor.id.to_string(), email: actor.email }),
            target: event.target.map(|target| TargetView { kind: target.kind, id: target.id }),
            address: event.address.map(|address| address.to_string()),
            request_id: event.request_id,
            detail: event.detail,
        }
    }
}

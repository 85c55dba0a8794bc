//! Tells the audit log of admins whose chats look into what is another's.

use std::time::Duration;

use breezeway_auth::{Action, Actor, AuditEvent, AuditLog, Target};
use breezeway_core::{Permission, Principal, Role, UnixTime, UserId};
use breezeway_knowledge::{Library, Wanted};
use serde_json::{Map, Value};

/// A conversation asks the same collection again and again; once in this time says it.
const ONCE_IN: Duration = Duration::from_secs(600);

/// Watches what chats look into.
pub(crate) struct Onlooker {
    pub(crate) library: Library,
    pub(crate) audit: AuditLog,
}

impl Onlooker {
    /// Note that somebody looks into a file or collection, if it is theirs by nothing but being an admin.
    /// Costs others nothing.
    pub(crate) async fn note(&self, reader: &Principal, wanted: &Wanted) {
        if !reader.is_admin() {
            return;
        }
        if let Some((kind, id, owner)) = self.foreign(reader, wanted).await {
            let subject = format!("{} {kind} {id}", reader.user);
            let event = AuditEvent {
                at: UnixTime::default(),
                action: Action::ForeignRead,
                actor: Some(Actor::from(reader)),
                target: Some(Target::new(kind, &id)),
                address: None,
                request_id: None,
                detail: Map::from_iter([
                    ("owner".to_owned(), Value::from(owner.as_str())),
                    ("by".to_owned(), "chat".into()),
                ]),
            };
            self.audit.report_seldom(&subject, ONCE_IN, event).await;
        }
    }

    /// What it is and whose, if it is not shared with the reader. What cannot be read is told by the
    /// search that follows.
    async fn foreign(&self, reader: &Principal, wanted: &Wanted) -> Option<(&'static str, String, UserId)> {
        let plain = Principal { role: Role::User, ..reader.clone() };
        match wanted {
            Wanted::File(id) => {
                let file = self.library.file(reader, id).await.ok()?;
                (file.owner != reader.user).then(|| ("file", id.to_string(), file.owner))
            }
            Wanted::Collection(id) => {
                let found = self.library.collection(reader, id).await.ok()?;
                let is_foreign = !found.grants.allow(&plain, &found.owner, Permission::Read);
                is_foreign.then(|| ("knowledge", id.to_string(), found.owner))
            }
        }
    }
}

//! Deleting accounts: the steps, in their order, and how they are taken to their end.
//!
//! What an account has is kept by five services, each with transactions of its own, so a process can
//! stop between any two of them. Hence the order: first the account loses its rights, and what is meant
//! to happen is written down with that; then its things go, each step such that taking it again does no
//! harm; the account goes last, and the note with it. Whatever is noted when nobody works on it was cut
//! short, by a crash or a client that left, and is taken up by [`Departures::run`].

use std::{sync::Arc, time::Duration};

use breezeway_auth::{Action, Actor, AuditEvent, AuditLog, Auth, Error as AuthError, Removal, Target};
use breezeway_chat::{history::SavedChats, responses::StoredResponses};
use breezeway_core::{UnixTime, UserId};
use breezeway_knowledge::Library;
use breezeway_registry::Registry;
use serde_json::{Map, Value, json};
use tokio::{
    sync::{Mutex, Notify},
    time::sleep,
};
use tracing::{error, info};

use crate::error::ApiError;

/// How long to wait before a removal that failed is tried again.
const PAUSE: Duration = Duration::from_secs(60);

/// Takes accounts away with all that is theirs. Clones share one.
#[derive(Clone)]
pub struct Departures(Arc<Shared>);

struct Shared {
    auth: Auth,
    audit: AuditLog,
    library: Library,
    registry: Registry,
    responses: StoredResponses,
    saved: SavedChats,
    /// One removal at a time: two at once would be right and slow.
    turn: Mutex<()>,
    cut_short: Notify,
}

/// Where the things of accounts are.
pub struct DepartureParts {
    /// Accounts.
    pub auth: Auth,
    /// Who did what.
    pub audit: AuditLog,
    /// Files and collections.
    pub library: Library,
    /// Custom models.
    pub registry: Registry,
    /// Kept responses.
    pub responses: StoredResponses,
    /// Saved chats.
    pub saved: SavedChats,
}

/// Tells of a removal whose future is dropped on the way.
struct Watched<'a>(&'a Notify);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl From<DepartureParts> for Departures {
    fn from(parts: DepartureParts) -> Self {
        let DepartureParts { auth, audit, library, registry, responses, saved } = parts;
        let (turn, cut_short) = (Mutex::default(), Notify::new());
        Self(Arc::new(Shared { auth, audit, library, registry, responses, saved, turn, cut_short }))
    }
}

impl Departures {
    /// Delete an account with what it has, or hand that to `heir`, for `by`; answers what was removed,
    /// with the account's address, if there was such an account.
    pub(crate) async fn remove(
        &self,
        id: &UserId,
        heir: Option<&UserId>,
        by: &UserId,
    ) -> Result<Option<(Removal, String)>, ApiError> {
        let _turn = self.0.turn.lock().await;
        // From here on, for what has been asked of the accounts is done whether or not anybody waits.
        let watched = Watched(&self.0.cut_short);
        let removed = match self.0.auth.begin_removal(id, heir, by).await? {
            Some(removal) => self.finish(&removal).await?.map(|email| (removal, email)),
            None => None,
        };
        // It came to its end, so there is nothing to tell.
        std::mem::forget(watched);
        Ok(removed)
    }

    /// Take up what was cut short, now and whenever that happens, for as long as this is polled.
    pub async fn run(&self) {
        loop {
            match self.go_on().await {
                true => self.0.cut_short.notified().await,
                false => sleep(PAUSE).await,
            }
        }
    }

    /// Take every removal that has begun to its end; answers whether none is left that may succeed later.
    async fn go_on(&self) -> bool {
        let Ok(begun) = self.0.auth.settled_removals().await else { return false };
        let mut ended = true;
        for removal in begun {
            let _turn = self.0.turn.lock().await;
            ended &= self.take_up(&removal).await;
        }
        ended
    }

    async fn take_up(&self, removal: &Removal) -> bool {
        let Removal { account, heir, by } = removal;
        // Asked again, because it may have ended, and the heir may be gone by now.
        let finished = match self.0.auth.begin_removal(account, heir.as_ref(), by).await {
            Ok(None) => return true,
            Ok(Some(removal)) => self.finish(&removal).await,
            Err(failure @ AuthError::NoSuchHeir(_)) => {
                error!(account.id = %account, error = %failure, "Account `{account}` was to be deleted and cannot: name another heir");
                return true;
            }
            Err(failure) => Err(failure.into()),
        };
        match finished {
            Ok(None) => true,
            Ok(Some(email)) => {
                info!(account.id = %account, "The deletion of account `{account}`, which was cut short, came to its end");
                self.0.audit.report(self.event(removal, &email)).await;
                true
            }
            Err(failure) => {
                error!(account.id = %account, error = ?failure, "Account `{account}` was to be deleted and is not yet");
                false
            }
        }
    }

    /// Everything after the first step. Answers the account's address, if it was there until now.
    async fn finish(&self, removal: &Removal) -> Result<Option<String>, ApiError> {
        let Removal { account, heir, .. } = removal;
        let (parts, heir) = (&self.0, heir.as_ref());
        let kept = |failure| ApiError::from_store(&failure);
        parts.library.depart(account, heir).await?;
        let keeper = parts.auth.keeper(removal).ok_or(AuthError::LastAdmin)?;
        parts.registry.depart(account, heir, &keeper).await?;
        parts.responses.depart(account).await.map_err(kept)?;
        parts.saved.depart(account, heir).await.map_err(kept)?;
        let email = parts.auth.account(account).map(|account| account.email.clone());
        let was_there = parts.auth.delete_account(account).await?;
        Ok(email.filter(|_| was_there))
    }

    /// What the log is told of a removal that no request waits for any more.
    fn event(&self, removal: &Removal, email: &str) -> AuditEvent {
        AuditEvent {
            at: UnixTime::default(),
            action: Action::AccountDeleted,
            actor: self.0.auth.account(&removal.by).map(|by| Actor::from(&*by)),
            target: Some(Target::new("account", &removal.account)),
            address: None,
            request_id: None,
            detail: detail(removal, email),
        }
    }
}

/// What the log is told of a removal.
pub(crate) fn detail(removal: &Removal, email: &str) -> Map<String, Value> {
    let heir = removal.heir.as_ref().map(UserId::as_str);
    Map::from_iter([("email".to_owned(), json!(email)), ("transferred_to".to_owned(), json!(heir))])
}

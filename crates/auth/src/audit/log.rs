//! Writing to the log without having requests wait for it.
//!
//! # Design
//! Events are gathered in memory and written in batches: by [`AuditLog::run`] as soon as there is one,
//! so that a crash loses a few milliseconds of them, and by whoever reports one when too many wait. That
//! is why reporting is `async`: a log that cannot keep up makes requests wait, one that cannot be
//! written makes noise, and neither loses an entry while there is room for it.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use breezeway_core::{Clock, StoreError, UnixTime};
use serde_json::Value;
use tokio::sync::{Mutex as Turn, Notify};
use tracing::error;

use super::{Action, AuditEntry, AuditEvent, AuditQuery, AuditStore, Target};

/// How many events wait before who reports another one writes them.
const CROWD: usize = 256;

/// How many events wait at most while the store refuses them: a few megabytes.
const MOST: usize = 8192;

/// Places to remember subjects of seldom events at.
const SUBJECTS: usize = 4096;

/// How many entries one transaction deletes.
const FORGOTTEN_AT_ONCE: u64 = 512;

/// How many events one transaction takes.
const BATCH: usize = 256;

/// The audit log. Clones share one.
#[derive(Clone)]
pub struct AuditLog(Arc<Shared>);

struct Shared {
    store: Arc<dyn AuditStore>,
    clock: Clock,
    waiting: Mutex<VecDeque<AuditEvent>>,
    /// Held while a batch is written, so that entries are written in the order they were reported.
    turn: Turn<()>,
    reported: Notify,
    /// When something was last reported about subjects, each at a place chosen by a hash.
    seldom: Box<[AtomicI64]>,
    hasher: RandomState,
}

impl AuditLog {
    /// A log that is kept in `store`.
    pub fn new(store: Arc<dyn AuditStore>, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            store,
            clock,
            waiting: Mutex::default(),
            turn: Turn::default(),
            reported: Notify::new(),
            seldom: (0..SUBJECTS).map(|_| AtomicI64::new(0)).collect(),
            hasher: RandomState::new(),
        }))
    }

    /// Report an event; its time becomes the time of now. Waits only if many others do.
    pub async fn report(&self, event: AuditEvent) {
        let event = AuditEvent { at: self.0.clock.now(), ..event };
        let waiting = {
            let mut waiting = self.waiting();
            if waiting.len() >= MOST {
                error!(audit.action = %event.action, "An entry of the audit log is lost: it cannot be written, and too many wait");
                return;
            }
            waiting.push_back(event);
            waiting.len()
        };
        self.0.reported.notify_one();
        if waiting >= CROWD
            && let Err(failure) = self.flush().await
        {
            error!(error = %failure, audit.waiting = waiting, "The audit log cannot be written; its entries wait");
        }
    }

    /// Report an event unless one about the same `subject` was reported less than `window` ago: for
    /// what a stranger can bring about at no cost. Now and then two subjects count as one, and the
    /// second is left out.
    pub async fn report_seldom(&self, subject: &str, window: Duration, event: AuditEvent) {
        let now = self.0.clock.now();
        let place = usize::try_from(self.0.hasher.hash_one(subject)).unwrap_or(usize::MAX) % SUBJECTS;
        let last = self.0.seldom[place].load(Ordering::Relaxed);
        let is_due = last == 0 || now.since(UnixTime::from_seconds(last)) >= window;
        // A clock before 1970 would look like a place nobody has been at.
        let next = now.seconds().max(1);
        if is_due
            && self.0.seldom[place].compare_exchange(last, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.report(event).await;
        }
    }

    /// Write what waits, now.
    ///
    /// # Errors
    /// The store's; what was not written goes on waiting.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let _turn = self.0.turn.lock().await;
        loop {
            let batch: Vec<_> = self.waiting().iter().take(BATCH).cloned().collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.0.store.append(&batch).await?;
            // Others only add behind these, since the turn is ours.
            self.waiting().drain(..batch.len());
        }
    }

    /// Write events as they come, for as long as this is polled. A refusal of the store waits for the
    /// next event, or for [`AuditLog::flush`].
    pub async fn run(&self) {
        loop {
            self.0.reported.notified().await;
            if let Err(failure) = self.flush().await {
                error!(error = %failure, "The audit log cannot be written; its entries wait");
            }
        }
    }

    /// List entries, those included that were reported a moment ago.
    ///
    /// # Errors
    /// The store's.
    pub async fn entries(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
        self.flush().await?;
        self.0.store.entries(query).await
    }

    /// Delete entries that are older than `age`, and report that, if there were any. Each transaction
    /// deletes a few hundred, so that nobody who writes waits long.
    ///
    /// # Errors
    /// The store's; what was deleted until then is gone, and reported.
    pub async fn trim(&self, age: Duration) -> Result<u64, StoreError> {
        let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let before = UnixTime::from_seconds(self.0.clock.now().seconds().saturating_sub(age));
        let mut entries = 0;
        let ended = loop {
            match self.0.store.forget(before, FORGOTTEN_AT_ONCE).await {
                Ok(forgotten) => {
                    entries += forgotten;
                    if forgotten < FORGOTTEN_AT_ONCE {
                        break Ok(());
                    }
                }
                Err(failure) => break Err(failure),
            }
        };
        if entries > 0 {
            let detail = [("entries", Value::from(entries)), ("before", before.seconds().into())];
            let detail = detail.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
            self.report(AuditEvent {
                at: before,
                action: Action::LogTrimmed,
                actor: None,
                target: Some(Target::new("audit", "log")),
                address: None,
                request_id: None,
                detail,
            })
            .await;
        }
        ended.map(|()| entries)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<AuditEvent>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use async_trait::async_trait;
    use serde_json::Map;

    use super::*;
    use crate::{Action, AuditCursor, MemoryAudit, Target};

    /// A store that can be switched off.
    #[derive(Default)]
    struct Moody {
        inner: MemoryAudit,
        refuses: AtomicBool,
    }

    #[async_trait]
    impl AuditStore for Moody {
        async fn append(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
            if self.refuses.load(Ordering::SeqCst) {
                return Err(StoreError::Overloaded);
            }
            self.inner.append(events).await
        }

        async fn entries(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
            self.inner.entries(query).await
        }

        async fn forget(&self, before: UnixTime, most: u64) -> Result<u64, StoreError> {
            self.inner.forget(before, most).await
        }
    }

    fn event(number: usize) -> AuditEvent {
        AuditEvent {
            at: UnixTime::default(),
            action: Action::SignIn,
            actor: None,
            target: Some(Target::new("account", number)),
            address: None,
            request_id: None,
            detail: Map::new(),
        }
    }

    fn numbers(entries: &[AuditEntry]) -> Vec<String> {
        entries
            .iter()
            .filter_map(|entry| entry.event.target.as_ref())
            .map(|target| target.id.clone())
            .collect()
    }

    async fn stored(store: &Moody) -> Vec<AuditEntry> {
        let query = AuditQuery { from: AuditCursor::After(0), limit: u64::MAX, ..AuditQuery::default() };
        store.entries(&query).await.unwrap()
    }

    #[tokio::test]
    async fn entries_are_read_in_the_order_they_were_reported_whether_or_not_anybody_writes() {
        let store = Arc::new(Moody::default());
        let log = AuditLog::new(store.clone(), Clock::fixed(UnixTime::from_seconds(7)));

        for number in 0..3 {
            log.report(event(number)).await;
        }

        assert!(stored(&store).await.is_empty());
        let query = AuditQuery { limit: 2, ..AuditQuery::default() };
        let found = log.entries(&query).await.unwrap();
        assert_eq!(numbers(&found), ["2", "1"]);
        assert_eq!(found[0].event.at, UnixTime::from_seconds(7));
    }

    #[tokio::test]
    async fn who_reports_the_last_of_many_writes_them() {
        let store = Arc::new(Moody::default());
        let log = AuditLog::new(store.clone(), Clock::system());

        for number in 0..CROWD {
            log.report(event(number)).await;
        }

        assert_eq!(stored(&store).await.len(), CROWD);
    }

    #[tokio::test]
    async fn a_seldom_event_is_reported_once_in_its_window() {
        let store = Arc::new(Moody::default());
        let clock = Clock::fixed(UnixTime::from_seconds(100));
        let log = AuditLog::new(store.clone(), clock.clone());
        let window = Duration::from_secs(10);

        for (seconds, number) in [(100, 1), (109, 2), (110, 3), (111, 4)] {
            clock.set(UnixTime::from_seconds(seconds));
            log.report_seldom("ada", window, event(number)).await;
        }

        log.flush().await.unwrap();
        assert_eq!(numbers(&stored(&store).await), ["1", "3"]);
    }

    #[tokio::test]
    async fn what_the_store_refuses_waits_and_does_not_grow_for_ever() {
        let store = Arc::new(Moody::default());
        store.refuses.store(true, Ordering::SeqCst);
        let log = AuditLog::new(store.clone(), Clock::system());
        for number in 0..MOST + 10 {
            log.report(event(number)).await;
        }
        assert!(log.flush().await.is_err());

        store.refuses.store(false, Ordering::SeqCst);
        log.flush().await.unwrap();

        let expected: Vec<_> = (0..MOST).map(|number| number.to_string()).collect();
        assert_eq!(numbers(&stored(&store).await), expected);
    }
}

//! The log in memory, for tests and for embedders.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use breezeway_core::{StoreError, UnixTime};

use super::{AuditCursor, AuditEntry, AuditEvent, AuditQuery, AuditStore};

/// The port in memory. Clones share one log.
#[derive(Clone, Debug, Default)]
pub struct MemoryAudit(Arc<Mutex<Vec<AuditEntry>>>);

impl MemoryAudit {
    fn log(&self) -> MutexGuard<'_, Vec<AuditEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fits(query: &AuditQuery, entry: &AuditEntry) -> bool {
    let event = &entry.event;
    query.since.is_none_or(|since| event.at >= since)
        && query.until.is_none_or(|until| event.at < until)
        && query.actor.as_ref().is_none_or(|id| event.actor.as_ref().is_some_and(|actor| actor.id == *id))
        && query.action.is_none_or(|action| event.action == action)
        && query.target.as_ref().is_none_or(|id| event.target.as_ref().is_some_and(|target| target.id == *id))
}

#[async_trait]
impl AuditStore for MemoryAudit {
    async fn append(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        let mut log = self.log();
        for event in events {
            let id = log.last().map_or(1, |last| last.id + 1);
            log.push(AuditEntry { id, event: event.clone() });
        }
        Ok(())
    }

    async fn entries(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let log = self.log();
        let fitting = log.iter().filter(|entry| fits(query, entry));
        Ok(match query.from {
            AuditCursor::Before(before) => {
                let earlier = fitting.rev().filter(|entry| before.is_none_or(|before| entry.id < before));
                earlier.take(limit).cloned().collect()
            }
            AuditCursor::After(after) => {
                fitting.filter(|entry| entry.id > after).take(limit).cloned().collect()
            }
        })
    }

    async fn forget(&self, before: UnixTime, most: u64) -> Result<u64, StoreError> {
        let mut log = self.log();
        let latest = log.last().map(|entry| entry.id);
        let mut forgotten = 0;
        log.retain(|entry| {
            let goes = entry.event.at < before && Some(entry.id) != latest && forgotten < most;
            forgotten += u64::from(goes);
            !goes
        });
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_in_memory_keeps_the_contract() {
        crate::conformance::audit_store(async || MemoryAudit::default()).await;
    }
}

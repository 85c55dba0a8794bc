use async_trait::async_trait;
use breezeway_auth::{AuditEntry, AuditEvent, AuditQuery, AuditStore};
use breezeway_core::{StoreError, UnixTime};

use crate::{Store, audit};

#[async_trait]
impl AuditStore for Store {
    async fn append(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        let events = events.to_vec();
        self.write("append to the audit log", move |tx| audit::append(tx, &events)).await
    }

    async fn entries(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
        let query = query.clone();
        self.read("read the audit log", move |tx| audit::list(tx, &query)).await
    }

    async fn forget(&self, before: UnixTime, most: u64) -> Result<u64, StoreError> {
        self.write("forget old entries of the audit log", move |tx| audit::forget(tx, before, most)).await
    }
}

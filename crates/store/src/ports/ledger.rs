use std::sync::Arc;

use async_trait::async_trait;
use breezeway_core::StoreError;
use breezeway_usage::{Batch, Day, LedgerStore, Recovered, Report, ReportQuery};

use crate::{Store, ledger};

#[async_trait]
impl LedgerStore for Store {
    async fn recover(&self, since: Day) -> Result<Recovered, StoreError> {
        self.write("recover usage", move |tx| ledger::recover(tx, since)).await
    }

    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        Store::write(self, "write usage down", move |tx| ledger::write(tx, &batch)).await
    }

    async fn forget(&self, before: Day, most: u64) -> Result<u64, StoreError> {
        self.write("forget old rows of the ledger", move |tx| ledger::forget(tx, before, most)).await
    }

    async fn report(&self, query: &ReportQuery) -> Result<Report, StoreError> {
        let query = query.clone();
        self.read("report usage", move |tx| ledger::report(tx, &query)).await
    }
}

//! A ledger in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use breezeway_core::StoreError;

use crate::{
    Batch, BudgetRecord, Day, LedgerKey, LedgerStore, Recovered, Report, ReportQuery, Totals, report::Adder,
};

/// A [`LedgerStore`] in memory. Clones share it, so a clone is what a restarted process finds.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedger(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    last_batch: u64,
    rows: BTreeMap<LedgerKey, Totals>,
    budgets: HashMap<Arc<str>, BudgetRecord>,
}

impl MemoryLedger {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LedgerStore for MemoryLedger {
    async fn recover(&self, since: Day) -> Result<Recovered, StoreError> {
        let mut contents = self.contents();
        contents.budgets.retain(|_, record| record.start >= since);
        let budgets = contents.budgets.values().cloned().collect();
        Ok(Recovered { last_batch: contents.last_batch, budgets })
    }

    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        let mut contents = self.contents();
        if batch.number <= contents.last_batch {
            return Ok(());
        }
        contents.last_batch = batch.number;
        for (key, totals) in &batch.rows {
            contents.rows.entry(key.clone()).or_default().add(totals);
        }
        for record in &batch.budgets {
            contents.budgets.insert(record.holder.clone(), record.clone());
        }
        Ok(())
    }

    async fn report(&self, query: &ReportQuery) -> Result<Report, StoreError> {
        let contents = self.contents();
        let mut adder = Adder::new(query);
        contents.rows.iter().for_each(|(key, totals)| adder.add(key, totals));
        Ok(Report { last_batch: contents.last_batch, rows: adder.finish() })
    }

    async fn forget(&self, before: Day, most: u64) -> Result<u64, StoreError> {
        let mut contents = self.contents();
        let mut forgotten = 0;
        contents.rows.retain(|key, _| {
            let goes = key.day < before && forgotten < most;
            forgotten += u64::from(goes);
            !goes
        });
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn memory_keeps_the_contract_of_the_ledger_store() {
        conformance::ledger_store(async || MemoryLedger::default()).await;
    }
}

//! Writing down what is in memory.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use breezeway_core::StoreError;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Inner, Meter};
use crate::{Batch, LedgerKey, Totals, budget::Rest, keys::Key};

/// What the one that writes has in hand.
pub(super) struct Writer {
    last_batch: u64,
    /// The batch whose fate is not known: being written, or failed. It is written again until it is
    /// there; its number keeps it from counting twice.
    in_flight: Option<InFlight>,
    /// Keys this flush has yet to look at.
    keys: VecDeque<Arc<Key>>,
    /// Which shard is swept next.
    sweep: usize,
}

struct InFlight {
    batch: Arc<Batch>,
    /// The keys of the batch's budgets, in the same order, and their eras.
    keys: Vec<(Arc<Key>, u32)>,
}

impl Writer {
    pub(super) fn after(last_batch: u64) -> Self {
        Self { last_batch, in_flight: None, keys: VecDeque::new(), sweep: 0 }
    }

    /// Rows in hand that are not among those of the batches up to `last_batch`.
    pub(super) fn unwritten(&self, last_batch: u64) -> impl Iterator<Item = &(LedgerKey, Totals)> {
        let batch = self.in_flight.as_ref().map(|it| &it.batch).filter(|batch| batch.number > last_batch);
        batch.into_iter().flat_map(|batch| &batch.rows)
    }
}

impl Meter {
    /// Write down what is in memory, again and again. It never ends; dropping it at any point loses
    /// nothing.
    pub async fn run(&self) -> Infallible {
        let every = self.0.config.flush_every;
        let mut next = Instant::now() + every;
        loop {
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.0.wake.notified() => {}
            }
            let due = Instant::now() >= next;
            let rest = if due { self.0.rest() } else { Rest::Nobody };
            if let Err(error) = self.0.write_down(rest, due).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "Usage could not be written down; it is kept"
                );
                // Whoever needs it sooner would ring without end.
                sleep(every).await;
            }
            if due {
                next = Instant::now() + every;
            }
        }
    }

    /// Write down everything, and give back what keys hold ahead of use: the last thing to do.
    ///
    /// # Errors
    /// If the store does not take it. Then it is all still here, and the next flush tries again.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.0.write_down(Rest::Now, true).await
    }
}

impl Inner {
    fn rest(&self) -> Rest {
        let idle_ms = u64::try_from(self.config.lease_idle.as_millis()).unwrap_or(u64::MAX);
        Rest::SinceMs(self.now_ms().saturating_sub(idle_ms))
    }

    /// Write everything that is there now. Keys that rest give back what they hold ahead.
    async fn write_down(&self, rest: Rest, sweep: bool) -> Result<(), StoreError> {
        let mut guard = self.writer.lock().await;
        let writer = &mut *guard;
        // Should the last flush have broken off, its keys have not been looked at.
        let touched = self.keys.take_touched();
        writer.keys.extend(touched);
        if sweep {
            self.keys.sweep(writer.sweep, self.now());
            writer.sweep = writer.sweep.wrapping_add(1);
        }
        loop {
            // What an earlier flush left goes first, and says nothing about what has come since.
            let left = writer.in_flight.is_some();
            if !left {
                writer.in_flight = self.next_batch(writer, rest);
            }
            let Some(in_flight) = &writer.in_flight else { return Ok(()) };
            self.store.write(in_flight.batch.clone()).await?;

            for ((key, era), record) in in_flight.keys.iter().zip(&in_flight.batch.budgets) {
                key.raise(*era, record.used);
            }
            writer.last_batch = in_flight.batch.number;
            let full = in_flight.batch.rows.len() >= self.config.rows_per_batch;
            writer.in_flight = None;
            self.flushed.notify_waiters();
            // Rows that arrive meanwhile are the next flush's, or this one might not end.
            if !left && !full && writer.keys.is_empty() {
                return Ok(());
            }
        }
    }

    fn next_batch(&self, writer: &mut Writer, rest: Rest) -> Option<InFlight> {
        let (mut budgets, mut keys) = (Vec::new(), Vec::new());
        while budgets.len() < self.config.rows_per_batch.max(1)
            && let Some(key) = writer.keys.pop_front()
        {
            let (record, again) = key.renew(rest);
            if let Some((era, record)) = record {
                budgets.push(record);
                keys.push((key.clone(), era));
            }
            if again {
                self.keys.touch_again(key);
            }
        }
        let rows = self.pending.take(self.config.rows_per_batch.max(1));
        if rows.is_empty() && budgets.is_empty() {
            return None;
        }
        let batch = Arc::new(Batch { number: writer.last_batch + 1, rows, budgets });
        Some(InFlight { batch, keys })
    }
}

//! Writing turns down, in the order they ended.

use std::{sync::Arc, time::Duration};

use breezeway_core::StoreError;
use tokio::time::sleep;
use tracing::{error, warn};

use super::{Place, SavedChats, Waiting};
use crate::history::Turn;

/// How often writing one turn is tried while the store fails with it; being overloaded does not count.
pub(super) const ATTEMPTS: u32 = 5;

/// The pause after the store has refused a turn.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

impl SavedChats {
    /// Write answers as they come, for as long as this is polled. Dropping it at any point loses nothing.
    pub async fn run(&self) {
        loop {
            self.0.arrived.notified().await;
            while let Err(failure) = self.flush().await {
                warn!(error = %failure, "Answers could not be written into their chats yet");
                sleep(PAUSE).await;
            }
        }
    }

    /// Write what waits, now: the last thing to do.
    ///
    /// # Errors
    /// The store's; what was not written goes on waiting.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let _writer = self.0.writer.lock().await;
        while let Some(turn) = self.next() {
            match self.0.store.record(&turn).await {
                Ok(true) => {}
                // Who deletes a chat while it is being answered wants nothing of it.
                Ok(false) => {
                    tracing::debug!(chat.id = %turn.chat, "A chat is gone or full; its answer is not kept")
                }
                Err(failure) => {
                    if !self.gives_up(&failure) {
                        return Err(failure);
                    }
                    error!(error = %failure, chat.id = %turn.chat, "An answer could not be written into its chat and is lost");
                }
            }
            // Others only add behind it, since the writer's turn is ours.
            self.waiting().pop_front();
        }
        Ok(())
    }

    /// Write a turn that begins, behind what waits. If that fails its question is written with its answer.
    pub(in crate::history) async fn note(&self, turn: &Turn) {
        self.settle().await;
        let _writer = self.0.writer.lock().await;
        if let Err(failure) = self.0.store.record(turn).await {
            warn!(error = %failure, chat.id = %turn.chat, "A question could not be written into its chat yet");
        }
    }

    /// Hand a turn over to be written.
    pub(in crate::history) fn take(&self, turn: Turn, place: Place) {
        self.waiting().push_back(Waiting { turn: Arc::new(turn), attempts: 0, _place: place });
        self.0.arrived.notify_one();
    }

    /// Write what waits before chats are read or changed. If that fails they are as they are stored.
    pub(super) async fn settle(&self) {
        if !self.waiting().is_empty()
            && let Err(failure) = self.flush().await
        {
            warn!(error = %failure, "Answers could not be written into their chats yet");
        }
    }

    fn next(&self) -> Option<Arc<Turn>> {
        self.waiting().front().map(|waiting| waiting.turn.clone())
    }

    /// Whether the first turn that waits has failed too often. One that can never be written must not keep
    /// all others from it.
    fn gives_up(&self, failure: &StoreError) -> bool {
        if matches!(failure, StoreError::Overloaded) {
            return false;
        }
        let mut waiting = self.waiting();
        let Some(first) = waiting.front_mut() else { return true };
        first.attempts += 1;
        first.attempts >= ATTEMPTS
    }
}

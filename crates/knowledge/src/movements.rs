//! Telling those who wait that a file has moved.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// Woken whenever the state of any file has changed; clones are one bell.
///
/// It says that something moved and not what: whoever is woken looks again. A bell that named files
/// would have to remember them for listeners that are slow.
#[derive(Clone, Debug)]
pub struct Movements(Arc<watch::Sender<u64>>);

impl Default for Movements {
    /// A bell that nobody listens to yet.
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Movements {
    /// Something has moved: its new state is committed.
    pub fn tell(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Listen from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// What the library and whoever processes its files tell each other.
#[derive(Clone, Debug, Default)]
pub struct Bells {
    /// A file became pending.
    pub arrivals: Arc<Notify>,
    /// The state of some file changed.
    pub movements: Movements,
    /// A file was cancelled, deleted or put back in the queue: whoever is at work on it can stop, and
    /// there may be something to clear away.
    pub stops: Movements,
}

/// Hears what moves after it was made, or after it was last [asked](Listener::moved).
#[derive(Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Wait until something has moved since the last call; at once if it has already.
    pub async fn moved(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody is left who could move anything: whoever waits has a deadline of its own.
            std::future::pending::<()>().await;
        }
    }
}

//! Answers that nobody waits for any more, read to their ends so that they can say what they took.
//!
//! Some upstreams go on and bill the whole answer when their client leaves. A connection can say so,
//! and then what is left of a stream is read here, within bounds, instead of being closed and estimated.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::timeout,
};

/// Most streams that are read at once; further ones are closed, and estimated.
const AT_ONCE: usize = 64;

/// The longest that one is read.
const LONGEST: Duration = Duration::from_secs(60);

/// Reads one stream to its end.
type Drain = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where streams to be drained are handed over. Clones share one queue.
#[derive(Clone)]
pub(super) struct Drains {
    queue: Sender<Drain>,
    waiting: Arc<Mutex<Receiver<Drain>>>,
}

impl Default for Drains {
    fn default() -> Self {
        let (queue, waiting) = channel(AT_ONCE / 8);
        Self { queue, waiting: Arc::new(Mutex::new(waiting)) }
    }
}

impl Drains {
    /// Hand a stream over. It is dropped here and now if there are too many, or if nobody drains.
    pub(super) fn take(&self, drain: impl Future<Output = ()> + Send + 'static) {
        // Whoever drains holds the other end for as long as it does.
        let is_running = self.waiting.try_lock().is_err();
        if is_running {
            drop(self.queue.try_send(Box::pin(drain)));
        }
    }

    /// Drain for ever. Dropping the future closes what was being drained.
    pub(super) async fn run(&self) {
        let mut waiting = self.waiting.lock().await;
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(drain) = waiting.recv(), if open.len() < AT_ONCE => {
                    open.push(timeout(LONGEST, drain));
                }
                Some(_) = open.next(), if !open.is_empty() => {}
                else => return,
            }
        }
    }
}

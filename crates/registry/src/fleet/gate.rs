//! The gate of a connection: so many requests at once, so many in the queue, and no longer a wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// A bounded number of places and a bounded queue for them.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    size: usize,
    waiting: AtomicUsize,
    max_waiting: usize,
    patience: Duration,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "it is held, not read")] OwnedSemaphorePermit);

/// Nothing became free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Gate {
    /// A gate with `size` places, at least one.
    pub(crate) fn new(size: usize, max_waiting: usize, patience: Duration) -> Self {
        let size = size.clamp(1, Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(size));
        Self { places, size, waiting: AtomicUsize::new(0), max_waiting, patience }
    }

    /// How many are inside or wait.
    pub(crate) fn load(&self) -> usize {
        self.size - self.places.available_permits().min(self.size) + self.waiting.load(Ordering::Relaxed)
    }

    /// Whether somebody could go in now.
    pub(crate) fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// Go in, or wait for it in the order of arrival, at most `limit`.
    pub(crate) async fn enter(&self, limit: Duration) -> Result<Place, Full> {
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Ok(Place(permit));
        }
        let _waiting = Waiting::begin(&self.waiting, self.max_waiting).ok_or(Full)?;
        match timeout(limit.min(self.patience), self.places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place(permit)),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }
}

/// Counts as waiting until dropped, however the wait ends.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let more = |waiting: usize| (waiting < limit).then_some(waiting + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_place_waits_in_line_and_not_for_ever() {
        let gate = Gate::new(1, 1, SECOND);
        let place = gate.enter(SECOND).await.unwrap();

        let (late, too_many) = tokio::join!(gate.enter(SECOND), gate.enter(SECOND));
        let load = gate.load();
        drop(place);
        let next = gate.enter(SECOND).await;

        assert!(late.is_err() && too_many.is_err());
        assert_eq!(load, 1);
        assert!(next.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_becomes_free_goes_to_who_waits() {
        let gate = Gate::new(1, 1, SECOND);
        let place = gate.enter(SECOND).await.unwrap();

        let (waited, ()) = tokio::join!(gate.enter(SECOND), async { drop(place) });

        assert!(waited.is_ok());
        assert_eq!(gate.load(), 1);
    }

    #[tokio::test]
    async fn who_leaves_the_queue_is_not_counted() {
        let gate = Gate::new(1, 1, SECOND);
        let place = gate.enter(SECOND).await.unwrap();

        let left = timeout(Duration::ZERO, gate.enter(SECOND)).await;
        drop(place);

        assert!(left.is_err());
        assert_eq!(gate.load(), 0);
        assert!(gate.has_room());
    }
}

//! A value that changes while many read it.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

/// A shared snapshot: read without waiting, replaced as a whole.
///
/// Readers get an `Arc` of one consistent value. Writers go one after another through
/// [`Live::update`] and never block a reader. [`Live::watch`] tells when the value was replaced.
#[derive(Clone)]
pub struct Live<T>(Arc<Inner<T>>);

struct Inner<T> {
    current: ArcSwap<T>,
    writer: Mutex<()>,
    version: watch::Sender<u64>,
}

impl<T: Send + Sync + 'static> Live<T> {
    /// Start with `value`.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Inner {
            current: ArcSwap::from_pointee(value),
            writer: Mutex::new(()),
            version: watch::Sender::new(0),
        }))
    }

    /// The value as it is now.
    pub fn load(&self) -> Arc<T> {
        self.0.current.load_full()
    }

    /// Replace the value.
    pub fn store(&self, value: T) {
        self.update(|_| (value, ()));
    }

    /// Replace the value by one made from it; other writers wait, readers do not.
    pub fn update<R>(&self, change: impl FnOnce(&T) -> (T, R)) -> R {
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, answer) = change(&self.0.current.load());
        self.0.current.store(Arc::new(next));
        drop(writer);
        self.0.version.send_modify(|version| *version += 1);
        answer
    }

    /// A receiver that wakes after every replacement.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }
}

impl<T: Default + Send + Sync + 'static> Default for Live<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

//! Wall time.
//!
//! The API speaks whole seconds since 1970, so that is the one representation. Pure functions take
//! `now`; what needs to ask holds a [`Clock`], which a test can set.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Seconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The time that is `seconds` after 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// This time moved into the future, or the last representable time.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tells the time: the machine's, or the one a test has set.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until [`Clock::set`].
    pub fn fixed(at: UnixTime) -> Self {
        Self(Some(Arc::new(AtomicI64::new(at.seconds()))))
    }

    /// What time it is.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn now(&self) -> UnixTime {
        match &self.0 {
            Some(fixed) => UnixTime(fixed.load(Ordering::Relaxed)),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixTime(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
            }
        }
    }

    /// Move a fixed clock; the machine's clock cannot be set and stays as it is.
    pub fn set(&self, at: UnixTime) {
        if let Some(fixed) = &self.0 {
            fixed.store(at.seconds(), Ordering::Relaxed);
        }
    }
}

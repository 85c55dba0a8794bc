//! What fleets need to know.

use std::time::Duration;

/// How fleets choose, repeat and give up. Connections may differ: see [`Routing`].
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// Most attempts at one request where several connections serve its model. Where there is one
    /// connection there is one attempt, unless it says otherwise.
    pub attempts: u32,
    /// No attempt begins later than this after the request came.
    pub retry_within: Duration,
    /// The first pause before a connection is asked again; it doubles, and its length is random.
    pub backoff: Duration,
    /// The longest such pause.
    pub backoff_at_most: Duration,
    /// Most requests under way at one connection.
    pub max_in_flight: usize,
    /// Most requests that wait for a place at one connection.
    pub max_queue: usize,
    /// Longest wait for a place.
    pub queue_wait: Duration,
    /// When connections that fail are left alone.
    pub breaker: BreakerConfig,
    /// The seed of all random choices; `None` for another one in every process.
    pub seed: Option<u64>,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            attempts: 3,
            retry_within: Duration::from_secs(30),
            backoff: Duration::from_millis(100),
            backoff_at_most: Duration::from_secs(2),
            // Above what one machine streams at once: a bound against runaways, not a setting for an
            // upstream, which has one of its own.
            max_in_flight: 8192,
            max_queue: 1024,
            queue_wait: Duration::from_secs(10),
            breaker: BreakerConfig::default(),
            seed: None,
        }
    }
}

/// When an offer that fails is left alone.
#[derive(Clone, Debug)]
pub struct BreakerConfig {
    /// So many failures in a row open it.
    pub failures: u32,
    /// How many of the last outcomes are looked at, 64 at most.
    pub window: u32,
    /// Fewer outcomes than this say nothing about the part of failures.
    pub at_least: u32,
    /// This part of failures among them opens it, from 0 to 1.
    pub ratio: f64,
    /// How long it stays open the first time; it doubles with every probe that fails.
    pub open_for: Duration,
    /// The longest time it stays open.
    pub open_at_most: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            window: 20,
            at_least: 10,
            ratio: 0.5,
            open_for: Duration::from_secs(1),
            open_at_most: Duration::from_secs(60),
        }
    }
}

/// What a connection says about its place in fleets.
#[derive(Clone, Debug, PartialEq)]
pub struct Routing {
    /// Lower goes first; a higher one is only asked when all lower ones cannot be.
    pub priority: u32,
    /// Its share beside others of the same priority; at least 1.
    pub weight: u32,
    /// Most requests under way here; `None` for [`FleetConfig::max_in_flight`].
    pub max_in_flight: Option<usize>,
    /// Most requests waiting for a place here; `None` for [`FleetConfig::max_queue`].
    pub max_queue: Option<usize>,
    /// Longest wait for a place here; `None` for [`FleetConfig::queue_wait`].
    pub queue_wait: Option<Duration>,
    /// Most attempts at a request that is first sent here; `None` for the usual number.
    pub attempts: Option<u32>,
    /// Whether a request is sent again although this upstream may have worked on it: after a
    /// connection that broke off, a wait that was too long, an answer that was none.
    pub retry_broken: bool,
    /// Longest wait for the head of an answer, if there is a limit.
    pub first_byte_timeout: Option<Duration>,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            priority: 0,
            weight: 1,
            max_in_flight: None,
            max_queue: None,
            queue_wait: None,
            attempts: None,
            retry_broken: false,
            first_byte_timeout: None,
        }
    }
}

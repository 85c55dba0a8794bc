//! The lanes: how many threads each kind of heavy work gets, decided in one place so that together
//! they fit the machine.

use breezeway_core::{Lane, LaneConfig};

/// Sizes of the lanes.
#[derive(Clone, Copy, Debug)]
pub struct LaneSizes {
    /// Password hashing: half of the cores and at most two, so that a burst of sign-ins leaves the others
    /// alone.
    pub hash: LaneConfig,
    /// Reading from the database.
    pub read: LaneConfig,
    /// Reading text out of files, and cutting it.
    pub extract: LaneConfig,
    /// Running the local embedding model.
    pub embed: LaneConfig,
    /// Searching.
    pub search: LaneConfig,
}

impl LaneSizes {
    /// Sizes for a machine with `cores` cores.
    pub fn for_cores(cores: usize) -> Self {
        let cores = cores.max(1);
        Self {
            // A hash takes some 20 ms, so a full queue is waited for two or three seconds at most.
            hash: LaneConfig { threads: (cores / 2).clamp(1, 2), queue: 128 },
            read: LaneConfig { threads: cores.clamp(2, 8), queue: 1024 },
            extract: LaneConfig { threads: cores.min(4), queue: 64 },
            // One: ONNX Runtime gains little from two sessions that share the cores with everything else.
            embed: LaneConfig { threads: 1, queue: 1024 },
            search: LaneConfig { threads: cores.clamp(2, 8), queue: 256 },
        }
    }
}

impl Default for LaneSizes {
    /// For the machine this runs on.
    fn default() -> Self {
        Self::for_cores(std::thread::available_parallelism().map_or(2, usize::from))
    }
}

/// The lanes themselves.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    pub(crate) hash: Lane,
    pub(crate) read: Lane,
    pub(crate) write: Lane,
    pub(crate) extract: Lane,
    pub(crate) embed: Lane,
    pub(crate) search: Lane,
    pub(crate) fetch: Lane,
}

impl Lanes {
    pub(crate) fn start(sizes: LaneSizes) -> Self {
        Self {
            hash: Lane::in_background("hash", sizes.hash),
            read: Lane::new("read", sizes.read),
            // One writer: SQLite has one at a time anyway, and a queue here is cheaper than its lock.
            write: Lane::new("write", LaneConfig { threads: 1, queue: 4096 }),
            extract: Lane::in_background("extract", sizes.extract),
            embed: Lane::in_background("embed", sizes.embed),
            search: Lane::new("search", sizes.search),
            fetch: Lane::new("fetch", LaneConfig { threads: 1, queue: 8 }),
        }
    }
}

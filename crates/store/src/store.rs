//! The store: connections behind two lanes.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use breezeway_core::{Lane, LaneError, StoreError};

use crate::{
    check, chunks,
    db::{Pool, PoolConfig, Tx},
};

/// Chunks cleared away in one transaction.
const CLEARED_AT_ONCE: u32 = 1000;

/// Where the database is and how it is opened.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The file. It and its folder are made if they do not exist.
    pub path: PathBuf,
    /// Connections that read at the same time; as many as the read lane has threads.
    pub readers: usize,
    /// How long to wait for another process that is writing.
    pub busy_timeout: Duration,
    /// To which size the write-ahead log is cut back after a burst, in bytes.
    pub wal_limit_bytes: u64,
    /// Page cache of each connection, in bytes.
    pub cache_bytes: u64,
}

impl StoreConfig {
    /// A database at `path`, with values that suit a server on one machine.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            wal_limit_bytes: 64 * 1024 * 1024,
            cache_bytes: 16 * 1024 * 1024,
        }
    }
}

/// Every store port, on one SQLite database. Clones share it; it is closed with the last of them.
///
/// Calls run on the lanes and never on the thread that awaits them. A full lane is
/// [`StoreError::Overloaded`], at once.
#[derive(Clone)]
pub struct Store {
    pool: Arc<Pool>,
    write: Lane,
    read: Lane,
    path: Arc<Path>,
}

impl Store {
    /// Open the database and bring its schema up to date.
    ///
    /// Writes go through `write` one after another, so more than one thread there is wasted.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] for a database of a newer program or of another one; it is left
    /// as it was.
    pub async fn open(config: StoreConfig, write: Lane, read: Lane) -> Result<Self, StoreError> {
        let path = Arc::from(config.path.as_path());
        let config = PoolConfig {
            path: config.path,
            readers: config.readers,
            busy_timeout: config.busy_timeout,
            wal_limit_bytes: config.wal_limit_bytes,
            cache_bytes: config.cache_bytes,
        };
        let pool = on(&write, "open the database", move || Pool::open(&config)).await?;
        Ok(Self { pool: Arc::new(pool), write, read, path })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read("ask for a sign of life", |tx| {
            tx.query_one("SELECT count(*) AS alive FROM counters", &[], |row| row.integer("alive"))
        })
        .await
        .map(drop)
    }

    /// Look for contradictions: one sentence for each, at most a few of each kind; none in a sound
    /// database. Reads everything, so it is for tools, tests and the time after a crash.
    pub async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.read("check the database", check::run).await
    }

    /// Repair what [`Store::check`] finds, as far as it can be: rows that belong to nothing are deleted,
    /// files whose text is in disorder are processed again, a log that contradicts the chunks is written
    /// anew. Answers what was found, in the words of the check. Whoever follows the log must be told by
    /// nobody: an index that has read another log begins anew by itself.
    ///
    /// For a time in which nothing else is done: everything is in one transaction.
    ///
    /// # Errors
    /// If the database cannot be read or written; nothing has changed then.
    pub async fn repair(&self) -> Result<Vec<String>, StoreError> {
        // What is to be cleared away would be found as it is, neither here nor there.
        while !self.write("clear chunks away", |tx| chunks::clear_away(tx, CLEARED_AT_ONCE)).await? {}
        self.write("repair the database", check::repair).await
    }

    /// Give unused pages of the file back to the disk. Takes as long as writing the whole file, and
    /// nobody else writes meanwhile.
    ///
    /// # Errors
    /// If there is no room for the copy that is made.
    pub async fn shrink(&self) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        on(&self.write, "shrink the database", move || pool.vacuum()).await
    }

    pub(crate) async fn read<T, F>(&self, action: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let pool = self.pool.clone();
        on(&self.read, action, move || pool.read(action, work)).await
    }

    pub(crate) async fn write<T, F>(&self, action: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let pool = self.pool.clone();
        on(&self.write, action, move || pool.write(action, work)).await
    }
}

async fn on<T, F>(lane: &Lane, action: &'static str, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StoreError> + Send + 'static,
{
    lane.run(work).await.unwrap_or_else(|error| {
        Err(match error {
            LaneError::Full(_) => StoreError::Overloaded,
            LaneError::Panicked(_) | LaneError::Closed(_) => StoreError::failed(action, error),
        })
    })
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

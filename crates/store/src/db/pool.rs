//! Connections: one that writes and several that read.
//!
//! SQLite lets one connection write at a time. With a single writer that waits in our own queue
//! nobody ever meets a busy database, and readers never wait for a writer at all: in WAL mode they
//! read the last commit.

use std::{
    fs, mem,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use breezeway_core::StoreError;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{
    Tx, dialect,
    migrate::{self, MIGRATIONS, Migration},
};

/// Statements kept prepared on each connection. The repositories have about a hundred.
const STATEMENTS: usize = 160;

/// What [`Pool::open`] needs to know.
pub(crate) struct PoolConfig {
    pub(crate) path: PathBuf,
    pub(crate) readers: usize,
    pub(crate) busy_timeout: Duration,
    pub(crate) wal_limit_bytes: u64,
    pub(crate) cache_bytes: u64,
}

/// The connections of one database.
pub(crate) struct Pool {
    writer: Mutex<Connection>,
    /// The one used last is on top: its page cache is the warmest.
    readers: Mutex<Vec<Connection>>,
    returned: Condvar,
}

impl Pool {
    /// Open the database, bring its schema up to date and connect readers.
    pub(crate) fn open(config: &PoolConfig) -> Result<Self, StoreError> {
        Self::open_with(config, MIGRATIONS)
    }

    pub(super) fn open_with(config: &PoolConfig, steps: &[Migration]) -> Result<Self, StoreError> {
        let action = format!("open `{}`", config.path.display());
        let failed = |error| dialect::store_error(&action, error);
        create(&config.path).map_err(|error| StoreError::failed(&action, error))?;

        let mut writer = connect(config).map_err(failed)?;
        migrate::verify(&writer, steps)?;
        become_writer(&writer, config).map_err(failed)?;
        migrate::run(&mut writer, steps)?;
        writer.pragma_update(None, "foreign_keys", true).map_err(failed)?;

        let readers = (0..config.readers.max(1))
            .map(|_| {
                let reader = connect(config)?;
                reader.pragma_update(None, "query_only", true)?;
                Ok(reader)
            })
            .collect::<rusqlite::Result<_>>()
            .map_err(failed)?;
        Ok(Self { writer: Mutex::new(writer), readers: Mutex::new(readers), returned: Condvar::new() })
    }

    /// Run `work` in a transaction that sees one state of the database throughout.
    pub(crate) fn read<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut reader = self.reader();
        transaction(reader.connection(), TransactionBehavior::Deferred, action, work)
    }

    /// Run `work` in a transaction that is committed if it succeeds and leaves no trace if it fails
    /// or panics.
    pub(crate) fn write<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // IMMEDIATE: a transaction that began by reading could not become a writer any more if
        // another process had committed meanwhile.
        transaction(&mut lock(&self.writer), TransactionBehavior::Immediate, action, work)
    }

    /// Write the file anew without what was deleted.
    pub(crate) fn vacuum(&self) -> Result<(), StoreError> {
        let writer = lock(&self.writer);
        let failed = |error| dialect::store_error("shrink the database", error);
        writer.execute_batch("VACUUM").map_err(failed)?;
        // The copy went through the log, which is as long as the file now.
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)
    }

    fn reader(&self) -> Reader<'_> {
        let mut idle = lock(&self.readers);
        loop {
            // No liveness query on reuse: a local file cannot hang up.
            match idle.pop() {
                Some(connection) => return Reader { pool: self, connection: Some(connection) },
                // There are as many threads as the lane has, so this wait is as bounded as a read is.
                None => idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Readers first, so that the writer is the last connection and its closing folds the log
        // into the database.
        drop(mem::take(self.readers.get_mut().unwrap_or_else(PoisonError::into_inner)));
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Refreshes the planner's statistics where they have gone stale; it bounds its own work.
        if let Err(error) = writer.execute_batch("PRAGMA optimize") {
            tracing::warn!(error = %error, "Closing the database left its statistics as they were");
        }
    }
}

/// A reading connection that finds its way back, also when the work panics.
struct Reader<'p> {
    pool: &'p Pool,
    connection: Option<Connection>,
}

impl Reader<'_> {
    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is taken out only in drop")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        lock(&self.pool.readers).extend(self.connection.take());
        self.pool.returned.notify_one();
    }
}

fn transaction<T>(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    action: &'static str,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let failed = |error| dialect::store_error(action, error);
    // Rolls back when dropped without a commit: on an error and on a panic.
    let transaction = connection.transaction_with_behavior(behavior).map_err(failed)?;
    let answer = work(&mut Tx::new(&transaction, action))?;
    transaction.commit().map_err(failed)?;
    Ok(answer)
}

/// A panic inside a transaction has rolled it back, so the connection behind a poisoned lock is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Make the file if it is not there, for its owner's eyes only: it holds password hashes and private
/// documents. SQLite gives its side files the same mode.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Settings of every connection; none of them writes to the file.
fn connect(config: &PoolConfig) -> rusqlite::Result<Connection> {
    // Neither URIs (a path is a path) nor SQLite's own mutex (ours is around it).
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&config.path, flags)?;
    connection.busy_timeout(config.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Negative: KiB instead of pages.
    let cache_kib = i64::try_from(config.cache_bytes / 1024).unwrap_or(i64::MAX);
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The schema of a file somebody else has touched must not call functions with side effects.
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn become_writer(connection: &Connection, config: &PoolConfig) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        // Some network file systems have no shared memory. All promises hold, but for the speed.
        tracing::warn!(
            journal.mode = mode,
            "The database cannot use a write-ahead log; readers will wait for writers"
        );
    }
    // What a call has written is in the operating system's hands when it answers, and a process
    // that is killed (SIGKILL, a panic, out of memory) loses nothing. NORMAL leaves the fsync to the
    // checkpoint: if the machine itself loses power the last commits may be missing, whole and in
    // order, and the database is sound. FULL would pay one fsync for every commit against that.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let limit = i64::try_from(config.wal_limit_bytes).unwrap_or(i64::MAX);
    connection.pragma_update(None, "journal_size_limit", limit)?;
    // Deleted means gone: what a row or a page held is overwritten with zeros, and so is what the log
    // held once it is folded in. FAST would spare pages that are given back whole, which is where
    // long texts are.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(())
}

//! The transaction that repository functions take.

use breezeway_core::StoreError;
use rusqlite::{CachedStatement, Connection, params_from_iter};

use super::{Row, Value, dialect};

/// One transaction: what a repository function reads and writes through.
///
/// # Design
/// A struct over the one driver there is. A second database makes it an enum with the same four
/// methods, and no repository notices. Statements are prepared once a connection and kept.
pub(crate) struct Tx<'c> {
    connection: &'c Connection,
    /// What the caller is doing, for errors: a verb and its object.
    action: &'static str,
}

impl<'c> Tx<'c> {
    pub(super) fn new(connection: &'c Connection, action: &'static str) -> Self {
        Self { connection, action }
    }

    /// Change rows; answers how many.
    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        self.prepare(sql)?.execute(params_from_iter(values)).map_err(|error| self.error(error))
    }

    /// All rows of an answer.
    pub(crate) fn query<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(|error| self.error(error))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.error(error))? {
            found.push(read(&Row::new(row))?);
        }
        Ok(found)
    }

    /// The first row of an answer, if it has one.
    pub(crate) fn query_opt<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(|error| self.error(error))?;
        rows.next().map_err(|error| self.error(error))?.map(|row| read(&Row::new(row))).transpose()
    }

    /// The row of an answer that always has one, such as a count.
    pub(crate) fn query_one<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.query_opt(sql, values, read)?.ok_or_else(|| self.error(rusqlite::Error::QueryReturnedNoRows))
    }

    /// A failure of the current action for a reason of our own.
    pub(crate) fn refuse(&self, why: &'static str) -> StoreError {
        StoreError::failed(self.action, why)
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'c>, StoreError> {
        self.connection.prepare_cached(sql).map_err(|error| self.error(error))
    }

    fn error(&self, error: rusqlite::Error) -> StoreError {
        dialect::store_error(self.action, error)
    }
}

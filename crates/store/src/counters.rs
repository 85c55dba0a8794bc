//! Numbers that are never given twice.

use std::ops::RangeInclusive;

use breezeway_core::StoreError;

use crate::db::Tx;

/// What is counted.
#[derive(Clone, Copy)]
pub(crate) enum Counter {
    /// Chunks; 32 bits.
    Chunk,
    /// Entries of the chunk log.
    Log,
}

impl Counter {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Chunk => "chunk",
            Self::Log => "log",
        }
    }
}

/// Take the next `count` numbers; at least one.
pub(crate) fn take(
    tx: &mut Tx<'_>,
    counter: Counter,
    count: usize,
) -> Result<RangeInclusive<i64>, StoreError> {
    let last = tx.query_one(
        "UPDATE counters SET last = last + ?2 WHERE name = ?1 RETURNING last",
        &[counter.as_str().into(), count.into()],
        |row| row.integer("last"),
    )?;
    if matches!(counter, Counter::Chunk) && last > i64::from(u32::MAX) {
        return Err(tx.refuse("all chunk numbers have been used"));
    }
    // The database has just added `count` to it, so it fits.
    Ok(last - count as i64 + 1..=last)
}

/// The number given last, 0 if none was.
pub(crate) fn last(tx: &mut Tx<'_>, counter: Counter) -> Result<i64, StoreError> {
    tx.query_one("SELECT last FROM counters WHERE name = ?1", &[counter.as_str().into()], |row| {
        row.integer("last")
    })
}

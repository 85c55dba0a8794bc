//! Values on their way in, rows on their way out.

use std::str::FromStr;

use breezeway_core::{InvalidId, StoreError, UnixTime};
use rusqlite::{
    ToSql,
    types::{FromSql, ToSqlOutput, ValueRef},
};
use serde_json::Map;

/// A value bound to a placeholder. Long texts are borrowed, not copied.
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Bool(bool),
    Time(UnixTime),
    Text(&'a str),
    Json(String),
    Blob(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(crate) fn blob(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }

    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::Json(value.to_string())
    }

    pub(crate) fn object(map: &Map<String, serde_json::Value>) -> Self {
        // Every key of a JSON map is a text, which is the only thing that can go wrong here.
        Self::Json(serde_json::to_string(map).expect("a JSON map is JSON"))
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Bool(truth) => ValueRef::Integer(i64::from(*truth)),
            Self::Time(time) => ValueRef::Integer(time.seconds()),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Json(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Texts and typed ids.
impl<'a, T: AsRef<str> + ?Sized> From<&'a T> for Value<'a> {
    fn from(text: &'a T) -> Self {
        Self::Text(text.as_ref())
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

/// Numbers beyond the database's range become its largest: as a limit or an offset they mean the
/// same, and no size comes near.
impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value<'_> {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<UnixTime> for Value<'_> {
    fn from(time: UnixTime) -> Self {
        Self::Time(time)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of an answer, read by column name.
pub(crate) struct Row<'r>(&'r rusqlite::Row<'r>);

impl<'r> Row<'r> {
    pub(super) fn new(row: &'r rusqlite::Row<'r>) -> Self {
        Self(row)
    }

    /// The reason is the driver's description of the types, never the value: that could be a
    /// document or a secret.
    fn get<T: FromSql>(&self, column: &'static str) -> Result<T, StoreError> {
        self.0.get(column).map_err(|error| unreadable(column, error))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.get(column)
    }

    pub(crate) fn opt_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    pub(crate) fn integer(&self, column: &'static str) -> Result<i64, StoreError> {
        self.get(column)
    }

    /// A number of the type the caller wants; negative or too large ones are unreadable.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let number = self.integer(column)?;
        T::try_from(number).map_err(|_| unreadable(column, number))
    }

    pub(crate) fn opt_number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let number: Option<i64> = self.get(column)?;
        number.map(|number| T::try_from(number).map_err(|_| unreadable(column, number))).transpose()
    }

    pub(crate) fn bool(&self, column: &'static str) -> Result<bool, StoreError> {
        self.get(column)
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<UnixTime, StoreError> {
        self.integer(column).map(UnixTime::from_seconds)
    }

    pub(crate) fn opt_time(&self, column: &'static str) -> Result<Option<UnixTime>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(UnixTime::from_seconds))
    }

    pub(crate) fn hash(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        self.get(column)
    }

    /// Read bytes in place, without a copy of them; `None` where there are none.
    pub(crate) fn opt_bytes<T>(
        &self,
        column: &'static str,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let value = self.0.get_ref(column).map_err(|error| unreadable(column, error))?;
        let bytes = value.as_blob_or_null().map_err(|error| unreadable(column, error))?;
        bytes
            .map(|bytes| read(bytes).ok_or_else(|| unreadable(column, format!("{} bytes", bytes.len()))))
            .transpose()
    }

    pub(crate) fn id<T: FromStr<Err = InvalidId>>(&self, column: &'static str) -> Result<T, StoreError> {
        let text = self.text(column)?;
        text.parse().map_err(|_| unreadable(column, text))
    }

    pub(crate) fn opt_id<T: FromStr<Err = InvalidId>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.opt_text(column)?;
        text.map(|text| text.parse().map_err(|_| unreadable(column, text))).transpose()
    }

    pub(crate) fn opt_json(&self, column: &'static str) -> Result<Option<serde_json::Value>, StoreError> {
        let text = self.opt_text(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| unreadable(column, error))).transpose()
    }

    pub(crate) fn object(&self, column: &'static str) -> Result<Map<String, serde_json::Value>, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|error| unreadable(column, error))
    }

    pub(crate) fn opt_object(
        &self,
        column: &'static str,
    ) -> Result<Option<Map<String, serde_json::Value>>, StoreError> {
        let text = self.opt_text(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| unreadable(column, error))).transpose()
    }
}

/// A value that no version of this program would have written.
pub(crate) fn unreadable(what: &'static str, value: impl ToString) -> StoreError {
    StoreError::Unreadable { what, value: value.to_string() }
}

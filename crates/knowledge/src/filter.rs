//! Filters: which files a search may look at, said in the grammar of OpenAI's vector stores.
//!
//! A comparison is `{"type": "eq", "key": "author", "value": "ada"}` with one of `eq`, `ne`, `gt`, `gte`,
//! `lt`, `lte`, `in` and `nin`; `{"type": "and", "filters": […]}` and `or` join others. A key is looked for
//! in what the collection says about the file, then in the file's own metadata, then among what every
//! file has: `name`, `extension`, `type`, `size`, `created_at`, `updated_at`, `owner` and `id`.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::File;

mod date;
mod parse;
#[cfg(test)]
mod tests;

pub use self::parse::BadFilter;

/// A condition on files.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of them hold; of none that is so, too.
    All(Vec<Filter>),
    /// One of them holds.
    Any(Vec<Filter>),
    /// A value of the file compares like this with the one given.
    Is {
        /// Whose value.
        key: String,
        /// How.
        test: Test,
    },
}

/// How a value is compared.
///
/// A list has a value if one of its entries does, so that `eq` asks whether a tag is set. A file without
/// the key passes `ne` and `nin` and no other test, and so does one whose value is of another kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// It is this one.
    Eq(Value),
    /// It is another, or there is none.
    Ne(Value),
    /// It is greater.
    Gt(Value),
    /// It is not less.
    Gte(Value),
    /// It is less.
    Lt(Value),
    /// It is not greater.
    Lte(Value),
    /// It is one of these.
    In(Vec<Value>),
    /// It is none of these, or there is none.
    Nin(Vec<Value>),
}

impl Filter {
    /// Whether a file passes. `attributes` is what the collection in question says about it.
    pub fn passes(&self, file: &File, attributes: &Map<String, Value>) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.passes(file, attributes)),
            Self::Any(filters) => filters.iter().any(|filter| filter.passes(file, attributes)),
            Self::Is { key, test } => match value_of(file, attributes, key) {
                Some(Found { value: Value::Array(values), is_time }) => test.holds(&values, is_time),
                Some(Found { value, is_time }) => test.holds(&[value], is_time),
                None => test.holds(&[], false),
            },
        }
    }
}

/// A file's value of a key.
struct Found {
    value: Value,
    /// Whether it is seconds of Unix time, which dates may be compared with.
    is_time: bool,
}

fn value_of(file: &File, attributes: &Map<String, Value>, key: &str) -> Option<Found> {
    let said = attributes.get(key).or_else(|| file.metadata.get(key)).filter(|value| !value.is_null());
    if let Some(value) = said {
        return Some(Found { value: value.clone(), is_time: false });
    }
    let own = |value: Value| Some(Found { value, is_time: false });
    let time = |seconds: i64| Some(Found { value: seconds.into(), is_time: true });
    match key {
        "id" | "file_id" => own(file.id.as_str().into()),
        "name" | "filename" => own(file.name.as_str().into()),
        "extension" => own(crate::name::extension(&file.name).into()),
        "type" | "content_type" => own(file.media_type.as_str().into()),
        "size" | "bytes" => own(file.size_bytes.into()),
        "owner" | "user_id" => own(file.owner.as_str().into()),
        "created_at" => time(file.created_at.seconds()),
        "updated_at" => time(file.updated_at.seconds()),
        _ => None,
    }
}

impl Test {
    fn holds(&self, values: &[Value], is_time: bool) -> bool {
        let any = |wanted: &Value, fits: fn(Ordering) -> bool| {
            values.iter().any(|value| compared(value, wanted, is_time).is_some_and(fits))
        };
        match self {
            Self::Eq(wanted) => any(wanted, Ordering::is_eq),
            Self::Ne(wanted) => !any(wanted, Ordering::is_eq),
            Self::Gt(wanted) => any(wanted, Ordering::is_gt),
            Self::Gte(wanted) => any(wanted, Ordering::is_ge),
            Self::Lt(wanted) => any(wanted, Ordering::is_lt),
            Self::Lte(wanted) => any(wanted, Ordering::is_le),
            Self::In(wanted) => wanted.iter().any(|wanted| any(wanted, Ordering::is_eq)),
            Self::Nin(wanted) => !wanted.iter().any(|wanted| any(wanted, Ordering::is_eq)),
        }
    }
}

/// How a value compares with the one asked for; `None` if they are of different kinds.
fn compared(value: &Value, wanted: &Value, is_time: bool) -> Option<Ordering> {
    match (value, wanted) {
        (Value::Number(value), Value::Number(wanted)) => {
            // As whole numbers where both are: a float would make large ones equal.
            match (value.as_i64(), wanted.as_i64()) {
                (Some(value), Some(wanted)) => Some(value.cmp(&wanted)),
                _ => value.as_f64()?.partial_cmp(&wanted.as_f64()?),
            }
        }
        (Value::Number(value), Value::String(wanted)) if is_time => {
            Some(value.as_i64()?.cmp(&date::seconds(wanted)?))
        }
        (Value::String(value), Value::String(wanted)) => Some(value.cmp(wanted)),
        (Value::Bool(value), Value::Bool(wanted)) => Some(value.cmp(wanted)),
        _ => None,
    }
}

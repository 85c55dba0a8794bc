//! Filters out of JSON.

use serde_json::Value;

use super::{Filter, Test};

/// How deep filters may be joined.
const DEEPEST: usize = 8;

/// Comparisons of one filter at most.
const MOST_TESTS: usize = 256;

/// Values of one list at most.
const MOST_VALUES: usize = 1_000;

/// Why something is no filter; for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFilter(String);

impl Filter {
    /// Read a filter. `null` is none.
    ///
    /// # Errors
    /// With what is wrong, naming the part.
    pub fn parse(value: &Value) -> Result<Option<Self>, BadFilter> {
        if value.is_null() {
            return Ok(None);
        }
        let mut left = MOST_TESTS;
        parsed(value, DEEPEST, &mut left).map(Some)
    }
}

fn parsed(value: &Value, depth: usize, left: &mut usize) -> Result<Filter, BadFilter> {
    let kind = value["type"].as_str().ok_or_else(|| bad("a filter is an object with a `type`"))?;
    if let "and" | "or" = kind {
        let filters =
            value["filters"].as_array().ok_or_else(|| bad(format!("`{kind}` needs a list of `filters`")))?;
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| bad(format!("filters are joined more than {DEEPEST} deep")))?;
        let filters = filters.iter().map(|filter| parsed(filter, depth, left)).collect::<Result<_, _>>()?;
        return Ok(if kind == "and" { Filter::All(filters) } else { Filter::Any(filters) });
    }
    *left =
        left.checked_sub(1).ok_or_else(|| bad(format!("there are more than {MOST_TESTS} comparisons")))?;
    let key = value["key"].as_str().filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| bad(format!("`{kind}` needs a `key`")))?.to_owned();
    let wanted = &value["value"];
    let one = || match wanted {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(wanted.clone()),
        _ => {
            Err(bad(format!("`{kind}` of `{key}` needs a `value` that is a text, a number or true or false")))
        }
    };
    let many = || match wanted.as_array() {
        Some(values) if values.len() > MOST_VALUES => {
            Err(bad(format!("`{kind}` of `{key}` has more than {MOST_VALUES} values")))
        }
        Some(values) => Ok(values.clone()),
        None => Err(bad(format!("`{kind}` of `{key}` needs a list as its `value`"))),
    };
    let test = match kind {
        "eq" => Test::Eq(one()?),
        "ne" => Test::Ne(one()?),
        "gt" => Test::Gt(one()?),
        "gte" => Test::Gte(one()?),
        "lt" => Test::Lt(one()?),
        "lte" => Test::Lte(one()?),
        "in" => Test::In(many()?),
        "nin" => Test::Nin(many()?),
        _ => return Err(bad("the `type` of a filter is one of eq, ne, gt, gte, lt, lte, in, nin, and, or")),
    };
    Ok(Filter::Is { key, test })
}

fn bad(text: impl Into<String>) -> BadFilter {
    BadFilter(text.into())
}

//! The rules of a key as the database keeps them: a JSON object with the fields that say something.

use breezeway_core::{Amount, Budget, KeyRules, Limits, Period, StoreError};
use serde_json::{Map, Value as Json, json};

use crate::db::{Value, unreadable};

pub(super) fn value(rules: &KeyRules) -> Value<'static> {
    let mut object = Map::new();
    let mut put = |name: &str, value: Json| {
        if !value.is_null() {
            object.insert(name.to_owned(), value);
        }
    };
    put("endpoints", json!(rules.endpoints));
    put("models", json!(rules.models));
    put("collections", json!(rules.collections));
    put("read_only", if rules.read_only { Json::Bool(true) } else { Json::Null });
    put("requests_per_minute", json!(rules.limits.requests_per_minute));
    put("tokens_per_minute", json!(rules.limits.tokens_per_minute));
    put("budget", rules.limits.budget.map_or(Json::Null, budget));
    if object.is_empty() { Value::Null } else { Value::object(&object) }
}

fn budget(budget: Budget) -> Json {
    let (unit, amount) = match budget.amount {
        Amount::Tokens(amount) => ("tokens", amount),
        Amount::MicroUnits(amount) => ("micro_units", amount),
    };
    let period = match budget.period {
        Period::Day => "day",
        Period::Month => "month",
    };
    json!({unit: amount, "period": period})
}

/// What [`value`] wrote. A field that cannot be read is an error and not a rule less: a key must not
/// become more powerful by a damaged row.
pub(super) fn read(object: Option<Map<String, Json>>) -> Result<KeyRules, StoreError> {
    let mut rules = KeyRules::default();
    for (name, value) in object.unwrap_or_default() {
        let known = match name.as_str() {
            "endpoints" => texts(&value).map(|list| rules.endpoints = Some(list)),
            "models" => texts(&value).map(|list| rules.models = Some(list)),
            "collections" => texts(&value).map(|list| rules.collections = Some(list)),
            "read_only" => value.as_bool().map(|only| rules.read_only = only),
            limit => read_limit(&mut rules.limits, limit, &value),
        };
        known.ok_or_else(|| unreadable("rule of an API key", &name))?;
    }
    Ok(rules)
}

fn texts(value: &Json) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

fn read_limit(limits: &mut Limits, name: &str, value: &Json) -> Option<()> {
    match name {
        "requests_per_minute" => limits.requests_per_minute = Some(value.as_u64()?.try_into().ok()?),
        "tokens_per_minute" => limits.tokens_per_minute = Some(value.as_u64()?.try_into().ok()?),
        "budget" => {
            let number = |unit: &str| value[unit].as_u64();
            let amount = number("tokens").map(Amount::Tokens);
            let amount = amount.or_else(|| number("micro_units").map(Amount::MicroUnits))?;
            let period = match value["period"].as_str()? {
                "day" => Period::Day,
                "month" => Period::Month,
                _ => return None,
            };
            limits.budget = Some(Budget { amount, period });
        }
        _ => return None,
    }
    Some(())
}

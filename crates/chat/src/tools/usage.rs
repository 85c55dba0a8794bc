//! What several answers took together.

use serde_json::{Map, Value};

/// Add up counts: numbers of one name are summed, whatever object they are in; what is no number is
/// the later one's.
pub(super) fn add(total: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, value) in more {
        match (total.get_mut(name), value) {
            (Some(Value::Object(total)), Value::Object(more)) => add(total, more),
            (Some(known), more) => *known = sum(known, more),
            (None, more) => {
                total.insert(name.clone(), more.clone());
            }
        }
    }
}

fn sum(one: &Value, other: &Value) -> Value {
    match (one.as_u64(), other.as_u64()) {
        (Some(one), Some(other)) => one.saturating_add(other).into(),
        _ => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => (one + other).into(),
            _ => other.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_summed_at_every_depth() {
        let mut total = json!({"a": 1, "deep": {"b": 2}, "word": "x"}).as_object().unwrap().clone();

        add(
            &mut total,
            json!({"a": 2, "deep": {"b": 3, "c": 1.5}, "word": "y", "d": 4}).as_object().unwrap(),
        );

        let expected = json!({"a": 3, "deep": {"b": 5, "c": 1.5}, "word": "y", "d": 4});
        assert_eq!(Value::Object(total), expected);
    }
}

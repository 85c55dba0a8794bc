//! What makes two requests the same.

use breezeway_core::{Credential, Principal, UserId};
use breezeway_registry::Route;
use breezeway_usage::Operation;
use breezeway_wire::field;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Fields of a request that are not part of the question: the model is in the key by what it is now.
const NO_QUESTION: [&str; 1] = ["model"];

/// Fields that make the answer depend on more than the question and the model.
const DEPENDS: [&str; 6] =
    ["tools", "functions", "web_search_options", "previous_response_id", "mcp_servers", "store"];

/// A question of one account.
///
/// The account stands beside the digest and not only in it, so that even two questions of one digest
/// would not meet.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    account: UserId,
    digest: [u8; 32],
}

impl Key {
    /// The key of a request after the model's layer has been applied to it.
    pub(crate) fn new(
        principal: &Principal,
        operation: Operation,
        route: &Route,
        request: &Map<String, Value>,
    ) -> Self {
        let mut sum = Sha256::new();
        part(&mut sum, rules_of(principal).as_bytes());
        part(&mut sum, operation.as_str().as_bytes());
        part(&mut sum, route.model.id.as_str().as_bytes());
        if let Some(overlay) = &route.overlay {
            part(&mut sum, &overlay.updated_at.seconds().to_be_bytes());
            part(&mut sum, overlay.base.as_ref().map_or("", |base| base.as_str()).as_bytes());
        }
        // Whoever would serve it: an admin may point the same name at another server.
        for offer in &route.model.offers {
            part(&mut sum, offer.connection.url.as_bytes());
            part(&mut sum, offer.entry.id.as_bytes());
        }
        let mut question = Vec::new();
        let fields = request.iter().filter(|(name, _)| !NO_QUESTION.contains(&name.as_str()));
        canonical_object(fields, &mut question);
        part(&mut sum, &question);
        Self { account: principal.user.clone(), digest: sum.finalize().into() }
    }
}

/// A part with its length in front, so that no two lists of parts are one text.
fn part(sum: &mut Sha256, bytes: &[u8]) {
    sum.update((bytes.len() as u64).to_be_bytes());
    sum.update(bytes);
}

/// Which key with rules of its own asks; nothing for the account itself.
fn rules_of(principal: &Principal) -> &str {
    match &principal.credential {
        Credential::ApiKey(key) if principal.rules.is_some() => key.as_str(),
        _ => "",
    }
}

/// Write JSON so that equal values are equal bytes: fields in order of their names.
fn canonical(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Object(object) => canonical_object(object.iter(), into),
        Value::Array(items) => {
            into.push(b'[');
            for item in items {
                canonical(item, into);
                into.push(b',');
            }
            into.push(b']');
        }
        scalar => into.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

fn canonical_object<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>, into: &mut Vec<u8>) {
    let mut fields: Vec<_> = fields.collect();
    fields.sort_unstable_by_key(|(name, _)| name.as_str());
    into.push(b'{');
    for (name, value) in fields {
        into.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
        into.push(b':');
        canonical(value, into);
        into.push(b',');
    }
    into.push(b'}');
}

/// Whether a chat asks for the same answer each time and depends on nothing but itself.
pub(crate) fn is_deterministic(request: &Map<String, Value>) -> bool {
    let options = field(request, "options").and_then(Value::as_object);
    let says = |fields: &Map<String, Value>| {
        let is_cold = field(fields, "temperature").and_then(Value::as_f64).is_some_and(|heat| heat == 0.0);
        is_cold || field(fields, "seed").is_some_and(|seed| seed.is_i64() || seed.is_u64())
    };
    let depends = |name: &&str| match field(request, name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    };
    (says(request) || options.is_some_and(says)) && !DEPENDS.iter().any(depends)
}

#[cfg(test)]
impl Key {
    /// Any key of an account.
    pub(crate) fn of(account: &str, digest: [u8; 32]) -> Self {
        Self { account: account.parse().expect("a test names an account"), digest }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(value: Value) -> String {
        let mut bytes = Vec::new();
        canonical(&value, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_order_of_fields_makes_no_difference_and_all_else_does() {
        let one = written(json!({"b": [1, {"d": 1, "c": "x"}], "a": null}));

        assert_eq!(one, r#"{"a":null,"b":[1,{"c":"x","d":1,},],}"#);
        for other in [
            json!({"b": [1, {"d": 1, "c": "x"}]}),
            json!({"b": [{"d": 1, "c": "x"}, 1], "a": null}),
            json!({"b": [1, {"d": "1", "c": "x"}], "a": null}),
            json!({"b": [1, {"d": 1.5, "c": "x"}], "a": null}),
        ] {
            assert_ne!(written(other.clone()), one, "{other}");
        }
    }

    #[test]
    fn only_cold_or_seeded_questions_without_tools_are_deterministic() {
        let check = |request: Value, expected: bool| {
            assert_eq!(is_deterministic(request.as_object().unwrap()), expected, "{request}");
        };

        check(json!({"temperature": 0}), true);
        check(json!({"temperature": 0.0, "tools": [], "store": false}), true);
        check(json!({"seed": 7, "temperature": 1}), true);
        check(json!({"options": {"temperature": 0}}), true);
        check(json!({}), false);
        check(json!({"temperature": 0.1}), false);
        check(json!({"temperature": null, "seed": null}), false);
        check(json!({"temperature": 0, "tools": [{}]}), false);
        check(json!({"temperature": 0, "functions": [{}]}), false);
        check(json!({"temperature": 0, "web_search_options": {}}), false);
    }
}

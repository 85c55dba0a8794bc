//! JSON schemas of OpenAPI documents, made to stand alone.

use serde_json::{Map, Value};

/// How deep a schema may be nested, references included. Documents refer to themselves, and some are
/// written by nobody's friend.
const DEEPEST: usize = 32;

/// Most values of one schema. References can make a short document endless.
const MOST_VALUES: usize = 4096;

/// A schema with its references replaced by what they mean. Where it is too deep, anything goes; `None`
/// if it is too large altogether.
pub(crate) fn standing_alone(schema: &Value, document: &Value) -> Option<Value> {
    let mut left = MOST_VALUES;
    resolved(schema, document, 0, &mut left)
}

/// What a value is that may be a reference, one step at a time: parameters and bodies may be, too.
pub(crate) fn target<'a>(value: &'a Value, document: &'a Value) -> &'a Value {
    let mut value = value;
    for _ in 0..DEEPEST {
        match reference(value).map(|pointer| document.pointer(pointer)) {
            None => return value,
            Some(Some(target)) => value = target,
            Some(None) => return &Value::Null,
        }
    }
    &Value::Null
}

fn reference(value: &Value) -> Option<&str> {
    // Other documents are not fetched.
    value.as_object()?.get("$ref").and_then(Value::as_str)?.strip_prefix('#')
}

fn resolved(value: &Value, document: &Value, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    if depth == DEEPEST {
        return Some(Map::new().into());
    }
    Some(match value {
        Value::Object(fields) => {
            if fields.get("$ref").is_some_and(Value::is_string) {
                let target = reference(value).and_then(|pointer| document.pointer(pointer));
                let Some(target) = target else { return Some(Map::new().into()) };
                let mut schema = resolved(target, document, depth + 1, left)?;
                // The description of the place says more than that of the thing.
                if let (Some(schema), Some(said)) = (schema.as_object_mut(), fields.get("description")) {
                    schema.insert("description".into(), said.clone());
                }
                return Some(schema);
            }
            let mut schema = Map::new();
            for (name, value) in fields {
                schema.insert(name.clone(), resolved(value, document, depth + 1, left)?);
            }
            schema.into()
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| resolved(item, document, depth + 1, left));
            items.collect::<Option<Vec<_>>>()?.into()
        }
        scalar => scalar.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_replaced_by_what_they_mean() {
        let document = json!({"components": {"schemas": {
            "City": {"type": "object", "properties": {"name": {"$ref": "#/components/schemas/Name"}}},
            "Name": {"type": "string", "description": "a name"},
        }}});
        let schema = json!({"$ref": "#/components/schemas/City", "description": "where"});

        let expected = json!({"type": "object", "description": "where",
            "properties": {"name": {"type": "string", "description": "a name"}}});
        assert_eq!(standing_alone(&schema, &document), Some(expected));
    }

    #[test]
    fn what_refers_to_itself_ends_somewhere() {
        let document = json!({"a": {"properties": {"next": {"$ref": "#/a"}}}, "b": {"$ref": "#/b"}});

        let depth = standing_alone(&document["a"], &document).unwrap().to_string().matches("next").count();

        assert!((2..DEEPEST).contains(&depth), "{depth}");
        assert_eq!(standing_alone(&document["b"], &document), Some(json!({})));
        assert_eq!(target(&document["b"], &document), &Value::Null);
    }

    #[test]
    fn what_grows_with_every_reference_is_refused() {
        let twice = json!({"properties": {"x": {"$ref": "#/a"}, "y": {"$ref": "#/a"}}});

        assert_eq!(standing_alone(&twice, &json!({"a": twice})), None);
    }

    #[test]
    fn what_leads_nowhere_allows_anything() {
        for nowhere in ["#/missing", "http://evil.test/schema.json", "other.json#/a"] {
            assert_eq!(standing_alone(&json!({"$ref": nowhere}), &json!({})), Some(json!({})), "{nowhere}");
        }
    }
}

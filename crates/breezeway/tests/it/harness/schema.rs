//! Checks answers against the OpenAPI document: as much of JSON Schema as the document uses.

use serde_json::Value;

/// The document of the API.
pub(crate) struct Document(Value);

/// A path and a method of the document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
}

impl Document {
    pub(crate) fn new() -> Self {
        Self(serde_json::to_value(breezeway::parts::api::document()).unwrap())
    }

    /// All operations, in order.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().unwrap();
        let mut operations: Vec<Operation> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| Operation { method: method.to_uppercase(), path: path.clone() })
            })
            .collect();
        operations.sort();
        operations
    }

    /// Where the answer of an operation differs from what the document says; empty if nowhere.
    pub(crate) fn faults(&self, method: &str, path: &str, answer: &Value) -> Vec<String> {
        let responses = &self.0["paths"][path][method.to_lowercase()]["responses"];
        let schema = &responses["200"]["content"]["application/json"]["schema"];
        let mut faults = Vec::new();
        self.check(schema, answer, "answer", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.strip_prefix('#').expect("references stay in the document");
            let target = self.0.pointer(pointer);
            return self.check(target.expect("references lead somewhere"), value, place, faults);
        }
        for part in list(&schema["allOf"]) {
            self.check(part, value, place, faults);
        }
        for choice in ["oneOf", "anyOf"] {
            let choices = list(&schema[choice]);
            let fits = |part: &Value| {
                let mut faults = Vec::new();
                self.check(part, value, place, &mut faults);
                faults.is_empty()
            };
            if !choices.is_empty() && !choices.iter().any(fits) {
                faults.push(format!("{place} is {value}, which is none of its {choice}"));
            }
        }
        let types = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            Value::String(one) => vec![one.as_str()],
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|wanted| is_a(value, wanted)) {
            faults.push(format!("{place} is {value} and no {types:?}"));
        }
        let allowed = list(&schema["enum"]);
        if !allowed.is_empty() && !allowed.contains(value) {
            faults.push(format!("{place} is {value} and none of {allowed:?}"));
        }
        if let Value::Object(object) = value {
            for name in list(&schema["required"]).iter().filter_map(Value::as_str) {
                if !object.contains_key(name) {
                    faults.push(format!("{place} has no `{name}`"));
                }
            }
            for (name, part) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(value) = object.get(name) {
                    self.check(part, value, &format!("{place}.{name}"), faults);
                }
            }
        }
        if let (Value::Array(items), Some(schema)) = (value, schema.get("items")) {
            for (number, item) in items.iter().enumerate() {
                self.check(schema, item, &format!("{place}[{number}]"), faults);
            }
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_a(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("`{other}` is a type of no JSON Schema"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrong_answer_is_noticed() {
        let document = Document::new();
        let check = |answer: Value| document.faults("GET", "/api/v1/auths/api_key", &answer);

        assert!(check(json!({"api_key": "sk-1"})).is_empty());
        assert_eq!(check(json!({"api_key": 1})).len(), 1);
        assert_eq!(check(json!({})).len(), 1);
        assert_eq!(check(json!([])).len(), 1);
    }
}

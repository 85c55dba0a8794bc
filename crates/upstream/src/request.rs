//! Writing requests.

use bytes::Bytes;
use serde_json::{Map, Value};

/// A request as bytes, without fields that could be taken for its `model`.
///
/// Servers written in Go, Ollama among them, read a field in any spelling of upper and lower case and
/// take the last of several. A `Model` beside the `model` that the caller may use would win there.
pub fn json_request(object: &Map<String, Value>) -> Bytes {
    let is_alias = |field: &str| field != "model" && field.eq_ignore_ascii_case("model");
    let bytes = match object.keys().any(|field| is_alias(field)) {
        false => serde_json::to_vec(object),
        true => {
            let fields = object.iter().filter(|(field, _)| !is_alias(field));
            let plain: Map<String, Value> =
                fields.map(|(field, value)| (field.clone(), value.clone())).collect();
            serde_json::to_vec(&plain)
        }
    };
    bytes.expect("JSON values are JSON").into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::json_request;

    #[test]
    fn only_one_field_can_be_taken_for_the_model() {
        let request =
            json!({"model": "mine", "MODEL": "yours", "x": {"Model": 1}, "modeL": "theirs", "models": 1});

        let bytes = json_request(request.as_object().unwrap());

        assert_eq!(bytes, r#"{"model":"mine","x":{"Model":1},"models":1}"#);
    }
}

//! Calling an operation with the arguments that a model gives.

use breezeway_chat::ToolFailure;
use breezeway_registry::UpstreamError;
use breezeway_upstream::within;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};

use super::{Body, Operation, Place};
use crate::caller::{CALL_WAIT, Caller, MOST_RESULT};

impl Operation {
    /// Call it. The text is what the server answered.
    pub(crate) async fn call(
        &self,
        caller: &Caller,
        arguments: &Map<String, Value>,
    ) -> Result<String, ToolFailure> {
        let path = self.path_with(arguments)?;
        let accept = HeaderValue::from_static("application/json, text/plain;q=0.9, */*;q=0.1");
        let headers = HeaderMap::from_iter([(header::ACCEPT, accept)]);
        let body = self.body_with(arguments);
        let answered = within(Some(CALL_WAIT), async {
            let answer = caller.send(self.method.clone(), &path, headers, body).await?;
            let kind = answer.content_type.clone();
            let status = answer.status;
            let (bytes, is_cut) = answer.beginning(MOST_RESULT).await?;
            Ok::<_, UpstreamError>((status, kind, bytes, is_cut))
        });
        let (status, kind, bytes, is_cut) = answered.await.map_err(|error| {
            tracing::info!(%error, "A tool failed");
            caller.failure(&error)
        })?;
        // A page is what proxies and sign-in forms answer with in place of the server behind them.
        if kind.starts_with("text/html") {
            return Err(ToolFailure("it answered with a web page instead of data".into()));
        }
        if bytes.is_empty() {
            return Ok(format!("(status {status}, no content)"));
        }
        if !is_text(&kind, &bytes) {
            return Ok(format!("({} bytes of {kind:?}, which is no text)", bytes.len()));
        }
        let mut text = caller.without_secrets(String::from_utf8_lossy(&bytes).into_owned());
        if is_cut {
            text.push_str("\n[the rest was not read]");
        }
        Ok(text)
    }

    fn path_with(&self, arguments: &Map<String, Value>) -> Result<String, ToolFailure> {
        let mut path = self.path.clone();
        let mut query = String::new();
        for parameter in &self.parameters {
            let given = arguments.get(&parameter.name).filter(|given| !given.is_null());
            match (parameter.place, given) {
                (Place::Path, given) => {
                    let text = given.map(text_of).filter(|text| !text.is_empty()).ok_or_else(|| {
                        ToolFailure(format!("the argument `{}` is missing", parameter.name))
                    })?;
                    path = path.replace(&format!("{{{}}}", parameter.name), &encoded(&text));
                }
                (Place::Query, None) => {}
                (Place::Query, Some(Value::Array(items))) => {
                    items.iter().for_each(|item| add(&mut query, &parameter.name, item));
                }
                (Place::Query, Some(value)) => add(&mut query, &parameter.name, value),
            }
        }
        Ok(path + &query)
    }

    fn body_with(&self, arguments: &Map<String, Value>) -> Option<Bytes> {
        let body = match &self.body {
            Body::None => return None,
            Body::Argument(name) => arguments.get(name)?.clone(),
            Body::Object(names) => {
                let is_parameter = |name: &str| self.parameters.iter().any(|known| known.name == name);
                let fields = arguments.iter().filter(|(name, _)| names.contains(name) || !is_parameter(name));
                fields.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
            }
        };
        Some(body.to_string().into())
    }
}

fn add(query: &mut String, name: &str, value: &Value) {
    query.push(if query.is_empty() { '?' } else { '&' });
    query.push_str(&encoded(name));
    query.push('=');
    query.push_str(&encoded(&text_of(value)));
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Everything but letters, digits and `-._~` as `%XX` (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Whether bytes are text: they say so, or they are.
fn is_text(kind: &str, bytes: &[u8]) -> bool {
    let says = ["text/", "application/json", "application/xml", "application/yaml", "+json", "+xml"];
    says.iter().any(|word| kind.contains(word)) || !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::*;
    use crate::openapi::Parameter;

    fn operation(path: &str, parameters: &[(&str, Place)], body: Body) -> Operation {
        let parameters = parameters
            .iter()
            .map(|(name, place)| Parameter { name: (*name).into(), place: *place })
            .collect();
        Operation { method: Method::POST, path: path.into(), parameters, body }
    }

    #[test]
    fn arguments_go_where_they_belong() {
        let operation = operation(
            "/cities/{city}/days",
            &[("city", Place::Path), ("day", Place::Query), ("tags", Place::Query), ("no", Place::Query)],
            Body::Object(vec!["note".into(), "day".into()]),
        );
        let arguments =
            json!({"city": "Ås/../x?", "day": 3, "tags": ["a b", "c&d"], "no": null, "note": "n", "more": 1});
        let arguments = arguments.as_object().unwrap();

        let path = operation.path_with(arguments).unwrap();

        assert_eq!(path, "/cities/%C3%85s%2F..%2Fx%3F/days?day=3&tags=a%20b&tags=c%26d");
        assert_eq!(operation.body_with(arguments).unwrap(), r#"{"day":3,"note":"n","more":1}"#);
    }

    #[test]
    fn a_path_needs_all_its_parts() {
        let operation = operation("/a/{b}", &[("b", Place::Path)], Body::None);

        for arguments in [json!({}), json!({"b": null}), json!({"b": ""})] {
            let failure = operation.path_with(arguments.as_object().unwrap()).unwrap_err();
            assert_eq!(failure.0, "the argument `b` is missing");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_known() {
        assert!(is_text("application/json", b"{}"));
        assert!(is_text("", b"plain"));
        assert!(is_text("application/problem+json; charset=utf-8", b"\xff"));
        assert!(!is_text("image/png", b"\x89PNG\0"));
        assert!(!is_text("application/octet-stream", b"\xff\xfe"));
    }
}

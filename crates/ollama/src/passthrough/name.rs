//! Which model a request is for, without reading the rest of it.
//!
//! Ollama's JSON reader takes a field in any spelling of upper and lower case, and the last of
//! several. Who is asked for a right to the first would be given the last, so a field that is there
//! twice, in whatever spelling, is refused.

use std::{borrow::Cow, fmt, ops::Range};

use bytes::Bytes;
use serde::{
    Deserializer, de,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Value, error::Category, json, value::RawValue};

use super::failure::Failure;

/// Input that is repeated in a refusal, at most.
const LONGEST_ECHO: usize = 2048;

/// A model's name and where it stands.
#[derive(Debug, PartialEq)]
pub(super) struct Named {
    pub(super) name: String,
    at: Range<usize>,
}

impl Named {
    /// The body with another name in the place of this one, and every other byte as it was.
    pub(super) fn replaced(&self, body: &[u8], name: &str) -> Bytes {
        let name = Value::from(name).to_string();
        [&body[..self.at.start], name.as_bytes(), &body[self.at.end..]].concat().into()
    }
}

/// The first of `fields` that says something.
pub(super) fn find(body: &[u8], fields: &'static [&'static str]) -> Result<Named, Failure> {
    if matches!(body.trim_ascii(), b"" | b"null") {
        return Err(Failure::invalid("missing", &["body"], "Field required", Value::Null));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let found = Fields(fields).deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    let found = found.map_err(|error| no_object(body, &error))?;
    for (field, values) in fields.iter().zip(found) {
        let mut values = values.into_iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            let message = format!("`{field}` is there more than once");
            return Err(Failure::invalid("value_error", &["body", field], &message, Value::Null));
        }
        if value.get() == "null" {
            continue;
        }
        let Ok(name) = serde_json::from_str::<String>(value.get()) else {
            let message = "Input should be a valid string";
            return Err(Failure::invalid(
                "string_type",
                &["body", field],
                message,
                echo(value.get().as_bytes()),
            ));
        };
        if !name.is_empty() {
            let start = value.get().as_ptr() as usize - body.as_ptr() as usize;
            return Ok(Named { name, at: start..start + value.get().len() });
        }
    }
    Err(Failure::invalid("missing", &["body", fields[0]], "Field required", echo(body)))
}

fn no_object(body: &[u8], error: &serde_json::Error) -> Failure {
    if error.classify() == Category::Data {
        return Failure::invalid("dict_type", &["body"], "Input should be a valid dictionary", echo(body));
    }
    let line_start: usize =
        body.split_inclusive(|byte| *byte == b'\n').take(error.line() - 1).map(<[u8]>::len).sum();
    let at = line_start + error.column().saturating_sub(1);
    Failure::Invalid(json!({
        "type": "json_invalid",
        "loc": ["body", at],
        "msg": "JSON decode error",
        "input": {},
        "ctx": {"error": error.to_string()},
    }))
}

/// Input as a refusal repeats it, unless it is long.
fn echo(input: &[u8]) -> Value {
    match input.len() <= LONGEST_ECHO {
        true => serde_json::from_slice(input).unwrap_or_default(),
        false => json!({}),
    }
}

/// Reads the raw values of some fields of an object and skips all others.
struct Fields(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = Vec<Vec<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = vec![Vec::new(); self.0.len()];
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match self.0.iter().position(|field| field.eq_ignore_ascii_case(&key)) {
                // Two are enough to refuse it.
                Some(field) if found[field].len() < 2 => found[field].push(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Err(E::invalid_type(de::Unexpected::Unit, &self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(body: &str) -> Result<String, String> {
        find(body.as_bytes(), &["model", "name"]).map(|named| named.name).map_err(|failure| match failure {
            Failure::Invalid(what) => what["type"].as_str().unwrap_or_default().to_owned(),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn the_name_is_found_wherever_it_stands() {
        for (body, name) in [
            (r#"{"model":"a"}"#, "a"),
            (r#" { "x" : {"model":"no"}, "model" : "a:b\u00e9" } "#, "a:bé"),
            (r#"{"name":"b"}"#, "b"),
            (r#"{"name":"b","model":"a"}"#, "a"),
            (r#"{"name":"b","model":""}"#, "b"),
            (r#"{"name":"b","model":null}"#, "b"),
            (r#"{"MODEL":"a"}"#, "a"),
            (r#"{"\u006dodel":"a"}"#, "a"),
        ] {
            assert_eq!(named(body).as_deref(), Ok(name), "{body}");
        }
    }

    #[test]
    fn a_field_in_two_spellings_is_refused() {
        for body in [
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a","Model":"b"}"#,
            r#"{"model":"a","\u004dODEL":"b"}"#,
            r#"{"model":null,"model":"b"}"#,
        ] {
            assert_eq!(named(body).unwrap_err(), "value_error", "{body}");
        }
    }

    #[test]
    fn what_names_no_model_is_refused_for_its_reason() {
        for (body, kind) in [
            ("", "missing"),
            (" null ", "missing"),
            ("{}", "missing"),
            (r#"{"model":""}"#, "missing"),
            (r#"{"model":7}"#, "string_type"),
            (r#"{"model":["a"]}"#, "string_type"),
            ("[1]", "dict_type"),
            ("\"text\"", "dict_type"),
            ("{broken", "json_invalid"),
            (r#"{"model":"a""#, "json_invalid"),
            (r#"{"model":"a"} {"model":"b"}"#, "json_invalid"),
        ] {
            assert_eq!(named(body).unwrap_err(), kind, "{body}");
        }
    }

    #[test]
    fn a_syntax_error_says_where_it_is() {
        let failure = find(b"{\n{", &["model"]).unwrap_err();

        let Failure::Invalid(what) = failure else { panic!("{failure}") };
        assert_eq!(what["loc"], json!(["body", 2]));
        assert_eq!(what["msg"], "JSON decode error");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn replacing_the_name_changes_nothing_else(
            before in "[ -~é]{0,12}", name in "[ -~é]{1,12}", new in "\\PC{1,12}", after in "[ -~é]{0,12}",
        ) {
            let body = json!({"x": before, "model": name, "y": {"model": after}}).to_string();

            let replaced = find(body.as_bytes(), &["model"]).unwrap().replaced(body.as_bytes(), &new);

            let replaced: Value = serde_json::from_slice(&replaced).unwrap();
            prop_assert_eq!(replaced, json!({"x": before, "model": new, "y": {"model": after}}));
        }

        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = find(&body, &["model", "name"]);
        }
    }
}

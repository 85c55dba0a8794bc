//! Ollama's lists: what it has, and what of it is loaded.

use std::collections::HashMap;

use breezeway_registry::{CatalogEntry, UpstreamError};
use breezeway_upstream::json_object;
use serde_json::{Map, Value};

use breezeway_upstream::time::seconds_of;

/// Read `/api/tags`, and `/api/ps` as far as it can be read.
pub(super) fn read(tags: &[u8], loaded: Option<&[u8]>) -> Result<Vec<CatalogEntry>, UpstreamError> {
    let loaded = loaded.and_then(|body| models(body).ok()).unwrap_or_default();
    let until: HashMap<&str, i64> = loaded
        .iter()
        .filter_map(|entry| Some((name(entry)?, seconds_of(entry.get("expires_at")?.as_str()?)?)))
        .collect();
    let entry = |details: Map<String, Value>| {
        let id = name(&details)?.to_owned();
        let loaded_until = until.get(id.as_str()).copied();
        Some(CatalogEntry { name: id.clone(), id, created: 0, details, loaded_until })
    };
    Ok(models(tags)?.into_iter().filter_map(entry).collect())
}

/// The entries under `models` that are objects.
fn models(body: &[u8]) -> Result<Vec<Map<String, Value>>, UpstreamError> {
    match json_object(body)?.remove("models") {
        // An Ollama without models says `null`.
        Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(entries)) => Ok(entries
            .into_iter()
            .filter_map(|entry| match entry {
                Value::Object(entry) => Some(entry),
                _ => None,
            })
            .collect()),
        _ => Err(UpstreamError::Malformed("no `models` in its list".to_owned())),
    }
}

fn name(entry: &Map<String, Value>) -> Option<&str> {
    let field = |field| entry.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
    field("model").or_else(|| field("name"))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_model_knows_until_when_it_is_loaded() {
        let tags = br#"{"models":[{"name":"a:latest","size":1},{"model":"b:latest"},{"size":1},7]}"#;
        let loaded = br#"{"models":[{"name":"b:latest","expires_at":"1970-01-01T00:01:00Z"}]}"#;

        let entries = read(tags, Some(loaded)).unwrap();

        let told: Vec<_> = entries.iter().map(|entry| (entry.id.as_str(), entry.loaded_until)).collect();
        assert_eq!(told, [("a:latest", None), ("b:latest", Some(60))]);
        assert_eq!(entries[0].details["size"], 1);
    }

    #[test]
    fn what_is_loaded_may_be_unknown_but_the_list_must_be_one() {
        assert_eq!(read(br#"{"models":[{"name":"a"}]}"#, Some(b"<html>")).unwrap().len(), 1);
        assert!(read(br#"{"models":null}"#, None).unwrap().is_empty());
        assert!(read(b"<html>", None).is_err());
        assert!(read(b"{}", None).is_err());
    }
}

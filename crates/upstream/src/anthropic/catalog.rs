//! Anthropic's list of models, which comes in pages.

use breezeway_registry::{CatalogEntry, UpstreamError};
use serde_json::Value;

use crate::{answer::json_object, time::seconds_of};

/// Most pages that are read, of a thousand models each.
pub(super) const MOST_PAGES: usize = 10;

/// A page of the list.
pub(super) struct Page {
    pub(super) entries: Vec<CatalogEntry>,
    /// The id behind which the next one begins, if there is one.
    pub(super) next: Option<String>,
}

/// Where a page is.
pub(super) fn path(version_path: &str, after: Option<&str>) -> String {
    match after {
        None => format!("{version_path}/models?limit=1000"),
        Some(id) => format!("{version_path}/models?limit=1000&after_id={id}"),
    }
}

/// Read a page.
pub(super) fn page(body: &[u8]) -> Result<Page, UpstreamError> {
    let mut page = json_object(body)?;
    let Some(Value::Array(data)) = page.remove("data") else {
        return Err(UpstreamError::Malformed("no list in its model list".to_owned()));
    };
    let last = page.get("last_id").and_then(Value::as_str).filter(|id| is_plain(id)).map(str::to_owned);
    let next = last.filter(|_| page.get("has_more").is_some_and(|more| *more == true));
    Ok(Page { entries: data.into_iter().filter_map(entry).collect(), next })
}

/// An id that can stand in a query as it is.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:@/".contains(&byte))
}

/// An entry, unless it has no id. It gets the fields that OpenAI's clients look for.
pub(super) fn entry(value: Value) -> Option<CatalogEntry> {
    let Value::Object(mut details) = value else { return None };
    let text = |name: &str| details.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let id = text("id")?.to_owned();
    let name = text("display_name").unwrap_or(&id).to_owned();
    let created = text("created_at").and_then(seconds_of).unwrap_or(0);
    details.insert("object".into(), "model".into());
    details.entry("created").or_insert_with(|| created.into());
    details.entry("owned_by").or_insert_with(|| "anthropic".into());
    details.entry("name").or_insert_with(|| name.as_str().into());
    Some(CatalogEntry { id, name, created, details, loaded_until: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_begins() {
        for (more, last, next) in [
            ("true", "\"b\"", Some("b")),
            ("false", "\"b\"", None),
            ("true", "null", None),
            ("true", "\"b&x=1\"", None),
        ] {
            let body = format!(r#"{{"data":[{{"id":"a"}},{{}},7],"has_more":{more},"last_id":{last}}}"#);

            let page = page(body.as_bytes()).unwrap();

            assert_eq!((page.entries.len(), page.next.as_deref()), (1, next), "{body}");
        }
    }

    #[test]
    fn an_entry_is_named_and_dated() {
        let body = br#"{"data":[{"type":"model","id":"c-1","display_name":"C 1","created_at":"2025-02-19T00:00:00Z"}]}"#;

        let entry = page(body).unwrap().entries.remove(0);

        assert_eq!((entry.id.as_str(), entry.name.as_str(), entry.created), ("c-1", "C 1", 1_739_923_200));
        assert_eq!(entry.details["owned_by"], "anthropic");
    }

    #[test]
    fn what_is_no_list_is_malformed() {
        for body in ["<html>", "{}", r#"{"data":{}}"#, "[]"] {
            assert!(matches!(page(body.as_bytes()), Err(UpstreamError::Malformed(_))), "{body}");
        }
    }
}

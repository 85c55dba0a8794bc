//! Making a document of what a service has read.

use breezeway_knowledge::{Document, Section};
use serde_json::Value;

use super::{ExtractError, Extracted, Limits, text, text_limit};
use crate::{chunk::TextKind, service::ServicePart};

/// Entries of a part's metadata that are about its place and not about the document.
const OWN: [&str; 4] = ["page", "page_label", "source", "file_path"];

/// Put a document together. Parts that say no page follow one another in one section.
pub(crate) fn assemble(parts: Vec<ServicePart>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut document = Document::default();
    let has_pages = parts.iter().any(|part| part.page.is_some());
    for part in parts {
        if document.metadata.is_empty() {
            let own = |name: &str| OWN.contains(&name);
            document.metadata = part.metadata.clone();
            document.metadata.retain(|name, value| !own(name) && !value.is_null());
        }
        let text = text::normalized(part.text.trim().into());
        if text.is_empty() && !has_pages {
            continue;
        }
        if !document.text.is_empty() {
            document.text.push_str("\n\n");
            if let Some(last) = document.sections.last_mut() {
                last.end = document.text.len();
            }
        }
        let start = document.text.len();
        document.text.push_str(&text);
        if has_pages {
            let label = part.metadata.get("page_label").and_then(Value::as_str).map(str::to_owned);
            document.sections.push(Section {
                start,
                end: document.text.len(),
                page: part.page,
                page_label: label.or_else(|| Some((part.page? + 1).to_string())),
                title: None,
            });
        }
        if document.text.len() as u64 > limits.text_bytes {
            return Err(text_limit(limits.text_bytes));
        }
    }
    if document.text.trim().is_empty() {
        return Err(ExtractError::Empty);
    }
    Ok(Extracted { document, kind: TextKind::Prose })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(text: &str, page: Option<u32>) -> ServicePart {
        let metadata = json!({"page": page, "title": "Town"});
        ServicePart {
            text: text.to_owned(),
            page,
            metadata: metadata.as_object().cloned().unwrap_or_default(),
        }
    }

    #[test]
    fn parts_with_pages_are_sections_and_others_one_text() {
        let pages =
            assemble(vec![part("one", Some(0)), part("", Some(1)), part("two", Some(2))], &Limits::default())
                .expect("it has text")
                .document;
        let plain =
            assemble(vec![part("one\r\n", None), part(" ", None), part("two", None)], &Limits::default())
                .expect("it has text")
                .document;

        let sections: Vec<_> = pages.sections.iter().map(|part| (part.start, part.end, part.page)).collect();
        assert_eq!(pages.text, "one\n\n\n\ntwo");
        assert_eq!(sections, [(0, 5, Some(0)), (5, 7, Some(1)), (7, 10, Some(2))]);
        assert_eq!(pages.metadata, *json!({"title": "Town"}).as_object().expect("an object"));
        assert_eq!(plain.text, "one\n\ntwo");
        assert_eq!(plain.sections, []);
    }

    #[test]
    fn an_answer_without_text_is_empty() {
        assert_eq!(assemble(vec![part(" ", None)], &Limits::default()), Err(ExtractError::Empty));
    }
}

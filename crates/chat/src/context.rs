//! The port to whatever finds context for a question.

use std::{collections::HashSet, error::Error as StdError, fmt};

use async_trait::async_trait;
use breezeway_core::{CollectionId, ErrorKind, FileId, Principal};
use serde_json::{Map, Value};

/// One entry of a request's `files`.
#[derive(Clone, Debug, PartialEq)]
pub struct ContextItem {
    /// What it is.
    pub kind: ItemKind,
    /// Its `name`, if the request gives one.
    pub name: Option<String>,
    /// Whether the whole text is wanted instead of the best passages (`"context":"full"`).
    pub full: bool,
    /// The entry as it was sent; the answer's `source` repeats it.
    pub sent: Map<String, Value>,
}

/// What a request's `files` can name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// An uploaded file.
    File(FileId),
    /// A collection.
    Collection(CollectionId),
    /// The text itself, without searching.
    Text(String),
}

impl ContextItem {
    /// Whether it has to be searched: its whole text is neither wanted nor given.
    pub(crate) fn is_searched(&self) -> bool {
        !self.full && !matches!(self.kind, ItemKind::Text(_))
    }
}

/// Items of one request at most; further ones are left out. Each is looked up, and together they have to
/// fit in a prompt.
const MOST_ITEMS: usize = 256;

/// The items of a request's `files`, each once. What is no list has none, and what is no known item is
/// left out: clients send kinds that only the web page of Open WebUI has a meaning for.
pub(crate) fn items_of(files: &Value) -> Vec<ContextItem> {
    let mut items: Vec<ContextItem> = Vec::new();
    let mut seen = HashSet::new();
    for sent in files.as_array().into_iter().flatten().filter_map(Value::as_object) {
        if let Some(item) = item_of(sent, sent.get("type").and_then(Value::as_str))
            && seen.insert((item.kind.clone(), item.full))
        {
            items.push(item);
        }
        if items.len() >= MOST_ITEMS {
            break;
        }
    }
    items
}

/// The items a custom model's `meta.knowledge` attaches: shown in answers without the description and
/// the other things that are kept there.
pub(crate) fn attached_items(meta: &Map<String, Value>) -> Vec<ContextItem> {
    let attached = meta.get("knowledge").and_then(Value::as_array).into_iter().flatten();
    attached
        .filter_map(Value::as_object)
        .filter_map(|stored| {
            // Collections were the first kind there was, and old entries do not say what they are.
            let kind = stored.get("type").and_then(Value::as_str).unwrap_or("collection");
            let mut item = item_of(stored, Some(kind))?;
            item.sent.retain(|name, _| matches!(name.as_str(), "type" | "id" | "name"));
            item.sent.entry("type").or_insert_with(|| kind.into());
            Some(item)
        })
        .collect()
}

fn item_of(sent: &Map<String, Value>, kind: Option<&str>) -> Option<ContextItem> {
    let text = |name: &str| sent.get(name).and_then(Value::as_str);
    let kind = match kind? {
        "file" => ItemKind::File(text("id")?.parse().ok()?),
        "collection" => ItemKind::Collection(text("id")?.parse().ok()?),
        "text" => ItemKind::Text(text("content").filter(|content| !content.trim().is_empty())?.to_owned()),
        _ => return None,
    };
    Some(ContextItem {
        kind,
        name: text("name").filter(|name| !name.is_empty()).map(str::to_owned),
        full: text("context") == Some("full"),
        sent: sent.clone(),
    })
}

/// What one item gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The item.
    pub item: ContextItem,
    /// Its passages, best first; empty only if something was left out.
    pub passages: Vec<SourcePassage>,
    /// How many passages, or whole files, fit and were left out because the context was full.
    pub over_budget: usize,
    /// What of it could not be searched, and why.
    pub left_out: Vec<LeftOut>,
}

/// A file that was asked about and could not be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Which.
    pub id: FileId,
    /// What it is called.
    pub name: String,
    /// What it is doing instead: `pending` or `processing`.
    pub status: &'static str,
}

/// A passage for the model and the answer's `sources`.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePassage {
    /// The text.
    pub text: String,
    /// `metadata` of the answer: `file_id`, `name`, `source`, `page`, … in this order.
    pub metadata: Map<String, Value>,
    /// How well it fits, 0 to 1; `None` where nothing was compared.
    pub score: Option<f32>,
}

/// Why no context could be found. The chat goes on without it only if the source says so by
/// answering an empty list.
#[derive(Debug)]
pub struct ContextError {
    /// How a caller should read it.
    pub kind: ErrorKind,
    /// The cause.
    pub source: Box<dyn StdError + Send + Sync>,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the context could not be searched")
    }
}

impl StdError for ContextError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}

/// Finds context.
///
/// # Contract
/// - items the caller may not read, or that do not exist, give nothing and are no error;
/// - all searched items compete in one ranking: there are at most as many passages in all as the
///   source's own limit allows, not as many for each item;
/// - sources come in the order of the items; an item without a passage has no source, unless files of
///   it are still on their way to their first text: those are named as left out.
#[async_trait]
pub trait ContextSource: Send + Sync + 'static {
    /// The passages of `items` that answer `questions` (one or several wordings). There are no
    /// questions only where no item has to be searched.
    async fn context(
        &self,
        principal: &Principal,
        items: &[ContextItem],
        questions: &[String],
    ) -> Result<Vec<Source>, ContextError>;

    /// The collections that the caller may read, to be searched by a model that is given no others.
    async fn collections(&self, _principal: &Principal) -> Result<Vec<ContextItem>, ContextError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_items_are_read_and_others_ignored() {
        let files = json!([
            {"type": "file", "id": "f", "name": "sky.txt", "extra": 1},
            {"type": "collection", "id": "c", "context": "full"},
            {"type": "text", "content": "inline", "name": ""},
            {"type": "text", "content": "  "},
            {"type": "file"}, {"type": "file", "id": ""}, {"type": "file", "id": 7}, {"id": "f"},
            {"type": "doc", "id": "x"}, {"collection_name": "x"}, "file", null, 1,
            {"type": "file", "id": "f"},
        ]);

        let items = items_of(&files);

        let kinds: Vec<_> = items.iter().map(|item| item.kind.clone()).collect();
        assert_eq!(
            kinds,
            [
                ItemKind::File("f".parse().unwrap()),
                ItemKind::Collection("c".parse().unwrap()),
                ItemKind::Text("inline".into()),
            ]
        );
        assert_eq!(items[0].name.as_deref(), Some("sky.txt"));
        assert_eq!(items[0].sent["extra"], 1);
        assert_eq!(items.iter().map(ContextItem::is_searched).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(items[2].name, None);
    }

    #[test]
    fn files_that_are_no_list_have_no_items() {
        for files in [json!("file"), json!({"type": "file", "id": "f"}), json!(null), json!([])] {
            assert_eq!(items_of(&files), []);
        }
    }

    #[test]
    fn attached_knowledge_is_shown_without_its_details() {
        let meta = json!({"knowledge": [
            {"id": "k", "description": "secret plans", "name": "Plans"},
            {"id": "f", "type": "file", "meta": {"size": 1}},
            {"type": "note", "id": "n"},
        ]});

        let items = attached_items(meta.as_object().unwrap());

        let sent: Vec<_> = items.into_iter().map(|item| Value::Object(item.sent)).collect();
        assert_eq!(
            sent,
            [json!({"id": "k", "name": "Plans", "type": "collection"}), json!({"id": "f", "type": "file"}),]
        );
    }
}

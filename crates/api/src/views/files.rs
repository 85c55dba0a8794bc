//! Files.

use breezeway_knowledge::{Document, File, FileState};
use serde_json::{Map, Value, json};

/// A file as its routes show it. `text` is its document's text, where it is wanted.
pub(crate) fn view(file: &File, text: Option<&str>) -> Map<String, Value> {
    let mut view = Map::new();
    view.insert("id".into(), file.id.as_str().into());
    view.insert("user_id".into(), file.owner.as_str().into());
    view.insert("hash".into(), file.text_hash.clone().into());
    view.insert("filename".into(), file.name.as_str().into());
    view.insert("path".into(), format!("{}_{}", file.id, file.name).into());
    view.insert("data".into(), data(file, text).into());
    view.insert("meta".into(), meta(file, None).into());
    view.insert("created_at".into(), file.created_at.seconds().into());
    view.insert("updated_at".into(), file.updated_at.seconds().into());
    view
}

/// The text to show for a file: none until it is complete, since an older text may still be there
/// while a newer one is on its way.
pub(crate) fn shown_text<'a>(file: &File, document: Option<&'a Document>) -> Option<&'a str> {
    document.filter(|_| file.state == FileState::Completed).map(|document| document.text.as_str())
}

fn data(file: &File, text: Option<&str>) -> Map<String, Value> {
    let mut data = Map::new();
    if let Some(status) = status(&file.state) {
        data.insert("status".into(), status.into());
    }
    if let FileState::Failed(reason) = &file.state {
        data.insert("error".into(), reason.as_str().into());
    }
    if let Some(text) = text {
        data.insert("content".into(), text.into());
        data.insert("error".into(), Value::Null);
    }
    data
}

/// The word for a state; a file that is not to be processed has none.
pub(crate) fn status(state: &FileState) -> Option<&'static str> {
    match state {
        FileState::Stored => None,
        other => Some(other.as_str()),
    }
}

/// `meta` of a file. `collection` is the collection it is shown in.
pub(crate) fn meta(file: &File, collection: Option<&str>) -> Map<String, Value> {
    let own = format!("file-{}", file.id);
    let mut meta = Map::new();
    meta.insert("name".into(), file.name.as_str().into());
    meta.insert("content_type".into(), file.media_type.as_str().into());
    meta.insert("size".into(), file.size_bytes.into());
    meta.insert("file_hash".into(), hash(file).into());
    meta.insert("data".into(), file.metadata.clone().into());
    if file.state == FileState::Completed || collection.is_some() {
        meta.insert("collection_name".into(), collection.unwrap_or(&own).into());
    }
    meta
}

/// The hash of the bytes: the uploader's own word, or ours.
pub(crate) fn hash(file: &File) -> String {
    let given = file.metadata.get("file_hash").and_then(Value::as_str);
    given.map_or_else(|| file.blob.to_string(), str::to_owned)
}

/// The answer of `process/status`.
pub(crate) fn processing(file: &File, with_reason: bool) -> Value {
    let status = status(&file.state).unwrap_or("pending");
    match &file.state {
        FileState::Failed(reason) if with_reason => json!({"status": status, "error": reason}),
        _ => json!({ "status": status }),
    }
}

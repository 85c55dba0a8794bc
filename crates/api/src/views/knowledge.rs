//! Collections; the API calls them knowledge bases.

use breezeway_knowledge::{Collection, Member};
use serde_json::{Map, Value, json};

use super::{files, grants};

/// A collection with a `files` list, or with `null` in its place.
pub(crate) fn view(
    collection: &Collection,
    files: Option<&[Member]>,
    write_access: bool,
) -> Map<String, Value> {
    let grants =
        grants::views(&collection.grants, "knowledge", collection.id.as_str(), collection.created_at);
    let fields = [
        ("id", collection.id.as_str().into()),
        ("user_id", collection.owner.as_str().into()),
        ("name", collection.name.as_str().into()),
        ("description", collection.description.as_str().into()),
        ("meta", collection.meta.clone().unwrap_or(Value::Null)),
        ("access_grants", json!(grants)),
        ("created_at", collection.created_at.seconds().into()),
        ("updated_at", collection.updated_at.seconds().into()),
        (
            "files",
            files.map_or(Value::Null, |members| {
                members.iter().map(|member| entry(collection, member)).collect()
            }),
        ),
        ("write_access", write_access.into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A file in the `files` of a collection.
fn entry(collection: &Collection, member: &Member) -> Value {
    let file = &member.file;
    json!({
        "id": file.id.as_str(),
        "hash": file.text_hash,
        "meta": files::meta(file, Some(collection.id.as_str())),
        "created_at": file.created_at.seconds(),
        "updated_at": file.updated_at.seconds(),
    })
}

/// A file in the list of a collection's files.
pub(crate) fn member(collection: &Collection, member: &Member, owner: Value) -> Map<String, Value> {
    let mut view = files::view(&member.file, None);
    view.insert("data".into(), Value::Null);
    view.insert("meta".into(), files::meta(&member.file, Some(collection.id.as_str())).into());
    view.insert("directory_id".into(), Value::Null);
    view.insert("directory_path".into(), Value::Null);
    view.insert("has_original".into(), true.into());
    view.insert("user".into(), owner);
    view
}

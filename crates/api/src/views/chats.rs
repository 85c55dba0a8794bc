//! Saved chats, their tags and folders.

use breezeway_chat::history::{Chat, ChatSummary, Folder, Tag};
use breezeway_core::UserId;
use serde_json::{Map, Value, json};

/// A whole chat.
pub(crate) fn view(chat: Chat) -> Map<String, Value> {
    let mut meta = chat.meta;
    if !chat.tags.is_empty() {
        meta.insert("tags".into(), chat.tags.iter().map(|tag| Value::from(tag.id.as_str())).collect());
    }
    let current = chat.body.get("history").and_then(|history| history.get("currentId"));
    let current = current.filter(|id| id.is_string()).cloned().unwrap_or(Value::Null);
    let fields = [
        ("id", chat.id.as_str().into()),
        ("user_id", chat.owner.as_str().into()),
        ("title", chat.title.into()),
        ("chat", chat.body.into()),
        ("updated_at", chat.updated_at.seconds().into()),
        ("created_at", chat.created_at.seconds().into()),
        ("share_id", chat.share.as_ref().map(|share| share.as_str()).into()),
        ("archived", chat.archived.into()),
        ("pinned", chat.pinned.into()),
        ("meta", meta.into()),
        ("variables", json!({})),
        ("folder_id", chat.folder.as_ref().map(|folder| folder.as_str()).into()),
        ("tasks", Value::Null),
        ("summary", Value::Null),
        ("current_message_id", current),
        ("context_usage", Value::Null),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A chat of which others see a copy: known by the copy's id, and not by its own.
pub(crate) fn shared(chat: Chat) -> Map<String, Value> {
    let share = chat.share.as_ref().map(|share| Value::from(share.as_str()));
    let mut view = view(chat);
    if let Some(share) = share {
        view.insert("id".into(), share);
    }
    view
}

/// A chat in a list.
pub(crate) fn summary(chat: &ChatSummary) -> Value {
    json!({
        "id": chat.id.as_str(),
        "title": chat.title,
        "updated_at": chat.updated_at.seconds(),
        "created_at": chat.created_at.seconds(),
        "last_read_at": null,
        "snippet": null,
        "active": false,
        "archived": chat.archived,
    })
}

/// A tag.
pub(crate) fn tag(tag: &Tag, owner: &UserId) -> Value {
    json!({"id": tag.id, "name": tag.name, "user_id": owner.as_str(), "meta": null})
}

/// A folder.
pub(crate) fn folder(folder: Folder) -> Map<String, Value> {
    let object = |map: Option<Map<String, Value>>| map.map_or(Value::Null, Value::Object);
    let fields = [
        ("id", folder.id.as_str().into()),
        ("parent_id", folder.parent.as_ref().map(|parent| parent.as_str()).into()),
        ("user_id", folder.owner.as_str().into()),
        ("name", folder.name.into()),
        ("items", Value::Null),
        ("meta", object(folder.meta)),
        ("data", object(folder.data)),
        ("is_expanded", folder.expanded.into()),
        ("created_at", folder.created_at.seconds().into()),
        ("updated_at", folder.updated_at.seconds().into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

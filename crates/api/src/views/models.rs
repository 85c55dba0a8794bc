//! Entries of the model list, and custom models.

use std::sync::Arc;

use breezeway_registry::{ConnectionKind, Model, Overlay};
use serde_json::{Map, Value, json};

use super::grants;

/// An entry of `GET /api/models`, as JSON text.
///
/// A model is one `Arc` for as long as its snapshot lives, and the list is asked for far more often
/// than it changes, so the text is made once for each model.
pub(crate) fn entry(model: &Model) -> Arc<str> {
    model.rendered.get_or_init(|| Value::Object(entry_of(model)).to_string().into()).clone()
}

fn entry_of(model: &Model) -> Map<String, Value> {
    let mut entry = Map::new();
    let offer = model.offers.last();
    let kind = offer.map_or(ConnectionKind::OpenAi, |offer| offer.connection.kind);
    let connection_type =
        offer.and_then(|offer| offer.connection.connection_type.as_deref()).unwrap_or(match kind {
            ConnectionKind::OpenAi => "external",
            ConnectionKind::Ollama => "local",
        });
    entry.insert("id".into(), model.id.as_str().into());
    entry.insert("name".into(), model.name.as_str().into());
    entry.insert("object".into(), "model".into());
    if let (true, Some(overlay)) = (model.is_custom(), &model.overlay) {
        entry.insert("created".into(), overlay.created_at.seconds().into());
    } else {
        entry.insert("created".into(), offer.map_or(0, |offer| offer.entry.created).into());
    }
    entry.insert(
        "owned_by".into(),
        match kind {
            ConnectionKind::OpenAi => "openai",
            ConnectionKind::Ollama => "ollama",
        }
        .into(),
    );
    entry.insert("connection_type".into(), connection_type.into());
    if model.is_custom() {
        entry.insert("preset".into(), true.into());
    } else if let Some(offer) = offer {
        let mut details = offer.entry.details.clone();
        match kind {
            ConnectionKind::OpenAi => {
                details.insert("connection_type".into(), connection_type.into());
                entry.insert("openai".into(), details.into());
                entry.insert("provider".into(), offer.connection.provider.as_str().into());
                entry.insert("urlIdx".into(), offer.connection.index.into());
            }
            ConnectionKind::Ollama => {
                let urls: Vec<usize> = model.offers.iter().map(|offer| offer.connection.index).collect();
                details.insert("connection_type".into(), connection_type.into());
                details.insert("urls".into(), urls.into());
                if let Some(until) = offer.entry.loaded_until {
                    details.insert("expires_at".into(), until.into());
                }
                entry.insert("ollama".into(), details.into());
                entry.insert("loaded".into(), offer.entry.loaded_until.is_some().into());
            }
        }
    }
    if let Some(overlay) = &model.overlay {
        entry.insert("info".into(), info(overlay));
    }
    entry.insert("actions".into(), json!([]));
    entry.insert("filters".into(), json!([]));
    let tags = tags(model);
    entry.insert("tags".into(), tags.into());
    entry
}

fn tags(model: &Model) -> Vec<Value> {
    let own = model.overlay.as_ref().and_then(|overlay| overlay.meta.get("tags")?.as_array().cloned());
    let given = model.offers.last().map(|offer| offer.connection.tags.clone());
    let mut tags: Vec<Value> = own.into_iter().chain(given).flatten().collect();
    let mut seen = Vec::new();
    tags.retain(|tag| {
        let new = !seen.contains(tag);
        seen.push(tag.clone());
        new
    });
    tags
}

/// `info` of an entry: the custom layer without its parameters and picture.
fn info(overlay: &Overlay) -> Value {
    let mut view = view(overlay);
    view.insert("params".into(), json!({}));
    view.shift_remove("version_id");
    if let Some(Value::Object(meta)) = view.get_mut("meta") {
        meta.shift_remove("profile_image_url");
        // The list is long; what it says nothing about can be left out of it.
        for name in UNSAID {
            if meta.get(name).is_some_and(Value::is_null) {
                meta.shift_remove(name);
            }
        }
    }
    view.into()
}

/// Fields of `meta` that are there for clients that read them without asking.
const UNSAID: [&str; 4] = ["background_image_url", "i18n", "voice", "voice_avatar"];

/// A custom model in an export. Pictures are kept in `meta`, none apart from it.
pub(crate) fn exported(overlay: &Overlay) -> Map<String, Value> {
    let mut view = view(overlay);
    view.insert("background_image_data".into(), Value::Null);
    view
}

/// A custom model as its own routes show it.
pub(crate) fn view(overlay: &Overlay) -> Map<String, Value> {
    let mut meta = Map::new();
    meta.insert("profile_image_url".into(), "/static/favicon.png".into());
    meta.insert("description".into(), Value::Null);
    meta.insert("capabilities".into(), Value::Null);
    meta.insert("knowledge".into(), Value::Null);
    meta.extend(UNSAID.map(|name| (name.to_owned(), Value::Null)));
    meta.extend(overlay.meta.clone());
    let grants = grants::views(&overlay.grants, "model", overlay.id.as_str(), overlay.created_at);
    let fields = [
        ("version_id", format!("{}-{}", overlay.id, overlay.updated_at).into()),
        ("id", overlay.id.as_str().into()),
        ("user_id", overlay.owner.as_str().into()),
        ("base_model_id", overlay.base.as_ref().map(|base| base.as_str()).into()),
        ("name", overlay.name.as_str().into()),
        ("params", overlay.params.clone().into()),
        ("meta", meta.into()),
        ("access_grants", json!(grants)),
        ("is_active", overlay.active.into()),
        ("updated_at", overlay.updated_at.seconds().into()),
        ("created_at", overlay.created_at.seconds().into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

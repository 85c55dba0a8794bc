//! What stands in messages: parts as blocks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::Unusable;

/// The blocks of a message's content. Texts without a word are left out: Anthropic refuses them.
pub(super) fn blocks(content: &Value) -> Result<Vec<Value>, Unusable> {
    match content {
        Value::String(text) => Ok(text_block(text, &Value::Null).into_iter().collect()),
        Value::Array(parts) => {
            let blocks = parts.iter().map(block).collect::<Result<Vec<_>, _>>()?;
            Ok(blocks.into_iter().flatten().collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn text_block(text: &str, part: &Value) -> Option<Value> {
    (!text.trim().is_empty()).then(|| marked(json!({"type": "text", "text": text}), part))
}

/// The block with the mark that says where a cached beginning ends, if the part has one.
fn marked(mut block: Value, part: &Value) -> Value {
    if part["cache_control"].is_object() {
        block["cache_control"] = part["cache_control"].clone();
    }
    block
}

/// A part as a block; nothing for a text without a word.
fn block(part: &Value) -> Result<Option<Value>, Unusable> {
    let text = |name: &str| part[name].as_str().unwrap_or_default();
    match part["type"].as_str().unwrap_or_default() {
        "text" | "input_text" | "output_text" => Ok(text_block(text("text"), part)),
        "refusal" => Ok(text_block(text("refusal"), part)),
        "image_url" => {
            let url = part["image_url"]["url"].as_str().or(part["image_url"].as_str()).unwrap_or_default();
            Ok(Some(marked(json!({"type": "image", "source": source(url)?}), part)))
        }
        "file" => file(&part["file"]).map(|block| Some(marked(block, part))),
        "input_audio" => Err(unusable("has sound, which Anthropic's models do not take")),
        // Blocks of Anthropic's own, from clients that mix the dialects.
        "image" | "document" | "search_result" | "tool_result" | "container_upload" => Ok(Some(part.clone())),
        _ => Err(unusable("has a part of a kind that Anthropic's models do not take")),
    }
}

fn unusable(why: &'static str) -> Unusable {
    Unusable { field: "messages", why }
}

/// Where a picture is: in the request, or at an address that Anthropic fetches.
fn source(url: &str) -> Result<Value, Unusable> {
    match data_uri(url) {
        Some((kind, data)) => Ok(json!({"type": "base64", "media_type": kind, "data": data})),
        None if url.starts_with("http://") || url.starts_with("https://") => {
            Ok(json!({"type": "url", "url": url}))
        }
        None => Err(unusable("has a picture that is neither a data URI nor at an address")),
    }
}

/// The media type and the base64 of a data URI.
fn data_uri(url: &str) -> Option<(&str, &str)> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(',')?;
    let kind = kind.strip_suffix(";base64")?;
    Some((kind.split(';').next().unwrap_or(kind), data))
}

fn file(file: &Value) -> Result<Value, Unusable> {
    let mut block = Map::from_iter([("type".to_owned(), json!("document"))]);
    let source = match (file["file_data"].as_str(), file["file_id"].as_str()) {
        (Some(data), _) => match data_uri(data) {
            Some((kind, data)) if kind.starts_with("text/") => {
                let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let text = text.ok_or_else(|| unusable("has a text file that is no base64 of UTF-8"))?;
                json!({"type": "text", "media_type": "text/plain", "data": text})
            }
            Some((kind, data)) => json!({"type": "base64", "media_type": kind, "data": data}),
            // Some clients leave the media type out, and mean the one that OpenAI takes.
            None => json!({"type": "base64", "media_type": "application/pdf", "data": data}),
        },
        (None, Some(id)) => json!({"type": "file", "file_id": id}),
        (None, None) => return Err(unusable("has a file without its data")),
    };
    block.insert("source".into(), source);
    if let Some(name) = file["filename"].as_str().filter(|name| !name.is_empty()) {
        block.insert("title".into(), name.into());
    }
    Ok(block.into())
}

//! Requests of `/api/chat` and `/api/generate` as chat requests.

use serde_json::{Map, Value, json};

use crate::Unusable;
use crate::{
    chat::ChatRequest,
    tool::{arguments_text, call_id},
};

/// Options that OpenAI's dialect has under the same name.
const SHARED: [&str; 6] = ["temperature", "top_p", "seed", "stop", "frequency_penalty", "presence_penalty"];

/// Fields that are about Ollama's own work with a model.
const DROPPED: [&str; 8] =
    ["options", "keep_alive", "format", "think", "raw", "context", "template", "images"];

/// Put a request of `/api/chat` into OpenAI's dialect. Streams unless told not to, as Ollama does.
pub fn chat_of_chat(request: Map<String, Value>) -> Result<ChatRequest, Unusable> {
    let mut body = request;
    let messages = match body.get_mut("messages").map(Value::take) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(messages)) => messages,
        Some(_) => return Err(Unusable { field: "messages", why: "must be a list" }),
    };
    body.insert("messages".into(), translated(messages).into());
    Ok(finished(body))
}

/// Put a request of `/api/generate` into OpenAI's dialect: the prompt and its pictures become a
/// message of the user's, `system` one before it.
pub fn chat_of_generate(request: Map<String, Value>) -> Result<ChatRequest, Unusable> {
    let mut body = request;
    let [system, prompt, suffix] = ["system", "prompt", "suffix"].map(|name| body.shift_remove(name));
    if suffix.as_ref().and_then(Value::as_str).is_some_and(|suffix| !suffix.is_empty()) {
        return Err(Unusable { field: "suffix", why: "is not supported by this model" });
    }
    let prompt = match prompt {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(_) => return Err(Unusable { field: "prompt", why: "must be a text" }),
    };
    let mut user = Map::from_iter([("role".into(), "user".into()), ("content".into(), prompt.into())]);
    if let Some(images) = body.shift_remove("images") {
        user.insert("images".into(), images);
    }
    let mut messages = Vec::new();
    if let Some(system) = system.as_ref().and_then(Value::as_str).filter(|text| !text.is_empty()) {
        messages.push(json!({"role": "system", "content": system}));
    }
    messages.push(user.into());
    body.insert("messages".into(), translated(messages).into());
    Ok(finished(body))
}

fn finished(mut body: Map<String, Value>) -> ChatRequest {
    let mut said = DROPPED.map(|name| body.shift_remove(name).unwrap_or_default());
    let [options, _, format, think, ..] = &mut said;
    if let Value::Object(options) = options {
        for name in SHARED {
            match options.shift_remove(name) {
                None | Some(Value::Null) => {}
                Some(value) => drop(body.entry(name).or_insert(value)),
            }
        }
        // Negative numbers mean "as much as there is room for".
        if let Some(limit) = options.get("num_predict").and_then(Value::as_u64) {
            body.entry("max_tokens").or_insert_with(|| limit.into());
        }
    }
    if let Some(format) = response_format(format.take()) {
        body.entry("response_format").or_insert(format);
    }
    if let Some(effort) = effort(think) {
        body.entry("reasoning_effort").or_insert_with(|| effort.into());
    }
    let streams = body.get("stream").and_then(Value::as_bool).unwrap_or(true);
    body.insert("stream".into(), streams.into());
    if streams {
        // The last line tells what was used, so it has to be asked for.
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    if body.get("tools").is_some_and(|tools| tools.as_array().is_none_or(Vec::is_empty)) {
        body.shift_remove("tools");
    }
    ChatRequest::new(body)
}

fn response_format(format: Value) -> Option<Value> {
    match format {
        Value::String(word) if word == "json" => Some(json!({"type": "json_object"})),
        Value::Object(schema) => Some(json!({
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema},
        })),
        _ => None,
    }
}

/// `false` is the one wish that every model which knows the field understands; `true` is how those
/// that think answer anyway.
fn effort(think: &Value) -> Option<String> {
    match think {
        Value::Bool(false) => Some("none".into()),
        Value::String(level) => Some(level.clone()),
        _ => None,
    }
}

/// Messages in OpenAI's dialect. Calls get ids, and results those of the calls before them: Ollama
/// tells them apart by name and order alone.
fn translated(messages: Vec<Value>) -> Vec<Value> {
    let mut open: Vec<(String, String)> = Vec::new();
    let mut calls = 0;
    let mut out = messages;
    for message in out.iter_mut().filter_map(Value::as_object_mut) {
        add_images(message);
        if let Some(thinking) = message.shift_remove("thinking").filter(Value::is_string) {
            message.insert("reasoning_content".into(), thinking);
        }
        if message.get("role").is_some_and(|role| role == "tool") {
            close(message, &mut open);
            continue;
        }
        let Some(Value::Array(given)) = message.get_mut("tool_calls") else { continue };
        if given.is_empty() {
            message.shift_remove("tool_calls");
            continue;
        }
        open.clear();
        for call in given {
            let name = call["function"]["name"].as_str().unwrap_or_default().to_owned();
            let id = match call["id"].as_str().filter(|id| !id.is_empty()) {
                Some(id) => id.to_owned(),
                None => call_id("call_", "turn", calls),
            };
            calls += 1;
            let arguments = arguments_text(call["function"].get("arguments"));
            *call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
            open.push((name, id));
        }
    }
    out
}

/// Give a result the id of the call it answers: the first open one of its name, or the first at all.
fn close(message: &mut Map<String, Value>, open: &mut Vec<(String, String)>) {
    let name = ["tool_name", "name"].into_iter().find_map(|field| message.shift_remove(field));
    if message.contains_key("tool_call_id") {
        return;
    }
    let named = name.as_ref().and_then(Value::as_str);
    let at = open.iter().position(|(of, _)| Some(of.as_str()) == named);
    if let Some(at) = at.or((!open.is_empty()).then_some(0)) {
        message.insert("tool_call_id".into(), open.remove(at).1.into());
    }
}

/// Put the pictures of a message among the parts of its content.
fn add_images(message: &mut Map<String, Value>) {
    let Some(Value::Array(images)) = message.shift_remove("images") else { return };
    let images: Vec<Value> = images.iter().filter_map(Value::as_str).map(image_part).collect();
    if images.is_empty() {
        return;
    }
    let mut parts = match message.get_mut("content").map(Value::take) {
        Some(Value::Array(parts)) => parts,
        Some(Value::String(text)) if !text.is_empty() => vec![json!({"type": "text", "text": text})],
        _ => Vec::new(),
    };
    parts.extend(images);
    message.insert("content".into(), parts.into());
}

fn image_part(data: &str) -> Value {
    let url =
        match data.split_once(':').is_some_and(|(scheme, _)| matches!(scheme, "data" | "http" | "https")) {
            true => data.to_owned(),
            false => format!("data:{};base64,{data}", media_type(data)),
        };
    json!({"type": "image_url", "image_url": {"url": url}})
}

/// What kind of picture it is, by the first bytes as base64 writes them.
fn media_type(data: &str) -> &'static str {
    match data {
        _ if data.starts_with("/9j/") => "image/jpeg",
        _ if data.starts_with("R0lGOD") => "image/gif",
        _ if data.starts_with("UklGR") => "image/webp",
        _ => "image/png",
    }
}

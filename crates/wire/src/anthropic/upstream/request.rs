//! A chat request as a Messages request.

use serde_json::{Map, Value, json};

use super::{content::blocks, thinking::think};
use crate::{
    Unusable,
    chat::{ChatRequest, text_of},
    tool::arguments_object,
};

/// Fields of Anthropic's that go through as they are, for clients that know whom they ask.
const OWN: &[&str] = &[
    "anthropic_beta",
    "top_k",
    "thinking",
    "output_config",
    "cache_control",
    "container",
    "context_management",
    "mcp_servers",
];

/// What a model without a field for it is told if the answer is to be JSON of no certain shape.
const JSON_ONLY: &str = "Answer with one JSON object and nothing else.";

/// Put a chat request into Anthropic's dialect. `max_tokens` is the bound of answers where the request has
/// none: Anthropic insists on one.
///
/// # Errors
/// If the messages have something that Anthropic's models do not take at all. What has no counterpart and
/// does not change what is asked is left out.
pub fn messages_request(request: ChatRequest, max_tokens: u64) -> Result<Map<String, Value>, Unusable> {
    let request = request.into_map();
    let said = |name: &str| request.get(name).filter(|value| !value.is_null());
    let (mut system, mut messages) = turns(&request)?;
    let mut body = Map::new();
    body.insert("model".into(), request.get("model").cloned().unwrap_or_default());
    let bound = said("max_completion_tokens").or_else(|| said("max_tokens")).cloned();
    body.insert("max_tokens".into(), bound.clone().unwrap_or_else(|| max_tokens.into()));
    for name in OWN {
        if let Some(value) = said(name) {
            body.insert((*name).into(), value.clone());
        }
    }
    format(&mut body, said("response_format").unwrap_or(&Value::Null), &mut system);
    if !system.is_empty() {
        body.insert("system".into(), plain(system));
    }
    if let Some(stop) = stop_sequences(said("stop").unwrap_or(&Value::Null)) {
        body.insert("stop_sequences".into(), stop);
    }
    tools(&mut body, &request);
    let effort = said("reasoning_effort").and_then(Value::as_str);
    if let Some(effort) = effort.filter(|_| !body.contains_key("thinking")) {
        let model = request.get("model").and_then(Value::as_str).unwrap_or_default();
        think(&mut body, model, effort, bound.is_some());
    }
    if !may_think(&body, &messages) {
        body.shift_remove("thinking");
    }
    let thinks = body.get("thinking").is_some_and(|thinking| thinking["type"] != "disabled");
    if thinks {
        // A model that thinks takes none of these but their defaults.
        body.shift_remove("top_k");
    } else {
        without_thoughts(&mut messages);
        sampling(&mut body, &request);
    }
    body.insert("messages".into(), messages.into());
    let user = said("safety_identifier").or_else(|| said("user")).and_then(Value::as_str);
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        body.insert("metadata".into(), json!({"user_id": user}));
    }
    if said("stream").is_some_and(|stream| *stream == true) {
        body.insert("stream".into(), true.into());
    }
    Ok(body)
}

/// What the system says, and what the others say in turns.
fn turns(request: &Map<String, Value>) -> Result<(Vec<Value>, Vec<Value>), Unusable> {
    let given = request.get("messages").and_then(Value::as_array);
    let (mut system, mut messages) = (Vec::new(), Vec::new());
    for message in given.into_iter().flatten() {
        match message["role"].as_str().unwrap_or_default() {
            // It stands beside the messages, wherever it stood among them.
            "system" | "developer" => system.extend(blocks(&message["content"])?),
            "assistant" => add(&mut messages, "assistant", said_by_model(message)?),
            "tool" => add(&mut messages, "user", vec![result(message)?]),
            _ => add(&mut messages, "user", blocks(&message["content"])?),
        }
    }
    trim_end(&mut messages);
    Ok((system, messages))
}

/// Anthropic's turns alternate, and results stand together in the turn behind their calls.
fn add(messages: &mut Vec<Value>, role: &str, mut blocks: Vec<Value>) {
    if blocks.is_empty() {
        return;
    }
    if let Some(last) = messages.last_mut().filter(|last| last["role"] == role)
        && let Some(Value::Array(content)) = last.get_mut("content")
    {
        content.append(&mut blocks);
        return;
    }
    messages.push(json!({"role": role, "content": blocks}));
}

/// A beginning of the answer must not end with white space.
fn trim_end(messages: &mut [Value]) {
    let Some(last) = messages.last_mut().filter(|last| last["role"] == "assistant") else { return };
    let Some(Value::Array(content)) = last.get_mut("content") else { return };
    if let Some(Value::String(text)) = content.last_mut().and_then(|block| block.get_mut("text")) {
        text.truncate(text.trim_end().len());
    }
}

fn said_by_model(message: &Value) -> Result<Vec<Value>, Unusable> {
    let thought = message["thinking_blocks"].as_array().into_iter().flatten();
    let mut said: Vec<Value> = thought.filter(|block| is_thought(block)).cloned().collect();
    said.extend(blocks(&message["content"])?);
    said.extend(blocks(&message["refusal"])?);
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        said.push(json!({
            "type": "tool_use",
            "id": plain_id(&call["id"]),
            "name": function["name"].as_str().unwrap_or_default(),
            "input": arguments_object(function.get("arguments")),
        }));
    }
    Ok(said)
}

fn result(message: &Value) -> Result<Value, Unusable> {
    let mut block = json!({"type": "tool_result", "tool_use_id": plain_id(&message["tool_call_id"])});
    match &message["content"] {
        Value::Array(_) => block["content"] = blocks(&message["content"])?.into(),
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => block["content"] = text.as_str().into(),
        _ => {}
    }
    Ok(block)
}

/// Anthropic refuses ids with other letters. Calls and results are named alike, so they still meet.
fn plain_id(id: &Value) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    match id.as_str() {
        Some(id) if !id.is_empty() => id.chars().map(plain).collect(),
        _ => "call".to_owned(),
    }
}

fn is_thought(block: &Value) -> bool {
    match block["type"].as_str() {
        Some("thinking") => block["signature"].as_str().is_some_and(|signature| !signature.is_empty()),
        Some("redacted_thinking") => block["data"].is_string(),
        _ => false,
    }
}

/// Whether the model may think: not where a call is forced, nor in the middle of calls whose thoughts
/// are lost, because Anthropic would refuse the whole request.
fn may_think(body: &Map<String, Value>, messages: &[Value]) -> bool {
    let forced =
        body.get("tool_choice").is_some_and(|choice| choice["type"] == "any" || choice["type"] == "tool");
    let has = |message: &Value, kind: fn(&Value) -> bool| {
        message["content"].as_array().is_some_and(|content| content.iter().any(kind))
    };
    let last = messages.iter().rfind(|message| message["role"] == "assistant");
    let calls = last.is_some_and(|last| has(last, |block| block["type"] == "tool_use"));
    !forced && (!calls || last.is_some_and(|last| has(last, is_thought)))
}

/// Thoughts may only be told again to a model that thinks.
fn without_thoughts(messages: &mut Vec<Value>) {
    for message in messages.iter_mut() {
        if let Some(Value::Array(content)) = message.get_mut("content") {
            content.retain(|block| !is_thought(block));
        }
    }
    messages.retain(|message| message["content"].as_array().is_some_and(|content| !content.is_empty()));
}

/// A text where there is nothing but one, as most requests have it.
fn plain(system: Vec<Value>) -> Value {
    let system = Value::Array(system);
    let is_plain = |block: &Value| block["type"] == "text" && block.get("cache_control").is_none();
    match system.as_array().is_some_and(|blocks| blocks.iter().all(is_plain)) {
        true => text_of(&system).into(),
        false => system,
    }
}

fn format(body: &mut Map<String, Value>, format: &Value, system: &mut Vec<Value>) {
    match format["type"].as_str() {
        Some("json_schema") => {
            let schema = format["json_schema"]["schema"].clone();
            let config = body.entry("output_config").or_insert_with(|| json!({}));
            if let Some(config) = config.as_object_mut() {
                config.insert("format".into(), json!({"type": "json_schema", "schema": schema}));
            }
        }
        Some("json_object") => system.push(json!({"type": "text", "text": JSON_ONLY})),
        _ => {}
    }
}

fn stop_sequences(stop: &Value) -> Option<Value> {
    let all = match stop {
        Value::String(_) => std::slice::from_ref(stop),
        Value::Array(all) => all,
        _ => return None,
    };
    // Anthropic refuses white space alone.
    let usable = |stop: &&Value| stop.as_str().is_some_and(|stop| !stop.trim().is_empty());
    let usable: Vec<Value> = all.iter().filter(usable).cloned().collect();
    (!usable.is_empty()).then(|| usable.into())
}

fn sampling(body: &mut Map<String, Value>, request: &Map<String, Value>) {
    // OpenAI's temperatures go up to 2.
    if let Some(temperature) = request.get("temperature").and_then(Value::as_f64) {
        let as_said = &request["temperature"];
        let value = if (0.0..=1.0).contains(&temperature) {
            as_said.clone()
        } else {
            json!(temperature.clamp(0.0, 1.0))
        };
        body.insert("temperature".into(), value);
    }
    if let Some(top_p) = request.get("top_p").filter(|top_p| top_p.is_number()) {
        body.insert("top_p".into(), top_p.clone());
    }
}

fn tools(body: &mut Map<String, Value>, request: &Map<String, Value>) {
    let given = request.get("tools").and_then(Value::as_array);
    let tools: Vec<Value> = given.into_iter().flatten().filter_map(tool).collect();
    // A choice where there is nothing to choose from is refused.
    if tools.is_empty() {
        return;
    }
    body.insert("tools".into(), tools.into());
    let choice = request.get("tool_choice").unwrap_or(&Value::Null);
    let mut chosen = match (choice.as_str(), choice["function"]["name"].as_str()) {
        (Some("required"), _) => json!({"type": "any"}),
        (Some("none"), _) => json!({"type": "none"}),
        (None, Some(name)) => json!({"type": "tool", "name": name}),
        (Some("auto"), _) => json!({"type": "auto"}),
        _ => Value::Null,
    };
    if request.get("parallel_tool_calls").is_some_and(|parallel| *parallel == false)
        && chosen["type"] != "none"
    {
        if chosen.is_null() {
            chosen = json!({"type": "auto"});
        }
        chosen["disable_parallel_tool_use"] = true.into();
    }
    if !chosen.is_null() {
        body.insert("tool_choice".into(), chosen);
    }
}

/// A function as a tool. What is no function is one of Anthropic's own tools, if it has a name.
fn tool(tool: &Value) -> Option<Value> {
    if tool["type"] != "function" && !tool["function"].is_object() {
        return tool["name"].is_string().then(|| tool.clone());
    }
    let function = &tool["function"];
    let mut converted = Map::new();
    converted.insert("name".into(), function["name"].as_str()?.into());
    if let Some(description) = function["description"].as_str() {
        converted.insert("description".into(), description.into());
    }
    let mut schema = match &function["parameters"] {
        Value::Object(schema) => schema.clone(),
        _ => Map::from_iter([("properties".to_owned(), json!({}))]),
    };
    // Anthropic insists on it; others take it for granted.
    schema.entry("type").or_insert_with(|| "object".into());
    converted.insert("input_schema".into(), schema.into());
    if tool["cache_control"].is_object() {
        converted.insert("cache_control".into(), tool["cache_control"].clone());
    }
    Some(converted.into())
}

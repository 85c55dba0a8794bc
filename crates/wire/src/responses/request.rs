//! A request of the Responses API as a chat request.

use serde_json::{Map, Value, json};

use crate::Unusable;
use crate::{
    chat::{ChatRequest, text_of},
    tool::arguments_text,
};

/// Fields that are translated here, or mean nothing to a chat. All others are handed on.
const CONSUMED: [&str; 22] = [
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "store",
    "stream",
    "stream_options",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "truncation",
];

/// Put a request into the dialect of chats. `history` is the items of the conversation before it.
pub fn chat_request(request: Map<String, Value>, history: &[Value]) -> Result<ChatRequest, Unusable> {
    let mut body = request;
    for (field, why) in [
        ("background", "is not supported by this model"),
        ("conversation", "is not supported by this model"),
        ("prompt", "is not supported by this model"),
    ] {
        if body.get(field).is_some_and(|value| !value.is_null() && *value != false) {
            return Err(Unusable { field, why });
        }
    }
    let input = input_items(&body)?;
    let said: Map<String, Value> =
        CONSUMED.iter().filter_map(|name| Some(((*name).to_owned(), body.shift_remove(*name)?))).collect();
    let instructions = said.get("instructions").and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut messages = Messages::default();
    if let Some(text) = instructions {
        messages.list.push(json!({"role": "system", "content": text}));
    }
    for item in history.iter().chain(&input) {
        messages.add(item)?;
    }
    body.insert("messages".into(), messages.list.into());
    add_parameters(&mut body, &said);
    add_tools(&mut body, &said);
    if let Some(stream) = said.get("stream").and_then(Value::as_bool) {
        body.insert("stream".into(), stream.into());
        if stream {
            // The last event tells the usage, so it has to be asked for.
            body.insert("stream_options".into(), json!({"include_usage": true}));
        }
    }
    Ok(ChatRequest::new(body))
}

/// The items of a request's input; a text is a message of the user's.
pub fn input_items(request: &Map<String, Value>) -> Result<Vec<Value>, Unusable> {
    match request.get("input") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![json!({"type": "message", "role": "user", "content": text})]),
        Some(Value::Array(items)) => Ok(items.clone()),
        Some(_) => Err(Unusable { field: "input", why: "must be a text or a list of items" }),
    }
}

fn add_parameters(body: &mut Map<String, Value>, said: &Map<String, Value>) {
    let number = |name: &str| said.get(name).filter(|value| value.is_number());
    if let Some(limit) = number("max_output_tokens") {
        body.insert("max_tokens".into(), limit.clone());
    }
    if let Some(count) = number("top_logprobs") {
        body.insert("logprobs".into(), true.into());
        body.insert("top_logprobs".into(), count.clone());
    }
    if let Some(effort) = said.get("reasoning").and_then(|reasoning| reasoning["effort"].as_str()) {
        body.insert("reasoning_effort".into(), effort.into());
    }
    let Some(text) = said.get("text") else { return };
    if let Some(verbosity) = text["verbosity"].as_str() {
        body.insert("verbosity".into(), verbosity.into());
    }
    let format = &text["format"];
    match format["type"].as_str() {
        Some("json_object") => drop(body.insert("response_format".into(), format.clone())),
        Some("json_schema") => {
            let mut schema = format.as_object().cloned().unwrap_or_default();
            schema.shift_remove("type");
            body.insert("response_format".into(), json!({"type": "json_schema", "json_schema": schema}));
        }
        _ => {}
    }
}

fn add_tools(body: &mut Map<String, Value>, said: &Map<String, Value>) {
    let given = said.get("tools").and_then(Value::as_array);
    // Others are run by the provider, who is not there.
    let functions = given.into_iter().flatten().filter(|tool| tool["type"] == "function");
    let tools: Vec<Value> = functions
        .filter_map(|tool| {
            let mut function = tool.as_object()?.clone();
            function.shift_remove("type");
            function.retain(|_, value| !value.is_null());
            Some(json!({"type": "function", "function": function}))
        })
        .collect();
    // Upstreams refuse a choice where there is nothing to choose from.
    if tools.is_empty() {
        body.shift_remove("parallel_tool_calls");
        return;
    }
    body.insert("tools".into(), tools.into());
    let choice = match said.get("tool_choice") {
        Some(Value::String(word)) => json!(word),
        Some(choice) => match choice["type"].as_str() {
            Some("function") => json!({"type": "function", "function": {"name": choice["name"]}}),
            Some("allowed_tools") => choice["mode"].clone(),
            _ => return,
        },
        None => return,
    };
    body.insert("tool_choice".into(), choice);
}

/// Messages as they come of items.
#[derive(Default)]
struct Messages {
    list: Vec<Value>,
    /// What was thought before the next message of the model's.
    thought: String,
}

impl Messages {
    fn add(&mut self, item: &Value) -> Result<(), Unusable> {
        match item["type"].as_str() {
            None | Some("message") => {
                let Some(role) = item["role"].as_str() else {
                    return Err(Unusable { field: "input", why: "has a message without a role" });
                };
                let content = content(&item["content"]);
                match role {
                    "assistant" => self.assistant().insert("content".into(), content),
                    _ => {
                        self.thought.clear();
                        self.list.push(json!({"role": role, "content": content}));
                        None
                    }
                };
            }
            Some("function_call") => {
                let id = item["call_id"].as_str().or(item["id"].as_str()).unwrap_or_default();
                let function = json!({
                    "name": item["name"],
                    "arguments": arguments_text(item.get("arguments")),
                });
                let call = json!({"id": id, "type": "function", "function": function});
                let message = self.assistant_to_call();
                match message.get_mut("tool_calls") {
                    Some(Value::Array(calls)) => calls.push(call),
                    _ => drop(message.insert("tool_calls".into(), json!([call]))),
                }
            }
            Some("function_call_output") => {
                let output = match &item["output"] {
                    Value::String(text) => text.clone(),
                    parts @ Value::Array(_) => joined(parts),
                    other => other.to_string(),
                };
                let id = item["call_id"].as_str().unwrap_or_default();
                self.list.push(json!({"role": "tool", "tool_call_id": id, "content": output}));
            }
            Some("reasoning") => {
                let content = joined(&item["content"]);
                self.thought.push_str(&if content.is_empty() { joined(&item["summary"]) } else { content });
            }
            Some("item_reference") => {
                return Err(Unusable { field: "input", why: "refers to an item that is not kept here" });
            }
            // What providers' own tools did is nothing a chat can be told.
            Some(_) => {}
        }
        Ok(())
    }

    /// A new message of the model's, with what it thought before.
    fn assistant(&mut self) -> &mut Map<String, Value> {
        let mut message = Map::from_iter([("role".into(), "assistant".into())]);
        message.insert("content".into(), Value::Null);
        let thought = std::mem::take(&mut self.thought);
        if !thought.is_empty() {
            message.insert("reasoning_content".into(), thought.into());
        }
        self.list.push(message.into());
        self.last()
    }

    /// The message that a call belongs to: the model's last, if nothing came since.
    fn assistant_to_call(&mut self) -> &mut Map<String, Value> {
        let goes_on =
            self.thought.is_empty() && self.list.last().is_some_and(|last| last["role"] == "assistant");
        if goes_on { self.last() } else { self.assistant() }
    }

    fn last(&mut self) -> &mut Map<String, Value> {
        let last = self.list.last_mut().and_then(Value::as_object_mut);
        last.expect("a message has just been put there")
    }
}

/// The content of a message: a text where there is nothing else in it.
fn content(content: &Value) -> Value {
    let Value::Array(parts) = content else { return content.clone() };
    let parts: Vec<Value> = parts.iter().filter_map(part).collect();
    // A list of nothing but text is a text to every upstream, and a list only to some.
    if parts.iter().all(|part| part["type"] == "text") {
        return text_of(&Value::Array(parts)).into();
    }
    parts.into()
}

fn part(part: &Value) -> Option<Value> {
    match part["type"].as_str()? {
        "input_text" | "output_text" | "text" => {
            Some(json!({"type": "text", "text": part["text"].as_str()?}))
        }
        "refusal" => Some(json!({"type": "text", "text": part["refusal"].as_str()?})),
        "input_image" => {
            let mut image = Map::from_iter([("url".into(), part["image_url"].as_str()?.into())]);
            if let Some(detail) = part["detail"].as_str() {
                image.insert("detail".into(), detail.into());
            }
            Some(json!({"type": "image_url", "image_url": image}))
        }
        "input_file" => {
            let data = part["file_data"].as_str()?;
            let name = part["filename"].as_str().unwrap_or("document.pdf");
            Some(json!({"type": "file", "file": {"filename": name, "file_data": data}}))
        }
        "input_audio" => Some(json!({"type": "input_audio", "input_audio": part["input_audio"]})),
        _ => None,
    }
}

/// The texts of parts, whatever kind of text they are.
fn joined(parts: &Value) -> String {
    let texts = parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

//! A Messages request as a chat request.

use serde_json::{Map, Value, json};

use super::InvalidMessages;
use crate::{
    chat::{ChatRequest, text_of},
    tool::arguments_text,
};

/// Parameters that mean the same in both dialects.
const SHARED: &[&str] = &["max_tokens", "temperature", "top_p", "top_k"];

/// Put a Messages request into OpenAI's dialect.
///
/// Parameters without a counterpart (`service_tier`, cache marks, redacted thinking, tools that run on the
/// provider's side) are dropped: strict upstreams refuse a request for a field they do not know.
pub fn chat_request(request: Map<String, Value>) -> Result<ChatRequest, InvalidMessages> {
    let mut request = request;
    require(&request, "model", Value::is_string)?;
    require(&request, "messages", Value::is_array)?;
    // Anthropic insists on it; here the upstream's own default is as good.
    if said(&request, "max_tokens").is_some() {
        require(&request, "max_tokens", Value::is_u64)?;
    }

    let mut body = Map::new();
    body.insert("model".into(), request["model"].clone());
    body.insert("messages".into(), messages(&mut request).into());
    for name in SHARED {
        if let Some(value) = said(&request, name) {
            body.insert((*name).into(), value.clone());
        }
    }
    if let Some(stop) =
        said(&request, "stop_sequences").filter(|stop| stop.as_array().is_some_and(|all| !all.is_empty()))
    {
        body.insert("stop".into(), stop.clone());
    }
    add_tools(&mut body, &request);
    if let Some(user) = request.get("metadata").and_then(|metadata| metadata["user_id"].as_str()) {
        body.insert("user".into(), user.into());
    }
    let output = request.get("output_config").unwrap_or(&Value::Null);
    if let Some(effort) = output["effort"].as_str() {
        body.insert("reasoning_effort".into(), effort.into());
    }
    // `output_format` is where earlier versions of the API had the format.
    let format = output.get("format").or_else(|| request.get("output_format")).unwrap_or(&Value::Null);
    if format["type"] == "json_schema" {
        let schema = json!({"name": "answer", "schema": format["schema"]});
        body.insert("response_format".into(), json!({"type": "json_schema", "json_schema": schema}));
    }
    if let Some(stream) = request.get("stream").and_then(Value::as_bool) {
        body.insert("stream".into(), stream.into());
        if stream {
            // The last events of a stream tell the usage, so it has to be asked for.
            body.insert("stream_options".into(), json!({"include_usage": true}));
        }
    }
    Ok(ChatRequest::new(body))
}

fn require(
    request: &Map<String, Value>,
    name: &'static str,
    fits: fn(&Value) -> bool,
) -> Result<(), InvalidMessages> {
    match said(request, name) {
        None => Err(InvalidMessages::Missing(name)),
        Some(value) if fits(value) => Ok(()),
        Some(_) => Err(InvalidMessages::Wrong(name)),
    }
}

fn said<'a>(request: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    request.get(name).filter(|value| !value.is_null())
}

fn messages(request: &mut Map<String, Value>) -> Vec<Value> {
    let system = request.get("system").map(text_of).filter(|text| !text.is_empty());
    let mut messages: Vec<Value> =
        system.into_iter().map(|text| json!({"role": "system", "content": text})).collect();
    let given = request.get_mut("messages").and_then(Value::as_array_mut).map(std::mem::take);
    for message in given.unwrap_or_default() {
        match message["role"].as_str() {
            Some("assistant") => messages.push(assistant_message(&message["content"])),
            Some("user") => add_user_messages(&mut messages, &message["content"]),
            // Instructions in the middle of a conversation.
            Some(role @ ("system" | "developer")) => {
                messages.push(json!({"role": role, "content": text_of(&message["content"])}));
            }
            // No role of Anthropic's. The upstream knows its own and says what it cannot use.
            _ => messages.push(message),
        }
    }
    messages
}

fn blocks(content: &Value) -> &[Value] {
    content.as_array().map_or(&[], Vec::as_slice)
}

fn assistant_message(content: &Value) -> Value {
    let text = text_of(content);
    let thinking: Vec<&str> = blocks(content).iter().filter_map(|block| block["thinking"].as_str()).collect();
    let calls: Vec<Value> = blocks(content)
        .iter()
        .filter(|block| block["type"] == "tool_use")
        .map(|block| {
            let function = json!({"name": block["name"], "arguments": arguments_text(block.get("input"))});
            json!({"id": block["id"], "type": "function", "function": function})
        })
        .collect();

    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    message.insert("content".into(), content);
    // We made these blocks of the field, so the upstream that sent it gets it back: some models
    // lose the thread of a tool call without what they thought before it.
    let thinking = thinking.concat();
    if !thinking.is_empty() {
        message.insert("reasoning_content".into(), thinking.into());
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    message.into()
}

fn add_user_messages(messages: &mut Vec<Value>, content: &Value) {
    if !content.is_array() {
        messages.push(json!({"role": "user", "content": content}));
        return;
    }
    // Results answer the calls of the message before, so in OpenAI's dialect they come first. Only
    // text may stand in them: their pictures follow as the user's.
    let mut parts = Vec::new();
    let mut answered = false;
    for block in blocks(content).iter().filter(|block| block["type"] == "tool_result") {
        messages.push(json!({
            "role": "tool",
            "tool_call_id": block["tool_use_id"],
            "content": result_text(&block["content"]),
        }));
        parts.extend(
            blocks(&block["content"]).iter().filter(|part| part["type"] != "text").filter_map(part_of),
        );
        answered = true;
    }
    parts.extend(blocks(content).iter().filter_map(part_of));
    if parts.is_empty() && answered {
        return;
    }
    // A list of nothing but text is a text to every upstream, and a list only to some.
    let content = if parts.iter().all(|part| part["type"] == "text") {
        text_of(&Value::Array(parts)).into()
    } else {
        Value::Array(parts)
    };
    messages.push(json!({"role": "user", "content": content}));
}

/// What a tool answered, as text; a search result is its text.
fn result_text(content: &Value) -> String {
    let found = blocks(content).iter().filter(|block| block["type"] == "search_result");
    let texts: Vec<String> =
        [text_of(content)].into_iter().chain(found.map(|block| text_of(&block["content"]))).collect();
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A content block as a content part; `None` for what is no content of a user's.
fn part_of(block: &Value) -> Option<Value> {
    let source = &block["source"];
    let data_uri = || {
        let (kind, data) = (source["media_type"].as_str()?, source["data"].as_str()?);
        Some(format!("data:{kind};base64,{data}"))
    };
    let text = |text: &str| json!({"type": "text", "text": text});
    match (block["type"].as_str()?, source["type"].as_str()) {
        ("text", _) => Some(text(block["text"].as_str()?)),
        ("image", Some("base64")) => Some(json!({"type": "image_url", "image_url": {"url": data_uri()?}})),
        ("image", Some("url")) => {
            Some(json!({"type": "image_url", "image_url": {"url": source["url"].as_str()?}}))
        }
        ("document", Some("text")) => Some(text(source["data"].as_str()?)),
        ("document", Some("content")) => Some(text(&match &source["content"] {
            Value::String(content) => content.clone(),
            content => text_of(content),
        })),
        ("document", Some("base64")) => {
            let name = block["title"].as_str().unwrap_or("document.pdf");
            Some(json!({"type": "file", "file": {"filename": name, "file_data": data_uri()?}}))
        }
        ("document", Some("url")) => Some(text(source["url"].as_str()?)),
        _ => None,
    }
}

fn add_tools(body: &mut Map<String, Value>, request: &Map<String, Value>) {
    let given = request.get("tools").and_then(Value::as_array);
    let tools: Vec<Value> = given.into_iter().flatten().filter_map(tool).collect();
    // Upstreams refuse a choice where there is nothing to choose from.
    if tools.is_empty() {
        return;
    }
    body.insert("tools".into(), tools.into());
    let choice = request.get("tool_choice").unwrap_or(&Value::Null);
    let chosen = match choice["type"].as_str() {
        Some("auto") => json!("auto"),
        Some("any") => json!("required"),
        Some("none") => json!("none"),
        Some("tool") => json!({"type": "function", "function": {"name": choice["name"]}}),
        _ => return,
    };
    body.insert("tool_choice".into(), chosen);
    if choice["disable_parallel_tool_use"] == true {
        body.insert("parallel_tool_calls".into(), false.into());
    }
}

/// A tool as a function; `None` for tools that Anthropic itself defines or runs, which are known by
/// a type of their own and have no schema.
fn tool(tool: &Value) -> Option<Value> {
    let name = tool["name"].as_str()?;
    let ours = tool["type"].as_str().is_none_or(|kind| kind == "custom");
    let schema = match tool.get("input_schema") {
        Some(schema) => schema.clone(),
        None if ours => json!({"type": "object", "properties": {}}),
        None => return None,
    };
    let mut function = Map::new();
    function.insert("name".into(), name.into());
    if let Some(description) = tool["description"].as_str() {
        function.insert("description".into(), description.into());
    }
    function.insert("parameters".into(), schema);
    if let Some(strict) = tool["strict"].as_bool() {
        function.insert("strict".into(), strict.into());
    }
    Some(json!({"type": "function", "function": function}))
}

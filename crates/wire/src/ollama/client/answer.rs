//! A chat completion as an answer of `/api/chat` or `/api/generate`.

use serde_json::{Map, Value, json};

use crate::{
    chat::text_of,
    openai::{Usage, reasoning_of},
    tool::arguments_object,
};

/// Which of the two an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/api/chat`: a message.
    Chat,
    /// `/api/generate`: a text.
    Generate,
}

/// What an answer in Ollama's dialect is called by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The model as the client knows it.
    pub model: String,
    /// When it was made, as RFC 3339 writes it.
    pub created_at: String,
}

/// Put a whole completion into Ollama's dialect. `None` if it is no completion.
///
/// `total_duration` is what has passed since the request came, in nanoseconds; nobody tells the others.
pub fn answer(
    completion: &Map<String, Value>,
    form: Form,
    told: &Told,
    total_duration: u64,
) -> Option<Value> {
    let choice = completion.get("choices")?.get(0)?;
    let said = choice.get("message").filter(|said| said.is_object())?;
    let calls: Vec<Value> = said["tool_calls"].as_array().into_iter().flatten().map(tool_call).collect();
    let text = [text_of(&said["content"]), said["refusal"].as_str().unwrap_or_default().to_owned()].concat();
    let mut line = piece(form, told, &text, reasoning_of(said), calls);
    if let Some(Value::Array(entries)) = choice["logprobs"].get("content") {
        line.insert("logprobs".into(), entries.clone().into());
    }
    let usage = completion.get("usage").and_then(Usage::read);
    finish(&mut line, reason(choice["finish_reason"].as_str()), usage, total_duration);
    if let Some(sources) = completion.get("sources") {
        line.insert("sources".into(), sources.clone());
    }
    Some(line.into())
}

/// One line that says something.
pub(super) fn piece(
    form: Form,
    told: &Told,
    text: &str,
    thinking: Option<&str>,
    calls: Vec<Value>,
) -> Map<String, Value> {
    let mut line = Map::new();
    line.insert("model".into(), told.model.as_str().into());
    line.insert("created_at".into(), told.created_at.as_str().into());
    match form {
        Form::Chat => {
            let mut message =
                Map::from_iter([("role".into(), "assistant".into()), ("content".into(), text.into())]);
            if let Some(thinking) = thinking {
                message.insert("thinking".into(), thinking.into());
            }
            if !calls.is_empty() {
                message.insert("tool_calls".into(), calls.into());
            }
            line.insert("message".into(), message.into());
        }
        Form::Generate => {
            line.insert("response".into(), text.into());
            if let Some(thinking) = thinking {
                line.insert("thinking".into(), thinking.into());
            }
        }
    }
    line.insert("done".into(), false.into());
    line
}

/// Make a line the last one.
pub(super) fn finish(line: &mut Map<String, Value>, reason: &str, usage: Option<Usage>, total_duration: u64) {
    line.insert("done".into(), true.into());
    line.insert("done_reason".into(), reason.into());
    line.insert("total_duration".into(), total_duration.into());
    line.insert("load_duration".into(), 0.into());
    if let Some(usage) = usage {
        line.insert("prompt_eval_count".into(), usage.prompt_tokens.into());
        line.insert("prompt_eval_duration".into(), 0.into());
        line.insert("eval_count".into(), usage.completion_tokens.into());
        // Clients divide by it.
        line.insert("eval_duration".into(), total_duration.max(1).into());
    }
}

/// Why the model stopped. Ollama says `stop` after tool calls too.
pub(super) fn reason(finish_reason: Option<&str>) -> &'static str {
    match finish_reason {
        Some("length") => "length",
        _ => "stop",
    }
}

/// A whole tool call.
pub(super) fn tool_call(call: &Value) -> Value {
    let function = &call["function"];
    json!({
        "id": call["id"].as_str().unwrap_or_default(),
        "function": {
            "name": function["name"].as_str().unwrap_or_default(),
            "arguments": arguments_object(function.get("arguments")),
        },
    })
}

//! An OpenAI chat request as a body for `/api/chat`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::{
    chat::{ChatRequest, text_of},
    openai::reasoning_of,
    tool::arguments_object,
};

/// Sampling and runtime options of Ollama's. Clients put them beside `model` as often as into
/// `options`, and Ollama reads them only there. The first ten are OpenAI's too.
const OPTIONS: &[&str] = &[
    "temperature",
    "top_p",
    "seed",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "top_k",
    "min_p",
    "typical_p",
    "num_ctx",
    "num_keep",
    "num_predict",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "use_mmap",
    "use_mlock",
    "numa",
    "repeat_last_n",
    "repeat_penalty",
    "penalize_newline",
    "tfs_z",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "draft_num_predict",
];

/// Fields of OpenAI's that Ollama has nothing for. Everything else that is not translated is passed on.
const WITHOUT_COUNTERPART: &[&str] = &[
    "audio",
    "function_call",
    "functions",
    "logit_bias",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options",
    "tool_choice",
    "user",
    "verbosity",
    "web_search_options",
];

/// Put a chat request into Ollama's dialect.
///
/// Ollama's own fields (`format`, `think`, `keep_alive`, `options`) are understood beside OpenAI's and
/// win where both say something: whoever writes them means this model. `stream` is always there,
/// because Ollama streams unless told not to.
pub fn chat_request(request: ChatRequest) -> Map<String, Value> {
    let stream = request.is_stream();
    let mut body = request.into_map();

    if let Some(Value::Array(messages)) = body.get_mut("messages") {
        translate_messages(messages);
    }
    // The one choice that can be honoured by leaving something out.
    if body.get("tool_choice").is_some_and(|choice| choice == "none") {
        body.shift_remove("tools");
    }
    translate_format(&mut body);
    translate_effort(&mut body);
    gather_options(&mut body);
    for name in WITHOUT_COUNTERPART {
        body.shift_remove(*name);
    }
    body.insert("stream".into(), stream.into());
    body
}

fn translate_format(body: &mut Map<String, Value>) {
    let Some(format) = body.shift_remove("response_format") else { return };
    if is_said(body, "format") {
        return;
    }
    let format = match format["type"].as_str() {
        Some("json_object") => "json".into(),
        Some("json_schema") => match &format["json_schema"]["schema"] {
            // A schema that is missing still says that JSON is wanted.
            Value::Null => "json".into(),
            schema => schema.clone(),
        },
        _ => return,
    };
    body.insert("format".into(), format);
}

fn translate_effort(body: &mut Map<String, Value>) {
    let effort = body.shift_remove("reasoning_effort");
    // The same in the spelling of OpenAI's Responses API, which gateways accept for chat as well.
    let nested = body.shift_remove("reasoning").and_then(|reasoning| reasoning.get("effort").cloned());
    if is_said(body, "think") {
        return;
    }
    let effort = effort.filter(|effort| !effort.is_null()).or(nested);
    let think = match effort.as_ref().and_then(Value::as_str) {
        Some("none") => json!(false),
        Some("minimal") => json!("low"),
        Some("xhigh") => json!("high"),
        Some(level) => json!(level),
        None => return,
    };
    body.insert("think".into(), think);
}

fn gather_options(body: &mut Map<String, Value>) {
    let mut options = match body.shift_remove("options") {
        Some(Value::Object(options)) => options,
        _ => Map::new(),
    };
    let [newer, older] = ["max_completion_tokens", "max_tokens"].map(|name| body.shift_remove(name));
    let limit = newer.filter(|limit| !limit.is_null()).or(older);
    let named = OPTIONS.iter().map(|name| (*name, body.shift_remove(*name)));
    for (name, value) in named.collect::<Vec<_>>().into_iter().chain([("num_predict", limit)]) {
        let Some(value) = value.filter(|value| !value.is_null()) else { continue };
        let value = match value {
            Value::String(stop) if name == "stop" => json!([stop]),
            value => value,
        };
        options.entry(name).or_insert(value);
    }
    if !options.is_empty() {
        body.insert("options".into(), options.into());
    }
}

fn translate_messages(messages: &mut [Value]) {
    // Ollama's templates name the tool that a result is of, where OpenAI names the call.
    let mut tools: HashMap<String, String> = HashMap::new();
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        translate_content(message);
        translate_reasoning(message);
        if let Some(Value::Array(calls)) = message.get_mut("tool_calls") {
            for call in calls {
                if let (Some(id), Some(name)) = (call["id"].as_str(), call["function"]["name"].as_str()) {
                    tools.insert(id.into(), name.into());
                }
                if let Some(function) = call.get_mut("function").and_then(Value::as_object_mut) {
                    let arguments = arguments_object(function.get("arguments"));
                    function.insert("arguments".into(), arguments.into());
                }
            }
        }
        match message.get("role").and_then(Value::as_str) {
            Some("developer") => drop(message.insert("role".into(), "system".into())),
            Some("tool") if !message.contains_key("tool_name") => {
                let called = message.get("tool_call_id").and_then(Value::as_str).and_then(|id| tools.get(id));
                if let Some(name) = called.map(|name| json!(name)).or_else(|| message.get("name").cloned()) {
                    message.insert("tool_name".into(), name);
                }
            }
            _ => {}
        }
    }
}

fn translate_content(message: &mut Map<String, Value>) {
    match message.get("content") {
        None | Some(Value::Null) => drop(message.insert("content".into(), "".into())),
        Some(Value::Array(parts)) => {
            let found: Vec<Value> = parts.iter().filter_map(image).collect();
            let text = message.get("content").map(text_of).unwrap_or_default();
            message.insert("content".into(), text.into());
            if found.is_empty() {
                return;
            }
            match message.get_mut("images") {
                Some(Value::Array(images)) => images.extend(found),
                _ => drop(message.insert("images".into(), found.into())),
            }
        }
        Some(_) => {}
    }
}

/// The image of a content part, as Ollama wants it.
///
/// What is no base64 data URI stays as it is. Ollama fetches nothing and says so, which is better than
/// an answer about a picture the model never saw.
fn image(part: &Value) -> Option<Value> {
    if part["type"] != "image_url" {
        return None;
    }
    let url = part["image_url"]["url"].as_str().or_else(|| part["image_url"].as_str())?;
    let data = url.strip_prefix("data:").and_then(|uri| uri.split_once(";base64,"));
    Some(data.map_or(url, |(_, data)| data).into())
}

fn translate_reasoning(message: &mut Map<String, Value>) {
    let reasoning = ["reasoning_content", "reasoning"].map(|name| message.shift_remove(name));
    let [first, second] = reasoning;
    let said = json!({"reasoning_content": first, "reasoning": second});
    if let Some(text) = reasoning_of(&said)
        && !message.contains_key("thinking")
    {
        message.insert("thinking".into(), text.into());
    }
}

fn is_said(body: &Map<String, Value>, name: &str) -> bool {
    body.get(name).is_some_and(|value| !value.is_null())
}

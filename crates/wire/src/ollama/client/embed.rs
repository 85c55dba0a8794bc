//! Requests of `/api/embed` and `/api/embeddings` as embeddings requests, and the answers back.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::Unusable;

/// Put a request of `/api/embed`, or with `prompt` one of `/api/embeddings`, into OpenAI's dialect.
pub fn embed_request(request: Map<String, Value>) -> Result<Map<String, Value>, Unusable> {
    let mut body = request;
    for name in ["options", "keep_alive", "truncate"] {
        body.shift_remove(name);
    }
    let prompt = body.shift_remove("prompt");
    let input = body.shift_remove("input").filter(|input| !input.is_null()).or(prompt).unwrap_or_default();
    let is_text = match &input {
        Value::String(_) => true,
        Value::Array(items) => items.iter().all(Value::is_string),
        _ => false,
    };
    if !is_text {
        return Err(Unusable { field: "input", why: "must be a text or a list of texts" });
    }
    body.insert("input".into(), input);
    Ok(body)
}

/// Put an answer with embeddings into Ollama's dialect: those of `/api/embed`, or the one of
/// `/api/embeddings`. `None` if it is no such answer.
pub fn embed_answer(answer: Map<String, Value>, model: &str, single: bool) -> Option<Value> {
    let mut answer = answer;
    let Some(Value::Array(mut data)) = answer.remove("data") else { return None };
    // The order is promised, and not kept by all.
    data.sort_by_key(|entry| entry["index"].as_u64().unwrap_or(0));
    let vectors: Vec<Value> = data
        .into_iter()
        .map(|mut entry| vector(entry.get_mut("embedding")?.take()))
        .collect::<Option<_>>()?;
    if single {
        return Some(json!({"embedding": vectors.into_iter().next()?}));
    }
    let tokens = answer.get("usage").and_then(|usage| usage["prompt_tokens"].as_u64()).unwrap_or(0);
    Some(json!({
        "model": model,
        "embeddings": vectors,
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": tokens,
    }))
}

fn vector(written: Value) -> Option<Value> {
    match written {
        Value::Array(_) => Some(written),
        // Some answer so although nobody asked them to.
        Value::String(text) => {
            let bytes = STANDARD.decode(text).ok()?;
            let (numbers, rest) = bytes.as_chunks::<4>();
            rest.is_empty().then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
        }
        _ => None,
    }
}

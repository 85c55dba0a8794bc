//! Embeddings: an OpenAI request for `/api/embed`, and its answer back.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::Malformed;

/// How a client wants vectors written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As lists of numbers.
    #[default]
    Float,
    /// As base64 of little-endian 32-bit floats, which OpenAI's own clients ask for.
    Base64,
}

/// Put an embeddings request into Ollama's dialect, and read from it how the answer is to be written.
pub fn embed_request(request: Map<String, Value>) -> (Map<String, Value>, Encoding) {
    let mut body = request;
    let encoding = match body.shift_remove("encoding_format") {
        Some(Value::String(format)) if format == "base64" => Encoding::Base64,
        _ => Encoding::Float,
    };
    body.shift_remove("user");
    (body, encoding)
}

/// Put an answer of `/api/embed` into OpenAI's dialect.
pub fn embeddings(answer: Map<String, Value>, model: &str, encoding: Encoding) -> Result<Value, Malformed> {
    let mut answer = answer;
    let Some(Value::Array(vectors)) = answer.remove("embeddings") else {
        return Err(Malformed("embeddings"));
    };
    let mut data = Vec::with_capacity(vectors.len());
    for (index, vector) in vectors.into_iter().enumerate() {
        let vector = match encoding {
            Encoding::Float if vector.is_array() => vector,
            Encoding::Base64 => encode(&vector).ok_or(Malformed("embeddings"))?.into(),
            Encoding::Float => return Err(Malformed("embeddings")),
        };
        data.push(json!({"object": "embedding", "embedding": vector, "index": index}));
    }
    let tokens = answer.get("prompt_eval_count").and_then(Value::as_u64).unwrap_or(0);
    Ok(json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }))
}

fn encode(vector: &Value) -> Option<String> {
    let numbers = vector.as_array()?;
    let mut bytes = Vec::with_capacity(4 * numbers.len());
    for number in numbers {
        bytes.extend_from_slice(&(number.as_f64()? as f32).to_le_bytes());
    }
    Some(STANDARD.encode(bytes))
}

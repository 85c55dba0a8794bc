//! What a path answers when nothing is queued for it.

use serde_json::{Value, json};

use crate::Reply;

const DIMENSIONS: usize = 64;
const CREATED: i64 = 1_700_000_000;
const MADE: &str = "2025-01-01T00:00:00Z";

/// One server-sent event with this data.
pub fn sse_event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// A whole chat answer in OpenAI's dialect.
pub fn chat_completion(model: &str, text: &str) -> Value {
    json!({
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }],
        "usage": usage(),
    })
}

/// A piece of a streamed chat answer in OpenAI's dialect.
pub fn chat_chunk(model: &str, delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    })
}

/// The vector that the scripted upstream gives a text: its words hashed into buckets, unit length.
pub fn embedding_of(text: &str) -> Vec<f32> {
    let mut buckets = vec![0.0_f32; DIMENSIONS];
    for word in text.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty()) {
        // FNV-1a: any spread will do, as long as it is the same everywhere.
        let hash = word.to_lowercase().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        buckets[(hash % DIMENSIONS as u64) as usize] += 1.0;
    }
    let norm = buckets.iter().map(|bucket| bucket * bucket).sum::<f32>().sqrt();
    if norm == 0.0 {
        buckets[0] = 1.0;
        return buckets;
    }
    buckets.iter().map(|bucket| bucket / norm).collect()
}

pub(crate) fn unauthorized() -> Reply {
    let message = "Incorrect API key provided";
    let error = json!({"message": message, "type": "invalid_request_error", "code": "invalid_api_key"});
    Reply::json(401, &json!({ "error": error }))
}

pub(crate) fn reply(path: &str, body: &Value, models: &[String]) -> Reply {
    let model = body["model"].as_str().or(body["name"].as_str()).unwrap_or_default();
    match path {
        "/" => Reply::bytes(200, "text/plain", "Ollama is running"),
        "/v1/models" => Reply::json(200, &openai_models(models)),
        "/v1/chat/completions" => openai_chat(model, body),
        "/v1/embeddings" => Reply::json(200, &openai_embeddings(model, body)),
        "/v1/responses" => Reply::json(200, &response(model)),
        "/api/tags" => {
            let tags: Vec<Value> = models.iter().map(|name| tag(name)).collect();
            Reply::json(200, &json!({ "models": tags }))
        }
        "/api/ps" => Reply::json(200, &json!({ "models": loaded(models) })),
        "/api/version" => Reply::json(200, &json!({"version": "0.12.3"})),
        "/api/pull" | "/api/push" | "/api/create" => {
            Reply::ndjson([json!({"status": "pulling manifest"}), json!({"status": "success"})])
        }
        "/api/copy" | "/api/delete" => Reply::bytes(200, "application/json", ""),
        _ if path.starts_with("/api/blobs/") => Reply::bytes(201, "text/plain", ""),
        _ => ollama(path, model, body, models),
    }
}

fn ollama(path: &str, model: &str, body: &Value, models: &[String]) -> Reply {
    let known = models.iter().any(|known| known == model || known.split(':').next() == Some(model));
    if !known {
        return Reply::json(404, &json!({"error": format!("model '{model}' not found")}));
    }
    match path {
        "/api/show" => Reply::json(
            200,
            &json!({
                "modelfile": format!("FROM {model}\n"),
                "details": details(),
                "model_info": {"general.architecture": "llama"},
                "capabilities": ["completion", "embedding"],
            }),
        ),
        "/api/chat" => {
            let text = format!("echo: {}", last_user_text(body));
            ollama_words(
                model,
                body,
                &text,
                |word| json!({"message": {"role": "assistant", "content": word}}),
            )
        }
        "/api/generate" => {
            let text = format!("generated: {}", body["prompt"].as_str().unwrap_or_default());
            ollama_words(model, body, &text, |word| json!({ "response": word }))
        }
        "/api/embed" => {
            let vectors: Vec<Vec<f32>> = inputs(body).iter().map(|text| embedding_of(text)).collect();
            Reply::json(
                200,
                &json!({"model": model, "embeddings": vectors, "total_duration": 1, "prompt_eval_count": 2}),
            )
        }
        "/api/embeddings" => {
            let vector = embedding_of(body["prompt"].as_str().unwrap_or_default());
            Reply::json(200, &json!({ "embedding": vector }))
        }
        _ => Reply::json(404, &json!({"error": format!("no route {path}")})),
    }
}

fn openai_models(models: &[String]) -> Value {
    let entry =
        |id: &String| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "scripted"});
    json!({"object": "list", "data": models.iter().map(entry).collect::<Vec<_>>()})
}

fn openai_chat(model: &str, body: &Value) -> Reply {
    let text = format!("echo: {}", last_user_text(body));
    if body["stream"] != true {
        return Reply::json(200, &chat_completion(model, &text));
    }
    let mut events = vec![chat_chunk(model, &json!({"role": "assistant", "content": ""}), None)];
    events.extend(text.split_inclusive(' ').map(|word| chat_chunk(model, &json!({ "content": word }), None)));
    events.push(chat_chunk(model, &json!({}), Some("stop")));
    if body["stream_options"]["include_usage"] == true {
        let mut last = chat_chunk(model, &json!({}), None);
        last["choices"] = json!([]);
        last["usage"] = usage();
        events.push(last);
    }
    Reply::sse(events.iter().map(sse_event).chain(["data: [DONE]\n\n".to_owned()]))
}

fn openai_embeddings(model: &str, body: &Value) -> Value {
    let entry = |(index, text): (usize, &String)| json!({"object": "embedding", "index": index, "embedding": embedding_of(text)});
    let data: Vec<Value> = inputs(body).iter().enumerate().map(entry).collect();
    json!({"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": 1, "total_tokens": 1}})
}

fn response(model: &str) -> Value {
    json!({
        "id": "resp_scripted",
        "object": "response",
        "model": model,
        "status": "completed",
        "output": [{
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "scripted response", "annotations": []}],
        }],
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    })
}

fn ollama_words(model: &str, body: &Value, text: &str, wrap: impl Fn(&str) -> Value) -> Reply {
    let line = |word: &str, rest: Value| {
        let mut line = json!({"model": model, "created_at": MADE});
        for part in [wrap(word), rest] {
            let fields = part.as_object().cloned().unwrap_or_default();
            line.as_object_mut().expect("made as an object").extend(fields);
        }
        line
    };
    let stop = json!({
        "done": true,
        "done_reason": "stop",
        "total_duration": 5_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": 11,
        "prompt_eval_duration": 1_000_000,
        "eval_count": 5,
        "eval_duration": 2_000_000,
    });
    if body["stream"] == false {
        return Reply::json(200, &line(text, stop));
    }
    let words = text.split_inclusive(' ').map(|word| line(word, json!({"done": false})));
    Reply::ndjson(words.chain([line("", stop)]))
}

fn tag(name: &str) -> Value {
    json!({
        "name": name,
        "model": name,
        "modified_at": MADE,
        "size": 1024,
        "digest": "0f".repeat(32),
        "details": details(),
    })
}

fn loaded(models: &[String]) -> Vec<Value> {
    let loaded = |name: &String| {
        let mut entry = tag(name);
        entry["expires_at"] = "2099-01-01T00:00:00Z".into();
        entry
    };
    models.first().map(loaded).into_iter().collect()
}

fn details() -> Value {
    json!({"format": "gguf", "family": "llama", "parameter_size": "1B", "quantization_level": "Q4_0"})
}

fn usage() -> Value {
    json!({"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16})
}

fn inputs(body: &Value) -> Vec<String> {
    match &body["input"] {
        Value::Array(texts) => {
            texts.iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
        }
        text => vec![text.as_str().unwrap_or_default().to_owned()],
    }
}

fn last_user_text(body: &Value) -> String {
    let last = body["messages"].as_array().and_then(|all| all.iter().rev().find(|one| one["role"] == "user"));
    match last.map(|message| &message["content"]) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

//! Parameters: defaults that a custom model or a request's `params` give to request fields.

use breezeway_registry::ConnectionKind;
use breezeway_wire::ChatRequest;
use serde_json::{Map, Value};

use crate::own::OWN_FIELDS;

/// What parameters must not decide: where a request goes and what it says is settled by the router and
/// the caller.
const SETTLED: [&str; 4] = ["model", "messages", "stream", "stream_options"];

/// Options of Open WebUI itself, which no upstream knows.
const OPTIONS_OF_THE_PAGE: [&str; 7] = [
    "system",
    "custom_params",
    "function_calling",
    "reasoning_tags",
    "stream_response",
    "stream_delta_chunk_size",
    "compact_token_threshold",
];

/// Options only Ollama has. Custom models carry them along when their base changes, and OpenAI's own
/// API refuses a request for a single unknown field.
const ONLY_OLLAMA: [&str; 18] = [
    "format",
    "keep_alive",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_keep",
    "num_predict",
    "num_thread",
    "options",
    "repeat_last_n",
    "tfs_z",
    "think",
    "typical_p",
    "use_mlock",
    "use_mmap",
];

/// Fields that stand beside `options` in a request for Ollama's models; all others are options.
const BESIDE_OPTIONS: [&str; 14] = [
    "format",
    "keep_alive",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "parallel_tool_calls",
    "reasoning_effort",
    "response_format",
    "think",
    "tool_choice",
    "tools",
    "top_logprobs",
    "user",
];

/// Names for one thing. Two of them in a request are an error at best.
const LENGTH_LIMITS: [&str; 3] = ["max_tokens", "max_completion_tokens", "num_predict"];

/// Fill in what the request does not say. Sets given first win; in a set, `custom_params` win.
pub(crate) fn fill(request: &mut ChatRequest, kind: ConnectionKind, sets: &[&Map<String, Value>]) {
    for params in sets {
        let custom = params.get("custom_params").and_then(Value::as_object);
        for (name, value) in custom.into_iter().flatten() {
            fill_one(request, kind, name, unwritten(value));
        }
        for (name, value) in params.iter() {
            fill_one(request, kind, name, value.clone());
        }
    }
}

/// The system prompt of a set of parameters.
pub(crate) fn system_of(params: &Map<String, Value>) -> Option<&str> {
    params.get("system").and_then(Value::as_str).filter(|system| !system.trim().is_empty())
}

/// The page keeps custom parameters as people typed them: text that may be JSON.
fn unwritten(value: &Value) -> Value {
    let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    parsed.unwrap_or_else(|| value.clone())
}

fn fill_one(request: &mut ChatRequest, kind: ConnectionKind, name: &str, value: Value) {
    let is_ours = |names: &[&str]| names.contains(&name);
    if value.is_null() || is_ours(&SETTLED) || is_ours(&OPTIONS_OF_THE_PAGE) || is_ours(&OWN_FIELDS) {
        return;
    }
    match kind {
        ConnectionKind::OpenAi if ONLY_OLLAMA.contains(&name) => {}
        ConnectionKind::Ollama if name == "options" => {
            for (name, value) in value.as_object().into_iter().flatten() {
                // Not `fill_one`: what is nested must not nest further.
                fill_option(request, name, value.clone());
            }
        }
        ConnectionKind::Ollama if !BESIDE_OPTIONS.contains(&name) => fill_option(request, name, value),
        _ if is_said(request, name) => {}
        _ => {
            request.as_map_mut().insert(name.to_owned(), value);
        }
    }
}

fn fill_option(request: &mut ChatRequest, name: &str, value: Value) {
    if is_said(request, name) {
        return;
    }
    let options = request.as_map_mut().entry("options").or_insert_with(|| Map::new().into());
    if let Some(options) = options.as_object_mut() {
        options.insert(name.to_owned(), value);
    }
}

/// Whether the request has the field, or another for the same thing, at either place.
fn is_said(request: &ChatRequest, name: &str) -> bool {
    let fields = request.as_map();
    let options = fields.get("options").and_then(Value::as_object);
    let has =
        |name: &str| fields.contains_key(name) || options.is_some_and(|options| options.contains_key(name));
    if LENGTH_LIMITS.contains(&name) { LENGTH_LIMITS.into_iter().any(has) } else { has(name) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: ConnectionKind, request: Value, sets: &[Value], expected: Value) {
        let mut request = ChatRequest::try_from(request).unwrap();
        let sets: Vec<_> = sets.iter().map(|set| set.as_object().unwrap()).collect();

        fill(&mut request, kind, &sets);

        assert_eq!(Value::Object(request.into_map()), expected);
    }

    #[test]
    fn the_caller_wins_over_the_first_set_and_that_over_the_second() {
        check(
            ConnectionKind::OpenAi,
            json!({"model": "m", "temperature": 0.1}),
            &[json!({"temperature": 0.2, "top_p": 0.2}), json!({"top_p": 0.3, "seed": 3})],
            json!({"model": "m", "temperature": 0.1, "top_p": 0.2, "seed": 3}),
        );
    }

    #[test]
    fn where_a_request_goes_is_not_a_parameter() {
        check(
            ConnectionKind::OpenAi,
            json!({"model": "m"}),
            &[json!({"model": "x", "messages": [], "stream": true, "stream_options": {}, "files": [],
                "system": "s", "function_calling": "native", "seed": null,
                "custom_params": {"model": "\"x\"", "metadata": {}}})],
            json!({"model": "m"}),
        );
    }

    #[test]
    fn ollamas_options_reach_only_ollama() {
        let params = json!({"num_ctx": 99, "temperature": 0.4, "keep_alive": "5m", "my_option": 1});

        check(
            ConnectionKind::Ollama,
            json!({"model": "m", "options": {"my_option": 2}}),
            std::slice::from_ref(&params),
            json!({"model": "m", "options": {"my_option": 2, "num_ctx": 99, "temperature": 0.4},
                "keep_alive": "5m"}),
        );
        check(
            ConnectionKind::OpenAi,
            json!({"model": "m"}),
            &[params],
            json!({"model": "m", "temperature": 0.4, "my_option": 1}),
        );
    }

    #[test]
    fn a_callers_field_wins_over_the_option_of_the_same_meaning() {
        check(
            ConnectionKind::Ollama,
            json!({"max_tokens": 5, "temperature": 0.0}),
            &[json!({"num_predict": 9, "temperature": 0.9, "options": {"num_predict": 7, "top_k": 3}})],
            json!({"max_tokens": 5, "temperature": 0.0, "options": {"top_k": 3}}),
        );
        check(
            ConnectionKind::OpenAi,
            json!({"max_completion_tokens": 5}),
            &[json!({"max_tokens": 9})],
            json!({"max_completion_tokens": 5}),
        );
    }

    #[test]
    fn custom_parameters_are_read_as_typed() {
        check(
            ConnectionKind::OpenAi,
            json!({}),
            &[
                json!({"top_k": 1, "custom_params": {"top_k": "40", "word": "plain", "chat_template_kwargs": "{\"a\": true}"}}),
            ],
            json!({"top_k": 40, "word": "plain", "chat_template_kwargs": {"a": true}}),
        );
    }

    #[test]
    fn options_that_are_no_object_are_the_upstreams_to_judge() {
        check(
            ConnectionKind::Ollama,
            json!({"options": "fast"}),
            &[json!({"num_ctx": 1})],
            json!({"options": "fast"}),
        );
    }
}

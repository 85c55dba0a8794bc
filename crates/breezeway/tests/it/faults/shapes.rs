//! The dialects that clients speak, and what a failure looks like in each.

use serde_json::{Value, json};

use crate::harness::Answer;

/// A way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Open WebUI's own chat route.
    Api,
    OpenAi,
    Completions,
    Responses,
    Anthropic,
    OllamaChat,
    OllamaGenerate,
    /// The connection as it is.
    Relay,
}

impl Dialect {
    pub(super) const ALL: [Self; 8] = [
        Self::Api,
        Self::OpenAi,
        Self::Completions,
        Self::Responses,
        Self::Anthropic,
        Self::OllamaChat,
        Self::OllamaGenerate,
        Self::Relay,
    ];

    /// Those that are chats at the upstream: the others' bytes only pass.
    pub(super) const CONVERTED: [Self; 6] =
        [Self::Api, Self::OpenAi, Self::Anthropic, Self::OllamaChat, Self::OllamaGenerate, Self::Relay];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Api => "/api/chat/completions",
            Self::OpenAi => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::Anthropic => "/v1/messages",
            Self::OllamaChat => "/ollama/api/chat",
            Self::OllamaGenerate => "/ollama/api/generate",
            Self::Relay => "/openai/chat/completions",
        }
    }

    pub(super) fn question(self, model: &str, stream: bool) -> Value {
        let mut question = json!({"model": model, "stream": stream});
        match self {
            Self::Completions | Self::OllamaGenerate => question["prompt"] = "hi".into(),
            Self::Responses => question["input"] = "hi".into(),
            _ => question["messages"] = json!([{"role": "user", "content": "hi"}]),
        }
        if self == Self::Anthropic {
            question["max_tokens"] = 9.into();
        }
        question
    }

    /// Whether a refusal has the shape that this dialect's clients read.
    pub(super) fn is_refusal(self, answer: &Answer) -> bool {
        // On the older routes, what an upstream says in other words than JSON is told as text.
        if matches!(self, Self::Api | Self::Relay) && !answer.is_json() {
            return answer.header("content-type").starts_with("text/plain");
        }
        let said = answer.json();
        let error = &said["error"];
        match self {
            Self::Api | Self::Relay => said["detail"].is_string() || error["message"].is_string(),
            Self::OpenAi | Self::Completions | Self::Responses => {
                error["message"].is_string() && error["type"].is_string()
            }
            Self::Anthropic => {
                said["type"] == "error" && error["type"].is_string() && error["message"].is_string()
            }
            Self::OllamaChat | Self::OllamaGenerate => error.is_string(),
        }
    }
}

/// Whether a stream ends with what tells this dialect's clients that it failed.
pub(super) fn has_failed_inside(dialect: Dialect, text: &str) -> bool {
    let last = |text: &str| text.trim_end().lines().last().unwrap_or_default().to_owned();
    let data = |line: &str| line.strip_prefix("data: ").and_then(|data| serde_json::from_str(data).ok());
    match dialect {
        Dialect::Api | Dialect::OpenAi | Dialect::Completions | Dialect::Relay => {
            let Some(rest) = text.trim_end().strip_suffix("data: [DONE]") else { return false };
            data(&last(rest)).is_some_and(|said: Value| said["error"]["message"].is_string())
        }
        Dialect::Anthropic => data(&last(text))
            .is_some_and(|said: Value| said["type"] == "error" && said["error"]["message"].is_string()),
        Dialect::Responses => data(&last(text)).is_some_and(|said: Value| {
            (said["type"] == "error" && said["message"].is_string())
                || (said["type"] == "response.failed" && said["response"]["error"]["message"].is_string())
        }),
        Dialect::OllamaChat | Dialect::OllamaGenerate => {
            serde_json::from_str(&last(text)).is_ok_and(|said: Value| said["error"].is_string())
        }
    }
}

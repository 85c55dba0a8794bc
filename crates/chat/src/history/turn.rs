//! A question and its answer on their way into a saved chat.

use breezeway_core::{ChatId, UnixTime};
use breezeway_wire::{Frame, openai, text_of};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The longest answer that is kept, in bytes of its text. What is behind it still reaches the client.
const MOST_TEXT: usize = 4 << 20;

/// A question and what was answered.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The chat it belongs to.
    pub chat: ChatId,
    /// The user's message, if the request has one.
    pub question: Option<Map<String, Value>>,
    /// The id the question gets if it is not in the chat yet.
    pub question_id: String,
    /// Whether the client chose that id.
    pub is_named: bool,
    /// Which message the client says this goes on from.
    pub parent: Option<String>,
    /// The answer's id.
    pub answer_id: String,
    /// The model that was asked.
    pub model: String,
    /// When.
    pub at: UnixTime,
    /// What was answered.
    pub reply: Reply,
}

/// What was answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Nothing yet: the question is about to be asked. An answer that is there already stays.
    Begun,
    /// A whole answer in OpenAI's dialect, as it was sent.
    Whole(Bytes),
    /// What came of a stream.
    Said(Said),
}

/// What is kept of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Its text.
    pub content: String,
    /// What it took, as the upstream says.
    pub usage: Option<Value>,
    /// What it was given to answer from.
    pub sources: Option<Value>,
    /// What went wrong.
    pub error: Option<String>,
    /// Whether nothing more will come.
    pub done: bool,
}

impl Turn {
    /// What a request for a completion says about the turn it begins. Nothing is answered yet.
    pub(super) fn of(chat: ChatId, request: &Map<String, Value>, at: UnixTime) -> Self {
        let text = |name: &str| request.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let question = question_of(request);
        let answer_id = text("id").map_or_else(|| ChatId::mint().to_string(), str::to_owned);
        let named = question.as_ref().and_then(|message| message.get("id")?.as_str());
        let named = named.filter(|id| !id.is_empty() && *id != answer_id).map(str::to_owned);
        Self {
            chat,
            is_named: named.is_some(),
            question_id: named.unwrap_or_else(|| ChatId::mint().to_string()),
            question,
            parent: text("parent_id").map(str::to_owned),
            answer_id,
            model: text("model").unwrap_or_default().to_owned(),
            at,
            reply: Reply::Said(Said::default()),
        }
    }
}

/// The user's message: as the client keeps it (`user_message`), or the last one of the request.
fn question_of(request: &Map<String, Value>) -> Option<Map<String, Value>> {
    if let Some(Value::Object(message)) = request.get("user_message")
        && message.contains_key("content")
    {
        return Some(message.clone());
    }
    let messages = request.get("messages").and_then(Value::as_array)?;
    let last = messages.iter().rev().find(|message| message["role"] == "user")?;
    let mut question = Map::new();
    question.insert("content".into(), text_of(&last["content"]).into());
    let pictures: Vec<Value> = last["content"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|part| part["image_url"]["url"].as_str())
        .map(|url| json!({"type": "image", "url": url}))
        .collect();
    if !pictures.is_empty() {
        question.insert("files".into(), pictures.into());
    }
    Some(question)
}

impl Reply {
    /// What is kept of it.
    pub(super) fn said(&self) -> Said {
        match self {
            Self::Begun => Said::default(),
            Self::Said(said) => said.clone(),
            Self::Whole(body) => match serde_json::from_slice::<Map<String, Value>>(body) {
                Ok(answer) => Said::whole(answer),
                Err(_) => Said { error: Some("the answer is no JSON object".into()), ..Said::ended() },
            },
        }
    }
}

impl Said {
    /// An answer without a word that will get none.
    fn ended() -> Self {
        Self { done: true, ..Self::default() }
    }

    fn whole(mut answer: Map<String, Value>) -> Self {
        let mut said = Self { error: openai::error_message(&answer).map(str::to_owned), ..Self::ended() };
        let choices = answer.shift_remove("choices").unwrap_or_default();
        said.write(&text_of(&choices[0]["message"]["content"]));
        said.note(&mut answer);
        said
    }

    /// Take in a frame of a stream; `true` if it was the last.
    pub(super) fn hear(&mut self, frame: &Frame) -> bool {
        if frame.is_done() {
            self.done = true;
            return true;
        }
        let Some(mut chunk) = frame.chunk() else { return false };
        if let Some(message) = openai::error_message(&chunk) {
            self.error = Some(message.to_owned());
        }
        if let Some(text) =
            chunk.get("choices").and_then(|choices| choices.get(0)?.get("delta")?.get("content")?.as_str())
        {
            self.write(text);
        }
        self.note(&mut chunk);
        false
    }

    fn note(&mut self, fields: &mut Map<String, Value>) {
        let mut take = |name: &str| fields.shift_remove(name).filter(|value| !value.is_null());
        self.usage = take("usage").or(self.usage.take());
        self.sources = take("sources").or(self.sources.take());
    }

    fn write(&mut self, text: &str) {
        let room = MOST_TEXT.saturating_sub(self.content.len());
        self.content.push_str(&text[..text.floor_char_boundary(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_and_a_whole_answer_are_kept_alike() {
        let frames = [
            json!({"sources": [1], "choices": []}),
            json!({"choices": [{"delta": {"role": "assistant", "content": "Hel"}}]}),
            json!({"choices": [{"delta": {"content": "lo"}}]}),
            json!({"choices": [], "usage": {"total_tokens": 3}}),
        ];
        let whole = json!({
            "sources": [1],
            "choices": [{"message": {"content": "Hello"}}],
            "usage": {"total_tokens": 3},
        });
        let mut streamed = Said::default();

        assert!(frames.iter().all(|frame| !streamed.hear(&Frame::json(frame))));
        assert!(streamed.hear(&Frame::done()));

        assert_eq!(streamed.content, "Hello");
        assert_eq!(Reply::Whole(whole.to_string().into()).said(), streamed);
    }

    #[test]
    fn an_error_in_an_answer_is_kept_as_one() {
        let body = json!({"error": {"message": "too hot"}});
        let mut streamed = Said::default();
        streamed.hear(&Frame::json(&body));

        assert_eq!(streamed.error.as_deref(), Some("too hot"));
        assert_eq!(Reply::Whole(body.to_string().into()).said().error, streamed.error);
        assert!(Reply::Whole("<html>".into()).said().error.is_some());
    }

    #[test]
    fn more_text_than_is_kept_is_cut_between_two_signs() {
        let mut said = Said::default();
        said.write(&"€".repeat(MOST_TEXT / 3 + 7));

        assert_eq!(said.content.len(), MOST_TEXT / 3 * 3);
    }

    #[test]
    fn pictures_of_a_question_are_its_files() {
        let parts = json!([{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "data:x"}}]);
        let request = json!({"messages": [{"role": "user", "content": parts}]});

        let question = question_of(request.as_object().unwrap()).unwrap();

        let expected = json!({"content": "What is it?", "files": [{"type": "image", "url": "data:x"}]});
        assert_eq!(Value::Object(question), expected);
    }
}

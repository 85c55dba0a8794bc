//! Text completions, OpenAI's older API, over chats.
//!
//! The prompt becomes a message of the user's. Models that only chat have no better answer, and the
//! clients that still speak this API mean no more than that.

use breezeway_core::{Classify, ErrorKind};
use serde_json::{Map, Value, json};

use super::error_message;
use crate::{
    chat::{ChatRequest, text_of},
    frame::Frame,
    translate::Translate,
};

/// Fields that are dealt with here, or that chats have nothing for. All others mean the same.
const CONSUMED: [&str; 5] = ["prompt", "suffix", "echo", "best_of", "logprobs"];

/// Why a completion cannot be asked for as a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCompletion {
    /// The prompt is no text.
    #[error("field `prompt` must be a text for this model")]
    NotText,
    /// There are several prompts.
    #[error("field `prompt` must be one text for this model, not several")]
    Several,
    /// Text is to be put in.
    #[error("field `suffix` is not supported by this model")]
    Suffix,
}

impl InvalidCompletion {
    /// The field it is about.
    pub fn field(self) -> &'static str {
        match self {
            Self::NotText | Self::Several => "prompt",
            Self::Suffix => "suffix",
        }
    }
}

impl Classify for InvalidCompletion {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Put a completion request into the dialect of chats; beside it the text to repeat in front of the
/// answer, if the client wants that.
pub fn chat_of_completion(
    request: Map<String, Value>,
) -> Result<(ChatRequest, Option<String>), InvalidCompletion> {
    let mut body = request;
    let [prompt, suffix, echo, _, logprobs] =
        CONSUMED.map(|name| body.shift_remove(name).unwrap_or_default());
    if suffix.as_str().is_some_and(|suffix| !suffix.is_empty()) {
        return Err(InvalidCompletion::Suffix);
    }
    let prompt = match prompt {
        Value::String(text) => text,
        Value::Array(prompts) => match <[Value; 1]>::try_from(prompts) {
            Ok([Value::String(text)]) => text,
            Ok(_) => return Err(InvalidCompletion::NotText),
            Err(several) if several.iter().all(Value::is_string) => return Err(InvalidCompletion::Several),
            Err(_) => return Err(InvalidCompletion::NotText),
        },
        _ => return Err(InvalidCompletion::NotText),
    };
    let echo = (echo == true).then(|| prompt.clone());
    body.insert("messages".into(), json!([{"role": "user", "content": prompt}]));
    if let Some(count) = logprobs.as_u64() {
        body.insert("logprobs".into(), true.into());
        body.insert("top_logprobs".into(), count.into());
    }
    Ok((ChatRequest::new(body), echo))
}

/// Put a whole chat completion into the shape of a text completion. What is no completion is left
/// as it is.
pub fn text_completion(completion: Map<String, Value>, echo: Option<&str>) -> Map<String, Value> {
    translated(completion, "message", echo, &mut Vec::new())
}

/// Turns the frames of a streamed chat into those of a text completion.
#[derive(Debug, Default)]
pub struct CompletionTranslator {
    echo: Option<String>,
    /// How much each choice has written, in characters.
    offsets: Vec<usize>,
    ended: bool,
}

impl CompletionTranslator {
    /// A translator for one answer; `echo` is repeated in front of it.
    pub fn new(echo: Option<String>) -> Self {
        Self { echo, ..Self::default() }
    }
}

impl Translate for CompletionTranslator {
    fn push(&mut self, frame: &Frame) -> Vec<Frame> {
        if self.ended {
            return Vec::new();
        }
        let Some(chunk) = frame.chunk() else {
            self.ended = frame.is_done();
            return vec![frame.clone()];
        };
        if error_message(&chunk).is_some() {
            return vec![frame.clone()];
        }
        let begins = chunk.get("choices").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
        let echo = if begins { self.echo.take() } else { None };
        vec![Frame::json(&translated(chunk, "delta", echo.as_deref(), &mut self.offsets).into())]
    }

    fn finish(&mut self) -> Vec<Frame> {
        self.ended = true;
        Vec::new()
    }

    fn fail(&mut self, message: &str) -> Vec<Frame> {
        if std::mem::replace(&mut self.ended, true) {
            return Vec::new();
        }
        vec![super::broken_frame(message)]
    }
}

/// A completion or a chunk of one, whose choices say what they say in `field`.
fn translated(
    answer: Map<String, Value>,
    field: &str,
    echo: Option<&str>,
    offsets: &mut Vec<usize>,
) -> Map<String, Value> {
    let mut answer = answer;
    let Some(Value::Array(choices)) = answer.get_mut("choices") else { return answer };
    for (place, choice) in choices.iter_mut().enumerate() {
        let Value::Object(fields) = choice else { continue };
        let said = fields.shift_remove(field).unwrap_or_default();
        let mut text = echo.unwrap_or_default().to_owned();
        text.push_str(&text_of(&said["content"]));
        // Clients choose how many answers there are, and upstreams number them.
        let index = fields.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        let place = index.unwrap_or(place).min(MOST_CHOICES - 1);
        if offsets.len() <= place {
            offsets.resize(place + 1, 0);
        }
        let logprobs = fields.shift_remove("logprobs").unwrap_or_default();
        let logprobs = flat_logprobs(&logprobs, offsets[place]);
        offsets[place] += text.chars().count();
        fields.shift_insert(0, "text".into(), text.into());
        fields.insert("logprobs".into(), logprobs);
        match fields.get("finish_reason").and_then(Value::as_str) {
            Some("length" | "content_filter" | "stop") | None => {}
            Some(_) => drop(fields.insert("finish_reason".into(), "stop".into())),
        }
    }
    answer.insert("object".into(), "text_completion".into());
    answer
}

/// Most choices whose lengths are kept apart.
const MOST_CHOICES: usize = 128;

/// Log probabilities in the older shape: lists beside each other.
fn flat_logprobs(logprobs: &Value, offset: usize) -> Value {
    let Some(entries) = logprobs["content"].as_array() else { return Value::Null };
    let mut at = offset;
    let (mut tokens, mut values, mut tops, mut offsets) = (vec![], vec![], vec![], vec![]);
    for entry in entries {
        let token = entry["token"].as_str().unwrap_or_default();
        let alternatives = entry["top_logprobs"].as_array().into_iter().flatten();
        let alternatives: Map<String, Value> = alternatives
            .filter_map(|one| Some((one["token"].as_str()?.to_owned(), one["logprob"].clone())))
            .collect();
        tokens.push(token);
        values.push(entry["logprob"].clone());
        tops.push(Value::Object(alternatives));
        offsets.push(at);
        at += token.chars().count();
    }
    json!({"tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets})
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn refused(request: Value, expected: InvalidCompletion) {
        assert_eq!(chat_of_completion(object(request.clone())).unwrap_err(), expected, "{request}");
    }

    #[test]
    fn a_prompt_becomes_a_message_and_the_rest_stays() {
        let request = json!({"model": "m", "prompt": ["Once"], "max_tokens": 3, "best_of": 2, "x": [1.50]});

        let (chat, echo) = chat_of_completion(object(request)).unwrap();

        assert_eq!(
            Value::from(chat.into_map()),
            json!({"model": "m", "max_tokens": 3, "x": [1.50],
                "messages": [{"role": "user", "content": "Once"}]})
        );
        assert_eq!(echo, None);
    }

    #[test]
    fn what_a_chat_cannot_do_is_refused() {
        refused(json!({"prompt": [1, 2]}), InvalidCompletion::NotText);
        refused(json!({"prompt": [[1]]}), InvalidCompletion::NotText);
        refused(json!({}), InvalidCompletion::NotText);
        refused(json!({"prompt": ["a", "b"]}), InvalidCompletion::Several);
        refused(json!({"prompt": "a", "suffix": "b"}), InvalidCompletion::Suffix);
    }

    #[test]
    fn log_probabilities_are_told_as_lists() {
        let entry = |token: &str| json!({"token": token, "logprob": -0.5, "bytes": [1], "top_logprobs": [{"token": "x", "logprob": -1}]});
        let choice = json!({"index": 0, "message": {"content": "Hé!"}, "finish_reason": "tool_calls",
            "logprobs": {"content": [entry("Hé"), entry("!")]}});

        let answer = text_completion(object(json!({"choices": [choice]})), Some("Say: "));

        let choice = &answer["choices"][0];
        assert_eq!(choice["text"], "Say: Hé!");
        assert_eq!(choice["finish_reason"], "stop");
        assert_eq!(choice["logprobs"]["tokens"], json!(["Hé", "!"]));
        assert_eq!(choice["logprobs"]["text_offset"], json!([0, 2]));
        assert_eq!(choice["logprobs"]["top_logprobs"][0], json!({"x": -1}));
    }

    #[test]
    fn the_prompt_is_repeated_once_in_a_stream() {
        let mut translator = CompletionTranslator::new(Some("Once".into()));
        let chunk = |text: &str| {
            Frame::json(
                &json!({"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}),
            )
        };

        let frames: Vec<Frame> = [chunk(" upon"), chunk(" a"), Frame::done(), chunk("late")]
            .iter()
            .flat_map(|frame| translator.push(frame))
            .collect();

        let texts: Vec<Value> =
            frames.iter().filter_map(Frame::chunk).map(|chunk| chunk["choices"][0]["text"].clone()).collect();
        assert_eq!(texts, ["Once upon", " a"]);
        assert!(frames.last().unwrap().is_done());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_request_is_put_into_the_dialect_or_refused(request in testing::objects()) {
            if let Ok((chat, _)) = chat_of_completion(request) {
                prop_assert_eq!(chat.messages().len(), 1);
            }
        }

        #[test]
        fn any_answer_keeps_the_number_of_its_choices(answer in testing::objects_with_list("choices")) {
            let count = answer["choices"].as_array().map(Vec::len);

            let answer = text_completion(answer, None);

            prop_assert_eq!(answer["choices"].as_array().map(Vec::len), count);
        }
    }
}

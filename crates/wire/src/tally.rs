//! What an answer took, read off its bytes as they pass.
//!
//! Answers are handed on as they come, so this looks at them from the side: it searches the bytes for
//! the few keys that say something instead of reading every frame as JSON. A quote inside of a JSON
//! string is always written `\"`, which is why `"usage":` can only be a key.

use memchr::{memchr, memmem};
use serde_json::Value;

use crate::openai::Usage;

/// Most bytes of a line or body that are kept to be looked at. Usage comes last, so the end is kept.
const WINDOW: usize = 64 * 1024;

/// Keys whose strings are what a model wrote, in all dialects.
const WRITTEN: [&[u8]; 9] = [
    b"arguments",
    b"content",
    b"delta",
    b"partial_json",
    b"reasoning",
    b"reasoning_content",
    b"response",
    b"text",
    b"thinking",
];

/// Reads the usage of an answer, and how much text there was for the case that nobody says.
///
/// It understands the answers of OpenAI's, Anthropic's and Ollama's dialects, whole and streamed,
/// without being told which it is.
#[derive(Debug, Default)]
pub struct Tally {
    usage: Option<Usage>,
    written: u64,
    unseen: Vec<u8>,
    by_lines: bool,
}

impl Tally {
    /// For a body that is one JSON value, or that is handed over piece by piece with [`see`](Self::see).
    pub fn new() -> Self {
        Self::default()
    }

    /// For a body of lines, such as server-sent events and NDJSON.
    pub fn by_lines() -> Self {
        Self { by_lines: true, ..Self::default() }
    }

    /// For a body of this content type: by lines where it streams.
    pub fn of(content_type: &str) -> Self {
        match content_type.contains("ndjson") || content_type.contains("event-stream") {
            true => Self::by_lines(),
            false => Self::new(),
        }
    }

    /// The next bytes of the body, split anywhere.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while self.by_lines {
            let Some(end) = memchr(b'\n', bytes) else { break };
            match self.unseen.is_empty() {
                true => self.see(&bytes[..end]),
                false => {
                    self.keep(&bytes[..end]);
                    self.end();
                }
            }
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// The body is over, or will not go on.
    pub fn end(&mut self) {
        let unseen = std::mem::take(&mut self.unseen);
        if !unseen.is_empty() {
            self.see(&unseen);
        }
    }

    /// A complete piece: the data of an event, a line, a body.
    pub fn see(&mut self, piece: &[u8]) {
        self.written = self.written.saturating_add(written(piece));
        self.see_usage(piece);
    }

    /// A body that is all there is of an answer: its text is counted only if it does not say what it
    /// took.
    pub fn see_whole(&mut self, body: &[u8]) {
        self.see_usage(body);
        if self.usage.is_none() {
            self.written = self.written.saturating_add(written(body));
        }
    }

    fn see_usage(&mut self, piece: &[u8]) {
        if let Some(seen) = usage(piece) {
            // Anthropic's dialect says the prompt first and the answer last.
            let known = self.usage.unwrap_or_default();
            self.usage = Some(Usage {
                prompt_tokens: known.prompt_tokens.max(seen.prompt_tokens),
                completion_tokens: known.completion_tokens.max(seen.completion_tokens),
                cached_tokens: known.cached_tokens.max(seen.cached_tokens),
            });
        }
    }

    /// What the upstream said it took, if it did.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Bytes of text the model wrote so far, as JSON writes them.
    pub fn written_bytes(&self) -> u64 {
        self.written
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.unseen.extend_from_slice(bytes);
        if self.unseen.len() > 2 * WINDOW {
            let passed = self.unseen.len() - WINDOW;
            self.written = self.written.saturating_add(written(&self.unseen[..passed]));
            self.unseen.drain(..passed);
        }
    }
}

/// What a request asks for, read off its bytes without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Bytes of text that the model is to read, as JSON writes them. Pictures are not among them.
    pub text_bytes: u64,
    /// The most tokens it may write, if the request says so.
    pub max_tokens: Option<u64>,
}

impl Asked {
    /// Look at the body of a request, in any dialect.
    pub fn of(body: &[u8]) -> Self {
        let max_tokens = BOUNDS.iter().find_map(|key| {
            let at = memmem::find(body, key.as_bytes())?;
            value_at(body, at + key.len())?.as_u64()
        });
        Self { text_bytes: strings_of(&READ, body), max_tokens }
    }
}

/// Keys whose strings are what a model reads, in all dialects.
const READ: [&[u8]; 7] = [b"content", b"input", b"instructions", b"prompt", b"suffix", b"system", b"text"];

/// Keys that bound what a model writes.
const BOUNDS: [&str; 4] =
    ["\"num_predict\"", "\"max_completion_tokens\"", "\"max_tokens\"", "\"max_output_tokens\""];

/// The last usage in a piece.
fn usage(piece: &[u8]) -> Option<Usage> {
    let usage = memmem::rfind_iter(piece, b"\"usage\"").find_map(|at| {
        let json = behind_key(piece, at + 7)?;
        Usage::at_the_start_of(json)
    });
    if usage.is_some() {
        return usage;
    }
    let count = |key: &str| {
        let at = memmem::rfind(piece, key.as_bytes())?;
        value_at(piece, at + key.len())?.as_u64()
    };
    let (prompt, answer) = (count("\"prompt_eval_count\""), count("\"eval_count\""));
    (prompt.is_some() || answer.is_some()).then(|| Usage {
        prompt_tokens: prompt.unwrap_or(0),
        completion_tokens: answer.unwrap_or(0),
        cached_tokens: None,
    })
}

/// The value behind a key that ends at `at`; `None` if it is no key or holds nothing.
fn value_at(piece: &[u8], at: usize) -> Option<Value> {
    let value = serde_json::Deserializer::from_slice(behind_key(piece, at)?).into_iter().next()?.ok()?;
    (!matches!(value, Value::Null)).then_some(value)
}

/// What stands behind the colon of a key that ends at `at`; `None` if it is no key.
fn behind_key(piece: &[u8], at: usize) -> Option<&[u8]> {
    piece.get(at..)?.trim_ascii_start().strip_prefix(b":")
}

/// How many bytes of the model's own text a piece has.
fn written(piece: &[u8]) -> u64 {
    strings_of(&WRITTEN, piece)
}

/// The bytes of all strings, and lists of strings, behind these keys.
fn strings_of(keys: &[&[u8]], piece: &[u8]) -> u64 {
    let (mut total, mut rest) = (0, piece);
    while let Some(colon) = memchr(b':', rest) {
        let (before, behind) = (&rest[..colon], &rest[colon + 1..]);
        rest = behind;
        let value = behind.trim_ascii_start();
        let (value, is_list) = match value.strip_prefix(b"[") {
            Some(list) => (list.trim_ascii_start(), true),
            None => (value, false),
        };
        if value.starts_with(b"\"") && ends_with_key(before, keys) {
            let (length, behind) = strings(value, is_list);
            total += length;
            rest = behind;
        }
    }
    total
}

/// The bytes of the string that begins here, or of all strings up to something else; and what is
/// behind them.
fn strings(mut rest: &[u8], is_list: bool) -> (u64, &[u8]) {
    let mut total = 0;
    while let Some(text) = rest.strip_prefix(b"\"") {
        let length = string_length(text);
        total += length as u64;
        rest = text.get(length + 1..).unwrap_or_default();
        let Some(next) = rest.trim_ascii_start().strip_prefix(b",").filter(|_| is_list) else { break };
        rest = next.trim_ascii_start();
    }
    (total, rest)
}

/// Whether what stands before a colon is one of the keys.
fn ends_with_key(before: &[u8], keys: &[&[u8]]) -> bool {
    let Some(key) = before.trim_ascii_end().strip_suffix(b"\"") else { return false };
    keys.iter().any(|name| key.strip_suffix(*name).is_some_and(|rest| rest.ends_with(b"\"")))
}

/// The length of a JSON string up to its closing quote, or of what there is of it.
fn string_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(next) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        if text[at + next] == b'"' {
            return at + next;
        }
        at = (at + next + 2).min(text.len());
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage_of(prompt_tokens: u64, completion_tokens: u64, cached_tokens: Option<u64>) -> Option<Usage> {
        Some(Usage { prompt_tokens, completion_tokens, cached_tokens })
    }

    #[test]
    fn every_dialect_says_what_it_took() {
        let cases: [(&[u8], Option<Usage>); 7] = [
            (
                br#"{"choices":[{"message":{"content":"the \"usage\": {}"}}],"usage" : {"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}"#,
                usage_of(9, 2, Some(4)),
            ),
            (br#"{"model":"m","done":true,"prompt_eval_count":5,"eval_count":7}"#, usage_of(5, 7, None)),
            (
                br#"{"type":"message","usage":{"input_tokens":3,"cache_read_input_tokens":6,"output_tokens":1}}"#,
                usage_of(9, 1, Some(6)),
            ),
            (br#"{"response":{"usage":{"input_tokens":3,"output_tokens":8}}}"#, usage_of(3, 8, None)),
            (br#"{"usage":null,"choices":[]}"#, None),
            (br#"{"usage"#, None),
            (b"[DONE]", None),
        ];

        for (body, expected) in cases {
            let mut tally = Tally::new();
            tally.push(body);
            tally.end();
            assert_eq!(tally.usage(), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn the_text_of_a_whole_answer_counts_where_nothing_else_does() {
        let mut told = Tally::new();
        told.see_whole(br#"{"content":"four","usage":{"completion_tokens":2}}"#);
        let mut untold = Tally::new();
        untold.see_whole(br#"{"content":"four"}"#);

        assert_eq!((told.usage(), told.written_bytes()), (usage_of(0, 2, None), 0));
        assert_eq!((untold.usage(), untold.written_bytes()), (None, 4));
    }

    #[test]
    fn what_comes_in_two_events_is_put_together() {
        let mut tally = Tally::by_lines();
        tally.push(b"data: {\"message\":{\"usage\":{\"input_tokens\":11,\"output_tokens\":1}}}\n\n");
        tally.push(b"data: {\"delta\":{},\"usage\":{\"output_tokens\":5}}\n\n");

        assert_eq!(tally.usage(), usage_of(11, 5, None));
    }

    #[test]
    fn only_what_the_model_wrote_is_text() {
        let written = |piece: &str| written(piece.as_bytes());

        assert_eq!(written(r#"{"id":"chatcmpl-1","choices":[{"delta":{"content":"Hi \"you\""}}]}"#), 10);
        assert_eq!(written(r#"{"message": {"thinking": "hm", "content" : "ok"}}"#), 4);
        assert_eq!(written(r#"{"delta":{"content":null}}"#), 0);
        assert_eq!(written(r#"{"content":"cut o"#), 5);
        assert_eq!(written(r#"{"content":"cut \"#), 5);
        assert_eq!(written(r#"{"discontent":"no"}"#), 0);
    }

    #[test]
    fn what_a_request_asks_for_is_seen_in_every_dialect() {
        let cases: [(&[u8], u64, Option<u64>); 5] = [
            (br#"{"messages":[{"role":"user","content":"Hello"}],"max_tokens": 9}"#, 5, Some(9)),
            (br#"{"model":"m","prompt":"Hi","images":["AAAA"],"options":{"num_predict":3}}"#, 2, Some(3)),
            (br#"{"input": ["one", "t\"o"], "user": "x"}"#, 7, None),
            (br#"{"messages":[{"content":[{"type":"text","text":"abc"}]}],"max_tokens":-1}"#, 3, None),
            (br#"{"input":"#, 0, None),
        ];

        for (body, text_bytes, max_tokens) in cases {
            assert_eq!(
                Asked::of(body),
                Asked { text_bytes, max_tokens },
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn the_end_of_a_long_body_is_enough() {
        let mut tally = Tally::new();
        let numbers = "0.25,".repeat(100_000);
        tally.push(format!("{{\"data\":[{numbers}0],\n").as_bytes());
        tally.push(b"\"usage\":{\"prompt_tokens\":4,\n\"total_tokens\":4}}");
        tally.end();

        assert_eq!(tally.usage(), usage_of(4, 0, None));
        assert!(tally.unseen.capacity() == 0, "nothing is held longer than needed");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn where_the_bytes_are_split_makes_no_difference(cuts in proptest::collection::vec(0usize..200, 0..6)) {
            let body: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n\
                data: {\"choices\":[{\"delta\":{\"content\":\"two \\\" \"}}]}\n\n\
                data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.push(body.len());
            cuts.sort_unstable();
            let (mut tally, mut from) = (Tally::by_lines(), 0);
            for cut in cuts {
                tally.push(&body[from..cut]);
                from = cut;
            }
            tally.end();

            prop_assert_eq!(tally.usage(), usage_of(4, 2, None));
            prop_assert_eq!(tally.written_bytes(), 10);
        }

        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..300), lines: bool) {
            let mut tally = if lines { Tally::by_lines() } else { Tally::new() };
            tally.push(&body);
            tally.end();
            Asked::of(&body);
        }
    }
}

//! The tokens an answer says it took.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// Token counts out of a `usage` object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, those from a cache included.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Tokens of the prompt that came from a cache, if the upstream says.
    pub cached_tokens: Option<u64>,
}

impl Usage {
    /// Read a `usage` object; `None` for anything else, `null` included.
    ///
    /// Counts that are missing or make no sense are zero.
    pub fn read(usage: &Value) -> Option<Self> {
        // A list would be taken for the fields in their order.
        usage.is_object().then(|| Counts::deserialize(usage).ok())?.map(Self::of)
    }

    /// Read the `usage` object that `json` begins with, as [`read`](Self::read) does. What follows it is
    /// not looked at.
    pub fn at_the_start_of(json: &[u8]) -> Option<Self> {
        if !json.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let mut counts = serde_json::Deserializer::from_slice(json);
        Counts::deserialize(&mut counts).ok().map(Self::of)
    }

    fn of(counts: Counts) -> Self {
        let cached = counts.prompt_tokens_details.0.or(counts.input_tokens_details.0);
        let read = counts.cache_read_input_tokens.0;
        // Anthropic's dialect leaves what a cache read or kept out of `input_tokens`; some who speak
        // OpenAI's say it too, and there it is in `prompt_tokens` already.
        let (prompt, left_out) = match counts.prompt_tokens {
            Some(prompt) => (prompt.0, 0),
            None => {
                let kept = counts.cache_creation_input_tokens.0.unwrap_or(0);
                (None, read.unwrap_or(0).saturating_add(kept))
            }
        };
        Self {
            prompt_tokens: prompt.or(counts.input_tokens.0).unwrap_or(0).saturating_add(left_out),
            completion_tokens: counts.completion_tokens.0.or(counts.output_tokens.0).unwrap_or(0),
            cached_tokens: cached.or(read),
        }
    }

    /// Tokens of the prompt that did not come from a cache.
    pub fn uncached_tokens(self) -> u64 {
        self.prompt_tokens.saturating_sub(self.cached_tokens.unwrap_or(0))
    }
}

/// The fields of a `usage` object that count something.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    prompt_tokens: Option<Count>,
    input_tokens: Count,
    completion_tokens: Count,
    output_tokens: Count,
    prompt_tokens_details: Count,
    input_tokens_details: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
}

/// A count, which some upstreams write as `5.0`; or that of the cached tokens in an object of details.
/// Anything else is none, and no reason not to read the others.
#[derive(Clone, Copy, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Counting)
    }
}

struct Counting;

impl<'de> Visitor<'de> for Counting {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
        Ok(Count(Some(count)))
    }

    fn visit_i64<E>(self, count: i64) -> Result<Count, E> {
        Ok(Count(count.try_into().ok()))
    }

    fn visit_f64<E>(self, count: f64) -> Result<Count, E> {
        Ok(Count((count >= 0.0).then_some(count as u64)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Count, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Count, A::Error> {
        let mut cached = Count(None);
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "cached_tokens" => cached = fields.next_value()?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(cached)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_read_under_either_name() {
        let chat = json!({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}});
        let responses =
            json!({"input_tokens": 9, "output_tokens": 2.0, "input_tokens_details": {"cached_tokens": 4}});
        let expected = Usage { prompt_tokens: 9, completion_tokens: 2, cached_tokens: Some(4) };

        assert_eq!(Usage::read(&chat), Some(expected));
        assert_eq!(Usage::read(&responses), Some(expected));
        assert_eq!(expected.uncached_tokens(), 5);
    }

    #[test]
    fn what_makes_no_sense_is_no_count_and_hides_no_other() {
        let odd = br#"{"prompt_tokens": "nine", "total": [1, {"a": 2}], "completion_tokens": 2,
            "input_tokens_details": null, "prompt_tokens_details": {"audio": {}, "cached_tokens": 1}}, "next": 1"#;
        let expected = Usage { prompt_tokens: 0, completion_tokens: 2, cached_tokens: Some(1) };

        assert_eq!(Usage::at_the_start_of(odd), Some(expected));
        for other in [&b"null"[..], b"[1]", b"5", b"", b"{\"completion_tokens\": 2"] {
            assert_eq!(Usage::at_the_start_of(other), None);
        }
        assert_eq!(Usage::read(&json!(null)), None);
    }

    #[test]
    fn tokens_from_a_cache_are_part_of_the_prompt_once() {
        let anthropic =
            json!({"input_tokens": 3, "cache_read_input_tokens": 6, "cache_creation_input_tokens": 1});
        let both = json!({"prompt_tokens": 10, "cache_read_input_tokens": 6});

        for usage in [anthropic, both] {
            let read = Usage::read(&usage).unwrap();
            assert_eq!((read.prompt_tokens, read.cached_tokens), (10, Some(6)), "{usage}");
        }
    }

    #[test]
    fn nonsense_counts_as_nothing() {
        assert_eq!(Usage::read(&json!(null)), None);
        assert_eq!(
            Usage::read(&json!({"prompt_tokens": -3, "completion_tokens": "7"})),
            Some(Usage::default())
        );
        let more_cached_than_sent =
            json!({"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}});
        assert_eq!(Usage::read(&more_cached_than_sent).unwrap().uncached_tokens(), 0);
    }
}

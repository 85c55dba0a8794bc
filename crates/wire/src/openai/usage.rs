//! The tokens an answer says it took.

use serde_json::Value;

use crate::field;

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
        let usage = usage.as_object()?;
        let count = |names: [&str; 2]| names.into_iter().find_map(|name| whole(field(usage, name)?));
        let cached = ["prompt_tokens_details", "input_tokens_details"]
            .into_iter()
            .find_map(|name| whole(field(usage, name)?.get("cached_tokens")?));
        // Anthropic's dialect leaves what a cache read or kept out of `input_tokens`; some who speak
        // OpenAI's say it too, and there it is in `prompt_tokens` already.
        let beside = ["cache_read_input_tokens", "cache_creation_input_tokens"];
        let [read, kept] = beside.map(|name| whole(field(usage, name)?));
        let left_out = match field(usage, "prompt_tokens").is_some() {
            true => 0,
            false => read.unwrap_or(0).saturating_add(kept.unwrap_or(0)),
        };
        let prompt = count(["prompt_tokens", "input_tokens"]).unwrap_or(0);
        Some(Self {
            prompt_tokens: prompt.saturating_add(left_out),
            completion_tokens: count(["completion_tokens", "output_tokens"]).unwrap_or(0),
            cached_tokens: cached.or(read),
        })
    }

    /// Tokens of the prompt that did not come from a cache.
    pub fn uncached_tokens(self) -> u64 {
        self.prompt_tokens.saturating_sub(self.cached_tokens.unwrap_or(0))
    }
}

/// A count, which some upstreams write as `5.0`.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64))
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

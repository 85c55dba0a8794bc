//! The tokens an answer says it took.

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
        let usage = usage.as_object()?;
        let count = |names: [&str; 2]| names.into_iter().find_map(|name| whole(usage.get(name)?));
        Some(Self {
            prompt_tokens: count(["prompt_tokens", "input_tokens"]).unwrap_or(0),
            completion_tokens: count(["completion_tokens", "output_tokens"]).unwrap_or(0),
            cached_tokens: ["prompt_tokens_details", "input_tokens_details"]
                .into_iter()
                .find_map(|name| whole(usage.get(name)?.get("cached_tokens")?)),
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

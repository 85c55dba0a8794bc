//! How much a model is to think, which Anthropic's models are told in one of three ways.

use serde_json::{Map, Value, json};

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It decides by itself, and is told how much effort to make.
    Effort,
    /// It may use so many tokens for it.
    Budget,
    /// It does not think.
    Never,
}

/// The least that Anthropic takes for a budget.
const LEAST: u64 = 1024;

/// What a thinking model needs at the end of its thoughts to say something.
const LEFT_TO_SAY: u64 = 1024;

/// Have the model think as `effort` says. `said` is the bound of the whole answer if the request has one;
/// otherwise thinking comes on top of the usual bound.
pub(super) fn think(body: &mut Map<String, Value>, model: &str, effort: &str, said: bool) {
    let max_tokens = body.get("max_tokens").and_then(Value::as_u64).unwrap_or_default();
    match Way::of(model) {
        _ if effort == "none" => {}
        Way::Never => {}
        Way::Effort => {
            body.insert("thinking".into(), json!({"type": "adaptive"}));
            // OpenAI's `minimal` has no counterpart.
            let effort = if effort == "minimal" { "low" } else { effort };
            let config = body.entry("output_config").or_insert_with(|| json!({}));
            config["effort"] = effort.into();
        }
        Way::Budget => {
            let wanted = match effort {
                "minimal" => LEAST,
                "low" => 2048,
                "high" => 16_384,
                "xhigh" | "max" => 30_000,
                _ => 8192,
            };
            let budget = match said {
                true => wanted.min(max_tokens.saturating_sub(LEFT_TO_SAY)),
                false => {
                    body.insert("max_tokens".into(), max_tokens.saturating_add(wanted).into());
                    wanted
                }
            };
            // A bound that leaves no room to think asks for an answer without.
            if budget >= LEAST {
                body.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": budget}));
            }
        }
    }
}

impl Way {
    /// By its name: models before 3.7 do not think, those before 4.6 have budgets, and later ones refuse
    /// them (Anthropic's page "Adaptive thinking", read in 2026). A name that says no version is that of
    /// a later model, or of somebody else's who takes what they know.
    fn of(model: &str) -> Self {
        match version(model) {
            Some((3, minor)) if minor < 7 => Self::Never,
            Some((..3, _)) => Self::Never,
            Some((3, _)) => Self::Budget,
            Some((4, minor)) if minor < 6 => Self::Budget,
            _ => Self::Effort,
        }
    }
}

/// `(4, 5)` for `claude-sonnet-4-5-20250929`, `claude-3-7-sonnet` is `(3, 7)`.
fn version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.split_once("claude-")?;
    // A date is no version.
    let mut numbers = name.split(['-', '.', '@', ':']).skip_while(|part| part.parse::<u32>().is_err());
    let short = |part: &str| (part.len() < 3).then(|| part.parse().ok()).flatten();
    let major = short(numbers.next()?)?;
    Some((major, numbers.next().and_then(short).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_a_name() {
        for (model, expected) in [
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("claude-3-7-sonnet-latest", Some((3, 7))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-sonnet-4-5-20250929", Some((4, 5))),
            ("anthropic.claude-opus-4-6-v1:0", Some((4, 6))),
            ("claude-opus-5", Some((5, 0))),
            ("claude-2.1", Some((2, 1))),
            ("claude-next", None),
            ("llama3.2", None),
        ] {
            assert_eq!(version(model), expected, "{model}");
        }
    }

    #[test]
    fn effort_is_told_as_each_model_takes_it() {
        let told = |model: &str, effort: &str, max_tokens: u64, said: bool| {
            let mut body = Map::from_iter([("max_tokens".to_owned(), max_tokens.into())]);
            think(&mut body, model, effort, said);
            Value::from(body).to_string()
        };

        for (model, effort, max_tokens, said, expected) in [
            (
                "claude-opus-4-7",
                "high",
                100,
                true,
                r#"{"max_tokens":100,"thinking":{"type":"adaptive"},"output_config":{"effort":"high"}}"#,
            ),
            (
                "claude-sonnet-4-5",
                "low",
                8000,
                false,
                r#"{"max_tokens":10048,"thinking":{"type":"enabled","budget_tokens":2048}}"#,
            ),
            (
                "claude-sonnet-4-5",
                "high",
                4096,
                true,
                r#"{"max_tokens":4096,"thinking":{"type":"enabled","budget_tokens":3072}}"#,
            ),
            ("claude-sonnet-4-5", "high", 500, true, r#"{"max_tokens":500}"#),
            ("claude-3-5-haiku", "high", 500, false, r#"{"max_tokens":500}"#),
            ("claude-opus-4-7", "none", 500, false, r#"{"max_tokens":500}"#),
        ] {
            assert_eq!(told(model, effort, max_tokens, said), expected, "{model} {effort}");
        }
    }
}

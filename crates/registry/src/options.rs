//! What the options of a connection say, read and checked.
//!
//! Clients of the API keep whatever they like among the options, so they stay as they came
//! ([`Connection::other`]), and what means something here is read from them.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{Connection, ConnectionKind, Routing};

/// An option that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` must be {expected}")]
pub struct BadOption {
    /// Its name.
    pub field: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

/// The dialect of an upstream that is asked as OpenAI's are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// OpenAI's own, and that of most others.
    Plain,
    /// Azure OpenAI: deployments in the path, the key in a header of its own.
    Azure {
        /// `api-version` in the query of every request.
        api_version: String,
    },
    /// Anthropic's own: messages instead of chats, the key in a header of its own.
    Anthropic {
        /// `anthropic-version` of every request.
        version: String,
        /// The bound of answers to requests that have none.
        max_tokens: u64,
    },
}

/// The version of Azure's API that is asked for unless another is configured: the latest that is not a
/// preview (2024-10-21, by its documentation of 2025).
const AZURE_VERSION: &str = "2024-10-21";

/// The only version of Anthropic's API that is not older than 2023-06-01.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// What all of Anthropic's models that are still served can write (8192, since 3.5 of 2024).
const ANTHROPIC_MAX_TOKENS: u64 = 8192;

/// A day: waits beyond it are mistakes, or meant to be none.
const LONGEST_WAIT: f64 = 86_400.0;

impl Connection {
    /// The connection with its place in fleets and its waits as its options say. Options that are not
    /// there leave what was.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub fn configured(mut self) -> Result<Self, BadOption> {
        let options = Options(&self.other);
        let flavour = flavour(&self.provider, &options, self.kind)?;
        let routing = &self.routing;
        let routing = Routing {
            priority: options
                .number("priority", 0, u32::MAX.into(), "a whole number from 0")?
                .map_or(routing.priority, small),
            weight: options
                .number("weight", 1, 1000, "a whole number from 1 to 1000")?
                .map_or(routing.weight, small),
            max_in_flight: options
                .number("max_in_flight", 1, 1_000_000, "a whole number from 1 to 1000000")?
                .map(size)
                .or(routing.max_in_flight),
            max_queue: options
                .number("max_queue", 0, 1_000_000, "a whole number from 0 to 1000000")?
                .map(size)
                .or(routing.max_queue),
            queue_wait: options.wait("queue_wait")?.or(routing.queue_wait),
            attempts: options
                .number("attempts", 1, 10, "a whole number from 1 to 10")?
                .map(small)
                .or(routing.attempts),
            retry_broken: options.flag("retry_broken")?.unwrap_or(routing.retry_broken),
            first_byte_timeout: options.wait("first_byte_timeout")?.or(routing.first_byte_timeout),
        };
        let (timeout, idle_timeout) = (options.wait("timeout")?, options.wait("idle_timeout")?);
        options.word("on_abort", &["drain-and-bill", "cancel-and-estimate"])?;
        if matches!(flavour, Flavour::Azure { .. })
            && self.model_ids.is_empty()
            && deployment(&self.url).is_none()
        {
            let expected = "the names of the deployments, or the address that of one";
            return Err(BadOption { field: "model_ids", expected });
        }
        self.routing = routing;
        self.timeout = timeout.or(self.timeout);
        self.idle_timeout = idle_timeout.or(self.idle_timeout);
        Ok(self)
    }

    /// How it is asked, if it is an OpenAI connection.
    pub fn flavour(&self) -> Flavour {
        // What cannot be used was refused by `configured`, which everything configured goes through.
        flavour(&self.provider, &Options(&self.other), self.kind).unwrap_or(Flavour::Plain)
    }
}

/// The name in the address of an Azure deployment.
pub fn deployment(url: &str) -> Option<&str> {
    let (_, name) = url.trim_end_matches('/').split_once("/openai/deployments/")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

fn flavour(provider: &str, options: &Options<'_>, kind: ConnectionKind) -> Result<Flavour, BadOption> {
    if kind == ConnectionKind::Ollama {
        return Ok(Flavour::Plain);
    }
    // `api_type` is also `responses` or `chat_completions`, which is the affair of clients.
    let api_type = options.0.get("api_type").and_then(Value::as_str).unwrap_or_default();
    let speaks =
        |name: &str| [provider, api_type].iter().any(|word| word.to_ascii_lowercase().starts_with(name));
    if options.flag("anthropic")? == Some(true) || speaks("anthropic") {
        let version = options.text("anthropic_version")?.unwrap_or(ANTHROPIC_VERSION).to_owned();
        let max_tokens = options.number("max_tokens", 1, 1_000_000, "a whole number from 1 to 1000000")?;
        return Ok(Flavour::Anthropic { version, max_tokens: max_tokens.unwrap_or(ANTHROPIC_MAX_TOKENS) });
    }
    if options.flag("azure")? == Some(true) || speaks("azure") {
        let api_version = options.text("api_version")?.unwrap_or(AZURE_VERSION).to_owned();
        return Ok(Flavour::Azure { api_version });
    }
    Ok(Flavour::Plain)
}

struct Options<'a>(&'a Map<String, Value>);

impl Options<'_> {
    /// What is said under a name; nothing, `null` and an empty text are all "not said".
    fn said(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    fn number(
        &self,
        field: &'static str,
        least: u64,
        most: u64,
        expected: &'static str,
    ) -> Result<Option<u64>, BadOption> {
        let in_range = |value: &Value| value.as_u64().filter(|number| (least..=most).contains(number));
        let number = |value| in_range(value).ok_or(BadOption { field, expected });
        self.said(field).map(number).transpose()
    }

    fn wait(&self, field: &'static str) -> Result<Option<Duration>, BadOption> {
        let expected = "a number of seconds above 0 and up to 86400";
        let in_range =
            |value: &Value| value.as_f64().filter(|&seconds| seconds > 0.0 && seconds <= LONGEST_WAIT);
        let wait = |value| in_range(value).map(Duration::from_secs_f64).ok_or(BadOption { field, expected });
        self.said(field).map(wait).transpose()
    }

    fn flag(&self, field: &'static str) -> Result<Option<bool>, BadOption> {
        let flag = |value: &Value| value.as_bool().ok_or(BadOption { field, expected: "`true` or `false`" });
        self.said(field).map(flag).transpose()
    }

    /// A text that can stand in a query as it is.
    fn text(&self, field: &'static str) -> Result<Option<&str>, BadOption> {
        let is_plain =
            |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let expected = "letters, digits, `-`, `.` and `_`";
        let text = |value| Value::as_str(value).filter(is_plain).ok_or(BadOption { field, expected });
        self.said(field).map(text).transpose()
    }

    fn word(&self, field: &'static str, words: &[&'static str; 2]) -> Result<(), BadOption> {
        match self.said(field) {
            Some(value) if !words.iter().any(|word| value == word) => {
                Err(BadOption { field, expected: "`drain-and-bill` or `cancel-and-estimate`" })
            }
            _ => Ok(()),
        }
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(options: Value) -> Result<Connection, BadOption> {
        let mut connection = Connection::new(ConnectionKind::OpenAi, 0, "http://host/v1");
        connection.other = options.as_object().unwrap().clone();
        connection.configured()
    }

    #[test]
    fn options_place_a_connection_and_others_are_kept() {
        let options = json!({
            "priority": 2, "weight": 5, "max_in_flight": 64, "max_queue": 0, "queue_wait": 1.5, "attempts": 4,
            "retry_broken": true, "first_byte_timeout": 30, "timeout": 600, "idle_timeout": null,
            "on_abort": "drain-and-bill", "somebody's own": [1],
        });

        let connection = with(options.clone()).unwrap();

        assert_eq!(
            connection.routing,
            Routing {
                priority: 2,
                weight: 5,
                max_in_flight: Some(64),
                max_queue: Some(0),
                queue_wait: Some(Duration::from_millis(1500)),
                attempts: Some(4),
                retry_broken: true,
                first_byte_timeout: Some(Duration::from_secs(30)),
            }
        );
        assert_eq!((connection.timeout, connection.idle_timeout), (Some(Duration::from_secs(600)), None));
        assert_eq!(Value::from(connection.other), options);
    }

    #[test]
    fn an_option_that_cannot_be_used_is_named() {
        for (options, field) in [
            (json!({"priority": -1}), "priority"),
            (json!({"priority": "high"}), "priority"),
            (json!({"weight": 0}), "weight"),
            (json!({"weight": 1.5}), "weight"),
            (json!({"max_in_flight": 0}), "max_in_flight"),
            (json!({"max_queue": true}), "max_queue"),
            (json!({"queue_wait": 0}), "queue_wait"),
            (json!({"attempts": 11}), "attempts"),
            (json!({"retry_broken": "yes"}), "retry_broken"),
            (json!({"first_byte_timeout": -3}), "first_byte_timeout"),
            (json!({"timeout": 1e12}), "timeout"),
            (json!({"idle_timeout": []}), "idle_timeout"),
            (json!({"on_abort": "shrug"}), "on_abort"),
            (json!({"azure": 1}), "azure"),
            (json!({"azure": true}), "model_ids"),
            (json!({"azure": true, "api_version": "a&b=c"}), "api_version"),
            (json!({"anthropic": "yes"}), "anthropic"),
            (json!({"api_type": "anthropic", "max_tokens": 0}), "max_tokens"),
            (json!({"anthropic": true, "anthropic_version": "a b"}), "anthropic_version"),
        ] {
            let error = with(options.clone()).unwrap_err();

            assert_eq!(error.field, field, "{options}");
        }
    }

    #[test]
    fn azure_is_known_by_any_of_its_marks() {
        let azure = |version: &str| Flavour::Azure { api_version: version.to_owned() };
        for (provider, options, expected) in [
            ("", json!({}), Flavour::Plain),
            ("openai", json!({"api_type": "responses"}), Flavour::Plain),
            ("", json!({"azure": true}), azure(AZURE_VERSION)),
            ("azure_openai", json!({}), azure(AZURE_VERSION)),
            (
                "",
                json!({"api_type": "Azure", "api_version": "2025-01-01-preview"}),
                azure("2025-01-01-preview"),
            ),
        ] {
            let mut connection = Connection::new(ConnectionKind::OpenAi, 0, "http://host");
            connection.provider = provider.to_owned();
            connection.other = options.as_object().unwrap().clone();

            assert_eq!(connection.flavour(), expected, "{provider} {options}");
        }
    }

    #[test]
    fn anthropic_is_known_by_any_of_its_marks() {
        for (provider, options, expected) in [
            ("", json!({"anthropic": true}), (ANTHROPIC_VERSION, ANTHROPIC_MAX_TOKENS)),
            ("anthropic", json!({"max_tokens": 64_000}), (ANTHROPIC_VERSION, 64_000)),
            ("", json!({"api_type": "Anthropic", "anthropic_version": "2027-01-01"}), ("2027-01-01", 8192)),
        ] {
            let mut connection = Connection::new(ConnectionKind::OpenAi, 0, "http://host");
            connection.provider = provider.to_owned();
            connection.other = options.as_object().unwrap().clone();

            let (version, max_tokens) = (expected.0.to_owned(), expected.1);
            assert_eq!(
                connection.flavour(),
                Flavour::Anthropic { version, max_tokens },
                "{provider} {options}"
            );
        }
    }

    #[test]
    fn the_address_of_a_deployment_names_it() {
        for (url, expected) in [
            ("https://x.openai.azure.com", None),
            ("https://x.openai.azure.com/openai/deployments/gpt-4o/", Some("gpt-4o")),
            ("https://x.openai.azure.com/openai/deployments/a/b", None),
        ] {
            assert_eq!(deployment(url), expected, "{url}");
        }
    }
}

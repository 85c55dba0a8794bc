//! Settings of fleets: how requests are spread and repeated, and names for chains of models.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use breezeway::{Config, parts::registry::Alias};
use serde_json::{Map, Value};

use super::Source;

/// Read what goes for all connections, and the aliases.
pub(super) fn read(source: &Source, gateway: &mut Config) -> Result<()> {
    let fleet = &mut gateway.registry.fleet;
    fleet.attempts = source.number_or("BREEZEWAY_UPSTREAM_ATTEMPTS", fleet.attempts)?;
    fleet.max_in_flight = source.number_or("BREEZEWAY_UPSTREAM_MAX_IN_FLIGHT", fleet.max_in_flight)?;
    fleet.max_queue = source.number_or("BREEZEWAY_UPSTREAM_MAX_QUEUE", fleet.max_queue)?;
    fleet.queue_wait = seconds(source, "BREEZEWAY_UPSTREAM_QUEUE_WAIT", fleet.queue_wait)?;
    ensure!((1..=10).contains(&fleet.attempts), "`BREEZEWAY_UPSTREAM_ATTEMPTS` must be from 1 to 10");
    ensure!(fleet.max_in_flight > 0, "`BREEZEWAY_UPSTREAM_MAX_IN_FLIGHT` must be above 0");
    if let Some(text) = source.text("BREEZEWAY_MODEL_ALIASES") {
        gateway.registry.aliases = aliases(&text).context("`BREEZEWAY_MODEL_ALIASES` cannot be used")?;
    }
    Ok(())
}

fn seconds(source: &Source, name: &'static str, default: Duration) -> Result<Duration> {
    let seconds: f64 = source.number_or(name, default.as_secs_f64())?;
    Duration::try_from_secs_f64(seconds).with_context(|| format!("`{name}` is no time in seconds"))
}

/// `{"fast": ["gpt-4o-mini", "llama3.2"], "smart": "gpt-4o"}`.
fn aliases(text: &str) -> Result<Vec<Alias>> {
    let chains: Map<String, Value> = serde_json::from_str(text).context("it is no JSON object")?;
    let alias = |(name, targets): (String, Value)| {
        let targets = match targets {
            Value::Array(targets) => targets,
            one => vec![one],
        };
        let id = |text: &str| text.parse().with_context(|| format!("`{text}` is no model id"));
        let target = |target: &Value| {
            let target = target.as_str().with_context(|| format!("the targets of `{name}` are no texts"))?;
            id(target)
        };
        ensure!(!targets.is_empty(), "`{name}` has no targets");
        Ok(Alias { id: id(&name)?, targets: targets.iter().map(target).collect::<Result<_>>()? })
    };
    chains.into_iter().map(alias).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_chains_in_the_order_given() {
        let aliases = aliases(r#"{"smart": "gpt-4o", "fast": ["gpt-4o-mini", "llama3.2"]}"#).unwrap();

        let told: Vec<_> = aliases
            .iter()
            .map(|alias| (alias.id.as_str(), alias.targets.iter().map(|id| id.as_str()).collect()))
            .collect();
        let expected: [(&str, Vec<&str>); 2] =
            [("smart", vec!["gpt-4o"]), ("fast", vec!["gpt-4o-mini", "llama3.2"])];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_no_chain_is_named() {
        for (text, mark) in [
            ("fast", "no JSON object"),
            ("[]", "no JSON object"),
            (r#"{"fast": []}"#, "`fast` has no targets"),
            (r#"{"fast": [1]}"#, "the targets of `fast`"),
            (r#"{"": ["a"]}"#, "no model id"),
        ] {
            let error = format!("{:#}", aliases(text).unwrap_err());

            assert!(error.contains(mark), "{text}: {error}");
        }
    }
}

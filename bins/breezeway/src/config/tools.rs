//! Tool servers and the response cache.

use std::time::Duration;

use anyhow::{Context, Result};
use breezeway::{
    Config,
    parts::{api, chat::CacheConfig},
};
use serde_json::{Map, Value};

use super::Source;

/// Read them.
pub(super) fn read(source: &Source, gateway: &mut Config) -> Result<()> {
    const SERVERS: &str = "TOOL_SERVER_CONNECTIONS";
    if let Some(text) = source.secret(SERVERS).filter(|text| !text.trim().is_empty()) {
        let list: Vec<Map<String, Value>> =
            serde_json::from_str(&text).with_context(|| format!("`{SERVERS}` is no JSON list of objects"))?;
        gateway.tool_servers = list
            .into_iter()
            .enumerate()
            .map(|(index, sent)| {
                api::tool_server(sent).with_context(|| format!("`{SERVERS}`, server {index}"))
            })
            .collect::<Result<_>>()?;
    }
    let limits = &mut gateway.tool_limits;
    limits.rounds = source.number_or("BREEZEWAY_TOOL_ROUNDS", limits.rounds)?;
    limits.total = Duration::from_secs(source.number_or("BREEZEWAY_TOOL_SECONDS", limits.total.as_secs())?);

    let megabytes: usize = source.number_or("BREEZEWAY_RESPONSE_CACHE_MB", 0)?;
    let seconds =
        source.number_or("BREEZEWAY_RESPONSE_CACHE_SECONDS", gateway.cache.time_to_live.as_secs())?;
    gateway.cache = CacheConfig {
        max_bytes: megabytes.saturating_mul(1024 * 1024),
        // Longer than a century is as good as for ever, and instants stay in range.
        time_to_live: Duration::from_secs(seconds.min(100 * 365 * 24 * 60 * 60)),
    };
    Ok(())
}

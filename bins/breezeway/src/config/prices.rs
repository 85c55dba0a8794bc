//! The price table: a TOML file of models and what a million of their tokens cost.
//!
//! ```toml
//! ["gpt-4o"]
//! input = 2.50
//! cached_input = 1.25   # as input if missing
//! output = 10.00
//!
//! ["llama*"]            # all that begin so
//! input = 0
//! output = 0
//! ```

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};
use breezeway::parts::usage::{Price, PriceTable};
use serde::Deserialize;

/// The dearest price that makes sense of a number: a million of the unit for a million tokens.
const DEAREST: f64 = 1e6;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    input: f64,
    cached_input: Option<f64>,
    output: f64,
}

/// Read a price table.
pub(super) fn read(path: &Path) -> Result<PriceTable> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read the prices in `{shown}`"))?;
    parse(&text).with_context(|| format!("cannot use the prices in `{shown}`"))
}

fn parse(text: &str) -> Result<PriceTable> {
    let entries: BTreeMap<String, Entry> = toml::from_str(text)?;
    let mut prices = Vec::with_capacity(entries.len());
    for (model, entry) in entries {
        let micro = |name: &str, price: f64| {
            ensure!((0.0..=DEAREST).contains(&price), "`{name}` of `{model}` is {price}, which is no price");
            Ok((price * 1e6).round() as u64)
        };
        let price = Price {
            input: micro("input", entry.input)?,
            cached_input: micro("cached_input", entry.cached_input.unwrap_or(entry.input))?,
            output: micro("output", entry.output)?,
        };
        prices.push((model, price));
    }
    Ok(PriceTable::new(prices))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_in_units_and_kept_in_millionths() {
        let table =
            parse("[\"gpt-4o\"]\ninput = 2.5\noutput = 10\n[\"llama*\"]\ninput = 0\noutput = 0.000001")
                .unwrap();

        let gpt = Price { input: 2_500_000, cached_input: 2_500_000, output: 10_000_000 };
        assert_eq!(table.price("gpt-4o"), gpt);
        assert_eq!(table.price("llama3.2:1b").output, 1);
        assert_eq!(table.price("other"), Price::default());
    }

    #[test]
    fn what_is_no_price_is_named() {
        for (text, mark) in [
            ("[m]\ninput = -1\noutput = 1", "`input` of `m`"),
            ("[m]\ninput = 1\noutput = nan", "`output` of `m`"),
            ("[m]\ninput = 1", "output"),
            ("[m]\ninput = 1\noutput = 1\nper_token = 3", "per_token"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(mark), "{error}");
        }
    }
}

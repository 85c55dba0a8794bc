//! What models cost.

use std::{collections::HashMap, fmt};

use crate::Tokens;

const MILLION: u128 = 1_000_000;

/// What a model costs, in millionths of the table's unit of currency for a million tokens of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Input that the upstream had not cached.
    pub input: u64,
    /// Input that it had.
    pub cached_input: u64,
    /// Output.
    pub output: u64,
}

impl Price {
    /// What a call costs, in millionths of the unit; a fraction of one counts as a whole one.
    pub fn cost(self, tokens: Tokens) -> u64 {
        let cached = tokens.cached.min(tokens.input);
        let parts =
            [(tokens.input - cached, self.input), (cached, self.cached_input), (tokens.output, self.output)];
        let sum = parts
            .iter()
            .fold(0_u128, |sum, &(tokens, price)| sum.saturating_add(u128::from(tokens) * u128::from(price)));
        u64::try_from(sum.div_ceil(MILLION)).unwrap_or(u64::MAX)
    }
}

/// The prices of models. A model that is not in it costs nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PriceTable {
    exact: HashMap<String, Price>,
    /// Beginnings of names, the longest first.
    prefixes: Vec<(String, Price)>,
}

impl PriceTable {
    /// A table in which everything is free.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A table of model ids and their prices. An id that ends in `*` stands for all that begin with
    /// what is before it. Of two prices for one id the later one counts.
    pub fn new(prices: impl IntoIterator<Item = (String, Price)>) -> Self {
        let mut table = Self::empty();
        for (id, price) in prices {
            match id.strip_suffix('*') {
                Some(prefix) => {
                    table.prefixes.retain(|(known, _)| known != prefix);
                    table.prefixes.push((prefix.to_owned(), price));
                }
                None => drop(table.exact.insert(id, price)),
            }
        }
        table.prefixes.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        table
    }

    /// The price of a model: its own, or that of the longest pattern which fits, or nothing.
    pub fn price(&self, model: &str) -> Price {
        let pattern = || self.prefixes.iter().find(|(prefix, _)| model.starts_with(prefix.as_str()));
        self.exact.get(model).copied().or_else(|| pattern().map(|(_, price)| *price)).unwrap_or_default()
    }
}

impl fmt::Debug for PriceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PriceTable({} models, {} patterns)", self.exact.len(), self.prefixes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(price: u64) -> Price {
        Price { input: price, cached_input: price, output: price }
    }

    #[test]
    fn a_name_goes_before_the_longest_pattern_and_that_before_shorter_ones() {
        let table = PriceTable::new(
            [("*", 1), ("gpt-*", 2), ("gpt-4*", 3), ("gpt-4o", 4), ("gpt-4o", 5)]
                .map(|(id, price)| (id.to_owned(), flat(price))),
        );

        for (model, price) in [("llama", 1), ("gpt-3", 2), ("gpt-4-mini", 3), ("gpt-4o", 5)] {
            assert_eq!(table.price(model), flat(price), "{model}");
        }
        assert_eq!(PriceTable::empty().price("gpt-4o"), Price::default());
    }

    #[test]
    fn each_kind_of_token_has_its_price_and_fractions_are_rounded_up() {
        let price = Price { input: 2_000_000, cached_input: 500_000, output: 8_000_000 };
        let cost = |input, cached, output| price.cost(Tokens { input, output, cached });

        assert_eq!(cost(1000, 0, 0), 2000);
        assert_eq!(cost(1000, 400, 0), 1200 + 200);
        assert_eq!(cost(0, 0, 10), 80);
        assert_eq!(cost(1, 1, 0), 1, "half a millionth");
        assert_eq!(cost(5, 9, 0), cost(5, 5, 0), "no more is cached than went in");
        assert_eq!(
            Price { output: u64::MAX, ..price }.cost(Tokens { output: u64::MAX, ..Tokens::default() }),
            u64::MAX
        );
    }
}

//! What a request may say about a search: the same words in queries, in the items of a chat and in the
//! tools of a response.

use breezeway_knowledge::{BadFilter, Filter};
use breezeway_retrieval::{Leg, Question};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::state::RagConfig;

/// Passages a request may ask for at most.
const MOST: usize = 1000;

/// What a request says about a search instead of the settings.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct SearchOptions {
    /// Passages wanted.
    pub k: Option<usize>,
    /// Similarity (0 to 1) below which passages are dropped.
    pub r: Option<f32>,
    /// `true` searches by words and meaning, `false` by meaning alone.
    pub hybrid: Option<bool>,
    /// Weight of words against meaning, 0 to 1.
    pub hybrid_bm25_weight: Option<f32>,
    /// `false` keeps the fused order although there is a reranker.
    pub rerank: Option<bool>,
    /// Which files, in the grammar of OpenAI's vector stores.
    #[schema(value_type = Object)]
    pub filters: Value,
}

impl SearchOptions {
    /// The options among the fields of a chat's item; what is not one, or of another type, is passed
    /// over.
    pub fn of_item(item: &Map<String, Value>) -> Self {
        let number = |name: &str| item.get(name).and_then(Value::as_f64).map(|number| number as f32);
        let flag = |name: &str| item.get(name).and_then(Value::as_bool);
        let count = item.get("k").and_then(Value::as_u64);
        Self {
            k: count.filter(|&count| count > 0).and_then(|count| usize::try_from(count).ok()),
            r: number("r"),
            hybrid: flag("hybrid"),
            hybrid_bm25_weight: number("hybrid_bm25_weight"),
            rerank: flag("rerank"),
            filters: item.get("filters").cloned().unwrap_or_default(),
        }
    }

    /// These options, and those of `other` where these say nothing. The larger number of passages
    /// counts.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            k: self.k.max(other.k),
            r: self.r.or(other.r),
            hybrid: self.hybrid.or(other.hybrid),
            hybrid_bm25_weight: self.hybrid_bm25_weight.or(other.hybrid_bm25_weight),
            rerank: self.rerank.or(other.rerank),
            filters: self.filters,
        }
    }

    /// The filter.
    ///
    /// # Errors
    /// If it is none.
    pub fn filter(&self) -> Result<Option<Filter>, BadFilter> {
        Filter::parse(&self.filters)
    }

    /// The question about no files yet, by these options and by the settings where they say nothing.
    pub fn question(&self, text: &str, settings: &RagConfig) -> Question {
        Question {
            text: text.to_owned(),
            files: Vec::new(),
            limit: self.k.unwrap_or(settings.top_k).min(MOST),
            min_similarity: self.r.unwrap_or(settings.relevance_threshold),
            legs: match self.hybrid {
                Some(true) => Leg::Both,
                Some(false) => Leg::Dense,
                None => settings.legs,
            },
            dense_weight: match self.hybrid_bm25_weight {
                Some(words) => Some(1.0 - words.clamp(0.0, 1.0)),
                None => settings.dense_weight,
            },
            without_reranker: self.rerank == Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_says_what_it_may_and_the_settings_say_the_rest() {
        let item = json!({"type": "file", "k": 7, "r": "high", "hybrid_bm25_weight": 0.25, "rerank": false});
        let options = SearchOptions::of_item(item.as_object().unwrap());

        let question =
            options.question("tram?", &RagConfig { relevance_threshold: 0.1, ..RagConfig::default() });

        assert_eq!((question.limit, question.min_similarity), (7, 0.1));
        assert_eq!((question.dense_weight, question.legs), (Some(0.75), Leg::Both));
        assert!(question.without_reranker);
    }
}

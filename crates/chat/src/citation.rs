//! Citations: the sources of an answer as the API shows them.

use serde_json::{Value, json};

mod marks;

pub(crate) use self::marks::Marks;
use crate::{LeftOut, Source};

/// The value of `sources`.
pub(crate) fn sources_json(sources: &[Source]) -> Value {
    sources.iter().map(source_json).collect()
}

fn source_json(source: &Source) -> Value {
    let passages = &source.passages;
    let mut shown = json!({
        "source": source.item.sent,
        "document": passages.iter().map(|passage| passage.text.as_str()).collect::<Vec<_>>(),
        "metadata": passages.iter().map(|passage| &passage.metadata).collect::<Vec<_>>(),
    });
    // Clients pair the lists by position, so a list with gaps is worse than none.
    let scores: Option<Vec<f64>> = passages.iter().map(|passage| passage.score.map(rounded)).collect();
    if let Some(scores) = scores {
        shown["distances"] = scores.into();
    }
    if source.over_budget > 0 {
        shown["cut"] = json!({"passages": source.over_budget, "why": "context_budget"});
    }
    if !source.left_out.is_empty() {
        let file = |left: &LeftOut| json!({"id": left.id.as_str(), "name": left.name, "status": left.status});
        shown["left_out"] = source.left_out.iter().map(file).collect();
    }
    shown
}

/// The score without the digits that the wider type would make up.
fn rounded(score: f32) -> f64 {
    if score.is_finite() { (f64::from(score) * 1e6).round() / 1e6 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use insta::assert_json_snapshot;
    use serde_json::Map;

    use super::*;
    use crate::{ContextItem, ItemKind, SourcePassage};

    fn source(scores: &[Option<f32>]) -> Source {
        let passage = |score: &Option<f32>| SourcePassage {
            text: "The sky is blue.".into(),
            metadata: Map::from_iter([("name".into(), "sky.txt".into())]),
            score: *score,
        };
        Source {
            item: ContextItem {
                kind: ItemKind::File("f".parse().unwrap()),
                name: None,
                full: false,
                sent: Map::from_iter([("type".into(), "file".into()), ("id".into(), "f".into())]),
            },
            passages: scores.iter().map(passage).collect(),
            over_budget: 0,
            left_out: Vec::new(),
        }
    }

    #[test]
    fn compared_passages_have_distances() {
        assert_json_snapshot!(sources_json(&[source(&[Some(0.884), Some(f32::NAN)])]), @r#"
        [
          {
            "source": {
              "type": "file",
              "id": "f"
            },
            "document": [
              "The sky is blue.",
              "The sky is blue."
            ],
            "metadata": [
              {
                "name": "sky.txt"
              },
              {
                "name": "sky.txt"
              }
            ],
            "distances": [
              0.884,
              0.0
            ]
          }
        ]
        "#);
    }

    #[test]
    fn files_that_could_not_be_searched_are_named() {
        let left = LeftOut { id: "g".parse().unwrap(), name: "sea.txt".into(), status: "processing" };
        let source = Source { left_out: vec![left], ..source(&[]) };

        let shown = sources_json(&[source]);

        let left = json!([{"id": "g", "name": "sea.txt", "status": "processing"}]);
        assert_eq!((&shown[0]["document"], &shown[0]["left_out"]), (&json!([]), &left));
    }

    #[test]
    fn whole_texts_have_none() {
        let shown = sources_json(&[source(&[None]), source(&[Some(0.5), None])]);

        assert_eq!(shown[0].get("distances"), None);
        assert_eq!(shown[1].get("distances"), None);
    }
}

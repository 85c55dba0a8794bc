//! The port's contract, sentence by sentence, for every implementation.

use crate::{EmbeddingModel, Purpose};

/// Check `model` against the contract of [`EmbeddingModel`].
///
/// # Panics
/// With the sentence that does not hold.
pub async fn embedding_model(model: &dyn EmbeddingModel) {
    let texts = ["a tram waits at the depot", "", "boats drift along the canal", "日本語のテキスト"];

    let together = model.embed(Purpose::Passage, &texts).await.expect("a batch is embedded");
    assert_eq!(together.len(), texts.len(), "one vector per text");
    let dimensions = model.dimensions().expect("known after the first answer");
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(vector.dimensions(), dimensions, "every vector has `dimensions()` entries");
        let length = vector.cosine(vector);
        assert!((length - 1.0).abs() < 1e-4 || text.is_empty(), "every vector has unit length");
        let alone = model.embed(Purpose::Passage, &[text]).await.expect("one text is embedded");
        assert!(
            alone[0].cosine(vector) > 0.9999 || text.is_empty(),
            "`{text}` alone equals `{text}` in a batch"
        );
    }
    let mut reversed = texts;
    reversed.reverse();
    let mut again = model.embed(Purpose::Passage, &reversed).await.expect("a batch is embedded");
    again.reverse();
    for (first, second) in together.iter().zip(&again).filter(|(first, _)| first.cosine(first) > 0.5) {
        assert!(first.cosine(second) > 0.9999, "vectors come in the order of their texts");
    }
    assert!(
        model.embed(Purpose::Query, &[]).await.expect("nothing is embedded").is_empty(),
        "no texts, no vectors"
    );
}

#[cfg(test)]
mod tests {
    use crate::HashedModel;

    #[tokio::test]
    async fn the_hashed_model_keeps_the_contract() {
        super::embedding_model(&HashedModel::new(64)).await;
    }
}

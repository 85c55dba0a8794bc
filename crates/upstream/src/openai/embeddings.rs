//! Embeddings in OpenAI's dialect.

use breezeway_embedding::EmbedError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{EmbeddingDialect, RemoteEmbedder};

/// Embeds text at `{url}/embeddings`.
pub type OpenAiEmbedder = RemoteEmbedder<OpenAiEmbeddings>;

/// OpenAI's way to ask for vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiEmbeddings;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl EmbeddingDialect for OpenAiEmbeddings {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn path(&self) -> &'static str {
        "/embeddings"
    }

    fn request(&self, model: &str, texts: &[&str]) -> Value {
        // OpenAI refuses an empty text; a space stands for it.
        let input: Vec<&str> = texts.iter().map(|text| if text.is_empty() { " " } else { text }).collect();
        json!({"model": model, "input": input})
    }

    fn vectors(&self, body: &[u8]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let malformed = |why: String| EmbedError::Malformed(why);
        let answer: Answer = serde_json::from_slice(body).map_err(|why| malformed(why.to_string()))?;
        let mut vectors: Vec<Option<Vec<f32>>> = vec![None; answer.data.len()];
        for (position, entry) in answer.data.into_iter().enumerate() {
            let index = entry.index.unwrap_or(position);
            let place =
                vectors.get_mut(index).ok_or_else(|| malformed(format!("there is no text {index}")))?;
            if place.replace(entry.embedding).is_some() {
                return Err(malformed(format!("it has two vectors for text {index}")));
            }
        }
        // As many vectors as places, and no place was filled twice.
        Ok(vectors.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_put_in_the_order_of_their_index() {
        let body = br#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}"#;

        assert_eq!(OpenAiEmbeddings.vectors(body).unwrap(), [[1.0], [2.0]]);
    }

    #[test]
    fn an_index_that_is_doubled_or_out_of_range_is_refused() {
        for body in [
            r#"{"data":[{"index":0,"embedding":[2]},{"index":0,"embedding":[1]}]}"#,
            r#"{"data":[{"index":9,"embedding":[2]}]}"#,
            r#"{"data":[{"index":0,"embedding":["x"]}]}"#,
            "<html>",
        ] {
            let read = OpenAiEmbeddings.vectors(body.as_bytes());

            assert!(matches!(read, Err(EmbedError::Malformed(_))), "{body}");
        }
    }
}

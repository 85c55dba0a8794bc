//! Embeddings in Ollama's dialect.

use breezeway_embedding::EmbedError;
use breezeway_upstream::{EmbeddingDialect, RemoteEmbedder};
use serde::Deserialize;
use serde_json::{Value, json};

/// Embeds text at `{url}/api/embed`.
pub type OllamaEmbedder = RemoteEmbedder<OllamaEmbeddings>;

/// Ollama's way to ask for vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct OllamaEmbeddings;

#[derive(Deserialize)]
struct Answer {
    embeddings: Vec<Vec<f32>>,
}

impl EmbeddingDialect for OllamaEmbeddings {
    fn name(&self) -> &'static str {
        "ollama"
    }

    fn path(&self) -> &'static str {
        "/api/embed"
    }

    fn request(&self, model: &str, texts: &[&str]) -> Value {
        // Some versions give an empty text no vector at all; a space stands for it.
        let input: Vec<&str> = texts.iter().map(|text| if text.is_empty() { " " } else { text }).collect();
        json!({"model": model, "input": input})
    }

    fn vectors(&self, body: &[u8]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let answer: Answer =
            serde_json::from_slice(body).map_err(|why| EmbedError::Malformed(why.to_string()))?;
        Ok(answer.embeddings)
    }
}

//! A deterministic model without weights: for tests that need no meaning, and for embedders' tests.

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::{EmbedError, EmbeddingModel, Fingerprint, Purpose, Vector};

/// Hashes words into buckets: texts that share words have similar vectors, nothing more.
#[derive(Debug)]
pub struct HashedModel {
    dimensions: usize,
    fingerprint: Fingerprint,
}

impl HashedModel {
    /// A model with `dimensions` buckets, at least one.
    pub fn new(dimensions: usize) -> Self {
        let dimensions = dimensions.max(1);
        Self { dimensions, fingerprint: Fingerprint::new(format!("hashed-{dimensions}")) }
    }

    fn vector(&self, text: &str) -> Vector {
        let mut buckets = vec![0.0_f32; self.dimensions];
        let words = text.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty());
        for word in words {
            let digest = Sha256::digest(word.to_lowercase().as_bytes());
            let (number, _) = digest.split_first_chunk::<8>().expect("a SHA-256 has 32 bytes");
            let bucket = u64::from_le_bytes(*number) % self.dimensions as u64;
            let sign = if digest[8] & 1 == 0 { 1.0 } else { -1.0 };
            buckets[bucket as usize] += sign;
        }
        Vector::normalized(buckets).expect("counts are finite and there is at least one bucket")
    }
}

#[async_trait]
impl EmbeddingModel for HashedModel {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimensions(&self) -> Option<usize> {
        Some(self.dimensions)
    }

    fn is_multilingual(&self) -> bool {
        false
    }

    async fn embed(&self, _purpose: Purpose, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn texts_that_share_words_are_near_whatever_their_case() {
        let model = HashedModel::new(256);
        let texts = ["The tram waits.", "WAITS: the tram!", "Boats drift on a canal"];

        let vectors = model.embed(Purpose::Passage, &texts).await.unwrap();

        assert!(vectors[0].cosine(&vectors[1]) > 0.999);
        assert!(vectors[0].cosine(&vectors[2]) < 0.5);
    }

    #[test]
    fn fingerprints_differ_with_the_number_of_dimensions() {
        assert_ne!(HashedModel::new(64).fingerprint(), HashedModel::new(65).fingerprint());
        assert_eq!(HashedModel::new(0).dimensions(), Some(1));
    }
}

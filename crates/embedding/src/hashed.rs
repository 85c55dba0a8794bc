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

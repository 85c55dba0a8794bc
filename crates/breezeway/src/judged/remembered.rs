//! Vectors that are kept in a file between runs: embedding a collection takes minutes, judging it seconds.

use std::{
    collections::HashMap,
    fs, io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use breezeway_embedding::{EmbedError, EmbeddingModel, Fingerprint, Purpose, Vector};
use breezeway_knowledge::ChunkHash;

use super::Failure;

type Known = HashMap<(bool, ChunkHash), Vector>;

/// A model that asks another one only for texts it has not seen.
pub struct Remembered {
    model: std::sync::Arc<dyn EmbeddingModel>,
    known: Mutex<Known>,
}

/// The first line of the file is the fingerprint; then purpose, hash and vector, one after another.
impl Remembered {
    /// Remember what `file` holds, if it is there and of the same model.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(model: std::sync::Arc<dyn EmbeddingModel>, file: &Path) -> Result<Self, Failure> {
        let known = match fs::read(file) {
            Ok(bytes) => parse(&bytes, model.fingerprint()).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Known::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { model, known: Mutex::new(known) })
    }

    /// Write everything that is known to `file`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, file: &Path) -> Result<(), Failure> {
        let mut bytes = format!("{}\n", self.model.fingerprint()).into_bytes();
        for ((is_query, hash), vector) in self.known.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            bytes.push(u8::from(*is_query));
            bytes.extend_from_slice(&hash.0);
            bytes.extend_from_slice(&u32::try_from(vector.dimensions())?.to_le_bytes());
            bytes.extend(vector.to_le_bytes());
        }
        Ok(fs::write(file, bytes)?)
    }
}

fn parse(bytes: &[u8], fingerprint: &Fingerprint) -> Option<Known> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let mut rest = (bytes[..end] == *fingerprint.to_string().as_bytes()).then_some(&bytes[end + 1..])?;
    let mut known = Known::new();
    while let Some((&is_query, after)) = rest.split_first() {
        let (hash, after) = after.split_first_chunk::<32>()?;
        let (dimensions, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*dimensions)).ok()?.checked_mul(4)?;
        let vector = Vector::from_le_bytes(after.get(..length)?)?;
        known.insert((is_query == 1, ChunkHash(*hash)), vector);
        rest = &after[length..];
    }
    Some(known)
}

#[async_trait]
impl EmbeddingModel for Remembered {
    fn fingerprint(&self) -> &Fingerprint {
        self.model.fingerprint()
    }

    fn dimensions(&self) -> Option<usize> {
        self.model.dimensions()
    }

    fn is_multilingual(&self) -> bool {
        self.model.is_multilingual()
    }

    async fn embed(&self, purpose: Purpose, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        let key = |text: &str| (purpose == Purpose::Query, ChunkHash::of(text));
        let missing: Vec<&str> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            texts.iter().copied().filter(|text| !known.contains_key(&key(text))).collect()
        };
        if !missing.is_empty() {
            let vectors = self.model.embed(purpose, &missing).await?;
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.extend(missing.iter().map(|text| key(text)).zip(vectors));
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let vectors: Option<Vec<Vector>> = texts.iter().map(|text| known.get(&key(text)).cloned()).collect();
        vectors.ok_or_else(|| EmbedError::Malformed("a text has no vector".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use breezeway_embedding::HashedModel;

    use super::*;

    #[tokio::test]
    async fn vectors_are_the_same_after_a_restart_and_those_of_another_model_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vectors");
        let first = Remembered::open(Arc::new(HashedModel::new(8)), &file).unwrap();
        let vectors = first.embed(Purpose::Passage, &["a tram", "a boat"]).await.unwrap();
        first.save(&file).unwrap();

        let second = Remembered::open(Arc::new(HashedModel::new(8)), &file).unwrap();
        let other = Remembered::open(Arc::new(HashedModel::new(9)), &file).unwrap();

        assert_eq!(second.known.lock().unwrap().len(), 2);
        assert_eq!(second.embed(Purpose::Passage, &["a boat", "a tram"]).await.unwrap()[1], vectors[0]);
        assert!(other.known.lock().unwrap().is_empty());
    }
}

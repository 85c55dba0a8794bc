//! The port to whatever turns text into vectors.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{EmbedError, Vector};

/// What a text is embedded for. Some models want different prefixes for the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A question; goes ahead of passages where a model queues.
    Query,
    /// A piece of a document.
    Passage,
}

/// Names everything that makes two vectors comparable: model, weights, prefixes, truncation.
///
/// Vectors of different fingerprints are never compared. It is stored beside every vector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(Arc<str>);

impl Fingerprint {
    /// A fingerprint from its text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Turns text into vectors.
///
/// # Contract
/// - one vector per text, in the order given; no texts, no vectors;
/// - every vector has `dimensions()` entries and unit length;
/// - the same text and purpose give the same vector while `fingerprint()` stays the same, whatever
///   else is in the batch;
/// - a call either answers for all texts or fails as a whole.
#[async_trait]
pub trait EmbeddingModel: Send + Sync + 'static {
    /// What makes this model's vectors comparable with each other and nothing else.
    fn fingerprint(&self) -> &Fingerprint;

    /// Entries of a vector; `None` until a remote model has answered for the first time.
    fn dimensions(&self) -> Option<usize>;

    /// Whether the model reads scripts other than Latin. Fusion trusts a monolingual model less on
    /// other scripts.
    fn is_multilingual(&self) -> bool;

    /// Where the tokens of `text` end, as rising byte offsets into it; `None` if the model's tokenizer
    /// is not at hand. What it leaves out (white space, what it does not know) belongs to no token.
    ///
    /// Takes a while for long texts: work for a lane. Whoever wraps a model hands this on.
    fn token_ends(&self, text: &str) -> Option<Vec<usize>> {
        let _ = text;
        None
    }

    /// Embed `texts`. The caller cuts large work into calls of at most a few dozen texts.
    async fn embed(&self, purpose: Purpose, texts: &[&str]) -> Result<Vec<Vector>, EmbedError>;
}

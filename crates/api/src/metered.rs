//! Searches and vectors made here, counted.

use breezeway_core::Principal;
use breezeway_embedding::{EmbedError, EmbeddingModel, Purpose, Vector};
use breezeway_retrieval::{Answer, Question, Retriever};
use breezeway_usage::{Call, Meter, Operation, Outcome, Refusal, estimate_tokens};

/// What searches by words alone are accounted as.
const WORDS: &str = "bm25";

/// Why a counted search failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The caller's key has used what it may.
    #[error(transparent)]
    Limit(#[from] Refusal),
    /// The search itself failed.
    #[error(transparent)]
    Search(#[from] breezeway_retrieval::Error),
}

impl breezeway_core::Classify for SearchError {
    fn kind(&self) -> breezeway_core::ErrorKind {
        match self {
            Self::Limit(refusal) => refusal.kind(),
            Self::Search(failure) => failure.kind(),
        }
    }
}

/// Search, and count it as a call of the embedding model `embedding`; the tokens are those of the
/// question, estimated. An empty name means that words alone are searched.
///
/// # Errors
/// If the caller's limits do not allow it, or the search fails.
pub async fn metered_search(
    meter: &Meter,
    retriever: &Retriever,
    principal: &Principal,
    embedding: &str,
    question: Question,
) -> Result<Answer, SearchError> {
    let call = Call {
        operation: Operation::Retrieval,
        model: if embedding.is_empty() { WORDS } else { embedding }.into(),
        upstream: None,
        estimated_input: estimate_tokens(&question.text),
        max_output: Some(0),
    };
    let reservation = meter.reserve(principal, call).await?;
    let answer = retriever.search(question).await;
    reservation.settle_estimated(if answer.is_ok() { Outcome::Completed } else { Outcome::Failed });
    Ok(answer?)
}

/// Why counted texts were not embedded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EmbeddingError {
    /// The caller's key has used what it may.
    #[error(transparent)]
    Limit(#[from] Refusal),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] EmbedError),
}

/// Embed texts with a model that runs here, and count it; the tokens are estimated.
///
/// # Errors
/// If the caller's limits do not allow it, or the model fails.
pub(crate) async fn metered_embedding(
    meter: &Meter,
    principal: &Principal,
    name: &str,
    model: &dyn EmbeddingModel,
    texts: &[&str],
) -> Result<Vec<Vector>, EmbeddingError> {
    let call = Call {
        operation: Operation::Embedding,
        model: name.into(),
        upstream: None,
        estimated_input: texts.iter().map(estimate_tokens).sum(),
        max_output: Some(0),
    };
    let reservation = meter.reserve(principal, call).await?;
    let vectors = model.embed(Purpose::Passage, texts).await;
    reservation.settle_estimated(if vectors.is_ok() { Outcome::Completed } else { Outcome::Failed });
    Ok(vectors?)
}

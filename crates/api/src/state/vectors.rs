//! The embedding model of this server itself.

use std::sync::Arc;

use breezeway_embedding::EmbeddingModel;

/// Knows the embedding model that runs here, for clients that want vectors of it.
///
/// A model that runs elsewhere is no model of this server: whoever may use it finds it among those of
/// the upstreams.
pub trait OwnEmbedding: Send + Sync + 'static {
    /// Its name and itself, if there is one and it can be used right now.
    fn model(&self) -> Option<(String, Arc<dyn EmbeddingModel>)>;
}

//! Looking for contradictions in everything that is kept.

use std::error::Error as StdError;

use async_trait::async_trait;
use breezeway_api::{Checkup, Findings};
use breezeway_core::StoreError;
use breezeway_knowledge::Library;
use breezeway_retrieval::Retriever;
use breezeway_store::Store;

/// Asks the database, the uploaded bytes and the index.
#[derive(Clone)]
pub(crate) struct Survey {
    pub(crate) store: Store,
    pub(crate) library: Library,
    pub(crate) retriever: Retriever,
}

#[async_trait]
impl Checkup for Survey {
    async fn check(&self) -> Result<Findings, StoreError> {
        Ok(Findings {
            database: self.store.check().await?,
            blobs: self.library.check_blobs(false).await.map_err(failed)?,
            index: self.retriever.verify().await.map_err(failed)?,
        })
    }

    async fn repair(&self) -> Result<Findings, StoreError> {
        // The database first, for the others are compared with it.
        let database = self.store.repair().await?;
        let blobs = self.library.check_blobs(true).await.map_err(failed)?;
        let index = self.retriever.verify().await.map_err(failed)?;
        if !index.is_empty() {
            self.retriever.rebuild().await.map_err(failed)?;
        }
        if !database.is_empty() {
            self.library.look_again();
        }
        Ok(Findings { database, blobs, index })
    }
}

fn failed(error: impl StdError + Send + Sync + 'static) -> StoreError {
    StoreError::failed("check what is kept", error)
}

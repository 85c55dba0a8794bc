//! Settings of retrieval that change at run time: applied to the parts that go by them, and kept.

use std::sync::Arc;

use async_trait::async_trait;
use breezeway_api::{
    EmbeddingChange, EmbeddingView, RetrievalSettings, SettingRefusal, Tuning, TuningError,
    changed_retrieval_settings,
};
use breezeway_chat::ChatRouter;
use breezeway_core::{Live, SettingsStore, StoreError};
use breezeway_ingest::Ingestor;
use breezeway_knowledge::Library;
use breezeway_upstream::HttpClient;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::{Embedder, readers};

/// The name under which changes are kept.
const SETTING: &str = "retrieval";

/// What admins have changed, by the names of the API. What they have not is the configuration's, so
/// that a new configuration still counts for it.
pub(crate) type Changes = Map<String, Value>;

/// Applies changes and keeps them.
pub(crate) struct Tuner {
    pub(crate) live: Live<RetrievalSettings>,
    /// Held by whoever changes something.
    pub(crate) changes: Mutex<Changes>,
    pub(crate) settings: Arc<dyn SettingsStore>,
    pub(crate) library: Library,
    pub(crate) chat: ChatRouter,
    pub(crate) ingestor: Ingestor,
    pub(crate) embedder: Arc<Embedder>,
    pub(crate) client: HttpClient,
}

impl Tuner {
    /// The changes kept earlier.
    pub(crate) async fn kept(settings: &dyn SettingsStore) -> Result<Changes, StoreError> {
        let Some(text) = settings.setting(SETTING).await? else { return Ok(Changes::new()) };
        serde_json::from_str(&text)
            .map_err(|_| StoreError::Unreadable { what: "setting", value: SETTING.into() })
    }

    /// The settings with the changes kept earlier. One that no longer makes sense, beside a new
    /// configuration, is left out: it must not keep the server from starting.
    pub(crate) fn with_kept(settings: RetrievalSettings, changes: &Changes) -> RetrievalSettings {
        match changed_retrieval_settings(&settings, changes) {
            Ok(changed) => changed,
            Err(refusal) => {
                tracing::warn!(%refusal, "Settings of retrieval do not fit together; each is tried alone");
                changes.iter().fold(settings, |settings, (name, value)| {
                    let one = Changes::from_iter([(name.clone(), value.clone())]);
                    changed_retrieval_settings(&settings, &one).unwrap_or(settings)
                })
            }
        }
    }

    /// Apply what is in force from the start and what is not part of any configuration.
    pub(crate) fn begin(&self) {
        self.ingestor.set_service(readers::service(&self.live.load().engine, &self.client));
    }

    fn apply(&self, settings: RetrievalSettings) {
        self.library.set_config(settings.library.clone());
        self.chat.set_config(settings.chat.clone());
        self.ingestor.set_plan(settings.chunks);
        self.live.store(settings);
        self.begin();
    }
}

#[async_trait]
impl Tuning for Tuner {
    fn settings(&self) -> RetrievalSettings {
        self.live.load().as_ref().clone()
    }

    async fn change(&self, change: &Map<String, Value>) -> Result<(), SettingRefusal> {
        let mut changes = self.changes.lock().await;
        let next = changed_retrieval_settings(&self.live.load(), change)?;
        let mut merged = changes.clone();
        let before = breezeway_api::retrieval_config(&self.live.load());
        for (name, value) in breezeway_api::retrieval_config(&next) {
            // Kept is what is different now, as it is shown, where nothing stands for "no limit".
            if before.get(&name) != Some(&value) {
                merged.insert(name, if value.is_null() { "".into() } else { value });
            }
        }
        self.settings.put_setting(SETTING, &Value::from(merged.clone()).to_string()).await?;
        *changes = merged;
        self.apply(next);
        Ok(())
    }

    fn embedding(&self) -> EmbeddingView {
        self.embedder.view()
    }

    async fn change_embedding(&self, change: EmbeddingChange) -> Result<(), TuningError> {
        self.embedder.change(change).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Config;

    fn settings() -> RetrievalSettings {
        crate::builder::retrieval_settings(&Config::at("unused", "secret"))
    }

    #[test]
    fn what_was_kept_wins_over_the_configuration() {
        let kept = json!({"TOP_K": 9, "FILE_MAX_SIZE": ""});
        let mut configured = settings();
        configured.library.max_upload_bytes = 1 << 20;

        let next = Tuner::with_kept(configured, kept.as_object().unwrap());

        assert_eq!(next.rag.top_k, 9);
        assert_eq!(next.library.max_upload_bytes, next.unlimited_upload_bytes);
    }

    #[test]
    fn one_setting_that_no_longer_fits_does_not_take_the_others_with_it() {
        let kept = json!({"CHUNK_OVERLAP": 900, "TOP_K": 9});
        let mut configured = settings();
        configured.chunks.size = 500;

        let next = Tuner::with_kept(configured, kept.as_object().unwrap());

        assert_eq!((next.chunks.size, next.chunks.overlap, next.rag.top_k), (500, 100, 9));
    }
}

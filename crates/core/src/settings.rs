//! Settings that an admin changes at run time and that outlive a restart.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use crate::StoreError;

/// Named texts. Each user of the port owns one name and decides what its text means (JSON, usually).
///
/// # Contract
/// - a text reads back exactly as written;
/// - writing a name again replaces its text;
/// - a name never written reads as `None`.
#[async_trait]
pub trait SettingsStore: Send + Sync + 'static {
    /// The text under `name`.
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Write the text under `name`.
    async fn put_setting(&self, name: &str, text: &str) -> Result<(), StoreError>;
}

/// The port in memory, for tests and for embedders. Clones share their texts.
#[derive(Clone, Debug, Default)]
pub struct MemorySettings(Arc<Mutex<HashMap<String, String>>>);

#[async_trait]
impl SettingsStore for MemorySettings {
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned())
    }

    async fn put_setting(&self, name: &str, text: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), text.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_setting_reads_back_as_last_written() {
        let settings = MemorySettings::default();

        settings.put_setting("colour", "red").await.unwrap();
        settings.put_setting("colour", "blue").await.unwrap();

        assert_eq!(settings.setting("colour").await.unwrap().as_deref(), Some("blue"));
        assert_eq!(settings.setting("shape").await.unwrap(), None);
    }
}

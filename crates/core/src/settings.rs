//! Settings that an admin changes at run time and that outlive a restart.

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

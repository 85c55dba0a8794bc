//! The port to the web.

use async_trait::async_trait;
use bytes::Bytes;

/// What was at an address.
#[derive(Clone, Debug)]
pub struct WebPage {
    /// What the server calls it, e.g. `text/html; charset=utf-8`; empty if it does not say.
    pub media_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// Fetches what is at an address that a user named.
///
/// # Contract
/// - addresses that only this machine reaches are refused, unless its owner has allowed them;
/// - size and time are bounded;
/// - `None` means that there is nothing to be had, whyever: the reason is in the log alone, since it
///   would tell the user about this machine's network.
#[async_trait]
pub trait Web: Send + Sync + 'static {
    /// Fetch.
    async fn fetch(&self, url: &str) -> Option<WebPage>;
}

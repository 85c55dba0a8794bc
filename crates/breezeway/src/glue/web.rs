//! The web, as the API asks for it.

use async_trait::async_trait;
use breezeway_api::{Web, WebPage};
use breezeway_upstream::WebClient;
use tracing::info;

/// Fetches through the guarded client.
pub(crate) struct Pages(pub(crate) WebClient);

#[async_trait]
impl Web for Pages {
    async fn fetch(&self, url: &str) -> Option<WebPage> {
        match self.0.fetch(url).await {
            Ok(page) => Some(WebPage { media_type: page.media_type, bytes: page.bytes }),
            Err(error) => {
                // The address itself may carry a secret, and is not logged.
                info!(error = %error, "A page of the web was not fetched");
                None
            }
        }
    }
}

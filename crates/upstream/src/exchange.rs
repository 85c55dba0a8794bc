//! Calls over one connection, as patient as it says.

use std::time::Duration;

use breezeway_registry::{Connection, UpstreamError};
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::{
    HttpClient, RequestBody,
    answer::{answered, plain, within},
};

/// Asks an upstream, whatever its dialect.
#[derive(Clone, Debug)]
pub struct Exchange {
    client: HttpClient,
    timeout: Option<Duration>,
    first_byte_timeout: Option<Duration>,
}

impl Exchange {
    /// Calls over a connection, with its limits.
    pub fn of(connection: &Connection, client: HttpClient) -> Self {
        Self {
            client,
            timeout: connection.timeout,
            first_byte_timeout: connection.routing.first_byte_timeout,
        }
    }

    /// The head of an answer that is no error.
    ///
    /// # Errors
    /// What the upstream answered instead, or why it did not.
    pub async fn ask(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, UpstreamError> {
        within(self.timeout, self.head(request)).await
    }

    /// A whole answer that is no error.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), or why the answer did not come to its end.
    pub async fn ask_whole(&self, request: Request<RequestBody>) -> Result<Bytes, UpstreamError> {
        within(self.timeout, async {
            let response = self.head(request).await?;
            self.client.whole(response.into_body()).await
        })
        .await
    }

    /// The body of an answer whose head is here, whole.
    pub(crate) async fn rest(&self, response: Response<Incoming>) -> Result<Bytes, UpstreamError> {
        within(self.timeout, self.client.whole(response.into_body())).await
    }

    async fn head(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, UpstreamError> {
        let response = within(self.first_byte_timeout, self.client.send(request)).await?;
        plain(answered(response).await?)
    }
}

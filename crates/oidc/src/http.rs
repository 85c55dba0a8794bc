//! Our HTTP client as the one of `openidconnect`.

use std::{future::Future, pin::Pin, time::Duration};

use breezeway_upstream::{ClientConfig, HttpClient, full_body};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use tokio::time::timeout;

/// Documents, key sets and tokens have a few kilobytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Asks the provider. It has connections of its own, few of them: a provider that hangs must not take
/// any from the upstreams.
pub(crate) struct Http {
    client: HttpClient,
    timeout: Duration,
}

/// Why there is no answer. The text is the network's, never a part of a request.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct HttpError(String);

impl HttpError {
    fn of(why: impl ToString) -> Self {
        Self(why.to_string())
    }
}

impl Http {
    pub(crate) fn new(timeout: Duration) -> Self {
        let config = ClientConfig {
            connect_timeout: timeout,
            pool_idle_per_host: 4,
            max_answer_bytes: MAX_ANSWER_BYTES,
            ..ClientConfig::default()
        };
        Self { client: HttpClient::new(config), timeout }
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let exchange = async {
            let answer = self.client.send(request.map(full_body)).await.map_err(HttpError::of)?;
            let (head, body) = answer.into_parts();
            let body = self.client.whole(body).await.map_err(HttpError::of)?;
            Ok(HttpResponse::from_parts(head, body.to_vec()))
        };
        match timeout(self.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError(format!("no answer within {} s", self.timeout.as_secs_f32()))),
        }
    }

    /// `GET` what has to be there, as bytes.
    pub(crate) async fn get(&self, url: &str, bearer: Option<&str>) -> Result<Vec<u8>, HttpError> {
        let mut request = http::Request::get(url).header(http::header::ACCEPT, "application/json");
        if let Some(token) = bearer {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        // The cause could name the token, so it is left out.
        let request = request.body(Vec::new()).map_err(|_| HttpError::of("the request cannot be made"))?;
        let answer = self.ask(request).await?;
        match answer.status() {
            http::StatusCode::OK => Ok(answer.into_body()),
            status => Err(HttpError(format!("it answered {status}"))),
        }
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}

//! Embedding by a remote service, whatever its dialect: batches, limits, one second try, checks.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use breezeway_core::Secret;
use breezeway_embedding::{EmbedError, EmbeddingModel, Fingerprint, Purpose, Vector, by_length};
use breezeway_registry::{Error, UpstreamError};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::{sync::Semaphore, time::sleep};

use crate::{Endpoint, HttpClient, answered, message_in, within};

/// How a service is asked for vectors.
pub trait EmbeddingDialect: Send + Sync + 'static {
    /// A word for the fingerprint.
    fn name(&self) -> &'static str;

    /// The path behind the base URL.
    fn path(&self) -> &'static str;

    /// The body of a request.
    fn request(&self, model: &str, texts: &[&str]) -> Value;

    /// The vectors in an answer, in the order of the texts.
    fn vectors(&self, body: &[u8]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// What a remote embedder needs to know.
#[derive(Clone, Debug)]
pub struct EmbedderConfig {
    /// The service's base URL.
    pub url: String,
    /// Its key, if it wants one.
    pub key: Option<Secret>,
    /// What it calls the model.
    pub model: String,
    /// Put before every question.
    pub query_prefix: String,
    /// Put before every passage.
    pub passage_prefix: String,
    /// Most texts of one request.
    pub batch: usize,
    /// Most requests at a time, over all callers.
    pub concurrency: usize,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Longest wait that a busy service may ask for; one that asks for more is not waited for.
    pub longest_retry_wait: Duration,
    /// Whether the model reads scripts other than Latin.
    pub multilingual: bool,
    /// Entries of a vector, if known beforehand; otherwise the first answer decides.
    pub dimensions: Option<usize>,
}

impl EmbedderConfig {
    /// `model` at `url`, without key or prefixes, with limits that suit most services.
    pub fn new(url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key: None,
            model: model.into(),
            query_prefix: String::new(),
            passage_prefix: String::new(),
            batch: 32,
            concurrency: 4,
            timeout: Duration::from_secs(60),
            longest_retry_wait: Duration::from_secs(10),
            multilingual: true,
            dimensions: None,
        }
    }
}

/// Embeds text at a remote service.
#[derive(Debug)]
pub struct RemoteEmbedder<D> {
    dialect: D,
    endpoint: Endpoint,
    client: HttpClient,
    config: EmbedderConfig,
    fingerprint: Fingerprint,
    dimensions: OnceLock<usize>,
    slots: Arc<Semaphore>,
}

/// Why one batch got no vectors.
enum Refusal {
    /// It is too large for the service; a smaller one may pass.
    TooLarge(EmbedError),
    Final(EmbedError),
}

impl<D: EmbeddingDialect + Default> RemoteEmbedder<D> {
    /// An embedder. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::BadConnection`] if the URL or the key cannot be used.
    pub fn new(config: EmbedderConfig, client: HttpClient) -> Result<Self, Error> {
        let dialect = D::default();
        // The same model behind another address gives the same vectors. The prefixes are quoted, so
        // that no two settings read the same.
        let fingerprint = format!(
            "{}/{} query={:?} passage={:?}",
            dialect.name(),
            config.model,
            config.query_prefix,
            config.passage_prefix
        );
        Ok(Self {
            dialect,
            endpoint: Endpoint::new(&config.url, config.key.as_ref())?,
            client,
            fingerprint: Fingerprint::new(fingerprint),
            dimensions: config.dimensions.map(OnceLock::from).unwrap_or_default(),
            slots: Arc::new(Semaphore::new(config.concurrency.max(1))),
            config,
        })
    }
}

impl<D: EmbeddingDialect> RemoteEmbedder<D> {
    /// Embed the texts at `places`, in smaller and smaller parts where they are too many at once.
    async fn embed_batch(
        &self,
        texts: &[String],
        places: Vec<usize>,
    ) -> Result<Vec<(usize, Vector)>, EmbedError> {
        let mut embedded = Vec::with_capacity(places.len());
        let mut parts = vec![places];
        while let Some(mut part) = parts.pop() {
            let asked: Vec<&str> = part.iter().map(|&place| texts[place].as_str()).collect();
            match self.ask(&asked).await {
                Ok(vectors) => embedded.extend(part.into_iter().zip(vectors)),
                Err(Refusal::TooLarge(_)) if part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Err(Refusal::TooLarge(error) | Refusal::Final(error)) => return Err(error),
            }
        }
        Ok(embedded)
    }

    async fn ask(&self, texts: &[&str]) -> Result<Vec<Vector>, Refusal> {
        let request = Bytes::from(self.dialect.request(&self.config.model, texts).to_string());
        let body = match self.send(request.clone()).await {
            Err(error) => match self.worth_waiting(&error) {
                Some(wait) => {
                    sleep(wait).await;
                    self.send(request).await
                }
                None => Err(error),
            },
            answer => answer,
        };
        let body = body.map_err(|error| self.refusal(error))?;
        self.checked(texts.len(), self.dialect.vectors(&body).map_err(Refusal::Final)?)
            .map_err(Refusal::Final)
    }

    async fn send(&self, request: Bytes) -> Result<Bytes, UpstreamError> {
        let request = self.endpoint.post_json(self.dialect.path(), request)?;
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        within(Some(self.config.timeout), async {
            let response = answered(self.client.send(request).await?).await?;
            self.client.whole(response.into_body()).await
        })
        .await
    }

    /// How long to wait before a second try, if the service said so and it is not too long.
    fn worth_waiting(&self, error: &UpstreamError) -> Option<Duration> {
        let UpstreamError::Answered { status: 429 | 503, retry_after: Some(after), .. } = error else {
            return None;
        };
        let wait = Duration::from_secs(after.trim().parse().ok()?);
        (wait <= self.config.longest_retry_wait).then_some(wait)
    }

    fn refusal(&self, error: UpstreamError) -> Refusal {
        match error {
            UpstreamError::Answered { status, body, .. } => {
                let text = format!("it answered {status}: {}", self.without_key(message_in(&body)));
                match status {
                    413 => Refusal::TooLarge(EmbedError::Refused(text)),
                    408 | 429 | 500.. => Refusal::Final(EmbedError::Transient(text)),
                    _ => Refusal::Final(EmbedError::Refused(text)),
                }
            }
            UpstreamError::Malformed(why) => Refusal::Final(EmbedError::Malformed(why)),
            error => Refusal::Final(EmbedError::Transient(error.to_string())),
        }
    }

    /// Services repeat a wrong key in their answer, and the answer is kept with the file.
    fn without_key(&self, text: String) -> String {
        match &self.config.key {
            Some(key) if !key.is_empty() => text.replace(key.expose(), "[secret]"),
            _ => text,
        }
    }

    fn checked(&self, asked: usize, vectors: Vec<Vec<f32>>) -> Result<Vec<Vector>, EmbedError> {
        if vectors.len() != asked {
            return Err(EmbedError::Malformed(format!("{} vectors for {asked} texts", vectors.len())));
        }
        vectors.into_iter().map(|numbers| self.checked_vector(numbers)).collect()
    }

    fn checked_vector(&self, numbers: Vec<f32>) -> Result<Vector, EmbedError> {
        let vector = Vector::normalized(numbers)
            .ok_or_else(|| EmbedError::Malformed("a vector is empty or not finite".to_owned()))?;
        let dimensions = *self.dimensions.get_or_init(|| vector.dimensions());
        match vector.dimensions() {
            same if same == dimensions => Ok(vector),
            other => {
                Err(EmbedError::Malformed(format!("a vector of {other} dimensions instead of {dimensions}")))
            }
        }
    }
}

#[async_trait]
impl<D: EmbeddingDialect> EmbeddingModel for RemoteEmbedder<D> {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimensions(&self) -> Option<usize> {
        self.dimensions.get().copied()
    }

    fn is_multilingual(&self) -> bool {
        self.config.multilingual
    }

    async fn embed(&self, purpose: Purpose, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        let prefix = match purpose {
            Purpose::Query => &self.config.query_prefix,
            Purpose::Passage => &self.config.passage_prefix,
        };
        let batches = by_length(texts, self.config.batch);
        let texts: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();

        let mut embedded: Vec<(usize, Vector)> = stream::iter(batches)
            .map(|places| self.embed_batch(&texts, places))
            .buffer_unordered(self.config.concurrency.max(1))
            .try_concat()
            .await?;

        embedded.sort_by_key(|(place, _)| *place);
        Ok(embedded.into_iter().map(|(_, vector)| vector).collect())
    }
}

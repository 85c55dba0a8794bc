//! The local embedding model: fetched when it is not there, loaded when it is first needed.
//!
//! A loaded model holds some 180 MB. A gateway that nobody asks about documents should not, so only
//! the fingerprint is computed at the start, and the sessions are opened by the first text.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use breezeway_core::{Lane, LaneConfig};
use breezeway_embedding::{EmbedError, EmbeddingModel, Fingerprint, Purpose, Vector};
use breezeway_embedding_fastembed::{
    Body, Download, DownloadError, FastembedModel, FetchConfig, FetchError, LoadError, ModelFiles,
    ModelOptions, OnProgress, fetch, fingerprint_of,
};
use breezeway_upstream::{BoxError, ClientConfig, HttpClient, empty_body};
use futures_util::StreamExt;
use http::{Request, StatusCode, header};
use http_body_util::BodyStream;
use tokio::sync::OnceCell;

/// Dimensions of all-MiniLM-L6-v2.
const DIMENSIONS: usize = 384;
/// Redirects that a download follows: hubs send on to their storage, mirrors to the hub.
const REDIRECTS: usize = 5;

/// The local embedding model.
#[derive(Clone)]
pub struct LocalModelConfig {
    /// Where its files are kept and come from.
    pub fetch: FetchConfig,
    /// Told how far the files have come.
    pub progress: OnProgress,
}

impl fmt::Debug for LocalModelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalModelConfig").field(&self.fetch.target).finish()
    }
}

/// Brings the model.
pub(crate) struct LocalModel {
    config: LocalModelConfig,
    client: HttpClient,
    embed: Lane,
    fetch: Lane,
}

impl LocalModel {
    pub(crate) fn new(config: LocalModelConfig, client: HttpClient, embed: Lane, fetch: Lane) -> Self {
        Self { config, client, embed, fetch }
    }

    /// Whether only this machine is asked.
    pub(crate) fn is_offline(&self) -> bool {
        self.config.fetch.offline
    }

    /// Fetch what is missing and answer the model, which is not loaded yet.
    pub(crate) async fn bring(&self) -> Result<Arc<dyn EmbeddingModel>, BoxError> {
        let files = files(&self.config, self.client.clone(), &self.fetch).await?;
        let options = ModelOptions::default();
        let hashed = files.clone();
        let fingerprint = self.fetch.run(move || fingerprint_of(&hashed, options)).await??;
        Ok(Arc::new(Lazy { fingerprint, files, options, lane: self.embed.clone(), loaded: OnceCell::new() }))
    }
}

/// Fetch the files of the local model, so that a later start finds them.
///
/// # Errors
/// If some of them cannot be had anywhere.
pub async fn fetch_local_model(config: &LocalModelConfig, client: &ClientConfig) -> Result<(), FetchError> {
    let lane = Lane::new("fetch", LaneConfig { threads: 1, queue: 8 });
    files(config, HttpClient::new(client.clone()), &lane).await.map(|_| ())
}

async fn files(config: &LocalModelConfig, client: HttpClient, lane: &Lane) -> Result<ModelFiles, FetchError> {
    fetch(&config.fetch, &Http(client), lane, config.progress.clone()).await
}

/// A model whose sessions are opened by its first text.
struct Lazy {
    fingerprint: Fingerprint,
    files: ModelFiles,
    options: ModelOptions,
    lane: Lane,
    loaded: OnceCell<Arc<FastembedModel>>,
}

#[async_trait]
impl EmbeddingModel for Lazy {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimensions(&self) -> Option<usize> {
        Some(DIMENSIONS)
    }

    fn is_multilingual(&self) -> bool {
        false
    }

    fn token_ends(&self, text: &str) -> Option<Vec<usize>> {
        // Before its first text there is no tokenizer yet, and an estimate does.
        self.loaded.get()?.token_ends(text)
    }

    async fn embed(&self, purpose: Purpose, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        let load = || FastembedModel::load(self.files.clone(), self.options, self.lane.clone());
        let model = self.loaded.get_or_try_init(load).await.map_err(|error| match error {
            LoadError::Lane(lane) => EmbedError::Lane(lane),
            other => EmbedError::Model(Box::new(other)),
        })?;
        model.embed(purpose, texts).await
    }
}

/// Downloads through the client that also speaks to upstreams.
struct Http(HttpClient);

#[async_trait]
impl Download for Http {
    async fn get(&self, url: &str, from: u64) -> Result<Body, DownloadError> {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS {
            let mut request = Request::get(&url).header(header::USER_AGENT, "breezeway");
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = self.0.send(request.body(empty_body())?).await?;
            let status = response.status();
            if status.is_redirection() {
                let target = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
                url = resolve(&url, target.ok_or("a redirect that leads nowhere")?)?;
                continue;
            }
            if !status.is_success() {
                return Err(format!("`{url}` answered {status}").into());
            }
            let length = response.headers().get(header::CONTENT_LENGTH);
            let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            let starts_at = if status == StatusCode::PARTIAL_CONTENT { from } else { 0 };
            let pieces = BodyStream::new(response.into_body()).filter_map(|frame| async move {
                match frame {
                    Ok(frame) => frame.into_data().ok().map(Ok),
                    Err(error) => Some(Err(error.into())),
                }
            });
            return Ok(Body {
                starts_at,
                total_bytes: length.map(|length| length + starts_at),
                bytes: Box::pin(timed(pieces)),
            });
        }
        Err("too many redirects".into())
    }
}

/// End a download whose server has stopped sending.
fn timed<S>(pieces: S) -> impl futures_util::Stream<Item = Result<bytes::Bytes, DownloadError>> + Send
where
    S: futures_util::Stream<Item = Result<bytes::Bytes, DownloadError>> + Send,
{
    const SILENCE: std::time::Duration = std::time::Duration::from_secs(60);
    futures_util::stream::unfold(Box::pin(pieces), |mut pieces| async move {
        match tokio::time::timeout(SILENCE, pieces.next()).await {
            Ok(piece) => piece.map(|piece| (piece, pieces)),
            Err(_) => Some((Err("the server stopped sending".into()), pieces)),
        }
    })
}

/// Where a redirect leads: to an address of its own, or to a path of the same server. Never from a
/// protected connection to an open one.
fn resolve(from: &str, target: &str) -> Result<String, DownloadError> {
    let (scheme, rest) = from.split_once("://").ok_or("an address without a scheme")?;
    let next = if target.contains("://") {
        target.to_owned()
    } else if let Some(path) = target.strip_prefix('/') {
        let host = rest.split('/').next().unwrap_or_default();
        format!("{scheme}://{host}/{path}")
    } else {
        let folder = from.rsplit_once('/').map_or(from, |(folder, _)| folder);
        format!("{folder}/{target}")
    };
    if scheme == "https" && !next.starts_with("https://") {
        return Err("a redirect from a protected connection to an open one".into());
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_where_it_says_and_never_out_of_tls() {
        let from = "https://hub.example/models/a/model.onnx";

        assert_eq!(resolve(from, "https://cdn.example/x").unwrap(), "https://cdn.example/x");
        assert_eq!(resolve(from, "/x/y").unwrap(), "https://hub.example/x/y");
        assert_eq!(resolve(from, "b.onnx").unwrap(), "https://hub.example/models/a/b.onnx");
        assert!(resolve(from, "http://cdn.example/x").is_err());
    }
}

//! The model: ONNX sessions behind the embedding port.

use std::{fs, path::Path, sync::Arc};

use async_trait::async_trait;
use breezeway_core::Lane;
use breezeway_embedding::{EmbedError, EmbeddingModel, Fingerprint, Purpose, Vector, by_length};
use fastembed::{
    InitOptionsUserDefined, Pooling, QuantizationMode, TextEmbedding, TokenizerFiles,
    UserDefinedEmbeddingModel,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use self::queue::Queue;
use crate::{
    LoadError, ModelFiles,
    files::{ONNX, TOKENIZER},
};

mod queue;

/// The longest text that reaches the tokenizer, in bytes. What 256 tokens can hold is far less; the
/// bound is for the time a megabyte without a space would take to be cut down to them.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// How a model is run.
#[derive(Clone, Copy, Debug)]
pub struct ModelOptions {
    /// Sessions, each for one lane thread at a time and each with its own copy of the weights
    /// (about 180 MB for the default model). As many as the lane has threads, at least one.
    pub sessions: usize,
    /// Texts in one run of a session. Small ones waste little on padding and let a question in
    /// between soon.
    pub batch: usize,
    /// Tokens after which a text is cut.
    pub max_tokens: usize,
}

impl Default for ModelOptions {
    /// One session, batches of 8, 256 tokens: what all-MiniLM-L6-v2 was trained for.
    fn default() -> Self {
        Self { sessions: 1, batch: 8, max_tokens: 256 }
    }
}

/// A local ONNX model with mean pooling.
///
/// Questions do not wait behind passages: whoever gets a lane thread next answers the questions
/// first, so a question waits for one batch at most.
pub struct FastembedModel {
    fingerprint: Fingerprint,
    dimensions: Option<usize>,
    queue: Arc<Queue<TextEmbedding>>,
    tokens: Tokens,
    sessions: usize,
    batch: usize,
}

/// Tells where the tokens of a text end; `None` if the tokenizer fails on it.
type Tokens = Arc<dyn Fn(&str) -> Option<Vec<usize>> + Send + Sync>;

impl FastembedModel {
    /// Load a model and let it answer once. It keeps `lane` for itself: jobs of others on the same
    /// lane would be waited for.
    ///
    /// # Errors
    /// If a file is missing or no model, or the library is missing, too old or none.
    pub async fn load(files: ModelFiles, options: ModelOptions, lane: Lane) -> Result<Arc<Self>, LoadError> {
        let folder = files.folder.clone();
        let (fingerprint, sessions) = lane.run(move || open(&files, options)).await??;
        let tokens = sessions.first().map_or_else(no_tokens, tokens_of);
        let queue = Queue::new(lane, sessions, |session: &mut TextEmbedding, texts: &[String]| {
            session.embed(texts, None).map_err(|error| EmbedError::Model(error.into()))
        });
        let model = Self {
            fingerprint,
            dimensions: None,
            queue: Arc::new(queue),
            tokens,
            sessions: options.sessions.max(1),
            batch: options.batch.max(1),
        };
        let first = match model.embed(Purpose::Query, &["a first text"]).await {
            Ok(vectors) => vectors.into_iter().next(),
            Err(EmbedError::Lane(lane)) => return Err(lane.into()),
            Err(error) => return Err(LoadError::Model { folder, source: error.into() }),
        };
        let dimensions = first.ok_or(LoadError::NoVectors(folder))?.dimensions();
        Ok(Arc::new(Self { dimensions: Some(dimensions), ..model }))
    }
}

fn no_tokens() -> Tokens {
    Arc::new(|_| None)
}

/// The tokenizer of a session, without what it does for the model: cutting and filling up.
fn tokens_of(session: &TextEmbedding) -> Tokens {
    let mut tokenizer = session.tokenizer.clone();
    tokenizer.with_padding(None);
    if tokenizer.with_truncation(None).is_err() {
        return no_tokens();
    }
    Arc::new(move |text| {
        let encoding = tokenizer.encode(text, false).ok()?;
        Some(encoding.get_offsets().iter().map(|(_, end)| *end).collect())
    })
}

/// Open the sessions of a model. Nothing of the runtime is touched before its library is known to be
/// one: the bindings panic on a library they cannot load.
fn open(files: &ModelFiles, options: ModelOptions) -> Result<(Fingerprint, Vec<TextEmbedding>), LoadError> {
    if let Some(missing) = files.paths().find(|path| !path.is_file()) {
        return Err(LoadError::Missing(missing));
    }
    check_library(&files.library)?;
    // The library stays loaded for the rest of the process, and the first one wins. The environment
    // built on it is left to fastembed, which shares one among all sessions of a process.
    ort::init_from(&files.library).map_err(|_| LoadError::NotALibrary(files.library.clone()))?;

    let read = |name: &str| {
        let path = files.path(name);
        fs::read(&path).map_err(|source| LoadError::Unreadable { path, source })
    };
    let onnx_file = read(ONNX)?;
    let [tokenizer_file, config_file, special_tokens_map_file, tokenizer_config_file] = TOKENIZER.map(read);
    let tokenizer_files = TokenizerFiles {
        tokenizer_file: tokenizer_file?,
        config_file: config_file?,
        special_tokens_map_file: special_tokens_map_file?,
        tokenizer_config_file: tokenizer_config_file?,
    };
    let fingerprint = fingerprint(files, options, &onnx_file);

    // The weights may be quantised, but activations are not: vectors do not depend on the batch.
    let model = UserDefinedEmbeddingModel::new(onnx_file, tokenizer_files)
        .with_pooling(Pooling::Mean)
        .with_quantization(QuantizationMode::None);
    // One thread a session, which does not spin while it waits: spinning halved the chunks per CPU
    // second on a busy machine (docs/decisions/0003-embedding-runtime.md).
    let options_of_session = InitOptionsUserDefined::new()
        .with_max_length(options.max_tokens)
        .with_intra_threads(1)
        .with_session_config("session.intra_op.allow_spinning", "0");
    let mut sessions = Vec::new();
    for _ in 0..options.sessions.max(1) {
        let opened = TextEmbedding::try_new_from_user_defined(model.clone(), options_of_session.clone());
        let session = opened
            .map_err(|source| LoadError::Model { folder: files.folder.clone(), source: source.into() })?;
        sessions.push(session);
    }
    Ok((fingerprint, sessions))
}

/// The fingerprint that a model will have once it is loaded, without loading it. Reads its weights, so
/// it is work for a lane.
///
/// # Errors
/// If the weights cannot be read.
pub fn fingerprint_of(files: &ModelFiles, options: ModelOptions) -> Result<Fingerprint, LoadError> {
    let path = files.path(ONNX);
    let weights = fs::read(&path).map_err(|source| LoadError::Unreadable { path, source })?;
    Ok(fingerprint(files, options, &weights))
}

fn fingerprint(files: &ModelFiles, options: ModelOptions, weights: &[u8]) -> Fingerprint {
    let weights: String = Sha256::digest(weights).iter().map(|byte| format!("{byte:02x}")).collect();
    Fingerprint::new(format!("{}:{weights}:mean,{}", files.name, options.max_tokens))
}

/// Whether `path` is an ONNX Runtime that is new enough.
pub(crate) fn check_library(path: &Path) -> Result<(), LoadError> {
    match ort::util::probe(path) {
        None => Err(LoadError::NotALibrary(path.to_owned())),
        Some(found) if found < ort::MINOR_VERSION => {
            Err(LoadError::OldLibrary { path: path.to_owned(), found, needed: ort::MINOR_VERSION })
        }
        Some(_) => Ok(()),
    }
}

fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}

#[async_trait]
impl EmbeddingModel for FastembedModel {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimensions(&self) -> Option<usize> {
        self.dimensions
    }

    fn is_multilingual(&self) -> bool {
        false
    }

    fn token_ends(&self, text: &str) -> Option<Vec<usize>> {
        (self.tokens)(text)
    }

    async fn embed(&self, purpose: Purpose, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        let jobs: Vec<_> = by_length(texts, self.batch)
            .into_iter()
            .map(|batch| {
                let texts: Vec<String> = batch.iter().map(|&index| clip(texts[index]).to_owned()).collect();
                let queue = self.queue.clone();
                async move { queue.run(purpose, texts).await.map(|numbers| (batch, numbers)) }
            })
            .collect();
        let done: Vec<_> = stream::iter(jobs).buffer_unordered(self.sessions).try_collect().await?;

        let mut vectors = vec![None; texts.len()];
        for (batch, numbers) in done {
            for (index, numbers) in batch.into_iter().zip(numbers) {
                vectors[index] = Vector::normalized(numbers);
            }
        }
        let whole: Option<Vec<Vector>> = vectors.into_iter().collect();
        whole.ok_or_else(|| EmbedError::Malformed("a vector is missing or not finite".to_owned()))
    }
}

impl std::fmt::Debug for FastembedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FastembedModel").field(&self.fingerprint).finish()
    }
}

#[cfg(test)]
mod tests;

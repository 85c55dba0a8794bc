//! The way of one file: extract, chunk, embed, commit.

use std::collections::{HashMap, HashSet};

use breezeway_embedding::{EmbedError, EmbeddingModel, Fingerprint, Purpose, Vector, by_length};
use breezeway_knowledge::{ChunkHash, Claim, Document, FileCommit, NewChunk};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::{
    Error, Ingestor, Progress, Result, Stage, chunk,
    extract::{self, ExtractError, Extracted, Extraction, Hint, Source},
};

/// Hashes asked about at once, and vectors written at once.
pub(crate) const HASHES_AT_ONCE: usize = 500;

/// A document cut into chunks.
struct Cut {
    document: Document,
    text_hash: String,
    chunks: Vec<NewChunk>,
}

impl Ingestor {
    /// Take a claimed file to its commit. `false` if the claim was lost or the file is gone, and
    /// nothing has changed.
    pub(crate) async fn process(&self, claim: &Claim) -> Result<bool> {
        let id = &claim.file.id;
        self.board.set(id, Progress { stage: Stage::Extracting, chunks_done: 0, chunks_total: 0 });
        let cut = self.read(claim).await?;

        let total = cut.chunks.len();
        self.board.set(id, Progress { stage: Stage::Embedding, chunks_done: 0, chunks_total: total });
        let vectors = match self.model() {
            Some(model) => {
                let vectors = self.vectors(claim, model.as_ref(), &cut.chunks).await?;
                Some((model.fingerprint().clone(), vectors))
            }
            None => None,
        };

        self.board.set(id, Progress { stage: Stage::Committing, chunks_done: total, chunks_total: total });
        let fingerprint = vectors.as_ref().map(|(fingerprint, _)| fingerprint.clone());
        let commit = FileCommit {
            file: id.clone(),
            attempt: claim.attempt,
            text_hash: cut.text_hash,
            document: cut.document,
            chunks: cut.chunks,
            vectors,
        };
        let committed = self.chunks.commit_file(commit, self.clock.now()).await?;
        if committed {
            tracing::info!(file.id = %id, chunks = total, "Processed file `{id}` into {total} chunks");
            self.look_behind(fingerprint.as_ref());
        }
        Ok(committed)
    }

    /// Extract and cut.
    async fn read(&self, claim: &Claim) -> Result<Cut> {
        let file = &claim.file;
        let hint = Hint::new(file.name.clone(), file.media_type.clone());
        let (plan, model) = (*self.plan.load(), self.model());
        let source = self.source(claim).await?;
        match self.extracted_anywhere(hint, source, move |read| cut(read, &plan, model.as_deref())).await {
            // A film has no text and is no failure: clients keep films beside what they ask about.
            Err(Error::Extract(ExtractError::Unsupported(_))) if file.media_type.starts_with("video/") => {
                Ok(Cut {
                    document: Document::default(),
                    text_hash: hex(&Sha256::digest("")),
                    chunks: Vec::new(),
                })
            }
            read => read,
        }
    }

    /// Read the text of something that is not kept: a page that somebody only wants to see.
    ///
    /// # Errors
    /// If there is no text to be had, or nobody has the time to look for it.
    pub async fn read_text(&self, hint: Hint, bytes: Bytes) -> Result<Document> {
        self.extracted(hint, Source::Bytes(bytes), |read| read.document).await
    }

    /// Extract an uploaded file: by the service that there may be for its kind, or here.
    async fn extracted_anywhere<T: Send + 'static>(
        &self,
        hint: Hint,
        source: Source,
        make: impl FnOnce(Extracted) -> T + Send + 'static,
    ) -> Result<T> {
        let service = self.service.load().as_ref().clone().filter(|service| service.takes(&hint));
        let Some(service) = service else { return self.extracted(hint, source, make).await };
        let limits = self.config.limits;
        let bytes = self.lane.run(move || source.load(&limits)).await??;
        let parts = service.read(&hint, bytes).await;
        let parts = parts.map_err(|reason| Error::Service { name: service.name(), reason })?;
        Ok(self.lane.run(move || extract::assemble(parts, &limits).map(make)).await??)
    }

    /// Extract, where the configuration says, and make something of what was read, on the lane.
    async fn extracted<T: Send + 'static>(
        &self,
        hint: Hint,
        source: Source,
        make: impl FnOnce(Extracted) -> T + Send + 'static,
    ) -> Result<T> {
        let limits = self.config.limits;
        let made = match &self.config.extraction {
            Extraction::InProcess => {
                let work = self.lane.run(move || extract::in_process(hint, source, limits).map(make));
                // The thread cannot be stopped; at least nobody waits for it any longer.
                timeout(limits.time, work).await.unwrap_or_else(|_| Ok(Err(extract::time_limit(&limits))))?
            }
            Extraction::Child { program, arguments } => {
                let answer = extract::in_child(program, arguments, &hint, &source, &limits).await?;
                self.lane.run(move || answer.document().map(make)).await?
            }
        };
        Ok(made?)
    }

    /// The file's bytes: where they are, or in memory if they are nowhere on this machine.
    async fn source(&self, claim: &Claim) -> Result<Source> {
        let blob = &claim.file.blob;
        if let Some(path) = self.blobs.local_path(blob) {
            return Ok(Source::Path(path));
        }
        let mut pieces = self.blobs.open(blob, 0).await.map_err(Error::Blob)?.ok_or(Error::BlobMissing)?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(Error::Blob)?);
            // Extraction says what is too large; here it only must not fill the memory.
            if bytes.len() as u64 > self.config.limits.memory_bytes {
                break;
            }
        }
        Ok(Source::Bytes(Bytes::from(bytes)))
    }

    /// A vector for every chunk: those known already, and the rest from the model.
    async fn vectors(
        &self,
        claim: &Claim,
        model: &dyn EmbeddingModel,
        chunks: &[NewChunk],
    ) -> Result<HashMap<ChunkHash, Vector>> {
        let unique: Vec<ChunkHash> = {
            let mut seen = HashSet::new();
            chunks.iter().map(|chunk| chunk.hash).filter(|hash| seen.insert(*hash)).collect()
        };
        let mut vectors = HashMap::with_capacity(unique.len());
        for hashes in unique.chunks(HASHES_AT_ONCE) {
            vectors.extend(self.chunks.known_vectors(model.fingerprint(), hashes).await?);
        }
        let mut missing: HashMap<ChunkHash, &NewChunk> = HashMap::new();
        for chunk in chunks {
            if !vectors.contains_key(&chunk.hash) {
                missing.insert(chunk.hash, chunk);
            }
        }
        let missing: Vec<&NewChunk> = missing.into_values().collect();
        self.embed(model, &missing, &mut vectors, &mut |vectors| {
            // Progress counts chunks, of which several may share a vector.
            let done = chunks.len() * vectors.len() / unique.len().max(1);
            let progress =
                Progress { stage: Stage::Embedding, chunks_done: done, chunks_total: chunks.len() };
            self.board.set(&claim.file.id, progress);
        })
        .await?;
        Ok(vectors)
    }

    /// Embed `chunks`, which differ in their hashes, into `vectors`.
    pub(crate) async fn embed(
        &self,
        model: &dyn EmbeddingModel,
        chunks: &[&NewChunk],
        vectors: &mut HashMap<ChunkHash, Vector>,
        after_batch: &mut (dyn FnMut(&HashMap<ChunkHash, Vector>) + Send),
    ) -> Result<()> {
        let lengths: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        for batch in by_length(&lengths, self.config.embed_batch) {
            let texts: Vec<String> = batch.iter().map(|&index| chunk::embedded_text(chunks[index])).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let answer = model.embed(Purpose::Passage, &texts).await?;
            check(&answer, texts.len(), vectors.values().next())?;
            vectors.extend(batch.iter().map(|&index| chunks[index].hash).zip(answer));
            after_batch(vectors);
        }
        Ok(())
    }

    /// Have chunks looked for that were committed without vectors of the model now in use.
    fn look_behind(&self, committed: Option<&Fingerprint>) {
        if self.model().is_some_and(|model| Some(model.fingerprint()) != committed) {
            self.behind.notify_one();
        }
    }
}

/// Refuse an answer that is not one vector for each text, all as long as those before.
fn check(answer: &[Vector], texts: usize, before: Option<&Vector>) -> Result<(), EmbedError> {
    if answer.len() != texts {
        let found = answer.len();
        return Err(EmbedError::Malformed(format!("{found} vectors for {texts} texts")));
    }
    let Some(wanted) = before.or_else(|| answer.first()).map(Vector::dimensions) else { return Ok(()) };
    match answer.iter().map(Vector::dimensions).find(|&found| found != wanted) {
        Some(found) => Err(EmbedError::Malformed(format!("vectors of {found} and of {wanted} dimensions"))),
        None => Ok(()),
    }
}

fn cut(read: Extracted, plan: &chunk::ChunkPlan, model: Option<&dyn EmbeddingModel>) -> Cut {
    let tokens = |text: &str| {
        let counted = model.and_then(|model| model.token_ends(text));
        counted.unwrap_or_else(|| chunk::estimated_tokens(text))
    };
    let chunks = chunk::cut_by_tokens(&read.document, read.kind, plan, &tokens);
    let text_hash = hex(&Sha256::digest(read.document.text.as_bytes()));
    Cut { document: read.document, text_hash, chunks }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

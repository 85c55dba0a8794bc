//! The way of one file: extract, chunk, embed, commit.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use breezeway_embedding::{EmbedError, EmbeddingModel, Fingerprint, Purpose, Vector, by_length};
use breezeway_knowledge::{ChunkHash, Claim, Document, DraftKey, NewChunk, NewDraft};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::{
    Error, Ingestor, Progress, Result, Stage,
    chunk::{self, ChunkPlan, Measure},
    extract::{self, ExtractError, Extracted, Extraction, Hint, Source},
};

/// Chunks that are looked for at once, to bring vectors to those that have none.
pub(crate) const HASHES_AT_ONCE: usize = 500;

/// Chunks of a draft written in one transaction, which takes some 20 ms then.
const CHUNKS_AT_ONCE: usize = 500;

/// Chunks of a draft embedded before their vectors are written: ten seconds of work that a crash can cost.
/// Large enough for batches of similar length.
const WINDOW: u32 = 256;

/// Part of every draft's key: counted up when reading or cutting gives other texts than it did before.
const READING: &str = "1";

/// A document cut into chunks.
struct Cut {
    document: Document,
    text_hash: String,
    chunks: Vec<NewChunk>,
}

impl Ingestor {
    /// Take a claimed file to its commit. `false` if the claim was lost or the file is gone, and
    /// nothing has changed.
    ///
    /// Each step is kept when it is done, so whoever takes the file up after a crash goes on from there.
    pub(crate) async fn process(&self, claim: &Claim) -> Result<bool> {
        let (id, attempt) = (&claim.file.id, claim.attempt);
        let model = self.model();
        let (key, plan) = self.key(claim, model.as_deref());
        let total = match self.drafts.draft(id, &key).await? {
            Some(draft) if draft.written == draft.chunks => {
                tracing::debug!(file.id = %id, "Going on with the draft of file `{id}`");
                draft.chunks
            }
            _ => match self.draft(claim, key, plan, model.clone()).await? {
                Some(chunks) => chunks,
                None => return Ok(false),
            },
        };
        if let Some(model) = &model {
            self.embed_draft(claim, model.as_ref(), total).await?;
        }
        self.board.set(id, Progress::at(Stage::Committing));
        let published = self.drafts.publish_draft(id, attempt, self.clock.now()).await?;
        if published {
            tracing::info!(file.id = %id, chunks = total, "Processed file `{id}` into {total} chunks");
            self.look_behind(model.as_ref().map(|model| model.fingerprint()));
        }
        Ok(published)
    }

    /// What a draft of this file is made of. The model is part of it only if it says where to cut.
    fn key(&self, claim: &Claim, model: Option<&dyn EmbeddingModel>) -> (DraftKey, ChunkPlan) {
        let plan = *self.plan.load();
        let tokens_of = match plan.measure {
            Measure::Tokens => model.map(|model| model.fingerprint().to_string()).unwrap_or_default(),
            Measure::Characters => String::new(),
        };
        let key = DraftKey { blob: claim.file.blob, plan: format!("{READING} {plan:?} {tokens_of}") };
        (key, plan)
    }

    /// Extract, cut, and keep both. How many chunks there are; `None` if the claim was lost.
    async fn draft(
        &self,
        claim: &Claim,
        key: DraftKey,
        plan: ChunkPlan,
        model: Option<Arc<dyn EmbeddingModel>>,
    ) -> Result<Option<u32>> {
        let (id, attempt) = (&claim.file.id, claim.attempt);
        self.board.set(id, Progress::at(Stage::Extracting));
        let cut = self.read(claim, plan, model).await?;
        let chunks = u32::try_from(cut.chunks.len()).unwrap_or(u32::MAX);
        let pages = cut.document.pages();
        let draft = NewDraft {
            file: id.clone(),
            attempt,
            key,
            text_hash: cut.text_hash,
            document: cut.document,
            chunks,
        };
        if !self.drafts.begin_draft(draft).await? {
            return Ok(None);
        }
        self.board
            .set(id, Progress { chunks_total: cut.chunks.len(), pages, ..Progress::at(Stage::Extracting) });
        // In pieces, so that nobody else waits long to write.
        let mut rest = cut.chunks.into_iter();
        loop {
            let piece: Vec<NewChunk> = rest.by_ref().take(CHUNKS_AT_ONCE).collect();
            if piece.is_empty() {
                return Ok(Some(chunks));
            }
            if !self.drafts.write_draft(id, attempt, piece).await? {
                return Ok(None);
            }
        }
    }

    /// Extract and cut, by the tokens of the model that the draft's key names.
    async fn read(
        &self,
        claim: &Claim,
        plan: ChunkPlan,
        model: Option<Arc<dyn EmbeddingModel>>,
    ) -> Result<Cut> {
        let file = &claim.file;
        let hint = Hint::new(file.name.clone(), file.media_type.clone());
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

    /// Bring vectors to the chunks of a draft that have none, a window at a time: the memory it takes
    /// does not grow with the file, and what is embedded is kept.
    async fn embed_draft(&self, claim: &Claim, model: &dyn EmbeddingModel, total: u32) -> Result<()> {
        let (id, fingerprint) = (&claim.file.id, model.fingerprint());
        let done = self.drafts.draft_embedded(id, fingerprint).await?;
        let pages = self.board.of(id).and_then(|progress| progress.pages);
        let mut progress = Progress::embedding(done as usize, total as usize, pages);
        self.board.set(id, progress);
        let mut after = None;
        loop {
            let window = self.drafts.draft_without_vector(id, fingerprint, after, WINDOW).await?;
            let Some(last) = window.last() else { return Ok(()) };
            after = Some(last.ordinal);
            // Progress counts chunks, of which several may share a vector.
            let mut sharing: HashMap<ChunkHash, usize> = HashMap::new();
            for stored in &window {
                *sharing.entry(stored.chunk.hash).or_default() += 1;
            }
            let mut seen = HashSet::new();
            let chunks: Vec<&NewChunk> =
                window.iter().map(|stored| &stored.chunk).filter(|chunk| seen.insert(chunk.hash)).collect();
            let mut vectors = HashMap::with_capacity(chunks.len());
            let embedded = self
                .embed(model, &chunks, &mut vectors, &mut |batch| {
                    progress.chunks_done += batch.iter().filter_map(|hash| sharing.get(hash)).sum::<usize>();
                    self.board.set(id, progress);
                })
                .await;
            // What was embedded before a failure is kept, so that every try gets further.
            if !vectors.is_empty() {
                self.chunks.add_vectors(fingerprint, vectors).await?;
            }
            embedded?;
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
        let (limits, ocr) = (self.config.limits, self.ocr.load().as_ref().clone());
        let made = match &self.config.extraction {
            Extraction::InProcess => {
                let work = self.lane.run(move || extract::in_process(hint, source, limits, ocr).map(make));
                // The thread cannot be stopped; at least nobody waits for it any longer.
                timeout(limits.time, work).await.unwrap_or_else(|_| Ok(Err(extract::time_limit(&limits))))?
            }
            Extraction::Child { program, arguments } => {
                let answer =
                    extract::in_child(program, arguments, &hint, &source, &limits, ocr.as_ref()).await?;
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

    /// Embed `chunks`, which differ in their hashes, into `vectors`; `after_batch` is told the hashes of
    /// each batch.
    ///
    /// Several batches are under way at once: a service at the other end of a network works on them side
    /// by side, and a model of this machine has the next one when it is done with one.
    pub(crate) async fn embed(
        &self,
        model: &dyn EmbeddingModel,
        chunks: &[&NewChunk],
        vectors: &mut HashMap<ChunkHash, Vector>,
        after_batch: &mut (dyn FnMut(&[ChunkHash]) + Send),
    ) -> Result<()> {
        let lengths: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        let batches = by_length(&lengths, self.config.embed_batch).into_iter().map(|batch| async move {
            let texts: Vec<String> = batch.iter().map(|&index| chunk::embedded_text(chunks[index])).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let answer = model.embed(Purpose::Passage, &texts).await?;
            let hashes: Vec<ChunkHash> = batch.iter().map(|&index| chunks[index].hash).collect();
            Ok::<_, EmbedError>((hashes, answer))
        });
        let mut batches = stream::iter(batches).buffer_unordered(self.config.embeds_at_once.max(1));
        while let Some(answered) = batches.next().await {
            let (hashes, answer) = answered?;
            check(&answer, hashes.len(), vectors.values().next(), model.dimensions())?;
            after_batch(&hashes);
            vectors.extend(hashes.into_iter().zip(answer));
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

/// Refuse an answer that is not one vector for each text, all of the model's length and as long as those
/// before.
fn check(
    answer: &[Vector],
    texts: usize,
    before: Option<&Vector>,
    wanted: Option<usize>,
) -> Result<(), EmbedError> {
    if answer.len() != texts {
        let found = answer.len();
        return Err(EmbedError::Malformed(format!("{found} vectors for {texts} texts")));
    }
    let wanted = before.or_else(|| answer.first()).map(Vector::dimensions).or(wanted);
    let Some(wanted) = wanted else { return Ok(()) };
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

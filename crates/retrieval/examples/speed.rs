//! How fast the search is: questions over a library of made-up text, without the embedding of questions.
//!
//! ```text
//! cargo run --release -p breezeway-retrieval --example speed -- [CHUNKS] [QUESTIONS]
//! ```
//!
//! Words come by Zipf's law, 120 a chunk, a hundred chunks a file; vectors have 384 dimensions and gather around
//! topics. Every row of the table is another filter. Times are those of the whole call.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use breezeway_core::{FileId, Lane, LaneConfig, UnixTime, UserId};
use breezeway_embedding::{EmbedError, EmbeddingModel, Fingerprint, Purpose, Vector};
use breezeway_knowledge::{
    BlobHash, ChunkHash, ChunkStore, Document, FileCommit, FileState, LibraryStore, MemoryLibrary, NewChunk,
    NewFile,
};
use breezeway_retrieval::{Question, Retriever, RetrieverConfig, Stages};

type Failure = Box<dyn std::error::Error>;

const DIMENSIONS: usize = 384;
const TOPICS: u64 = 500;
const WORDS: u64 = 60_000;
const CHUNKS_A_FILE: usize = 100;

/// Numbers that look random and are the same at every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn share(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A word by Zipf's law, without the hundred commonest: those are stop words, which are not searched.
    fn word(&mut self) -> String {
        let rank = (100.0 * (WORDS as f64 / 100.0).powf(self.share())) as u64;
        format!("w{}q", rank * 7919 % WORDS)
    }

    fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn vector(&mut self) -> Vector {
        let topic = self.roll() % TOPICS;
        let mut centre = Dice(topic);
        let numbers = (0..DIMENSIONS).map(|_| (centre.share() - 0.5 + 0.8 * (self.share() - 0.5)) as f32);
        Vector::normalized(numbers.collect()).expect("numbers are finite")
    }
}

/// A model that has a vector for every question already.
struct Ready(Fingerprint);

#[async_trait]
impl EmbeddingModel for Ready {
    fn fingerprint(&self) -> &Fingerprint {
        &self.0
    }

    fn dimensions(&self) -> Option<usize> {
        Some(DIMENSIONS)
    }

    fn is_multilingual(&self) -> bool {
        true
    }

    async fn embed(&self, _purpose: Purpose, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        Ok(texts.iter().map(|text| Dice(text.len() as u64).vector()).collect())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let chunks = arguments.next().transpose()?.unwrap_or(100_000);
    let questions = arguments.next().transpose()?.unwrap_or(300);
    let model = Ready(Fingerprint::new("made up"));
    let store = MemoryLibrary::default();
    let files = fill(&store, &model.0, chunks).await?;
    let folder = tempfile::tempdir()?;
    let config =
        RetrieverConfig { index_folder: Some(folder.path().to_owned()), ..RetrieverConfig::default() };
    let lane = Lane::new("search", LaneConfig { threads: 2, queue: 16 });
    let began = Instant::now();
    let retriever = Retriever::open(config, Arc::new(store), Some(Arc::new(model)), lane).await?;
    ask(&retriever, &files[..1], 1).await?;
    writeln!(out, "{chunks} chunks in {} files, followed in {:.1?}", files.len(), began.elapsed())?;
    writeln!(
        out,
        "{:24} {:>8} {:>8} {:>8}   p50 of filter, meaning, words, fuse, read",
        "filter", "p50 ms", "p99 ms", "chunks"
    )?;
    let every = |step: usize| files.iter().step_by(step).cloned().collect::<Vec<_>>();
    for (name, scope) in [
        ("everything", every(1)),
        ("every second file", every(2)),
        ("every tenth file", every(10)),
        ("every hundredth file", every(100)),
        ("the last tenth", files[files.len() * 9 / 10..].to_vec()),
        ("one file", files[..1].to_vec()),
    ] {
        let stages = ask(&retriever, &scope, questions).await?;
        let at = |of: fn(&Stages) -> Duration, percent: usize| {
            let mut times: Vec<_> = stages.iter().map(of).collect();
            times.sort_unstable();
            times[(times.len() * percent).div_ceil(100).max(1) - 1].as_secs_f64() * 1e3
        };
        writeln!(
            out,
            "{name:24} {:8.2} {:8.2} {:8}   {:.2} {:.2} {:.2} {:.2} {:.2}",
            at(|stages| stages.total, 50),
            at(|stages| stages.total, 99),
            scope.len() * CHUNKS_A_FILE,
            at(|stages| stages.filter, 50),
            at(|stages| stages.dense, 50),
            at(|stages| stages.lexical, 50),
            at(|stages| stages.fuse, 50),
            at(|stages| stages.read, 50),
        )?;
    }
    Ok(())
}

async fn ask(retriever: &Retriever, files: &[FileId], questions: usize) -> Result<Vec<Stages>, Failure> {
    let mut dice = Dice(42);
    let mut stages = Vec::new();
    for number in 0..questions {
        let text = dice.text(5 + number % 5);
        let question = Question { text, files: files.to_vec(), limit: 5, ..Question::default() };
        stages.push(retriever.search(question).await?.trace.stages);
    }
    Ok(stages)
}

async fn fill(store: &MemoryLibrary, model: &Fingerprint, chunks: usize) -> Result<Vec<FileId>, Failure> {
    let mut dice = Dice(7);
    let now = UnixTime::default();
    let mut files = Vec::new();
    for number in 0..chunks.div_ceil(CHUNKS_A_FILE) {
        let id: FileId = format!("{number:08}").parse()?;
        let file = NewFile {
            id: id.clone(),
            owner: "speed".parse::<UserId>()?,
            name: id.to_string(),
            media_type: "text/plain".to_owned(),
            size_bytes: 0,
            blob: BlobHash([0; 32]),
            metadata: serde_json::Map::new(),
            state: FileState::Pending,
        };
        store.insert_file(file, None, now).await?;
        let claim = store.claim_pending(now, Duration::from_secs(60)).await?.ok_or("no file is pending")?;
        let mut vectors = HashMap::new();
        let chunks = (0..CHUNKS_A_FILE).map(|_| {
            let text = dice.text(120);
            let hash = ChunkHash::of(&text);
            vectors.insert(hash, dice.vector());
            NewChunk { start: 0, end: text.len(), text, page: None, headings: Vec::new(), hash }
        });
        let commit = FileCommit {
            file: claim.file.id,
            attempt: claim.attempt,
            text_hash: String::new(),
            document: Document::default(),
            chunks: chunks.collect(),
            vectors: Some((model.clone(), vectors)),
        };
        store.commit_file(commit, now).await?;
        files.push(id);
    }
    Ok(files)
}

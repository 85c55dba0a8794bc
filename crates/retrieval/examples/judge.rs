//! Judge the ranking on a folder of judged questions.
//!
//! ```text
//! cargo run -p breezeway-retrieval --example judge -- FOLDER…
//! ```
//!
//! A folder holds `corpus.jsonl` or `corpus.jsonl.gz` (`{"id", "title", "text"}` a line; the latter
//! is unpacked by `gzip`), `queries.jsonl` (`{"id", "text"}` a line) and `qrels.tsv` (question,
//! document and grade). Every document is one chunk of one file.
//!
//! With `passages.jsonl` and `questions.jsonl` (`{"id", "vector": […]}` a line) in a folder given by
//! `--vectors`, both legs are searched with those vectors, otherwise words alone.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
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
use breezeway_retrieval::{
    Leg, Question, Retriever, RetrieverConfig,
    eval::{Judged, mean, ndcg, recall, reciprocal_rank},
};
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

/// Vectors that somebody has computed before.
struct Computed {
    fingerprint: Fingerprint,
    vectors: HashMap<String, Vector>,
}

#[async_trait]
impl EmbeddingModel for Computed {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimensions(&self) -> Option<usize> {
        self.vectors.values().next().map(Vector::dimensions)
    }

    fn is_multilingual(&self) -> bool {
        false
    }

    async fn embed(&self, _purpose: Purpose, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        let vector = |text: &&str| self.vectors.get(*text).cloned();
        let missing = || EmbedError::Malformed("a text was not among those computed".to_owned());
        texts.iter().map(|text| vector(text).ok_or_else(missing)).collect()
    }
}

struct Collection {
    documents: Vec<(String, String)>,
    questions: Vec<(String, String)>,
    judged: HashMap<String, Judged<String>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut arguments = std::env::args().skip(1);
    let (mut folders, mut vectors) = (Vec::new(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--vectors" => vectors = arguments.next().map(PathBuf::from),
            _ => folders.push(PathBuf::from(argument)),
        }
    }
    writeln!(out, "{:16} {:>6} {:>6} nDCG@10  R@10    R@100   MRR@10   ms/question", "", "docs", "asked")?;
    for folder in folders {
        let collection = read(&folder)?;
        let model = vectors.as_deref().map(|vectors| computed(vectors, &collection)).transpose()?;
        let started = Instant::now();
        let (retriever, files) = open(&collection, model).await?;
        let opened = started.elapsed();
        let row = judge(&retriever, &files, &collection).await?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        writeln!(out, "{name:16} {:6} {row}   (indexed in {opened:.1?})", collection.documents.len())?;
    }
    Ok(())
}

/// Ask every judged question and average what the order is worth.
async fn judge(retriever: &Retriever, files: &[FileId], collection: &Collection) -> Result<String, Failure> {
    let names: HashMap<&str, &str> = files
        .iter()
        .map(FileId::as_str)
        .zip(collection.documents.iter().map(|(id, _)| id.as_str()))
        .collect();
    let mut scores = Vec::new();
    let mut spent = Duration::ZERO;
    for (id, text) in &collection.questions {
        let Some(judged) = collection.judged.get(id) else { continue };
        let question = Question {
            text: text.clone(),
            files: files.to_vec(),
            limit: 100,
            min_similarity: 0.0,
            legs: Leg::Both,
            ..Question::default()
        };
        let started = Instant::now();
        let answer = retriever.search(question).await?;
        spent += started.elapsed();
        let ranked: Vec<_> =
            answer.passages.iter().map(|passage| names[passage.chunk.file.as_str()].to_owned()).collect();
        scores.push([
            ndcg(&ranked, judged, 10),
            recall(&ranked, judged, 10),
            recall(&ranked, judged, 100),
            reciprocal_rank(&ranked, judged, 10),
        ]);
    }
    let [ndcg, recall_10, recall_100, mrr] =
        [0, 1, 2, 3].map(|measure| mean(scores.iter().map(|row| row[measure])));
    let count = scores.iter().filter(|row| row[0].is_some()).count();
    let each = spent.as_secs_f64() * 1000.0 / scores.len().max(1) as f64;
    Ok(format!("{count:6} {ndcg:.4}   {recall_10:.4}  {recall_100:.4}  {mrr:.4}   {each:8.2}"))
}

async fn open(collection: &Collection, model: Option<Computed>) -> Result<(Retriever, Vec<FileId>), Failure> {
    let store = MemoryLibrary::default();
    let now = UnixTime::default();
    let mut files = Vec::new();
    for (number, (_, text)) in collection.documents.iter().enumerate() {
        // Numbered so that the order of files is that of the corpus.
        let id: FileId = format!("{number:08}").parse()?;
        let file = NewFile {
            id: id.clone(),
            owner: "judge".parse::<UserId>()?,
            name: id.to_string(),
            media_type: "text/plain".to_owned(),
            size_bytes: text.len() as u64,
            blob: BlobHash([0; 32]),
            metadata: serde_json::Map::new(),
            state: FileState::Pending,
        };
        store.insert_file(file, None, now).await?;
        let claim = store.claim_pending(now, Duration::from_secs(60)).await?.ok_or("no file is pending")?;
        let hash = ChunkHash::of(text);
        let chunk = NewChunk {
            text: text.clone(),
            start: 0,
            end: text.len(),
            page: None,
            headings: Vec::new(),
            hash,
        };
        let vectors = model.as_ref().and_then(|model| {
            let vector = model.vectors.get(text)?.clone();
            Some((model.fingerprint.clone(), HashMap::from([(hash, vector)])))
        });
        let commit = FileCommit {
            file: claim.file.id,
            attempt: claim.attempt,
            text_hash: String::new(),
            document: Document::default(),
            chunks: vec![chunk],
            vectors,
        };
        store.commit_file(commit, now).await?;
        files.push(id);
    }
    let lane = Lane::new("search", LaneConfig { threads: 1, queue: 16 });
    let model = model.map(|model| Arc::new(model) as Arc<dyn EmbeddingModel>);
    let retriever = Retriever::open(RetrieverConfig::default(), Arc::new(store), model, lane).await?;
    Ok((retriever, files))
}

fn computed(folder: &Path, collection: &Collection) -> Result<Computed, Failure> {
    let mut vectors = HashMap::new();
    for (name, texts) in
        [("passages.jsonl", &collection.documents), ("questions.jsonl", &collection.questions)]
    {
        let texts: HashMap<&str, &str> =
            texts.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        for line in BufReader::new(File::open(folder.join(name))?).lines() {
            let row: Value = serde_json::from_str(&line?)?;
            let numbers = row["vector"].as_array().ok_or("a row without a vector")?;
            let numbers = numbers.iter().filter_map(|number| Some(number.as_f64()? as f32)).collect();
            let vector = Vector::normalized(numbers).ok_or("a vector that is not finite")?;
            if let Some(text) = row["id"].as_str().and_then(|id| texts.get(id)) {
                vectors.insert((*text).to_owned(), vector);
            }
        }
    }
    Ok(Computed { fingerprint: Fingerprint::new("computed"), vectors })
}

fn read(folder: &Path) -> Result<Collection, Failure> {
    let corpus = folder.join("corpus.jsonl");
    let corpus = if corpus.exists() {
        fs::read_to_string(corpus)?
    } else {
        let unpacked = Command::new("gzip")
            .arg("-dc")
            .stdin(File::open(folder.join("corpus.jsonl.gz"))?)
            .stderr(Stdio::inherit())
            .output()?;
        String::from_utf8(unpacked.stdout)?
    };
    let documents = rows(&corpus, |row| {
        let (title, text) = (row["title"].as_str().unwrap_or(""), row["text"].as_str().unwrap_or(""));
        if title.is_empty() { text.to_owned() } else { format!("{title}\n{text}") }
    })?;
    let questions = rows(&fs::read_to_string(folder.join("queries.jsonl"))?, |row| {
        row["text"].as_str().unwrap_or("").to_owned()
    })?;
    let mut judged: HashMap<String, Judged<String>> = HashMap::new();
    for line in fs::read_to_string(folder.join("qrels.tsv"))?.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        if let [question, document, grade] = columns[..]
            && let Ok(grade) = grade.trim().parse::<i64>()
        {
            let grade = u32::try_from(grade.max(0))?;
            judged.entry(question.to_owned()).or_default().insert(document.to_owned(), grade);
        }
    }
    Ok(Collection { documents, questions, judged })
}

fn rows(lines: &str, text: impl Fn(&Value) -> String) -> Result<Vec<(String, String)>, Failure> {
    let row = |line: &str| -> Result<_, Failure> {
        let row: Value = serde_json::from_str(line)?;
        Ok((row["id"].as_str().ok_or("a row without an id")?.to_owned(), text(&row)))
    };
    lines.lines().filter(|line| !line.trim().is_empty()).map(row).collect()
}

//! Judged questions: how good the search is on a collection that people have judged.
//!
//! A folder holds `corpus.jsonl` (`{"id", "title", "text"}` a line), `queries.jsonl` (`{"id", "text"}`
//! a line) and `qrels.tsv` (question, document and grade), as the usual test collections do. Every
//! document is one chunk of one file of a library in memory; what searches it is the [`Retriever`] that
//! also answers chats.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use breezeway_core::{FileId, Lane, LaneConfig, UnixTime, UserId};
use breezeway_embedding::{EmbeddingModel, Fingerprint, Purpose, Vector};
use breezeway_knowledge::{
    BlobHash, ChunkHash, ChunkStore, Document, FileCommit, FileState, LibraryStore, MemoryLibrary, NewChunk,
    NewFile,
};
use breezeway_retrieval::{
    Question, Retriever, RetrieverConfig,
    eval::{Judged, Report, Verdict},
};
use breezeway_upstream::HttpClient;

mod remembered;

pub use self::remembered::Remembered;
use crate::{Config, Embedding, glue::Workshop, lanes::Lanes};

/// Whatever went wrong: for a person at a terminal.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Texts embedded at a time.
const BATCH: usize = 64;

/// A judged collection.
#[derive(Clone, Debug, Default)]
pub struct JudgedCollection {
    /// Ids and texts of its documents.
    pub documents: Vec<(String, String)>,
    /// Titles by document, where there are any. They are the first line of its text as well.
    pub titles: HashMap<String, String>,
    /// Ids and texts of its questions.
    pub questions: Vec<(String, String)>,
    /// Grades by question and document.
    pub judged: HashMap<String, Judged<String>>,
}

impl JudgedCollection {
    /// Read one from the texts of its files. `subset` names the only documents to take, one a line.
    ///
    /// # Errors
    /// If a line is not what it should be.
    pub fn parse(
        corpus: &str,
        queries: &str,
        grades: &str,
        subset: Option<&str>,
    ) -> Result<Self, serde_json::Error> {
        let wanted: Option<HashSet<&str>> = subset.map(|lines| lines.lines().map(str::trim).collect());
        let (mut documents, titles) = rows(corpus)?;
        documents.retain(|(id, _)| wanted.as_ref().is_none_or(|wanted| wanted.contains(id.as_str())));
        let mut judged: HashMap<String, Judged<String>> = HashMap::new();
        for line in grades.lines() {
            let columns: Vec<_> = line.split('\t').collect();
            if let [question, document, grade] = columns[..]
                && let Ok(grade) = grade.trim().parse::<i64>()
            {
                let grade = u32::try_from(grade.max(0)).unwrap_or(u32::MAX);
                judged.entry(question.to_owned()).or_default().insert(document.to_owned(), grade);
            }
        }
        Ok(Self { documents, titles, questions: rows(queries)?.0, judged })
    }

    /// Every text that needs a vector.
    pub fn texts(&self) -> impl Iterator<Item = (Purpose, &str)> {
        let documents = self.documents.iter().map(|(_, text)| (Purpose::Passage, text.as_str()));
        documents.chain(self.questions.iter().map(|(_, text)| (Purpose::Query, text.as_str())))
    }
}

/// Ids and texts in order, and titles by id.
type Rows = (Vec<(String, String)>, HashMap<String, String>);

fn rows(lines: &str) -> Result<Rows, serde_json::Error> {
    let (mut texts, mut titles) = (Vec::new(), HashMap::new());
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let row: serde_json::Value = serde_json::from_str(line)?;
        let said = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let (id, title, text) = (said("id"), said("title"), said("text"));
        if title.is_empty() {
            texts.push((id, text));
        } else {
            texts.push((id.clone(), format!("{title}\n{text}")));
            titles.insert(id, title);
        }
    }
    Ok((texts, titles))
}

/// How to search.
#[derive(Clone, Debug)]
pub struct JudgedOptions {
    /// As for the retriever.
    pub retriever: RetrieverConfig,
    /// What every question has in common; text and files are filled in.
    pub question: Question,
}

/// The embedding model that the settings name; the local one is fetched if it is not there.
///
/// # Errors
/// If it cannot be had.
pub async fn model_of(config: &Config) -> Result<Option<Arc<dyn EmbeddingModel>>, Failure> {
    let client = HttpClient::new(config.client.clone());
    let workshop = Workshop::new(config, &client, &Lanes::start(config.lanes));
    match &config.embedding {
        Embedding::Local(local) => Ok(Some(workshop.local_model(local).bring().await?)),
        other => Ok(workshop.model(other)?),
    }
}

/// Ask every judged question. Passages get vectors where there is a model.
///
/// # Errors
/// If the model or the search fails.
pub async fn judge(
    collection: &JudgedCollection,
    model: Option<Arc<dyn EmbeddingModel>>,
    options: &JudgedOptions,
) -> Result<Report, Failure> {
    let store = MemoryLibrary::default();
    let files = fill(&store, collection, model.as_deref()).await?;
    let names: HashMap<&FileId, &str> =
        files.iter().zip(collection.documents.iter().map(|(id, _)| id.as_str())).collect();
    let lane = Lane::new("search", LaneConfig { threads: 1, queue: 16 });
    let retriever = Retriever::open(options.retriever.clone(), Arc::new(store), model, lane).await?;

    let mut report = Report::default();
    for (id, text) in &collection.questions {
        let Some(judged) = collection.judged.get(id) else { continue };
        let question = Question { text: text.clone(), files: files.clone(), ..options.question.clone() };
        let answer = retriever.search(question).await?;
        if report.degraded.is_none() {
            report.degraded.clone_from(&answer.degraded);
        }
        let ranked: Vec<String> =
            answer.passages.iter().map(|passage| names[&passage.chunk.file].to_owned()).collect();
        report.add(Verdict::of(&ranked, judged), &answer.trace.stages);
    }
    Ok(report)
}

async fn fill(
    store: &MemoryLibrary,
    collection: &JudgedCollection,
    model: Option<&dyn EmbeddingModel>,
) -> Result<Vec<FileId>, Failure> {
    let mut files = Vec::with_capacity(collection.documents.len());
    for (batch, documents) in collection.documents.chunks(BATCH).enumerate() {
        let texts: Vec<&str> = documents.iter().map(|(_, text)| text.as_str()).collect();
        let vectors: Vec<Option<Vector>> = match model {
            Some(model) => model.embed(Purpose::Passage, &texts).await?.into_iter().map(Some).collect(),
            None => vec![None; texts.len()],
        };
        let fingerprint = model.map(EmbeddingModel::fingerprint);
        for (at, ((name, text), vector)) in documents.iter().zip(vectors).enumerate() {
            // Numbered, so that the order of files is that of the corpus.
            let id: FileId = format!("{:08}", batch * BATCH + at).parse()?;
            let title = collection.titles.get(name).cloned();
            commit(store, &id, (text, title), fingerprint.cloned().zip(vector)).await?;
            files.push(id);
        }
    }
    Ok(files)
}

/// Put a document into the library, as ingestion would.
async fn commit(
    store: &MemoryLibrary,
    id: &FileId,
    (text, title): (&str, Option<String>),
    vector: Option<(Fingerprint, Vector)>,
) -> Result<(), Failure> {
    let now = UnixTime::default();
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
        text: text.to_owned(),
        start: 0,
        end: text.len(),
        page: None,
        headings: title.into_iter().collect(),
        hash,
    };
    let commit = FileCommit {
        file: claim.file.id,
        attempt: claim.attempt,
        text_hash: String::new(),
        document: Document::default(),
        chunks: vec![chunk],
        vectors: vector.map(|(fingerprint, vector)| (fingerprint, HashMap::from([(hash, vector)]))),
    };
    store.commit_file(commit, now).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use breezeway_embedding::HashedModel;

    use super::*;

    #[tokio::test]
    async fn a_collection_is_read_searched_and_judged() {
        let corpus = r#"
            {"id": "d1", "title": "Valves", "text": "Turn them to the left."}
            {"id": "d2", "title": "", "text": "A tram waits."}
            {"id": "d3", "title": "", "text": "left out"}
        "#;
        let queries = r#"{"id": "q1", "text": "Where does the tram wait?"}"#;
        let collection =
            JudgedCollection::parse(corpus, queries, "q1\td2\t1\nq2\td1\t1\n", Some("d1\nd2\n")).unwrap();
        let options = JudgedOptions {
            retriever: RetrieverConfig::default(),
            question: Question { limit: 100, ..Question::default() },
        };

        let report = judge(&collection, Some(Arc::new(HashedModel::new(64))), &options).await.unwrap();

        assert_eq!(collection.documents.len(), 2);
        assert_eq!(collection.documents[0].1, "Valves\nTurn them to the left.");
        let summary = report.summary();
        assert_eq!((summary.questions, summary.ndcg_10, summary.mrr_10), (1, 1.0, 1.0));
    }
}

//! The chat router's context, found by the retriever in the library.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use breezeway_api::{RagConfig, RetrievalSettings, SearchOptions, metered_search, passage_metadata};
use breezeway_chat::{ContextError, ContextItem, ContextSource, ItemKind, LeftOut, Source, SourcePassage};
use breezeway_core::{Classify, ErrorKind, FileId, Live, Principal};
use breezeway_knowledge::{Collection, CollectionQuery, File, Library, Unread, Wanted};
use breezeway_retrieval::{Passage, Question, Retriever};
use breezeway_usage::{Meter, estimate_tokens};
use serde_json::{Map, Value};

use super::{Embedder, Onlooker};

/// Collections that a model searches which is given none, the most recently changed first.
const MOST_COLLECTIONS: usize = 256;

/// Files of one item that are named as left out: while a collection is filled there may be thousands.
const MOST_LEFT_OUT: usize = 20;

/// Finds the passages of files and collections that fit a question.
pub(crate) struct RagContext {
    pub(crate) library: Library,
    pub(crate) retriever: Retriever,
    pub(crate) meter: Meter,
    pub(crate) onlooker: Onlooker,
    pub(crate) settings: Live<RetrievalSettings>,
    /// What `embedding_config` of each passage's metadata names.
    pub(crate) embedder: Arc<Embedder>,
}

#[async_trait]
impl ContextSource for RagContext {
    async fn context(
        &self,
        principal: &Principal,
        items: &[ContextItem],
        questions: &[String],
    ) -> Result<Vec<Source>, ContextError> {
        let mut readable = Vec::with_capacity(items.len());
        for item in items {
            readable.push(self.files_of(principal, item).await?);
        }
        let config = self.settings.load().rag.clone();
        let mut unread = self.wait_for(&config, &readable).await?;
        let is_whole = |item: &ContextItem| item.full || config.full_context;
        let searched: Vec<usize> = (0..items.len()).filter(|&index| !is_whole(&items[index])).collect();
        let mut room = Room { tokens: config.context_tokens };
        let options = searched.iter().map(|&index| SearchOptions::of_item(&items[index].sent));
        let options = options.fold(SearchOptions::default(), SearchOptions::or);
        let scope = Scope { searched: &searched, readable: &readable };
        let mut found = self.search(principal, &config, &options, &scope, questions, &mut room).await?;

        let mut sources = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Taken { passages, over_budget } = match &item.kind {
                ItemKind::Text(text) => room.given(item, text),
                _ if is_whole(item) => self.whole(principal, &readable[index], &mut room).await?,
                _ => found.remove(&index).unwrap_or_default(),
            };
            let left_out: Vec<LeftOut> =
                readable[index].iter().filter_map(|file| unread.remove(file)).take(MOST_LEFT_OUT).collect();
            if !passages.is_empty() || !left_out.is_empty() || over_budget > 0 {
                sources.push(Source { item: item.clone(), passages, over_budget, left_out });
            }
        }
        Ok(sources)
    }

    async fn collections(&self, principal: &Principal) -> Result<Vec<ContextItem>, ContextError> {
        let found = self.library.collections(principal, CollectionQuery::default()).await.map_err(failed)?;
        Ok(found.into_iter().take(MOST_COLLECTIONS).map(|(collection, _)| named(collection)).collect())
    }
}

/// A collection that nobody has named in a request.
fn named(collection: Collection) -> ContextItem {
    let sent = [
        ("type", Value::from("collection")),
        ("id", collection.id.as_str().into()),
        ("name", collection.name.as_str().into()),
    ];
    ContextItem {
        sent: sent.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        name: Some(collection.name),
        kind: ItemKind::Collection(collection.id),
        full: false,
    }
}

impl RagContext {
    async fn files_of(&self, principal: &Principal, item: &ContextItem) -> Result<Vec<FileId>, ContextError> {
        let wanted = match &item.kind {
            ItemKind::File(id) => Wanted::File(id.clone()),
            ItemKind::Collection(id) => Wanted::Collection(id.clone()),
            ItemKind::Text(_) => return Ok(Vec::new()),
        };
        self.onlooker.note(principal, &wanted).await;
        let filter = SearchOptions::of_item(&item.sent)
            .filter()
            .map_err(|error| ContextError { kind: ErrorKind::Invalid, source: Box::new(error) })?;
        self.library.searchable_where(principal, &wanted, filter.as_ref()).await.map_err(failed)
    }

    /// Wait for what has been uploaded a moment ago; what is not there then, by its id.
    async fn wait_for(
        &self,
        config: &RagConfig,
        readable: &[Vec<FileId>],
    ) -> Result<HashMap<FileId, LeftOut>, ContextError> {
        let files: Vec<FileId> = readable.iter().flatten().cloned().collect();
        if files.is_empty() {
            return Ok(HashMap::new());
        }
        let unread = self.library.wait_for_texts(&files, config.file_wait).await.map_err(failed)?;
        if !unread.is_empty() {
            tracing::debug!(files = unread.len(), "{} files are not read yet and left out", unread.len());
        }
        let left_out = |file: Unread| {
            let status = if file.next_try.is_some() { "pending" } else { "processing" };
            (file.id.clone(), LeftOut { id: file.id, name: file.name, status })
        };
        Ok(unread.into_iter().map(left_out).collect())
    }

    /// Search all items as one set, and give each passage to the first item that has its file.
    async fn search(
        &self,
        principal: &Principal,
        config: &RagConfig,
        options: &SearchOptions,
        scope: &Scope<'_>,
        questions: &[String],
        room: &mut Room,
    ) -> Result<HashMap<usize, Taken>, ContextError> {
        let mut owner: HashMap<&FileId, usize> = HashMap::new();
        for &index in scope.searched {
            for file in &scope.readable[index] {
                owner.entry(file).or_insert(index);
            }
        }
        let mut found: HashMap<usize, Taken> = HashMap::new();
        if owner.is_empty() {
            return Ok(found);
        }
        let files: Vec<FileId> = owner.keys().map(|&file| file.clone()).collect();
        // Every item that was named has a chance to say something.
        let limit = options.k.unwrap_or(config.top_k).max(scope.searched.len());
        let common = Question { files, limit, ..options.question("", config) };
        let passages = self.ranked(principal, &common, questions).await?;

        let mut ids: Vec<FileId> = passages.iter().map(|passage| passage.chunk.file.clone()).collect();
        ids.sort();
        ids.dedup();
        let known = self.library.files_by_id(&ids).await.map_err(failed)?;
        let known: HashMap<&FileId, &File> = known.iter().map(|file| (&file.id, file)).collect();
        let embedding = self.embedder.view().metadata();
        for passage in &passages {
            // A file that was deleted since it was found has no row, and no place in the answer.
            let (Some(&index), Some(&file)) =
                (owner.get(&passage.chunk.file), known.get(&passage.chunk.file))
            else {
                continue;
            };
            let taken = found.entry(index).or_default();
            if !room.takes(&passage.chunk.chunk.text) {
                taken.over_budget += 1;
                continue;
            }
            taken.passages.push(SourcePassage {
                text: passage.chunk.chunk.text.clone(),
                metadata: passage_metadata(file, passage, &embedding),
                score: passage.similarity(),
            });
        }
        Ok(found)
    }

    /// The best passages over all wordings of the question: by their best place, then by similarity.
    async fn ranked(
        &self,
        principal: &Principal,
        common: &Question,
        questions: &[String],
    ) -> Result<Vec<Passage>, ContextError> {
        let mut best: HashMap<u32, (usize, Passage)> = HashMap::new();
        let embedding = self.embedder.view().model;
        for text in questions {
            let question = Question { text: text.clone(), ..common.clone() };
            let answer = metered_search(&self.meter, &self.retriever, principal, &embedding, question)
                .await
                .map_err(failed)?;
            if let Some(reason) = answer.degraded {
                tracing::debug!(reason, "Searched by words alone");
            }
            for (place, passage) in answer.passages.into_iter().enumerate() {
                let entry = best.entry(passage.chunk.id.0).or_insert_with(|| (place, passage));
                entry.0 = entry.0.min(place);
            }
        }
        let mut ranked: Vec<(usize, Passage)> = best.into_values().collect();
        ranked.sort_by(|(place_a, a), (place_b, b)| {
            let similarity = |passage: &Passage| passage.similarity().unwrap_or_default();
            place_a
                .cmp(place_b)
                .then(similarity(b).total_cmp(&similarity(a)))
                .then(a.chunk.id.cmp(&b.chunk.id))
        });
        Ok(ranked.into_iter().take(common.limit).map(|(_, passage)| passage).collect())
    }

    /// The whole texts of files, as far as the budget reaches.
    async fn whole(
        &self,
        principal: &Principal,
        ids: &[FileId],
        room: &mut Room,
    ) -> Result<Taken, ContextError> {
        let mut taken = Taken::default();
        for file in self.library.files_by_id(ids).await.map_err(failed)? {
            let Some(document) = self.library.document(principal, &file.id).await.map_err(failed)? else {
                continue;
            };
            if !room.takes(&document.text) {
                tracing::warn!(file.id = %file.id, "A file is too long to be sent whole and was left out");
                taken.over_budget += 1;
                continue;
            }
            let metadata = [
                ("file_id", Value::from(file.id.as_str())),
                ("name", file.name.as_str().into()),
                ("source", file.name.as_str().into()),
            ];
            let metadata: Map<String, Value> =
                metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            taken.passages.push(SourcePassage { text: document.text, metadata, score: None });
        }
        Ok(taken)
    }
}

/// Items that are searched, by their places, and the files of each item.
struct Scope<'a> {
    searched: &'a [usize],
    readable: &'a [Vec<FileId>],
}

/// What one item gives to the context, and how much more of it there would be.
#[derive(Default)]
struct Taken {
    passages: Vec<SourcePassage>,
    over_budget: usize,
}

/// What the context still has room for. The best passages come first; a text that does not fit is left
/// out, and a shorter one behind it may fit.
struct Room {
    tokens: u64,
}

impl Room {
    fn takes(&mut self, text: &str) -> bool {
        let left = self.tokens.checked_sub(estimate_tokens(text));
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }

    /// A text that the request itself brings.
    fn given(&mut self, item: &ContextItem, text: &str) -> Taken {
        if !self.takes(text) {
            return Taken { passages: Vec::new(), over_budget: 1 };
        }
        let mut metadata = Map::new();
        metadata.insert("name".into(), item.name.clone().unwrap_or_default().into());
        let passage = SourcePassage { text: text.to_owned(), metadata, score: None };
        Taken { passages: vec![passage], over_budget: 0 }
    }
}

fn failed(error: impl Classify + std::error::Error + Send + Sync + 'static) -> ContextError {
    ContextError { kind: error.kind(), source: Box::new(error) }
}

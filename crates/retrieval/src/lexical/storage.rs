//! The index on disk (or in memory): opening, writing, and starting anew when it is no good.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use breezeway_knowledge::{LogEntry, Seq};
use roaring::RoaringBitmap;
use serde_json::{Value, json};
use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term,
    directory::MmapDirectory,
    indexer::{IndexWriterOptions, LogMergePolicy},
    schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
};
use tracing::warn;

use super::{segment::Segment, tail::Analysed};
use crate::{
    analyser,
    error::{Error, Result},
};

/// Memory for postings before they are flushed; the least that tantivy accepts is 15 MB.
const WRITER_BUDGET: usize = 20_000_000;

/// Rewrite a segment when this share of it is deleted.
const DELETED_SHARE: f32 = 0.3;

/// The folder inside the one we are given: what is deleted when it is no good is ours alone.
const FOLDER: &str = "lexical";

/// The columns of the index. None is stored: texts are in the store.
#[derive(Clone, Copy)]
pub(crate) struct Fields {
    chunk: Field,
    length: Field,
    pub(super) body: Field,
}

impl Fields {
    pub(super) const CHUNK: &str = "chunk";
    pub(super) const LENGTH: &str = "length";
    const BODY: &str = "body";

    fn schema() -> (Schema, Self) {
        let mut schema = Schema::builder();
        let words = TextFieldIndexing::default()
            .set_tokenizer(analyser::NAME)
            .set_index_option(IndexRecordOption::WithFreqs)
            // Lengths are a column of their own, unrounded.
            .set_fieldnorms(false);
        let fields = Self {
            chunk: schema.add_u64_field(Self::CHUNK, FAST | INDEXED),
            length: schema.add_u64_field(Self::LENGTH, FAST),
            body: schema.add_text_field(Self::BODY, TextOptions::default().set_indexing_options(words)),
        };
        (schema.build(), fields)
    }
}

/// Which log entry an index was last written at. An index whose mark the log does not confirm
/// belongs to another library (a restored backup, a swapped folder) and is not trusted.
///
/// The default is a mark before every entry, which nothing can confirm: an index that was folded in
/// the middle of the very first one is made anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) seq: Seq,
    pub(crate) file: String,
    pub(crate) first: u32,
    pub(crate) last: u32,
}

impl Mark {
    pub(crate) fn of(entry: &LogEntry) -> Self {
        Self {
            seq: entry.seq,
            file: entry.file.as_str().to_owned(),
            first: entry.chunks.first.0,
            last: entry.chunks.last.0,
        }
    }

    fn to_payload(&self) -> String {
        json!({
            "analyser": analyser::VERSION,
            "seq": self.seq.0,
            "file": self.file,
            "first": self.first,
            "last": self.last,
        })
        .to_string()
    }

    /// `None` if it is not one of ours or of another analyser.
    fn from_payload(payload: &str) -> Option<Self> {
        let payload: Value = serde_json::from_str(payload).ok()?;
        let number = |key: &str| payload.get(key)?.as_u64();
        (number("analyser")? == u64::from(analyser::VERSION)).then_some(())?;
        Some(Self {
            seq: Seq(number("seq")?),
            file: payload.get("file")?.as_str()?.to_owned(),
            first: number("first")?.try_into().ok()?,
            last: number("last")?.try_into().ok()?,
        })
    }
}

/// An open index.
pub(crate) struct Storage {
    fields: Fields,
    reader: IndexReader,
    writer: Mutex<IndexWriter>,
    mark: Option<Mark>,
}

/// Why an index in a folder cannot be used as it is.
enum Unusable {
    /// It may be deleted and made anew.
    Broken(String),
    /// It may not: somebody else uses it, or the disk refuses.
    Refused(TantivyError),
}

impl From<TantivyError> for Unusable {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::LockFailure(..) => Self::Refused(error),
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl Storage {
    /// An empty index in memory.
    pub(crate) fn in_memory() -> Result<Self> {
        let (schema, fields) = Fields::schema();
        Self::over(Index::create_in_ram(schema), fields, None).map_err(Error::index("open"))
    }

    /// The index in `folder`, or an empty one in its place if there is none or none that is sound.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self> {
        let folder = folder.join(FOLDER);
        fs::create_dir_all(&folder).map_err(Error::index("make its folder"))?;
        match Self::existing(&folder) {
            Ok(Some(storage)) => return Ok(storage),
            Ok(None) => {}
            Err(Unusable::Refused(error)) => return Err(Error::index("open")(error)),
            Err(Unusable::Broken(reason)) => {
                warn!(folder = %folder.display(), reason, "The lexical index is unusable and will be made anew");
            }
        }
        Self::fresh(&folder)
    }

    /// An empty index in `folder`, whatever was there.
    pub(crate) fn emptied(folder: &Path) -> Result<Self> {
        Self::fresh(&folder.join(FOLDER))
    }

    fn fresh(folder: &Path) -> Result<Self> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::index("delete its unusable folder")(error));
            }
            _ => fs::create_dir_all(folder).map_err(Error::index("make its folder"))?,
        }
        let (schema, fields) = Fields::schema();
        let index = Index::create_in_dir(folder, schema).map_err(Error::index("create"))?;
        Self::over(index, fields, None).map_err(Error::index("open"))
    }

    /// `None` if the folder holds nothing.
    fn existing(folder: &PathBuf) -> std::result::Result<Option<Self>, Unusable> {
        let broken = |reason: &str| Unusable::Broken(reason.to_owned());
        let directory = MmapDirectory::open(folder).map_err(TantivyError::from)?;
        if !Index::exists(&directory).map_err(TantivyError::from)? {
            return Ok(None);
        }
        let index = Index::open(directory)?;
        let (schema, fields) = Fields::schema();
        if index.schema() != schema {
            return Err(broken("its columns are others"));
        }
        // tantivy reads what it finds and may panic on damage; a look at the checksums costs little
        // more than reading the files once.
        if !index.validate_checksum()?.is_empty() {
            return Err(broken("its checksums do not match"));
        }
        let metas = index.load_metas()?;
        let mark = match &metas.payload {
            Some(payload) => {
                Some(Mark::from_payload(payload).ok_or_else(|| broken("another version wrote it"))?)
            }
            None if metas.segments.is_empty() => None,
            None => return Err(broken("it does not say how far it goes")),
        };
        if mark.as_ref().is_some_and(|mark| mark.seq == Seq(0)) {
            return Err(broken("its first fold was not finished"));
        }
        let storage = Self::over(index, fields, mark)?;
        // Opens every file once, while there is still somebody to start anew.
        storage.segments()?;
        Ok(Some(storage))
    }

    fn over(index: Index, fields: Fields, mark: Option<Mark>) -> tantivy::Result<Self> {
        index.tokenizers().register(analyser::NAME, analyser::Universal);
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(WRITER_BUDGET)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter = index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(DELETED_SHARE);
        writer.set_merge_policy(Box::new(policy));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { fields, reader, writer: Mutex::new(writer), mark })
    }

    pub(super) fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }

    /// A term of the body.
    pub(super) fn term(&self, term: &str) -> Term {
        Term::from_field_text(self.fields.body, term)
    }

    /// The segments of the last commit.
    pub(super) fn segments(&self) -> tantivy::Result<Vec<Segment>> {
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        searcher.segment_readers().iter().map(|reader| Segment::open(reader, self.fields)).collect()
    }

    /// Add and delete, all or nothing.
    pub(super) fn write(
        &self,
        documents: &[(u32, Arc<Analysed>)],
        dead: &RoaringBitmap,
        mark: &Mark,
    ) -> tantivy::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut write = || {
            for chunk in dead {
                writer.delete_term(Term::from_field_u64(self.fields.chunk, u64::from(chunk)));
            }
            for (chunk, analysed) in documents {
                let mut document = TantivyDocument::default();
                document.add_u64(self.fields.chunk, u64::from(*chunk));
                document.add_u64(self.fields.length, u64::from(analysed.length));
                document.add_text(self.fields.body, &analysed.text);
                writer.add_document(document)?;
            }
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&mark.to_payload());
            commit.commit()
        };
        if let Err(error) = write() {
            // Nothing half-written may go into the next commit.
            writer.rollback()?;
            return Err(error);
        }
        Ok(())
    }
}

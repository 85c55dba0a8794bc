//! Rights and filters together: which files a question may look at.

use std::collections::{BTreeSet, HashMap};

use breezeway_core::{CollectionId, FileId, Permission, Principal};
use serde_json::{Map, Value};

use super::{
    Library, Wanted,
    rights::{may, narrowed_to},
};
use crate::{Batch, Collection, CollectionQuery, Error, File, FileQuery, Filter, Member, Result, Slice};

/// Keys of one file's attributes, and of its metadata.
const MOST_KEYS: usize = 64;

/// The longest key, in characters.
const LONGEST_KEY: usize = 256;

/// What is said about one file, as JSON, in bytes.
const MOST_BYTES: usize = 64 << 10;

impl Library {
    /// The files of one wanted thing that the caller may search and that pass the filter.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn searchable_where(
        &self,
        principal: &Principal,
        wanted: &Wanted,
        filter: Option<&Filter>,
    ) -> Result<Vec<FileId>> {
        let files = self.searchable(principal, wanted).await?;
        let Some(filter) = filter.filter(|_| !files.is_empty()) else { return Ok(files) };
        let attributes = match wanted {
            Wanted::File(_) => HashMap::new(),
            // The name of the collection may be one of the caller's own.
            Wanted::Collection(id) => match self.find_collection(principal, id.as_str()).await? {
                Some(collection) => self.store.attributes(&collection.id).await?,
                None => return Ok(Vec::new()),
            },
        };
        Ok(passing(filter, self.store.files_by_id(&files).await?, &attributes))
    }

    /// Every file that the caller may search and that passes the filter: their own (an admin: everyone's)
    /// and those of the collections they may read. And how many there are without the filter.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn searchable_anywhere(
        &self,
        principal: &Principal,
        filter: Option<&Filter>,
    ) -> Result<(Vec<FileId>, usize)> {
        let mut files = BTreeSet::new();
        let slice = Slice { offset: 0, limit: u32::MAX.into() };
        if narrowed_to(principal).is_none() {
            let own = FileQuery { slice, ..FileQuery::default() };
            files.extend(self.files(principal, own).await?.items.into_iter().map(|file| file.id));
        }
        for (collection, _) in self.store.collections(&CollectionQuery::default()).await? {
            if may(principal, &collection, Permission::Read) {
                files.extend(self.store.member_ids(&collection.id).await?);
            }
        }
        let files: Vec<FileId> = files.into_iter().collect();
        let all = files.len();
        match filter {
            Some(filter) => {
                Ok((passing(filter, self.store.files_by_id(&files).await?, &HashMap::new()), all))
            }
            None => Ok((files, all)),
        }
    }

    /// What is said about the files of a readable collection, for filters.
    ///
    /// # Errors
    /// `NoSuchCollection`, whether it does not exist or is not theirs to read.
    pub async fn attributes(
        &self,
        principal: &Principal,
        id: &CollectionId,
    ) -> Result<HashMap<FileId, Map<String, Value>>> {
        self.readable_collection(principal, id).await?;
        Ok(self.store.attributes(id).await?)
    }

    /// Say something about a file of a writable collection, instead of what was said before.
    ///
    /// # Errors
    /// `NotAMember` if it is not in it, `BadMetadata` if it is too much; `NoSuchCollection` and
    /// `CollectionForbidden` for the collection.
    pub async fn set_attributes(
        &self,
        principal: &Principal,
        id: &CollectionId,
        file: &FileId,
        attributes: Map<String, Value>,
    ) -> Result<()> {
        self.writable_collection(principal, id).await?;
        check(&attributes)?;
        if self.store.put_attributes(id, file, attributes).await? {
            return Ok(());
        }
        Err(Error::NotAMember { collection: id.clone(), file: file.clone() })
    }

    /// One file of a readable collection, with its place.
    ///
    /// # Errors
    /// `NotAMember` if it is not in it; `NoSuchCollection` for the collection.
    pub async fn member(&self, principal: &Principal, id: &CollectionId, file: &FileId) -> Result<Member> {
        self.readable_collection(principal, id).await?;
        let query = crate::MemberQuery {
            slice: Slice { offset: 0, limit: u32::MAX.into() },
            ..crate::MemberQuery::default()
        };
        let missing = || Error::NotAMember { collection: id.clone(), file: file.clone() };
        let members = self.store.members(id, &query).await?.items;
        members.into_iter().find(|member| member.file.id == *file).ok_or_else(missing)
    }

    /// Give a writable file other metadata.
    ///
    /// # Errors
    /// `NoSuchFile` if it is not theirs to read, `FileForbidden` if only to read, `BadMetadata` if it is
    /// too much.
    pub async fn set_metadata(
        &self,
        principal: &Principal,
        id: &FileId,
        metadata: Map<String, Value>,
    ) -> Result<File> {
        self.writable_file(principal, id).await?;
        check(&metadata)?;
        let changed = self.store.put_metadata(id, metadata, self.clock.now()).await?;
        changed.ok_or_else(|| Error::NoSuchFile(id.clone()))
    }

    /// Give a writable collection another `meta`.
    ///
    /// # Errors
    /// `NoSuchCollection` if it is not theirs to read, `CollectionForbidden` if only to read.
    pub async fn set_meta(
        &self,
        principal: &Principal,
        id: &CollectionId,
        meta: Value,
    ) -> Result<Collection> {
        self.writable_collection(principal, id).await?;
        let changed = self.store.put_meta(id, meta).await?;
        changed.ok_or_else(|| Error::NoSuchCollection(id.clone()))
    }

    /// Remember which files were put into a writable collection together.
    ///
    /// # Errors
    /// `NoSuchCollection` if it is not theirs to read, `CollectionForbidden` if only to read.
    pub async fn keep_batch(
        &self,
        principal: &Principal,
        id: &CollectionId,
        batch: String,
        files: Vec<FileId>,
    ) -> Result<Batch> {
        self.writable_collection(principal, id).await?;
        let batch = Batch { id: batch, collection: id.clone(), created_at: self.clock.now(), files };
        if self.store.insert_batch(batch.clone()).await? {
            return Ok(batch);
        }
        Err(Error::NoSuchCollection(id.clone()))
    }

    /// A batch of a readable collection.
    ///
    /// # Errors
    /// `NoSuchCollection`, whether it does not exist or is not theirs to read.
    pub async fn batch(
        &self,
        principal: &Principal,
        id: &CollectionId,
        batch: &str,
    ) -> Result<Option<Batch>> {
        self.readable_collection(principal, id).await?;
        Ok(self.store.batch(id, batch).await?)
    }
}

fn passing(
    filter: &Filter,
    files: Vec<File>,
    attributes: &HashMap<FileId, Map<String, Value>>,
) -> Vec<FileId> {
    let nothing = Map::new();
    let passes = |file: &File| filter.passes(file, attributes.get(&file.id).unwrap_or(&nothing));
    files.into_iter().filter(passes).map(|file| file.id).collect()
}

fn check(said: &Map<String, Value>) -> Result<()> {
    let fits = said.len() <= MOST_KEYS
        && said.keys().all(|key| key.chars().count() <= LONGEST_KEY)
        && Value::from(said.clone()).to_string().len() <= MOST_BYTES;
    if fits { Ok(()) } else { Err(Error::BadMetadata) }
}

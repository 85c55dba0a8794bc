use async_trait::async_trait;
use breezeway_core::{CollectionId, FileId, Grantee, StoreError, UnixTime, UserId};
use breezeway_knowledge::{
    BlobHash, Collection, CollectionChange, CollectionQuery, Document, File, FileQuery, LibraryStore, Member,
    MemberQuery, NewCollection, NewFile, Page, StoredBlob, Unread,
};
use serde_json::Value;

use crate::{Store, collections, departed, documents, files, grants::Resource};

#[async_trait]
impl LibraryStore for Store {
    async fn insert_file(
        &self,
        file: NewFile,
        into: Option<&CollectionId>,
        now: UnixTime,
    ) -> Result<File, StoreError> {
        let into = into.cloned();
        self.write("insert a file", move |tx| {
            let file = files::insert(tx, &file, now)?;
            if let Some(collection) = &into {
                // `false` means that the collection has been deleted meanwhile; the file stays.
                collections::add(tx, collection, std::slice::from_ref(&file.id), now)?;
            }
            Ok(file)
        })
        .await
    }

    async fn file(&self, id: &FileId) -> Result<Option<File>, StoreError> {
        let id = id.clone();
        self.read("read a file", move |tx| files::by_id(tx, &id)).await
    }

    async fn files_by_id(&self, ids: &[FileId]) -> Result<Vec<File>, StoreError> {
        let ids = ids.to_vec();
        self.read("read files", move |tx| files::by_ids(tx, &ids)).await
    }

    async fn unread_files(&self, ids: &[FileId]) -> Result<Vec<Unread>, StoreError> {
        let ids = ids.to_vec();
        self.read("look for unread files", move |tx| files::unread(tx, &ids)).await
    }

    async fn files(&self, query: &FileQuery) -> Result<Page<File>, StoreError> {
        let query = query.clone();
        self.read("list files", move |tx| files::list(tx, &query)).await
    }

    async fn rename_file(&self, id: &FileId, name: &str, now: UnixTime) -> Result<Option<File>, StoreError> {
        let (id, name) = (id.clone(), name.to_owned());
        self.write("rename a file", move |tx| files::rename(tx, &id, &name, now)).await
    }

    async fn requeue_file(&self, id: &FileId, now: UnixTime) -> Result<Option<File>, StoreError> {
        let id = id.clone();
        self.write("requeue a file", move |tx| files::requeue(tx, &id, now)).await
    }

    async fn cancel_file(&self, id: &FileId, now: UnixTime) -> Result<Option<File>, StoreError> {
        let id = id.clone();
        self.write("cancel a file", move |tx| files::cancel(tx, &id, now)).await
    }

    async fn replace_blob(
        &self,
        id: &FileId,
        blob: StoredBlob,
        media_type: &str,
        now: UnixTime,
    ) -> Result<Option<(File, Option<BlobHash>)>, StoreError> {
        let (id, media_type) = (id.clone(), media_type.to_owned());
        self.write("replace a file's bytes", move |tx| files::replace_blob(tx, &id, &blob, &media_type, now))
            .await
    }

    async fn delete_files(&self, ids: &[FileId]) -> Result<Vec<BlobHash>, StoreError> {
        let ids = ids.to_vec();
        self.write("delete files", move |tx| files::delete(tx, &ids)).await
    }

    async fn forget_vectors(&self) -> Result<(), StoreError> {
        self.write("forget all vectors", |tx| tx.execute("DELETE FROM vectors", &[]).map(drop)).await
    }

    async fn blobs_of_files(&self) -> Result<Vec<(FileId, BlobHash)>, StoreError> {
        self.read("list blobs", files::blobs).await
    }

    async fn blob_in_use(&self, blob: &BlobHash) -> Result<bool, StoreError> {
        let blob = *blob;
        self.read("look for a blob", move |tx| files::blob_in_use(tx, &blob)).await
    }

    async fn document(&self, id: &FileId) -> Result<Option<Document>, StoreError> {
        let id = id.clone();
        self.read("read a document", move |tx| documents::by_file(tx, &id)).await
    }

    async fn insert_collection(
        &self,
        owner: &UserId,
        collection: NewCollection,
        now: UnixTime,
    ) -> Result<Collection, StoreError> {
        let owner = owner.clone();
        self.write("insert a collection", move |tx| collections::insert(tx, &owner, collection, now)).await
    }

    async fn ensure_collection(
        &self,
        id: &CollectionId,
        owner: &UserId,
        collection: NewCollection,
        meta: Value,
        now: UnixTime,
    ) -> Result<Collection, StoreError> {
        let (id, owner) = (id.clone(), owner.clone());
        self.write("make a named collection", move |tx| {
            collections::ensure(tx, &id, &owner, collection, &meta, now)
        })
        .await
    }

    async fn collection(&self, id: &CollectionId) -> Result<Option<Collection>, StoreError> {
        let id = id.clone();
        self.read("read a collection", move |tx| collections::by_id(tx, &id)).await
    }

    async fn collections(&self, query: &CollectionQuery) -> Result<Vec<(Collection, u64)>, StoreError> {
        let query = query.clone();
        self.read("list collections", move |tx| collections::list(tx, &query)).await
    }

    async fn update_collection(
        &self,
        id: &CollectionId,
        change: CollectionChange,
        now: UnixTime,
    ) -> Result<Option<Collection>, StoreError> {
        let id = id.clone();
        self.write("change a collection", move |tx| collections::update(tx, &id, &change, now)).await
    }

    async fn delete_collection(&self, id: &CollectionId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write("delete a collection", move |tx| collections::delete(tx, &id)).await
    }

    async fn add_members(
        &self,
        id: &CollectionId,
        files: &[FileId],
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let (id, files) = (id.clone(), files.to_vec());
        self.write("add files to a collection", move |tx| collections::add(tx, &id, &files, now)).await
    }

    async fn remove_members(
        &self,
        id: &CollectionId,
        files: &[FileId],
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let (id, files) = (id.clone(), files.to_vec());
        self.write("remove files from a collection", move |tx| collections::remove(tx, &id, &files, now))
            .await
    }

    async fn members(&self, id: &CollectionId, query: &MemberQuery) -> Result<Page<Member>, StoreError> {
        let (id, query) = (id.clone(), query.clone());
        self.read("list a collection's files", move |tx| collections::members(tx, &id, &query)).await
    }

    async fn member_ids(&self, id: &CollectionId) -> Result<Vec<FileId>, StoreError> {
        let id = id.clone();
        self.read("read a collection's files", move |tx| collections::member_ids(tx, &id)).await
    }

    async fn collections_of(&self, file: &FileId) -> Result<Vec<Collection>, StoreError> {
        let file = file.clone();
        self.read("read a file's collections", move |tx| collections::of_file(tx, &file)).await
    }

    async fn depart(&self, who: &Grantee) -> Result<(), StoreError> {
        let who = who.clone();
        self.write("have an account or group depart", move |tx| departed::add(tx, &who, Resource::Collection))
            .await
    }

    async fn hand_over(&self, from: &UserId, to: &UserId) -> Result<(), StoreError> {
        let (from, to) = (from.clone(), to.clone());
        self.write("hand files and collections over", move |tx| {
            departed::refuse(tx, &to)?;
            files::hand_over(tx, &from, &to)?;
            collections::hand_over(tx, &from, &to)
        })
        .await
    }
}

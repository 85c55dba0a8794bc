use async_trait::async_trait;
use breezeway_chat::history::{
    Changed, Chat, ChatChange, ChatQuery, ChatStore, ChatSummary, Folder, FolderChange, Tag, Turn,
};
use breezeway_core::{ChatId, FolderId, ShareId, StoreError, UnixTime, UserId};

use crate::{
    Store,
    chats::{self, folders},
};

#[async_trait]
impl ChatStore for Store {
    async fn insert_chats(&self, chats: &[Chat]) -> Result<(), StoreError> {
        let chats = chats.to_vec();
        self.write("insert chats", move |tx| chats.iter().try_for_each(|chat| chats::insert(tx, chat))).await
    }

    async fn chat(&self, owner: &UserId, id: &ChatId) -> Result<Option<Chat>, StoreError> {
        let (owner, id) = (owner.clone(), id.clone());
        self.read("read a chat", move |tx| chats::by_id(tx, &owner, &id)).await
    }

    async fn has_chat(&self, owner: &UserId, id: &ChatId) -> Result<bool, StoreError> {
        let (owner, id) = (owner.clone(), id.clone());
        self.read("look for a chat", move |tx| chats::exists(tx, &owner, &id)).await
    }

    async fn shared_chat(&self, share: &ShareId) -> Result<Option<Chat>, StoreError> {
        let share = share.clone();
        self.read("read a shared chat", move |tx| chats::shared(tx, &share)).await
    }

    async fn chats(&self, query: &ChatQuery) -> Result<Vec<ChatSummary>, StoreError> {
        let query = query.clone();
        self.read("list chats", move |tx| chats::list(tx, &query)).await
    }

    async fn change_chat(
        &self,
        owner: &UserId,
        id: &ChatId,
        change: ChatChange,
        now: UnixTime,
    ) -> Result<Changed, StoreError> {
        let (owner, id) = (owner.clone(), id.clone());
        self.write("change a chat", move |tx| chats::change(tx, &owner, &id, change, now)).await
    }

    async fn record(&self, turn: &Turn) -> Result<bool, StoreError> {
        let turn = turn.clone();
        self.write("record an answer", move |tx| chats::record(tx, &turn)).await
    }

    async fn archive_chats(&self, owner: &UserId, archived: bool) -> Result<(), StoreError> {
        let owner = owner.clone();
        self.write("archive chats", move |tx| chats::archive(tx, &owner, archived)).await
    }

    async fn delete_chat(&self, owner: &UserId, id: &ChatId) -> Result<bool, StoreError> {
        let (owner, id) = (owner.clone(), id.clone());
        self.write("delete a chat", move |tx| chats::delete(tx, &owner, &id)).await
    }

    async fn delete_chats(&self, owner: &UserId) -> Result<(), StoreError> {
        let owner = owner.clone();
        self.write("delete chats", move |tx| chats::delete_all(tx, &owner)).await
    }

    async fn tags(&self, owner: &UserId) -> Result<Vec<Tag>, StoreError> {
        let owner = owner.clone();
        self.read("list tags of chats", move |tx| chats::tags(tx, &owner)).await
    }

    async fn insert_folder(&self, folder: &Folder) -> Result<(), StoreError> {
        let folder = folder.clone();
        self.write("insert a folder", move |tx| folders::insert(tx, &folder)).await
    }

    async fn folders(&self, owner: &UserId) -> Result<Vec<Folder>, StoreError> {
        let owner = owner.clone();
        self.read("list folders", move |tx| folders::list(tx, &owner)).await
    }

    async fn change_folder(
        &self,
        owner: &UserId,
        id: &FolderId,
        change: FolderChange,
        now: UnixTime,
    ) -> Result<Option<Folder>, StoreError> {
        let (owner, id) = (owner.clone(), id.clone());
        self.write("change a folder", move |tx| folders::change(tx, &owner, &id, change, now)).await
    }

    async fn delete_folder(
        &self,
        owner: &UserId,
        id: &FolderId,
        with_chats: bool,
    ) -> Result<bool, StoreError> {
        let (owner, id) = (owner.clone(), id.clone());
        self.write("delete a folder", move |tx| folders::delete(tx, &owner, &id, with_chats)).await
    }

    async fn depart_from_chats(&self, account: &UserId, heir: Option<&UserId>) -> Result<(), StoreError> {
        let (account, heir) = (account.clone(), heir.cloned());
        self.write("part with chats", move |tx| chats::depart(tx, &account, heir.as_ref())).await
    }
}

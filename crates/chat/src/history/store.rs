//! The port to whatever keeps chats.

use async_trait::async_trait;
use breezeway_core::{ChatId, FolderId, ShareId, StoreError, UnixTime, UserId};

use super::{Changed, Chat, ChatChange, ChatQuery, ChatSummary, Folder, FolderChange, Tag, Turn};

/// Saved chats and their folders.
///
/// # Contract
/// - every call is one transaction;
/// - a chat or folder of somebody else's is one that does not exist;
/// - a chat is in a folder of its owner's or in none, and folders never contain themselves;
/// - once an account has departed, inserting something of its is `StoreError::Departed` and changes
///   nothing;
/// - what is found by its words is found by those it has now.
#[async_trait]
pub trait ChatStore: Send + Sync + 'static {
    /// Insert chats, without what they are shared under. `StoreError::Taken("chat")` if an id is known;
    /// then none is inserted.
    async fn insert_chats(&self, chats: &[Chat]) -> Result<(), StoreError>;

    /// One chat.
    async fn chat(&self, owner: &UserId, id: &ChatId) -> Result<Option<Chat>, StoreError>;

    /// Whether there is such a chat.
    async fn has_chat(&self, owner: &UserId, id: &ChatId) -> Result<bool, StoreError>;

    /// A shared chat as it was when it was shared, whoever asks: its id, owner and times are those of the
    /// chat, title and JSON those of the copy; it has no folder, tags and marks.
    async fn shared_chat(&self, share: &ShareId) -> Result<Option<Chat>, StoreError>;

    /// The chats a query asks for, in its order.
    async fn chats(&self, query: &ChatQuery) -> Result<Vec<ChatSummary>, StoreError>;

    /// Change one.
    async fn change_chat(
        &self,
        owner: &UserId,
        id: &ChatId,
        change: ChatChange,
        now: UnixTime,
    ) -> Result<Changed, StoreError>;

    /// Write a question and its answer into a chat, whosever it is by now; see [`Turn::write_into`]. Doing
    /// it again changes nothing more. `false` if the chat is gone or would become too long.
    async fn record(&self, turn: &Turn) -> Result<bool, StoreError>;

    /// Put all of somebody's chats away, or take all out again.
    async fn archive_chats(&self, owner: &UserId, archived: bool) -> Result<(), StoreError>;

    /// Delete one, with what is shared of it; answers whether it was there.
    async fn delete_chat(&self, owner: &UserId, id: &ChatId) -> Result<bool, StoreError>;

    /// Delete all of somebody's chats; folders stay.
    async fn delete_chats(&self, owner: &UserId) -> Result<(), StoreError>;

    /// The tags of somebody's chats, each once, by id.
    async fn tags(&self, owner: &UserId) -> Result<Vec<Tag>, StoreError>;

    /// Insert a folder. One whose parent is not there is in none.
    async fn insert_folder(&self, folder: &Folder) -> Result<(), StoreError>;

    /// Somebody's folders, in the order they were made.
    async fn folders(&self, owner: &UserId) -> Result<Vec<Folder>, StoreError>;

    /// Change one; `None` if it, or the parent it should get, is not there, or the parent is below it.
    async fn change_folder(
        &self,
        owner: &UserId,
        id: &FolderId,
        change: FolderChange,
        now: UnixTime,
    ) -> Result<Option<Folder>, StoreError>;

    /// Delete a folder and those below it. The chats in them are deleted too (`with_chats`), or in no
    /// folder any more. Answers whether it was there.
    async fn delete_folder(
        &self,
        owner: &UserId,
        id: &FolderId,
        with_chats: bool,
    ) -> Result<bool, StoreError>;

    /// Have an account depart for good: from now on nothing is inserted for it, and its chats and folders
    /// are deleted, or belong to `heir`. Doing so again is no error; `StoreError::Departed` if the heir
    /// has departed.
    async fn depart_from_chats(&self, account: &UserId, heir: Option<&UserId>) -> Result<(), StoreError>;
}

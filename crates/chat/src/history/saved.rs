//! Saved chats as their owners see them, and answers on their way into them.
//!
//! # Design
//! An answer is written after it was sent, by whoever runs [`SavedChats::run`], so that no client waits
//! for the disk. Room for it among those that wait is taken before the upstream is asked: when the store
//! cannot keep up new turns are refused, and none that was answered is lost. Whoever reads or changes
//! chats writes what waits first, so that nobody sees a chat without an answer they have already got.

mod writing;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use breezeway_core::{ChatId, Clock, FolderId, Principal, ShareId, StoreError, UnixTime, UserId};
use serde_json::{Map, Value};
use tokio::sync::{Mutex as Writer, Notify, OwnedSemaphorePermit, Semaphore};

use super::{
    Changed, Chat, ChatChange, ChatQuery, ChatStore, ChatSummary, Draft, Folder, FolderChange,
    MOST_CHAT_BYTES, SavedError, Tag, Turn, title_of,
};

/// Turns that are being answered or wait to be written, at most.
const MOST_TURNS: usize = 4096;

/// Room for one turn.
pub(super) type Place = OwnedSemaphorePermit;

type Result<T, E = SavedError> = std::result::Result<T, E>;

/// Saved chats. Clones share one state.
#[derive(Clone)]
pub struct SavedChats(Arc<Shared>);

struct Shared {
    store: Arc<dyn ChatStore>,
    clock: Clock,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Held while a turn is written: turns go into the store in the order they ended.
    writer: Writer<()>,
    arrived: Notify,
    places: Arc<Semaphore>,
}

struct Waiting {
    turn: Arc<Turn>,
    attempts: u32,
    _place: Place,
}

/// A chat that its client brings along, whole.
#[derive(Clone, Debug, Default)]
pub struct NewChat {
    /// What clients keep of it.
    pub body: Map<String, Value>,
    /// Free data of clients.
    pub meta: Map<String, Value>,
    /// The folder it is to be in.
    pub folder: Option<FolderId>,
    /// Whether it is kept on top.
    pub pinned: bool,
    /// Whether it was put away.
    pub archived: bool,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// When it was made, if that was before, in seconds since 1970.
    pub created_at: Option<i64>,
    /// When it last changed, if that was before.
    pub updated_at: Option<i64>,
}

impl SavedChats {
    /// Chats that are kept in `store`.
    pub fn new(store: Arc<dyn ChatStore>, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            store,
            clock,
            waiting: Mutex::default(),
            writer: Writer::default(),
            arrived: Notify::new(),
            places: Arc::new(Semaphore::new(MOST_TURNS)),
        }))
    }

    /// Begin a turn of a saved chat, as a request for a completion asks for one.
    ///
    /// # Errors
    /// `NoSuchChat` if it is not there or not the caller's; `ReadOnlyKey`, `KeyNarrowed`; `Busy` if too
    /// many answers wait already.
    pub async fn begin(
        &self,
        principal: &Principal,
        chat: &str,
        request: &Map<String, Value>,
    ) -> Result<Draft> {
        allowed(principal)?;
        if principal.rules.as_ref().is_some_and(|rules| rules.read_only) {
            return Err(SavedError::ReadOnlyKey);
        }
        let chat = chat.parse::<ChatId>().map_err(|_| SavedError::NoSuchChat)?;
        if !self.0.store.has_chat(&principal.user, &chat).await? {
            return Err(SavedError::NoSuchChat);
        }
        let place = self.0.places.clone().try_acquire_owned().map_err(|_| SavedError::Busy)?;
        Ok(Draft::new(Turn::of(chat, request, self.0.clock.now()), place, self.clone()))
    }

    /// Make a chat.
    ///
    /// # Errors
    /// `NoSuchFolder`, `TooLarge`.
    pub async fn create(&self, principal: &Principal, new: NewChat) -> Result<Chat> {
        if let Some(folder) = &new.folder {
            self.folder(principal, folder).await?;
        }
        let mut made = self.import(principal, vec![new]).await?;
        made.pop().ok_or(SavedError::NoSuchChat)
    }

    /// Make chats that were kept elsewhere; a folder that is not the caller's is none.
    ///
    /// # Errors
    /// `TooLarge`, and then none is made.
    pub async fn import(&self, principal: &Principal, new: Vec<NewChat>) -> Result<Vec<Chat>> {
        allowed(principal)?;
        let folders = match new.iter().any(|chat| chat.folder.is_some()) {
            true => self.0.store.folders(&principal.user).await?,
            false => Vec::new(),
        };
        let now = self.0.clock.now();
        let time = |at: Option<i64>| at.map_or(now, UnixTime::from_seconds);
        let chats: Vec<Chat> = new
            .into_iter()
            .map(|new| Chat {
                id: ChatId::mint(),
                owner: principal.user.clone(),
                title: title_of(&new.body),
                body: new.body,
                meta: new.meta,
                folder: new.folder.filter(|id| folders.iter().any(|folder| folder.id == *id)),
                share: None,
                archived: new.archived,
                pinned: new.pinned,
                tags: new.tags,
                created_at: time(new.created_at),
                updated_at: time(new.updated_at),
            })
            .collect();
        if chats.iter().any(|chat| length(&chat.body) > MOST_CHAT_BYTES) {
            return Err(SavedError::TooLarge);
        }
        self.0.store.insert_chats(&chats).await?;
        Ok(chats)
    }

    /// One of the caller's chats.
    ///
    /// # Errors
    /// `NoSuchChat`.
    pub async fn chat(&self, principal: &Principal, id: &ChatId) -> Result<Chat> {
        allowed(principal)?;
        self.settle().await;
        self.0.store.chat(&principal.user, id).await?.ok_or(SavedError::NoSuchChat)
    }

    /// A chat that somebody has shared, as it was then.
    ///
    /// # Errors
    /// `NoSuchChat`.
    pub async fn shared(&self, principal: &Principal, share: &ShareId) -> Result<Chat> {
        allowed(principal)?;
        self.0.store.shared_chat(share).await?.ok_or(SavedError::NoSuchChat)
    }

    /// The caller's chats; whose the query is for does not count.
    ///
    /// # Errors
    /// The store's.
    pub async fn chats(&self, principal: &Principal, query: ChatQuery) -> Result<Vec<ChatSummary>> {
        allowed(principal)?;
        self.settle().await;
        let query = ChatQuery { owner: principal.user.clone(), ..query };
        Ok(self.0.store.chats(&query).await?)
    }

    /// Change one of the caller's chats.
    ///
    /// # Errors
    /// `NoSuchChat`, `TooLarge`; `NoSuchFolder` if it is to be moved to where it cannot be.
    pub async fn change(&self, principal: &Principal, id: &ChatId, change: ChatChange) -> Result<Chat> {
        allowed(principal)?;
        self.settle().await;
        if let ChatChange::Move(Some(folder)) = &change {
            self.folder(principal, folder).await?;
        }
        match self.0.store.change_chat(&principal.user, id, change, self.0.clock.now()).await? {
            Changed::Chat(chat) => Ok(*chat),
            Changed::Gone => Err(SavedError::NoSuchChat),
            Changed::TooLarge => Err(SavedError::TooLarge),
        }
    }

    /// Put all of the caller's chats away, or take all out again.
    ///
    /// # Errors
    /// The store's.
    pub async fn archive_all(&self, principal: &Principal, archived: bool) -> Result<()> {
        allowed(principal)?;
        Ok(self.0.store.archive_chats(&principal.user, archived).await?)
    }

    /// Delete one of the caller's chats.
    ///
    /// # Errors
    /// `NoSuchChat`.
    pub async fn delete(&self, principal: &Principal, id: &ChatId) -> Result<()> {
        allowed(principal)?;
        match self.0.store.delete_chat(&principal.user, id).await? {
            true => Ok(()),
            false => Err(SavedError::NoSuchChat),
        }
    }

    /// Delete all of the caller's chats.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete_all(&self, principal: &Principal) -> Result<()> {
        allowed(principal)?;
        Ok(self.0.store.delete_chats(&principal.user).await?)
    }

    /// The tags of the caller's chats.
    ///
    /// # Errors
    /// The store's.
    pub async fn tags(&self, principal: &Principal) -> Result<Vec<Tag>> {
        allowed(principal)?;
        Ok(self.0.store.tags(&principal.user).await?)
    }

    /// The caller's folders.
    ///
    /// # Errors
    /// The store's.
    pub async fn folders(&self, principal: &Principal) -> Result<Vec<Folder>> {
        allowed(principal)?;
        Ok(self.0.store.folders(&principal.user).await?)
    }

    /// One of the caller's folders.
    ///
    /// # Errors
    /// `NoSuchFolder`.
    pub async fn folder(&self, principal: &Principal, id: &FolderId) -> Result<Folder> {
        let folders = self.folders(principal).await?;
        folders.into_iter().find(|folder| folder.id == *id).ok_or(SavedError::NoSuchFolder)
    }

    /// Make a folder out of a change of one that has nothing yet.
    ///
    /// # Errors
    /// `NoSuchFolder` if it is to be in one that is not there.
    pub async fn create_folder(&self, principal: &Principal, new: FolderChange) -> Result<Folder> {
        allowed(principal)?;
        let parent = new.parent.flatten();
        if let Some(parent) = &parent {
            self.folder(principal, parent).await?;
        }
        let now = self.0.clock.now();
        let folder = Folder {
            id: FolderId::mint(),
            owner: principal.user.clone(),
            parent,
            name: new.name.unwrap_or_default(),
            data: new.data,
            meta: new.meta,
            expanded: new.expanded.unwrap_or(false),
            created_at: now,
            updated_at: now,
        };
        self.0.store.insert_folder(&folder).await?;
        Ok(folder)
    }

    /// Change one of the caller's folders.
    ///
    /// # Errors
    /// `NoSuchFolder`, also for a parent that cannot be one.
    pub async fn change_folder(
        &self,
        principal: &Principal,
        id: &FolderId,
        change: FolderChange,
    ) -> Result<Folder> {
        allowed(principal)?;
        let changed = self.0.store.change_folder(&principal.user, id, change, self.0.clock.now()).await?;
        changed.ok_or(SavedError::NoSuchFolder)
    }

    /// Delete one of the caller's folders and those below it, with or without the chats in them.
    ///
    /// # Errors
    /// `NoSuchFolder`.
    pub async fn delete_folder(&self, principal: &Principal, id: &FolderId, with_chats: bool) -> Result<()> {
        allowed(principal)?;
        match self.0.store.delete_folder(&principal.user, id, with_chats).await? {
            true => Ok(()),
            false => Err(SavedError::NoSuchFolder),
        }
    }

    /// Part with an account that is being deleted: its chats and folders are deleted, or belong to `heir`.
    /// Whether the caller may do that is asked before.
    ///
    /// # Errors
    /// If the store fails, or the heir has departed.
    pub async fn depart(&self, account: &UserId, heir: Option<&UserId>) -> Result<(), StoreError> {
        self.settle().await;
        self.0.store.depart_from_chats(account, heir).await
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chat holds passages of whatever collections it was about, so that a key for certain ones would learn
/// of others.
fn allowed(principal: &Principal) -> Result<()> {
    match principal.rules.as_ref().is_some_and(|rules| rules.collections.is_some()) {
        true => Err(SavedError::KeyNarrowed),
        false => Ok(()),
    }
}

/// The length of a chat's JSON, in bytes.
pub(super) fn length(body: &Map<String, Value>) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Neither a JSON map nor a counter can fail.
    let written = serde_json::to_writer(&mut count, body);
    if written.is_ok() { count.0 } else { usize::MAX }
}

#[cfg(test)]
mod tests;

//! Chats in memory, for tests and for programs that keep nothing.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use breezeway_core::{ChatId, FolderId, ShareId, StoreError, UnixTime, UserId};
use serde_json::{Map, Value};

use super::{
    Changed, Chat, ChatChange, ChatOrder, ChatQuery, ChatStore, ChatSummary, Folder, FolderChange, InFolder,
    MOST_CHAT_BYTES, Tag, Turn, phrases, saved::length, searchable, title_of,
};

/// Chats in memory.
#[derive(Debug, Default)]
pub struct MemoryChats(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    chats: Vec<Chat>,
    folders: Vec<Folder>,
    /// What was shared, under which id, of which chat.
    shared: Vec<(ShareId, ChatId, String, Map<String, Value>)>,
    departed: HashSet<UserId>,
    /// What the next turns are refused with.
    #[cfg(test)]
    refusals: Vec<StoreError>,
}

impl MemoryChats {
    /// Fail with the next turns.
    #[cfg(test)]
    pub(super) fn refuse_next(&self, times: u32, error: impl Fn() -> StoreError) {
        self.state().refusals.extend((0..times).map(|_| error()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refuse(&self, owner: &UserId) -> Result<(), StoreError> {
        match self.departed.contains(owner) {
            true => Err(StoreError::Departed(owner.clone())),
            false => Ok(()),
        }
    }

    fn has_folder(&self, owner: &UserId, id: &FolderId) -> bool {
        self.folders.iter().any(|folder| folder.owner == *owner && folder.id == *id)
    }

    /// The folder and all below it.
    fn below(&self, id: &FolderId) -> Vec<FolderId> {
        let mut found = vec![id.clone()];
        let mut next = 0;
        while let Some(parent) = found.get(next).cloned() {
            let children = self.folders.iter().filter(|folder| folder.parent.as_ref() == Some(&parent));
            found.extend(children.map(|folder| folder.id.clone()));
            next += 1;
        }
        found
    }

    fn forget(&mut self, goes: impl Fn(&Chat) -> bool) -> bool {
        let (gone, kept): (Vec<_>, Vec<_>) = self.chats.drain(..).partition(|chat| goes(chat));
        self.chats = kept;
        self.shared.retain(|(_, of, ..)| !gone.iter().any(|chat| chat.id == *of));
        !gone.is_empty()
    }

    fn change(&mut self, at: usize, change: ChatChange, now: UnixTime) -> bool {
        let mut chat = self.chats[at].clone();
        match change {
            ChatChange::Merge(fields) => {
                chat.body.extend(fields);
                chat.title = title_of(&chat.body);
                chat.updated_at = now;
                if length(&chat.body) > MOST_CHAT_BYTES {
                    return false;
                }
            }
            ChatChange::ToggleArchived => chat.archived = !chat.archived,
            ChatChange::TogglePinned => chat.pinned = !chat.pinned,
            ChatChange::Move(folder) => {
                chat.folder = folder.filter(|folder| self.has_folder(&chat.owner, folder));
            }
            ChatChange::Share(new) => {
                let share = chat.share.clone().unwrap_or(new);
                self.shared.retain(|(id, ..)| *id != share);
                self.shared.push((share.clone(), chat.id.clone(), chat.title.clone(), chat.body.clone()));
                chat.share = Some(share);
            }
            ChatChange::Unshare => {
                self.shared.retain(|(_, of, ..)| *of != chat.id);
                chat.share = None;
            }
            ChatChange::Tag(tag) => {
                chat.tags.retain(|known| known.id != tag.id);
                chat.tags.push(tag);
                chat.tags.sort();
            }
            ChatChange::Untag(id) => chat.tags.retain(|tag| tag.id != id),
            ChatChange::UntagAll => chat.tags.clear(),
        }
        self.chats[at] = chat;
        true
    }

    fn place(&self, owner: &UserId, id: &ChatId) -> Option<usize> {
        self.chats.iter().position(|chat| chat.owner == *owner && chat.id == *id)
    }
}

fn matches(chat: &Chat, query: &ChatQuery) -> bool {
    let has_words = |text: &String| {
        let words = searchable(&chat.title, &chat.body);
        phrases(text).is_some_and(|phrases| phrases.iter().all(|phrase| phrase.is_in(&words)))
    };
    chat.owner == query.owner
        && query.archived.is_none_or(|archived| chat.archived == archived)
        && query.pinned.is_none_or(|pinned| chat.pinned == pinned)
        && query.tag.as_ref().is_none_or(|id| chat.tags.iter().any(|tag| tag.id == *id))
        && match &query.folder {
            InFolder::Any => true,
            InFolder::None => chat.folder.is_none(),
            InFolder::This(folder) => chat.folder.as_ref() == Some(folder),
        }
        && query.text.as_ref().is_none_or(has_words)
}

#[async_trait]
impl ChatStore for MemoryChats {
    async fn insert_chats(&self, chats: &[Chat]) -> Result<(), StoreError> {
        let mut state = self.state();
        let mut new = Vec::new();
        for chat in chats {
            state.refuse(&chat.owner)?;
            if state.chats.iter().chain(&new).any(|known| known.id == chat.id) {
                return Err(StoreError::Taken("chat"));
            }
            let folder = chat.folder.clone().filter(|folder| state.has_folder(&chat.owner, folder));
            new.push(Chat { share: None, folder, ..chat.clone() });
        }
        state.chats.extend(new);
        Ok(())
    }

    async fn chat(&self, owner: &UserId, id: &ChatId) -> Result<Option<Chat>, StoreError> {
        let state = self.state();
        Ok(state.place(owner, id).map(|at| state.chats[at].clone()))
    }

    async fn has_chat(&self, owner: &UserId, id: &ChatId) -> Result<bool, StoreError> {
        Ok(self.state().place(owner, id).is_some())
    }

    async fn shared_chat(&self, share: &ShareId) -> Result<Option<Chat>, StoreError> {
        let state = self.state();
        let Some((_, of, title, body)) = state.shared.iter().find(|(id, ..)| id == share) else {
            return Ok(None);
        };
        let chat = state.chats.iter().find(|chat| chat.id == *of);
        Ok(chat.map(|chat| Chat {
            title: title.clone(),
            body: body.clone(),
            share: Some(share.clone()),
            meta: Map::new(),
            folder: None,
            archived: false,
            pinned: false,
            tags: Vec::new(),
            ..chat.clone()
        }))
    }

    async fn chats(&self, query: &ChatQuery) -> Result<Vec<ChatSummary>, StoreError> {
        let state = self.state();
        let mut found: Vec<&Chat> = state.chats.iter().filter(|chat| matches(chat, query)).collect();
        found.sort_by(|left, right| {
            let order = match query.order {
                ChatOrder::Change => left.updated_at.cmp(&right.updated_at),
                ChatOrder::Creation => left.created_at.cmp(&right.created_at),
                ChatOrder::Title => left.title.cmp(&right.title),
            };
            let order = if query.ascending { order } else { order.reverse() };
            order.then_with(|| left.id.cmp(&right.id))
        });
        let part = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let shown = found.into_iter().skip(part(query.offset)).take(part(query.limit));
        Ok(shown
            .map(|chat| ChatSummary {
                id: chat.id.clone(),
                title: chat.title.clone(),
                archived: chat.archived,
                created_at: chat.created_at,
                updated_at: chat.updated_at,
            })
            .collect())
    }

    async fn change_chat(
        &self,
        owner: &UserId,
        id: &ChatId,
        change: ChatChange,
        now: UnixTime,
    ) -> Result<Changed, StoreError> {
        let mut state = self.state();
        let Some(at) = state.place(owner, id) else { return Ok(Changed::Gone) };
        Ok(match state.change(at, change, now) {
            true => Changed::Chat(Box::new(state.chats[at].clone())),
            false => Changed::TooLarge,
        })
    }

    async fn record(&self, turn: &Turn) -> Result<bool, StoreError> {
        let mut state = self.state();
        #[cfg(test)]
        if let Some(refusal) = state.refusals.pop() {
            return Err(refusal);
        }
        let Some(chat) = state.chats.iter_mut().find(|chat| chat.id == turn.chat) else { return Ok(false) };
        let mut body = chat.body.clone();
        turn.write_into(&mut body);
        if length(&body) > MOST_CHAT_BYTES {
            return Ok(false);
        }
        chat.body = body;
        chat.title = title_of(&chat.body);
        chat.updated_at = chat.updated_at.max(turn.at);
        Ok(true)
    }

    async fn archive_chats(&self, owner: &UserId, archived: bool) -> Result<(), StoreError> {
        let mut state = self.state();
        for chat in state.chats.iter_mut().filter(|chat| chat.owner == *owner) {
            chat.archived = archived;
        }
        Ok(())
    }

    async fn delete_chat(&self, owner: &UserId, id: &ChatId) -> Result<bool, StoreError> {
        Ok(self.state().forget(|chat| chat.owner == *owner && chat.id == *id))
    }

    async fn delete_chats(&self, owner: &UserId) -> Result<(), StoreError> {
        self.state().forget(|chat| chat.owner == *owner);
        Ok(())
    }

    async fn tags(&self, owner: &UserId) -> Result<Vec<Tag>, StoreError> {
        let state = self.state();
        let own = state.chats.iter().filter(|chat| chat.owner == *owner);
        let mut tags: Vec<Tag> = own.flat_map(|chat| chat.tags.iter().cloned()).collect();
        tags.sort();
        tags.dedup_by(|left, right| left.id == right.id);
        Ok(tags)
    }

    async fn insert_folder(&self, folder: &Folder) -> Result<(), StoreError> {
        let mut state = self.state();
        state.refuse(&folder.owner)?;
        let parent = folder.parent.clone().filter(|parent| state.has_folder(&folder.owner, parent));
        state.folders.push(Folder { parent, ..folder.clone() });
        Ok(())
    }

    async fn folders(&self, owner: &UserId) -> Result<Vec<Folder>, StoreError> {
        let state = self.state();
        let mut found: Vec<Folder> =
            state.folders.iter().filter(|folder| folder.owner == *owner).cloned().collect();
        found.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        Ok(found)
    }

    async fn change_folder(
        &self,
        owner: &UserId,
        id: &FolderId,
        change: FolderChange,
        now: UnixTime,
    ) -> Result<Option<Folder>, StoreError> {
        let mut state = self.state();
        if let Some(Some(parent)) = &change.parent
            && (!state.has_folder(owner, parent) || state.below(id).contains(parent))
        {
            return Ok(None);
        }
        let mut folders = state.folders.iter_mut();
        let Some(folder) = folders.find(|folder| folder.owner == *owner && folder.id == *id) else {
            return Ok(None);
        };
        *folder = change.applied_to(folder.clone(), now);
        Ok(Some(folder.clone()))
    }

    async fn delete_folder(
        &self,
        owner: &UserId,
        id: &FolderId,
        with_chats: bool,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        if !state.has_folder(owner, id) {
            return Ok(false);
        }
        let gone = state.below(id);
        let is_inside = |chat: &Chat| chat.folder.as_ref().is_some_and(|folder| gone.contains(folder));
        if with_chats {
            state.forget(is_inside);
        }
        for chat in state.chats.iter_mut().filter(|chat| is_inside(chat)) {
            chat.folder = None;
        }
        state.folders.retain(|folder| !gone.contains(&folder.id));
        Ok(true)
    }

    async fn depart_from_chats(&self, account: &UserId, heir: Option<&UserId>) -> Result<(), StoreError> {
        let mut state = self.state();
        state.departed.insert(account.clone());
        let Some(heir) = heir else {
            state.forget(|chat| chat.owner == *account);
            state.folders.retain(|folder| folder.owner != *account);
            return Ok(());
        };
        state.refuse(heir)?;
        for chat in state.chats.iter_mut().filter(|chat| chat.owner == *account) {
            chat.owner = heir.clone();
        }
        for folder in state.folders.iter_mut().filter(|folder| folder.owner == *account) {
            folder.owner = heir.clone();
        }
        Ok(())
    }
}

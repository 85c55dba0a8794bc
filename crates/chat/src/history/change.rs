//! What can be changed of a saved chat or a folder.

use breezeway_core::{FolderId, ShareId, UnixTime};
use serde_json::{Map, Value};

use super::{Chat, Folder, Tag};

/// A change of a saved chat.
#[derive(Clone, Debug)]
pub enum ChatChange {
    /// Put these in the place of the JSON's entries of the same names. Counts as a change of the chat;
    /// nothing else does.
    Merge(Map<String, Value>),
    /// Put it away, or take it out again.
    ToggleArchived,
    /// Keep it on top, or not any more.
    TogglePinned,
    /// Put it into a folder of its owner's, or into none; a folder that is not there is none.
    Move(Option<FolderId>),
    /// Share it as it is now: under the id it is shared under, or else this one.
    Share(ShareId),
    /// Share it no longer.
    Unshare,
    /// Give it a tag.
    Tag(Tag),
    /// Take a tag away, by its id.
    Untag(String),
    /// Take all tags away.
    UntagAll,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    /// The chat as it is now.
    Chat(Box<Chat>),
    /// There is no such chat, or it is somebody else's.
    Gone,
    /// The chat would be longer than [`super::MOST_CHAT_BYTES`]; nothing was changed.
    TooLarge,
}

/// A change of a folder; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct FolderChange {
    /// What it is called.
    pub name: Option<String>,
    /// What clients keep of it.
    pub data: Option<Map<String, Value>>,
    /// Free data of clients.
    pub meta: Option<Map<String, Value>>,
    /// The folder it is in, or none.
    pub parent: Option<Option<FolderId>>,
    /// Whether clients show what is in it.
    pub expanded: Option<bool>,
}

impl FolderChange {
    /// The folder after this change.
    pub fn applied_to(self, folder: Folder, now: UnixTime) -> Folder {
        Folder {
            name: self.name.unwrap_or(folder.name),
            data: self.data.or(folder.data),
            meta: self.meta.or(folder.meta),
            parent: self.parent.unwrap_or(folder.parent),
            expanded: self.expanded.unwrap_or(folder.expanded),
            updated_at: now,
            ..folder
        }
    }
}

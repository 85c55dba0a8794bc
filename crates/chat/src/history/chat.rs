//! Saved chats, their folders and tags, and which of them are listed.

use breezeway_core::{ChatId, FolderId, ShareId, UnixTime, UserId};
use serde_json::{Map, Value};

/// What a chat is called that has no name.
const UNNAMED: &str = "New Chat";

/// The longest title that lists show, in bytes. The chat itself keeps what its client wrote.
const TITLE_BYTES: usize = 1024;

/// A saved chat.
#[derive(Clone, Debug, PartialEq)]
pub struct Chat {
    /// Its id.
    pub id: ChatId,
    /// Whose it is.
    pub owner: UserId,
    /// What lists call it; see [`title_of`].
    pub title: String,
    /// What clients keep of it: `title`, `models`, `history`, …
    pub body: Map<String, Value>,
    /// Free data of clients.
    pub meta: Map<String, Value>,
    /// The folder it is in, one of its owner's.
    pub folder: Option<FolderId>,
    /// Under which id a copy of it can be read by others.
    pub share: Option<ShareId>,
    /// Whether it was put away.
    pub archived: bool,
    /// Whether it is kept on top.
    pub pinned: bool,
    /// Its tags, by id.
    pub tags: Vec<Tag>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When something was last said in it, or its client last wrote it.
    pub updated_at: UnixTime,
}

/// The title in a chat's JSON, cut where lists would have to.
pub fn title_of(body: &Map<String, Value>) -> String {
    let title = body.get("title").and_then(Value::as_str).map(str::trim).filter(|title| !title.is_empty());
    let title = title.unwrap_or(UNNAMED);
    title[..title.floor_char_boundary(TITLE_BYTES)].to_owned()
}

/// A chat as lists show it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatSummary {
    /// Its id.
    pub id: ChatId,
    /// Its title.
    pub title: String,
    /// Whether it was put away.
    pub archived: bool,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
}

/// A word that chats are found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// The name in lower case, with underscores for spaces: two spellings of one tag are one.
    pub id: String,
    /// As its owner wrote it.
    pub name: String,
}

impl Tag {
    /// The tag that people mean by `name`; `None` if there is nothing in it, or too much.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        (1..=256).contains(&name.len()).then(|| Self { id: Self::id_of(name), name: name.to_owned() })
    }

    /// The id of the tag that people mean by `name`.
    pub fn id_of(name: &str) -> String {
        name.trim().to_lowercase().replace(' ', "_")
    }
}

/// A folder of saved chats.
#[derive(Clone, Debug, PartialEq)]
pub struct Folder {
    /// Its id.
    pub id: FolderId,
    /// Whose it is.
    pub owner: UserId,
    /// The folder it is in, one of its owner's.
    pub parent: Option<FolderId>,
    /// What it is called.
    pub name: String,
    /// What clients keep of it: a system prompt, files.
    pub data: Option<Map<String, Value>>,
    /// Free data of clients.
    pub meta: Option<Map<String, Value>>,
    /// Whether clients show what is in it.
    pub expanded: bool,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
}

/// Where a listed chat has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InFolder {
    /// Anywhere.
    #[default]
    Any,
    /// In no folder.
    None,
    /// In this one, not below it.
    This(FolderId),
}

/// By what a list is ordered; equals are ordered by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatOrder {
    /// The last change.
    #[default]
    Change,
    /// The beginning.
    Creation,
    /// The title, byte by byte.
    Title,
}

/// Which chats to list.
#[derive(Clone, Debug)]
pub struct ChatQuery {
    /// Whose.
    pub owner: UserId,
    /// Only those in which all of these words are, wherever; see [`super::phrases`].
    pub text: Option<String>,
    /// Only those that are, or are not.
    pub archived: Option<bool>,
    /// Only those that are, or are not.
    pub pinned: Option<bool>,
    /// Only those there.
    pub folder: InFolder,
    /// Only those with the tag of this id.
    pub tag: Option<String>,
    /// By what.
    pub order: ChatOrder,
    /// Whether smaller ones come first.
    pub ascending: bool,
    /// How many to leave out at the beginning.
    pub offset: u64,
    /// How many at most.
    pub limit: u64,
}

impl ChatQuery {
    /// The chats of `owner` that were not put away, the latest changed first.
    pub fn of(owner: UserId, offset: u64, limit: u64) -> Self {
        Self {
            owner,
            text: None,
            archived: Some(false),
            pinned: None,
            folder: InFolder::Any,
            tag: None,
            order: ChatOrder::Change,
            ascending: false,
            offset,
            limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_title_is_a_text_of_a_length_that_lists_can_show() {
        let title = |body: Value| title_of(body.as_object().unwrap());

        assert_eq!(title(json!({"title": " Trams "})), "Trams");
        for body in [json!({}), json!({"title": ""}), json!({"title": 7})] {
            assert_eq!(title(body), "New Chat");
        }
        assert_eq!(title(json!({"title": "ä".repeat(1000)})).len(), 1024);
    }

    #[test]
    fn spellings_of_a_tag_are_one_tag() {
        let ids = ["Long Reads", " long reads", "LONG_READS"].map(|name| Tag::named(name).unwrap().id);

        assert_eq!(ids, ["long_reads"; 3]);
        assert_eq!(Tag::named("  "), None);
        assert_eq!(Tag::named(&"x".repeat(257)), None);
    }
}

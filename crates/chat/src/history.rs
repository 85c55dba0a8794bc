//! Saved chats: conversations that are kept for their owners, and their folders.
//!
//! A chat is the JSON object that clients keep of it, whole; this server reads and writes nothing in it
//! but its title and the tree of messages. Chats are their owner's alone: admins see no more of them than
//! anybody else.

mod change;
mod chat;
mod draft;
mod error;
mod memory;
mod saved;
mod store;
mod text;
mod tree;
mod turn;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use self::{
    change::{Changed, ChatChange, FolderChange},
    chat::{Chat, ChatOrder, ChatQuery, ChatSummary, Folder, InFolder, Tag, title_of},
    draft::Draft,
    error::SavedError,
    memory::MemoryChats,
    saved::{NewChat, SavedChats},
    store::ChatStore,
    text::{Phrase, phrases, searchable},
    turn::{Reply, Said, Turn},
};

/// The longest saved chat, in bytes of its JSON. Pictures in it are data URLs, so this is far above what
/// text needs, and each change reads and writes all of it.
pub const MOST_CHAT_BYTES: usize = 16 << 20;

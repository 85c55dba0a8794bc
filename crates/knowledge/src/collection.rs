//! Collections: named sets of files that a model may search.
//!
//! A collection owns no text. It lists files, and each file owns its chunks; that is why adding a
//! file embeds nothing and leaving a collection never touches an index.

use breezeway_core::{CollectionId, Grants, UnixTime, UserId};
use serde_json::{Value, json};

use crate::{File, FileOrder, Slice};

/// A named set of files; the API calls it a knowledge base.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    /// Its id.
    pub id: CollectionId,
    /// Who made it.
    pub owner: UserId,
    /// Its name; need not be unique.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Free data of clients.
    pub meta: Option<Value>,
    /// Who else may read or change it.
    pub grants: Grants,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it or its membership last changed.
    pub updated_at: UnixTime,
}

/// The entry of `meta` that marks a collection made under a name; see [`Collection::is_named`].
const NAMED: &str = "named";

impl Collection {
    /// Whether it was made by writing to a name that clients thought of, and not as a knowledge base.
    /// Such a collection is searched and filled like any other, and is in no list.
    pub fn is_named(&self) -> bool {
        self.meta.as_ref().and_then(|meta| meta.get(NAMED)).and_then(Value::as_bool) == Some(true)
    }

    /// The `meta` of a collection made under a name.
    pub(crate) fn named_meta() -> Value {
        json!({ NAMED: true })
    }
}

/// A collection about to be made.
#[derive(Clone, Debug)]
pub struct NewCollection {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Who else may read or change it.
    pub grants: Grants,
}

/// What to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct CollectionChange {
    /// Its name.
    pub name: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// Who else may read or change it.
    pub grants: Option<Grants>,
}

/// A file in a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The file.
    pub file: File,
    /// When it was added.
    pub added_at: UnixTime,
}

/// Which collections to list.
#[derive(Clone, Debug, Default)]
pub struct CollectionQuery {
    /// Only those whose name or description contains this, in any case.
    pub text: Option<String>,
    /// Only of this owner.
    pub owner: Option<UserId>,
}

/// Which members to list.
#[derive(Clone, Debug, Default)]
pub struct MemberQuery {
    /// Only names that contain this, in any case.
    pub text: Option<String>,
    /// In which order.
    pub order: FileOrder,
    /// Which part of the list.
    pub slice: Slice,
}

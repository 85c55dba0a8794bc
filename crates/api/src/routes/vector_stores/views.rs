//! Files, collections and places in them, in OpenAI's shapes.

use breezeway_core::UnixTime;
use breezeway_knowledge::{Batch, Collection, File, FileState, Member};
use serde_json::{Map, Value, json};

/// Where a collection's `meta` keeps what only vector stores have.
pub(super) const STORE: &str = "vector_store";

/// Where a file's metadata keeps its purpose.
pub(super) const PURPOSE: &str = "purpose";

/// A file.
pub(super) fn file(file: &File) -> Value {
    let purpose = file.metadata.get(PURPOSE).and_then(Value::as_str).unwrap_or("user_data");
    let (status, details) = match &file.state {
        FileState::Completed => ("processed", None),
        FileState::Failed(reason) => ("error", Some(reason.as_str())),
        _ => ("uploaded", None),
    };
    json!({
        "id": file.id.as_str(),
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": file.created_at.seconds(),
        "expires_at": null,
        "filename": file.name,
        "purpose": purpose,
        "status": status,
        "status_details": details,
    })
}

/// How many files have come how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    in_progress: u64,
    completed: u64,
    failed: u64,
    cancelled: u64,
}

impl Counts {
    /// Of files, and of those that left before they were ready.
    pub(super) fn of<'a>(files: impl IntoIterator<Item = &'a File>, cancelled: u64) -> Self {
        let mut counts = Self { cancelled, ..Self::default() };
        for file in files {
            match status(&file.state) {
                "completed" => counts.completed += 1,
                "failed" => counts.failed += 1,
                "cancelled" => counts.cancelled += 1,
                _ => counts.in_progress += 1,
            }
        }
        counts
    }

    fn view(self) -> Value {
        json!({
            "in_progress": self.in_progress,
            "completed": self.completed,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "total": self.in_progress + self.completed + self.failed + self.cancelled,
        })
    }
}

/// The word for how far a file has come.
pub(super) fn status(state: &FileState) -> &'static str {
    match state {
        FileState::Completed => "completed",
        FileState::Failed(_) => "failed",
        FileState::Pending | FileState::Processing => "in_progress",
        _ => "cancelled",
    }
}

/// What only vector stores have: `metadata`, `expires_after`, `last_active_at`.
pub(super) fn kept(collection: &Collection) -> Map<String, Value> {
    let meta = collection.meta.as_ref().and_then(|meta| meta.get(STORE)).and_then(Value::as_object);
    meta.cloned().unwrap_or_default()
}

/// When a store expires, in seconds since 1970.
pub(super) fn expires_at(collection: &Collection) -> Option<i64> {
    let kept = kept(collection);
    let days = kept.get("expires_after")?.get("days")?.as_i64()?;
    Some(last_active(collection, &kept).saturating_add(days.saturating_mul(86_400)))
}

/// When a store was last used, in seconds since 1970.
pub(super) fn last_active(collection: &Collection, kept: &Map<String, Value>) -> i64 {
    let noted = kept.get("last_active_at").and_then(Value::as_i64).unwrap_or_default();
    noted.max(collection.updated_at.seconds())
}

/// A vector store.
pub(super) fn store<'a>(
    collection: &Collection,
    files: impl Iterator<Item = &'a File> + Clone,
    now: UnixTime,
) -> Value {
    let counts = Counts::of(files.clone(), 0);
    let kept = kept(collection);
    let expires_at = expires_at(collection);
    let status = match expires_at {
        Some(at) if at <= now.seconds() => "expired",
        _ if counts.in_progress > 0 => "in_progress",
        _ => "completed",
    };
    let mut view = json!({
        "id": collection.id.as_str(),
        "object": "vector_store",
        "created_at": collection.created_at.seconds(),
        "name": collection.name,
        "description": collection.description,
        "usage_bytes": files.map(|file| file.size_bytes).sum::<u64>(),
        "file_counts": counts.view(),
        "status": status,
        "expires_after": kept.get("expires_after"),
        "expires_at": expires_at,
        "last_active_at": last_active(collection, &kept),
        "metadata": kept.get("metadata").cloned().unwrap_or_else(|| json!({})),
    });
    if expires_at.is_none() {
        view["expires_after"] = Value::Null;
    }
    view
}

/// A file in a vector store.
pub(super) fn store_file(store: &str, member: &Member, attributes: Option<&Map<String, Value>>) -> Value {
    let error = match &member.file.state {
        FileState::Failed(reason) => json!({"code": "server_error", "message": reason}),
        _ => Value::Null,
    };
    json!({
        "id": member.file.id.as_str(),
        "object": "vector_store.file",
        "usage_bytes": member.file.size_bytes,
        "created_at": member.added_at.seconds(),
        "vector_store_id": store,
        "status": status(&member.file.state),
        "last_error": error,
        "chunking_strategy": {"type": "other"},
        "attributes": attributes.cloned().unwrap_or_default(),
    })
}

/// A batch; `files` are those that are still in the store.
pub(super) fn batch<'a>(batch: &Batch, files: impl Iterator<Item = &'a File> + Clone) -> Value {
    let here = files.clone().count() as u64;
    let counts = Counts::of(files, (batch.files.len() as u64).saturating_sub(here));
    let status = match counts {
        Counts { in_progress: 1.., .. } => "in_progress",
        Counts { completed: 0, failed: 0, cancelled: 1.., .. } => "cancelled",
        Counts { completed: 0, failed: 1.., .. } => "failed",
        _ => "completed",
    };
    json!({
        "id": batch.id,
        "object": "vector_store.file_batch",
        "created_at": batch.created_at.seconds(),
        "vector_store_id": batch.collection.as_str(),
        "status": status,
        "file_counts": counts.view(),
    })
}

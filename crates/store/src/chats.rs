//! Saved chats: rows, the words they are found by, and what is shared of them.

use breezeway_chat::history::{
    Changed, Chat, ChatChange, ChatOrder, ChatQuery, ChatSummary, InFolder, MOST_CHAT_BYTES, Tag, Turn,
    phrases, searchable, title_of,
};
use breezeway_core::{ChatId, Grantee, ShareId, StoreError, UnixTime, UserId};
use serde_json::Map;

use crate::{
    db::{Row, Tx, Value},
    departed,
};

pub(crate) mod folders;

/// All columns of a chat, and what it is shared under.
const SELECT: &str = "SELECT c.number AS number, c.id AS id, owner, c.title AS title, folder, archived, \
     pinned, created_at, updated_at, meta, c.body AS body, s.id AS share \
     FROM chats AS c LEFT JOIN chat_shares AS s ON s.chat = c.number";

/// A chat and the number of its row.
struct Stored {
    number: i64,
    chat: Chat,
}

/// Insert a chat with its tags and words; it is shared under nothing.
pub(crate) fn insert(tx: &mut Tx<'_>, chat: &Chat) -> Result<(), StoreError> {
    departed::refuse(tx, &chat.owner)?;
    tx.execute(
        "INSERT INTO chats (id, owner, title, folder, archived, pinned, created_at, updated_at, meta, body) \
         VALUES (?1, ?2, ?3, (SELECT id FROM chat_folders WHERE id = ?4 AND owner = ?2), ?5, ?6, ?7, ?8, ?9, ?10)",
        &[
            (&chat.id).into(),
            (&chat.owner).into(),
            (&chat.title).into(),
            chat.folder.as_ref().into(),
            chat.archived.into(),
            chat.pinned.into(),
            chat.created_at.into(),
            chat.updated_at.into(),
            Value::object(&chat.meta),
            Value::object(&chat.body),
        ],
    )?;
    let number = tx.query_one("SELECT number FROM chats WHERE id = ?1", &[(&chat.id).into()], |row| {
        row.integer("number")
    })?;
    chat.tags.iter().try_for_each(|tag| put_tag(tx, number, tag))?;
    tx.execute(
        "INSERT INTO chat_texts (rowid, text) VALUES (?1, ?2)",
        &[number.into(), (&searchable(&chat.title, &chat.body)).into()],
    )
    .map(drop)
}

/// One chat of an account.
pub(crate) fn by_id(tx: &mut Tx<'_>, owner: &UserId, id: &ChatId) -> Result<Option<Chat>, StoreError> {
    Ok(stored(tx, owner, id)?.map(|stored| stored.chat))
}

/// Whether the account has such a chat.
pub(crate) fn exists(tx: &mut Tx<'_>, owner: &UserId, id: &ChatId) -> Result<bool, StoreError> {
    let found = tx.query_opt(
        "SELECT number FROM chats WHERE id = ?1 AND owner = ?2",
        &[id.into(), owner.into()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// The copy that is shared under an id.
pub(crate) fn shared(tx: &mut Tx<'_>, share: &ShareId) -> Result<Option<Chat>, StoreError> {
    tx.query_opt(
        "SELECT c.id AS id, owner, s.title AS title, s.body AS body, created_at, updated_at \
         FROM chat_shares AS s JOIN chats AS c ON c.number = s.chat WHERE s.id = ?1",
        &[share.into()],
        |row| {
            Ok(Chat {
                id: row.id("id")?,
                owner: row.id("owner")?,
                title: row.text("title")?,
                body: row.object("body")?,
                meta: Map::new(),
                folder: None,
                share: Some(share.clone()),
                archived: false,
                pinned: false,
                tags: Vec::new(),
                created_at: row.time("created_at")?,
                updated_at: row.time("updated_at")?,
            })
        },
    )
}

/// The chats that a query asks for.
pub(crate) fn list(tx: &mut Tx<'_>, query: &ChatQuery) -> Result<Vec<ChatSummary>, StoreError> {
    let wanted = match query.text.as_deref().map(phrases) {
        Some(None) => return Ok(Vec::new()),
        Some(Some(phrases)) => phrases,
        None => Vec::new(),
    };
    // Each part is letters and digits, so nothing in it means something to the index.
    let words: Vec<String> = wanted.iter().map(|phrase| format!("\"{}\" *", phrase.joined())).collect();
    let words = (!words.is_empty()).then(|| words.join(" AND "));
    let (folder, in_none) = match &query.folder {
        InFolder::Any => (None, false),
        InFolder::None => (None, true),
        InFolder::This(folder) => (Some(folder), false),
    };
    let direction = if query.ascending { "ASC" } else { "DESC" };
    let order = match query.order {
        ChatOrder::Change => "updated_at",
        ChatOrder::Creation => "created_at",
        ChatOrder::Title => "title",
    };
    // Where there are no words the index must not be asked: it has no pattern for everything.
    let found = match words {
        Some(_) => "number IN (SELECT rowid FROM chat_texts WHERE chat_texts MATCH ?7)",
        None => "?7 IS NULL",
    };
    let sql = format!(
        "SELECT id, title, archived, created_at, updated_at FROM chats WHERE owner = ?1 \
         AND (?2 IS NULL OR archived = ?2) AND (?3 IS NULL OR pinned = ?3) \
         AND (?4 IS NULL OR folder = ?4) AND (NOT ?5 OR folder IS NULL) \
         AND (?6 IS NULL OR number IN (SELECT chat FROM chat_tags WHERE tag = ?6)) AND {found} \
         ORDER BY {order} {direction}, id LIMIT ?8 OFFSET ?9"
    );
    let values = [
        (&query.owner).into(),
        query.archived.into(),
        query.pinned.into(),
        folder.into(),
        in_none.into(),
        query.tag.as_ref().into(),
        words.as_ref().into(),
        query.limit.into(),
        query.offset.into(),
    ];
    tx.query(&sql, &values, |row| {
        Ok(ChatSummary {
            id: row.id("id")?,
            title: row.text("title")?,
            archived: row.bool("archived")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
        })
    })
}

/// Change a chat of an account.
pub(crate) fn change(
    tx: &mut Tx<'_>,
    owner: &UserId,
    id: &ChatId,
    change: ChatChange,
    now: UnixTime,
) -> Result<Changed, StoreError> {
    let Some(Stored { number, mut chat }) = stored(tx, owner, id)? else { return Ok(Changed::Gone) };
    match change {
        ChatChange::Merge(fields) => {
            chat.body.extend(fields);
            chat.title = title_of(&chat.body);
            chat.updated_at = now;
            if !write(tx, number, &chat)? {
                return Ok(Changed::TooLarge);
            }
        }
        ChatChange::ToggleArchived => {
            chat.archived = !chat.archived;
            mark(tx, number, "archived", chat.archived)?;
        }
        ChatChange::TogglePinned => {
            chat.pinned = !chat.pinned;
            mark(tx, number, "pinned", chat.pinned)?;
        }
        ChatChange::Move(folder) => {
            tx.execute(
                "UPDATE chats SET folder = (SELECT id FROM chat_folders WHERE id = ?2 AND owner = ?3) \
                 WHERE number = ?1",
                &[number.into(), folder.as_ref().into(), owner.into()],
            )?;
        }
        ChatChange::Share(new) => share(tx, number, &chat, &new)?,
        ChatChange::Unshare => {
            tx.execute("DELETE FROM chat_shares WHERE chat = ?1", &[number.into()])?;
        }
        ChatChange::Tag(tag) => put_tag(tx, number, &tag)?,
        ChatChange::Untag(tag) => {
            tx.execute(
                "DELETE FROM chat_tags WHERE chat = ?1 AND tag = ?2",
                &[number.into(), (&tag).into()],
            )?;
        }
        ChatChange::UntagAll => {
            tx.execute("DELETE FROM chat_tags WHERE chat = ?1", &[number.into()])?;
        }
    }
    Ok(match by_id(tx, owner, id)? {
        Some(chat) => Changed::Chat(Box::new(chat)),
        None => Changed::Gone,
    })
}

/// Write a turn into a chat, whosever it is.
pub(crate) fn record(tx: &mut Tx<'_>, turn: &Turn) -> Result<bool, StoreError> {
    let found = tx.query_opt(&format!("{SELECT} WHERE c.id = ?1"), &[(&turn.chat).into()], read)?;
    let Some(Stored { number, mut chat }) = found else { return Ok(false) };
    turn.write_into(&mut chat.body);
    chat.title = title_of(&chat.body);
    chat.updated_at = chat.updated_at.max(turn.at);
    write(tx, number, &chat)
}

/// Put all chats of an account away, or take them out again.
pub(crate) fn archive(tx: &mut Tx<'_>, owner: &UserId, archived: bool) -> Result<(), StoreError> {
    tx.execute("UPDATE chats SET archived = ?2 WHERE owner = ?1", &[owner.into(), archived.into()]).map(drop)
}

/// Delete one chat of an account.
pub(crate) fn delete(tx: &mut Tx<'_>, owner: &UserId, id: &ChatId) -> Result<bool, StoreError> {
    let deleted = tx.execute("DELETE FROM chats WHERE id = ?1 AND owner = ?2", &[id.into(), owner.into()])?;
    Ok(deleted > 0)
}

/// Delete all chats of an account.
pub(crate) fn delete_all(tx: &mut Tx<'_>, owner: &UserId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM chats WHERE owner = ?1", &[owner.into()]).map(drop)
}

/// The tags of an account's chats.
pub(crate) fn tags(tx: &mut Tx<'_>, owner: &UserId) -> Result<Vec<Tag>, StoreError> {
    tx.query(
        "SELECT tag, min(name) AS name FROM chat_tags WHERE chat IN (SELECT number FROM chats WHERE owner = ?1) \
         GROUP BY tag ORDER BY tag",
        &[owner.into()],
        tag,
    )
}

/// Have an account depart, and its chats and folders go or pass to an heir.
pub(crate) fn depart(tx: &mut Tx<'_>, account: &UserId, heir: Option<&UserId>) -> Result<(), StoreError> {
    departed::note(tx, &Grantee::User(account.clone()))?;
    let Some(heir) = heir else {
        delete_all(tx, account)?;
        return tx.execute("DELETE FROM chat_folders WHERE owner = ?1", &[account.into()]).map(drop);
    };
    departed::refuse(tx, heir)?;
    tx.execute("UPDATE chats SET owner = ?2 WHERE owner = ?1", &[account.into(), heir.into()])?;
    tx.execute("UPDATE chat_folders SET owner = ?2 WHERE owner = ?1", &[account.into(), heir.into()])
        .map(drop)
}

fn stored(tx: &mut Tx<'_>, owner: &UserId, id: &ChatId) -> Result<Option<Stored>, StoreError> {
    let sql = format!("{SELECT} WHERE c.id = ?1 AND owner = ?2");
    let Some(mut found) = tx.query_opt(&sql, &[id.into(), owner.into()], read)? else { return Ok(None) };
    let sql = "SELECT tag, name FROM chat_tags WHERE chat = ?1 ORDER BY tag";
    found.chat.tags = tx.query(sql, &[found.number.into()], tag)?;
    Ok(Some(found))
}

/// A chat without its tags.
fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
    let chat = Chat {
        id: row.id("id")?,
        owner: row.id("owner")?,
        title: row.text("title")?,
        body: row.object("body")?,
        meta: row.object("meta")?,
        folder: row.opt_id("folder")?,
        share: row.opt_id("share")?,
        archived: row.bool("archived")?,
        pinned: row.bool("pinned")?,
        tags: Vec::new(),
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    };
    Ok(Stored { number: row.integer("number")?, chat })
}

fn tag(row: &Row<'_>) -> Result<Tag, StoreError> {
    Ok(Tag { id: row.text("tag")?, name: row.text("name")? })
}

/// Write title, body and the time of change; `false`, and nothing written, if the body is too long.
fn write(tx: &mut Tx<'_>, number: i64, chat: &Chat) -> Result<bool, StoreError> {
    let body = Value::object(&chat.body);
    if let Value::Json(text) = &body
        && text.len() > MOST_CHAT_BYTES
    {
        return Ok(false);
    }
    tx.execute(
        "UPDATE chats SET title = ?2, updated_at = ?3, body = ?4 WHERE number = ?1",
        &[number.into(), (&chat.title).into(), chat.updated_at.into(), body],
    )?;
    tx.execute(
        "UPDATE chat_texts SET text = ?2 WHERE rowid = ?1",
        &[number.into(), (&searchable(&chat.title, &chat.body)).into()],
    )?;
    Ok(true)
}

fn mark(tx: &mut Tx<'_>, number: i64, column: &'static str, is: bool) -> Result<(), StoreError> {
    tx.execute(&format!("UPDATE chats SET {column} = ?2 WHERE number = ?1"), &[number.into(), is.into()])
        .map(drop)
}

fn put_tag(tx: &mut Tx<'_>, number: i64, tag: &Tag) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO chat_tags (chat, tag, name) VALUES (?1, ?2, ?3) \
         ON CONFLICT (chat, tag) DO UPDATE SET name = excluded.name",
        &[number.into(), (&tag.id).into(), (&tag.name).into()],
    )
    .map(drop)
}

/// Share a chat as it is; one that is shared keeps its id.
fn share(tx: &mut Tx<'_>, number: i64, chat: &Chat, new: &ShareId) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO chat_shares (id, chat, title, body) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (chat) DO UPDATE SET title = excluded.title, body = excluded.body",
        &[new.into(), number.into(), (&chat.title).into(), Value::object(&chat.body)],
    )
    .map(drop)
}

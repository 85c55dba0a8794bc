//! What must never be, and what to do about it.

/// One thing that must never be.
pub(super) struct Rule {
    /// What it means that a row is found; `{}` is its `id`.
    pub(super) sentence: &'static str,
    /// Answers one column `id`.
    pub(super) query: &'static str,
    /// Makes it so that the query finds nothing; empty where only the rest of the program could, or
    /// nobody.
    pub(super) repair: &'static str,
}

const fn rule(sentence: &'static str, query: &'static str, repair: &'static str) -> Rule {
    Rule { sentence, query, repair }
}

/// In an order in which what one repair leaves behind is found by a later rule.
pub(super) const RULES: &[Rule] = &[
    rule(
        "key `{}` belongs to no account",
        "SELECT id FROM api_keys WHERE owner NOT IN (SELECT id FROM accounts)",
        "DELETE FROM api_keys WHERE owner NOT IN (SELECT id FROM accounts)",
    ),
    rule(
        "a membership names group `{}`, which does not exist",
        "SELECT DISTINCT group_id AS id FROM group_members WHERE group_id NOT IN (SELECT id FROM \
         groups)",
        "DELETE FROM group_members WHERE group_id NOT IN (SELECT id FROM groups)",
    ),
    rule(
        "an access list belongs to collection `{}`, which does not exist",
        "SELECT DISTINCT resource_id AS id FROM grants WHERE resource_type = 'collection' AND \
         resource_id NOT IN (SELECT id FROM collections)",
        "DELETE FROM grants WHERE resource_type = 'collection' AND resource_id NOT IN (SELECT id FROM \
         collections)",
    ),
    rule(
        "an access list belongs to model `{}`, which does not exist",
        "SELECT DISTINCT resource_id AS id FROM grants WHERE resource_type = 'model' AND resource_id \
         NOT IN (SELECT id FROM models)",
        "DELETE FROM grants WHERE resource_type = 'model' AND resource_id NOT IN (SELECT id FROM \
         models)",
    ),
    rule(
        "file `{}` belongs to an account that was deleted",
        "SELECT id FROM files WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') AND owner \
         NOT IN (SELECT id FROM accounts)",
        "",
    ),
    rule(
        "collection `{}` belongs to an account that was deleted",
        "SELECT id FROM collections WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') AND \
         owner NOT IN (SELECT id FROM accounts)",
        "",
    ),
    rule(
        "model `{}` belongs to an account that was deleted",
        "SELECT id FROM models WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') AND owner \
         NOT IN (SELECT id FROM accounts)",
        "",
    ),
    rule(
        "response `{}` belongs to an account that was deleted",
        "SELECT id FROM responses WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') AND \
         owner NOT IN (SELECT id FROM accounts)",
        "",
    ),
    rule(
        "chat `{}` belongs to an account that was deleted",
        "SELECT id FROM chats WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') AND owner \
         NOT IN (SELECT id FROM accounts)",
        "",
    ),
    rule(
        "folder `{}` belongs to an account that was deleted",
        "SELECT id FROM chat_folders WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') AND \
         owner NOT IN (SELECT id FROM accounts)",
        "",
    ),
    rule(
        "chat `{}` is in a folder that is not its owner's",
        "SELECT c.id AS id FROM chats AS c JOIN chat_folders AS f ON f.id = c.folder WHERE f.owner <> \
         c.owner",
        "UPDATE chats SET folder = NULL WHERE folder IN (SELECT f.id FROM chat_folders AS f WHERE \
         f.owner <> chats.owner)",
    ),
    rule(
        "folder `{}` is in one that is not its owner's",
        "SELECT c.id AS id FROM chat_folders AS c JOIN chat_folders AS f ON f.id = c.parent WHERE \
         f.owner <> c.owner",
        "UPDATE chat_folders SET parent = NULL WHERE parent IN (SELECT f.id FROM chat_folders AS f \
         WHERE f.owner <> chat_folders.owner)",
    ),
    rule(
        "chat `{}` cannot be found by its words",
        "SELECT id FROM chats WHERE number NOT IN (SELECT rowid FROM chat_texts)",
        "",
    ),
    rule(
        "words belong to chat number {}, which does not exist",
        "SELECT CAST(rowid AS TEXT) AS id FROM chat_texts WHERE rowid NOT IN (SELECT number FROM \
         chats)",
        "DELETE FROM chat_texts WHERE rowid NOT IN (SELECT number FROM chats)",
    ),
    rule(
        "an access list names account `{}`, which was deleted",
        "SELECT DISTINCT grantee_id AS id FROM grants WHERE grantee_type = 'user' AND grantee_id IN \
         (SELECT id FROM departed WHERE kind = 'user') AND grantee_id NOT IN (SELECT id FROM \
         accounts)",
        "DELETE FROM grants WHERE grantee_type = 'user' AND grantee_id IN (SELECT id FROM departed \
         WHERE kind = 'user') AND grantee_id NOT IN (SELECT id FROM accounts)",
    ),
    rule(
        "an access list names group `{}`, which was deleted",
        "SELECT DISTINCT grantee_id AS id FROM grants WHERE grantee_type = 'group' AND grantee_id IN \
         (SELECT id FROM departed WHERE kind = 'group') AND grantee_id NOT IN (SELECT id FROM groups)",
        "DELETE FROM grants WHERE grantee_type = 'group' AND grantee_id IN (SELECT id FROM departed \
         WHERE kind = 'group') AND grantee_id NOT IN (SELECT id FROM groups)",
    ),
    rule(
        "a membership names account `{}`, which was deleted",
        "SELECT DISTINCT user_id AS id FROM group_members WHERE user_id IN (SELECT id FROM departed \
         WHERE kind = 'user') AND user_id NOT IN (SELECT id FROM accounts)",
        "DELETE FROM group_members WHERE user_id IN (SELECT id FROM departed WHERE kind = 'user') AND \
         user_id NOT IN (SELECT id FROM accounts)",
    ),
    rule(
        "a membership names collection `{}`, which does not exist",
        "SELECT DISTINCT collection_id AS id FROM collection_files WHERE collection_id NOT IN (SELECT \
         id FROM collections)",
        "DELETE FROM collection_files WHERE collection_id NOT IN (SELECT id FROM collections)",
    ),
    rule(
        "a membership names file `{}`, which does not exist",
        "SELECT DISTINCT file_id AS id FROM collection_files WHERE file_id NOT IN (SELECT id FROM \
         files)",
        "DELETE FROM collection_files WHERE file_id NOT IN (SELECT id FROM files)",
    ),
    rule(
        "a document belongs to file `{}`, which does not exist",
        "SELECT file_id AS id FROM documents WHERE file_id NOT IN (SELECT id FROM files)",
        "DELETE FROM documents WHERE file_id NOT IN (SELECT id FROM files)",
    ),
    rule(
        "file `{}` is completed and has no document",
        "SELECT id FROM files WHERE state = 'completed' AND (text_hash IS NULL OR id NOT IN (SELECT \
         file_id FROM documents))",
        "UPDATE files SET state = 'pending', due_at = 0, text_hash = NULL WHERE state = 'completed' \
         AND (text_hash IS NULL OR id NOT IN (SELECT file_id FROM documents))",
    ),
    rule(
        "file `{}` waits for a worker and no worker would ever take it",
        "SELECT id FROM files WHERE (state IN ('pending', 'processing')) <> (due_at IS NOT NULL)",
        "UPDATE files SET due_at = CASE WHEN state IN ('pending', 'processing') THEN 0 END WHERE \
         (state IN ('pending', 'processing')) <> (due_at IS NOT NULL)",
    ),
    rule(
        "chunks belong to file `{}`, which does not exist",
        "SELECT DISTINCT file_id AS id FROM living_chunks WHERE file_id NOT IN (SELECT id FROM files)",
        "DELETE FROM chunks WHERE id IN (SELECT id FROM living_chunks WHERE file_id NOT IN (SELECT id \
         FROM files))",
    ),
    rule(
        "file `{}` has chunks and no document",
        "SELECT DISTINCT file_id AS id FROM living_chunks WHERE file_id NOT IN (SELECT file_id FROM \
         documents)",
        "DELETE FROM chunks WHERE id IN (SELECT id FROM living_chunks WHERE file_id NOT IN (SELECT \
         file_id FROM documents))",
    ),
    rule(
        "the chunks of file `{}` are not numbered one after another",
        "SELECT file_id AS id FROM living_chunks GROUP BY file_id HAVING max(id) - min(id) + 1 <> \
         count(*) OR min(ordinal) <> 0 OR max(ordinal) + 1 <> count(*)",
        "DELETE FROM chunks WHERE id IN (SELECT id FROM living_chunks WHERE file_id IN (SELECT \
         file_id FROM living_chunks GROUP BY file_id HAVING max(id) - min(id) + 1 <> count(*) OR \
         min(ordinal) <> 0 OR max(ordinal) + 1 <> count(*)))",
    ),
    rule(
        "chunk {} has a number that was never given",
        "SELECT CAST(id AS TEXT) AS id FROM chunks WHERE id > (SELECT last FROM counters WHERE name = \
         'chunk')",
        "UPDATE counters SET last = (SELECT max(id) FROM chunks) WHERE name = 'chunk'",
    ),
    rule(
        "draft chunks of file `{}` belong to no draft",
        "SELECT file_id AS id FROM hidden_chunks WHERE fate = 'unborn' AND file_id NOT IN (SELECT \
         file_id FROM drafts)",
        "UPDATE hidden_chunks SET fate = 'buried' WHERE fate = 'unborn' AND file_id NOT IN (SELECT \
         file_id FROM drafts)",
    ),
    rule(
        "the draft of file `{}` has lost its chunks",
        "SELECT file_id AS id FROM drafts AS d WHERE written <> (SELECT count(*) FROM hidden_chunks \
         AS h JOIN chunks AS c ON c.id BETWEEN h.first_chunk AND h.last_chunk WHERE h.fate = 'unborn' \
         AND h.file_id = d.file_id)",
        "DELETE FROM drafts WHERE written <> (SELECT count(*) FROM hidden_chunks AS h JOIN chunks AS \
         c ON c.id BETWEEN h.first_chunk AND h.last_chunk WHERE h.fate = 'unborn' AND h.file_id = \
         drafts.file_id)",
    ),
    rule(
        "vectors without any chunk: {}",
        "SELECT CAST(count(*) AS TEXT) AS id FROM vectors WHERE hash NOT IN (SELECT hash FROM chunks) \
         HAVING count(*) > 0",
        "DELETE FROM vectors WHERE hash NOT IN (SELECT hash FROM chunks)",
    ),
];

-- Saved chats and their folders.

CREATE TABLE chat_folders (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    -- One of the same owner's; never the folder itself or one below it.
    parent TEXT REFERENCES chat_folders (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- JSON objects, or nothing.
    data TEXT,
    meta TEXT,
    expanded INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX chat_folders_by_owner ON chat_folders (owner, created_at, id);
CREATE INDEX chat_folders_by_parent ON chat_folders (parent);

CREATE TABLE chats (
    -- The row of its words in `chat_texts`.
    number INTEGER PRIMARY KEY NOT NULL,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    -- As lists show it; what the client wrote is in the body.
    title TEXT NOT NULL,
    -- One of the same owner's.
    folder TEXT REFERENCES chat_folders (id) ON DELETE SET NULL,
    archived INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- JSON objects. The body is last, so that lists need not read past it.
    meta TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX chats_by_owner ON chats (owner, updated_at DESC, id);
CREATE INDEX chats_by_folder ON chats (folder);

CREATE TABLE chat_tags (
    chat INTEGER NOT NULL REFERENCES chats (number) ON DELETE CASCADE,
    -- The name in lower case, with underscores for spaces.
    tag TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (chat, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_shares (
    -- A copy for everybody who knows its id.
    id TEXT PRIMARY KEY NOT NULL,
    chat INTEGER NOT NULL UNIQUE REFERENCES chats (number) ON DELETE CASCADE,
    title TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- The words chats are found by.
CREATE VIRTUAL TABLE chat_texts USING fts5 (
    text, columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
);

-- Deleted means gone: without this, words of deleted chats stay in the index until it is merged.
INSERT INTO chat_texts (chat_texts, rank) VALUES ('secure-delete', 1);

CREATE TRIGGER chats_take_their_words_along AFTER DELETE ON chats
BEGIN DELETE FROM chat_texts WHERE rowid = old.number; END;

-- Stored responses.

CREATE TABLE responses (
    -- In the order they were kept.
    number INTEGER PRIMARY KEY NOT NULL,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- A JSON object: what was answered, and the items of the whole conversation.
    body TEXT NOT NULL
) STRICT;

CREATE INDEX responses_by_owner ON responses (owner, number);
CREATE INDEX responses_by_age ON responses (created_at);

-- Tool servers.

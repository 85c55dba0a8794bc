CREATE TABLE settings (
    -- The name under which one part of the program keeps its text; what the text means is its affair.
    name TEXT PRIMARY KEY NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE accounts (
    id TEXT PRIMARY KEY NOT NULL,
    -- In lower case already when it arrives, so plain equality is enough for uniqueness.
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'user', 'pending')),
    profile_image_url TEXT NOT NULL,
    -- JSON object.
    profile TEXT NOT NULL,
    -- PHC string; never a password.
    password_hash TEXT NOT NULL,
    session_stamp TEXT NOT NULL,
    last_active_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- SHA-256 of the key.
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- The key, encrypted by the accounts crate; useless without the server's secret.
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;

CREATE INDEX api_keys_by_owner ON api_keys (owner);

CREATE TABLE groups (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    -- JSON, or nothing.
    permissions TEXT,
    data TEXT,
    meta TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE group_members (
    group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    -- No foreign key: a group is saved whole from a snapshot in memory, and an account deleted a
    -- moment ago must not make that fail. Deleting an account deletes its rows here explicitly.
    user_id TEXT NOT NULL,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX group_members_by_user ON group_members (user_id);

CREATE TABLE grants (
    -- One line of the access list of one thing. A table and not JSON beside the thing, so that what
    -- a person or group may use can be asked from their side too.
    resource_type TEXT NOT NULL CHECK (resource_type IN ('collection', 'model')),
    resource_id TEXT NOT NULL,
    grantee_type TEXT NOT NULL CHECK (grantee_type IN ('everyone', 'user', 'group')),
    -- Empty for everyone.
    grantee_id TEXT NOT NULL,
    permission TEXT NOT NULL CHECK (permission IN ('read', 'write')),
    PRIMARY KEY (resource_type, resource_id, grantee_type, grantee_id, permission)
) STRICT, WITHOUT ROWID;

CREATE INDEX grants_by_grantee ON grants (grantee_type, grantee_id);

CREATE TABLE models (
    -- Overlays. The id is a model id, chosen by people.
    id TEXT PRIMARY KEY NOT NULL,
    -- The order of those made in the same second.
    position INTEGER NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    base TEXT,
    name TEXT NOT NULL,
    -- JSON objects.
    params TEXT NOT NULL,
    meta TEXT NOT NULL,
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE files (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The name with every character in lower case by Unicode's rules, for search; the database's
    -- own lower() knows ASCII only.
    name_key TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    -- SHA-256 of the bytes, which are in the blob store.
    blob BLOB NOT NULL CHECK (length(blob) = 32),
    -- SHA-256 of the extracted text, in hexadecimal digits.
    text_hash TEXT,
    -- JSON object.
    metadata TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('stored', 'pending', 'processing', 'completed', 'failed')),
    -- Why it failed, for a person.
    failure TEXT,
    -- How often it was claimed. A worker's writes carry the number of its own claim, and a later
    -- claim makes them void.
    attempt INTEGER NOT NULL DEFAULT 0,
    -- From when on a worker may take it: the time of the next try of a pending file, the end of the
    -- lease of one being processed. NULL: never.
    due_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK ((state = 'failed') = (failure IS NOT NULL)),
    CHECK ((state IN ('pending', 'processing')) = (due_at IS NOT NULL))
) STRICT;

-- The queue. Partial, so that it is as small as the work that is left.
CREATE INDEX files_due ON files (created_at, id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX files_by_blob ON files (blob);
-- Lists run newest or latest first, ties by id. Read backwards the same indexes serve the other
-- direction, but for the order within one second.
CREATE INDEX files_by_creation ON files (created_at DESC, id);
CREATE INDEX files_by_change ON files (updated_at DESC, id);
CREATE INDEX files_by_name ON files (name, id);
CREATE INDEX files_of_owner_by_creation ON files (owner, created_at DESC, id);
CREATE INDEX files_of_owner_by_change ON files (owner, updated_at DESC, id);
CREATE INDEX files_of_owner_by_name ON files (owner, name, id);

CREATE TABLE documents (
    file_id TEXT PRIMARY KEY NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    -- JSON array of [start, end, page, page label, title]; offsets are bytes into the text.
    sections TEXT NOT NULL,
    -- JSON object.
    metadata TEXT NOT NULL,
    -- Last, because it is the long one: columns behind it would sit at the end of its pages.
    text TEXT NOT NULL
) STRICT;

CREATE TABLE collections (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    -- JSON, or nothing.
    meta TEXT,
    created_at INTEGER NOT NULL,
    -- Also when files were added or taken out.
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX collections_by_change ON collections (updated_at DESC, id);

CREATE TABLE collection_files (
    collection_id TEXT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    file_id TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (collection_id, file_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX collection_files_by_file ON collection_files (file_id);

CREATE TABLE counters (
    -- Numbers that are never given twice, whatever is deleted. The row is changed in the transaction
    -- that uses the number, so writers queue behind it and numbers become visible in their order.
    name TEXT PRIMARY KEY NOT NULL CHECK (name IN ('chunk', 'log')),
    last INTEGER NOT NULL
) STRICT;

INSERT INTO counters (name, last) VALUES ('chunk', 0), ('log', 0);

CREATE TABLE chunks (
    -- From the counter; fits 32 bits unsigned, because search keeps bitmaps of them.
    id INTEGER PRIMARY KEY NOT NULL CHECK (id BETWEEN 1 AND 4294967295),
    file_id TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    -- SHA-256 of the text that is embedded.
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    -- Bytes of the document's text.
    start_byte INTEGER NOT NULL,
    end_byte INTEGER NOT NULL,
    page INTEGER,
    -- JSON array of texts.
    headings TEXT NOT NULL,
    -- A copy of the document's text from start_byte to end_byte: an index reads chunks by the
    -- thousand and must not drag whole documents through memory to cut them again.
    text TEXT NOT NULL,
    UNIQUE (file_id, ordinal)
) STRICT;

CREATE INDEX chunks_by_hash ON chunks (hash, file_id);

CREATE TABLE vectors (
    -- One for each text and model, however many chunks have that text. A table with hidden row
    -- numbers and a separate index: keyed by the hash itself, every vector would spill into
    -- overflow pages, and neighbours in a document would be strangers on disk.
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    fingerprint TEXT NOT NULL,
    -- 32-bit floats, little-endian.
    vector BLOB NOT NULL,
    PRIMARY KEY (hash, fingerprint)
) STRICT;

CREATE TABLE chunk_log (
    -- From the counter, in order of commit.
    seq INTEGER PRIMARY KEY NOT NULL,
    -- No foreign key: the log outlives its files.
    file_id TEXT NOT NULL,
    first_chunk INTEGER NOT NULL,
    last_chunk INTEGER NOT NULL,
    op TEXT NOT NULL CHECK (op IN ('added', 'removed', 'embedded')),
    CHECK (first_chunk <= last_chunk)
) STRICT;

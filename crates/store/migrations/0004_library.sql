-- Ingestion.

-- Whether somebody stopped its processing; such a file is 'stored' until somebody asks again.
ALTER TABLE files ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled IN (0, 1));

CREATE TABLE chunks_next (
    -- From the counter; fits 32 bits unsigned, because search keeps bitmaps of them.
    id INTEGER PRIMARY KEY NOT NULL CHECK (id BETWEEN 1 AND 4294967295),
    -- No foreign key: deleting a large file hides its chunks and is done; they are cleared away later,
    -- a few at a time, so that nobody else waits.
    file_id TEXT NOT NULL,
    -- Not unique: a file's former chunks may still be there while it has new ones.
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
    text TEXT NOT NULL
) STRICT;

INSERT INTO chunks_next SELECT id, file_id, ordinal, hash, start_byte, end_byte, page, headings, text FROM chunks;
DROP TABLE chunks;
ALTER TABLE chunks_next RENAME TO chunks;

CREATE INDEX chunks_by_file ON chunks (file_id, ordinal);
CREATE INDEX chunks_by_hash ON chunks (hash, file_id);

CREATE TABLE hidden_chunks (
    -- Ranges of chunks that nobody sees; they do not overlap.
    first_chunk INTEGER PRIMARY KEY NOT NULL,
    last_chunk INTEGER NOT NULL,
    file_id TEXT NOT NULL,
    -- 'unborn': a worker is putting a file together. 'buried': gone for good, to be cleared away.
    fate TEXT NOT NULL CHECK (fate IN ('unborn', 'buried')),
    CHECK (first_chunk <= last_chunk)
) STRICT;

CREATE UNIQUE INDEX unborn_chunks ON hidden_chunks (file_id) WHERE fate = 'unborn';

-- What there is to be found. The range that could hide a chunk is the nearest one below it.
CREATE VIEW living_chunks AS SELECT c.* FROM chunks AS c WHERE coalesce((
    SELECT h.last_chunk FROM hidden_chunks AS h WHERE h.first_chunk <= c.id
    ORDER BY h.first_chunk DESC LIMIT 1
), 0) < c.id;

CREATE TABLE drafts (
    -- A file's text as far as a worker has come with it, so that the next one need not read it again.
    file_id TEXT PRIMARY KEY NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    -- What it was made of and how: the blob, and the plan by which text was cut, as a text.
    blob BLOB NOT NULL CHECK (length(blob) = 32),
    plan TEXT NOT NULL,
    text_hash TEXT NOT NULL,
    -- How many chunks there will be, and how many are written.
    chunks INTEGER NOT NULL,
    written INTEGER NOT NULL,
    -- As in documents.
    sections TEXT NOT NULL,
    metadata TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE log_floor (
    -- One row. Up to here the log names only chunks that were there when it was compacted: an index
    -- that is behind it must be made anew.
    only INTEGER PRIMARY KEY NOT NULL CHECK (only = 1),
    seq INTEGER NOT NULL
) STRICT;

INSERT INTO log_floor (only, seq) VALUES (1, 0);

-- Retrieval.

-- What a collection says about one of its files, for filters. The file's own metadata is in its row.
CREATE TABLE member_attributes (
    collection_id TEXT NOT NULL,
    file_id TEXT NOT NULL,
    -- JSON object.
    attributes TEXT NOT NULL,
    PRIMARY KEY (collection_id, file_id),
    FOREIGN KEY (collection_id, file_id) REFERENCES collection_files (collection_id, file_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Files that were put into a collection together, so that a client can ask how far all of them are.
CREATE TABLE file_batches (
    id TEXT PRIMARY KEY NOT NULL,
    collection_id TEXT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    -- JSON list of file ids. They may have left the collection since, or be gone.
    files TEXT NOT NULL
) STRICT;

CREATE INDEX file_batches_by_collection ON file_batches (collection_id);

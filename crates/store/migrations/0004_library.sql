-- Ingestion.

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

-- Keys: what a key is called, what it may do less than its account, when it ends.

CREATE TABLE api_keys_next (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- Given by its owner; NULL for the one key that the owner can have shown again.
    name TEXT,
    -- SHA-256 of the key.
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- The key, encrypted by the accounts crate; useless without the server's secret. NULL for keys
    -- that are shown once.
    sealed BLOB,
    -- The last characters of the key, for lists; empty where they were not noted.
    ending TEXT NOT NULL,
    -- What it may do less than its owner, as a JSON object; NULL if nothing.
    rules TEXT,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;

INSERT INTO api_keys_next (id, owner, hash, sealed, ending, created_at, last_used_at)
SELECT id, owner, hash, sealed, '', created_at, last_used_at FROM api_keys;

DROP TABLE api_keys;
ALTER TABLE api_keys_next RENAME TO api_keys;

CREATE INDEX api_keys_by_owner ON api_keys (owner, created_at, id);
CREATE INDEX api_keys_by_creation ON api_keys (created_at, id);
CREATE UNIQUE INDEX api_keys_unnamed ON api_keys (owner) WHERE name IS NULL;

-- Audit log.

CREATE TABLE audit (
    -- In the order of writing. The latest row is never deleted, so no number is given twice.
    id INTEGER PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    -- The account and its address at that time; no foreign key, for the log outlives accounts.
    actor TEXT,
    actor_email TEXT,
    target_kind TEXT,
    target TEXT,
    address TEXT,
    request_id TEXT,
    -- JSON object.
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_actor ON audit (actor, id);
CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_target ON audit (target, id);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE audit_horizon (
    -- One row: entries from before this time may be deleted. It only moves on.
    only INTEGER PRIMARY KEY NOT NULL CHECK (only = 1),
    before INTEGER NOT NULL
) STRICT;

INSERT INTO audit_horizon (only, before) VALUES (1, 0);

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
WHEN OLD.at >= (SELECT before FROM audit_horizon)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- Usage ledger.

CREATE TABLE usage (
    -- Days since 1970-01-01, UTC.
    day INTEGER NOT NULL,
    -- No foreign keys: the ledger outlives whom and what it names.
    account TEXT NOT NULL,
    -- Empty, as the connection is, where there is none: NULLs would all be different in the key.
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    operation TEXT NOT NULL,
    upstream TEXT NOT NULL,
    -- Sums over the calls of the row, none above 2^53.
    requests INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    aborted INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    -- Millionths of the unit of currency, by the prices of the time.
    cost INTEGER NOT NULL,
    first_token_ms INTEGER NOT NULL,
    first_tokens INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (day, account, key, model, operation, upstream)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_by_account ON usage (account, day);

CREATE TABLE usage_budgets (
    -- The id of a key, or another name that the usage crate gives.
    holder TEXT PRIMARY KEY NOT NULL,
    period TEXT NOT NULL CHECK (period IN ('day', 'month')),
    -- The first day of the period.
    start INTEGER NOT NULL,
    unit TEXT NOT NULL CHECK (unit IN ('tokens', 'micro_units')),
    -- Written ahead of use, so that a crash forgets nothing.
    used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_batches (
    -- One row: the number of the batch that was added last, so that none is added twice.
    only INTEGER PRIMARY KEY NOT NULL CHECK (only = 1),
    last INTEGER NOT NULL
) STRICT;

INSERT INTO usage_batches (only, last) VALUES (1, 0);

-- External identities.

CREATE TABLE external_identities (
    -- The provider's id here, and its own, unchanging name for the person. Never an address.
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    owner TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (provider, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX external_identities_by_owner ON external_identities (owner);

-- Access.
CREATE TABLE departed (
    -- Accounts and groups that are deleted, written down before anything of theirs is: a request of
    -- theirs that is still under way must not leave something behind. Ids are never given again.
    kind TEXT NOT NULL CHECK (kind IN ('user', 'group')),
    id TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE removals (
    -- Deletions of accounts that have begun, so that a crash does not end them half-way.
    account TEXT PRIMARY KEY NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- The account that gets what the first one has; NULL if that is deleted. No foreign keys: whoever
    -- goes on finds out whether these are still there.
    heir TEXT,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX collections_by_owner ON collections (owner);

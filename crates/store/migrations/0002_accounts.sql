-- Keys: what a key is called, what it may do less than its account, when it ends.

-- Audit log.

-- Usage ledger.

-- External identities.

-- Access.

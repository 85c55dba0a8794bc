//! Accounts in memory, for tests and for embedders.

/// The port in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryAccounts;

//! Passwords: argon2id, on a lane of its own.

/// A stored password hash in PHC form (`$argon2id$…`).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// How expensive hashing is.
#[derive(Clone, Copy, Debug)]
pub struct PasswordParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for PasswordParams {
    /// 19 MiB and two passes: the second choice of the OWASP password storage cheat sheet.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

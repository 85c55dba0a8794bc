//! A migration that was released has run somewhere, so it never changes again.
//!
//! `xtask/src/migrations.lock` holds a checksum for every migration that left the house. Making a
//! release adds the new ones with `cargo xtask tidy --seal-migrations`; the file has no line
//! before the first release.

use std::fs;

use anyhow::Context as _;

use super::Finding;
use crate::workspace::{self, SourceFile};

const FOLDER: &str = "crates/store/migrations/";
const LOCK: &str = "xtask/src/migrations.lock";
const HEADER: &str = "\
# Released migrations and their checksums. A line is added when a release is made
# (`cargo xtask tidy --seal-migrations`) and never changed.
";

/// Compares every sealed migration with its checksum.
pub(super) fn check(files: &[SourceFile], findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let lock =
        fs::read_to_string(workspace::root().join(LOCK)).with_context(|| format!("cannot read `{LOCK}`"))?;
    let present = migrations(files)?;
    findings.extend(
        changes(&lock, &present)
            .into_iter()
            .map(|(name, what)| Finding::file(&format!("{FOLDER}{name}"), what)),
    );
    Ok(())
}

/// Writes the checksum of every migration as it is now.
pub(super) fn seal(files: &[SourceFile]) -> anyhow::Result<()> {
    let mut text = HEADER.to_owned();
    for (name, bytes) in migrations(files)? {
        text += &format!("{:016x}  {name}\n", checksum(&bytes));
    }
    fs::write(workspace::root().join(LOCK), text)?;
    println!("wrote `{LOCK}`");
    Ok(())
}

fn migrations(files: &[SourceFile]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let inside = files.iter().filter_map(|file| Some((file.path.strip_prefix(FOLDER)?, file)));
    let sql = inside.filter(|(name, _)| name.ends_with(".sql"));
    sql.map(|(name, file)| Ok((name.to_owned(), fs::read(&file.location)?))).collect()
}

/// The names of migrations that are not as the lock says, each with what is wrong.
fn changes(lock: &str, present: &[(String, Vec<u8>)]) -> Vec<(String, &'static str)> {
    let sealed: Vec<(&str, &str)> = lock
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name.trim(), sum))
        .collect();
    let mut changes = Vec::new();
    for (name, sum) in &sealed {
        match present.iter().find(|(present, _)| present == name) {
            None => changes.push(((*name).to_owned(), "was released and is gone")),
            Some((_, bytes)) if format!("{:016x}", checksum(bytes)) != *sum => {
                changes.push((
                    (*name).to_owned(),
                    "was released and has changed; write a new migration instead",
                ));
            }
            Some(_) => {}
        }
    }
    let last = sealed.iter().map(|(name, _)| number(name)).max().unwrap_or_default();
    for (name, _) in present {
        if !sealed.iter().any(|(sealed, _)| sealed == name) && number(name) < last {
            changes.push((name.clone(), "is new and would run before one that was released"));
        }
    }
    changes
}

/// The digits in front; the twin of a migration for another database shares them.
fn number(name: &str) -> &str {
    name.split('_').next().unwrap_or_default()
}

/// FNV-1a with 64 bits: it tells an edit by accident, which is all it is for, and needs no crate.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (String, Vec<u8>) {
        (name.to_owned(), text.as_bytes().to_vec())
    }

    fn lock(name: &str, text: &str) -> String {
        format!("{HEADER}{:016x}  {name}\n", checksum(text.as_bytes()))
    }

    #[test]
    fn the_checksum_is_fnv_1a() {
        // From the test vectors of the draft draft-eastlake-fnv.
        assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn before_a_release_a_migration_may_change() {
        assert_eq!(changes(HEADER, &[file("0001_init.sql", "anything")]), []);
    }

    #[test]
    fn a_released_migration_stays_as_it_is() {
        let lock = lock("0001_init.sql", "create");

        assert_eq!(changes(&lock, &[file("0001_init.sql", "create"), file("0002_more.sql", "")]), []);

        assert_eq!(changes(&lock, &[file("0001_init.sql", "create!")]).len(), 1);
        assert_eq!(changes(&lock, &[]).len(), 1);
    }

    #[test]
    fn a_new_migration_does_not_slip_in_before_a_released_one() {
        let lock = lock("0002_more.sql", "");
        let present = [file("0001_late.sql", ""), file("0002_more.sql", "")];

        let expected = [("0001_late.sql".to_owned(), "is new and would run before one that was released")];
        assert_eq!(changes(&lock, &present), expected);
    }
}

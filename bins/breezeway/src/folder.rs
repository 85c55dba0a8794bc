//! The data folder belongs to one process at a time.
//!
//! Opening it removes what an earlier process left half written and takes up the work it had begun;
//! beside a process that still runs, that would break its uploads off.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::Path,
};

use anyhow::{Context, Result, bail};
use tracing::warn;

/// Shows that the folder is this process's. The kernel gives it back however the process ends.
#[derive(Debug)]
#[must_use = "the folder is given back when this is dropped"]
pub(crate) struct Taken {
    _lock: Option<File>,
}

/// Take the data folder, which is made if it does not exist.
///
/// # Errors
/// If another process has it, or it cannot be written to.
pub(crate) fn take(folder: &Path) -> Result<Taken> {
    breezeway::private_folder(folder)
        .with_context(|| format!("the data folder `{}` cannot be made", folder.display()))?;
    let path = folder.join("breezeway.lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("`{}` cannot be written", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Taken { _lock: Some(file) }),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "the data folder `{}` is in use by another breezeway; stop that one first",
                folder.display()
            )
        }
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
            warn!("The file system of the data folder has no locks: see to it that only one process uses it");
            Ok(Taken { _lock: None })
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("`{}` cannot be locked", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_once_and_can_be_given_back() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");

        let taken = take(&folder).unwrap();
        let refusal = take(&folder).unwrap_err().to_string();
        drop(taken);

        assert!(refusal.contains("is in use"), "{refusal}");
        assert!(take(&folder).is_ok());
    }
}

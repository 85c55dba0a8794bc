//! The folder that is filled: nothing appears in it under its name before it is whole and checked.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    OnProgress, Progress, brief,
    pins::{MAX_BYTES, Wanted},
};

const PIECE_BYTES: usize = 256 * 1024;

pub(super) struct Target {
    folder: PathBuf,
    progress: OnProgress,
}

/// Which contents of a file are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Only a known one.
    Pinned,
    /// Any: it comes from this machine, or its hash was checked against one from the settings.
    Local,
}

impl Target {
    pub(super) fn new(folder: PathBuf, progress: OnProgress) -> Self {
        Self { folder, progress }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where things are before they are whole. On the same file system, so that renaming works.
    pub(super) fn incoming(&self, name: &str) -> PathBuf {
        self.folder.join(".incoming").join(name)
    }

    pub(super) fn open_lock(&self) -> io::Result<File> {
        fs::create_dir_all(self.folder.join(".incoming"))?;
        // Not in the folder that is cleaned at the end: a lock that is deleted locks nobody out.
        OpenOptions::new().write(true).create(true).truncate(false).open(self.folder.join(".lock"))
    }

    /// Remove what was only needed on the way. What cannot be removed is in nobody's way.
    pub(super) fn clean(&self) {
        let _ = fs::remove_dir_all(self.folder.join(".incoming"));
    }

    /// Whether a file is there and as it should be.
    pub(super) fn has(&self, wanted: &Wanted) -> bool {
        let path = self.folder.join(wanted.file_name());
        let Ok(Some(sha256)) = hash_of(&path) else { return false };
        wanted.accepts(&sha256)
            || fs::read_to_string(self.record(wanted)).is_ok_and(|recorded| recorded.trim() == sha256)
    }

    /// Where the hash of a file is kept that is not a known one, so that it is known next time.
    fn record(&self, wanted: &Wanted) -> PathBuf {
        self.folder.join(format!("{}.sha256", wanted.file_name()))
    }

    /// Copy a file into its place if it is one that `trust` takes.
    pub(super) fn place(&self, wanted: &Wanted, mut content: impl Read, trust: Trust) -> Result<(), String> {
        let name = wanted.file_name();
        let path = self.incoming(&name);
        let placed = self
            .copy(&name, &mut content, &path, wanted.max_bytes(), trust)
            .map_err(brief)
            .and_then(|sha256| {
                let known = wanted.accepts(&sha256);
                if !known && trust == Trust::Pinned {
                    return Err(format!("`{name}` has SHA-256 {sha256}, which is not a known one"));
                }
                let rename = || {
                    if !known {
                        fs::write(self.record(wanted), &sha256)?;
                    }
                    fs::rename(&path, self.folder.join(&name))
                };
                rename().map_err(brief)
            });
        if placed.is_err() {
            let _ = fs::remove_file(&path);
        }
        placed
    }

    fn copy(
        &self,
        name: &str,
        content: &mut impl Read,
        path: &Path,
        expected_bytes: u64,
        trust: Trust,
    ) -> io::Result<String> {
        let limit = if trust == Trust::Pinned { expected_bytes } else { MAX_BYTES };
        let mut file = File::create(path)?;
        let (mut hasher, mut done_bytes) = (Sha256::new(), 0_u64);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = content.read(&mut piece)?;
            if count == 0 {
                break;
            }
            done_bytes += count as u64;
            if done_bytes > limit {
                return Err(io::Error::other(format!("`{name}` is larger than {limit} bytes")));
            }
            hasher.update(&piece[..count]);
            file.write_all(&piece[..count])?;
            self.report(name, done_bytes, None);
        }
        file.sync_all()?;
        Ok(hex(hasher))
    }

    pub(super) fn report(&self, file: &str, done_bytes: u64, total_bytes: Option<u64>) {
        (self.progress)(&Progress { file: file.to_owned(), done_bytes, total_bytes });
    }
}

/// SHA-256 of a file; `None` if it does not exist.
pub(super) fn hash_of(path: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Some(hex(hasher))),
            count => hasher.update(&piece[..count]),
        }
    }
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

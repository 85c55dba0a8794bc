//! Blobs in a folder.
//!
//! A blob is written to `incoming/` and renamed to `ab/cdef…` when it is whole and durable, so a
//! path that looks like a blob always is one. Hashing and every system call happen on a lane.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use breezeway_core::{Lane, LaneConfig};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tracing::warn;

use super::{BlobHash, BlobStore, BlobStream, StoredBlob};
use crate::{Error, Result};

/// How much is handed to the lane at once: large enough that the hand-over does not matter, small
/// enough that many uploads share the lane fairly.
const PIECE_BYTES: usize = 256 * 1024;

/// Jobs on the lane at one time. More callers wait here, because a full lane would break off an
/// upload that is half written.
const JOBS: usize = 32;

/// A folder of blobs: `ab/cdef…` by hash, written beside and renamed when whole.
///
/// One process uses a folder at a time: opening it removes what an earlier one left half written.
#[derive(Clone, Debug)]
pub struct FsBlobs {
    root: PathBuf,
    lane: Lane,
    jobs: Arc<Semaphore>,
    next: Arc<AtomicU64>,
}

impl FsBlobs {
    /// Blobs under `root`, which is made if it does not exist, with two threads of their own.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Self::open_on(root, Lane::new("blobs", LaneConfig { threads: 2, queue: JOBS })).await
    }

    /// Blobs under `root`, written and read on `lane`, whose queue should hold 32 jobs or more.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub async fn open_on(root: impl Into<PathBuf>, lane: Lane) -> Result<Self> {
        let blobs =
            Self { root: root.into(), lane, jobs: Arc::new(Semaphore::new(JOBS)), next: Arc::default() };
        let incoming = blobs.incoming();
        blobs.run("open its folder", move || sweep(&incoming)).await?;
        Ok(blobs)
    }

    fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    fn path(&self, hash: &BlobHash) -> PathBuf {
        let name = hash.to_string();
        let (folder, rest) = name.split_at(2);
        self.root.join(folder).join(rest)
    }

    async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.jobs.clone().acquire_owned().await.expect("the semaphore is never closed");
        let answer = self.lane.run(move || {
            // The place belongs to the job, not to its caller, who may leave while it still waits.
            let _place = place;
            work()
        });
        answer.await?.map_err(|source| Error::Blob { action, source })
    }
}

/// A blob on its way in. Dropped before it is finished, it removes what was written: wherever an
/// upload breaks off, on the lane or off it, this is the one place that cleans up.
struct Incoming {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    size_bytes: u64,
    finished: bool,
}

impl Incoming {
    fn create(folder: &Path, next: &AtomicU64) -> io::Result<Self> {
        loop {
            let path = folder.join(next.fetch_add(1, Ordering::Relaxed).to_string());
            match File::create_new(&path) {
                Ok(file) => {
                    return Ok(Self { path, file, hasher: Sha256::new(), size_bytes: 0, finished: false });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn write(mut self, bytes: &[u8]) -> io::Result<Self> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)?;
        self.size_bytes += bytes.len() as u64;
        Ok(self)
    }

    fn finish(mut self, place: impl FnOnce(&BlobHash) -> PathBuf) -> io::Result<StoredBlob> {
        self.file.sync_all()?;
        let hash = BlobHash(std::mem::take(&mut self.hasher).finalize().into());
        let path = place(&hash);
        let folder = path.parent().expect("a blob is in a folder");
        match fs::create_dir(folder) {
            Ok(()) => sync_folder(folder.parent().expect("which is in the root"))?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        fs::rename(&self.path, &path)?;
        self.finished = true;
        sync_folder(folder)?;
        Ok(StoredBlob { hash, size_bytes: self.size_bytes })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = fs::remove_file(&self.path)
        {
            warn!(path = %self.path.display(), "A broken upload stays until the next start: {error}");
        }
    }
}

/// Make the folder for incoming blobs, or empty it.
fn sweep(incoming: &Path) -> io::Result<()> {
    fs::create_dir_all(incoming)?;
    for entry in fs::read_dir(incoming)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// Make the names in a folder durable, where the system has a way to ask for it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn is_missing<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::NotFound)
}

fn open_at(path: &Path, offset: u64) -> io::Result<Option<File>> {
    let opened = File::open(path);
    if is_missing(&opened) {
        return Ok(None);
    }
    let mut file = opened?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(offset.min(length)))?;
    Ok(Some(file))
}

fn read_piece(file: &mut File) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    file.take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

fn list(root: &Path) -> io::Result<Vec<BlobHash>> {
    let mut hashes = Vec::new();
    for folder in fs::read_dir(root)? {
        let folder = folder?;
        let name = folder.file_name();
        let Some(first) = name.to_str().filter(|name| name.len() == 2) else { continue };
        for entry in fs::read_dir(folder.path())? {
            let rest = entry?.file_name();
            // What is not named like a blob was not put here by us and is none of our business.
            hashes.extend(rest.to_str().and_then(|rest| format!("{first}{rest}").parse::<BlobHash>().ok()));
        }
    }
    Ok(hashes)
}

#[async_trait]
impl BlobStore for FsBlobs {
    async fn put(&self, mut bytes: BlobStream, limit_bytes: u64) -> Result<StoredBlob> {
        let (folder, next) = (self.incoming(), self.next.clone());
        let mut incoming = self.run("begin a blob", move || Incoming::create(&folder, &next)).await?;
        let (mut buffer, mut size_bytes) = (Vec::new(), 0_u64);
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            size_bytes = size_bytes.saturating_add(piece.len() as u64);
            if size_bytes > limit_bytes {
                return Err(Error::TooLarge { limit_bytes });
            }
            buffer.extend_from_slice(&piece);
            if buffer.len() >= PIECE_BYTES {
                let full = std::mem::take(&mut buffer);
                incoming = self.run("write a blob", move || incoming.write(&full)).await?;
            }
        }
        let blobs = self.clone();
        self.run("keep a blob", move || incoming.write(&buffer)?.finish(|hash| blobs.path(hash))).await
    }

    async fn open(&self, hash: &BlobHash, offset: u64) -> Result<Option<BlobStream>> {
        let path = self.path(hash);
        let Some(file) = self.run("open a blob", move || open_at(&path, offset)).await? else {
            return Ok(None);
        };
        let pieces = stream::try_unfold((self.clone(), file), |(blobs, mut file)| async move {
            let read = move || read_piece(&mut file).map(|piece| (piece, file));
            let (piece, file) = blobs.run("read a blob", read).await?;
            Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (blobs, file))))
        });
        Ok(Some(Box::pin(pieces)))
    }

    /// Where the blob is if it is there; the disk is not asked.
    fn local_path(&self, hash: &BlobHash) -> Option<PathBuf> {
        Some(self.path(hash))
    }

    async fn delete(&self, hash: &BlobHash) -> Result<()> {
        let path = self.path(hash);
        let delete = move || {
            let removed = fs::remove_file(&path);
            if is_missing(&removed) { Ok(()) } else { removed }
        };
        self.run("delete a blob", delete).await
    }

    async fn list(&self) -> Result<Vec<BlobHash>> {
        let root = self.root.clone();
        self.run("list its blobs", move || list(&root)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future;

    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn fs_blobs_keep_the_contract() {
        let folders = Mutex::new(Vec::new());
        let fresh = async || {
            let folder = tempfile::tempdir().unwrap();
            let blobs = FsBlobs::open(folder.path().join("blobs")).await.unwrap();
            folders.lock().unwrap().push(folder);
            blobs
        };

        crate::conformance::blob_store(fresh).await;
    }

    #[tokio::test]
    async fn an_upload_that_is_given_up_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FsBlobs::open(folder.path()).await.unwrap();
        let stalls = stream::once(future::ready(Ok(Bytes::from(vec![7; PIECE_BYTES]))))
            .chain(stream::once(future::pending()));
        let mut put = blobs.put(Box::pin(stalls), u64::MAX);
        let incoming = blobs.incoming();
        while !fs::read_dir(&incoming).unwrap().any(|entry| entry.unwrap().metadata().unwrap().len() > 0) {
            assert!(future::poll_immediate(&mut put).await.is_none(), "the upload stalls");
            tokio::task::yield_now().await;
        }

        drop(put);

        // The last job may still be on the lane; it cleans up when it ends.
        while !entries(&incoming).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(blobs.list().await.unwrap(), []);
    }

    #[tokio::test]
    async fn opening_removes_what_a_crash_left_half_written() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FsBlobs::open(folder.path()).await.unwrap();
        let kept = blobs.put(Box::pin(stream::iter([Ok(Bytes::from_static(b"kept"))])), 9).await.unwrap();
        fs::write(blobs.incoming().join("0"), "half").unwrap();
        fs::write(folder.path().join("README"), "by hand").unwrap();

        let again = FsBlobs::open(folder.path()).await.unwrap();

        assert!(entries(&again.incoming()).is_empty());
        assert_eq!(again.list().await.unwrap(), [kept.hash]);
        let hash = kept.hash.to_string();
        assert!(folder.path().join(&hash[..2]).join(&hash[2..]).is_file());
    }
}

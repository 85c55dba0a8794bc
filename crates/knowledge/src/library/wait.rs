//! Waiting for files: a question right after an upload finds the text.

use std::time::Duration;

use breezeway_core::{FileId, Principal};
use tokio::time::{Instant, timeout_at};

use super::Library;
use crate::{File, Result, Unread};

/// Files without a text that are waited for at most. Where more are on their way, somebody fills a
/// collection, which takes longer than a question waits; it is asked about what is there.
const MOST_AWAITED: usize = 64;

/// How soon the store is asked again at the earliest: while a thousand files pass, each tells.
const AGAIN: Duration = Duration::from_millis(5);

impl Library {
    /// Wait until all of `files` that are on their way have their first text, for as long as `patience`
    /// at most, and answer those that have none still. Files whose next try is later than that are not
    /// waited for, nor are files at all if there are more than a few dozen.
    ///
    /// A file that had a text before, and is read again, has not to be waited for: the text it had is
    /// found until the new one is there.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn wait_for_texts(&self, files: &[FileId], patience: Duration) -> Result<Vec<Unread>> {
        let deadline = Instant::now() + patience;
        let last_try = self.clock.now().plus(patience);
        let mut listener = self.bells.movements.listen();
        loop {
            let unread = self.store.unread_files(files).await?;
            let comes = |file: &Unread| file.next_try.is_none_or(|at| at <= last_try);
            if unread.len() > MOST_AWAITED || !unread.iter().any(comes) {
                return Ok(unread);
            }
            if timeout_at(deadline, listener.moved()).await.is_err() {
                return Ok(unread);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Wait until nothing will change by itself any more about a readable file, for as long as `patience`
    /// at most, and answer it as it is then.
    ///
    /// # Errors
    /// `NoSuchFile`, whether it does not exist or is not theirs to read, also if it ceases to meanwhile.
    pub async fn wait_until_final(
        &self,
        principal: &Principal,
        id: &FileId,
        patience: Duration,
    ) -> Result<File> {
        let deadline = Instant::now() + patience;
        let mut listener = self.bells.movements.listen();
        loop {
            let file = self.readable_file(principal, id).await?;
            if file.state.is_final() || timeout_at(deadline, listener.moved()).await.is_err() {
                return Ok(file);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use breezeway_core::{Clock, Credential, Role, UnixTime};
    use bytes::Bytes;
    use futures_util::{future::poll_immediate, stream};
    use serde_json::Map;

    use super::*;
    use crate::{
        ChunkStore, Claim, Document, FileCommit, LibraryConfig, LibraryStore, MemoryBlobs, MemoryLibrary,
        Upload,
    };

    const PATIENCE: Duration = Duration::from_secs(30);
    const NOW: UnixTime = UnixTime::from_seconds(100);

    struct Desk {
        library: Library,
        store: MemoryLibrary,
    }

    impl Desk {
        fn new() -> Self {
            let store = MemoryLibrary::default();
            let config = LibraryConfig { max_upload_bytes: 1000, allowed_extensions: Vec::new() };
            let blobs = Arc::new(MemoryBlobs::default());
            Self { library: Library::new(config, Arc::new(store.clone()), blobs, Clock::fixed(NOW)), store }
        }

        async fn upload(&self) -> FileId {
            let upload = Upload {
                name: "a.txt".into(),
                media_type: "text/plain".into(),
                process: true,
                metadata: Map::new(),
                into: None,
            };
            let bytes = Box::pin(stream::iter([Ok(Bytes::from_static(b"text"))]));
            self.library.add_file(&ada(), upload, bytes).await.unwrap().id
        }

        async fn claim(&self) -> Claim {
            self.store.claim_pending(NOW, Duration::from_secs(60)).await.unwrap().unwrap()
        }

        async fn finish(&self, claim: Claim) {
            let commit = FileCommit {
                file: claim.file.id,
                attempt: claim.attempt,
                text_hash: "hash".into(),
                document: Document { text: "text".into(), ..Document::default() },
                chunks: Vec::new(),
                vectors: None,
            };
            assert!(self.store.commit_file(commit, NOW).await.unwrap());
            self.library.bells().movements.tell();
        }
    }

    fn ada() -> Principal {
        Principal {
            user: "ada".parse().unwrap(),
            role: Role::User,
            name: "ada".into(),
            email: "ada@example.org".into(),
            groups: Arc::default(),
            credential: Credential::Local,
            rules: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_waits_until_the_last_of_its_files_has_a_text() {
        let desk = Desk::new();
        let files = [desk.upload().await, desk.upload().await];
        let mut waiting = Box::pin(desk.library.wait_for_texts(&files, PATIENCE));

        assert!(poll_immediate(&mut waiting).await.is_none());
        let (first, second) = (desk.claim().await, desk.claim().await);
        desk.finish(first).await;
        assert!(poll_immediate(&mut waiting).await.is_none());
        desk.finish(second).await;

        assert_eq!(waiting.await.unwrap(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_text_in_time_is_named() {
        let desk = Desk::new();
        let file = desk.upload().await;
        desk.claim().await;
        let begun = Instant::now();

        let left_out = desk.library.wait_for_texts(std::slice::from_ref(&file), PATIENCE).await.unwrap();

        assert_eq!(begun.elapsed(), PATIENCE);
        assert_eq!(left_out, [Unread { id: file, name: "a.txt".into(), next_try: None }]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_tried_again_later_is_not_waited_for() {
        let desk = Desk::new();
        let (file, later) = (desk.upload().await, NOW.plus(PATIENCE * 2));
        let attempt = desk.claim().await.attempt;
        desk.store.fail_file(&file, attempt, "the model is down", Some(later), NOW).await.unwrap();
        let begun = Instant::now();

        let left_out = desk.library.wait_for_texts(&[file], PATIENCE).await.unwrap();

        assert_eq!((left_out[0].next_try, begun.elapsed()), (Some(later), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_file_and_one_that_is_read_again_are_not_waited_for() {
        let desk = Desk::new();
        let (failed, again) = (desk.upload().await, desk.upload().await);
        for _ in 0..2 {
            let claim = desk.claim().await;
            if claim.file.id == failed {
                desk.store.fail_file(&failed, claim.attempt, "it is damaged", None, NOW).await.unwrap();
            } else {
                desk.finish(claim).await;
            }
        }
        desk.store.requeue_file(&again, NOW).await.unwrap();

        assert_eq!(desk.library.wait_for_texts(&[failed, again], PATIENCE).await.unwrap(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_collection_that_is_being_filled() {
        let desk = Desk::new();
        let mut files = Vec::new();
        for _ in 0..=MOST_AWAITED {
            files.push(desk.upload().await);
        }
        let begun = Instant::now();

        let left_out = desk.library.wait_for_texts(&files, PATIENCE).await.unwrap();

        assert_eq!((left_out.len(), begun.elapsed()), (files.len(), Duration::ZERO));
    }
}

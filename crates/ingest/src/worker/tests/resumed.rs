//! What a worker leaves behind, and what the next one makes of it.

use super::*;

/// A text of `parts` chunks, each different.
fn parts(parts: usize) -> String {
    (0..parts).map(|part| format!("# Part {part}\nwords of part {part}\n")).collect()
}

impl Town {
    /// Another process over what this one has kept.
    fn restarted(&self, model: Arc<dyn EmbeddingModel>) -> Self {
        let bells = Bells::default();
        let ingestor = Ingestor::new(
            config(),
            IngestStores {
                chunks: Arc::new(self.library.clone()),
                drafts: Arc::new(self.library.clone()),
                blobs: self.blobs.clone(),
            },
            Some(model),
            Lane::new("extract", LaneConfig { threads: 2, queue: 8 }),
            self.clock.clone(),
            bells.clone(),
        );
        let (library, blobs, clock) = (self.library.clone(), self.blobs.clone(), self.clock.clone());
        Self { library, blobs, clock, bells, ingestor }
    }
}

#[tokio::test]
async fn a_worker_that_died_leaves_its_vectors_to_the_next() {
    let dying = Arc::new(Scripted::gated());
    let town = Town::new(Some(dying.clone()));
    // More than one window, of which the first is done before the worker dies.
    let id = town.upload("a.md", parts(300)).await;
    town.work_until(async || {
        dying.open();
        dying.asked().concat().len() > 256
    })
    .await;
    let before: Vec<String> = dying.asked().concat().into_iter().take(256).collect();
    // Even the bytes are not needed any more.
    town.blobs.delete(&town.file(&id).await.expect("it exists").blob).await.expect("memory answers");

    let next = Arc::new(Scripted::new(Script::Answer));
    let state = town.restarted(next.clone()).work_until_final(&id).await;

    assert_eq!(state, FileState::Completed);
    let after = next.asked().concat();
    assert_eq!(after.len(), 300 - 256, "what was kept is not embedded again");
    assert!(after.iter().all(|text| !before.contains(text)));
    let chunks = town.chunks_of(&id, next.as_ref()).await;
    assert!(chunks.len() == 300 && chunks.iter().all(|chunk| chunk.vector.is_some()));
}

#[tokio::test]
async fn a_draft_that_was_cut_in_another_way_is_not_gone_on_with() {
    let dying = Arc::new(Scripted::gated());
    let town = Town::new(Some(dying.clone()));
    let id = town.upload("a.txt", "one two three four").await;
    town.work_until(async || dying.waiting.load(Ordering::Relaxed) == 1).await;

    let next = Arc::new(Scripted::new(Script::Answer));
    let restarted = town.restarted(next.clone());
    restarted.ingestor.set_plan(ChunkPlan { size: 10, overlap: 0, ..ChunkPlan::default() });
    restarted.work_until_final(&id).await;

    assert_eq!(next.asked(), [["one two", "three four"]]);
    assert_eq!(town.chunks_of(&id, next.as_ref()).await.len(), 2);
}

#[tokio::test]
async fn a_cancelled_file_is_left_alone_at_once() {
    let model = Arc::new(Scripted::gated());
    let town = Town::new(Some(model.clone()));
    let id = town.upload("a.txt", "some words").await;
    let mut cancelled = false;
    town.work_until(async || {
        if !cancelled && model.waiting.load(Ordering::Relaxed) == 1 {
            town.library.cancel_file(&id, town.clock.now()).await.expect("memory answers");
            town.bells.stops.tell();
            cancelled = true;
        }
        // The model never answers, and the lease is long: only the bell can end this.
        cancelled && town.ingestor.progress().of(&id).is_none()
    })
    .await;

    assert_eq!(town.state(&id).await, FileState::Cancelled);
    assert!(town.library.document(&id).await.expect("memory answers").is_none());

    town.library.requeue_file(&id, town.clock.now()).await.expect("memory answers");
    model.open();
    assert_eq!(town.work_until_final(&id).await, FileState::Completed);
}

#[tokio::test]
async fn whoever_listens_hears_how_far_a_file_has_come() {
    let model = Arc::new(Scripted::gated());
    let town = Town::new(Some(model.clone()));
    let id = town.upload("a.md", parts(6)).await;
    let mut listener = town.ingestor.progress().listen();
    let mut heard = Vec::new();
    let listening = async {
        loop {
            listener.moved().await;
            let Some(progress) = town.ingestor.progress().of(&id) else { break };
            let seen = (progress.stage, progress.chunks_done, progress.chunks_total);
            if heard.last() != Some(&seen) {
                heard.push(seen);
            }
            model.open();
        }
    };

    tokio::time::timeout(Duration::from_secs(20), async {
        tokio::select! {
            () = town.ingestor.run() => {}
            () = listening => {}
        }
    })
    .await
    .expect("it is done in time");

    // What follows without a wait in between may be heard as one.
    assert!(heard.contains(&(Stage::Embedding, 4, 6)), "{heard:?}");
}

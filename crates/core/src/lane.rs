//! Lanes: bounded pools of threads for heavy work.
//!
//! Hashing, parsing, embedding, searching and SQLite would stall every open stream if they ran on
//! the threads that move bytes. Each kind of work has a lane of its own, so that a pile of uploads
//! cannot hold up a sign-in. A full lane answers at once instead of growing a queue.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::sync::oneshot;

use crate::{Classify, ErrorKind};

/// How large a lane is.
#[derive(Clone, Copy, Debug)]
pub struct LaneConfig {
    /// Threads that work, at least one.
    pub threads: usize,
    /// Jobs that may wait beside those being worked on.
    pub queue: usize,
}

/// Why a lane did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// Its queue is full.
    #[error("the {0} lane is full")]
    Full(&'static str),
    /// The work panicked; the lane goes on.
    #[error("work on the {0} lane panicked")]
    Panicked(&'static str),
    /// The lane was shut down before the work began.
    #[error("the {0} lane is shut down")]
    Closed(&'static str),
}

impl Classify for LaneError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Full(_) | Self::Closed(_) => ErrorKind::Overloaded,
            Self::Panicked(_) => ErrorKind::Internal,
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

struct Inner {
    name: &'static str,
    queue: Mutex<Queue>,
    ready: Condvar,
}

struct Queue {
    jobs: VecDeque<Job>,
    room: usize,
    /// Threads that are not working on a job.
    free: usize,
    closed: bool,
}

/// A handle to a lane; clones share its threads, which end when the last handle is dropped.
#[derive(Clone)]
pub struct Lane {
    inner: Arc<Inner>,
    _owner: Arc<Owner>,
}

struct Owner(Arc<Inner>);

impl Drop for Owner {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.closed = true;
        drop(queue);
        self.0.ready.notify_all();
    }
}

impl Lane {
    /// Start the threads of a lane; `name` appears in thread names and errors.
    ///
    /// # Panics
    /// If the machine cannot start a thread.
    pub fn new(name: &'static str, config: LaneConfig) -> Self {
        Self::start(name, config, || {})
    }

    /// As [`new`](Self::new), with threads that step back: where the processor is short, whoever moves
    /// bytes comes first. What they start, threads and processes, steps back too.
    ///
    /// On Linux that is a nice value of 10; elsewhere priorities belong to whole processes, and nothing
    /// is done.
    ///
    /// # Panics
    /// If the machine cannot start a thread.
    pub fn in_background(name: &'static str, config: LaneConfig) -> Self {
        Self::start(name, config, step_back)
    }

    fn start(name: &'static str, config: LaneConfig, begin: fn()) -> Self {
        let inner = Arc::new(Inner {
            name,
            queue: Mutex::new(Queue {
                jobs: VecDeque::new(),
                room: config.queue,
                free: config.threads.max(1),
                closed: false,
            }),
            ready: Condvar::new(),
        });
        for number in 0..config.threads.max(1) {
            let inner = inner.clone();
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || {
                    begin();
                    work(&inner);
                })
                .expect("the machine has threads to give at start");
        }
        Self { _owner: Arc::new(Owner(inner.clone())), inner }
    }

    /// The lane's name.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Run `work` on the lane and wait for its answer.
    ///
    /// Work whose caller has gone before it began is skipped; work that has begun is finished.
    ///
    /// # Errors
    /// At once if the queue is full; later if the work panicked.
    pub async fn run<T, F>(&self, work: F) -> Result<T, LaneError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (answer, waiting) = oneshot::channel();
        let gone = Arc::new(AtomicBool::new(false));
        let cancel = Cancel(gone.clone());
        self.push(Box::new(move || {
            if !gone.load(Ordering::Relaxed) {
                // A closed receiver means the caller left meanwhile; there is nobody to tell.
                let _ = answer.send(catch_unwind(AssertUnwindSafe(work)));
            }
        }))?;
        let answered = waiting.await;
        drop(cancel);
        match answered {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(LaneError::Panicked(self.inner.name)),
            Err(_) => Err(LaneError::Closed(self.inner.name)),
        }
    }

    fn push(&self, job: Job) -> Result<(), LaneError> {
        let mut queue = self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            return Err(LaneError::Closed(self.inner.name));
        }
        if queue.jobs.len() >= queue.room + queue.free {
            return Err(LaneError::Full(self.inner.name));
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.inner.ready.notify_one();
        Ok(())
    }
}

struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lower this thread's priority. By POSIX this would be the process's; on Linux each thread has its own
/// (setpriority(2), "C library/kernel differences").
fn step_back() {
    #[cfg(target_os = "linux")]
    // A thread that may not step back works all the same.
    let _ = rustix::process::setpriority_process(None, 10);
}

fn work(inner: &Inner) {
    loop {
        let mut queue = inner.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let job = loop {
            if let Some(job) = queue.jobs.pop_front() {
                queue.free -= 1;
                break job;
            }
            if queue.closed {
                return;
            }
            queue = inner.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        };
        drop(queue);
        job();
        inner.queue.lock().unwrap_or_else(PoisonError::into_inner).free += 1;
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lane").field(&self.inner.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_background_lanes_step_back() {
        let nice = || rustix::process::getpriority_process(None).expect("every thread has a priority");
        let config = LaneConfig { threads: 1, queue: 1 };

        let before = nice();
        let plain = Lane::new("plain", config).run(nice).await.expect("it has room");
        let background = Lane::in_background("background", config).run(nice).await.expect("it has room");

        assert_eq!((plain, background), (before, 10.max(before)));
        assert_eq!(nice(), before);
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "two callers have to wait at the same time")]
    async fn a_full_lane_answers_at_once() {
        let lane = Lane::new("small", LaneConfig { threads: 1, queue: 1 });
        let (release, held) = mpsc::channel::<()>();
        let (started, has_started) = oneshot::channel();
        let busy = tokio::spawn({
            let lane = lane.clone();
            async move {
                lane.run(move || {
                    started.send(()).expect("the test waits");
                    held.recv().expect("the test releases");
                })
                .await
            }
        });
        has_started.await.expect("the lane started");
        let waiting = tokio::spawn({
            let lane = lane.clone();
            async move { lane.run(|| 2).await }
        });
        while lane.inner.queue.lock().expect("no panic").jobs.is_empty() {
            tokio::task::yield_now().await;
        }

        assert_eq!(lane.run(|| 3).await, Err(LaneError::Full("small")));

        release.send(()).expect("the lane waits");
        assert_eq!(busy.await.expect("no panic"), Ok(()));
        assert_eq!(waiting.await.expect("no panic"), Ok(2));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_lane_goes_on() {
        let lane = Lane::new("sturdy", LaneConfig { threads: 1, queue: 1 });

        assert_eq!(
            lane.run(|| panic!("expected by the test")).await,
            Err::<(), _>(LaneError::Panicked("sturdy"))
        );
        assert_eq!(lane.run(|| 1).await, Ok(1));
    }
}

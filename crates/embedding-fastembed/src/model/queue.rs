//! Two priorities on one lane.
//!
//! A lane is first come, first served. So questions wait in a list of their own, and every job on the
//! lane, whoever brought it, answers the waiting questions before it does its own work. A question
//! also brings a job, for the case that nobody else has one.

use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use breezeway_core::{Lane, LaneError};
use breezeway_embedding::{EmbedError, Purpose};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

/// Questions that may wait.
const QUESTIONS: usize = 256;

/// How long a question waits for a place on a full lane. The jobs there answer it meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it asks.
const AGAIN: Duration = Duration::from_millis(10);

type Numbers = Result<Vec<Vec<f32>>, EmbedError>;

struct Question {
    texts: Vec<String>,
    answer: oneshot::Sender<Numbers>,
}

/// Sessions, and who uses them next.
pub(super) struct Queue<T> {
    lane: Lane,
    questions: Mutex<VecDeque<Question>>,
    idle: Mutex<Vec<T>>,
    returned: Condvar,
    work: fn(&mut T, &[String]) -> Numbers,
}

impl<T: Send + 'static> Queue<T> {
    pub(super) fn new(lane: Lane, sessions: Vec<T>, work: fn(&mut T, &[String]) -> Numbers) -> Self {
        Self { lane, questions: Mutex::default(), idle: Mutex::new(sessions), returned: Condvar::new(), work }
    }

    /// Have one batch embedded.
    pub(super) async fn run(self: Arc<Self>, purpose: Purpose, texts: Vec<String>) -> Numbers {
        match purpose {
            Purpose::Query => self.ask(texts).await,
            Purpose::Passage => {
                let queue = self.clone();
                let job = move || {
                    while queue.answer_one() {}
                    (queue.work)(&mut queue.session(), &texts)
                };
                self.lane.run(job).await?
            }
        }
    }

    async fn ask(self: Arc<Self>, texts: Vec<String>) -> Numbers {
        let mut answered = self.line_up(texts)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let queue = self.clone();
            let job = self.lane.run(move || {
                queue.answer_one();
            });
            let full = tokio::select! {
                biased;
                answer = &mut answered => return self.unwrap(answer),
                ran = job => match ran {
                    // Whoever took the question is at work on it now.
                    Ok(()) => return self.unwrap(answered.await),
                    Err(full @ LaneError::Full(_)) if Instant::now() < deadline => full,
                    Err(error) => return Err(error.into()),
                },
            };
            tokio::select! {
                biased;
                answer = &mut answered => return self.unwrap(answer),
                () = sleep(AGAIN) => tracing::trace!("A question waits for a place: {full}"),
            }
        }
    }

    fn line_up(&self, texts: Vec<String>) -> Result<oneshot::Receiver<Numbers>, EmbedError> {
        let (answer, answered) = oneshot::channel();
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        questions.retain(|question| !question.answer.is_closed());
        if questions.len() >= QUESTIONS {
            return Err(LaneError::Full(self.lane.name()).into());
        }
        questions.push_back(Question { texts, answer });
        Ok(answered)
    }

    /// Answer the question that has waited longest; `false` if there is none.
    fn answer_one(&self) -> bool {
        let next = self.questions.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(question) = next else { return false };
        if !question.answer.is_closed() {
            let numbers = (self.work)(&mut self.session(), &question.texts);
            // Whoever asked may have left meanwhile.
            let _ = question.answer.send(numbers);
        }
        true
    }

    fn unwrap(&self, answer: Result<Numbers, oneshot::error::RecvError>) -> Numbers {
        // The sender is dropped unused only when the job that held it panicked.
        answer.unwrap_or_else(|_| Err(LaneError::Panicked(self.lane.name()).into()))
    }

    /// A session for one batch; waits if the lane has more threads than there are sessions.
    fn session(&self) -> Lent<'_, T> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(session) = idle.pop() {
                return Lent { queue: self, session: Some(session) };
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A session in use; it goes back when dropped, after a panic too.
struct Lent<'a, T> {
    queue: &'a Queue<T>,
    session: Option<T>,
}

impl<T> Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.session.as_ref().expect("there until dropped")
    }
}

impl<T> DerefMut for Lent<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.session.as_mut().expect("there until dropped")
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let mut idle = self.queue.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.session.take());
        drop(idle);
        self.queue.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use breezeway_core::LaneConfig;
    use futures_util::future::{join_all, poll_immediate};

    use super::*;

    /// A session that says what it does and waits until it may go on.
    struct Scripted {
        said: mpsc::Sender<String>,
        gate: mpsc::Receiver<()>,
    }

    fn work(session: &mut Scripted, texts: &[String]) -> Numbers {
        session.said.send(texts[0].clone()).unwrap();
        session.gate.recv().unwrap();
        assert!(texts[0] != "panic", "expected by the test");
        Ok(vec![vec![1.0]; texts.len()])
    }

    fn queue(room: usize) -> (Arc<Queue<Scripted>>, mpsc::Receiver<String>, mpsc::Sender<()>) {
        let lane = Lane::new("embed", LaneConfig { threads: 1, queue: room });
        let ((said, heard), (open, gate)) = (mpsc::channel(), mpsc::channel());
        (Arc::new(Queue::new(lane, vec![Scripted { said, gate }], work)), heard, open)
    }

    fn texts(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[tokio::test]
    async fn a_question_goes_ahead_of_the_passages_that_wait() {
        let (queue, heard, open) = queue(8);
        let mut passages = Box::pin(join_all(
            ["first", "second", "third"].map(|text| queue.clone().run(Purpose::Passage, texts(text))),
        ));
        assert!(poll_immediate(&mut passages).await.is_none());
        assert_eq!(heard.recv().unwrap(), "first");
        let mut question = Box::pin(queue.clone().run(Purpose::Query, texts("question")));
        assert!(poll_immediate(&mut question).await.is_none());

        for _ in 0..4 {
            open.send(()).unwrap();
        }

        assert!(question.await.is_ok());
        assert!(passages.await.iter().all(Result::is_ok));
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["question", "second", "third"]);
    }

    #[tokio::test]
    async fn a_question_is_answered_on_a_lane_that_is_full() {
        let (queue, heard, open) = queue(1);
        let mut passages = Box::pin(join_all(
            ["first", "second"].map(|text| queue.clone().run(Purpose::Passage, texts(text))),
        ));
        assert!(poll_immediate(&mut passages).await.is_none());
        assert_eq!(heard.recv().unwrap(), "first");
        assert!(matches!(
            queue.clone().run(Purpose::Passage, texts("third")).await,
            Err(EmbedError::Lane(LaneError::Full(_)))
        ));
        let mut question = Box::pin(queue.clone().run(Purpose::Query, texts("question")));
        assert!(poll_immediate(&mut question).await.is_none());

        for _ in 0..3 {
            open.send(()).unwrap();
        }

        assert!(question.await.is_ok());
        assert!(passages.await.iter().all(Result::is_ok));
        assert_eq!(heard.try_iter().next().unwrap(), "question");
    }

    #[tokio::test]
    async fn a_question_nobody_waits_for_is_passed_over() {
        let (queue, heard, open) = queue(8);
        let mut passage = Box::pin(queue.clone().run(Purpose::Passage, texts("first")));
        assert!(poll_immediate(&mut passage).await.is_none());
        assert_eq!(heard.recv().unwrap(), "first");
        let mut given_up = Box::pin(queue.clone().run(Purpose::Query, texts("given up")));
        assert!(poll_immediate(&mut given_up).await.is_none());

        drop(given_up);
        open.send(()).unwrap();
        open.send(()).unwrap();

        assert!(passage.await.is_ok());
        assert!(queue.run(Purpose::Query, texts("another")).await.is_ok());
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["another"]);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_for_one_call_and_keeps_the_session() {
        let (queue, _heard, open) = queue(8);
        for _ in 0..3 {
            open.send(()).unwrap();
        }

        let question = queue.clone().run(Purpose::Query, texts("panic")).await;
        let passage = queue.clone().run(Purpose::Passage, texts("panic")).await;

        assert!(matches!(question, Err(EmbedError::Lane(LaneError::Panicked(_)))));
        assert!(matches!(passage, Err(EmbedError::Lane(LaneError::Panicked(_)))));
        assert!(queue.run(Purpose::Query, texts("fine")).await.is_ok());
    }
}

//! The turn of a saved chat while it is being answered.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use breezeway_core::{Classify, ErrorKind};
use breezeway_registry::{FrameStream, UpstreamError};
use breezeway_wire::Frame;
use futures_util::Stream;

use super::{
    saved::{Place, SavedChats},
    turn::{Reply, Said, Turn},
};
use crate::{Answer, Error};

/// A turn that is being answered. Dropping it keeps what there is so far, as an answer that did not come
/// to its end.
#[must_use = "dropping it writes an unfinished answer"]
pub struct Draft(Option<Open>);

struct Open {
    turn: Turn,
    /// Whether the question is in the chat already.
    asked: bool,
    /// Room for the turn where turns wait to be written; it was reserved before anything was asked.
    place: Place,
    saved: SavedChats,
}

impl Draft {
    pub(super) fn new(turn: Turn, place: Place, saved: SavedChats) -> Self {
        Self(Some(Open { turn, asked: false, place, saved }))
    }

    /// Write the question down before it is asked, so that it is not lost whatever becomes of this process.
    pub async fn ask(&mut self) {
        let Some(Open { turn, asked, saved, .. }) = &mut self.0 else { return };
        *asked = true;
        let begun = Turn { reply: Reply::Begun, ..turn.clone() };
        saved.note(&begun).await;
    }

    /// Keep the answer as it goes by.
    pub fn watch(self, answer: Answer) -> Answer {
        match answer {
            Answer::Whole(body) => {
                self.end(Reply::Whole(body.clone()));
                Answer::Whole(body)
            }
            Answer::Stream(frames) => {
                Answer::Stream(Box::pin(Kept { frames, said: Said::default(), draft: Some(self) }))
            }
        }
    }

    /// There is no answer. What went wrong at the upstream belongs to the chat, and so does what went wrong
    /// after the question was written down; a request that was refused before has not taken place in it.
    pub fn refuse(mut self, error: &Error) {
        let is_asked = self.0.as_ref().is_some_and(|open| open.asked);
        let text = match error {
            Error::Upstream(error) => error.to_string(),
            _ if !is_asked => {
                self.0 = None;
                return;
            }
            error if error.kind() == ErrorKind::Internal => "it could not be answered".to_owned(),
            error => error.to_string(),
        };
        self.end(Reply::Said(Said { error: Some(text), done: true, ..Said::default() }));
    }

    fn end(mut self, reply: Reply) {
        self.write(reply);
    }

    fn write(&mut self, reply: Reply) {
        if let Some(Open { turn, place, saved, .. }) = self.0.take() {
            saved.take(Turn { reply, ..turn }, place);
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.write(Reply::Said(Said::default()));
    }
}

/// A stream of which the text is kept.
struct Kept {
    frames: FrameStream,
    said: Said,
    /// Gone once the turn is handed over.
    draft: Option<Draft>,
}

impl Kept {
    fn end(&mut self) {
        if let Some(draft) = self.draft.take() {
            draft.end(Reply::Said(std::mem::take(&mut self.said)));
        }
    }
}

impl Stream for Kept {
    type Item = Result<Frame, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.frames.as_mut().poll_next(context));
        if self.draft.is_some() {
            match &item {
                // Behind the end mark clients may hang up, and whoever reads the chat now must see it.
                Some(Ok(frame)) => {
                    if self.said.hear(frame) {
                        self.end();
                    }
                }
                Some(Err(error)) => {
                    self.said.error = Some(error.to_string());
                    self.said.done = true;
                    self.end();
                }
                None => {
                    self.said.done = true;
                    self.end();
                }
            }
        }
        Poll::Ready(item)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.end();
    }
}

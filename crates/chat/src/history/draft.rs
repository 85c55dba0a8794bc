//! The turn of a saved chat while it is being answered.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

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
    /// Room for the turn where turns wait to be written; it was reserved before anything was asked.
    place: Place,
    saved: SavedChats,
}

impl Draft {
    pub(super) fn new(turn: Turn, place: Place, saved: SavedChats) -> Self {
        Self(Some(Open { turn, place, saved }))
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

    /// There is no answer. What went wrong at the upstream belongs to the chat; a request that was refused
    /// has not taken place in it.
    pub fn refuse(mut self, error: &Error) {
        match error {
            Error::Upstream(error) => {
                let said = Said { error: Some(error.to_string()), done: true, ..Said::default() };
                self.end(Reply::Said(said));
            }
            _ => self.0 = None,
        }
    }

    fn end(mut self, reply: Reply) {
        self.write(reply);
    }

    fn write(&mut self, reply: Reply) {
        if let Some(Open { turn, place, saved }) = self.0.take() {
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

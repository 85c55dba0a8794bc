//! Answers whose head is changed when it comes.
//!
//! A layer that only adds a header could box an `async` block. Every request would then pay for an
//! allocation and for moving its answer twice, once for each layer.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Response};
use pin_project_lite::pin_project;

/// A change of an answer's headers.
pub trait Amend {
    /// Make the change; asked once.
    fn amend(&self, headers: &mut HeaderMap);
}

pin_project! {
    /// The future of a layer that amends what its inner service answers.
    pub struct Amending<F, A> {
        #[pin]
        answer: F,
        amend: A,
    }
}

impl<F, A> Amending<F, A> {
    /// Amend `answer` when it comes.
    pub(crate) fn new(answer: F, amend: A) -> Self {
        Self { answer, amend }
    }
}

impl<F, A, R, E> Future for Amending<F, A>
where
    F: Future<Output = Result<Response<R>, E>>,
    A: Amend,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.answer.poll(cx));
        if let Ok(answer) = &mut answer {
            this.amend.amend(answer.headers_mut());
        }
        Poll::Ready(answer)
    }
}

//! A deadline for the first bytes of a connection.
//!
//! The server tells HTTP/1 and HTTP/2 apart by the first bytes, and only then has a timer for the
//! head of a request. Until then a client that says nothing, or stops inside the words that open
//! HTTP/2, would keep its place for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// What a client says first that speaks HTTP/2 without asking (RFC 9113, section 3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that fails to read if it is not known in time which protocol it speaks.
#[derive(Debug)]
pub(crate) struct FirstBytes<S> {
    inner: S,
    undecided: Option<Undecided>,
}

#[derive(Debug)]
struct Undecided {
    deadline: Pin<Box<Sleep>>,
    /// How much of [`HTTP2`] has come.
    matched: usize,
}

impl<S> FirstBytes<S> {
    pub(crate) fn new(inner: S, wait: Duration) -> Self {
        Self { inner, undecided: Some(Undecided { deadline: Box::pin(sleep(wait)), matched: 0 }) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buffer);
        let Some(undecided) = &mut this.undecided else { return polled };
        if polled.is_pending() {
            return undecided.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        let came = &buffer.filled()[before..];
        let rest = &HTTP2[undecided.matched..];
        if came.len() >= rest.len() || !rest.starts_with(came) {
            this.undecided = None;
        } else {
            undecided.matched += came.len();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

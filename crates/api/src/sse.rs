//! Server-sent events: answers that arrive piece by piece.

use std::{convert::Infallible, pin::Pin, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use breezeway_registry::{FrameStream, UpstreamError};
use breezeway_wire::{Frame, Translate, openai};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, header};
use tokio::time::timeout;

/// A response of pieces that are sent as soon as they are there. Dropping the response drops the
/// stream, and with it whatever it is fed by.
pub(crate) fn events(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(pieces.map(Ok::<_, Infallible>));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that buffer answers keep their hands off this one.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The frames of a chat answer, byte for byte. If it breaks off, an error event and the end mark
/// follow what came: the status has been sent, so this is the only way left to say so.
pub(crate) fn chat_frames(frames: FrameStream) -> impl Stream<Item = Bytes> + Send {
    until_error(frames, |frame| frame.raw, |error| openai::error_event(&error.to_string()))
}

/// The frames of a chat answer in another dialect.
pub(crate) fn translated(
    frames: FrameStream,
    translator: impl Translate,
) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(Some((frames, translator)), |state| async move {
        let (mut frames, mut translator) = state?;
        loop {
            let (pieces, goes_on) = match frames.next().await {
                Some(Ok(frame)) => (translator.push(&frame), true),
                Some(Err(error)) => {
                    tracing::warn!(%error, "A stream broke off");
                    (translator.fail(&error.to_string()), false)
                }
                None => (translator.finish(), false),
            };
            let bytes = joined(&pieces);
            if !bytes.is_empty() || !goes_on {
                return (!bytes.is_empty()).then(|| (bytes, goes_on.then_some((frames, translator))));
            }
        }
    })
}

/// The same pieces, and `sign` whenever there was none for a while, once the first has come: proxies and
/// clients give up connections that are silent while a model thinks.
pub(crate) fn awake(
    pieces: impl Stream<Item = Bytes> + Send + 'static,
    sign: Bytes,
) -> impl Stream<Item = Bytes> + Send {
    let start = (Box::pin(pieces), sign, false);
    stream::unfold(start, |(mut pieces, sign, begun)| async move {
        if !begun {
            return Some((pieces.next().await?, (pieces, sign, true)));
        }
        match timeout(SILENCE, pieces.next()).await {
            Ok(piece) => Some((piece?, (pieces, sign, true))),
            Err(_) => Some((sign.clone(), (pieces, sign, true))),
        }
    })
}

/// The longest silence of a stream that is kept awake. Proxies wait a minute and some clients less.
const SILENCE: Duration = Duration::from_secs(15);

pub(crate) fn joined(events: &[Frame]) -> Bytes {
    match events {
        [one] => one.raw.clone(),
        several => several.iter().flat_map(|event| event.raw.iter().copied()).collect(),
    }
}

/// Map the frames of a stream up to its first error, and that error to a last piece.
fn until_error<F>(
    frames: FrameStream,
    piece: F,
    last: fn(&UpstreamError) -> Bytes,
) -> Pin<Box<dyn Stream<Item = Bytes> + Send>>
where
    F: Fn(breezeway_wire::Frame) -> Bytes + Send + 'static,
{
    let ended = stream::unfold(Some((frames, piece)), move |state| async move {
        let (mut frames, piece) = state?;
        match frames.next().await? {
            Ok(frame) => {
                let bytes = piece(frame);
                Some((bytes, Some((frames, piece))))
            }
            Err(error) => {
                tracing::warn!(error = %error, "A stream broke off");
                Some((last(&error), None))
            }
        }
    });
    Box::pin(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_is_kept_awake_once_it_has_begun() {
        let waits = [40, 1, 40];
        let pieces = stream::iter(waits).then(|seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Bytes::from(format!("{seconds} "))
        });

        let told: Vec<Bytes> = awake(pieces, Bytes::from_static(b"ping ")).collect().await;

        assert_eq!(told.concat(), b"40 1 ping ping 40 ");
    }
}

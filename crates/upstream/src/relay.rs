//! Answers that are passed on as they are.

use breezeway_registry::{ByteStream, UpstreamError, UpstreamReply};
use futures_util::{StreamExt, stream};
use http::{Response, header::CONTENT_TYPE};
use hyper::body::Incoming;
use memchr::memmem;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::{
    Exchange, Patience,
    answer::{Form, byte_stream, header},
};

/// The longest of all marks, less one byte: so much of what came before may belong to one.
const BEFORE: usize = 31;

/// What was asked, and how long its answer may be silent.
pub(crate) struct Asked<'a> {
    pub(crate) path: &'a str,
    pub(crate) streamed: bool,
    pub(crate) patience: Patience,
}

/// Whether a request of any dialect asks for a stream.
pub(crate) fn is_streamed(request: &Map<String, Value>) -> bool {
    request.get("stream").is_some_and(|stream| *stream == true)
}

/// An answer to be passed on: JSON once it is whole, so that one that breaks off is an error and not half
/// an answer, and all else as it comes. Events that end before the answer is complete are a broken answer,
/// where it is known what completes one.
pub(crate) async fn relayed(
    exchange: &Exchange,
    response: Response<Incoming>,
    asked: Asked<'_>,
) -> Result<UpstreamReply, UpstreamError> {
    let status = response.status().as_u16();
    let content_type = header(&response, &CONTENT_TYPE);
    let is_events = content_type.as_deref().is_some_and(|kind| kind.starts_with("text/event-stream"));
    let body: ByteStream = match Form::of(&response) {
        Form::Page => return Err(UpstreamError::Malformed("a web page".to_owned())),
        Form::Json => {
            let body = exchange.rest(response).await?;
            serde_json::from_slice::<IgnoredAny>(&body)
                .map_err(|why| UpstreamError::Malformed(format!("no JSON: {why}")))?;
            Box::pin(stream::iter([Ok(body)]))
        }
        Form::Other if is_events && !asked.streamed => {
            return Err(UpstreamError::Malformed("events that nobody asked for".to_owned()));
        }
        Form::Other => {
            let bytes = byte_stream(response.into_body(), asked.patience);
            match marks(asked.path) {
                marks if is_events && !marks.is_empty() => completed(bytes, marks),
                _ => bytes,
            }
        }
    };
    Ok(UpstreamReply { status, content_type, body })
}

/// What says in the events of a path that the answer is complete, or will never be.
fn marks(path: &str) -> &'static [&'static [u8]] {
    match path.trim_start_matches('/') {
        "completions" | "chat/completions" => {
            &[b"[DONE]", b"\"finish_reason\":\"", b"\"finish_reason\": \"", b"\"error\""]
        }
        "responses" => &[
            b"response.completed",
            b"response.failed",
            b"response.incomplete",
            b"response.cancelled",
            b"event: error",
            b"\"type\":\"error\"",
        ],
        "messages" => &[b"message_stop", b"event: error", b"\"type\":\"error\""],
        _ => &[],
    }
}

/// The same bytes, and an error behind them if none of the marks was among them. Where no length is known,
/// a connection that was lost looks like one that was closed.
fn completed(bytes: ByteStream, marks: &'static [&'static [u8]]) -> ByteStream {
    let start = Some((bytes, Vec::new(), false));
    Box::pin(stream::unfold(start, move |state| async move {
        let (mut bytes, mut seen, complete): (ByteStream, Vec<u8>, bool) = state?;
        match bytes.next().await {
            Some(Ok(piece)) if complete => Some((Ok(piece), Some((bytes, seen, true)))),
            Some(Ok(piece)) => {
                seen.extend_from_slice(&piece);
                let complete = marks.iter().any(|mark| memmem::find(&seen, mark).is_some());
                seen.drain(..seen.len().saturating_sub(BEFORE));
                Some((Ok(piece), Some((bytes, seen, complete))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None if complete => None,
            None => {
                let broken = "it ended before the answer was complete".to_owned();
                Some((Err(UpstreamError::Broken(broken)), None))
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    async fn is_whole(path: &str, pieces: &[&'static str]) -> bool {
        let bytes: Vec<Result<Bytes, UpstreamError>> =
            pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        let told: Vec<_> = completed(Box::pin(stream::iter(bytes)), marks(path)).collect().await;
        let passed: Vec<_> = told.iter().filter_map(|piece| piece.as_ref().ok()).collect();
        assert_eq!(passed.len(), pieces.len());
        told.len() == passed.len()
    }

    #[tokio::test]
    async fn a_mark_is_found_wherever_it_is_cut() {
        for (path, pieces, whole) in [
            ("completions", &["data: {}\n\n", "data: [DO", "NE]\n\n"][..], true),
            ("completions", &["data: {\"finish_reason\": \"stop\"}"], true),
            ("completions", &["data: {\"finish_reason\": null}"], false),
            ("/responses", &["{\"type\":\"response.comp", "leted\"}", "more"], true),
            ("responses", &["{\"type\":\"response.created\",\"response\":{\"error\":null}}"], false),
            ("messages", &["event: mess", "age_stop\n"], true),
            ("messages", &[], false),
        ] {
            assert_eq!(is_whole(path, pieces).await, whole, "{path} {pieces:?}");
        }
    }

    #[test]
    fn marks_are_no_longer_than_what_is_kept_for_them() {
        for path in ["completions", "responses", "messages"] {
            assert!(marks(path).iter().all(|mark| mark.len() <= BEFORE + 1), "{path}");
        }
        assert!(marks("audio/speech").is_empty());
    }
}

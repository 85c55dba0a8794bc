//! Reading answers: errors, whole ones, streams.

use std::{collections::VecDeque, future::Future, time::Duration};

use breezeway_registry::{ByteStream, FrameStream, UpstreamError};
use breezeway_wire::{
    Frame,
    sse::{self, MAX_FRAME_BYTES},
};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::reasons;

/// Most bytes of an error's body that are kept.
pub const MAX_ERROR_BYTES: usize = 1 << 20;

/// An error is small; one whose body does not end is answered with what has come by then.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(10);

/// How long the end of a body may follow the end mark of its stream, before the connection is given
/// up instead of reused. The mark waits that long too, so it is short.
const END_WAIT: Duration = Duration::from_millis(20);

/// The answer of `work`, unless it takes longer than `limit`.
pub async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, UpstreamError> {
    match limit {
        None => work.await,
        Some(limit) => timeout(limit, work).await.unwrap_or(Err(UpstreamError::TimedOut(limit))),
    }
}

/// Tell an answer of the 2xx family from one that is an error: that one is read, and cut at
/// [`MAX_ERROR_BYTES`].
pub async fn answered(response: Response<Incoming>) -> Result<Response<Incoming>, UpstreamError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if !status.is_client_error() && !status.is_server_error() {
        return Err(UpstreamError::Malformed(format!(
            "it answered {status}, which is neither success nor error"
        )));
    }
    let content_type = header(&response, &CONTENT_TYPE);
    let retry_after = header(&response, &RETRY_AFTER);
    let body = match is_encoded(&response) {
        false => error_body(response.into_body()).await,
        // Nobody could read it.
        true => Bytes::new(),
    };
    Err(UpstreamError::Answered { status: status.as_u16(), content_type, body, retry_after })
}

/// Refuse an answer in an encoding: none was asked for, and its bytes would be taken for the answer.
///
/// # Errors
/// [`UpstreamError::Malformed`] if it is encoded.
pub fn plain(response: Response<Incoming>) -> Result<Response<Incoming>, UpstreamError> {
    match is_encoded(&response) {
        false => Ok(response),
        true => Err(UpstreamError::Malformed("an encoding that nobody asked for".to_owned())),
    }
}

fn is_encoded(response: &Response<Incoming>) -> bool {
    let encodings = response.headers().get_all(CONTENT_ENCODING).iter();
    encodings.into_iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

async fn error_body(mut body: Incoming) -> Bytes {
    let deadline = Instant::now() + ERROR_BODY_WAIT;
    let mut kept = BytesMut::new();
    // Whatever ends the body early, the status is the answer and what came is its text.
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        let Ok(data) = frame.into_data() else { continue };
        let room = MAX_ERROR_BYTES - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if kept.len() == MAX_ERROR_BYTES {
            break;
        }
    }
    kept.freeze()
}

/// A header as text.
pub(crate) fn header(response: &Response<Incoming>, name: &http::HeaderName) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// What a content type says about an answer. Anything that is neither JSON nor a page is taken for
/// events: some servers stream them as plain text.
pub(crate) enum Form {
    Json,
    Page,
    Other,
}

impl Form {
    pub(crate) fn of(response: &Response<Incoming>) -> Self {
        let content_type = header(response, &CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json" => Self::Json,
            "text/html" => Self::Page,
            _ => Self::Other,
        }
    }
}

/// Read a JSON object.
pub fn json_object(body: &[u8]) -> Result<Map<String, Value>, UpstreamError> {
    serde_json::from_slice(body).map_err(|why| UpstreamError::Malformed(format!("no JSON object: {why}")))
}

/// Check that a body is one JSON object, without keeping any of it.
///
/// # Errors
/// [`UpstreamError::Malformed`] if it is something else.
pub(crate) fn check_json_object(body: &[u8]) -> Result<(), UpstreamError> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return json_object(body).map(drop);
    }
    serde_json::from_slice::<IgnoredAny>(body)
        .map(drop)
        .map_err(|why| UpstreamError::Malformed(format!("no JSON object: {why}")))
}

/// The message in an error's body: OpenAI's `error.message`, Ollama's `error`, others' `detail` or
/// `message`, or the beginning of whatever it says.
pub fn message_in(body: &[u8]) -> String {
    const LONGEST: usize = 500;
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let places = [&value["error"]["message"], &value["error"], &value["detail"], &value["message"]];
    let text = places.into_iter().find_map(Value::as_str).map_or_else(
        || String::from_utf8_lossy(&body[..body.len().min(4 * LONGEST)]).into_owned(),
        str::to_owned,
    );
    text.chars().take(LONGEST).collect()
}

/// Read what follows the end mark of a stream. It is usually there already, and a connection whose body was
/// read to its end is used again.
pub(crate) async fn read_end(bytes: &mut ByteStream) {
    let _ = timeout(END_WAIT, async { while let Some(Ok(_)) = bytes.next().await {} }).await;
}

/// How long a stream may be silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// Longest wait for the first piece, if there is a limit.
    pub first: Option<Duration>,
    /// Longest wait between two pieces, if there is a limit.
    pub between: Option<Duration>,
}

impl Patience {
    /// The same for the first piece and between two.
    pub const fn throughout(limit: Option<Duration>) -> Self {
        Self { first: limit, between: limit }
    }
}

/// The bytes of a body as they come. Dropping the stream closes the connection.
pub fn byte_stream(body: Incoming, patience: Patience) -> ByteStream {
    let start = Some((body, patience.first));
    let pieces = stream::unfold(start, move |state| async move {
        let (mut body, wait) = state?;
        match next_piece(&mut body, wait).await {
            Ok(Some(data)) => Some((Ok(data), Some((body, patience.between)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Box::pin(pieces)
}

/// The next data of a body.
async fn next_piece(body: &mut Incoming, wait: Option<Duration>) -> Result<Option<Bytes>, UpstreamError> {
    loop {
        let frame = match wait {
            None => body.frame().await,
            Some(wait) => timeout(wait, body.frame()).await.map_err(|_| UpstreamError::TimedOut(wait))?,
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(UpstreamError::Broken(reasons(&error))),
            // Trailers say nothing here.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                _ => {}
            },
        }
    }
}

/// The server-sent events in a stream of bytes, raw bytes kept. It ends behind `[DONE]` or with the
/// bytes; an event that a broken connection left unfinished is not handed out.
///
/// Bytes that end before anything has said that the answer is complete (the end mark, a reason why it
/// was finished, an error) are an answer that broke off: where no length is known, a connection that
/// was lost looks like one that was closed.
pub fn frame_stream(bytes: ByteStream) -> FrameStream {
    let start = Events {
        bytes,
        decoder: sse::Decoder::new(MAX_FRAME_BYTES),
        ready: VecDeque::new(),
        complete: false,
    };
    Box::pin(stream::unfold(Some(start), |state| async move { state?.next().await }))
}

/// Whether a chunk gives a reason why the answer is finished, or is an error. Looked for in the bytes:
/// parsing every chunk would cost more than all else that is done with it.
fn says_the_end(frame: &Frame) -> bool {
    const REASON: &[u8] = b"\"finish_reason\"";
    const ERROR: &[u8] = b"\"error\"";
    let data = frame.data.as_ref();
    let behind =
        data.windows(REASON.len()).position(|window| window == REASON).map(|at| &data[at + REASON.len()..]);
    let reason = behind.map(|behind| behind.trim_ascii_start().strip_prefix(b":").unwrap_or_default());
    reason.is_some_and(|reason| reason.trim_ascii_start().starts_with(b"\""))
        || data.windows(ERROR.len()).any(|window| window == ERROR)
}

struct Events {
    bytes: ByteStream,
    decoder: sse::Decoder,
    ready: VecDeque<Frame>,
    /// Whether a frame has said that the answer ends.
    complete: bool,
}

impl Events {
    async fn next(mut self) -> Option<(Result<Frame, UpstreamError>, Option<Self>)> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                if frame.is_done() {
                    read_end(&mut self.bytes).await;
                    return Some((Ok(frame), None));
                }
                self.complete |= says_the_end(&frame);
                return Some((Ok(frame), Some(self)));
            }
            match self.bytes.next().await {
                Some(Ok(piece)) => match self.decoder.push(&piece) {
                    Ok(frames) => self.ready.extend(frames),
                    Err(long) => return Some((Err(UpstreamError::Malformed(long.to_string())), None)),
                },
                Some(Err(error)) => return Some((Err(error), None)),
                None => return self.last(),
            }
        }
    }

    /// What is left when the bytes have ended.
    fn last(self) -> Option<(Result<Frame, UpstreamError>, Option<Self>)> {
        let rest = self.decoder.finish();
        let is_end = |frame: &Frame| frame.is_done() || says_the_end(frame);
        if self.complete || rest.as_ref().is_some_and(is_end) {
            return rest.map(|rest| (Ok(rest), None));
        }
        let broken = "it ended before the answer was complete".to_owned();
        Some((Err(UpstreamError::Broken(broken)), None))
    }
}

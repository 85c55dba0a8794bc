//! The bytes of a file as a response: whole or in part, with what a browser needs to know.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use breezeway_core::{FileId, Principal};
use breezeway_knowledge::{BlobStream, File};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{
    error::{ApiError, ApiResult},
    extract::Trail,
    state::ApiState,
};

/// Answer a file's bytes, or the part of them that a `Range` header asks for.
pub(in crate::routes) async fn answer(
    state: &ApiState,
    (principal, trail): (&Principal, &Trail),
    id: &FileId,
    headers: &HeaderMap,
    attachment: bool,
) -> ApiResult<Response> {
    let file = state.library.file(principal, id).await?;
    trail.report_foreign(principal, &file.owner, "file", id).await;
    let tag = format!("\"{}\"", file.blob);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let range = range(headers, file.size_bytes);
    if range == Range::Outside {
        let size = format!("bytes */{}", file.size_bytes);
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, size)]).into_response());
    }
    let (first, length) = match range {
        Range::Part { first, last } => (first, last - first + 1),
        _ => (0, file.size_bytes),
    };
    let (file, bytes) = state.library.content(principal, id, first).await?;
    let Some(bytes) = bytes else { return without_bytes(state, principal, &file).await };

    let mut response = Body::from_stream(take(bytes, length)).into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, content_type(&file));
    answer.insert(header::CONTENT_LENGTH, length.into());
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // What was uploaded is somebody else's: a browser shall not run it as a page of this server.
    answer.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    answer.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.insert(header::ETAG, tag);
    }
    let changed = u64::try_from(file.created_at.seconds()).unwrap_or_default();
    let changed = std::time::UNIX_EPOCH + std::time::Duration::from_secs(changed);
    if let Ok(changed) = HeaderValue::from_str(&httpdate::fmt_http_date(changed)) {
        answer.insert(header::LAST_MODIFIED, changed);
    }
    if let Some(disposition) = disposition(&file, attachment) {
        answer.insert(header::CONTENT_DISPOSITION, disposition);
    }
    if let Range::Part { first, last } = range {
        let part = format!("bytes {first}-{last}/{}", file.size_bytes);
        if let Ok(part) = HeaderValue::from_str(&part) {
            answer.insert(header::CONTENT_RANGE, part);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// The bytes have vanished from the disk; the text is the next best thing.
async fn without_bytes(state: &ApiState, principal: &Principal, file: &File) -> ApiResult<Response> {
    let document = state.library.document(principal, &file.id).await?;
    let text = document.ok_or_else(ApiError::not_found)?.text;
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
    Ok((headers, text).into_response())
}

fn content_type(file: &File) -> HeaderValue {
    let media_type = file.media_type.as_str();
    let text = media_type.starts_with("text/") && !media_type.contains("charset");
    let full = if text { format!("{media_type}; charset=utf-8") } else { media_type.to_owned() };
    let known = !media_type.is_empty();
    HeaderValue::from_str(&full)
        .ok()
        .filter(|_| known)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// Plain text and PDF are shown; everything else, a page with scripts above all, is saved.
fn disposition(file: &File, attachment: bool) -> Option<HeaderValue> {
    let kind = match file.media_type.as_str() {
        "text/plain" if !attachment => return None,
        "application/pdf" if !attachment => "inline",
        _ => "attachment",
    };
    HeaderValue::from_str(&format!("{kind}; filename*=UTF-8''{}", encoded(&file.name))).ok()
}

/// A name in the form of RFC 8187: unreserved signs as they are, all others by their bytes.
pub(in crate::routes) fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte.into()),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part { first: u64, last: u64 },
    Outside,
}

/// The one range asked for. Several, or what cannot be read, count as none (RFC 9110, 14.2).
fn range(headers: &HeaderMap, size: u64) -> Range {
    let Some(asked) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Range::Whole;
    };
    let Some((first, last)) = asked.strip_prefix("bytes=").and_then(|part| part.split_once('-')) else {
        return Range::Whole;
    };
    let (first, last) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, size.saturating_sub(1)),
        (Err(_), Ok(tail)) if first.trim().is_empty() && tail > 0 => {
            (size.saturating_sub(tail), size.saturating_sub(1))
        }
        _ => return Range::Whole,
    };
    if first < size { Range::Part { first, last } } else { Range::Outside }
}

/// The first `length` bytes of a stream.
fn take(
    bytes: BlobStream,
    length: u64,
) -> impl stream::Stream<Item = Result<Bytes, breezeway_knowledge::Error>> + Send {
    stream::unfold((bytes, length), |(mut bytes, left)| async move {
        if left == 0 {
            return None;
        }
        match bytes.next().await? {
            Ok(mut piece) => {
                piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - piece.len() as u64;
                Some((Ok(piece), (bytes, left)))
            }
            Err(error) => Some((Err(error), (bytes, 0))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_the_standard_says() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_str(text).unwrap());
            range(&headers, 10)
        };

        assert_eq!(asked("bytes=0-3"), Range::Part { first: 0, last: 3 });
        assert_eq!(asked("bytes=4-"), Range::Part { first: 4, last: 9 });
        assert_eq!(asked("bytes=-3"), Range::Part { first: 7, last: 9 });
        assert_eq!(asked("bytes=2-99"), Range::Part { first: 2, last: 9 });
        assert_eq!(asked("bytes=10-"), Range::Outside);
        assert_eq!(asked("bytes=5-2"), Range::Whole);
        assert_eq!(asked("bytes=0-1,3-4"), Range::Whole);
    }

    #[test]
    fn a_name_in_any_script_fits_into_a_header() {
        assert_eq!(encoded("grüße 1.txt"), "gr%C3%BC%C3%9Fe%201.txt");
    }
}

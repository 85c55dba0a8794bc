//! Compression of answers, where nobody waits for their next bytes.

use http::{Response, header};
use http_body::Body;
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, predicate::Predicate},
};

/// Below this a compressed answer fits no fewer packets, and costs both sides their time.
const MIN_BYTES: u64 = 1024;

/// Media types that a second compression only makes slower, and streams whose frames must leave at
/// once.
const LEFT_ALONE: &[&str] = &[
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/gzip",
    "application/zip",
    "application/zstd",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument",
    "application/epub",
    "audio/",
    "font/woff",
    "image/",
    "video/",
];

/// A layer that compresses with zstd, brotli or gzip, as the client prefers.
pub fn compression(enabled: bool) -> CompressionLayer<Compressible> {
    // This runs on the threads that move bytes; the last percent of size is not worth their time.
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Compressible { enabled })
}

/// Decides whether an answer is compressed: it is large enough, not compressed already, and of a
/// known length. An answer of unknown length is a stream, and a compressor would hold it back.
#[derive(Clone, Copy, Debug)]
pub struct Compressible {
    enabled: bool,
}

impl Predicate for Compressible {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let length = response
            .body()
            .size_hint()
            .exact()
            .or_else(|| header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()));
        let media_type = header(header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let worth_it = media_type.starts_with("image/svg+xml")
            || !LEFT_ALONE.iter().any(|prefix| media_type.starts_with(prefix));
        self.enabled && length.is_some_and(|length| length >= MIN_BYTES) && worth_it
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::Request;
    use http_body::Frame;
    use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;

    /// The encoding chosen for an answer of this type and length to a client that accepts these.
    async fn encoding(
        enabled: bool,
        media_type: &str,
        bytes: usize,
        known: bool,
        accept: &str,
    ) -> Option<String> {
        let service = compression(enabled).layer(service_fn(async |_: Request<()>| {
            let text = Bytes::from(vec![b'a'; bytes]);
            let body: UnsyncBoxBody<Bytes, Infallible> = if known {
                Full::new(text).boxed_unsync()
            } else {
                let frames = [Ok(Frame::data(text))];
                StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
            };
            Ok::<_, Infallible>(Response::builder().header("content-type", media_type).body(body).unwrap())
        }));
        let request = Request::builder().header("accept-encoding", accept).body(()).unwrap();
        let answer = service.oneshot(request).await.unwrap();
        let encoding =
            answer.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        let length = answer.into_body().collect().await.unwrap().to_bytes().len();
        assert_eq!(encoding.is_some(), length < bytes, "{media_type}");
        encoding
    }

    #[tokio::test]
    async fn a_large_answer_is_compressed_as_the_client_prefers() {
        for name in ["gzip", "br", "zstd"] {
            assert_eq!(encoding(true, "application/json", 4096, true, name).await.as_deref(), Some(name));
        }
        assert_eq!(encoding(true, "image/svg+xml", 4096, true, "gzip").await.as_deref(), Some("gzip"));
        assert_eq!(encoding(true, "application/json", 4096, true, "identity").await, None);
        assert_eq!(encoding(false, "application/json", 4096, true, "gzip").await, None);
    }

    #[tokio::test]
    async fn small_answers_and_streams_are_left_as_they_are() {
        assert_eq!(encoding(true, "application/json", 1023, true, "gzip").await, None);
        assert_eq!(encoding(true, "application/json", 4096, false, "gzip").await, None);
        for stream in
            ["text/event-stream; charset=utf-8", "application/x-ndjson", "Text/Event-Stream", "image/png"]
        {
            assert_eq!(encoding(true, stream, 4096, true, "gzip").await, None, "{stream}");
        }
    }
}

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use crate::{BlobHash, BlobStore, BlobStream, Error, Result};

/// Check stores made by `fresh` against the contract of [`BlobStore`].
///
/// # Panics
/// With the sentence that does not hold.
pub async fn blob_store<S: BlobStore>(fresh: impl AsyncFn() -> S) {
    bytes_read_back_from_any_offset(&fresh().await).await;
    equal_bytes_are_kept_once(&fresh().await).await;
    a_broken_or_oversized_stream_leaves_nothing(&fresh().await).await;
    a_deleted_blob_is_gone_but_not_under_a_reader(&fresh().await).await;
}

fn pieces(bytes: &[u8], size: usize) -> BlobStream {
    let pieces: Vec<Result<Bytes>> =
        bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Box::pin(stream::iter(pieces))
}

async fn read<S: BlobStore>(store: &S, hash: &BlobHash, offset: u64) -> Option<Vec<u8>> {
    let bytes = store.open(hash, offset).await.expect("opened")?;
    Some(drain(bytes).await)
}

async fn drain(mut bytes: BlobStream) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(piece) = bytes.next().await {
        whole.extend_from_slice(&piece.expect("a piece is read"));
    }
    whole
}

fn sample() -> Vec<u8> {
    (0..300_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

async fn bytes_read_back_from_any_offset<S: BlobStore>(store: &S) {
    let bytes = sample();
    let limit = bytes.len() as u64;

    let stored = store.put(pieces(&bytes, 70_001), limit).await.expect("exactly the limit is allowed");

    assert_eq!(stored.hash, BlobHash(Sha256::digest(&bytes).into()), "bytes are under their SHA-256");
    assert_eq!(stored.size_bytes, limit, "their number is told");
    assert!(read(store, &stored.hash, 0).await.expect("it is there") == bytes, "the bytes read back");
    let from = 65_537;
    let tail = read(store, &stored.hash, from as u64).await.expect("it is there");
    assert!(tail == bytes[from..], "from any offset");
    assert_eq!(read(store, &stored.hash, limit).await, Some(Vec::new()), "from the end on there is nothing");
    assert_eq!(read(store, &stored.hash, u64::MAX).await, Some(Vec::new()), "nor behind it");
    assert_eq!(read(store, &BlobHash([9; 32]), 0).await, None, "unknown bytes are `None`");
    if let Some(path) = store.local_path(&stored.hash) {
        assert!(
            std::fs::read(path).expect("a local file is readable") == bytes,
            "the local file is the blob"
        );
    }
}

async fn equal_bytes_are_kept_once<S: BlobStore>(store: &S) {
    let first = store.put(pieces(b"the same", 3), 100).await.expect("stored");
    let second = store.put(pieces(b"the same", 5), 100).await.expect("stored");
    let empty = store.put(pieces(b"", 1), 100).await.expect("stored");

    assert_eq!(first, second, "equal bytes have one hash");
    let mut all = store.list().await.expect("listed");
    all.sort();
    let mut expected = [first.hash, empty.hash];
    expected.sort();
    assert_eq!(all, expected, "equal bytes are kept once");
    assert_eq!(read(store, &empty.hash, 0).await, Some(Vec::new()), "no bytes are bytes too");
}

async fn a_broken_or_oversized_stream_leaves_nothing<S: BlobStore>(store: &S) {
    let broken: Vec<Result<Bytes>> = vec![
        Ok(Bytes::from_static(b"half")),
        Err(Error::Upload(io::Error::from(io::ErrorKind::ConnectionReset).into())),
    ];
    let answer = store.put(Box::pin(stream::iter(broken)), 100).await;
    assert!(matches!(answer, Err(Error::Upload(_))), "an error of the stream is passed on");

    let answer = store.put(pieces(&sample(), 1000), 4_999).await;
    assert!(matches!(answer, Err(Error::TooLarge { limit_bytes: 4_999 })), "a limit is kept");
    assert_eq!(store.list().await.expect("listed"), [], "nothing is left behind");
}

async fn a_deleted_blob_is_gone_but_not_under_a_reader<S: BlobStore>(store: &S) {
    let bytes = sample();
    let stored = store.put(pieces(&bytes, 100_000), u64::MAX).await.expect("stored");
    let reader = store.open(&stored.hash, 0).await.expect("opened").expect("it is there");

    store.delete(&stored.hash).await.expect("deleted");

    assert!(drain(reader).await == bytes, "a reader that has opened them may finish");
    assert_eq!(read(store, &stored.hash, 0).await, None, "deleted bytes are gone");
    assert_eq!(store.list().await.expect("listed"), [], "and listed no more");
    store.delete(&stored.hash).await.expect("unknown bytes are no error");
}

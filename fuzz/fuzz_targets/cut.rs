//! Bytes in pieces: the first byte of the input says how long they are.

/// The bytes behind the first, and the same in pieces.
pub fn cut(input: &[u8]) -> (&[u8], impl Iterator<Item = &[u8]>) {
    let (size, bytes) = match input.split_first() {
        Some((size, bytes)) => (usize::from(*size).max(1), bytes),
        None => (1, input),
    };
    (bytes, bytes.chunks(size))
}

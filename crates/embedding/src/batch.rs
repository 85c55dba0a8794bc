//! Cutting texts into batches.

/// Indices of `texts` in batches of similar length, each of at most `most` texts.
///
/// Padding is what batches waste: texts sorted by length and cut into small batches gave 1.6 times
/// the chunks per CPU second of batches in arrival order (docs/decisions/0003-embedding-runtime.md).
pub fn by_length(texts: &[&str], most: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&index| texts[index].len());
    order.chunks(most.max(1)).map(<[usize]>::to_vec).collect()
}

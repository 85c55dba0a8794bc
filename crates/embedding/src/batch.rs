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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn every_text_is_in_one_batch_beside_texts_of_its_length(
            texts in prop::collection::vec(".{0,20}", 0..40),
            most in 0_usize..10,
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

            let batches = by_length(&texts, most);

            prop_assert!(batches.iter().all(|batch| (1..=most.max(1)).contains(&batch.len())));
            let order = batches.concat();
            prop_assert!(order.is_sorted_by_key(|&index| texts[index].len()));
            let mut every = order.clone();
            every.sort_unstable();
            prop_assert!(every.into_iter().eq(0..texts.len()));
            prop_assert_eq!(batches.len(), texts.len().div_ceil(most.max(1)), "no batch is left half full");
        }
    }
}

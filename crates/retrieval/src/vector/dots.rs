//! Scalar products of fixed-point rows, in the widest registers that the processor has.
//!
//! The loops are plain and left to the compiler, which may reorder sums of whole numbers. What it must be
//! told is that it may use instructions that not every processor has: the same loop is compiled twice and
//! the choice is made at run time, once for each block.

/// One product for each row of `rows`, in place of what `scores` held.
pub(super) fn all(query: &[i16], rows: &[i8], scores: &mut Vec<i32>) {
    scores.clear();
    if query.is_empty() {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has these instructions; that was asked on the line above.
        return unsafe { all_avx2(query, rows, scores) };
    }
    all_plain(query, rows, scores);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn all_avx2(query: &[i16], rows: &[i8], scores: &mut Vec<i32>) {
    all_plain(query, rows, scores);
}

#[inline(always)]
fn all_plain(query: &[i16], rows: &[i8], scores: &mut Vec<i32>) {
    scores.extend(rows.chunks_exact(query.len()).map(|row| one(query, row)));
}

/// The product of one row.
#[inline(always)]
pub(super) fn one(query: &[i16], row: &[i8]) -> i32 {
    query.iter().zip(row).map(|(&a, &b)| i32::from(a) * i32::from(i16::from(b))).sum()
}

/// The product with both halves of a row, in units of the row.
///
/// Sixteen sums instead of one, because the compiler may not reorder a sum of floats by itself.
pub(super) fn mixed(query: &[f32], high: &[i8], low: &[i8]) -> f32 {
    let number = |high: i8, low: i8| (i32::from(high) * 256 + i32::from(low)) as f32;
    let (query_whole, query_rest) = query.as_chunks::<16>();
    let (high_whole, high_rest) = high.as_chunks::<16>();
    let (low_whole, low_rest) = low.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for ((query, high), low) in query_whole.iter().zip(high_whole).zip(low_whole) {
        for lane in 0..16 {
            sums[lane] += query[lane] * number(high[lane], low[lane]);
        }
    }
    let rest = query_rest.iter().zip(high_rest).zip(low_rest);
    let rest: f32 = rest.map(|((query, &high), &low)| query * number(high, low)).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_whole_numbers() {
        let query: Vec<i16> = (0..37).map(|at| (at * 911 - 16_000) as i16).collect();
        let rows: Vec<i8> = (0..37 * 5).map(|at| (at * 83 % 255 - 127) as i8).collect();
        let mut scores = vec![7];

        all(&query, &rows, &mut scores);

        let expected: Vec<i32> = rows
            .chunks(37)
            .map(|row| (0..37).map(|at| i32::from(query[at]) * i32::from(row[at])).sum())
            .collect();
        assert_eq!(scores, expected);
        all(&[], &[], &mut scores);
        assert!(scores.is_empty());
    }
}

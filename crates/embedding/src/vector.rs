//! Vectors of unit length.

use std::{fmt, sync::Arc};

/// An embedding: finite numbers, unit length (or all zero, for a text without any content).
#[derive(Clone, PartialEq)]
pub struct Vector(Arc<[f32]>);

impl Vector {
    /// Scale `numbers` to unit length. `None` if one of them is not finite or there are none.
    pub fn normalized(mut numbers: Vec<f32>) -> Option<Self> {
        if numbers.is_empty() || numbers.iter().any(|number| !number.is_finite()) {
            return None;
        }
        let norm = numbers.iter().map(|&number| f64::from(number) * f64::from(number)).sum::<f64>().sqrt();
        if norm > 0.0 {
            for number in &mut numbers {
                *number = (f64::from(*number) / norm) as f32;
            }
        }
        Some(Self(numbers.into()))
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// How many numbers there are.
    pub fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// The cosine of the angle to `other`, in -1..=1. Both must have the same dimensions.
    pub fn cosine(&self, other: &Self) -> f32 {
        debug_assert_eq!(self.dimensions(), other.dimensions());
        self.0.iter().zip(other.0.iter()).map(|(a, b)| a * b).sum()
    }

    /// The numbers as little-endian bytes, four each: the stored form.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// Read the stored form. `None` if it is not whole numbers of finite values.
    pub fn from_le_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        let numbers: Vec<_> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
        let sound = rest.is_empty() && !numbers.is_empty() && numbers.iter().all(|number| number.is_finite());
        sound.then(|| Self(numbers.into()))
    }
}

impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vector({} dimensions)", self.dimensions())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_vector_is_refused() {
        assert_eq!(Vector::normalized(vec![]), None);
        assert_eq!(Vector::normalized(vec![1.0, f32::NAN]), None);
        assert_eq!(Vector::normalized(vec![1.0, f32::INFINITY]), None);
        assert_eq!(Vector::from_le_bytes(&[]), None);
        assert_eq!(Vector::from_le_bytes(&[0; 7]), None);
        assert_eq!(Vector::from_le_bytes(&f32::NAN.to_le_bytes()), None);
    }

    #[test]
    fn a_text_without_content_is_near_nothing() {
        let (zero, other) =
            (Vector::normalized(vec![0.0, 0.0]).unwrap(), Vector::normalized(vec![1.0, 2.0]).unwrap());

        assert_eq!(zero.cosine(&other), 0.0);
        assert_eq!(zero.as_slice(), [0.0, 0.0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_vector_has_unit_length_and_reads_back_as_stored(
            numbers in prop::collection::vec(-1e30_f32..1e30, 1..50),
        ) {
            let is_zero = numbers.iter().all(|number| *number == 0.0);
            let vector = Vector::normalized(numbers).unwrap();

            let length = vector.cosine(&vector);
            prop_assert!(is_zero || (length - 1.0).abs() < 1e-5, "{}", length);
            prop_assert_eq!(Vector::from_le_bytes(&vector.to_le_bytes()), Some(vector));
        }
    }
}

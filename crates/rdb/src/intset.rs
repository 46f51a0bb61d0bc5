//! Intsets: sets of integers, sorted, all of one width.
//!
//! # Layout
//!
//! ```text
//! bytes of an integer (2, 4 or 8) u32 LE | integers u32 LE | integer LE *
//! ```

use crate::error::RdbError;
use crate::listpack::signed;

const HEADER_BYTES: usize = 8;

/// The integers of an intset; the header and the length are checked already.
pub(crate) fn integers(
    blob: &[u8],
) -> Result<impl ExactSizeIterator<Item = i64> + Clone + '_, RdbError> {
    let (width, rest) = blob.split_first_chunk().ok_or(RdbError::Packed)?;
    let (count, rest) = rest.split_first_chunk().ok_or(RdbError::Packed)?;
    let width = u32::from_le_bytes(*width) as usize;
    let count = u32::from_le_bytes(*count) as usize;
    let is_whole = matches!(width, 2 | 4 | 8) && count.checked_mul(width) == Some(rest.len());
    if !is_whole {
        return Err(RdbError::Packed);
    }
    let integers = rest.chunks_exact(width).map(signed);
    if integers.clone().is_sorted_by(|left, right| left < right) {
        Ok(integers)
    } else {
        Err(RdbError::Order)
    }
}

/// The intset of integers that are sorted and differ.
pub(crate) fn build(integers: &[i64]) -> Vec<u8> {
    let width = integers.iter().map(|&integer| width(integer)).max().unwrap_or(2);
    let count = u32::try_from(integers.len()).expect("few integers are kept as an intset");
    let mut blob = Vec::with_capacity(HEADER_BYTES + width * integers.len());
    blob.extend_from_slice(&(width as u32).to_le_bytes());
    blob.extend_from_slice(&count.to_le_bytes());
    for integer in integers {
        blob.extend_from_slice(&integer.to_le_bytes()[..width]);
    }
    blob
}

fn width(integer: i64) -> usize {
    if i16::try_from(integer).is_ok() {
        2
    } else if i32::try_from(integer).is_ok() {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(blob: &[u8]) -> Result<Vec<i64>, RdbError> {
        integers(blob).map(Iterator::collect)
    }

    #[test]
    fn the_widest_integer_decides_the_width() {
        for (set, width) in
            [(&[-3, 0, 32_767][..], 2), (&[-32_769, 5], 4), (&[i64::MIN, -1, 0, i64::MAX], 8)]
        {
            let blob = build(set);
            assert_eq!(blob.len(), HEADER_BYTES + set.len() * width);
            assert_eq!(read(&blob), Ok(set.to_vec()));
        }
    }

    #[test]
    fn broken_intsets_are_refused() {
        let good = build(&[1, 2, 300]);
        for (at, byte, error) in [
            (0, 3, RdbError::Packed),
            (0, 4, RdbError::Packed),
            (4, 4, RdbError::Packed),
            (8, 2, RdbError::Order),
            (8, 9, RdbError::Order),
        ] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(read(&bad), Err(error), "{at}");
        }
        assert_eq!(read(&good[..13]), Err(RdbError::Packed));
        assert_eq!(read(&[0; 7]), Err(RdbError::Packed));
    }
}

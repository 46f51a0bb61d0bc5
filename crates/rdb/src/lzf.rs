//! LZF, the compression of long strings, and of long lists in memory.
//!
//! # Layout
//!
//! ```text
//! 000lllll                    l+1 literal bytes follow
//! LLLddddd dddddddd           L in 1..=6: copy L+2 bytes from d+1 bytes before
//! 111ddddd llllllll dddddddd  copy l+9 bytes from d+1 bytes before
//! ```
//!
//! A copy may reach into what it writes.

use crate::error::RdbError;

/// Three bytes stand for 264 at most.
const RATIO_MAX: usize = 88;

const LITERALS_MAX: usize = 32;
const COPY_MIN: usize = 3;
const COPY_MAX: usize = 264;
const DISTANCE_MAX: usize = 1 << 13;

/// How many bytes compression has to save to be worth it.
const SAVING_MIN: usize = 4;

const TABLE_SLOTS_MAX: usize = 1 << 14;

/// Whether `raw` bytes can come out of `compressed` ones.
pub(crate) fn can_hold(compressed: usize, raw: usize) -> bool {
    raw <= compressed.saturating_mul(RATIO_MAX)
}

/// The `raw` bytes that `input` stands for.
///
/// # Errors
///
/// [`RdbError::Compression`] if it stands for others, or for nothing.
pub fn decompress(input: &[u8], raw: usize) -> Result<Vec<u8>, RdbError> {
    if raw == 0 || !can_hold(input.len(), raw) {
        return Err(RdbError::Compression);
    }
    let mut out = Vec::with_capacity(raw);
    let mut rest = input;
    while let Some((&control, after)) = rest.split_first() {
        rest = match control {
            0..32 => literals(after, usize::from(control) + 1, &mut out)?,
            _ => copy(after, control, &mut out)?,
        };
        if out.len() > raw {
            return Err(RdbError::Compression);
        }
    }
    if out.len() == raw { Ok(out) } else { Err(RdbError::Compression) }
}

fn literals<'a>(from: &'a [u8], len: usize, out: &mut Vec<u8>) -> Result<&'a [u8], RdbError> {
    let (bytes, rest) = from.split_at_checked(len).ok_or(RdbError::Compression)?;
    out.extend_from_slice(bytes);
    Ok(rest)
}

fn copy<'a>(from: &'a [u8], control: u8, out: &mut Vec<u8>) -> Result<&'a [u8], RdbError> {
    let byte = |from: &'a [u8]| from.split_first().ok_or(RdbError::Compression);
    let mut len = usize::from(control >> 5) + 2;
    let mut rest = from;
    if control >> 5 == 7 {
        let (more, after) = byte(rest)?;
        (len, rest) = (len + usize::from(*more), after);
    }
    let (low, rest) = byte(rest)?;
    let distance = (usize::from(control & 0x1f) << 8 | usize::from(*low)) + 1;
    let start = out.len().checked_sub(distance).ok_or(RdbError::Compression)?;
    if distance >= len {
        out.extend_from_within(start..start + len);
    } else {
        for at in start..start + len {
            out.push(out[at]);
        }
    }
    Ok(rest)
}

/// `input` compressed, if that saves something.
#[must_use]
pub fn compress(input: &[u8]) -> Option<Vec<u8>> {
    let most = input.len().checked_sub(SAVING_MIN)?;
    let mut seen = Seen::new(input.len());
    let mut out = Vec::with_capacity(most.min(1 << 16));
    let (mut at, mut literal) = (0, 0);
    while at + COPY_MIN <= input.len() {
        let Some((start, len)) = seen.find(input, at) else {
            at += 1;
            continue;
        };
        put_literals(&input[literal..at], &mut out);
        put_copy(at - start - 1, len, &mut out);
        at += len;
        literal = at;
        if out.len() > most {
            return None;
        }
    }
    put_literals(&input[literal..], &mut out);
    (out.len() <= most).then_some(out)
}

/// Where each three bytes were seen last, as far as the table is not overwritten.
struct Seen {
    /// Positions, each plus one; 0 is none.
    slots: Vec<u32>,
}

impl Seen {
    fn new(input_bytes: usize) -> Self {
        let slots = input_bytes.next_power_of_two().clamp(64, TABLE_SLOTS_MAX);
        Self { slots: vec![0; slots] }
    }

    /// Start and length of what stands at `at` and stood before; `at` is noted.
    fn find(&mut self, input: &[u8], at: usize) -> Option<(usize, usize)> {
        let three = &input[at..at + COPY_MIN];
        let word = u32::from_le_bytes([three[0], three[1], three[2], 0]);
        let slot = (word.wrapping_mul(0x9e37_79b1) >> 16) as usize & (self.slots.len() - 1);
        let noted = u32::try_from(at + 1).ok()?;
        let before = std::mem::replace(&mut self.slots[slot], noted);
        let start = (before as usize).checked_sub(1)?;
        if at - start > DISTANCE_MAX || input[start..start + COPY_MIN] != *three {
            return None;
        }
        let most = (input.len() - at).min(COPY_MAX);
        let pairs = input[start..].iter().zip(&input[at..at + most]);
        Some((start, pairs.take_while(|(left, right)| left == right).count()))
    }
}

fn put_literals(bytes: &[u8], out: &mut Vec<u8>) {
    for run in bytes.chunks(LITERALS_MAX) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
}

/// `offset` is the distance less one.
fn put_copy(offset: usize, len: usize, out: &mut Vec<u8>) {
    let high = (offset >> 8) as u8;
    match len - 2 {
        short @ 0..7 => out.push((short as u8) << 5 | high),
        long => out.extend_from_slice(&[7 << 5 | high, (long - 7) as u8]),
    }
    out.push(offset as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_copy_may_reach_into_what_it_writes() {
        assert_eq!(decompress(&[0, b'a', 0x40, 0], 5), Ok(b"aaaaa".to_vec()));
        assert_eq!(decompress(&[1, b'a', b'b', 0xe0, 1, 1], 12), Ok(b"abababababab".to_vec()));
    }

    #[test]
    fn a_length_that_no_compression_reaches_is_refused_before_anything_is_reserved() {
        assert!(decompress(&[0, b'a', 0x40, 0], usize::MAX).is_err());
        assert!(decompress(&[0, b'a', 0x40, 0], 4).is_err());
        assert!(decompress(&[0, b'a', 0x40, 0], 6).is_err());
        assert!(decompress(&[0, b'a', 0x40, 1], 5).is_err());
    }

    #[test]
    fn what_does_not_repeat_is_not_compressed() {
        assert_eq!(compress(b"abcdefghijklmnopqrstuvwxyz"), None);
        assert_eq!(compress(b""), None);
    }

    #[test]
    fn long_runs_shrink_to_the_ratio() {
        let input = vec![b'x'; 264 * 100 + 1];
        let compressed = compress(&input).expect("it shrinks");
        assert_eq!(compressed.len(), 2 + 3 * 100);
        assert_eq!(decompress(&compressed, input.len()), Ok(input));
    }

    proptest! {
        #[test]
        fn compressed_bytes_come_back(
            words in prop::collection::vec(prop::collection::vec(0u8..4, 0..12), 0..400)
        ) {
            let input = words.concat();
            if let Some(compressed) = compress(&input) {
                prop_assert!(compressed.len() + SAVING_MIN <= input.len());
                prop_assert_eq!(decompress(&compressed, input.len()), Ok(input));
            }
        }

        #[test]
        fn no_bytes_panic(
            input in prop::collection::vec(any::<u8>(), 0..60), raw in 0usize..6_000
        ) {
            let out = decompress(&input, raw);
            prop_assert!(out.is_err() || out.is_ok_and(|out| out.len() == raw));
        }
    }
}

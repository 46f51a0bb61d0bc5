//! Zipmaps, the small hashes of before Redis 2.6.
//!
//! # Layout
//!
//! ```text
//! pairs u8, 254 and above unknown | pair* | 0xff
//!
//! pair:    length | field | length | free u8 | value | free bytes of no meaning
//! length:  u8 below 254, or 254 and u32 LE
//! ```

use crate::error::RdbError;

const END: u8 = 0xff;
const LONG: u8 = 254;

/// A field and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// Reads a zipmap pair by pair and checks all of it on the way.
pub(crate) struct Pairs<'a> {
    rest: &'a [u8],
    count: u8,
    seen: usize,
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(blob: &'a [u8]) -> Result<Self, RdbError> {
        let (&count, rest) = blob.split_first().ok_or(RdbError::Packed)?;
        Ok(Self { rest, count, seen: 0 })
    }

    /// The next field and its value; `None` after the last, with everything checked.
    pub(crate) fn next(&mut self) -> Result<Option<Pair<'a>>, RdbError> {
        if self.rest == [END] {
            let is_whole = self.count >= LONG || usize::from(self.count) == self.seen;
            return if is_whole { Ok(None) } else { Err(RdbError::Packed) };
        }
        let (pair, rest) = pair(self.rest).ok_or(RdbError::Packed)?;
        self.rest = rest;
        self.seen += 1;
        Ok(Some(pair))
    }
}

fn pair(from: &[u8]) -> Option<(Pair<'_>, &[u8])> {
    let (len, rest) = length(from)?;
    let (field, rest) = rest.split_at_checked(len)?;
    let (len, rest) = length(rest)?;
    let (&free, rest) = rest.split_first()?;
    let (value, rest) = rest.split_at_checked(len)?;
    let (_, rest) = rest.split_at_checked(free.into())?;
    Some(((field, value), rest))
}

fn length(from: &[u8]) -> Option<(usize, &[u8])> {
    match from.split_first()? {
        (&END, _) => None,
        (&LONG, rest) => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = u32::from_le_bytes(*length) as usize;
            (length >= usize::from(LONG)).then_some((length, rest))
        }
        (&length, rest) => Some((length.into(), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(blob: &[u8]) -> Result<Vec<[Vec<u8>; 2]>, RdbError> {
        let mut pairs = Pairs::new(blob)?;
        let mut all = Vec::new();
        while let Some((field, value)) = pairs.next()? {
            all.push([field.to_vec(), value.to_vec()]);
        }
        Ok(all)
    }

    #[test]
    fn pairs_are_read_without_their_free_bytes() {
        let blob = b"\x02\x03foo\x03\x00bar\x01a\x01\x02b??\xff";
        let wanted = vec![[b"foo".to_vec(), b"bar".to_vec()], [b"a".to_vec(), b"b".to_vec()]];
        assert_eq!(read(blob), Ok(wanted));
    }

    #[test]
    fn long_fields_have_long_lengths() {
        let mut blob = vec![1, 254, 44, 1, 0, 0];
        blob.extend([b'f'; 300]);
        blob.extend([0, 0, 255]);
        assert_eq!(read(&blob), Ok(vec![[vec![b'f'; 300], vec![]]]));
        blob[2..4].copy_from_slice(&[253, 0]);
        assert_eq!(read(&blob), Err(RdbError::Packed));
    }

    #[test]
    fn broken_zipmaps_are_refused() {
        let good = b"\x01\x03foo\x03\x00bar\xff";
        assert!(read(good).is_ok());
        for (at, byte) in [(0, 2), (1, 9), (1, 255), (5, 4), (6, 1), (10, 0)] {
            let mut bad = good.to_vec();
            bad[at] = byte;
            assert_eq!(read(&bad), Err(RdbError::Packed), "{at}");
        }
    }
}

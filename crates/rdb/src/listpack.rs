//! Listpacks: short sequences of strings and integers in one string.
//!
//! # Layout
//!
//! ```text
//! total bytes u32 LE | elements u16 LE, 65535 unknown | element* | 0xff
//!
//! element:  encoding and data | back-length: bytes of encoding and data
//!
//! 0uuuuuuu                     7-bit unsigned
//! 10llllll data                string below 64 bytes
//! 110iiiii iiiiiiii            13-bit signed
//! 1110llll llllllll data       string below 4096 bytes
//! 11110000 (u32 LE) data       string
//! 11110001 to 11110100         i16, i24, i32, i64, LE
//! ```
//!
//! A back-length is big endian in groups of seven bits, and every byte but the
//! first has its top bit set, so that it can be read backwards.
//!
//! Servers differ in one thing: where a back-length is all ones (16383,
//! 2097151, ...) Redis takes a byte more than it needs and newer Valkeys don't.
//! Either form is read; what is written is a choice, see [`BackLengths`].

use crate::error::RdbError;
use crate::number::{Text, parse_integer};

const HEADER_BYTES: usize = 6;
const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;
const GROUP_BITS: u32 = 7;
const GROUP_MASK: usize = 0x7f;
const GROUP_FLAG: u8 = 0x80;

const STRING_32: u8 = 0xf0;
const INT_16: u8 = 0xf1;
const INT_24: u8 = 0xf2;
const INT_32: u8 = 0xf3;
const INT_64: u8 = 0xf4;

/// One element as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Integer(i64),
    Slice(&'a [u8]),
}

impl<'a> Item<'a> {
    pub(crate) fn text(self) -> Text<'a> {
        match self {
            Self::Integer(integer) => Text::integer(integer),
            Self::Slice(bytes) => Text::slice(bytes),
        }
    }

    /// The integer it is, in binary or in digits.
    pub(crate) fn integer(self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(integer),
            Self::Slice(bytes) => parse_integer(bytes),
        }
    }
}

/// Reads a listpack element by element and checks all of it on the way.
///
/// After an error nothing more may be asked.
pub(crate) struct Items<'a> {
    rest: &'a [u8],
    /// What the header says and was not seen yet.
    left: Option<u16>,
}

impl<'a> Items<'a> {
    pub(crate) fn new(blob: &'a [u8]) -> Result<Self, RdbError> {
        let (total, rest) = blob.split_first_chunk().ok_or(RdbError::Packed)?;
        let (count, rest) = rest.split_first_chunk().ok_or(RdbError::Packed)?;
        if u32::from_le_bytes(*total) as usize != blob.len() || rest.is_empty() {
            return Err(RdbError::Packed);
        }
        let count = u16::from_le_bytes(*count);
        Ok(Self { rest, left: (count != COUNT_UNKNOWN).then_some(count) })
    }

    /// The next element; `None` after the last one, with everything checked.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'a>>, RdbError> {
        if self.rest == [END] {
            return if self.left.unwrap_or(0) == 0 { Ok(None) } else { Err(RdbError::Packed) };
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or(RdbError::Packed)?;
        }
        let (item, rest) = item(self.rest).ok_or(RdbError::Packed)?;
        let encoded = self.rest.len() - rest.len();
        let back = back_length(rest, encoded).ok_or(RdbError::Packed)?;
        self.rest = &rest[back..];
        Ok(Some(item))
    }

    /// The next element, where one has to be.
    pub(crate) fn expect(&mut self) -> Result<Item<'a>, RdbError> {
        self.next()?.ok_or(RdbError::Packed)
    }

    /// The next element, where it has to be an integer.
    pub(crate) fn integer(&mut self) -> Result<i64, RdbError> {
        self.expect()?.integer().ok_or(RdbError::Packed)
    }

    /// The next element as a count of elements of which each takes two bytes or more.
    pub(crate) fn count(&mut self) -> Result<usize, RdbError> {
        let count = usize::try_from(self.integer()?).map_err(|_| RdbError::Packed)?;
        if count <= self.rest.len() / 2 { Ok(count) } else { Err(RdbError::Packed) }
    }
}

/// The element at the start of `from`, and what follows its data.
fn item(from: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (&first, rest) = from.split_first()?;
    match first {
        0..0x80 => Some((Item::Integer(first.into()), rest)),
        0x80..0xc0 => string(rest, usize::from(first & 0x3f)),
        0xc0..0xe0 => {
            let (&low, rest) = rest.split_first()?;
            let bits = u16::from(first & 0x1f) << 8 | u16::from(low);
            // The sign is bit 12: up to the top and back.
            Some((Item::Integer(i64::from((bits << 3).cast_signed() >> 3)), rest))
        }
        0xe0..0xf0 => {
            let (&low, rest) = rest.split_first()?;
            string(rest, usize::from(first & 0x0f) << 8 | usize::from(low))
        }
        STRING_32 => {
            let (length, rest) = rest.split_first_chunk()?;
            string(rest, u32::from_le_bytes(*length) as usize)
        }
        INT_16 => integer::<2>(rest),
        INT_24 => integer::<3>(rest),
        INT_32 => integer::<4>(rest),
        INT_64 => integer::<8>(rest),
        _ => None,
    }
}

fn string(from: &[u8], len: usize) -> Option<(Item<'_>, &[u8])> {
    let (bytes, rest) = from.split_at_checked(len)?;
    Some((Item::Slice(bytes), rest))
}

fn integer<const BYTES: usize>(from: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (bytes, rest) = from.split_first_chunk::<BYTES>()?;
    Some((Item::Integer(signed(bytes)), rest))
}

/// A signed little endian integer of up to eight bytes.
pub(crate) fn signed(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let spare = 8 * (8 - bytes.len()) as u32;
    i64::from_le_bytes(wide) << spare >> spare
}

/// How many bytes the back-length takes, if it is the one of `encoded` bytes.
fn back_length(from: &[u8], encoded: usize) -> Option<usize> {
    let bytes = back_length_bytes(encoded);
    let is_there = |bytes| {
        let form = from.get(..bytes)?;
        let is_right = form.iter().copied().eq(back_length_form(encoded, bytes));
        is_right.then_some(bytes)
    };
    is_there(bytes).or_else(|| is_full(encoded).then(|| is_there(bytes + 1)).flatten())
}

fn back_length_bytes(encoded: usize) -> usize {
    let bits = usize::BITS - encoded.leading_zeros();
    bits.div_ceil(GROUP_BITS).max(1) as usize
}

/// Whether its groups are all ones, where there is more than one group.
fn is_full(encoded: usize) -> bool {
    encoded > GROUP_MASK
        && (encoded + 1).is_power_of_two()
        && encoded.count_ones().is_multiple_of(GROUP_BITS)
}

fn back_length_form(encoded: usize, bytes: usize) -> impl ExactSizeIterator<Item = u8> + Clone {
    let group = move |at: usize| {
        let shift = GROUP_BITS * (bytes - 1 - at) as u32;
        let group = (encoded.checked_shr(shift).unwrap_or(0) & GROUP_MASK) as u8;
        if at == 0 { group } else { group | GROUP_FLAG }
    };
    (0..bytes).map(group)
}

/// How a back-length of only ones is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackLengths {
    /// In a byte more than it needs.
    Redis,
    /// In as many bytes as it needs.
    Valkey,
}

/// A listpack that grows.
pub(crate) struct Builder {
    bytes: Vec<u8>,
    count: usize,
    back_lengths: BackLengths,
}

impl Builder {
    pub(crate) fn new(back_lengths: BackLengths) -> Self {
        Self { bytes: vec![0; HEADER_BYTES], count: 0, back_lengths }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes it would take now.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + 1
    }

    /// Appends a string, in binary if it is an integer.
    pub(crate) fn push(&mut self, text: &[u8]) {
        match parse_integer(text) {
            Some(integer) => self.push_integer(integer),
            None => self.push_string(text),
        }
    }

    fn push_string(&mut self, text: &[u8]) {
        let start = self.bytes.len();
        match text.len() {
            len @ 0..64 => self.bytes.push(0x80 | len as u8),
            len @ 64..4096 => {
                self.bytes.extend_from_slice(&[0xe0 | (len >> 8) as u8, len as u8]);
            }
            len => {
                let len = u32::try_from(len).expect("no listpack is given 4 GB");
                self.bytes.push(STRING_32);
                self.bytes.extend_from_slice(&len.to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(text);
        self.close(start);
    }

    pub(crate) fn push_integer(&mut self, integer: i64) {
        let start = self.bytes.len();
        match integer {
            0..128 => self.bytes.push(integer as u8),
            -4096..4096 => {
                let bits = integer as u16;
                self.bytes.extend_from_slice(&[0xc0 | (bits >> 8) as u8 & 0x1f, bits as u8]);
            }
            -0x8000..0x8000 => self.put_integer(INT_16, integer, 2),
            -0x80_0000..0x80_0000 => self.put_integer(INT_24, integer, 3),
            -0x8000_0000..0x8000_0000 => self.put_integer(INT_32, integer, 4),
            _ => self.put_integer(INT_64, integer, 8),
        }
        self.close(start);
    }

    fn put_integer(&mut self, encoding: u8, integer: i64, bytes: usize) {
        self.bytes.push(encoding);
        self.bytes.extend_from_slice(&integer.to_le_bytes()[..bytes]);
    }

    /// Writes the back-length of the element that began at `start`.
    fn close(&mut self, start: usize) {
        let encoded = self.bytes.len() - start;
        let is_longer = self.back_lengths == BackLengths::Redis && is_full(encoded);
        let bytes = back_length_bytes(encoded) + usize::from(is_longer);
        self.bytes.extend(back_length_form(encoded, bytes));
        self.count += 1;
    }

    /// The whole listpack.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END);
        let total = u32::try_from(self.bytes.len()).expect("no listpack is given 4 GB");
        let count = u16::try_from(self.count).unwrap_or(COUNT_UNKNOWN);
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
        self.bytes[4..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: [BackLengths; 2] = [BackLengths::Redis, BackLengths::Valkey];

    fn texts(blob: &[u8]) -> Result<Vec<Vec<u8>>, RdbError> {
        let mut items = Items::new(blob)?;
        let mut texts = Vec::new();
        while let Some(item) = items.next()? {
            texts.push(item.text().to_vec());
        }
        Ok(texts)
    }

    fn build(texts: &[Vec<u8>], back_lengths: BackLengths) -> Vec<u8> {
        let mut builder = Builder::new(back_lengths);
        texts.iter().for_each(|text| builder.push(text));
        assert_eq!(builder.count, texts.len());
        builder.finish()
    }

    #[test]
    fn elements_are_laid_out_as_drawn() {
        let texts = [b"a".to_vec(), b"127".to_vec(), b"-1".to_vec(), b"300000".to_vec()];
        let blob = build(&texts, BackLengths::Redis);
        let elements = [
            &[0x81, b'a', 2][..],
            &[0x7f, 1],
            &[0xdf, 0xff, 2],
            &[0xf2, 0xe0, 0x93, 0x04, 4],
            &[0xff],
        ];
        assert_eq!(blob[..6], [20, 0, 0, 0, 4, 0]);
        assert_eq!(blob[6..], elements.concat());
    }

    #[test]
    fn every_width_of_integer_comes_back() {
        let edges = [0i64, 127, 128, 4095, 4096, 32_767, 32_768, 8_388_607, 8_388_608];
        let more = [i64::from(i32::MAX), i64::from(i32::MAX) + 1, i64::MAX];
        for edge in edges.into_iter().chain(more) {
            for integer in [edge, -edge, -edge - 1] {
                let text = integer.to_string().into_bytes();
                let blob = build(std::slice::from_ref(&text), BackLengths::Redis);
                assert_eq!(texts(&blob), Ok(vec![text]));
            }
        }
    }

    #[test]
    fn back_lengths_of_only_ones_are_read_in_both_forms() {
        for len in [122, 123, 125, 126, 16_377, 16_378, 16_379, 2_097_146, 2_097_147] {
            let long = vec![b'x'; len];
            let [redis, valkey] = BOTH.map(|form| build(std::slice::from_ref(&long), form));
            let is_full = matches!(len, 16_378 | 2_097_146);
            assert_eq!(redis.len() - valkey.len(), usize::from(is_full), "{len}");
            assert_eq!(texts(&redis), Ok(vec![long.clone()]));
            assert_eq!(texts(&valkey), Ok(vec![long]));
        }
    }

    #[test]
    fn more_than_the_header_can_count_is_counted_on_the_way() {
        let many = vec![b"1".to_vec(); 70_000];
        let blob = build(&many, BackLengths::Redis);
        assert_eq!(blob[4..6], [0xff, 0xff]);
        assert_eq!(texts(&blob).map(|texts| texts.len()), Ok(70_000));
    }

    #[test]
    fn broken_listpacks_are_refused() {
        let good = build(&[b"ab".to_vec(), b"5".to_vec()], BackLengths::Redis);
        assert!(texts(&good).is_ok());
        for (at, byte) in [(0, 99), (4, 1), (4, 3), (6, 0xbf), (6, 0xf5), (9, 2), (12, 0)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(texts(&bad), Err(RdbError::Packed), "{at}");
        }
        assert_eq!(texts(&[6, 0, 0, 0, 0, 0]), Err(RdbError::Packed));
    }

    proptest! {
        #[test]
        fn elements_come_back(
            list in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..200),
                    any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
                ],
                0..50,
            )
        ) {
            for form in BOTH {
                prop_assert_eq!(texts(&build(&list, form)), Ok(list.clone()));
            }
        }
    }
}

//! Lengths and strings, out of bytes and into them.
//!
//! # Layout
//!
//! ```text
//! 00llllll                    length below 64
//! 01llllll llllllll           length below 16384, big endian
//! 10000000 (4 bytes BE)       32-bit length
//! 10000001 (8 bytes BE)       64-bit length
//! 11eeeeee                    no length: a string in encoding e
//!
//! string:  length | bytes
//!          11000000 | i8      11000001 | i16 LE      11000010 | i32 LE
//!          11000011 | length of compressed | length of raw | LZF
//! double:  8 bytes LE
//! old double: length | ASCII; 253 is NaN, 254 and 255 are the infinities
//! ```

use std::borrow::Cow;

use crate::error::RdbError;
use crate::number::{Text, parse_integer, parse_score};
use crate::{Limits, lzf};

const FORM_6: u8 = 0;
const FORM_14: u8 = 1;
const FORM_LONG: u8 = 2;
const LENGTH_32: u8 = 0x80;
const LENGTH_64: u8 = 0x81;
const ENCODED: u8 = 0xc0;
const ENCODED_INT8: u8 = 0;
const ENCODED_INT16: u8 = 1;
const ENCODED_INT32: u8 = 2;
const ENCODED_LZF: u8 = 3;

const OLD_NAN: u8 = 253;
const OLD_INFINITY: u8 = 254;
const OLD_MINUS_INFINITY: u8 = 255;

/// Longer texts are no integers of 32 bits.
const INT32_DIGITS_MAX: usize = 11;

/// Strings up to this length are not compressed.
const COMPRESS_ABOVE_BYTES: usize = 20;

enum Length {
    Plain(u64),
    Encoded(u8),
}

/// What is left of a payload, and of the limits.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    string_bytes_max: usize,
    unpacked_bytes_left: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(rest: &'a [u8], limits: &Limits) -> Self {
        let Limits { string_bytes_max, unpacked_bytes_max } = *limits;
        Self { rest, string_bytes_max, unpacked_bytes_left: unpacked_bytes_max }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], RdbError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(RdbError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(RdbError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn byte(&mut self) -> Result<u8, RdbError> {
        self.array().map(|[byte]| byte)
    }

    fn any_length(&mut self) -> Result<Length, RdbError> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match (first >> 6, first) {
            (FORM_6, _) => Length::Plain(u64::from(low)),
            (FORM_14, _) => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            (FORM_LONG, LENGTH_32) => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            (FORM_LONG, LENGTH_64) => Length::Plain(u64::from_be_bytes(self.array()?)),
            (FORM_LONG, _) => return Err(RdbError::Length),
            _ => Length::Encoded(low),
        })
    }

    /// A number in the form of a length.
    pub(crate) fn length(&mut self) -> Result<u64, RdbError> {
        match self.any_length()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => Err(RdbError::Length),
        }
    }

    /// How many things follow, each of which takes `bytes_min` bytes or more.
    pub(crate) fn count(&mut self, bytes_min: usize) -> Result<usize, RdbError> {
        let count = usize::try_from(self.length()?).map_err(|_| RdbError::Length)?;
        self.holds(count, bytes_min)?;
        Ok(count)
    }

    /// Makes sure that so many things can follow, each of which takes `bytes_min` bytes or more.
    pub(crate) fn holds(&self, count: usize, bytes_min: usize) -> Result<(), RdbError> {
        let is_possible = count.checked_mul(bytes_min).is_some_and(|all| all <= self.rest.len());
        if is_possible { Ok(()) } else { Err(RdbError::Length) }
    }

    /// A string, borrowed where it stands in the payload as it is.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, [u8]>, RdbError> {
        match self.any_length()? {
            Length::Plain(length) => {
                let length = self.string_length(length)?;
                self.take(length).map(Cow::Borrowed)
            }
            Length::Encoded(ENCODED_INT8) => Ok(owned(i8::from_le_bytes(self.array()?).into())),
            Length::Encoded(ENCODED_INT16) => Ok(owned(i16::from_le_bytes(self.array()?).into())),
            Length::Encoded(ENCODED_INT32) => Ok(owned(i32::from_le_bytes(self.array()?).into())),
            Length::Encoded(ENCODED_LZF) => self.compressed().map(Cow::Owned),
            Length::Encoded(_) => Err(RdbError::Encoding),
        }
    }

    fn string_length(&self, length: u64) -> Result<usize, RdbError> {
        let length = usize::try_from(length).map_err(|_| RdbError::Length)?;
        if length <= self.string_bytes_max { Ok(length) } else { Err(RdbError::Length) }
    }

    fn compressed(&mut self) -> Result<Vec<u8>, RdbError> {
        let (packed, raw) = (self.length()?, self.length()?);
        let (packed, raw) = (self.string_length(packed)?, self.string_length(raw)?);
        let packed = self.take(packed)?;
        self.spend(raw)?;
        lzf::decompress(packed, raw)
    }

    /// Counts bytes that come out of the payload but are not in it.
    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), RdbError> {
        let left = self.unpacked_bytes_left.checked_sub(bytes);
        self.unpacked_bytes_left = left.ok_or(RdbError::Length)?;
        Ok(())
    }

    pub(crate) fn double(&mut self) -> Result<f64, RdbError> {
        let score = f64::from_le_bytes(self.array()?);
        if score.is_nan() { Err(RdbError::NotANumber) } else { Ok(score) }
    }

    pub(crate) fn old_double(&mut self) -> Result<f64, RdbError> {
        match self.byte()? {
            OLD_NAN => Err(RdbError::NotANumber),
            OLD_INFINITY => Ok(f64::INFINITY),
            OLD_MINUS_INFINITY => Ok(f64::NEG_INFINITY),
            length => parse_score(self.take(length.into())?).ok_or(RdbError::NotANumber),
        }
    }

    /// A point in time; `None` is -1, which stands for none.
    pub(crate) fn milliseconds(&mut self) -> Result<Option<u64>, RdbError> {
        match i64::from_le_bytes(self.array()?) {
            -1 => Ok(None),
            time => u64::try_from(time).map(Some).map_err(|_| RdbError::NotANumber),
        }
    }
}

fn owned(integer: i64) -> Cow<'static, [u8]> {
    Cow::Owned(Text::integer(integer).to_vec())
}

/// Appends a length in its shortest form.
pub(crate) fn put_length(length: u64, out: &mut Vec<u8>) {
    if length < 1 << 6 {
        out.push(length as u8);
    } else if length < 1 << 14 {
        out.extend_from_slice(&[FORM_14 << 6 | (length >> 8) as u8, length as u8]);
    } else if let Ok(length) = u32::try_from(length) {
        out.push(LENGTH_32);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(LENGTH_64);
        out.extend_from_slice(&length.to_be_bytes());
    }
}

/// Appends a string as an integer, compressed if wanted, or as it is.
pub(crate) fn put_string(text: &[u8], compress: bool, out: &mut Vec<u8>) {
    let is_short = text.len() <= INT32_DIGITS_MAX;
    if let Some(integer) = parse_integer(text).filter(|_| is_short)
        && put_integer(integer, out)
    {
        return;
    }
    if !(compress && text.len() > COMPRESS_ABOVE_BYTES && put_compressed(text, out)) {
        put_plain_string(text, out);
    }
}

fn put_plain_string(text: &[u8], out: &mut Vec<u8>) {
    put_length(text.len() as u64, out);
    out.extend_from_slice(text);
}

fn put_integer(integer: i64, out: &mut Vec<u8>) -> bool {
    if let Ok(small) = i8::try_from(integer) {
        out.push(ENCODED | ENCODED_INT8);
        out.extend_from_slice(&small.to_le_bytes());
    } else if let Ok(medium) = i16::try_from(integer) {
        out.push(ENCODED | ENCODED_INT16);
        out.extend_from_slice(&medium.to_le_bytes());
    } else if let Ok(large) = i32::try_from(integer) {
        out.push(ENCODED | ENCODED_INT32);
        out.extend_from_slice(&large.to_le_bytes());
    } else {
        return false;
    }
    true
}

fn put_compressed(text: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(packed) = lzf::compress(text) else { return false };
    out.push(ENCODED | ENCODED_LZF);
    put_length(packed.len() as u64, out);
    put_length(text.len() as u64, out);
    out.extend_from_slice(&packed);
    true
}

/// Appends a point in time, or -1.
pub(crate) fn put_milliseconds(time: Option<u64>, out: &mut Vec<u8>) {
    let time = time.map_or(-1, |time| i64::try_from(time).unwrap_or(i64::MAX));
    out.extend_from_slice(&time.to_le_bytes());
}

/// A length that is written before it is known.
pub(crate) struct Blank(usize);

impl Blank {
    /// Appends the room for a length.
    pub(crate) fn put(out: &mut Vec<u8>) -> Self {
        let at = out.len();
        out.push(LENGTH_64);
        out.extend_from_slice(&[0; size_of::<u64>()]);
        Self(at + 1)
    }

    /// Writes the length into its room.
    pub(crate) fn fill(self, length: u64, out: &mut [u8]) {
        out[self.0..][..size_of::<u64>()].copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader(bytes: &[u8]) -> Reader<'_> {
        Reader::new(bytes, &Limits::default())
    }

    #[test]
    fn a_length_takes_one_two_five_or_nine_bytes() {
        for (length, bytes) in [
            (0, 1),
            (63, 1),
            (64, 2),
            (16_383, 2),
            (16_384, 5),
            (u64::from(u32::MAX), 5),
            (1 << 32, 9),
            (u64::MAX, 9),
        ] {
            let mut out = Vec::new();
            put_length(length, &mut out);
            assert_eq!(out.len(), bytes, "{length}");
            assert_eq!(reader(&out).length(), Ok(length));
        }
    }

    #[test]
    fn a_filled_blank_reads_as_a_length() {
        let mut out = vec![7];
        let blank = Blank::put(&mut out);
        out.push(9);
        blank.fill(300, &mut out);
        assert_eq!(reader(&out[1..]).length(), Ok(300));
        assert_eq!((out[0], out.last()), (7, Some(&9)));
    }

    #[test]
    fn a_count_that_the_input_cannot_hold_is_refused() {
        assert_eq!(reader(&[2, 0, 0]).count(1), Ok(2));
        assert_eq!(reader(&[2, 0, 0]).count(2), Err(RdbError::Length));
        assert_eq!(reader(&[0x81; 9]).count(2), Err(RdbError::Length));
    }

    #[test]
    fn strings_beyond_the_limits_are_refused() {
        let mut out = Vec::new();
        put_string(&[b'x'; 100], true, &mut out);
        let read = |string_bytes_max, unpacked_bytes_max| {
            let limits = Limits { string_bytes_max, unpacked_bytes_max };
            Reader::new(&out, &limits).string().map(|text| text.len())
        };
        assert_eq!(read(100, 100), Ok(100));
        assert_eq!(read(99, 100), Err(RdbError::Length));
        assert_eq!(read(100, 99), Err(RdbError::Length));
    }

    #[test]
    fn old_doubles_have_names_for_what_is_no_digit() {
        assert_eq!(reader(&[254]).old_double(), Ok(f64::INFINITY));
        assert_eq!(reader(&[255]).old_double(), Ok(f64::NEG_INFINITY));
        assert_eq!(reader(&[253]).old_double(), Err(RdbError::NotANumber));
        assert_eq!(reader(b"\x04-1.5").old_double(), Ok(-1.5));
        assert_eq!(reader(b"\x03nan").old_double(), Err(RdbError::NotANumber));
    }

    #[test]
    fn short_integers_take_their_binary_form() {
        for (text, bytes) in [("12", 2), ("-300", 3), ("70000", 5), ("2147483648", 11), ("01", 3)] {
            let mut out = Vec::new();
            put_string(text.as_bytes(), true, &mut out);
            assert_eq!(out.len(), bytes, "{text}");
            assert_eq!(reader(&out).string().as_deref(), Ok(text.as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn strings_come_back(
            words in prop::collection::vec("[a-c]{0,9}", 0..40), compress in any::<bool>()
        ) {
            let text = words.concat().into_bytes();
            let mut out = Vec::new();
            put_string(&text, compress, &mut out);
            let mut reader = reader(&out);
            prop_assert_eq!(reader.string().map(Cow::into_owned), Ok(text));
            prop_assert!(reader.rest().is_empty());
        }
    }
}

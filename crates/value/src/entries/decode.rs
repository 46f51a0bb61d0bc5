//! Elements out of bytes, without trust in them.

use super::Element;
use super::encode::{
    BACK_LENGTH_BYTES_MAX, GROUP_BITS, GROUP_FLAG, GROUP_MASK, INT_16, INT_24, INT_32, INT_64,
    STRING_32, back_length_bytes,
};

/// How many bytes the first element of `from` takes, if all of them are there.
#[inline]
pub(super) fn size(from: &[u8]) -> Option<usize> {
    let (head, data) = lengths(from)?;
    let encoded = head.checked_add(data)?;
    let size = encoded.checked_add(back_length_bytes(encoded))?;
    (size <= from.len()).then_some(size)
}

/// How many bytes the last element of `from` takes, as its back-length says.
#[inline]
pub(super) fn size_of_last(from: &[u8]) -> Option<usize> {
    let mut encoded = 0;
    for (group, &byte) in from.iter().rev().take(BACK_LENGTH_BYTES_MAX).enumerate() {
        encoded |= (usize::from(byte) & GROUP_MASK) << (GROUP_BITS * group as u32);
        if byte & GROUP_FLAG == 0 {
            // An element without a byte of encoding would be a step that goes nowhere.
            return (encoded > 0).then_some(encoded + group + 1);
        }
    }
    None
}

/// The first element of `from`, and how many bytes it takes.
#[inline]
pub(super) fn first(from: &[u8]) -> Option<(Element<'_>, usize)> {
    // Most elements are short texts: a byte before, a byte behind.
    if let [head @ 0x80..0xc0, rest @ ..] = from {
        let (text, _) = rest.split_at_checked(usize::from(head & 0x3f))?;
        let size = text.len() + 2;
        return (size <= from.len()).then_some((Element::Bytes(text), size));
    }
    let size = size(from)?;
    let (head, data) = lengths(from)?;
    let bytes = from.get(head..head + data)?;
    let element = integer(from.get(..head)?).map_or(Element::Bytes(bytes), Element::Int);
    Some((element, size))
}

/// The bytes of encoding, and of data that follow it, of the first element of `from`.
#[inline]
fn lengths(from: &[u8]) -> Option<(usize, usize)> {
    let first = *from.first()?;
    Some(match first {
        0..0x80 => (1, 0),
        0x80..0xc0 => (1, usize::from(first & 0x3f)),
        0xc0..0xe0 => (2, 0),
        0xe0..0xf0 => (2, usize::from(first & 0x0f) << 8 | usize::from(*from.get(1)?)),
        STRING_32 => {
            let len = from.get(1..)?.first_chunk()?;
            (5, usize::try_from(u32::from_le_bytes(*len)).ok()?)
        }
        INT_16 => (3, 0),
        INT_24 => (4, 0),
        INT_32 => (5, 0),
        INT_64 => (9, 0),
        _ => return None,
    })
}

/// The integer whose encoding `head` is; none if it is the one of a string.
#[inline]
fn integer(head: &[u8]) -> Option<i64> {
    match *head {
        [small @ 0..0x80] => Some(small.into()),
        [high @ 0xc0..0xe0, low] => {
            let bits = u16::from(high & 0x1f) << 8 | u16::from(low);
            // The sign is bit 12: up to the top and back.
            Some(i64::from((bits << 3).cast_signed() >> 3))
        }
        [INT_16 | INT_24 | INT_32 | INT_64, ref bytes @ ..] => Some(signed(bytes)),
        _ => None,
    }
}

/// A signed little endian integer of one to eight bytes.
#[inline]
fn signed(bytes: &[u8]) -> i64 {
    let unsigned = bytes.iter().rev().fold(0u64, |high, &low| high << 8 | u64::from(low));
    let spare = 64 - 8 * bytes.len() as u32;
    (unsigned << spare).cast_signed() >> spare
}

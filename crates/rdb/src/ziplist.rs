//! Ziplists, which listpacks replaced.
//!
//! # Layout
//!
//! ```text
//! total bytes u32 LE | offset of the last entry u32 LE | entries u16 LE | entry* | 0xff
//!
//! entry:  bytes of the entry before: u8, or 0xfe and u32 LE | encoding | data
//!
//! 00llllll                  string below 64 bytes
//! 01llllll llllllll         string below 16384 bytes, big endian
//! 10000000 (u32 BE)         string
//! 11000000 11010000 11100000 11110000 11111110   i16 i32 i64 i24 i8, LE
//! 1111vvvv                  the integer v - 1, v in 1..=13
//! ```

use crate::error::RdbError;
use crate::listpack::{Item, signed};

const HEADER_BYTES: usize = 10;
const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;
const LONG_BACK_LENGTH: u8 = 0xfe;

/// Reads a ziplist entry by entry and checks all of it on the way.
pub(crate) struct Items<'a> {
    blob: &'a [u8],
    at: usize,
    /// Where the last entry begins, by the header.
    tail: usize,
    /// Where the entry before begins.
    before: usize,
    count: u16,
    seen: usize,
}

impl<'a> Items<'a> {
    pub(crate) fn new(blob: &'a [u8]) -> Result<Self, RdbError> {
        let (total, rest) = blob.split_first_chunk().ok_or(RdbError::Packed)?;
        let (tail, rest) = rest.split_first_chunk().ok_or(RdbError::Packed)?;
        let (count, rest) = rest.split_first_chunk().ok_or(RdbError::Packed)?;
        if u32::from_le_bytes(*total) as usize != blob.len() || rest.is_empty() {
            return Err(RdbError::Packed);
        }
        Ok(Self {
            blob,
            at: HEADER_BYTES,
            tail: u32::from_le_bytes(*tail) as usize,
            before: HEADER_BYTES,
            count: u16::from_le_bytes(*count),
            seen: 0,
        })
    }

    /// The next entry; `None` after the last one, with everything checked.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'a>>, RdbError> {
        let rest = self.blob.get(self.at..).ok_or(RdbError::Packed)?;
        if rest == [END] {
            let is_whole = self.before == self.tail
                && (self.count == COUNT_UNKNOWN || usize::from(self.count) == self.seen);
            return if is_whole { Ok(None) } else { Err(RdbError::Packed) };
        }
        let (back, data) = back_length(rest).ok_or(RdbError::Packed)?;
        if back != self.at - self.before {
            return Err(RdbError::Packed);
        }
        let (item, after) = item(data).ok_or(RdbError::Packed)?;
        self.before = self.at;
        self.at = self.blob.len() - after.len();
        self.seen += 1;
        Ok(Some(item))
    }
}

fn back_length(from: &[u8]) -> Option<(usize, &[u8])> {
    match from.split_first()? {
        (&LONG_BACK_LENGTH, rest) => {
            let (length, rest) = rest.split_first_chunk()?;
            Some((u32::from_le_bytes(*length) as usize, rest))
        }
        (&END, _) => None,
        (&length, rest) => Some((length.into(), rest)),
    }
}

fn item(from: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (&first, rest) = from.split_first()?;
    match first {
        0..0x40 => string(rest, first.into()),
        0x40..0x80 => {
            let (&low, rest) = rest.split_first()?;
            string(rest, usize::from(first & 0x3f) << 8 | usize::from(low))
        }
        0x80 => {
            let (length, rest) = rest.split_first_chunk()?;
            string(rest, u32::from_be_bytes(*length) as usize)
        }
        0xc0 => integer(rest, 2),
        0xd0 => integer(rest, 4),
        0xe0 => integer(rest, 8),
        0xf0 => integer(rest, 3),
        0xfe => integer(rest, 1),
        0xf1..=0xfd => Some((Item::Integer(i64::from(first & 0x0f) - 1), rest)),
        _ => None,
    }
}

fn string(from: &[u8], len: usize) -> Option<(Item<'_>, &[u8])> {
    let (bytes, rest) = from.split_at_checked(len)?;
    Some((Item::Slice(bytes), rest))
}

fn integer(from: &[u8], bytes: usize) -> Option<(Item<'_>, &[u8])> {
    let (bytes, rest) = from.split_at_checked(bytes)?;
    Some((Item::Integer(signed(bytes)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "ab", 300 letters, 12, -1, 70000.
    fn sample() -> Vec<u8> {
        let long = [&[4, 0x41, 0x2c][..], &[b'x'; 300]].concat();
        let entries: [&[u8]; 5] = [
            &[0, 2, b'a', b'b'],
            &long,
            &[0xfe, 0x2f, 1, 0, 0, 0xfd],
            &[6, 0xfe, 0xff],
            &[3, 0xf0, 0x70, 0x11, 0x01],
        ];
        let body = entries.concat();
        let tail = HEADER_BYTES + body.len() - 5;
        let total = HEADER_BYTES + body.len() + 1;
        let mut blob = (total as u32).to_le_bytes().to_vec();
        blob.extend((tail as u32).to_le_bytes());
        blob.extend([5, 0]);
        blob.extend(body);
        blob.push(END);
        blob
    }

    fn texts(blob: &[u8]) -> Result<Vec<Vec<u8>>, RdbError> {
        let mut items = Items::new(blob)?;
        let mut texts = Vec::new();
        while let Some(item) = items.next()? {
            texts.push(item.text().to_vec());
        }
        Ok(texts)
    }

    #[test]
    fn entries_are_read_as_drawn() {
        let wanted = [&b"ab"[..], &[b'x'; 300], b"12", b"-1", b"70000"];
        assert_eq!(texts(&sample()), Ok(wanted.map(<[u8]>::to_vec).to_vec()));
    }

    #[test]
    fn an_empty_ziplist_has_its_tail_at_its_end() {
        assert_eq!(texts(&[11, 0, 0, 0, 10, 0, 0, 0, 0, 0, 255]), Ok(vec![]));
        assert_eq!(texts(&[11, 0, 0, 0, 11, 0, 0, 0, 0, 0, 255]), Err(RdbError::Packed));
    }

    #[test]
    fn broken_ziplists_are_refused() {
        let good = sample();
        let last = good.len() - 1;
        for (at, byte) in [
            (0, 0),
            (4, 0),
            (8, 4),
            (10, 1),
            (11, 0xff),
            (14, 5),
            (last - 4, 0xa0),
            (last - 5, 0xff),
            (last, 0),
        ] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(texts(&bad), Err(RdbError::Packed), "{at}");
        }
    }
}

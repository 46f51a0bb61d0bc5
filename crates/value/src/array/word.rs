//! One slot of an array in eight bytes: a small value itself, or where a longer one lies.
//!
//! # Layout
//!
//! ```text
//! lowest 3 bits, of eight bytes that are an integer, LE
//! 0  nothing is here; all bits are 0
//! 1  an integer, in the other 61 bits
//! 2  a text of up to 7 bytes: 3 bits of length, then the bytes from the second on
//! 3  a text among the slice's short texts, at this offset (upper half)
//! 4  a long text of the slice, with this number (upper half)
//! ```

use crate::entries::parse_integer;

const TAG_BITS: u32 = 3;
const TAG: u64 = (1 << TAG_BITS) - 1;

const INT: u64 = 1;
const INLINE: u64 = 2;
const SHORT: u64 = 3;
const LONG: u64 = 4;

/// The most bytes of a text that lies in the word itself.
const INLINE_MAX: usize = 7;

const PLACE_SHIFT: u32 = 32;

/// See the module's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word([u8; 8]);

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// Nothing is here.
    Empty,
    /// An integer.
    Int(i64),
    /// A text in the word itself.
    Inline(&'a [u8]),
    /// A text among the short ones.
    Short(u32),
    /// One of the long texts.
    Long(u32),
}

impl Word {
    pub(super) const EMPTY: Word = Word([0; 8]);

    /// A value that needs no more than the word, if it is one.
    #[inline]
    pub(super) fn of(text: &[u8]) -> Option<Word> {
        if let Some(integer) = parse_integer(text) {
            let shifted = integer << TAG_BITS;
            if shifted >> TAG_BITS == integer {
                return Some(Word::from_bits(shifted.cast_unsigned() | INT));
            }
        }
        if text.len() > INLINE_MAX {
            return None;
        }
        let mut bytes = [0; 8];
        bytes[0] = (text.len() << TAG_BITS) as u8 | INLINE as u8;
        bytes[1..=text.len()].copy_from_slice(text);
        Some(Word(bytes))
    }

    pub(super) fn short(offset: u32) -> Word {
        Word::from_bits(u64::from(offset) << PLACE_SHIFT | SHORT)
    }

    pub(super) fn long(number: u32) -> Word {
        Word::from_bits(u64::from(number) << PLACE_SHIFT | LONG)
    }

    const fn from_bits(bits: u64) -> Word {
        Word(bits.to_le_bytes())
    }

    const fn bits(self) -> u64 {
        u64::from_le_bytes(self.0)
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.bits() == 0
    }

    #[inline]
    pub(super) fn content(&self) -> Content<'_> {
        let bits = self.bits();
        match bits & TAG {
            INT => Content::Int(bits.cast_signed() >> TAG_BITS),
            INLINE => {
                let len = usize::from(self.0[0] >> TAG_BITS) & INLINE_MAX;
                Content::Inline(&self.0[1..=len])
            }
            SHORT => Content::Short((bits >> PLACE_SHIFT) as u32),
            LONG => Content::Long((bits >> PLACE_SHIFT) as u32),
            _ => Content::Empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_lie_in_the_word() {
        let (most, least) = ((1_i64 << 60) - 1, -(1_i64 << 60));
        for integer in [0, 1, -1, most, least] {
            let word = Word::of(integer.to_string().as_bytes()).unwrap();
            assert_eq!(word.content(), Content::Int(integer));
            assert!(!word.is_empty());
        }
        for text in ["", "a", "-", "abcdefg", "007", "1.50"] {
            let word = Word::of(text.as_bytes()).unwrap();
            assert_eq!(word.content(), Content::Inline(text.as_bytes()));
            assert!(!word.is_empty());
        }
        for text in ["abcdefgh", "1152921504606846976", "-1152921504606846977"] {
            assert_eq!(Word::of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_place_is_told_as_it_was_given() {
        for place in [0, 1, u32::MAX] {
            assert_eq!(Word::short(place).content(), Content::Short(place));
            assert_eq!(Word::long(place).content(), Content::Long(place));
        }
        assert_eq!(Word::EMPTY.content(), Content::Empty);
    }
}

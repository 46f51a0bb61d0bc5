//! Bitmaps: strings seen as rows of bits, the most significant bit of a byte first.
//!
//! The rules (`rules`) are pure functions over byte slices, which work a word at a time; the
//! command functions carry data between request, keyspace and rule. Bits behind the end of a
//! string are 0.

mod bits;
mod field;
mod operation;
mod rules;
mod search;

use command::{Arg, Command, CommandError, parse_integer};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    bits::GETBIT,
    bits::SETBIT,
    search::BITCOUNT,
    search::BITPOS,
    operation::BITOP,
    field::BITFIELD,
    field::BITFIELD_RO,
];

/// Positions of bits end here: a string has 512 MiB at most.
const BIT_OFFSET_END: u64 = 8 * (512 << 20);

/// The position of a bit, below [`BIT_OFFSET_END`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BitOffset(u64);

impl BitOffset {
    fn new(number: Option<i64>) -> Result<BitOffset, CommandError> {
        let offset = number.and_then(|number| u64::try_from(number).ok());
        let offset = offset.filter(|&offset| offset < BIT_OFFSET_END);
        offset.map(BitOffset).ok_or(CommandError::BitOffset)
    }

    /// Bytes that a string needs to hold `width` bits from here on.
    fn bytes_to_hold(self, width: u32) -> usize {
        (self.0 + u64::from(width)).div_ceil(8) as usize
    }
}

impl Arg<'_> for BitOffset {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        BitOffset::new(parse_integer(raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_end_where_the_longest_string_does() {
        assert_eq!(BitOffset::parse(b"4294967295"), Ok(BitOffset(4_294_967_295)));
        for beyond in ["4294967296", "-1", "9223372036854775808", "x", ""] {
            assert_eq!(BitOffset::parse(beyond.as_bytes()), Err(CommandError::BitOffset));
        }
    }

    #[test]
    fn bytes_are_counted_up_to_the_last_bit() {
        assert_eq!(BitOffset(0).bytes_to_hold(1), 1);
        assert_eq!(BitOffset(7).bytes_to_hold(1), 1);
        assert_eq!(BitOffset(7).bytes_to_hold(2), 2);
        assert_eq!(BitOffset(1).bytes_to_hold(64), 9);
    }
}

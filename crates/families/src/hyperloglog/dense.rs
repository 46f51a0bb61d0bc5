//! The dense encoding: six bits a register, the low bits of a byte first.
//!
//! # Layout
//!
//! ```text
//! byte   0        1        2        3
//!       |11000000|22221111|33333322|55444444| ..
//! ```
//!
//! Eight registers are six bytes, so all of them at once are unpacked and packed in words: the 48
//! bits are spread in halves until each has a byte of its own, without a branch or a look-up.

use super::REGISTERS;

/// Bytes of the registers.
pub(super) const BYTES: usize = REGISTERS * BITS / 8;

const BITS: usize = 6;
const MAX: u16 = (1 << BITS) - 1;

/// Bytes that hold a whole number of registers, [`GROUP_REGISTERS`].
const GROUP_BYTES: usize = 6;
const GROUP_REGISTERS: usize = 8;

/// A register's value; 0 if `registers` does not reach it.
pub(super) fn register(registers: &[u8], index: usize) -> u8 {
    let (at, shift) = place(index);
    (pair(registers, at) >> shift & MAX) as u8
}

/// Raises a register to a value of at most 63; tells whether it was lower.
pub(super) fn raise(registers: &mut [u8], index: usize, rank: u8) -> bool {
    if rank <= register(registers, index) {
        return false;
    }
    let (at, shift) = place(index);
    let pair = pair(registers, at) & !(MAX << shift) | (u16::from(rank) & MAX) << shift;
    let [low, high] = pair.to_le_bytes();
    for (byte, value) in registers.iter_mut().skip(at).zip([low, high]) {
        *byte = value;
    }
    true
}

/// The byte where a register begins, and its first bit there.
fn place(index: usize) -> (usize, usize) {
    (index * BITS / 8, index * BITS % 8)
}

fn pair(registers: &[u8], at: usize) -> u16 {
    let byte = |at| registers.get(at).copied().unwrap_or(0);
    u16::from_le_bytes([byte(at), byte(at + 1)])
}

/// Writes each register of `packed` into a byte of its own.
pub(super) fn unpack(packed: &[u8], into: &mut [u8; REGISTERS]) {
    let (groups, _) = packed.as_chunks::<GROUP_BYTES>();
    let (bytes, _) = into.as_chunks_mut::<GROUP_REGISTERS>();
    for (group, bytes) in groups.iter().zip(bytes) {
        *bytes = spread(*group);
    }
}

/// The opposite of [`unpack`].
pub(super) fn pack(registers: &[u8; REGISTERS], into: &mut [u8]) {
    let (bytes, _) = registers.as_chunks::<GROUP_REGISTERS>();
    let (groups, _) = into.as_chunks_mut::<GROUP_BYTES>();
    for (bytes, group) in bytes.iter().zip(groups) {
        *group = gather(*bytes);
    }
}

fn spread([a, b, c, d, e, f]: [u8; GROUP_BYTES]) -> [u8; GROUP_REGISTERS] {
    let word = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    let word = word & 0xff_ffff | (word & 0xffff_ff00_0000) << 8;
    let word = word & 0x0000_0fff_0000_0fff | (word & 0x00ff_f000_00ff_f000) << 4;
    let word = word & 0x003f_003f_003f_003f | (word & 0x0fc0_0fc0_0fc0_0fc0) << 2;
    word.to_le_bytes()
}

fn gather(registers: [u8; GROUP_REGISTERS]) -> [u8; GROUP_BYTES] {
    let word = u64::from_le_bytes(registers);
    let word = word & 0x003f_003f_003f_003f | (word & 0x3f00_3f00_3f00_3f00) >> 2;
    let word = word & 0x0000_0fff_0000_0fff | (word & 0x0fff_0000_0fff_0000) >> 4;
    let word = word & 0xff_ffff | (word & 0x00ff_ffff_0000_0000) >> 8;
    let [a, b, c, d, e, f, _, _] = word.to_le_bytes();
    [a, b, c, d, e, f]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_at_once_gives_what_one_at_a_time_gives(
            packed in prop::collection::vec(any::<u8>(), BYTES),
        ) {
            let mut registers = [0; REGISTERS];
            unpack(&packed, &mut registers);
            for (index, &value) in registers.iter().enumerate() {
                prop_assert_eq!(value, register(&packed, index));
            }
            let mut again = vec![0; BYTES];
            pack(&registers, &mut again);
            prop_assert_eq!(again, packed);
        }
    }

    #[test]
    fn a_register_is_raised_without_touching_its_neighbours() {
        let mut registers = [7; REGISTERS];
        let mut packed = vec![0; BYTES];
        pack(&registers, &mut packed);
        for index in (0..REGISTERS).rev() {
            let rank = (index % 64) as u8;
            assert_eq!(raise(&mut packed, index, rank), rank > 7);
            registers[index] = rank.max(7);
        }
        let mut found = [0; REGISTERS];
        unpack(&packed, &mut found);
        assert!(found == registers);
    }

    #[test]
    fn a_short_string_is_not_read_beyond_its_end() {
        assert_eq!(register(&[], 5), 0);
        assert!(raise(&mut [0], 1, 63));
        assert!(raise(&mut [], 16_383, 63));
        unpack(&[1; 7], &mut [0; REGISTERS]);
        pack(&[1; REGISTERS], &mut [0; 7]);
    }
}

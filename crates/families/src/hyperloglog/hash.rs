//! Which register an element meets, and with what rank.
//!
//! The hash is MurmurHash64A with the seed that Redis has, as the registers are compared between
//! servers.

/// So many low bits of the hash choose the register.
pub(super) const INDEX_BITS: u32 = 14;

/// So many bits are left for the rank, which is one more than the zeros they begin with.
pub(super) const RANK_BITS: u32 = 64 - INDEX_BITS;

const SEED: u64 = 0xadc8_3b19;

/// What an element does: its register is at least of this rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Below [`super::REGISTERS`].
    pub(super) index: usize,
    /// From 1 to [`RANK_BITS`] + 1.
    pub(super) rank: u8,
}

impl Mark {
    /// The mark of an element.
    pub(super) fn of(element: &[u8]) -> Mark {
        let hash = murmur64a(element, SEED);
        let index = (hash & ((1 << INDEX_BITS) - 1)) as usize;
        // The bit behind the last one ends the zeros of a hash that has no other.
        let rest = hash >> INDEX_BITS | 1 << RANK_BITS;
        Mark { index, rank: rest.trailing_zeros() as u8 + 1 }
    }
}

/// MurmurHash2 in its 64-bit version A.
fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let (words, tail) = bytes.as_chunks::<8>();
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(FACTOR);
        word ^= word >> SHIFT;
        hash = (hash ^ word.wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
    }
    if !tail.is_empty() {
        hash = (hash ^ last_word(bytes, tail)).wrapping_mul(FACTOR);
    }
    hash ^= hash >> SHIFT;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ hash >> SHIFT
}

/// The last bytes, fewer than eight and at least one, as a number, low bytes first.
#[inline]
fn last_word(bytes: &[u8], tail: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        // Its upper bytes; to collect them one by one takes longer than all the rest.
        Some(&last) => u64::from_le_bytes(last) >> (64 - 8 * tail.len()),
        None => tail.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_that_of_the_bytes_and_zeros() {
        let bytes: Vec<u8> = (1..=40).map(|byte| byte * 5).collect();
        for len in (1..40).filter(|len| len % 8 > 0) {
            let (_, tail) = bytes[..len].as_chunks::<8>();
            let mut word = [0; 8];
            word[..tail.len()].copy_from_slice(tail);
            assert_eq!(last_word(&bytes[..len], tail), u64::from_le_bytes(word), "{len}");
        }
    }

    #[test]
    fn a_rank_never_exceeds_the_bits_it_is_counted_in() {
        for number in 0..100_000_u32 {
            let mark = Mark::of(&number.to_le_bytes());
            assert!(mark.index < super::super::REGISTERS);
            assert!((1..=RANK_BITS as u8 + 1).contains(&mark.rank));
        }
    }

    #[test]
    fn every_byte_of_an_element_counts() {
        for len in 1..40 {
            let zeros = vec![0; len];
            for at in 0..len {
                let mut other = zeros.clone();
                other[at] = 1;
                assert_ne!(murmur64a(&zeros, SEED), murmur64a(&other, SEED), "{at} of {len}");
            }
        }
    }
}

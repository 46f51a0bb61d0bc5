//! Random numbers out of the one that a transaction is given.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators", 2014).

use command::{CommandError, Reply};

/// The most members that are returned where one may be returned again and again.
const REPEATED_MAX: u64 = 1 << 24;

/// A count of random members: negative where one may be returned again and again.
pub(crate) fn check_count(count: i64) -> Result<i64, CommandError> {
    if count == i64::MIN {
        return Err(CommandError::text(
            "ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        ));
    }
    Ok(count)
}

/// How many members are returned where one may be returned again and again. Where replies are
/// bounded that may be any number, as the writing stops in time.
pub(crate) fn check_repeated(count: u64, reply: &Reply<'_>) -> Result<u64, CommandError> {
    let within = Some(count).filter(|&count| count <= REPEATED_MAX || !reply.is_unbounded());
    within.ok_or_else(|| CommandError::text("ERR value is out of range"))
}

/// A row of random numbers, the same for the same beginning.
pub(crate) struct Chances(u64);

impl Chances {
    /// Begins with any 64 random bits.
    pub(crate) fn new(chance: u64) -> Chances {
        Chances(chance)
    }

    /// The next 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A random number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        // The high half of a wide product: the bias is that of 2^64 against `end`.
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fall_evenly_below_their_end() {
        let (mut chances, mut counts) = (Chances::new(7), [0_u32; 10]);
        (0..10_000).for_each(|_| counts[chances.below(10)] += 1);
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }
}

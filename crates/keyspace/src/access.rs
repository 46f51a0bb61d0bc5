//! What a record remembers of being used: 24 bits, read by OBJECT IDLETIME and OBJECT FREQ and,
//! when memory runs short, by eviction.
//!
//! Under an LRU policy the bits are the second of the last use, modulo 2^24 (194 days). Under an
//! LFU policy they are 16 bits of minutes and an 8-bit logarithmic counter (Morris, 1978), which
//! decays with time. Both have Redis' meaning, so its tools and thresholds carry over. A policy
//! change does not rewrite records: the bits are read under the new policy until the next use.

use crate::Millis;

/// Bits of the record that this module owns.
const CLOCK_MASK: u64 = 0xFF_FFFF;

/// The counter of a new entry: high enough to survive until it is used again.
const LFU_INITIAL: u32 = 5;

/// How use is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The second of the last use.
    Lru,
    /// A counter that grows ever more slowly and decays.
    Lfu {
        /// The higher, the more uses it takes to grow (`lfu-log-factor`).
        log_factor: u32,
        /// Minutes after which the counter falls by one; 0: never (`lfu-decay-time`).
        decay_minutes: u32,
    },
}

impl Access {
    /// The bits of an entry made now.
    #[must_use]
    pub fn initial(self, now: Millis) -> u32 {
        match self {
            Access::Lfu { .. } => lfu(minutes(now), LFU_INITIAL),
            Access::Lru => seconds(now),
        }
    }

    /// The bits after one more use. `chance` is any 64 random bits.
    #[must_use]
    #[inline]
    pub fn used(self, bits: u32, now: Millis, chance: u64) -> u32 {
        match self {
            Access::Lru => seconds(now),
            Access::Lfu { log_factor, decay_minutes } => {
                let count = decayed(bits, now, decay_minutes);
                lfu(minutes(now), grown(count, log_factor, chance))
            }
        }
    }
}

/// Seconds since the last use, as the bits of an LRU policy tell.
#[must_use]
pub fn idle_seconds(bits: u32, now: Millis) -> u64 {
    u64::from(seconds(now).wrapping_sub(bits)) & CLOCK_MASK
}

/// The bits of an LRU policy for an entry whose last use was so long ago; a time too long for the
/// clock is kept as the longest.
#[must_use]
pub fn idle_since(seconds_ago: u64, now: Millis) -> u32 {
    let ago = seconds_ago.min(CLOCK_MASK) as u32;
    seconds(now).wrapping_sub(ago) & CLOCK_MASK as u32
}

/// The bits of an LFU policy for an entry with this counter, as of now.
#[must_use]
pub fn used_often(count: u8, now: Millis) -> u32 {
    lfu(minutes(now), u32::from(count))
}

/// The counter of an LFU policy, decayed to now.
#[must_use]
pub fn frequency(bits: u32, now: Millis, decay_minutes: u32) -> u32 {
    decayed(bits, now, decay_minutes)
}

fn seconds(now: Millis) -> u32 {
    ((now / 1000) & CLOCK_MASK) as u32
}

fn minutes(now: Millis) -> u32 {
    ((now / 60_000) & 0xFFFF) as u32
}

fn lfu(minutes: u32, count: u32) -> u32 {
    minutes << 8 | count
}

fn decayed(bits: u32, now: Millis, decay_minutes: u32) -> u32 {
    let (then, count) = (bits >> 8, bits & 0xFF);
    let passed = minutes(now).wrapping_sub(then) & 0xFFFF;
    passed.checked_div(decay_minutes).map_or(count, |steps| count.saturating_sub(steps))
}

/// One more use: the counter grows with probability `1 / (above initial * log_factor + 1)`.
fn grown(count: u32, log_factor: u32, chance: u64) -> u32 {
    let above = u64::from(count.saturating_sub(LFU_INITIAL));
    let odds = above * u64::from(log_factor) + 1;
    if count < 255 && chance.is_multiple_of(odds) { count + 1 } else { count }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LFU: Access = Access::Lfu { log_factor: 10, decay_minutes: 1 };

    #[test]
    fn idle_time_counts_seconds_across_the_wrap() {
        let late = (1_u64 << 24) * 1000 - 2_000;
        let bits = Access::Lru.used(0, late, 0);
        assert_eq!(idle_seconds(bits, late + 5_000), 5);
    }

    #[test]
    fn a_new_key_starts_at_five_and_fades_by_one_a_minute() {
        let now = 1_000_000_000_000;
        let bits = LFU.initial(now);
        assert_eq!(frequency(bits, now, 1), 5);
        assert_eq!(frequency(bits, now + 3 * 60_000, 1), 2);
        assert_eq!(frequency(bits, now + 60 * 60_000, 1), 0);
        assert_eq!(frequency(bits, now + 60 * 60_000, 0), 5, "0 minutes: no decay");
    }

    #[test]
    fn the_counter_ends_at_255_and_grows_more_slowly_the_higher_it_is() {
        assert_eq!(grown(255, 0, 0), 255);
        assert_eq!(grown(5, 10, 12_345), 6, "at the start every use counts");
        assert_eq!(grown(15, 10, 1), 15);
        assert_eq!(grown(15, 10, 101), 16, "one in a hundred and one");
    }
}

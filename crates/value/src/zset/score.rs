//! Scores: their order as 32 bits, and how they lie in the tail of a large set's member.
//!
//! # Layout
//!
//! ```text
//! tail    4 | i32 LE           an integer
//!         8 | f64 bits LE      any other score
//! ```
//!
//! [`image`] maps a score to 32 bits in its order. The tree asks for records only where two images
//! are equal, so what scores mostly are should have an image of its own: integers to 2^31, and
//! moments in milliseconds and microseconds to about four seconds. The codes that this takes are
//! saved where scores are rare: below zero, and among fractions near it.

use std::cmp::Ordering;

use crate::members::Layout;

/// The tail of a member of a large sorted set: its score.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scored;

impl Layout for Scored {
    #[inline]
    fn tail_len(bytes: &[u8]) -> usize {
        bytes.first().map_or(0, |&len| 1 + usize::from(len))
    }
}

/// A score as it is written into a tail.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    bytes: [u8; 9],
}

impl Tail {
    #[inline]
    pub(super) fn of(score: f64) -> Tail {
        let mut bytes = [0; 9];
        let short = score as i32;
        if f64::from(short).to_bits() == score.to_bits() {
            bytes[0] = 4;
            bytes[1..5].copy_from_slice(&short.to_le_bytes());
        } else {
            bytes[0] = 8;
            bytes[1..].copy_from_slice(&score.to_bits().to_le_bytes());
        }
        Tail { bytes }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..1 + usize::from(self.bytes[0])]
    }
}

/// The score in a tail.
#[inline]
pub(super) fn score_in(tail: &[u8]) -> f64 {
    match *tail {
        [4, a, b, c, d, ..] => f64::from(i32::from_le_bytes([a, b, c, d])),
        [_, a, b, c, d, e, f, g, h, ..] => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => 0.0,
    }
}

/// The order of members: by score, then by their bytes.
#[inline]
pub(super) fn order(one: (f64, &[u8]), other: (f64, &[u8])) -> Ordering {
    let by_score = one.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal);
    by_score.then_with(|| one.1.cmp(other.1))
}

/// Bits of the fraction of a double.
const FRACTION_BITS: u32 = 52;

/// The exponent of 1.0 as it is written.
const BIAS: u32 = 1023;

/// Bits that are kept of the fraction of what is below zero, of what is below one, and of what is
/// from 2^52 on.
const NEGATIVE_BITS: u32 = 18;
const SMALL_BITS: u32 = 18;
const HUGE_BITS: u32 = 16;

/// How many powers of two have bits of their own.
const POWERS: usize = 52;

/// The image of zero: all codes below it are those of negative scores.
const ZERO: u32 = 2048 << NEGATIVE_BITS;

/// The image of one.
const ONE: u32 = ZERO + (BIAS << SMALL_BITS);

/// How many bits of the fraction are kept of scores from 2^power on.
const fn kept_bits(power: u32) -> u32 {
    match power {
        // Integers are told apart, and below them some fractions.
        0..=20 => 20,
        21..=30 => power,
        // Moments in milliseconds from 2004 to 2039, and in microseconds from 2005 to 2041.
        40 | 50 => 28,
        _ => 24,
    }
}

/// The image of each power of two, and in the last place that of 2^52.
const STARTS: [u32; POWERS + 1] = {
    let mut starts = [ONE; POWERS + 1];
    let mut power = 0;
    while power < POWERS {
        starts[power + 1] = starts[power] + (1 << kept_bits(power as u32));
        power += 1;
    }
    starts
};

const _: () = assert!(
    STARTS[POWERS] as u64 + ((2048 - BIAS as u64 - POWERS as u64) << HUGE_BITS) <= 1 << 32,
    "there are codes for all scores"
);

/// 32 bits in the order of scores: what is less has an image that is not greater.
#[inline]
pub(super) fn image(score: f64) -> u32 {
    // There is but one zero.
    let score = score + 0.0;
    let bits = score.to_bits() & !(1 << 63);
    if score < 0.0 {
        return ZERO - 1 - (bits >> (FRACTION_BITS - NEGATIVE_BITS)) as u32;
    }
    let exponent = (bits >> FRACTION_BITS) as u32;
    let Some(power) = exponent.checked_sub(BIAS) else {
        return ZERO + (bits >> (FRACTION_BITS - SMALL_BITS)) as u32;
    };
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    if power < POWERS as u32 {
        return STARTS[power as usize] + (fraction >> (FRACTION_BITS - kept_bits(power))) as u32;
    }
    let beyond = (power - POWERS as u32) << HUGE_BITS;
    STARTS[POWERS] + beyond + (fraction >> (FRACTION_BITS - HUGE_BITS)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_and_moments_have_images_of_their_own() {
        let integers = [0_u32, 1, 2, 1000, 1 << 20, (1 << 21) + 1, 1 << 30, (1 << 31) - 2];
        for integer in integers.map(f64::from) {
            assert!(image(integer) < image(integer + 1.0), "{integer}");
        }
        let millis = 1_764_000_000_000.0;
        assert!(image(millis) < image(millis + 4096.0));
        let micros = 1_764_000_000_000_000.0;
        assert!(image(micros) < image(micros + 4_194_304.0));
    }

    #[test]
    fn the_ends_have_images_in_order() {
        let ordered = [f64::NEG_INFINITY, f64::MIN, -1.0, -f64::MIN_POSITIVE, 0.0, 5e-324, 0.5];
        let ordered = ordered.into_iter().chain([1.0, 1.5, 4e15, 5e15, f64::MAX, f64::INFINITY]);
        let images: Vec<u32> = ordered.map(image).collect();
        assert!(images.is_sorted(), "{images:?}");
        assert_eq!(image(-0.0), image(0.0));
        assert_ne!(image(f64::MAX), image(f64::INFINITY));
    }

    #[test]
    fn short_integers_take_four_bytes() {
        assert_eq!(Tail::of(7.0).as_bytes(), [4, 7, 0, 0, 0]);
        assert_eq!(Tail::of(-0.0).as_bytes().len(), 9);
        assert_eq!(Tail::of(2_147_483_648.0).as_bytes().len(), 9);
    }

    fn score() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>().prop_filter("scores are numbers", |score| !score.is_nan()),
            any::<i32>().prop_map(f64::from),
            -4.0..4.0,
            0.0..1e18,
        ]
    }

    proptest! {
        #[test]
        fn images_are_in_order_and_tails_keep_every_bit(one in score(), other in score()) {
            if one < other {
                prop_assert!(image(one) <= image(other));
            }
            prop_assert_eq!(score_in(Tail::of(one).as_bytes()).to_bits(), one.to_bits());
        }
    }
}

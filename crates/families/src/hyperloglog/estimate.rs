//! How many elements a histogram of registers speaks of.
//!
//! Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017): no table
//! of corrections, no threshold between two estimators. The steps are taken in the order that
//! Redis takes, so that rounding ends at the same integer.

use super::REGISTERS;
use super::hash::RANK_BITS;
use super::registers::Histogram;

/// Half the reciprocal of the natural logarithm of 2: the paper's constant for many registers.
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// What is answered where no registers can say how many: all of the highest rank or beyond.
const ENDLESS: u64 = 1 << 63;

/// The estimate.
pub(super) fn estimate(histogram: &Histogram) -> u64 {
    const M: f64 = REGISTERS as f64;
    const LAST: usize = RANK_BITS as usize + 1;
    let of = |value: usize| f64::from(histogram[value]);
    let mut z = M * tau((M - of(LAST)) / M);
    for value in (1..LAST).rev() {
        z += of(value);
        z *= 0.5;
    }
    z += M * sigma(of(0) / M);
    let count = (ALPHA * M * M / z).round();
    if count < ENDLESS as f64 { count as u64 } else { ENDLESS }
}

/// The part of registers that are 0, which is `x`.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// The part of registers that are of the highest rank; `x` is that of the others.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: &[(usize, u32)]) -> Histogram {
        let mut histogram = [0; 64];
        counts.iter().for_each(|&(value, count)| histogram[value] = count);
        histogram
    }

    #[test]
    fn no_element_is_none_and_one_is_one() {
        assert_eq!(estimate(&histogram(&[(0, 16_384)])), 0);
        for rank in 1..20 {
            assert_eq!(estimate(&histogram(&[(0, 16_383), (rank, 1)])), 1, "{rank}");
        }
    }

    #[test]
    fn every_histogram_has_an_estimate() {
        for value in 0..64 {
            for count in [0, 1, 8_000, 16_384] {
                let other = (value + 1) % 64;
                let _ = estimate(&histogram(&[(value, count), (other, 16_384 - count)]));
            }
            assert_eq!(estimate(&histogram(&[(value, 16_384)])) >= ENDLESS, value >= 50, "{value}");
        }
    }

    #[test]
    fn higher_registers_speak_of_more() {
        let estimates = (0..50).map(|value| estimate(&histogram(&[(value, 16_384)])));
        assert!(estimates.is_sorted());
    }
}

//! How long strings are: how many there are of each doubling of length.
//!
//! # Invariants
//!
//! 1. The counts of a [`crate::Records`] add up to its strings, each counted where
//!    [`doubling`] puts its length.

#![forbid(unsafe_code)]

/// Doublings that are told apart: the empty string, and lengths up to 2^32 - 1. What is longer
/// counts to the last.
pub const DOUBLINGS: usize = 33;

/// Counts of strings, by the doubling their length is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lengths([u32; DOUBLINGS]);

impl Default for Lengths {
    fn default() -> Lengths {
        Lengths([0; DOUBLINGS])
    }
}

/// The doubling that a length is in: 0 for none, 1 for 1, 2 for 2 and 3, 3 for 4 to 7, and on.
#[inline]
#[must_use]
pub const fn doubling(len: usize) -> usize {
    let bits = (usize::BITS - len.leading_zeros()) as usize;
    if bits < DOUBLINGS { bits } else { DOUBLINGS - 1 }
}

/// The least length of a doubling.
#[must_use]
pub const fn least(doubling: usize) -> u64 {
    match doubling {
        0 => 0,
        bits => 1 << (bits - 1),
    }
}

impl Lengths {
    /// The counts, from the shortest on.
    #[must_use]
    pub fn counts(&self) -> &[u32; DOUBLINGS] {
        &self.0
    }

    /// A string has come (`before` is `None`), has gone (`after` is `None`), or has another length.
    #[inline]
    pub(crate) fn change(&mut self, before: Option<usize>, after: Option<usize>) {
        let (before, after) = (before.map(doubling), after.map(doubling));
        if before != after {
            before.inspect(|&at| self.take(at));
            after.inspect(|&at| self.add(at));
        }
    }

    /// Counts one more of a doubling.
    #[inline]
    pub fn add(&mut self, doubling: usize) {
        self.0[doubling] += 1;
    }

    /// Counts one less of a doubling.
    #[inline]
    pub fn take(&mut self, doubling: usize) {
        debug_assert!(self.0[doubling] > 0, "what goes has come before");
        self.0[doubling] = self.0[doubling].saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubling_begins_at_its_least_length_and_ends_before_the_next() {
        for len in 0..5000 {
            let of = doubling(len);
            assert!((least(of)..least(of + 1)).contains(&(len as u64)), "{len} in {of}");
        }
        assert_eq!(doubling(u32::MAX as usize), DOUBLINGS - 1);
        assert_eq!(doubling(usize::MAX), DOUBLINGS - 1);
    }

    #[test]
    fn a_change_moves_one_count() {
        let mut lengths = Lengths::default();
        lengths.change(None, Some(3));
        lengths.change(Some(3), Some(2));
        assert_eq!(lengths.counts()[2], 1);
        lengths.change(Some(2), Some(0));
        assert_eq!((lengths.counts()[2], lengths.counts()[0]), (0, 1));
        lengths.change(Some(0), None);
        assert_eq!(lengths, Lengths::default());
    }
}

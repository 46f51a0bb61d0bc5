//! The one hash function of keys.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// Hashes keys under a secret, so that nobody outside can choose keys that collide.
///
/// foldhash in its `quality` form, since the table uses bits from both ends of the hash.
pub struct KeyHasher {
    own: u64,
    shared: SharedSeed,
}

impl KeyHasher {
    /// A hasher under two secret words; every process should draw its own.
    #[must_use]
    pub fn new(secret: [u64; 2]) -> KeyHasher {
        KeyHasher { own: secret[0], shared: SharedSeed::from_u64(secret[1]) }
    }

    /// The hash of a key.
    #[must_use]
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.own, &self.shared);
        hasher.write(key);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_secret_gives_other_hashes() {
        let (one, other) = (KeyHasher::new([1, 2]), KeyHasher::new([1, 3]));
        let differing = (0..100_u8).filter(|&n| one.hash(&[n]) != other.hash(&[n])).count();
        assert_eq!(differing, 100);
    }

    #[test]
    fn top_and_bottom_bits_fall_evenly() {
        let hasher = KeyHasher::new([7, 9]);
        let (mut top, mut bottom) = ([0_u32; 64], [0_u32; 64]);
        for n in 0..64_000 {
            let hash = hasher.hash(format!("key:{n:012}").as_bytes());
            top[(hash >> 58) as usize] += 1;
            bottom[(hash & 63) as usize] += 1;
        }
        let even = |counts: [u32; 64]| counts.iter().all(|count| (800..1200).contains(count));
        assert!(even(top) && even(bottom));
    }
}

//! Walking a table in steps, while it changes between them.
//!
//! A step visits one home bucket of one segment, so that what is present from the first step to
//! the last is visited at least once: a handle never changes its home, and a segment that is
//! split or merged meanwhile is taken up again where nothing can be missed.

/// Where a walk goes on: the top bits of the hash, and a home bucket.
///
/// Any value is a valid place to start; [`Cursor::START`] sees everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The top bits of the hash below the shard's, as far as the deepest directory reaches.
    pub(crate) prefix: u32,
    /// How many of these bits the segment shared when the cursor was made.
    pub(crate) depth: u8,
    /// The next home bucket.
    pub(crate) home: u8,
}

/// The bits of a cursor as a number: [`Cursor::BITS`] in all.
const HOME_BITS: u32 = 6;
const DEPTH_BITS: u32 = 5;

/// Directories never grow beyond this many bits.
pub(crate) const DEPTH_MAX: u32 = 20;

impl Cursor {
    /// The beginning of a walk.
    pub const START: Cursor = Cursor { prefix: 0, depth: 0, home: 0 };

    /// How many bits [`Cursor::to_bits`] uses.
    pub const BITS: u32 = HOME_BITS + DEPTH_BITS + DEPTH_MAX;

    /// The cursor as a number below `2^BITS`.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        let (prefix, depth) = (u64::from(self.prefix), u64::from(self.depth));
        (prefix << DEPTH_BITS | depth) << HOME_BITS | u64::from(self.home)
    }

    /// The cursor of a number. Numbers that [`Cursor::to_bits`] never gave start somewhere.
    #[must_use]
    pub fn from_bits(bits: u64) -> Cursor {
        let mask = |value: u64, width: u32| value & ((1 << width) - 1);
        Cursor {
            home: mask(bits, HOME_BITS) as u8,
            depth: mask(bits >> HOME_BITS, DEPTH_BITS) as u8,
            prefix: mask(bits >> (HOME_BITS + DEPTH_BITS), DEPTH_MAX) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_way_through_a_number() {
        for (prefix, depth, home) in [(0, 0, 0), (1, 20, 59), ((1 << DEPTH_MAX) - 1, 31, 63)] {
            let cursor = Cursor { prefix, depth, home };
            assert_eq!(Cursor::from_bits(cursor.to_bits()), cursor);
            assert!(cursor.to_bits() < 1 << Cursor::BITS);
        }
    }
}

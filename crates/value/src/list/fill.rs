//! How much a chunk may hold, and how many at the ends are not compressed: the settings
//! `list-max-listpack-size` and `list-compress-depth`.

use std::ops::Range;

/// What a chunk that is limited by its number of elements may hold in bytes.
const BYTES_BESIDE_COUNT: usize = 8 << 10;

/// What Redis' nodes take beside their elements.
const LISTPACK_BYTES: usize = 7;

/// How much a chunk may hold, and how many chunks at each end are never compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    bytes: usize,
    count: usize,
    plain: usize,
}

impl Fill {
    /// What a setting means: a positive one the number of elements, of 8 KiB at most, and -1 to
    /// -5 bytes: 4, 8, 16, 32 or 64 KiB. One beyond these means the nearest of them.
    pub fn from_setting(setting: i64) -> Self {
        if setting >= 0 {
            let count = usize::try_from(setting).unwrap_or(usize::MAX).max(1);
            return Self { bytes: BYTES_BESIDE_COUNT, count, plain: 0 };
        }
        let doublings = setting.max(-5).unsigned_abs() - 1;
        Self { bytes: (4 << 10) << doublings, count: usize::MAX, plain: 0 }
    }

    /// The setting that means it.
    #[must_use]
    pub fn setting(self) -> i64 {
        match i64::try_from(self.count) {
            Ok(count) => count,
            Err(_) => -1 - i64::from((self.bytes >> 12).trailing_zeros()),
        }
    }

    /// Whether chunks between the ends are compressed.
    #[must_use]
    pub fn compresses(self) -> bool {
        self.plain > 0
    }

    /// The same with so many chunks at each end plain and all others compressed; 0: none is.
    #[must_use]
    pub fn with_plain_ends(self, plain: usize) -> Self {
        Self { plain, ..self }
    }

    /// The chunks that are to be compressed, of so many.
    #[inline]
    pub(super) fn packed(self, chunks: usize) -> Range<usize> {
        match self.plain {
            0 => 0..0,
            plain => plain.min(chunks)..chunks.saturating_sub(plain),
        }
    }

    /// Whether so many elements in so many bytes are within it.
    pub(super) fn allows(self, bytes: usize, count: usize) -> bool {
        bytes <= self.bytes && count <= self.count
    }

    /// Whether Redis keeps so many elements in so many bytes in one node.
    pub fn allows_listpack(self, element_bytes: usize, count: usize) -> bool {
        self.allows(element_bytes + LISTPACK_BYTES, count)
    }

    /// Whether Redis puts a single node with so much in it out of its list again: when that is no
    /// more than half of what it may be, so that it is not put back by the next element.
    pub(super) fn is_far_from(self, element_bytes: usize, count: usize) -> bool {
        if self.count == usize::MAX {
            return element_bytes + LISTPACK_BYTES <= self.bytes / 2;
        }
        count <= self.count / 2 && element_bytes <= self.bytes
    }

    /// How many bytes are within it.
    pub(super) fn bytes(self) -> usize {
        self.bytes
    }
}

impl Default for Fill {
    /// The setting -2.
    fn default() -> Self {
        Self::from_setting(-2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_means_elements_or_kilobytes() {
        for (setting, kilobytes) in [(-1, 4), (-2, 8), (-3, 16), (-4, 32), (-5, 64), (-9, 64)] {
            let fill = Fill::from_setting(setting);
            assert!(fill.allows(kilobytes << 10, 1 << 20), "{setting}");
            assert!(!fill.allows((kilobytes << 10) + 1, 1), "{setting}");
        }
        for (setting, count) in [(0, 1), (1, 1), (128, 128), (i64::MAX, 1 << 40)] {
            let fill = Fill::from_setting(setting);
            assert!(fill.allows(8 << 10, count), "{setting}");
            assert!(!fill.allows((8 << 10) + 1, count), "{setting}");
        }
        assert!(!Fill::from_setting(128).allows(1, 129));
        assert!(Fill::from_setting(i64::MIN).allows(64 << 10, 1));
        for setting in [-5, -4, -3, -2, -1, 1, 128] {
            assert_eq!(Fill::from_setting(setting).setting(), setting);
        }
        assert_eq!(Fill::default(), Fill::from_setting(-2));
    }

    #[test]
    fn chunks_between_the_ends_are_compressed() {
        let packed = |plain, chunks| Fill::default().with_plain_ends(plain).packed(chunks);
        assert!(packed(0, 9).is_empty());
        assert_eq!(packed(1, 9), 1..8);
        assert_eq!(packed(3, 9), 3..6);
        assert!(packed(3, 6).is_empty() && packed(5, 6).is_empty() && packed(9, 6).is_empty());
    }
}

//! How much a chunk may hold: the setting `list-max-listpack-size`.

/// What a chunk that is limited by its number of elements may hold in bytes.
const BYTES_BESIDE_COUNT: usize = 8 << 10;

/// What Redis' nodes take beside their elements.
const LISTPACK_BYTES: usize = 7;

/// How much a chunk may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    bytes: usize,
    count: usize,
}

impl Fill {
    /// What a setting means: a positive one the number of elements, of 8 KiB at most, and -1 to
    /// -5 bytes: 4, 8, 16, 32 or 64 KiB. One beyond these means the nearest of them.
    pub fn from_setting(setting: i64) -> Self {
        if setting >= 0 {
            let count = usize::try_from(setting).unwrap_or(usize::MAX).max(1);
            return Self { bytes: BYTES_BESIDE_COUNT, count };
        }
        let doublings = setting.max(-5).unsigned_abs() - 1;
        Self { bytes: (4 << 10) << doublings, count: usize::MAX }
    }

    /// Whether so many elements in so many bytes may lie in one chunk.
    pub(super) fn allows(self, bytes: usize, count: usize) -> bool {
        bytes <= self.bytes() && count <= self.count
    }

    /// Whether Redis keeps so many elements in so many bytes in one node.
    pub fn allows_listpack(self, element_bytes: usize, count: usize) -> bool {
        element_bytes + LISTPACK_BYTES <= self.bytes && count <= self.count
    }

    /// Whether Redis puts a single node with so much in it out of its list again: when that is no
    /// more than half of what it may be, so that it is not put back by the next element.
    pub(super) fn is_far_from(self, element_bytes: usize, count: usize) -> bool {
        if self.count == usize::MAX {
            return element_bytes + LISTPACK_BYTES <= self.bytes / 2;
        }
        count <= self.count / 2 && element_bytes <= self.bytes
    }

    /// How many bytes a chunk may have: a little less than one of Redis' nodes. The allocator cuts
    /// a power of two of memory into blocks and keeps some bytes of it for itself, so that the last
    /// block of a power of two would not fit, but one of seven eighths does.
    pub(super) fn bytes(self) -> usize {
        self.bytes / 8 * 7
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
            assert!(fill.allows_listpack((kilobytes << 10) - 7, 1 << 20), "{setting}");
            assert!(!fill.allows_listpack((kilobytes << 10) - 6, 1), "{setting}");
            assert!(fill.allows(kilobytes * 896, 1 << 20), "{setting}");
            assert!(!fill.allows(kilobytes * 896 + 1, 1), "{setting}");
        }
        for (setting, count) in [(0, 1), (1, 1), (128, 128), (i64::MAX, 1 << 40)] {
            let fill = Fill::from_setting(setting);
            assert!(fill.allows(7 << 10, count), "{setting}");
            assert!(!fill.allows((7 << 10) + 1, count), "{setting}");
        }
        assert!(!Fill::from_setting(128).allows(1, 129));
        assert!(Fill::from_setting(i64::MIN).allows(56 << 10, 1));
        assert_eq!(Fill::default(), Fill::from_setting(-2));
    }
}

//! Up to `N` items in order, their prefixes and their handles in an array each.
//!
//! Two arrays, so that a search reads prefixes only.

use std::ops::Range;

/// What the tree holds: a handle, and the part of its sort key that is compared without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// The upper 32 bits of an order-preserving image of the sort key.
    pub prefix: u32,
    /// What the caller knows the thing by. No two items of a tree have the same handle.
    pub handle: u32,
}

/// A short ordered list of items.
#[derive(Clone, Debug)]
pub(crate) struct Items<const N: usize> {
    prefixes: [u32; N],
    handles: [u32; N],
    len: u32,
}

impl<const N: usize> Items<N> {
    pub(crate) const fn new() -> Self {
        Items { prefixes: [0; N], handles: [0; N], len: 0 }
    }

    pub(crate) fn of(item: Item) -> Self {
        let mut items = Items::new();
        items.insert(0, item);
        items
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn item(&self, at: usize) -> Option<Item> {
        let prefix = *self.prefixes.get(..self.len())?.get(at)?;
        Some(Item { prefix, handle: self.handles[at] })
    }

    pub(crate) fn first(&self) -> Option<Item> {
        self.item(0)
    }

    pub(crate) fn handles(&self, range: Range<usize>) -> &[u32] {
        &self.handles[..self.len()][range]
    }

    /// How many items come before a place: those with a lower prefix, and of those with the same
    /// one the leading ones for which `before` says so.
    #[inline]
    pub(crate) fn point(&self, prefix: u32, before: impl FnMut(u32) -> bool) -> usize {
        let prefixes = &self.prefixes[..self.len()];
        let low = count_below(prefixes, prefix);
        if prefixes.get(low) != Some(&prefix) {
            return low;
        }
        low + self.point_among_equals(low, prefix, before)
    }

    fn point_among_equals(
        &self,
        low: usize,
        prefix: u32,
        mut before: impl FnMut(u32) -> bool,
    ) -> usize {
        let rest = low..self.len();
        let equal = self.prefixes[rest.clone()].partition_point(|&own| own == prefix);
        self.handles[rest][..equal].partition_point(|&handle| before(handle))
    }

    /// How many leading items `before` says yes to.
    pub(crate) fn point_by(&self, mut before: impl FnMut(u32) -> bool) -> usize {
        self.handles(0..self.len()).partition_point(|&handle| before(handle))
    }

    pub(crate) fn set(&mut self, at: usize, item: Item) {
        self.prefixes[at] = item.prefix;
        self.handles[at] = item.handle;
    }

    /// Puts an item in at a position, where there is room for one more.
    pub(crate) fn insert(&mut self, at: usize, item: Item) {
        let len = self.len();
        debug_assert!(len < N, "the caller makes room first");
        self.prefixes.copy_within(at..len, at + 1);
        self.handles.copy_within(at..len, at + 1);
        self.set(at, item);
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, range: Range<usize>) {
        let len = self.len();
        self.prefixes.copy_within(range.end..len, range.start);
        self.handles.copy_within(range.end..len, range.start);
        self.len -= range.len() as u32;
    }

    /// Moves what lies from a position on into a list of its own.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let mut right = Items::new();
        self.give(self.len() - at, &mut right);
        right
    }

    /// Moves the last `count` items to the front of the right neighbour.
    pub(crate) fn give(&mut self, count: usize, right: &mut Self) {
        let (from, len, right_len) = (self.len() - count, self.len(), right.len());
        right.prefixes.copy_within(..right_len, count);
        right.handles.copy_within(..right_len, count);
        right.prefixes[..count].copy_from_slice(&self.prefixes[from..len]);
        right.handles[..count].copy_from_slice(&self.handles[from..len]);
        right.len += count as u32;
        self.len -= count as u32;
    }

    /// Moves the first `count` items of the right neighbour to the end of this list.
    pub(crate) fn take(&mut self, count: usize, right: &mut Self) {
        let len = self.len();
        self.prefixes[len..len + count].copy_from_slice(&right.prefixes[..count]);
        self.handles[len..len + count].copy_from_slice(&right.handles[..count]);
        self.len += count as u32;
        right.remove(0..count);
    }
}

/// How many of these ascending prefixes are lower than one.
///
/// Looks at the last prefix of each cache line first, so that the lines of a node that lies far
/// away are fetched side by side, and then along one line. Neither step has a branch that
/// depends on what it finds.
#[inline]
fn count_below(prefixes: &[u32], prefix: u32) -> usize {
    const LINE: usize = 16;
    let below =
        |line: &[u32]| line.iter().map(|&own| u32::from(own < prefix)).sum::<u32>() as usize;
    let lines = prefixes.chunks_exact(LINE).map(|line| usize::from(line[LINE - 1] < prefix));
    let rest = &prefixes[lines.sum::<usize>() * LINE..];
    prefixes.len() - rest.len() + below(&rest[..rest.len().min(LINE)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(prefixes: &[u32]) -> Items<8> {
        let mut items = Items::new();
        for (at, &prefix) in prefixes.iter().enumerate() {
            items.insert(at, Item { prefix, handle: at as u32 });
        }
        items
    }

    fn prefixes(items: &Items<8>) -> Vec<u32> {
        (0..items.len()).map(|at| items.item(at).unwrap().prefix).collect()
    }

    #[test]
    fn only_equal_prefixes_are_asked_about() {
        let items = items(&[1, 3, 3, 3, 7]);
        for (prefix, point) in [(0, 0), (1, 0), (2, 1), (3, 3), (4, 4), (7, 4), (8, 5)] {
            let found = items.point(prefix, |handle| {
                assert_eq!(items.item(handle as usize).unwrap().prefix, prefix);
                prefix == 3 && handle < 3
            });
            assert_eq!(found, point, "{prefix}");
        }
    }

    #[test]
    fn counting_by_lines_finds_what_counting_one_by_one_finds() {
        for len in 0..=67_u32 {
            let prefixes: Vec<u32> = (0..len).map(|at| at / 3 * 2).collect();
            for prefix in (0..=len + 1).chain([u32::MAX]) {
                let expected = prefixes.iter().filter(|&&own| own < prefix).count();
                assert_eq!(count_below(&prefixes, prefix), expected, "{prefix} among {len}");
            }
        }
    }

    #[test]
    fn neighbours_exchange_what_lies_between_them() {
        let (mut left, mut right) = (items(&[1, 2, 3, 4]), items(&[5, 6]));
        left.give(3, &mut right);
        assert_eq!((prefixes(&left), prefixes(&right)), (vec![1], vec![2, 3, 4, 5, 6]));
        left.take(2, &mut right);
        assert_eq!((prefixes(&left), prefixes(&right)), (vec![1, 2, 3], vec![4, 5, 6]));
        let tail = left.split_off(1);
        assert_eq!((prefixes(&left), prefixes(&tail)), (vec![1], vec![2, 3]));
        right.remove(1..2);
        assert_eq!(prefixes(&right), [4, 6]);
    }
}

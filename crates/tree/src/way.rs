//! The ways down the tree: to the place before which things lie, to one item, to an index.

use crate::items::{Item, Items};
use crate::node::Inner;

/// A place between items: how many items of an ordered list lie before it.
pub(crate) trait Place {
    fn point<const N: usize>(&mut self, items: &Items<N>) -> usize;

    /// The child in which the place lies.
    fn child<const N: usize>(&mut self, firsts: &Items<N>) -> usize {
        self.point(firsts).saturating_sub(1)
    }
}

/// The place behind lower prefixes, and behind those of the same one that `before` names.
pub(crate) struct Near<F> {
    pub(crate) prefix: u32,
    pub(crate) before: F,
}

impl<F: FnMut(u32) -> bool> Place for Near<F> {
    #[inline]
    fn point<const N: usize>(&mut self, items: &Items<N>) -> usize {
        items.point(self.prefix, &mut self.before)
    }
}

/// The place behind all that the closure names, whatever their prefixes.
pub(crate) struct Asked<F>(pub(crate) F);

impl<F: FnMut(u32) -> bool> Place for Asked<F> {
    fn point<const N: usize>(&mut self, items: &Items<N>) -> usize {
        items.point_by(&mut self.0)
    }
}

/// The place behind everything.
pub(crate) struct End;

impl Place for End {
    fn point<const N: usize>(&mut self, items: &Items<N>) -> usize {
        items.len()
    }
}

/// The way to one item that lies in the tree.
pub(crate) trait Way {
    /// The child below which the item lies.
    fn child<const L: usize, const I: usize>(&mut self, inner: &Inner<L, I>) -> usize;

    /// Where in the leaf the item lies, if it does.
    fn position<const L: usize>(&mut self, leaf: &Items<L>) -> Option<usize>;
}

/// To the item with this prefix and handle; `before` names what comes before it.
pub(crate) struct ToItem<F> {
    pub(crate) item: Item,
    pub(crate) before: F,
}

impl<F: FnMut(u32) -> bool> Way for ToItem<F> {
    #[inline]
    fn child<const L: usize, const I: usize>(&mut self, inner: &Inner<L, I>) -> usize {
        let Item { prefix, handle } = self.item;
        let upto = |other| other == handle || (self.before)(other);
        inner.firsts.point(prefix, upto).saturating_sub(1)
    }

    #[inline]
    fn position<const L: usize>(&mut self, leaf: &Items<L>) -> Option<usize> {
        let Item { prefix, handle } = self.item;
        let at = leaf.point(prefix, |other| other != handle && (self.before)(other));
        (leaf.item(at) == Some(self.item)).then_some(at)
    }
}

/// To the item that so many others come before.
pub(crate) struct ToIndex(pub(crate) usize);

impl Way for ToIndex {
    #[inline]
    fn child<const L: usize, const I: usize>(&mut self, inner: &Inner<L, I>) -> usize {
        let last = inner.counts.len().saturating_sub(1);
        for (at, &count) in inner.counts[..last].iter().enumerate() {
            if self.0 < count as usize {
                return at;
            }
            self.0 -= count as usize;
        }
        last
    }

    fn position<const L: usize>(&mut self, leaf: &Items<L>) -> Option<usize> {
        (self.0 < leaf.len()).then_some(self.0)
    }
}

//! The tree against a sorted list, with nodes so small that they split and join all the time.

use proptest::prelude::*;

use super::*;

/// Keys by handle; the tree sees the upper half of each, and asks about the rest.
#[derive(Default)]
struct Model<const L: usize, const I: usize> {
    tree: CountedTree<L, I>,
    keys: Vec<u64>,
    /// Handles in order.
    sorted: Vec<u32>,
}

impl<const L: usize, const I: usize> Model<L, I> {
    fn item(&self, handle: u32) -> Item {
        Item { prefix: prefix(self.keys[handle as usize]), handle }
    }

    fn rank(&self, key: (u64, u32)) -> usize {
        self.sorted.partition_point(|&handle| (self.keys[handle as usize], handle) < key)
    }

    fn insert(&mut self, key: u64) {
        let handle = self.keys.len() as u32;
        self.keys.push(key);
        let at = self.rank((key, handle));
        self.sorted.insert(at, handle);
        let keys = &self.keys;
        let before = |other: u32| asked(keys, other, key, handle) < key + 1;
        self.tree.insert(self.item(handle), before);
    }

    fn append(&mut self, step: u64) {
        let last = self.sorted.last().map_or(0, |&handle| self.keys[handle as usize]);
        let handle = self.keys.len() as u32;
        self.keys.push(last + step);
        self.sorted.push(handle);
        self.tree.append(self.item(handle));
    }

    /// The operation over the item at an index, with what it needs to know.
    fn remove(&mut self, index: usize) {
        let handle = self.sorted.remove(index);
        let (item, keys) = (self.item(handle), &self.keys);
        let own = (keys[handle as usize], handle);
        let before = |other: u32| (asked(keys, other, own.0, handle), other) < own;
        assert_eq!(self.tree.rank_of(item, before), Some(index));
        assert!(self.tree.remove(item, before));
        assert_eq!(self.tree.rank_of(item, before), None);
        assert!(!self.tree.remove(item, before));
    }

    /// Moves the record at an index: the new handle keeps the place of the old one.
    fn replace(&mut self, index: usize) {
        let old = self.sorted[index];
        let moved = self.keys.len() as u32;
        // Among equal keys handles ascend, so only the last of them may get a new, higher one.
        let key = self.keys[old as usize];
        if self.sorted.get(index + 1).is_some_and(|&next| self.keys[next as usize] == key) {
            return;
        }
        self.keys.push(key);
        self.sorted[index] = moved;
        let (item, keys) = (self.item(old), &self.keys);
        let before = |other: u32| (asked(keys, other, key, old), other) < (key, old);
        assert!(self.tree.replace(item, moved, before));
        assert!(!self.tree.replace(item, moved, before));
    }

    fn remove_range(&mut self, range: ops::Range<usize>) {
        let mut emitted = Vec::new();
        self.tree.remove_range(range.clone(), |handle| emitted.push(handle));
        let end = range.end.min(self.sorted.len());
        let expected: Vec<_> = self.sorted.drain(range.start.min(end)..end).collect();
        assert_eq!(emitted, expected);
    }

    fn pop(&mut self, first: bool) {
        let at = if first { 0 } else { self.sorted.len().saturating_sub(1) };
        let handle = (at < self.sorted.len()).then(|| self.sorted.remove(at));
        let popped = if first { self.tree.pop_first() } else { self.tree.pop_last() };
        assert_eq!(popped, handle.map(|handle| self.item(handle)));
    }

    fn check(&self) {
        self.tree.check();
        let items: Vec<_> = self.sorted.iter().map(|&handle| self.item(handle)).collect();
        assert_eq!(self.tree.iter().collect::<Vec<_>>(), items);
        assert_eq!(self.tree.len(), items.len());
        assert_eq!(self.tree.first(), items.first().copied());
        assert_eq!(self.tree.last(), items.last().copied());
    }

    fn check_bound(&self, key: u64) {
        let rank = self.rank((key, 0));
        let found = self.tree.rank(prefix(key), |other| {
            assert_eq!(prefix(self.keys[other as usize]), prefix(key));
            self.keys[other as usize] < key
        });
        assert_eq!(found, rank);
        assert_eq!(self.tree.partition_point(|other| self.keys[other as usize] < key), rank);
    }

    fn check_range(&self, range: ops::Range<usize>) {
        let end = range.end.min(self.sorted.len());
        let handles = &self.sorted[range.start.min(end)..end];
        let found = self.tree.range(range.clone());
        assert_eq!(found.len(), handles.len());
        assert!(found.clone().map(|item| item.handle).eq(handles.iter().copied()));
        assert!(found.rev().map(|item| item.handle).eq(handles.iter().rev().copied()));
        let at = self.tree.item(range.start).map(|item| item.handle);
        assert_eq!(at, self.sorted.get(range.start).copied());
    }
}

fn prefix(key: u64) -> u32 {
    (key >> 2) as u32
}

/// A key of the tree, after making sure that the tree may ask for it.
fn asked(keys: &[u64], other: u32, key: u64, own: u32) -> u64 {
    assert_ne!(other, own, "a tree need not ask about the item that is meant");
    assert_eq!(prefix(keys[other as usize]), prefix(key), "prefixes have told already");
    keys[other as usize]
}

impl<const L: usize, const I: usize> CountedTree<L, I> {
    /// Checks the invariants of the module's header; order is the model's to check.
    fn check(&self) {
        let mut census = Census::default();
        let count = self.root.as_ref().map_or(0, |root| check_node(root, &mut census).1);
        assert_eq!(count, self.len);
        assert_eq!(census, self.census, "invariant 5");
        if let Some(Node::Inner(root)) = &self.root {
            assert!(root.children.len() > 1, "invariant 1");
        }
    }
}

/// The height of a node and the items below it.
fn check_node<const L: usize, const I: usize>(
    node: &Node<L, I>,
    census: &mut Census,
) -> (usize, usize) {
    census.note(node);
    assert!(node.len() > 0, "invariant 1");
    let Node::Inner(inner) = node else { return (0, node.len()) };
    assert_eq!(inner.children.len(), inner.firsts.len());
    assert_eq!(inner.children.len(), inner.counts.len());
    assert!(!inner.children.spilled() && !inner.counts.spilled());
    let mut heights = Vec::new();
    for (at, child) in inner.children.iter().enumerate() {
        let (height, count) = check_node(child, census);
        heights.push(height);
        assert_eq!(inner.counts[at] as usize, count, "invariant 4");
        assert_eq!(inner.firsts.item(at), child.first(), "invariant 3");
    }
    heights.dedup();
    assert_eq!(heights.len(), 1, "invariant 1");
    (heights[0] + 1, node.count())
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Append(u64),
    Remove(usize),
    Replace(usize),
    RemoveRange(usize, usize),
    Pop(bool),
    Bound(u64),
    Range(usize, usize),
}

/// Few keys, so that many are equal, and many more that only share their prefix.
fn step() -> impl Strategy<Value = Step> {
    let index = 0..1_000_usize;
    prop_oneof![
        12 => (0..120_u64).prop_map(Step::Insert),
        4 => (0..3_u64).prop_map(Step::Append),
        6 => index.clone().prop_map(Step::Remove),
        2 => index.clone().prop_map(Step::Replace),
        1 => (index.clone(), 0..60_usize).prop_map(|(from, len)| Step::RemoveRange(from, len)),
        1 => any::<bool>().prop_map(Step::Pop),
        2 => (0..121_u64).prop_map(Step::Bound),
        2 => (index, 0..60_usize).prop_map(|(from, len)| Step::Range(from, len)),
    ]
}

fn run<const L: usize, const I: usize>(steps: &[Step]) {
    let mut model = Model::<L, I>::default();
    for step in steps {
        let len = model.sorted.len();
        match *step {
            Step::Insert(key) => model.insert(key),
            Step::Append(more) => model.append(more),
            Step::Remove(at) if len > 0 => model.remove(at % len),
            Step::Replace(at) if len > 0 => model.replace(at % len),
            Step::RemoveRange(from, n) => {
                model.remove_range(from % (len + 1)..from % (len + 1) + n);
            }
            Step::Pop(first) => model.pop(first),
            Step::Bound(key) => model.check_bound(key),
            Step::Range(from, n) => model.check_range(from % (len + 1)..from % (len + 1) + n),
            Step::Remove(_) | Step::Replace(_) => {}
        }
        model.check();
    }
    while !model.sorted.is_empty() {
        model.remove(model.sorted.len() / 2);
        model.tree.check();
    }
    assert_eq!(model.tree.memory_bytes(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_does_what_a_sorted_list_does(steps in prop::collection::vec(step(), 0..400)) {
        run::<4, 4>(&steps);
        run::<5, 4>(&steps);
        run::<9, 6>(&steps);
    }
}

/// A tree of the numbers below `len`, which are their own handles and prefixes.
fn counting<const L: usize, const I: usize>(len: u32) -> CountedTree<L, I> {
    CountedTree::from_sorted((0..len).map(number))
}

fn number(handle: u32) -> Item {
    Item { prefix: handle, handle }
}

fn unasked(_: u32) -> bool {
    panic!("no two prefixes are equal")
}

fn handles<const L: usize, const I: usize>(tree: &CountedTree<L, I>) -> Vec<u32> {
    tree.iter().map(|item| item.handle).collect()
}

/// A number in which every bit of the given one has a say in every bit.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1);
    for _ in 0..3 {
        mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    mixed ^ (mixed >> 32)
}

/// Numbers below `len` in an order without pattern.
fn shuffled(len: u32) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..len).collect();
    numbers.sort_by_cached_key(|&number| mixed(u64::from(number)));
    numbers
}

#[test]
fn every_range_can_be_cut_out_of_a_small_tree() {
    for len in 0..60_u32 {
        let full = counting::<4, 4>(len);
        for start in 0..=len as usize {
            for end in start..=len as usize {
                let mut tree = full.clone();
                let mut emitted = Vec::new();
                tree.remove_range(start..end, |handle| emitted.push(handle as usize));
                tree.check();
                assert!(emitted.into_iter().eq(start..end));
                let left = (0..len).filter(|&n| !(start..end).contains(&(n as usize)));
                assert!(handles(&tree).into_iter().eq(left), "{start}..{end} of {len}");
            }
        }
    }
}

#[test]
fn a_walk_may_begin_anywhere_and_meet_itself_in_the_middle() {
    let tree = counting::<4, 4>(70);
    for start in 0..=70 {
        for end in start..=70 {
            let mut walk = tree.range(start..end);
            let mut expected = start..end;
            while let Some(first) = expected.next() {
                assert_eq!(walk.next(), Some(number(first as u32)));
                let last = expected.next_back().map(|last| number(last as u32));
                assert_eq!(walk.next_back(), last);
            }
            assert_eq!((walk.next(), walk.next_back()), (None, None));
        }
    }
    assert_eq!(tree.iter().nth(69), Some(number(69)));
    assert_eq!(tree.iter().nth(70), None);
    assert_eq!(tree.range(80..90).next(), None);
}

#[test]
fn a_tree_is_dropped_in_steps() {
    let mut tree = counting::<9, 6>(1_000);
    let mut emitted = Vec::new();
    let mut steps = 1;
    while !tree.drain_some(64, |handle| emitted.push(handle)) {
        tree.check();
        steps += 1;
    }
    assert_eq!(steps, 1_000_u32.div_ceil(64));
    assert!(emitted.into_iter().eq(0..1_000));
    assert_eq!(tree.memory_bytes(), 0);
    assert!(tree.drain_some(1, |_| unreachable!("nothing is left")));
}

#[test]
fn ascending_and_descending_items_fill_their_leaves() {
    let mut descending = Tree::new();
    (0..50_000).rev().for_each(|n| descending.insert(number(n), unasked));
    let mut ascending = Tree::new();
    (0..50_000).for_each(|n| ascending.insert(number(n), unasked));
    for tree in [descending, ascending, counting::<127, 35>(50_000)] {
        tree.check();
        assert!(2 * tree.memory_bytes() <= 17 * tree.len(), "{}", tree.memory_bytes());
        assert!(handles(&tree).into_iter().eq(0..50_000));
    }
}

#[test]
fn items_in_random_order_cost_eleven_bytes_at_most() {
    let mut tree = Tree::new();
    shuffled(100_000).into_iter().for_each(|n| tree.insert(number(n), unasked));
    tree.check();
    assert!(handles(&tree).into_iter().eq(0..100_000));
    assert!(tree.memory_bytes() <= 11 * tree.len(), "{}", tree.memory_bytes());
}

#[test]
fn memory_does_not_stay_behind_random_removals() {
    let mut tree = Tree::new();
    shuffled(100_000).into_iter().for_each(|n| tree.insert(number(n), unasked));
    for n in shuffled(100_000).into_iter().skip(10_000) {
        assert!(tree.remove(number(n), unasked));
    }
    tree.check();
    assert_eq!(tree.len(), 10_000);
    assert!(tree.memory_bytes() <= 18 * tree.len(), "{}", tree.memory_bytes());
}

#[test]
fn memory_does_not_stay_behind_removed_ranges() {
    let mut tree = counting::<127, 35>(50_000);
    for start in (0..5_000).step_by(10) {
        tree.remove_range(start..start + 90, |_| {});
    }
    tree.check();
    assert!(handles(&tree).into_iter().eq((0..50_000).filter(|n| n % 100 >= 90)));
    assert!(tree.memory_bytes() <= 20 * tree.len(), "{}", tree.memory_bytes());
}

#[test]
fn an_empty_tree_has_nothing_to_say() {
    let mut tree = Tree::new();
    assert_eq!((tree.len(), tree.is_empty(), tree.memory_bytes()), (0, true, 0));
    assert_eq!((tree.first(), tree.last(), tree.item(0)), (None, None, None));
    assert_eq!((tree.pop_first(), tree.pop_last(), tree.remove_at(0)), (None, None, None));
    assert_eq!((tree.rank(1, unasked), tree.partition_point(unasked)), (0, 0));
    assert_eq!(tree.rank_of(number(1), unasked), None);
    assert!(!tree.remove(number(1), unasked));
    assert!(!tree.replace(number(1), 2, unasked));
    tree.remove_range(0..10, |_| unreachable!("nothing is there"));
    assert!((&tree).into_iter().next().is_none());
}

#[test]
fn the_highest_prefix_is_a_prefix_like_others() {
    let mut tree = CountedTree::<4, 4>::new();
    for handle in 0..40 {
        let prefix = if handle % 2 == 0 { u32::MAX } else { 0 };
        tree.insert(Item { prefix, handle }, |other| other < handle);
        tree.check();
    }
    assert!(handles(&tree).into_iter().eq((1..40).step_by(2).chain((0..40).step_by(2))));
    assert_eq!(tree.rank(u32::MAX, |other| other < 20), 30);
    tree.clear();
    assert!(tree.is_empty());
}

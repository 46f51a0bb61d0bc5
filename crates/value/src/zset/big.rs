//! A large sorted set: a table that finds members, and a tree that orders them.
//!
//! Both hold the handles of the same records. A record moves when its score needs another length
//! and when a chunk of the heap is emptied; then its handle in the tree is replaced.

use std::cmp::Ordering;
use std::ops::Range;

use dash::At;
use smallvec::SmallVec;
use tree::{Item, Tree};

use super::score::{Scored, Tail, image, order, score_in};
use crate::KeyHasher;
use crate::entries::Element;
use crate::heap::Full;
use crate::members::{Member, Members};

/// How many members a removal of a range takes out of the tree at once.
const BATCH: usize = 512;

/// How many members are between one that is taken out at an end and those that are asked for.
const SOON: usize = 4;
const LATER: usize = 8;

/// How many members ahead of its turn the memory of one is asked for.
const AHEAD: usize = 8;

/// See the module's page.
#[derive(Clone, Default)]
pub struct ZSet {
    pub(super) members: Members<Scored>,
    pub(super) tree: Tree,
}

/// Where records were and where they are now, in the order of where they were.
type Moves = SmallVec<[(u32, u32); 4]>;

/// A record's handle now.
fn now_at(moves: &[(u32, u32)], handle: u32) -> u32 {
    moves.binary_search_by_key(&handle, |&(old, _)| old).map_or(handle, |at| moves[at].1)
}

/// A member and its score.
#[inline]
pub(super) fn scored(member: Member<'_>) -> (f64, &[u8]) {
    (score_in(member.tail), member.name)
}

/// The same as an element with its score.
#[inline]
pub(super) fn pair_of(member: Member<'_>) -> (Element<'_>, f64) {
    (Element::Bytes(member.name), score_in(member.tail))
}

#[inline]
fn item(score: f64, handle: u32) -> Item {
    Item { prefix: image(score), handle }
}

impl ZSet {
    /// The set of these members. A sort of bare numbers orders them by the images of their scores;
    /// only what has the same image is compared.
    pub(super) fn of(members: Members<Scored>) -> ZSet {
        let key_of = |(handle, member): (u32, Member<'_>)| {
            u64::from(image(score_in(member.tail))) << 32 | u64::from(handle)
        };
        let mut keys: Vec<u64> = members.handles().map(key_of).collect();
        keys.sort_unstable();
        let member_of = |key: u64| scored(members.member(key as u32));
        for alike in keys.chunk_by_mut(|one, other| one >> 32 == other >> 32) {
            alike.sort_unstable_by(|&one, &other| order(member_of(one), member_of(other)));
        }
        let items = keys.iter().map(|&key| Item { prefix: (key >> 32) as u32, handle: key as u32 });
        ZSet { tree: Tree::from_sorted(items), members }
    }

    /// A set without members.
    #[must_use]
    pub fn new() -> ZSet {
        ZSet::default()
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.members.bytes() + self.tree.memory_bytes()
    }

    /// Asks for the memory that a look-up of this hash will read first.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.members.prefetch(hash);
    }

    /// Asks for the member itself, once that memory is here.
    #[inline]
    pub fn prefetch_record(&self, hash: u64) {
        self.members.prefetch_record(hash);
    }

    /// The score of a member.
    #[inline]
    #[must_use]
    pub fn score(&self, name: &[u8], hasher: &KeyHasher) -> Option<f64> {
        self.members.tail(hasher.hash(name), name).map(score_in)
    }

    /// How many members come before one, and its score.
    #[must_use]
    pub fn rank(&self, name: &[u8], hasher: &KeyHasher) -> Option<(usize, f64)> {
        let at = self.members.find(hasher.hash(name), name)?;
        let score = score_in(self.members.member(at.handle()).tail);
        let rank = self.tree.rank_of(item(score, at.handle()), self.before((score, name)))?;
        Some((rank, score))
    }

    fn before<'s>(&'s self, what: (f64, &'s [u8])) -> impl FnMut(u32) -> bool + 's {
        before(&self.members, what)
    }

    /// How many leading members have a score of which `order` says that it comes before `bound`.
    #[must_use]
    pub fn count_below(&self, bound: f64, included: bool) -> usize {
        self.tree.rank(image(bound), |handle| {
            let score = score_in(self.members.member(handle).tail);
            score < bound || included && score == bound
        })
    }

    /// How many leading members `before` says yes to, if it says no to all that follow.
    #[must_use]
    pub fn partition_point(&self, mut before: impl FnMut(&[u8]) -> bool) -> usize {
        self.tree.partition_point(|handle| before(self.members.member(handle).name))
    }

    /// The members of a range of ranks.
    pub(super) fn range(&self, range: Range<usize>) -> Walk<'_> {
        Walk { members: &self.members, runs: self.tree.range(range), front: &[], back: &[] }
    }

    /// Gives a member a score, as `decide` says when it is told the one that it has: `None` leaves
    /// it as it is. Returns the score before and the one decided.
    ///
    /// # Errors
    /// [`Full`] if there is no room for it; nothing has changed then.
    #[inline]
    pub fn update<E>(
        &mut self,
        name: &[u8],
        hasher: &KeyHasher,
        decide: impl FnOnce(Option<f64>) -> Result<Option<f64>, E>,
    ) -> Result<Result<Update, E>, Full> {
        let hash = hasher.hash(name);
        let found = self.members.find(hash, name);
        let old = found.map(|at| score_in(self.members.member(at.handle()).tail));
        let new = match decide(old) {
            Ok(new) => new,
            Err(error) => return Ok(Err(error)),
        };
        let Some(score) = new else { return Ok(Ok(Update { old, new })) };
        match (found, old) {
            (Some(at), Some(old)) => {
                if old != score {
                    self.rescore(at, hash, name, (old, score), hasher)?;
                }
            }
            _ => {
                let tail = Tail::of(score);
                let handle = self.members.insert(hasher, hash, name, &[tail.as_bytes()])?;
                self.tree.insert(item(score, handle), before(&self.members, (score, name)));
            }
        }
        Ok(Ok(Update { old, new }))
    }

    fn rescore(
        &mut self,
        at: At,
        hash: u64,
        name: &[u8],
        (old, score): (f64, f64),
        hasher: &KeyHasher,
    ) -> Result<(), Full> {
        let was = at.handle();
        self.tree.remove(item(old, was), before(&self.members, (old, name)));
        let (tail, mut moves) = (Tail::of(score), Moves::new());
        let moved = |old, new, _: Member<'_>| moves.push((old, new));
        let done = self.members.replace_tail(hasher, hash, at, &[tail.as_bytes()], moved);
        let (handle, score) = match done {
            Ok(handle) => (handle, score),
            Err(Full) => (was, old),
        };
        self.follow(moves, &mut []);
        self.tree.insert(item(score, handle), before(&self.members, (score, name)));
        done.map(|_| ())
    }

    /// Takes a member out; tells whether it was there.
    #[inline]
    pub fn remove(&mut self, name: &[u8], hasher: &KeyHasher) -> bool {
        let hash = hasher.hash(name);
        let Some(at) = self.members.find(hash, name) else { return false };
        let score = score_in(self.members.member(at.handle()).tail);
        self.tree.remove(item(score, at.handle()), before(&self.members, (score, name)));
        let mut moves = Moves::new();
        self.members.remove(hasher, hash, at, |old, new, _| moves.push((old, new)));
        self.follow(moves, &mut []);
        true
    }

    /// Takes the members of a range of ranks out.
    pub fn remove_range(&mut self, range: Range<usize>, hasher: &KeyHasher) {
        let end = range.end.min(self.len());
        if range.start == 0 && end == self.len() {
            *self = ZSet::new();
            return;
        }
        let mut left = end.saturating_sub(range.start);
        if left == 1 {
            return self.remove_at(range.start, hasher);
        }
        while left > 0 {
            let count = left.min(BATCH);
            let mut handles: SmallVec<[u32; BATCH]> = SmallVec::new();
            self.tree.remove_range(range.start..range.start + count, |handle| handles.push(handle));
            for nth in 0..handles.len() {
                let (done, pending) = handles.split_at_mut(nth + 1);
                self.forget(done[nth], pending, hasher);
            }
            left -= count;
        }
    }

    /// Takes the member of a rank out. At either end others are likely to follow soon: the memory
    /// that they will read is asked for.
    fn remove_at(&mut self, rank: usize, hasher: &KeyHasher) {
        let Some(item) = self.tree.remove_at(rank) else { return };
        self.forget(item.handle, &mut [], hasher);
        let last = self.len().saturating_sub(1);
        if rank == 0 {
            self.foresee(SOON, LATER, hasher);
        } else if rank > last {
            self.foresee(last.saturating_sub(SOON), last.saturating_sub(LATER), hasher);
        }
    }

    /// Asks for the place in the table of the member of one rank, whose record is here already, and
    /// for the record of another one.
    fn foresee(&self, soon: usize, later: usize, hasher: &KeyHasher) {
        if let Some(item) = self.tree.item(later) {
            self.members.prefetch_handle(item.handle);
        }
        if let Some(item) = self.tree.item(soon) {
            self.members.prefetch(hasher.hash(self.members.member(item.handle).name));
        }
    }

    /// Takes a member, which the tree holds no more, out of the table. `pending` are others of
    /// which that is true.
    fn forget(&mut self, handle: u32, pending: &mut [u32], hasher: &KeyHasher) {
        let hash = hasher.hash(self.members.member(handle).name);
        let Some(at) = self.members.find_handle(hash, handle) else { return };
        let mut moves = Moves::new();
        self.members.remove(hasher, hash, at, |old, new, _| moves.push((old, new)));
        self.follow(moves, pending);
    }

    /// Replaces the handles of records that moved: in the tree, or where they are `pending`,
    /// which the tree does not hold any more.
    fn follow(&mut self, mut moves: Moves, pending: &mut [u32]) {
        if moves.is_empty() {
            return;
        }
        moves.sort_unstable();
        for handle in pending {
            *handle = now_at(&moves, *handle);
        }
        let ZSet { members, tree } = self;
        for &(old, new) in &moves {
            let what = scored(members.member(new));
            // The tree still holds where the others were: nothing is there to be read.
            let before = |other| {
                order(scored(members.member(now_at(&moves, other))), what) == Ordering::Less
            };
            tree.replace(item(what.0, old), new, before);
        }
    }

    /// Adds a member that is not there and comes after all that are.
    pub(super) fn append(
        &mut self,
        name: &[u8],
        score: f64,
        hasher: &KeyHasher,
    ) -> Result<(), Full> {
        let (hash, tail) = (hasher.hash(name), Tail::of(score));
        let handle = self.members.insert(hasher, hash, name, &[tail.as_bytes()])?;
        self.tree.append(item(score, handle));
        Ok(())
    }
}

/// The members of a range of ranks, from either end. The memory of each is asked for some members
/// before it is its turn.
pub struct Walk<'a> {
    members: &'a Members<Scored>,
    /// What lies between the two runs.
    runs: tree::Range<'a, 127, 35>,
    /// What is left of the runs that were begun at the front and at the back.
    front: &'a [u32],
    back: &'a [u32],
}

impl<'a> Walk<'a> {
    /// Begins the next run at the front; what is left of that at the back comes last.
    #[inline]
    fn begin_front(&mut self) {
        match self.runs.next_run() {
            Some(run) => {
                self.front = run;
                run.iter().take(AHEAD).for_each(|&handle| self.members.prefetch_handle(handle));
            }
            None => self.front = std::mem::take(&mut self.back),
        }
    }

    #[inline]
    fn begin_back(&mut self) {
        match self.runs.next_back_run() {
            Some(run) => {
                self.back = run;
                let soon = run.iter().rev().take(AHEAD);
                soon.for_each(|&handle| self.members.prefetch_handle(handle));
            }
            None => self.back = std::mem::take(&mut self.front),
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = (Element<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<(Element<'a>, f64)> {
        if self.front.is_empty() {
            self.begin_front();
        }
        let (&handle, rest) = self.front.split_first()?;
        self.front = rest;
        if let Some(&soon) = rest.get(AHEAD - 1) {
            self.members.prefetch_handle(soon);
        }
        Some(pair_of(self.members.member(handle)))
    }
}

impl<'a> DoubleEndedIterator for Walk<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<(Element<'a>, f64)> {
        if self.back.is_empty() {
            self.begin_back();
        }
        let (&handle, rest) = self.back.split_last()?;
        self.back = rest;
        if let Some(&soon) = rest.len().checked_sub(AHEAD).and_then(|at| rest.get(at)) {
            self.members.prefetch_handle(soon);
        }
        Some(pair_of(self.members.member(handle)))
    }
}

/// Says of handles whether their members come before one.
fn before<'s>(members: &'s Members<Scored>, what: (f64, &'s [u8])) -> impl FnMut(u32) -> bool + 's {
    move |handle| order(scored(members.member(handle)), what) == Ordering::Less
}

/// What became of a member: the score that it had, and the one that was decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// `None`: it was not there.
    pub old: Option<f64>,
    /// `None`: it was left as it was.
    pub new: Option<f64>,
}

impl Update {
    /// Whether the member was added.
    #[must_use]
    pub fn is_added(&self) -> bool {
        self.old.is_none() && self.new.is_some()
    }

    /// Whether the member has another score now.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.old.is_some() && self.new.is_some_and(|new| self.old != Some(new))
    }
}

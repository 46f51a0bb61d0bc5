//! Sorted sets: members with scores, packed while they are few and short, a table and a tree when
//! large.
//!
//! Members are in the order of their scores, and of their bytes where scores are equal. Whatever
//! part of a set is asked for, by rank, by score or by bytes, is a range of ranks.
//!
//! # Layout
//!
//! ```text
//! small   count: u16 LE | member score member score ...    in order, see `entries`
//!         score: the integer that it is, or 8 bytes of a double, LE
//! large   members whose tail is the score, see `score`; a tree of their handles in order
//! ```
//!
//! Which of them a set is follows from what came into it and from [`Limits`]; it becomes large and
//! never small again.
//!
//! # Invariants
//!
//! 1. No member is there twice, and no score is NaN.
//! 2. A small set has at most 65,535 members, whatever the limits say.
//! 3. The table and the tree of a large set hold the same handles.

mod big;
mod gathered;
pub mod packed;
mod score;

use std::ops::Range;

use dash::Cursor;
use smallvec::SmallVec;

pub use self::big::{Update, Walk, ZSet};
pub use self::gathered::Gathered;
pub use self::packed::Patch;
use self::score::order;
use crate::KeyHasher;
use crate::entries::{self, Digits, Element, Entries};
use crate::heap::Full;

/// From when on a set is large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most members of a small set.
    pub entries_max: usize,
    /// The longest member of one.
    pub text_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { entries_max: 128, text_max: 64 }
    }
}

impl Limits {
    /// Whether a small set may have so many members.
    #[must_use]
    pub fn take(&self, count: usize) -> bool {
        count <= self.entries_max.min(usize::from(u16::MAX))
    }

    /// Whether a small set may have such a member.
    #[must_use]
    pub fn takes_text(&self, name: &[u8]) -> bool {
        name.len() <= self.text_max
    }
}

/// A sorted set, to be read.
#[derive(Clone, Copy)]
pub enum ZSetRef<'a> {
    /// Members and scores in turn, and how many of either.
    Packed(Entries<'a>, usize),
    /// A large set, and the hash its members are found by.
    Big(&'a ZSet, &'a KeyHasher),
}

/// A member and its score.
pub type Pair<'a> = (Element<'a>, f64);

impl<'a> ZSetRef<'a> {
    /// A small set.
    #[inline]
    #[must_use]
    pub fn packed(bytes: &'a [u8]) -> ZSetRef<'a> {
        match bytes {
            [low, high, rest @ ..] => {
                ZSetRef::Packed(Entries::new(rest), usize::from(u16::from_le_bytes([*low, *high])))
            }
            _ => ZSetRef::Packed(Entries::new(&[]), 0),
        }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            ZSetRef::Packed(_, count) => *count,
            ZSetRef::Big(set, _) => set.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    #[inline]
    #[must_use]
    pub fn score(&self, name: &[u8]) -> Option<f64> {
        match self {
            ZSetRef::Packed(entries, _) => {
                let found = entries.find(name, 2)?;
                Some(packed::score_of(entries.next(found.end)?.0))
            }
            ZSetRef::Big(set, hasher) => set.score(name, hasher),
        }
    }

    /// The score of a member of another collection.
    #[must_use]
    pub fn score_of(&self, element: Element<'_>) -> Option<f64> {
        self.score(element.to_text(&mut Digits::new()))
    }

    /// How many members come before one, and its score.
    #[must_use]
    pub fn rank(&self, name: &[u8]) -> Option<(usize, f64)> {
        match self {
            ZSetRef::Packed(..) => {
                let mut found = self.iter().enumerate();
                let (rank, (_, score)) = found.find(|(_, (element, _))| *element == *name)?;
                Some((rank, score))
            }
            ZSetRef::Big(set, hasher) => set.rank(name, hasher),
        }
    }

    /// How many members have a score below a bound, or `included` in it.
    #[must_use]
    pub fn count_below(&self, bound: f64, included: bool) -> usize {
        match self {
            ZSetRef::Packed(..) => {
                let is_below = |score| score < bound || included && score == bound;
                self.iter().take_while(|&(_, score)| is_below(score)).count()
            }
            ZSetRef::Big(set, _) => set.count_below(bound, included),
        }
    }

    /// How many leading members `before` says yes to, if it says no to all that follow.
    #[must_use]
    pub fn partition_point(&self, mut before: impl FnMut(&[u8]) -> bool) -> usize {
        match self {
            ZSetRef::Packed(..) => {
                let is_before = |(name, _): &Pair<'_>| before(name.to_text(&mut Digits::new()));
                self.iter().take_while(is_before).count()
            }
            ZSetRef::Big(set, _) => set.partition_point(before),
        }
    }

    /// All members with their scores, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'a> {
        self.range(0..self.len())
    }

    /// All members with their scores, in any order: those of a large set as they lie in memory.
    pub fn unordered(&self) -> impl Iterator<Item = Pair<'a>> + use<'a> {
        let (small, large) = match self {
            ZSetRef::Packed(..) => (Some(self.iter()), None),
            ZSetRef::Big(set, _) => (None, Some(set.members.iter().map(big::pair_of))),
        };
        small.into_iter().flatten().chain(large.into_iter().flatten())
    }

    /// The members of a range of ranks, from either end.
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> Iter<'a> {
        match self {
            ZSetRef::Packed(entries, count) => {
                let end = range.end.min(*count);
                let start = range.start.min(end);
                let from = entries.start_of(2 * start).unwrap_or(0);
                let behind = match end == *count {
                    true => entries.as_bytes().len(),
                    false => entries.start_of(2 * end).unwrap_or(from),
                };
                let bytes = entries.as_bytes().get(from..behind).unwrap_or_default();
                Iter::Packed(Entries::new(bytes).iter())
            }
            ZSetRef::Big(set, _) => Iter::Big(set.range(range)),
        }
    }

    /// The member with so many before it.
    #[must_use]
    pub fn nth(&self, rank: usize) -> Option<Pair<'a>> {
        self.range(rank..rank.checked_add(1)?).next()
    }

    /// Meets the members of one place of a large set's table, as
    /// [`crate::members::Members::scan`] does; a small set is met at once.
    pub fn scan(&self, cursor: Cursor, mut meet: impl FnMut(Pair<'_>)) -> Option<Cursor> {
        match self {
            ZSetRef::Big(set, hasher) => set.members.scan(cursor, hasher, |member| {
                let (score, name) = big::scored(member);
                meet((Element::Bytes(name), score));
            }),
            small => {
                small.iter().for_each(meet);
                None
            }
        }
    }

    /// The same members in a large set.
    ///
    /// # Errors
    /// [`Full`] if it cannot hold so many.
    pub fn to_big(self, hasher: &KeyHasher) -> Result<ZSet, Full> {
        let mut set = ZSet::new();
        for (name, score) in self.iter() {
            set.append(name.to_text(&mut Digits::new()), score, hasher)?;
        }
        Ok(set)
    }
}

/// Members in order, from either end; made by [`ZSetRef::range`].
pub enum Iter<'a> {
    /// Of a small set.
    Packed(entries::Iter<'a>),
    /// Of a large one.
    Big(Walk<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        match self {
            Iter::Packed(entries) => Some((entries.next()?, packed::score_of(entries.next()?))),
            Iter::Big(walk) => walk.next(),
        }
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Pair<'a>> {
        match self {
            Iter::Packed(entries) => {
                let score = packed::score_of(entries.next_back()?);
                Some((entries.next_back()?, score))
            }
            Iter::Big(walk) => walk.next_back(),
        }
    }
}

/// Counts members that were added to a small set, or taken out of it.
pub fn count(bytes: &mut [u8], change: i16) {
    if let [low, high, ..] = bytes {
        let count = u16::from_le_bytes([*low, *high]).wrapping_add_signed(change);
        [*low, *high] = count.to_le_bytes();
    }
}

/// A member of a set that is being made.
pub type Name = SmallVec<[u8; 24]>;

/// A sorted set that was made outside any record.
pub enum NewZSet {
    /// A small one.
    Packed(Vec<u8>),
    /// A large one.
    Big(Box<ZSet>),
}

impl NewZSet {
    /// The set of these members, none of which is there twice.
    ///
    /// # Errors
    /// [`Full`] if it cannot hold so many.
    pub fn of(
        mut pairs: Vec<(Name, f64)>,
        limits: &Limits,
        hasher: &KeyHasher,
    ) -> Result<NewZSet, Full> {
        sort(&mut pairs);
        if limits.take(pairs.len()) && pairs.iter().all(|(name, _)| limits.takes_text(name)) {
            let mut bytes = Patch::from_slice(&(pairs.len() as u16).to_le_bytes());
            pairs.iter().for_each(|(name, score)| packed::put_member(name, *score, &mut bytes));
            return Ok(NewZSet::Packed(bytes.into_vec()));
        }
        let mut set = ZSet::new();
        for (name, score) in &pairs {
            set.append(name, *score, hasher)?;
        }
        Ok(NewZSet::Big(Box::new(set)))
    }
}

impl NewZSet {
    /// The set, to be read.
    #[must_use]
    pub fn as_ref<'a>(&'a self, hasher: &'a KeyHasher) -> ZSetRef<'a> {
        match self {
            NewZSet::Packed(bytes) => ZSetRef::packed(bytes),
            NewZSet::Big(set) => ZSetRef::Big(set, hasher),
        }
    }
}

/// Brings members into the order of a sorted set.
pub fn sort(pairs: &mut [(Name, f64)]) {
    pairs.sort_unstable_by(|one, other| order((one.1, &one.0), (other.1, &other.0)));
}

#[cfg(test)]
mod tests;

//! A small sorted set: members and scores in turn, in order.

use std::cmp::Ordering;
use std::ops::Range;

use smallvec::SmallVec;

use super::score::order;
use super::{Limits, ZSetRef};
use crate::entries::{Digits, Element, Encoded, Entries};

/// Bytes of the count before the members.
pub(super) const HEAD_BYTES: usize = 2;

/// Bytes of a packed member, or several.
pub type Patch = SmallVec<[u8; 96]>;

/// The score that an element is.
#[inline]
pub(super) fn score_of(element: Element<'_>) -> f64 {
    match element {
        Element::Int(int) => int as f64,
        Element::Bytes(bits) => bits.try_into().map_or(0.0, f64::from_le_bytes),
    }
}

/// Appends a score.
pub(super) fn put_score(score: f64, to: &mut Patch) {
    const INTEGERS: Range<f64> = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    let integer = score as i64;
    if INTEGERS.contains(&score) && integer as f64 == score {
        Encoded::int(integer).append_to(to);
    } else {
        Encoded::bytes(&score.to_le_bytes()).append_to(to);
    }
}

/// Appends a member and its score.
pub(super) fn put_member(name: &[u8], score: f64, to: &mut Patch) {
    Encoded::of(name).append_to(to);
    put_score(score, to);
}

/// The bytes of a small set of one member; `None` if only a large one can hold it.
#[must_use]
pub fn of_one(name: &[u8], score: f64, limits: &Limits) -> Option<Patch> {
    if !limits.take(1) || !limits.takes_text(name) {
        return None;
    }
    let mut bytes = SmallVec::from_slice(&1_u16.to_le_bytes());
    put_member(name, score, &mut bytes);
    Some(bytes)
}

/// A member in a small set.
pub struct Found {
    /// Where the member and its score lie.
    pub range: Range<usize>,
    /// Its score.
    pub score: f64,
}

/// Looks a member up.
#[inline]
#[must_use]
pub fn find(bytes: &[u8], name: &[u8]) -> Option<Found> {
    let ZSetRef::Packed(entries, _) = ZSetRef::packed(bytes) else { return None };
    let at = entries.find(name, 2)?;
    let (score, end) = entries.next(at.end)?;
    Some(Found { range: at.start + HEAD_BYTES..end + HEAD_BYTES, score: score_of(score) })
}

/// Whether a small set takes a member that is not there yet.
#[must_use]
pub fn takes(bytes: &[u8], name: &[u8], limits: &Limits) -> bool {
    limits.take(ZSetRef::packed(bytes).len() + 1) && limits.takes_text(name)
}

/// Where a member with this score belongs, if it is not there yet.
fn place(bytes: &[u8], name: &[u8], score: f64) -> usize {
    let entries = Entries::new(bytes.get(HEAD_BYTES..).unwrap_or_default());
    let mut at = 0;
    while let Some((other, scored_at)) = entries.next(at)
        && let Some((others, end)) = entries.next(scored_at)
    {
        let others = score_of(others);
        // Members are looked at only where scores are equal.
        let is_before =
            others < score || others == score && other.to_text(&mut Digits::new()) < name;
        if !is_before {
            break;
        }
        at = end;
    }
    at + HEAD_BYTES
}

/// What is to be put where, to add a member, which then is to be counted ([`super::count`]).
#[must_use]
pub fn insert(bytes: &[u8], name: &[u8], score: f64) -> (Range<usize>, Patch) {
    let (at, mut patch) = (place(bytes, name, score), Patch::new());
    put_member(name, score, &mut patch);
    (at..at, patch)
}

/// What is to be put where, to give a member another score.
#[must_use]
pub fn rescore(bytes: &[u8], found: &Found, name: &[u8], score: f64) -> (Range<usize>, Patch) {
    let own = found.range.clone();
    let mut patch = Patch::new();
    let to = place(bytes, name, score);
    // Nearer than itself: it may be counted as one that comes before itself.
    if to < own.start {
        put_member(name, score, &mut patch);
        patch.extend_from_slice(&bytes[to..own.start]);
        (to..own.end, patch)
    } else if to > own.end {
        patch.extend_from_slice(&bytes[own.end..to]);
        put_member(name, score, &mut patch);
        (own.start..to, patch)
    } else {
        put_member(name, score, &mut patch);
        (own, patch)
    }
}

/// Where the members of a range of ranks lie.
#[must_use]
pub fn range_of(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let ZSetRef::Packed(entries, count) = ZSetRef::packed(bytes) else { return 0..0 };
    let start = entries.start_of(2 * range.start.min(count)).unwrap_or(0);
    let end = entries.start_of(2 * range.end.min(count)).unwrap_or(start);
    start + HEAD_BYTES..end.max(start) + HEAD_BYTES
}

/// Whether members are in order and none is there twice: bytes from elsewhere may not be.
#[must_use]
pub fn is_ordered(bytes: &[u8]) -> bool {
    let mut last: Option<(f64, Vec<u8>)> = None;
    for (name, score) in ZSetRef::packed(bytes).iter() {
        let mut digits = Digits::new();
        let next = (score, name.to_text(&mut digits));
        if score.is_nan()
            || last.as_ref().is_some_and(|(a, b)| order((*a, b), next) != Ordering::Less)
        {
            return false;
        }
        last = Some((score, next.1.to_vec()));
    }
    true
}

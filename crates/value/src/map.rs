//! Hashes: fields and values, packed while they are few and short, a table of fields when large.
//!
//! # Layout
//!
//! ```text
//! small   count: u16 LE | field value field value ...    (see `entries`)
//! large   members whose tail is: [0xf1 | deadline: 6 bytes LE] | length: u8 below 0xf0, or 0xf0
//!         and u32 LE | value
//! ```
//!
//! A deadline is a moment in ms, the last that sees the field. Only large hashes have fields with
//! deadlines; what is asked is asked as of a moment, and fields whose deadline has passed are not
//! there any more, whether or not they were removed.
//!
//! Which of them a hash is follows from what came into it and from [`Limits`]; it becomes large and
//! never small again.
//!
//! # Invariants
//!
//! 1. No field is there twice.
//! 2. A small hash has at most 65,535 fields, whatever the limits say.
//! 3. The segments of a large hash's table know a moment before which no deadline of theirs has
//!    passed.

use dash::Cursor;
use smallvec::SmallVec;

use crate::KeyHasher;
use crate::entries::{self, Digits, Element, Encoded, Entries};
use crate::heap::Full;
use crate::members::{self, Layout, Member};
use crate::set::Step;

mod big;

pub use big::{Map, Until};

/// Bytes of the count before the fields of a small hash.
const HEAD_BYTES: usize = 2;

/// The first byte of a value longer than a byte can say.
const WIDE: u8 = 0xf0;

/// The first byte of a tail that begins with a deadline.
const DATED: u8 = 0xf1;

/// Bytes of a deadline and of the byte before it.
const DATE_BYTES: usize = 7;

/// The last moment that a field can be kept to.
pub const DEADLINE_MAX: u64 = (1 << 48) - 1;

/// Segments of a table that one step of [`Map::remove_due`] looks at.
const LOOKS_MAX: usize = 4;

/// How often a field is drawn before fields that are there are looked for.
const DRAWS_MAX: usize = 16;

/// The tail of a field: its value.
#[derive(Clone, Copy, Debug)]
pub struct Valued;

impl Layout for Valued {
    #[inline]
    fn tail_len(bytes: &[u8]) -> usize {
        match bytes {
            [DATED, _, _, _, _, _, _, rest @ ..] => DATE_BYTES + plain_len(rest),
            plain => plain_len(plain),
        }
    }
}

#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    match bytes {
        [WIDE, a, b, c, d, ..] => 5 + u32::from_le_bytes([*a, *b, *c, *d]) as usize,
        [len, ..] => 1 + usize::from(*len),
        [] => 0,
    }
}

/// The deadline and the value in a tail.
#[inline]
fn parts_of(tail: &[u8]) -> (Option<u64>, &[u8]) {
    let (deadline, plain) = match tail {
        [DATED, a, b, c, d, e, f, plain @ ..] => {
            (Some(u64::from_le_bytes([*a, *b, *c, *d, *e, *f, 0, 0])), plain)
        }
        plain => (None, plain),
    };
    match plain {
        [WIDE, _, _, _, _, value @ ..] | [_, value @ ..] => (deadline, value),
        [] => (deadline, &[]),
    }
}

/// Whether a field with this deadline is still there.
#[inline]
fn is_live(deadline: Option<u64>, now: u64) -> bool {
    deadline.is_none_or(|deadline| deadline >= now)
}

/// What stands before the length of a value that has a deadline.
#[inline]
fn date_of(deadline: Option<u64>) -> SmallVec<[u8; 8]> {
    let Some(deadline) = deadline else { return SmallVec::new() };
    let [a, b, c, d, e, f, ..] = deadline.min(DEADLINE_MAX).to_le_bytes();
    SmallVec::from_slice(&[DATED, a, b, c, d, e, f])
}

/// What stands before a value in its tail.
#[inline]
fn length_of(value: &[u8]) -> SmallVec<[u8; 5]> {
    match u8::try_from(value.len()) {
        Ok(len) if len < WIDE => SmallVec::from_slice(&[len]),
        _ => {
            let len = (value.len() as u32).to_le_bytes();
            SmallVec::from_slice(&[WIDE, len[0], len[1], len[2], len[3]])
        }
    }
}

/// From when on a hash is large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most fields of a small hash.
    pub entries_max: usize,
    /// The longest field or value of one.
    pub text_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { entries_max: 512, text_max: 64 }
    }
}

impl Limits {
    /// Whether a small hash may have so many fields.
    #[must_use]
    pub fn take(&self, count: usize) -> bool {
        count <= self.entries_max.min(usize::from(u16::MAX))
    }

    fn take_texts(&self, field: &[u8], value: &[u8]) -> bool {
        field.len().max(value.len()) <= self.text_max
    }
}

/// A hash, to be read.
#[derive(Clone, Copy)]
pub enum MapRef<'a> {
    /// Fields and values in turn, and how many of either.
    Packed(Entries<'a>, usize),
    /// A large hash, the hash its fields are found by, and what time it is.
    Big(&'a Map, &'a KeyHasher, u64),
}

/// A field and its value.
pub type Pair<'a> = (Element<'a>, Element<'a>);

impl<'a> MapRef<'a> {
    /// A small hash.
    #[inline]
    #[must_use]
    pub fn packed(bytes: &'a [u8]) -> MapRef<'a> {
        match bytes {
            [low, high, rest @ ..] => {
                MapRef::Packed(Entries::new(rest), usize::from(u16::from_le_bytes([*low, *high])))
            }
            _ => MapRef::Packed(Entries::new(&[]), 0),
        }
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            MapRef::Packed(_, count) => *count,
            MapRef::Big(map, _, now) => map.len(*now),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            MapRef::Packed(_, count) => *count == 0,
            MapRef::Big(map, _, now) => !map.has_live(*now),
        }
    }

    /// The deadline of a field, if it has one; `None` if there is no such field.
    #[must_use]
    pub fn deadline(&self, field: &[u8]) -> Option<Option<u64>> {
        match self {
            MapRef::Packed(entries, _) => entries.find(field, 2).map(|_| None),
            MapRef::Big(map, hasher, now) => map.get(field, *now, hasher).map(|found| found.0),
        }
    }

    /// The value of a field.
    #[inline]
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<Element<'a>> {
        match self {
            MapRef::Packed(entries, _) => {
                let found = entries.find(field, 2)?;
                Some(entries.next(found.end)?.0)
            }
            MapRef::Big(map, hasher, now) => {
                map.get(field, *now, hasher).map(|(_, value)| Element::Bytes(value))
            }
        }
    }

    /// Whether a field is still held whose deadline has passed.
    #[must_use]
    pub fn has_lapsed(&self, field: &[u8]) -> bool {
        match self {
            MapRef::Packed(..) => false,
            MapRef::Big(map, hasher, now) => map.has_lapsed(field, *now, hasher),
        }
    }

    /// All fields with their values.
    #[must_use]
    pub fn iter(&self) -> Iter<'a> {
        match self {
            MapRef::Packed(entries, _) => Iter::Packed(entries.iter()),
            MapRef::Big(map, _, now) => Iter::Big(map.members.iter(), *now),
        }
    }

    /// All fields with their values and deadlines.
    pub fn iter_dated(&self) -> impl Iterator<Item = (Element<'a>, Element<'a>, Option<u64>)> {
        let (packed, big) = match self {
            MapRef::Packed(..) => (Some(self.iter()), None),
            MapRef::Big(map, _, now) => (None, Some((map.members.iter(), *now))),
        };
        let packed = packed.into_iter().flatten().map(|(field, value)| (field, value, None));
        let big = big.into_iter().flat_map(|(members, now)| {
            members.filter_map(move |Member { name, tail }| {
                let (deadline, value) = parts_of(tail);
                is_live(deadline, now).then_some((
                    Element::Bytes(name),
                    Element::Bytes(value),
                    deadline,
                ))
            })
        });
        packed.chain(big)
    }

    /// The earliest deadline of a field, if one has a deadline.
    #[must_use]
    pub fn earliest(&self) -> Option<u64> {
        match self {
            MapRef::Packed(..) => None,
            MapRef::Big(map, _, now) => map.earliest(*now),
        }
    }

    /// Some field and its value, chosen by `chance` (any 64 random bits).
    #[must_use]
    pub fn random(&self, chance: u64) -> Option<Pair<'a>> {
        match self {
            MapRef::Packed(entries, count) => {
                let index = usize::try_from(chance % (*count).max(1) as u64).ok()?;
                let (field, range) = entries.nth(2 * index)?;
                Some((field, entries.next(range.end)?.0))
            }
            MapRef::Big(map, _, now) => map.random(chance, *now).map(pair_of),
        }
    }

    /// Meets the fields of one place, as [`members::Members::scan`] does; a small hash is met at
    /// once.
    pub fn scan(&self, cursor: Cursor, mut meet: impl FnMut(Pair<'_>)) -> Option<Cursor> {
        match self {
            MapRef::Big(map, hasher, now) => map.members.scan(cursor, hasher, |member| {
                if is_live(parts_of(member.tail).0, *now) {
                    meet(pair_of(member));
                }
            }),
            small => {
                small.iter().for_each(meet);
                None
            }
        }
    }

    /// The same fields in a large hash.
    ///
    /// # Errors
    /// [`Full`] if it cannot hold so many.
    pub fn to_big(self, hasher: &KeyHasher) -> Result<Map, Full> {
        let mut map = Map::new();
        for (field, value) in self.iter() {
            let (mut digits, mut others) = (Digits::new(), Digits::new());
            let (field, value) = (field.to_text(&mut digits), value.to_text(&mut others));
            map.set(field, value, Until::Never, 0, hasher)?;
        }
        Ok(map)
    }
}

fn pair_of(member: Member<'_>) -> Pair<'_> {
    (Element::Bytes(member.name), Element::Bytes(parts_of(member.tail).1))
}

/// All fields with their values; made by [`MapRef::iter`].
pub enum Iter<'a> {
    /// Of a small hash.
    Packed(entries::Iter<'a>),
    /// Of a large one, and what time it is.
    Big(members::Iter<'a, Valued>, u64),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        match self {
            Iter::Packed(entries) => Some((entries.next()?, entries.next()?)),
            Iter::Big(members, now) => {
                members.find(|member| is_live(parts_of(member.tail).0, *now)).map(pair_of)
            }
        }
    }
}

/// The bytes of a small hash of one field; `None` if only a large one can hold it.
#[must_use]
pub fn of_one(field: &[u8], value: &[u8], limits: &Limits) -> Option<SmallVec<[u8; 96]>> {
    if !limits.take(1) || !limits.take_texts(field, value) {
        return None;
    }
    let mut bytes = SmallVec::from_slice(&1_u16.to_le_bytes());
    entries::encode(&mut bytes, field);
    entries::encode(&mut bytes, value);
    Some(bytes)
}

/// Sets a field of a small hash. What is to be done, and whether the field is new: then it is to be
/// counted ([`count`]).
#[must_use]
pub fn set(bytes: &[u8], field: &[u8], value: &[u8], limits: &Limits) -> (Step, bool) {
    let MapRef::Packed(entries, count) = MapRef::packed(bytes) else {
        return (Step::Grow, false);
    };
    let found = entries.find(field, 2);
    if !limits.take_texts(field, value) || found.is_none() && !limits.take(count + 1) {
        return (Step::Grow, found.is_none());
    }
    let mut patch = SmallVec::new();
    match found {
        None => {
            entries::encode(&mut patch, field);
            entries::encode(&mut patch, value);
            (Step::Splice(bytes.len()..bytes.len(), patch), true)
        }
        Some(field) => {
            let Some((_, end)) = entries.next(field.end) else { return (Step::Nothing, false) };
            Encoded::of(value).append_to(&mut patch);
            (Step::Splice(field.end + HEAD_BYTES..end + HEAD_BYTES, patch), false)
        }
    }
}

/// Takes a field out of a small hash, which is to be counted ([`count`]).
#[must_use]
pub fn remove(bytes: &[u8], field: &[u8]) -> Step {
    let MapRef::Packed(entries, _) = MapRef::packed(bytes) else { return Step::Grow };
    let range = entries.find(field, 2).and_then(|field| {
        let (_, end) = entries.next(field.end)?;
        Some(field.start + HEAD_BYTES..end + HEAD_BYTES)
    });
    range.map_or(Step::Nothing, |range| Step::Splice(range, SmallVec::new()))
}

/// Counts a field that was added to a small hash (`1`) or taken out of it (`-1`).
pub fn count(bytes: &mut [u8], change: i16) {
    if let [low, high, ..] = bytes {
        let count = u16::from_le_bytes([*low, *high]).wrapping_add_signed(change);
        [*low, *high] = count.to_le_bytes();
    }
}

/// A hash that is being made, outside any record.
pub enum NewMap {
    /// A small one; no bytes: no fields.
    Packed(Vec<u8>),
    /// A large one.
    Big(Box<Map>),
}

impl NewMap {
    /// A hash without fields.
    #[must_use]
    pub fn new() -> NewMap {
        NewMap::Packed(Vec::new())
    }

    /// A large hash without fields.
    #[must_use]
    pub fn large() -> NewMap {
        NewMap::Big(Box::default())
    }

    /// The hash, to be read.
    #[must_use]
    pub fn as_ref<'a>(&'a self, hasher: &'a KeyHasher) -> MapRef<'a> {
        match self {
            NewMap::Packed(bytes) => MapRef::packed(bytes),
            NewMap::Big(map) => MapRef::Big(map, hasher, 0),
        }
    }

    /// Sets a field; tells whether it is new.
    ///
    /// # Errors
    /// [`Full`] if it cannot hold so many.
    pub fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        limits: &Limits,
        hasher: &KeyHasher,
    ) -> Result<bool, Full> {
        let bytes = match self {
            NewMap::Big(map) => {
                map.outgrow(field, value, limits);
                return map.set(field, value, Until::Never, 0, hasher);
            }
            NewMap::Packed(bytes) => bytes,
        };
        if bytes.is_empty()
            && let Some(one) = of_one(field, value, limits)
        {
            bytes.extend_from_slice(&one);
            return Ok(true);
        }
        match set(bytes, field, value, limits) {
            (Step::Splice(range, patch), is_new) => {
                bytes.splice(range, patch);
                if is_new {
                    count(bytes, 1);
                }
                Ok(is_new)
            }
            _ => {
                let mut map = MapRef::packed(bytes).to_big(hasher)?;
                let is_new = map.set(field, value, Until::Never, 0, hasher)?;
                *self = NewMap::Big(Box::new(map));
                Ok(is_new)
            }
        }
    }

    /// Gives a field that is there a deadline, for which the hash becomes a large one.
    ///
    /// # Errors
    /// [`Full`] if it cannot hold so many.
    pub fn set_deadline(
        &mut self,
        field: &[u8],
        deadline: u64,
        hasher: &KeyHasher,
    ) -> Result<(), Full> {
        if let NewMap::Packed(bytes) = self {
            let map = MapRef::packed(bytes).to_big(hasher)?.compact();
            *self = NewMap::Big(Box::new(map));
        }
        if let NewMap::Big(map) = self {
            map.set_deadline(field, Some(deadline), hasher)?;
        }
        Ok(())
    }
}

impl Default for NewMap {
    fn default() -> NewMap {
        NewMap::new()
    }
}

#[cfg(test)]
mod tests;

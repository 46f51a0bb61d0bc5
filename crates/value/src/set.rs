//! Sets: integers or packed elements while they are small, a table of members when large.
//!
//! # Layout
//!
//! ```text
//! small, integers only   width: 2, 4 or 8 | integers, rising            (see `intset`)
//! small                  0 | count: u16 LE | element element ...        (see `entries`)
//! large                  members without a tail                         (see `members`)
//! with deadlines         the fields of a hash whose values are empty    (see `map`)
//! ```
//!
//! Which of them a set is follows from what came into it and from [`Limits`]; it becomes larger,
//! never smaller again. Only where members have, or had, deadlines of their own is it the last of
//! them: no other set pays for those. A member is there up to its deadline, as a field of a
//! hash is.
//!
//! # Invariants
//!
//! 1. No member is there twice.
//! 2. A small set of elements has at most 65,535 of them, whatever the limits say.

use std::ops::Range;

use dash::Cursor;
use smallvec::SmallVec;

use crate::KeyHasher;
use crate::entries::{self, Digits, Element, Encoded, Entries};
use crate::heap::Full;
use crate::intset::{self, Edit, IntSet};
use crate::map::{self, Map, MapRef, Until};
use crate::members::{self, Bare, Members};

/// A large set whose members have no deadlines.
pub type Set = Members<Bare>;

/// How many elements are looked up together at most.
pub const BLOCK: usize = u32::BITS as usize;

/// How a small set of elements begins.
const TAG: u8 = 0;
const HEAD_BYTES: usize = 3;

/// From when on a set is large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most integers of a set of integers.
    pub ints_max: usize,
    /// The most members of another small set.
    pub entries_max: usize,
    /// The longest member of such a one.
    pub text_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { ints_max: 512, entries_max: 128, text_max: 64 }
    }
}

impl Limits {
    fn take_ints(&self, count: usize) -> bool {
        count <= self.ints_max
    }

    fn take_entries(&self, count: usize, text_len: usize) -> bool {
        count <= self.entries_max.min(usize::from(u16::MAX)) && text_len <= self.text_max
    }
}

/// What is to be done to the bytes of a small set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the member is there already, or is not there.
    Nothing,
    /// Other bytes are to be put in the place of these.
    Splice(Range<usize>, SmallVec<[u8; 96]>),
    /// The bytes are others altogether.
    Whole(Vec<u8>),
    /// The set is to become a large one first.
    Grow,
}

/// A set, to be read.
#[derive(Clone, Copy)]
pub enum SetRef<'a> {
    /// Integers.
    Ints(IntSet<'a>),
    /// Elements, and how many.
    Entries(Entries<'a>, usize),
    /// A large set, and the hash its members are found by.
    Big(&'a Set, &'a KeyHasher),
    /// A set of members with deadlines, the hash they are found by, and what time it is.
    Dated(&'a Map, &'a KeyHasher, u64),
}

impl<'a> SetRef<'a> {
    /// A small set.
    #[inline]
    #[must_use]
    pub fn packed(bytes: &'a [u8]) -> SetRef<'a> {
        match bytes {
            [TAG, low, high, rest @ ..] => {
                SetRef::Entries(Entries::new(rest), usize::from(u16::from_le_bytes([*low, *high])))
            }
            _ => SetRef::Ints(IntSet::new(bytes)),
        }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            SetRef::Ints(ints) => ints.len(),
            SetRef::Entries(_, count) => *count,
            SetRef::Big(set, _) => set.len(),
            SetRef::Dated(map, hasher, now) => MapRef::Big(map, hasher, *now).len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            SetRef::Dated(map, hasher, now) => MapRef::Big(map, hasher, *now).is_empty(),
            other => other.len() == 0,
        }
    }

    /// The deadline of a member, if it has one; `None` if there is no such member.
    #[must_use]
    pub fn deadline(&self, text: &[u8]) -> Option<Option<u64>> {
        match self {
            SetRef::Dated(map, hasher, now) => MapRef::Big(map, hasher, *now).deadline(text),
            other => other.contains(text).then_some(None),
        }
    }

    /// Whether this is a member.
    #[inline]
    #[must_use]
    pub fn contains(&self, text: &[u8]) -> bool {
        match self {
            SetRef::Ints(ints) => {
                entries::parse_integer(text).is_some_and(|int| ints.contains(int))
            }
            SetRef::Entries(entries, _) => entries.find(text, 1).is_some(),
            SetRef::Big(set, hasher) => set.contains(hasher.hash(text), text),
            SetRef::Dated(map, hasher, now) => MapRef::Big(map, hasher, *now).get(text).is_some(),
        }
    }

    /// [`SetRef::contains`] of an element.
    #[must_use]
    pub fn contains_element(&self, element: Element<'_>) -> bool {
        match (self, element) {
            (SetRef::Ints(ints), Element::Int(int)) => ints.contains(int),
            // Of a large set, integers come as texts, too.
            (_, Element::Bytes(text)) => self.contains(text),
            _ => self.contains(element.to_text(&mut Digits::new())),
        }
    }

    /// Which of at most [`BLOCK`] elements are members: bit `i` stands for the `i`th. The memory
    /// that the look-ups read is asked for beforehand, for all of them.
    #[must_use]
    pub fn contains_each(&self, elements: &[Element<'_>]) -> u32 {
        let mut hashes: SmallVec<[u64; BLOCK]> = SmallVec::new();
        if let SetRef::Big(set, hasher) = self {
            let hash_of = |element: &Element<'_>| hasher.hash(element.to_text(&mut Digits::new()));
            hashes.extend(elements.iter().map(hash_of));
            set.prefetch_all(&hashes);
        }
        let is_member = |nth: usize, element: Element<'_>| match self {
            SetRef::Big(set, _) => set.contains(hashes[nth], element.to_text(&mut Digits::new())),
            small => small.contains_element(element),
        };
        let bits = elements.iter().enumerate();
        bits.fold(0, |bits, (nth, element)| bits | u32::from(is_member(nth, *element)) << nth)
    }

    /// All members.
    #[must_use]
    pub fn iter(&self) -> Iter<'a> {
        match self {
            SetRef::Ints(ints) => Iter::Ints(ints.iter()),
            SetRef::Entries(entries, _) => Iter::Entries(entries.iter()),
            SetRef::Big(set, _) => Iter::Big(set.iter()),
            SetRef::Dated(map, hasher, now) => Iter::Dated(MapRef::Big(map, hasher, *now).iter()),
        }
    }

    /// Some member, chosen by `chance` (any 64 random bits).
    #[must_use]
    pub fn random(&self, chance: u64) -> Option<Element<'a>> {
        let index = |len: usize| usize::try_from(chance % len.max(1) as u64).ok();
        match self {
            SetRef::Ints(ints) => ints.get(index(ints.len())?).map(Element::Int),
            SetRef::Entries(entries, count) => {
                entries.nth(index(*count)?).map(|(element, _)| element)
            }
            SetRef::Big(set, _) => set.random(chance).map(|member| Element::Bytes(member.name)),
            SetRef::Dated(map, hasher, now) => {
                MapRef::Big(map, hasher, *now).random(chance).map(|(member, _)| member)
            }
        }
    }

    /// Whether it is small: clients get all of it at once where they walk through it.
    #[must_use]
    pub fn is_small(&self) -> bool {
        matches!(self, SetRef::Ints(_) | SetRef::Entries(..))
    }

    /// Meets the members of one place, as [`Members::scan`] does; a small set is met at once.
    pub fn scan(&self, cursor: Cursor, mut meet: impl FnMut(Element<'_>)) -> Option<Cursor> {
        match self {
            SetRef::Big(set, hasher) => {
                set.scan(cursor, hasher, |member| meet(Element::Bytes(member.name)))
            }
            SetRef::Dated(map, hasher, now) => {
                MapRef::Big(map, hasher, *now).scan(cursor, |(member, _)| meet(member))
            }
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
    pub fn to_big(self, hasher: &KeyHasher) -> Result<Set, Full> {
        let mut set = Set::new();
        for element in self.iter() {
            let mut digits = Digits::new();
            let text = element.to_text(&mut digits);
            set.insert(hasher, hasher.hash(text), text, &[])?;
        }
        Ok(set)
    }

    /// The same members in a set of such with deadlines, though they have none.
    ///
    /// # Errors
    /// [`Full`] if it cannot hold so many.
    pub fn to_dated(self, hasher: &KeyHasher) -> Result<Map, Full> {
        let mut map = Map::new();
        for element in self.iter() {
            let mut digits = Digits::new();
            map.set(element.to_text(&mut digits), &[], Until::Never, 0, hasher)?;
        }
        Ok(map)
    }
}

/// All members of a set; made by [`SetRef::iter`].
pub enum Iter<'a> {
    /// Of integers.
    Ints(intset::Iter<'a>),
    /// Of elements.
    Entries(entries::Iter<'a>),
    /// Of a large set.
    Big(members::Iter<'a, Bare>),
    /// Of a set of members with deadlines.
    Dated(map::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Iter::Ints(ints) => ints.next().map(Element::Int),
            Iter::Entries(entries) => entries.next(),
            Iter::Big(members) => members.next().map(|member| Element::Bytes(member.name)),
            Iter::Dated(pairs) => pairs.next().map(|(member, _)| member),
        }
    }
}

/// The bytes of a small set of one member; `None` if only a large one can hold it.
#[must_use]
pub fn of_one(text: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    match entries::parse_integer(text) {
        Some(int) if limits.take_ints(1) => Some(intset::build(&[int])),
        _ if limits.take_entries(1, text.len()) => {
            Some(entries_of([Element::of(text)].into_iter()))
        }
        _ => None,
    }
}

/// Adds a member to a small set.
#[must_use]
pub fn insert(bytes: &[u8], text: &[u8], limits: &Limits) -> Step {
    match SetRef::packed(bytes) {
        SetRef::Ints(ints) => insert_into_ints(ints, text, limits),
        SetRef::Entries(entries, count) => {
            if entries.find(text, 1).is_some() {
                return Step::Nothing;
            }
            if !limits.take_entries(count + 1, text.len()) {
                return Step::Grow;
            }
            let mut more = SmallVec::new();
            entries::encode(&mut more, text);
            Step::Splice(bytes.len()..bytes.len(), more)
        }
        SetRef::Big(..) | SetRef::Dated(..) => Step::Grow,
    }
}

fn insert_into_ints(ints: IntSet<'_>, text: &[u8], limits: &Limits) -> Step {
    let count = ints.len() + 1;
    if let Some(int) = entries::parse_integer(text) {
        if ints.contains(int) {
            return Step::Nothing;
        }
        if limits.take_ints(count)
            && let Some(edit) = ints.insert(int)
        {
            return step_of(edit);
        }
    }
    // The longest integer has 20 digits; Redis looks at what is there in the same way.
    let longest = ints.iter().map(|int| Element::Int(int).text_len()).max().unwrap_or(0);
    if !limits.take_entries(count, text.len().max(longest)) {
        return Step::Grow;
    }
    Step::Whole(entries_of(ints.iter().map(Element::Int).chain([Element::of(text)])))
}

/// Takes a member out of a small set.
#[must_use]
pub fn remove(bytes: &[u8], text: &[u8]) -> Step {
    match SetRef::packed(bytes) {
        SetRef::Ints(ints) => {
            let edit = entries::parse_integer(text).and_then(|int| ints.remove(int));
            edit.map_or(Step::Nothing, step_of)
        }
        SetRef::Entries(entries, _) => match entries.find(text, 1) {
            Some(range) => {
                Step::Splice(range.start + HEAD_BYTES..range.end + HEAD_BYTES, SmallVec::new())
            }
            None => Step::Nothing,
        },
        SetRef::Big(..) | SetRef::Dated(..) => Step::Grow,
    }
}

fn step_of(edit: Edit) -> Step {
    match edit {
        Edit::Splice(range, patch) => Step::Splice(range, patch.as_slice().into()),
        Edit::Whole(bytes) => Step::Whole(bytes),
    }
}

/// Counts a member that was added to a small set (`1`) or taken out of it (`-1`).
pub fn count(bytes: &mut [u8], change: i16) {
    if let [TAG, low, high, ..] = bytes {
        let count = u16::from_le_bytes([*low, *high]).wrapping_add_signed(change);
        [*low, *high] = count.to_le_bytes();
    }
}

fn entries_of<'a>(elements: impl Iterator<Item = Element<'a>>) -> Vec<u8> {
    let mut bytes = vec![TAG, 0, 0];
    let mut count = 0_u16;
    for element in elements {
        match element {
            Element::Int(int) => Encoded::int(int).append_to(&mut bytes),
            Element::Bytes(text) => Encoded::of(text).append_to(&mut bytes),
        }
        count += 1;
    }
    bytes[1..HEAD_BYTES].copy_from_slice(&count.to_le_bytes());
    bytes
}

/// The name that clients know for how a small set is laid out.
#[must_use]
pub fn encoding(bytes: &[u8]) -> &'static str {
    match SetRef::packed(bytes) {
        SetRef::Ints(_) => "intset",
        SetRef::Entries(..) | SetRef::Big(..) | SetRef::Dated(..) => "listpack",
    }
}

/// A set that is being made, outside any record.
pub enum NewSet {
    /// A small one.
    Packed(Vec<u8>),
    /// A large one.
    Big(Box<Set>),
}

impl NewSet {
    /// A set without members.
    #[must_use]
    pub fn new() -> NewSet {
        NewSet::Packed(Vec::new())
    }

    /// The set, to be read.
    #[must_use]
    pub fn as_ref<'a>(&'a self, hasher: &'a KeyHasher) -> SetRef<'a> {
        match self {
            NewSet::Packed(bytes) => SetRef::packed(bytes),
            NewSet::Big(set) => SetRef::Big(set, hasher),
        }
    }

    /// Adds a member; tells whether it is new.
    ///
    /// # Errors
    /// [`Full`] if it cannot hold so many.
    pub fn insert(
        &mut self,
        text: &[u8],
        limits: &Limits,
        hasher: &KeyHasher,
    ) -> Result<bool, Full> {
        let bytes = match self {
            NewSet::Big(set) => return insert_into_big(set, text, hasher),
            NewSet::Packed(bytes) => bytes,
        };
        let step = if bytes.is_empty() {
            of_one(text, limits).map_or(Step::Grow, Step::Whole)
        } else {
            insert(bytes, text, limits)
        };
        match step {
            Step::Nothing => return Ok(false),
            Step::Splice(range, patch) => {
                bytes.splice(range, patch);
                count(bytes, 1);
            }
            Step::Whole(whole) => *bytes = whole,
            Step::Grow => {
                let mut set = SetRef::packed(bytes).to_big(hasher)?;
                insert_into_big(&mut set, text, hasher)?;
                *self = NewSet::Big(Box::new(set));
            }
        }
        Ok(true)
    }
}

impl NewSet {
    /// Adds the members of another set. Into a large set they go block by block, see
    /// [`SetRef::contains_each`].
    ///
    /// # Errors
    /// [`Full`] if it cannot hold so many.
    pub fn insert_all<'e>(
        &mut self,
        mut elements: impl Iterator<Item = Element<'e>>,
        limits: &Limits,
        hasher: &KeyHasher,
    ) -> Result<(), Full> {
        let mut block: SmallVec<[Element<'e>; BLOCK]> = SmallVec::new();
        loop {
            block.clear();
            block.extend(elements.by_ref().take(BLOCK));
            if block.is_empty() {
                return Ok(());
            }
            let there = match self {
                NewSet::Big(_) => self.as_ref(hasher).contains_each(&block),
                NewSet::Packed(_) => 0,
            };
            for (_, element) in block.iter().enumerate().filter(|(nth, _)| there >> nth & 1 == 0) {
                self.insert(element.to_text(&mut Digits::new()), limits, hasher)?;
            }
        }
    }
}

impl Default for NewSet {
    fn default() -> NewSet {
        NewSet::new()
    }
}

/// Adds a member to a large set; tells whether it is new.
///
/// # Errors
/// [`Full`] if it cannot hold so many.
#[inline]
pub fn insert_into_big(set: &mut Set, text: &[u8], hasher: &KeyHasher) -> Result<bool, Full> {
    let hash = hasher.hash(text);
    if set.contains(hash, text) {
        return Ok(false);
    }
    set.insert(hasher, hash, text, &[])?;
    Ok(true)
}

/// Takes a member out of a large set; tells whether it was there.
#[inline]
pub fn remove_from_big(set: &mut Set, text: &[u8], hasher: &KeyHasher) -> bool {
    let hash = hasher.hash(text);
    let found = set.find(hash, text);
    if let Some(at) = found {
        set.remove(hasher, hash, at, |_, _, _| {});
    }
    found.is_some()
}

#[cfg(test)]
mod tests;

//! A chunk of a list: elements in one allocation, with room at either end, or compressed.
//!
//! A compressed chunk that is read keeps what it was beside it until the list is seen to next
//! ([`Chunk::forget`]), since whoever reads may not change the list. One that is changed is
//! compressed no more.
//!
//! # Invariants
//!
//! 1. What lies behind `start` are `count` elements, and nothing else.
//! 2. What is allocated is at most four times what the elements take, or [`ROOM_KEPT`]. Growth
//!    doubles it at most, and beyond the fill by what an element needs and no more.

use std::mem;
use std::ops::Range;
use std::sync::OnceLock;

use rdb::lzf;

use super::{End, Fill};
use crate::entries::{Element, Encoded, Entries};

/// The least that is allocated for a chunk which is to grow.
const ROOM_MIN: usize = 64;

/// Up to this many bytes, room that elements left behind is kept.
const ROOM_KEPT: usize = 256;

/// How many bytes compression has to save to be worth it.
const SAVING_MIN: usize = 8;

/// The bit of `count` that says that compression was tried and saved nothing.
const TRIED: u32 = 1 << 31;

/// Elements in one allocation.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    body: Body,
    /// Where the elements begin; 0 if they are compressed.
    start: u32,
    /// How many elements there are, and [`TRIED`].
    count: u32,
}

#[derive(Debug)]
enum Body {
    /// Room, then the elements; what it has allocated beyond them is room, too.
    Plain(Vec<u8>),
    /// The elements, compressed.
    Packed(Box<Packed>),
}

/// Elements, compressed.
#[derive(Debug, Default)]
struct Packed {
    bytes: Box<[u8]>,
    /// How many bytes they are.
    len: usize,
    /// What they are, if that was asked for.
    plain: OnceLock<Vec<u8>>,
}

impl Default for Body {
    fn default() -> Self {
        Body::Plain(Vec::new())
    }
}

impl Packed {
    /// The elements in less memory; `None` if it is not less.
    fn of(elements: &[u8]) -> Option<Self> {
        let most = elements.len().checked_sub(SAVING_MIN + size_of::<Packed>())?;
        let bytes = lzf::compress(elements).filter(|bytes| bytes.len() <= most)?;
        Some(Self { bytes: bytes.into(), len: elements.len(), plain: OnceLock::new() })
    }

    fn unpack(&self) -> Vec<u8> {
        lzf::decompress(&self.bytes, self.len).expect("it was compressed here")
    }

    #[cold]
    fn plain(&self) -> &[u8] {
        self.plain.get_or_init(|| self.unpack())
    }

    fn into_plain(self) -> Vec<u8> {
        let known = self.plain.into_inner();
        let packed = Self { plain: OnceLock::new(), ..self };
        known.unwrap_or_else(|| packed.unpack())
    }
}

impl Chunk {
    /// One with these elements, which are `count`, and no room.
    pub(super) fn new(elements: &[u8], count: usize) -> Self {
        Self { body: Body::Plain(elements.to_vec()), start: 0, count: count as u32 }
    }

    /// One with a single element.
    pub(super) fn of(element: &Encoded<'_>) -> Self {
        Self { body: Body::Plain(element.parts().concat()), start: 0, count: 1 }
    }

    /// One with the same elements and no room, compressed if this one is.
    pub(super) fn exact_copy(&self) -> Self {
        match &self.body {
            Body::Plain(_) => Self { count: self.count, ..Self::new(self.elements(), 0) },
            Body::Packed(packed) => {
                let (bytes, plain) = (packed.bytes.clone(), OnceLock::new());
                let packed = Packed { bytes, len: packed.len, plain };
                Self { body: Body::Packed(Box::new(packed)), start: 0, count: self.count }
            }
        }
    }

    /// Compresses the elements, if that saves memory and was not tried before.
    pub(super) fn pack(&mut self) {
        if matches!(self.body, Body::Packed(_)) || self.count & TRIED != 0 {
            return;
        }
        match Packed::of(self.elements()) {
            Some(packed) => (self.body, self.start) = (Body::Packed(Box::new(packed)), 0),
            None => self.count |= TRIED,
        }
    }

    /// Gives back what reading a compressed chunk has left behind.
    pub(super) fn forget(&mut self) {
        if let Body::Packed(packed) = &mut self.body {
            packed.plain.take();
        }
    }

    /// Whether the elements are compressed.
    #[cfg(test)]
    pub(super) fn is_packed(&self) -> bool {
        matches!(self.body, Body::Packed(_))
    }

    /// Whether they are as small as compression makes them.
    #[cfg(test)]
    pub(super) fn is_settled(&self) -> bool {
        self.is_packed() || self.count & TRIED != 0
    }

    /// Makes the elements plain, as they are about to be changed.
    #[inline]
    fn open(&mut self) {
        self.count &= !TRIED;
        if let Body::Packed(packed) = &mut self.body {
            self.body = Body::Plain(mem::take(&mut **packed).into_plain());
        }
    }

    /// What the elements lie in, of a chunk that is open.
    #[inline]
    fn buffer(&mut self) -> &mut Vec<u8> {
        match &mut self.body {
            Body::Plain(buffer) => buffer,
            Body::Packed(_) => unreachable!("whatever changes a chunk has opened it"),
        }
    }

    /// How many elements there are.
    pub(super) fn count(&self) -> usize {
        (self.count & !TRIED) as usize
    }

    /// How many bytes the elements take.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Plain(buffer) => buffer.len() - self.start(),
            Body::Packed(packed) => packed.len,
        }
    }

    /// How many bytes are allocated, but for what [`Chunk::forget`] gives back.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        match &self.body {
            Body::Plain(buffer) => buffer.capacity(),
            Body::Packed(packed) => packed.bytes.len() + size_of::<Packed>(),
        }
    }

    pub(super) fn entries(&self) -> Entries<'_> {
        Entries::new(self.elements())
    }

    /// Whether an element more is within the fill.
    pub(super) fn has_room(&self, element: &Encoded<'_>, fill: Fill) -> bool {
        fill.allows(self.len() + element.size(), self.count() + 1)
    }

    /// Whether the elements of both are within the fill.
    pub(super) fn fits_with(&self, other: &Self, fill: Fill) -> bool {
        fill.allows(self.len() + other.len(), self.count() + other.count())
    }

    pub(super) fn get(&self, index: usize) -> Option<Element<'_>> {
        self.find(index).map(|(element, _)| element)
    }

    /// The element with `index` others before it, and where it lies.
    pub(super) fn find(&self, index: usize) -> Option<(Element<'_>, Range<usize>)> {
        let behind = self.count().checked_sub(index + 1)?;
        if index <= behind { self.entries().nth(index) } else { self.entries().nth_back(behind) }
    }

    /// The element at an end, and where it lies.
    pub(super) fn last(&self, end: End) -> Option<(Element<'_>, Range<usize>)> {
        match end {
            End::Front => self.entries().nth(0),
            End::Back => self.entries().nth_back(0),
        }
    }

    /// Where the element with `index` others before it lies, or would.
    pub(super) fn offset(&self, index: usize) -> usize {
        self.find(index).map_or(self.len(), |(_, range)| range.start)
    }

    pub(super) fn push(&mut self, end: End, element: &Encoded<'_>, fill: Fill) {
        self.open();
        self.make_room(end, element.size(), fill);
        match end {
            End::Front => {
                let start = self.start() - element.size();
                element.write_to(&mut self.buffer()[start..]);
                self.start = start as u32;
            }
            End::Back => element.append_to(self.buffer()),
        }
        self.count += 1;
    }

    /// Puts an element at the offset of another.
    pub(super) fn insert(&mut self, at: usize, element: &Encoded<'_>, fill: Fill) {
        self.open();
        let (size, len) = (element.size(), self.len());
        if at < len / 2 {
            self.make_room(End::Front, size, fill);
            let start = self.start();
            self.buffer().copy_within(start..start + at, start - size);
            self.start = (start - size) as u32;
        } else {
            self.make_room(End::Back, size, fill);
            let from = self.start() + at;
            let end = self.buffer().len();
            self.buffer().resize(end + size, 0);
            self.buffer().copy_within(from..end, from + size);
        }
        let place = self.start() + at;
        element.write_to(&mut self.buffer()[place..]);
        self.count += 1;
    }

    /// Puts an element in the place of another.
    pub(super) fn replace(&mut self, range: Range<usize>, element: &Encoded<'_>, fill: Fill) {
        self.open();
        if range.len() == element.size() {
            let place = self.start() + range.start;
            element.write_to(&mut self.buffer()[place..]);
        } else {
            let at = range.start;
            self.cut(range, 1);
            self.insert(at, element, fill);
            self.give_back_much_room();
        }
    }

    /// Takes `count` elements away, which lie in `range`.
    pub(super) fn remove(&mut self, range: Range<usize>, count: usize) {
        self.open();
        self.cut(range, count);
        self.give_back_much_room();
    }

    /// Takes away those elements that are `sought`, but for the first `skipped`, up to `most`.
    pub(super) fn remove_equal(&mut self, sought: Element<'_>, skipped: usize, most: usize) {
        self.open();
        let taken = skipped..skipped.saturating_add(most);
        let start = self.start();
        let (mut seen, mut removed) = (0, 0);
        let (mut at, mut kept) = (0, 0);
        while let Some((element, end)) = self.entries().next(at) {
            let is_sought = element == sought;
            if is_sought && taken.contains(&seen) {
                removed += 1;
            } else {
                self.buffer().copy_within(start + at..start + end, start + kept);
                kept += end - at;
            }
            seen += usize::from(is_sought);
            at = end;
        }
        self.buffer().truncate(start + kept);
        self.count -= removed;
        self.give_back_much_room();
    }

    /// How many elements are `sought`.
    pub(super) fn count_equal(&self, sought: Element<'_>) -> usize {
        self.entries().iter().filter(|element| *element == sought).count()
    }

    /// Keeps the first `index` elements, and answers with the others.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        self.open();
        let at = self.offset(index);
        let right = Self::new(&self.elements()[at..], self.count() - index);
        self.cut(at..self.len(), right.count());
        self.give_back_room();
        right
    }

    /// Appends the elements of another.
    pub(super) fn append(&mut self, other: &Self) {
        self.open();
        self.move_to(0, self.len() + other.len());
        self.buffer().extend_from_slice(other.elements());
        self.count += other.count() as u32;
    }

    /// Gives back what it has allocated beyond its elements.
    pub(super) fn give_back_room(&mut self) {
        self.open();
        self.move_to(0, self.len());
    }

    fn start(&self) -> usize {
        self.start as usize
    }

    #[inline]
    fn elements(&self) -> &[u8] {
        match &self.body {
            Body::Plain(buffer) => &buffer[self.start()..],
            Body::Packed(packed) => packed.plain(),
        }
    }

    /// Takes `count` elements away and keeps their room, at the nearer end.
    fn cut(&mut self, range: Range<usize>, count: usize) {
        let (start, behind) = (self.start(), self.len() - range.end);
        if range.start < behind {
            self.buffer().copy_within(start..start + range.start, start + range.len());
            self.start = (start + range.len()) as u32;
        } else {
            self.buffer().copy_within(start + range.end.., start + range.start);
            let kept = self.buffer().len() - range.len();
            self.buffer().truncate(kept);
        }
        self.count -= count as u32;
    }

    fn give_back_much_room(&mut self) {
        if self.capacity() > ROOM_KEPT.max(self.len() * 4) {
            self.move_to(0, self.len() * 2);
        }
    }

    /// Makes room for `size` bytes at an end: out of that at the other end, if there is enough.
    fn make_room(&mut self, end: End, size: usize, fill: Fill) {
        let room = match end {
            End::Front => self.start(),
            End::Back => self.capacity() - self.start() - self.len(),
        };
        if room >= size {
            return;
        }
        let len = self.len();
        match (self.capacity() - len).checked_sub(size) {
            // Either end gets half of what is left over, so that it takes a while until the
            // elements have to move again, whichever end is next.
            Some(spare) => self.slide(if end == End::Front { size + spare / 2 } else { spare / 2 }),
            None => {
                let wanted = (len * 2).max(ROOM_MIN).min(fill.bytes());
                let capacity = wanted.max(len + size);
                self.move_to(if end == End::Front { capacity - len } else { 0 }, capacity);
            }
        }
    }

    /// Moves the elements within their allocation, so that `gap` bytes are before them.
    fn slide(&mut self, gap: usize) {
        let (start, len) = (self.start(), self.len());
        if gap > start {
            self.buffer().resize(gap + len, 0);
        }
        self.buffer().copy_within(start..start + len, gap);
        self.buffer().truncate(gap + len);
        self.start = gap as u32;
    }

    /// Moves the elements to an allocation of `capacity` bytes, behind a gap.
    fn move_to(&mut self, gap: usize, capacity: usize) {
        if gap == 0 && self.start == 0 {
            self.buffer().shrink_to(capacity);
            let more = capacity - self.buffer().len();
            self.buffer().reserve_exact(more);
            return;
        }
        let mut buffer = Vec::with_capacity(capacity);
        buffer.resize(gap, 0);
        buffer.extend_from_slice(self.elements());
        self.body = Body::Plain(buffer);
        self.start = gap as u32;
    }
}

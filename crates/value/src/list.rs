//! A list of any length: a deque of chunks, each some kilobytes of packed elements.
//!
//! An element costs two bytes beyond its text, most integers less than their text. What a chunk
//! costs beside its elements is shared by hundreds of them.
//!
//! # Layout
//!
//! ```text
//! list     deque of chunks | number of elements | bytes that chunks hold
//! chunk    [ room at the front | element element element ... | room at the back ]
//! element  as in `entries`
//! ```
//!
//! Both ends of a list are written to most, so a chunk may have room at either end: nothing
//! moves when an element comes to the front or goes from there. A chunk that gets a neighbour
//! beyond it gives its room back.
//!
//! How much a chunk may hold is an argument of whatever may make one, see [`Fill`]: it is a
//! setting, and one that may change.
//!
//! # Invariants
//!
//! 1. No chunk is empty.
//! 2. A chunk of two elements or more is within the fill that it was last changed under. So an
//!    element that alone is beyond it has a chunk of its own.
//! 3. Two neighbours of which neither is first or last don't fit in one chunk. (A first or last
//!    one is not merged while elements are popped from it, which would be work for nothing.)
//! 4. The numbers of elements and of bytes are those of the chunks together.
//!
//! # Complexity
//!
//! Either end is `O(1)`. An index is sought chunk by chunk from the nearer end, some
//! nanoseconds for hundreds of elements, and then walked to within its chunk. A change in the
//! middle moves bytes of one chunk or two.
//!
//! Chunks far from both ends may be compressed ([`Fill::with_plain_ends`]). They are seen to when
//! a chunk comes or goes, and when the list is changed in its midst.
//!
//! A list that is short lies in the record of its key instead ([`Small`]); [`ListRef`] reads
//! either. What clients are told of the layout is neither: see [`List::is_long`].

mod chunk;
mod edit;
mod fill;
mod iter;
mod small;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;
use std::ops::Range;

use chunk::Chunk;
pub use fill::Fill;
pub use iter::Iter;
pub use small::{Edit, Small};
pub use view::{Elements, ListRef};

use crate::entries::{Element, Encoded, Entries};

/// Below this many places for chunks, unused ones are kept.
const PLACES_KEPT: usize = 16;

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where index 0 is.
    Front,
    /// Where the greatest index is.
    Back,
}

/// A list of any length.
#[derive(Debug, Default)]
pub struct List {
    chunks: VecDeque<Chunk>,
    len: usize,
    /// What the chunks have allocated.
    held: usize,
    /// How many chunks there were when they were last seen to; 0 if others have come since.
    packed_at: u32,
    is_long: bool,
}

impl List {
    /// An empty list, which holds no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// A list of these elements, which are `count`.
    pub fn of(elements: Entries<'_>, count: usize, fill: Fill) -> Self {
        let mut list = Self::new();
        if fill.allows(elements.as_bytes().len(), count) && count > 0 {
            list.put_chunk(0, Chunk::new(elements.as_bytes(), count));
            return list;
        }
        for element in elements {
            list.push_element(End::Back, &Encoded::from(element), fill);
        }
        list.pack(fill);
        list
    }

    /// Whether Redis would keep it in several nodes, which it calls a quicklist.
    pub fn is_long(&self) -> bool {
        self.is_long
    }

    /// Says that the list is one that Redis would keep in several nodes.
    pub fn set_long(&mut self) {
        self.is_long = true;
    }

    /// Notes that so much is about to be added, for which Redis may need several nodes.
    pub fn expect(&mut self, bytes: usize, count: usize, fill: Fill) {
        if !self.is_long {
            self.is_long = !fill.allows_listpack(self.element_bytes() + bytes, self.len + count);
        }
    }

    /// Finds out whether Redis would keep the list in one node again, now that it is shorter.
    pub fn settle(&mut self, fill: Fill) {
        if self.is_long
            && let (Some(only), 1) = (self.chunks.front(), self.chunks.len())
            && fill.is_far_from(only.len(), only.count())
        {
            self.is_long = false;
        }
        self.pack(fill);
    }

    /// Compresses the chunks that are to be, and gives back what was read of others. Whatever
    /// changes the list ends with this; it costs nothing unless chunks have come or gone.
    #[inline]
    fn pack(&mut self, fill: Fill) {
        let chunks = fill.packed(self.chunks.len());
        if !chunks.is_empty() && self.packed_at as usize != self.chunks.len() {
            self.pack_chunks(chunks);
        }
    }

    #[cold]
    fn pack_chunks(&mut self, chunks: Range<usize>) {
        self.chunks.iter_mut().for_each(Chunk::forget);
        chunks.for_each(|chunk| self.change(chunk, Chunk::pack));
        self.packed_at = u32::try_from(self.chunks.len()).unwrap_or(0);
    }

    /// Compresses what is to be compressed after a change in the list's midst.
    fn repack(&mut self, fill: Fill) {
        self.packed_at = 0;
        self.pack(fill);
    }

    /// How many chunks they lie in.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// How many bytes the elements take.
    pub fn element_bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum()
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes it has allocated.
    pub fn memory_bytes(&self) -> usize {
        self.held + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// The element with `index` others before it.
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        let place = self.locate(index)?;
        self.chunks[place.chunk].get(place.index)
    }

    /// The element at an end.
    pub fn peek(&self, end: End) -> Option<Element<'_>> {
        match end {
            End::Front => self.chunks.front()?.get(0),
            End::Back => self.chunks.back().and_then(|last| last.get(last.count() - 1)),
        }
    }

    /// Appends `text` at an end.
    pub fn push(&mut self, end: End, text: &[u8], fill: Fill) {
        self.push_element(end, &Encoded::of(text), fill);
        self.pack(fill);
    }

    fn push_element(&mut self, end: End, element: &Encoded<'_>, fill: Fill) {
        let has_room = self.last(end).is_some_and(|last| last.has_room(element, fill));
        if !has_room {
            self.extend(end, fill);
        }
        self.change(self.last_index(end), |chunk| chunk.push(end, element, fill));
    }

    /// Takes the element at an end away, after it was shown to `read`.
    pub fn pop<T>(&mut self, end: End, read: impl FnOnce(Element<'_>) -> T) -> Option<T> {
        let (element, range) = self.last(end)?.last(end)?;
        let answer = read(element);
        let chunk = self.last_index(end);
        if self.chunks[chunk].count() == 1 {
            self.take_chunks(chunk..chunk + 1);
        } else {
            self.change(chunk, |chunk| chunk.remove(range, 1));
        }
        Some(answer)
    }

    /// The elements in order, from either end.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len)
    }

    /// The elements of a range of indexes in order, from either end; none beyond the list's end.
    pub fn range(&self, range: Range<usize>) -> Iter<'_> {
        Iter::new(self, range)
    }

    /// The chunk at an end.
    fn last(&self, end: End) -> Option<&Chunk> {
        match end {
            End::Front => self.chunks.front(),
            End::Back => self.chunks.back(),
        }
    }

    /// Where the chunk at an end is, of a list that has chunks.
    fn last_index(&self, end: End) -> usize {
        match end {
            End::Front => 0,
            End::Back => self.chunks.len().saturating_sub(1),
        }
    }

    /// Puts an empty chunk beyond the last one, for an element to come at once.
    #[cold]
    fn extend(&mut self, end: End, fill: Fill) {
        if !self.chunks.is_empty() {
            let last = self.last_index(end);
            // It may have been drained; now that it comes to lie inside, that matters.
            self.join(last.saturating_sub(1)..last + 1, fill);
            self.change(self.last_index(end), Chunk::give_back_room);
        }
        self.packed_at = 0;
        match end {
            End::Front => self.chunks.push_front(Chunk::default()),
            End::Back => self.chunks.push_back(Chunk::default()),
        }
    }

    /// The chunk that holds an index, and the index within it.
    fn locate(&self, index: usize) -> Option<Place> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            self.locate_from_front(index)
        } else {
            self.locate_from_back(index)
        }
    }

    fn locate_from_front(&self, index: usize) -> Option<Place> {
        let mut index = index;
        for (chunk, here) in self.chunks.iter().enumerate() {
            if index < here.count() {
                return Some(Place { chunk, index });
            }
            index -= here.count();
        }
        None
    }

    fn locate_from_back(&self, index: usize) -> Option<Place> {
        let mut start = self.len;
        for (chunk, here) in self.chunks.iter().enumerate().rev() {
            start -= here.count();
            if index >= start {
                return Some(Place { chunk, index: index - start });
            }
        }
        None
    }

    /// Changes a chunk and keeps count.
    fn change<T>(&mut self, chunk: usize, change: impl FnOnce(&mut Chunk) -> T) -> T {
        let chunk = &mut self.chunks[chunk];
        let (count, capacity) = (chunk.count(), chunk.capacity());
        let answer = change(chunk);
        self.len = self.len - count + chunk.count();
        self.held = self.held - capacity + chunk.capacity();
        answer
    }

    /// Puts a chunk before the one at `at`.
    fn put_chunk(&mut self, at: usize, chunk: Chunk) {
        self.len += chunk.count();
        self.held += chunk.capacity();
        self.packed_at = 0;
        self.chunks.insert(at, chunk);
    }

    /// Takes whole chunks away.
    fn take_chunks(&mut self, range: Range<usize>) {
        for chunk in self.chunks.drain(range) {
            self.len -= chunk.count();
            self.held -= chunk.capacity();
        }
        self.packed_at = 0;
        let (used, places) = (self.chunks.len(), self.chunks.capacity());
        if places > PLACES_KEPT && used < places / 4 {
            self.chunks.shrink_to(used * 2);
        }
    }
}

impl Clone for List {
    /// A list with the same elements, and without room to grow.
    fn clone(&self) -> Self {
        let chunks: VecDeque<_> = self.chunks.iter().map(Chunk::exact_copy).collect();
        let held = chunks.iter().map(Chunk::capacity).sum();
        Self { chunks, len: self.len, held, packed_at: self.packed_at, is_long: self.is_long }
    }
}

impl<'a> IntoIterator for &'a List {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Where an element is: its chunk, and how many elements of the chunk are before it.
#[derive(Clone, Copy, Debug)]
struct Place {
    chunk: usize,
    index: usize,
}

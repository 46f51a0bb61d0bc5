//! Changes inside a list, and what keeps its chunks from crumbling.

use std::mem;
use std::ops::Range;

use super::chunk::Chunk;
use super::{End, Fill, List, Place};
use crate::entries::{Element, Encoded};

impl List {
    /// Makes `text` the element of `index`, before what was there; nothing beyond the end.
    ///
    /// To insert behind an element is to insert at the next index, which may be the length.
    pub fn insert(&mut self, index: usize, text: &[u8], fill: Fill) -> bool {
        match self.locate(index) {
            Some(place) => {
                self.insert_at(place, &Encoded::of(text), fill);
                self.repack(fill);
            }
            None if index == self.len => self.push(End::Back, text, fill),
            None => return false,
        }
        true
    }

    /// Puts `text` in the place of the element of `index`; nothing beyond the end.
    pub fn set(&mut self, index: usize, text: &[u8], fill: Fill) -> bool {
        let Some(place) = self.locate(index) else { return false };
        let chunk = &self.chunks[place.chunk];
        let Some((_, range)) = chunk.find(place.index) else { return false };
        let element = Encoded::of(text);
        let len = chunk.len() - range.len() + element.size();
        if chunk.count() == 1 || fill.allows(len, chunk.count()) {
            self.change(place.chunk, |chunk| chunk.replace(range, &element, fill));
            self.join(place.chunk.saturating_sub(1)..place.chunk + 1, fill);
            self.repack(fill);
            return true;
        }
        self.remove(index..index + 1, fill);
        self.insert(index, text, fill)
    }

    /// Takes the elements of a range of indexes away, and tells how many there were.
    pub fn remove(&mut self, range: Range<usize>, fill: Fill) -> usize {
        let range = range.start..range.end.min(self.len);
        if range.is_empty() {
            return 0;
        }
        let Some(place) = self.locate(range.start) else { return 0 };
        let after = self.remove_from(place, range.len());
        self.join(after.saturating_sub(2)..after + 1, fill);
        self.repack(fill);
        range.len()
    }

    /// Takes away all elements but those of a range of indexes.
    pub fn trim(&mut self, kept: Range<usize>, fill: Fill) {
        let start = if kept.is_empty() { self.len } else { kept.start };
        self.remove(kept.end..self.len, fill);
        self.remove(0..start, fill);
    }

    /// Takes up to `most` elements away that are `text`, those nearest to `end`, and tells how
    /// many they were.
    pub fn remove_equal(&mut self, end: End, text: &[u8], most: usize, fill: Fill) -> usize {
        let sought = Element::of(text);
        let mut left = most;
        for step in 0..self.chunks.len() {
            let chunk = match end {
                End::Front => step,
                End::Back => self.chunks.len() - 1 - step,
            };
            left -= self.remove_equal_from(chunk, end, sought, left);
            if left == 0 {
                break;
            }
        }
        if left < most {
            self.gather(fill);
            self.repack(fill);
        }
        most - left
    }

    fn insert_at(&mut self, place: Place, element: &Encoded<'_>, fill: Fill) {
        let Place { chunk, index } = place;
        if self.chunks[chunk].has_room(element, fill) {
            let at = self.chunks[chunk].offset(index);
            self.change(chunk, |chunk| chunk.insert(at, element, fill));
            return;
        }
        let right = self.split(place);
        self.insert_between(right, element, fill);
        self.join(right.saturating_sub(2)..right + 2, fill);
    }

    /// Makes a chunk begin at a place, and tells which.
    fn split(&mut self, Place { chunk, index }: Place) -> usize {
        if index == 0 {
            return chunk;
        }
        let right = self.change(chunk, |chunk| chunk.split_off(index));
        self.put_chunk(chunk + 1, right);
        chunk + 1
    }

    /// Puts an element before the chunk `right`: at the end of the chunk before it, else in it,
    /// else in a new one.
    fn insert_between(&mut self, right: usize, element: &Encoded<'_>, fill: Fill) {
        let left = right.checked_sub(1);
        let has_room = |chunk: &usize| self.chunks[*chunk].has_room(element, fill);
        if let Some(left) = left.filter(has_room) {
            self.change(left, |chunk| chunk.push(End::Back, element, fill));
        } else if has_room(&right) {
            self.change(right, |chunk| chunk.push(End::Front, element, fill));
        } else {
            self.put_chunk(right, Chunk::of(element));
        }
    }

    /// Takes `count` elements from a place on, and tells which chunk comes after them.
    fn remove_from(&mut self, place: Place, count: usize) -> usize {
        let Place { mut chunk, index } = place;
        let mut left = count;
        if index > 0 {
            left -= self.remove_within(place, left);
            chunk += 1;
        }
        let mut after = chunk;
        while let Some(whole) = self.chunks.get(after).filter(|whole| whole.count() <= left) {
            left -= whole.count();
            after += 1;
        }
        self.take_chunks(chunk..after);
        if left > 0 {
            self.remove_within(Place { chunk, index: 0 }, left);
        }
        chunk
    }

    /// Takes `count` elements from a place on, as far as its chunk has them.
    fn remove_within(&mut self, place: Place, count: usize) -> usize {
        let chunk = &self.chunks[place.chunk];
        let count = count.min(chunk.count() - place.index);
        let range = chunk.offset(place.index)..chunk.offset(place.index + count);
        self.change(place.chunk, |chunk| chunk.remove(range, count));
        count
    }

    /// Takes elements from a chunk that are `sought`, and leaves it, even empty.
    fn remove_equal_from(
        &mut self,
        chunk: usize,
        end: End,
        sought: Element<'_>,
        most: usize,
    ) -> usize {
        let here = self.chunks[chunk].count_equal(sought);
        let removed = here.min(most);
        let skipped = if end == End::Front { 0 } else { here - removed };
        if removed > 0 {
            self.change(chunk, |chunk| chunk.remove_equal(sought, skipped, removed));
        }
        removed
    }

    /// Merges each chunk of a range with the one after it, if both fit in one.
    pub(super) fn join(&mut self, range: Range<usize>, fill: Fill) {
        for left in range.rev() {
            let pair = (self.chunks.get(left), self.chunks.get(left + 1));
            if let (Some(first), Some(second)) = pair
                && first.fits_with(second, fill)
            {
                self.merge(left);
            }
        }
    }

    /// Merges a chunk with the one after it.
    fn merge(&mut self, left: usize) {
        let Some(right) = self.chunks.remove(left + 1) else { return };
        self.len -= right.count();
        self.held -= right.capacity();
        self.packed_at = 0;
        self.change(left, |chunk| chunk.append(&right));
    }

    /// Drops empty chunks and merges all neighbours that fit in one.
    fn gather(&mut self, fill: Fill) {
        let chunks = mem::take(&mut self.chunks);
        (self.len, self.held) = (0, 0);
        for chunk in chunks.into_iter().filter(|chunk| chunk.count() > 0) {
            match self.chunks.back() {
                Some(last) if last.fits_with(&chunk, fill) => {
                    self.change(self.last_index(End::Back), |last| last.append(&chunk));
                }
                _ => self.put_chunk(self.chunks.len(), chunk),
            }
        }
    }
}

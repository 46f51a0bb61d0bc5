//! The guard of a list: what may be done to it, small or large.
//!
//! # Invariants
//!
//! 1. A list is small until its bytes would not lie in its record any more, or Redis would call it
//!    a quicklist; it never becomes small again. So a small list is a listpack to clients.
//! 2. No entry holds an empty list.

use std::ops::Range;

use packed::INLINE_MAX;
use value::list::{Edit, End, Fill, List, ListRef, Small};
use value::{Big, Type, entries::Element};

use crate::changes::Event;
use crate::collection::{CollectionEntry, NewCollection};
use crate::entry::Expiry;
use crate::{Refused, Stored, View};

/// A key that holds a list or nothing, with the right to change it.
pub struct ListEntry<'v> {
    entry: CollectionEntry<'v>,
}

impl View<'_> {
    /// Reads a list. Counts as a use of the key.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn list(&self, key: &[u8]) -> Result<Option<ListRef<'_>>, Refused> {
        Ok(self.collection(key, Type::List)?.and_then(list_of))
    }

    /// The guard of a key that holds a list or nothing, see [`View::collection_entry`].
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn list_entry<'v>(&'v mut self, key: &'v [u8]) -> Result<ListEntry<'v>, Refused> {
        Ok(ListEntry { entry: self.collection_entry(key, Type::List)? })
    }

    /// Puts a list over whatever a key holds; `expiry` says what becomes of its deadline. An empty
    /// one removes the key, which tells `del`.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn put_list(
        &mut self,
        key: &[u8],
        new: NewList,
        expiry: Expiry,
        event: Event,
    ) -> Result<(), Refused> {
        let mut entry = self.collection_over(key, Type::List);
        match new {
            NewList::Empty => {
                entry.remove(crate::event::DEL);
                Ok(())
            }
            NewList::Packed(bytes) => entry.replace(NewCollection::Packed(&bytes), expiry, event),
            NewList::Big(list) => {
                entry.replace(NewCollection::Big(Box::new(Big::List(*list))), expiry, event)
            }
        }
    }

    /// The list of these elements, to be put.
    pub fn new_list<'t>(&self, texts: impl Iterator<Item = &'t [u8]> + Clone) -> NewList {
        let (count, bytes) = amount_of(texts.clone());
        if count == 0 {
            return NewList::Empty;
        }
        let fill = self.frame().layout.list_fill;
        let empty = Small::new(&[]);
        let small = |small: Small<'_>| small.push(End::Back, texts.clone());
        match small_edit(empty, bytes, count, fill, small) {
            Some(mut edit) => NewList::Packed(edit.splice().1.into()),
            None => {
                let mut list = List::new();
                texts.for_each(|text| list.push(End::Back, text, fill));
                if !fill.allows_listpack(bytes, count) {
                    list.set_long();
                }
                NewList::Big(Box::new(list))
            }
        }
    }
}

/// A list that was made outside any record.
pub enum NewList {
    /// One without elements.
    Empty,
    /// A small one.
    Packed(Box<[u8]>),
    /// A large one.
    Big(Box<List>),
}

/// What is stored, if it is a list.
#[inline]
#[must_use]
pub fn list_of(stored: Stored<'_>) -> Option<ListRef<'_>> {
    match stored {
        Stored::Packed(Type::List, bytes) => Some(ListRef::Small(Small::new(bytes))),
        Stored::Big(Big::List(list)) => Some(ListRef::Big(list)),
        _ => None,
    }
}

/// How many texts there are, and how many bytes they have.
#[inline]
fn amount_of<'t>(texts: impl Iterator<Item = &'t [u8]>) -> (usize, usize) {
    texts.fold((0, 0), |(count, bytes), text| (count + 1, bytes + text.len()))
}

/// An edit that adds so much to a small list, if the list stays small.
#[inline]
fn small_edit(
    small: Small<'_>,
    bytes: usize,
    count: usize,
    fill: Fill,
    edit: impl FnOnce(Small<'_>) -> Edit,
) -> Option<Edit> {
    let (bytes, count) = (small.element_bytes() + bytes, small.len() + count);
    if bytes > INLINE_MAX || !fill.allows_listpack(bytes, count) {
        return None;
    }
    let edit = edit(small);
    (edit.bytes_after(small) <= INLINE_MAX).then_some(edit)
}

impl ListEntry<'_> {
    /// The list, if there is one.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<ListRef<'_>> {
        self.entry.stored().and_then(list_of)
    }

    /// How many elements there are; none if there is no list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.get().map_or(0, ListRef::len)
    }

    /// Whether there are none, so whether there is no list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.exists()
    }

    /// Whether the key holds a list.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.entry.exists()
    }

    /// Appends elements at an end, one after the other, and tells how many there are then.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for them; nothing has changed then.
    #[inline]
    pub fn push<'t>(
        &mut self,
        end: End,
        texts: impl Iterator<Item = &'t [u8]> + Clone,
        event: Event,
    ) -> Result<usize, Refused> {
        let (count, bytes) = amount_of(texts.clone());
        let fill = self.fill();
        if let Some(list) = self.big() {
            list.expect(bytes, count, fill);
            texts.for_each(|text| list.push(end, text, fill));
            let len = list.len();
            self.entry.noted_len(event, count, len);
            return Ok(len);
        }
        if let Some(edit) = self.small_edit(bytes, count, |small| small.push(end, texts.clone())) {
            let len = edit.count();
            self.apply(edit)?;
            self.entry.noted_len(event, count, len);
            return Ok(len);
        }
        self.grow(bytes, count)?;
        let mut len = 0;
        if let Some(list) = self.big() {
            texts.for_each(|text| list.push(end, text, fill));
            len = list.len();
        }
        self.entry.noted_parts(event, count, false);
        Ok(len)
    }

    /// Takes up to `count` elements away at an end, one after the other, and shows each. Tells
    /// whether there was a list.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for what is left; nothing has changed then.
    #[inline]
    pub fn pop(
        &mut self,
        end: End,
        count: usize,
        event: Event,
        mut show: impl FnMut(Element<'_>),
    ) -> Result<bool, Refused> {
        let fill = self.fill();
        if count == 1
            && let Some(list) = self.big()
            && list.len() > 1
        {
            list.pop(end, show);
            list.settle(fill);
            let len = list.len();
            self.entry.noted_len(event, 1, len);
            return Ok(true);
        }
        let Some(list) = self.get() else { return Ok(false) };
        let (len, count) = (list.len(), count.min(list.len()));
        if count == 0 {
            return Ok(true);
        }
        match (end, count) {
            (_, 1) => list.peek(end).into_iter().for_each(&mut show),
            (End::Front, _) => list.range(0..count).for_each(&mut show),
            (End::Back, _) => list.range(len - count..len).rev().for_each(&mut show),
        }
        match end {
            End::Front => self.remove(0..count, event)?,
            End::Back => self.remove(len - count..len, event)?,
        }
        Ok(true)
    }

    /// Takes the elements of a range of indexes away.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for what is left; nothing has changed then.
    #[inline]
    pub fn remove(&mut self, range: Range<usize>, event: Event) -> Result<(), Refused> {
        let len = self.len();
        let range = range.start..range.end.min(len);
        if range.is_empty() {
            return Ok(());
        }
        let left = len - range.len();
        // What becomes empty goes as a whole.
        if left > 0 {
            self.cut(range, len)?;
        }
        self.entry.noted_len(event, len - left, left);
        Ok(())
    }

    #[inline]
    fn cut(&mut self, range: Range<usize>, len: usize) -> Result<(), Refused> {
        if let Some(small) = self.small() {
            let edit = small.remove(range);
            return self.apply(edit);
        }
        let fill = self.fill();
        if let Some(list) = self.big() {
            let end = match range {
                Range { start: 0, end: 1 } => Some(End::Front),
                Range { start, end } if start + 1 == end && end == len => Some(End::Back),
                _ => None,
            };
            match end {
                Some(end) => drop(list.pop(end, |_| ())),
                None => _ = list.remove(range, fill),
            }
            list.settle(fill);
        }
        Ok(())
    }

    /// Puts `text` in the place of the element of `index`; tells whether there was one.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn set(&mut self, index: usize, text: &[u8], event: Event) -> Result<bool, Refused> {
        if index >= self.len() {
            return Ok(false);
        }
        // Redis counts the new element beside the old one.
        let edit = self.small_edit(text.len(), 1, |small| {
            small.set(index, text).unwrap_or_else(|| small.remove(index..index))
        });
        if let Some(edit) = edit {
            self.apply(edit)?;
        } else {
            self.grow(text.len(), 1)?;
            let fill = self.fill();
            if let Some(list) = self.big() {
                list.set(index, text, fill);
                list.settle(fill);
            }
        }
        self.entry.noted(event, false);
        Ok(true)
    }

    /// Puts `text` beside the first element that is `pivot`, and tells how many there are then;
    /// `None` if there is no such element. `behind`: not before it.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn insert(
        &mut self,
        pivot: &[u8],
        behind: bool,
        text: &[u8],
        event: Event,
    ) -> Result<Option<usize>, Refused> {
        let Some(list) = self.get() else { return Ok(None) };
        let (len, sought) = (list.len(), Element::of(pivot));
        let found = list.iter().position(|element| element == sought);
        let Some(index) = found.map(|index| index + usize::from(behind)) else {
            return Ok(None);
        };
        if let Some(edit) = self.small_edit(text.len(), 1, |small| small.insert(index, text)) {
            self.apply(edit)?;
        } else {
            self.grow(text.len(), 1)?;
            let fill = self.fill();
            if let Some(list) = self.big() {
                list.insert(index, text, fill);
            }
        }
        self.entry.noted(event, false);
        Ok(Some(len + 1))
    }

    /// Takes up to `most` elements away that are `text`, those nearest to `end`, and tells how
    /// many they were.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for what is left; nothing has changed then.
    pub fn remove_equal(
        &mut self,
        end: End,
        text: &[u8],
        most: usize,
        event: Event,
    ) -> Result<usize, Refused> {
        let before = self.len();
        let mut left = before;
        if let Some(small) = self.small() {
            let edit = small.remove_equal(end, text, most);
            left = edit.count();
            if (1..before).contains(&left) {
                self.apply(edit)?;
            }
        } else {
            let fill = self.fill();
            if let Some(list) = self.big() {
                list.remove_equal(end, text, most, fill);
                list.settle(fill);
                left = list.len();
            }
        }
        if left < before {
            self.entry.noted_parts(event, before - left, left == 0);
        }
        Ok(before - left)
    }

    /// Takes all elements away but those of a range of indexes.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for what is left; nothing has changed then.
    pub fn trim(&mut self, kept: Range<usize>, event: Event) -> Result<(), Refused> {
        if !self.exists() {
            return Ok(());
        }
        let len = self.len();
        let kept = kept.start..kept.end.min(len);
        if let (Some(small), false) = (self.small(), kept.is_empty()) {
            let edit = small.trim(kept.clone());
            self.apply(edit)?;
        } else if !kept.is_empty() {
            let fill = self.fill();
            if let Some(list) = self.big() {
                list.trim(kept.clone(), fill);
                list.settle(fill);
            }
        }
        self.entry.noted_parts(event, len - kept.len(), kept.is_empty());
        Ok(())
    }

    fn fill(&self) -> Fill {
        self.entry.layout().list_fill
    }

    /// The list, if it is a small one.
    #[inline]
    fn small(&self) -> Option<Small<'_>> {
        match self.get()? {
            ListRef::Small(small) => Some(small),
            ListRef::Big(_) => None,
        }
    }

    /// The list, if it is a large one.
    #[inline]
    fn big(&mut self) -> Option<&mut List> {
        match self.entry.big_mut()? {
            (Big::List(list), _) => Some(list),
            _ => None,
        }
    }

    /// An edit that adds so much, if the list is small or not there, and small afterwards.
    #[inline]
    fn small_edit(
        &self,
        bytes: usize,
        count: usize,
        edit: impl FnOnce(Small<'_>) -> Edit,
    ) -> Option<Edit> {
        let small = match self.get() {
            None => Small::new(&[]),
            Some(ListRef::Small(small)) => small,
            Some(ListRef::Big(_)) => return None,
        };
        small_edit(small, bytes, count, self.fill(), edit)
    }

    #[inline]
    fn apply(&mut self, mut edit: Edit) -> Result<(), Refused> {
        let (part, patch, count) = edit.splice();
        if !self.exists() {
            return self.entry.put(NewCollection::Packed(patch), Expiry::Keep);
        }
        self.entry.splice(part, patch)?;
        if let Some(count) = count
            && let Some(head) = self.entry.packed_mut().first_chunk_mut()
        {
            *head = count;
        }
        Ok(())
    }

    /// Makes the list a large one, if it is not, before so much is added to it.
    #[inline]
    fn grow(&mut self, bytes: usize, count: usize) -> Result<(), Refused> {
        let fill = self.fill();
        if let Some(list) = self.big() {
            list.expect(bytes, count, fill);
            return Ok(());
        }
        self.make_big(bytes, count)
    }

    #[cold]
    fn make_big(&mut self, bytes: usize, count: usize) -> Result<(), Refused> {
        let fill = self.fill();
        let small = self.small().unwrap_or(Small::new(&[]));
        let mut list = List::of(small.entries(), small.len(), fill);
        if !fill.allows_listpack(small.element_bytes() + bytes, small.len() + count) {
            list.set_long();
        }
        self.entry.put(NewCollection::Big(Box::new(Big::List(list))), Expiry::Keep)
    }
}

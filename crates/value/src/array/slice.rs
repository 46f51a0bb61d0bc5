//! The slots of an array whose indexes agree in all but their last [`SLICE_BITS`] bits.
//!
//! # Layout
//!
//! ```text
//! dense   first offset | word word word ...       one for each offset from the first on
//! sparse  offset offset ... | word word ...       one for each slot that is used, in order
//! ```
//!
//! A slice is dense while at least a quarter of the words are used, and becomes dense when half
//! of them would be: so a used slot costs at most 32 bytes, and mostly 8 to 10, beside its text.
//!
//! # Invariants
//!
//! 1. The last word of a dense slice is used.
//! 2. The offsets of a sparse slice ascend, and each of its words is used.
//! 3. `used` is the number of used slots.

use super::texts::{SHORT_MAX, Texts};
use super::word::{Content, Word};
use crate::entries::{Element, parse_integer};

/// A slice holds the slots of so many bits of the index.
pub(super) const SLICE_BITS: u32 = 12;

/// How many slots a slice has.
pub(super) const SLICE_SLOTS: usize = 1 << SLICE_BITS;

/// A dense slice may have so many words for each used one.
const DENSE_WORDS_MAX: usize = 4;

/// A sparse slice becomes dense when it would have no more words than these for each used one.
const SPARSE_WORDS_MIN: usize = 2;

/// See the module's page.
#[derive(Clone)]
pub(super) struct Slice {
    slots: Slots,
    used: u16,
    texts: Option<Box<Texts>>,
}

#[derive(Clone)]
enum Slots {
    Dense { first: u16, words: Vec<Word> },
    Sparse { offsets: Vec<u16>, words: Vec<Word> },
}

impl Default for Slice {
    /// A slice without used slots.
    fn default() -> Slice {
        Slice { slots: Slots::Dense { first: 0, words: Vec::new() }, used: 0, texts: None }
    }
}

impl Slice {
    /// How many slots are used.
    pub(super) fn used(&self) -> usize {
        usize::from(self.used)
    }

    /// Whether it is dense.
    pub(super) fn is_dense(&self) -> bool {
        matches!(self.slots, Slots::Dense { .. })
    }

    /// For how many slots it has room.
    pub(super) fn room(&self) -> usize {
        let (Slots::Dense { words, .. } | Slots::Sparse { words, .. }) = &self.slots;
        words.capacity()
    }

    /// The last used offset, of a slice with used slots.
    pub(super) fn last(&self) -> usize {
        match &self.slots {
            Slots::Dense { first, words } => (usize::from(*first) + words.len()).saturating_sub(1),
            Slots::Sparse { offsets, .. } => offsets.last().copied().map_or(0, usize::from),
        }
    }

    /// The value at an offset.
    #[inline]
    pub(super) fn get(&self, offset: usize) -> Option<Element<'_>> {
        let (words, at) = self.place(offset);
        self.element(words.get(at?)?)
    }

    /// The words, and which of them is that of an offset, if there is one.
    #[inline]
    fn place(&self, offset: usize) -> (&[Word], Option<usize>) {
        match &self.slots {
            Slots::Dense { first, words } => (words, offset.checked_sub(usize::from(*first))),
            Slots::Sparse { offsets, words } => (words, find(offsets, offset).ok()),
        }
    }

    /// The value that a word stands for.
    #[inline]
    fn element<'a>(&'a self, word: &'a Word) -> Option<Element<'a>> {
        Some(match word.content() {
            Content::Empty => return None,
            Content::Int(integer) => Element::Int(integer),
            Content::Inline(text) => Element::Bytes(text),
            Content::Short(offset) => Element::Bytes(self.texts.as_ref()?.short(offset)),
            Content::Long(number) => Element::Bytes(self.texts.as_ref()?.long(number)),
        })
    }

    /// The used slots from `low` to `high`, both included, in order, from either end.
    pub(super) fn range(
        &self,
        low: usize,
        high: usize,
    ) -> impl DoubleEndedIterator<Item = (usize, Element<'_>)> {
        let (offsets, words, positions) = match &self.slots {
            Slots::Dense { first, words } => {
                let first = usize::from(*first);
                let end = (high + 1).saturating_sub(first).min(words.len());
                (Offsets::From(first), words, low.saturating_sub(first).min(end)..end)
            }
            Slots::Sparse { offsets, words } => {
                let start = find(offsets, low).unwrap_or_else(|at| at);
                let end = find(offsets, high).map_or_else(|at| at, |at| at + 1);
                (Offsets::Each(offsets), words, start..end)
            }
        };
        positions.filter_map(move |at| Some((offsets.at(at), self.element(&words[at])?)))
    }

    /// How many slots from `low` to `high`, both included, are used.
    pub(super) fn used_within(&self, low: usize, high: usize) -> usize {
        if low == 0 && high >= self.last() {
            return self.used();
        }
        match &self.slots {
            Slots::Dense { first, words } => {
                let first = usize::from(*first);
                let end = (high + 1).saturating_sub(first).min(words.len());
                let start = low.saturating_sub(first).min(end);
                words[start..end].iter().filter(|word| !word.is_empty()).count()
            }
            Slots::Sparse { offsets, .. } => {
                let start = find(offsets, low).unwrap_or_else(|at| at);
                find(offsets, high).map_or_else(|at| at, |at| at + 1) - start
            }
        }
    }

    /// Puts a value into a slot; tells whether the slot was not used before.
    pub(super) fn set(&mut self, offset: usize, text: &[u8]) -> bool {
        let old = self.word(offset);
        if let Content::Short(place) = old.content()
            && text.len() <= SHORT_MAX
            && parse_integer(text).is_none()
            && let Some(texts) = &mut self.texts
            && texts.rewrite_short(place, text)
        {
            return false;
        }
        self.give_up(old);
        let word = self.word_of(text);
        if old.is_empty() {
            self.used += 1;
            self.add(offset, word);
        } else if let Some(place) = self.word_mut(offset) {
            *place = word;
        }
        self.tidy();
        old.is_empty()
    }

    /// Empties a slot; tells whether it was used.
    pub(super) fn remove(&mut self, offset: usize) -> bool {
        self.remove_range(offset, offset) > 0
    }

    /// Empties the slots from `low` to `high`, both included; tells how many were used.
    pub(super) fn remove_range(&mut self, low: usize, high: usize) -> usize {
        let removed = self.take_words(low, high);
        for &word in &removed {
            self.give_up(word);
        }
        self.used -= removed.len() as u16;
        if !removed.is_empty() {
            self.reshape();
            self.tidy();
        }
        removed.len()
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let slots = match &self.slots {
            Slots::Dense { words, .. } => words.capacity() * size_of::<Word>(),
            Slots::Sparse { offsets, words } => {
                offsets.capacity() * size_of::<u16>() + words.capacity() * size_of::<Word>()
            }
        };
        let texts = self.texts.as_ref().map_or(0, |texts| size_of::<Texts>() + texts.bytes());
        slots + texts
    }

    // --- Words --------------------------------------------------------------

    fn word(&self, offset: usize) -> Word {
        let (words, at) = self.place(offset);
        at.and_then(|at| words.get(at)).copied().unwrap_or(Word::EMPTY)
    }

    fn word_mut(&mut self, offset: usize) -> Option<&mut Word> {
        match &mut self.slots {
            Slots::Dense { first, words } => words.get_mut(offset.checked_sub((*first).into())?),
            Slots::Sparse { offsets, words } => words.get_mut(find(offsets, offset).ok()?),
        }
    }

    /// The word that stands for a text, which is kept if it is too long for the word.
    fn word_of(&mut self, text: &[u8]) -> Word {
        if let Some(word) = Word::of(text) {
            return word;
        }
        let texts = self.texts.get_or_insert_default();
        if text.len() <= SHORT_MAX {
            Word::short(texts.add_short(text))
        } else {
            Word::long(texts.add_long(text))
        }
    }

    /// Gives up the text of a word that is used no more.
    fn give_up(&mut self, word: Word) {
        let Some(texts) = &mut self.texts else { return };
        match word.content() {
            Content::Short(offset) => texts.remove_short(offset),
            Content::Long(number) => texts.remove_long(number),
            Content::Empty | Content::Int(_) | Content::Inline(_) => {}
        }
    }

    /// Puts a word where none is, and counted already.
    fn add(&mut self, offset: usize, word: Word) {
        let used = self.used();
        if let Slots::Dense { first, words } = &mut self.slots {
            if used == 1 {
                *first = offset as u16;
                words.clear();
            }
            if let Some(place) = reach(first, words, offset, used * DENSE_WORDS_MAX) {
                *place = word;
                return;
            }
            self.make_sparse();
        }
        if let Slots::Sparse { offsets, words } = &mut self.slots
            && let Err(at) = find(offsets, offset)
        {
            reserve_some(offsets);
            reserve_some(words);
            offsets.insert(at, offset as u16);
            words.insert(at, word);
        }
        self.reshape();
    }

    /// Takes the used words of a range out.
    fn take_words(&mut self, low: usize, high: usize) -> smallvec::SmallVec<[Word; 1]> {
        match &mut self.slots {
            Slots::Dense { first, words } => {
                let start = usize::from(*first);
                let end = (high + 1).saturating_sub(start).min(words.len());
                let range = low.saturating_sub(start).min(end)..end;
                let taken =
                    words[range].iter_mut().map(|word| std::mem::replace(word, Word::EMPTY));
                let taken = taken.filter(|word| !word.is_empty()).collect();
                while words.last().is_some_and(|word| word.is_empty()) {
                    words.pop();
                }
                taken
            }
            Slots::Sparse { offsets, words } => {
                let start = find(offsets, low).unwrap_or_else(|at| at);
                let end = find(offsets, high).map_or_else(|at| at, |at| at + 1);
                offsets.drain(start..end);
                words.drain(start..end).collect()
            }
        }
    }

    // --- Shape --------------------------------------------------------------

    /// Becomes dense or sparse if that is now cheaper, and gives room back that is not needed.
    fn reshape(&mut self) {
        let used = self.used();
        match &mut self.slots {
            Slots::Dense { words, .. } if words.len() > used * DENSE_WORDS_MAX => {
                self.make_sparse();
            }
            Slots::Sparse { offsets, .. } => {
                let span = match (offsets.first(), offsets.last()) {
                    (Some(first), Some(last)) => usize::from(last - first) + 1,
                    _ => 0,
                };
                if span <= used * SPARSE_WORDS_MIN {
                    self.make_dense(span);
                } else if let Slots::Sparse { offsets, words } = &mut self.slots {
                    give_back(offsets);
                    give_back(words);
                }
            }
            Slots::Dense { words, .. } => give_back(words),
        }
    }

    #[cold]
    fn make_sparse(&mut self) {
        let Slots::Dense { first, words } = &self.slots else { return };
        let used = words.iter().enumerate().filter(|(_, word)| !word.is_empty());
        let (offsets, words) = used.map(|(at, &word)| (first + at as u16, word)).unzip();
        self.slots = Slots::Sparse { offsets, words };
    }

    #[cold]
    fn make_dense(&mut self, span: usize) {
        let Slots::Sparse { offsets, words } = &self.slots else { return };
        let first = offsets.first().copied().unwrap_or_default();
        let mut dense = vec![Word::EMPTY; span];
        for (offset, &word) in offsets.iter().zip(words) {
            dense[usize::from(offset - first)] = word;
        }
        self.slots = Slots::Dense { first, words: dense };
    }

    /// Closes the gaps between short texts if there are many, and lets go of texts if none is
    /// left.
    fn tidy(&mut self) {
        let Some(texts) = &mut self.texts else { return };
        if texts.is_empty() {
            self.texts = None;
        } else if texts.has_gaps() {
            let old = texts.take_shorts();
            let (Slots::Dense { words, .. } | Slots::Sparse { words, .. }) = &mut self.slots;
            for word in words {
                if let Content::Short(offset) = word.content() {
                    *word = Word::short(texts.add_short(old.short(offset)));
                }
            }
        }
    }
}

/// The offsets of a slice's words.
#[derive(Clone, Copy)]
enum Offsets<'a> {
    From(usize),
    Each(&'a [u16]),
}

impl Offsets<'_> {
    fn at(self, position: usize) -> usize {
        match self {
            Offsets::From(first) => first + position,
            Offsets::Each(offsets) => offsets[position].into(),
        }
    }
}

/// Where an offset is among others, or would be.
fn find(offsets: &[u16], offset: usize) -> Result<usize, usize> {
    offsets.binary_search_by(|&here| usize::from(here).cmp(&offset))
}

/// The word of an offset, to which dense words are extended unless they would be more than `most`.
fn reach<'a>(
    first: &mut u16,
    words: &'a mut Vec<Word>,
    offset: usize,
    most: usize,
) -> Option<&'a mut Word> {
    let start = usize::from(*first);
    if offset < start {
        let missing = start - offset;
        if missing + words.len() > most {
            return None;
        }
        // Some room before it, as who writes backwards goes on.
        let ahead = missing.max(words.len() / 2).min(start).min(most - words.len());
        words.splice(0..0, std::iter::repeat_n(Word::EMPTY, ahead));
        *first -= ahead as u16;
    }
    let at = offset - usize::from(*first);
    if at >= words.len() {
        if at >= most {
            return None;
        }
        words.resize(at + 1, Word::EMPTY);
    }
    words.get_mut(at)
}

/// Makes room for one more, without as much room to spare as a vector makes by itself.
fn reserve_some<T>(items: &mut Vec<T>) {
    if items.len() == items.capacity() {
        items.reserve_exact((items.len() / 4).max(1));
    }
}

/// Gives room back if most of it is unused.
fn give_back<T>(items: &mut Vec<T>) {
    if items.capacity() > 16 && items.len() < items.capacity() / 4 {
        items.shrink_to(items.len() * 2);
    }
}

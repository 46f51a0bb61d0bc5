//! Small lists, packed into bytes that lie in the record of their key.
//!
//! # Layout
//!
//! ```text
//! count: u16 LE | element element ...     (see `entries`)
//! ```
//!
//! Nothing here changes bytes: an [`Edit`] says what is to be put in the place of what, as one
//! splice wherever that is possible.

use std::ops::Range;

use smallvec::SmallVec;

use super::End;
use crate::entries::{self, Element, Encoded, Entries};

/// How many bytes are before the elements.
const HEAD_BYTES: usize = 2;

/// A small list, to be read.
#[derive(Clone, Copy, Debug)]
pub struct Small<'a> {
    entries: Entries<'a>,
    count: usize,
}

impl<'a> Small<'a> {
    /// The list that `bytes` hold; an empty one if there are none.
    #[must_use]
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Small<'a> {
        match bytes {
            [low, high, elements @ ..] => Small {
                entries: Entries::new(elements),
                count: usize::from(u16::from_le_bytes([*low, *high])),
            },
            _ => Small { entries: Entries::new(&[]), count: 0 },
        }
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The elements.
    #[must_use]
    pub fn entries(self) -> Entries<'a> {
        self.entries
    }

    /// How many bytes the elements take.
    #[must_use]
    pub fn element_bytes(self) -> usize {
        self.entries.as_bytes().len()
    }

    /// The element with `index` others before it.
    #[must_use]
    pub fn get(self, index: usize) -> Option<Element<'a>> {
        self.find(index).map(|(element, _)| element)
    }

    /// The element at an end.
    #[must_use]
    #[inline]
    pub fn peek(self, end: End) -> Option<Element<'a>> {
        self.last(end).map(|(element, _)| element)
    }

    /// The elements of a range of indexes; none beyond the list's end.
    #[must_use]
    pub fn range(self, range: Range<usize>) -> entries::Iter<'a> {
        Entries::new(&self.entries.as_bytes()[self.bytes_of(range)]).iter()
    }

    fn find(self, index: usize) -> Option<(Element<'a>, Range<usize>)> {
        let behind = self.count.checked_sub(index + 1)?;
        if index <= behind { self.entries.nth(index) } else { self.entries.nth_back(behind) }
    }

    #[inline]
    fn last(self, end: End) -> Option<(Element<'a>, Range<usize>)> {
        match end {
            End::Front => self.entries.nth(0),
            End::Back => self.entries.nth_back(0),
        }
    }

    /// Where the element of an index begins; the end of them all beyond them.
    fn offset(self, index: usize) -> usize {
        self.find(index).map_or(self.element_bytes(), |(_, bytes)| bytes.start)
    }

    fn bytes_of(self, range: Range<usize>) -> Range<usize> {
        let start = self.offset(range.start);
        start..self.offset(range.end).max(start)
    }

    /// Appends elements at an end, one after the other.
    pub fn push<'t>(self, end: End, texts: impl Iterator<Item = &'t [u8]>) -> Edit {
        let at = if end == End::Front { 0 } else { self.element_bytes() };
        let mut edit = Edit::new(at..at, self.count);
        for text in texts {
            edit.count += 1;
            let element = Encoded::of(text);
            match end {
                End::Back => element.append_to(&mut edit.patch),
                End::Front => edit.put_first(&element),
            }
        }
        edit
    }

    /// Takes the elements of a range of indexes away.
    #[must_use]
    #[inline]
    pub fn remove(self, range: Range<usize>) -> Edit {
        let range = range.start..range.end.min(self.count);
        Edit::new(self.bytes_of(range.clone()), self.count - range.len())
    }

    /// Puts `text` in the place of the element of `index`; `None` beyond the end.
    #[must_use]
    pub fn set(self, index: usize, text: &[u8]) -> Option<Edit> {
        let (_, part) = self.find(index)?;
        let mut edit = Edit::new(part, self.count);
        entries::encode(&mut edit.patch, text);
        Some(edit)
    }

    /// Puts `text` before the element of `index`, or at the end.
    #[must_use]
    pub fn insert(self, index: usize, text: &[u8]) -> Edit {
        let at = self.offset(index);
        let mut edit = Edit::new(at..at, self.count + 1);
        entries::encode(&mut edit.patch, text);
        edit
    }

    /// Takes all elements away but those of a range of indexes.
    #[must_use]
    pub fn trim(self, kept: Range<usize>) -> Edit {
        let kept = kept.start..kept.end.min(self.count);
        if kept.start == 0 {
            return self.remove(kept.end..self.count);
        }
        let mut edit = Edit::new(0..self.element_bytes(), kept.len());
        edit.patch.extend_from_slice(&self.entries.as_bytes()[self.bytes_of(kept)]);
        edit
    }

    /// Takes up to `most` elements away that are `text`, those nearest to `end`.
    #[must_use]
    pub fn remove_equal(self, end: End, text: &[u8], most: usize) -> Edit {
        let sought = Element::of(text);
        let here = self.entries.iter().filter(|element| *element == sought).count();
        let removed = here.min(most);
        let first = if end == End::Front { 0 } else { here - removed };
        let mut edit = Edit::new(0..self.element_bytes(), self.count - removed);
        let (mut at, mut seen) = (0, 0);
        while let Some((element, next)) = self.entries.next(at) {
            let is_sought = element == sought;
            if !(is_sought && (first..first + removed).contains(&seen)) {
                edit.patch.extend_from_slice(&self.entries.as_bytes()[at..next]);
            }
            seen += usize::from(is_sought);
            at = next;
        }
        edit
    }
}

/// What is to become of the bytes of a small list.
#[derive(Clone, Debug)]
pub struct Edit {
    /// What goes, of the elements' bytes.
    part: Range<usize>,
    /// Room for the count, then what comes in its place.
    patch: SmallVec<[u8; 96]>,
    count: usize,
}

impl Edit {
    #[inline]
    fn new(part: Range<usize>, count: usize) -> Edit {
        Edit { part, patch: SmallVec::from_slice(&[0; HEAD_BYTES]), count }
    }

    fn put_first(&mut self, element: &Encoded<'_>) {
        let mut at = HEAD_BYTES;
        for part in element.parts() {
            self.patch.insert_from_slice(at, part);
            at += part.len();
        }
    }

    /// How many elements there are afterwards.
    #[must_use]
    #[inline]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many bytes the list takes afterwards.
    #[must_use]
    #[inline]
    pub fn bytes_after(&self, before: Small<'_>) -> usize {
        before.element_bytes() - self.part.len() + self.patch.len()
    }

    /// What to put in the place of which bytes of the list, and the number to be written over
    /// its first two bytes after that, unless it is among them already.
    #[inline]
    pub fn splice(&mut self) -> (Range<usize>, &[u8], Option<[u8; HEAD_BYTES]>) {
        let Range { start, end } = self.part;
        let count = u16::try_from(self.count).unwrap_or(u16::MAX).to_le_bytes();
        if start == 0 {
            self.patch[..HEAD_BYTES].copy_from_slice(&count);
            return (0..end + HEAD_BYTES, &self.patch, None);
        }
        (start + HEAD_BYTES..end + HEAD_BYTES, &self.patch[HEAD_BYTES..], Some(count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entries::Digits;

    /// Does to `bytes` what the guard of an entry does to a record.
    fn apply(bytes: &mut Vec<u8>, mut edit: Edit) {
        let expected = edit.bytes_after(Small::new(bytes));
        if bytes.is_empty() {
            bytes.resize(HEAD_BYTES, 0);
        }
        let (part, patch, count) = edit.splice();
        bytes.splice(part, patch.iter().copied());
        if let Some(count) = count {
            bytes[..HEAD_BYTES].copy_from_slice(&count);
        }
        assert_eq!(bytes.len(), expected);
    }

    fn texts(bytes: &[u8]) -> Vec<Vec<u8>> {
        let small = Small::new(bytes);
        let texts: Vec<_> =
            small.entries().iter().map(|one| one.to_text(&mut Digits::new()).to_vec()).collect();
        assert_eq!(texts.len(), small.len());
        texts
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(End, Vec<Vec<u8>>),
        Pop(End, usize),
        Set(usize, Vec<u8>),
        Insert(usize, Vec<u8>),
        Trim(usize, usize),
        RemoveEqual(End, usize, Vec<u8>),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let end = || prop::sample::select(vec![End::Front, End::Back]);
        let text = || {
            prop::sample::select(vec!["", "a", "7", "-300", "long enough to be told"])
                .prop_map(|text| text.as_bytes().to_vec())
        };
        prop_oneof![
            4 => (end(), prop::collection::vec(text(), 1..4)).prop_map(|(e, t)| Step::Push(e, t)),
            2 => (end(), 1usize..3).prop_map(|(end, count)| Step::Pop(end, count)),
            2 => (0usize..9, text()).prop_map(|(index, text)| Step::Set(index, text)),
            2 => (0usize..9, text()).prop_map(|(index, text)| Step::Insert(index, text)),
            1 => (0usize..3, 2usize..12).prop_map(|(start, end)| Step::Trim(start, end)),
            1 => (end(), 1usize..3, text()).prop_map(|(e, most, t)| Step::RemoveEqual(e, most, t)),
        ]
    }

    fn model_step(step: &Step, model: &mut Vec<Vec<u8>>) {
        match step {
            Step::Push(End::Back, texts) => model.extend(texts.iter().cloned()),
            Step::Push(End::Front, texts) => {
                texts.iter().for_each(|text| model.insert(0, text.clone()));
            }
            Step::Pop(End::Front, count) => drop(model.drain(..model.len().min(*count))),
            Step::Pop(End::Back, count) => model.truncate(model.len().saturating_sub(*count)),
            Step::Set(index, text) => {
                if let Some(place) = model.get_mut(*index) {
                    text.clone_into(place);
                }
            }
            Step::Insert(index, text) => model.insert((*index).min(model.len()), text.clone()),
            Step::Trim(start, end) => {
                model.truncate(*end);
                drop(model.drain(..model.len().min(*start)));
            }
            Step::RemoveEqual(end, most, text) => {
                for _ in 0..*most {
                    let found = match end {
                        End::Front => model.iter().position(|one| one == text),
                        End::Back => model.iter().rposition(|one| one == text),
                    };
                    found.map(|index| model.remove(index));
                }
            }
        }
    }

    fn edit_of(step: &Step, small: Small<'_>) -> Option<Edit> {
        Some(match step {
            Step::Push(end, texts) => small.push(*end, texts.iter().map(Vec::as_slice)),
            Step::Pop(End::Front, count) => small.remove(0..*count),
            Step::Pop(End::Back, count) => {
                small.remove(small.len().saturating_sub(*count)..small.len())
            }
            Step::Set(index, text) => return small.set(*index, text),
            Step::Insert(index, text) => small.insert(*index, text),
            Step::Trim(start, end) => small.trim((*start).min(small.len())..*end),
            Step::RemoveEqual(end, most, text) => small.remove_equal(*end, text, *most),
        })
    }

    proptest! {
        #[test]
        fn a_small_list_is_a_list(steps in prop::collection::vec(any_step(), 1..60)) {
            let (mut bytes, mut model) = (Vec::new(), Vec::new());
            for step in steps {
                model_step(&step, &mut model);
                if let Some(edit) = edit_of(&step, Small::new(&bytes)) {
                    prop_assert_eq!(edit.count(), model.len());
                    apply(&mut bytes, edit);
                }
                prop_assert_eq!(&texts(&bytes), &model);
                let small = Small::new(&bytes);
                for index in 0..model.len() + 1 {
                    let found = small.get(index);
                    let found = found.map(|one| one.to_text(&mut Digits::new()).to_vec());
                    prop_assert_eq!(found.as_ref(), model.get(index));
                    let counted = small.range(index..index + 2).count();
                    prop_assert_eq!(counted, model.iter().skip(index).take(2).count());
                }
            }
        }
    }
}

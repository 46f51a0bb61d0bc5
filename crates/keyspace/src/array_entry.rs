//! The guard of an array: what may be done to it, small or large.
//!
//! # Invariants
//!
//! 1. An array is small until its bytes would not lie in its record any more, or walking over them
//!    would take long; it never becomes small again.
//! 2. No entry holds an array without values.

use packed::INLINE_MAX;
use value::array::{Array, ArrayRef, Cursor, Draft, Small, small};
use value::{Big, Type};

use crate::changes::{Event, event};
use crate::collection::{CollectionEntry, NewCollection};
use crate::entry::Expiry;
use crate::{Refused, Stored, View};

/// An array of more bytes does not lie in its record, so it is a large one.
pub const SMALL_ARRAY_BYTES_MAX: usize = INLINE_MAX;

/// A key that holds an array or nothing, with the right to change it.
pub struct ArrayEntry<'v> {
    entry: CollectionEntry<'v>,
}

impl View<'_> {
    /// Reads an array. Counts as a use of the key.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn array(&self, key: &[u8]) -> Result<Option<ArrayRef<'_>>, Refused> {
        Ok(self.collection(key, Type::Array)?.and_then(array_of))
    }

    /// Puts an array over whatever a key holds; `expiry` says what becomes of its deadline. An
    /// empty one removes the key, which tells `del`.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn put_array(
        &mut self,
        key: &[u8],
        new: Draft,
        expiry: Expiry,
        event: Event,
    ) -> Result<(), Refused> {
        let mut entry = self.collection_over(key, Type::Array);
        match new {
            new if new.read().is_empty() => {
                entry.remove(event::DEL);
                return Ok(());
            }
            Draft::Small(bytes, _) => entry.put(NewCollection::Packed(&bytes), expiry)?,
            Draft::Big(array) => {
                entry.put(NewCollection::Big(Box::new(Big::Array(*array))), expiry)?;
            }
        }
        entry.noted(event, false);
        Ok(())
    }

    /// The guard of a key that holds an array or nothing, see [`View::collection_entry`].
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn array_entry<'v>(&'v mut self, key: &'v [u8]) -> Result<ArrayEntry<'v>, Refused> {
        Ok(ArrayEntry { entry: self.collection_entry(key, Type::Array)? })
    }
}

/// What is stored, if it is an array.
#[inline]
#[must_use]
pub fn array_of(stored: Stored<'_>) -> Option<ArrayRef<'_>> {
    match stored {
        Stored::Packed(Type::Array, bytes) => Some(ArrayRef::Small(Small::new(bytes))),
        Stored::Big(Big::Array(array)) => Some(ArrayRef::Big(array)),
        _ => None,
    }
}

impl ArrayEntry<'_> {
    /// The array, if there is one.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<ArrayRef<'_>> {
        self.entry.stored().and_then(array_of)
    }

    /// Puts values into slots, which makes the array if there is none; tells how many of the slots
    /// were not used before. There has to be a value.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for them; nothing has changed then.
    #[inline]
    pub fn set<'t>(
        &mut self,
        slots: impl Iterator<Item = (u64, &'t [u8])>,
        event: Event,
    ) -> Result<u64, Refused> {
        self.write(slots, None, event)
    }

    /// Puts values into the slots from the cursor on, which goes behind them; tells the index of
    /// the last one, or nothing and changes nothing if there are not as many indexes.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for them; nothing has changed then.
    #[inline]
    pub fn insert<'t>(
        &mut self,
        texts: impl ExactSizeIterator<Item = &'t [u8]>,
    ) -> Result<Option<u64>, Refused> {
        let cursor = self.get().map_or_else(Cursor::default, ArrayRef::cursor);
        let Some(next) = cursor.next.checked_add(texts.len() as u64) else { return Ok(None) };
        let slots = texts.enumerate().map(|(step, text)| (cursor.next + step as u64, text));
        self.write(slots, Some(Cursor { next, ..cursor }), event::ARINSERT)?;
        Ok(next.checked_sub(1))
    }

    /// Puts values into the slots from the cursor on, which goes behind them, as far as they are
    /// below `size`, and from index 0 on then; tells the index of the last one. An array that is
    /// longer, or was a ring of another size, is laid out anew: its values that were inserted last
    /// come first, the oldest of them at index 0, and the others go.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for them; nothing has changed then.
    pub fn insert_into_ring<'t>(
        &mut self,
        size: u64,
        texts: impl ExactSizeIterator<Item = &'t [u8]>,
    ) -> Result<u64, Refused> {
        let anew = self.laid_out_anew(size);
        let next = match &anew {
            Some(draft) => draft.read().cursor().next,
            None => self.get().map_or(0, |array| array.cursor().next),
        };
        // Of more values than there are slots the first ones would be written over.
        let passed = (texts.len() as u64).saturating_sub(size);
        let in_ring = |index: u128| (index % u128::from(size)) as u64;
        let start = u128::from(next) + u128::from(passed);
        let count = texts.len() as u64 - passed;
        let last = in_ring(start + u128::from(count.saturating_sub(1)));
        let slots = (0..u128::from(count)).map(|step| in_ring(start + step));
        let slots = slots.zip(texts.skip(passed as usize));
        let cursor = Some(Cursor { next: last + 1, ring: size });
        match anew {
            Some(draft) => self.write_draft(draft, slots, cursor, event::ARRING)?,
            None => self.write(slots, cursor, event::ARRING)?,
        };
        Ok(last)
    }

    /// The array as a ring of `size`, if it has to be laid out anew for that.
    fn laid_out_anew(&self, size: u64) -> Option<Draft> {
        let array = self.get()?;
        let (len, Cursor { next, ring }) = (array.len(), array.cursor());
        // A ring that has turned: what is behind the cursor is older than what is before it.
        let has_turned = (1..len).contains(&next);
        let grows = ring != 0 && ring < size && has_turned;
        if len <= size && !grows {
            return None;
        }
        let recent = array.recent(size);
        let mut draft = Draft::new(Cursor { next: recent.len() as u64, ring });
        for (index, text) in (0..).zip(&recent) {
            draft.set(index, text, INLINE_MAX);
        }
        Some(draft)
    }

    /// Moves the cursor; tells whether there is an array.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn seek(&mut self, next: u64) -> Result<bool, Refused> {
        let Some(array) = self.get() else { return Ok(false) };
        let cursor = Cursor { next, ..array.cursor() };
        if cursor != array.cursor() {
            self.write(std::iter::empty(), Some(cursor), event::ARSEEK)?;
        }
        Ok(true)
    }

    /// Empties the slots of ranges of indexes, both of their ends included; tells how many were
    /// used. The entry goes with its last value.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for what is left; nothing has changed then.
    pub fn remove(
        &mut self,
        ranges: impl Iterator<Item = (u64, u64)>,
        event: Event,
    ) -> Result<u64, Refused> {
        let mut removed = 0;
        let is_empty = if let Some(array) = self.big() {
            ranges.for_each(|(low, high)| removed += array.remove_range(low, high));
            array.is_empty()
        } else {
            let Some(Stored::Packed(_, old)) = self.entry.stored() else { return Ok(0) };
            let mut bytes = small::Bytes::from_slice(old);
            ranges.for_each(|(low, high)| removed += small::remove_range(&mut bytes, low, high));
            let is_empty = Small::new(&bytes).iter().next().is_none();
            if removed > 0 && !is_empty {
                let part = 0..old.len();
                self.entry.splice(part, &bytes)?;
            }
            is_empty
        };
        if removed > 0 {
            self.entry.noted(event, is_empty);
        }
        Ok(removed)
    }

    /// The array, if it is a large one.
    #[inline]
    fn big(&mut self) -> Option<&mut Array> {
        match self.entry.big_mut()? {
            (Big::Array(array), _) => Some(array),
            _ => None,
        }
    }

    #[inline]
    fn write<'t>(
        &mut self,
        slots: impl Iterator<Item = (u64, &'t [u8])>,
        cursor: Option<Cursor>,
        event: Event,
    ) -> Result<u64, Refused> {
        if let Some(array) = self.big() {
            let mut added = 0;
            slots.for_each(|(index, text)| added += u64::from(array.set(index, text)));
            array.cursor = cursor.unwrap_or(array.cursor);
            self.entry.noted(event, false);
            return Ok(added);
        }
        let draft = match self.entry.stored() {
            Some(Stored::Packed(_, bytes)) => Draft::of(bytes),
            _ => Draft::new(Cursor::default()),
        };
        self.write_draft(draft, slots, cursor, event)
    }

    fn write_draft<'t>(
        &mut self,
        mut draft: Draft,
        slots: impl Iterator<Item = (u64, &'t [u8])>,
        cursor: Option<Cursor>,
        event: Event,
    ) -> Result<u64, Refused> {
        let mut added = 0;
        slots.for_each(|(index, text)| added += u64::from(draft.set(index, text, INLINE_MAX)));
        if let Some(cursor) = cursor {
            draft.set_cursor(cursor);
        }
        let old = match self.entry.stored() {
            Some(Stored::Packed(_, bytes)) => Some(bytes.len()),
            _ => None,
        };
        match (draft, old) {
            (Draft::Small(bytes, _), Some(len)) => self.entry.splice(0..len, &bytes)?,
            (Draft::Small(bytes, _), None) => {
                self.entry.put(NewCollection::Packed(&bytes), Expiry::Keep)?;
            }
            (Draft::Big(array), _) => {
                let big = Box::new(Big::Array(*array));
                self.entry.put(NewCollection::Big(big), Expiry::Keep)?;
            }
        }
        self.entry.noted(event, false);
        Ok(added)
    }
}

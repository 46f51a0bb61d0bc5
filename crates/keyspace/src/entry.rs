//! The guard of a string entry: the one way to change a string, which notes what was changed.

use std::sync::Arc;

use dash::At;
use packed::{Handle, Kind, NewValue};
use value::Type;

use crate::changes::{Effect, Event};
use crate::database::Str;
use crate::view::Writing;
use crate::{Frame, Millis, Refused};

/// What becomes of an entry's deadline when its value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It stays as it is.
    Keep,
    /// The entry has none any more.
    Clear,
    /// The entry expires at this moment.
    At(Millis),
}

impl Expiry {
    /// The deadline of an entry that had `before`.
    #[inline]
    pub(crate) fn after(self, before: Option<Millis>) -> Option<Millis> {
        match self {
            Expiry::At(moment) => Some(moment),
            Expiry::Keep => before,
            Expiry::Clear => None,
        }
    }
}

/// A key that holds a string or nothing, with the right to change it.
pub struct StrEntry<'v> {
    pub(crate) writing: Writing<'v>,
    pub(crate) key: &'v [u8],
    pub(crate) hash: u64,
    pub(crate) at: Option<At>,
}

impl StrEntry<'_> {
    #[inline(always)]
    fn handle(&self) -> Option<Handle> {
        self.at.map(|at| Handle::from_bits(at.handle()))
    }

    /// The string, if there is one.
    #[must_use]
    #[inline(always)]
    pub fn get(&self) -> Option<Str<'_>> {
        let record = self.writing.database()?.records.at(self.handle()?);
        (record.kind() == Kind::Str).then(|| Str(record.str()))
    }

    /// Whether the key holds something else: only an entry of [`crate::View::str_over`] may.
    #[must_use]
    pub fn holds_other(&self) -> bool {
        self.exists() && self.get().is_none()
    }

    /// The string's bytes; none if there is no string.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.get().map_or(&[], |text| text.as_bytes())
    }

    /// Whether the key holds anything.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.at.is_some()
    }

    /// Counts the look-up as a hit or a miss, as for a command that also returns what it found;
    /// subscribers are told of a miss.
    pub fn count_lookup(&self) {
        self.writing.count(self.key, self.exists());
    }

    /// What the transaction takes as given.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        self.writing.frame()
    }

    /// When the entry expires.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.writing.database()?.records.deadline(self.handle()?)
    }

    /// Writes a string anew that was read before, as INCR does: to put another one in its place is
    /// [`StrEntry::replace`].
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    #[inline]
    pub fn set(&mut self, bytes: &[u8], expiry: Expiry, event: Event) -> Result<(), Refused> {
        self.store(bytes, expiry)?;
        self.noted(event);
        Ok(())
    }

    /// Puts a string over whatever is there, of which subscribers can be told beside `event`.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    #[inline]
    pub fn replace(&mut self, bytes: &[u8], expiry: Expiry, event: Event) -> Result<(), Refused> {
        self.put_over(event, |entry| entry.store(bytes, expiry))
    }

    /// The same with a string that is copied already.
    ///
    /// # Errors
    /// As those of [`StrEntry::replace`].
    pub fn replace_copied(
        &mut self,
        bytes: Arc<Vec<u8>>,
        expiry: Expiry,
        event: Event,
    ) -> Result<(), Refused> {
        self.put_over(event, |entry| entry.store_copied(bytes, expiry))
    }

    #[inline]
    fn put_over(
        &mut self,
        event: Event,
        store: impl FnOnce(&mut Self) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let (was_there, before) = (self.exists(), self.writing.kind_to_tell(self.at));
        store(self)?;
        if was_there && event.is_arrival() {
            self.writing.note_new(self.key);
        }
        self.writing.note_put(self.key, event, before, Type::String);
        Ok(())
    }

    /// Adds bytes at the end. That is an edit in place, unless there was no string.
    pub fn append(&mut self, more: &[u8], event: Event) -> Result<(), Refused> {
        let hash = self.hash;
        match self.begin_edit() {
            Some((database, at)) => {
                let new = database.records.append(Handle::from_bits(at.handle()), more)?;
                database.records.set_raw(new, true);
                self.at = Some(database.moved(hash, at, new));
            }
            None => self.store(more, Expiry::Keep)?,
        }
        self.noted(event);
        Ok(())
    }

    /// Changes the string in place: grows it with zero bytes to at least `len`, then calls `edit`.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn edit(
        &mut self,
        len: usize,
        event: Event,
        edit: impl FnOnce(&mut [u8]),
    ) -> Result<(), Refused> {
        self.edit_if(len, event, |bytes| {
            edit(bytes);
            true
        })
    }

    /// Like [`StrEntry::edit`], but `edit` tells whether it changed anything. If it did not, and
    /// the string did not grow either, nothing is noted.
    pub fn edit_if(
        &mut self,
        len: usize,
        event: Event,
        edit: impl FnOnce(&mut [u8]) -> bool,
    ) -> Result<(), Refused> {
        let hash = self.hash;
        let grows = self.at.is_none() || self.bytes().len() < len;
        if self.at.is_none() {
            self.writing.before_change(hash);
            self.make(NewValue::SharedStr { bytes: Arc::new(vec![0; len]), raw: true }, None)?;
        }
        let Some((database, at)) = self.begin_edit() else { return Ok(()) };
        let mut handle = Handle::from_bits(at.handle());
        if database.records.len(handle) < len {
            handle = database.records.resize(handle, len)?;
        }
        database.records.set_raw(handle, true);
        let changed = edit(database.records.bytes_mut(handle));
        self.at = Some(database.moved(hash, at, handle));
        if changed || grows {
            self.noted(event);
        }
        Ok(())
    }

    /// Writes a string over the one that is there, as if it were edited in place: it keeps its
    /// deadline, and clients see it as `raw`.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn rebuild(&mut self, bytes: &[u8], event: Event) -> Result<(), Refused> {
        self.writing.before_change(self.hash);
        self.write(NewValue::Str { bytes, raw: true }, Expiry::Keep)?;
        self.noted(event);
        Ok(())
    }

    /// Gives the entry another deadline, or none; nothing if there is no entry.
    pub fn set_deadline(&mut self, deadline: Option<Millis>, event: Event) -> Result<(), Refused> {
        let hash = self.hash;
        let Some((database, at)) = self.begin_edit() else { return Ok(()) };
        self.at = Some(database.set_deadline(hash, at, deadline)?);
        self.writing.note(self.key, event, Effect::Deadline(deadline));
        Ok(())
    }

    /// Notes one more event for subscribers, such as `expire` after a `set`.
    pub fn also(&mut self, event: Event) {
        self.writing.note(self.key, event, Effect::Nothing);
    }

    /// Takes the entry out; tells whether there was one.
    pub fn remove(&mut self, event: Event) -> bool {
        let hash = self.hash;
        let Some((database, at)) = self.begin_edit() else { return false };
        let garbage = database.remove(hash, at);
        self.at = None;
        self.writing.discard(garbage);
        self.writing.note(self.key, event, Effect::Delete);
        true
    }

    fn begin_edit(&mut self) -> Option<(&mut crate::database::Database, At)> {
        let at = self.at?;
        self.writing.before_change(self.hash);
        Some((self.writing.database_mut(), at))
    }

    #[inline]
    fn store(&mut self, bytes: &[u8], expiry: Expiry) -> Result<(), Refused> {
        let hash = self.hash;
        self.writing.before_change(hash);
        if let Some(at) = self.at
            && !matches!(expiry, Expiry::At(_))
            && self.writing.database_mut().records.rewrite(Handle::from_bits(at.handle()), bytes)
        {
            return Ok(());
        }
        self.write(NewValue::Str { bytes, raw: false }, expiry)
    }

    fn store_copied(&mut self, bytes: Arc<Vec<u8>>, expiry: Expiry) -> Result<(), Refused> {
        self.writing.before_change(self.hash);
        self.write(NewValue::SharedStr { bytes, raw: false }, expiry)
    }

    /// Writes a string where it finds room.
    #[inline]
    fn write(&mut self, value: NewValue<'_>, expiry: Expiry) -> Result<(), Refused> {
        let hash = self.hash;
        let Some(at) = self.at else { return self.make(value, expiry.after(None)) };
        let database = self.writing.database_mut();
        if let NewValue::Str { bytes, raw } = value
            && let Some(replaced) = database.replace_short(hash, at, (bytes, raw), expiry)
        {
            self.at = Some(replaced?);
            return Ok(());
        }
        let (at, remains) = self.writing.database_mut().replace(hash, at, value, expiry)?;
        self.at = Some(at);
        self.writing.discard(remains);
        Ok(())
    }

    fn make(&mut self, value: NewValue<'_>, deadline: Option<Millis>) -> Result<(), Refused> {
        let at = self.writing.insert(self.hash, self.key, value, deadline)?;
        self.at = Some(at);
        Ok(())
    }

    fn noted(&mut self, event: Event) {
        self.writing.note(self.key, event, Effect::Set);
    }
}

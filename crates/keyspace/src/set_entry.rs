//! The guard of a set's entry, and sets as a view reads them.

use value::entries::{Digits, Element};
use value::map::{Map, Until};
use value::set::{self, NewSet, SetRef, Step};
use value::{Big, Type};

use crate::changes::{Event, event};
use crate::collection::{CollectionEntry, NewCollection, count_done};
use crate::database::Stored;
use crate::entry::Expiry;
use crate::view::View;
use crate::{KeyHasher, Millis, Refused};

impl<'g> View<'g> {
    /// Reads a set. Counts as a use of the key.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn set(&self, key: &[u8]) -> Result<Option<SetRef<'_>>, Refused> {
        let found = self.collection(key, Type::Set)?;
        Ok(found.and_then(|stored| set_of(stored, self.hasher(), self.now())))
    }

    /// The guard of a key that holds a set or nothing.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn set_entry<'v>(&'v mut self, key: &'v [u8]) -> Result<SetEntry<'v>, Refused> {
        Ok(SetEntry { entry: self.collection_entry(key, Type::Set)? })
    }

    /// Puts a set where the key is, over whatever is there; an empty one removes it.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn put_set(
        &mut self,
        key: &[u8],
        new: NewSet,
        expiry: Expiry,
        event: Event,
    ) -> Result<(), Refused> {
        let hasher = self.hasher();
        let mut entry = self.collection_over(key, Type::Set);
        if new.as_ref(hasher).is_empty() {
            entry.remove(event::DEL);
            return Ok(());
        }
        match new {
            NewSet::Packed(bytes) => entry.replace(NewCollection::Packed(&bytes), expiry, event),
            NewSet::Big(set) => {
                entry.replace(NewCollection::Big(Box::new(Big::Set(*set))), expiry, event)
            }
        }
    }
}

fn put(entry: &mut CollectionEntry<'_>, new: NewSet, expiry: Expiry) -> Result<(), Refused> {
    match new {
        NewSet::Packed(bytes) => entry.put(NewCollection::Packed(&bytes), expiry),
        NewSet::Big(set) => entry.put(NewCollection::Big(Box::new(Big::Set(*set))), expiry),
    }
}

/// A set as it lies, as of now; `None` if it is something else.
#[must_use]
pub fn set_of<'a>(stored: Stored<'a>, hasher: &'a KeyHasher, now: Millis) -> Option<SetRef<'a>> {
    match stored {
        Stored::Packed(_, bytes) => Some(SetRef::packed(bytes)),
        Stored::Big(Big::Set(set)) => Some(SetRef::Big(set, hasher)),
        Stored::Big(Big::DatedSet(map)) => Some(SetRef::Dated(map, hasher, now)),
        Stored::Big(_) | Stored::Str(_) => None,
    }
}

/// A key that holds a set or nothing, with the right to change it. Who has changed it says so by
/// [`SetEntry::noted`], once.
pub struct SetEntry<'v> {
    entry: CollectionEntry<'v>,
}

impl SetEntry<'_> {
    /// The set, if there is one.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<SetRef<'_>> {
        set_of(self.entry.stored()?, self.entry.hasher(), self.entry.now())
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.get().map_or(0, |set| set.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.get().is_none_or(|set| set.is_empty())
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.entry.now()
    }

    /// Adds members; returns how many are new.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for one of them; those before it are there then.
    pub fn insert_all<'a>(
        &mut self,
        members: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<usize, Refused> {
        if !self.entry.exists() && members.len() > 1 {
            // In one go, so that the record need not move as it grows.
            let (limits, hasher) = (self.entry.layout().set, self.entry.hasher());
            let mut new = NewSet::new();
            for member in members {
                new.insert(member, &limits, hasher)?;
            }
            let count = new.as_ref(hasher).len();
            put(&mut self.entry, new, Expiry::Keep)?;
            return Ok(count);
        }
        let (added, outcome) = count_done(members, |member| self.insert(member));
        if added > 0 && outcome.is_err() {
            // Who listens is told of those that are there.
            self.noted(event::SADD);
        }
        outcome.map(|()| added)
    }

    /// Adds a member; tells whether it is new. One that is there keeps its deadline.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    #[inline]
    pub fn insert(&mut self, text: &[u8]) -> Result<bool, Refused> {
        match self.entry.big_mut() {
            Some((Big::Set(set), hasher)) => return Ok(set::insert_into_big(set, text, hasher)?),
            Some(_) => {
                let is_new = self.get().is_some_and(|set| !set.contains(text));
                return if is_new { self.put_dated(text, Until::Never) } else { Ok(false) };
            }
            None => {}
        }
        let limits = self.entry.layout().set;
        let step = match self.entry.stored() {
            Some(Stored::Packed(_, bytes)) => set::insert(bytes, text, &limits),
            _ => set::of_one(text, &limits).map_or(Step::Grow, Step::Whole),
        };
        match step {
            Step::Nothing => return Ok(false),
            Step::Splice(part, patch) => {
                self.entry.splice(part, &patch)?;
                set::count(self.entry.packed_mut(), 1);
            }
            Step::Whole(bytes) => self.entry.put(NewCollection::Packed(&bytes), Expiry::Keep)?,
            Step::Grow => {
                let hasher = self.entry.hasher();
                let mut big = match self.get() {
                    Some(small) => small.to_big(hasher)?,
                    None => set::Set::new(),
                };
                set::insert_into_big(&mut big, text, hasher)?;
                self.entry.put(NewCollection::Big(Box::new(Big::Set(big))), Expiry::Keep)?;
            }
        }
        Ok(true)
    }

    /// Counts the set where its length is now, for a guard that goes before the change is noted by
    /// another one.
    pub fn recount(&mut self) {
        self.entry.recount();
    }

    /// Adds a member that is there up to a deadline, or gives one that is there this deadline;
    /// tells whether it is new.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn insert_until(&mut self, text: &[u8], deadline: Millis) -> Result<bool, Refused> {
        let until = Until::At(deadline);
        let is_new = match self.entry.stored() {
            Some(Stored::Big(Big::DatedSet(_))) => self.put_dated(text, until)?,
            _ => self.become_dated(text, until)?,
        };
        self.entry.note_due();
        Ok(is_new)
    }

    /// Makes the set one of members with deadlines, with one more or one that is there.
    fn become_dated(&mut self, text: &[u8], until: Until) -> Result<bool, Refused> {
        let (now, hasher) = (self.entry.now(), self.entry.hasher());
        let mut dated = match self.get() {
            Some(set) => set.to_dated(hasher)?,
            None => Map::new(),
        };
        let is_new = dated.set(text, &[], until, now, hasher)?;
        self.entry.put(NewCollection::Big(Box::new(Big::DatedSet(dated))), Expiry::Keep)?;
        Ok(is_new)
    }

    /// Puts a member into a set of such with deadlines; tells whether it is new.
    fn put_dated(&mut self, text: &[u8], until: Until) -> Result<bool, Refused> {
        let now = self.entry.now();
        let Some((Big::DatedSet(map), hasher)) = self.entry.big_mut() else { return Ok(false) };
        let has_lapsed = map.has_lapsed(text, now, hasher);
        let is_new = map.set(text, &[], until, now, hasher)?;
        if has_lapsed {
            self.entry.lapse(text);
        }
        Ok(is_new)
    }

    /// Takes a member out; tells whether it was there.
    ///
    /// # Errors
    /// [`Refused::Full`] if a smaller record found no room; nothing has changed then.
    #[inline]
    pub fn remove(&mut self, text: &[u8]) -> Result<bool, Refused> {
        let now = self.entry.now();
        match self.entry.big_mut() {
            Some((Big::Set(set), hasher)) => return Ok(set::remove_from_big(set, text, hasher)),
            Some((Big::DatedSet(map), hasher)) => return Ok(map.remove(text, now, hasher)),
            _ => {}
        }
        let step = match self.entry.stored() {
            Some(Stored::Packed(_, bytes)) => set::remove(bytes, text),
            _ => return Ok(false),
        };
        match step {
            Step::Nothing | Step::Grow => return Ok(false),
            Step::Splice(part, patch) => {
                self.entry.splice(part, &patch)?;
                set::count(self.entry.packed_mut(), -1);
            }
            Step::Whole(bytes) => self.entry.put(NewCollection::Packed(&bytes), Expiry::Keep)?,
        }
        Ok(true)
    }

    /// Takes some member out, chosen by `chance` (any 64 random bits), after `tell` has seen it;
    /// tells whether there was one.
    ///
    /// # Errors
    /// As those of [`SetEntry::remove`].
    pub fn pop(&mut self, chance: u64, tell: impl FnOnce(Element<'_>)) -> Result<bool, Refused> {
        let Some(element) = self.get().and_then(|set| set.random(chance)) else {
            return Ok(false);
        };
        tell(element);
        let mut digits = Digits::new();
        let text: smallvec::SmallVec<[u8; 64]> = element.to_text(&mut digits).into();
        self.remove(&text)
    }

    /// Removes the whole entry, all of which was read before.
    pub fn clear(&mut self, event: Event) {
        let members = self.len();
        self.entry.count_hit();
        self.entry.noted_parts(event, members, true);
    }

    /// Notes that members came or went; the entry goes if there are none left, and with it those
    /// whose deadlines have passed.
    pub fn noted(&mut self, event: Event) {
        let is_empty = self.is_empty();
        self.entry.noted(event, is_empty);
    }

    /// The same for so many parts: each of them counts as a change.
    #[inline]
    pub fn noted_parts(&mut self, event: Event, parts: usize) {
        let is_empty = self.is_empty();
        self.entry.noted_parts(event, parts, is_empty);
    }

    /// Notes one more event for subscribers, before [`SetEntry::noted`] is told the last.
    pub fn also(&mut self, event: Event) {
        self.entry.also(event);
    }
}

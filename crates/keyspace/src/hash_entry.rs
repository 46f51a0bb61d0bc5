//! The guard of a hash's entry, and hashes as a view reads them.

use value::entries::Digits;
use value::map::{self, Map, MapRef, NewMap, Until};
use value::set::Step;
use value::{Big, Type};

use crate::changes::{Class, Event, Names, event};
use crate::collection::{CollectionEntry, NewCollection, count_done};
use crate::database::Stored;
use crate::entry::Expiry;
use crate::view::View;
use crate::{KeyHasher, Millis, Refused};

impl View<'_> {
    /// Reads a hash. Counts as a use of the key.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn hash_map(&self, key: &[u8]) -> Result<Option<MapRef<'_>>, Refused> {
        let found = self.collection(key, Type::Hash)?;
        Ok(found.and_then(|stored| map_of(stored, self.hasher(), self.now())))
    }

    /// The guard of a key that holds a hash or nothing.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn hash_entry<'v>(&'v mut self, key: &'v [u8]) -> Result<HashEntry<'v>, Refused> {
        let mut entry = self.collection_entry(key, Type::Hash)?;
        entry.writing.forget_parts();
        Ok(HashEntry { entry })
    }

    /// Puts a hash that has fields where the key is, over whatever is there.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn put_hash(
        &mut self,
        key: &[u8],
        new: NewMap,
        expiry: Expiry,
        event: Event,
    ) -> Result<(), Refused> {
        let hasher = self.hasher();
        let mut entry = self.collection_over(key, Type::Hash);
        entry.writing.forget_parts();
        if event.class == Class::Hash && entry.writing.tells_parts() {
            let mut digits = Digits::new();
            for (field, _) in new.as_ref(hasher).iter() {
                entry.writing.touch_part(field.to_text(&mut digits));
            }
        }
        match new {
            NewMap::Packed(bytes) => entry.replace(NewCollection::Packed(&bytes), expiry, event)?,
            NewMap::Big(map) => {
                let big = Box::new(Big::Hash(*map));
                entry.replace(NewCollection::Big(big), expiry, event)?;
            }
        }
        entry.note_due();
        Ok(())
    }
}

/// A hash as it lies, as of now; `None` if it is something else.
#[must_use]
pub fn map_of<'a>(stored: Stored<'a>, hasher: &'a KeyHasher, now: Millis) -> Option<MapRef<'a>> {
    match stored {
        Stored::Packed(_, bytes) => Some(MapRef::packed(bytes)),
        Stored::Big(Big::Hash(map)) => Some(MapRef::Big(map, hasher, now)),
        Stored::Big(_) | Stored::Str(_) => None,
    }
}

/// A key that holds a hash or nothing, with the right to change it. Who has changed it says so by
/// [`HashEntry::noted`], once.
pub struct HashEntry<'v> {
    entry: CollectionEntry<'v>,
}

impl HashEntry<'_> {
    /// The hash, if there is one.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<MapRef<'_>> {
        map_of(self.entry.stored()?, self.entry.hasher(), self.entry.now())
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.get().map_or(0, |map| map.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.get().is_none_or(|map| map.is_empty())
    }

    /// Whether the key holds a hash, perhaps one whose fields have all outlived their deadlines.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.entry.exists()
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.entry.now()
    }

    /// Sets fields; returns how many are new. A hash that gets too many for a small one becomes
    /// large at once, as in Redis.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for one of them; those before it are set then.
    pub fn set_all<'a>(
        &mut self,
        pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<usize, Refused> {
        if !self.entry.exists() && pairs.len() > 1 {
            return self.make(pairs);
        }
        let is_small = matches!(self.entry.stored(), Some(Stored::Packed(..)));
        if is_small && !self.entry.layout().hash.take(pairs.len()) {
            let big = self.to_big()?;
            self.put_big(big)?;
        }
        let mut added = 0;
        let (set, outcome) = count_done(pairs, |(field, value)| {
            added += usize::from(self.set(field, value)?);
            Ok(true)
        });
        if set > 0 && outcome.is_err() {
            // Who listens is told of those that are set.
            self.noted(event::HSET);
        }
        outcome.map(|()| added)
    }

    /// Makes a hash of several fields in one go: its record need not move as it grows.
    fn make<'a>(
        &mut self,
        pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<usize, Refused> {
        let (limits, hasher) = (self.entry.layout().hash, self.entry.hasher());
        let mut new = if limits.take(pairs.len()) { NewMap::new() } else { NewMap::large() };
        let mut names = Names::default();
        for (field, value) in pairs {
            new.set(field, value, &limits, hasher)?;
            if self.entry.writing.tells_parts() {
                names.push(field);
            }
        }
        let count = new.as_ref(hasher).len();
        match new {
            NewMap::Packed(bytes) => self.entry.put(NewCollection::Packed(&bytes), Expiry::Keep)?,
            NewMap::Big(map) => self.put_big(*map)?,
        }
        self.entry.writing.touch_parts(&names);
        Ok(count)
    }

    /// Makes a small hash a large one for the sake of a deadline.
    fn grow_for_deadline(&mut self) -> Result<(), Refused> {
        if matches!(self.entry.stored(), Some(Stored::Big(_))) {
            return Ok(());
        }
        let big = self.to_big()?.compact();
        self.put_big(big)
    }

    fn to_big(&self) -> Result<Map, Refused> {
        match self.get() {
            Some(small) => Ok(small.to_big(self.entry.hasher())?),
            None => Ok(Map::new()),
        }
    }

    fn put_big(&mut self, big: Map) -> Result<(), Refused> {
        self.entry.put(NewCollection::Big(Box::new(Big::Hash(big))), Expiry::Keep)
    }

    /// Sets a field, which has no deadline from then on; tells whether it is new.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    #[inline]
    pub fn set(&mut self, field: &[u8], value: &[u8]) -> Result<bool, Refused> {
        self.set_until(field, value, Until::Never)
    }

    /// Sets a field, and says what becomes of its deadline; tells whether it is new.
    ///
    /// # Errors
    /// Those of [`HashEntry::set`].
    #[inline]
    pub fn set_until(&mut self, field: &[u8], value: &[u8], until: Until) -> Result<bool, Refused> {
        let (limits, now) = (self.entry.layout().hash, self.entry.now());
        let is_new = if let Some((Big::Hash(map), hasher)) = self.entry.big_mut() {
            let has_lapsed = map.has_lapsed(field, now, hasher);
            map.outgrow(field, value, &limits);
            let is_new = map.set(field, value, until, now, hasher)?;
            if has_lapsed {
                self.entry.lapse(field);
            }
            is_new
        } else if let Until::At(_) = until {
            self.set_in_large(self.to_big()?.compact(), field, value, until)?
        } else {
            self.set_in_small(field, value)?
        };
        self.entry.writing.touch_part(field);
        Ok(is_new)
    }

    /// Sets a field in what a small hash becomes, or none.
    fn set_in_large(
        &mut self,
        mut map: Map,
        field: &[u8],
        value: &[u8],
        until: Until,
    ) -> Result<bool, Refused> {
        let (limits, now) = (self.entry.layout().hash, self.entry.now());
        map.outgrow(field, value, &limits);
        let is_new = map.set(field, value, until, now, self.entry.hasher())?;
        self.put_big(map)?;
        Ok(is_new)
    }

    /// Gives a field that is there another deadline, or none.
    ///
    /// # Errors
    /// Those of [`HashEntry::set`].
    pub fn set_deadline(&mut self, field: &[u8], deadline: Option<Millis>) -> Result<(), Refused> {
        if deadline.is_some() {
            self.grow_for_deadline()?;
        }
        if let Some((Big::Hash(map), hasher)) = self.entry.big_mut() {
            map.set_deadline(field, deadline, hasher)?;
        }
        self.entry.writing.touch_part(field);
        Ok(())
    }

    fn set_in_small(&mut self, field: &[u8], value: &[u8]) -> Result<bool, Refused> {
        let limits = self.entry.layout().hash;
        let (step, is_new) = match self.entry.stored() {
            Some(Stored::Packed(_, bytes)) => map::set(bytes, field, value, &limits),
            _ => {
                if let Some(bytes) = map::of_one(field, value, &limits) {
                    self.entry.put(NewCollection::Packed(&bytes), Expiry::Keep)?;
                    return Ok(true);
                }
                (Step::Grow, true)
            }
        };
        match step {
            Step::Nothing | Step::Whole(_) => {}
            Step::Splice(part, patch) => {
                self.entry.splice(part, &patch)?;
                if is_new {
                    map::count(self.entry.packed_mut(), 1);
                }
            }
            Step::Grow => return self.set_in_large(self.to_big()?, field, value, Until::Never),
        }
        Ok(is_new)
    }

    /// Takes a field out; tells whether it was there.
    ///
    /// # Errors
    /// [`Refused::Full`] if a smaller record found no room; nothing has changed then.
    #[inline]
    pub fn remove(&mut self, field: &[u8]) -> Result<bool, Refused> {
        let was_there = self.take_out(field)?;
        if was_there {
            self.entry.writing.touch_part(field);
        }
        Ok(was_there)
    }

    /// Names a field for the events that are noted next, where nothing else does.
    pub fn name(&mut self, field: &[u8]) {
        self.entry.writing.touch_part(field);
    }

    /// [`HashEntry::remove`] of a field that is named already.
    ///
    /// # Errors
    /// Those of [`HashEntry::remove`].
    #[inline]
    pub fn take_out(&mut self, field: &[u8]) -> Result<bool, Refused> {
        let now = self.entry.now();
        if let Some((Big::Hash(map), hasher)) = self.entry.big_mut() {
            return Ok(map.remove(field, now, hasher));
        }
        let Some(Stored::Packed(_, bytes)) = self.entry.stored() else { return Ok(false) };
        let Step::Splice(part, patch) = map::remove(bytes, field) else { return Ok(false) };
        self.entry.splice(part, &patch)?;
        map::count(self.entry.packed_mut(), -1);
        Ok(true)
    }

    /// Takes a field out that is held though its deadline has passed, so that it is as gone as it
    /// looks. What is noted next tells of it, see [`HashEntry::noted_lapsed`].
    #[inline]
    pub fn drop_lapsed(&mut self, field: &[u8]) {
        let now = self.entry.now();
        if let Some((Big::Hash(map), hasher)) = self.entry.big_mut()
            && map.due() <= now
            && map.remove_lapsed(field, now, hasher)
        {
            self.entry.lapse(field);
        }
    }

    /// Notes that nothing was done but taking out fields whose deadlines have passed, if any were;
    /// the entry goes if none are held any more.
    pub fn noted_lapsed(&mut self) {
        let lapsed = std::mem::take(&mut self.entry.lapsed);
        if lapsed == 0 {
            return;
        }
        let held = match self.entry.stored() {
            Some(Stored::Big(Big::Hash(map))) => map.held(),
            _ => self.len(),
        };
        self.entry.note_due();
        // Each has been named when it was taken out.
        self.entry.expired(lapsed, &Names::default(), held == 0);
    }

    /// Notes that fields were set or taken out; the entry goes if there are none left.
    pub fn noted(&mut self, event: Event) {
        let is_empty = self.is_empty();
        self.entry.note_due();
        self.entry.noted(event, is_empty);
    }

    /// The same for so many parts: each of them counts as a change.
    #[inline]
    pub fn noted_parts(&mut self, event: Event, parts: usize) {
        let is_empty = self.is_empty();
        self.entry.note_due();
        self.entry.noted_parts(event, parts, is_empty);
    }

    /// Notes one more event for subscribers, before [`HashEntry::noted`] is told the last.
    pub fn also(&mut self, event: Event) {
        self.entry.also(event);
    }
}

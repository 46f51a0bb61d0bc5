//! The guard of a collection's entry: what the guards of all its types have in common.
//!
//! A collection is small and packed into bytes, which lie in the record as a string does, or it is
//! large and lies in a box of its own. Which bytes those are and when it becomes large is decided
//! by the guard of its type ([`crate::SetEntry`] and so on), which stands on this one; here is how
//! either is changed, and that every change is noted.
//!
//! # Invariants
//!
//! 1. No entry holds an empty collection once its guard has noted a change:
//!    [`CollectionEntry::noted`] removes it.
//! 2. Each part that has outlived its deadline is counted and told of once, when it goes: with the
//!    key, by another that takes its place, or by maintenance.

use dash::At;
use packed::{Handle, Kind, NewValue, Record};
use value::{Big, Type};

use crate::changes::{Effect, Event, Names, event};
use crate::database::{Database, Stored};
use crate::entry::Expiry;
use crate::sizes::Place;
use crate::view::Writing;
use crate::{KeyHasher, Layout, Millis, Refused};

/// A key that holds a collection of one type or nothing, with the right to change it.
pub struct CollectionEntry<'v> {
    pub(crate) writing: Writing<'v>,
    pub(crate) key: &'v [u8],
    pub(crate) hash: u64,
    pub(crate) at: Option<At>,
    pub(crate) kind: Type,
    /// Where what the key holds was counted last.
    pub(crate) place: Option<Place>,
    /// Parts that were written over after their deadlines, of which nobody was told yet.
    pub(crate) lapsed: usize,
}

/// What a key's record was found to hold.
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    kind: Type,
    place: Option<Place>,
}

impl Kept {
    #[inline(always)]
    pub(crate) fn of(database: &Database, record: Record<'_>) -> Kept {
        let stored = database.stored(record);
        Kept { kind: stored.kind(), place: stored.place() }
    }
}

/// A collection to be stored.
pub enum NewCollection<'a> {
    /// A small one, packed into bytes.
    Packed(&'a [u8]),
    /// A large one.
    Big(Box<Big>),
}

impl<'v> CollectionEntry<'v> {
    /// The guard of a key and its hash, which lies there if it does.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else than a collection of this type.
    #[inline(always)]
    pub(crate) fn new(
        writing: Writing<'v>,
        (key, hash): (&'v [u8], u64),
        found: Option<(At, Kept)>,
        kind: Type,
    ) -> Result<CollectionEntry<'v>, Refused> {
        let (at, place) = match found {
            Some((_, kept)) if kept.kind != kind => return Err(Refused::WrongType),
            Some((at, kept)) => (Some(at), kept.place),
            None => (None, None),
        };
        Ok(CollectionEntry { writing, key, hash, at, kind, place, lapsed: 0 })
    }

    /// The same, whatever the key holds: that goes when a collection is put.
    pub(crate) fn over(
        writing: Writing<'v>,
        (key, hash): (&'v [u8], u64),
        at: Option<At>,
        kind: Type,
    ) -> CollectionEntry<'v> {
        let mut entry = CollectionEntry { writing, key, hash, at, kind, place: None, lapsed: 0 };
        entry.place = entry.place_now();
        entry
    }
}

impl CollectionEntry<'_> {
    #[inline(always)]
    fn handle(&self) -> Option<Handle> {
        self.at.map(|at| Handle::from_bits(at.handle()))
    }

    /// What the key holds.
    #[must_use]
    #[inline]
    pub fn stored(&self) -> Option<Stored<'_>> {
        let database = self.writing.database()?;
        Some(database.stored(database.records.at(self.handle()?)))
    }

    /// Whether the key holds anything.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.at.is_some()
    }

    /// Counts the look-up as a hit, as what reads all of a collection before it goes.
    pub(crate) fn count_hit(&self) {
        self.writing.log.count(true);
    }

    /// When the entry expires.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.writing.database()?.records.deadline(self.handle()?)
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.writing.frame().now
    }

    /// Where values change their layout.
    #[must_use]
    #[inline]
    pub fn layout(&self) -> &Layout {
        &self.writing.frame().layout
    }

    /// The hash under which members are found.
    #[must_use]
    pub fn hasher(&self) -> &KeyHasher {
        self.writing.hasher()
    }

    /// The bytes of a packed collection, to be overwritten; none if it is large or nothing.
    pub fn packed_mut(&mut self) -> &mut [u8] {
        let Some(Stored::Packed(..)) = self.stored() else { return &mut [] };
        let Some(handle) = self.handle() else { return &mut [] };
        self.writing.before_change(self.hash);
        self.writing.database_mut().records.bytes_mut(handle)
    }

    /// Puts bytes in the place of a part of a packed collection.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn splice(&mut self, part: std::ops::Range<usize>, bytes: &[u8]) -> Result<(), Refused> {
        let Some(at) = self.at else { return Ok(()) };
        let hash = self.hash;
        self.writing.before_change(hash);
        let database = self.writing.database_mut();
        let new = database.records.splice(Handle::from_bits(at.handle()), part, bytes)?;
        self.at = Some(database.moved(hash, at, new));
        Ok(())
    }

    /// The large collection, to be changed, and the hash of its members; `None` if it is small or
    /// nothing.
    #[inline]
    pub fn big_mut(&mut self) -> Option<(&mut Big, &KeyHasher)> {
        let handle = self.handle()?;
        let number = self.writing.database()?.records.at(handle).boxed()?;
        self.writing.before_change(self.hash);
        let (database, hasher) = self.writing.database_and_hasher();
        Some((database.boxes.get_mut(number), hasher))
    }

    fn place_now(&self) -> Option<Place> {
        self.writing.database()?.place_of(self.handle()?)
    }

    /// Counts the collection where its length is now: a guard that has changed it does so before it
    /// goes, at the latest when it notes the change.
    #[inline]
    pub(crate) fn recount(&mut self) {
        let place = self.place_now();
        if place != self.place {
            self.writing.database_mut().sizes.change(self.place, place);
            self.place = place;
        }
    }

    /// Puts a collection over what is there. `expiry` says what becomes of the deadline.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn put(&mut self, new: NewCollection<'_>, expiry: Expiry) -> Result<(), Refused> {
        let hash = self.hash;
        self.writing.before_change(hash);
        self.recount();
        let (value, big) = match new {
            NewCollection::Packed(bytes) => {
                (NewValue::Packed { kind: packed_kind(self.kind), bytes }, None)
            }
            NewCollection::Big(big) => {
                let number = self.writing.database_mut().boxes.next();
                (NewValue::boxed(number), Some((number, big)))
            }
        };
        match self.at {
            None => {
                let deadline = expiry.after(None);
                self.at = Some(self.writing.insert(hash, self.key, value, deadline)?);
            }
            Some(at) => {
                let database = self.writing.database_mut();
                let (at, remains) = database.replace(hash, at, value, expiry)?;
                self.at = Some(at);
                self.writing.discard(remains);
            }
        }
        if let Some((number, big)) = big {
            self.writing.database_mut().put_box(number, big);
        }
        self.place = self.place_now();
        Ok(())
    }

    /// Puts a collection over whatever is there and notes it, beside that subscribers can be told
    /// that something was there.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub(crate) fn replace(
        &mut self,
        new: NewCollection<'_>,
        expiry: Expiry,
        event: Event,
    ) -> Result<(), Refused> {
        let (was_there, before) = (self.exists(), self.writing.kind_to_tell(self.at));
        self.put(new, expiry)?;
        if was_there && event.is_arrival() {
            self.writing.note_new(self.key);
        }
        self.writing.note_put(self.key, event, before, self.kind);
        Ok(())
    }

    /// Notes that the collection was changed. `is_empty`: nothing is left in it but what has
    /// outlived its deadline, so the entry goes, which is all of the change.
    pub fn noted(&mut self, event: Event, is_empty: bool) {
        self.tell_lapsed();
        let effect = if is_empty { Effect::Nothing } else { Effect::Set };
        self.writing.note(self.key, event, effect);
        self.recount();
        if is_empty {
            self.lapse_all();
            self.tell_lapsed();
            self.remove(event::DEL);
        }
    }

    /// Counts and names all parts that are left, which have outlived their deadlines.
    fn lapse_all(&mut self) {
        let Some(Stored::Big(big)) = self.stored() else { return };
        let Some(map) = big.dated() else { return };
        let (count, mut names) = (map.held(), Names::default());
        if self.writing.tells_parts() {
            map.held_names().for_each(|name| names.push(name));
        }
        self.lapsed = count;
        self.writing.lapse_parts(&names);
    }

    /// The same for a change of so many parts: each of them counts as a change.
    #[inline]
    pub fn noted_parts(&mut self, event: Event, parts: usize, is_empty: bool) {
        let before = self.writing.log.changes;
        self.noted(event, is_empty);
        self.writing.log.changes = before + parts as u64;
    }

    /// The same for a collection that is told to have `len` parts now, none of which has a
    /// deadline: it need not be looked at.
    #[inline]
    pub(crate) fn noted_len(&mut self, event: Event, parts: usize, len: usize) {
        if len == 0 {
            return self.noted_parts(event, parts, true);
        }
        let changes = self.writing.log.changes + parts as u64;
        self.writing.note(self.key, event, Effect::Set);
        self.writing.log.changes = changes;
        let place = Place::of(self.kind, len);
        if place != self.place {
            self.recount();
        }
    }

    /// Notes that so many parts were removed because of their deadlines, which have these names.
    pub(crate) fn expired(&mut self, count: usize, names: &Names, is_empty: bool) {
        self.writing.log.lapsed += count as u64;
        self.writing.lapse_parts(names);
        self.noted(self.lapse_event(), is_empty);
    }

    /// Counts and names a part that had outlived its deadline when another took its place.
    #[cold]
    pub(crate) fn lapse(&mut self, name: &[u8]) {
        self.lapsed += 1;
        if self.writing.tells_parts() {
            let mut names = Names::default();
            names.push(name);
            self.writing.lapse_parts(&names);
        }
    }

    fn tell_lapsed(&mut self) {
        let count = std::mem::take(&mut self.lapsed);
        if count > 0 {
            self.writing.log.lapsed += count as u64;
            self.writing.note(self.key, self.lapse_event(), Effect::Nothing);
        }
    }

    /// What subscribers are told of parts that have outlived their deadlines.
    fn lapse_event(&self) -> Event {
        match self.kind {
            Type::Set => event::SEXPIRED,
            _ => event::HEXPIRED,
        }
    }

    /// Sees to it that maintenance looks at the entry when parts of it outlive their deadlines.
    pub(crate) fn note_due(&mut self) {
        if let Some(handle) = self.handle() {
            let hash = self.hash;
            self.writing.database_mut().note_due(hash, handle);
        }
    }

    /// Notes one more event for subscribers.
    pub fn also(&mut self, event: Event) {
        self.tell_lapsed();
        self.writing.note(self.key, event, Effect::Nothing);
    }

    /// Takes the entry out; tells whether there was one.
    pub fn remove(&mut self, event: Event) -> bool {
        self.recount();
        let Some(at) = self.at.take() else { return false };
        let hash = self.hash;
        self.writing.before_change(hash);
        let remains = self.writing.database_mut().remove(hash, at);
        self.writing.discard(remains);
        self.writing.note(self.key, event, Effect::Delete);
        true
    }
}

/// Takes one step after the other until one is refused, and tells how many of them did something.
///
/// What was done before a refusal stays, so whoever changes an entry in several steps notes that
/// first and refuses then.
pub fn count_done<T, E>(
    items: impl IntoIterator<Item = T>,
    mut step: impl FnMut(T) -> Result<bool, E>,
) -> (usize, Result<(), E>) {
    let mut done = 0;
    for item in items {
        match step(item) {
            Ok(did) => done += usize::from(did),
            Err(refused) => return (done, Err(refused)),
        }
    }
    (done, Ok(()))
}

/// How records call a packed collection of this type.
fn packed_kind(kind: Type) -> Kind {
    match kind {
        Type::List => Kind::List,
        Type::Set => Kind::Set,
        Type::Hash => Kind::Hash,
        Type::ZSet => Kind::ZSet,
        Type::Array => Kind::Array,
        Type::String | Type::Stream => unreachable!("strings and streams are not packed"),
    }
}

//! The guard of a sorted set's entry, and sorted sets as a view reads them.

use std::ops::Range;

use value::zset::{self, NewZSet, Update, ZSet, ZSetRef, packed};
use value::{Big, Type};

use crate::changes::{Event, event};
use crate::collection::{CollectionEntry, NewCollection};
use crate::database::Stored;
use crate::entry::Expiry;
use crate::view::View;
use crate::{KeyHasher, Refused};

impl View<'_> {
    /// Reads a sorted set. Counts as a use of the key.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn zset(&self, key: &[u8]) -> Result<Option<ZSetRef<'_>>, Refused> {
        let found = self.collection(key, Type::ZSet)?;
        Ok(found.and_then(|stored| zset_of(stored, self.hasher())))
    }

    /// The guard of a key that holds a sorted set or nothing.
    ///
    /// # Errors
    /// [`Refused::WrongType`] if the key holds something else.
    #[inline]
    pub fn zset_entry<'v>(&'v mut self, key: &'v [u8]) -> Result<ZSetEntry<'v>, Refused> {
        Ok(ZSetEntry { entry: self.collection_entry(key, Type::ZSet)?, is_to_be_large: false })
    }

    /// The sorted set of these members, none of which is there twice, to be put; `None` if there
    /// are none.
    ///
    /// # Errors
    /// [`Refused::Full`] if it cannot hold so many.
    pub fn new_zset(&self, pairs: Vec<(zset::Name, f64)>) -> Result<Option<NewZSet>, Refused> {
        if pairs.is_empty() {
            return Ok(None);
        }
        Ok(Some(NewZSet::of(pairs, &self.frame().layout.zset, self.hasher())?))
    }

    /// Puts a sorted set where the key is, over whatever is there and its deadline; none removes
    /// it. The events are those of a set that was put and of an entry that went.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn put_zset(
        &mut self,
        key: &[u8],
        new: Option<NewZSet>,
        expiry: Expiry,
        event: Event,
    ) -> Result<(), Refused> {
        let mut entry = self.collection_over(key, Type::ZSet);
        let Some(new) = new else {
            entry.remove(event::DEL);
            return Ok(());
        };
        match new {
            NewZSet::Packed(bytes) => entry.replace(NewCollection::Packed(&bytes), expiry, event),
            NewZSet::Big(set) => {
                entry.replace(NewCollection::Big(Box::new(Big::ZSet(*set))), expiry, event)
            }
        }
    }
}

/// A sorted set as it lies; `None` if it is something else.
#[must_use]
pub fn zset_of<'a>(stored: Stored<'a>, hasher: &'a KeyHasher) -> Option<ZSetRef<'a>> {
    match stored {
        Stored::Packed(Type::ZSet, bytes) => Some(ZSetRef::packed(bytes)),
        Stored::Big(Big::ZSet(set)) => Some(ZSetRef::Big(set, hasher)),
        Stored::Packed(..) | Stored::Big(_) | Stored::Str(_) => None,
    }
}

/// A key that holds a sorted set or nothing, with the right to change it. Who has changed it says
/// so by [`ZSetEntry::noted`], once.
pub struct ZSetEntry<'v> {
    entry: CollectionEntry<'v>,
    /// Too much is to come for a small one.
    is_to_be_large: bool,
}

impl ZSetEntry<'_> {
    /// The set, if there is one.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<ZSetRef<'_>> {
        zset_of(self.entry.stored()?, self.entry.hasher())
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.get().map_or(0, |set| set.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says what is to come in one go: a set that will be too large for a small one is made large
    /// at once, as in Redis. A set that is there already stays as it is.
    pub fn expect(&mut self, members: usize, longest: usize) {
        let limits = self.entry.layout().zset;
        self.is_to_be_large = !limits.take(members) || longest > limits.text_max;
    }

    /// Makes the set a large one, with a member more.
    fn grow(&mut self, name: &[u8], score: f64) -> Result<(), Refused> {
        let hasher = self.entry.hasher();
        let mut big = match self.get() {
            Some(small) => small.to_big(hasher)?,
            None => ZSet::new(),
        };
        big.update(name, hasher, |_| Ok::<_, Refused>(Some(score)))??;
        self.entry.put(NewCollection::Big(Box::new(Big::ZSet(big))), Expiry::Keep)
    }

    /// Gives a member a score, as `decide` says when it is told the one that it has: `None` leaves
    /// it as it is.
    ///
    /// # Errors
    /// What `decide` refuses with, and [`Refused::Full`] if there is no room for it; nothing has
    /// changed then.
    #[inline]
    pub fn update<E: From<Refused>>(
        &mut self,
        name: &[u8],
        decide: impl FnOnce(Option<f64>) -> Result<Option<f64>, E>,
    ) -> Result<Update, E> {
        if let Some((Big::ZSet(set), hasher)) = self.entry.big_mut() {
            return set.update(name, hasher, decide).map_err(Refused::from)?;
        }
        let found = match self.entry.stored() {
            Some(Stored::Packed(_, bytes)) => packed::find(bytes, name),
            _ => None,
        };
        let old = found.as_ref().map(|found| found.score);
        let new = decide(old)?;
        if let Some(score) = new
            && old != new
        {
            self.update_small(name, score, found)?;
        }
        Ok(Update { old, new })
    }

    fn update_small(
        &mut self,
        name: &[u8],
        score: f64,
        found: Option<packed::Found>,
    ) -> Result<(), Refused> {
        let limits = self.entry.layout().zset;
        let (step, is_new) = match (self.entry.stored(), found) {
            (Some(Stored::Packed(_, bytes)), Some(found)) => {
                (Some(packed::rescore(bytes, &found, name, score)), false)
            }
            (Some(Stored::Packed(_, bytes)), None) => {
                let takes = packed::takes(bytes, name, &limits);
                (takes.then(|| packed::insert(bytes, name, score)), true)
            }
            _ => {
                if !self.is_to_be_large
                    && let Some(bytes) = packed::of_one(name, score, &limits)
                {
                    return self.entry.put(NewCollection::Packed(&bytes), Expiry::Keep);
                }
                (None, true)
            }
        };
        if let Some((part, patch)) = step {
            self.entry.splice(part, &patch)?;
            zset::count(self.entry.packed_mut(), i16::from(is_new));
            return Ok(());
        }
        self.grow(name, score)
    }

    /// Takes a member out; tells whether it was there.
    ///
    /// # Errors
    /// [`Refused::Full`] if a smaller record found no room; nothing has changed then.
    #[inline]
    pub fn remove(&mut self, name: &[u8]) -> Result<bool, Refused> {
        if let Some((Big::ZSet(set), hasher)) = self.entry.big_mut() {
            return Ok(set.remove(name, hasher));
        }
        let Some(Stored::Packed(_, bytes)) = self.entry.stored() else { return Ok(false) };
        let Some(found) = packed::find(bytes, name) else { return Ok(false) };
        self.entry.splice(found.range, &[])?;
        zset::count(self.entry.packed_mut(), -1);
        Ok(true)
    }

    /// Takes the members of a range of ranks out; tells how many.
    ///
    /// # Errors
    /// [`Refused::Full`] if a smaller record found no room; nothing has changed then.
    pub fn remove_range(&mut self, range: Range<usize>) -> Result<usize, Refused> {
        let end = range.end.min(self.len());
        let count = end.saturating_sub(range.start);
        if count == 0 {
            return Ok(0);
        }
        let range = range.start..end;
        if let Some((Big::ZSet(set), hasher)) = self.entry.big_mut() {
            set.remove_range(range, hasher);
        } else if let Some(Stored::Packed(_, bytes)) = self.entry.stored() {
            let part = packed::range_of(bytes, range);
            self.entry.splice(part, &[])?;
            // A small set has at most 65,535 members, so the count wraps to what it is to be.
            zset::count(self.entry.packed_mut(), (count as u16).wrapping_neg().cast_signed());
        }
        Ok(count)
    }

    /// Notes that members were added, changed or taken out; the entry goes if there are none left.
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
}

//! What long commands need: how much a key holds, and whether it still holds what it did.
//!
//! A command that takes long reads its keys under shared gates, leaves them, and changes what it
//! is to change in a short exclusive entry. A [`Witness`] of each key, taken at the first entry and
//! compared at the second, shows that what was read is still what is there.
//!
//! # Invariants
//!
//! 1. Two witnesses of one key are equal only if it held the same value at both moments. They may
//!    differ though the value is the same.

use std::sync::Arc;

use value::{Big, Type};

use crate::changes::Event;
use crate::database::{Detached, Stored};
use crate::view::View;
use crate::{DbIndex, Refused};

/// Bytes of values that are gone through in the time of one element.
const STEP_BYTES: usize = 512;

/// The least bytes of an element of a small collection, about.
const PACKED_BYTES: usize = 4;

/// What a key held at a moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Witness(State);

#[derive(Debug, PartialEq, Eq)]
enum State {
    Nothing,
    /// The bytes themselves, which are few.
    Small(Type, Box<[u8]>),
    /// A string that lies outside its record: while it is held here, it is not changed in place.
    Long(Held),
    /// A large collection's version, which the database of this number gave.
    Large {
        database: u64,
        version: u64,
    },
}

#[derive(Debug)]
struct Held(Arc<Vec<u8>>);

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Held {}

/// A copy of an entry, on its way to another key.
pub struct Copy(Detached);

impl View<'_> {
    /// A witness of what a key holds; neither counted nor a use of the key.
    #[must_use]
    pub fn witness(&self, key: &[u8]) -> Witness {
        let Some((database, _, record)) = self.find(key) else { return Witness(State::Nothing) };
        if let Some(number) = record.boxed() {
            let version = database.boxes.version(number);
            return Witness(State::Large { database: database.number, version });
        }
        let stored = database.stored(record);
        if let Stored::Str(text) = stored
            && let Some(shared) = text.shared()
        {
            return Witness(State::Long(Held(Arc::clone(shared))));
        }
        Witness(State::Small(stored.kind(), record.str().as_bytes().into()))
    }

    /// About how many elements a key holds, large ones counted as several; of a string, how many
    /// elements take the same time. Neither counted nor a use of the key.
    #[must_use]
    pub fn weight(&self, key: &[u8]) -> u64 {
        self.stored(key).map_or(0, |stored| size_of_stored(stored).1)
    }

    /// The part of a collection's weight that so many of its elements have on average: all of it,
    /// if it has no more. Neither counted nor a use of the key.
    #[must_use]
    pub fn weight_of(&self, key: &[u8], count: u64) -> u64 {
        let Some(stored) = self.stored(key) else { return 0 };
        let (elements, weight) = size_of_stored(stored);
        if count >= elements {
            return weight;
        }
        let share = u128::from(weight) * u128::from(count) / u128::from(elements.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// How many elements a collection has, about if it is a small one; how many bytes a string.
    /// Neither counted nor a use of the key.
    #[must_use]
    pub fn elements(&self, key: &[u8]) -> u64 {
        self.stored(key).map_or(0, |stored| size_of_stored(stored).0)
    }

    /// How many bytes of a string are moved or written when it is changed up to `end`, and by so
    /// many bytes `more` behind its own: none worth the mention if that is done in place. Neither
    /// counted nor a use of the key.
    #[must_use]
    pub fn bytes_moved(&self, key: &[u8], end: usize, more: usize) -> usize {
        match self.find(key) {
            None => end.max(more),
            Some((_, _, record)) => record.bytes_moved(end, more),
        }
    }

    /// The long string under a key, if to change it up to `end`, and by so many bytes `more`, means
    /// to copy it.
    #[must_use]
    pub fn to_copy(&self, key: &[u8], end: usize, more: usize) -> Option<Arc<Vec<u8>>> {
        let (database, _, record) = self.find(key)?;
        let Stored::Str(text) = database.stored(record) else { return None };
        let text = text.shared()?;
        record.must_be_copied(end, more).then(|| Arc::clone(text))
    }

    /// Has the long string under a key lie in `room`, which holds a copy of it and nobody else
    /// holds: so it can be changed in place. To everybody else nothing has happened.
    pub fn make_room(&mut self, key: &[u8], room: Arc<Vec<u8>>) {
        let Some((_, handle, _)) = self.find(key) else { return };
        let id = self.keyspace().shard_of(self.hash(key));
        let mut writing = self.writing(id);
        let remains = writing.database_mut().make_room(handle, room);
        writing.discard(remains);
    }

    /// A copy of an entry, its deadline, access bits and stickiness with it; `None` if there is
    /// none. Neither counted nor a use of the key.
    #[must_use]
    pub fn copy(&self, key: &[u8]) -> Option<Copy> {
        let (database, handle, _) = self.find(key)?;
        Some(Copy(database.copied(handle)))
    }

    /// Puts a copy where a key of a database is, over what is there.
    ///
    /// # Errors
    /// [`Refused::Full`] if there is no room for it; nothing has changed then.
    pub fn put_copy(
        &mut self,
        (db, key): (DbIndex, &[u8]),
        mut copy: Copy,
        event: Event,
    ) -> Result<(), Refused> {
        let hash = self.hash(key);
        let id = self.keyspace().shard_of(hash);
        let mut writing = self.writing(id).in_db(db);
        let before = writing.overwrite(hash, key, &mut copy.0)?;
        writing.note_arrived(hash, key, event, before);
        Ok(())
    }
}

/// How many elements there are, and what they weigh.
fn size_of_stored(stored: Stored<'_>) -> (u64, u64) {
    let (elements, weight) = match stored {
        Stored::Str(text) => (text.as_bytes().len(), text.as_bytes().len() / STEP_BYTES),
        Stored::Packed(_, bytes) => (bytes.len() / PACKED_BYTES, bytes.len() / PACKED_BYTES),
        Stored::Big(big) => (big.len(), big.len() + bytes_of(big) / STEP_BYTES),
    };
    (elements as u64, weight as u64)
}

/// Bytes on the heap, as far as they are known without a walk.
fn bytes_of(big: &Big) -> usize {
    match big {
        Big::Stream(_) => 0,
        big => big.bytes(),
    }
}

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
        let weight = match self.stored(key) {
            None => 0,
            Some(Stored::Str(text)) => text.as_bytes().len() / STEP_BYTES,
            Some(Stored::Packed(_, bytes)) => bytes.len() / PACKED_BYTES,
            Some(Stored::Big(big)) => big.len() + bytes_of(big) / STEP_BYTES,
        };
        weight as u64
    }

    /// How many elements a collection has, about if it is a small one; how many bytes a string.
    /// Neither counted nor a use of the key.
    #[must_use]
    pub fn elements(&self, key: &[u8]) -> u64 {
        let elements = match self.stored(key) {
            None => 0,
            Some(Stored::Str(text)) => text.as_bytes().len(),
            Some(Stored::Packed(_, bytes)) => bytes.len() / PACKED_BYTES,
            Some(Stored::Big(big)) => big.len(),
        };
        elements as u64
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

/// Bytes on the heap, as far as they are known without a walk.
fn bytes_of(big: &Big) -> usize {
    match big {
        Big::Stream(_) => 0,
        big => big.bytes(),
    }
}

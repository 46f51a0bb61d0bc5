//! What is too big for a record: long keys and values, named by a number.
//!
//! A record holds an index rather than a pointer, so that bytes which are read by
//! mistake cannot become a pointer: an index is checked, and what lies behind it
//! has a type.
//!
//! # Invariants
//!
//! 1. Vacant entries form a list which begins at `vacant`.
//! 2. `bytes` is the sum of [`External::bytes`] over all entries.

use std::mem;
use std::sync::Arc;

/// No entry, at the end of the list.
const NONE: u32 = u32::MAX;

/// Bytes of an `Arc`'s counters and of the `Vec` inside.
const SHARED_OVERHEAD: usize = 16 + size_of::<Vec<u8>>();

const _: () = assert!(size_of::<External>() == 16, "an entry stays small");

/// Something outside a record.
#[derive(Debug)]
pub(crate) enum External {
    /// Nothing; the next vacant entry.
    Vacant(u32),
    /// A key. Boxed twice, because long keys are rare and entries shall be small.
    Key(Box<Box<[u8]>>),
    /// A string, which readers may hold on to.
    Str(Arc<Vec<u8>>),
}

impl External {
    pub(crate) fn key(key: &[u8]) -> Self {
        Self::Key(Box::new(key.into()))
    }

    /// Bytes on the heap. What is shared counts in full.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Vacant(_) => 0,
            Self::Key(key) => key.len() + size_of::<Box<[u8]>>(),
            Self::Str(text) => text.capacity() + SHARED_OVERHEAD,
        }
    }
}

/// All externals of one database of one shard.
pub(crate) struct Externals {
    entries: Vec<External>,
    vacant: u32,
    live: usize,
    bytes: usize,
}

impl Externals {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), vacant: NONE, live: 0, bytes: 0 }
    }

    /// Keeps `external` and gives its number.
    pub(crate) fn insert(&mut self, external: External) -> u32 {
        self.live += 1;
        self.bytes += external.bytes();
        if self.vacant == NONE {
            let at = u32::try_from(self.entries.len());
            self.entries.push(external);
            // 16 GiB of records of at least 16 bytes with two externals each.
            return at.expect("there are fewer than 2^32 externals");
        }
        let at = self.vacant;
        let entry = mem::replace(&mut self.entries[at as usize], external);
        self.vacant = match entry {
            External::Vacant(next) => next,
            External::Key(_) | External::Str(_) => unreachable!("the list holds vacant entries"),
        };
        at
    }

    /// Takes the external `at` out.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(crate) fn remove(&mut self, at: u32) -> External {
        let entry = &mut self.entries[at as usize];
        assert!(!matches!(entry, External::Vacant(_)), "the external exists");
        let external = mem::replace(entry, External::Vacant(self.vacant));
        self.vacant = at;
        self.live -= 1;
        self.bytes -= external.bytes();
        if self.live == 0 {
            *self = Self::new();
        }
        external
    }

    /// The key `at`.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(crate) fn key(&self, at: u32) -> &[u8] {
        match &self.entries[at as usize] {
            External::Key(key) => key,
            other => mistaken(other),
        }
    }

    /// The string `at`.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[inline]
    pub(crate) fn str(&self, at: u32) -> &Arc<Vec<u8>> {
        match &self.entries[at as usize] {
            External::Str(text) => text,
            other => mistaken(other),
        }
    }

    /// The bytes of the string `at`, to be overwritten. If somebody else holds the
    /// string they keep it as it is, and this is a copy.
    pub(crate) fn str_bytes_mut(&mut self, at: u32) -> &mut [u8] {
        let text = str_mut(&mut self.entries, at);
        if Arc::get_mut(text).is_none() {
            let copy = Arc::new(text.as_slice().to_vec());
            self.bytes = self.bytes - text.capacity() + copy.capacity();
            *text = copy;
        }
        Arc::get_mut(text).expect("a copy has one owner").as_mut_slice()
    }

    /// Lets `edit` change the string `at`. If somebody else holds the string they
    /// keep it as it is, and `edit` sees a copy with room for `len` bytes.
    pub(crate) fn edit_str(&mut self, at: u32, len: usize, edit: impl FnOnce(&mut Vec<u8>)) {
        let text = str_mut(&mut self.entries, at);
        let before = text.capacity();
        match Arc::get_mut(text) {
            Some(alone) => edit(alone),
            None => {
                let mut copy = Vec::with_capacity(len.max(text.len()));
                copy.extend_from_slice(text);
                edit(&mut copy);
                *text = Arc::new(copy);
            }
        }
        self.bytes = self.bytes - before + text.capacity();
    }

    /// Puts another string in the place of the string `at`, which it gives back.
    pub(crate) fn replace_str(&mut self, at: u32, new: Arc<Vec<u8>>) -> Arc<Vec<u8>> {
        let text = str_mut(&mut self.entries, at);
        self.bytes = self.bytes - text.capacity() + new.capacity();
        mem::replace(text, new)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Bytes on the heap of all externals.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes on the heap of the external `at`.
    pub(crate) fn bytes_of(&self, at: u32) -> usize {
        self.entries[at as usize].bytes()
    }
}

fn str_mut(entries: &mut [External], at: u32) -> &mut Arc<Vec<u8>> {
    match &mut entries[at as usize] {
        External::Str(text) => text,
        other => mistaken(other),
    }
}

#[cold]
#[inline(never)]
fn mistaken(found: &External) -> ! {
    let found = match found {
        External::Vacant(_) => "nothing",
        External::Key(_) => "a key",
        External::Str(_) => "a string",
    };
    panic!("a record leads to {found}: its handle is stale");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(len: usize) -> External {
        External::Str(Arc::new(vec![7; len]))
    }

    #[test]
    fn numbers_are_used_again_the_last_one_first() {
        let mut externals = Externals::new();
        let numbers: Vec<u32> = (0..4).map(|len| externals.insert(text(len))).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        externals.remove(1);
        externals.remove(2);
        assert_eq!(externals.insert(External::key(b"key")), 2);
        assert_eq!(externals.insert(text(9)), 1);
        assert_eq!(externals.insert(text(9)), 4);
        assert_eq!((externals.len(), externals.key(2)), (5, &b"key"[..]));
    }

    #[test]
    fn bytes_follow_every_change() {
        let mut externals = Externals::new();
        let key = externals.insert(External::key(&[1; 300]));
        let at = externals.insert(text(1000));
        let check = |externals: &Externals| {
            assert_eq!(externals.bytes(), externals.bytes_of(key) + externals.bytes_of(at));
        };
        check(&externals);
        externals.edit_str(at, 5000, |text| text.resize(5000, 0));
        check(&externals);

        let held = Arc::clone(externals.str(at));
        externals.str_bytes_mut(at)[0] = 1;
        check(&externals);
        assert_eq!((held[0], externals.str(at)[0]), (7, 1));
        drop(externals.replace_str(at, held));
        check(&externals);
        assert_eq!(externals.str(at).len(), 5000);

        externals.remove(key);
        externals.remove(at);
        assert_eq!((externals.bytes(), externals.len()), (0, 0));
    }

    #[test]
    #[should_panic(expected = "the external exists")]
    fn a_vacant_entry_cannot_be_removed() {
        let mut externals = Externals::new();
        externals.insert(text(1));
        let at = externals.insert(text(1));
        externals.remove(at);
        externals.remove(at);
    }

    #[test]
    #[should_panic(expected = "a record leads to a key")]
    fn a_key_is_no_string() {
        let mut externals = Externals::new();
        let at = externals.insert(External::key(b"key"));
        externals.str(at);
    }
}

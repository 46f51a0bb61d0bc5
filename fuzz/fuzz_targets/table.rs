//! The table against a plain map, whatever is done to it in whatever order.
//!
//! Input is read as steps of three bytes: what, and to which key. Keys are few and their hashes
//! are made to collide: by the first byte in all bits, in all but the tag, in all but the lowest
//! half, in the middle, or hardly. The first three are rare, since they make a directory of a
//! million entries. A walk goes on beside the other steps, one home bucket at a time, and must
//! return whatever was there throughout.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use dash::{At, Cursor, Table};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [spread, skip, steps @ ..] = data else { return };
    let mut pair = Pair::new(*spread, u32::from(*skip % 17));
    for step in steps.chunks_exact(3) {
        let key = u16::from_le_bytes([step[1], step[2]]);
        pair.step(step[0], key % pair.keys());
        if pair.work > WORK_MAX {
            break;
        }
    }
    pair.check();
});

/// Keys that one input may have touched or looked at, so that no input takes long.
const WORK_MAX: usize = 20_000;

/// Keys in a run.
const RUN: u16 = 400;

/// A handle says whose it is and which of its key's handles it is.
fn key_of(handle: u32) -> u16 {
    (handle >> 8) as u16
}

/// The hash of a key; its top `skip` bits are the same for all keys, as in one shard.
fn hash(spread: u8, skip: u32, key: u16) -> u64 {
    let mixed = (u64::from(key) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = mixed ^ mixed >> 29;
    let hash = match spread % 16 {
        0 => 0x0123_4567_89ab_cdef,
        1 => mixed & 0xFF,
        2 => mixed & 0xFFFF_FF00,
        3..8 => mixed & 0xFFFF_0000_0000_FFFF,
        _ => mixed,
    };
    hash & u64::MAX >> skip
}

struct Pair {
    spread: u8,
    skip: u32,
    table: Table,
    map: BTreeMap<u16, u32>,
    made: u32,
    work: usize,
    /// Where the walk is, what was there when it began and since, and what it returned.
    walk: Option<Cursor>,
    throughout: BTreeSet<u16>,
    returned: BTreeSet<u16>,
}

impl Pair {
    fn new(spread: u8, skip: u32) -> Self {
        Self {
            spread,
            skip,
            table: Table::new(skip),
            map: BTreeMap::new(),
            made: 0,
            work: 0,
            walk: None,
            throughout: BTreeSet::new(),
            returned: BTreeSet::new(),
        }
    }

    /// How many keys there are: fewer where all of them may end up in one list.
    fn keys(&self) -> u16 {
        if self.spread % 16 < 3 { 1 << 10 } else { 1 << 14 }
    }

    fn hash(&self, key: u16) -> u64 {
        hash(self.spread, self.skip, key)
    }

    fn step(&mut self, what: u8, key: u16) {
        self.work += match what % 16 {
            4 | 5 | 8 | 9 => usize::from(RUN),
            11 | 12 => 64,
            13 | 15 => 1 + self.map.len(),
            _ => 1,
        };
        match what % 16 {
            0..4 => self.insert(key),
            // A run of keys, so that short inputs split segments.
            4 | 5 => (key..=key + RUN).for_each(|key| self.insert(key)),
            6 | 7 => self.remove(key),
            8 | 9 => (key..=key + RUN).for_each(|key| self.remove(key)),
            10 => self.replace(key),
            11 | 12 => (0..=key % 64).for_each(|_| self.walk()),
            13 => self.tidy(),
            14 => self.look(key),
            _ => self.check(),
        }
    }

    fn find(&self, key: u16) -> Option<At> {
        self.table.find(self.hash(key), |handle| key_of(handle) == key)
    }

    fn fresh(&mut self, key: u16) -> u32 {
        self.made += 1;
        u32::from(key) << 8 | self.made & 0xFF
    }

    fn insert(&mut self, key: u16) {
        if self.map.contains_key(&key) {
            return;
        }
        let (handle, hash_of) = (self.fresh(key), hasher(self.spread, self.skip));
        let at = self.table.insert(self.hash(key), handle, hash_of);
        assert_eq!(at.handle(), handle);
        self.map.insert(key, handle);
    }

    fn remove(&mut self, key: u16) {
        let Some(handle) = self.map.remove(&key) else { return };
        let at = self.find(key).expect("it is there");
        assert_eq!(self.table.remove(self.hash(key), at), handle);
        self.throughout.remove(&key);
    }

    fn replace(&mut self, key: u16) {
        let Some(at) = self.find(key) else { return };
        let handle = self.fresh(key);
        assert_eq!(self.table.replace(self.hash(key), at, handle).handle(), handle);
        self.map.insert(key, handle);
    }

    /// One step of the walk; a new one begins where none is under way.
    fn walk(&mut self) {
        let here = self.walk.unwrap_or_else(|| {
            self.throughout = self.map.keys().copied().collect();
            self.returned.clear();
            Cursor::START
        });
        let here = Cursor::from_bits(here.to_bits());
        let returned = &mut self.returned;
        let emit = |handle| {
            assert_eq!(self.map.get(&key_of(handle)), Some(&handle), "it returned what is gone");
            returned.insert(key_of(handle));
        };
        self.walk = self.table.scan(here, hasher(self.spread, self.skip), emit);
        if self.walk.is_none() {
            assert!(self.throughout.is_subset(&self.returned), "the walk lost a key");
        }
    }

    /// Merges what can be merged.
    fn tidy(&mut self) {
        let mut cursor = Some(Cursor::START);
        while let Some(here) = cursor {
            self.table.tidy_after(here, hasher(self.spread, self.skip));
            cursor = self.table.next_segment(here);
        }
    }

    fn look(&self, key: u16) {
        assert_eq!(self.find(key).map(At::handle), self.map.get(&key).copied());
        let random = self.table.random(u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        assert_eq!(random.is_none(), self.map.is_empty());
        let known = |handle| self.map.get(&key_of(handle)) == Some(&handle);
        assert!(random.is_none_or(known));
    }

    /// The table holds what the map holds, each handle once.
    fn check(&self) {
        assert_eq!(self.table.len(), self.map.len());
        let mut handles = Vec::new();
        let mut cursor = Some(Cursor::START);
        while let Some(here) = cursor {
            cursor = self.table.segment_handles(here, |handle| handles.push(handle));
        }
        handles.sort_unstable();
        let mut expected: Vec<u32> = self.map.values().copied().collect();
        expected.sort_unstable();
        assert_eq!(handles, expected);
        self.map.keys().for_each(|&key| self.look(key));
    }
}

/// Tells the hash of a handle.
fn hasher(spread: u8, skip: u32) -> impl FnMut(u32) -> u64 {
    move |handle| hash(spread, skip, key_of(handle))
}

//! The types of values, and what is large of them.

use crate::array::Array;
use crate::list::{List, Small};
use crate::map::{Map, MapRef};
use crate::set::{self, Set, SetRef};
use crate::stream::Stream;
use crate::zset::{ZSet, ZSetRef};

/// What clients know arrays of any size by.
const ARRAY_ENCODING: &str = "sliced-array";

/// The type of a value, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A string of bytes.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set.
    ZSet,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
    /// An array.
    Array,
}

impl Type {
    /// All of them.
    pub const ALL: [Type; 7] =
        [Type::String, Type::List, Type::Set, Type::ZSet, Type::Hash, Type::Stream, Type::Array];

    /// Its name, as TYPE gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::ZSet => "zset",
            Type::Hash => "hash",
            Type::Stream => "stream",
            Type::Array => "array",
        }
    }
}

impl Type {
    /// The name that clients know for how a small collection of this type is laid out.
    #[must_use]
    pub fn packed_encoding(self, bytes: &[u8]) -> &'static str {
        match self {
            Type::Set => set::encoding(bytes),
            Type::Array => ARRAY_ENCODING,
            _ => "listpack",
        }
    }

    /// How many elements a small collection of this type has: members, fields, or elements.
    #[must_use]
    #[inline]
    pub fn packed_len(self, bytes: &[u8]) -> usize {
        match self {
            Type::List => Small::new(bytes).len(),
            Type::Set => SetRef::packed(bytes).len(),
            Type::Hash => MapRef::packed(bytes).len(),
            Type::ZSet => ZSetRef::packed(bytes).len(),
            Type::String | Type::Stream | Type::Array => 0,
        }
    }
}

/// A large collection. It owns all its memory, so it can be dropped or moved to another key
/// without a look at what is in it.
#[derive(Clone)]
pub enum Big {
    /// A set.
    Set(Set),
    /// A set some of whose members have deadlines.
    DatedSet(Map),
    /// A list.
    List(List),
    /// A hash.
    Hash(Map),
    /// A sorted set.
    ZSet(ZSet),
    /// A stream.
    Stream(Stream),
    /// An array.
    Array(Array),
}

impl Big {
    /// What clients see it as.
    #[must_use]
    pub const fn kind(&self) -> Type {
        match self {
            Big::Set(_) | Big::DatedSet(_) => Type::Set,
            Big::List(_) => Type::List,
            Big::Hash(_) => Type::Hash,
            Big::ZSet(_) => Type::ZSet,
            Big::Stream(_) => Type::Stream,
            Big::Array(_) => Type::Array,
        }
    }

    /// The name that clients know for how it is laid out.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Big::Hash(map) if map.is_compact() => "listpackex",
            Big::Set(_) | Big::DatedSet(_) | Big::Hash(_) => "hashtable",
            Big::List(list) if list.is_long() => "quicklist",
            Big::List(_) => "listpack",
            Big::Stream(_) => "stream",
            Big::Array(_) => ARRAY_ENCODING,
            Big::ZSet(_) => "skiplist",
        }
    }

    /// Asks for the memory that a look-up of a member with this hash will read first.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        match self {
            Big::Set(set) => set.prefetch(hash),
            Big::Hash(map) | Big::DatedSet(map) => map.prefetch(hash),
            Big::ZSet(set) => set.prefetch(hash),
            Big::List(_) | Big::Stream(_) | Big::Array(_) => {}
        }
    }

    /// Asks for the member itself, once that memory is here.
    #[inline]
    pub fn prefetch_record(&self, hash: u64) {
        match self {
            Big::Set(set) => set.prefetch_record(hash),
            Big::Hash(map) | Big::DatedSet(map) => map.prefetch_record(hash),
            Big::ZSet(set) => set.prefetch_record(hash),
            Big::List(_) | Big::Stream(_) | Big::Array(_) => {}
        }
    }

    /// What of it may have parts with deadlines.
    #[must_use]
    pub fn dated(&self) -> Option<&Map> {
        match self {
            Big::Hash(map) | Big::DatedSet(map) => Some(map),
            Big::Set(_) | Big::List(_) | Big::ZSet(_) | Big::Stream(_) | Big::Array(_) => None,
        }
    }

    /// The same, to be changed.
    pub fn dated_mut(&mut self) -> Option<&mut Map> {
        match self {
            Big::Hash(map) | Big::DatedSet(map) => Some(map),
            Big::Set(_) | Big::List(_) | Big::ZSet(_) | Big::Stream(_) | Big::Array(_) => None,
        }
    }

    /// The moment before which none of its parts has outlived a deadline; `u64::MAX` if none has
    /// one.
    #[must_use]
    pub fn due(&self) -> u64 {
        self.dated().map_or(u64::MAX, Map::due)
    }

    /// How many elements there are, or entries; fields whose deadlines have passed count as long as
    /// they are there.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Big::Set(set) => set.len(),
            Big::List(list) => list.len(),
            Big::Hash(map) | Big::DatedSet(map) => map.held(),
            Big::ZSet(set) => set.len(),
            Big::Stream(stream) => usize::try_from(stream.log.len()).unwrap_or(usize::MAX),
            Big::Array(array) => usize::try_from(array.count()).unwrap_or(usize::MAX),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Big::Set(set) => set.bytes(),
            Big::List(list) => list.memory_bytes(),
            Big::Hash(map) | Big::DatedSet(map) => map.bytes(),
            Big::ZSet(set) => set.bytes(),
            Big::Stream(stream) => stream.bytes(),
            Big::Array(array) => array.bytes(),
        }
    }

    /// How many small pieces of memory it lies in, if they are many for their bytes: dropping each
    /// takes a while.
    #[must_use]
    pub fn pieces(&self) -> usize {
        match self {
            Big::Stream(stream) => stream.log.nodes(),
            _ => 0,
        }
    }
}

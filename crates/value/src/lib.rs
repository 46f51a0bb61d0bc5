//! Collections as they lie in memory: what a key holds besides a string.
//!
//! A small collection is packed into bytes that lie in the record of its key: [`entries`] is how
//! its elements are written, [`intset`] how small sets of integers are. A large one ([`Big`]) owns
//! all its memory, so that it can be dropped on another thread, or given to another key in another
//! shard, without a look at what is in it: [`list`] is a deque of packed chunks; the members of
//! large sets, hashes and sorted sets lie in a [`heap`] in which a table finds them ([`members`]);
//! the slots of a large [`mod@array`] lie in slices that a tree finds.
//!
//! # Invariants
//!
//! 1. Nothing here knows keys, deadlines of keys, shards, time or chance: what it needs of them
//!    are arguments.
//! 2. No bytes, however malformed, make the codecs panic or loop.

pub mod array;
mod big;
pub mod entries;
mod hash;
pub mod heap;
pub mod intset;
pub mod list;
pub mod map;
pub mod members;
pub mod set;
pub mod stream;
pub mod zset;

pub use big::{Big, Type};
pub use hash::KeyHasher;

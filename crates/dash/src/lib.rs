//! The hash table of one shard: a directory of fixed-size segments of 64-byte buckets.
//!
//! Extendible hashing, after Fagin et al. (1979), so that growth splits one segment and never
//! moves the whole table: no request waits for a resize and there is never a second table. The
//! inside of a segment follows Dash (Lu et al., VLDB 2020) as far as it pays in memory: a tag
//! byte a slot, a home bucket, its neighbour, and a few stash buckets.
//!
//! The table holds 32-bit **handles** and knows nothing of what they stand for. Who calls brings
//! the hash of a key, says which handle is the one meant, and tells the hash of a handle when a
//! segment splits.
//!
//! # Layout
//!
//! ```text
//! directory   [ segment | segment | ... ]        2^depth pointers, chosen by the top hash bits
//! segment     [ header | 60 home buckets | 3 stash buckets ]      64 lines of 64 bytes
//! bucket      [ 12 tags | spilled | stashed | guests | 12 handles ]                 64 bytes
//! hash        [ shard bits | directory ... | unused | home: 24 bits | tag: 8 bits ]
//! ```
//!
//! # Invariants
//!
//! 1. A handle lies in its home bucket, the next one, a stash bucket of the same segment, or, if
//!    hashes collide beyond what splitting can part, in the segment's overflow list.
//! 2. `2^(depth - local depth)` directory entries, side by side, point to a segment.
//! 3. `spilled` counts the handles of this home that lie in the next bucket, `stashed` those that
//!    lie in the stash or the overflow list, so that a miss reads one line; bit `i` of `guests`
//!    is set if slot `i` holds a handle whose home is the bucket before.
//! 4. A split or a merge changes no handle's home bucket, so a scan that walks homes loses
//!    nothing, and the stamp of a home (see [`Table::stamp`]) stays true.
//!
//! # Complexity
//!
//! A look-up reads one bucket, at high fill sometimes two, near a split up to five. An insertion
//! now and then splits a segment: at most 756 handles are asked for their hash.
//!
//! The table knows nothing of keys, deadlines' meaning, memory limits or threads.

mod bucket;
mod scan;
mod segment;
mod table;

pub use scan::Cursor;
pub use segment::{HOMES, SEGMENT_BYTES, SEGMENT_SLOTS};
pub use table::{At, Table, prefetch};

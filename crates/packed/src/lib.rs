//! The memory of one database of one shard: records in slabs.
//!
//! [`Records`] keeps keys, deadlines and values, each record in one slot of a
//! slab; a [`Handle`] of 32 bits names a record.
//!
//! A handle rather than a pointer: twelve handles with their fingerprints fit
//! the table's bucket of 64 bytes, a record can be moved when its slab grows
//! sparse, and a handle which outlives its record is a bug that shows wrong
//! bytes or a panic, never undefined behaviour. So everything public here is
//! safe to call with any handle whatever.
//!
//! # Safety contract
//!
//! `unsafe` is in one file, `slabs` (pointers into regions), which has the
//! contract. Records and externals are safe code.

mod class;
mod external;
pub mod lengths;
mod record;
mod slabs;

pub use class::RECORD_MAX;
pub use lengths::Lengths;
pub use record::{DEADLINE_MAX, Garbage, INLINE_MAX, Kind, NewValue, Record, Records, StrRef};
pub use slabs::{Full, Handle};

//! HyperLogLogs: strings that estimate how many different elements were added to them.
//!
//! An element's hash chooses one of 16,384 registers and gives it a rank; a register keeps the
//! highest rank it has met. The estimate is a function of how many registers hold which rank, its
//! standard error 0.81 %. The bytes are those of Redis, so that a value may be read with GET in
//! one server and written with SET in the other.
//!
//! # Layout
//!
//! ```text
//!  0      4          5           8                          16
//! | HYLL | encoding | reserved  | cached count, LE, 8 bytes | registers ..
//! ```
//!
//! The top bit of the cached count says that it is stale. Encoding 0 is dense (`dense`): 12,288
//! bytes, six bits a register. Encoding 1 is sparse (`sparse`): runs of equal registers.
//!
//! # Invariants
//!
//! 1. Any client may write any bytes: whatever lies behind a header is checked, never trusted.
//! 2. A refused command leaves every key as it was.

mod add;
mod count;
mod debug;
mod dense;
mod estimate;
mod hash;
mod header;
mod merge;
mod registers;
mod selftest;
mod sketch;
mod sparse;

use command::Command;

/// The rows of this family.
pub const COMMANDS: &[Command] =
    &[add::PFADD, count::PFCOUNT, debug::PFDEBUG, merge::PFMERGE, selftest::PFSELFTEST];

/// How many registers there are.
const REGISTERS: usize = 1 << hash::INDEX_BITS;

/// The registers of a HyperLogLog are not in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Corrupt;

impl From<Corrupt> for command::CommandError {
    fn from(_: Corrupt) -> Self {
        command::CommandError::CorruptHyperLogLog
    }
}

#[cfg(test)]
mod tests;

//! Sets: members without order, each there once.
//!
//! # Invariants
//!
//! 1. A command that only reads replies with the members in the order in which they lie; nobody
//!    may rely on it.
//! 2. What is chosen at random follows from the transaction's chance, so it is the same again where
//!    the transaction is repeated.

mod basic;
mod combine;
mod lifetime;
mod random;

use command::{Command, CommandError};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    basic::SADD,
    lifetime::SADDEX,
    basic::SREM,
    basic::SMOVE,
    basic::SCARD,
    basic::SISMEMBER,
    basic::SMISMEMBER,
    basic::SMEMBERS,
    basic::SSCAN,
    random::SPOP,
    random::SRANDMEMBER,
    combine::SINTER,
    combine::SINTERSTORE,
    combine::SINTERCARD,
    combine::SUNION,
    combine::SUNIONSTORE,
    combine::SUNIONCARD,
    combine::SDIFF,
    combine::SDIFFSTORE,
    combine::SDIFFCARD,
];

/// How many there are to be, which must not be negative.
fn positive(count: i64) -> Result<usize, CommandError> {
    usize::try_from(count).map_err(|_| CommandError::NotPositive)
}

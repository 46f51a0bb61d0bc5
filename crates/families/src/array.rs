//! Arrays: values under indexes of 64 bits, most of which hold none.
//!
//! What an array is, and how its slots lie, is in [`keyspace::array`]; here is what its commands
//! ask and tell. They are those of Redis 8.8, as it is documented.
//!
//! # Invariants
//!
//! * Words become indexes before a key is looked up, all of them.
//! * A range costs what is used in it, not the distance of its ends.
//! * An array goes with its last value.

mod delete;
mod error;
mod grep;
mod info;
mod insert;
mod op;
mod read;
mod words;
mod write;

use command::Command;

/// The rows of arrays.
pub const COMMANDS: &[Command] = &[
    write::ARSET,
    write::ARMSET,
    insert::ARINSERT,
    insert::ARRING,
    insert::ARSEEK,
    insert::ARNEXT,
    insert::ARLASTITEMS,
    delete::ARDEL,
    delete::ARDELRANGE,
    read::ARGET,
    read::ARMGET,
    read::ARGETRANGE,
    read::ARSCAN,
    read::ARLEN,
    read::ARCOUNT,
    op::AROP,
    grep::ARGREP,
    info::ARINFO,
];

//! Streams: logs of entries, and groups of consumers that share them.
//!
//! What a stream is, and how its entries lie, is in [`keyspace::stream`]; here is what its
//! commands ask and tell.
//!
//! # Invariants
//!
//! * No command leaves a stream behind that it was refused to make.
//! * A stream stays when its last entry goes.

mod add;
mod claim;
mod delete;
mod error;
mod group;
mod info;
mod pending;
mod producer;
mod range;
mod read;
mod words;

use command::Command;

/// The rows of streams.
pub const COMMANDS: &[Command] = &[
    add::XADD,
    add::XTRIM,
    add::XSETID,
    range::XLEN,
    range::XRANGE,
    range::XREVRANGE,
    delete::XDEL,
    delete::XDELEX,
    delete::XACKDEL,
    group::XGROUP,
    info::XINFO,
    pending::XACK,
    pending::XNACK,
    pending::XPENDING,
    claim::XCLAIM,
    claim::XAUTOCLAIM,
    producer::XCFGSET,
    producer::XIDMPRECORD,
    read::XREAD,
    read::XREADGROUP,
];

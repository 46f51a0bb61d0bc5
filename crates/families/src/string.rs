//! Strings: bytes that are read and written whole, by ranges, as numbers, or as rates.

mod basic;
mod compare;
mod count;
mod increx;
mod lcs;
mod many;
mod range;
pub(crate) mod room;
mod set;
mod throttle;

use command::{Command, Reply};
use keyspace::Str;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    range::APPEND,
    throttle::THROTTLE,
    count::DECR,
    count::DECRBY,
    compare::DELEX,
    compare::DELIFEQ,
    compare::DIGEST,
    basic::GET,
    basic::GETDEL,
    basic::GETEX,
    range::GETRANGE,
    set::GETSET,
    count::INCR,
    count::INCRBY,
    count::INCRBYFLOAT,
    increx::INCREX,
    lcs::LCS,
    many::MGET,
    many::MSET,
    many::MSETEX,
    many::MSETNX,
    range::PREPEND,
    set::PSETEX,
    set::SET,
    set::SETEX,
    set::SETNX,
    range::SETRANGE,
    basic::STRLEN,
    range::SUBSTR,
];

/// Answers with a string or nothing. A long one is not copied.
#[inline]
fn reply_with(text: Option<Str<'_>>, reply: &mut Reply<'_>) {
    match text {
        None => reply.null(),
        Some(text) => match text.shared() {
            None => reply.bulk(text.as_bytes()),
            Some(shared) => reply.bulk_shared(shared, 0..shared.len()),
        },
    }
}

//! Lists: elements in an order, added and taken at either end, read anywhere.
//!
//! How a list lies in memory is the guard's concern ([`keyspace::ListEntry`]); what waits for
//! elements (BLPOP and the like) takes them by the functions here once there are some.
//!
//! # Invariants
//!
//! 1. No list is empty: with its last element the key goes.
//! 2. A refused command leaves every key as it was.

mod access;
mod blocking;
mod end;
mod moving;
mod pop;
mod push;
mod range;
mod search;
mod texts;

use command::{Command, Reply};
pub(crate) use texts::Texts;
use value::entries::Element;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    blocking::BLMOVE,
    blocking::BLMOVEM,
    blocking::BLMPOP,
    blocking::BLPOP,
    blocking::BRPOP,
    blocking::BRPOPLPUSH,
    access::LINDEX,
    push::LINSERT,
    access::LLEN,
    moving::LMOVE,
    moving::LMOVEM,
    pop::LMPOP,
    pop::LPOP,
    search::LPOS,
    push::LPUSH,
    push::LPUSHX,
    range::LRANGE,
    search::LREM,
    access::LSET,
    range::LTRIM,
    pop::RPOP,
    moving::RPOPLPUSH,
    push::RPUSH,
    push::RPUSHX,
];

/// Answers with an element.
#[inline]
pub(crate) fn reply_with(element: Element<'_>, reply: &mut Reply<'_>) {
    match element {
        Element::Bytes(text) => reply.bulk(text),
        Element::Int(number) => reply.bulk_i64(number),
    }
}

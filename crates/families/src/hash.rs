//! Hashes: fields with values.
//!
//! # Invariants
//!
//! 1. What is chosen at random follows from the transaction's chance, so it is the same again where
//!    the transaction is repeated.

mod count;
mod expire;
mod fields;
mod import;
mod lifetime;
mod many;
mod random;

use command::{Command, Reply};
use value::entries::Element;

pub use import::IMPORT;

use crate::element::tell;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    fields::HSET,
    fields::HMSET,
    fields::HSETNX,
    fields::HGET,
    fields::HMGET,
    fields::HEXISTS,
    fields::HSTRLEN,
    fields::HLEN,
    fields::HDEL,
    fields::HGETDEL,
    expire::HEXPIRE,
    expire::HPEXPIRE,
    expire::HEXPIREAT,
    expire::HPEXPIREAT,
    expire::HPERSIST,
    expire::HTTL,
    expire::HPTTL,
    expire::HEXPIRETIME,
    expire::HPEXPIRETIME,
    lifetime::HGETEX,
    lifetime::HSETEX,
    count::HINCRBY,
    count::HINCRBYFLOAT,
    many::HGETALL,
    many::HKEYS,
    many::HVALS,
    many::HSCAN,
    random::HRANDFIELD,
];

/// Replies with a value, or that there is none.
fn tell_maybe(value: Option<Element<'_>>, reply: &mut Reply<'_>) {
    match value {
        Some(value) => tell(value, reply),
        None => reply.null(),
    }
}

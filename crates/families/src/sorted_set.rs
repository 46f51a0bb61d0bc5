//! Sorted sets: members with scores, in the order of these.
//!
//! Every part of a set that a command names, by rank, by score or by bytes, becomes a range of
//! ranks first (module `range`); reading, storing and removing it is the same for all.
//!
//! # Invariants
//!
//! 1. No score is NaN: what would become one is refused, or 0 where sets are put together.
//! 2. What is chosen at random follows from the transaction's chance, so it is the same again where
//!    the transaction is repeated.

mod add;
mod blocking;
mod combine;
mod outcome;
mod pop;
mod random;
mod range;
mod ranges;
mod read;

use command::{Command, Reply};
use value::entries::{Digits, Element};
use value::zset::{Name, Pair};

use crate::element::{tell, tell_pair_head};

pub(crate) use self::add::When;
pub(crate) use self::outcome::Outcome;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    add::ZADD,
    add::ZINCRBY,
    add::ZREM,
    read::ZCARD,
    read::ZSCORE,
    read::ZMSCORE,
    read::ZRANK,
    read::ZREVRANK,
    read::ZCOUNT,
    read::ZLEXCOUNT,
    read::ZSCAN,
    ranges::ZRANGE,
    ranges::ZREVRANGE,
    ranges::ZRANGEBYSCORE,
    ranges::ZREVRANGEBYSCORE,
    ranges::ZRANGEBYLEX,
    ranges::ZREVRANGEBYLEX,
    ranges::ZRANGESTORE,
    ranges::ZREMRANGEBYRANK,
    ranges::ZREMRANGEBYSCORE,
    ranges::ZREMRANGEBYLEX,
    pop::ZPOPMIN,
    pop::ZPOPMAX,
    pop::ZMPOP,
    blocking::BZPOPMIN,
    blocking::BZPOPMAX,
    blocking::BZMPOP,
    random::ZRANDMEMBER,
    combine::ZUNION,
    combine::ZUNIONSTORE,
    combine::ZINTER,
    combine::ZINTERSTORE,
    combine::ZINTERCARD,
    combine::ZDIFF,
    combine::ZDIFFSTORE,
];

/// A member, with its score or without.
fn tell_pair((name, score): Pair<'_>, with_scores: bool, reply: &mut Reply<'_>) {
    tell_pair_head(with_scores, reply);
    tell(name, reply);
    if with_scores {
        reply.double(score);
    }
}

/// A member as it is kept outside a set.
pub(crate) fn name_of(element: Element<'_>) -> Name {
    Name::from_slice(element.to_text(&mut Digits::new()))
}

//! The first and the last members, taken out: ZPOPMIN, ZPOPMAX, ZMPOP.

use command::{
    Args, Arity, Command, CommandError, Done, Flags, Key, KeySpec, KeyUse, Reply, Run, View, event,
    parse_positive,
};
use keyspace::{Event, ZSetEntry};
use protocol::Dialect;

use super::add::ZADD;
use super::read::positive;
use super::tell_pair;
use crate::element::{tell, tell_count};
use crate::work;

/// An end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The least scores.
    Min,
    /// The greatest.
    Max,
}

impl End {
    fn event(self) -> Event {
        match self {
            End::Min => event::ZPOPMIN,
            End::Max => event::ZPOPMAX,
        }
    }
}

/// Takes members out at an end and tells them as pairs, each as an array of its own if `nested`.
/// The head of the reply is the caller's: [`tell_popped`].
fn pop(
    entry: &mut ZSetEntry<'_>,
    end: End,
    count: usize,
    mut meet: impl FnMut(value::zset::Pair<'_>),
) -> Result<(), CommandError> {
    let len = entry.len();
    let ranks = match end {
        End::Min => 0..count.min(len),
        End::Max => len - count.min(len)..len,
    };
    if let Some(set) = entry.get() {
        match end {
            End::Min => set.range(ranks.clone()).for_each(&mut meet),
            End::Max => set.range(ranks.clone()).rev().for_each(&mut meet),
        }
    }
    let removed = entry.remove_range(ranks)?;
    if removed > 0 {
        entry.noted_parts(end.event(), removed);
    }
    Ok(())
}

/// Takes the members at the end of the first of these keys that has any, `count` at most, and
/// tells key and members as ZMPOP does. `false`: there is none in the entered shards.
///
/// # Errors
/// If a key before the first such set, or that one, holds something else.
fn pop_first<'a>(
    names: impl Iterator<Item = &'a [u8]>,
    end: End,
    count: usize,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Result<bool, CommandError> {
    for key in names {
        if !keys.has_entered(key) {
            continue;
        }
        let mut entry = keys.zset_entry(key)?;
        if entry.is_empty() {
            continue;
        }
        reply.array(2);
        reply.bulk(key);
        reply.array(count.min(entry.len()));
        pop(&mut entry, end, count, |(name, score)| {
            reply.array(2);
            tell(name, reply);
            reply.double(score);
        })?;
        return Ok(true);
    }
    Ok(false)
}

/// Takes one member out at an end of the first of these keys that has any, and tells key, member
/// and score side by side, as BZPOPMIN does. `false`: there is none in the entered shards.
///
/// # Errors
/// If a key before the first such set, or that one, holds something else.
pub(super) fn tell_popped<'a>(
    names: impl Iterator<Item = &'a [u8]>,
    end: End,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Result<bool, CommandError> {
    for key in names {
        if !keys.has_entered(key) {
            continue;
        }
        let mut entry = keys.zset_entry(key)?;
        if entry.is_empty() {
            continue;
        }
        reply.array(3);
        reply.bulk(key);
        pop(&mut entry, end, 1, |(name, score)| {
            tell(name, reply);
            reply.double(score);
        })?;
        return Ok(true);
    }
    Ok(false)
}

pub(super) const ZPOPMIN: Command = Command {
    name: "ZPOPMIN",
    member: None,
    work: Some(|args, keys| work::REMOVE_STEPS * work::taken(args, keys)),
    run: Run::Write(|args, keys, reply| pop_one_key(End::Min, args, keys, reply)),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse::TAKE)],
    flags: Flags::FAST,
    since: "5.0.0",
    summary: "Takes the members with the least scores out of a sorted set, and returns them.",
    complexity: "O(log(N)*M) for M members",
    syntax: "key [count]",
    history: &[],
    ..ZADD
};

pub(super) const ZPOPMAX: Command = Command {
    name: "ZPOPMAX",
    run: Run::Write(|args, keys, reply| pop_one_key(End::Max, args, keys, reply)),
    summary: "Takes the members with the greatest scores out of a sorted set, and returns them.",
    ..ZPOPMIN
};

fn pop_one_key(end: End, mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    if args.len() > 1 {
        return Err(CommandError::Syntax);
    }
    let has_count = !args.is_empty();
    let count = match has_count {
        true => {
            let count = command::parse_integer(args.bytes()?).ok_or(CommandError::NotPositive)?;
            positive(count)?
        }
        false => 1,
    };
    let mut entry = keys.zset_entry(key.0)?;
    let told = count.min(entry.len());
    // One member without a count is told as one pair.
    if has_count || told == 0 {
        tell_count(told, true, reply);
    } else {
        reply.array(2);
    }
    let nested = has_count && reply.dialect() == Dialect::Resp3;
    pop(&mut entry, end, count, |pair| {
        if nested {
            tell_pair(pair, true, reply);
        } else {
            tell(pair.0, reply);
            reply.double(pair.1);
        }
    })
}

pub(super) const ZMPOP: Command = Command {
    name: "ZMPOP",
    work: Some(|args, keys| work::REMOVE_STEPS * work::taken_of_any(args, keys)),
    run: Run::Write(zmpop),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::counted(1, KeyUse::TAKE)],
    flags: Flags::MOVABLE_KEYS,
    since: "7.0.0",
    summary: "Takes members out of the first of several sorted sets that has any.",
    complexity: "O(K)+O(M*log(N)) for K keys and M members",
    syntax: "numkeys key ... <MIN|MAX> [COUNT count]",
    ..ZPOPMIN
};

fn zmpop(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    if !Popping::parse(args)?.run(keys, reply)? {
        reply.null_array();
    }
    Ok(())
}

/// What is taken of the first sorted set among several keys.
pub(super) struct Popping<'a> {
    names: Args<'a>,
    end: End,
    count: usize,
}

impl<'a> Popping<'a> {
    pub(super) fn parse(mut args: Args<'a>) -> Result<Popping<'a>, CommandError> {
        let numkeys = parse_positive(args.bytes()?).ok_or(CommandError::NumKeys)?;
        let mut options = args.skip(numkeys);
        if args.len() <= numkeys {
            return Err(CommandError::Syntax);
        }
        let end = if options.word("MIN") {
            End::Min
        } else if options.word("MAX") {
            End::Max
        } else {
            return Err(CommandError::Syntax);
        };
        Ok(Popping { names: args.first(numkeys), end, count: parse_count(options)? })
    }

    /// Takes and answers, see [`pop_first`].
    pub(super) fn run(
        self,
        keys: &mut View<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<bool, CommandError> {
        pop_first(self.names.rest(), self.end, self.count, keys, reply)
    }
}

fn parse_count(mut options: Args<'_>) -> Result<usize, CommandError> {
    let mut count = None;
    while !options.is_empty() {
        if count.is_some() || !options.word_with_value("COUNT") {
            return Err(CommandError::Syntax);
        }
        count = Some(parse_positive(options.bytes()?).ok_or(CommandError::CountNotPositive)?);
    }
    Ok(count.unwrap_or(1))
}

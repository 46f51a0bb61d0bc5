//! Taking and moving elements of lists that may have to come first: `BLPOP`, `BRPOP`, `BLMPOP`,
//! `BLMOVE`, `BLMOVEM`, `BRPOPLPUSH`.

use command::{
    Args, Arity, Attempt, Block, Command, Flags, KeySpec, KeyUse, Reply, Run, Tried, Until, View,
    wait_seconds,
};
use keyspace::{End, ListRef, Type};

use super::end::popped;
use super::moving::{self, Amount, Move};
use super::pop::{self, Popping};
use super::reply_with;
use crate::work;

pub(super) const BLPOP: Command = Command {
    name: "BLPOP",
    run: Run::Block(Block::taking(blpop, has_list)),
    work: None,
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::but_last(1, KeyUse::TAKE)],
    flags: Flags::BLOCKING,
    since: "2.0.0",
    summary: "Takes the first element of the first list that there is, waits for one if need be.",
    complexity: "O(N) where N is the number of keys",
    syntax: "key ... timeout",
    history: &[("6.0.0", "`timeout` is a double instead of an integer.")],
    ..pop::LPOP
};

pub(super) const BRPOP: Command = Command {
    name: "BRPOP",
    run: Run::Block(Block::taking(brpop, has_list)),
    summary: "Takes the last element of the first list that there is, waits for one if need be.",
    ..BLPOP
};

pub(super) const BLMPOP: Command = Command {
    name: "BLMPOP",
    run: Run::Block(Block::taking(blmpop, has_list)),
    work: Some(|args, keys| work::taken_of_any(args.skip(1), keys)),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::counted(2, KeyUse::TAKE)],
    flags: Flags::BLOCKING.and(Flags::MOVABLE_KEYS),
    summary: "Takes elements of the first list that there is, waits for one if need be.",
    syntax: "timeout numkeys key ... <LEFT | RIGHT> [COUNT count]",
    ..pop::LMPOP
};

pub(super) const BLMOVE: Command = Command {
    name: "BLMOVE",
    run: Run::Block(Block::moving(blmove, has_list)),
    arity: Arity::Exactly(6),
    flags: Flags::BLOCKING.and(Flags::DENY_OOM),
    summary: "Moves an element from list to list and returns it, waits for one if need be.",
    syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
    ..moving::LMOVE
};

pub(super) const BRPOPLPUSH: Command = Command {
    name: "BRPOPLPUSH",
    run: Run::Block(Block::moving(brpoplpush, has_list)),
    arity: Arity::Exactly(4),
    since: "2.2.0",
    summary: "Moves the last element to the front of a list, waits for one if need be.",
    syntax: "source destination timeout",
    history: &[("6.0.0", "`timeout` is a double instead of an integer.")],
    deprecated: Some(("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
    ..BLMOVE
};

pub(super) const BLMOVEM: Command = Command {
    name: "BLMOVEM",
    run: Run::Block(Block::moving(blmovem, has_enough)),
    work: Some(|args, keys| moving::moved(args, 5, keys)),
    arity: Arity::AtLeast(6),
    flags: Flags::BLOCKING.and(Flags::DENY_OOM),
    summary: "Moves elements from list to list and returns them, waits for them if need be.",
    syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout \
             [<COUNT count | EXACTLY exactly> <OBO | BULK>]",
    ..moving::LMOVEM
};

fn has_list(_: Args<'_>, keys: &View<'_>, key: &[u8]) -> bool {
    keys.stored(key).is_some_and(|stored| stored.kind() == Type::List)
}

fn has_enough(args: Args<'_>, keys: &View<'_>, key: &[u8]) -> bool {
    let there = keys.list(key).ok().flatten().map_or(0, ListRef::len);
    there > 0 && Amount::parse(args.skip(5)).is_ok_and(|amount| amount.allows(there))
}

fn blpop(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    pop_first(args, keys, reply, End::Front)
}

fn brpop(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    pop_first(args, keys, reply, End::Back)
}

fn pop_first(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>, end: End) -> Attempt {
    let names = args.len().saturating_sub(1);
    let until = wait_seconds(args.get(names).unwrap_or_default(), keys.now())?;
    for key in args.first(names).rest() {
        if !keys.has_entered(key) {
            continue;
        }
        let mut entry = keys.list_entry(key)?;
        if entry.exists() {
            reply.array(2);
            reply.bulk(key);
            entry.pop(end, 1, popped(end), |element| reply_with(element, reply))?;
            return Ok(Tried::Answered);
        }
    }
    Ok(Tried::Waits(until))
}

fn blmpop(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    // The words behind the time are looked at before it.
    let (timeout, popping) = (args.bytes()?, Popping::parse(args)?);
    let until = wait_seconds(timeout, keys.now())?;
    let popped = popping.run(keys, reply)?;
    Ok(if popped { Tried::Answered } else { Tried::Waits(until) })
}

fn blmove(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    let step = Move::parse(&mut args)?;
    let until = wait_seconds(args.bytes()?, keys.now())?;
    move_one(step, until, keys, reply)
}

fn blmovem(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    let step = Move::parse(&mut args)?;
    let until = wait_seconds(args.bytes()?, keys.now())?;
    let moved = step.run_many(Amount::parse(args)?, keys, reply)?;
    Ok(if moved { Tried::Answered } else { Tried::Waits(until) })
}

fn brpoplpush(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    let (source, destination, timeout): (_, _, &[u8]) = args.parse()?;
    let until = wait_seconds(timeout, keys.now())?;
    move_one(Move { source, destination, from: End::Back, to: End::Front }, until, keys, reply)
}

fn move_one(step: Move<'_>, until: Until, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    let Some(moved) = step.run(1, false, keys)? else { return Ok(Tried::Waits(until)) };
    moved.texts(false).for_each(|text| reply.bulk(text));
    Ok(Tried::Answered)
}

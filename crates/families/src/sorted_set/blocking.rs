//! Taking members of sorted sets that may have to come first: `BZPOPMIN`, `BZPOPMAX`, `BZMPOP`.

use command::{
    Args, Arity, Attempt, Block, Command, Flags, KeySpec, KeyUse, Reply, Run, Tried, View,
    wait_seconds,
};
use keyspace::Type;

use super::pop::{End, Popping, ZMPOP, ZPOPMIN, tell_popped};
use crate::work;

pub(super) const BZPOPMIN: Command = Command {
    name: "BZPOPMIN",
    run: Run::Block(Block::taking(bzpopmin, has_set)),
    work: None,
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::but_last(1, KeyUse::TAKE)],
    flags: Flags::BLOCKING.and(Flags::FAST),
    summary: "Takes the member with the least score, waits for one if need be.",
    complexity: "O(log(N))",
    syntax: "key ... timeout",
    history: &[("6.0.0", "`timeout` is a double instead of an integer.")],
    ..ZPOPMIN
};

pub(super) const BZPOPMAX: Command = Command {
    name: "BZPOPMAX",
    run: Run::Block(Block::taking(bzpopmax, has_set)),
    summary: "Takes the member with the greatest score, waits for one if need be.",
    ..BZPOPMIN
};

pub(super) const BZMPOP: Command = Command {
    name: "BZMPOP",
    run: Run::Block(Block::taking(bzmpop, has_set)),
    work: Some(|args, keys| work::REMOVE_STEPS * work::taken_of_any(args.skip(1), keys)),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::counted(2, KeyUse::TAKE)],
    flags: Flags::BLOCKING.and(Flags::MOVABLE_KEYS),
    summary: "Takes members of the first sorted set that has any, waits for one if need be.",
    syntax: "timeout numkeys key ... <MIN|MAX> [COUNT count]",
    ..ZMPOP
};

fn has_set(_: Args<'_>, keys: &View<'_>, key: &[u8]) -> bool {
    keys.stored(key).is_some_and(|stored| stored.kind() == Type::ZSet)
}

fn bzpopmin(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    take_one(args, End::Min, keys, reply)
}

fn bzpopmax(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    take_one(args, End::Max, keys, reply)
}

fn take_one(args: Args<'_>, end: End, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    let names = args.len().saturating_sub(1);
    let until = wait_seconds(args.get(names).unwrap_or_default(), keys.now())?;
    let taken = tell_popped(args.first(names).rest(), end, keys, reply)?;
    Ok(if taken { Tried::Answered } else { Tried::Waits(until) })
}

fn bzmpop(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    // The words behind the time are looked at before it.
    let (timeout, popping) = (args.bytes()?, Popping::parse(args)?);
    let until = wait_seconds(timeout, keys.now())?;
    let taken = popping.run(keys, reply)?;
    Ok(if taken { Tried::Answered } else { Tried::Waits(until) })
}

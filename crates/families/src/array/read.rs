//! Values by their indexes: `ARGET`, `ARMGET`, `ARGETRANGE`, `ARSCAN`, `ARLEN`, `ARCOUNT`.

use std::ops::ControlFlow;

use command::{
    Args, Arity, Category, Command, Done, Flags, Group, Key, KeySpec, KeyUse, Reply, View,
};
use keyspace::ArrayRef;
use keyspace::array::Run;

use super::error::ArrayError;
use super::words::{
    SlotIndex, each_used, indexes, meant, parse_unsigned, take_limit, tell_index, tell_maybe,
    tell_run, width,
};
use crate::element::tell;

/// ARGETRANGE tells no more slots at once.
const SLOTS_TOLD_MAX: u64 = 1_000_000;

pub(super) const ARGET: Command = Command {
    name: "ARGET",
    run: command::Run::Read(arget),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::FAST,
    category: Category::ARRAY,
    group: Group::Array,
    since: "8.8.0",
    summary: "Returns the value under an index of an array.",
    syntax: "key index",
    ..Command::BASE
};

fn arget(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, SlotIndex(index)): (Key<'_>, SlotIndex) = args.parse()?;
    tell_maybe(keys.array(key.0)?.and_then(|array| array.get(index)), reply);
    Ok(())
}

pub(super) const ARMGET: Command = Command {
    name: "ARMGET",
    run: command::Run::Read(armget),
    arity: Arity::AtLeast(3),
    summary: "Returns the values under indexes of an array.",
    complexity: "O(1) for each index",
    syntax: "key index ...",
    ..ARGET
};

fn armget(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let indexes = indexes(args.rest())?;
    let array = keys.array(key.0)?;
    reply.array(indexes.len());
    for index in indexes {
        tell_maybe(array.and_then(|array| array.get(index)), reply);
    }
    Ok(())
}

pub(super) const ARGETRANGE: Command = Command {
    name: "ARGETRANGE",
    work: Some(|args, _| width(args.skip(1)).min(SLOTS_TOLD_MAX)),
    run: command::Run::Read(argetrange),
    arity: Arity::Exactly(4),
    flags: Flags::NONE,
    summary: "Returns the values between two indexes of an array, and a null where there is none.",
    complexity: "O(N) where N is the number of indexes",
    syntax: "key start end",
    ..ARGET
};

fn argetrange(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, SlotIndex(start), SlotIndex(end)): (Key<'_>, SlotIndex, SlotIndex) = args.parse()?;
    let len = start.abs_diff(end) + 1;
    if len > SLOTS_TOLD_MAX {
        return Err(ArrayError::RangeTooLong.into());
    }
    let array = keys.array(key.0)?;
    reply.array(len as usize);
    tell_run(array, Run { start: start.min(end), len }, end < start, reply);
    Ok(())
}

pub(super) const ARSCAN: Command = Command {
    name: "ARSCAN",
    work: Some(|args, keys| {
        let limit = args.get(4).and_then(parse_unsigned);
        meant(args, keys).min(limit.unwrap_or(u64::MAX))
    }),
    run: command::Run::Read(arscan),
    arity: Arity::AtLeast(4),
    flags: Flags::NONE,
    summary: "Returns the values between two indexes of an array, each behind its index.",
    complexity: "O(N) where N is how many values there are in slices that are touched",
    syntax: "key start end [LIMIT limit]",
    ..ARGET
};

fn arscan(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, SlotIndex(start)): (Key<'_>, SlotIndex) = (args.take()?, args.take()?);
    let SlotIndex(end) = args.take()?;
    let limit = take_limit(&mut args)?.unwrap_or(u64::MAX);
    args.end()?;
    let Some(array) = keys.array(key.0)? else {
        reply.array(0);
        return Ok(());
    };
    let list = reply.deferred_array();
    let mut told = 0;
    let _: ControlFlow<()> = each_used(array, start, end, |index, element| {
        reply.array(2);
        tell_index(index, reply);
        tell(element, reply);
        told += 1;
        if told < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    reply.finish(list, told as usize);
    Ok(())
}

pub(super) const ARLEN: Command = Command {
    name: "ARLEN",
    run: command::Run::Read(arlen),
    arity: Arity::Exactly(2),
    summary: "Returns the length of an array: one more than its greatest index.",
    syntax: "key",
    ..ARGET
};

fn arlen(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    tell_index(keys.array(key.0)?.map_or(0, ArrayRef::len), reply);
    Ok(())
}

pub(super) const ARCOUNT: Command = Command {
    name: "ARCOUNT",
    run: command::Run::Read(arcount),
    summary: "Returns the number of values of an array.",
    ..ARLEN
};

fn arcount(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    tell_index(keys.array(key.0)?.map_or(0, ArrayRef::count), reply);
    Ok(())
}

//! Strings as numbers: `INCR` and its kin on 64-bit integers, `INCRBYFLOAT` on 80-bit
//! floating-point numbers.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event, parse_integer,
};
use keyspace::{Expiry, StrEntry};

use crate::extended::Extended;

pub(super) const INCR: Command = Command {
    name: "INCR",
    run: Run::Write(incr),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::UPDATE)],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::STRING,
    group: Group::String,
    since: "1.0.0",
    summary: "Adds one to the integer value of a key, which starts at 0.",
    syntax: "key",
    ..Command::BASE
};

fn incr(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    add_to(key, 1, keys, reply)
}

pub(super) const DECR: Command = Command {
    name: "DECR",
    run: Run::Write(decr),
    summary: "Takes one from the integer value of a key, which starts at 0.",
    ..INCR
};

fn decr(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    add_to(key, -1, keys, reply)
}

pub(super) const INCRBY: Command = Command {
    name: "INCRBY",
    run: Run::Write(incrby),
    arity: Arity::Exactly(3),
    summary: "Adds a number to the integer value of a key, which starts at 0.",
    syntax: "key increment",
    ..INCR
};

fn incrby(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, increment): (Key<'_>, i64) = args.parse()?;
    add_to(key, increment, keys, reply)
}

pub(super) const DECRBY: Command = Command {
    name: "DECRBY",
    run: Run::Write(decrby),
    summary: "Takes a number from the integer value of a key, which starts at 0.",
    syntax: "key decrement",
    ..INCRBY
};

fn decrby(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, decrement): (Key<'_>, i64) = args.parse()?;
    let increment = decrement.checked_neg().ok_or(CommandError::DecrementOverflow)?;
    add_to(key, increment, keys, reply)
}

#[inline]
fn add_to(key: Key<'_>, increment: i64, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let mut entry = keys.str_entry(key.0)?;
    let sum = integer_in(&entry)?.checked_add(increment).ok_or(CommandError::Overflow)?;
    entry.set(itoa::Buffer::new().format(sum).as_bytes(), Expiry::Keep, event::INCRBY)?;
    reply.integer(sum);
    Ok(())
}

/// The integer that an entry holds; 0 if there is none.
#[inline]
pub(super) fn integer_in(entry: &StrEntry<'_>) -> Result<i64, CommandError> {
    let Some(text) = entry.get() else { return Ok(0) };
    parse_integer(text.as_bytes()).ok_or(CommandError::NotAnInteger)
}

/// The floating-point number that an entry holds; 0 if there is none.
pub(super) fn float_in(entry: &StrEntry<'_>) -> Result<Extended, CommandError> {
    let Some(text) = entry.get() else { return Ok(Extended::ZERO) };
    Extended::parse(text.as_bytes()).ok_or(CommandError::NotAFloat)
}

pub(super) const INCRBYFLOAT: Command = Command {
    name: "INCRBYFLOAT",
    run: Run::Write(incrbyfloat),
    since: "2.6.0",
    summary: "Adds a number to the floating-point value of a key, which starts at 0.",
    syntax: "key float",
    ..INCRBY
};

fn incrbyfloat(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, increment): (Key<'_>, &[u8]) = args.parse()?;
    let mut entry = keys.str_entry(key.0)?;
    let value = float_in(&entry)?;
    let increment = Extended::parse(increment).ok_or(CommandError::NotAFloat)?;
    let sum = value.plus(increment).ok_or(CommandError::NotFinite)?;
    if sum.is_infinite() {
        return Err(CommandError::NotFinite);
    }
    let text = sum.to_string();
    entry.set(text.as_bytes(), Expiry::Keep, event::INCRBYFLOAT)?;
    reply.bulk(text.as_bytes());
    Ok(())
}

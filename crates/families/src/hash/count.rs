//! Numbers in fields: HINCRBY, HINCRBYFLOAT. A field keeps its deadline.

use command::{
    Args, Arity, Command, CommandError, Done, Key, KeySpec, KeyUse, Reply, Run, View, event,
};
use keyspace::HashEntry;
use value::entries::{Digits, Element};
use value::map::Until;

use super::fields::HSET;
use crate::extended::Extended;

pub(super) const HINCRBY: Command = Command {
    name: "HINCRBY",
    run: Run::Write(hincrby),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::UPDATE)],
    summary: "Adds a number to the integer value of a field, which starts at 0.",
    complexity: "O(1)",
    syntax: "key field increment",
    history: &[],
    ..HSET
};

fn hincrby(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, field, increment): (Key<'_>, &[u8], i64) = args.parse()?;
    let mut entry = keys.hash_entry(key.0)?;
    let sum = integer_in(&entry, field)?.checked_add(increment).ok_or(CommandError::Overflow)?;
    entry.set_until(field, itoa::Buffer::new().format(sum).as_bytes(), Until::Same)?;
    entry.noted(event::HINCRBY);
    reply.integer(sum);
    Ok(())
}

/// The integer that a field holds; 0 if there is none.
fn integer_in(entry: &HashEntry<'_>, field: &[u8]) -> Result<i64, CommandError> {
    let refused = || CommandError::text("ERR hash value is not an integer");
    match entry.get().and_then(|map| map.get(field)) {
        None => Ok(0),
        Some(Element::Int(int)) => Ok(int),
        Some(Element::Bytes(text)) => command::parse_integer(text).ok_or_else(refused),
    }
}

pub(super) const HINCRBYFLOAT: Command = Command {
    name: "HINCRBYFLOAT",
    run: Run::Write(hincrbyfloat),
    since: "2.6.0",
    summary: "Adds a number to the floating-point value of a field, which starts at 0.",
    ..HINCRBY
};

fn hincrbyfloat(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, field, increment): (Key<'_>, &[u8], &[u8]) = args.parse()?;
    let increment = Extended::parse(increment).ok_or(CommandError::NotAFloat)?;
    if increment.is_infinite() {
        return Err(CommandError::text("ERR value is NaN or Infinity"));
    }
    let mut entry = keys.hash_entry(key.0)?;
    let value = match entry.get().and_then(|map| map.get(field)) {
        None => Extended::ZERO,
        Some(value) => {
            let refused = || CommandError::text("ERR hash value is not a float");
            Extended::parse(value.to_text(&mut Digits::new())).ok_or_else(refused)?
        }
    };
    let sum = value.plus(increment).filter(|sum| !sum.is_infinite());
    let text = sum.ok_or(CommandError::NotFinite)?.to_string();
    entry.set_until(field, text.as_bytes(), Until::Same)?;
    entry.noted(event::HINCRBYFLOAT);
    reply.bulk(text.as_bytes());
    Ok(())
}

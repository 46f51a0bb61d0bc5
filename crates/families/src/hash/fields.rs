//! Fields by name: HSET, HMSET, HSETNX, HGET, HMGET, HEXISTS, HSTRLEN, HLEN, HDEL, HGETDEL.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event,
};
use keyspace::count_done;
use value::entries::Element;

use super::tell_maybe;

pub(super) const HSET: Command = Command {
    name: "HSET",
    run: Run::Write(hset),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    member: Some(2),
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::HASH,
    group: Group::Hash,
    since: "2.0.0",
    summary: "Sets fields of a hash, which is made if need be.",
    complexity: "O(1) for each field",
    syntax: "key (field value) ...",
    history: &[("4.0.0", "Several fields.")],
    ..Command::BASE
};

fn hset(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let added = set_all(args, "hset", keys)?;
    reply.integer(added);
    Ok(())
}

pub(super) const HMSET: Command = Command {
    name: "HMSET",
    run: Run::Write(hmset),
    summary: "Sets fields of a hash, which is made if need be.",
    deprecated: Some(("4.0.0", "`HSET` with several fields")),
    history: &[],
    ..HSET
};

fn hmset(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    set_all(args, "hmset", keys)?;
    reply.ok();
    Ok(())
}

/// Sets fields; returns how many are new.
fn set_all(mut args: Args<'_>, command: &str, keys: &mut View<'_>) -> Result<i64, CommandError> {
    let key: Key<'_> = args.take()?;
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::WrongArity(command.into()));
    }
    let mut entry = keys.hash_entry(key.0)?;
    let pairs = args.len() / 2;
    let (fields, values) = (args.rest().step_by(2), args.skip(1).rest().step_by(2));
    let added = entry.set_all(fields.zip(values))?;
    entry.noted_parts(event::HSET, pairs);
    Ok(added as i64)
}

pub(super) const HSETNX: Command = Command {
    name: "HSETNX",
    run: Run::Write(hsetnx),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::INSERT)],
    summary: "Sets a field of a hash that has no such field.",
    complexity: "O(1)",
    syntax: "key field value",
    history: &[],
    ..HSET
};

fn hsetnx(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, field, value): (Key<'_>, &[u8], &[u8]) = args.parse()?;
    let mut entry = keys.hash_entry(key.0)?;
    let is_new = entry.get().is_none_or(|map| map.get(field).is_none());
    if is_new {
        entry.set(field, value)?;
        entry.noted(event::HSET);
    }
    reply.integer(i64::from(is_new));
    Ok(())
}

pub(super) const HGET: Command = Command {
    name: "HGET",
    run: Run::Read(hget),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::FAST,
    summary: "Returns the value of a field.",
    complexity: "O(1)",
    syntax: "key field",
    history: &[],
    ..HSET
};

fn hget(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, field): (Key<'_>, &[u8]) = args.parse()?;
    let map = keys.hash_map(key.0)?;
    tell_maybe(map.and_then(|map| keys.field(key.0, map, field)), reply);
    Ok(())
}

pub(super) const HMGET: Command = Command {
    name: "HMGET",
    run: Run::Read(hmget),
    arity: Arity::AtLeast(3),
    summary: "Returns the values of several fields.",
    complexity: "O(1) for each field",
    syntax: "key field ...",
    ..HGET
};

fn hmget(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let map = keys.hash_map(key.0)?;
    reply.array(args.len());
    for field in args.rest() {
        tell_maybe(map.and_then(|map| keys.field(key.0, map, field)), reply);
    }
    Ok(())
}

pub(super) const HEXISTS: Command = Command {
    name: "HEXISTS",
    run: Run::Read(hexists),
    keys: &[KeySpec::one(1, KeyUse::LOOK)],
    summary: "Returns whether a hash has a field.",
    ..HGET
};

fn hexists(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, field): (Key<'_>, &[u8]) = args.parse()?;
    let map = keys.hash_map(key.0)?;
    let is_there = map.is_some_and(|map| keys.field(key.0, map, field).is_some());
    reply.integer(i64::from(is_there));
    Ok(())
}

pub(super) const HSTRLEN: Command = Command {
    name: "HSTRLEN",
    run: Run::Read(hstrlen),
    since: "3.2.0",
    summary: "Returns how long the value of a field is.",
    ..HEXISTS
};

fn hstrlen(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, field): (Key<'_>, &[u8]) = args.parse()?;
    let value = keys.hash_map(key.0)?.and_then(|map| keys.field(key.0, map, field));
    reply.integer(value.map_or(0, Element::text_len) as i64);
    Ok(())
}

pub(super) const HLEN: Command = Command {
    name: "HLEN",
    member: None,
    run: Run::Read(hlen),
    arity: Arity::Exactly(2),
    summary: "Returns how many fields a hash has.",
    syntax: "key",
    ..HEXISTS
};

fn hlen(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    reply.integer(keys.hash_map(key.0)?.map_or(0, |map| map.len()) as i64);
    Ok(())
}

pub(super) const HDEL: Command = Command {
    name: "HDEL",
    run: Run::Write(hdel),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "delete"]))],
    flags: Flags::FAST,
    summary: "Takes fields out of a hash.",
    syntax: "key field ...",
    history: &[("2.4.0", "Several fields.")],
    ..HSET
};

fn hdel(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut entry = keys.hash_entry(key.0)?;
    let (removed, outcome) = count_done(args.rest(), |field| entry.remove(field));
    if removed > 0 {
        entry.noted_parts(event::HDEL, removed);
    }
    outcome?;
    reply.integer(removed as i64);
    Ok(())
}

pub(super) const HGETDEL: Command = Command {
    name: "HGETDEL",
    member: Some(4),
    run: Run::Write(hgetdel),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::one(1, KeyUse::TAKE)],
    flags: Flags::FAST,
    since: "8.0.0",
    summary: "Returns the values of fields, and takes the fields out.",
    syntax: "key FIELDS numfields field ...",
    history: &[],
    ..HSET
};

fn hgetdel(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    take_fields(&mut args, "ERR Number of fields must be a positive integer")?;
    let mut entry = keys.hash_entry(key.0)?;
    reply.array(args.len());
    let (removed, outcome) = count_done(args.rest(), |field| {
        entry.drop_lapsed(field);
        tell_maybe(entry.get().and_then(|map| map.get(field)), reply);
        entry.remove(field)
    });
    if removed > 0 {
        entry.noted_parts(event::HDEL, removed);
    }
    entry.noted_lapsed();
    Ok(outcome?)
}

/// Takes `FIELDS` and the number of fields, which must be that of the arguments behind it.
pub(super) fn take_fields(args: &mut Args<'_>, not_positive: &'static str) -> Done {
    if !args.word("FIELDS") {
        return Err(CommandError::text(
            "ERR Mandatory argument FIELDS is missing or not at the right position",
        ));
    }
    let count = command::parse_positive(args.bytes()?);
    let count = count.ok_or_else(|| CommandError::text(not_positive))?;
    if count != args.len() {
        return Err(CommandError::text(
            "ERR The `numfields` parameter must match the number of arguments",
        ));
    }
    Ok(())
}

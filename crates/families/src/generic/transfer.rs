//! Entries that go elsewhere: RENAME, RENAMENX, COPY, MOVE.
//!
//! Value, deadline and protection from eviction go along. All four are one call of the view,
//! [`View::transfer`], which copies long strings by reference.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Prepared, Reply, Run, View, event,
};
use keyspace::{DbIndex, Event, Stored};

use super::DbNumber;

/// Elements that are copied in a step.
const COPIES: u64 = 4;

pub(super) const RENAME: Command = Command {
    name: "RENAME",
    run: Run::Write(rename),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::TAKE), KeySpec::one(2, KeyUse::OVERWRITE)],
    flags: Flags::NONE,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "1.0.0",
    summary: "Gives a key another name, whatever had that name before.",
    syntax: "key newkey",
    ..Command::BASE
};

const RENAMED: (Option<Event>, Event) = (Some(event::RENAME_FROM), event::RENAME_TO);

fn rename(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (from, to): (Key<'_>, Key<'_>) = args.parse()?;
    let db = keys.db();
    if !keys.transfer((db, from.0), (db, to.0), RENAMED)? {
        return Err(CommandError::NoSuchKey);
    }
    reply.ok();
    Ok(())
}

pub(super) const RENAMENX: Command = Command {
    name: "RENAMENX",
    run: Run::Write(renamenx),
    keys: &[KeySpec::one(1, KeyUse::TAKE), KeySpec::one(2, KeyUse::CREATE)],
    flags: Flags::FAST,
    summary: "Gives a key another name, unless there is a key of that name.",
    history: &[("3.2.0", "Both names may be the same.")],
    ..RENAME
};

fn renamenx(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (from, to): (Key<'_>, Key<'_>) = args.parse()?;
    let db = keys.db();
    if !keys.contains_in(db, from.0) {
        return Err(CommandError::NoSuchKey);
    }
    let free = !keys.contains_in(db, to.0);
    if free {
        keys.transfer((db, from.0), (db, to.0), RENAMED)?;
    }
    reply.integer(i64::from(free));
    Ok(())
}

pub(super) const COPY: Command = Command {
    name: "COPY",
    work: Some(copied),
    run: Run::Write(copy),
    prepare: Some(|args, keys, _| prepare_copy(args, keys)),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::READ), KeySpec::one(2, KeyUse::OVERWRITE)],
    flags: Flags::DENY_OOM,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "6.2.0",
    summary: "Copies what a key holds to another key.",
    complexity: "O(N)",
    syntax: "source destination [DB destination-db] [REPLACE]",
    ..Command::BASE
};

fn copy(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (from, to): (Key<'_>, Key<'_>) = (args.take()?, args.take()?);
    let db = keys.db();
    let (to_db, replace) = parse_copy_options(args, db, keys.databases())?;
    if (to_db, to) == (db, from) {
        return Err(CommandError::SameObject);
    }
    let found = keys.look(from.0).is_some();
    let free = found && (replace || !keys.contains_in(to_db, to.0));
    let copied = free && keys.transfer((db, from.0), (to_db, to.0), (None, event::COPY_TO))?;
    reply.integer(i64::from(copied));
    Ok(())
}

/// A small value, and a string, which is not copied, take no time worth the mention.
fn copied(args: Args<'_>, keys: &View<'_>) -> u64 {
    let is_large = |key| matches!(keys.stored(key), Some(Stored::Big(_)));
    args.get(0).filter(|key| is_large(key)).map_or(0, |key| keys.weight(key) / COPIES)
}

fn prepare_copy<'p>(mut args: Args<'_>, keys: &View<'_>) -> Result<Prepared<'p>, CommandError> {
    let (from, to): (Key<'_>, Key<'_>) = (args.take()?, args.take()?);
    let (to_db, replace) = parse_copy_options(args, keys.db(), keys.databases())?;
    if (to_db, to) == (keys.db(), from) {
        return Err(CommandError::SameObject);
    }
    let copy = keys.look(from.0).and_then(|_| keys.copy(from.0));
    let to = to.0.to_vec();
    Ok(Prepared::Put(Box::new(move |keys, reply| {
        let copy = copy.filter(|_| replace || !keys.contains_in(to_db, &to));
        let is_copied = copy.is_some();
        if let Some(copy) = copy {
            keys.put_copy((to_db, &to), copy, event::COPY_TO)?;
        }
        reply.integer(i64::from(is_copied));
        Ok(())
    })))
}

fn parse_copy_options(
    mut args: Args<'_>,
    mut db: DbIndex,
    databases: DbIndex,
) -> Result<(DbIndex, bool), CommandError> {
    let mut replace = false;
    while !args.is_empty() {
        if args.word("REPLACE") {
            replace = true;
        } else if args.word_with_value("DB") {
            db = args.take::<DbNumber>()?.within(databases)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((db, replace))
}

pub(super) const MOVE: Command = Command {
    name: "MOVE",
    run: Run::Write(move_key),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::UPDATE)],
    flags: Flags::FAST,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "1.0.0",
    summary: "Moves a key to another database, unless it has a key of that name.",
    syntax: "key db",
    ..Command::BASE
};

fn move_key(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, to_db): (Key<'_>, DbNumber) = args.parse()?;
    let (db, to_db) = (keys.db(), to_db.within(keys.databases())?);
    if db == to_db {
        return Err(CommandError::SameObject);
    }
    let events = (Some(event::MOVE_FROM), event::MOVE_TO);
    let free = !keys.contains_in(to_db, key.0);
    let moved = free && keys.transfer((db, key.0), (to_db, key.0), events)?;
    reply.integer(i64::from(moved));
    Ok(())
}

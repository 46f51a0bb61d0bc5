//! A list's length and its elements by their positions: `LLEN`, `LINDEX`, `LSET`.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Index, Key, KeySpec, KeyUse,
    Reply, Run, View, event,
};

use keyspace::ListRef;

use super::reply_with;

pub(super) const LLEN: Command = Command {
    name: "LLEN",
    run: Run::Read(llen),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::LOOK)],
    flags: Flags::FAST,
    category: Category::LIST,
    group: Group::List,
    since: "1.0.0",
    summary: "Returns how many elements a list has.",
    syntax: "key",
    ..Command::BASE
};

fn llen(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let len = keys.list(key.0)?.map_or(0, ListRef::len);
    reply.integer(len as i64);
    Ok(())
}

pub(super) const LINDEX: Command = Command {
    name: "LINDEX",
    run: Run::Read(lindex),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    summary: "Returns the element at a position of a list.",
    complexity: "O(N) where N is how far the position is from the nearer end",
    syntax: "key index",
    ..LLEN
};

fn lindex(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    // The position is looked at only if there is a list to look into.
    let Some(list) = keys.list(key.0)? else {
        reply.null();
        return Ok(());
    };
    let (index,): (Index,) = args.parse()?;
    match index.resolve(list.len()).and_then(|index| list.get(index)) {
        Some(element) => reply_with(element, reply),
        None => reply.null(),
    }
    Ok(())
}

pub(super) const LSET: Command = Command {
    name: "LSET",
    run: Run::Write(lset),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::DENY_OOM,
    summary: "Puts an element in the place of that at a position of a list.",
    complexity: "O(N) where N is how far the position is from the nearer end",
    syntax: "key index element",
    ..LLEN
};

fn lset(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut entry = keys.list_entry(key.0)?;
    if !entry.exists() {
        return Err(CommandError::NoSuchKey);
    }
    let (index, element): (Index, &[u8]) = args.parse()?;
    let index = index.resolve(entry.len()).ok_or(CommandError::IndexOutOfRange)?;
    if !entry.set(index, element, event::LSET)? {
        return Err(CommandError::IndexOutOfRange);
    }
    reply.ok();
    Ok(())
}

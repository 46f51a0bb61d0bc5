//! Whole databases: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB.
//!
//! A flush takes the tables out in one step, whatever they hold. To drop them is left to whoever
//! publishes: ASYNC asks for the background, SYNC for whoever answers.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Enter, Flags, Group, Reply, Run, View,
};
use keyspace::DbIndex;

use super::DbNumber;

pub(super) const DBSIZE: Command = Command {
    name: "DBSIZE",
    run: Run::Read(dbsize),
    arity: Arity::Exactly(1),
    enter: Enter::All,
    flags: Flags::FAST,
    category: Category::KEYSPACE,
    group: Group::Server,
    since: "1.0.0",
    summary: "Counts the keys of the database.",
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    ..Command::BASE
};

fn dbsize(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    args.end()?;
    reply.integer(keys.len(keys.db()) as i64);
    Ok(())
}

pub(super) const FLUSHDB: Command = Command {
    name: "FLUSHDB",
    work: Some(|args, keys| flushed(args, keys.len(keys.db()))),
    drops: true,
    run: Run::Write(flushdb),
    arity: Arity::AtLeast(1),
    enter: Enter::All,
    flags: Flags::NONE,
    category: Category::KEYSPACE.and(Category::DANGEROUS),
    group: Group::Server,
    since: "1.0.0",
    summary: "Removes all keys of the database.",
    complexity: "O(N)",
    syntax: "[ASYNC | SYNC]",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    history: &[("4.0.0", "`ASYNC`."), ("6.2.0", "`SYNC`.")],
    ..Command::BASE
};

fn flushdb(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let lazily = parse_flush(args)?;
    let before = keys.changes();
    let flushed = keys.flush(keys.db());
    keys.count_since(before, flushed);
    drop_as_asked(keys, lazily);
    reply.ok();
    Ok(())
}

pub(super) const FLUSHALL: Command = Command {
    name: "FLUSHALL",
    work: Some(|args, keys| flushed(args, (0..keys.databases()).map(|db| keys.len(db)).sum())),
    drops: true,
    run: Run::Write(flushall),
    summary: "Removes all keys of all databases.",
    history: &[("4.0.0", "`ASYNC`."), ("6.2.0", "`SYNC`.")],
    ..FLUSHDB
};

fn flushall(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let lazily = parse_flush(args)?;
    let before = keys.changes();
    let flushed: usize = (0..keys.databases()).map(|db| keys.flush(db)).sum();
    keys.count_since(before, flushed);
    drop_as_asked(keys, lazily);
    reply.ok();
    Ok(())
}

/// The steps of dropping so many entries, unless that is left to the background.
fn flushed(mut args: Args<'_>, entries: usize) -> u64 {
    if args.word("ASYNC") { 0 } else { entries as u64 }
}

/// Whether the request says that what is flushed is dropped in the background, or that it is not.
fn parse_flush(mut args: Args<'_>) -> Result<Option<bool>, CommandError> {
    let is_lazy = args.word("ASYNC");
    let lazily = (is_lazy || args.word("SYNC")).then_some(is_lazy);
    args.end()?;
    Ok(lazily)
}

fn drop_as_asked(keys: &mut View<'_>, lazily: Option<bool>) {
    if let Some(lazily) = lazily {
        keys.discard_lazily(lazily);
    }
}

pub(super) const SWAPDB: Command = Command {
    name: "SWAPDB",
    run: Run::Write(swapdb),
    arity: Arity::Exactly(3),
    enter: Enter::All,
    flags: Flags::FAST,
    category: Category::KEYSPACE.and(Category::DANGEROUS),
    group: Group::Server,
    since: "4.0.0",
    summary: "Exchanges two databases: clients of one see the keys of the other at once.",
    complexity: "O(1)",
    syntax: "index1 index2",
    ..Command::BASE
};

fn swapdb(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let one = args.take::<DbNumber>().map_err(|_| CommandError::InvalidFirstDb)?;
    let other = args.take::<DbNumber>().map_err(|_| CommandError::InvalidSecondDb)?;
    args.end()?;
    let databases: DbIndex = keys.databases();
    let (one, other) = (one.within(databases)?, other.within(databases)?);
    if one != other {
        let before = keys.changes();
        keys.swap(one, other);
        keys.count_since(before, 1);
    }
    reply.ok();
    Ok(())
}

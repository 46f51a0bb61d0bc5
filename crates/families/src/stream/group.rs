//! XGROUP: groups of consumers and who is in them.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group as Chapter, Key, KeySpec,
    KeyUse, Reply, Run, View, event,
};
use keyspace::StreamEntry;
use keyspace::stream::{Group, Stream, StreamId};

use super::error::StreamError;
use super::pending::group_of;
use super::words::loose;
use crate::work;

pub(super) const XGROUP: Command = Command {
    name: "XGROUP",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    group: Chapter::Stream,
    since: "5.0.0",
    summary: "Makes, changes and removes groups of consumers.",
    subcommands: &[CREATE, CREATECONSUMER, DELCONSUMER, DESTROY, SETID, HELP],
    ..Command::BASE
};

const CREATE: Command = Command {
    name: "CREATE",
    run: Run::Write(create),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::one(2, KeyUse(&["RW", "insert"]))],
    flags: Flags::DENY_OOM,
    category: Category::STREAM,
    group: Chapter::Stream,
    since: "5.0.0",
    summary: "Makes a group that reads a stream from an id on.",
    syntax: "key group (id | $) [MKSTREAM] [ENTRIESREAD entries-read]",
    history: &[("7.0.0", "Added the `entries_read` named argument.")],
    ..Command::BASE
};

/// What follows the id of CREATE and SETID.
#[derive(Default)]
struct Options {
    makes_stream: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn take(
        mut args: Args<'_>,
        name: &'static str,
        makes_stream: bool,
    ) -> Result<Options, CommandError> {
        let mut options = Options::default();
        while !args.is_empty() {
            if makes_stream && args.word("MKSTREAM") {
                options.makes_stream = true;
            } else if args.word_with_value("ENTRIESREAD") {
                let number: i64 = args.take()?;
                if number < -1 {
                    return Err(StreamError::EntriesRead.into());
                }
                options.entries_read = u64::try_from(number).ok();
            } else {
                return Err(wrong(name));
            }
        }
        Ok(options)
    }
}

fn wrong(name: &'static str) -> CommandError {
    StreamError::Subcommand { name: name.as_bytes(), command: "XGROUP" }.into()
}

fn create(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name, id): (Key<'_>, &[u8], &[u8]) = (args.take()?, args.bytes()?, args.bytes()?);
    let options = Options::take(args, "CREATE", true)?;
    let mut entry = keys.stream_entry(key.0)?;
    if entry.get().is_none() && !options.makes_stream {
        return Err(StreamError::NoKeyForGroup.into());
    }
    let last = match (id, entry.get()) {
        (b"$", stream) => stream.map_or(StreamId::ZERO, |stream| stream.log.counters().last),
        (id, _) => StreamId::parse(id, 0).ok_or(StreamError::InvalidId)?,
    };
    let group = Group::new(last, options.entries_read);
    if let Some(stream) = entry.get_mut() {
        if !stream.add_group(name, group) {
            return Err(StreamError::GroupExists.into());
        }
    } else {
        let mut stream = Stream::default();
        stream.add_group(name, group);
        entry.create(stream)?;
    }
    entry.noted(event::XGROUP_CREATE);
    reply.ok();
    Ok(())
}

/// The stream's entry; it must be there.
fn stream_entry<'v>(
    keys: &'v mut View<'_>,
    key: &'v [u8],
) -> Result<StreamEntry<'v>, CommandError> {
    let entry = keys.stream_entry(key)?;
    if entry.get().is_none() {
        return Err(StreamError::NoKeyForGroup.into());
    }
    Ok(entry)
}

/// The group of this name; it must be there.
fn group_mut<'e>(
    entry: &'e mut StreamEntry<'_>,
    key: &[u8],
    name: &[u8],
) -> Result<&'e mut Group, CommandError> {
    let found = entry.get_mut().and_then(|stream| stream.group_mut(name));
    let (group, _) = found.ok_or(StreamError::NoGroup { group: name, key })?;
    Ok(group)
}

const SETID: Command = Command {
    name: "SETID",
    run: Run::Write(set_id),
    keys: &[KeySpec::one(2, KeyUse::CHANGE)],
    flags: Flags::NONE,
    summary: "Sets the id of the last entry that a group has read.",
    syntax: "key group (id | $) [ENTRIESREAD entries-read]",
    history: &[("7.0.0", "Added the optional `entries_read` argument.")],
    ..CREATE
};

fn set_id(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name, id): (Key<'_>, &[u8], &[u8]) = (args.take()?, args.bytes()?, args.bytes()?);
    let options = Options::take(args, "SETID", false)?;
    let mut entry = stream_entry(keys, key.0)?;
    group_mut(&mut entry, key.0, name)?;
    let last = match id {
        b"$" => entry.get().map_or(StreamId::ZERO, |stream| stream.log.counters().last),
        id => loose(id, 0)?,
    };
    group_mut(&mut entry, key.0, name)?.set_last(last, options.entries_read);
    entry.noted(event::XGROUP_SETID);
    reply.ok();
    Ok(())
}

const DESTROY: Command = Command {
    name: "DESTROY",
    run: Run::Write(destroy),
    work: Some(|args, keys| group_of(args, keys).map_or(0, |group| group.pending().len() as u64)),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(2, KeyUse(&["RW", "delete"]))],
    flags: Flags::NONE,
    summary: "Removes a group; tells whether there was one.",
    complexity: "O(N) where N is the number of entries that are pending in the group",
    syntax: "key group",
    history: &[],
    ..CREATE
};

fn destroy(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name): (Key<'_>, &[u8]) = args.parse()?;
    let mut entry = stream_entry(keys, key.0)?;
    let was_there = entry.get_mut().is_some_and(|stream| stream.remove_group(name));
    if was_there {
        entry.noted(event::XGROUP_DESTROY);
    }
    reply.integer(i64::from(was_there));
    Ok(())
}

const CREATECONSUMER: Command = Command {
    name: "CREATECONSUMER",
    run: Run::Write(create_consumer),
    arity: Arity::Exactly(5),
    since: "6.2.0",
    summary: "Makes a consumer in a group; tells whether there was none of the name.",
    syntax: "key group consumer",
    history: &[],
    ..CREATE
};

fn create_consumer(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name, consumer): (Key<'_>, &[u8], &[u8]) = args.parse()?;
    let mut entry = stream_entry(keys, key.0)?;
    let now = entry.now();
    let is_new = group_mut(&mut entry, key.0, name)?.create(consumer, now);
    if is_new {
        entry.noted(event::XGROUP_CREATE_CONSUMER);
    }
    reply.integer(i64::from(is_new));
    Ok(())
}

const DELCONSUMER: Command = Command {
    name: "DELCONSUMER",
    run: Run::Write(delete_consumer),
    work: Some(|args, keys| work::REMOVE_STEPS * owned(args, keys)),
    arity: Arity::Exactly(5),
    keys: &[KeySpec::one(2, KeyUse(&["RW", "delete"]))],
    flags: Flags::NONE,
    summary: "Removes a consumer from a group; returns how many entries it had pending.",
    syntax: "key group consumer",
    history: &[],
    ..CREATE
};

/// How many pending entries a consumer has.
fn owned(args: Args<'_>, keys: &View<'_>) -> u64 {
    let group = group_of(args, keys).zip(args.get(2));
    let consumer = group.and_then(|(group, name)| group.consumer(group.find(name)?));
    consumer.map_or(0, |consumer| consumer.pending().len() as u64)
}

fn delete_consumer(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name, consumer): (Key<'_>, &[u8], &[u8]) = args.parse()?;
    let mut entry = stream_entry(keys, key.0)?;
    let removed = group_mut(&mut entry, key.0, name)?.remove(consumer);
    if removed.is_some() {
        entry.noted(event::XGROUP_DELETE_CONSUMER);
    }
    reply.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

pub(super) const HELP: Command = Command {
    name: "HELP",
    run: Run::Read(help),
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::READS_NOTHING),
    category: Category::STREAM,
    group: Chapter::Stream,
    since: "5.0.0",
    summary: "Tells which subcommands there are.",
    ..Command::BASE
};

fn help(args: Args<'_>, _: &View<'_>, reply: &mut Reply<'_>) -> Done {
    const LINES: [&str; 15] = [
        "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CREATE <key> <group> <id|$> [option]",
        "    Makes a group that has read up to <id>, or all that is there ($). Options:",
        "    MKSTREAM: makes the stream, if there is none.",
        "    ENTRIESREAD <number>: says how many entries that is.",
        "CREATECONSUMER <key> <group> <consumer>",
        "    Makes a consumer in a group.",
        "DELCONSUMER <key> <group> <consumer>",
        "    Removes a consumer, with the entries it has not acknowledged.",
        "DESTROY <key> <group>",
        "    Removes a group.",
        "SETID <key> <group> <id|$> [ENTRIESREAD <number>]",
        "    Sets up to where a group has read.",
        "HELP",
        "    Prints this help.",
    ];
    args.end()?;
    tell_help(reply, &LINES);
    Ok(())
}

/// Tells lines of help.
pub(super) fn tell_help(reply: &mut Reply<'_>, lines: &[&str]) {
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}

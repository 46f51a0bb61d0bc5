//! XINFO: what is known of a stream beside its entries.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Group as Chapter, Key, KeySpec, KeyUse,
    Reply, Run, View,
};
use keyspace::Stored;
use keyspace::stream::{Consumer, Group, Log, Producers, Stream, StreamId};
use value::Big;

use super::error::StreamError;
use super::group::{HELP as GROUP_HELP, tell_help};
use super::words::{
    at_least_zero, tell_entries, tell_entry, tell_id, tell_named, tell_named_id, tell_named_maybe,
};

/// Entries and pending entries that XINFO STREAM FULL tells, unless it is told how many.
const FULL_COUNT: usize = 10;

pub(super) const XINFO: Command = Command {
    name: "XINFO",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    group: Chapter::Stream,
    since: "5.0.0",
    summary: "Tells what is known of streams, their groups and consumers.",
    subcommands: &[CONSUMERS, GROUPS, STREAM, HELP],
    ..Command::BASE
};

const CONSUMERS: Command = Command {
    name: "CONSUMERS",
    run: Run::Read(consumers),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(2, KeyUse::READ)],
    category: Category::STREAM,
    group: Chapter::Stream,
    since: "5.0.0",
    summary: "Lists the consumers of a group.",
    syntax: "key group",
    history: &[("7.2.0", "Added the `inactive` field, and changed the meaning of `idle`.")],
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

fn consumers(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name): (Key<'_>, &[u8]) = args.parse()?;
    let stream = keys.stream(key.0)?.ok_or(CommandError::NoSuchKey)?;
    let group = stream.group(name).ok_or(StreamError::NoGroup { group: name, key: key.0 })?;
    let now = keys.now();
    let consumers = group.consumers();
    reply.array(consumers.len());
    for consumer in consumers {
        reply.map(4);
        tell_name(reply, consumer.name());
        tell_named(reply, "pending", consumer.pending().len());
        tell_named(reply, "idle", now.saturating_sub(consumer.seen));
        let inactive = consumer.active.map(|active| now.cast_signed() - active.cast_signed());
        tell_named(reply, "inactive", inactive.unwrap_or(-1));
    }
    Ok(())
}

fn tell_name(reply: &mut Reply<'_>, name: &[u8]) {
    reply.bulk(b"name");
    reply.bulk(name);
}

const GROUPS: Command = Command {
    name: "GROUPS",
    run: Run::Read(groups),
    arity: Arity::Exactly(3),
    summary: "Lists the groups of a stream.",
    syntax: "key",
    history: &[("7.0.0", "Added the `entries-read` and `lag` fields")],
    tips: &[],
    ..CONSUMERS
};

fn groups(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let stream = keys.stream(key.0)?.ok_or(CommandError::NoSuchKey)?;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(6);
        tell_name(reply, name);
        tell_named(reply, "consumers", group.consumers().len());
        tell_named(reply, "pending", group.pending().len());
        tell_progress(reply, group, &stream.log);
    }
    Ok(())
}

/// How far a group has read: three pairs.
fn tell_progress(reply: &mut Reply<'_>, group: &Group, log: &Log) {
    tell_named_id(reply, "last-delivered-id", group.last());
    tell_named_maybe(reply, "entries-read", group.entries_read().map(u64::cast_signed));
    tell_named_maybe(reply, "lag", group.lag(&log.counters()));
}

const STREAM: Command = Command {
    name: "STREAM",
    run: Run::Read(stream),
    work: Some(told),
    arity: Arity::AtLeast(3),
    summary: "Tells what is known of a stream.",
    syntax: "key [FULL [COUNT count]]",
    history: &[
        ("6.0.0", "Added the `FULL` modifier."),
        (
            "7.0.0",
            "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, \
             `entries-read` and `lag` fields",
        ),
        ("7.2.0", "Added the `active-time` field, and changed the meaning of `seen-time`."),
    ],
    tips: &[],
    ..CONSUMERS
};

/// About how many entries, and pending ones, FULL tells of.
fn told(args: Args<'_>, keys: &View<'_>) -> u64 {
    const STEPS: u64 = 3;
    let Ok(Some(count)) = full_count(args.skip(1)) else { return 0 };
    let stored = args.get(0).and_then(|key| keys.stored(key));
    let Some(Stored::Big(Big::Stream(stream))) = stored else { return 0 };
    // Each pending entry is told of its group and of its consumer.
    let pending = stream.groups().values().map(|group| 2 * group.pending().len().min(count));
    let told = pending.fold(stream.log.len(), |sum, count| sum.saturating_add(count as u64));
    STEPS * told.min((count as u64).saturating_mul(1 + 2 * stream.groups().len() as u64))
}

fn stream(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let stream = keys.stream(key.0)?.ok_or(CommandError::NoSuchKey)?;
    match full_count(args)? {
        None => tell_summary(reply, stream),
        Some(count) => tell_all(reply, stream, count),
    }
    Ok(())
}

/// How much FULL is to tell; `None` if it is not given.
fn full_count(mut options: Args<'_>) -> Result<Option<usize>, CommandError> {
    let wrong = || StreamError::Subcommand { name: b"STREAM", command: "XINFO" };
    let words = options.len();
    if words == 0 {
        return Ok(None);
    }
    if !matches!(words, 1 | 3) || !options.word("FULL") {
        return Err(wrong().into());
    }
    if words == 1 {
        return Ok(Some(FULL_COUNT));
    }
    if !options.word("COUNT") {
        return Err(wrong().into());
    }
    Ok(Some(match options.take::<i64>()? {
        0 => usize::MAX,
        count if count < 0 => FULL_COUNT,
        count => at_least_zero(count),
    }))
}

/// What both forms begin with: seven pairs.
fn tell_counters(reply: &mut Reply<'_>, log: &Log) {
    let counters = log.counters();
    tell_named(reply, "length", counters.len);
    tell_named(reply, "radix-tree-keys", log.nodes());
    // There is no such tree: as many nodes as the keys and a root would be.
    tell_named(reply, "radix-tree-nodes", log.nodes() + 1);
    tell_named_id(reply, "last-generated-id", counters.last);
    tell_named_id(reply, "max-deleted-entry-id", counters.max_deleted);
    tell_named(reply, "entries-added", counters.added);
    tell_named_id(reply, "recorded-first-entry-id", counters.first);
}

/// What is remembered of producers, if anything ever was: six pairs.
fn tell_producers(reply: &mut Reply<'_>, producers: Option<&Producers>) {
    let Some(producers) = producers else { return };
    let (memory, counters) = (producers.memory(), producers.counters());
    tell_named(reply, "idmp-duration", memory.seconds);
    tell_named(reply, "idmp-maxsize", memory.ids_max);
    tell_named(reply, "pids-tracked", counters.producers);
    tell_named(reply, "iids-tracked", counters.messages);
    tell_named(reply, "iids-added", counters.added);
    tell_named(reply, "iids-duplicates", counters.duplicates);
}

fn producer_pairs(stream: &Stream) -> usize {
    stream.producers().map_or(0, |_| 6)
}

fn tell_summary(reply: &mut Reply<'_>, stream: &Stream) {
    let log = &stream.log;
    reply.map(10 + producer_pairs(stream));
    tell_counters(reply, log);
    tell_producers(reply, stream.producers());
    tell_named(reply, "groups", stream.groups().len());
    let ends = [
        ("first-entry", log.range(StreamId::ZERO, StreamId::MAX).next()),
        ("last-entry", log.range_back(StreamId::ZERO, StreamId::MAX).next()),
    ];
    for (name, entry) in ends {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => tell_entry(reply, &entry),
            None => reply.null(),
        }
    }
}

fn tell_all(reply: &mut Reply<'_>, stream: &Stream, count: usize) {
    let log = &stream.log;
    reply.map(9 + producer_pairs(stream));
    tell_counters(reply, log);
    tell_producers(reply, stream.producers());
    reply.bulk(b"entries");
    tell_entries(reply, log.range(StreamId::ZERO, StreamId::MAX).take(count));
    reply.bulk(b"groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(7);
        tell_name(reply, name);
        tell_progress(reply, group, log);
        tell_named(reply, "pel-count", group.pending().len());
        tell_pending(reply, group, count);
        reply.bulk(b"consumers");
        let consumers = group.consumers();
        reply.array(consumers.len());
        consumers.for_each(|consumer| tell_consumer(reply, group, consumer, count));
    }
}

fn tell_pending(reply: &mut Reply<'_>, group: &Group, count: usize) {
    reply.bulk(b"pending");
    reply.array(group.pending().len().min(count));
    for (&id, pending) in group.pending().iter().take(count) {
        let owner = pending.owner.and_then(|owner| group.consumer(owner));
        reply.array(4);
        tell_id(reply, id);
        reply.bulk(owner.map_or(b"", Consumer::name));
        reply.integer(pending.time.cast_signed());
        reply.integer(pending.count.cast_signed());
    }
}

fn tell_consumer(reply: &mut Reply<'_>, group: &Group, consumer: &Consumer, count: usize) {
    reply.map(5);
    tell_name(reply, consumer.name());
    tell_named(reply, "seen-time", consumer.seen);
    tell_named(reply, "active-time", consumer.active.map_or(-1, u64::cast_signed));
    tell_named(reply, "pel-count", consumer.pending().len());
    reply.bulk(b"pending");
    reply.array(consumer.pending().len().min(count));
    for &id in consumer.pending().iter().take(count) {
        let pending = group.pending().get(&id);
        reply.array(3);
        tell_id(reply, id);
        reply.integer(pending.map_or(0, |pending| pending.time.cast_signed()));
        reply.integer(pending.map_or(0, |pending| pending.count.cast_signed()));
    }
}

const HELP: Command = Command { run: Run::Read(help), ..GROUP_HELP };

fn help(args: Args<'_>, _: &View<'_>, reply: &mut Reply<'_>) -> Done {
    const LINES: [&str; 9] = [
        "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CONSUMERS <key> <group>",
        "    The consumers of a group.",
        "GROUPS <key>",
        "    The groups of a stream.",
        "STREAM <key> [FULL [COUNT <count>]]",
        "    The stream itself; FULL tells of its entries, groups and pending entries, too.",
        "HELP",
        "    Prints this help.",
    ];
    args.end()?;
    tell_help(reply, &LINES);
    Ok(())
}

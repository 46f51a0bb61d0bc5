//! XACK, XNACK and XPENDING: what was delivered and not acknowledged.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group as Chapter, Key, KeySpec,
    KeyUse, Reply, Run, View,
};
use keyspace::stream::{Consumer, Group, Pending, StreamId};
use keyspace::{Millis, Stored};

use value::Big;

use super::error::StreamError;
use super::words::{End, Start, at_least_zero, ids, take_counted_ids, tell_id};
use crate::work;

/// The count of deliveries of an entry that nobody is to try again.
const FATAL_COUNT: u64 = i64::MAX as u64;

pub(super) const XACK: Command = Command {
    name: "XACK",
    run: Run::Write(xack),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::FAST,
    category: Category::STREAM,
    group: Chapter::Stream,
    since: "5.0.0",
    summary: "Acknowledges entries that a group has read; returns how many were pending.",
    complexity: "O(1) for each entry",
    syntax: "key group id [id ...]",
    ..Command::BASE
};

fn xack(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name): (Key<'_>, &[u8]) = (args.take()?, args.bytes()?);
    let mut entry = keys.stream_entry_read(key.0)?;
    let Some((group, _)) = entry.get_mut().and_then(|stream| stream.group_mut(name)) else {
        reply.integer(0);
        return Ok(());
    };
    let acknowledged = ids(args)?.into_iter().filter(|&id| group.acknowledge(id)).count();
    if acknowledged > 0 {
        entry.noted_silently();
    }
    reply.integer(acknowledged as i64);
    Ok(())
}

pub(super) const XNACK: Command = Command {
    name: "XNACK",
    run: Run::Write(xnack),
    arity: Arity::AtLeast(7),
    since: "8.8.0",
    summary: "Gives pending entries back to their group, for whoever claims them next.",
    syntax: "key group (SILENT | FAIL | FATAL) IDS numids id [id ...] [RETRYCOUNT count] [FORCE]",
    ..XACK
};

/// What the deliveries of an entry count for that is given back.
#[derive(Clone, Copy)]
enum Nack {
    /// The last one does not.
    Silent,
    /// They do.
    Fail,
    /// There should be no more.
    Fatal,
}

impl Nack {
    fn take(args: &mut Args<'_>) -> Result<Nack, CommandError> {
        const WORDS: [(&str, Nack); 3] =
            [("SILENT", Nack::Silent), ("FAIL", Nack::Fail), ("FATAL", Nack::Fatal)];
        let found = WORDS.into_iter().find(|(word, _)| args.word(word));
        Ok(found.ok_or(StreamError::NackMode)?.1)
    }

    fn count(self, before: Option<u64>) -> u64 {
        match (self, before) {
            (Nack::Silent, Some(count)) => count.saturating_sub(1),
            (Nack::Fail, Some(count)) => count,
            (Nack::Fatal, _) => FATAL_COUNT,
            (Nack::Silent | Nack::Fail, None) => 0,
        }
    }
}

fn xnack(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name): (Key<'_>, &[u8]) = (args.take()?, args.bytes()?);
    let nack = Nack::take(&mut args)?;
    if !args.word("IDS") {
        return Err(CommandError::Syntax);
    }
    let ids = take_counted_ids(&mut args)?;
    let (mut count, mut force) = (None, false);
    while !args.is_empty() {
        if args.word_with_value("RETRYCOUNT") {
            let number: i64 = args.take()?;
            count = Some(u64::try_from(number).map_err(|_| StreamError::RetryCountNegative)?);
        } else if args.word("FORCE") {
            force = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let mut entry = keys.stream_entry_read(key.0)?;
    let found = entry.get_mut().and_then(|stream| stream.group_mut(name));
    let (group, log) = found.ok_or(StreamError::NoKeyOrGroup { key: key.0, group: name })?;
    let mut given_back = 0;
    for id in ids {
        let before = group.pending().get(&id).map(|pending| pending.count);
        if before.is_some() || force && log.contains(id) {
            group.give_back(id, count.unwrap_or_else(|| nack.count(before)));
            given_back += 1;
        }
    }
    if given_back > 0 {
        entry.noted_silently();
    }
    reply.integer(given_back);
    Ok(())
}

pub(super) const XPENDING: Command = Command {
    name: "XPENDING",
    run: Run::Read(xpending),
    work: Some(looked_at),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    category: Category::STREAM,
    group: Chapter::Stream,
    since: "5.0.0",
    summary: "Tells which entries a group has read and not acknowledged.",
    complexity: "O(N) where N is the number of entries looked at",
    syntax: "key group [[IDLE min-idle-time] start end count [consumer]]",
    history: &[("6.2.0", "Added the `IDLE` option and exclusive range intervals.")],
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

/// Which pending entries are asked for.
struct Query<'a> {
    idle: i64,
    from: StreamId,
    to: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Query<'a> {
    /// Reads what follows the group; `None` if nothing does.
    fn take(mut args: Args<'a>) -> Result<Option<Query<'a>>, CommandError> {
        let words = args.len();
        if words == 0 {
            return Ok(None);
        }
        if !(3..=6).contains(&words) {
            return Err(CommandError::Syntax);
        }
        let mut idle = 0;
        if args.word("IDLE") {
            idle = args.take()?;
            if words < 5 {
                return Err(CommandError::Syntax);
            }
        }
        // The count is looked at first, though it comes last.
        let count: i64 = args.skip(2).take()?;
        let (Start(from), End(to)) = (args.take()?, args.take()?);
        let consumer = args.get(1);
        Ok(Some(Query { idle, from, to, count: at_least_zero(count), consumer }))
    }
}

/// The group that the first two words name.
pub(super) fn group_of<'k>(args: Args<'_>, keys: &'k View<'_>) -> Option<&'k Group> {
    let (key, name) = args.get(0).zip(args.get(1))?;
    let Some(Stored::Big(Big::Stream(stream))) = keys.stored(key) else { return None };
    stream.group(name)
}

/// How many pending entries, or consumers, a request looks at, about.
fn looked_at(args: Args<'_>, keys: &View<'_>) -> u64 {
    let Some(group) = group_of(args, keys) else { return 0 };
    let Ok(Some(query)) = Query::take(args.skip(2)) else { return group.consumers().len() as u64 };
    let consumer = query.consumer.map(|name| group.find(name).and_then(|id| group.consumer(id)));
    let there = match consumer {
        None => group.pending().len(),
        Some(found) => found.map_or(0, |consumer| consumer.pending().len()),
    } as u64;
    let told = there.min(u64::try_from(query.count).unwrap_or(u64::MAX));
    if query.idle == 0 { told } else { told + there / work::LOOKS }
}

fn xpending(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name): (Key<'_>, &[u8]) = (args.take()?, args.bytes()?);
    let query = Query::take(args)?;
    let group = keys.stream(key.0)?.and_then(|stream| stream.group(name));
    let group = group.ok_or(StreamError::NoKeyOrGroup { key: key.0, group: name })?;
    match query {
        None => tell_summary(reply, group),
        Some(query) if query.from > query.to => reply.array(0),
        Some(query) => tell_matching(reply, group, &query, keys.now()),
    }
    Ok(())
}

fn tell_summary(reply: &mut Reply<'_>, group: &Group) {
    let pending = group.pending();
    reply.array(4);
    reply.integer(pending.len() as i64);
    let (Some((&first, _)), Some((&last, _))) =
        (pending.first_key_value(), pending.last_key_value())
    else {
        reply.nulls(2);
        reply.null_array();
        return;
    };
    tell_id(reply, first);
    tell_id(reply, last);
    let consumers = || group.consumers().filter(|consumer| !consumer.pending().is_empty());
    reply.array(consumers().count());
    for consumer in consumers() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_i64(consumer.pending().len() as i64);
    }
}

fn tell_matching(reply: &mut Reply<'_>, group: &Group, query: &Query<'_>, now: Millis) {
    let range = &(query.from..=query.to);
    let is_idle = |pending: &Pending| {
        query.idle == 0 || idle_of(pending, now).is_none_or(|idle| idle >= query.idle)
    };
    let list = reply.deferred_array();
    let mut told = 0;
    let mut tell = |id, pending: &Pending| {
        tell_one(reply, group, id, pending, now);
        told += 1;
    };
    if let Some(name) = query.consumer {
        let consumer = group.find(name).and_then(|consumer| group.consumer(consumer));
        let ids = consumer.into_iter().flat_map(|consumer| consumer.pending().range(range.clone()));
        let all = ids.filter_map(|&id| Some((id, group.pending().get(&id)?)));
        all.filter(|(_, pending)| is_idle(pending))
            .take(query.count)
            .for_each(|(id, pending)| tell(id, pending));
    } else {
        let all = group.pending().range(range.clone()).filter(|(_, pending)| is_idle(pending));
        all.take(query.count).for_each(|(&id, pending)| tell(id, pending));
    }
    reply.finish(list, told);
}

fn tell_one(reply: &mut Reply<'_>, group: &Group, id: StreamId, pending: &Pending, now: Millis) {
    let owner = pending.owner.and_then(|owner| group.consumer(owner));
    reply.array(4);
    tell_id(reply, id);
    reply.bulk(owner.map_or(b"", Consumer::name));
    reply.integer(idle_of(pending, now).map_or(-1, |idle| idle.max(0)));
    reply.integer(pending.count.cast_signed());
}

/// How long ago an entry was delivered, in ms; `None` if it was given back.
pub(super) fn idle_of(pending: &Pending, now: Millis) -> Option<i64> {
    pending.owner.map(|_| now.cast_signed() - pending.time.cast_signed())
}

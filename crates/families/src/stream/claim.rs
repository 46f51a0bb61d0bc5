//! XCLAIM and XAUTOCLAIM: pending entries that get another owner.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group as Chapter, Key, KeySpec,
    KeyUse, Reply, Run, View, event, parse_integer,
};
use keyspace::stream::{ConsumerId, Group, Log, Pending, StreamId};
use keyspace::{Millis, StreamEntry};

use super::error::StreamError;
use super::pending::{group_of, idle_of};
use super::words::{Id, Ids, Start, tell_entry, tell_id};

/// Pending entries that XAUTOCLAIM looks at for each that it may claim.
const LOOKS: usize = 10;

/// Steps for a pending entry that is looked at, and for one that is claimed.
const LOOK_STEPS: u64 = 5;
const CLAIM_STEPS: u64 = 10;

/// What XAUTOCLAIM claims at most, unless it is told how many.
const COUNT: i64 = 100;

/// The greatest count that XAUTOCLAIM takes.
const COUNT_MAX: i64 = i64::MAX / 16;

pub(super) const XCLAIM: Command = Command {
    name: "XCLAIM",
    run: Run::Write(xclaim),
    work: Some(|args, _| CLAIM_STEPS * args.len() as u64),
    arity: Arity::AtLeast(6),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::FAST,
    category: Category::STREAM,
    group: Chapter::Stream,
    since: "5.0.0",
    summary: "Gives pending entries to another consumer, as if they had been delivered to it.",
    complexity: "O(log N) for each entry where N is the number of pending entries of the group",
    syntax: "key group consumer min-idle-time id [id ...] [IDLE ms] \
             [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID last-id]",
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

/// What follows the ids of XCLAIM.
#[derive(Default)]
struct Options {
    /// When the entries are said to have been delivered, as it was given.
    time: Option<i64>,
    count: Option<u64>,
    force: bool,
    just_id: bool,
    last: StreamId,
}

impl Options {
    fn take(mut args: Args<'_>, now: Millis) -> Result<Options, CommandError> {
        let mut options = Options::default();
        while let Some(word) = args.get(0) {
            if args.word("FORCE") {
                options.force = true;
            } else if args.word("JUSTID") {
                options.just_id = true;
            } else if args.word_with_value("IDLE") {
                let idle = number(&mut args, "IDLE option", "XCLAIM")?;
                options.time = Some(now.cast_signed().wrapping_sub(idle));
            } else if args.word_with_value("TIME") {
                options.time = Some(number(&mut args, "TIME option", "XCLAIM")?);
            } else if args.word_with_value("RETRYCOUNT") {
                let count = number(&mut args, "RETRYCOUNT option", "XCLAIM")?;
                options.count = u64::try_from(count).ok();
            } else if args.word_with_value("LASTID") {
                options.last = args.take::<Id>()?.0;
            } else {
                return Err(StreamError::UnknownClaimOption(word).into());
            }
        }
        Ok(options)
    }

    /// A time that cannot be is now.
    fn delivered(&self, now: Millis) -> Millis {
        let given = self.time.and_then(|time| Millis::try_from(time).ok());
        given.filter(|&time| time <= now).unwrap_or(now)
    }
}

fn number(
    args: &mut Args<'_>,
    option: &'static str,
    command: &'static str,
) -> Result<i64, CommandError> {
    let number = parse_integer(args.bytes()?);
    Ok(number.ok_or(StreamError::BadNumber { option, command })?)
}

/// The group, which must be there, and the log that it reads.
fn group_mut<'e>(
    entry: &'e mut StreamEntry<'_>,
    key: &[u8],
    name: &[u8],
) -> Result<(&'e mut Group, &'e Log), CommandError> {
    let found = entry.get_mut().and_then(|stream| stream.group_mut(name));
    Ok(found.ok_or(StreamError::NoKeyOrGroup { key, group: name })?)
}

/// Ids from the front of the words, as far as they are ids.
fn leading_ids(args: &mut Args<'_>) -> Ids {
    let ids: Ids = args.rest().map_while(|raw| StreamId::parse(raw, 0)).collect();
    *args = args.skip(ids.len());
    ids
}

fn xclaim(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name, consumer): (Key<'_>, &[u8], &[u8]) =
        (args.take()?, args.bytes()?, args.bytes()?);
    let mut entry = keys.stream_entry_read(key.0)?;
    let now = entry.now();
    let (group, log) = group_mut(&mut entry, key.0, name)?;
    let min_idle = number(&mut args, "min-idle-time", "XCLAIM")?.max(0);
    let ids = leading_ids(&mut args);
    let options = Options::take(args, now)?;
    if options.last > group.last() {
        group.set_last(options.last, group.entries_read());
    }
    let (consumer, is_new) = group.see(consumer, now);
    let mut claim = Claim { group, log, consumer, min_idle, now, options };
    let list = reply.deferred_array();
    let claimed = ids.into_iter().filter(|&id| claim.take(id, reply)).count();
    reply.finish(list, claimed);
    if is_new {
        entry.also(event::XGROUP_CREATE_CONSUMER);
    }
    entry.noted_silently();
    Ok(())
}

/// Pending entries on their way to a consumer.
struct Claim<'e> {
    group: &'e mut Group,
    log: &'e Log,
    consumer: ConsumerId,
    min_idle: i64,
    now: Millis,
    options: Options,
}

impl Claim<'_> {
    /// Claims an entry, if it may be claimed, and tells it. One that is no longer there is no
    /// longer pending.
    fn take(&mut self, id: StreamId, reply: &mut Reply<'_>) -> bool {
        let Some(entry) = self.log.entry(id) else {
            self.group.acknowledge(id);
            return false;
        };
        let count = match self.group.pending().get(&id) {
            Some(pending) if is_idle(pending, self.min_idle, self.now) => pending.count,
            None if self.options.force => 0,
            _ => return false,
        };
        let once_more = u64::from(!self.options.just_id);
        let count = self.options.count.unwrap_or_else(|| count.saturating_add(once_more));
        self.group.deliver(id, self.consumer, self.options.delivered(self.now), count);
        self.group.was_active(self.consumer, self.now);
        if self.options.just_id {
            tell_id(reply, id);
        } else {
            tell_entry(reply, &entry);
        }
        true
    }
}

/// Whether an entry has been pending for so long, or belongs to nobody.
fn is_idle(pending: &Pending, min_idle: i64, now: Millis) -> bool {
    min_idle == 0 || idle_of(pending, now).is_none_or(|idle| idle >= min_idle)
}

pub(super) const XAUTOCLAIM: Command = Command {
    name: "XAUTOCLAIM",
    run: Run::Write(xautoclaim),
    work: Some(swept),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "delete"]))],
    since: "6.2.0",
    summary: "Gives entries that have been pending for long to another consumer.",
    complexity: "O(1) if COUNT is small",
    syntax: "key group consumer min-idle-time start [COUNT count] [JUSTID]",
    history: &[(
        "7.0.0",
        "Added an element to the reply array, containing deleted entries the command cleared from \
         the PEL",
    )],
    ..XCLAIM
};

/// How much it takes to look at pending entries, and to claim of them as many as may be.
fn swept(args: Args<'_>, keys: &View<'_>) -> u64 {
    let there = group_of(args, keys).map_or(0, |group| group.pending().len() as u64);
    let mut options = args.skip(5);
    let given = options.word_with_value("COUNT").then(|| options.get(0).and_then(parse_integer));
    let count = given.flatten().unwrap_or(COUNT).unsigned_abs();
    let looks = count.saturating_mul(LOOKS as u64).min(there);
    LOOK_STEPS * looks + CLAIM_STEPS * count.min(there)
}

fn xautoclaim(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name, consumer): (Key<'_>, &[u8], &[u8]) =
        (args.take()?, args.bytes()?, args.bytes()?);
    let min_idle = number(&mut args, "min-idle-time", "XAUTOCLAIM")?.max(0);
    let Start(start) = args.take()?;
    let (mut count, mut options) = (COUNT, Options::default());
    while !args.is_empty() {
        if args.word_with_value("COUNT") {
            let number = parse_integer(args.bytes()?).filter(|n| (1..=COUNT_MAX).contains(n));
            count = number.ok_or(StreamError::CountNotPositive)?;
        } else if args.word("JUSTID") {
            options.just_id = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let mut entry = keys.stream_entry_read(key.0)?;
    let now = entry.now();
    let (group, log) = group_mut(&mut entry, key.0, name)?;
    let (consumer, is_new) = group.see(consumer, now);
    let mut claim = Claim { group, log, consumer, min_idle, now, options };
    sweep(&mut claim, start, usize::try_from(count).unwrap_or(usize::MAX), reply);
    if is_new {
        entry.also(event::XGROUP_CREATE_CONSUMER);
    }
    entry.noted_silently();
    Ok(())
}

/// Claims up to `count` entries from `start` on, and tells where to go on, which they are, and
/// which were pending and are no longer there.
fn sweep(claim: &mut Claim<'_>, start: StreamId, count: usize, reply: &mut Reply<'_>) {
    let ids = |from: StreamId, group: &Group| -> Option<StreamId> {
        group.pending().range(from..).next().map(|(&id, _)| id)
    };
    let mut next = ids(start, claim.group);
    let mut claimed: Vec<StreamId> = Vec::new();
    let mut gone: Vec<StreamId> = Vec::new();
    let mut looks = count.saturating_mul(LOOKS);
    while let Some(id) = next.filter(|_| looks > 0 && claimed.len() + gone.len() < count) {
        looks -= 1;
        if !claim.log.contains(id) {
            claim.group.acknowledge(id);
            gone.push(id);
        } else if claim.may_take(id) {
            claimed.push(id);
        }
        next = id.next().and_then(|after| ids(after, claim.group));
    }
    reply.array(3);
    tell_id(reply, next.unwrap_or_default());
    reply.array(claimed.len());
    for id in claimed {
        claim.take(id, reply);
    }
    reply.array(gone.len());
    gone.into_iter().for_each(|id| tell_id(reply, id));
}

impl Claim<'_> {
    fn may_take(&self, id: StreamId) -> bool {
        let pending = self.group.pending().get(&id);
        pending.is_some_and(|pending| is_idle(pending, self.min_idle, self.now))
    }
}

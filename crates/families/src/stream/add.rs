//! XADD, XTRIM and XSETID: how a stream grows and where it begins and ends.

use command::{
    Arg, Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Reply, Run, View, event,
};
use keyspace::stream::{NodeLimits, NotAdded, References, Stream, StreamId, Trim, Until};
use keyspace::{Stored, StreamEntry};
use value::Big;

use super::error::StreamError;
use super::producer::Message;
use super::words::{Id, take_references, tell_id};
use crate::work;

/// The most entries that a nearly exact trim removes, whatever the settings say.
const LIMIT_MAX: u64 = 1_000_000;

/// Nodes that a nearly exact trim removes at most, unless it is told how many entries.
const LIMIT_NODES: u64 = 100;

/// The most entries of such a trim where the settings do not limit nodes.
const LIMIT_WITHOUT_NODES: u64 = 10_000;

pub(super) const XADD: Command = Command {
    name: "XADD",
    run: Run::Write(xadd),
    work: Some(trimmed_by_add),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)
        .noting("UPDATE instead of INSERT because of the optional trimming feature")],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    summary: "Adds an entry to a stream, which is made if there is none; returns the entry's id.",
    complexity: "O(1) for an entry, O(N) for the N entries that are trimmed",
    syntax: "key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [IDMPAUTO pid | IDMP pid iid] \
             [(MAXLEN | MINID) [= | ~] threshold [LIMIT count]] (* | id) field value \
             [field value ...]",
    history: &[
        (
            "6.2.0",
            "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option.",
        ),
        ("7.0.0", "Added support for the `<ms>-*` explicit ID form."),
        ("8.2.0", "Added the `KEEPREF`, `DELREF` and `ACKED` options."),
        ("8.6.0", "Added the `IDMP` and `IDMPAUTO` options."),
    ],
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

/// The id of a new entry.
#[derive(Clone, Copy)]
enum NewId {
    /// `*`: that of the clock.
    Now,
    /// `ms-*`: the next one of these milliseconds.
    In(u64),
    /// This one.
    At(StreamId),
}

impl NewId {
    fn parse(raw: &[u8]) -> Result<NewId, CommandError> {
        match StreamId::parse_open(raw) {
            Some(ms) => Ok(NewId::In(ms)),
            None => Ok(NewId::At(Id::parse(raw)?.0)),
        }
    }

    fn choose(self, stream: &Stream, now: u64) -> Result<StreamId, StreamError<'static>> {
        match self {
            NewId::Now => stream.log.id_at(now).ok_or(StreamError::Exhausted),
            NewId::In(ms) => stream.log.id_in(ms).ok_or(StreamError::IdNotGreater),
            NewId::At(id) => Ok(id),
        }
    }
}

/// What stands before the fields of XADD, or behind the key of XTRIM.
struct Options<'a> {
    makes_stream: bool,
    references: References,
    trim: Option<Trim>,
    /// Of XADD only, as what follows.
    id: Option<NewId>,
    message: Option<Message<'a>>,
}

impl<'a> Options<'a> {
    /// Takes them. `adds`: there is an id behind them.
    fn take(
        args: &mut Args<'a>,
        adds: bool,
        limits: NodeLimits,
    ) -> Result<Options<'a>, CommandError> {
        let mut options = Options {
            makes_stream: true,
            references: References::Keep,
            trim: None,
            id: None,
            message: None,
        };
        let (mut limit, mut references) = (None, None);
        while let Some(raw) = args.get(0) {
            if adds && raw == b"*" {
                args.bytes()?;
                options.id = Some(NewId::Now);
                break;
            }
            if args.word_with_value("MAXLEN") {
                options.trim(args, |args| max_len(args))?;
            } else if args.word_with_value("MINID") {
                options.trim(args, |args| Ok(Until::Id(args.take::<Id>()?.0)))?;
            } else if args.word_with_value("LIMIT") {
                let number: i64 = args.take()?;
                limit = Some(u64::try_from(number).map_err(|_| StreamError::LimitNegative)?);
            } else if take_references(args, &mut references)?
                || adds && Message::take(args, &mut options.message)?
            {
                // It is taken.
            } else if adds && args.word("NOMKSTREAM") {
                options.makes_stream = false;
            } else if adds {
                options.id = Some(NewId::parse(args.bytes()?)?);
                break;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        options.references = references.unwrap_or_default();
        options.limit(adds, limit, limits)?;
        Ok(options)
    }

    fn trim(
        &mut self,
        args: &mut Args<'a>,
        until: impl FnOnce(&mut Args<'a>) -> Result<Until, CommandError>,
    ) -> Result<(), CommandError> {
        if self.trim.is_some() {
            return Err(StreamError::TwoStrategies.into());
        }
        let nearly = args.word_with_value("~");
        if !nearly {
            args.word_with_value("=");
        }
        self.trim = Some(Trim { until: until(args)?, nearly, limit: 0 });
        Ok(())
    }

    /// Gives the trim its limit.
    fn limit(
        &mut self,
        adds: bool,
        limit: Option<u64>,
        limits: NodeLimits,
    ) -> Result<(), StreamError<'static>> {
        let Some(trim) = &mut self.trim else {
            return match limit {
                Some(1..) => Err(StreamError::LimitWithoutStrategy),
                _ if !adds => Err(StreamError::NoStrategy),
                _ => Ok(()),
            };
        };
        if limit.is_some() && !trim.nearly {
            return Err(StreamError::LimitExact);
        }
        if trim.nearly {
            trim.limit = limit.unwrap_or_else(|| default_limit(limits));
        }
        Ok(())
    }
}

fn default_limit(limits: NodeLimits) -> u64 {
    match limits.entries_max.saturating_mul(LIMIT_NODES) {
        0 => LIMIT_WITHOUT_NODES,
        limit => limit.min(LIMIT_MAX),
    }
}

fn max_len(args: &mut Args<'_>) -> Result<Until, CommandError> {
    let number: i64 = args.take()?;
    Ok(Until::Len(u64::try_from(number).map_err(|_| StreamError::MaxLenNegative)?))
}

fn xadd(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let limits = keys.frame().layout.stream_node;
    let options = Options::take(&mut args, true, limits)?;
    let id = options.id.filter(|_| args.len() >= 2 && args.len().is_multiple_of(2));
    let id = id.ok_or_else(|| CommandError::WrongArity("xadd".into()))?;
    if matches!(id, NewId::At(StreamId::ZERO)) {
        return Err(StreamError::ZeroId.into());
    }
    if options.message.is_some() && !matches!(id, NewId::Now) {
        return Err(StreamError::MessageWithId.into());
    }
    let mut entry = keys.stream_entry(key.0)?;
    let now = entry.now();
    if let Some(message) = &options.message
        && let Some(id) = added_before(&mut entry, message, args)
    {
        tell_id(reply, id);
        return Ok(());
    }
    let add = |stream: &mut Stream| add(stream, id, now, args, limits, &options);
    let (id, trimmed) = if let Some(stream) = entry.get_mut() {
        add(stream)?
    } else if options.makes_stream {
        let mut stream = Stream::default();
        let added = add(&mut stream)?;
        entry.create(stream)?;
        added
    } else {
        reply.null();
        return Ok(());
    };
    entry.noted(event::XADD);
    if trimmed > 0 {
        entry.also(event::XTRIM);
    }
    tell_id(reply, id);
    Ok(())
}

/// Adds an entry and trims; returns the entry's id and how many were trimmed.
#[inline]
fn add(
    stream: &mut Stream,
    id: NewId,
    now: u64,
    fields: Args<'_>,
    limits: NodeLimits,
    options: &Options<'_>,
) -> Result<(StreamId, u64), StreamError<'static>> {
    if stream.log.counters().last == StreamId::MAX {
        return Err(StreamError::Exhausted);
    }
    let id = id.choose(stream, now)?;
    stream.log.append(id, fields.rest(), limits).map_err(|error| match error {
        NotAdded::IdNotGreater => StreamError::IdNotGreater,
        NotAdded::TooLarge => StreamError::TooLarge,
    })?;
    if let Some(message) = &options.message {
        stream.producers_mut().note(message.producer, &message.id(fields), id, now);
    }
    let trimmed = options.trim.map_or(0, |trim| stream.trim(trim, options.references));
    Ok((id, trimmed))
}

/// The id of the entry that a message has become, if it was sent before.
fn added_before(
    entry: &mut StreamEntry<'_>,
    message: &Message<'_>,
    fields: Args<'_>,
) -> Option<StreamId> {
    let now = entry.now();
    let producers = entry.get()?.producers()?;
    let id = producers.find(message.producer, &message.id(fields), now)?;
    entry.get_mut()?.producers_mut().count_duplicate();
    entry.noted_silently();
    Some(id)
}

/// How much it takes to remove what a request of XTRIM means, about.
fn trimmed(args: Args<'_>, keys: &View<'_>) -> u64 {
    removed(args, false, keys)
}

/// The same of XADD, which seldom trims.
fn trimmed_by_add(args: Args<'_>, keys: &View<'_>) -> u64 {
    let is_id = |word: &[u8]| word == b"*" || word.first().is_some_and(u8::is_ascii_digit);
    if args.get(1).is_none_or(is_id) { 0 } else { removed(args, true, keys) }
}

fn removed(args: Args<'_>, adds: bool, keys: &View<'_>) -> u64 {
    work::part(args, keys, |key| {
        let options = Options::take(&mut args.skip(1), adds, keys.frame().layout.stream_node);
        let Ok(Options { trim: Some(trim), references, .. }) = options else { return 0 };
        let Some(Stored::Big(Big::Stream(stream))) = keys.stored(key) else { return 0 };
        let removed = match trim.until {
            Until::Len(len) => stream.log.len().saturating_sub(len),
            Until::Id(id) => stream.log.about(StreamId::ZERO, id),
        };
        let removed = if trim.limit > 0 { removed.min(trim.limit) } else { removed };
        match references {
            References::Keep => removed / 2,
            // Each group is asked for each entry.
            _ => removed * (2 + 2 * stream.groups().len() as u64),
        }
    })
}

pub(super) const XTRIM: Command = Command {
    name: "XTRIM",
    run: Run::Write(xtrim),
    work: Some(trimmed),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "delete"]))],
    category: Category::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    summary: "Removes entries from the beginning of a stream; returns how many.",
    complexity: "O(N) where N is the number of entries that are removed",
    syntax: "key (MAXLEN | MINID) [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]",
    history: &[
        ("6.2.0", "Added the `MINID` trimming strategy and the `LIMIT` option."),
        ("8.2.0", "Added the `KEEPREF`, `DELREF` and `ACKED` options."),
    ],
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

fn xtrim(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let options = Options::take(&mut args, false, keys.frame().layout.stream_node)?;
    let mut entry = keys.stream_entry(key.0)?;
    let removed = match (entry.get_mut(), options.trim) {
        (Some(stream), Some(trim)) => stream.trim(trim, options.references),
        _ => 0,
    };
    if removed > 0 {
        entry.noted(event::XTRIM);
    }
    reply.integer(removed.cast_signed());
    Ok(())
}

pub(super) const XSETID: Command = Command {
    name: "XSETID",
    run: Run::Write(xsetid),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    summary: "Sets the last id of a stream, and what is counted of it.",
    syntax: "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
    history: &[("7.0.0", "Added the `entries_added` and `max_deleted_entry_id` arguments.")],
    ..Command::BASE
};

fn xsetid(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let last = args.take::<Id>()?.0;
    let (mut added, mut deleted) = (None, StreamId::ZERO);
    while !args.is_empty() {
        if args.word_with_value("ENTRIESADDED") {
            let number: i64 = args.take()?;
            let number = u64::try_from(number).map_err(|_| StreamError::EntriesAddedNegative)?;
            added = Some(number);
        } else if args.word_with_value("MAXDELETEDID") {
            deleted = args.take::<Id>()?.0;
            if last < deleted {
                return Err(StreamError::SetBelowGivenDeleted.into());
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let mut entry = keys.stream_entry(key.0)?;
    let stream = entry.get_mut().ok_or(CommandError::NoSuchKey)?;
    let counters = stream.log.counters();
    if last < counters.max_deleted {
        return Err(StreamError::SetBelowDeleted.into());
    }
    if stream.log.last_entry_id().is_some_and(|top| last < top) {
        return Err(StreamError::SetBelowTop.into());
    }
    if counters.len > 0 && added.is_some_and(|added| counters.len > added) {
        return Err(StreamError::EntriesAddedBelowLen.into());
    }
    stream.log.set_last(last, added, Some(deleted).filter(|&id| id != StreamId::ZERO));
    entry.noted(event::XSETID);
    reply.ok();
    Ok(())
}

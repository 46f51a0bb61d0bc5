//! XREAD and XREADGROUP: what is new in several streams.
//!
//! With BLOCK they wait until there is something to tell, which XREADGROUP takes its errors for
//! as well: that the group, or the stream, is gone.

use command::{
    Args, Arity, Attempt, Begin, Block, Category, Command, CommandError, Find, Flags,
    Group as Chapter, KeySpec, KeyUse, Pins, Reply, Run, Tried, View, event, parse_integer,
    parse_positive, wait_millis,
};
use keyspace::stream::{Consumer, ConsumerId, Entry, Group, Log, StreamId};
use keyspace::{Millis, Stored};
use protocol::Dialect;
use smallvec::SmallVec;
use value::Big;

use super::error::StreamError;
use super::pending::idle_of;
use super::words::{Id, at_least_zero, tell_entries, tell_entry, tell_fields, tell_id};
use crate::work;

pub(super) const XREAD: Command = Command {
    name: "XREAD",
    run: Run::Block(Block {
        reads: Some(may_wait),
        pin: Some(pin),
        ..Block::taking(xread, has_entries)
    }),
    work: Some(|args, keys| amount(args, false, keys)),
    arity: Arity::AtLeast(4),
    keys: &[keys_behind_streams(1)],
    flags: Flags::BLOCKING.and(Flags::MOVABLE_KEYS),
    category: Category::STREAM,
    group: Chapter::Stream,
    since: "5.0.0",
    summary: "Returns entries of several streams that come after the ids given; may wait for one.",
    complexity: "O(N) where N is the number of entries returned",
    syntax: "[COUNT count] [MAXCOUNT maxcount] [MAXSIZE maxsize] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    history: &[("8.10.0", "Added the `MAXCOUNT` and `MAXSIZE` options.")],
    ..Command::BASE
};

pub(super) const XREADGROUP: Command = Command {
    name: "XREADGROUP",
    run: Run::Block(Block { awaits_absence: true, ..Block::taking(xreadgroup, has_news) }),
    work: Some(|args, keys| DELIVERY_STEPS * amount(args, true, keys)),
    arity: Arity::AtLeast(7),
    keys: &[keys_behind_streams(4)],
    summary: "Returns entries of several streams that a group has not read, or that a consumer has \
              not acknowledged; may wait for one.",
    syntax: "GROUP group consumer [COUNT count] [MAXCOUNT maxcount] [MAXSIZE maxsize] \
             [BLOCK milliseconds] [CLAIM min-idle-time] [NOACK] STREAMS key [key ...] id [id ...]",
    history: &[
        ("8.4.0", "Added the `CLAIM` option."),
        ("8.10.0", "Added the `MAXCOUNT` and `MAXSIZE` options."),
    ],
    ..XREAD
};

/// The first half of the words behind STREAMS, which is looked for from a word on.
const fn keys_behind_streams(from: u8) -> KeySpec {
    KeySpec {
        begin: Begin::Keyword { word: "STREAMS", from },
        find: Find::FirstHalf,
        usage: KeyUse::READ,
        note: "",
    }
}

/// Steps for an entry that is told to a consumer, who has it from then on.
const DELIVERY_STEPS: u64 = 4;

/// How often a group's stale entries are looked for at most, in ms: they grow stale by themselves.
const CLAIM_EVERY: Millis = 10;

/// A request of either command.
struct Request<'a> {
    /// How long to wait if there is nothing to tell, in ms; 0: for ever.
    block: Option<Millis>,
    /// The most entries of a stream.
    count: usize,
    /// What all streams may come to.
    budget: Budget,
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    claim: Option<Millis>,
    keys: Args<'a>,
    ids: Args<'a>,
}

/// What a reply may still come to, over all its streams.
#[derive(Clone, Copy)]
struct Budget {
    entries: usize,
    /// Bytes of entries as they are written; `None`: any.
    bytes: Option<usize>,
    /// Whether no entry was told yet: the first one is told however large it is.
    is_new: bool,
}

impl Budget {
    const UNBOUNDED: Budget = Budget { entries: usize::MAX, bytes: None, is_new: true };

    /// Whether there is room for an entry; if not, there is none for any behind it either.
    fn has_room_for(&mut self, entry: Option<&Entry<'_>>) -> bool {
        if !self.is_new && self.bytes.is_some_and(|left| told_bytes(entry) > left) {
            self.entries = 0;
        }
        self.entries > 0
    }

    /// The same, and takes the entry off.
    fn allows(&mut self, entry: Option<&Entry<'_>>) -> bool {
        let has_room = self.has_room_for(entry);
        if has_room {
            self.is_new = false;
            self.entries -= 1;
            self.bytes = self.bytes.map(|left| left.saturating_sub(told_bytes(entry)));
        }
        has_room
    }
}

/// The bytes of an entry in a reply; `None`: of one that is gone.
fn told_bytes(entry: Option<&Entry<'_>>) -> usize {
    // The heads of the entry and of its fields.
    const HEADS: usize = "*2\r\n*2\r\n".len();
    let Some(entry) = entry else { return HEADS };
    let bulk = |len: usize| "$\r\n\r\n".len() + len.to_string().len() + len;
    let texts = entry.fields().map(|(name, value)| bulk(name.len()) + bulk(value.len()));
    HEADS + bulk(entry.id.to_string().len()) + texts.sum::<usize>()
}

/// A stream, and from where it is read.
type Start<'a> = (&'a [u8], From);

/// From where a stream is read.
#[derive(Clone, Copy)]
enum From {
    /// Behind this id.
    Behind(StreamId),
    /// What the group has not read.
    New,
}

impl<'a> Request<'a> {
    /// Reads a request; `groups`: of XREADGROUP.
    ///
    /// # Errors
    /// What Redis answers to a request that is none.
    fn parse(mut args: Args<'a>, groups: bool) -> Result<Request<'a>, CommandError> {
        let mut request = Request {
            block: None,
            count: usize::MAX,
            budget: Budget::UNBOUNDED,
            group: None,
            no_ack: false,
            claim: None,
            keys: args.first(0),
            ids: args.first(0),
        };
        let only_in_group = |option| {
            let refused = Err(StreamError::OnlyInGroup(option));
            if groups { Ok(()) } else { refused }
        };
        while !args.is_empty() {
            if args.word_with_value("BLOCK") {
                request.block = Some(timeout(args.bytes()?)?);
            } else if args.word_with_value("COUNT") {
                let count: i64 = args.take()?;
                request.count = Some(at_least_zero(count)).filter(|&n| n > 0).unwrap_or(usize::MAX);
            } else if args.word_with_value("MAXCOUNT") {
                request.budget.entries = limit("MAXCOUNT", args.bytes()?)?;
            } else if args.word_with_value("MAXSIZE") {
                request.budget.bytes = Some(limit("MAXSIZE", args.bytes()?)?);
            } else if args.word_with_value("STREAMS") {
                return request.streams(args, groups);
            } else if args.len() >= 3 && args.word("GROUP") {
                only_in_group("GROUP")?;
                request.group = Some((args.bytes()?, args.bytes()?));
            } else if args.word("NOACK") {
                only_in_group("NOACK")?;
                request.no_ack = true;
            } else if groups && args.word_with_value("CLAIM") {
                let idle = parse_integer(args.bytes()?).and_then(|n| Millis::try_from(n).ok());
                request.claim = Some(idle.ok_or(StreamError::ClaimIdle)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Err(CommandError::Syntax)
    }

    fn streams(mut self, words: Args<'a>, groups: bool) -> Result<Request<'a>, CommandError> {
        let (command, ids) = match groups {
            true => ("xreadgroup", "an ID or '>'"),
            false => ("xread", "an ID, '+', or '$'"),
        };
        if !words.len().is_multiple_of(2) {
            return Err(StreamError::Unbalanced { command, ids }.into());
        }
        if groups && self.group.is_none() {
            return Err(StreamError::NoGroupOption.into());
        }
        if self.count != usize::MAX && self.budget.entries < self.count {
            return Err(StreamError::MaxCountBelowCount.into());
        }
        (self.keys, self.ids) = (words.first(words.len() / 2), words.skip(words.len() / 2));
        Ok(self)
    }

    /// From where each stream is read, once it is known that all can be; those of shards that are
    /// not entered are left out.
    fn starts(&self, keys: &View<'_>) -> Result<SmallVec<[Start<'a>; 8]>, CommandError> {
        let entered = self.pairs().filter(|(key, _)| keys.has_entered(key));
        entered.map(|(key, id)| Ok((key, self.start(keys, key, id)?))).collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.keys.rest().zip(self.ids.rest())
    }

    /// What becomes of a request that nothing could be told.
    fn nothing(&self, now: Millis, reply: &mut Reply<'_>) -> Attempt {
        let Some(block) = self.block else {
            reply.null_array();
            return Ok(Tried::Answered);
        };
        let mut until = wait_millis(block, now)?;
        until.again = self.claim.map(|idle| now.saturating_add(idle.max(CLAIM_EVERY)));
        Ok(Tried::Waits(until))
    }

    /// About how many entries of a stream there are to tell.
    fn there(&self, keys: &View<'_>, key: &[u8], id: &[u8]) -> u64 {
        let Some(Stored::Big(Big::Stream(stream))) = keys.stored(key) else { return 0 };
        let group = self.group.and_then(|(group, name)| Some((stream.group(group)?, name)));
        match (self.start(keys, key, id), group) {
            (Err(_), _) => 0,
            (Ok(From::Behind(id)), None) => stream.log.about(id, StreamId::MAX),
            (Ok(From::Behind(_)), Some((group, name))) => {
                let consumer = group.find(name).and_then(|consumer| group.consumer(consumer));
                consumer.map_or(0, |consumer| consumer.pending().len() as u64)
            }
            (Ok(From::New), group) => {
                let Some((group, _)) = group else { return 0 };
                let stale = self.claim.map_or(0, |_| group.pending().len() as u64);
                stream.log.about(group.last(), StreamId::MAX).saturating_add(stale)
            }
        }
    }

    fn start(&self, keys: &View<'_>, key: &[u8], id: &[u8]) -> Result<From, CommandError> {
        let stream = keys.stream(key)?;
        if let Some((group, _)) = self.group
            && stream.and_then(|stream| stream.group(group)).is_none()
        {
            return Err(StreamError::NoKeyOrGroupToRead { key, group }.into());
        }
        let log = stream.map(|stream| &stream.log);
        match (id, self.group.is_some()) {
            (b"$", true) => Err(StreamError::Meaningless('$').into()),
            (b"+", true) => Err(StreamError::Meaningless('+').into()),
            (b">", false) => Err(StreamError::NewOnlyInGroup.into()),
            (b">", true) => Ok(From::New),
            (b"$", false) => {
                Ok(From::Behind(log.map_or(StreamId::ZERO, |log| log.counters().last)))
            }
            (b"+", false) => {
                let last = log.and_then(Log::last_entry_id).and_then(StreamId::previous);
                Ok(From::Behind(last.unwrap_or_default()))
            }
            (id, _) => Ok(From::Behind(<Id as command::Arg>::parse(id)?.0)),
        }
    }
}

/// The number behind MAXCOUNT or MAXSIZE.
fn limit(option: &'static str, raw: &[u8]) -> Result<usize, StreamError<'static>> {
    parse_positive(raw).ok_or(StreamError::LimitNotPositive(option))
}

fn timeout(raw: &[u8]) -> Result<Millis, StreamError<'static>> {
    let number = parse_integer(raw).ok_or(StreamError::Timeout)?;
    Millis::try_from(number).map_err(|_| StreamError::TimeoutNegative)
}

/// The reply of both: nothing until a stream has something to tell.
struct Told {
    list: Option<protocol::Deferred>,
    streams: usize,
    budget: Budget,
}

impl Told {
    fn of(request: &Request<'_>) -> Told {
        Told { list: None, streams: 0, budget: request.budget }
    }

    /// Begins the part of a stream.
    fn begin(&mut self, reply: &mut Reply<'_>, key: &[u8]) {
        let is_map = reply.dialect() == Dialect::Resp3;
        if self.list.is_none() {
            self.list = Some(if is_map { reply.deferred_map() } else { reply.deferred_array() });
        }
        if !is_map {
            reply.array(2);
        }
        reply.bulk(key);
        self.streams += 1;
    }

    /// Ends the reply; tells whether there is one.
    fn end(self, reply: &mut Reply<'_>) -> bool {
        if let Some(list) = self.list {
            reply.finish(list, self.streams);
        }
        self.streams > 0
    }
}

/// About how many entries a request tells.
fn amount(args: Args<'_>, groups: bool, keys: &View<'_>) -> u64 {
    let Ok(request) = Request::parse(args, groups) else { return 0 };
    let each = u64::try_from(request.count).unwrap_or(u64::MAX);
    let all = u64::try_from(request.budget.entries).unwrap_or(u64::MAX);
    let most = each.saturating_mul(request.keys.len() as u64).min(all);
    let there = || {
        let found = request.pairs().map(|(key, id)| request.there(keys, key, id).min(each));
        found.fold(0, u64::saturating_add)
    };
    work::at_most(most, there)
}

fn may_wait(args: Args<'_>) -> bool {
    Request::parse(args, false).is_ok_and(|request| request.block.is_some())
}

/// `$` means what was last when the wait began.
fn pin(args: Args<'_>, keys: &View<'_>) -> Pins {
    let Ok(request) = Request::parse(args, false) else { return Pins::new() };
    let ids_from = args.len() - request.ids.len();
    let named = request.pairs().enumerate().filter(|(_, (_, id))| *id == b"$");
    let pinned = named.filter_map(|(nth, (key, id))| match request.start(keys, key, id) {
        Ok(From::Behind(id)) => Some((ids_from + nth, id.to_string().into_bytes())),
        _ => None,
    });
    pinned.collect()
}

fn has_entries(args: Args<'_>, keys: &View<'_>, key: &[u8]) -> bool {
    let Ok(request) = Request::parse(args, false) else { return false };
    let mut ids = request.pairs().filter(|(name, _)| *name == key);
    ids.any(|(_, id)| {
        let last = keys.stream(key).ok().flatten().and_then(|stream| stream.log.last_entry_id());
        match request.start(keys, key, id) {
            Ok(From::Behind(id)) => last > Some(id),
            _ => false,
        }
    })
}

fn has_news(args: Args<'_>, keys: &View<'_>, key: &[u8]) -> bool {
    let Ok(request) = Request::parse(args, true) else { return false };
    let Some((name, _)) = request.group else { return false };
    let Some(stream) = keys.stream(key).ok().flatten() else { return true };
    let Some(group) = stream.group(name) else { return true };
    let stale_until = request.claim.and_then(|idle| keys.now().checked_sub(idle));
    let has_stale = stale_until.is_some_and(|until| group.is_pending_until(until));
    has_stale || stream.log.last_entry_id() > Some(group.last())
}

fn xread(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    let request = Request::parse(args, false)?;
    let mut told = Told::of(&request);
    for (key, start) in request.starts(keys)? {
        let (Some(stream), From::Behind(id)) = (keys.stream(key)?, start) else { continue };
        let Some(next) = id.next() else { continue };
        let mut entries = stream.log.range(next, StreamId::MAX).take(request.count).peekable();
        if entries.peek().is_some_and(|first| told.budget.has_room_for(Some(first))) {
            told.begin(reply, key);
            tell_entries(reply, entries.take_while(|entry| told.budget.allows(Some(entry))));
        }
    }
    if told.end(reply) { Ok(Tried::Answered) } else { request.nothing(keys.now(), reply) }
}

fn xreadgroup(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Attempt {
    let request = Request::parse(args, true)?;
    let starts = request.starts(keys)?;
    let Some((group_name, consumer_name)) = request.group else {
        return Err(StreamError::NoGroupOption.into());
    };
    let mut told = Told::of(&request);
    for (key, start) in starts {
        let mut entry = keys.stream_entry(key)?;
        let now = entry.now();
        let found = entry.get_mut().and_then(|stream| stream.group_mut(group_name));
        let Some((group, log)) = found else { continue };
        let (consumer, is_new) = group.see(consumer_name, now);
        let mut reader = Reader { group, log, consumer, now, request: &request };
        let before = told.streams;
        // As in Redis: how often what is pending was told again is not worth repeating.
        let is_news = matches!(start, From::New);
        reader.read(start, &mut told, reply, key);
        if is_new {
            entry.noted(event::XGROUP_CREATE_CONSUMER);
        } else if is_news && told.streams > before {
            entry.noted_silently();
        }
    }
    if told.end(reply) { Ok(Tried::Answered) } else { request.nothing(keys.now(), reply) }
}

/// A consumer that reads a stream in its group.
struct Reader<'e> {
    group: &'e mut Group,
    log: &'e Log,
    consumer: ConsumerId,
    now: Millis,
    request: &'e Request<'e>,
}

impl Reader<'_> {
    fn read(&mut self, start: From, told: &mut Told, reply: &mut Reply<'_>, key: &[u8]) {
        match start {
            From::Behind(id) => {
                if told.budget.entries > 0 {
                    told.begin(reply, key);
                    self.tell_history(id, &mut told.budget, reply);
                }
            }
            From::New => {
                let stale = self.stale();
                let first = stale.first().and_then(|&id| self.log.entry(id));
                let first = first.or_else(|| self.new_entries().next());
                if first.is_some_and(|first| told.budget.has_room_for(Some(&first))) {
                    told.begin(reply, key);
                    let (list, budget) = (reply.deferred_array(), &mut told.budget);
                    let count = self.claim(&stale, budget, reply);
                    let count = count + self.tell_new(self.request.count - count, budget, reply);
                    reply.finish(list, count);
                }
            }
        }
    }

    /// Tells what the consumer got before, behind an id, and has not acknowledged.
    fn tell_history(&mut self, id: StreamId, budget: &mut Budget, reply: &mut Reply<'_>) {
        let own = self.group.consumer(self.consumer).map(Consumer::pending);
        let own = own.zip(id.next()).into_iter().flat_map(|(own, next)| own.range(next..));
        let ids: Vec<StreamId> = own.take(self.request.count).copied().collect();
        let (list, mut told) = (reply.deferred_array(), 0);
        for id in ids {
            let entry = self.log.entry(id);
            if !budget.allows(entry.as_ref()) {
                break;
            }
            told += 1;
            match entry {
                Some(entry) => {
                    let count = self.group.pending().get(&id).map_or(0, |pending| pending.count);
                    self.group.deliver(id, self.consumer, self.now, count.saturating_add(1));
                    tell_entry(reply, &entry);
                }
                None => {
                    reply.array(2);
                    tell_id(reply, id);
                    reply.null_array();
                }
            }
        }
        reply.finish(list, told);
    }

    /// What the group has not read.
    fn new_entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let next = self.group.last().next();
        next.into_iter().flat_map(|next| self.log.range(next, StreamId::MAX))
    }

    /// What has been pending for so long that CLAIM takes it, the longest first. Entries that are
    /// gone are no longer pending.
    fn stale(&mut self) -> Vec<StreamId> {
        let Some(until) = self.request.claim.and_then(|idle| self.now.checked_sub(idle)) else {
            return Vec::new();
        };
        let log = self.log;
        let mut gone = Vec::new();
        let here = self.group.pending_until(until).filter(|&id| {
            let is_here = log.contains(id);
            if !is_here {
                gone.push(id);
            }
            is_here
        });
        let stale = here.take(self.request.count).collect();
        gone.into_iter().for_each(|id| {
            self.group.acknowledge(id);
        });
        stale
    }

    /// Claims entries and tells them, with how long and how often they have been delivered.
    fn claim(&mut self, stale: &[StreamId], budget: &mut Budget, reply: &mut Reply<'_>) -> usize {
        let mut told = 0;
        for &id in stale {
            let (Some(entry), Some(&pending)) = (self.log.entry(id), self.group.pending().get(&id))
            else {
                continue;
            };
            if !budget.allows(Some(&entry)) {
                break;
            }
            told += 1;
            let count = pending.count;
            self.group.deliver(id, self.consumer, self.now, count.saturating_add(1));
            self.group.was_active(self.consumer, self.now);
            reply.array(4);
            tell_id(reply, id);
            tell_fields(reply, &entry);
            reply.integer(idle_of(&pending, self.now).map_or(-1, |idle| idle.max(0)));
            reply.integer(count.cast_signed());
        }
        told
    }

    /// Tells what the group has not read, and delivers it; returns how many entries that is.
    fn tell_new(&mut self, count: usize, budget: &mut Budget, reply: &mut Reply<'_>) -> usize {
        let Some(next) = self.group.last().next() else { return 0 };
        let counters = self.log.counters();
        let mut told = 0;
        for entry in self.log.range(next, StreamId::MAX).take(count) {
            if !budget.allows(Some(&entry)) {
                break;
            }
            self.group.advance(entry.id, &counters);
            if self.request.claim.is_some() {
                reply.array(4);
                tell_id(reply, entry.id);
                tell_fields(reply, &entry);
                reply.integer(0);
                reply.integer(0);
            } else {
                tell_entry(reply, &entry);
            }
            if !self.request.no_ack {
                self.group.deliver(entry.id, self.consumer, self.now, 1);
                self.group.was_active(self.consumer, self.now);
            }
            told += 1;
        }
        told
    }
}

//! Values that travel: DUMP and RESTORE.
//!
//! A dump is what a file of this format holds of one value, with a version and a checksum behind
//! it (crate `rdb`), so a value that one server dumps can be restored on another, whichever of
//! Redis, Valkey and this one they are.
//!
//! # Invariants
//!
//! 1. RESTORE changes nothing before the whole payload is known to be good.

mod incoming;
mod stream;

use std::collections::HashSet;

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Prepared, Reply, Run, View, event,
};
use incoming::Incoming;
use keyspace::array::{Draft, INDEX_MAX};
use keyspace::stream::Stream;
use keyspace::{
    Access, Expiry, Frame, Intake, KeyHasher, Millis, NewList, Refused, Stored, Type, access,
};
use rdb::{
    ArrayEncoder, Format, HashEncoder, HashField, ListEncoder, Options, RdbError, SetEncoder,
    Trust, Value, ZSetEncoder, encode_string,
};
use value::Big;
use value::entries::Digits;
use value::map::{MapRef, NewMap};
use value::set::NewSet;
use value::zset::{Name, NewZSet};

use crate::work;

pub(super) const DUMP: Command = Command {
    name: "DUMP",
    work: Some(|args, keys| DUMP_STEPS * work::whole(args, keys)),
    run: Run::Read(dump),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "2.6.0",
    summary: "Returns a value in the form in which other servers can restore it.",
    complexity: "O(N)",
    syntax: "key",
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

fn dump(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let known = keys.touch(key.0);
    let Some(stored) = keys.stored(key.0).filter(|_| known) else {
        reply.null();
        return Ok(());
    };
    if is_hollow(stored, keys.hasher(), keys.now()) {
        reply.null();
    } else {
        reply.bulk(&dump_of(stored, keys.hasher(), keys.now())?);
    }
    Ok(())
}

/// Whether all parts of it have outlived their deadlines, so that nothing could be restored.
fn is_hollow(stored: Stored<'_>, hasher: &KeyHasher, now: Millis) -> bool {
    let Stored::Big(Big::Hash(map) | Big::DatedSet(map)) = stored else { return false };
    MapRef::Big(map, hasher, now).is_empty()
}

/// The dump of a value: for every server from Redis 7.2 and Valkey 7.2 on; that of a hash with
/// deadlines of fields for Redis from 7.4 on, as no format of them is known to both; that of a
/// stream with messages of producers for Redis from 8.6 on, and that of an array from 8.8 on. Of
/// members of a set no format knows deadlines.
fn dump_of(stored: Stored<'_>, hasher: &KeyHasher, now: Millis) -> Result<Vec<u8>, CommandError> {
    let format = match stored {
        Stored::Big(Big::Hash(map)) if map.due() != Millis::MAX => Format::Redis12,
        _ => match stored.kind() {
            Type::Stream => keyspace::stream_of(stored).map_or(Format::Redis11, stream::format_of),
            Type::Array => Format::Redis14,
            _ => Format::Redis11,
        },
    };
    let options = Options { format, compress: true };
    let mut out = Vec::new();
    let encoded = match stored {
        Stored::Str(text) => {
            encode_string(text.as_bytes(), options, &mut out);
            Ok(())
        }
        _ => match stored.kind() {
            Type::Set => encode_set(stored, (hasher, now), options, &mut out),
            Type::Hash => encode_hash(stored, (hasher, now), options, &mut out),
            Type::List => encode_list(stored, options, &mut out),
            Type::ZSet => encode_zset(stored, hasher, options, &mut out),
            Type::Stream => encode_stream(stored, now, options, &mut out),
            Type::Array => encode_array(stored, options, &mut out),
            Type::String => Ok(()),
        },
    };
    encoded.map_err(|error| CommandError::text(format!("ERR {error}")))?;
    rdb::seal(&mut out, options.format.version());
    Ok(out)
}

fn encode_stream(
    stored: Stored<'_>,
    now: Millis,
    options: Options,
    out: &mut Vec<u8>,
) -> Result<(), RdbError> {
    keyspace::stream_of(stored).map_or(Ok(()), |found| stream::encode(found, now, options, out))
}

fn encode_array(stored: Stored<'_>, options: Options, out: &mut Vec<u8>) -> Result<(), RdbError> {
    let Some(array) = keyspace::array_of(stored) else { return Ok(()) };
    let inserted = array.cursor().next.checked_sub(1);
    let mut encoder = ArrayEncoder::new(array.count(), inserted, options, out)?;
    for (index, element) in array.range(0, INDEX_MAX) {
        let mut digits = Digits::new();
        let text = element.to_text(&mut digits);
        match command::parse_integer(text) {
            Some(value) => encoder.integer(index, value)?,
            None => encoder.text(index, text)?,
        }
    }
    encoder.finish()
}

/// How many bytes a value takes in a snapshot, beside what says which type it is; 0 if it can't be
/// saved.
#[must_use]
pub fn saved_len(stored: Stored<'_>, hasher: &KeyHasher, now: Millis) -> usize {
    /// A byte for the type before the value; a version of two bytes and a checksum of eight behind.
    const AROUND_BYTES: usize = 1 + 2 + 8;
    dump_of(stored, hasher, now).map_or(0, |dump| dump.len().saturating_sub(AROUND_BYTES))
}

fn encode_list(stored: Stored<'_>, options: Options, out: &mut Vec<u8>) -> Result<(), RdbError> {
    let Some(list) = keyspace::list_of(stored) else { return Ok(()) };
    let mut encoder = ListEncoder::new(options, out);
    list.iter().for_each(|element| encoder.element(element.to_text(&mut Digits::new())));
    encoder.finish()
}

fn encode_zset(
    stored: Stored<'_>,
    hasher: &KeyHasher,
    options: Options,
    out: &mut Vec<u8>,
) -> Result<(), RdbError> {
    let Some(set) = keyspace::zset_of(stored, hasher) else { return Ok(()) };
    let mut encoder = ZSetEncoder::new(set.len(), options, out);
    for (member, score) in set.iter() {
        encoder.scored(member.to_text(&mut Digits::new()), score);
    }
    encoder.finish()
}

fn encode_set(
    stored: Stored<'_>,
    (hasher, now): (&KeyHasher, Millis),
    options: Options,
    out: &mut Vec<u8>,
) -> Result<(), RdbError> {
    let Some(set) = keyspace::set_of(stored, hasher, now) else { return Ok(()) };
    let mut encoder = SetEncoder::new(set.len(), options, out);
    set.iter().for_each(|member| encoder.member(member.to_text(&mut Digits::new())));
    encoder.finish()
}

fn encode_hash(
    stored: Stored<'_>,
    (hasher, now): (&KeyHasher, Millis),
    options: Options,
    out: &mut Vec<u8>,
) -> Result<(), RdbError> {
    let Some(map) = keyspace::map_of(stored, hasher, now) else { return Ok(()) };
    let mut encoder = HashEncoder::new(map.len(), map.earliest(), options, out)?;
    for (field, value, deadline) in map.iter_dated() {
        let (mut digits, mut others) = (Digits::new(), Digits::new());
        encoder.field(field.to_text(&mut digits), value.to_text(&mut others), deadline)?;
    }
    encoder.finish()
}

/// Steps to write as much as is read in one: texts are compressed.
const DUMP_STEPS: u64 = 10;

/// Bytes of a dump that are restored in a step.
const RESTORED_BYTES: u64 = 8;

pub(super) const RESTORE: Command = Command {
    name: "RESTORE",
    work: Some(|args, _| args.get(2).map_or(0, |dump| dump.len() as u64 / RESTORED_BYTES)),
    run: Run::Write(restore),
    prepare: Some(|args, keys, _| prepare(args, keys)),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::one(1, KeyUse::OVERWRITE)],
    flags: Flags::DENY_OOM,
    category: Category::KEYSPACE.and(Category::DANGEROUS),
    group: Group::Generic,
    since: "2.6.0",
    summary: "Makes a key of what DUMP returned.",
    complexity: "O(N)",
    syntax: "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency] [STICK]",
    history: &[("3.0.0", "`REPLACE`."), ("5.0.0", "`ABSTTL`, `IDLETIME` and `FREQ`.")],
    ..Command::BASE
};

pub(super) const RESTORE_ASKING: Command = Command {
    name: "RESTORE-ASKING",
    flags: Flags::DENY_OOM.and(Flags::ASKING),
    group: Group::Server,
    since: "3.0.0",
    summary: "RESTORE, for keys that move between nodes of a cluster.",
    history: &[],
    ..RESTORE
};

/// Has a value written as a snapshot would hold it, and read back: for DEBUG RELOAD. What no format
/// can hold stays as it is. Of the key nothing changes, its deadline and last use included.
///
/// # Errors
/// If it can't be read back, which is a bug; the key then holds what it held.
pub fn reload(key: &[u8], keys: &mut View<'_>) -> Done {
    let (now, hasher) = (keys.now(), keys.hasher());
    let Some((stored, info)) = keys.stored(key).zip(keys.info(key)) else { return Ok(()) };
    let is_ring = keyspace::array_of(stored).is_some_and(|array| array.cursor().ring > 0);
    let is_dated_set = matches!(stored, Stored::Big(Big::DatedSet(_)));
    if is_ring || is_dated_set || is_hollow(stored, hasher, now) {
        return Ok(());
    }
    let Ok(dump) = dump_of(stored, hasher, now) else { return Ok(()) };
    let value = Made::of(open(&dump, keys.frame())?, keys)?;
    value.put(Key(key), Expiry::Keep, keys)?;
    keys.set_access(key, info.access);
    Ok(())
}

/// What stands behind the payload.
#[derive(Default)]
struct Wishes {
    replace: bool,
    absolute: bool,
    stick: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl Wishes {
    fn parse(mut args: Args<'_>) -> Result<Wishes, CommandError> {
        let mut wishes = Wishes::default();
        while !args.is_empty() {
            if args.word("REPLACE") {
                wishes.replace = true;
            } else if args.word("ABSTTL") {
                wishes.absolute = true;
            } else if args.word("STICK") {
                wishes.stick = true;
            } else if wishes.frequency.is_none() && args.word_with_value("IDLETIME") {
                let seconds = u64::try_from(args.take::<i64>()?);
                let refused = |_| CommandError::text("ERR Invalid IDLETIME value, must be >= 0");
                wishes.idle_seconds = Some(seconds.map_err(refused)?);
            } else if wishes.idle_seconds.is_none() && args.word_with_value("FREQ") {
                let frequency = u8::try_from(args.take::<i64>()?);
                let refused =
                    |_| CommandError::text("ERR Invalid FREQ value, must be >= 0 and <= 255");
                wishes.frequency = Some(frequency.map_err(refused)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(wishes)
    }

    /// Makes sure that there is no such key, unless it may be written over.
    fn check_free(&self, key: Key<'_>, keys: &View<'_>) -> Done {
        if keys.contains_in(keys.db(), key.0) && !self.replace {
            return Err(CommandError::text("BUSYKEY Target key name already exists."));
        }
        Ok(())
    }

    /// The access bits that the key is to have, if they were given.
    fn access_bits(&self, keys: &View<'_>) -> Option<u32> {
        match keys.frame().access {
            Access::Lru => self.idle_seconds.map(|idle| access::idle_since(idle, keys.now())),
            Access::Lfu { .. } => self.frequency.map(|count| access::used_often(count, keys.now())),
        }
    }
}

fn restore(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let request = Restore::parse(args)?;
    request.wishes.check_free(request.key, keys)?;
    let made = request.make(keys)?;
    put(request.key, &request.wishes, made, keys, reply)
}

fn prepare<'p>(args: Args<'_>, keys: &View<'_>) -> Result<Prepared<'p>, CommandError> {
    let request = Restore::parse(args)?;
    let made = request.make(keys);
    let (key, wishes) = (request.key.0.to_vec(), request.wishes);
    Ok(Prepared::Put(Box::new(move |keys, reply| {
        // That the key is there is said before what is wrong with the rest.
        wishes.check_free(Key(&key), keys)?;
        put(Key(&key), &wishes, made?, keys, reply)
    })))
}

/// What is asked for.
struct Restore<'a> {
    key: Key<'a>,
    ttl: &'a [u8],
    payload: &'a [u8],
    wishes: Wishes,
}

impl<'a> Restore<'a> {
    fn parse(mut args: Args<'a>) -> Result<Restore<'a>, CommandError> {
        let (key, ttl, payload) = (args.take()?, args.bytes()?, args.bytes()?);
        Ok(Restore { key, ttl, payload, wishes: Wishes::parse(args)? })
    }

    /// The value to be put, and how long it lives.
    fn make(&self, keys: &View<'_>) -> Result<(Made, Millis), CommandError> {
        let ttl = command::parse_integer(self.ttl).ok_or(CommandError::NotAnInteger)?;
        let refused = |_| CommandError::text("ERR Invalid TTL value, must be >= 0");
        let ttl = Millis::try_from(ttl).map_err(refused)?;
        Ok((Made::of(open(self.payload, keys.frame())?, keys)?, ttl))
    }
}

fn put(
    key: Key<'_>,
    wishes: &Wishes,
    (made, ttl): (Made, Millis),
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let expiry = expiry_of(ttl, wishes.absolute, keys.now());
    if matches!(expiry, Expiry::At(moment) if keys.frame().is_over(moment)) {
        keys.remove(key.0, event::DEL);
        reply.ok();
        return Ok(());
    }
    made.put(key, expiry, keys)?;
    if let Some(bits) = wishes.access_bits(keys) {
        keys.set_access(key.0, bits);
    }
    if wishes.stick {
        keys.stick(key.0);
    }
    reply.ok();
    Ok(())
}

/// When a restored key expires.
fn expiry_of(ttl: Millis, absolute: bool, now: Millis) -> Expiry {
    match ttl {
        0 => Expiry::Clear,
        ttl if absolute => Expiry::At(ttl),
        ttl => Expiry::At(ttl.saturating_add(now)),
    }
}

/// The value in a dump.
fn open(dump: &[u8], frame: &Frame) -> Result<Incoming, CommandError> {
    let Intake { any_version, unchecked, .. } = frame.intake;
    let trust = Trust { any_version, unchecked };
    Incoming::of(dump, trust, frame.layout.stream_node, frame.now).map_err(|error| {
        if error.is_footer() {
            CommandError::text("ERR DUMP payload version or checksum are wrong")
        } else {
            bad_data()
        }
    })
}

/// A value as it is kept.
enum Made {
    Str(Vec<u8>),
    Set(NewSet),
    Hash(NewMap),
    List(NewList),
    ZSet(Option<NewZSet>),
    Stream(Box<Stream>),
    Array(Box<Draft>),
}

impl Made {
    fn of(value: Incoming, keys: &View<'_>) -> Result<Made, CommandError> {
        let value = match value {
            Incoming::Plain(value) => value,
            Incoming::Stream(stream) => return Ok(Made::Stream(stream)),
            Incoming::Array(array) => return Ok(Made::Array(array)),
        };
        Ok(match value {
            Value::Str(text) => Made::Str(text),
            Value::Set(members) => Made::Set(make_set(members, keys)?),
            Value::Hash(fields) => Made::Hash(make_hash(fields, keys)?),
            Value::List(elements) => Made::List(keys.new_list(elements.iter().map(Vec::as_slice))),
            Value::ZSet(members) => {
                let distinct: HashSet<&[u8]> = members.iter().map(|(name, _)| &name[..]).collect();
                if distinct.len() < members.len() {
                    return Err(bad_data());
                }
                let pairs = members.iter().map(|(name, score)| (Name::from_slice(name), *score));
                Made::ZSet(keys.new_zset(pairs.collect())?)
            }
            Value::Stream(_) | Value::Array(_) => return Err(bad_data()),
        })
    }

    /// Puts it where the key is, over whatever is there.
    fn put(self, key: Key<'_>, expiry: Expiry, keys: &mut View<'_>) -> Done {
        match self {
            Made::Str(text) => keys.str_over(key.0).replace(&text, expiry, event::RESTORE)?,
            Made::Set(set) => keys.put_set(key.0, set, expiry, event::RESTORE)?,
            Made::Hash(map) => keys.put_hash(key.0, map, expiry, event::RESTORE)?,
            Made::List(list) => keys.put_list(key.0, list, expiry, event::RESTORE)?,
            Made::ZSet(set) => keys.put_zset(key.0, set, expiry, event::RESTORE)?,
            Made::Stream(stream) => keys.put_stream(key.0, *stream, expiry, event::RESTORE)?,
            Made::Array(array) => keys.put_array(key.0, *array, expiry, event::RESTORE)?,
        }
        Ok(())
    }
}

fn make_set(members: Vec<Vec<u8>>, keys: &View<'_>) -> Result<NewSet, CommandError> {
    let (limits, hasher) = (keys.frame().layout.set, keys.hasher());
    let mut set = NewSet::new();
    for member in members {
        if !set.insert(&member, &limits, hasher).map_err(Refused::from)? {
            return Err(bad_data());
        }
    }
    Ok(set)
}

fn make_hash(fields: Vec<HashField>, keys: &View<'_>) -> Result<NewMap, CommandError> {
    let (limits, hasher) = (keys.frame().layout.hash, keys.hasher());
    let mut map = NewMap::new();
    for HashField { field, value, deadline_ms } in fields {
        let is_new = map.set(&field, &value, &limits, hasher);
        if !is_new.map_err(Refused::from)? {
            return Err(bad_data());
        }
        if let Some(deadline) = deadline_ms {
            map.set_deadline(&field, deadline, hasher).map_err(Refused::from)?;
        }
    }
    Ok(map)
}

fn bad_data() -> CommandError {
    CommandError::text("ERR Bad data format")
}

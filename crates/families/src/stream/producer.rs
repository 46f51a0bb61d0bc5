//! Messages that are sent twice and added once: what IDMP and IDMPAUTO of XADD mean, and XCFGSET
//! and XIDMPRECORD.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View,
};
use keyspace::stream::Memory;
use smallvec::SmallVec;
use xxhash_rust::xxh3::Xxh3;

use super::error::StreamError;
use super::words::Id;

/// The longest that a message may be kept, in seconds.
const SECONDS_MAX: u64 = 86_400;

/// The most messages of a producer that may be kept.
const IDS_MAX: usize = 10_000;

/// Who sends a message, and which.
pub(super) struct Message<'a> {
    pub(super) producer: &'a [u8],
    /// The producer's name for it; `None`: it is known by its content.
    name: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Takes IDMP or IDMPAUTO; tells whether one was there.
    pub(super) fn take(
        args: &mut Args<'a>,
        given: &mut Option<Message<'a>>,
    ) -> Result<bool, CommandError> {
        let message = if args.word_with_value("IDMPAUTO") {
            Message { producer: args.bytes()?, name: None }
        } else if args.len() >= 3 && args.word("IDMP") {
            Message { producer: args.bytes()?, name: Some(args.bytes()?) }
        } else {
            return Ok(false);
        };
        if message.producer.is_empty() || message.name.is_some_and(<[u8]>::is_empty) {
            return Err(StreamError::EmptyMessage.into());
        }
        if given.replace(message).is_some() {
            return Err(CommandError::Syntax);
        }
        Ok(true)
    }

    /// What it is known by.
    pub(super) fn id(&self, fields: Args<'_>) -> SmallVec<[u8; 32]> {
        match self.name {
            Some(name) => name.into(),
            None => digest(fields).to_be_bytes().as_slice().into(),
        }
    }
}

/// A number that other fields hardly share.
fn digest(fields: Args<'_>) -> u128 {
    let mut hasher = Xxh3::new();
    for field in fields.rest() {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    hasher.digest128()
}

pub(super) const XCFGSET: Command = Command {
    name: "XCFGSET",
    run: Run::Write(xcfgset),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::FAST,
    category: Category::STREAM,
    group: Group::Stream,
    since: "8.6.0",
    summary: "Sets how long, and how many, messages of producers are remembered.",
    syntax: "key [IDMP-DURATION seconds] [IDMP-MAXSIZE count]",
    ..Command::BASE
};

fn xcfgset(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let (mut seconds, mut ids_max) = (None, None);
    while !args.is_empty() {
        if args.word_with_value("IDMP-DURATION") {
            let number = u64::try_from(args.take::<i64>()?).ok();
            let number = number.filter(|number| (1..=SECONDS_MAX).contains(number));
            seconds = Some(number.ok_or(StreamError::Duration)?);
        } else if args.word_with_value("IDMP-MAXSIZE") {
            let number = usize::try_from(args.take::<i64>()?).ok();
            let number = number.filter(|number| (1..=IDS_MAX).contains(number));
            ids_max = Some(number.ok_or(StreamError::MaxSize)?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if seconds.is_none() && ids_max.is_none() {
        return Err(CommandError::Syntax);
    }
    let mut entry = keys.stream_entry(key.0)?;
    let producers = entry.get_mut().ok_or(CommandError::NoSuchKey)?.producers_mut();
    let memory = producers.memory();
    producers.set_memory(Memory {
        seconds: seconds.unwrap_or(memory.seconds),
        ids_max: ids_max.unwrap_or(memory.ids_max),
    });
    entry.noted_silently();
    reply.ok();
    Ok(())
}

pub(super) const XIDMPRECORD: Command = Command {
    name: "XIDMPRECORD",
    run: Run::Write(xidmprecord),
    arity: Arity::Exactly(5),
    flags: Flags::DENY_OOM.and(Flags::FAST),
    since: "8.6.2",
    summary: "Notes which entry a producer's message has become.",
    syntax: "key pid iid stream-id",
    ..XCFGSET
};

fn xidmprecord(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, producer, message): (Key<'_>, &[u8], &[u8]) =
        (args.take()?, args.bytes()?, args.bytes()?);
    let Id(id) = args.take()?;
    if producer.is_empty() || message.is_empty() {
        return Err(StreamError::EmptyMessage.into());
    }
    let mut entry = keys.stream_entry(key.0)?;
    let now = entry.now();
    let stream = entry.get_mut().ok_or(CommandError::NoSuchKey)?;
    if !stream.log.contains(id) {
        return Err(StreamError::NoSuchEntry.into());
    }
    match stream.producers().and_then(|producers| producers.find(producer, message, now)) {
        Some(known) if known != id => return Err(StreamError::OtherEntry.into()),
        Some(_) => {}
        None => {
            stream.producers_mut().note(producer, message, id, now);
            entry.noted_silently();
        }
    }
    reply.ok();
    Ok(())
}

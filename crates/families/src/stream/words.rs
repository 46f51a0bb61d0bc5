//! The words that several commands of streams share, and how entries are told.

use command::{Arg, Args, CommandError, Reply, parse_positive};
use keyspace::stream::{Entry, References, StreamId};
use smallvec::SmallVec;

use super::error::StreamError;

/// Ids of a request; most have few.
pub(super) type Ids = SmallVec<[StreamId; 8]>;

/// An id that names its milliseconds; its number is 0 if it is missing.
#[derive(Clone, Copy)]
pub(super) struct Id(pub(super) StreamId);

impl Arg<'_> for Id {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        Ok(Id(StreamId::parse(raw, 0).ok_or(StreamError::InvalidId)?))
    }
}

/// All the words that are left, as ids.
pub(super) fn ids(args: Args<'_>) -> Result<Ids, CommandError> {
    args.rest().map(|raw| Id::parse(raw).map(|id| id.0)).collect()
}

/// The first id of a range. `-` and `+` are the least and the greatest; `(` leaves the id itself
/// out.
pub(super) struct Start(pub(super) StreamId);

impl Arg<'_> for Start {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        match raw {
            [b'(', id @ ..] if !id.is_empty() => {
                let after = Id::parse(id)?.0.next();
                Ok(Start(after.ok_or(StreamError::InvalidStart)?))
            }
            raw => loose(raw, 0).map(Start),
        }
    }
}

/// The last id of a range, as [`Start`]; a number that is missing is the greatest.
pub(super) struct End(pub(super) StreamId);

impl Arg<'_> for End {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        match raw {
            [b'(', id @ ..] if !id.is_empty() => {
                let id = StreamId::parse(id, u64::MAX).ok_or(StreamError::InvalidId)?;
                Ok(End(id.previous().ok_or(StreamError::InvalidEnd)?))
            }
            raw => loose(raw, u64::MAX).map(End),
        }
    }
}

/// An id, or `-` or `+`.
pub(super) fn loose(raw: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match raw {
        b"-" => Ok(StreamId::ZERO),
        b"+" => Ok(StreamId::MAX),
        raw => Ok(StreamId::parse(raw, missing_seq).ok_or(StreamError::InvalidId)?),
    }
}

/// Takes KEEPREF, DELREF or ACKED; tells whether one was there.
pub(super) fn take_references(
    args: &mut Args<'_>,
    given: &mut Option<References>,
) -> Result<bool, CommandError> {
    const WORDS: [(&str, References); 3] = [
        ("KEEPREF", References::Keep),
        ("DELREF", References::Delete),
        ("ACKED", References::Respect),
    ];
    let Some((_, references)) = WORDS.into_iter().find(|(word, _)| args.word(word)) else {
        return Ok(false);
    };
    if given.replace(references).is_some() {
        return Err(CommandError::Syntax);
    }
    Ok(true)
}

/// The ids behind IDS: their number, then they.
pub(super) fn take_counted_ids(args: &mut Args<'_>) -> Result<Ids, CommandError> {
    let count = args.get(0).and_then(parse_positive).ok_or(StreamError::IdCount)?;
    let words = args.skip(1);
    if count > words.len() {
        return Err(StreamError::IdCountWrong.into());
    }
    *args = words.skip(count);
    ids(words.first(count))
}

/// `[KEEPREF | DELREF | ACKED] IDS numids id [id ...]`, in any order.
pub(super) fn references_and_ids(mut args: Args<'_>) -> Result<(References, Ids), CommandError> {
    let (mut references, mut found) = (None, None);
    while !args.is_empty() {
        if take_references(&mut args, &mut references)? {
            continue;
        }
        if found.is_some() {
            return Err(StreamError::IdCountWrong.into());
        }
        if !args.word_with_value("IDS") {
            return Err(CommandError::Syntax);
        }
        found = Some(take_counted_ids(&mut args)?);
    }
    Ok((references.unwrap_or_default(), found.ok_or(CommandError::Syntax)?))
}

/// A count that is not negative: a negative one is 0.
pub(super) fn at_least_zero(number: i64) -> usize {
    usize::try_from(number.max(0)).unwrap_or(usize::MAX)
}

/// Tells an id.
#[inline]
pub(super) fn tell_id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(id.text().as_bytes());
}

/// Tells an entry: its id, and its names and values in one list.
#[inline]
pub(super) fn tell_entry(reply: &mut Reply<'_>, entry: &Entry<'_>) {
    reply.array(2);
    tell_id(reply, entry.id);
    tell_fields(reply, entry);
}

/// Tells the names and values of an entry.
#[inline]
pub(super) fn tell_fields(reply: &mut Reply<'_>, entry: &Entry<'_>) {
    let fields = entry.fields();
    reply.array(2 * fields.len());
    for (name, value) in fields {
        reply.bulk(name);
        reply.bulk(value);
    }
}

/// Tells entries as a list; returns how many.
pub(super) fn tell_entries<'a>(
    reply: &mut Reply<'_>,
    entries: impl Iterator<Item = Entry<'a>>,
) -> usize {
    let list = reply.deferred_array();
    let mut count = 0;
    for entry in entries {
        tell_entry(reply, &entry);
        count += 1;
    }
    reply.finish(list, count);
    count
}

/// A name and an id under it.
pub(super) fn tell_named_id(reply: &mut Reply<'_>, name: &str, id: StreamId) {
    reply.bulk(name.as_bytes());
    tell_id(reply, id);
}

/// A name and a number under it.
pub(super) fn tell_named(reply: &mut Reply<'_>, name: &str, number: impl TryInto<i64>) {
    reply.bulk(name.as_bytes());
    reply.integer(number.try_into().unwrap_or(i64::MAX));
}

/// A name and a number under it, or nothing.
pub(super) fn tell_named_maybe(reply: &mut Reply<'_>, name: &str, number: Option<i64>) {
    reply.bulk(name.as_bytes());
    match number {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
}

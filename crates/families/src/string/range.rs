//! Parts of strings: `APPEND` and `PREPEND`, `GETRANGE` with its old name `SUBSTR`, `SETRANGE`.
//!
//! Offsets count bytes, not characters.
//!
//! # Invariants
//!
//! * `SETRANGE` with an empty patch changes nothing and creates no key.
//! * No string outgrows [`STRING_BYTES_MAX`]: the length is checked before the string grows.

use std::ops::Range;

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Index, Key, KeySpec, KeyUse,
    Reply, Run, STRING_BYTES_MAX, View, event, parse_integer,
};

use super::room;
use crate::work;

pub(super) const APPEND: Command = Command {
    name: "APPEND",
    run: Run::Write(append),
    work: Some(|args, keys| work::moved(args.get(0), 0, added(args), keys)),
    prepare: Some(|args, keys, _| Ok(room::made(args, keys, (0, added(args)), append))),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::INSERT)],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::STRING,
    group: Group::String,
    since: "2.0.0",
    summary: "Adds bytes at the end of a string, which is made if there is none.",
    complexity: "O(1), amortized, if the string grows by little",
    syntax: "key value",
    ..Command::BASE
};

/// The bytes that APPEND and PREPEND add.
fn added(args: Args<'_>) -> usize {
    args.get(1).map_or(0, <[u8]>::len)
}

fn append(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, more): (Key<'_>, &[u8]) = args.parse()?;
    let mut entry = keys.str_entry(key.0)?;
    let len = grown(entry.bytes().len(), more.len())?;
    entry.append(more, event::APPEND)?;
    reply.integer(len as i64);
    Ok(())
}

pub(super) const PREPEND: Command = Command {
    name: "PREPEND",
    run: Run::Write(prepend),
    // All of the string gives way.
    work: Some(|args, keys| {
        work::whole(args, keys) + work::moved(args.get(0), 0, added(args), keys)
    }),
    prepare: Some(|args, keys, _| Ok(room::made(args, keys, (0, added(args)), prepend))),
    summary: "Adds bytes in front of a string, which is made if there is none.",
    complexity: "O(N) where N is the length of the string",
    ..APPEND
};

fn prepend(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, more): (Key<'_>, &[u8]) = args.parse()?;
    let mut entry = keys.str_entry(key.0)?;
    let old = entry.bytes().len();
    let len = grown(old, more.len())?;
    if entry.exists() {
        entry.edit(len, event::PREPEND, |text| {
            text.copy_within(..old, more.len());
            text[..more.len()].copy_from_slice(more);
        })?;
    } else {
        entry.append(more, event::PREPEND)?;
    }
    reply.integer(len as i64);
    Ok(())
}

pub(super) const GETRANGE: Command = Command {
    name: "GETRANGE",
    run: Run::Read(getrange),
    work: None,
    prepare: None,
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    since: "2.4.0",
    summary: "Returns the bytes of a string between two positions, both included.",
    complexity: "O(N) where N is the number of bytes returned",
    syntax: "key start end",
    ..APPEND
};

pub(super) const SUBSTR: Command = Command {
    name: "SUBSTR",
    since: "1.0.0",
    deprecated: Some(("2.0.0", "`GETRANGE`")),
    ..GETRANGE
};

fn getrange(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, start, end): (Key<'_>, Index, Index) = args.parse()?;
    let Some(text) = keys.str(key.0)? else {
        reply.bulk(b"");
        return Ok(());
    };
    let part = span(start, end, text.as_bytes().len());
    match text.shared() {
        None => reply.bulk(&text.as_bytes()[part]),
        Some(shared) => reply.bulk_shared(shared, part),
    }
    Ok(())
}

pub(super) const SETRANGE: Command = Command {
    name: "SETRANGE",
    run: Run::Write(setrange),
    work: Some(|args, keys| work::moved(args.get(0), patched(args), 0, keys)),
    prepare: Some(|args, keys, _| Ok(room::made(args, keys, (patched(args), 0), setrange))),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::DENY_OOM,
    since: "2.2.0",
    summary: "Writes bytes over a string from a position on; a gap is filled with zero bytes.",
    complexity: "O(N) where N is the length of the value",
    syntax: "key offset value",
    ..APPEND
};

/// Up to where SETRANGE writes.
fn patched(args: Args<'_>) -> usize {
    let offset = args.get(1).and_then(parse_integer).and_then(|at| usize::try_from(at).ok());
    let patch = args.get(2).filter(|patch| !patch.is_empty());
    offset.zip(patch).and_then(|(at, patch)| grown(at, patch.len()).ok()).unwrap_or(0)
}

fn setrange(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, offset, patch): (Key<'_>, i64, &[u8]) = args.parse()?;
    let offset = usize::try_from(offset).map_err(|_| CommandError::OffsetOutOfRange)?;
    let mut entry = keys.str_entry(key.0)?;
    let old = entry.bytes().len();
    if patch.is_empty() {
        reply.integer(old as i64);
        return Ok(());
    }
    let end = grown(offset, patch.len())?;
    entry.edit(end, event::SETRANGE, |text| text[offset..end].copy_from_slice(patch))?;
    reply.integer(old.max(end) as i64);
    Ok(())
}

/// The length of a string of `len` bytes with `more` added.
fn grown(len: usize, more: usize) -> Result<usize, CommandError> {
    let sum = len.checked_add(more).filter(|&sum| sum <= STRING_BYTES_MAX);
    sum.ok_or(CommandError::StringTooLong)
}

/// The part of `0..len` between two positions, both included. Positions before the start are the
/// start, unless both count from the end and cross.
fn span(start: Index, end: Index, len: usize) -> Range<usize> {
    if start.0 < 0 && end.0 < 0 && start.0 > end.0 {
        return 0..0;
    }
    let first = start.resolve(len).unwrap_or(0);
    let last = end.resolve(len).unwrap_or(0);
    let end = len.min(last.saturating_add(1));
    first.min(end)..end
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: every byte whose position lies between the clamped bounds.
    fn picked(start: i64, end: i64, len: i64) -> Vec<usize> {
        let clamp = |at: i64| if at < 0 { (len + at).max(0) } else { at };
        let crossed = start < 0 && end < 0 && start > end;
        let inside = |at: &i64| !crossed && (clamp(start)..=clamp(end)).contains(at);
        (0..len).filter(inside).map(|at| at as usize).collect()
    }

    #[test]
    fn a_span_holds_the_positions_between_its_bounds() {
        for len in 0..6 {
            for (start, end) in (-7..8).flat_map(|start| (-7..8).map(move |end| (start, end))) {
                let found: Vec<usize> = span(Index(start), Index(end), len as usize).collect();
                assert_eq!(found, picked(start, end, len), "{start} {end} of {len}");
            }
        }
    }

    #[test]
    fn extreme_bounds_are_bounds() {
        assert_eq!(span(Index(i64::MIN), Index(i64::MAX), 3), 0..3);
        assert_eq!(span(Index(i64::MAX), Index(i64::MIN), 3), 1..1);
        assert_eq!(span(Index(i64::MAX), Index(i64::MAX), 3), 3..3);
    }

    #[test]
    fn a_string_of_the_greatest_length_does_not_grow() {
        assert_eq!(grown(STRING_BYTES_MAX, 0), Ok(STRING_BYTES_MAX));
        assert_eq!(grown(STRING_BYTES_MAX, 1), Err(CommandError::StringTooLong));
        assert_eq!(grown(usize::MAX, 1), Err(CommandError::StringTooLong));
    }
}

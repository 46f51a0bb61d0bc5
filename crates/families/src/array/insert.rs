//! The cursor: `ARINSERT`, `ARRING`, `ARSEEK`, `ARNEXT`, `ARLASTITEMS`.
//!
//! Where it goes and what lies before it is in [`keyspace::ArrayEntry`] and [`keyspace::ArrayRef`].

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View,
};

use super::error::ArrayError;
use super::words::{parse_unsigned, tell_index, tell_run};
use crate::work;

pub(super) const ARINSERT: Command = Command {
    name: "ARINSERT",
    run: Run::Write(arinsert),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::ARRAY,
    group: Group::Array,
    since: "8.8.0",
    summary: "Puts values behind the ones that were inserted into an array before.",
    complexity: "O(1) for each value",
    syntax: "key value ...",
    ..Command::BASE
};

fn arinsert(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let last = keys.array_entry(key.0)?.insert(args.rest())?;
    tell_index(last.ok_or(ArrayError::InsertOverflow)?, reply);
    Ok(())
}

pub(super) const ARRING: Command = Command {
    name: "ARRING",
    // It is laid out anew if it is too long, as far as can be said without a walk.
    work: Some(|args, keys| {
        let size = args.get(1).and_then(parse_unsigned).unwrap_or(u64::MAX);
        work::part(args, keys, |key| {
            Some(keys.elements(key)).filter(|&all| all > size).unwrap_or(0)
        })
    }),
    run: Run::Write(arring),
    arity: Arity::AtLeast(4),
    flags: Flags::DENY_OOM,
    summary: "Puts values into an array that goes on at its start when it has reached a size.",
    complexity: "O(M) where M is the number of values, O(N + M) where the size is another than \
                 before and N the greater of the two",
    syntax: "key size value ...",
    ..ARINSERT
};

fn arring(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, raw): (Key<'_>, &[u8]) = (args.take()?, args.bytes()?);
    let size = count(raw)?;
    if size == 0 {
        return Err(CommandError::NotPositive);
    }
    let last = keys.array_entry(key.0)?.insert_into_ring(size, args.rest())?;
    tell_index(last, reply);
    Ok(())
}

/// A number of slots.
fn count(raw: &[u8]) -> Result<u64, CommandError> {
    let is_negative = raw.len() > 1 && raw[0] == b'-' && parse_unsigned(&raw[1..]).is_some();
    let wrong = if is_negative { CommandError::NotPositive } else { CommandError::NotAnInteger };
    parse_unsigned(raw).ok_or(wrong)
}

pub(super) const ARSEEK: Command = Command {
    name: "ARSEEK",
    run: Run::Write(arseek),
    arity: Arity::Exactly(3),
    flags: Flags::FAST,
    summary: "Says under which index of an array the next value is inserted.",
    complexity: "O(1)",
    syntax: "key index",
    ..ARINSERT
};

fn arseek(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, raw): (Key<'_>, &[u8]) = (args.take()?, args.bytes()?);
    // One behind the last index, too: then nothing more is inserted.
    let next = parse_unsigned(raw).ok_or(ArrayError::Index)?;
    let found = keys.array_entry(key.0)?.seek(next)?;
    reply.integer(found.into());
    Ok(())
}

pub(super) const ARNEXT: Command = Command {
    name: "ARNEXT",
    run: Run::Read(arnext),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::FAST,
    summary: "Returns the index under which the next value is inserted.",
    complexity: "O(1)",
    syntax: "key",
    ..ARINSERT
};

fn arnext(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    match keys.array(key.0)?.map_or(0, |array| array.cursor().next) {
        u64::MAX => reply.null(),
        next => tell_index(next, reply),
    }
    Ok(())
}

pub(super) const ARLASTITEMS: Command = Command {
    name: "ARLASTITEMS",
    work: Some(work::taken),
    run: Run::Read(arlastitems),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    summary: "Returns the values that were inserted last.",
    complexity: "O(N) where N is how many are returned",
    syntax: "key count [REV]",
    ..ARINSERT
};

fn arlastitems(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, raw): (Key<'_>, &[u8]) = (args.take()?, args.bytes()?);
    let count = count(raw)?;
    let back = args.word("REV");
    args.end()?;
    let Some(array) = keys.array(key.0)? else {
        reply.array(0);
        return Ok(());
    };
    let mut runs = array.before_cursor(count.min(array.count()));
    if back {
        runs.reverse();
    }
    reply.array(runs.iter().map(|run| run.len).sum::<u64>() as usize);
    for run in runs {
        tell_run(Some(array), run, back, reply);
    }
    Ok(())
}

//! When fields of hashes and members of sets expire, in Dragonfly's words: FIELDEXPIRE, FIELDTTL.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event, parse_integer,
};
use keyspace::{Millis, Refused, Type, count_done};

/// The most seconds that a field or a member may be given.
const SECONDS_MAX: i64 = (1 << 28) - 1;

/// What became of a field, or of its deadline, as a reply says it.
mod outcome {
    pub(super) const NO_DEADLINE: i64 = -1;
    pub(super) const MISSING: i64 = -2;
    pub(super) const MISSING_IN_KEY: i64 = -3;
    pub(super) const DONE: i64 = 1;
}

pub(super) const FIELDEXPIRE: Command = Command {
    name: "FIELDEXPIRE",
    run: Run::Write(fieldexpire),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    member: Some(3),
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::SET.and(Category::HASH),
    group: Group::Generic,
    since: "1.0.0",
    summary: "Sets in how many seconds fields of a hash, or members of a set, expire.",
    complexity: "O(1) for each field",
    syntax: "key seconds field ...",
    ..Command::BASE
};

fn fieldexpire(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let deadline = in_seconds(args.bytes()?, keys.now())?;
    reply.array(args.len());
    match keys.stored(key.0).map(|stored| stored.kind()) {
        Some(Type::Hash) => date_fields(key, args, deadline, keys, reply),
        Some(Type::Set) => date_members(key, args, deadline, keys, reply),
        _ => {
            args.rest().for_each(|_| reply.integer(outcome::MISSING));
            Ok(())
        }
    }
}

fn date_fields(
    key: Key<'_>,
    fields: Args<'_>,
    deadline: Millis,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let mut entry = keys.hash_entry(key.0)?;
    let (dated, refused) = count_done(fields.rest(), |field| {
        let is_there = entry.get().is_some_and(|map| map.deadline(field).is_some());
        if is_there {
            entry.set_deadline(field, Some(deadline))?;
        }
        reply.integer(if is_there { outcome::DONE } else { outcome::MISSING });
        Ok::<_, Refused>(is_there)
    });
    if dated > 0 {
        entry.noted(event::HEXPIRE);
    }
    Ok(refused?)
}

fn date_members(
    key: Key<'_>,
    members: Args<'_>,
    deadline: Millis,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let mut entry = keys.set_entry(key.0)?;
    let (dated, refused) = count_done(members.rest(), |member| {
        let is_there = entry.get().is_some_and(|set| set.contains(member));
        if is_there {
            entry.insert_until(member, deadline)?;
        }
        reply.integer(if is_there { outcome::DONE } else { outcome::MISSING });
        Ok::<_, Refused>(is_there)
    });
    if dated > 0 {
        entry.noted(event::SEXPIRE);
    }
    Ok(refused?)
}

/// The moment in so many seconds, of which there must be some but not too many.
pub(crate) fn in_seconds(raw: &[u8], now: Millis) -> Result<Millis, CommandError> {
    let seconds = parse_integer(raw).filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
    let seconds = seconds.ok_or(CommandError::NotAnInteger)?;
    Ok(now.saturating_add(seconds.unsigned_abs() * 1000).min(keyspace::DEADLINE_MAX))
}

pub(super) const FIELDTTL: Command = Command {
    name: "FIELDTTL",
    run: Run::Read(fieldttl),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    member: Some(2),
    flags: Flags::FAST,
    category: Category::KEYSPACE,
    summary: "Returns in how many seconds a field of a hash, or a member of a set, expires.",
    complexity: "O(1)",
    syntax: "key field",
    tips: &["nondeterministic_output"],
    ..FIELDEXPIRE
};

fn fieldttl(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, field): (Key<'_>, &[u8]) = args.parse()?;
    let found = match keys.stored(key.0).map(|stored| stored.kind()) {
        None => {
            reply.integer(outcome::MISSING);
            return Ok(());
        }
        Some(Type::Hash) => keys.hash_map(key.0)?.and_then(|map| map.deadline(field)),
        Some(Type::Set) => keys.set(key.0)?.and_then(|set| set.deadline(field)),
        Some(_) => return Err(CommandError::WrongType),
    };
    reply.integer(match found {
        None => outcome::MISSING_IN_KEY,
        Some(None) => outcome::NO_DEADLINE,
        Some(Some(deadline)) => deadline.saturating_sub(keys.now()).div_ceil(1000) as i64,
    });
    Ok(())
}

//! When fields expire: set, asked for, taken away.
//!
//! A deadline of a field is a moment in ms since the Unix epoch, the last that sees the field. One
//! that has passed when it is set takes the field out at once.

use command::{
    Args, Arity, Command, CommandError, Done, Flags, Key, KeySpec, KeyUse, Reply, Run, Unit, View,
    deadline_of, event,
};
use keyspace::{Millis, Refused, count_done};

use super::fields::{HGET, HSET, take_fields};
use crate::generic::expire::Condition;

pub(super) const HEXPIRE: Command = Command {
    name: "HEXPIRE",
    member: Some(5),
    run: Run::Write(hexpire),
    arity: Arity::AtLeast(6),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::FAST,
    since: "7.4.0",
    summary: "Sets in how many seconds fields of a hash expire.",
    syntax: "key seconds [NX | XX | GT | LT] FIELDS numfields field ...",
    history: &[],
    ..HSET
};

fn hexpire(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let now = keys.now();
    set_deadlines(args, (Unit::Seconds, now), "hexpire", keys, reply)
}

pub(super) const HPEXPIRE: Command = Command {
    name: "HPEXPIRE",
    run: Run::Write(hpexpire),
    summary: "Sets in how many milliseconds fields of a hash expire.",
    syntax: "key milliseconds [NX | XX | GT | LT] FIELDS numfields field ...",
    ..HEXPIRE
};

fn hpexpire(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let now = keys.now();
    set_deadlines(args, (Unit::Millis, now), "hpexpire", keys, reply)
}

pub(super) const HEXPIREAT: Command = Command {
    name: "HEXPIREAT",
    run: Run::Write(hexpireat),
    summary: "Sets the second of Unix time when fields of a hash expire.",
    syntax: "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field ...",
    ..HEXPIRE
};

fn hexpireat(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    set_deadlines(args, (Unit::Seconds, 0), "hexpireat", keys, reply)
}

pub(super) const HPEXPIREAT: Command = Command {
    name: "HPEXPIREAT",
    run: Run::Write(hpexpireat),
    summary: "Sets the millisecond of Unix time when fields of a hash expire.",
    syntax: "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field ...",
    ..HEXPIRE
};

fn hpexpireat(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    set_deadlines(args, (Unit::Millis, 0), "hpexpireat", keys, reply)
}

/// What became of a field, as a reply says it.
mod outcome {
    pub(super) const MISSING: i64 = -2;
    pub(super) const NO_DEADLINE: i64 = -1;
    pub(super) const NOT_MET: i64 = 0;
    pub(super) const DONE: i64 = 1;
    pub(super) const TAKEN_OUT: i64 = 2;
}

fn set_deadlines(
    mut args: Args<'_>,
    (unit, base): (Unit, Millis),
    command: &'static str,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let key: Key<'_> = args.take()?;
    let mut entry = keys.hash_entry(key.0)?;
    let deadline = deadline_of(not_negative(args.bytes()?)?, unit, base, command)?;
    let condition = Condition::take_one(&mut args);
    take_fields(&mut args, "ERR Parameter `numFields` should be greater than 0")?;

    let is_past = deadline <= entry.now();
    reply.array(args.len());
    let (changed, refused) = count_done(args.rest(), |field| {
        let old = entry.get().and_then(|map| map.deadline(field));
        let outcome = match old {
            None => outcome::MISSING,
            Some(old) if !condition.holds(old, deadline) => outcome::NOT_MET,
            Some(_) if is_past => {
                entry.remove(field)?;
                outcome::TAKEN_OUT
            }
            Some(_) => {
                entry.set_deadline(field, Some(deadline))?;
                outcome::DONE
            }
        };
        reply.integer(outcome);
        Ok::<_, Refused>(outcome > outcome::NOT_MET)
    });
    if changed > 0 {
        entry.noted_parts(if is_past { event::HDEL } else { event::HEXPIRE }, changed);
    }
    Ok(refused?)
}

/// A number that says when, which must not be negative.
pub(super) fn not_negative(raw: &[u8]) -> Result<i64, CommandError> {
    let number = command::parse_integer(raw).ok_or(CommandError::NotAnInteger)?;
    if number < 0 {
        return Err(CommandError::text("ERR invalid expire time, must be >= 0"));
    }
    Ok(number)
}

pub(super) const HPERSIST: Command = Command {
    name: "HPERSIST",
    member: Some(4),
    run: Run::Write(hpersist),
    arity: Arity::AtLeast(5),
    summary: "Takes deadlines of fields away, so that they stay.",
    syntax: "key FIELDS numfields field ...",
    ..HEXPIRE
};

fn hpersist(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut entry = keys.hash_entry(key.0)?;
    take_fields(&mut args, "ERR Number of fields must be a positive integer")?;
    reply.array(args.len());
    let (changed, refused) = count_done(args.rest(), |field| {
        let outcome = match entry.get().and_then(|map| map.deadline(field)) {
            None => outcome::MISSING,
            Some(None) => outcome::NO_DEADLINE,
            Some(Some(_)) => {
                entry.set_deadline(field, None)?;
                outcome::DONE
            }
        };
        reply.integer(outcome);
        Ok::<_, Refused>(outcome == outcome::DONE)
    });
    if changed > 0 {
        entry.noted_parts(event::HPERSIST, changed);
    }
    Ok(refused?)
}

pub(super) const HTTL: Command = Command {
    name: "HTTL",
    member: Some(4),
    run: Run::Read(httl),
    arity: Arity::AtLeast(5),
    since: "7.4.0",
    summary: "Returns in how many seconds fields of a hash expire.",
    complexity: "O(1) for each field",
    syntax: "key FIELDS numfields field ...",
    tips: &["nondeterministic_output"],
    ..HGET
};

fn httl(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let now = keys.now();
    tell_deadlines(args, keys, reply, |deadline| deadline.saturating_sub(now).div_ceil(1000))
}

pub(super) const HPTTL: Command = Command {
    name: "HPTTL",
    run: Run::Read(hpttl),
    summary: "Returns in how many milliseconds fields of a hash expire.",
    ..HTTL
};

fn hpttl(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let now = keys.now();
    tell_deadlines(args, keys, reply, |deadline| deadline.saturating_sub(now))
}

pub(super) const HEXPIRETIME: Command = Command {
    name: "HEXPIRETIME",
    run: Run::Read(hexpiretime),
    summary: "Returns the second of Unix time when fields of a hash expire.",
    tips: &[],
    ..HTTL
};

fn hexpiretime(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    tell_deadlines(args, keys, reply, |deadline| deadline.div_ceil(1000))
}

pub(super) const HPEXPIRETIME: Command = Command {
    name: "HPEXPIRETIME",
    run: Run::Read(hpexpiretime),
    summary: "Returns the millisecond of Unix time when fields of a hash expire.",
    ..HEXPIRETIME
};

fn hpexpiretime(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    tell_deadlines(args, keys, reply, |deadline| deadline)
}

/// Replies with each field's deadline as it is shown, -1 if it has none, -2 if it is not there.
fn tell_deadlines(
    mut args: Args<'_>,
    keys: &View<'_>,
    reply: &mut Reply<'_>,
    shown: impl Fn(Millis) -> Millis,
) -> Done {
    let key: Key<'_> = args.take()?;
    let map = keys.hash_map(key.0)?;
    take_fields(&mut args, "ERR Number of fields must be a positive integer")?;
    reply.array(args.len());
    for field in args.rest() {
        reply.integer(match map.and_then(|map| map.deadline(field)) {
            None => outcome::MISSING,
            Some(None) => outcome::NO_DEADLINE,
            Some(Some(deadline)) => shown(deadline) as i64,
        });
    }
    Ok(())
}

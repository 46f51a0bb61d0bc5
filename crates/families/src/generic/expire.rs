//! When entries expire: set, asked for, taken away.
//!
//! A deadline is a moment in ms since the Unix epoch. One that has passed when it is set removes
//! the entry at once, and what subscribers are told is `del`.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, Unit, View, deadline_of, event,
};
use keyspace::Millis;

pub(super) const EXPIRE: Command = Command {
    name: "EXPIRE",
    run: Run::Write(expire),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::FAST,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "1.0.0",
    summary: "Sets in how many seconds a key expires.",
    syntax: "key seconds [NX | XX | GT | LT]",
    history: &[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")],
    ..Command::BASE
};

fn expire(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let now = keys.now();
    set_deadline(args, Unit::Seconds, now, "expire", keys, reply)
}

pub(super) const PEXPIRE: Command = Command {
    name: "PEXPIRE",
    run: Run::Write(pexpire),
    since: "2.6.0",
    summary: "Sets in how many milliseconds a key expires.",
    syntax: "key milliseconds [NX | XX | GT | LT]",
    ..EXPIRE
};

fn pexpire(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let now = keys.now();
    set_deadline(args, Unit::Millis, now, "pexpire", keys, reply)
}

pub(super) const EXPIREAT: Command = Command {
    name: "EXPIREAT",
    run: Run::Write(expireat),
    since: "1.2.0",
    summary: "Sets the second of Unix time when a key expires.",
    syntax: "key unix-time-seconds [NX | XX | GT | LT]",
    ..EXPIRE
};

fn expireat(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    set_deadline(args, Unit::Seconds, 0, "expireat", keys, reply)
}

pub(super) const PEXPIREAT: Command = Command {
    name: "PEXPIREAT",
    run: Run::Write(pexpireat),
    since: "2.6.0",
    summary: "Sets the millisecond of Unix time when a key expires.",
    syntax: "key unix-time-milliseconds [NX | XX | GT | LT]",
    ..EXPIRE
};

fn pexpireat(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    set_deadline(args, Unit::Millis, 0, "pexpireat", keys, reply)
}

fn set_deadline(
    mut args: Args<'_>,
    unit: Unit,
    base: Millis,
    command: &'static str,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let (key, number): (Key<'_>, &[u8]) = (args.take()?, args.bytes()?);
    let condition = Condition::parse(args)?;
    let number = command::parse_integer(number).ok_or(CommandError::NotAnInteger)?;
    let deadline = deadline_of(number, unit, base, command)?;

    let met = keys.info(key.0).is_some_and(|info| condition.holds(info.deadline, deadline));
    if met && keys.frame().is_over(deadline) {
        keys.remove(key.0, event::DEL);
    } else if met {
        keys.set_deadline(key.0, Some(deadline), event::EXPIRE)?;
    }
    reply.integer(i64::from(met));
    Ok(())
}

/// What must hold of the old deadline for a new one to be set. NX goes with none of the others,
/// GT not with LT.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Condition {
    /// `NX`: there must be none.
    none: bool,
    /// `XX`: there must be one.
    one: bool,
    /// `GT`: it must be earlier; none at all is later than any.
    later: bool,
    /// `LT`: it must be later.
    earlier: bool,
}

impl Condition {
    fn parse(mut args: Args<'_>) -> Result<Condition, CommandError> {
        let mut condition = Condition::default();
        while !args.is_empty() {
            if args.word("NX") {
                condition.none = true;
            } else if args.word("XX") {
                condition.one = true;
            } else if args.word("GT") {
                condition.later = true;
            } else if args.word("LT") {
                condition.earlier = true;
            } else {
                let option = String::from_utf8_lossy(args.bytes()?);
                return Err(CommandError::UnsupportedOption(option.into()));
            }
        }
        let Condition { none, one, later, earlier } = condition;
        if none && (one || later || earlier) {
            return Err(CommandError::ExpireNxAlone);
        }
        if later && earlier {
            return Err(CommandError::ExpireGtLt);
        }
        Ok(condition)
    }

    /// Takes one of the words, if one is next.
    pub(crate) fn take_one(args: &mut Args<'_>) -> Condition {
        let mut condition = Condition::default();
        let Condition { none, one, later, earlier } = &mut condition;
        let words = [("NX", none), ("XX", one), ("GT", later), ("LT", earlier)];
        for (word, given) in words {
            *given = args.word(word);
            if *given {
                break;
            }
        }
        condition
    }

    pub(crate) fn holds(self, old: Option<Millis>, new: Millis) -> bool {
        !(self.none && old.is_some()
            || self.one && old.is_none()
            || self.later && old.is_none_or(|old| new <= old)
            || self.earlier && old.is_some_and(|old| new >= old))
    }
}

pub(super) const TTL: Command = Command {
    name: "TTL",
    run: Run::Read(ttl),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::FAST,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "1.0.0",
    summary: "Returns in how many seconds a key expires.",
    syntax: "key",
    tips: &["nondeterministic_output"],
    history: &[("2.8.0", "-2 for a key that is not there.")],
    ..Command::BASE
};

fn ttl(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let now = keys.now();
    tell_deadline(args, keys, reply, |deadline| seconds(deadline.saturating_sub(now)))
}

pub(super) const PTTL: Command = Command {
    name: "PTTL",
    run: Run::Read(pttl),
    since: "2.6.0",
    summary: "Returns in how many milliseconds a key expires.",
    ..TTL
};

fn pttl(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let now = keys.now();
    tell_deadline(args, keys, reply, |deadline| deadline.saturating_sub(now))
}

pub(super) const EXPIRETIME: Command = Command {
    name: "EXPIRETIME",
    run: Run::Read(expiretime),
    since: "7.0.0",
    summary: "Returns the second of Unix time when a key expires.",
    tips: &[],
    history: &[],
    ..TTL
};

fn expiretime(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    tell_deadline(args, keys, reply, seconds)
}

pub(super) const PEXPIRETIME: Command = Command {
    name: "PEXPIRETIME",
    run: Run::Read(pexpiretime),
    since: "7.0.0",
    summary: "Returns the millisecond of Unix time when a key expires.",
    tips: &[],
    history: &[],
    ..TTL
};

fn pexpiretime(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    tell_deadline(args, keys, reply, |deadline| deadline)
}

/// Replies with a deadline as it is shown, -1 if a key has none, -2 if there is no such key.
fn tell_deadline(
    args: Args<'_>,
    keys: &View<'_>,
    reply: &mut Reply<'_>,
    shown: impl FnOnce(Millis) -> Millis,
) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    reply.integer(match keys.deadline(key.0) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline)) => shown(deadline) as i64,
    });
    Ok(())
}

/// Milliseconds in seconds, rounded to the nearest.
fn seconds(millis: Millis) -> u64 {
    (millis + 500) / 1000
}

pub(super) const PERSIST: Command = Command {
    name: "PERSIST",
    run: Run::Write(persist),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::FAST,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "2.2.0",
    summary: "Takes a key's deadline away, so that it stays.",
    syntax: "key",
    ..Command::BASE
};

fn persist(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let expires = keys.info(key.0).is_some_and(|info| info.deadline.is_some());
    if expires {
        keys.set_deadline(key.0, None, event::PERSIST)?;
    }
    reply.integer(i64::from(expires));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare_with_the_old_deadline() {
        let nx = Condition { none: true, ..Condition::default() };
        let xx = Condition { one: true, ..Condition::default() };
        let gt = Condition { later: true, ..Condition::default() };
        let lt = Condition { earlier: true, ..Condition::default() };
        // For an old deadline of none and of 10: does a new one of 9, 10, 11 go?
        let table = [
            (Condition::default(), [true; 3], [true; 3]),
            (nx, [true; 3], [false; 3]),
            (xx, [false; 3], [true; 3]),
            (gt, [false; 3], [false, false, true]),
            (lt, [true; 3], [true, false, false]),
        ];
        for (condition, without, with) in table {
            for (nth, new) in [9, 10, 11].into_iter().enumerate() {
                assert_eq!(condition.holds(None, new), without[nth], "{condition:?} {new}");
                assert_eq!(condition.holds(Some(10), new), with[nth], "{condition:?} {new}");
            }
        }
    }

    #[test]
    fn seconds_are_rounded_to_the_nearest() {
        assert_eq!([0, 499, 500, 1499, 1500].map(seconds), [0, 0, 1, 1, 2]);
    }
}

//! Strings as a whole, written: `SET` with its options, and the older names of some of them:
//! `SETNX`, `SETEX`, `PSETEX`, `GETSET`.
//!
//! # Invariants
//!
//! * A string that would have expired already is not written; what it would have overwritten is
//!   removed.
//! * With `GET` the reply is the old value, whatever becomes of the condition.

use std::sync::Arc;

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Lifetime, LifetimeWord, Prepared, Reply, Run, Unit, View, Words, event,
};
use keyspace::{Event, Expiry, Millis, Refused, StrEntry};

use super::compare::Condition;
use super::reply_with;
use crate::work;

pub(super) const SET: Command = Command {
    name: "SET",
    run: Run::Write(|args, keys, reply| set(args, None, keys, reply)),
    work: Some(compared),
    prepare: Some(|args, _, _| Ok(copying(args, 1, set))),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "access", "update", "variable_flags"]))
        .noting("The old value is read only with GET.")],
    key_use: Some(set_use),
    flags: Flags::DENY_OOM,
    category: Category::STRING,
    group: Group::String,
    since: "1.0.0",
    summary: "Sets the string value of a key, whatever it held.",
    syntax: "key value [NX | XX | IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | \
             IFDNE ifdne-digest] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | KEEPTTL] [STICK]",
    history: &[
        ("2.6.12", "`EX`, `PX`, `NX` and `XX`."),
        ("6.0.0", "`KEEPTTL`."),
        ("6.2.0", "`GET`, `EXAT` and `PXAT`."),
        ("7.0.0", "`GET` together with `NX`."),
        ("8.1.0", "`IFEQ` (Valkey; Redis from 8.4.0)."),
        ("8.4.0", "`IFNE`, `IFDEQ` and `IFDNE` (Redis)."),
    ],
    ..Command::BASE
};

/// What SET does to its key follows from whether it returns the old value.
fn set_use(words: Words<'_>) -> KeyUse {
    let mut options = words.iter().skip(3);
    let returns = options.any(|word| word.eq_ignore_ascii_case(b"GET"));
    if returns { KeyUse::UPDATE } else { KeyUse::OVERWRITE }
}

/// A digest is computed of all of the old value.
fn compared(args: Args<'_>, keys: &View<'_>) -> u64 {
    let has_digest =
        |word: &[u8]| word.eq_ignore_ascii_case(b"IFDEQ") || word.eq_ignore_ascii_case(b"IFDNE");
    let compares = args.len() > 3 && args.skip(2).rest().any(has_digest);
    if compares { work::looks_at_bytes(args, keys) } else { 0 }
}

/// A value that was copied before the keys were entered.
pub(super) type Copied = Option<Arc<Vec<u8>>>;

/// What stores a value, which is among the arguments as well.
type Storing = fn(Args<'_>, Copied, &mut View<'_>, &mut Reply<'_>) -> Done;

/// Copies the value, which is one of the arguments and may be long, before `store` is called with
/// its keys entered.
fn copying<'a>(args: Args<'a>, nth: usize, store: Storing) -> Prepared<'a> {
    Prepared::Apart(Box::new(move || {
        let copied = args.get(nth).map(|value| Arc::new(value.to_vec()));
        Box::new(move |keys, reply| store(args, copied, keys, reply))
    }))
}

fn set(mut args: Args<'_>, copied: Copied, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let value = args.bytes()?;
    if args.is_empty() {
        write(&mut keys.str_over(key.0), value, copied, Expiry::Clear, event::SET)?;
        reply.ok();
        return Ok(());
    }
    set_with(args, key, (value, copied), keys, reply)
}

/// Writes a string; the copy of it, if there is one.
#[inline]
fn write(
    entry: &mut StrEntry<'_>,
    value: &[u8],
    copied: Copied,
    expiry: Expiry,
    event: Event,
) -> Result<(), Refused> {
    match copied {
        None => entry.replace(value, expiry, event),
        Some(copied) => entry.replace_copied(copied, expiry, event),
    }
}

#[inline(never)]
fn set_with(
    args: Args<'_>,
    key: Key<'_>,
    (value, copied): (&[u8], Copied),
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let now = keys.now();
    let options = Options::parse(args)?;
    let expiry = expiry_of(options.lifetime, now, "set")?;

    let mut entry = keys.str_over(key.0);
    if options.get {
        entry.count_lookup();
    }
    if entry.holds_other() && (options.get || options.condition.compares()) {
        return Err(CommandError::WrongType);
    }
    if options.get {
        reply_with(entry.get(), reply);
    }
    let holds = options.condition.holds(entry.exists().then(|| entry.bytes()));
    if holds {
        store(&mut entry, value, copied, expiry)?;
    }
    if holds && options.stick {
        keys.stick(key.0);
    }
    match (options.get, holds) {
        (true, _) => {}
        (false, true) => reply.ok(),
        (false, false) => reply.null(),
    }
    Ok(())
}

/// What stands behind the value.
struct Options<'a> {
    condition: Condition<'a>,
    get: bool,
    lifetime: Option<Lifetime<'a>>,
    stick: bool,
}

impl<'a> Options<'a> {
    fn parse(mut args: Args<'a>) -> Result<Options<'a>, CommandError> {
        let (mut get, mut stick, mut lifetime) = (false, false, None);
        let mut condition = None;
        while !args.is_empty() {
            if args.word("GET") {
                get = true;
            } else if args.word("STICK") {
                stick = true;
            } else if !Condition::take(&mut args, &mut condition)?
                && !Lifetime::take(&mut args, LifetimeWord::KeepTtl, &mut lifetime)?
            {
                return Err(CommandError::Syntax);
            }
        }
        let condition = condition.unwrap_or(Condition::Always).checked()?;
        Ok(Options { condition, get, lifetime, stick })
    }
}

/// What becomes of the deadline of an entry that is written with these options.
pub(super) fn expiry_of(
    lifetime: Option<Lifetime<'_>>,
    now: Millis,
    command: &'static str,
) -> Result<Expiry, CommandError> {
    let Some(lifetime) = lifetime else { return Ok(Expiry::Clear) };
    Ok(lifetime.moment(now, command)?.map_or(Expiry::Keep, Expiry::At))
}

/// Writes a string, unless it is to expire at a moment that has passed.
pub(super) fn store(
    entry: &mut StrEntry<'_>,
    value: &[u8],
    copied: Copied,
    expiry: Expiry,
) -> Result<(), Refused> {
    match expiry {
        Expiry::At(moment) if entry.frame().is_over(moment) => {
            entry.remove(event::DEL);
        }
        Expiry::At(_) => {
            write(entry, value, copied, expiry, event::SET)?;
            entry.also(event::EXPIRE);
        }
        Expiry::Keep | Expiry::Clear => write(entry, value, copied, expiry, event::SET)?,
    }
    Ok(())
}

pub(super) const SETNX: Command = Command {
    name: "SETNX",
    run: Run::Write(|args, keys, reply| setnx(args, None, keys, reply)),
    prepare: Some(|args, _, _| Ok(copying(args, 1, setnx))),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::CREATE)],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    summary: "Sets the string value of a key that does not exist.",
    syntax: "key value",
    deprecated: Some(("2.6.12", "`SET` with the `NX` argument")),
    history: &[],
    ..SET
};

fn setnx(args: Args<'_>, copied: Copied, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, value): (Key<'_>, &[u8]) = args.parse()?;
    let mut entry = keys.str_over(key.0);
    let is_new = !entry.exists();
    if is_new {
        write(&mut entry, value, copied, Expiry::Clear, event::SET)?;
    }
    reply.integer(i64::from(is_new));
    Ok(())
}

pub(super) const SETEX: Command = Command {
    name: "SETEX",
    run: Run::Write(|args, keys, reply| setex(args, None, keys, reply)),
    prepare: Some(|args, _, _| Ok(copying(args, 2, setex))),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::OVERWRITE)],
    since: "2.0.0",
    summary: "Sets the string value of a key, which expires so many seconds from now.",
    syntax: "key seconds value",
    deprecated: Some(("2.6.12", "`SET` with the `EX` argument")),
    history: &[],
    ..SET
};

fn setex(args: Args<'_>, copied: Copied, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    set_for(args, copied, keys, reply, (Unit::Seconds, "setex"))
}

pub(super) const PSETEX: Command = Command {
    name: "PSETEX",
    run: Run::Write(|args, keys, reply| psetex(args, None, keys, reply)),
    prepare: Some(|args, _, _| Ok(copying(args, 2, psetex))),
    since: "2.6.0",
    summary: "Sets the string value of a key, which expires so many milliseconds from now.",
    syntax: "key milliseconds value",
    deprecated: Some(("2.6.12", "`SET` with the `PX` argument")),
    ..SETEX
};

fn psetex(args: Args<'_>, copied: Copied, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    set_for(args, copied, keys, reply, (Unit::Millis, "psetex"))
}

fn set_for(
    args: Args<'_>,
    copied: Copied,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
    (unit, command): (Unit, &'static str),
) -> Done {
    let (key, number, value): (Key<'_>, &[u8], &[u8]) = args.parse()?;
    let now = keys.now();
    let expiry = expiry_of(Some(Lifetime::from_now(number, unit)), now, command)?;
    store(&mut keys.str_over(key.0), value, copied, expiry)?;
    reply.ok();
    Ok(())
}

pub(super) const GETSET: Command = Command {
    name: "GETSET",
    run: Run::Write(|args, keys, reply| getset(args, None, keys, reply)),
    prepare: Some(|args, _, _| Ok(copying(args, 1, getset))),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::UPDATE)],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    summary: "Sets the string value of a key and returns the one it had.",
    syntax: "key value",
    deprecated: Some(("6.2.0", "`SET` with the `GET` argument")),
    history: &[],
    ..SET
};

fn getset(args: Args<'_>, copied: Copied, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, value): (Key<'_>, &[u8]) = args.parse()?;
    let mut entry = keys.str_entry_read(key.0)?;
    reply_with(entry.get(), reply);
    write(&mut entry, value, copied, Expiry::Clear, event::SET)?;
    Ok(())
}

//! Several strings at once: `MGET`, `MSET`, `MSETNX`, `MSETEX`.
//!
//! The keys are all entered before anything happens, so each of these happens as one.

use command::{
    Args, Arity, Begin, Category, Command, CommandError, Done, Find, Flags, Group, Key, KeySpec,
    KeyUse, Lifetime, LifetimeWord, Reply, Run, View, event, parse_integer,
};
use keyspace::Expiry;

use super::compare::Condition;
use super::reply_with;
use super::set::{expiry_of, store};

pub(super) const MGET: Command = Command {
    name: "MGET",
    run: Run::Read(mget),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::from(1, KeyUse::READ)],
    flags: Flags::FAST,
    category: Category::STRING,
    group: Group::String,
    since: "1.0.0",
    summary: "Returns the string values of several keys.",
    complexity: "O(N) where N is the number of keys",
    syntax: "key ...",
    tips: &["request_policy:multi_shard"],
    ..Command::BASE
};

fn mget(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    reply.array(args.len());
    for key in args.rest() {
        // A key of another type is as good as none here.
        reply_with(keys.str(key).unwrap_or(None), reply);
    }
    Ok(())
}

pub(super) const MSET: Command = Command {
    name: "MSET",
    run: Run::Write(mset),
    arity: Arity::AtLeast(3),
    keys: &[PAIRS],
    flags: Flags::DENY_OOM,
    since: "1.0.1",
    summary: "Sets the string values of several keys.",
    syntax: "(key value) ...",
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
    ..MGET
};

/// Every other word, from the first behind the command's name.
const PAIRS: KeySpec = KeySpec {
    begin: Begin::Index(1),
    find: Find::Range { last: -1, step: 2 },
    usage: KeyUse::OVERWRITE,
    note: "",
};

fn mset(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    check_pairs(args, "mset")?;
    for (key, value) in pairs(args) {
        keys.str_over(key.0).replace(value, Expiry::Clear, event::SET)?;
    }
    reply.ok();
    Ok(())
}

pub(super) const MSETNX: Command = Command {
    name: "MSETNX",
    run: Run::Write(msetnx),
    keys: &[KeySpec { usage: KeyUse::CREATE, ..PAIRS }],
    summary: "Sets the string values of several keys if none of them exists.",
    tips: &[],
    ..MSET
};

fn msetnx(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    check_pairs(args, "msetnx")?;
    let is_free = allow(Condition::IfNew, args, keys)?;
    if is_free {
        for (key, value) in pairs(args) {
            keys.str_over(key.0).replace(value, Expiry::Clear, event::SET)?;
        }
    }
    reply.integer(i64::from(is_free));
    Ok(())
}

pub(super) const MSETEX: Command = Command {
    name: "MSETEX",
    run: Run::Write(msetex),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec {
        begin: Begin::Index(1),
        find: Find::Counted { first: 1, step: 2 },
        usage: KeyUse::OVERWRITE,
        note: "",
    }],
    flags: Flags::DENY_OOM.and(Flags::MOVABLE_KEYS),
    since: "8.4.0",
    summary: "Sets the string values of several keys, under a condition and for a time.",
    syntax: "numkeys (key value) ... [NX | XX] [EX seconds | PX milliseconds | \
             EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    ..MSET
};

fn msetex(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let count = parse_count(args.bytes()?)?;
    let words = count.checked_mul(2).filter(|&words| words <= args.len());
    let words = words.ok_or(CommandError::WrongKeyCount)?;
    let (given, options) = (args.first(words), args.skip(words));
    let (condition, lifetime) = parse_options(options)?;
    let now = keys.now();
    let expiry = expiry_of(lifetime, now, "msetex")?;

    let holds = allow(condition, given, keys)?;
    if holds {
        for (key, value) in pairs(given) {
            store(&mut keys.str_over(key.0), value, None, expiry)?;
        }
    }
    reply.integer(i64::from(holds));
    Ok(())
}

/// How many pairs there are, from 1 to 2^31 - 1.
fn parse_count(raw: &[u8]) -> Result<usize, CommandError> {
    let count = parse_integer(raw).filter(|count| (1..=i64::from(i32::MAX)).contains(count));
    let count = count.and_then(|count| usize::try_from(count).ok());
    count.ok_or(CommandError::InvalidNumKeys)
}

/// What stands behind the pairs.
fn parse_options<'a>(
    mut args: Args<'a>,
) -> Result<(Condition<'a>, Option<Lifetime<'a>>), CommandError> {
    let (mut condition, mut lifetime) = (None, None);
    while !args.is_empty() {
        if !Condition::take(&mut args, &mut condition)?
            && !Lifetime::take(&mut args, LifetimeWord::KeepTtl, &mut lifetime)?
        {
            return Err(CommandError::Syntax);
        }
    }
    match condition.unwrap_or(Condition::Always) {
        plain @ (Condition::Always | Condition::IfNew | Condition::IfThere) => {
            Ok((plain, lifetime))
        }
        _ => Err(CommandError::Syntax),
    }
}

/// Makes sure that each key has a value.
fn check_pairs(args: Args<'_>, command: &str) -> Result<(), CommandError> {
    if args.len().is_multiple_of(2) {
        return Ok(());
    }
    Err(CommandError::WrongArity(command.into()))
}

fn pairs<'a>(args: Args<'a>) -> impl Iterator<Item = (Key<'a>, &'a [u8])> {
    let keys = args.rest().step_by(2).map(Key);
    keys.zip(args.rest().skip(1).step_by(2))
}

/// Whether a condition on the existence of keys holds of all of them.
fn allow(
    condition: Condition<'_>,
    args: Args<'_>,
    keys: &mut View<'_>,
) -> Result<bool, CommandError> {
    if condition == Condition::Always {
        return Ok(true);
    }
    for (key, _) in pairs(args) {
        let is_there = keys.str_over(key.0).exists();
        if !condition.holds(is_there.then_some(b"")) {
            return Ok(false);
        }
    }
    Ok(true)
}

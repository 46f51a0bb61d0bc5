//! Members and their scores: ZADD, ZINCRBY, ZREM.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event,
};
use keyspace::count_done;
use value::zset::Update;

pub(super) const ZADD: Command = Command {
    name: "ZADD",
    run: Run::Write(zadd),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    member: Some(3),
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::SORTED_SET,
    group: Group::SortedSet,
    since: "1.2.0",
    summary: "Adds members to a sorted set, which is made if need be, or changes their scores.",
    complexity: "O(log(N)) for each member",
    syntax: "key [NX|XX] [GT|LT] [CH] [INCR] (score member) ...",
    history: &[
        ("2.4.0", "Several members."),
        ("3.0.2", "`XX`, `NX`, `CH` and `INCR`."),
        ("6.2.0", "`GT` and `LT`."),
    ],
    ..Command::BASE
};

/// Which members a score is given to.
#[derive(Clone, Copy, Default)]
pub(crate) struct When {
    /// Only to those that are not there.
    pub(crate) if_new: bool,
    /// Only to those that are there.
    pub(crate) if_present: bool,
    /// Of those that are there, only if it is greater than the old one.
    if_greater: bool,
    /// Of those that are there, only if it is less than the old one.
    if_less: bool,
}

impl When {
    /// The score that a member is to have: `None` if it is to stay as it is.
    pub(crate) fn decide(self, old: Option<f64>, score: f64) -> Option<f64> {
        let wanted = match old {
            None => !self.if_present,
            Some(old) => {
                !self.if_new && (!self.if_greater || score > old) && (!self.if_less || score < old)
            }
        };
        wanted.then_some(score)
    }
}

#[derive(Default)]
struct Options {
    when: When,
    count_changed: bool,
    increment: bool,
}

impl Options {
    /// Takes the options in front of the scores.
    fn take(args: &mut Args<'_>) -> Options {
        let mut options = Options::default();
        loop {
            let given = if args.word("NX") {
                &mut options.when.if_new
            } else if args.word("XX") {
                &mut options.when.if_present
            } else if args.word("CH") {
                &mut options.count_changed
            } else if args.word("INCR") {
                &mut options.increment
            } else if args.word("GT") {
                &mut options.when.if_greater
            } else if args.word("LT") {
                &mut options.when.if_less
            } else {
                return options;
            };
            *given = true;
        }
    }

    fn check(&self, words: usize) -> Result<(), CommandError> {
        let When { if_new, if_present, if_greater, if_less } = self.when;
        if words == 0 || !words.is_multiple_of(2) {
            return Err(CommandError::Syntax);
        }
        if if_new && if_present {
            return Err(CommandError::text(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        if if_greater && if_less || if_new && (if_greater || if_less) {
            return Err(CommandError::text(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.increment && words > 2 {
            return Err(CommandError::text(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(())
    }
}

fn zadd(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let options = Options::take(&mut args);
    options.check(args.len())?;
    if options.increment {
        return increment(key, args.take()?, args.bytes()?, options.when, keys, reply);
    }
    // All scores are looked at before the key is; one of them is not read twice.
    let first: f64 = score_of(args.get(0).unwrap_or_default())?;
    let mut others = args.skip(2).rest();
    while let (Some(score), Some(_)) = (others.next(), others.next()) {
        score_of(score)?;
    }
    let mut entry = keys.zset_entry(key.0)?;
    if !options.when.if_present {
        entry.expect(args.len() / 2, args.get(1).map_or(0, <[u8]>::len));
    }
    let (mut words, mut known, mut added) = (args.rest(), Some(first), 0);
    let pairs = std::iter::from_fn(|| words.next().zip(words.next()));
    let (done, outcome) = count_done(pairs, |(score, name)| {
        let score = known.take().map_or_else(|| score_of(score), Ok)?;
        let decide = |old| Ok::<_, CommandError>(options.when.decide(old, score));
        let update = entry.update(name, decide)?;
        added += usize::from(update.is_added());
        Ok::<_, CommandError>(update.is_added() || update.is_changed())
    });
    if done > 0 {
        entry.noted_parts(event::ZADD, done);
    }
    outcome?;
    reply.integer(if options.count_changed { done } else { added } as i64);
    Ok(())
}

/// A score; mostly it is an integer.
fn score_of(text: &[u8]) -> Result<f64, CommandError> {
    match command::parse_integer(text) {
        Some(integer) => Ok(integer as f64),
        None => command::parse_float(text).ok_or(CommandError::NotAFloat),
    }
}

pub(super) const ZINCRBY: Command = Command {
    name: "ZINCRBY",
    run: Run::Write(zincrby),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::UPDATE)],
    summary: "Adds a number to the score of a member, which starts at 0.",
    complexity: "O(log(N))",
    syntax: "key increment member",
    history: &[],
    ..ZADD
};

fn zincrby(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, by, name): (Key<'_>, f64, &[u8]) = args.parse()?;
    increment(key, by, name, When::default(), keys, reply)
}

fn increment(
    key: Key<'_>,
    by: f64,
    name: &[u8],
    when: When,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let mut entry = keys.zset_entry(key.0)?;
    let update: Update = entry.update(name, |old| {
        let score = old.unwrap_or(0.0) + by;
        if score.is_nan() {
            // Not even looked at where it is not wanted.
            return match when.if_new && old.is_some() {
                true => Ok(None),
                false => Err(CommandError::text("ERR resulting score is not a number (NaN)")),
            };
        }
        Ok(when.decide(old, score))
    })?;
    if update.is_added() || update.is_changed() {
        entry.noted(event::ZINCR);
    }
    match update.new {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
    Ok(())
}

pub(super) const ZREM: Command = Command {
    name: "ZREM",
    run: Run::Write(zrem),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "delete"]))],
    member: Some(2),
    flags: Flags::FAST,
    summary: "Takes members out of a sorted set.",
    syntax: "key member ...",
    history: &[("2.4.0", "Several members.")],
    ..ZADD
};

fn zrem(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut entry = keys.zset_entry(key.0)?;
    let (removed, outcome) = count_done(args.rest(), |name| entry.remove(name));
    if removed > 0 {
        entry.noted_parts(event::ZREM, removed);
    }
    outcome?;
    reply.integer(removed as i64);
    Ok(())
}

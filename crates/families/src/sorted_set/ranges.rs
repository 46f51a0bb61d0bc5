//! Parts of a sorted set: ZRANGE and its older names, ZRANGESTORE, ZREMRANGEBY*.

use command::{
    Args, Arity, Command, CommandError, Done, Flags, Key, KeySpec, KeyUse, Prepared, Reply, Run,
    View, event,
};
use keyspace::{Event, zset_of};
use value::zset::{Name, ZSetRef};

use super::add::ZADD;
use super::range::{By, Limit, Part};
use super::{Outcome, name_of, tell_pair};
use crate::element::tell_count;
use crate::work;

pub(super) const ZRANGE: Command = Command {
    name: "ZRANGE",
    member: None,
    work: Some(|args, keys| amount(None, None, args, keys)),
    run: Run::Read(|args, keys, reply| range(None, None, args, keys, reply)),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    summary: "Returns the members of a part of a sorted set.",
    complexity: "O(log(N)+M) for M members returned",
    syntax: "key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
    history: &[("6.2.0", "`REV`, `BYSCORE`, `BYLEX` and `LIMIT`.")],
    ..ZADD
};

pub(super) const ZREVRANGE: Command = Command {
    name: "ZREVRANGE",
    work: Some(|args, keys| amount(Some(By::Rank), Some(true), args, keys)),
    run: Run::Read(|args, keys, reply| range(Some(By::Rank), Some(true), args, keys, reply)),
    summary: "Returns the members of a range of ranks, counted from the greatest score.",
    syntax: "key start stop [WITHSCORES]",
    deprecated: Some(("6.2.0", "`ZRANGE` with `REV`")),
    history: &[],
    ..ZRANGE
};

pub(super) const ZRANGEBYSCORE: Command = Command {
    name: "ZRANGEBYSCORE",
    work: Some(|args, keys| amount(Some(By::Score), Some(false), args, keys)),
    run: Run::Read(|args, keys, reply| range(Some(By::Score), Some(false), args, keys, reply)),
    since: "1.0.5",
    summary: "Returns the members with scores within a range.",
    syntax: "key min max [WITHSCORES] [LIMIT offset count]",
    deprecated: Some(("6.2.0", "`ZRANGE` with `BYSCORE`")),
    history: &[("2.0.0", "`WITHSCORES`.")],
    ..ZRANGE
};

pub(super) const ZREVRANGEBYSCORE: Command = Command {
    name: "ZREVRANGEBYSCORE",
    work: Some(|args, keys| amount(Some(By::Score), Some(true), args, keys)),
    run: Run::Read(|args, keys, reply| range(Some(By::Score), Some(true), args, keys, reply)),
    since: "2.2.0",
    summary: "Returns the members with scores within a range, the greatest first.",
    syntax: "key max min [WITHSCORES] [LIMIT offset count]",
    deprecated: Some(("6.2.0", "`ZRANGE` with `REV` and `BYSCORE`")),
    history: &[("2.1.6", "`min` and `max` may be exclusive.")],
    ..ZRANGE
};

pub(super) const ZRANGEBYLEX: Command = Command {
    name: "ZRANGEBYLEX",
    work: Some(|args, keys| amount(Some(By::Lex), Some(false), args, keys)),
    run: Run::Read(|args, keys, reply| range(Some(By::Lex), Some(false), args, keys, reply)),
    since: "2.8.9",
    summary: "Returns the members within a range of bytes, where all have the same score.",
    syntax: "key min max [LIMIT offset count]",
    deprecated: Some(("6.2.0", "`ZRANGE` with `BYLEX`")),
    history: &[],
    ..ZRANGE
};

pub(super) const ZREVRANGEBYLEX: Command = Command {
    name: "ZREVRANGEBYLEX",
    work: Some(|args, keys| amount(Some(By::Lex), Some(true), args, keys)),
    run: Run::Read(|args, keys, reply| range(Some(By::Lex), Some(true), args, keys, reply)),
    since: "2.8.9",
    summary: "Returns the members within a range of bytes, the last one first.",
    syntax: "key max min [LIMIT offset count]",
    deprecated: Some(("6.2.0", "`ZRANGE` with `REV` and `BYLEX`")),
    history: &[],
    ..ZRANGE
};

pub(super) const ZRANGESTORE: Command = Command {
    name: "ZRANGESTORE",
    work: Some(|args, keys| work::SORT_STEPS * amount(None, None, args.skip(1), keys)),
    run: Run::Write(zrangestore),
    prepare: Some(|args, keys, _| prepare(args, keys)),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::one(1, KeyUse::OVERWRITE), KeySpec::one(2, KeyUse::READ)],
    flags: Flags::DENY_OOM,
    since: "6.2.0",
    summary: "Stores the members of a part of a sorted set.",
    complexity: "O(log(N)+M) for M members stored",
    syntax: "destination source min max [BYSCORE|BYLEX] [REV] [LIMIT offset count]",
    history: &[],
    ..ZRANGE
};

/// A part of a set, as a request asks for it.
struct Asked<'a> {
    part: Part<'a>,
    reverse: bool,
    limit: Limit,
    with_scores: bool,
}

impl<'a> Asked<'a> {
    /// Takes the ends and the options; `by` and `reverse` are given where the command's name says
    /// them.
    fn parse(
        args: Args<'a>,
        mut by: Option<By>,
        mut reverse: Option<bool>,
        may_have_scores: bool,
    ) -> Result<Asked<'a>, CommandError> {
        let (mut limit, mut with_scores) = (Limit::ALL, false);
        let (may_say_by, may_say_reverse) = (by.is_none(), reverse.is_none());
        let mut options = args.skip(2);
        while !options.is_empty() {
            if may_have_scores && options.word("WITHSCORES") {
                with_scores = true;
            } else if options.len() >= 3 && options.word("LIMIT") {
                limit = Limit { offset: options.take()?, count: options.take()? };
            } else if may_say_reverse && reverse.is_none() && options.word("REV") {
                reverse = Some(true);
            } else if may_say_by && by.is_none() && options.word("BYLEX") {
                by = Some(By::Lex);
            } else if may_say_by && by.is_none() && options.word("BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        check(by, limit, with_scores)?;
        let (mut min, mut max) = (args.get(0).unwrap_or_default(), args.get(1).unwrap_or_default());
        if reverse && by != By::Rank {
            (min, max) = (max, min);
        }
        Ok(Asked { part: Part::parse(by, min, max)?, reverse, limit, with_scores })
    }

    /// The ranks of what is asked for.
    fn ranks(&self, set: ZSetRef<'_>) -> std::ops::Range<usize> {
        let ranks = self.part.ranks(set, self.reverse);
        match self.part {
            // There is no limit to ranks, but an offset may be given, which does not count.
            Part::Rank(..) => ranks,
            Part::Score(..) | Part::Lex(..) => self.limit.of(ranks, self.reverse),
        }
    }
}

/// How many members a request means.
fn amount(by: Option<By>, reverse: Option<bool>, args: Args<'_>, keys: &View<'_>) -> u64 {
    let by_rank = matches!(by, None | Some(By::Rank)) && args.len() == 3;
    if let Some(few) = by_rank.then(|| work::few_between(args)).flatten() {
        return few;
    }
    work::part(args, keys, |key| {
        let asked = Asked::parse(args.skip(1), by, reverse, true).ok();
        let set = keys.stored(key).and_then(|stored| zset_of(stored, keys.hasher()));
        let ranks = asked.zip(set).map(|(asked, set)| asked.ranks(set));
        ranks.map_or(0, |ranks| ranks.len() as u64)
    })
}

/// How much it takes to take a part out.
fn removed(by: By, args: Args<'_>, keys: &View<'_>) -> u64 {
    let ends = || Some((args.get(1)?, args.get(2)?));
    let members = work::part(args, keys, |key| {
        let part = ends().and_then(|(min, max)| Part::parse(by, min, max).ok());
        let set = keys.stored(key).and_then(|stored| zset_of(stored, keys.hasher()));
        let ranks = part.zip(set).map(|(part, set)| part.ranks(set, false));
        ranks.map_or(0, |ranks| ranks.len() as u64)
    });
    work::REMOVE_STEPS * members
}

fn check(by: By, limit: Limit, with_scores: bool) -> Result<(), CommandError> {
    if limit.count != -1 && by == By::Rank {
        return Err(CommandError::text(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ));
    }
    if with_scores && by == By::Lex {
        return Err(CommandError::text(
            "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
        ));
    }
    Ok(())
}

fn range(
    by: Option<By>,
    reverse: Option<bool>,
    mut args: Args<'_>,
    keys: &View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let key: Key<'_> = args.take()?;
    let asked = Asked::parse(args, by, reverse, true)?;
    let Some(set) = keys.zset(key.0)? else {
        reply.array(0);
        return Ok(());
    };
    let ranks = asked.ranks(set);
    tell_count(ranks.len(), asked.with_scores, reply);
    let members = set.range(ranks);
    if asked.reverse {
        members.rev().for_each(|pair| tell_pair(pair, asked.with_scores, reply));
    } else {
        members.for_each(|pair| tell_pair(pair, asked.with_scores, reply));
    }
    Ok(())
}

fn zrangestore(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let destination: Key<'_> = args.take()?;
    stored(args, keys)?.put(destination, event::ZRANGESTORE, keys, reply)
}

fn prepare<'p>(mut args: Args<'_>, keys: &View<'_>) -> Result<Prepared<'p>, CommandError> {
    let destination = args.bytes()?.to_vec();
    Ok(stored(args, keys)?.later(destination, event::ZRANGESTORE))
}

fn stored(mut args: Args<'_>, keys: &View<'_>) -> Result<Outcome, CommandError> {
    let source: Key<'_> = args.take()?;
    let asked = Asked::parse(args, None, None, false)?;
    let pairs: Vec<(Name, f64)> = match keys.zset(source.0)? {
        None => Vec::new(),
        Some(set) => {
            set.range(asked.ranks(set)).map(|(name, score)| (name_of(name), score)).collect()
        }
    };
    Outcome::of(pairs, keys)
}

pub(super) const ZREMRANGEBYRANK: Command = Command {
    name: "ZREMRANGEBYRANK",
    member: None,
    work: Some(|args, keys| removed(By::Rank, args, keys)),
    run: Run::Write(|args, keys, reply| {
        remove(By::Rank, event::ZREMRANGEBYRANK, args, keys, reply)
    }),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "delete"]))],
    flags: Flags::NONE,
    since: "2.0.0",
    summary: "Takes the members of a range of ranks out of a sorted set.",
    complexity: "O(log(N)+M) for M members taken out",
    syntax: "key start stop",
    history: &[],
    ..ZADD
};

pub(super) const ZREMRANGEBYSCORE: Command = Command {
    name: "ZREMRANGEBYSCORE",
    work: Some(|args, keys| removed(By::Score, args, keys)),
    run: Run::Write(|args, keys, reply| {
        remove(By::Score, event::ZREMRANGEBYSCORE, args, keys, reply)
    }),
    since: "1.2.0",
    summary: "Takes the members with scores within a range out of a sorted set.",
    syntax: "key min max",
    ..ZREMRANGEBYRANK
};

pub(super) const ZREMRANGEBYLEX: Command = Command {
    name: "ZREMRANGEBYLEX",
    work: Some(|args, keys| removed(By::Lex, args, keys)),
    run: Run::Write(|args, keys, reply| remove(By::Lex, event::ZREMRANGEBYLEX, args, keys, reply)),
    since: "2.8.9",
    summary: "Takes the members within a range of bytes out of a sorted set.",
    syntax: "key min max",
    ..ZREMRANGEBYRANK
};

fn remove(
    by: By,
    event: Event,
    args: Args<'_>,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let (key, min, max): (Key<'_>, &[u8], &[u8]) = args.parse()?;
    let part = Part::parse(by, min, max)?;
    let mut entry = keys.zset_entry(key.0)?;
    let ranks = entry.get().map_or(0..0, |set| part.ranks(set, false));
    let removed = entry.remove_range(ranks)?;
    if removed > 0 {
        entry.noted_parts(event, removed);
    }
    reply.integer(removed as i64);
    Ok(())
}

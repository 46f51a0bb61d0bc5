//! What is known of members: ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK, ZCOUNT, ZLEXCOUNT, ZSCAN.

use command::{
    Args, Arity, Command, CommandError, Done, Flags, Key, KeySpec, KeyUse, Reply, Run, View,
};
use keyspace::Type;
use protocol::format_double;
use value::entries::Digits;
use value::zset::ZSetRef;

use super::add::ZADD;
use super::range::{By, Part};
use crate::walk::Walk;
use crate::work;

pub(super) const ZCARD: Command = Command {
    name: "ZCARD",
    member: None,
    run: Run::Read(zcard),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::LOOK)],
    flags: Flags::FAST,
    summary: "Returns how many members a sorted set has.",
    complexity: "O(1)",
    syntax: "key",
    history: &[],
    ..ZADD
};

fn zcard(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    reply.integer(keys.zset(key.0)?.map_or(0, |set| set.len()) as i64);
    Ok(())
}

pub(super) const ZSCORE: Command = Command {
    name: "ZSCORE",
    run: Run::Read(zscore),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    member: Some(2),
    summary: "Returns the score of a member.",
    syntax: "key member",
    ..ZCARD
};

fn zscore(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name): (Key<'_>, &[u8]) = args.parse()?;
    tell_score(keys.zset(key.0)?.and_then(|set| set.score(name)), reply);
    Ok(())
}

fn tell_score(score: Option<f64>, reply: &mut Reply<'_>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

pub(super) const ZMSCORE: Command = Command {
    name: "ZMSCORE",
    run: Run::Read(zmscore),
    arity: Arity::AtLeast(3),
    since: "6.2.0",
    summary: "Returns the scores of several members.",
    complexity: "O(1) for each member",
    syntax: "key member ...",
    ..ZSCORE
};

fn zmscore(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let set = keys.zset(key.0)?;
    reply.array(args.len());
    for name in args.rest() {
        tell_score(set.and_then(|set| set.score(name)), reply);
    }
    Ok(())
}

pub(super) const ZRANK: Command = Command {
    name: "ZRANK",
    run: Run::Read(|args, keys, reply| rank(false, args, keys, reply)),
    arity: Arity::AtLeast(3),
    since: "2.0.0",
    summary: "Returns how many members come before one.",
    complexity: "O(log(N))",
    syntax: "key member [WITHSCORE]",
    history: &[("7.2.0", "`WITHSCORE`.")],
    ..ZSCORE
};

pub(super) const ZREVRANK: Command = Command {
    name: "ZREVRANK",
    run: Run::Read(|args, keys, reply| rank(true, args, keys, reply)),
    summary: "Returns how many members come behind one.",
    ..ZRANK
};

fn rank(reverse: bool, mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    if args.len() > 3 {
        let name = if reverse { "zrevrank" } else { "zrank" };
        return Err(CommandError::WrongArity(name.into()));
    }
    let (key, name): (Key<'_>, &[u8]) = (args.take()?, args.take()?);
    let with_score = args.word("WITHSCORE");
    args.end()?;
    let set = keys.zset(key.0)?;
    let found = set.and_then(|set| {
        let (rank, score) = set.rank(name)?;
        Some((if reverse { set.len() - 1 - rank } else { rank }, score))
    });
    match found {
        None if with_score => reply.null_array(),
        None => reply.null(),
        Some((rank, score)) => {
            if with_score {
                reply.array(2);
            }
            reply.integer(rank as i64);
            if with_score {
                reply.double(score);
            }
        }
    }
    Ok(())
}

pub(super) const ZCOUNT: Command = Command {
    name: "ZCOUNT",
    member: None,
    run: Run::Read(|args, keys, reply| count(By::Score, args, keys, reply)),
    arity: Arity::Exactly(4),
    since: "2.0.0",
    summary: "Returns how many members have scores within a range.",
    complexity: "O(log(N))",
    syntax: "key min max",
    ..ZSCORE
};

pub(super) const ZLEXCOUNT: Command = Command {
    name: "ZLEXCOUNT",
    run: Run::Read(|args, keys, reply| count(By::Lex, args, keys, reply)),
    since: "2.8.9",
    summary: "Returns how many members lie within a range of bytes.",
    ..ZCOUNT
};

fn count(by: By, args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, min, max): (Key<'_>, &[u8], &[u8]) = args.parse()?;
    let part = Part::parse(by, min, max)?;
    let ranks = keys.zset(key.0)?.map_or(0..0, |set| part.ranks(set, false));
    reply.integer(ranks.len() as i64);
    Ok(())
}

pub(super) const ZSCAN: Command = Command {
    name: "ZSCAN",
    member: None,
    work: Some(work::met),
    run: Run::Read(zscan),
    arity: Arity::AtLeast(3),
    flags: Flags::NONE,
    since: "2.8.0",
    summary: "Returns some members of a sorted set with their scores, and where to go on.",
    complexity: "O(1) a call, O(N) for all",
    syntax: "key cursor [MATCH pattern] [COUNT count] [NOSCORES]",
    tips: &["nondeterministic_output"],
    ..ZSCORE
};

fn zscan(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut walk = Walk::begin(&mut args)?;
    let Some(set) = keys.zset(key.0)? else { return walk.tell_nothing(reply) };
    walk.parse(args, Type::ZSet)?;
    let (small, names_only) = (matches!(set, ZSetRef::Packed(..)), walk.names_only);
    let mut text = Vec::new();
    walk.run(small, reply, |cursor, found| {
        set.scan(cursor, |(name, score)| {
            let mut digits = Digits::new();
            let name = name.to_text(&mut digits);
            if !found.takes(name) {
                return;
            }
            found.part(name);
            if !names_only {
                text.clear();
                format_double(score, &mut text);
                found.part(&text);
            }
        })
    })
}

/// Makes sure that a count of members is one.
pub(super) fn positive(count: i64) -> Result<usize, CommandError> {
    usize::try_from(count).map_err(|_| CommandError::NotPositive)
}

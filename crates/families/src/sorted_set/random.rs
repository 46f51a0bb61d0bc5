//! Members by chance: ZRANDMEMBER.

use std::collections::HashSet;

use command::{
    Args, Arity, Command, CommandError, Done, Flags, Key, KeySpec, KeyUse, Reply, Run, View,
};
use value::zset::ZSetRef;

use super::add::ZADD;
use super::tell_pair;
use crate::chance::{Chances, check_count, check_repeated};
use crate::element::{tell, tell_count};
use crate::work;

pub(super) const ZRANDMEMBER: Command = Command {
    name: "ZRANDMEMBER",
    member: None,
    work: Some(work::drawn),
    run: Run::Read(zrandmember),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    since: "6.2.0",
    summary: "Returns members of a sorted set, chosen by chance.",
    complexity: "O(M*log(N)) for M members returned",
    syntax: "key [count [WITHSCORES]]",
    tips: &["nondeterministic_output"],
    history: &[],
    ..ZADD
};

fn zrandmember(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut chances = Chances::new(keys.frame().chance);
    if args.is_empty() {
        let set = keys.zset(key.0)?.filter(|set| !set.is_empty());
        match set.and_then(|set| set.nth(chances.below(set.len()))) {
            Some((name, _)) => tell(name, reply),
            None => reply.null(),
        }
        return Ok(());
    }
    let count = check_count(args.take()?)?;
    let with_scores = args.word("WITHSCORES");
    args.end()?;
    if with_scores && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(CommandError::text("ERR value is out of range"));
    }
    let Some(set) = keys.zset(key.0)?.filter(|set| count != 0 && !set.is_empty()) else {
        reply.array(0);
        return Ok(());
    };
    match usize::try_from(count) {
        Ok(count) => tell_different(set, count, with_scores, &mut chances, reply),
        Err(_) => tell_repeated(set, count.unsigned_abs(), with_scores, &mut chances, reply)?,
    }
    Ok(())
}

/// As many members, each one any.
fn tell_repeated(
    set: ZSetRef<'_>,
    count: u64,
    with_scores: bool,
    chances: &mut Chances,
    reply: &mut Reply<'_>,
) -> Done {
    let count = check_repeated(count, reply)?;
    tell_count(count as usize, with_scores, reply);
    for _ in 0..count {
        let pair = set.nth(chances.below(set.len()));
        let Some(pair) = pair.filter(|_| !reply.is_in_vain()) else { break };
        tell_pair(pair, with_scores, reply);
    }
    Ok(())
}

/// As many different members, or all of them.
fn tell_different(
    set: ZSetRef<'_>,
    count: usize,
    with_scores: bool,
    chances: &mut Chances,
    reply: &mut Reply<'_>,
) {
    /// From this part of a set on, all of it is looked at rather than drawn from.
    const MANY: usize = 3;
    let len = set.len();
    tell_count(count.min(len), with_scores, reply);
    if count >= len {
        set.iter().for_each(|pair| tell_pair(pair, with_scores, reply));
    } else if count > len / MANY {
        let mut all: Vec<_> = set.iter().collect();
        for nth in 0..count {
            let other = nth + chances.below(len - nth);
            all.swap(nth, other);
            tell_pair(all[nth], with_scores, reply);
        }
    } else {
        let mut drawn = HashSet::new();
        while drawn.len() < count {
            let rank = chances.below(len);
            if drawn.insert(rank)
                && let Some(pair) = set.nth(rank)
            {
                tell_pair(pair, with_scores, reply);
            }
        }
    }
}

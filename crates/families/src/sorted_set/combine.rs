//! Several sorted sets together: ZUNION, ZINTER, ZDIFF, and what stores or counts their results.
//!
//! Plain sets take part as sorted sets whose scores are all 1.

use std::collections::HashMap;

use command::{
    Args, Arity, Command, CommandError, Done, Flags, Key, KeySpec, KeyUse, Prepared, Reply, Run,
    View, event,
};
use keyspace::{Event, Refused};
use smallvec::SmallVec;
use value::KeyHasher;
use value::entries::{Digits, Element};
use value::heap::Full;
use value::set::SetRef;
use value::zset::{Gathered, Limits, Name, NewZSet, Pair, ZSetRef};

use super::add::ZADD;
use super::{Outcome, name_of, tell_pair};
use crate::element::tell_count;
use crate::work;

/// How sets are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// What is in any of them.
    Union,
    /// What is in all.
    Intersection,
    /// What is in the first and in no other.
    Difference,
}

/// What becomes of the scores of a member that several sets have.
#[derive(Clone, Copy, Default)]
enum Aggregate {
    /// Their sum.
    #[default]
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// They do not count: the sum of the weights of the sets that have it.
    Count,
}

impl Aggregate {
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum | Aggregate::Count => number(one + other),
            Aggregate::Min => {
                if other < one {
                    other
                } else {
                    one
                }
            }
            Aggregate::Max => {
                if other > one {
                    other
                } else {
                    one
                }
            }
        }
    }

    /// What a score of a set with this weight counts.
    fn weighted(self, score: f64, weight: f64) -> f64 {
        match self {
            Aggregate::Count => weight,
            _ => number(score * weight),
        }
    }
}

/// A score: infinities that cancel each other out are 0.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

const READ_KEYS: KeySpec = KeySpec::counted(1, KeyUse::READ);

const STORED_KEYS: &[KeySpec] =
    &[KeySpec::one(1, KeyUse::OVERWRITE), KeySpec::counted(2, KeyUse::READ)];

pub(super) const ZUNION: Command = Command {
    name: "ZUNION",
    member: None,
    work: Some(|args, keys| work::SORT_STEPS * work::all(work::counted(args), keys)),
    run: Run::Read(|args, keys, reply| combine(Operation::Union, "zunion", args, keys, reply)),
    arity: Arity::AtLeast(3),
    keys: &[READ_KEYS],
    flags: Flags::MOVABLE_KEYS,
    since: "6.2.0",
    summary: "Returns the members that any of several sorted sets has.",
    complexity: "O(N)+O(M*log(M)) for M members returned",
    syntax: "numkeys key ... [WEIGHTS weight ...] [AGGREGATE <SUM|MIN|MAX|COUNT>] [WITHSCORES]",
    history: &[("8.8.0", "`COUNT`.")],
    ..ZADD
};

pub(super) const ZINTER: Command = Command {
    name: "ZINTER",
    work: Some(|args, keys| work::INSERT_STEPS * work::smallest(work::counted(args), keys)),
    run: Run::Read(|args, keys, reply| {
        combine(Operation::Intersection, "zinter", args, keys, reply)
    }),
    summary: "Returns the members that several sorted sets have in common.",
    complexity: "O(N*K)+O(M*log(M)) for K sets, the smallest of N members, and M members returned",
    ..ZUNION
};

pub(super) const ZDIFF: Command = Command {
    name: "ZDIFF",
    work: Some(|args, keys| work::INSERT_STEPS * work::first(work::counted(args), keys)),
    run: Run::Read(|args, keys, reply| combine(Operation::Difference, "zdiff", args, keys, reply)),
    summary: "Returns the members of a sorted set that no other of several has.",
    complexity: "O(N*K) for K sets, the first of N members",
    syntax: "numkeys key ... [WITHSCORES]",
    history: &[],
    ..ZUNION
};

pub(super) const ZUNIONSTORE: Command = Command {
    name: "ZUNIONSTORE",
    work: Some(|args, keys| work::SORT_STEPS * work::all(work::counted(args.skip(1)), keys)),
    run: Run::Write(|args, keys, reply| {
        store(Operation::Union, "zunionstore", event::ZUNIONSTORE, args, keys, reply)
    }),
    prepare: Some(|args, keys, _| {
        prepare(Operation::Union, "zunionstore", event::ZUNIONSTORE, args, keys)
    }),
    arity: Arity::AtLeast(4),
    keys: STORED_KEYS,
    flags: Flags::DENY_OOM.and(Flags::MOVABLE_KEYS),
    since: "2.0.0",
    summary: "Stores the members that any of several sorted sets has.",
    syntax: "destination numkeys key ... [WEIGHTS weight ...] [AGGREGATE <SUM|MIN|MAX|COUNT>]",
    ..ZUNION
};

pub(super) const ZINTERSTORE: Command = Command {
    name: "ZINTERSTORE",
    work: Some(|args, keys| work::SORT_STEPS * work::smallest(work::counted(args.skip(1)), keys)),
    run: Run::Write(|args, keys, reply| {
        store(Operation::Intersection, "zinterstore", event::ZINTERSTORE, args, keys, reply)
    }),
    prepare: Some(|args, keys, _| {
        prepare(Operation::Intersection, "zinterstore", event::ZINTERSTORE, args, keys)
    }),
    summary: "Stores the members that several sorted sets have in common.",
    complexity: "O(N*K)+O(M*log(M)) for K sets, the smallest of N members, and M members stored",
    ..ZUNIONSTORE
};

pub(super) const ZDIFFSTORE: Command = Command {
    name: "ZDIFFSTORE",
    work: Some(|args, keys| work::SORT_STEPS * work::first(work::counted(args.skip(1)), keys)),
    run: Run::Write(|args, keys, reply| {
        store(Operation::Difference, "zdiffstore", event::ZDIFFSTORE, args, keys, reply)
    }),
    prepare: Some(|args, keys, _| {
        prepare(Operation::Difference, "zdiffstore", event::ZDIFFSTORE, args, keys)
    }),
    since: "6.2.0",
    summary: "Stores the members of a sorted set that no other of several has.",
    complexity: "O(N*K) for K sets, the first of N members",
    syntax: "destination numkeys key ...",
    history: &[],
    ..ZUNIONSTORE
};

pub(super) const ZINTERCARD: Command = Command {
    name: "ZINTERCARD",
    work: Some(|args, keys| work::smallest(work::counted(args), keys)),
    run: Run::Read(zintercard),
    since: "7.0.0",
    summary: "Returns how many members several sorted sets have in common.",
    complexity: "O(N*K) for K sets, the smallest of N members",
    syntax: "numkeys key ... [LIMIT limit]",
    history: &[],
    ..ZUNION
};

/// A set that takes part.
#[derive(Clone, Copy)]
enum Source<'v> {
    Sorted(ZSetRef<'v>),
    Plain(SetRef<'v>),
}

impl<'v> Source<'v> {
    fn of(key: &[u8], keys: &'v View<'_>) -> Result<Option<Source<'v>>, Refused> {
        match keys.stored(key) {
            Some(stored) if stored.kind() == keyspace::Type::Set => {
                Ok(keys.set(key)?.map(Source::Plain))
            }
            _ => Ok(keys.zset(key)?.map(Source::Sorted)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Source::Sorted(set) => set.len(),
            Source::Plain(set) => set.len(),
        }
    }

    fn score(&self, name: &[u8]) -> Option<f64> {
        match self {
            Source::Sorted(set) => set.score(name),
            Source::Plain(set) => set.contains(name).then_some(1.0),
        }
    }

    /// Meets the members, in any order, until `meet` has enough of them.
    fn each(&self, mut meet: impl FnMut(Pair<'v>) -> bool) {
        match self {
            Source::Sorted(set) => _ = set.unordered().all(meet),
            Source::Plain(set) => _ = set.iter().all(|name| meet((name, 1.0))),
        }
    }
}

/// What a request asks for.
struct Asked<'v> {
    /// With their weights; `None`: there is no such key.
    sources: SmallVec<[(Option<Source<'v>>, f64); 8]>,
    aggregate: Aggregate,
    with_scores: bool,
    /// How many members are enough; 0: all.
    limit: u64,
}

/// Which options a command has.
struct Allowed {
    weights: bool,
    scores: bool,
    limit: bool,
}

impl<'v> Asked<'v> {
    /// Takes the number of keys, the keys and the options.
    fn parse(
        mut args: Args<'_>,
        name: &str,
        allowed: &Allowed,
        keys: &'v View<'_>,
    ) -> Result<Asked<'v>, CommandError> {
        let numkeys: i64 = args.take()?;
        let numkeys = usize::try_from(numkeys).ok().filter(|&count| count > 0);
        let numkeys = numkeys.ok_or_else(|| {
            CommandError::text(format!("ERR at least 1 input key is needed for '{name}' command"))
        })?;
        if numkeys > args.len() {
            return Err(CommandError::Syntax);
        }
        let sources = args.first(numkeys).rest().map(|key| Ok((Source::of(key, keys)?, 1.0)));
        let sources = sources.collect::<Result<_, Refused>>()?;
        let aggregate = Aggregate::default();
        let mut asked = Asked { sources, aggregate, with_scores: false, limit: 0 };
        let mut options = args.skip(numkeys);
        while !options.is_empty() {
            asked.take_option(&mut options, allowed)?;
        }
        Ok(asked)
    }

    fn take_option(
        &mut self,
        options: &mut Args<'_>,
        allowed: &Allowed,
    ) -> Result<(), CommandError> {
        if allowed.weights && options.len() > self.sources.len() && options.word("WEIGHTS") {
            for (_, weight) in &mut self.sources {
                let given = command::parse_float(options.bytes()?);
                let refused = || CommandError::text("ERR weight value is not a float");
                *weight = given.ok_or_else(refused)?;
            }
        } else if allowed.weights && options.word_with_value("AGGREGATE") {
            let words = [
                ("SUM", Aggregate::Sum),
                ("MIN", Aggregate::Min),
                ("MAX", Aggregate::Max),
                ("COUNT", Aggregate::Count),
            ];
            let found = words.into_iter().find(|(word, _)| options.word(word));
            self.aggregate = found.ok_or(CommandError::Syntax)?.1;
        } else if allowed.scores && options.word("WITHSCORES") {
            self.with_scores = true;
        } else if allowed.limit && options.word_with_value("LIMIT") {
            let limit = command::parse_integer(options.bytes()?);
            let limit = limit.and_then(|limit| u64::try_from(limit).ok());
            self.limit = limit.ok_or(CommandError::LimitNegative)?;
        } else {
            return Err(CommandError::Syntax);
        }
        Ok(())
    }

    /// The result.
    fn result(&mut self, operation: Operation, keys: &View<'_>) -> Result<NewZSet, Refused> {
        let (limits, hasher) = (keys.frame().layout.zset, keys.hasher());
        let pairs = match operation {
            Operation::Union if self.is_large(&limits) => return Ok(self.large_union(hasher)?),
            Operation::Union => self.union(),
            Operation::Intersection => {
                let mut pairs = Vec::new();
                self.intersect(|name, score| {
                    pairs.push((name_of(name), score));
                    true
                });
                pairs
            }
            Operation::Difference => self.difference(),
        };
        Ok(NewZSet::of(pairs, &limits, hasher)?)
    }

    /// Whether the union is a large set for sure.
    fn is_large(&self, limits: &Limits) -> bool {
        let mut sources = self.sources.iter().filter_map(|(source, _)| source.as_ref());
        sources.any(|source| !limits.take(source.len()))
    }

    fn large_union(&mut self, hasher: &KeyHasher) -> Result<NewZSet, Full> {
        self.sort_sources();
        let aggregate = self.aggregate;
        let mut gathered = Gathered::new();
        for (source, weight) in &self.sources {
            let weighted = |(name, score)| (name, aggregate.weighted(score, *weight));
            let both = |one, other| aggregate.of(one, other);
            match source {
                Some(Source::Sorted(set)) => {
                    gathered.add(set.unordered().map(weighted), both, hasher)?;
                }
                Some(Source::Plain(set)) => {
                    let members = set.iter().map(|name| (name, 1.0));
                    gathered.add(members.map(weighted), both, hasher)?;
                }
                None => {}
            }
        }
        Ok(NewZSet::Big(Box::new(gathered.into_zset())))
    }

    /// Sums are taken from the smallest set to the largest: their digits depend on it.
    fn sort_sources(&mut self) {
        self.sources.sort_by_key(|(source, _)| source.map_or(0, |source| source.len()));
    }

    fn union(&mut self) -> Vec<(Name, f64)> {
        self.sort_sources();
        let aggregate = self.aggregate;
        let mut scores: HashMap<Name, f64> = HashMap::new();
        for (source, weight) in &self.sources {
            let Some(source) = source else { continue };
            source.each(|(name, score)| {
                let score = aggregate.weighted(score, *weight);
                let kept = scores.entry(name_of(name));
                kept.and_modify(|kept| *kept = aggregate.of(*kept, score)).or_insert(score);
                true
            });
        }
        scores.into_iter().collect()
    }

    /// Meets the members that all sets have, until `meet` has enough of them.
    fn intersect(&mut self, mut meet: impl FnMut(Element<'v>, f64) -> bool) {
        self.sort_sources();
        let Some(((Some(smallest), weight), others)) = self.sources.split_first() else { return };
        let aggregate = self.aggregate;
        smallest.each(|(name, score)| {
            let mut digits = Digits::new();
            let text = name.to_text(&mut digits);
            let first = aggregate.weighted(score, *weight);
            let score = others.iter().try_fold(first, |sum, (other, weight)| {
                let score = other.as_ref()?.score(text)?;
                Some(aggregate.of(sum, aggregate.weighted(score, *weight)))
            });
            score.is_none_or(|score| meet(name, score))
        });
    }

    fn difference(&self) -> Vec<(Name, f64)> {
        let mut pairs = Vec::new();
        let Some(((Some(first), _), others)) = self.sources.split_first() else { return pairs };
        first.each(|(name, score)| {
            let mut digits = Digits::new();
            let text = name.to_text(&mut digits);
            let mut others = others.iter().filter_map(|(other, _)| other.as_ref());
            if !others.any(|other| other.score(text).is_some()) {
                pairs.push((Name::from_slice(text), score));
            }
            true
        });
        pairs
    }
}

fn combine(
    operation: Operation,
    name: &str,
    args: Args<'_>,
    keys: &View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let weights = operation != Operation::Difference;
    let allowed = Allowed { weights, scores: true, limit: false };
    let mut asked = Asked::parse(args, name, &allowed, keys)?;
    let result = asked.result(operation, keys)?;
    let result = result.as_ref(keys.hasher());
    tell_count(result.len(), asked.with_scores, reply);
    for pair in result.iter() {
        tell_pair(pair, asked.with_scores, reply);
    }
    Ok(())
}

fn store(
    operation: Operation,
    name: &str,
    event: Event,
    mut args: Args<'_>,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let destination: Key<'_> = args.take()?;
    let result = result_of(operation, name, args, keys)?;
    result.put(destination, event, keys, reply)
}

fn prepare<'p>(
    operation: Operation,
    name: &str,
    event: Event,
    mut args: Args<'_>,
    keys: &View<'_>,
) -> Result<Prepared<'p>, CommandError> {
    let destination = args.bytes()?.to_vec();
    let result = result_of(operation, name, args, keys)?;
    Ok(result.later(destination, event))
}

fn result_of(
    operation: Operation,
    name: &str,
    args: Args<'_>,
    keys: &View<'_>,
) -> Result<Outcome, CommandError> {
    let weights = operation != Operation::Difference;
    let allowed = Allowed { weights, scores: false, limit: false };
    let result = Asked::parse(args, name, &allowed, keys)?.result(operation, keys)?;
    Ok(Outcome::made(result, keys))
}

fn zintercard(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let allowed = Allowed { weights: false, scores: false, limit: true };
    let mut asked = Asked::parse(args, "zintercard", &allowed, keys)?;
    let (mut count, limit) = (0_u64, asked.limit);
    asked.intersect(|_, _| {
        count += 1;
        count != limit
    });
    reply.integer(count as i64);
    Ok(())
}

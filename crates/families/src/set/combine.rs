//! Several sets together: SINTER, SUNION, SDIFF, and what stores or counts their results.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Prepared, Reply, Run, View, event, parse_positive,
};
use keyspace::{Event, Expiry, Refused};
use smallvec::SmallVec;
use value::entries::{Digits, Element};
use value::set::{BLOCK, NewSet, SetRef};

use crate::element::tell;
use crate::work;

/// How sets are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// What is in all of them.
    Intersection,
    /// What is in any.
    Union,
    /// What is in the first and in no other.
    Difference,
}

pub(super) const SINTER: Command = Command {
    name: "SINTER",
    work: Some(work::smallest),
    run: Run::Read(|args, keys, reply| combine(Operation::Intersection, args, keys, reply)),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::from(1, KeyUse::READ)],
    category: Category::SET,
    group: Group::Set,
    since: "1.0.0",
    summary: "Returns the members that several sets have in common.",
    complexity: "O(N*M) for M sets, the smallest of N members",
    syntax: "key ...",
    tips: &["nondeterministic_output_order"],
    ..Command::BASE
};

pub(super) const SUNION: Command = Command {
    name: "SUNION",
    work: Some(|args, keys| work::INSERT_STEPS * work::all(args, keys)),
    run: Run::Read(|args, keys, reply| combine(Operation::Union, args, keys, reply)),
    summary: "Returns the members that any of several sets has.",
    complexity: "O(N)",
    ..SINTER
};

pub(super) const SDIFF: Command = Command {
    name: "SDIFF",
    work: Some(work::first),
    run: Run::Read(|args, keys, reply| combine(Operation::Difference, args, keys, reply)),
    summary: "Returns the members of a set that no other of several sets has.",
    complexity: "O(N)",
    ..SINTER
};

pub(super) const SINTERSTORE: Command = Command {
    name: "SINTERSTORE",
    work: Some(|args, keys| work::smallest(args.skip(1), keys)),
    run: Run::Write(|args, keys, reply| {
        store(Operation::Intersection, event::SINTERSTORE, args, keys, reply)
    }),
    prepare: Some(|args, keys, _| prepare(Operation::Intersection, event::SINTERSTORE, args, keys)),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::OVERWRITE), KeySpec::from(2, KeyUse::READ)],
    flags: Flags::DENY_OOM,
    summary: "Stores the members that several sets have in common.",
    syntax: "destination key ...",
    tips: &[],
    ..SINTER
};

pub(super) const SUNIONSTORE: Command = Command {
    name: "SUNIONSTORE",
    work: Some(|args, keys| work::INSERT_STEPS * work::all(args.skip(1), keys)),
    run: Run::Write(|args, keys, reply| {
        store(Operation::Union, event::SUNIONSTORE, args, keys, reply)
    }),
    prepare: Some(|args, keys, _| prepare(Operation::Union, event::SUNIONSTORE, args, keys)),
    summary: "Stores the members that any of several sets has.",
    complexity: "O(N)",
    ..SINTERSTORE
};

pub(super) const SDIFFSTORE: Command = Command {
    name: "SDIFFSTORE",
    work: Some(|args, keys| work::first(args.skip(1), keys)),
    run: Run::Write(|args, keys, reply| {
        store(Operation::Difference, event::SDIFFSTORE, args, keys, reply)
    }),
    prepare: Some(|args, keys, _| prepare(Operation::Difference, event::SDIFFSTORE, args, keys)),
    summary: "Stores the members of a set that no other of several sets has.",
    complexity: "O(N)",
    ..SINTERSTORE
};

pub(super) const SINTERCARD: Command = Command {
    name: "SINTERCARD",
    work: Some(|args, keys| work::smallest(work::counted(args), keys)),
    run: Run::Read(|args, keys, reply| count(Operation::Intersection, args, keys, reply)),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::counted(1, KeyUse::READ)],
    flags: Flags::MOVABLE_KEYS,
    since: "7.0.0",
    summary: "Returns how many members several sets have in common.",
    syntax: "numkeys key ... [LIMIT limit]",
    tips: &[],
    ..SINTER
};

pub(super) const SUNIONCARD: Command = Command {
    name: "SUNIONCARD",
    work: Some(|args, keys| work::INSERT_STEPS * work::all(work::counted(args), keys)),
    run: Run::Read(|args, keys, reply| count(Operation::Union, args, keys, reply)),
    since: "8.10.0",
    summary: "Returns how many members several sets have together.",
    complexity: "O(N)",
    syntax: "numkeys key ... [LIMIT limit] [APPROX]",
    ..SINTERCARD
};

pub(super) const SDIFFCARD: Command = Command {
    name: "SDIFFCARD",
    work: Some(|args, keys| work::first(work::counted(args), keys)),
    run: Run::Read(|args, keys, reply| count(Operation::Difference, args, keys, reply)),
    since: "8.10.0",
    summary: "Returns how many members a set has that no other of several sets has.",
    complexity: "O(N)",
    syntax: "numkeys key ... [LIMIT limit] [APPROX]",
    ..SINTERCARD
};

type Sets<'v> = SmallVec<[Option<SetRef<'v>>; 8]>;

/// The sets of these keys, in their order; `None` for a key that is not there.
fn sets_of<'v>(
    names: impl Iterator<Item = &'v [u8]>,
    keys: &'v View<'_>,
) -> Result<Sets<'v>, Refused> {
    names.map(|key| keys.set(key)).collect()
}

/// Meets the members of the result, each once, until `meet` has enough of them.
fn each<'v>(
    operation: Operation,
    sets: &Sets<'v>,
    keys: &View<'_>,
    mut meet: impl FnMut(Element<'v>) -> Result<bool, Refused>,
) -> Result<(), Refused> {
    match operation {
        Operation::Intersection => {
            let Some(mut all) = sets.iter().copied().collect::<Option<SmallVec<[_; 8]>>>() else {
                return Ok(());
            };
            all.sort_by_key(SetRef::len);
            let Some((smallest, others)) = all.split_first() else { return Ok(()) };
            sift(smallest, others, Kept::InAll, &mut meet)?;
        }
        Operation::Union => unite(sets, keys, meet)?,
        Operation::Difference => {
            let Some((Some(first), others)) = sets.split_first() else { return Ok(()) };
            let others: SmallVec<[_; 8]> = others.iter().flatten().copied().collect();
            sift(first, &others, Kept::InNone, &mut meet)?;
        }
    }
    Ok(())
}

/// Which members of a set are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Those that all other sets have.
    InAll,
    /// Those that no other set has.
    InNone,
}

/// Meets the members of a set that are kept beside others, until `meet` has enough of them;
/// `false` if it has. They are looked up block by block: large sets lie all over the memory, and
/// asking for a block of it at once takes hardly longer than asking for one member.
fn sift<'v>(
    set: &SetRef<'v>,
    others: &[SetRef<'_>],
    kept: Kept,
    mut meet: impl FnMut(Element<'v>) -> Result<bool, Refused>,
) -> Result<bool, Refused> {
    let mut members = set.iter();
    let mut block: SmallVec<[Element<'v>; BLOCK]> = SmallVec::new();
    loop {
        block.clear();
        block.extend(members.by_ref().take(BLOCK));
        if block.is_empty() {
            return Ok(true);
        }
        for other in others {
            let found = other.contains_each(&block);
            let mut nth = 0;
            block.retain(|_| {
                let is_kept = (found >> nth & 1 == 1) == (kept == Kept::InAll);
                nth += 1;
                is_kept
            });
        }
        for &element in &block {
            if !meet(element)? {
                return Ok(false);
            }
        }
    }
}

/// Meets the members that any of the sets has, each once, until `meet` has enough of them.
fn unite<'v>(
    sets: &Sets<'v>,
    keys: &View<'_>,
    mut meet: impl FnMut(Element<'v>) -> Result<bool, Refused>,
) -> Result<(), Refused> {
    /// Up to so many sets, what one adds is found by asking those before it.
    const FEW: usize = 4;
    let mut sets: SmallVec<[SetRef<'v>; 8]> = sets.iter().flatten().copied().collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let mut searched = sets.iter().rev().skip(1);
    if sets.len() <= FEW && !searched.any(|set| matches!(set, SetRef::Entries(..))) {
        for (nth, set) in sets.iter().enumerate() {
            if !sift(set, &sets[..nth], Kept::InNone, &mut meet)? {
                break;
            }
        }
        return Ok(());
    }
    // Beside many sets, or small ones through which each search would walk, it pays to remember.
    let limits = keys.frame().layout.set;
    let mut seen = NewSet::new();
    for element in sets.iter().flat_map(SetRef::iter) {
        let is_new = seen.insert(element.to_text(&mut Digits::new()), &limits, keys.hasher())?;
        if is_new && !meet(element)? {
            break;
        }
    }
    Ok(())
}

fn combine(operation: Operation, args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let sets = sets_of(args.rest(), keys)?;
    let deferred = reply.deferred_set();
    let mut count = 0;
    each(operation, &sets, keys, |element| {
        tell(element, reply);
        count += 1;
        Ok(true)
    })?;
    reply.finish(deferred, count);
    Ok(())
}

fn store(
    operation: Operation,
    event: Event,
    mut args: Args<'_>,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let destination: Key<'_> = args.take()?;
    let result = result_of(operation, args, keys)?;
    put(destination, result, event, keys, reply)
}

fn prepare<'p>(
    operation: Operation,
    event: Event,
    mut args: Args<'_>,
    keys: &View<'_>,
) -> Result<Prepared<'p>, CommandError> {
    let destination = args.bytes()?.to_vec();
    let result = result_of(operation, args, keys)?;
    Ok(Prepared::Put(Box::new(move |keys, reply| {
        put(Key(&destination), result, event, keys, reply)
    })))
}

fn put(
    destination: Key<'_>,
    result: NewSet,
    event: Event,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let count = result.as_ref(keys.hasher()).len();
    keys.put_set(destination.0, result, Expiry::Clear, event)?;
    reply.integer(count as i64);
    Ok(())
}

fn result_of(operation: Operation, args: Args<'_>, keys: &View<'_>) -> Result<NewSet, Refused> {
    let (limits, hasher) = (keys.frame().layout.set, keys.hasher());
    let sets = sets_of(args.rest(), keys)?;
    if operation == Operation::Union {
        return union_of(&sets, keys);
    }
    let mut result = NewSet::new();
    each(operation, &sets, keys, |element| {
        result.insert(element.to_text(&mut Digits::new()), &limits, hasher)?;
        Ok(true)
    })?;
    Ok(result)
}

/// The union, which begins as a copy of the largest set if that is a large one.
fn union_of(sets: &Sets<'_>, keys: &View<'_>) -> Result<NewSet, Refused> {
    let (limits, hasher) = (keys.frame().layout.set, keys.hasher());
    let sets = || sets.iter().flatten();
    let largest = sets().enumerate().max_by_key(|(_, set)| set.len());
    let (mut result, copied) = match largest {
        Some((nth, SetRef::Big(set, _))) => (NewSet::Big(Box::new((*set).clone())), Some(nth)),
        _ => (NewSet::new(), None),
    };
    for (_, set) in sets().enumerate().filter(|&(nth, _)| Some(nth) != copied) {
        result.insert_all(set.iter(), &limits, hasher)?;
    }
    Ok(result)
}

fn count(operation: Operation, mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let numkeys = parse_positive(args.bytes()?).ok_or(CommandError::NumKeys)?;
    if numkeys > args.len() {
        return Err(CommandError::text("ERR Number of keys can't be greater than number of args"));
    }
    let limit = parse_limit(operation, args.skip(numkeys))?;
    let sets = sets_of(args.first(numkeys).rest(), keys)?;
    let mut count = 0;
    each(operation, &sets, keys, |_| {
        count += 1;
        Ok(count != limit)
    })?;
    reply.integer(count as i64);
    Ok(())
}

/// How many are enough; 0: all. An exact count is also an approximate one.
fn parse_limit(operation: Operation, mut args: Args<'_>) -> Result<u64, CommandError> {
    let mut limit = 0;
    while !args.is_empty() {
        if args.word_with_value("LIMIT") {
            let given = command::parse_integer(args.bytes()?);
            let given = given.and_then(|limit| u64::try_from(limit).ok());
            limit = given.ok_or(CommandError::LimitNegative)?;
        } else if operation == Operation::Intersection || !args.word("APPROX") {
            return Err(CommandError::Syntax);
        }
    }
    Ok(limit)
}

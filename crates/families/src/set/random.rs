//! Members by chance: SPOP, SRANDMEMBER.

use std::collections::HashSet;

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event,
};
use keyspace::count_done;
use value::entries::Element;
use value::set::SetRef;

use super::positive;
use crate::chance::{Chances, check_count, check_repeated};
use crate::element::tell;
use crate::work;

pub(super) const SPOP: Command = Command {
    name: "SPOP",
    work: Some(|args, keys| work::REMOVE_STEPS * work::taken(args, keys)),
    run: Run::Write(spop),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse::TAKE)],
    flags: Flags::FAST,
    category: Category::SET,
    group: Group::Set,
    since: "1.0.0",
    summary: "Takes members out of a set, chosen by chance, and returns them.",
    complexity: "O(1) for each member",
    syntax: "key [count]",
    tips: &["nondeterministic_output"],
    history: &[("3.2.0", "`count`.")],
    ..Command::BASE
};

fn spop(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let chance = keys.frame().chance;
    if args.is_empty() {
        return pop_one(key, chance, keys, reply);
    }
    if args.len() > 1 {
        return Err(CommandError::Syntax);
    }
    let count = command::parse_integer(args.bytes()?).ok_or(CommandError::NotPositive)?;
    pop_some(key, positive(count)?, chance, keys, reply)
}

fn pop_one(key: Key<'_>, chance: u64, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let mut entry = keys.set_entry(key.0)?;
    let popped = entry.pop(Chances::new(chance).next(), |element| tell(element, reply))?;
    if popped {
        entry.noted(event::SPOP);
    } else {
        reply.null();
    }
    Ok(())
}

fn pop_some(
    key: Key<'_>,
    count: usize,
    chance: u64,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let mut entry = keys.set_entry(key.0)?;
    let len = entry.len();
    if len == 0 || count == 0 {
        reply.set(0);
        return Ok(());
    }
    reply.set(count.min(len));
    if count >= len {
        if let Some(set) = entry.get() {
            set.iter().for_each(|element| tell(element, reply));
        }
        entry.clear(event::SPOP);
        return Ok(());
    }
    let mut chances = Chances::new(chance);
    let (popped, outcome) =
        count_done(0..count, |_| entry.pop(chances.next(), |element| tell(element, reply)));
    if popped > 0 {
        entry.noted_parts(event::SPOP, popped);
    }
    Ok(outcome?)
}

pub(super) const SRANDMEMBER: Command = Command {
    name: "SRANDMEMBER",
    work: Some(work::drawn),
    run: Run::Read(srandmember),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    summary: "Returns members of a set, chosen by chance.",
    history: &[("2.6.0", "`count`.")],
    ..SPOP
};

fn srandmember(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut chances = Chances::new(keys.frame().chance);
    if args.is_empty() {
        match keys.set(key.0)?.and_then(|set| set.random(chances.next())) {
            Some(element) => tell(element, reply),
            None => reply.null(),
        }
        return Ok(());
    }
    if args.len() > 1 {
        return Err(CommandError::Syntax);
    }
    let count = check_count(args.take()?)?;
    let set = keys.set(key.0)?.filter(|set| !set.is_empty());
    match (set, usize::try_from(count)) {
        (None, _) | (_, Ok(0)) => reply.array(0),
        (Some(set), Ok(count)) => tell_different(set, count, &mut chances, reply),
        (Some(set), Err(_)) => tell_repeated(set, count.unsigned_abs(), &mut chances, reply)?,
    }
    Ok(())
}

/// As many members, each one any.
fn tell_repeated(
    set: SetRef<'_>,
    count: u64,
    chances: &mut Chances,
    reply: &mut Reply<'_>,
) -> Done {
    let count = check_repeated(count, reply)?;
    reply.array(count as usize);
    for _ in 0..count {
        if reply.is_in_vain() {
            break;
        }
        match set.random(chances.next()) {
            Some(element) => tell(element, reply),
            None => reply.null(),
        }
    }
    Ok(())
}

/// As many different members, or all of them.
fn tell_different(set: SetRef<'_>, count: usize, chances: &mut Chances, reply: &mut Reply<'_>) {
    /// From this part of a set on, all of it is looked at rather than drawn from.
    const MANY: usize = 3;
    let len = set.len();
    reply.array(count.min(len));
    if count >= len {
        set.iter().for_each(|element| tell(element, reply));
    } else if count * MANY > len {
        let mut all: Vec<Element<'_>> = set.iter().collect();
        for nth in 0..count {
            let other = nth + chances.below(len - nth);
            all.swap(nth, other);
            tell(all[nth], reply);
        }
    } else {
        let mut drawn: HashSet<&[u8]> = HashSet::new();
        let mut ints: HashSet<i64> = HashSet::new();
        while drawn.len() + ints.len() < count {
            let Some(element) = set.random(chances.next()) else { return };
            let is_new = match element {
                Element::Int(int) => ints.insert(int),
                Element::Bytes(text) => drawn.insert(text),
            };
            if is_new {
                tell(element, reply);
            }
        }
    }
}

//! Fields by chance: HRANDFIELD.

use std::collections::HashSet;

use command::{
    Args, Arity, Command, CommandError, Done, Flags, Key, KeySpec, KeyUse, Reply, Run, View,
};
use value::entries::Element;
use value::map::{MapRef, Pair};

use super::fields::HGET;
use super::tell_maybe;
use crate::chance::{Chances, check_count, check_repeated};
use crate::element::{tell, tell_count, tell_pair_head};
use crate::work;

pub(super) const HRANDFIELD: Command = Command {
    name: "HRANDFIELD",
    member: None,
    work: Some(work::drawn),
    run: Run::Read(hrandfield),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    since: "6.2.0",
    summary: "Returns fields of a hash, chosen by chance.",
    complexity: "O(N) for N fields returned",
    syntax: "key [count [WITHVALUES]]",
    tips: &["nondeterministic_output"],
    ..HGET
};

fn hrandfield(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut chances = Chances::new(keys.frame().chance);
    if args.is_empty() {
        let pair = keys.hash_map(key.0)?.and_then(|map| map.random(chances.next()));
        tell_maybe(pair.map(|(field, _)| field), reply);
        return Ok(());
    }
    let count = check_count(args.take()?)?;
    let with_values = !args.is_empty() && args.word("WITHVALUES");
    if !args.is_empty() {
        return Err(CommandError::Syntax);
    }
    if with_values && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(CommandError::text("ERR value is out of range"));
    }
    let Some(map) = keys.hash_map(key.0)?.filter(|map| count != 0 && !map.is_empty()) else {
        reply.array(0);
        return Ok(());
    };
    match usize::try_from(count) {
        Ok(count) => tell_different(map, count, with_values, &mut chances, reply),
        Err(_) => tell_repeated(map, count.unsigned_abs(), with_values, &mut chances, reply)?,
    }
    Ok(())
}

fn tell_pair((field, value): Pair<'_>, with_values: bool, reply: &mut Reply<'_>) {
    tell_pair_head(with_values, reply);
    tell(field, reply);
    if with_values {
        tell(value, reply);
    }
}

/// As many fields, each one any.
fn tell_repeated(
    map: MapRef<'_>,
    count: u64,
    with_values: bool,
    chances: &mut Chances,
    reply: &mut Reply<'_>,
) -> Done {
    let count = check_repeated(count, reply)?;
    tell_count(count as usize, with_values, reply);
    for _ in 0..count {
        let Some(pair) = map.random(chances.next()).filter(|_| !reply.is_in_vain()) else { break };
        tell_pair(pair, with_values, reply);
    }
    Ok(())
}

/// As many different fields, or all of them.
fn tell_different(
    map: MapRef<'_>,
    count: usize,
    with_values: bool,
    chances: &mut Chances,
    reply: &mut Reply<'_>,
) {
    /// From this part of a hash on, all of it is looked at rather than drawn from.
    const MANY: usize = 3;
    let len = map.len();
    tell_count(count.min(len), with_values, reply);
    if count >= len {
        map.iter().for_each(|pair| tell_pair(pair, with_values, reply));
    } else if count * MANY > len || matches!(map, MapRef::Packed(..)) {
        let mut all: Vec<Pair<'_>> = map.iter().collect();
        for nth in 0..count {
            let other = nth + chances.below(len - nth);
            all.swap(nth, other);
            tell_pair(all[nth], with_values, reply);
        }
    } else {
        let mut drawn: HashSet<&[u8]> = HashSet::new();
        while drawn.len() < count {
            let Some(pair) = map.random(chances.next()) else { return };
            // The fields of a large hash are texts.
            if let (Element::Bytes(field), _) = pair
                && drawn.insert(field)
            {
                tell_pair(pair, with_values, reply);
            }
        }
    }
}

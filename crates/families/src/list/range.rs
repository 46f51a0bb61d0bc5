//! Ranges of positions: `LRANGE`, `LTRIM`.

use std::ops::Range;

use command::{
    Args, Arity, Category, Command, Done, Flags, Group, Index, Key, KeySpec, KeyUse, Reply, Run,
    View, event,
};

use super::reply_with;
use crate::work;

pub(super) const LRANGE: Command = Command {
    name: "LRANGE",
    work: Some(|args, keys| work::few_between(args).unwrap_or_else(|| kept(args, keys))),
    run: Run::Read(lrange),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    category: Category::LIST,
    group: Group::List,
    since: "1.0.0",
    summary: "Returns the elements of a list between two positions, both included.",
    complexity: "O(S + N) where S is how far the first is from the nearer end and N how many there are",
    syntax: "key start stop",
    ..Command::BASE
};

fn lrange(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, start, stop): (Key<'_>, Index, Index) = args.parse()?;
    let Some(list) = keys.list(key.0)? else {
        reply.array(0);
        return Ok(());
    };
    let part = span(start, stop, list.len());
    reply.array(part.len());
    for element in list.range(part) {
        reply_with(element, reply);
    }
    Ok(())
}

pub(super) const LTRIM: Command = Command {
    name: "LTRIM",
    work: Some(|args, keys| {
        let left = work::whole(args, keys).saturating_sub(kept(args, keys));
        left / work::LOOKS
    }),
    run: Run::Write(ltrim),
    keys: &[KeySpec::one(1, KeyUse::PRUNE)],
    summary: "Removes the elements of a list that are not between two positions, both included.",
    complexity: "O(N) where N is how many elements are removed",
    ..LRANGE
};

fn ltrim(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, start, stop): (Key<'_>, Index, Index) = args.parse()?;
    let mut entry = keys.list_entry(key.0)?;
    let kept = span(start, stop, entry.len());
    entry.trim(kept, event::LTRIM)?;
    reply.ok();
    Ok(())
}

/// How many elements a request means.
fn kept(args: Args<'_>, keys: &View<'_>) -> u64 {
    work::part(args, keys, |key| {
        let parsed = args.parse::<(Key<'_>, Index, Index)>();
        let len = usize::try_from(keys.elements(key)).unwrap_or(usize::MAX);
        let kept = parsed.map_or(0, |(_, start, stop)| span(start, stop, len).len() as u64);
        work::some(kept, args, keys)
    })
}

/// The part of `0..len` between two positions, both included.
fn span(start: Index, stop: Index, len: usize) -> Range<usize> {
    let start = start.resolve(len).unwrap_or(0);
    let end = stop.resolve(len).map_or(0, |last| len.min(last.saturating_add(1)));
    start.min(end)..end
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: every index that lies between the bounds, each counted from its end.
    fn picked(start: i64, stop: i64, len: i64) -> Vec<usize> {
        let place = |at: i64| if at < 0 { len + at } else { at };
        (0..len)
            .filter(|at| (place(start)..=place(stop)).contains(at))
            .map(|at| at as usize)
            .collect()
    }

    #[test]
    fn a_span_holds_the_indexes_between_its_bounds() {
        for len in 0..6 {
            for (start, stop) in (-7..8).flat_map(|start| (-7..8).map(move |stop| (start, stop))) {
                let found: Vec<usize> = span(Index(start), Index(stop), len as usize).collect();
                assert_eq!(found, picked(start, stop, len), "{start} {stop} of {len}");
            }
        }
    }

    #[test]
    fn extreme_bounds_are_bounds() {
        assert_eq!(span(Index(i64::MIN), Index(i64::MAX), 3), 0..3);
        assert!(span(Index(i64::MAX), Index(i64::MIN), 3).is_empty());
        assert!(span(Index(i64::MAX), Index(i64::MAX), 3).is_empty());
    }
}

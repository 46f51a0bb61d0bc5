//! Slots emptied: `ARDEL`, `ARDELRANGE`.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event,
};

use super::words::{indexes, tell_index, width};
use crate::work;

pub(super) const ARDEL: Command = Command {
    name: "ARDEL",
    run: Run::Write(ardel),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::PRUNE)],
    flags: Flags::FAST,
    category: Category::ARRAY,
    group: Group::Array,
    since: "8.8.0",
    summary: "Removes the values under indexes of an array.",
    complexity: "O(1) for each index",
    syntax: "key index ...",
    ..Command::BASE
};

fn ardel(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let indexes = indexes(args.rest())?;
    let ranges = indexes.iter().map(|&index| (index, index));
    tell_index(keys.array_entry(key.0)?.remove(ranges, event::ARDEL)?, reply);
    Ok(())
}

pub(super) const ARDELRANGE: Command = Command {
    name: "ARDELRANGE",
    work: Some(|args, keys| {
        work::part(args, keys, |key| {
            let ranges = (1..args.len()).step_by(2).map(|at| width(args.skip(at)));
            keys.elements(key).min(ranges.fold(0, u64::saturating_add)) / work::LOOKS
        })
    }),
    run: Run::Write(ardelrange),
    arity: Arity::AtLeast(4),
    flags: Flags::NONE,
    summary: "Removes the values between indexes of an array, both included.",
    complexity: "O(N) where N is how many values there are in slices that are touched",
    syntax: "key (start end) ...",
    ..ARDEL
};

fn ardelrange(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::WrongArity("ardelrange".into()));
    }
    let bounds = indexes(args.rest())?;
    let ranges = bounds.chunks_exact(2).map(|pair| (pair[0].min(pair[1]), pair[0].max(pair[1])));
    tell_index(keys.array_entry(key.0)?.remove(ranges, event::ARDELRANGE)?, reply);
    Ok(())
}

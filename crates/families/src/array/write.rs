//! Values put under indexes: `ARSET`, `ARMSET`.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event,
};
use keyspace::array::INDEX_MAX;

use super::error::ArrayError;
use super::words::{SlotIndex, indexes, tell_index};

pub(super) const ARSET: Command = Command {
    name: "ARSET",
    run: Run::Write(arset),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::ARRAY,
    group: Group::Array,
    since: "8.8.0",
    summary: "Puts values under an index of an array and those behind it.",
    complexity: "O(1) for each value",
    syntax: "key index value ...",
    ..Command::BASE
};

fn arset(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, SlotIndex(first)): (Key<'_>, SlotIndex) = (args.take()?, args.take()?);
    let values = args.rest();
    // The last of the values needs an index, too.
    if INDEX_MAX - first < values.len() as u64 - 1 {
        return Err(ArrayError::Index.into());
    }
    let slots = values.enumerate().map(|(step, value)| (first + step as u64, value));
    let added = keys.array_entry(key.0)?.set(slots, event::ARSET)?;
    tell_index(added, reply);
    Ok(())
}

pub(super) const ARMSET: Command = Command {
    name: "ARMSET",
    run: Run::Write(armset),
    summary: "Puts values under indexes of an array.",
    complexity: "O(1) for each index",
    syntax: "key (index value) ...",
    ..ARSET
};

fn armset(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let words = args.rest();
    if !words.len().is_multiple_of(2) {
        return Err(CommandError::WrongArity("armset".into()));
    }
    let indexes = indexes(words.clone().step_by(2))?;
    let slots = indexes.into_iter().zip(words.skip(1).step_by(2));
    let added = keys.array_entry(key.0)?.set(slots, event::ARMSET)?;
    tell_index(added, reply);
    Ok(())
}

//! PFCOUNT: how many different elements were added.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, KeySpec, KeyUse, Reply, Run,
    View, event,
};

use super::estimate::estimate;
use super::header;
use super::registers::Registers;
use crate::work;

pub(super) const PFCOUNT: Command = Command {
    name: "PFCOUNT",
    work: Some(work::registers),
    run: Run::Write(pfcount),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::from(1, KeyUse::CACHE)],
    flags: Flags::MAY_REPLICATE,
    category: Category::HYPERLOGLOG,
    group: Group::HyperLogLog,
    since: "2.8.9",
    summary: "Estimates how many different elements were added to one or more HyperLogLogs.",
    complexity: "O(1) for one key, O(N) for N keys",
    syntax: "key ...",
    ..Command::BASE
};

fn pfcount(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let count = match args.get(0) {
        Some(key) if args.len() == 1 => count_one(key, keys)?,
        _ => count_all(args, keys)?,
    };
    // As a signed number, as in Redis: only registers that nobody has added to speak of so many.
    reply.integer(count.cast_signed());
    Ok(())
}

/// The count of one, which is kept with it.
fn count_one(key: &[u8], keys: &mut View<'_>) -> Result<u64, CommandError> {
    let mut entry = keys.str_entry_read(key)?;
    let Some(text) = entry.get() else { return Ok(0) };
    let parts = header::parse(text.as_bytes())?;
    if let Some(count) = parts.cached {
        return Ok(count);
    }
    let count = estimate(&Registers::of(&parts)?.histogram());
    let len = text.as_bytes().len();
    entry.edit(len, event::REWRITE, |text| header::set_cached(text, count))?;
    Ok(count)
}

/// The count of all together.
fn count_all(names: Args<'_>, keys: &View<'_>) -> Result<u64, CommandError> {
    let mut all = Registers::new();
    for key in names.rest() {
        if let Some(text) = keys.str(key)? {
            all.merge(&Registers::of(&header::parse(text.as_bytes())?)?);
        }
    }
    Ok(estimate(&all.histogram()))
}

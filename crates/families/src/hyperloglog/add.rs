//! PFADD: elements added.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event,
};
use keyspace::StrEntry;

use super::dense;
use super::hash::Mark;
use super::header::{self, Encoding};
use super::sketch::Sketch;

pub(super) const PFADD: Command = Command {
    name: "PFADD",
    run: Run::Write(pfadd),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse::INSERT)],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::HYPERLOGLOG,
    group: Group::HyperLogLog,
    since: "2.8.9",
    summary: "Adds elements to a HyperLogLog, which is made if there is none; tells whether it changed.",
    complexity: "O(1) for each element",
    syntax: "key [element ...]",
    ..Command::BASE
};

fn pfadd(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let sparse_bytes_max = keys.frame().layout.hll_sparse_bytes_max;
    let mut entry = keys.str_entry(key.0)?;
    let encoding = match entry.get() {
        Some(text) => Some(header::parse(text.as_bytes())?.encoding),
        None => None,
    };
    let changed = match encoding {
        Some(Encoding::Dense) => add_in_place(&mut entry, args)?,
        Some(Encoding::Sparse) => add_to_copy(&mut entry, args, sparse_bytes_max)?,
        None => add_to_new(&mut entry, args, sparse_bytes_max)?,
    };
    reply.integer(i64::from(changed));
    Ok(())
}

/// Adds to the dense one that is there; tells whether it changed. Most elements change nothing in
/// one that has met many, so that is looked for first.
fn add_in_place(entry: &mut StrEntry<'_>, elements: Args<'_>) -> Result<bool, CommandError> {
    let registers = entry.bytes().get(header::BYTES..).unwrap_or_default();
    let rises = |mark: Mark| dense::register(registers, mark.index) < mark.rank;
    if !elements.rest().map(Mark::of).any(rises) {
        return Ok(false);
    }
    let mut changed = false;
    entry.edit_if(header::BYTES + dense::BYTES, event::PFADD, |text| {
        for mark in elements.rest().map(Mark::of) {
            changed |= dense::raise(&mut text[header::BYTES..], mark.index, mark.rank);
        }
        if changed {
            header::set_stale(text);
        }
        changed
    })?;
    Ok(changed)
}

/// Adds to a copy of the sparse one that is there, and writes it back if it changed.
fn add_to_copy(
    entry: &mut StrEntry<'_>,
    elements: Args<'_>,
    sparse_bytes_max: usize,
) -> Result<bool, CommandError> {
    let mut sketch = Sketch::of(entry.bytes())?;
    let mut changed = false;
    for mark in elements.rest().map(Mark::of) {
        changed |= sketch.raise(mark, sparse_bytes_max)?;
    }
    if changed {
        sketch.set_stale();
        entry.rebuild(sketch.bytes(), event::PFADD)?;
    }
    Ok(changed)
}

/// Makes one of the elements.
fn add_to_new(
    entry: &mut StrEntry<'_>,
    elements: Args<'_>,
    sparse_bytes_max: usize,
) -> Result<bool, CommandError> {
    let mut sketch = Sketch::new();
    for mark in elements.rest().map(Mark::of) {
        sketch.raise(mark, sparse_bytes_max)?;
    }
    sketch.set_stale();
    entry.rebuild(sketch.bytes(), event::PFADD)?;
    Ok(true)
}

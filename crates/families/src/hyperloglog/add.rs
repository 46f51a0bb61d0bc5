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
    let before = keys.changes();
    let mut entry = keys.str_entry(key.0)?;
    let encoding = match entry.get() {
        None => None,
        Some(text) => {
            let parts = header::parse(text.as_bytes())?;
            if parts.encoding == Encoding::Dense && !rises(parts.registers, args) {
                reply.integer(0);
                return Ok(());
            }
            Some(parts.encoding)
        }
    };
    let changes = match encoding {
        Some(Encoding::Dense) => add_in_place(&mut entry, args)?,
        Some(Encoding::Sparse) => add_to_copy(&mut entry, args, sparse_bytes_max)?,
        None => add_to_new(&mut entry, args, sparse_bytes_max)?,
    };
    keys.count_since(before, changes);
    reply.integer(i64::from(changes > 0));
    Ok(())
}

/// Whether elements change dense registers. Most change nothing in those that have met many, so
/// that is looked for first.
fn rises(registers: &[u8], elements: Args<'_>) -> bool {
    elements.rest().map(Mark::of).any(|mark| dense::register(registers, mark.index) < mark.rank)
}

/// Adds to the dense one that is there; tells how many elements changed it.
fn add_in_place(entry: &mut StrEntry<'_>, elements: Args<'_>) -> Result<usize, CommandError> {
    let mut changes = 0;
    entry.edit_if(header::BYTES + dense::BYTES, event::PFADD, |text| {
        for mark in elements.rest().map(Mark::of) {
            let raised = dense::raise(&mut text[header::BYTES..], mark.index, mark.rank);
            changes += usize::from(raised);
        }
        if changes > 0 {
            header::set_stale(text);
        }
        changes > 0
    })?;
    Ok(changes)
}

/// Adds to a copy of the sparse one that is there, and writes it back if it changed; tells how many
/// elements changed it.
fn add_to_copy(
    entry: &mut StrEntry<'_>,
    elements: Args<'_>,
    sparse_bytes_max: usize,
) -> Result<usize, CommandError> {
    let mut sketch = Sketch::copied(entry.bytes(), Encoding::Sparse);
    let changes = add_all(&mut sketch, elements, sparse_bytes_max)?;
    if changes > 0 {
        sketch.set_stale();
        entry.rebuild(sketch.bytes(), event::PFADD)?;
    }
    Ok(changes)
}

/// Makes one of the elements, which is a change, too.
fn add_to_new(
    entry: &mut StrEntry<'_>,
    elements: Args<'_>,
    sparse_bytes_max: usize,
) -> Result<usize, CommandError> {
    let mut sketch = Sketch::new();
    let changes = add_all(&mut sketch, elements, sparse_bytes_max)?;
    sketch.set_stale();
    entry.rebuild(sketch.bytes(), event::PFADD)?;
    Ok(1 + changes)
}

fn add_all(
    sketch: &mut Sketch,
    elements: Args<'_>,
    sparse_bytes_max: usize,
) -> Result<usize, CommandError> {
    let mut changes = 0;
    for mark in elements.rest().map(Mark::of) {
        changes += usize::from(sketch.raise(mark, sparse_bytes_max)?);
    }
    Ok(changes)
}

//! PFMERGE: several HyperLogLogs made one.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, KeySpec, KeyUse, Reply, Run,
    View, event,
};

use super::Corrupt;
use super::hash::Mark;
use super::header::{self, Encoding};
use super::registers::Registers;
use super::sketch::Sketch;
use crate::work;

pub(super) const PFMERGE: Command = Command {
    name: "PFMERGE",
    work: Some(work::registers),
    run: Run::Write(pfmerge),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "access", "insert"])), KeySpec::from(2, KeyUse::READ)],
    flags: Flags::DENY_OOM,
    category: Category::HYPERLOGLOG,
    group: Group::HyperLogLog,
    since: "2.8.9",
    summary: "Adds what was added to some HyperLogLogs to another one, which is made if there is none.",
    complexity: "O(N) for N keys",
    syntax: "destkey [sourcekey ...]",
    ..Command::BASE
};

fn pfmerge(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let merged = Merged::of(args, keys)?;
    let sparse_bytes_max = keys.frame().layout.hll_sparse_bytes_max;
    let destination = args.get(0).ok_or(CommandError::Syntax)?;
    let mut entry = keys.str_entry(destination)?;
    let mut sketch = match entry.get() {
        Some(text) => Sketch::of(text.as_bytes())?,
        None => Sketch::new(),
    };
    if merged.dense {
        sketch.set_dense(&merged.registers);
    } else {
        raise_all(&mut sketch, &merged.registers, sparse_bytes_max)?;
    }
    sketch.set_stale();
    entry.rebuild(sketch.bytes(), event::PFADD)?;
    reply.ok();
    Ok(())
}

/// What all keys have together, the destination among them.
struct Merged {
    registers: Registers,
    /// Whether one of them is dense: then the destination becomes it, too.
    dense: bool,
}

impl Merged {
    fn of(names: Args<'_>, keys: &View<'_>) -> Result<Merged, CommandError> {
        let mut merged = Merged { registers: Registers::new(), dense: false };
        for key in names.rest() {
            let Some(text) = keys.str(key)? else { continue };
            let parts = header::parse(text.as_bytes())?;
            merged.dense |= parts.encoding == Encoding::Dense;
            merged.registers.merge(&Registers::of(&parts)?);
        }
        Ok(merged)
    }
}

/// Raises each register to the one given, as if elements were added one by one.
fn raise_all(
    sketch: &mut Sketch,
    registers: &Registers,
    sparse_bytes_max: usize,
) -> Result<(), Corrupt> {
    let before = sketch.registers()?;
    for (index, (&rank, &own)) in registers.0.iter().zip(before.0.iter()).enumerate() {
        if rank > own {
            sketch.raise(Mark { index, rank }, sparse_bytes_max)?;
        }
    }
    Ok(())
}

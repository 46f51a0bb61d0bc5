//! PFSELFTEST: whether registers keep what is written and estimates stay near the truth.

use command::{Args, Arity, Category, Command, CommandError, Done, Flags, Group, Reply, Run, View};

use super::estimate::estimate;
use super::hash::Mark;
use super::registers::Registers;
use super::sketch::Sketch;
use super::{Corrupt, REGISTERS, dense};

/// How often all registers are written and read.
const ROUNDS: u64 = 20;

/// How many elements are added: few enough that other clients of the worker hardly wait.
const ELEMENTS: u64 = 1_000_000;

/// The greatest error that passes, in standard errors.
const ERRORS_MAX: f64 = 6.0;

pub(super) const PFSELFTEST: Command = Command {
    name: "PFSELFTEST",
    run: Run::Read(pfselftest),
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.and(Flags::READS_NOTHING).and(Flags::SYSTEM),
    category: Category::HYPERLOGLOG,
    group: Group::HyperLogLog,
    since: "2.8.9",
    summary: "Tests that HyperLogLogs work as they should.",
    complexity: "O(N) where N is the number of registers and of elements that are tried",
    ..Command::BASE
};

fn pfselftest(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    args.end()?;
    let frame = keys.frame();
    registers_keep_what_is_written(frame.chance)?;
    estimates_are_near(frame.chance, frame.layout.hll_sparse_bytes_max)?;
    reply.ok();
    Ok(())
}

fn failed(what: &str) -> CommandError {
    CommandError::text(format!("ERR TESTFAILED {what}"))
}

fn registers_keep_what_is_written(chance: u64) -> Result<(), CommandError> {
    let value = |round: u64, index: usize| {
        let element = (round << 32 | index as u64) ^ chance;
        Mark::of(&element.to_le_bytes()).index as u8 & 63
    };
    for round in 0..ROUNDS {
        let mut packed = vec![0; dense::BYTES];
        for index in 0..REGISTERS {
            dense::raise(&mut packed, index, value(round, index));
        }
        for index in 0..REGISTERS {
            let (found, wanted) = (dense::register(&packed, index), value(round, index));
            if found != wanted {
                let what = format!("Register {index} should be {wanted} but is {found}");
                return Err(failed(&what));
            }
        }
    }
    Ok(())
}

fn estimates_are_near(chance: u64, sparse_bytes_max: usize) -> Result<(), CommandError> {
    let (mut growing, mut dense) = (Sketch::new(), Sketch::new());
    dense.make_dense()?;
    let mut checkpoint = 1;
    for added in 1..=ELEMENTS {
        let mark = Mark::of(&(added ^ chance).to_le_bytes());
        growing.raise(mark, sparse_bytes_max)?;
        dense.raise(mark, sparse_bytes_max)?;
        if added == checkpoint {
            check(added, &growing, &dense)?;
            checkpoint *= 10;
        }
    }
    Ok(())
}

/// Checks both after so many elements.
fn check(added: u64, growing: &Sketch, dense: &Sketch) -> Result<(), CommandError> {
    let count = |sketch: &Sketch| {
        let registers: Result<Registers, Corrupt> = sketch.registers();
        registers.map(|registers| estimate(&registers.histogram()))
    };
    let (counted, twin) = (count(growing)?, count(dense)?);
    if counted != twin {
        return Err(failed("dense/sparse disagree"));
    }
    let error = added.abs_diff(counted);
    if error > error_max(added) {
        return Err(failed(&format!("Too big error. card:{added} abserr:{error}")));
    }
    Ok(())
}

fn error_max(added: u64) -> u64 {
    let standard = 1.04 / (REGISTERS as f64).sqrt();
    // Two of so few elements now and then meet in one register.
    (ERRORS_MAX * standard * added as f64).ceil().max(1.0) as u64
}

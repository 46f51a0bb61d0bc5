//! The sparse encoding: runs of equal registers.
//!
//! # Layout
//!
//! ```text
//! ZERO   00xxxxxx            x + 1 registers of 0, 1 to 64
//! XZERO  01xxxxxx yyyyyyyy   x * 256 + y + 1 registers of 0, 1 to 16,384
//! VAL    1vvvvvxx            x + 1 registers of v + 1: 1 to 4 of 1 to 32
//! ```
//!
//! [`raise`] splits the run that holds a register and joins what then stands side by side, in the
//! very steps of Redis: which of several spellings of the same registers there is depends on them.

use std::ops::Range;

use smallvec::SmallVec;

use super::{Corrupt, REGISTERS};

/// The highest value that a run can have.
pub(super) const VALUE_MAX: u8 = 32;

const ZERO_LEN_MAX: usize = 64;
const VALUE_LEN_MAX: usize = 4;

/// The text of a HyperLogLog that is being changed: a short one, as most are, takes no memory.
pub(super) type Text = SmallVec<[u8; 128]>;

/// So many bytes does a text get longer by at most when a register is raised.
pub(super) const GROWTH_MAX: usize = 3;

/// How far behind a change equal runs are joined, in runs.
const JOIN_RUNS: usize = 5;

/// The registers of a HyperLogLog without elements.
pub(super) const EMPTY: [u8; 2] = [0x7f, 0xff];

/// Equal registers side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// So many of 0, in this many bytes.
    Zeros { len: usize, bytes: usize },
    /// So many of this value.
    Values { value: u8, len: usize },
}

impl Run {
    /// The run that the text begins with; `None` if there is no whole one.
    pub(super) fn read(text: &[u8]) -> Option<Run> {
        let &first = text.first()?;
        Some(match first >> 6 {
            0 => Run::Zeros { len: usize::from(first) + 1, bytes: 1 },
            1 => {
                let &second = text.get(1)?;
                let len = usize::from(first & 0x3f) << 8 | usize::from(second);
                Run::Zeros { len: len + 1, bytes: 2 }
            }
            _ => Run::Values { value: (first >> 2 & 0x1f) + 1, len: usize::from(first & 3) + 1 },
        })
    }

    /// How many registers it has.
    pub(super) fn len(self) -> usize {
        match self {
            Run::Zeros { len, .. } | Run::Values { len, .. } => len,
        }
    }

    /// How many bytes it has.
    pub(super) fn bytes(self) -> usize {
        match self {
            Run::Zeros { bytes, .. } => bytes,
            Run::Values { .. } => 1,
        }
    }

    /// The value of its registers.
    pub(super) fn value(self) -> u8 {
        match self {
            Run::Zeros { .. } => 0,
            Run::Values { value, .. } => value,
        }
    }
}

/// All runs from the start; an error where the text ends within one.
pub(super) fn runs(text: &[u8]) -> impl Iterator<Item = Result<Run, Corrupt>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let run = Run::read(rest).ok_or(Corrupt);
        rest = run.map_or(&[], |run| rest.get(run.bytes()..).unwrap_or_default());
        Some(run)
    })
}

/// Calls `each` with the registers and the value of every run that is not of zeros.
///
/// # Errors
/// If the runs are more or fewer registers than there are; some runs may have been told then.
pub(super) fn for_each_run(
    text: &[u8],
    mut each: impl FnMut(Range<usize>, u8),
) -> Result<(), Corrupt> {
    let mut first = 0;
    for run in runs(text) {
        let run = run?;
        let end = first + run.len();
        if end > REGISTERS {
            return Err(Corrupt);
        }
        if run.value() > 0 {
            each(first..end, run.value());
        }
        first = end;
    }
    if first == REGISTERS { Ok(()) } else { Err(Corrupt) }
}

/// What [`raise`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// The register was as high already.
    Not,
    /// It is as high now.
    Here,
    /// The text would outgrow its limit, so nothing was done.
    TooLong,
}

/// A run within the text.
struct Found {
    run: Run,
    /// Where it is, in bytes.
    at: usize,
    /// Its first register.
    first: usize,
    /// Where the run before it is; its own place if it is the first.
    before: usize,
}

/// Raises a register to a value from 1 to [`VALUE_MAX`], in registers that begin at `start` of
/// the text. The text does not grow beyond `bytes_max`.
///
/// # Errors
/// If the runs do not reach the register.
pub(super) fn raise(
    text: &mut Text,
    start: usize,
    index: usize,
    value: u8,
    bytes_max: usize,
) -> Result<Raised, Corrupt> {
    let Found { run, at, first, before } = find(text, start, index)?;
    if run.value() >= value {
        return Ok(Raised::Not);
    }
    let split = Runs::split(run, first, index, value);
    let split = split.as_bytes();
    let len = text.len() - run.bytes() + split.len();
    if len > text.len() && len > bytes_max {
        return Ok(Raised::TooLong);
    }
    replace(text, at..at + run.bytes(), split);
    join(text, before);
    Ok(Raised::Here)
}

/// Puts bytes in the place of a part, up to [`GROWTH_MAX`] more than it has.
fn replace(text: &mut Text, part: Range<usize>, bytes: &[u8]) {
    let (old, end) = (text.len(), part.start + bytes.len());
    text.extend_from_slice(&[0; GROWTH_MAX]);
    text.copy_within(part.end..old, end);
    text.truncate(old - part.len() + bytes.len());
    // So few that a call would take longer.
    text[part.start..end].iter_mut().zip(bytes).for_each(|(to, &byte)| *to = byte);
}

/// The run that holds a register.
fn find(text: &[u8], start: usize, index: usize) -> Result<Found, Corrupt> {
    let (mut at, mut first, mut before) = (start, 0, start);
    loop {
        let run = text.get(at..).and_then(Run::read).ok_or(Corrupt)?;
        if index < first + run.len() {
            return Ok(Found { run, at, first, before });
        }
        before = at;
        at += run.bytes();
        first += run.len();
    }
}

/// Up to three runs.
#[derive(Default)]
struct Runs {
    bytes: [u8; 8],
    len: usize,
}

impl Runs {
    /// The bytes of a run that begins at `first`, with the register at `index` of another value.
    fn split(run: Run, first: usize, index: usize, value: u8) -> Runs {
        let mut runs = Runs::default();
        runs.push(run.value(), index - first);
        runs.push(value, 1);
        runs.push(run.value(), first + run.len() - index - 1);
        runs
    }

    /// Adds a run, unless it is empty.
    #[inline]
    fn push(&mut self, value: u8, len: usize) {
        let Some(more) = len.checked_sub(1) else { return };
        let (bytes, count) = match value {
            0 if len <= ZERO_LEN_MAX => ([more as u8, 0], 1),
            0 => ([0x40 | (more >> 8) as u8 & 0x3f, more as u8], 2),
            _ => ([value_byte(value, len), 0], 1),
        };
        self.bytes[self.len..self.len + 2].copy_from_slice(&bytes);
        self.len += count;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn value_byte(value: u8, len: usize) -> u8 {
    0x80 | (value.wrapping_sub(1) & 0x1f) << 2 | (len.wrapping_sub(1) as u8 & 3)
}

/// Joins equal runs from this place on, a few runs far.
fn join(text: &mut Text, mut at: usize) {
    for _ in 0..JOIN_RUNS {
        let Some(run) = text.get(at..).and_then(Run::read) else { return };
        let Run::Values { value, len } = run else {
            at += run.bytes();
            continue;
        };
        match text.get(at + 1..).and_then(Run::read) {
            Some(Run::Values { value: next, len: more })
                if value == next && len + more <= VALUE_LEN_MAX =>
            {
                text[at] = value_byte(value, len + more);
                text.remove(at + 1);
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smallvec::smallvec;

    use super::*;

    fn registers(text: &[u8]) -> Result<Vec<u8>, Corrupt> {
        let mut registers = vec![0; REGISTERS];
        for_each_run(text, |run, value| registers[run].fill(value))?;
        Ok(registers)
    }

    fn place() -> impl Strategy<Value = usize> {
        prop_oneof![0..40_usize, 0..REGISTERS, REGISTERS - 40..REGISTERS]
    }

    proptest! {
        #[test]
        fn raised_registers_are_as_high_as_told(
            marks in prop::collection::vec((place(), 1..=VALUE_MAX), 1..400),
        ) {
            let mut text = Text::from_slice(&EMPTY);
            let mut expected = vec![0; REGISTERS];
            for (index, value) in marks {
                let raised = raise(&mut text, 0, index, value, usize::MAX);
                let lower = expected[index] < value;
                prop_assert_eq!(raised, Ok(if lower { Raised::Here } else { Raised::Not }));
                expected[index] = expected[index].max(value);
            }
            prop_assert_eq!(registers(&text), Ok(expected));
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            text in prop::collection::vec(any::<u8>(), 0..200),
            index in place(),
            value in 1..=VALUE_MAX,
        ) {
            let mut text = Text::from_vec(text);
            let _ = registers(&text);
            let _ = raise(&mut text, 0, index, value, 200);
        }
    }

    #[test]
    fn the_longest_text_does_not_grow() {
        let mut text = Text::from_slice(&EMPTY);
        assert_eq!(raise(&mut text, 0, 7_000, 3, 4), Ok(Raised::TooLong));
        assert_eq!(text[..], EMPTY);
        assert_eq!(raise(&mut text, 0, 7_000, 3, 5), Ok(Raised::Here));
        assert_eq!(raise(&mut text, 0, 7_000, 4, 0), Ok(Raised::Here), "it stays as long");
    }

    #[test]
    fn a_run_that_is_cut_off_is_corrupt() {
        assert_eq!(registers(&[0x7f]), Err(Corrupt));
        assert_eq!(registers(&[0x7f, 0xfe]), Err(Corrupt), "one register too few");
        assert_eq!(registers(&[0x7f, 0xff, 0]), Err(Corrupt), "one too many");
        assert_eq!(raise(&mut smallvec![0x40], 0, 0, 1, 99), Err(Corrupt));
        assert_eq!(raise(&mut smallvec![], 0, 0, 1, 99), Err(Corrupt));
        assert_eq!(raise(&mut smallvec![1], 9, 0, 1, 99), Err(Corrupt));
    }
}

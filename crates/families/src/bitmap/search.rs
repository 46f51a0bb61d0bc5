//! BITCOUNT and BITPOS: ones counted, and a bit sought, in a part of a string.

use std::ops::Range;

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View,
};

use super::rules::{count_ones, position};
use crate::work;

pub(super) const BITCOUNT: Command = Command {
    name: "BITCOUNT",
    work: Some(work::looks_at_bytes),
    run: Run::Read(bitcount),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    category: Category::BITMAP,
    group: Group::Bitmap,
    since: "2.6.0",
    summary: "Counts the bits of a string that are 1.",
    complexity: "O(N)",
    syntax: "key [start [end [BYTE | BIT]]]",
    history: &[("7.0.0", "`BYTE` and `BIT`."), ("8.0.0", "`end` may be left out (Valkey).")],
    ..Command::BASE
};

fn bitcount(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let part = Part::parse(&mut args)?;
    let Some(text) = keys.str(key.0)? else {
        reply.integer(0);
        return Ok(());
    };
    let text = text.as_bytes();
    let bits = if part.is_backwards() { 0..0 } else { part.bits(text.len()) };
    reply.integer(count_ones(text, bits) as i64);
    Ok(())
}

pub(super) const BITPOS: Command = Command {
    name: "BITPOS",
    run: Run::Read(bitpos),
    arity: Arity::AtLeast(3),
    since: "2.8.7",
    summary: "Finds the first bit of a string that is 1, or 0.",
    syntax: "key bit [start [end [BYTE | BIT]]]",
    history: &[("7.0.0", "`BYTE` and `BIT`.")],
    ..BITCOUNT
};

fn bitpos(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, bit): (Key<'_>, i64) = (args.take()?, args.take()?);
    let bit = match bit {
        0 => false,
        1 => true,
        _ => return Err(CommandError::BitPosValue),
    };
    let part = Part::parse(&mut args)?;
    let found = match keys.str(key.0)? {
        // Bits of nothing are 0.
        None => (!bit).then_some(0),
        Some(text) => part.position(text.as_bytes(), bit),
    };
    reply.integer(found.map_or(-1, |at| at as i64));
    Ok(())
}

/// A part of a string, as the words `[start [end [BYTE | BIT]]]` give it.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: i64,
    /// The last one; counted from the end if negative. `None`: up to the end.
    end: Option<i64>,
    unit: Unit,
}

/// What a bound of a part counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Byte,
    Bit,
}

impl Unit {
    fn bits(self) -> i64 {
        match self {
            Unit::Byte => 8,
            Unit::Bit => 1,
        }
    }
}

impl Part {
    /// Takes all words that are left. The unit is looked at before the end, as Redis does.
    fn parse(args: &mut Args<'_>) -> Result<Part, CommandError> {
        if args.is_empty() {
            return Ok(Part { start: 0, end: None, unit: Unit::Byte });
        }
        if args.len() > 3 {
            return Err(CommandError::Syntax);
        }
        let start = args.take()?;
        let unit = match args.get(1) {
            Some(word) if word.eq_ignore_ascii_case(b"BIT") => Unit::Bit,
            Some(word) if !word.eq_ignore_ascii_case(b"BYTE") => return Err(CommandError::Syntax),
            _ => Unit::Byte,
        };
        let end = if args.is_empty() { None } else { Some(args.take()?) };
        Ok(Part { start, end, unit })
    }

    /// Whether it begins behind its end, however long the string is: no bits for BITCOUNT, while
    /// for BITPOS both bounds may come to lie on the first one.
    fn is_backwards(&self) -> bool {
        self.end.is_some_and(|end| self.start < 0 && end < 0 && self.start > end)
    }

    /// The bits of the part in a string of `len` bytes.
    fn bits(&self, len: usize) -> Range<u64> {
        let total = len as i64 * 8 / self.unit.bits();
        let counted = |bound: i64| if bound < 0 { (total + bound).max(0) } else { bound };
        let start = counted(self.start);
        let end = self.end.map_or(total - 1, counted).min(total - 1);
        if start > end {
            return 0..0;
        }
        let bits = self.unit.bits();
        (start * bits) as u64..((end + 1) * bits) as u64
    }

    /// Where a bit stands first. A string goes on with 0 behind its end if no end was given.
    fn position(&self, text: &[u8], bit: bool) -> Option<u64> {
        let bits = self.bits(text.len());
        let goes_on = !bit && self.end.is_none() && !bits.is_empty();
        position(text, bit, bits).or(goes_on.then_some(text.len() as u64 * 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Redis documents: negative bounds count from the end, then both are cut to the string.
    fn by_definition(part: &Part, len: i64) -> Vec<u64> {
        let total = if part.unit == Unit::Bit { len * 8 } else { len };
        let from_end = |bound: i64| if bound < 0 { 0.max(bound + total) } else { bound };
        let (start, end) = (from_end(part.start), part.end.map_or(total - 1, from_end));
        let units = (0..total).filter(|unit| (start..=end).contains(unit));
        let each = if part.unit == Unit::Bit { 1 } else { 8 };
        units.flat_map(|unit| (unit * each..(unit + 1) * each).map(|bit| bit as u64)).collect()
    }

    #[test]
    fn the_bits_of_a_part_are_those_between_its_bounds() {
        for len in 0..4 {
            for unit in [Unit::Byte, Unit::Bit] {
                for start in (-30..30).chain([i64::MIN, i64::MAX]) {
                    let ends = (-30..30).chain([i64::MIN, i64::MAX]).map(Some);
                    for end in ends.chain([None]) {
                        let part = Part { start, end, unit };
                        let bits: Vec<u64> = part.bits(len).collect();
                        assert_eq!(bits, by_definition(&part, len as i64), "{part:?} of {len}");
                    }
                }
            }
        }
    }
}

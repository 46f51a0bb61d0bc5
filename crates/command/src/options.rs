//! Options that several commands share: when an entry is to expire.

use keyspace::Millis;

use crate::args::{Args, parse_integer};
use crate::error::CommandError;

/// The unit of a number that says when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
}

/// What `EX`, `PX`, `EXAT`, `PXAT`, `KEEPTTL` and `PERSIST` ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// This moment; it may lie in the past.
    Until(Millis),
    /// The deadline stays (`KEEPTTL`).
    Keep,
    /// The deadline goes (`PERSIST`).
    Persist,
}

/// The moment that a number means, counted from `base` (0 for absolute times), for the command
/// named in the error.
///
/// # Errors
/// [`CommandError::InvalidExpire`] if the moment is not one of 63 bits in ms. Negative moments are
/// 0: they have passed.
pub fn deadline_of(
    number: i64,
    unit: Unit,
    base: Millis,
    command: &'static str,
) -> Result<Millis, CommandError> {
    let millis = match unit {
        Unit::Seconds => number.checked_mul(1000),
        Unit::Millis => Some(number),
    };
    let moment = millis.and_then(|millis| millis.checked_add(i64::try_from(base).ok()?));
    let moment = moment.ok_or(CommandError::InvalidExpire(command))?;
    Ok(Millis::try_from(moment).unwrap_or(0))
}

/// Takes one of the words that say when, with its number; `None` if the next word is none.
/// A number that is not positive is refused, as all commands but the EXPIRE family do.
///
/// # Errors
/// If the number is missing, none, not positive, or beyond reach.
pub fn parse_lifetime(
    args: &mut Args<'_>,
    now: Millis,
    command: &'static str,
) -> Result<Option<Lifetime>, CommandError> {
    const WORDS: [(&str, Unit, bool); 4] = [
        ("EX", Unit::Seconds, true),
        ("PX", Unit::Millis, true),
        ("EXAT", Unit::Seconds, false),
        ("PXAT", Unit::Millis, false),
    ];
    for (word, unit, from_now) in WORDS {
        if args.word_with_value(word) {
            let raw = args.bytes()?;
            let number = parse_integer(raw).ok_or(CommandError::NotAnInteger)?;
            if number <= 0 {
                return Err(CommandError::InvalidExpire(command));
            }
            let base = if from_now { now } else { 0 };
            return deadline_of(number, unit, base, command).map(|at| Some(Lifetime::Until(at)));
        }
    }
    if args.word("KEEPTTL") {
        return Ok(Some(Lifetime::Keep));
    }
    Ok(args.word("PERSIST").then_some(Lifetime::Persist))
}

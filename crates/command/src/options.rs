//! What several commands share: when an entry is to expire, how long a string may be.

use keyspace::{DEADLINE_MAX, Millis};

use crate::args::{Args, parse_integer};
use crate::error::CommandError;

/// The longest string that a command may make, in bytes: `proto-max-bulk-len`.
pub const STRING_BYTES_MAX: usize = 512 << 20;

/// The unit of a number that says when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
}

/// The words that say when an entry is to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifetimeWord {
    /// `EX`: so many seconds from now.
    Ex,
    /// `PX`: so many milliseconds from now.
    Px,
    /// `EXAT`: at this second.
    ExAt,
    /// `PXAT`: at this millisecond.
    PxAt,
    /// `KEEPTTL`: the deadline stays.
    KeepTtl,
    /// `PERSIST`: the deadline goes.
    Persist,
}

/// What one of the words asks for. Its number is not read yet, as complaints about numbers come
/// after those about words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime<'a> {
    word: LifetimeWord,
    number: &'a [u8],
}

/// The moment that a number means, counted from `base` (0 for absolute times), for the command
/// named in the error; the last moment that can be kept, if it is later.
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
    Ok(Millis::try_from(moment).unwrap_or(0).min(DEADLINE_MAX))
}

impl LifetimeWord {
    const ALL: [(&'static str, LifetimeWord); 6] = [
        ("EX", LifetimeWord::Ex),
        ("PX", LifetimeWord::Px),
        ("EXAT", LifetimeWord::ExAt),
        ("PXAT", LifetimeWord::PxAt),
        ("KEEPTTL", LifetimeWord::KeepTtl),
        ("PERSIST", LifetimeWord::Persist),
    ];

    fn has_number(self) -> bool {
        !matches!(self, LifetimeWord::KeepTtl | LifetimeWord::Persist)
    }
}

impl<'a> Lifetime<'a> {
    /// `EX` or `PX` with this number, for commands that have it at a fixed place.
    #[must_use]
    pub fn from_now(number: &'a [u8], unit: Unit) -> Lifetime<'a> {
        let word = match unit {
            Unit::Seconds => LifetimeWord::Ex,
            Unit::Millis => LifetimeWord::Px,
        };
        Lifetime { word, number }
    }

    /// The word that was given.
    #[must_use]
    pub fn word(&self) -> LifetimeWord {
        self.word
    }

    /// Takes one of the words with its number into `given`; tells whether there was one. The
    /// same word may come again, the last one holds; `KEEPTTL` and `PERSIST` must be `other`.
    ///
    /// # Errors
    /// A syntax error if another of the words was there before, or the number is missing.
    pub fn take(
        args: &mut Args<'a>,
        other: LifetimeWord,
        given: &mut Option<Lifetime<'a>>,
    ) -> Result<bool, CommandError> {
        let mut words = LifetimeWord::ALL.into_iter();
        let Some((_, word)) = words.find(|(text, _)| args.word(text)) else { return Ok(false) };
        let is_known = word.has_number() || word == other;
        if !is_known || given.is_some_and(|before| before.word != word) {
            return Err(CommandError::Syntax);
        }
        let number = if word.has_number() { args.bytes()? } else { &[] };
        *given = Some(Lifetime { word, number });
        Ok(true)
    }

    /// The moment asked for, which may have passed; `None` if the word names none.
    ///
    /// # Errors
    /// If the number is none, not positive, or beyond reach.
    pub fn moment(
        &self,
        now: Millis,
        command: &'static str,
    ) -> Result<Option<Millis>, CommandError> {
        let (unit, base) = match self.word {
            LifetimeWord::Ex => (Unit::Seconds, now),
            LifetimeWord::Px => (Unit::Millis, now),
            LifetimeWord::ExAt => (Unit::Seconds, 0),
            LifetimeWord::PxAt => (Unit::Millis, 0),
            LifetimeWord::KeepTtl | LifetimeWord::Persist => return Ok(None),
        };
        let number = parse_integer(self.number).ok_or(CommandError::NotAnInteger)?;
        if number <= 0 {
            return Err(CommandError::InvalidExpire(command));
        }
        deadline_of(number, unit, base, command).map(Some)
    }
}

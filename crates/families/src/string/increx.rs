//! `INCREX`: counting between bounds and for a time, as a rate limiter needs it.
//!
//! The rules are [`step_integer`] and [`step_float`]: from a value, an increment and bounds to the
//! next value, or to none if it lies outside and is not to be cut off.

use std::cmp::Ordering;

use command::{
    Args, Arity, Command, CommandError, Done, Flags, Key, Lifetime, LifetimeWord, Reply, Run, View,
    event,
};
use keyspace::{Event, Expiry, Millis, StrEntry};

use super::compare::Condition;
use super::count::{INCR, float_in, integer_in};
use crate::extended::Extended;

pub(super) const INCREX: Command = Command {
    name: "INCREX",
    run: Run::Write(increx),
    arity: Arity::AtLeast(2),
    flags: Flags::DENY_OOM.and(Flags::FAST),
    since: "8.8.0",
    summary: "Adds to the number of a key, within bounds, and sets when the key expires.",
    syntax: "key [NX | XX] [BYFLOAT float | BYINT integer] [LBOUND lowerbound] \
             [UBOUND upperbound] [SATURATE] [EX seconds | PX milliseconds | \
             EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] [ENX]",
    ..INCR
};

fn increx(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let options = Options::parse(args)?;
    let now = keys.now();
    if options.by_float {
        let step = FloatStep::parse(&options)?;
        let life = Life::parse(&options, now)?;
        let mut entry = keys.str_entry(key.0)?;
        return if options.allows(&entry) {
            step.run(&mut entry, life, reply)
        } else {
            reply.null();
            Ok(())
        };
    }
    let step = IntegerStep::parse(&options)?;
    let life = Life::parse(&options, now)?;
    let mut entry = keys.str_entry(key.0)?;
    if options.allows(&entry) {
        return step.run(&mut entry, life, reply);
    }
    reply.null();
    Ok(())
}

/// The words behind the key.
#[derive(Default)]
struct Options<'a> {
    by_float: bool,
    increment: Option<&'a [u8]>,
    lower: Option<&'a [u8]>,
    upper: Option<&'a [u8]>,
    saturate: bool,
    condition: Option<Condition<'a>>,
    lifetime: Option<Lifetime<'a>>,
    /// `ENX`: a deadline that is there stays.
    only_new_deadline: bool,
}

impl<'a> Options<'a> {
    fn parse(mut args: Args<'a>) -> Result<Options<'a>, CommandError> {
        let mut options = Options::default();
        while !args.is_empty() {
            options.take(&mut args)?;
        }
        let word = options.lifetime.map(|lifetime| lifetime.word());
        match word {
            None if options.only_new_deadline => Err(CommandError::EnxWithoutExpire),
            Some(LifetimeWord::Persist) if options.only_new_deadline => Err(CommandError::Syntax),
            _ => Ok(options),
        }
    }

    fn take(&mut self, args: &mut Args<'a>) -> Result<(), CommandError> {
        if args.word("SATURATE") {
            self.saturate = true;
        } else if args.word("ENX") {
            self.only_new_deadline = true;
        } else if args.word("LBOUND") {
            self.lower = Some(args.bytes()?);
        } else if args.word("UBOUND") {
            self.upper = Some(args.bytes()?);
        } else if args.word("BYINT") {
            self.take_increment(args)?;
        } else if args.word("BYFLOAT") {
            self.by_float = true;
            self.take_increment(args)?;
        } else {
            return self.take_shared(args);
        }
        Ok(())
    }

    fn take_increment(&mut self, args: &mut Args<'a>) -> Result<(), CommandError> {
        match self.increment.replace(args.bytes()?) {
            None => Ok(()),
            Some(_) => Err(CommandError::Syntax),
        }
    }

    /// The options that other commands have, too.
    fn take_shared(&mut self, args: &mut Args<'a>) -> Result<(), CommandError> {
        if Lifetime::take(args, LifetimeWord::Persist, &mut self.lifetime)? {
            return Ok(());
        }
        let is_taken = Condition::take(args, &mut self.condition)?;
        match self.condition {
            Some(Condition::IfNew | Condition::IfThere) if is_taken => Ok(()),
            _ => Err(CommandError::Syntax),
        }
    }

    fn allows(&self, entry: &StrEntry<'_>) -> bool {
        let condition = self.condition.unwrap_or(Condition::Always);
        condition.holds(entry.exists().then_some(b""))
    }
}

/// What becomes of the key's deadline.
#[derive(Clone, Copy)]
struct Life {
    expiry: Expiry,
    only_new: bool,
    now: Millis,
}

impl Life {
    fn parse(options: &Options<'_>, now: Millis) -> Result<Life, CommandError> {
        let expiry = match options.lifetime {
            None => Expiry::Keep,
            Some(lifetime) => lifetime.moment(now, "increx")?.map_or(Expiry::Clear, Expiry::At),
        };
        Ok(Life { expiry, only_new: options.only_new_deadline, now })
    }

    /// Writes the new value, with the deadline that it is to have.
    fn store(self, entry: &mut StrEntry<'_>, text: &[u8], event: Event) -> Done {
        let had = entry.deadline();
        let expiry = if self.only_new && had.is_some() { Expiry::Keep } else { self.expiry };
        if matches!(expiry, Expiry::At(moment) if moment <= self.now) {
            entry.remove(event::DEL);
            return Ok(());
        }
        entry.set(text, expiry, event)?;
        match expiry {
            Expiry::At(_) => entry.also(event::EXPIRE),
            Expiry::Clear if had.is_some() => entry.also(event::PERSIST),
            Expiry::Clear | Expiry::Keep => {}
        }
        Ok(())
    }
}

struct IntegerStep {
    increment: i64,
    lower: i64,
    upper: i64,
    saturate: bool,
}

impl IntegerStep {
    fn parse(options: &Options<'_>) -> Result<IntegerStep, CommandError> {
        let parse = |raw: Option<&[u8]>, absent| match raw {
            None => Ok(absent),
            Some(raw) => command::parse_integer(raw).ok_or(CommandError::NotAnInteger),
        };
        let increment = parse(options.increment, 1)?;
        let lower = parse(options.lower, i64::MIN)?;
        let upper = parse(options.upper, i64::MAX)?;
        if lower > upper {
            return Err(CommandError::BoundsCrossed);
        }
        Ok(IntegerStep { increment, lower, upper, saturate: options.saturate })
    }

    fn run(&self, entry: &mut StrEntry<'_>, life: Life, reply: &mut Reply<'_>) -> Done {
        let old = integer_in(entry)?;
        let (new, applied) = match self.next(old) {
            None => (old, 0),
            Some(new) => (new, new.checked_sub(old).ok_or(CommandError::Overflow)?),
        };
        if self.next(old).is_some() {
            life.store(entry, itoa::Buffer::new().format(new).as_bytes(), event::INCRBY)?;
        }
        reply.array(2);
        reply.integer(new);
        reply.integer(applied);
        Ok(())
    }

    fn next(&self, old: i64) -> Option<i64> {
        let bounds = (self.lower, self.upper);
        step_integer(old, self.increment, bounds, self.saturate)
    }
}

/// The value after `old`; `None` if it would lie outside the bounds and is not cut off.
fn step_integer(
    old: i64,
    increment: i64,
    (lower, upper): (i64, i64),
    saturate: bool,
) -> Option<i64> {
    let wanted = i128::from(old) + i128::from(increment);
    let allowed = wanted.clamp(i128::from(lower), i128::from(upper));
    let is_inside = allowed == wanted;
    (is_inside || saturate).then_some(allowed as i64)
}

struct FloatStep {
    increment: Extended,
    lower: Extended,
    upper: Extended,
    saturate: bool,
}

impl FloatStep {
    fn parse(options: &Options<'_>) -> Result<FloatStep, CommandError> {
        let parse = |raw: Option<&[u8]>, absent| match raw {
            None => Ok(absent),
            Some(raw) => Extended::parse(raw).ok_or(CommandError::NotAFloat),
        };
        let increment = parse(options.increment, Extended::ZERO)?;
        let lower = parse(options.lower, Extended::MAX.negated())?;
        let upper = parse(options.upper, Extended::MAX)?;
        if lower.compare(upper) == Ordering::Greater {
            return Err(CommandError::BoundsCrossed);
        }
        Ok(FloatStep { increment, lower, upper, saturate: options.saturate })
    }

    fn run(&self, entry: &mut StrEntry<'_>, life: Life, reply: &mut Reply<'_>) -> Done {
        let old = float_in(entry)?;
        if old.is_infinite() || self.increment.is_infinite() {
            return Err(CommandError::NotFinite);
        }
        let next = step_float(old, self.increment, (self.lower, self.upper), self.saturate);
        let (new, applied) = match next {
            None => (old, Extended::ZERO),
            Some(new) => (new, new.plus(old.negated()).unwrap_or(Extended::ZERO)),
        };
        if new.is_infinite() || applied.is_infinite() {
            return Err(CommandError::NotFinite);
        }
        let text = new.to_string();
        if next.is_some() {
            life.store(entry, text.as_bytes(), event::INCRBYFLOAT)?;
        }
        reply.array(2);
        reply.decimal(text.as_bytes());
        reply.decimal(applied.to_string().as_bytes());
        Ok(())
    }
}

/// As [`step_integer`].
fn step_float(
    old: Extended,
    increment: Extended,
    (lower, upper): (Extended, Extended),
    saturate: bool,
) -> Option<Extended> {
    let wanted = old.plus(increment)?;
    if wanted.compare(upper) == Ordering::Greater {
        return saturate.then_some(upper);
    }
    if wanted.compare(lower) == Ordering::Less {
        return saturate.then_some(lower);
    }
    Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_stays_inside_the_bounds_or_is_not_made() {
        let bounds = || (-3..4).flat_map(|low| (low..4).map(move |high| (low, high)));
        for (low, high) in bounds() {
            for (old, by) in (-4..5).flat_map(|old| (-4..5).map(move |by| (old, by))) {
                let inside = (low..=high).contains(&(old + by));
                let plain = step_integer(old, by, (low, high), false);
                assert_eq!(plain, inside.then_some(old + by));
                let cut = step_integer(old, by, (low, high), true);
                assert_eq!(cut, Some((old + by).clamp(low, high)));
            }
        }
    }

    #[test]
    fn without_bounds_the_type_is_the_bound() {
        let bounds = (i64::MIN, i64::MAX);
        assert_eq!(step_integer(i64::MAX, 1, bounds, false), None);
        assert_eq!(step_integer(i64::MAX, 1, bounds, true), Some(i64::MAX));
        assert_eq!(step_integer(i64::MIN, -1, bounds, true), Some(i64::MIN));
    }

    #[test]
    fn a_float_step_is_cut_off_as_an_integer_step_is() {
        let float = |number: i64| Extended::parse(number.to_string().as_bytes()).unwrap();
        for (old, by) in (-4..5).flat_map(|old| (-4..5).map(move |by| (old, by))) {
            for saturate in [false, true] {
                let expected = step_integer(old, by, (-2, 2), saturate).map(float);
                let bounds = (float(-2), float(2));
                assert_eq!(step_float(float(old), float(by), bounds, saturate), expected);
            }
        }
    }
}

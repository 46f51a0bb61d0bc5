//! `CL.THROTTLE`: how often something may happen, by the generic cell rate algorithm (ITU-T
//! I.371, annex A, as a virtual scheduler).
//!
//! All that is kept is the theoretical arrival time: the moment at which the next request would
//! be right on schedule, in nanoseconds. Each request moves it on by the interval that the rate
//! asks for; one that would move it too far beyond now is refused and changes nothing.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event,
};
use keyspace::{Expiry, Millis};

use super::count::integer_in;

const NANOS_A_SECOND: i64 = 1_000_000_000;
const NANOS_A_MILLI: i64 = 1_000_000;

pub(super) const THROTTLE: Command = Command {
    name: "CL.THROTTLE",
    run: Run::Write(throttle),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::one(1, KeyUse::UPDATE)],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::STRING,
    group: Group::String,
    since: "1.0.0",
    summary: "Asks whether something may happen now, at so many times a period and in bursts.",
    syntax: "key max-burst count period [quantity]",
    ..Command::BASE
};

fn throttle(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let (burst, count, period) = (natural(&mut args)?, natural(&mut args)?, natural(&mut args)?);
    let quantity = if args.is_empty() { 1 } else { natural(&mut args)? };
    args.end()?;
    let rate = Rate::new(burst, count, period)?;
    let now = keys.now();

    let mut entry = keys.str_entry(key.0)?;
    let arrival = if entry.exists() { Some(integer_in(&entry)?) } else { None };
    let now_nanos = nanos(now).ok_or(CommandError::NotAnInteger)?;
    let answer = rate.ask(arrival, now_nanos, quantity).ok_or(CommandError::NotAnInteger)?;
    if let Some(arrival) = answer.arrival {
        let deadline = Millis::try_from(millis(arrival)).unwrap_or(now);
        let text = itoa::Buffer::new().format(arrival).to_owned();
        entry.set(text.as_bytes(), Expiry::At(deadline), event::SET)?;
    }
    reply.array(5);
    reply.integer(i64::from(answer.limited));
    reply.integer(rate.limit);
    reply.integer(answer.remaining);
    reply.integer(answer.retry_after.map_or(-1, seconds));
    reply.integer(seconds(answer.reset_after));
    Ok(())
}

/// An argument that is not negative.
fn natural(args: &mut Args<'_>) -> Result<i64, CommandError> {
    let number: i64 = args.take()?;
    if number < 0 { Err(CommandError::NotAnInteger) } else { Ok(number) }
}

fn nanos(moment: Millis) -> Option<i64> {
    i64::try_from(moment).ok()?.checked_mul(NANOS_A_MILLI)
}

/// Seconds as clients are told them: whole milliseconds give one second more, whatever is left.
fn seconds(nanos: i64) -> i64 {
    let millis = millis(nanos);
    if millis > 0 { millis / 1000 + 1 } else { 0 }
}

/// Milliseconds, rounded up.
fn millis(nanos: i64) -> i64 {
    nanos / NANOS_A_MILLI + i64::from(nanos % NANOS_A_MILLI > 0)
}

/// How often something may happen.
struct Rate {
    /// How often at once.
    limit: i64,
    /// Nanoseconds from one time to the next.
    interval: i64,
    /// Nanoseconds that the arrival time may be ahead of now.
    tolerance: i64,
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    limited: bool,
    /// How often it may happen still.
    remaining: i64,
    /// Nanoseconds until the same may be asked again; `None`: it may now, or never.
    retry_after: Option<i64>,
    /// Nanoseconds until all is as if nothing had happened.
    reset_after: i64,
    /// The arrival time to be kept.
    arrival: Option<i64>,
}

impl Rate {
    /// `count` times in `period` seconds, and `burst` times more at once.
    fn new(burst: i64, count: i64, period: i64) -> Result<Rate, CommandError> {
        let period = period.checked_mul(NANOS_A_SECOND).ok_or(CommandError::NotAnInteger)?;
        let interval = period.checked_div(count).ok_or(CommandError::NotAnInteger)?;
        if interval == 0 {
            return Err(CommandError::ZeroRate);
        }
        let limit = burst.checked_add(1).ok_or(CommandError::NotAnInteger)?;
        let tolerance = interval.checked_mul(limit).ok_or(CommandError::NotAnInteger)?;
        Ok(Rate { limit, interval, tolerance })
    }

    /// Asks for `quantity` times at once. `None` if a moment is out of range.
    fn ask(&self, arrival: Option<i64>, now: i64, quantity: i64) -> Option<Answer> {
        let increment = self.interval.checked_mul(quantity)?;
        let arrival = arrival.unwrap_or(now).max(now);
        let next = arrival.checked_add(increment)?;
        let over = next.checked_sub(now)?.checked_sub(self.tolerance)?;
        let limited = over > 0;
        let reset_after = if limited { arrival - now } else { next - now };
        let room = self.tolerance.checked_sub(reset_after)?;
        Some(Answer {
            limited,
            remaining: (room / self.interval).max(0),
            retry_after: (limited && increment <= self.tolerance).then_some(over),
            reset_after,
            arrival: (!limited && quantity > 0).then_some(next),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = NANOS_A_SECOND;

    #[test]
    fn a_burst_is_let_through_and_then_one_an_interval() {
        let rate = Rate::new(2, 1, 10).unwrap();
        let (mut arrival, now) = (None, 1_000 * SECOND);
        for left in [2, 1, 0] {
            let answer = rate.ask(arrival, now, 1).unwrap();
            assert!(!answer.limited);
            assert_eq!(answer.remaining, left);
            arrival = answer.arrival;
        }
        let answer = rate.ask(arrival, now, 1).unwrap();
        assert!(answer.limited && answer.arrival.is_none());
        assert_eq!(answer.retry_after, Some(10 * SECOND));
        assert_eq!(answer.reset_after, 30 * SECOND);
        let answer = rate.ask(arrival, now + 10 * SECOND, 1).unwrap();
        assert!(!answer.limited);
    }

    #[test]
    fn more_than_fits_at_once_never_goes_through() {
        let rate = Rate::new(2, 1, 1).unwrap();
        let answer = rate.ask(None, 0, 4).unwrap();
        assert!(answer.limited);
        assert_eq!((answer.remaining, answer.retry_after), (3, None));
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        let answer = Rate::new(0, 1, 1).unwrap().ask(None, 5 * SECOND, 0).unwrap();
        assert_eq!(answer.arrival, None);
        assert_eq!((answer.limited, answer.remaining, answer.reset_after), (false, 1, 0));
    }

    #[test]
    fn rates_that_cannot_be_are_refused() {
        assert_eq!(Rate::new(1, 0, 1).err(), Some(CommandError::NotAnInteger));
        assert_eq!(Rate::new(1, 2_000_000_000, 1).err(), Some(CommandError::ZeroRate));
        assert_eq!(Rate::new(1, 1, 0).err(), Some(CommandError::ZeroRate));
        for (burst, count, period) in [(i64::MAX, 1, 1), (1, 1, i64::MAX), (1 << 40, 1, 1 << 20)] {
            assert_eq!(Rate::new(burst, count, period).err(), Some(CommandError::NotAnInteger));
        }
        assert_eq!(Rate::new(0, 1, 1).unwrap().ask(Some(i64::MAX), 0, 1), None);
    }

    #[test]
    fn seconds_are_rounded_up_and_whole_ones_too() {
        let cases = [(0, 0), (-5, 0), (1, 1), (SECOND - 1, 2), (SECOND, 2), (3 * SECOND / 2, 2)];
        for (nanos, expected) in cases {
            assert_eq!(seconds(nanos), expected, "{nanos}");
        }
    }
}

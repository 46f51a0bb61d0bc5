//! Commands that wait until there is something for them.

use keyspace::{Millis, View};
use protocol::Reply;

use crate::args::{Args, parse_float};
use crate::error::CommandError;

/// A command that may wait. Whoever makes one of its keys ready runs the same function for it.
#[derive(Clone, Copy)]
pub struct Block {
    /// Answers if it can. It passes over keys whose shards are not entered ([`View::has_entered`]):
    /// they had nothing when the wait began.
    pub now: Now,
    /// Whether `now` would answer because of this key, whose shard is entered.
    pub awaits: Awaits,
    /// Whether it may answer because a key is gone.
    pub awaits_absence: bool,
    /// Waits for its first key only, and runs where all of its keys are entered.
    pub whole: bool,
    /// The answer where it may not wait and there is nothing.
    pub nothing: fn(&mut Reply<'_>),
    /// Of a command that changes nothing: whether these words may wait. Only then its shards are
    /// entered exclusively, so that nobody comes between its look and its wait.
    pub reads: Option<fn(Args<'_>) -> bool>,
    /// Words that mean what they do when the wait begins: their places, and what stands for them.
    pub pin: Option<fn(Args<'_>, &View<'_>) -> Pins>,
}

impl Block {
    /// A command that takes something of the first of its keys that has any.
    #[must_use]
    pub const fn taking(now: Now, awaits: Awaits) -> Block {
        Block {
            now,
            awaits,
            awaits_absence: false,
            whole: false,
            nothing: |reply| reply.null_array(),
            reads: None,
            pin: None,
        }
    }

    /// A command that moves something from its first key to another.
    #[must_use]
    pub const fn moving(now: Now, awaits: Awaits) -> Block {
        Block { whole: true, nothing: |reply| reply.null(), ..Block::taking(now, awaits) }
    }
}

/// A function that answers if it can.
pub type Now = fn(Args<'_>, &mut View<'_>, &mut Reply<'_>) -> Attempt;

/// A function that says whether there is something under a key.
pub type Awaits = fn(Args<'_>, &View<'_>, &[u8]) -> bool;

/// What an attempt to answer comes to.
pub type Attempt = Result<Tried, CommandError>;

/// Places among a command's words, and the words that they hold from then on.
pub type Pins = Vec<(usize, Vec<u8>)>;

/// What became of the attempt to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The answer is written.
    Answered,
    /// There is nothing yet.
    Waits(Until),
}

/// How long a command waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    /// When its time is over; `None`: never.
    pub over: Option<Millis>,
    /// When it tries anew, though nobody made a key ready.
    pub again: Option<Millis>,
}

/// Until when a command waits whose timeout is `raw`, in seconds.
///
/// # Errors
/// If it is no number, negative, or ends beyond all time.
pub fn wait_seconds(raw: &[u8], now: Millis) -> Result<Until, CommandError> {
    let millis = parse_float(raw).ok_or(CommandError::TimeoutNotAFloat)? * 1000.0;
    // i64::MAX is no f64; the next one above it is 2^63.
    if millis >= i64::MAX as f64 {
        return Err(CommandError::TimeoutOutOfRange);
    }
    let millis = millis.ceil();
    if millis < 0.0 {
        return Err(CommandError::TimeoutNegative);
    }
    wait_millis(millis as u64, now)
}

/// Until when a command waits that waits so many ms; 0: for ever.
///
/// # Errors
/// If that is beyond all time.
pub fn wait_millis(millis: Millis, now: Millis) -> Result<Until, CommandError> {
    let over = now.checked_add(millis).filter(|&over| i64::try_from(over).is_ok());
    let over = over.ok_or(CommandError::TimeoutOutOfRange)?;
    Ok(Until { over: (millis > 0).then_some(over), again: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_rounded_up_to_milliseconds() {
        let until = |raw: &str| wait_seconds(raw.as_bytes(), 1000).map(|until| until.over);
        assert_eq!(until("0"), Ok(None));
        assert_eq!(until("-0.0000001"), Ok(None));
        assert_eq!(until("1e-9"), Ok(Some(1001)));
        assert_eq!(until("0.01"), Ok(Some(1010)));
        assert_eq!(until("0x1"), Ok(Some(2000)));
    }

    #[test]
    fn a_timeout_beyond_all_time_is_refused_and_so_is_one_before_now() {
        let until = |raw: &str| wait_seconds(raw.as_bytes(), 1000).map(|until| until.over);
        for raw in ["x", "nan", " 1", ""] {
            assert_eq!(until(raw), Err(CommandError::TimeoutNotAFloat), "{raw}");
        }
        for raw in ["1e30", "inf", "9223372036854775.807"] {
            assert_eq!(until(raw), Err(CommandError::TimeoutOutOfRange), "{raw}");
        }
        assert_eq!(until("-1"), Err(CommandError::TimeoutNegative));
    }
}

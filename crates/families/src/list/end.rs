//! The words LEFT and RIGHT, and what is told of a change at either end.

use command::{Arg, CommandError, event};
use keyspace::{End, Event};

/// An end of a list, as a command names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Side(pub(super) End);

impl Arg<'_> for Side {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        if raw.eq_ignore_ascii_case(b"LEFT") {
            Ok(Side(End::Front))
        } else if raw.eq_ignore_ascii_case(b"RIGHT") {
            Ok(Side(End::Back))
        } else {
            Err(CommandError::Syntax)
        }
    }
}

/// What subscribers are told when elements come to this end.
pub(super) fn pushed(end: End) -> Event {
    match end {
        End::Front => event::LPUSH,
        End::Back => event::RPUSH,
    }
}

/// What subscribers are told when elements go from this end.
pub(super) fn popped(end: End) -> Event {
    match end {
        End::Front => event::LPOP,
        End::Back => event::RPOP,
    }
}

//! Whether a concurrent history could have happened one operation at a time.
//!
//! A history is linearizable if its operations can be put into one order that
//! keeps "returned before it was invoked" and in which each answer is the one
//! that a single client would have got. The search is that of Wing and Gong
//! (1993), with Lowe's memory (2017) of pairs of "done so far" and state, which
//! are never tried twice.
//!
//! Linearizability is local: operations on keys that no operation connects are
//! checked apart, which keeps the searches small.
//!
//! An operation without an answer (its connection broke) may have happened at
//! any time after it was invoked, or never.
//!
//! # Complexity
//!
//! Exponential in the operations that run at once, not in their number: a few
//! clients may do thousands of operations. [`CONFIGURATIONS_MAX`] bounds the
//! memory that a search takes.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

mod search;
mod strings;

pub use strings::{Op, Strings};

/// How many pairs of "done so far" and state one search remembers.
pub const CONFIGURATIONS_MAX: usize = 2_000_000;

/// What operations do when one happens after the other.
pub trait Specification {
    /// One operation with its arguments.
    type Op: Clone + Debug;
    /// What an operation returns.
    type Answer: Clone + Debug + PartialEq;
    /// Everything operations depend on; the default is the beginning.
    type State: Clone + Default + Eq + Hash;

    /// The keys that an operation reads or writes.
    fn keys(op: &Self::Op) -> Vec<Vec<u8>>;

    /// Does `op` to `state`.
    fn apply(state: &mut Self::State, op: &Self::Op) -> Self::Answer;
}

/// The times of a history: a counter that all clients share.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The next time; no two calls get the same.
    pub fn tick(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// One operation of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<O, A> {
    /// Who did it; only for messages.
    pub client: usize,
    /// When it was begun.
    pub invoked: u64,
    /// What was done.
    pub op: O,
    /// When it returned and what; `None` if nothing came back.
    pub returned: Option<(u64, A)>,
}

/// The events of a specification.
pub type EventOf<S> = Event<<S as Specification>::Op, <S as Specification>::Answer>;

/// Why a history is not accepted.
#[derive(Clone, Debug, PartialEq)]
pub enum Violation<O, A> {
    /// No order explains the answers.
    NotLinearizable {
        /// The longest order that could be found.
        explained: Vec<Event<O, A>>,
        /// An operation that had returned by then and fits nowhere.
        stuck_at: Event<O, A>,
    },
    /// The search needs more than [`CONFIGURATIONS_MAX`]: too many operations at once.
    TooHard,
}

impl<O: Debug, A: Debug> fmt::Display for Violation<O, A> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::NotLinearizable { explained, stuck_at } = self else {
            return write!(out, "more than {CONFIGURATIONS_MAX} configurations");
        };
        writeln!(out, "no order explains the history; the longest one:")?;
        explained.iter().try_for_each(|event| write_event(event, out))?;
        writeln!(out, "and then not, though it had returned:")?;
        write_event(stuck_at, out)
    }
}

fn write_event<O: Debug, A: Debug>(
    event: &Event<O, A>,
    out: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let Event { client, invoked, op, returned } = event;
    match returned {
        Some((at, answer)) => {
            writeln!(out, "  client {client}, {invoked} to {at}: {op:?}: {answer:?}")
        }
        None => writeln!(out, "  client {client}, from {invoked}: {op:?}: no answer"),
    }
}

/// Why a history of a specification is not accepted.
pub type Refusal<S> = Box<Violation<<S as Specification>::Op, <S as Specification>::Answer>>;

/// Checks a history, whose events may stand in any order.
///
/// # Errors
///
/// If no order of the operations explains the answers, or none could be found.
pub fn check<S: Specification>(history: &[EventOf<S>]) -> Result<(), Refusal<S>> {
    partition::<S>(history).iter().try_for_each(|part| search::explain::<S>(part))
}

/// The history in parts that have no key in common.
fn partition<S: Specification>(history: &[EventOf<S>]) -> Vec<Vec<&EventOf<S>>> {
    let mut groups = Groups::default();
    for event in history {
        let keys = S::keys(&event.op);
        keys.windows(2).for_each(|pair| groups.join(&pair[0], &pair[1]));
    }
    let mut parts: BTreeMap<Vec<u8>, Vec<&EventOf<S>>> = BTreeMap::new();
    for event in history {
        let keys = S::keys(&event.op);
        let first = keys.first().expect("an operation names a key");
        parts.entry(groups.leader(first)).or_default().push(event);
    }
    parts.into_values().collect()
}

/// Keys that operations connect; each group is known by one of its keys.
#[derive(Default)]
struct Groups(BTreeMap<Vec<u8>, Vec<u8>>);

impl Groups {
    fn leader(&self, key: &[u8]) -> Vec<u8> {
        let mut leader = key;
        while let Some(next) = self.0.get(leader) {
            leader = next;
        }
        leader.to_vec()
    }

    fn join(&mut self, one: &[u8], other: &[u8]) {
        let (one, other) = (self.leader(one), self.leader(other));
        if one != other {
            self.0.insert(one, other);
        }
    }
}

#[cfg(test)]
mod tests;

//! What a history can show that no order of its transactions explains.

use std::fmt;

use super::Transaction;

/// Why a history is not strictly serializable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// A transaction contradicts itself: its step of this number does not follow from those before.
    Internal {
        /// Who.
        by: Transaction,
        /// Which of its steps, from 0.
        step: usize,
    },
    /// A list was seen with an element that nobody added.
    Unwritten {
        /// Who saw it.
        by: Transaction,
        /// The list.
        key: String,
        /// The element.
        value: u64,
    },
    /// G1a: a list was seen with an element of a transaction that did not happen.
    Aborted {
        /// Who saw it.
        by: Transaction,
        /// The list.
        key: String,
        /// The element.
        value: u64,
        /// Who would have added it.
        writer: Transaction,
    },
    /// An element was added, taken or seen twice.
    Twice {
        /// The list.
        key: String,
        /// The element.
        value: u64,
        /// By whom, or by the same one twice.
        by: [Transaction; 2],
    },
    /// Two reads of a list, neither of which is the beginning of the other.
    IncompatibleOrders {
        /// The list.
        key: String,
        /// One who read it.
        one: Transaction,
        /// The one who read most of it.
        longest: Transaction,
    },
    /// What a transaction has added or taken stood in the list in another order.
    Turned {
        /// The list.
        key: String,
        /// The element that stood before the other, though it was added or taken after it.
        first: u64,
        /// The other.
        second: u64,
        /// Who added or took them.
        by: Transaction,
    },
    /// G1b: a list was seen in the midst of a transaction.
    Intermediate {
        /// Who saw it.
        by: Transaction,
        /// The list.
        key: String,
        /// Whose elements are there only in part.
        writer: Transaction,
    },
    /// An element was taken, but one that was before it in the queue never was.
    Overtaken {
        /// The queue.
        key: String,
        /// The element before it.
        left: u64,
        /// The one that was taken.
        value: u64,
        /// Who took it.
        by: Transaction,
    },
    /// An element was in a queue, and was not seen there.
    Missed {
        /// The queue.
        key: String,
        /// The element.
        value: u64,
        /// Who did not see it.
        by: Transaction,
        /// Who had added it.
        writer: Transaction,
    },
    /// Dependencies that go round.
    Cycle(Cycle),
}

/// How one transaction depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It wrote behind it.
    Ww,
    /// It saw what the other wrote.
    Wr,
    /// It wrote what the other did not see.
    Rw,
    /// It was invoked after the other had returned.
    Time,
}

/// One transaction of a cycle, and how the next one depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The transaction.
    pub transaction: Transaction,
    /// Why the next one comes after it.
    pub kind: Kind,
    /// The list that shows it; none shows the time.
    pub key: String,
}

/// How bad a cycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Writes of two transactions are mixed.
    G0,
    /// Each has seen what the other wrote.
    G1c,
    /// One has seen another only in part: a torn read, or a lost update.
    GSingle,
    /// Several did not see each other: write skew.
    G2,
}

/// Transactions each of which must come before the next, and the last before the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// How bad it is.
    pub class: Class,
    /// Whether it contradicts only the time: the history may be serializable, but not strictly.
    pub is_of_time: bool,
    /// The transactions.
    pub links: Vec<Link>,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internal { by, step } => {
                write!(out, "step {step} contradicts those before it:\n{by}")
            }
            Self::Unwritten { by, key, value } => {
                write!(out, "nobody has added {value} to {key}, which is seen by\n{by}")
            }
            Self::Aborted { by, key, value, writer } => {
                write!(out, "G1a, {value} of {key}, which is seen by\n{by}")?;
                write!(out, "would have been added by\n{writer}")
            }
            Self::Twice { key, value, by: [one, other] } => {
                write!(out, "{value} of {key} is there twice:\n{one}{other}")
            }
            Self::IncompatibleOrders { key, one, longest } => {
                write!(out, "{key} had two orders:\n{one}{longest}")
            }
            Self::Turned { key, first, second, by } => {
                write!(out, "{first} was before {second} in {key}, unlike in\n{by}")
            }
            Self::Intermediate { by, key, writer } => {
                write!(out, "G1b, {key} is seen by\n{by}in the midst of\n{writer}")
            }
            Self::Overtaken { key, left, value, by } => {
                write!(out, "{left} was before {value} in {key} and never taken, but\n{by}")
            }
            Self::Missed { key, value, by, writer } => {
                write!(out, "{value} of {key} was there, and not seen by\n{by}")?;
                write!(out, "It was added by\n{writer}")
            }
            Self::Cycle(cycle) => cycle.fmt(out),
        }
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = if self.is_of_time { ", by the time only" } else { "" };
        writeln!(
            out,
            "{:?}{time}, each before the next and the last before the first:",
            self.class
        )?;
        for Link { transaction, kind, key } in &self.links {
            writeln!(out, "{transaction}    {kind:?} {key}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, how, invoked, returned, happened, steps } = self;
        let not = if *happened { "" } else { ", did not happen" };
        write!(out, "  client {client}, {how}, {invoked} to {returned}{not}:")?;
        steps.iter().try_for_each(|step| write!(out, " {step}"))?;
        writeln!(out)
    }
}

impl fmt::Display for super::Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append(key, value) => write!(out, "{key}+{value}"),
            Self::Read(key, values) => write!(out, "{key}={values:?}"),
            Self::Length(key, length) => write!(out, "|{key}|={length}"),
            Self::Take(key, Some(value)) => write!(out, "{key}-{value}"),
            Self::Take(key, None) => write!(out, "{key}-nothing"),
        }
    }
}

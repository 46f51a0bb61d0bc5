//! Whether the transactions of a concurrent history could have happened one at a time.
//!
//! The method is that of Elle (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from
//! Experimental Observations", VLDB 2020) with its workload of lists that are appended to. Every
//! element is added to a list once, so a list that is read tells who wrote it, in which order, and
//! who came too late to be seen. From that follow dependencies between transactions, as Adya
//! (1999) names them:
//!
//! * `ww`: one adds an element right behind the other's;
//! * `wr`: one reads what the other added last;
//! * `rw`: one reads a list, the other adds the element that is not there yet.
//!
//! A history is serializable if its transactions can be put into an order that keeps all
//! dependencies: if they go round in no cycle. It is strictly so if the order also keeps "returned
//! before it was invoked", which is one more kind of dependency here. The cycle that is reported
//! is the worst there is: G0 before G1c, before G-single, before G2, and each of them before those
//! that need the time.
//!
//! Lists from which elements are also taken, at the other end, are queues: no read shows all that
//! was ever in one. Their order comes in parts, out of whatever tells a part of it.
//!
//! Unlike [`linearizability`](crate::linearizability), which tries orders and knows any operation,
//! this looks at each transaction a few times: thousands of transactions of any number of clients
//! are checked in a moment. It knows lists only.
//!
//! # Invariants
//!
//! 1. What is reported cannot have happened in any order. What is accepted may still have been
//!    wrong in a way that nobody has seen: each list should be read at the end.
//!
//! # Complexity
//!
//! Linear in what was added, taken and read, if all is well; but each read of a queue is compared
//! with each of its elements.

use std::collections::{BTreeMap, BTreeSet};

mod anomaly;
mod elements;
mod graph;
mod lists;
mod queues;
mod within;

pub use anomaly::{Anomaly, Class, Cycle, Kind, Link};

use elements::{Elements, Place};
use graph::Graph;

/// What a transaction did at once with other things, and saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An element was added behind all others; the same one is added to a list only once.
    Append(String, u64),
    /// All elements of a list, the first one first.
    Read(String, Vec<u64>),
    /// How many elements a list had.
    Length(String, usize),
    /// The first element of a list was taken; `None`: it had none.
    Take(String, Option<u64>),
}

impl Step {
    /// The list that it concerns.
    pub fn key(&self) -> &str {
        match self {
            Self::Append(key, _)
            | Self::Read(key, _)
            | Self::Length(key, _)
            | Self::Take(key, _) => key,
        }
    }
}

/// A transaction of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Who did it: one after the other, those invoked at the same time as they stand.
    pub client: usize,
    /// In which way it was done; only for messages.
    pub how: &'static str,
    /// When it was begun, by a counter that all clients share.
    pub invoked: u64,
    /// When it returned.
    pub returned: u64,
    /// Whether it happened; else its steps are what it would have done.
    pub happened: bool,
    /// What it did, in this order.
    pub steps: Vec<Step>,
}

/// Checks a history, whose transactions may stand in any order, but for those that a client
/// invoked at the same time.
///
/// # Errors
///
/// An anomaly that shows that the history is not strictly serializable.
pub fn check(history: &[Transaction]) -> Result<(), Box<Anomaly>> {
    history.iter().filter(|one| one.happened).try_for_each(within::check)?;
    let history = History::new(history);
    let elements = Elements::find(&history)?;
    let mut graph = Graph::new(history.transactions);
    let orders = lists::orders(&history);
    orders.iter().try_for_each(|(key, order)| {
        lists::connect(&history.keys[key], order, &elements, &mut graph)
    })?;
    let witnesses = queues::witnesses(&history, &orders, &elements);
    let queues = history.keys.iter().filter(|(_, uses)| uses.is_queue());
    for (_, uses) in queues.clone() {
        queues::connect(uses, &witnesses, &elements, &mut graph)?;
    }
    graph.find_cycle().map_or(Ok(()), |cycle| Err(Box::new(Anomaly::Cycle(cycle))))?;
    queues.into_iter().try_for_each(|(_, uses)| queues::find_missed(uses, &elements))
}

/// A history as the checks look at it.
struct History<'h> {
    transactions: &'h [Transaction],
    keys: BTreeMap<&'h str, Uses<'h>>,
}

/// What was done with one list, by whom.
struct Uses<'h> {
    key: &'h str,
    transactions: &'h [Transaction],
    steps: Vec<(Place, &'h Step)>,
}

impl<'h> History<'h> {
    fn new(transactions: &'h [Transaction]) -> Self {
        let mut keys = BTreeMap::new();
        for (at, one) in transactions.iter().enumerate().filter(|(_, one)| one.happened) {
            for (nth, step) in one.steps.iter().enumerate() {
                let key = step.key();
                let new = || Uses { key, transactions, steps: Vec::new() };
                let uses = keys.entry(key).or_insert_with(new);
                uses.steps.push((Place { at, step: nth }, step));
            }
        }
        Self { transactions, keys }
    }

    fn clients(&self) -> BTreeSet<usize> {
        self.transactions.iter().map(|one| one.client).collect()
    }
}

impl<'h> Uses<'h> {
    fn is_queue(&self) -> bool {
        self.steps.iter().any(|(_, step)| matches!(step, Step::Take(..)))
    }

    fn transaction(&self, at: usize) -> &'h Transaction {
        &self.transactions[at]
    }

    /// Notes that one element stands before another, which were added, or taken, at these places.
    fn precede(
        &self,
        (first, second): (u64, u64),
        [one, next]: [Place; 2],
        graph: &mut Graph<'h>,
    ) -> Result<(), Box<Anomaly>> {
        if one.at == next.at && one.step > next.step {
            let (key, by) = (self.key.to_owned(), self.transaction(one.at).clone());
            return Err(Box::new(Anomaly::Turned { key, first, second, by }));
        }
        graph.add(one.at, next.at, Kind::Ww, self.key);
        Ok(())
    }

    /// Who read all elements, and which.
    fn reads(&self) -> impl Iterator<Item = (usize, &'h [u64])> {
        self.steps.iter().filter_map(|&(place, step)| match step {
            Step::Read(_, values) => Some((place.at, &values[..])),
            _ => None,
        })
    }

    /// Who added an element, and which.
    fn added(&self) -> impl Iterator<Item = (usize, u64)> {
        self.steps.iter().filter_map(|&(place, step)| match step {
            Step::Append(_, value) => Some((place.at, *value)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;

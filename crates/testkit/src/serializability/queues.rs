//! Queues: lists that are added to at one end and taken from at the other.
//!
//! What was in a queue is never seen as a whole, so its order is put together out of parts: a read
//! shows a run of it; and whenever transactions are known to have happened in some order, what
//! they added is in the queue in that order, and what they took was. Such an order has each
//! client, and each list that several transactions have added to. From "x stands before y" follow
//!
//! * `ww` between those who added them, and between those who took them;
//! * that who still saw x and no y read before y was added (`rw`), and who saw y and no x, after x
//!   was taken (`wr`).

use std::collections::{BTreeMap, BTreeSet};

use super::elements::Elements;
use super::graph::Graph;
use super::lists::Order;
use super::{Anomaly, History, Kind, Step, Uses};

/// Transactions in an order in which they must have happened.
type Witness = Vec<usize>;

/// Elements of a queue of which each stands somewhere before the next.
type Chain = Vec<u64>;

/// All orders that are known without the queues: those of clients and of lists.
pub(super) fn witnesses<'h>(
    history: &History<'h>,
    orders: &BTreeMap<&'h str, Order<'h>>,
    elements: &Elements<'h>,
) -> Vec<Witness> {
    let transactions = history.transactions;
    let of_client = |client| {
        let own = |&at: &usize| transactions[at].client == client && transactions[at].happened;
        let mut own: Witness = (0..transactions.len()).filter(own).collect();
        own.sort_by_key(|&at| transactions[at].invoked);
        own
    };
    let of_list = |(&key, order): (&&'h str, &Order<'h>)| {
        let mut writers: Witness =
            order.values.iter().map(|&value| elements.writer(key, value)).collect();
        writers.dedup();
        writers
    };
    history.clients().into_iter().map(of_client).chain(orders.iter().map(of_list)).collect()
}

/// Adds the dependencies that a queue shows.
pub(super) fn connect<'h>(
    uses: &Uses<'h>,
    witnesses: &[Witness],
    elements: &Elements<'h>,
    graph: &mut Graph<'h>,
) -> Result<(), Box<Anomaly>> {
    let key = uses.key;
    for (writer, value) in uses.added() {
        if let Some(taker) = elements.taker(key, value) {
            graph.add(writer, taker, Kind::Wr, key);
        }
    }
    let order = PartialOrder::find(uses, witnesses);
    for &pair in &order.pairs {
        let values = [pair.0, pair.1];
        uses.precede(pair, values.map(|value| elements.added(key, value)), graph)?;
        match values.map(|value| elements.taken(key, value)) {
            [Some(one), Some(next)] => uses.precede(pair, [one, next], graph)?,
            [None, Some(next)] => return Err(overtaken(uses, pair, next.at)),
            _ => {}
        }
    }
    uses.reads().for_each(|(at, values)| connect_read(uses, &order, (at, values), elements, graph));
    Ok(())
}

fn overtaken(uses: &Uses<'_>, (left, value): (u64, u64), by: usize) -> Box<Anomaly> {
    let (key, by) = (uses.key.to_owned(), uses.transaction(by).clone());
    Box::new(Anomaly::Overtaken { key, left, value, by })
}

/// Adds what follows from one who saw these elements in a queue.
fn connect_read<'h>(
    uses: &Uses<'h>,
    order: &PartialOrder,
    (at, values): (usize, &[u64]),
    elements: &Elements<'h>,
    graph: &mut Graph<'h>,
) {
    let key = uses.key;
    let (&[first, ..], &[.., last]) = (values, values) else { return };
    graph.add(elements.writer(key, last), at, Kind::Wr, key);
    if let Some(taker) = elements.taker(key, first) {
        graph.add(at, taker, Kind::Rw, key);
    }
    let takers = order.before(first).filter_map(|value| elements.taker(key, value));
    takers.for_each(|taker| graph.add(taker, at, Kind::Wr, key));
    for value in order.after(last) {
        graph.add(at, elements.writer(key, value), Kind::Rw, key);
    }
}

/// What is known of the order of a queue: which element stands somewhere before which.
struct PartialOrder {
    pairs: BTreeSet<(u64, u64)>,
    turned: BTreeSet<(u64, u64)>,
}

impl PartialOrder {
    fn find(uses: &Uses<'_>, witnesses: &[Witness]) -> Self {
        let reads = uses.reads().map(|(_, values)| values.to_vec());
        let told = witnesses.iter().flat_map(|witness| chains(uses, witness));
        let mut pairs = BTreeSet::new();
        for chain in reads.chain(told) {
            pairs.extend(chain.windows(2).map(|pair| (pair[0], pair[1])));
        }
        let turned = pairs.iter().map(|&(one, next)| (next, one)).collect();
        Self { pairs, turned }
    }

    /// Elements that are known to stand before one.
    fn before(&self, value: u64) -> impl Iterator<Item = u64> {
        others(&self.turned, value)
    }

    /// Elements that are known to stand behind one.
    fn after(&self, value: u64) -> impl Iterator<Item = u64> {
        others(&self.pairs, value)
    }
}

fn others(pairs: &BTreeSet<(u64, u64)>, value: u64) -> impl Iterator<Item = u64> {
    pairs.range((value, 0)..=(value, u64::MAX)).map(|&(_, other)| other)
}

/// What transactions in their order have added to a queue, and what they have taken from it.
fn chains(uses: &Uses<'_>, witness: &Witness) -> [Chain; 2] {
    let [mut added, mut taken] = [Chain::new(), Chain::new()];
    let steps = witness.iter().flat_map(|&at| &uses.transaction(at).steps);
    for step in steps.filter(|step| step.key() == uses.key) {
        match step {
            Step::Append(_, value) => added.push(*value),
            Step::Take(_, Some(value)) => taken.push(*value),
            _ => {}
        }
    }
    [added, taken]
}

/// Looks for elements that were in a queue for all of the time in which somebody did not see them.
pub(super) fn find_missed(uses: &Uses<'_>, elements: &Elements<'_>) -> Result<(), Box<Anomaly>> {
    let nothing = uses.steps.iter().filter_map(|&(place, step)| match step {
        Step::Take(_, None) => Some((place.at, &[][..])),
        _ => None,
    });
    uses.reads().chain(nothing).try_for_each(|(at, values)| {
        let by = uses.transaction(at);
        let was_there = |&(writer, value): &(usize, u64)| {
            let taker = elements.taker(uses.key, value).map(|taker| uses.transaction(taker));
            uses.transaction(writer).returned < by.invoked
                && taker.is_none_or(|taker| taker.invoked > by.returned)
                && !values.contains(&value)
        };
        match uses.added().find(was_there) {
            None => Ok(()),
            Some((writer, value)) => {
                let (key, writer) = (uses.key.to_owned(), uses.transaction(writer).clone());
                Err(Box::new(Anomaly::Missed { key, value, by: by.clone(), writer }))
            }
        }
    })
}

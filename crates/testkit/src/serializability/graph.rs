//! Transactions and what must come before what; and the worst cycle in it.
//!
//! That one returned before another was invoked would be a quadratic number of dependencies.
//! Instead each return is a node, reached from the transaction and from the return before it, and
//! a transaction is reached from the last return before it was invoked.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::{Class, Cycle, Kind, Link, Transaction};

/// See the module's page.
pub(super) struct Graph<'h> {
    history: &'h [Transaction],
    /// What comes after each transaction, and behind these, after each return.
    after: Vec<Vec<Edge<'h>>>,
    known: HashSet<(usize, Edge<'h>)>,
}

/// That a node comes later than another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Edge<'h> {
    to: usize,
    kind: Kind,
    key: &'h str,
}

/// A class is known by one dependency of the first kind and a way back over the others.
const CLASSES: [(Class, Kind, &[Kind]); 4] = [
    (Class::G0, Kind::Ww, &[Kind::Ww]),
    (Class::G1c, Kind::Wr, &[Kind::Ww, Kind::Wr]),
    (Class::GSingle, Kind::Rw, &[Kind::Ww, Kind::Wr]),
    (Class::G2, Kind::Rw, &[Kind::Ww, Kind::Wr, Kind::Rw]),
];

/// Nodes with the edge that each is left by, round to the first one.
type Round<'h> = Vec<(usize, Edge<'h>)>;

impl<'h> Graph<'h> {
    /// The transactions with what follows from the time.
    pub(super) fn new(history: &'h [Transaction]) -> Self {
        let happened = || (0..history.len()).filter(|&at| history[at].happened);
        let after = vec![Vec::new(); history.len()];
        let mut graph = Self { history, after, known: HashSet::new() };
        graph.connect_returns(happened().collect());
        graph.connect_clients(happened());
        graph
    }

    fn connect_returns(&mut self, mut transactions: Vec<usize>) {
        let history = self.history;
        transactions.sort_by_key(|&at| history[at].returned);
        let returns: Vec<u64> = transactions.iter().map(|&at| history[at].returned).collect();
        let node = |nth: usize| history.len() + nth;
        self.after.resize(node(returns.len()), Vec::new());
        for (nth, &at) in transactions.iter().enumerate() {
            self.add(at, node(nth), Kind::Time, "");
            if nth > 0 {
                self.add(node(nth - 1), node(nth), Kind::Time, "");
            }
            let before = returns.partition_point(|&returned| returned < history[at].invoked);
            if before > 0 {
                self.add(node(before - 1), at, Kind::Time, "");
            }
        }
    }

    /// What a client invoked at the same time happens in its order, too.
    fn connect_clients(&mut self, transactions: impl Iterator<Item = usize>) {
        let mut last: BTreeMap<(usize, u64), usize> = BTreeMap::new();
        for at in transactions {
            let Transaction { client, invoked, .. } = self.history[at];
            if let Some(before) = last.insert((client, invoked), at) {
                self.add(before, at, Kind::Time, "");
            }
        }
    }

    /// Notes that `to` comes after `from`, unless it is the same.
    pub(super) fn add(&mut self, from: usize, to: usize, kind: Kind, key: &'h str) {
        let edge = Edge { to, kind, key };
        if from != to && self.known.insert((from, edge)) {
            self.after[from].push(edge);
        }
    }

    /// The worst cycle, if there is one; of the worst, one that is short.
    pub(super) fn find_cycle(&self) -> Option<Cycle> {
        let tangled = self.tangled();
        if tangled.is_empty() {
            return None;
        }
        let cases = [false, true].into_iter().flat_map(|time| CLASSES.map(|class| (time, class)));
        cases.into_iter().find_map(|(is_of_time, (class, first, others))| {
            let kinds: Vec<Kind> =
                others.iter().copied().chain(is_of_time.then_some(Kind::Time)).collect();
            let round = self.shortest_round(&tangled, first, &kinds)?;
            Some(Cycle { class, is_of_time, links: self.links(round) })
        })
    }

    /// Nodes that are left when the first ones are taken away again and again: all cycles, and
    /// what comes after them.
    fn tangled(&self) -> Vec<usize> {
        let mut before = vec![0_usize; self.after.len()];
        self.after.iter().flatten().for_each(|edge| before[edge.to] += 1);
        let mut free: Vec<usize> = (0..before.len()).filter(|&node| before[node] == 0).collect();
        while let Some(node) = free.pop() {
            for edge in &self.after[node] {
                before[edge.to] -= 1;
                if before[edge.to] == 0 {
                    free.push(edge.to);
                }
            }
        }
        (0..before.len()).filter(|&node| before[node] > 0).collect()
    }

    fn shortest_round(&self, nodes: &[usize], first: Kind, others: &[Kind]) -> Option<Round<'h>> {
        let edges = nodes.iter().flat_map(|&node| self.after[node].iter().map(move |e| (node, e)));
        let rounds = edges.filter(|(_, edge)| edge.kind == first).filter_map(|(node, edge)| {
            let mut round = vec![(node, *edge)];
            round.extend(self.way(edge.to, node, others)?);
            Some(round)
        });
        rounds.min_by_key(Vec::len)
    }

    /// A shortest way over such edges.
    fn way(&self, from: usize, to: usize, kinds: &[Kind]) -> Option<Round<'h>> {
        let mut reached: BTreeMap<usize, (usize, Edge<'h>)> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        while let Some(node) = next.pop_front() {
            if node == to {
                return Some(backwards(&reached, from, to));
            }
            for edge in self.after[node].iter().filter(|edge| kinds.contains(&edge.kind)) {
                if edge.to != from && !reached.contains_key(&edge.to) {
                    reached.insert(edge.to, (node, *edge));
                    next.push_back(edge.to);
                }
            }
        }
        None
    }

    /// A round without the returns in it.
    fn links(&self, round: Round<'h>) -> Vec<Link> {
        let transactions = round.into_iter().filter(|&(node, _)| node < self.history.len());
        let link = |(node, edge): (usize, Edge<'h>)| {
            let transaction = self.history[node].clone();
            Link { transaction, kind: edge.kind, key: edge.key.to_owned() }
        };
        transactions.map(link).collect()
    }
}

/// The way to a node that was reached.
fn backwards<'h>(
    reached: &BTreeMap<usize, (usize, Edge<'h>)>,
    from: usize,
    to: usize,
) -> Round<'h> {
    let mut way = Vec::new();
    let mut at = to;
    while at != from {
        let step = reached[&at];
        way.push(step);
        at = step.0;
    }
    way.reverse();
    way
}

//! The entries of a stream, in order: nodes of packed entries, and what is counted of them.
//!
//! # Invariants
//!
//! 1. Nodes ascend by id, and none is without a live entry.
//! 2. `counters.len` is the number of live entries; `counters.first` is the id of the first of
//!    them, zero if there is none.
//! 3. No id of an entry is greater than `counters.last`.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::StreamId;
use super::node::{Entries, Entry, Node};

/// The most bytes of one entry's names and values, and of a node: 1 GiB.
pub const ENTRY_BYTES_MAX: usize = 1 << 30;

/// When a node is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// The most entries of a node, deleted ones counted; 0: no limit.
    pub entries_max: u64,
    /// The most bytes of a node; 0: no limit but [`ENTRY_BYTES_MAX`].
    pub bytes_max: usize,
}

/// What is counted of a log's entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// How many there are.
    pub len: u64,
    /// The first one's id; zero if there is none.
    pub first: StreamId,
    /// The greatest id that was given, or that was set by XSETID.
    pub last: StreamId,
    /// The greatest id of a deleted entry; those that were trimmed do not count.
    pub max_deleted: StreamId,
    /// How many were ever added.
    pub added: u64,
}

/// Why an entry was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// Its id is not greater than the last one.
    IdNotGreater,
    /// Its names and values are longer than [`ENTRY_BYTES_MAX`].
    TooLarge,
}

/// Up to where a log is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until so many entries are left.
    Len(u64),
    /// Until no id is less than this one.
    Id(StreamId),
}

/// How a log is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Up to where.
    pub until: Until,
    /// Whether whole nodes only are removed, so that too many entries may stay.
    pub nearly: bool,
    /// The most entries to remove; 0: no limit.
    pub limit: u64,
}

/// What a [`Trim`] removes: whole nodes from the front, then live entries of the next one.
struct Plan {
    nodes: usize,
    entries: u64,
}

/// See the module's page.
#[derive(Clone, Default)]
pub struct Log {
    nodes: VecDeque<Node>,
    counters: Counters,
}

impl Log {
    /// What is counted of it.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.counters.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counters.len == 0
    }

    /// How many nodes they lie in.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let nodes: usize = self.nodes.iter().map(Node::capacity).sum();
        nodes + self.nodes.capacity() * size_of::<Node>()
    }

    /// The id that the clock gives the next entry; `None` if all ids were given.
    #[must_use]
    pub fn id_at(&self, now: u64) -> Option<StreamId> {
        let last = self.counters.last;
        if now > last.ms { Some(StreamId::new(now, 0)) } else { last.next() }
    }

    /// The next id of these milliseconds, which is none greater than the last if they have passed;
    /// `None` if all of theirs were given.
    #[must_use]
    pub fn id_in(&self, ms: u64) -> Option<StreamId> {
        let last = self.counters.last;
        let seq = if ms == last.ms { last.seq.checked_add(1)? } else { 0 };
        Some(StreamId::new(ms, seq))
    }

    /// Adds an entry of names and values in turn.
    ///
    /// # Errors
    /// See [`NotAdded`].
    #[inline]
    pub fn append<'a>(
        &mut self,
        id: StreamId,
        fields: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
        limits: NodeLimits,
    ) -> Result<(), NotAdded> {
        if id <= self.counters.last {
            return Err(NotAdded::IdNotGreater);
        }
        let len: usize = fields.clone().map(<[u8]>::len).sum();
        if len > ENTRY_BYTES_MAX {
            return Err(NotAdded::TooLarge);
        }
        match self.nodes.back_mut() {
            Some(node) if !is_full(node, len, limits) => node.push(id, fields),
            last => {
                if let Some(full) = last {
                    full.close();
                }
                self.nodes.push_back(Node::new(id, fields));
            }
        }
        let counters = &mut self.counters;
        counters.len += 1;
        counters.added = counters.added.wrapping_add(1);
        counters.last = id;
        if counters.len == 1 {
            counters.first = id;
        }
        Ok(())
    }

    /// The node that holds an id, or would.
    fn node_of(&self, id: StreamId) -> Option<usize> {
        match self.nodes.back() {
            Some(last) if last.first <= id => Some(self.nodes.len() - 1),
            _ => self.nodes.partition_point(|node| node.first <= id).checked_sub(1),
        }
    }

    /// The entry with this id.
    #[must_use]
    pub fn entry(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// Whether there is an entry with this id.
    #[must_use]
    pub fn contains(&self, id: StreamId) -> bool {
        self.entry(id).is_some()
    }

    /// The entries between two ids, both included.
    #[must_use]
    pub fn range(&self, from: StreamId, to: StreamId) -> Ascending<'_> {
        let node = self.node_of(from).unwrap_or(0);
        Ascending { log: self, node, entries: None, from, to }
    }

    /// About how many entries lie between two ids, both included: as many as their nodes hold on
    /// average.
    #[must_use]
    pub fn about(&self, from: StreamId, to: StreamId) -> u64 {
        let (Some(last), false) = (self.node_of(to), from > to) else { return 0 };
        let nodes = (last + 1).saturating_sub(self.node_of(from).unwrap_or(0)) as u64;
        nodes.saturating_mul(self.len() / (self.nodes.len() as u64).max(1) + 1)
    }

    /// The entries between two ids, both included, the last one first.
    #[must_use]
    pub fn range_back(&self, from: StreamId, to: StreamId) -> Descending<'_> {
        let nodes = self.node_of(to).map_or(0, |node| node + 1);
        Descending { log: self, nodes, places: SmallVec::new(), from, to }
    }

    /// The id of the last entry; `None` if there is none.
    #[must_use]
    pub fn last_entry_id(&self) -> Option<StreamId> {
        let node = self.nodes.back()?;
        if node.dead == 0 {
            return Some(node.last);
        }
        node.entries().last().map(|entry| entry.id)
    }

    /// Deletes an entry; tells whether there was one.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some(at) = self.node_of(id) else { return false };
        let Some(node) = self.nodes.get_mut(at).filter(|node| id <= node.last) else {
            return false;
        };
        if !node.delete(id) {
            return false;
        }
        if node.live == 0 {
            self.nodes.remove(at);
        }
        self.counters.len -= 1;
        self.counters.max_deleted = self.counters.max_deleted.max(id);
        if id == self.counters.first {
            self.find_first();
        }
        true
    }

    fn find_first(&mut self) {
        let first = self.nodes.front().and_then(|node| node.entries().next());
        self.counters.first = first.map_or(StreamId::ZERO, |entry| entry.id);
    }

    fn plan(&self, trim: Trim) -> Plan {
        let mut plan = Plan { nodes: 0, entries: 0 };
        let (mut left, mut removed) = (self.counters.len, 0);
        for node in &self.nodes {
            let live = u64::from(node.live);
            let is_done = matches!(trim.until, Until::Len(len) if left <= len);
            if is_done || trim.limit > 0 && removed + live > trim.limit {
                break;
            }
            let is_whole = match trim.until {
                Until::Len(len) => left - live >= len,
                Until::Id(id) => node.last < id,
            };
            if is_whole {
                plan.nodes += 1;
                left -= live;
                removed += live;
                continue;
            }
            if !trim.nearly {
                plan.entries = match trim.until {
                    Until::Len(len) => left - len,
                    Until::Id(id) => {
                        node.entries().take_while(|entry| entry.id < id).count() as u64
                    }
                };
            }
            break;
        }
        plan
    }

    /// The ids that a trim would remove.
    pub fn doomed(&self, trim: Trim) -> impl Iterator<Item = StreamId> + '_ {
        let plan = self.plan(trim);
        let whole = self.nodes.iter().take(plan.nodes).flat_map(Node::entries);
        let part = self.nodes.get(plan.nodes).map(Node::entries).into_iter().flatten();
        whole.chain(part.take(plan.entries as usize)).map(|entry| entry.id)
    }

    /// Removes entries from the front; returns how many.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let plan = self.plan(trim);
        let mut removed = plan.entries;
        for node in self.nodes.drain(..plan.nodes) {
            removed += u64::from(node.live);
        }
        if let Some(node) = self.nodes.front_mut().filter(|_| plan.entries > 0) {
            let doomed: SmallVec<[StreamId; 128]> =
                node.entries().take(plan.entries as usize).map(|entry| entry.id).collect();
            doomed.into_iter().for_each(|id| {
                node.delete(id);
            });
        }
        self.counters.len -= removed;
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    /// Sets what XSETID sets; what is `None` stays.
    pub fn set_last(&mut self, last: StreamId, added: Option<u64>, max_deleted: Option<StreamId>) {
        self.counters.last = last;
        self.counters.added = added.unwrap_or(self.counters.added);
        self.counters.max_deleted = max_deleted.unwrap_or(self.counters.max_deleted);
    }
}

fn is_full(node: &Node, more_bytes: usize, limits: NodeLimits) -> bool {
    let bytes_max = match limits.bytes_max {
        0 => ENTRY_BYTES_MAX,
        bytes => bytes.min(ENTRY_BYTES_MAX),
    };
    node.len() + more_bytes >= bytes_max
        || limits.entries_max > 0 && node.entries_len() >= limits.entries_max
}

/// Entries in their order.
#[derive(Clone)]
pub struct Ascending<'a> {
    log: &'a Log,
    node: usize,
    entries: Option<Entries<'a>>,
    from: StreamId,
    to: StreamId,
}

impl<'a> Iterator for Ascending<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let entries = match &mut self.entries {
                Some(entries) => entries,
                None => {
                    let node = self.log.nodes.get(self.node)?;
                    self.node += 1;
                    if node.first > self.to {
                        return None;
                    }
                    if node.last < self.from {
                        continue;
                    }
                    self.entries.insert(node.entries())
                }
            };
            match entries.next() {
                None => self.entries = None,
                Some(entry) if entry.id > self.to => return None,
                Some(entry) if entry.id >= self.from => return Some(entry),
                Some(_) => {}
            }
        }
    }
}

/// Entries from the last one back.
pub struct Descending<'a> {
    log: &'a Log,
    /// How many nodes have not been looked at.
    nodes: usize,
    /// Where the entries begin that are still to come of the node behind those.
    places: SmallVec<[u32; 128]>,
    from: StreamId,
    to: StreamId,
}

impl<'a> Iterator for Descending<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if let Some(at) = self.places.pop() {
                return self.log.nodes.get(self.nodes)?.entry_at(at);
            }
            self.nodes = self.nodes.checked_sub(1)?;
            let node = self.log.nodes.get(self.nodes)?;
            if node.last < self.from {
                return None;
            }
            self.places.extend(node.places(self.from, self.to));
        }
    }
}

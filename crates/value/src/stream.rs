//! Streams: an append-only log of entries, and groups of consumers that read it.
//!
//! The log is a queue of nodes, each a string of bytes with up to some hundred entries, so that an
//! entry is added at the end and old ones go from the front without a look at the others. What
//! groups know of entries is kept by id, beside the log: deleting an entry leaves what refers to
//! it, unless it is asked for otherwise ([`References`]).

mod group;
mod id;
mod log;
mod node;
mod producers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use group::{Consumer, ConsumerId, Group, Pending};
pub use id::{IdText, StreamId};
pub use log::{
    Ascending, Counters, Descending, ENTRY_BYTES_MAX, Log, NodeLimits, NotAdded, Trim, Until,
};
pub use node::{Entry, Fields};
pub use producers::{Memory, ProducerCounters, Producers};

/// A stream.
#[derive(Clone, Default)]
pub struct Stream {
    /// Its entries.
    pub log: Log,
    groups: BTreeMap<Box<[u8]>, Group>,
    producers: Option<Box<Producers>>,
}

/// What becomes of what refers to entries that are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum References {
    /// It stays: groups still have the entries pending.
    #[default]
    Keep,
    /// It goes.
    Delete,
    /// Only entries go that all groups have read and acknowledged.
    Respect,
}

/// What became of an entry that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// There is none.
    Missing,
    /// It was removed.
    Done,
    /// It stays, as a group has not acknowledged it.
    Refused,
}

impl Stream {
    /// The groups, by name.
    #[must_use]
    pub fn groups(&self) -> &BTreeMap<Box<[u8]>, Group> {
        &self.groups
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The group of this name, to be changed, and the log that it reads.
    pub fn group_mut(&mut self, name: &[u8]) -> Option<(&mut Group, &Log)> {
        Some((self.groups.get_mut(name)?, &self.log))
    }

    /// Adds a group; tells whether there was none of the name.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups.insert(name.into(), group);
        true
    }

    /// Removes a group; tells whether there was one.
    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        self.groups.remove(name).is_some()
    }

    /// What producers have sent, if that was ever noted.
    #[must_use]
    pub fn producers(&self) -> Option<&Producers> {
        self.producers.as_deref()
    }

    /// What producers have sent, to be noted.
    pub fn producers_mut(&mut self) -> &mut Producers {
        self.producers.get_or_insert_default()
    }

    /// Removes an entry.
    pub fn remove(&mut self, id: StreamId, references: References) -> Removal {
        let is_held = || self.groups.values().any(|group| !group.is_done_with(id));
        if references == References::Respect && self.log.contains(id) && is_held() {
            return Removal::Refused;
        }
        if references == References::Delete {
            self.forget(id);
        }
        if self.log.delete(id) { Removal::Done } else { Removal::Missing }
    }

    /// Takes an entry out of those pending in any group; tells whether it was one of them.
    pub fn forget(&mut self, id: StreamId) -> bool {
        let mut was_pending = false;
        for group in self.groups.values_mut() {
            was_pending |= group.acknowledge(id);
        }
        was_pending
    }

    /// Removes entries from the front; returns how many. Of those that a trim would remove, the
    /// ones stay that `references` protects.
    pub fn trim(&mut self, trim: Trim, references: References) -> u64 {
        match references {
            _ if self.groups.is_empty() => self.log.trim(trim),
            References::Keep => self.log.trim(trim),
            References::Delete => {
                let doomed: Vec<StreamId> = self.log.doomed(trim).collect();
                doomed.into_iter().for_each(|id| {
                    self.forget(id);
                });
                self.log.trim(trim)
            }
            References::Respect => {
                let doomed = self.doomed_and_done_with(trim);
                doomed.into_iter().filter(|&id| self.log.delete(id)).count() as u64
            }
        }
    }

    /// The first entries that all groups have read and acknowledged, as many as a trim to a length
    /// removes; or those of them that another trim would remove.
    fn doomed_and_done_with(&self, trim: Trim) -> Vec<StreamId> {
        let is_done = |&id: &StreamId| self.groups.values().all(|group| group.is_done_with(id));
        match trim {
            Trim { until: Until::Len(len), nearly: false, .. } => {
                let count = usize::try_from(self.log.len().saturating_sub(len));
                let all = self.log.range(StreamId::ZERO, StreamId::MAX).map(|entry| entry.id);
                all.filter(is_done).take(count.unwrap_or(usize::MAX)).collect()
            }
            trim => self.log.doomed(trim).filter(is_done).collect(),
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let groups = self.groups.iter();
        let groups: usize =
            groups.map(|(name, group)| name.len() + size_of::<Group>() + group.bytes()).sum();
        let producers = self.producers.as_deref().map_or(0, Producers::bytes);
        self.log.bytes() + groups + producers
    }
}

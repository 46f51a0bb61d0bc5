//! A consumer group: how far it has read, and who has what was delivered and not acknowledged.
//!
//! # Invariants
//!
//! 1. A pending entry with an owner is in the owner's own set, and in no other's.
//! 2. `by_time`, once it exists, holds every pending entry with the time of its delivery.
//! 3. What is kept is bounded by what was delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::StreamId;
use super::log::Counters;

/// The number of a consumer in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// One who reads as a member of a group.
#[derive(Clone)]
pub struct Consumer {
    name: Arc<[u8]>,
    /// When it was last named by a command, in ms.
    pub seen: u64,
    /// When it last got an entry, in ms.
    pub active: Option<u64>,
    pending: BTreeSet<StreamId>,
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who got it; `None` if it was given back.
    pub owner: Option<ConsumerId>,
    /// When it was delivered last, in ms; 0 if it was given back.
    pub time: u64,
    /// How often it was delivered.
    pub count: u64,
}

/// See the module's page.
#[derive(Clone)]
pub struct Group {
    last: StreamId,
    entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    /// The pending entries by the time of their delivery: made when they are first asked for.
    by_time: Option<BTreeSet<(u64, StreamId)>>,
    names: BTreeMap<Arc<[u8]>, ConsumerId>,
    consumers: Vec<Option<Consumer>>,
}

impl Group {
    /// A group that has read up to `last`, which is the entry with this number if that is known.
    #[must_use]
    pub fn new(last: StreamId, entries_read: Option<u64>) -> Group {
        Group {
            last,
            entries_read,
            pending: BTreeMap::new(),
            by_time: None,
            names: BTreeMap::new(),
            consumers: Vec::new(),
        }
    }

    /// The greatest id that was delivered.
    #[must_use]
    pub fn last(&self) -> StreamId {
        self.last
    }

    /// How many entries had been added when that one had, if it is known.
    #[must_use]
    pub fn entries_read(&self) -> Option<u64> {
        self.entries_read
    }

    /// How many entries are yet to be read, if it is known.
    #[must_use]
    pub fn lag(&self, counters: &Counters) -> Option<i64> {
        counters.lag(self.last, self.entries_read)
    }

    /// Sets how far it has read.
    pub fn set_last(&mut self, last: StreamId, entries_read: Option<u64>) {
        (self.last, self.entries_read) = (last, entries_read);
    }

    /// Notes that an entry is read, which may be one that was read before.
    #[inline]
    pub fn advance(&mut self, id: StreamId, counters: &Counters) {
        if id <= self.last {
            return;
        }
        let is_exact = self.last >= counters.first && !counters.has_holes_from(self.last);
        match &mut self.entries_read {
            Some(read) if is_exact => *read = read.saturating_add(1),
            _ if counters.added > 0 => self.entries_read = counters.number_of(id),
            _ => {}
        }
        self.last = id;
    }

    /// All pending entries.
    #[must_use]
    pub fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    /// The pending entries that were delivered at this time or before, the first ones first.
    pub fn pending_until(&mut self, time: u64) -> impl Iterator<Item = StreamId> + '_ {
        let pending = &self.pending;
        let by_time = self
            .by_time
            .get_or_insert_with(|| pending.iter().map(|(&id, one)| (one.time, id)).collect());
        by_time.range(..=(time, StreamId::MAX)).map(|&(_, id)| id)
    }

    /// Whether an entry is pending that was delivered at this time or before.
    #[must_use]
    pub fn is_pending_until(&self, time: u64) -> bool {
        match &self.by_time {
            Some(by_time) => by_time.first().is_some_and(|&(first, _)| first <= time),
            None => self.pending.values().any(|one| one.time <= time),
        }
    }

    /// The consumer of this name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.names.get(name).copied()
    }

    /// What is known of a consumer.
    #[must_use]
    pub fn consumer(&self, id: ConsumerId) -> Option<&Consumer> {
        self.consumers.get(id.0 as usize)?.as_ref()
    }

    fn consumer_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.consumers.get_mut(id.0 as usize)?.as_mut()
    }

    /// All consumers, by name.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.names.values().map(|&id| self.consumer(id).expect("a name leads to a consumer"))
    }

    /// Makes a consumer that there is none of; `None` if there are 2^32.
    fn add(&mut self, name: &[u8], now: u64) -> Option<ConsumerId> {
        let name: Arc<[u8]> = name.into();
        let vacant = self.consumers.iter().position(Option::is_none);
        let at = vacant.unwrap_or(self.consumers.len());
        let id = ConsumerId(u32::try_from(at).ok()?);
        if vacant.is_none() {
            self.consumers.push(None);
        }
        let consumer =
            Consumer { name: name.clone(), seen: now, active: None, pending: BTreeSet::new() };
        self.consumers[at] = Some(consumer);
        self.names.insert(name, id);
        Some(id)
    }

    /// Makes a consumer, if there is none of this name; tells whether there was not.
    pub fn create(&mut self, name: &[u8], now: u64) -> bool {
        self.find(name).is_none() && self.add(name, now).is_some()
    }

    /// Notes that a consumer was named; it is made if there is none. Tells whether it was.
    pub fn see(&mut self, name: &[u8], now: u64) -> (ConsumerId, bool) {
        let known = self.find(name);
        let id = known.or_else(|| self.add(name, now));
        let id = id.expect("there are fewer than 2^32 consumers: each takes more than a byte");
        if let Some(consumer) = self.consumer_mut(id) {
            consumer.seen = now;
        }
        (id, known.is_none())
    }

    /// Removes a consumer and what it had; returns how many pending entries that was.
    pub fn remove(&mut self, name: &[u8]) -> Option<usize> {
        let id = self.names.remove(name)?;
        let consumer = self.consumers.get_mut(id.0 as usize)?.take()?;
        for entry in &consumer.pending {
            self.forget(*entry);
        }
        Some(consumer.pending.len())
    }

    /// Takes an entry out of the group's own lists.
    fn forget(&mut self, id: StreamId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        if let Some(by_time) = &mut self.by_time {
            by_time.remove(&(pending.time, id));
        }
        Some(pending)
    }

    /// Takes an entry out of those that are pending; tells whether it was one.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.forget(id) else { return false };
        self.disown(pending.owner, id);
        true
    }

    fn disown(&mut self, owner: Option<ConsumerId>, id: StreamId) {
        if let Some(owner) = owner.and_then(|owner| self.consumer_mut(owner)) {
            owner.pending.remove(&id);
        }
    }

    /// Gives an entry to a consumer, whoever had it.
    pub fn deliver(&mut self, id: StreamId, to: ConsumerId, time: u64, count: u64) {
        self.put(id, Pending { owner: Some(to), time, count });
    }

    /// Takes an entry from its consumer and keeps it for whoever claims it.
    pub fn give_back(&mut self, id: StreamId, count: u64) {
        self.keep(id, 0, count);
    }

    /// Notes a pending entry that nobody owns yet.
    pub fn keep(&mut self, id: StreamId, time: u64, count: u64) {
        self.put(id, Pending { owner: None, time, count });
    }

    fn put(&mut self, id: StreamId, pending: Pending) {
        let before = self.pending.insert(id, pending);
        if let Some(by_time) = &mut self.by_time {
            if let Some(before) = before {
                by_time.remove(&(before.time, id));
            }
            by_time.insert((pending.time, id));
        }
        let owner_before = before.and_then(|before| before.owner);
        if owner_before == pending.owner {
            return;
        }
        self.disown(owner_before, id);
        if let Some(owner) = pending.owner.and_then(|owner| self.consumer_mut(owner)) {
            owner.pending.insert(id);
        }
    }

    /// Notes that a consumer got an entry.
    pub fn was_active(&mut self, id: ConsumerId, now: u64) {
        if let Some(consumer) = self.consumer_mut(id) {
            consumer.active = Some(now);
        }
    }

    /// Whether an entry was delivered and acknowledged.
    #[must_use]
    pub fn is_done_with(&self, id: StreamId) -> bool {
        id <= self.last && !self.pending.contains_key(&id)
    }

    /// Bytes on the heap, by estimate.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let pending = size_of::<StreamId>() + size_of::<Pending>();
        let owned = size_of::<StreamId>();
        let timed = self.by_time.as_ref().map_or(0, BTreeSet::len);
        let consumers: usize =
            self.consumers().map(|one| one.name.len() + one.pending.len() * owned).sum();
        self.pending.len() * pending
            + timed * size_of::<(u64, StreamId)>()
            + self.consumers.capacity() * size_of::<Consumer>()
            + consumers
    }
}

impl Consumer {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The entries that it has not acknowledged.
    #[must_use]
    pub fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}

/// What the counters of a log say of a reader's place in it.
impl Counters {
    /// Whether entries behind this place may have been deleted, so that ids do not tell how many
    /// there are.
    #[must_use]
    pub fn has_holes_from(&self, place: StreamId) -> bool {
        self.len > 0 && self.max_deleted != StreamId::ZERO && place <= self.max_deleted
    }

    /// How many entries had been added when the one with this id had; `None` if it cannot be told.
    #[must_use]
    pub fn number_of(&self, id: StreamId) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if self.len == 0 && id <= self.last {
            return Some(self.added);
        }
        if id > self.last {
            return None;
        }
        if id == self.last {
            return Some(self.added);
        }
        let is_whole = self.max_deleted < self.first;
        match id.cmp(&self.first) {
            _ if !is_whole => None,
            std::cmp::Ordering::Less => Some(self.added.saturating_sub(self.len)),
            std::cmp::Ordering::Equal => Some(self.added.saturating_sub(self.len) + 1),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// How many entries are behind a reader's place; `None` if it cannot be told.
    #[must_use]
    pub fn lag(&self, place: StreamId, entries_read: Option<u64>) -> Option<i64> {
        if self.added == 0 || self.len == 0 {
            return Some(0);
        }
        if place < self.first && self.max_deleted < self.first {
            return Some(self.len.cast_signed());
        }
        let read = entries_read.filter(|_| !self.has_holes_from(place));
        let read = read.or_else(|| self.number_of(place))?;
        Some(self.added.cast_signed().wrapping_sub(read.cast_signed()))
    }
}

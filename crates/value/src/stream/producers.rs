//! What producers have sent lately, so that what is sent twice is added once.
//!
//! # Invariants
//!
//! 1. Of a producer at most `ids_max` messages are kept, each for `seconds` after it was sent.
//! 2. A producer of whom nothing is kept is forgotten: each message that is noted looks at one
//!    other producer, in turn.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::StreamId;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// For how long a message is kept.
    pub seconds: u64,
    /// How many messages of one producer are kept.
    pub ids_max: usize,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { seconds: 100, ids_max: 100 }
    }
}

/// What is counted of producers and their messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProducerCounters {
    /// Producers of whom something is kept.
    pub producers: usize,
    /// Messages that are kept.
    pub messages: usize,
    /// Messages that were ever noted.
    pub added: u64,
    /// Messages that were sent again.
    pub duplicates: u64,
}

/// See the module's page.
#[derive(Clone, Default)]
pub struct Producers {
    memory: Memory,
    producers: BTreeMap<Box<[u8]>, Producer>,
    /// Behind whom the next one is that is looked at.
    looked_at: Box<[u8]>,
    added: u64,
    duplicates: u64,
}

#[derive(Clone, Default)]
struct Producer {
    ids: BTreeMap<Arc<[u8]>, StreamId>,
    /// The same, in the order they were sent, with the time in ms.
    order: VecDeque<(u64, Arc<[u8]>)>,
}

impl Producer {
    fn keep(&mut self, message: &[u8], id: StreamId, sent: u64) {
        let message: Arc<[u8]> = message.into();
        if self.ids.insert(message.clone(), id).is_none() {
            self.order.push_back((sent, message));
        }
    }

    /// What was sent after a moment, in order.
    fn kept(&self, forgotten: u64) -> Vec<(&[u8], StreamId)> {
        let kept = self.order.iter().filter(|(sent, _)| *sent > forgotten);
        kept.filter_map(|(_, message)| Some((&**message, *self.ids.get(message)?))).collect()
    }

    fn forget_until(&mut self, time: u64, ids_max: usize) {
        while let Some((sent, message)) = self.order.front() {
            if *sent > time && self.order.len() <= ids_max {
                break;
            }
            self.ids.remove(message);
            self.order.pop_front();
        }
    }
}

impl Producers {
    /// How much is kept.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Sets how much is kept. If that is not what it was, all is forgotten.
    pub fn set_memory(&mut self, memory: Memory) {
        if self.memory != memory {
            self.memory = memory;
            self.producers.clear();
        }
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> ProducerCounters {
        ProducerCounters {
            producers: self.producers.len(),
            messages: self.producers.values().map(|producer| producer.order.len()).sum(),
            added: self.added,
            duplicates: self.duplicates,
        }
    }

    /// The producers of whom messages are kept, each with those, in the order they were sent, and
    /// with the entries that they have become.
    pub fn each(&self, now: u64) -> impl Iterator<Item = (&[u8], Vec<(&[u8], StreamId)>)> {
        let forgotten = self.forgotten(now);
        let named = self.producers.iter().map(move |(name, one)| (&**name, one.kept(forgotten)));
        named.filter(|(_, messages)| !messages.is_empty())
    }

    /// Until when messages were sent that are kept no longer.
    fn forgotten(&self, now: u64) -> u64 {
        now.saturating_sub(self.memory.seconds.saturating_mul(1000))
    }

    /// The entry that a message has become, if it was sent before.
    #[must_use]
    pub fn find(&self, producer: &[u8], message: &[u8], now: u64) -> Option<StreamId> {
        let forgotten = self.forgotten(now);
        let producer = self.producers.get(producer)?;
        let &id = producer.ids.get(message)?;
        let sent = producer.order.iter().find(|(_, one)| **one == *message)?.0;
        (sent > forgotten).then_some(id)
    }

    /// Counts a message that was sent again.
    pub fn count_duplicate(&mut self) {
        self.duplicates = self.duplicates.wrapping_add(1);
    }

    /// Notes what a message has become.
    pub fn note(&mut self, producer: &[u8], message: &[u8], id: StreamId, now: u64) {
        self.forget_one(now);
        let (forgotten, ids_max) = (self.forgotten(now), self.memory.ids_max);
        let producer = self.producers.entry(producer.into()).or_default();
        producer.forget_until(forgotten, ids_max.saturating_sub(1));
        producer.keep(message, id, now);
        self.added = self.added.wrapping_add(1);
    }

    /// Notes what a message has become that was sent elsewhere, and is kept here from now on.
    pub fn restore(&mut self, producer: &[u8], message: &[u8], id: StreamId, sent: u64) {
        let ids_max = self.memory.ids_max;
        let producer = self.producers.entry(producer.into()).or_default();
        producer.forget_until(0, ids_max.saturating_sub(1));
        producer.keep(message, id, sent);
    }

    /// Says how many messages were noted and how many were sent again, elsewhere.
    pub fn set_counters(&mut self, added: u64, duplicates: u64) {
        (self.added, self.duplicates) = (added, duplicates);
    }

    /// Looks at the next producer.
    fn forget_one(&mut self, now: u64) {
        let (forgotten, ids_max) = (self.forgotten(now), self.memory.ids_max);
        let behind = (Bound::Excluded(&*self.looked_at), Bound::Unbounded);
        let next = self.producers.range_mut::<[u8], _>(behind).next();
        let Some((name, producer)) = next else {
            self.looked_at = Box::default();
            return;
        };
        producer.forget_until(forgotten, ids_max);
        self.looked_at = name.clone();
        if producer.order.is_empty() {
            self.producers.remove(&self.looked_at);
        }
    }

    /// Bytes on the heap, by estimate.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let message = |message: &Arc<[u8]>| message.len() + 4 * size_of::<Arc<[u8]>>();
        let of = |producer: &Producer| producer.ids.keys().map(message).sum::<usize>();
        self.producers.iter().map(|(name, one)| name.len() + size_of::<Producer>() + of(one)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64) -> StreamId {
        StreamId::new(ms, 0)
    }

    #[test]
    fn a_message_is_kept_for_some_time_and_with_some_others() {
        let mut producers = Producers::default();
        producers.set_memory(Memory { seconds: 10, ids_max: 2 });
        producers.note(b"p", b"1", id(1), 1_000);
        assert_eq!(producers.find(b"p", b"1", 10_999), Some(id(1)));
        assert_eq!(producers.find(b"p", b"1", 11_000), None);
        assert_eq!(producers.find(b"q", b"1", 1_000), None);
        producers.note(b"p", b"2", id(2), 2_000);
        producers.note(b"p", b"3", id(3), 2_000);
        assert_eq!(producers.find(b"p", b"1", 2_000), None, "there are two others");
        assert_eq!(producers.find(b"p", b"2", 2_000), Some(id(2)));
        assert_eq!(producers.counters().messages, 2);
        producers.set_memory(Memory { seconds: 10, ids_max: 2 });
        assert_eq!(producers.counters().messages, 2);
        producers.set_memory(Memory::default());
        let expected = ProducerCounters { added: 3, ..ProducerCounters::default() };
        assert_eq!(producers.counters(), expected);
    }

    #[test]
    fn a_producer_that_sends_no_more_is_forgotten() {
        let mut producers = Producers::default();
        for name in [b"a", b"b", b"c"] {
            producers.note(name, b"1", id(1), 0);
        }
        for step in 0..8 {
            producers.note(b"z", &[step], id(2), 200_000);
        }
        assert_eq!(producers.counters().producers, 1);
    }
}

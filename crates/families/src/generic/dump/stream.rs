//! Streams that travel: one as a payload, and one that is built while a payload is read.
//!
//! The payload's nodes are not kept as they came: entries are packed again as XADD would have
//! packed them, and those that were deleted stay behind.

use keyspace::Millis;
use keyspace::stream::{
    Consumer, ConsumerId, Group, Log, Memory, NodeLimits, Pending, ProducerCounters, Producers,
    Stream, StreamId,
};
use rdb::{
    ConsumerHead, Format, GroupHead, GroupsEncoder, Options, RdbError, StreamEncoder, StreamState,
    Text,
};
use smallvec::SmallVec;

/// Who gets what a group has pending and nobody owns, where the group has no consumer at all.
const NOBODY: ConsumerHead<'static> = ConsumerHead { name: b"", seen_ms: 0, active_ms: None };

/// The oldest format that has a place for all of a stream. What was given back by its owner makes
/// none newer: it finds another place.
pub(super) fn format_of(stream: &Stream) -> Format {
    let tells = |producers: &Producers| {
        let is_counted = producers.counters() != ProducerCounters::default();
        is_counted || producers.memory() != Memory::default()
    };
    let has_unowned = |group: &Group| group.pending().values().any(|one| one.owner.is_none());
    match stream.producers().is_some_and(tells) {
        false => Format::Redis11,
        true if stream.groups().values().any(has_unowned) => Format::Redis14,
        true => Format::Redis13,
    }
}

/// Appends a stream's payload.
pub(super) fn encode(
    stream: &Stream,
    now: Millis,
    options: Options,
    out: &mut Vec<u8>,
) -> Result<(), RdbError> {
    let mut encoder = StreamEncoder::new(options, out);
    for entry in stream.log.range(StreamId::ZERO, StreamId::MAX) {
        encoder.entry(outer(entry.id), entry.fields())?;
    }
    let mut groups = encoder.state(&state_of(&stream.log), stream.groups().len())?;
    for (name, group) in stream.groups() {
        if options.format == Format::Redis14 {
            encode_whole_group(name, group, &mut groups)?;
        } else {
            encode_group(name, group, &mut groups)?;
        }
    }
    match stream.producers() {
        Some(producers) if matches!(options.format, Format::Redis13 | Format::Redis14) => {
            encode_producers(producers, now, groups)
        }
        _ => groups.finish(),
    }
}

fn encode_producers(
    producers: &Producers,
    now: Millis,
    groups: GroupsEncoder<'_>,
) -> Result<(), RdbError> {
    let (memory, counters) = (producers.memory(), producers.counters());
    let each: Vec<_> = producers.each(now).collect();
    let mut encoder = groups.producers(memory.seconds, memory.ids_max as u64, each.len())?;
    for (name, messages) in each {
        let messages = messages.into_iter().map(|(message, id)| (message, outer(id)));
        encoder.producer(name, messages)?;
    }
    encoder.finish(counters.added, counters.duplicates)
}

fn state_of(log: &Log) -> StreamState {
    let counters = log.counters();
    StreamState {
        last_id: outer(counters.last),
        first_id: outer(counters.first),
        max_deleted_id: outer(counters.max_deleted),
        entries_added: counters.added,
    }
}

/// Appends a group in a format that knows pending entries without an owner.
fn encode_whole_group(
    name: &[u8],
    group: &Group,
    groups: &mut GroupsEncoder<'_>,
) -> Result<(), RdbError> {
    let head = GroupHead { name, last_id: outer(group.last()), entries_read: group.entries_read() };
    groups.group(head, pending_of(group), group.consumers().len())?;
    for consumer in group.consumers() {
        groups.consumer(head_of(consumer), consumer.pending().iter().map(|&id| outer(id)))?;
    }
    let unowned = ids(group.pending().iter().filter(|(_, one)| one.owner.is_none()));
    groups.given_back(unowned.into_iter())
}

fn pending_of(group: &Group) -> impl ExactSizeIterator<Item = rdb::Pending> {
    group.pending().iter().map(|(&id, one)| rdb::Pending {
        id: outer(id),
        delivered_ms: one.time,
        deliveries: one.count,
    })
}

fn head_of(consumer: &Consumer) -> ConsumerHead<'_> {
    ConsumerHead { name: consumer.name(), seen_ms: consumer.seen, active_ms: consumer.active }
}

/// Appends a group. The format knows no pending entry without an owner; the first consumer gets
/// those, delivered so long ago that anybody may claim them.
fn encode_group(
    name: &[u8],
    group: &Group,
    groups: &mut GroupsEncoder<'_>,
) -> Result<(), RdbError> {
    let mut unowned = ids(group.pending().iter().filter(|(_, one)| one.owner.is_none()));
    let needs_somebody = group.consumers().len() == 0 && !unowned.is_empty();
    let head = GroupHead { name, last_id: outer(group.last()), entries_read: group.entries_read() };
    groups.group(head, pending_of(group), group.consumers().len() + usize::from(needs_somebody))?;
    for consumer in group.consumers() {
        let mut owned = std::mem::take(&mut unowned);
        owned.extend(consumer.pending().iter().map(|&id| outer(id)));
        groups.consumer(head_of(consumer), owned.into_iter())?;
    }
    if needs_somebody {
        groups.consumer(NOBODY, unowned.into_iter())?;
    }
    Ok(())
}

fn ids<'a>(pending: impl Iterator<Item = (&'a StreamId, &'a Pending)>) -> Vec<rdb::StreamId> {
    pending.map(|(&id, _)| outer(id)).collect()
}

fn outer(id: StreamId) -> rdb::StreamId {
    rdb::StreamId { ms: id.ms, seq: id.seq }
}

fn inner(id: rdb::StreamId) -> StreamId {
    StreamId::new(id.ms, id.seq)
}

/// A stream that is being built, in the order of [`rdb::Sink`].
pub(super) struct NewStream {
    limits: NodeLimits,
    stream: Stream,
    /// The group that came last, which is not among those of the stream yet.
    group: Option<(Box<[u8]>, Group)>,
    consumer: Option<ConsumerId>,
    now: Millis,
}

impl NewStream {
    /// An empty one, whose nodes are to be no larger than this.
    pub(super) fn new(limits: NodeLimits, now: Millis) -> NewStream {
        NewStream { limits, stream: Stream::default(), group: None, consumer: None, now }
    }

    /// The stream, once all of it came.
    pub(super) fn finish(mut self) -> Result<Stream, RdbError> {
        self.close_group()?;
        Ok(self.stream)
    }

    pub(super) fn entry(
        &mut self,
        id: rdb::StreamId,
        fields: &[(Text<'_>, Text<'_>)],
    ) -> Result<(), RdbError> {
        let texts: SmallVec<[&[u8]; 16]> =
            fields.iter().flat_map(|(name, value)| [&**name, &**value]).collect();
        let added = self.stream.log.append(inner(id), texts.iter().copied(), self.limits);
        added.map_err(|_| RdbError::Length)
    }

    pub(super) fn state(&mut self, state: &StreamState) {
        let (last, deleted) = (inner(state.last_id), inner(state.max_deleted_id));
        self.stream.log.set_last(last, Some(state.entries_added), Some(deleted));
    }

    pub(super) fn group(&mut self, head: GroupHead<'_>) -> Result<(), RdbError> {
        self.close_group()?;
        let group = Group::new(inner(head.last_id), head.entries_read);
        self.group = Some((head.name.into(), group));
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), RdbError> {
        self.consumer = None;
        let Some((name, group)) = self.group.take() else { return Ok(()) };
        if self.stream.add_group(&name, group) { Ok(()) } else { Err(RdbError::Duplicate) }
    }

    fn open_group(&mut self) -> Result<&mut Group, RdbError> {
        self.group.as_mut().map(|(_, group)| group).ok_or(RdbError::Order)
    }

    pub(super) fn pending(&mut self, pending: rdb::Pending) -> Result<(), RdbError> {
        let rdb::Pending { id, delivered_ms, deliveries } = pending;
        self.open_group()?.keep(inner(id), delivered_ms, deliveries);
        Ok(())
    }

    pub(super) fn consumer(&mut self, head: ConsumerHead<'_>) -> Result<(), RdbError> {
        let group = self.open_group()?;
        let (id, is_new) = group.see(head.name, head.seen_ms);
        if let Some(active) = head.active_ms {
            group.was_active(id, active);
        }
        self.consumer = Some(id);
        if is_new { Ok(()) } else { Err(RdbError::Duplicate) }
    }

    pub(super) fn producers(&mut self, seconds: u64, messages_max: u64) {
        let ids_max = usize::try_from(messages_max).unwrap_or(usize::MAX);
        self.stream.producers_mut().set_memory(Memory { seconds, ids_max });
    }

    /// The payload does not say when a message was sent: the id of its entry does, if a clock gave
    /// it.
    pub(super) fn message(&mut self, producer: &[u8], message: &[u8], id: rdb::StreamId) {
        let sent = id.ms.min(self.now);
        self.stream.producers_mut().restore(producer, message, inner(id), sent);
    }

    pub(super) fn messages_counted(&mut self, added: u64, duplicates: u64) {
        self.stream.producers_mut().set_counters(added, duplicates);
    }

    pub(super) fn consumer_pending(&mut self, id: rdb::StreamId) -> Result<(), RdbError> {
        let consumer = self.consumer.ok_or(RdbError::Order)?;
        let (id, group) = (inner(id), self.open_group()?);
        let &Pending { owner, time, count } = group.pending().get(&id).ok_or(RdbError::Pending)?;
        if owner.is_some() {
            return Err(RdbError::Pending);
        }
        group.deliver(id, consumer, time, count);
        Ok(())
    }
}

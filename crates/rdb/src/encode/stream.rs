//! Streams; `crate::stream` draws the layout.

use super::{Format, Options};
use crate::error::RdbError;
use crate::listpack::Builder;
use crate::primitives::{Blank, put_length, put_milliseconds, put_string};
use crate::sink::{ConsumerHead, GroupHead, Pending, StreamId, StreamState};
use crate::stream::{ENTRIES_READ_UNKNOWN, ENTRY_ELEMENTS, SAME_FIELDS, id_bytes};
use crate::types;

/// The most entries of a node.
const NODE_ENTRIES_MAX: usize = 100;

/// A node is written once its entries have as many bytes.
const NODE_BYTES: usize = 4 << 10;

/// The longest entry: readers take no listpack that is much longer.
const ENTRY_BYTES_MAX: usize = 512 << 20;

/// Writes the entries of a stream.
pub struct StreamEncoder<'o> {
    out: &'o mut Vec<u8>,
    options: Options,
    nodes: u64,
    nodes_blank: Blank,
    length: u64,
    last: Option<StreamId>,
    node: Option<Node>,
}

/// Entries that are written together.
struct Node {
    id: StreamId,
    /// The fields of its first entry, which others may share.
    names: Vec<Vec<u8>>,
    entries: Vec<NodeEntry>,
    bytes: usize,
}

struct NodeEntry {
    id: StreamId,
    /// The names, unless they are those of the node.
    names: Option<Vec<Vec<u8>>>,
    values: Vec<Vec<u8>>,
}

impl<'o> StreamEncoder<'o> {
    /// Begins a stream at the end of `out`.
    pub fn new(options: Options, out: &'o mut Vec<u8>) -> Self {
        out.push(match options.format {
            Format::Redis10 => types::STREAM_2,
            Format::Redis11 | Format::Redis12 | Format::Valkey80 => types::STREAM_3,
            Format::Redis13 => types::STREAM_4,
            Format::Redis14 => types::STREAM_5,
        });
        let nodes_blank = Blank::put(out);
        Self { out, options, nodes: 0, nodes_blank, length: 0, last: None, node: None }
    }

    /// Appends an entry.
    ///
    /// # Errors
    ///
    /// [`RdbError::Order`] if its id is not above the one before,
    /// [`RdbError::Length`] if it is longer than a reader takes.
    pub fn entry<'f>(
        &mut self,
        id: StreamId,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    ) -> Result<(), RdbError> {
        if id == StreamId::default() || self.last.is_some_and(|last| id <= last) {
            return Err(RdbError::Order);
        }
        let (names, values): (Vec<_>, Vec<_>) =
            fields.map(|(name, value)| (name.to_vec(), value.to_vec())).unzip();
        if names.iter().chain(&values).map(Vec::len).sum::<usize>() > ENTRY_BYTES_MAX {
            return Err(RdbError::Length);
        }
        if self.node.as_ref().is_some_and(|node| !node.has_room(id)) {
            self.flush();
        }
        let node = self.node.get_or_insert_with(|| Node::new(id, names.clone()));
        node.push(id, names, values);
        self.length += 1;
        self.last = Some(id);
        Ok(())
    }

    fn flush(&mut self) {
        let Some(node) = self.node.take() else { return };
        put_string(&id_bytes(node.id), false, self.out);
        let packed = node.pack(Builder::new(self.options.format.back_lengths()));
        put_string(&packed, self.options.compress, self.out);
        self.nodes += 1;
    }

    /// Ends the entries; `groups` groups follow.
    ///
    /// # Errors
    ///
    /// [`RdbError::Order`] if an entry is beyond the last id.
    pub fn state(
        mut self,
        state: &StreamState,
        groups: usize,
    ) -> Result<GroupsEncoder<'o>, RdbError> {
        if self.last.is_some_and(|last| last > state.last_id) {
            return Err(RdbError::Order);
        }
        self.flush();
        self.nodes_blank.fill(self.nodes, self.out);
        put_length(self.length, self.out);
        for id in [state.last_id, state.first_id, state.max_deleted_id] {
            put_id(id, self.out);
        }
        put_length(state.entries_added.max(self.length), self.out);
        put_length(groups as u64, self.out);
        Ok(GroupsEncoder {
            out: self.out,
            format: self.options.format,
            groups_left: groups,
            consumers_left: 0,
            is_open: false,
        })
    }
}

impl Node {
    fn new(id: StreamId, names: Vec<Vec<u8>>) -> Self {
        let bytes = names.iter().map(Vec::len).sum();
        Self { id, names, entries: Vec::new(), bytes }
    }

    /// Whether an entry of this id may join, whose difference has to be an integer.
    fn has_room(&self, id: StreamId) -> bool {
        self.entries.len() < NODE_ENTRIES_MAX
            && self.bytes < NODE_BYTES
            && i64::try_from(id.ms - self.id.ms).is_ok()
    }

    fn push(&mut self, id: StreamId, names: Vec<Vec<u8>>, values: Vec<Vec<u8>>) {
        let names = (names != self.names).then_some(names);
        let texts = names.iter().flatten().chain(&values);
        self.bytes += texts.map(Vec::len).sum::<usize>();
        self.entries.push(NodeEntry { id, names, values });
    }

    fn pack(&self, mut packed: Builder) -> Vec<u8> {
        packed.push_integer(self.entries.len() as i64);
        packed.push_integer(0);
        packed.push_integer(self.names.len() as i64);
        self.names.iter().for_each(|name| packed.push(name));
        packed.push_integer(0);
        for entry in &self.entries {
            entry.pack(self.id, &mut packed);
        }
        packed.finish()
    }
}

impl NodeEntry {
    fn pack(&self, node: StreamId, packed: &mut Builder) {
        packed.push_integer(if self.names.is_none() { SAME_FIELDS } else { 0 });
        packed.push_integer(self.id.ms.wrapping_sub(node.ms).cast_signed());
        packed.push_integer(self.id.seq.wrapping_sub(node.seq).cast_signed());
        let mut elements = self.values.len();
        if let Some(names) = &self.names {
            packed.push_integer(names.len() as i64);
            for (name, value) in names.iter().zip(&self.values) {
                packed.push(name);
                packed.push(value);
            }
            elements += names.len() + 1;
        } else {
            self.values.iter().for_each(|value| packed.push(value));
        }
        packed.push_integer(ENTRY_ELEMENTS + elements as i64);
    }
}

/// Writes the consumer groups of a stream.
pub struct GroupsEncoder<'o> {
    out: &'o mut Vec<u8>,
    format: Format,
    groups_left: usize,
    consumers_left: usize,
    /// Whether the ids that were given back are yet to be written, of the group that came last.
    is_open: bool,
}

impl GroupsEncoder<'_> {
    /// Appends a group with what pends in it; `consumers` consumers follow.
    ///
    /// # Errors
    ///
    /// [`RdbError::Count`] if no group, but a consumer, is to come next.
    pub fn group(
        &mut self,
        group: GroupHead<'_>,
        pending: impl ExactSizeIterator<Item = Pending>,
        consumers: usize,
    ) -> Result<(), RdbError> {
        self.close()?;
        self.groups_left = self.groups_left.checked_sub(1).ok_or(RdbError::Count)?;
        self.consumers_left = consumers;
        put_string(group.name, false, self.out);
        put_id(group.last_id, self.out);
        put_length(group.entries_read.unwrap_or(ENTRIES_READ_UNKNOWN), self.out);
        put_length(pending.len() as u64, self.out);
        for Pending { id, delivered_ms, deliveries } in pending {
            self.out.extend_from_slice(&id_bytes(id));
            put_milliseconds(Some(delivered_ms), self.out);
            put_length(deliveries, self.out);
        }
        put_length(consumers as u64, self.out);
        self.is_open = self.format == Format::Redis14;
        Ok(())
    }

    /// Ends a group of which nothing was given back, or no more than what is written.
    fn close(&mut self) -> Result<(), RdbError> {
        if self.consumers_left > 0 {
            return Err(RdbError::Count);
        }
        if std::mem::take(&mut self.is_open) {
            put_length(0, self.out);
        }
        Ok(())
    }

    /// Appends the ids that pend in the group and at none of its consumers, which have all been
    /// written.
    ///
    /// # Errors
    ///
    /// [`RdbError::Pending`] if the format has no place for them, or they are written already;
    /// [`RdbError::Count`] if a consumer is missing.
    pub fn given_back(
        &mut self,
        ids: impl ExactSizeIterator<Item = StreamId>,
    ) -> Result<(), RdbError> {
        if self.consumers_left > 0 {
            return Err(RdbError::Count);
        }
        if !std::mem::take(&mut self.is_open) {
            return Err(RdbError::Pending);
        }
        put_length(ids.len() as u64, self.out);
        ids.for_each(|id| self.out.extend_from_slice(&id_bytes(id)));
        Ok(())
    }

    /// Appends a consumer of the group, with the ids that pend at it.
    ///
    /// # Errors
    ///
    /// [`RdbError::Count`] if the group has all its consumers.
    pub fn consumer(
        &mut self,
        consumer: ConsumerHead<'_>,
        pending: impl ExactSizeIterator<Item = StreamId>,
    ) -> Result<(), RdbError> {
        self.consumers_left = self.consumers_left.checked_sub(1).ok_or(RdbError::Count)?;
        put_string(consumer.name, false, self.out);
        put_milliseconds(Some(consumer.seen_ms), self.out);
        if self.format != Format::Redis10 {
            put_milliseconds(consumer.active_ms, self.out);
        }
        put_length(pending.len() as u64, self.out);
        for id in pending {
            self.out.extend_from_slice(&id_bytes(id));
        }
        Ok(())
    }

    /// Ends a stream of a format that has no messages of producers.
    ///
    /// # Errors
    ///
    /// [`RdbError::Count`] if a group or a consumer is missing, or the producers.
    pub fn finish(mut self) -> Result<(), RdbError> {
        self.close()?;
        if self.groups_left == 0 && !self.format.has_producers() {
            Ok(())
        } else {
            Err(RdbError::Count)
        }
    }
}

impl<'o> GroupsEncoder<'o> {
    /// Ends the groups; `producers` producers follow, of whom messages are kept for so many
    /// seconds, and so many of each.
    ///
    /// # Errors
    ///
    /// [`RdbError::Count`] if a group or a consumer is missing, or the format has no producers.
    pub fn producers(
        mut self,
        seconds: u64,
        messages_max: u64,
        producers: usize,
    ) -> Result<ProducersEncoder<'o>, RdbError> {
        self.close()?;
        if self.groups_left > 0 || !self.format.has_producers() {
            return Err(RdbError::Count);
        }
        put_length(seconds, self.out);
        put_length(messages_max, self.out);
        put_length(producers as u64, self.out);
        Ok(ProducersEncoder { out: self.out, left: producers })
    }
}

/// Writes what is kept of the producers of a stream.
pub struct ProducersEncoder<'o> {
    out: &'o mut Vec<u8>,
    left: usize,
}

impl ProducersEncoder<'_> {
    /// Appends a producer with its messages, in the order they came, and the entries that they
    /// became.
    ///
    /// # Errors
    ///
    /// [`RdbError::Count`] if all producers were written.
    pub fn producer<'m>(
        &mut self,
        name: &[u8],
        messages: impl ExactSizeIterator<Item = (&'m [u8], StreamId)>,
    ) -> Result<(), RdbError> {
        self.left = self.left.checked_sub(1).ok_or(RdbError::Count)?;
        put_string(name, false, self.out);
        put_length(messages.len() as u64, self.out);
        for (message, id) in messages {
            put_string(message, false, self.out);
            put_id(id, self.out);
        }
        Ok(())
    }

    /// Ends the stream: so many messages were ever kept, and so many came again.
    ///
    /// # Errors
    ///
    /// [`RdbError::Count`] if a producer is missing.
    pub fn finish(self, added: u64, duplicates: u64) -> Result<(), RdbError> {
        if self.left > 0 {
            return Err(RdbError::Count);
        }
        put_length(added, self.out);
        put_length(duplicates, self.out);
        Ok(())
    }
}

fn put_id(id: StreamId, out: &mut Vec<u8>) {
    put_length(id.ms, out);
    put_length(id.seq, out);
}

//! A value with everything in it: the simplest [`Sink`], for tests and small values.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::decode::{Limits, decode};
use crate::encode::{
    ArrayEncoder, Format, GroupsEncoder, HashEncoder, ListEncoder, Options, SetEncoder,
    StreamEncoder, ZSetEncoder, encode_string,
};
use crate::error::RdbError;
use crate::number::Text;
use crate::sink::{ConsumerHead, GroupHead, Kind, Pending, Sink, Slot, StreamId, StreamState};

/// For how many elements room is made at once: an empty string takes one byte of
/// the input, but some dozens here.
const RESERVE_MAX: usize = 1 << 16;

/// A decoded value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    Str(Vec<u8>),
    /// The elements of a list.
    List(Vec<Vec<u8>>),
    /// The members of a set, as they came.
    Set(Vec<Vec<u8>>),
    /// The fields of a hash, as they came.
    Hash(Vec<HashField>),
    /// The members of a sorted set and their scores, as they came.
    ZSet(Vec<(Vec<u8>, f64)>),
    /// A stream.
    Stream(Stream),
    /// An array.
    Array(Array),
}

/// An array.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    /// Where a value was inserted last, if one ever was.
    pub inserted: Option<u64>,
    /// The values in use; the indexes rise.
    pub slots: Vec<(u64, Slot<'static>)>,
}

/// A field of a hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashField {
    /// Its name.
    pub field: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// When it ends, in milliseconds since 1970.
    pub deadline_ms: Option<u64>,
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Its entries; the ids rise.
    pub entries: Vec<Entry>,
    /// What it knows besides.
    pub state: StreamState,
    /// Its consumer groups.
    pub groups: Vec<Group>,
    /// What is remembered of its producers. Formats before RDB 13 have no place for it and leave it
    /// out; those from then on always tell something.
    pub producers: Option<Producers>,
}

/// What a stream remembers of its producers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producers {
    /// For how many seconds a message is kept.
    pub seconds: u64,
    /// How many messages of each producer are kept.
    pub messages_max: u64,
    /// Those of whom something is kept, or was.
    pub each: Vec<Producer>,
    /// How many messages were ever kept.
    pub added: u64,
    /// How many came again.
    pub duplicates: u64,
}

impl Default for Producers {
    /// What a stream has that never had a producer.
    fn default() -> Self {
        Self { seconds: 100, messages_max: 100, each: Vec::new(), added: 0, duplicates: 0 }
    }
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its name.
    pub name: Vec<u8>,
    /// Its messages, in the order they came, and the entries that they became.
    pub messages: Vec<(Vec<u8>, StreamId)>,
}

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: StreamId,
    /// Fields and values.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: Vec<u8>,
    /// The last id that it delivered.
    pub last_id: StreamId,
    /// How many entries it has read, if that is known.
    pub entries_read: Option<u64>,
    /// What was delivered and not acknowledged.
    pub pending: Vec<Pending>,
    /// Who reads.
    pub consumers: Vec<Consumer>,
}

/// A consumer of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: Vec<u8>,
    /// When it tried something last, in milliseconds.
    pub seen_ms: u64,
    /// When it got something last; `None` if it never did.
    pub active_ms: Option<u64>,
    /// Which of the group's pending entries it has.
    pub pending: Vec<StreamId>,
}

impl Value {
    /// Decodes a payload.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn decode(payload: &[u8], version: u16, limits: &Limits) -> Result<Self, RdbError> {
        let mut builder = Builder::default();
        decode(payload, version, limits, &mut builder)?;
        builder.finish()
    }

    /// Appends the payload of this value.
    ///
    /// # Errors
    ///
    /// If it cannot be written: it is empty, its ids do not rise, the format has
    /// no place for a part of it, or a pending entry of a stream has no owner.
    pub fn encode(&self, options: Options, out: &mut Vec<u8>) -> Result<(), RdbError> {
        match self {
            Self::Str(text) => {
                encode_string(text, options, out);
                Ok(())
            }
            Self::List(elements) => {
                let mut list = ListEncoder::new(options, out);
                elements.iter().for_each(|element| list.element(element));
                list.finish()
            }
            Self::Set(members) => {
                let mut set = SetEncoder::new(members.len(), options, out);
                members.iter().for_each(|member| set.member(member));
                set.finish()
            }
            Self::Hash(fields) => encode_hash(fields, options, out),
            Self::ZSet(members) => {
                let mut sorted = ZSetEncoder::new(members.len(), options, out);
                members.iter().for_each(|(member, score)| sorted.scored(member, *score));
                sorted.finish()
            }
            Self::Stream(stream) => stream.encode(options, out),
            Self::Array(array) => array.encode(options, out),
        }
    }
}

fn encode_hash(fields: &[HashField], options: Options, out: &mut Vec<u8>) -> Result<(), RdbError> {
    let earliest = fields.iter().filter_map(|field| field.deadline_ms).min();
    let mut hash = HashEncoder::new(fields.len(), earliest, options, out)?;
    for field in fields {
        hash.field(&field.field, &field.value, field.deadline_ms)?;
    }
    hash.finish()
}

impl Group {
    /// Whether something pends at none of the consumers, for which formats have a place from RDB 14
    /// on.
    pub fn has_unowned(&self) -> bool {
        let owned: usize = self.consumers.iter().map(|consumer| consumer.pending.len()).sum();
        owned < self.pending.len()
    }

    /// What pends at none of the consumers.
    fn unowned(&self) -> Vec<StreamId> {
        let owned = self.consumers.iter().flat_map(|consumer| &consumer.pending);
        let owned: BTreeSet<&StreamId> = owned.collect();
        let pending = self.pending.iter().map(|pending| pending.id);
        pending.filter(|id| !owned.contains(id)).collect()
    }
}

impl Array {
    fn encode(&self, options: Options, out: &mut Vec<u8>) -> Result<(), RdbError> {
        let count = self.slots.len() as u64;
        let mut array = ArrayEncoder::new(count, self.inserted, options, out)?;
        for (index, value) in &self.slots {
            match value {
                Slot::Integer(value) => array.integer(*index, *value)?,
                Slot::Double(value) => array.double(*index, *value)?,
                Slot::Text(text) => array.text(*index, text)?,
            }
        }
        array.finish()
    }
}

impl Stream {
    fn encode(&self, options: Options, out: &mut Vec<u8>) -> Result<(), RdbError> {
        let mut stream = StreamEncoder::new(options, out);
        for entry in &self.entries {
            let fields = entry.fields.iter().map(|(field, value)| (&field[..], &value[..]));
            stream.entry(entry.id, fields)?;
        }
        let mut groups = stream.state(&self.state, self.groups.len())?;
        for group in &self.groups {
            let unowned = group.unowned();
            if !unowned.is_empty() && options.format != Format::Redis14 {
                return Err(RdbError::Pending);
            }
            let Group { name, last_id, entries_read, pending, consumers } = group;
            let head = GroupHead { name, last_id: *last_id, entries_read: *entries_read };
            groups.group(head, pending.iter().copied(), consumers.len())?;
            for Consumer { name, seen_ms, active_ms, pending } in consumers {
                let head = ConsumerHead { name, seen_ms: *seen_ms, active_ms: *active_ms };
                groups.consumer(head, pending.iter().copied())?;
            }
            if !unowned.is_empty() {
                groups.given_back(unowned.into_iter())?;
            }
        }
        if matches!(options.format, Format::Redis13 | Format::Redis14) {
            self.producers.as_ref().unwrap_or(&Producers::default()).encode(groups)
        } else {
            groups.finish()
        }
    }
}

impl Producers {
    fn encode(&self, groups: GroupsEncoder<'_>) -> Result<(), RdbError> {
        let mut producers = groups.producers(self.seconds, self.messages_max, self.each.len())?;
        for Producer { name, messages } in &self.each {
            let messages = messages.iter().map(|(message, id)| (&message[..], *id));
            producers.producer(name, messages)?;
        }
        producers.finish(self.added, self.duplicates)
    }
}

/// Builds a [`Value`].
#[derive(Debug, Default)]
pub struct Builder(Option<Value>);

impl Builder {
    /// The value, once a decoder is through.
    ///
    /// # Errors
    ///
    /// [`RdbError::Duplicate`] if a member or a field came twice.
    pub fn finish(self) -> Result<Value, RdbError> {
        let value = self.0.ok_or(RdbError::Empty)?;
        let is_distinct = match &value {
            Value::Set(members) => are_distinct(members.iter().map(Vec::as_slice)),
            Value::Hash(fields) => are_distinct(fields.iter().map(|field| &field.field[..])),
            Value::ZSet(members) => are_distinct(members.iter().map(|(member, _)| &member[..])),
            Value::Str(_) | Value::List(_) | Value::Stream(_) | Value::Array(_) => true,
        };
        if is_distinct { Ok(value) } else { Err(RdbError::Duplicate) }
    }

    /// The stream, whose entries are complete.
    fn open_stream(&mut self) -> Result<&mut Stream, RdbError> {
        match &mut self.0 {
            Some(Value::Stream(stream)) => Ok(stream),
            _ => Err(RdbError::UnknownType),
        }
    }

    fn open_producers(&mut self) -> Result<&mut Producers, RdbError> {
        self.open_stream()?.producers.as_mut().ok_or(RdbError::Order)
    }

    fn open_group(&mut self) -> Result<&mut Group, RdbError> {
        self.open_stream()?.groups.last_mut().ok_or(RdbError::Order)
    }
}

fn are_distinct<'a>(names: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut names: Vec<&[u8]> = names.collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

/// A call that does not fit to the one of [`Sink::begin`] is refused.
macro_rules! open {
    ($builder:expr, $kind:ident) => {
        match &mut $builder.0 {
            Some(Value::$kind(inner)) => inner,
            _ => return Err(RdbError::UnknownType),
        }
    };
}

impl Sink for Builder {
    fn string(&mut self, value: Cow<'_, [u8]>) -> Result<(), RdbError> {
        self.0 = Some(Value::Str(value.into_owned()));
        Ok(())
    }

    fn begin(&mut self, kind: Kind, count: usize) -> Result<(), RdbError> {
        let count = count.min(RESERVE_MAX);
        self.0 = Some(match kind {
            Kind::List => Value::List(Vec::with_capacity(count)),
            Kind::Set => Value::Set(Vec::with_capacity(count)),
            Kind::Hash => Value::Hash(Vec::with_capacity(count)),
            Kind::ZSet => Value::ZSet(Vec::with_capacity(count)),
            Kind::Stream => Value::Stream(Stream::default()),
            Kind::Array => Value::Array(Array::default()),
        });
        Ok(())
    }

    fn element(&mut self, element: &[u8]) -> Result<(), RdbError> {
        open!(self, List).push(element.to_vec());
        Ok(())
    }

    fn member(&mut self, member: &[u8]) -> Result<(), RdbError> {
        open!(self, Set).push(member.to_vec());
        Ok(())
    }

    fn field(
        &mut self,
        field: &[u8],
        value: &[u8],
        deadline_ms: Option<u64>,
    ) -> Result<(), RdbError> {
        let (field, value) = (field.to_vec(), value.to_vec());
        open!(self, Hash).push(HashField { field, value, deadline_ms });
        Ok(())
    }

    fn scored(&mut self, member: &[u8], score: f64) -> Result<(), RdbError> {
        open!(self, ZSet).push((member.to_vec(), score));
        Ok(())
    }

    fn inserted(&mut self, index: Option<u64>) -> Result<(), RdbError> {
        open!(self, Array).inserted = index;
        Ok(())
    }

    fn slot(&mut self, index: u64, value: Slot<'_>) -> Result<(), RdbError> {
        let value = match value {
            Slot::Integer(value) => Slot::Integer(value),
            Slot::Double(value) => Slot::Double(value),
            Slot::Text(text) => Slot::Text(Cow::Owned(text.into_owned())),
        };
        open!(self, Array).slots.push((index, value));
        Ok(())
    }

    fn entry(&mut self, id: StreamId, fields: &[(Text<'_>, Text<'_>)]) -> Result<(), RdbError> {
        let fields = fields.iter().map(|(field, value)| (field.to_vec(), value.to_vec()));
        open!(self, Stream).entries.push(Entry { id, fields: fields.collect() });
        Ok(())
    }

    fn stream(&mut self, state: &StreamState) -> Result<(), RdbError> {
        self.open_stream()?.state = *state;
        Ok(())
    }

    fn group(&mut self, group: GroupHead<'_>) -> Result<(), RdbError> {
        self.open_stream()?.groups.push(Group {
            name: group.name.to_vec(),
            last_id: group.last_id,
            entries_read: group.entries_read,
            pending: Vec::new(),
            consumers: Vec::new(),
        });
        Ok(())
    }

    fn pending(&mut self, pending: Pending) -> Result<(), RdbError> {
        self.open_group()?.pending.push(pending);
        Ok(())
    }

    fn consumer(&mut self, consumer: ConsumerHead<'_>) -> Result<(), RdbError> {
        self.open_group()?.consumers.push(Consumer {
            name: consumer.name.to_vec(),
            seen_ms: consumer.seen_ms,
            active_ms: consumer.active_ms,
            pending: Vec::new(),
        });
        Ok(())
    }

    fn consumer_pending(&mut self, id: StreamId) -> Result<(), RdbError> {
        let consumer = self.open_group()?.consumers.last_mut().ok_or(RdbError::Order)?;
        consumer.pending.push(id);
        Ok(())
    }

    fn producers(&mut self, seconds: u64, messages_max: u64) -> Result<(), RdbError> {
        let producers = Producers { seconds, messages_max, ..Producers::default() };
        self.open_stream()?.producers = Some(producers);
        Ok(())
    }

    fn message(&mut self, producer: &[u8], message: &[u8], id: StreamId) -> Result<(), RdbError> {
        let each = &mut self.open_producers()?.each;
        let message = (message.to_vec(), id);
        match each.last_mut().filter(|last| last.name == producer) {
            Some(last) => last.messages.push(message),
            None => each.push(Producer { name: producer.to_vec(), messages: vec![message] }),
        }
        Ok(())
    }

    fn messages_counted(&mut self, added: u64, duplicates: u64) -> Result<(), RdbError> {
        let producers = self.open_producers()?;
        (producers.added, producers.duplicates) = (added, duplicates);
        Ok(())
    }
}

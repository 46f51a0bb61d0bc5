//! A value with everything in it: the simplest [`Sink`], for tests and small values.

use std::borrow::Cow;

use crate::decode::{Limits, decode};
use crate::encode::{
    HashEncoder, ListEncoder, Options, SetEncoder, StreamEncoder, ZSetEncoder, encode_string,
};
use crate::error::RdbError;
use crate::number::Text;
use crate::sink::{ConsumerHead, GroupHead, Kind, Pending, Sink, StreamId, StreamState};

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

/// A stream, without what is remembered of its producers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Its entries; the ids rise.
    pub entries: Vec<Entry>,
    /// What it knows besides.
    pub state: StreamState,
    /// Its consumer groups.
    pub groups: Vec<Group>,
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
    /// Whether something pends at none of the consumers, for which no format has a place that
    /// is written here.
    pub fn has_unowned(&self) -> bool {
        let owned: usize = self.consumers.iter().map(|consumer| consumer.pending.len()).sum();
        owned < self.pending.len()
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
            if group.has_unowned() {
                return Err(RdbError::Pending);
            }
            let Group { name, last_id, entries_read, pending, consumers } = group;
            let head = GroupHead { name, last_id: *last_id, entries_read: *entries_read };
            groups.group(head, pending.iter().copied(), consumers.len())?;
            for Consumer { name, seen_ms, active_ms, pending } in consumers {
                let head = ConsumerHead { name, seen_ms: *seen_ms, active_ms: *active_ms };
                groups.consumer(head, pending.iter().copied())?;
            }
        }
        groups.finish()
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
            Value::Str(_) | Value::List(_) | Value::Stream(_) => true,
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
}

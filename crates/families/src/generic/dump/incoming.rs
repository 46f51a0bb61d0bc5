//! What RESTORE makes of a payload while it is read: streams and arrays as they are kept, as they
//! may be long; a plain value of anything else.

use std::borrow::Cow;

use keyspace::array::{Cursor, Draft};
use keyspace::stream::{NodeLimits, Stream};
use keyspace::{Millis, SMALL_ARRAY_BYTES_MAX};
use rdb::{
    Builder, ConsumerHead, GroupHead, Kind, Limits, RdbError, Sink, Slot, StreamState, Text, Trust,
    Value,
};

use super::stream::NewStream;

/// A value out of a dump.
pub(super) enum Incoming {
    Plain(Value),
    Stream(Box<Stream>),
    Array(Box<Draft>),
}

impl Incoming {
    /// The value in a dump.
    pub(super) fn of(
        dump: &[u8],
        trust: Trust,
        node_limits: NodeLimits,
        now: Millis,
    ) -> Result<Incoming, RdbError> {
        let dump = rdb::open_trusting(dump, trust)?;
        let plain = Builder::default();
        let mut building = Building { node_limits, now, plain, stream: None, array: None };
        rdb::decode(dump.payload, dump.version, &Limits::default(), &mut building)?;
        match (building.stream, building.array) {
            (Some(stream), _) => Ok(Incoming::Stream(Box::new(stream.finish()?))),
            (None, Some(array)) => Ok(Incoming::Array(array)),
            (None, None) => building.plain.finish().map(Incoming::Plain),
        }
    }
}

struct Building {
    node_limits: NodeLimits,
    now: Millis,
    plain: Builder,
    stream: Option<NewStream>,
    array: Option<Box<Draft>>,
}

impl Building {
    fn open_stream(&mut self) -> Result<&mut NewStream, RdbError> {
        self.stream.as_mut().ok_or(RdbError::UnknownType)
    }

    fn open_array(&mut self) -> Result<&mut Draft, RdbError> {
        self.array.as_deref_mut().ok_or(RdbError::UnknownType)
    }
}

impl Sink for Building {
    fn string(&mut self, value: Cow<'_, [u8]>) -> Result<(), RdbError> {
        self.plain.string(value)
    }

    fn begin(&mut self, kind: Kind, count: usize) -> Result<(), RdbError> {
        if kind == Kind::Stream {
            self.stream = Some(NewStream::new(self.node_limits, self.now));
            return Ok(());
        }
        if kind == Kind::Array {
            self.array = Some(Box::new(Draft::new(Cursor::default())));
            return Ok(());
        }
        self.plain.begin(kind, count)
    }

    fn element(&mut self, element: &[u8]) -> Result<(), RdbError> {
        self.plain.element(element)
    }

    fn member(&mut self, member: &[u8]) -> Result<(), RdbError> {
        self.plain.member(member)
    }

    fn field(
        &mut self,
        field: &[u8],
        value: &[u8],
        deadline_ms: Option<u64>,
    ) -> Result<(), RdbError> {
        self.plain.field(field, value, deadline_ms)
    }

    fn scored(&mut self, member: &[u8], score: f64) -> Result<(), RdbError> {
        self.plain.scored(member, score)
    }

    /// The next value comes behind the last one; how large a ring was is not said.
    fn inserted(&mut self, index: Option<u64>) -> Result<(), RdbError> {
        let next = index.map_or(0, |index| index.saturating_add(1));
        self.open_array()?.set_cursor(Cursor { next, ring: 0 });
        Ok(())
    }

    fn slot(&mut self, index: u64, value: Slot<'_>) -> Result<(), RdbError> {
        let mut digits = itoa::Buffer::new();
        let mut double = Vec::new();
        let text = match &value {
            Slot::Integer(value) => digits.format(*value).as_bytes(),
            Slot::Double(value) => {
                protocol::format_double(*value, &mut double);
                &double
            }
            Slot::Text(text) => text,
        };
        self.open_array()?.set(index, text, SMALL_ARRAY_BYTES_MAX);
        Ok(())
    }

    fn entry(
        &mut self,
        id: rdb::StreamId,
        fields: &[(Text<'_>, Text<'_>)],
    ) -> Result<(), RdbError> {
        self.open_stream()?.entry(id, fields)
    }

    fn stream(&mut self, state: &StreamState) -> Result<(), RdbError> {
        self.open_stream()?.state(state);
        Ok(())
    }

    fn group(&mut self, group: GroupHead<'_>) -> Result<(), RdbError> {
        self.open_stream()?.group(group)
    }

    fn pending(&mut self, pending: rdb::Pending) -> Result<(), RdbError> {
        self.open_stream()?.pending(pending)
    }

    fn consumer(&mut self, consumer: ConsumerHead<'_>) -> Result<(), RdbError> {
        self.open_stream()?.consumer(consumer)
    }

    fn consumer_pending(&mut self, id: rdb::StreamId) -> Result<(), RdbError> {
        self.open_stream()?.consumer_pending(id)
    }

    fn producers(&mut self, seconds: u64, messages_max: u64) -> Result<(), RdbError> {
        self.open_stream()?.producers(seconds, messages_max);
        Ok(())
    }

    fn message(
        &mut self,
        producer: &[u8],
        message: &[u8],
        id: rdb::StreamId,
    ) -> Result<(), RdbError> {
        self.open_stream()?.message(producer, message, id);
        Ok(())
    }

    fn messages_counted(&mut self, added: u64, duplicates: u64) -> Result<(), RdbError> {
        self.open_stream()?.messages_counted(added, duplicates);
        Ok(())
    }
}

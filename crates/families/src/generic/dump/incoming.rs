//! What RESTORE makes of a payload while it is read: streams as they are kept, as they may be
//! long; a plain value of anything else.

use std::borrow::Cow;

use keyspace::Millis;
use keyspace::stream::{NodeLimits, Stream};
use rdb::{
    Builder, ConsumerHead, GroupHead, Kind, Limits, RdbError, Sink, StreamState, Text, Trust, Value,
};

use super::stream::NewStream;

/// A value out of a dump.
pub(super) enum Incoming {
    Plain(Value),
    Stream(Box<Stream>),
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
        let mut building = Building { node_limits, now, plain, stream: None };
        rdb::decode(dump.payload, dump.version, &Limits::default(), &mut building)?;
        match building.stream {
            Some(stream) => Ok(Incoming::Stream(Box::new(stream.finish()?))),
            None => building.plain.finish().map(Incoming::Plain),
        }
    }
}

struct Building {
    node_limits: NodeLimits,
    now: Millis,
    plain: Builder,
    stream: Option<NewStream>,
}

impl Building {
    fn open_stream(&mut self) -> Result<&mut NewStream, RdbError> {
        self.stream.as_mut().ok_or(RdbError::UnknownType)
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

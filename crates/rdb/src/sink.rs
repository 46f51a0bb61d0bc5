//! What a decoder tells whoever builds the value.
//!
//! # Order of calls
//!
//! ```text
//! string
//! begin(List)   element*
//! begin(Set)    member*
//! begin(Hash)   field*
//! begin(ZSet)   scored*
//! begin(Array)  inserted slot*
//! begin(Stream) entry* stream ( group pending* ( consumer consumer_pending* )* )*
//!               [ producers message* messages_counted ]
//! ```
//!
//! After an error, from either side, what was built has to be thrown away.

use std::borrow::Cow;

use crate::error::RdbError;
use crate::number::Text;

/// The type of a value that has elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A list.
    List,
    /// A set.
    Set,
    /// A hash.
    Hash,
    /// A sorted set.
    ZSet,
    /// A stream.
    Stream,
    /// An array.
    Array,
}

/// A value in an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot<'a> {
    /// An integer.
    Integer(i64),
    /// A double, which is a number.
    Double(f64),
    /// Any bytes; owned where they had to be unpacked.
    Text(Cow<'a, [u8]>),
}

/// The id of a stream's entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds.
    pub ms: u64,
    /// The number within the millisecond.
    pub seq: u64,
}

/// What a stream knows besides its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// The greatest id that was ever added.
    pub last_id: StreamId,
    /// The id of the first entry, 0-0 if there is none.
    pub first_id: StreamId,
    /// The greatest id that was deleted.
    pub max_deleted_id: StreamId,
    /// How many entries were ever added.
    pub entries_added: u64,
}

/// A consumer group without what pends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHead<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The last id that it delivered.
    pub last_id: StreamId,
    /// How many entries it has read, if that is known.
    pub entries_read: Option<u64>,
}

/// An entry that a group delivered and nobody acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The entry; it may be deleted by now.
    pub id: StreamId,
    /// When it was delivered last, in milliseconds.
    pub delivered_ms: u64,
    /// How often it was delivered.
    pub deliveries: u64,
}

/// A consumer without what pends at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerHead<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// When it tried something last, in milliseconds.
    pub seen_ms: u64,
    /// When it got something last; `None` if it never did.
    pub active_ms: Option<u64>,
}

/// Builds a value while a payload is decoded. The module says the order of calls.
///
/// Names of groups and consumers, and ids, come without repetition and pending
/// entries have one owner. Whether a member or a field came before only the
/// structure that is built can say cheaply: it has to answer [`RdbError::Duplicate`].
pub trait Sink {
    /// The value is this string; owned where it had to be unpacked.
    fn string(&mut self, value: Cow<'_, [u8]>) -> Result<(), RdbError>;

    /// The value is a collection of `count` elements. Where that is not known
    /// before, `count` is 0. The input can hold as many, so they may be reserved.
    fn begin(&mut self, kind: Kind, count: usize) -> Result<(), RdbError>;

    /// The next element of a list.
    fn element(&mut self, element: &[u8]) -> Result<(), RdbError>;

    /// The next member of a set.
    fn member(&mut self, member: &[u8]) -> Result<(), RdbError>;

    /// The next field of a hash; its deadline may be over.
    fn field(
        &mut self,
        field: &[u8],
        value: &[u8],
        deadline_ms: Option<u64>,
    ) -> Result<(), RdbError>;

    /// The next member of a sorted set, in any order; its score is a number.
    fn scored(&mut self, member: &[u8], score: f64) -> Result<(), RdbError>;

    /// Where a value was inserted last into the array, if one ever was.
    fn inserted(&mut self, index: Option<u64>) -> Result<(), RdbError>;

    /// The next slot of an array, its index above the one before.
    fn slot(&mut self, index: u64, value: Slot<'_>) -> Result<(), RdbError>;

    /// The next entry of a stream, its id above the one before.
    fn entry(&mut self, id: StreamId, fields: &[(Text<'_>, Text<'_>)]) -> Result<(), RdbError>;

    /// The entries are complete.
    fn stream(&mut self, state: &StreamState) -> Result<(), RdbError>;

    /// The next group of the stream.
    fn group(&mut self, group: GroupHead<'_>) -> Result<(), RdbError>;

    /// What pends in the group, in any order.
    fn pending(&mut self, pending: Pending) -> Result<(), RdbError>;

    /// The next consumer of the group.
    fn consumer(&mut self, consumer: ConsumerHead<'_>) -> Result<(), RdbError>;

    /// Something that pends in the group pends at this consumer. What pends at none was given
    /// back by its owner.
    fn consumer_pending(&mut self, id: StreamId) -> Result<(), RdbError>;

    /// Messages of producers are remembered for so many seconds, and so many of each producer.
    /// Who has no place for such passes by this and the next two.
    fn producers(&mut self, seconds: u64, messages_max: u64) -> Result<(), RdbError> {
        let _ = (seconds, messages_max);
        Ok(())
    }

    /// A message of a producer, in the order they came, and the entry that it became.
    fn message(&mut self, producer: &[u8], message: &[u8], id: StreamId) -> Result<(), RdbError> {
        let _ = (producer, message, id);
        Ok(())
    }

    /// How many messages were ever remembered, and how many came again.
    fn messages_counted(&mut self, added: u64, duplicates: u64) -> Result<(), RdbError> {
        let _ = (added, duplicates);
        Ok(())
    }
}

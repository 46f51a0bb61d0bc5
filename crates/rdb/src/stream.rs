//! Streams out of payloads.
//!
//! # Layout
//!
//! ```text
//! n, node*                      node: 16 bytes id (ms, seq, big endian) | listpack in a string
//! length
//! last id (ms, seq)
//! from 2 on: first id, greatest deleted id, entries ever added
//! n, group*
//! from 4 on: seconds that messages of producers are kept, how many of each
//!            n, producer* | messages ever kept | messages that came again
//!
//! group:     name | last id | from 2 on: entries read | n, pending* | n, consumer*
//!            from 5 on: n, 16 bytes id of a pending entry that was given back *
//! pending:   16 bytes id | delivered at 8 bytes | deliveries
//! consumer:  name | seen at 8 bytes | from 3 on: active at 8 bytes | n, 16 bytes id *
//! producer:  name | n, (message | id of its entry)*
//!
//! listpack:  entries, deleted ones, n, field*n, 0, entry*
//! entry:     flags, ms and seq less those of the node,
//!            if the fields are those of the node: value*n
//!            else: m, (field, value)*m,
//!            how many elements the entry has without this one
//! ```
//!
//! # Invariants
//!
//! 1. Ids rise over all nodes, deleted entries included.
//! 2. Counts of live and of deleted entries are those that are found.
//! 3. What pends in a group pends at one of its consumers and no more than one, or it was given
//!    back.
//!
//! No server with layouts 4 and 5 was at hand; what is said of them is what librdb reads, the
//! library that Redis' makers publish for this.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::error::RdbError;
use crate::listpack::Items;
use crate::number::Text;
use crate::primitives::Reader;
use crate::sink::{ConsumerHead, GroupHead, Kind, Pending, Sink, StreamId, StreamState};

/// The bytes of an id.
const ID_BYTES: usize = 16;

/// The fewest bytes of a node, of a group, of a pending entry and of a consumer.
const NODE_BYTES_MIN: usize = 1 + ID_BYTES + 1;
const GROUP_BYTES_MIN: usize = 5;
const PENDING_BYTES_MIN: usize = ID_BYTES + 8 + 1;
const CONSUMER_BYTES_MIN: usize = 1 + 8 + 1;

/// The fewest bytes of a producer and of a message.
const PRODUCER_BYTES_MIN: usize = 2;
const MESSAGE_BYTES_MIN: usize = 3;

/// For how long messages of producers may be kept, in seconds, and how many of each.
const SECONDS: RangeInclusive<u64> = 1..=86_400;
const MESSAGES_MAX: RangeInclusive<u64> = 1..=10_000;

/// The flags of an entry.
pub(crate) const DELETED: i64 = 1;
pub(crate) const SAME_FIELDS: i64 = 2;

/// The elements of an entry besides its fields: flags and both halves of the id.
pub(crate) const ENTRY_ELEMENTS: i64 = 3;

/// Entries read where that is not known: -1.
pub(crate) const ENTRIES_READ_UNKNOWN: u64 = u64::MAX;

/// How much of a stream is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layout {
    One,
    Two,
    Three,
    Four,
    Five,
}

/// Decodes a stream.
pub(crate) fn decode(
    from: &mut Reader<'_>,
    layout: Layout,
    to: &mut impl Sink,
) -> Result<(), RdbError> {
    let nodes = from.count(NODE_BYTES_MIN)?;
    to.begin(Kind::Stream, 0)?;
    let mut walk = Walk::default();
    for _ in 0..nodes {
        let id = id_in(&from.string()?)?;
        walk.node(id, &from.string()?, from, to)?;
    }
    if from.length()? != walk.live {
        return Err(RdbError::Count);
    }
    let state = state(from, layout, &walk)?;
    to.stream(&state)?;
    groups(from, layout, &state, walk.live, to)?;
    if layout >= Layout::Four { producers(from, to) } else { Ok(()) }
}

fn id_in(bytes: &[u8]) -> Result<StreamId, RdbError> {
    let bytes: &[u8; ID_BYTES] = bytes.try_into().map_err(|_| RdbError::Length)?;
    Ok(id_of(*bytes))
}

fn id_of(bytes: [u8; ID_BYTES]) -> StreamId {
    let both = u128::from_be_bytes(bytes);
    StreamId { ms: (both >> 64) as u64, seq: both as u64 }
}

/// The 16 bytes of an id.
pub(crate) fn id_bytes(id: StreamId) -> [u8; ID_BYTES] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}

fn id(from: &mut Reader<'_>) -> Result<StreamId, RdbError> {
    Ok(StreamId { ms: from.length()?, seq: from.length()? })
}

/// What was seen of the entries so far.
#[derive(Default)]
struct Walk {
    live: u64,
    /// The id before, of a deleted entry or of a live one.
    last: Option<StreamId>,
    first_live: Option<StreamId>,
    last_live: Option<StreamId>,
}

impl Walk {
    fn node(
        &mut self,
        id: StreamId,
        blob: &[u8],
        limits: &mut Reader<'_>,
        to: &mut impl Sink,
    ) -> Result<(), RdbError> {
        let mut items = Items::new(blob)?;
        let counts = (items.integer()?, items.integer()?);
        let names = names(&mut items)?;
        let name_bytes = names.iter().map(|name| name.len()).sum();
        let mut found = (0, 0);
        let mut fields = Vec::with_capacity(names.len());
        while let Some(flags) = items.next()? {
            let flags = flags.integer().ok_or(RdbError::Packed)?;
            if flags & SAME_FIELDS != 0 {
                limits.spend(name_bytes)?;
            }
            let id = entry(flags, id, &names, &mut items, &mut fields)?;
            self.step(id)?;
            if flags & DELETED != 0 {
                found.1 += 1;
            } else {
                found.0 += 1;
                self.live(id);
                to.entry(id, &fields)?;
            }
        }
        // A node is not kept when nothing is left in it.
        if found == (0, 0) || found != counts { Err(RdbError::Count) } else { Ok(()) }
    }

    fn step(&mut self, id: StreamId) -> Result<(), RdbError> {
        if id == StreamId::default() || self.last.is_some_and(|last| id <= last) {
            return Err(RdbError::Order);
        }
        self.last = Some(id);
        Ok(())
    }

    fn live(&mut self, id: StreamId) {
        self.live += 1;
        self.first_live.get_or_insert(id);
        self.last_live = Some(id);
    }
}

/// The names of the fields that a node says once.
fn names<'a>(items: &mut Items<'a>) -> Result<Vec<Text<'a>>, RdbError> {
    let count = items.count()?;
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        names.push(items.expect()?.text());
    }
    if items.integer()? == 0 { Ok(names) } else { Err(RdbError::Packed) }
}

/// Reads an entry behind its flags: its fields go to `fields`, its id is returned.
fn entry<'a>(
    flags: i64,
    node: StreamId,
    names: &[Text<'a>],
    items: &mut Items<'a>,
    fields: &mut Vec<(Text<'a>, Text<'a>)>,
) -> Result<StreamId, RdbError> {
    let id = later(node, items.integer()?, items.integer()?).ok_or(RdbError::Order)?;
    fields.clear();
    let elements = if flags & SAME_FIELDS != 0 {
        for name in names {
            fields.push((*name, items.expect()?.text()));
        }
        fields.len()
    } else {
        for _ in 0..items.count()? {
            fields.push((items.expect()?.text(), items.expect()?.text()));
        }
        1 + 2 * fields.len()
    };
    if items.integer()? != ENTRY_ELEMENTS + elements as i64 {
        return Err(RdbError::Packed);
    }
    Ok(id)
}

/// An id at these differences from another one, and not before it.
fn later(from: StreamId, ms: i64, seq: i64) -> Option<StreamId> {
    let ms = from.ms.checked_add_signed(ms)?;
    // Differences of numbers within the millisecond may take all 64 bits.
    let seq = from.seq.wrapping_add_signed(seq);
    Some(StreamId { ms, seq }).filter(|id| *id >= from)
}

fn state(from: &mut Reader<'_>, layout: Layout, walk: &Walk) -> Result<StreamState, RdbError> {
    let last_id = id(from)?;
    if walk.last_live.is_some_and(|last| last > last_id) {
        return Err(RdbError::Order);
    }
    if layout == Layout::One {
        let first_id = walk.first_live.unwrap_or_default();
        let max_deleted_id = StreamId::default();
        return Ok(StreamState { last_id, first_id, max_deleted_id, entries_added: walk.live });
    }
    let (first_id, max_deleted_id) = (id(from)?, id(from)?);
    let entries_added = from.length()?;
    if entries_added < walk.live {
        return Err(RdbError::Count);
    }
    Ok(StreamState { last_id, first_id, max_deleted_id, entries_added })
}

fn groups(
    from: &mut Reader<'_>,
    layout: Layout,
    state: &StreamState,
    length: u64,
    to: &mut impl Sink,
) -> Result<(), RdbError> {
    let mut names = Names::default();
    for _ in 0..from.count(GROUP_BYTES_MIN)? {
        let name = from.string()?;
        let last_id = id(from)?;
        let entries_read = match layout {
            Layout::One => estimate_entries_read(state, length, last_id),
            _ => Some(from.length()?).filter(|&count| count != ENTRIES_READ_UNKNOWN),
        };
        to.group(GroupHead { name: &name, last_id, entries_read })?;
        names.insert(name)?;
        let mut owners = pending(from, to)?;
        consumers(from, layout, &mut owners, to)?;
        if layout >= Layout::Five {
            given_back(from, &mut owners)?;
        }
        owners.all_owned()?;
    }
    Ok(())
}

/// How many entries come up to `id`, where that follows from what is known.
fn estimate_entries_read(state: &StreamState, length: u64, id: StreamId) -> Option<u64> {
    let added = state.entries_added;
    if added == 0 {
        Some(0)
    } else if id == state.last_id {
        Some(added)
    } else if id > state.last_id {
        None
    } else if id < state.first_id {
        Some(added - length)
    } else {
        (id == state.first_id).then_some(added - length + 1)
    }
}

fn pending(from: &mut Reader<'_>, to: &mut impl Sink) -> Result<Owners, RdbError> {
    let count = from.count(PENDING_BYTES_MIN)?;
    let mut owners = Vec::with_capacity(count);
    for _ in 0..count {
        let id = id_of(from.array()?);
        let delivered_ms = from.milliseconds()?.ok_or(RdbError::NotANumber)?;
        let deliveries = from.length()?;
        to.pending(Pending { id, delivered_ms, deliveries })?;
        owners.push((id, false));
    }
    Owners::new(owners)
}

fn consumers(
    from: &mut Reader<'_>,
    layout: Layout,
    owners: &mut Owners,
    to: &mut impl Sink,
) -> Result<(), RdbError> {
    let mut names = Names::default();
    for _ in 0..from.count(CONSUMER_BYTES_MIN)? {
        let name = from.string()?;
        let seen_ms = from.milliseconds()?.ok_or(RdbError::NotANumber)?;
        let active_ms = match layout {
            Layout::One | Layout::Two => Some(seen_ms),
            _ => from.milliseconds()?,
        };
        to.consumer(ConsumerHead { name: &name, seen_ms, active_ms })?;
        names.insert(name)?;
        for _ in 0..from.count(ID_BYTES)? {
            let id = id_of(from.array()?);
            owners.own(id)?;
            to.consumer_pending(id)?;
        }
    }
    Ok(())
}

/// Pending entries that nobody has: those that were not owned so far.
fn given_back(from: &mut Reader<'_>, owners: &mut Owners) -> Result<(), RdbError> {
    for _ in 0..from.count(ID_BYTES)? {
        owners.own(id_of(from.array()?))?;
    }
    Ok(())
}

fn producers(from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    let (seconds, messages_max) = (from.length()?, from.length()?);
    if !SECONDS.contains(&seconds) || !MESSAGES_MAX.contains(&messages_max) {
        return Err(RdbError::Length);
    }
    to.producers(seconds, messages_max)?;
    let mut names = Names::default();
    for _ in 0..from.count(PRODUCER_BYTES_MIN)? {
        let name = from.string()?;
        let mut messages = Names::default();
        for _ in 0..from.count(MESSAGE_BYTES_MIN)? {
            let message = from.string()?;
            to.message(&name, &message, id(from)?)?;
            messages.insert(message)?;
        }
        names.insert(name)?;
    }
    to.messages_counted(from.length()?, from.length()?)
}

/// Names that may not come twice.
#[derive(Default)]
struct Names<'a>(BTreeSet<Cow<'a, [u8]>>);

impl<'a> Names<'a> {
    fn insert(&mut self, name: Cow<'a, [u8]>) -> Result<(), RdbError> {
        if self.0.insert(name) { Ok(()) } else { Err(RdbError::Duplicate) }
    }
}

/// What pends in a group, sorted, and whether a consumer has it.
struct Owners(Vec<(StreamId, bool)>);

impl Owners {
    fn new(mut owners: Vec<(StreamId, bool)>) -> Result<Self, RdbError> {
        owners.sort_unstable();
        if owners.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(RdbError::Duplicate);
        }
        Ok(Self(owners))
    }

    fn own(&mut self, id: StreamId) -> Result<(), RdbError> {
        let at = self.0.binary_search_by_key(&id, |owner| owner.0);
        let owner = &mut self.0[at.map_err(|_| RdbError::Pending)?];
        if std::mem::replace(&mut owner.1, true) { Err(RdbError::Pending) } else { Ok(()) }
    }

    fn all_owned(&self) -> Result<(), RdbError> {
        if self.0.iter().all(|owner| owner.1) { Ok(()) } else { Err(RdbError::Pending) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    #[test]
    fn an_id_is_never_before_its_node() {
        assert_eq!(later(id(5, 9), 0, 3), Some(id(5, 12)));
        assert_eq!(later(id(5, 9), 1, -9), Some(id(6, 0)));
        assert_eq!(later(id(5, 9), 0, -1), None);
        assert_eq!(later(id(5, 9), -1, 5), None);
        assert_eq!(later(id(u64::MAX, 0), 1, 0), None);
        assert_eq!(later(id(1, 0), 1, -1), Some(id(2, u64::MAX)));
    }

    #[test]
    fn the_bytes_of_an_id_sort_as_it_does() {
        let (low, high) = (id(1, u64::MAX), id(2, 0));
        assert!(id_bytes(low) < id_bytes(high));
        assert_eq!(id_of(id_bytes(low)), low);
    }

    #[test]
    fn what_a_group_has_read_is_known_at_the_ends() {
        let state = StreamState {
            last_id: id(9, 0),
            first_id: id(3, 0),
            max_deleted_id: id(0, 0),
            entries_added: 4,
        };
        for (at, read) in [(2, Some(0)), (3, Some(1)), (5, None), (9, Some(4)), (10, None)] {
            assert_eq!(estimate_entries_read(&state, 4, id(at, 0)), read, "{at}");
        }
        assert_eq!(estimate_entries_read(&StreamState::default(), 0, id(7, 0)), Some(0));
    }
}

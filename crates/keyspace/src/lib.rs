//! All the data: shards behind gates, views over the entered shards, and what becomes of changes.
//!
//! The keyspace is cut into shards by the top bits of the key's hash. A transaction (one command,
//! later also a block or a script) enters the gates of all shards whose keys it names, runs to
//! completion on the thread that has it, publishes what it changed, and leaves. See [`View`] for
//! what it can do meanwhile, [`Keyspace::enter`] for how it gets in.
//!
//! # Invariants
//!
//! 1. Shards share nothing: a shard's data is reached through its gate only.
//! 2. Nobody waits for a lower gate while holding a higher one, so there is no deadlock.
//! 3. Gates are entered before anything runs and left after everything has run: transactions are
//!    strictly serializable.
//! 4. A key lies in the shard [`Keyspace::shard_of`] its hash; that is the one function to ask.
//! 5. Whoever changes an entry does so through [`View`], which notes the change; whoever meets an
//!    entry whose deadline has passed treats it as absent.
//!
//! Nothing here reads a clock, a random number, a file or a socket: the [`Frame`] of a
//! transaction says what time it is.

pub mod access;
mod array_entry;
mod boxes;
mod changes;
mod collection;
mod database;
mod entry;
mod hash_entry;
mod intake;
mod keyspace;
mod list_entry;
mod maintain;
mod scan;
mod set_entry;
mod shard;
mod sizes;
mod snapshot;
mod stream_entry;
mod view;
mod waiters;
mod watch;
mod widen;
mod witness;
mod zset_entry;

pub use access::Access;
pub use array_entry::{ArrayEntry, SMALL_ARRAY_BYTES_MAX, array_of};
pub use changes::{Change, Class, Effect, Event, Listener, Parts, Publication, Sink, Step, event};
pub use collection::{CollectionEntry, NewCollection, count_done};
pub use database::{Info, Stored, Str};
pub use entry::{Expiry, StrEntry};
pub use hash_entry::{HashEntry, map_of};
pub use intake::{Import, Intake};
pub use keyspace::{Awaited, Counts, Keyspace, Mode, Plan, Usage};
pub use list_entry::{ListEntry, NewList, list_of};
pub use maintain::{Due, Maintained, Overdue};
pub use packed::DEADLINE_MAX;
pub use packed::lengths::{self, Lengths};
pub use scan::{Met, ScanCursor};
pub use set_entry::{SetEntry, set_of};
pub use shard::{Discarded, Shard, ShardId};
pub use sizes::{COUNTED, Sizes};
pub use snapshot::{Copied, SnapshotSink};
pub use stream_entry::{StreamEntry, stream_of};
pub use value::array::{self, ArrayRef};
pub use value::entries;
pub use value::list::{End, Fill as ListFill, ListRef};
pub use value::map::Limits as HashLimits;
pub use value::set::Limits as SetLimits;
pub use value::stream;
pub use value::zset::Limits as ZSetLimits;
pub use value::{KeyHasher, Type};
pub use view::{Frame, Layout, Leftovers, Tally, View};
pub use waiters::{Offer, Waiter};
pub use watch::Watch;
pub use witness::{Copy, Witness};
pub use zset_entry::{ZSetEntry, zset_of};

/// A moment or a span in milliseconds; moments count from the Unix epoch.
pub type Millis = u64;

/// The number of a database, as SELECT knows it.
pub type DbIndex = u16;

/// Why an operation on an entry was refused. The entry is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The key holds another type.
    WrongType,
    /// The shard's memory can hold no more entries.
    Full,
}

impl From<value::heap::Full> for Refused {
    fn from(_: value::heap::Full) -> Refused {
        Refused::Full
    }
}

impl From<packed::Full> for Refused {
    fn from(_: packed::Full) -> Refused {
        Refused::Full
    }
}

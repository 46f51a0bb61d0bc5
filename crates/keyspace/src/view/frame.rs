//! What a transaction takes as given, and what it leaves behind.

use smallvec::SmallVec;
use value::stream::NodeLimits;
use value::{list, map, set, zset};

use crate::database::Remains;
use crate::intake::{Import, Intake};
use crate::maintain::Overdue;
use crate::shard::Discarded;
use crate::{Access, DbIndex, Millis};

/// What a transaction takes as given.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The database that keys without further word belong to.
    pub db: DbIndex,
    /// What time it is.
    pub now: Millis,
    /// Any 64 random bits.
    pub chance: u64,
    /// How the use of entries is recorded.
    pub access: Access,
    /// Whether it is recorded: not for clients that asked for it (CLIENT NO-TOUCH).
    pub touch: bool,
    /// The number of whoever runs it, for those who are told of its changes; 0: nobody.
    pub origin: u64,
    /// Where values change their layout.
    pub layout: Layout,
    /// How data of another server is treated.
    pub intake: Intake,
    /// Whether a script runs it, which is to see the same each time it is run.
    pub by_script: bool,
    /// Whether writers are held back, so that nothing is removed, not even what has expired.
    pub is_paused: bool,
}

impl Frame {
    /// The moment after those of the deadlines that have passed.
    #[inline(always)]
    #[must_use]
    pub fn due_before(&self) -> Millis {
        if self.intake.import == Import::Source { 0 } else { self.now }
    }

    /// Whether an entry goes at once that is to have this deadline. While data is imported it stays
    /// until its source says so.
    #[must_use]
    pub fn is_over(&self, deadline: Millis) -> bool {
        deadline <= self.now && self.intake.import == Import::Off
    }
}

/// Settings that say how values are laid out where clients can see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The most bytes of a HyperLogLog in its sparse encoding, its header included
    /// (`hll-sparse-max-bytes`).
    pub hll_sparse_bytes_max: usize,
    /// When a set is large (`set-max-intset-entries`, `set-max-listpack-entries`,
    /// `set-max-listpack-value`).
    pub set: set::Limits,
    /// When a hash is large (`hash-max-listpack-entries`, `hash-max-listpack-value`).
    pub hash: map::Limits,
    /// When a sorted set is large (`zset-max-listpack-entries`, `zset-max-listpack-value`).
    pub zset: zset::Limits,
    /// How much a chunk of a list holds (`list-max-listpack-size`).
    pub list_fill: list::Fill,
    /// When a stream's node is full (`stream-node-max-entries`, `stream-node-max-bytes`).
    pub stream_node: NodeLimits,
}

impl Default for Layout {
    fn default() -> Layout {
        Layout {
            hll_sparse_bytes_max: 3000,
            set: set::Limits::default(),
            hash: map::Limits::default(),
            zset: zset::Limits::default(),
            list_fill: list::Fill::from_setting(-2),
            stream_node: NodeLimits { entries_max: 100, bytes_max: 4096 },
        }
    }
}

/// What a finished transaction did, in numbers, and what it leaves behind.
#[derive(Default)]
pub struct Tally {
    /// Look-ups of a reading command that found their key.
    pub hits: u64,
    /// Look-ups of a reading command that did not.
    pub misses: u64,
    /// Changes made.
    pub changes: u64,
    /// Entries found expired, and removed.
    pub expired: u64,
    /// Parts of values (fields of hashes) found past their own deadlines, and removed.
    pub lapsed: u64,
    /// What is expensive to drop, if there is any: the caller decides where. The gates are left
    /// already.
    pub garbage: Option<Box<Leftovers>>,
    /// Entries and fields that have expired and are there still, since who met them only read: see
    /// [`crate::Keyspace::clear`].
    pub overdue: Option<Box<Overdue>>,
}

/// Values and databases that no longer belong to the keyspace.
#[derive(Default)]
pub struct Leftovers {
    pub(crate) values: SmallVec<[Remains; 1]>,
    pub(crate) databases: Vec<Discarded>,
    pub(super) lazily: Option<bool>,
}

impl Leftovers {
    /// Whether the command said that it is to be dropped in the background, or that it is not.
    #[must_use]
    pub fn lazily(&self) -> Option<bool> {
        self.lazily
    }

    /// Whether there are flushed databases among it.
    #[must_use]
    pub fn has_databases(&self) -> bool {
        !self.databases.is_empty()
    }

    /// How many entries there are to drop, at least.
    #[must_use]
    pub fn entries(&self) -> usize {
        let flushed: usize = self.databases.iter().map(Discarded::entries).sum();
        self.values.len() + flushed
    }

    /// How many small pieces of memory dropping will free, the flushed databases left out.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.values.iter().map(Remains::pieces).sum()
    }

    /// Roughly how many bytes dropping will free, the flushed databases left out.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        self.values.iter().map(Remains::bytes).sum()
    }
}

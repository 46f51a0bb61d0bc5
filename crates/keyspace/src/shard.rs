//! One shard: its part of every database, and its position in the order of changes.

use crate::DbIndex;
use crate::database::Database;
use crate::snapshot::Snapshot;
use crate::waiters::Waiters;
use crate::watch::Watchers;

/// Names a shard: its index among the shards of a keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub(crate) u16);

impl ShardId {
    /// The shard's number, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A part of the keyspace that shares nothing with the others. Reached through its gate.
pub struct Shard {
    /// As many as were ever needed, `None` where nothing was stored: an empty server is small,
    /// however many shards and databases it may have.
    databases: Vec<Option<Database>>,
    pub(crate) databases_max: DbIndex,
    shard_bits: u32,
    /// How many databases were ever made here.
    databases_made: u64,
    /// Counts the transactions that changed this shard.
    pub(crate) position: u64,
    /// The snapshot that is being taken, if one is.
    pub(crate) snapshot: Option<Snapshot>,
    /// Who waits for keys; `None`: nobody.
    pub(crate) waiters: Option<Box<Waiters>>,
    /// Who watches keys; `None`: nobody.
    pub(crate) watchers: Option<Box<Watchers>>,
}

/// A database that was flushed, to be dropped where that disturbs nobody.
pub struct Discarded {
    database: Database,
}

impl Discarded {
    /// How many entries it holds.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.database.table.len()
    }
}

impl Shard {
    pub(crate) fn new(databases: DbIndex, shard_bits: u32) -> Shard {
        let databases_max = databases;
        Shard {
            databases: Vec::new(),
            databases_max,
            shard_bits,
            databases_made: 0,
            position: 0,
            snapshot: None,
            waiters: None,
            watchers: None,
        }
    }

    #[inline(always)]
    pub(crate) fn database(&self, db: DbIndex) -> Option<&Database> {
        self.databases.get(usize::from(db))?.as_ref()
    }

    pub(crate) fn database_mut(&mut self, db: DbIndex) -> Option<&mut Database> {
        self.databases.get_mut(usize::from(db))?.as_mut()
    }

    /// The database, made if need be. `db` is one of the keyspace's.
    #[inline(always)]
    pub(crate) fn database_or_new(&mut self, db: DbIndex) -> &mut Database {
        let (shard_bits, at) = (self.shard_bits, usize::from(db));
        if self.databases.len() <= at {
            self.make_room(db);
        }
        let made = &mut self.databases_made;
        self.databases[at].get_or_insert_with(|| {
            *made += 1;
            Database::new(shard_bits, *made)
        })
    }

    /// Makes room for a database and those before it.
    #[cold]
    fn make_room(&mut self, db: DbIndex) {
        assert!(db < self.databases_max, "databases are counted when they are selected");
        self.databases.reserve_exact(usize::from(db) + 1 - self.databases.len());
        self.databases.resize_with(usize::from(db) + 1, || None);
    }

    pub(crate) fn databases(&self) -> impl Iterator<Item = (DbIndex, &Database)> {
        let numbered = (0..).zip(&self.databases);
        numbered.filter_map(|(db, database)| Some((db, database.as_ref()?)))
    }

    /// Takes a whole database out.
    pub(crate) fn discard(&mut self, db: DbIndex) -> Option<Discarded> {
        let database = self.databases.get_mut(usize::from(db))?.take()?;
        Some(Discarded { database })
    }

    /// Exchanges two databases; tells whether there was anything to exchange.
    pub(crate) fn swap(&mut self, one: DbIndex, other: DbIndex) -> bool {
        let is_stored = self.database(one).is_some() || self.database(other).is_some();
        if one == other || !is_stored {
            return false;
        }
        if self.databases.len() <= usize::from(one.max(other)) {
            self.make_room(one.max(other));
        }
        self.databases.swap(usize::from(one), usize::from(other));
        true
    }
}

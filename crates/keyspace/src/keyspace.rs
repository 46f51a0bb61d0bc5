//! The shards and their gates, and how a transaction enters them.
//!
//! Entering everything before running anything is conservative two-phase locking (Bernstein,
//! Hadzilacos, Goodman 1987, 3.5): no deadlock, no abort once something ran. An entry first tries
//! all its gates; if one is busy it gives back what it got, waits for that one and tries again,
//! so that a long holder delays only those who need its shard. After a few rounds, and always
//! when it needs every shard, it takes the gates in ascending order, waiting as it goes, so that
//! a wide entry cannot starve.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use gate::Gate;
use smallvec::SmallVec;

use crate::changes::{Listener, Sink};
use crate::database::Database;
use crate::shard::{Shard, ShardId};
use crate::sizes::Sizes;
use crate::view::{Entered, Frame, Guard, Tally, View};
use crate::widen::Widening;
use crate::{DbIndex, Lengths, Millis};
use value::KeyHasher;

/// Rounds of spinning before an entry of several gates waits as a task: those who hold many gates
/// hold them for some microseconds.
const SPIN_ROUNDS_MAX: usize = 10;

/// Rounds of trying before an entry takes its gates in order.
const ROUNDS_MAX: usize = 3;

/// The most shards a keyspace is cut into.
pub(crate) const SHARDS_MAX: usize = 1 << 12;

/// How gates are entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With other readers.
    Shared,
    /// Alone.
    Exclusive,
}

/// The shards that a transaction needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// One shard: most commands.
    One(ShardId),
    /// Several shards, ascending, each once.
    Some(SmallVec<[ShardId; 8]>),
    /// Every shard.
    All,
}

/// What one shard holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Keys, over all databases.
    pub keys: usize,
    /// Keys that have a deadline.
    pub volatile: usize,
    /// Bytes of tables.
    pub table_bytes: usize,
    /// Bytes of records in slabs, exactly.
    pub record_bytes: usize,
    /// Bytes of values and keys too big for a slab.
    pub external_bytes: usize,
    /// Bytes that the slabs hold of the machine's memory.
    pub slab_bytes: usize,
    /// How often somebody had to wait for the gate.
    pub gate_waits: u64,
}

/// What one database holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys.
    pub keys: usize,
    /// Keys that have a deadline.
    pub volatile: usize,
    /// Keys that its tables have room for.
    pub capacity: usize,
}

/// For whom the sink is told, as it was at the beginning of a transaction.
#[derive(Clone, Copy, Default)]
pub(crate) struct Listening(u8);

impl Listening {
    /// Whether of changes.
    #[inline(always)]
    pub(crate) fn to_changes(self) -> bool {
        self.0 & (Listener::Followers as u8 | Listener::Events as u8) != 0
    }

    /// Whether of reads of keys that are not there.
    #[inline(always)]
    pub(crate) fn to_misses(self) -> bool {
        self.0 & Listener::Misses as u8 != 0
    }

    /// Whether of the names of fields that are changed.
    #[inline(always)]
    pub(crate) fn to_parts(self) -> bool {
        self.0 & Listener::Parts as u8 != 0
    }

    /// Whether of values that are put over others.
    #[inline(always)]
    pub(crate) fn to_overwrites(self) -> bool {
        self.0 & Listener::Overwrites as u8 != 0
    }
}

/// All the data of a server.
pub struct Keyspace {
    shards: Box<[Gate<Shard>]>,
    hasher: KeyHasher,
    /// 64 less the bits of the hash that choose a shard.
    shift: u32,
    databases: DbIndex,
    sink: OnceLock<Box<dyn Sink>>,
    /// Bits of [`Listener`].
    listening: AtomicU8,
    transactions: AtomicU64,
    pub(crate) widening: Widening,
    pub(crate) awaited: Awaited,
}

/// How many keys clients wait for, over all shards and databases.
#[derive(Debug, Default)]
pub struct Awaited {
    /// All of them.
    pub keys: AtomicUsize,
    /// Those that a client waits for to go, too.
    pub keys_to_go: AtomicUsize,
}

impl Keyspace {
    /// How many keys clients wait for.
    #[must_use]
    pub fn awaited(&self) -> &Awaited {
        &self.awaited
    }

    /// An empty keyspace of `shards` shards (rounded up to a power of two, 1 to 4096), each with
    /// its part of `databases` databases.
    #[must_use]
    pub fn new(shards: usize, databases: DbIndex, secret: [u64; 2]) -> Keyspace {
        let count = shards.clamp(1, SHARDS_MAX).next_power_of_two();
        let bits = count.trailing_zeros();
        let shards = (0..count).map(|_| Gate::new(Shard::new(databases, bits))).collect();
        Keyspace {
            shards,
            hasher: KeyHasher::new(secret),
            shift: 64 - bits,
            databases,
            sink: OnceLock::new(),
            listening: AtomicU8::new(0),
            transactions: AtomicU64::new(0),
            widening: Widening::default(),
            awaited: Awaited::default(),
        }
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The ids of all shards.
    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.shards.len() as u16).map(ShardId)
    }

    /// How many databases there are.
    #[must_use]
    pub fn databases(&self) -> DbIndex {
        self.databases
    }

    /// The hash of a key.
    #[must_use]
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    pub(crate) fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// The shard of a hash: the one place that decides where a key lies.
    #[must_use]
    #[inline(always)]
    pub fn shard_of(&self, hash: u64) -> ShardId {
        // With one shard the shift is by all 64 bits, which Rust does not do.
        ShardId(hash.checked_shr(self.shift).unwrap_or(0) as u16)
    }

    pub(crate) fn gate(&self, id: ShardId) -> &Gate<Shard> {
        &self.shards[id.index()]
    }

    /// Sets who is told of changes, once; and from when on.
    ///
    /// Returns whether it was set: `false` if somebody else was before.
    pub fn set_sink(&self, sink: Box<dyn Sink>) -> bool {
        let set = self.sink.set(sink).is_ok();
        self.listen(Listener::Followers, true);
        set
    }

    /// Says whether the sink is told from now on, for the sake of `whom`.
    pub fn listen(&self, whom: Listener, on: bool) {
        let bit = whom as u8;
        if on {
            self.listening.fetch_or(bit, Ordering::Release);
        } else {
            self.listening.fetch_and(!bit, Ordering::Release);
        }
    }

    pub(crate) fn sink(&self) -> Option<&dyn Sink> {
        self.sink.get().map(|sink| &**sink)
    }

    #[inline(always)]
    pub(crate) fn listening(&self) -> Listening {
        Listening(self.listening.load(Ordering::Relaxed))
    }

    pub(crate) fn next_transaction(&self) -> u64 {
        self.transactions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The shards of these hashes.
    #[must_use]
    pub fn plan(&self, hashes: impl IntoIterator<Item = u64>) -> Plan {
        let mut ids: SmallVec<[ShardId; 8]> =
            hashes.into_iter().map(|hash| self.shard_of(hash)).collect();
        ids.sort_unstable();
        ids.dedup();
        match ids[..] {
            [one] => Plan::One(one),
            _ => Plan::Some(ids),
        }
    }

    /// Asks for the gate of a key's shard, which an entry will write.
    #[inline(always)]
    pub fn prefetch_gate(&self, hash: u64) {
        self.gate(self.shard_of(hash)).prefetch();
    }

    /// Asks for the bucket that a look-up of a key will read. Does nothing if the shard is busy.
    #[inline(always)]
    pub fn prefetch_bucket(&self, db: DbIndex, hash: u64) {
        if let Some(shard) = self.gate(self.shard_of(hash)).try_read()
            && let Some(database) = shard.database(db)
        {
            database.prefetch_bucket(hash);
        }
    }

    /// Asks for the record that a look-up of a key will read, once its bucket is here.
    #[inline(always)]
    pub fn prefetch_record(&self, db: DbIndex, hash: u64) {
        if let Some(shard) = self.gate(self.shard_of(hash)).try_read()
            && let Some(database) = shard.database(db)
        {
            database.prefetch_record(hash);
        }
    }

    /// Asks for the bucket that a look-up of a member will read, if the key may hold a large
    /// collection; tells whether it may. Does nothing if the shard is busy.
    #[inline]
    pub fn prefetch_member_bucket(&self, db: DbIndex, hash: u64, member: u64) -> bool {
        let Some(shard) = self.gate(self.shard_of(hash)).try_read() else { return false };
        let database = shard.database(db);
        database.is_some_and(|database| database.prefetch_member(hash, |big| big.prefetch(member)))
    }

    /// Asks for a member of a large collection, once its bucket is here.
    #[inline]
    pub fn prefetch_member(&self, db: DbIndex, hash: u64, member: u64) {
        if let Some(shard) = self.gate(self.shard_of(hash)).try_read()
            && let Some(database) = shard.database(db)
        {
            database.prefetch_member(hash, |big| big.prefetch_record(member));
        }
    }

    /// Runs something in one shard, publishes what it has changed, and has it settled once the
    /// gate is left; `None` if the gate is busy for longer than a short spin.
    ///
    /// Neither the view nor the tally is moved on the way, which would take as long as a good part
    /// of a brief command.
    #[inline(always)]
    pub fn try_in_one<T>(
        &self,
        frame: Frame,
        id: ShardId,
        mode: Mode,
        run: impl FnOnce(&mut View<'_>) -> T,
        settle: impl FnOnce(Tally),
    ) -> Option<T> {
        let (done, tally);
        {
            let guard = self.try_one(id, mode)?;
            let mut view = View::new(self, frame, Entered::One(id, guard));
            done = run(&mut view);
            tally = view.conclude();
        }
        settle(tally);
        Some(done)
    }

    /// Enters without waiting longer than a short spin; `None` if a gate is busy.
    #[inline]
    pub fn try_enter(&self, frame: Frame, plan: &Plan, mode: Mode) -> Option<View<'_>> {
        let entered = match plan {
            Plan::One(id) => Entered::One(*id, self.try_one(*id, mode)?),
            Plan::Some(ids) => Entered::Some(self.spin_some(ids, mode)?),
            Plan::All => {
                let guards = self.shard_ids().map(|id| self.try_one(id, mode));
                Entered::All(guards.collect::<Option<_>>()?)
            }
        };
        Some(View::new(self, frame, entered))
    }

    /// Enters, waiting as long as it takes; only the task waits. `frame` is asked when all gates
    /// are entered, so that the time it tells is not from before the wait.
    pub async fn enter(&self, plan: &Plan, mode: Mode, frame: impl FnOnce() -> Frame) -> View<'_> {
        let entered = match plan {
            Plan::One(id) => Entered::One(*id, self.wait_one(*id, mode).await),
            Plan::Some(ids) => Entered::Some(self.wait_some(ids, mode).await),
            Plan::All => {
                let guards = self.wait_in_order(|| self.shard_ids(), mode).await;
                Entered::All(guards.into_iter().map(|(_, guard)| guard).collect())
            }
        };
        View::new(self, frame(), entered)
    }

    /// Enters several gates; gives back what it got while it spins on one that is busy.
    fn spin_some(&self, ids: &[ShardId], mode: Mode) -> Option<Vec<(ShardId, Guard<'_>)>> {
        for _ in 0..SPIN_ROUNDS_MAX {
            let mut guards = Vec::with_capacity(ids.len());
            let busy = ids.iter().find(|&&id| match self.look_one(id, mode) {
                Some(guard) => {
                    guards.push((id, guard));
                    false
                }
                None => true,
            });
            let Some(&busy) = busy else { return Some(guards) };
            drop(guards);
            // Whether it came free within the spin or not: another look tells.
            drop(self.try_one(busy, mode));
        }
        None
    }

    /// Enters a gate if that is possible now.
    fn look_one(&self, id: ShardId, mode: Mode) -> Option<Guard<'_>> {
        match mode {
            Mode::Shared => self.gate(id).try_read().map(Guard::Shared),
            Mode::Exclusive => self.gate(id).try_write().map(Guard::Exclusive),
        }
    }

    async fn wait_some(&self, ids: &[ShardId], mode: Mode) -> Vec<(ShardId, Guard<'_>)> {
        for _ in 0..ROUNDS_MAX {
            let mut guards = Vec::with_capacity(ids.len());
            let busy = ids.iter().find(|&&id| match self.try_one(id, mode) {
                Some(guard) => {
                    guards.push((id, guard));
                    false
                }
                None => true,
            });
            let Some(&busy) = busy else { return guards };
            drop(guards);
            drop(self.wait_one(busy, mode).await);
        }
        self.wait_in_order(|| ids.iter().copied(), mode).await
    }

    /// Enters gates one after the other, and waits for each while it holds those before it: unless
    /// a transaction begins to widen, to which it gives way.
    async fn wait_in_order<I: Iterator<Item = ShardId>>(
        &self,
        ids: impl Fn() -> I,
        mode: Mode,
    ) -> Vec<(ShardId, Guard<'_>)> {
        'again: loop {
            self.widening.over().await;
            let mut guards = Vec::with_capacity(ids().size_hint().0);
            for id in ids() {
                let guard = match self.look_one(id, mode) {
                    Some(guard) => Some(guard),
                    None => self.widening.or_give_way(self.wait_one(id, mode)).await,
                };
                let Some(guard) = guard else { continue 'again };
                guards.push((id, guard));
            }
            return guards;
        }
    }

    #[inline(always)]
    pub(crate) fn try_one(&self, id: ShardId, mode: Mode) -> Option<Guard<'_>> {
        match mode {
            Mode::Shared => self.gate(id).spin_read().map(Guard::Shared),
            Mode::Exclusive => self.gate(id).spin_write().map(Guard::Exclusive),
        }
    }

    pub(crate) async fn wait_one(&self, id: ShardId, mode: Mode) -> Guard<'_> {
        match mode {
            Mode::Shared => Guard::Shared(self.gate(id).read().await),
            Mode::Exclusive => Guard::Exclusive(self.gate(id).write().await),
        }
    }

    /// Enters from a thread of its own, which is parked while it waits.
    pub fn enter_blocking(
        &self,
        plan: &Plan,
        mode: Mode,
        frame: impl FnOnce() -> Frame,
    ) -> View<'_> {
        gate::block_on(self.enter(plan, mode, frame))
    }

    /// What a shard holds; `None` if it is busy. Does not wait.
    #[must_use]
    pub fn try_usage(&self, id: ShardId) -> Option<Usage> {
        let gate = self.gate(id);
        let shard = gate.spin_read()?;
        Some(Usage { gate_waits: gate.waits(), ..usage_of(&shard) })
    }

    /// How long the strings and the collections are that a shard holds, of each database that has
    /// keys; `None` if it is busy. Does not wait.
    #[must_use]
    pub fn try_lengths(&self, id: ShardId) -> Option<Vec<(DbIndex, Lengths, Sizes)>> {
        let shard = self.gate(id).spin_read()?;
        let filled = shard.databases().filter(|(_, database)| !database.table.is_empty());
        let of = |(db, database): (DbIndex, &Database)| {
            (db, database.records.lengths().clone(), database.sizes.clone())
        };
        Some(filled.map(of).collect())
    }

    /// What each database of a shard holds; `None` if it is busy. Does not wait.
    #[must_use]
    pub fn try_counts(&self, id: ShardId) -> Option<Vec<Counts>> {
        let shard = self.gate(id).spin_read()?;
        let counts = |database: &Database| Counts {
            keys: database.table.len(),
            volatile: database.volatile,
            capacity: database.table.capacity(),
        };
        let databases = (0..self.databases).map(|db| shard.database(db).map(counts));
        Some(databases.map(Option::unwrap_or_default).collect())
    }
}

impl Keyspace {
    /// A sample of what is left to live, of each database of a shard: how many keys with a deadline
    /// were looked at, and the sum of their times in ms. `None` if the shard is busy. `chance` is
    /// any 64 random bits; a few keys are looked at, chosen at random.
    #[must_use]
    pub fn try_sample_ttls(
        &self,
        id: ShardId,
        now: Millis,
        chance: u64,
    ) -> Option<Vec<(u64, u64)>> {
        const TRIES: u64 = 8;
        let shard = self.gate(id).spin_read()?;
        let sample = |db| {
            let database = shard.database(db).filter(|database| database.volatile > 0)?;
            let ttls = (0..TRIES).filter_map(|nth| {
                let chance = chance.wrapping_add(nth).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let handle = packed::Handle::from_bits(database.table.random(chance)?);
                Some(database.records.deadline(handle)?.saturating_sub(now))
            });
            Some(ttls.fold((0, 0_u64), |(count, sum), ttl| (count + 1, sum.saturating_add(ttl))))
        };
        Some((0..self.databases).map(|db| sample(db).unwrap_or_default()).collect())
    }
}

impl View<'_> {
    /// How many keys the tables of a database have room for, among the entered shards.
    #[must_use]
    pub fn capacity(&self, db: DbIndex) -> usize {
        let databases = self.shards().filter_map(|(_, shard)| shard.database(db));
        databases.map(|database| database.table.capacity()).sum()
    }

    /// What the entered shards hold together.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.shards().map(|(_, shard)| usage_of(shard)).fold(Usage::default(), Usage::with)
    }

    /// How many keys of a database have a deadline, among the entered shards.
    #[must_use]
    pub fn volatile(&self, db: DbIndex) -> usize {
        let databases = self.shards().filter_map(|(_, shard)| shard.database(db));
        databases.map(|database| database.volatile).sum()
    }
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn with(self, other: Counts) -> Counts {
        Counts {
            keys: self.keys + other.keys,
            volatile: self.volatile + other.volatile,
            capacity: self.capacity + other.capacity,
        }
    }
}

impl Usage {
    fn with(self, other: Usage) -> Usage {
        Usage {
            keys: self.keys + other.keys,
            volatile: self.volatile + other.volatile,
            table_bytes: self.table_bytes + other.table_bytes,
            record_bytes: self.record_bytes + other.record_bytes,
            external_bytes: self.external_bytes + other.external_bytes,
            slab_bytes: self.slab_bytes + other.slab_bytes,
            gate_waits: self.gate_waits + other.gate_waits,
        }
    }
}

fn usage_of(shard: &Shard) -> Usage {
    let each = shard.databases().map(|(_, database)| Usage {
        keys: database.table.len(),
        volatile: database.volatile,
        table_bytes: database.table.bytes(),
        record_bytes: database.records.used_bytes(),
        external_bytes: database.records.external_bytes() + database.boxes.bytes(),
        slab_bytes: database.records.resident_bytes(),
        gate_waits: 0,
    });
    each.fold(Usage::default(), Usage::with)
}

//! CLIENT TRACKING: clients that keep copies of what they read are told when it may be another.
//!
//! A follower that reads a key is remembered under that key while the gate is still held, and
//! told by whoever changes the key while holding the gate exclusively: between what was read and
//! the note that it was read nobody can come. A follower in BCAST mode is told of every key that
//! begins with one of its prefixes, and nothing is remembered.
//!
//! Messages wait with the client and are written between replies, so a client never hears that a
//! copy is stale before it has the reply it made the copy from.
//!
//! # Invariants
//!
//! 1. The keyspace tells its changes while there are followers.
//! 2. The lock of a shard's table is the last that is taken; that of the followers is held while
//!    they change, not while they are told.
//! 3. There are no more keys in the tables than `tracking-table-max-keys`, but for those that are
//!    being read at the moment.

mod prefixes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyspace::{Effect, Keyspace, Listener, Publication, ShardId, Sink, Step};
use smallvec::SmallVec;

use crate::client::{Client, ClientId, Kill, Message};
use crate::events::Events;
use prefixes::PrefixIndex;

/// What a follower is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Of every key it has read.
    Read,
    /// Of those it has read by the command behind CLIENT CACHING YES.
    OptIn,
    /// Of every key it has read but by the command behind CLIENT CACHING NO.
    OptOut,
    /// Of every key that begins with one of these.
    Broadcast(BTreeSet<Vec<u8>>),
}

/// What a follower has asked for.
#[derive(Debug)]
pub struct Terms {
    /// What it is told of.
    pub mode: Mode,
    /// Whether its own changes are none of it.
    pub noloop: bool,
    /// Who is told in its place; 0: nobody.
    pub redirect: ClientId,
    /// Whether the one that was to be told in its place is gone.
    pub broken: AtomicBool,
}

impl Terms {
    /// Whether keys are remembered that its next command reads. `caching`: CLIENT CACHING came
    /// before it.
    #[must_use]
    pub fn remembers(&self, caching: bool) -> bool {
        match self.mode {
            Mode::Read => true,
            Mode::OptIn => caching,
            Mode::OptOut => !caching,
            Mode::Broadcast(_) => false,
        }
    }

    /// The prefixes of BCAST mode.
    #[must_use]
    pub fn prefixes(&self) -> Option<&BTreeSet<Vec<u8>>> {
        match &self.mode {
            Mode::Broadcast(prefixes) => Some(prefixes),
            _ => None,
        }
    }
}

/// A client that is told.
#[derive(Clone)]
struct Follower {
    client: Arc<Client>,
    /// Who is told in its place.
    target: Option<Arc<Client>>,
    terms: Arc<Terms>,
}

impl Follower {
    /// Hands over a message, if whoever gets it can tell it from a reply.
    fn tell(&self, message: &Message) {
        let Some(target) = &self.target else { return send(&self.client, message) };
        if target.has_left() || target.killed() != Kill::No {
            self.terms.broken.store(true, Ordering::Relaxed);
            let id = self.terms.redirect;
            let broken = format!("2\r\n$21\r\ntracking-redir-broken\r\n:{id}\r\n");
            return send(&self.client, &Message::push(broken.into_bytes()));
        }
        send(target, message);
        if target.dialect.load(Ordering::Relaxed) != 3 && target.subscribed.load(Ordering::Relaxed)
        {
            target.send(as_published(message));
        }
    }

    /// Whether a change of this client is none of it.
    fn passes_over(&self, origin: ClientId) -> bool {
        self.terms.noloop && self.client.id == origin
    }
}

/// RESP2 has no messages that nobody has asked for.
fn send(client: &Client, message: &Message) {
    if client.dialect.load(Ordering::Relaxed) == 3 {
        client.send(message.clone());
    }
}

/// What a message that some key may have another value begins with.
const INVALIDATION: &[u8] = b"2\r\n$10\r\ninvalidate\r\n";

/// The message that these keys may have other values.
fn invalidation(keys: &[&[u8]]) -> Message {
    let mut message = INVALIDATION.to_vec();
    message.extend_from_slice(format!("*{}\r\n", keys.len()).as_bytes());
    for key in keys {
        message.extend_from_slice(format!("${}\r\n", key.len()).as_bytes());
        message.extend_from_slice(key);
        message.extend_from_slice(b"\r\n");
    }
    Message::push(message)
}

/// The message that any key may have another value.
fn invalidation_of_all() -> Message {
    Message::push([INVALIDATION, b"_\r\n"].concat())
}

/// The same message for a client of RESP2 that is subscribed: as if it was published.
fn as_published(message: &Message) -> Message {
    let keys = &message.bytes()[INVALIDATION.len()..];
    let keys = if keys.starts_with(b"*") { keys } else { b"$-1\r\n" };
    let published = b"3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
    Message::push([published, keys].concat())
}

/// Who has read a key, in order.
type Readers = SmallVec<[ClientId; 2]>;

/// Who has read the keys of a shard.
type Table = HashMap<Box<[u8]>, Readers>;

/// All followers.
#[derive(Clone, Default)]
struct Followers {
    /// By their clients' ids.
    all: BTreeMap<ClientId, Follower>,
    /// Those in BCAST mode, by what they are told of.
    told: PrefixIndex,
}

impl Followers {
    fn insert(&mut self, follower: Follower) {
        let id = follower.client.id;
        self.remove(id);
        for prefix in follower.terms.prefixes().into_iter().flatten() {
            self.told.insert(prefix, id);
        }
        self.all.insert(id, follower);
    }

    fn remove(&mut self, id: ClientId) {
        let Some(follower) = self.all.remove(&id) else { return };
        for prefix in follower.terms.prefixes().into_iter().flatten() {
            self.told.remove(prefix, id);
        }
    }
}

/// The followers of a server, and what they have read.
pub struct Tracking {
    /// Copied when it changes; whoever tells them takes what there is at the moment.
    followers: Mutex<Arc<Followers>>,
    tables: Box<[Mutex<Table>]>,
    /// Keys in the tables.
    keys: AtomicUsize,
    /// Followers noted for them.
    items: AtomicUsize,
}

/// How much is tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Clients that follow.
    pub clients: usize,
    /// Keys that are remembered.
    pub keys: usize,
    /// Clients noted for those keys.
    pub items: usize,
    /// Different prefixes of BCAST mode.
    pub prefixes: usize,
}

impl Tracking {
    /// Nobody follows a keyspace of so many shards.
    #[must_use]
    pub fn new(shards: usize) -> Tracking {
        Tracking {
            followers: Mutex::default(),
            tables: (0..shards).map(|_| Mutex::default()).collect(),
            keys: AtomicUsize::new(0),
            items: AtomicUsize::new(0),
        }
    }

    /// Takes a client in, or gives it other terms.
    pub fn follow(
        &self,
        keyspace: &Keyspace,
        client: &Arc<Client>,
        target: Option<Arc<Client>>,
        terms: Arc<Terms>,
    ) {
        let mut followers = lock(&self.followers);
        client.rename(|names| names.tracking = Some(Arc::clone(&terms)));
        let follower = Follower { client: Arc::clone(client), target, terms };
        Arc::make_mut(&mut followers).insert(follower);
        keyspace.listen(Listener::Followers, true);
    }

    /// Lets a client go.
    pub fn leave(&self, keyspace: &Keyspace, client: &Client) {
        let mut followers = lock(&self.followers);
        if !followers.all.contains_key(&client.id) {
            return;
        }
        Arc::make_mut(&mut followers).remove(client.id);
        client.rename(|names| names.tracking = None);
        if followers.all.is_empty() {
            keyspace.listen(Listener::Followers, false);
            (0..self.tables.len()).for_each(|at| self.forget_table(at));
        }
    }

    /// Notes that a client has read keys, whose gates are still held. At most `keys_max` keys are
    /// remembered in all, 0: any number; who loses one for it is told.
    pub fn remember<'k>(
        &self,
        client: ClientId,
        keys: impl Iterator<Item = (ShardId, &'k [u8])>,
        keys_max: usize,
    ) {
        for (shard, key) in keys {
            if let Some((key, readers)) = self.remember_one(client, shard, key, keys_max) {
                self.tell_forgotten(&key, &readers);
            }
        }
    }

    /// Forgets keys until there are no more than `keys_max`, 0: any number; who loses one for it is
    /// told.
    pub fn limit(&self, keys_max: usize) {
        let is_over = || keys_max > 0 && self.keys.load(Ordering::Relaxed) > keys_max;
        for table in &self.tables {
            while is_over() {
                let Some((key, readers)) = self.forget_any(&mut lock(table)) else { break };
                self.tell_forgotten(&key, &readers);
            }
        }
    }

    /// Takes some key out of a table.
    fn forget_any(&self, table: &mut Table) -> Option<(Box<[u8]>, Readers)> {
        let key = table.keys().next()?.clone();
        let readers = table.remove(&key)?;
        self.count_out(&readers);
        Some((key, readers))
    }

    /// Tells the readers of a key that they will not be told any more when it changes.
    fn tell_forgotten(&self, key: &[u8], readers: &[ClientId]) {
        let followers = self.followers();
        let message = invalidation(&[key]);
        let readers = readers.iter().filter_map(|id| followers.all.get(id));
        readers.for_each(|follower| follower.tell(&message));
    }

    /// Notes one key. Returns another one that had to go for it, with its readers.
    fn remember_one(
        &self,
        client: ClientId,
        shard: ShardId,
        key: &[u8],
        keys_max: usize,
    ) -> Option<(Box<[u8]>, Readers)> {
        let mut table = lock(&self.tables[shard.index()]);
        if !table.contains_key(key) {
            table.insert(key.into(), Readers::new());
            self.keys.fetch_add(1, Ordering::Relaxed);
        }
        let readers = table.get_mut(key)?;
        if let Err(place) = readers.binary_search(&client) {
            readers.insert(place, client);
            self.items.fetch_add(1, Ordering::Relaxed);
        }
        if keys_max == 0 || self.keys.load(Ordering::Relaxed) <= keys_max {
            return None;
        }
        // Any will do; the new one goes only if it is alone.
        let others = || table.keys().find(|other| ***other != *key);
        let victim = others().cloned().unwrap_or_else(|| key.into());
        let readers = table.remove(&victim)?;
        self.count_out(&readers);
        Some((victim, readers))
    }

    fn count_out(&self, readers: &[ClientId]) {
        self.keys.fetch_sub(1, Ordering::Relaxed);
        self.items.fetch_sub(readers.len(), Ordering::Relaxed);
    }

    fn followers(&self) -> Arc<Followers> {
        Arc::clone(&lock(&self.followers))
    }

    fn forget_table(&self, shard: usize) {
        let table = std::mem::take(&mut *lock(&self.tables[shard]));
        table.values().for_each(|readers| self.count_out(readers));
    }

    /// Takes the readers of a key that has changed. One whose own change it was, and is none of
    /// it, has read what is there now.
    fn take_readers(
        &self,
        followers: &Followers,
        shard: ShardId,
        key: &[u8],
        origin: ClientId,
    ) -> Readers {
        let mut table = lock(&self.tables[shard.index()]);
        let Some(readers) = table.remove(key) else { return Readers::new() };
        let stays = |id: &ClientId| {
            followers.all.get(id).is_some_and(|follower| follower.passes_over(origin))
        };
        let (stay, told): (Readers, Readers) = readers.into_iter().partition(stays);
        self.items.fetch_sub(told.len(), Ordering::Relaxed);
        if stay.is_empty() {
            self.keys.fetch_sub(1, Ordering::Relaxed);
        } else {
            table.insert(key.into(), stay);
        }
        told
    }

    /// How much is tracked now.
    #[must_use]
    pub fn tracked(&self) -> Tracked {
        let followers = self.followers();
        Tracked {
            clients: followers.all.len(),
            keys: self.keys.load(Ordering::Relaxed),
            items: self.items.load(Ordering::Relaxed),
            prefixes: followers.told.len(),
        }
    }

    /// Tells those who have read keys of the changes of a command.
    fn announce(&self, step: &Step<'_>) {
        let followers = self.followers();
        if followers.all.is_empty() {
            return;
        }
        let origin = step.origin;
        let mut everything = false;
        for change in step.changes() {
            match change.effect {
                Effect::Nothing => {}
                Effect::Flush | Effect::Swap(_) => {
                    everything = true;
                    self.forget_table(change.shard.index());
                }
                Effect::Set | Effect::Deadline(_) | Effect::Delete => {
                    let readers = self.take_readers(&followers, change.shard, change.key, origin);
                    let message = (!readers.is_empty()).then(|| invalidation(&[change.key]));
                    let readers = readers.iter().filter_map(|id| followers.all.get(id));
                    let readers = readers.filter(|reader| reader.terms.prefixes().is_none());
                    readers.zip(message.iter().cycle()).for_each(|(one, text)| one.tell(text));
                }
            }
        }
        if everything {
            let message = invalidation_of_all();
            followers.all.values().for_each(|follower| follower.tell(&message));
        }
    }

    /// Tells those in BCAST mode of the changes of a transaction.
    fn broadcast(&self, publication: &Publication<'_>) {
        let followers = self.followers();
        if followers.all.is_empty() {
            return;
        }
        let is_of_key =
            |effect: &Effect| matches!(effect, Effect::Set | Effect::Deadline(_) | Effect::Delete);
        let changed = publication.changes().filter(|change| is_of_key(&change.effect));
        let changed: Vec<&[u8]> = changed.map(|change| change.key).collect();
        broadcast(&followers, &changed, publication.origin);
    }
}

/// Tells those in BCAST mode which keys have changed: a message for each of their prefixes, each
/// key once, in order.
fn broadcast(followers: &Followers, changed: &[&[u8]], origin: ClientId) {
    let Followers { all, told } = followers;
    if told.len() == 0 {
        return;
    }
    let changed: BTreeSet<&[u8]> = changed.iter().copied().collect();
    let mut by_prefix: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    for key in changed {
        for prefix in told.beginning(key) {
            by_prefix.entry(prefix).or_default().push(key);
        }
    }
    for (prefix, keys) in by_prefix {
        let message = invalidation(&keys);
        let concerned = told.of(prefix).iter().filter_map(|id| all.get(id));
        let concerned = concerned.filter(|follower| !follower.passes_over(origin));
        concerned.for_each(|follower| follower.tell(&message));
    }
}

/// A lock that a panic elsewhere does not close for good: what it guards is always whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the keyspace tells its changes to.
pub struct Teller {
    /// Those who follow what becomes of keys.
    pub followers: Arc<Tracking>,
    /// Those who are subscribed to events.
    pub events: Events,
}

impl Sink for Teller {
    fn tell(&self, step: &Step<'_>) {
        self.followers.announce(step);
        self.events.announce(step);
    }

    fn publish(&self, publication: &Publication<'_>) {
        self.followers.broadcast(publication);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Arrival, Registry};

    #[test]
    fn a_message_names_its_keys() {
        let message = invalidation(&[b"a", b"k\r\n"]);
        assert_eq!(message.bytes(), b"2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$3\r\nk\r\n\r\n");
    }

    #[test]
    fn no_more_keys_are_remembered_than_may_be() {
        let tracking = Tracking::new(1);
        let keyspace = Keyspace::new(1, 1, [1, 2]);
        let shard = keyspace.shard_of(0);
        for nth in 0..100_u32 {
            let key = nth.to_string();
            tracking.remember(7, [(shard, key.as_bytes())].into_iter(), 10);
            tracking.remember(8, [(shard, key.as_bytes())].into_iter(), 10);
            let Tracked { keys, items, .. } = tracking.tracked();
            assert!(keys <= 10 && items <= 20, "{keys} {items}");
        }
        tracking.limit(0);
        assert_eq!(tracking.tracked().keys, 10);
        tracking.limit(3);
        let Tracked { keys, items, .. } = tracking.tracked();
        assert_eq!((keys, items), (3, 6));
        tracking.forget_table(0);
        let Tracked { keys, items, .. } = tracking.tracked();
        assert_eq!((keys, items), (0, 0));
    }

    fn clients() -> [Arc<Client>; 3] {
        let registry = Registry::default();
        [(); 3].map(|()| {
            let arrival = Arrival {
                address: String::new(),
                local_address: String::new(),
                fd: 7,
                unix: false,
                admin: false,
            };
            let client = registry.arrive(3, 0, 0, arrival).expect("there is room for three");
            client.dialect.store(3, Ordering::Relaxed);
            client
        })
    }

    /// Each of these once cost a step for each pair: of keys of a transaction, of prefixes of all
    /// clients and keys, of readers of a key.
    #[test]
    fn many_keys_prefixes_and_readers_are_no_load() {
        const MANY: u32 = 200_000;
        let mut followers = Followers::default();
        let prefixes: BTreeSet<Vec<u8>> =
            (0..MANY).map(|nth| format!("{nth:06}:").into_bytes()).collect();
        let terms = |prefixes: BTreeSet<Vec<u8>>, noloop| {
            let (mode, broken) = (Mode::Broadcast(prefixes), AtomicBool::new(false));
            Arc::new(Terms { mode, noloop, redirect: 0, broken })
        };
        let everything = || BTreeSet::from([Vec::new()]);
        let [one, two, three] = clients();
        for (client, prefixes, noloop) in
            [(&one, prefixes, false), (&two, everything(), false), (&three, everything(), true)]
        {
            let (client, terms) = (Arc::clone(client), terms(prefixes, noloop));
            followers.insert(Follower { client, target: None, terms });
        }
        assert_eq!(followers.told.len(), MANY as usize + 1);
        let keys: Vec<Vec<u8>> =
            (0..MANY).map(|nth| format!("{:06}:{nth}", nth % 1000).into_bytes()).collect();
        let changed: Vec<&[u8]> = keys.iter().chain(&keys).map(Vec::as_slice).collect();
        broadcast(&followers, &changed, three.id);
        let told = [&one, &two, &three].map(|client| client.outbox_bytes());
        let bytes = |keys: &[Vec<u8>]| -> u64 { keys.iter().map(|key| key.len() as u64).sum() };
        assert!(told[0] > bytes(&keys) && told[1] > bytes(&keys) && told[2] == 0, "{told:?}");
        assert!(told[1] < 3 * bytes(&keys), "each key once");
        [one, two, three].iter().for_each(|client| followers.remove(client.id));
        assert_eq!((followers.all.len(), followers.told.len()), (0, 0));

        let tracking = Tracking::new(1);
        let shard = Keyspace::new(1, 1, [1, 2]).shard_of(0);
        for id in (0..u64::from(MANY)).chain(0..u64::from(MANY)) {
            tracking.remember(id, [(shard, &b"hot"[..])].into_iter(), 10);
        }
        assert_eq!(tracking.tracked().items, MANY as usize);
    }

    #[test]
    fn what_is_remembered_follows_from_the_mode() {
        let terms = |mode| {
            let (noloop, redirect, broken) = (false, 0, AtomicBool::new(false));
            Terms { mode, noloop, redirect, broken }
        };
        let modes = [Mode::Read, Mode::OptIn, Mode::OptOut, Mode::Broadcast(BTreeSet::new())];
        let remembered = modes.map(|mode| [true, false].map(|c| terms(mode.clone()).remembers(c)));
        assert_eq!(remembered, [[true, true], [true, false], [false, true], [false, false]]);
    }
}

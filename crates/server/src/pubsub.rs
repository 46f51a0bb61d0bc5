//! Channels: who is subscribed to what, and how a message gets to everybody concerned.
//!
//! A message is made once and handed to each subscriber's outbox as a reference; the subscriber's
//! own task writes it between replies. Channels lie in a hash table in parts, patterns in an index
//! by their literal beginnings ([`patterns`]).
//!
//! # Invariants
//!
//! 1. Whoever has left an audience is handed nothing more of it: both happen under the audience's
//!    lock. So nobody hears of a channel behind the word that it is subscribed no longer.
//! 2. The messages of one publisher come to each subscriber in the order they were published.
//! 3. There is no audience without a client in the tables.
//! 4. Locks are taken in the order part or patterns, audience, outbox; no gate is entered
//!    meanwhile.

pub mod patterns;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use command::Command;

use crate::client::{Client, ClientId, Kill, Message, Subscribed};
use patterns::PatternIndex;

/// Parts of a table of channels. Publishers meet in one only for the time of a look-up.
const PARTS: usize = 64;

/// What one may be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A channel.
    Channel,
    /// All channels whose names match.
    Pattern,
    /// A shard channel.
    ShardChannel,
}

/// A name, shared by the tables and the sessions.
type Name = Arc<[u8]>;

/// The clients that are subscribed to one thing.
#[derive(Default)]
struct Audience(Mutex<BTreeMap<ClientId, Arc<Client>>>);

impl Audience {
    fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

/// What a session is subscribed to.
#[derive(Default)]
pub struct Subscriptions {
    channels: BTreeSet<Name>,
    patterns: BTreeSet<Name>,
    shard_channels: BTreeSet<Name>,
}

impl Subscriptions {
    fn of(&self, kind: Kind) -> &BTreeSet<Name> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::ShardChannel => &self.shard_channels,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut BTreeSet<Name> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::ShardChannel => &mut self.shard_channels,
        }
    }

    /// Whether it is subscribed to this.
    #[must_use]
    pub fn has(&self, kind: Kind, name: &[u8]) -> bool {
        self.of(kind).contains(name)
    }

    /// All names of a kind, in their order.
    #[must_use]
    pub fn names(&self, kind: Kind) -> Vec<Arc<[u8]>> {
        self.of(kind).iter().cloned().collect()
    }

    /// All names, each with its kind.
    pub fn all(&self) -> impl Iterator<Item = (Kind, &[u8])> {
        let kinds = [Kind::Channel, Kind::Pattern, Kind::ShardChannel].into_iter();
        kinds.flat_map(|kind| self.of(kind).iter().map(move |name| (kind, &**name)))
    }

    /// How many there are.
    #[must_use]
    pub fn counts(&self) -> Subscribed {
        Subscribed {
            channels: self.channels.len(),
            patterns: self.patterns.len(),
            shard_channels: self.shard_channels.len(),
        }
    }

    /// The number that confirmations of a kind tell: channels and patterns are counted together.
    #[must_use]
    pub fn told(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
            Kind::ShardChannel => self.shard_channels.len(),
        }
    }
}

/// A part of a table of channels.
type Part = HashMap<Name, Arc<Audience>>;

/// A table of channels.
struct Directory {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
    len: AtomicUsize,
}

impl Default for Directory {
    fn default() -> Directory {
        let parts = (0..PARTS).map(|_| Mutex::default()).collect();
        Directory { parts, hasher: RandomState::new(), len: AtomicUsize::new(0) }
    }
}

impl Directory {
    fn part(&self, name: &[u8]) -> MutexGuard<'_, Part> {
        let hash = self.hasher.hash_one(name);
        lock(&self.parts[(hash % PARTS as u64) as usize])
    }

    fn audience(&self, name: &[u8]) -> Option<Arc<Audience>> {
        self.part(name).get(name).cloned()
    }

    /// Takes a client in. Returns the name as the table has it.
    fn join(&self, name: &[u8], client: &Arc<Client>) -> Name {
        let mut part = self.part(name);
        let known = part.get_key_value(name).map(|(name, audience)| (name.clone(), audience));
        if let Some((name, audience)) = known {
            lock(&audience.0).insert(client.id, Arc::clone(client));
            return name;
        }
        let name: Name = name.into();
        let clients = BTreeMap::from([(client.id, Arc::clone(client))]);
        part.insert(Arc::clone(&name), Arc::new(Audience(Mutex::new(clients))));
        self.len.fetch_add(1, Ordering::Relaxed);
        name
    }

    fn leave(&self, name: &[u8], client: ClientId) {
        let mut part = self.part(name);
        let Some(audience) = part.get(name) else { return };
        let is_empty = {
            let mut clients = lock(&audience.0);
            clients.remove(&client);
            clients.is_empty()
        };
        if is_empty {
            part.remove(name);
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        for part in &self.parts {
            names.extend(lock(part).keys().cloned());
        }
        names
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }
}

/// How much is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Channels with a subscriber.
    pub channels: usize,
    /// Different patterns.
    pub patterns: usize,
    /// Shard channels with a subscriber.
    pub shard_channels: usize,
    /// Clients that are subscribed to anything.
    pub clients: usize,
}

/// See the module's page.
#[derive(Default)]
pub struct PubSub {
    channels: Directory,
    shard_channels: Directory,
    /// Copied when it changes while somebody looks for matches in it.
    patterns: Mutex<Arc<PatternIndex<Arc<Audience>>>>,
    patterns_len: AtomicUsize,
    clients: AtomicUsize,
    /// So much may wait for a subscriber; 0: any amount.
    waiting_bytes_max: AtomicU64,
}

impl PubSub {
    /// Says how many bytes may wait for a subscriber before it is cut off at once; 0: any number.
    pub fn limit(&self, waiting_bytes_max: u64) {
        self.waiting_bytes_max.store(waiting_bytes_max, Ordering::Relaxed);
    }

    /// Whether nobody is subscribed to a channel or a pattern.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.channels.len() == 0 && self.patterns_len.load(Ordering::Relaxed) == 0
    }

    /// Takes a client into an audience; it was not in it.
    pub fn subscribe(
        &self,
        client: &Arc<Client>,
        subscriptions: &mut Subscriptions,
        kind: Kind,
        name: &[u8],
    ) {
        let name = match kind {
            Kind::Channel => self.channels.join(name, client),
            Kind::ShardChannel => self.shard_channels.join(name, client),
            Kind::Pattern => self.join_pattern(name, client),
        };
        subscriptions.of_mut(kind).insert(name);
    }

    /// Lets a client out of an audience.
    pub fn unsubscribe(
        &self,
        client: &Client,
        subscriptions: &mut Subscriptions,
        kind: Kind,
        name: &[u8],
    ) {
        if subscriptions.of_mut(kind).remove(name) {
            self.leave(client, kind, name);
        }
    }

    fn leave(&self, client: &Client, kind: Kind, name: &[u8]) {
        match kind {
            Kind::Channel => self.channels.leave(name, client.id),
            Kind::ShardChannel => self.shard_channels.leave(name, client.id),
            Kind::Pattern => self.leave_pattern(name, client.id),
        }
    }

    /// Lets a client out of all audiences.
    pub fn leave_all(&self, client: &Client, subscriptions: &Subscriptions) {
        for kind in [Kind::Channel, Kind::Pattern, Kind::ShardChannel] {
            subscriptions.of(kind).iter().for_each(|name| self.leave(client, kind, name));
        }
        self.show(client, Subscribed::default());
    }

    /// Shows others how many subscriptions a client has.
    pub fn show(&self, client: &Client, subscribed: Subscribed) {
        client.rename(|names| names.subscribed = subscribed);
        let is_any = subscribed.is_any();
        match (client.subscribed.swap(is_any, Ordering::Relaxed), is_any) {
            (false, true) => self.clients.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.clients.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    fn join_pattern(&self, pattern: &[u8], client: &Arc<Client>) -> Name {
        let mut patterns = lock(&self.patterns);
        if let Some((name, audience)) = patterns.get(pattern) {
            lock(&audience.0).insert(client.id, Arc::clone(client));
            return Arc::clone(name);
        }
        let name: Name = pattern.into();
        let clients = BTreeMap::from([(client.id, Arc::clone(client))]);
        let audience = Arc::new(Audience(Mutex::new(clients)));
        Arc::make_mut(&mut patterns).insert(Arc::clone(&name), audience);
        self.patterns_len.store(patterns.len(), Ordering::Relaxed);
        name
    }

    fn leave_pattern(&self, pattern: &[u8], client: ClientId) {
        let mut patterns = lock(&self.patterns);
        let Some((_, audience)) = patterns.get(pattern) else { return };
        let is_empty = {
            let mut clients = lock(&audience.0);
            clients.remove(&client);
            clients.is_empty()
        };
        if is_empty {
            Arc::make_mut(&mut patterns).remove(pattern);
            self.patterns_len.store(patterns.len(), Ordering::Relaxed);
        }
    }

    /// Hands a message to all subscribers of a channel, and of patterns that match its name.
    /// Returns how many there were; who is subscribed in several ways gets it, and counts, as
    /// often.
    pub fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        let mut receivers = 0;
        if self.channels.len() > 0
            && let Some(audience) = self.channels.audience(channel)
        {
            receivers += self.tell(&audience, || push(&[b"message", channel, message]));
        }
        if self.patterns_len.load(Ordering::Relaxed) > 0 {
            for (pattern, audience) in self.matching(channel) {
                receivers +=
                    self.tell(&audience, || push(&[b"pmessage", &pattern, channel, message]));
            }
        }
        receivers
    }

    /// The patterns that a channel's name matches. The index is held no longer than it takes to
    /// find them, so that it is seldom copied.
    fn matching(&self, channel: &[u8]) -> Vec<(Name, Arc<Audience>)> {
        let patterns = Arc::clone(&lock(&self.patterns));
        let found = patterns.matching(channel);
        found.map(|(pattern, audience)| (Arc::clone(pattern), Arc::clone(audience))).collect()
    }

    /// Hands a message to all subscribers of a shard channel. Returns how many there were.
    pub fn publish_on_shard(&self, channel: &[u8], message: &[u8]) -> usize {
        let audience = self.shard_channels.audience(channel);
        audience
            .map_or(0, |audience| self.tell(&audience, || push(&[b"smessage", channel, message])))
    }

    fn tell(&self, audience: &Audience, message: impl FnOnce() -> Message) -> usize {
        let most = self.waiting_bytes_max.load(Ordering::Relaxed);
        let clients = lock(&audience.0);
        if clients.is_empty() {
            return 0;
        }
        let message = message();
        for client in clients.values().filter(|client| client.killed() != Kill::Now) {
            let waiting = client.send(message.clone());
            if most > 0 && waiting >= most {
                client.kill_for_output();
            }
        }
        clients.len()
    }

    /// The names of all channels, or shard channels, that have a subscriber.
    #[must_use]
    pub fn names(&self, kind: Kind) -> Vec<Arc<[u8]>> {
        match kind {
            Kind::Channel => self.channels.names(),
            Kind::ShardChannel => self.shard_channels.names(),
            Kind::Pattern => lock(&self.patterns).names().cloned().collect(),
        }
    }

    /// How many clients are subscribed to a channel, or a shard channel, or a pattern.
    #[must_use]
    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        let audience = match kind {
            Kind::Channel => self.channels.audience(name),
            Kind::ShardChannel => self.shard_channels.audience(name),
            Kind::Pattern => lock(&self.patterns).get(name).map(|(_, audience)| audience.clone()),
        };
        audience.map_or(0, |audience| audience.len())
    }

    /// How much there is.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            channels: self.channels.len(),
            patterns: self.patterns_len.load(Ordering::Relaxed),
            shard_channels: self.shard_channels.len(),
            clients: self.clients.load(Ordering::Relaxed),
        }
    }
}

/// Whether a command sends messages: a pause of writes holds it, too, for others hear of it.
#[must_use]
pub fn is_publish(command: &Command) -> bool {
    matches!(command.name, "PUBLISH" | "SPUBLISH")
}

/// A push message of these words.
#[must_use]
pub fn push(words: &[&[u8]]) -> Message {
    let long = words.iter().map(|word| word.len() + 16).sum::<usize>();
    let mut bytes = Vec::with_capacity(8 + long);
    number(words.len(), &mut bytes);
    words.iter().for_each(|word| bulk(word, &mut bytes));
    Message::push(bytes)
}

/// The word that something is subscribed to from now on, or no longer. `None`: nothing was.
#[must_use]
pub fn confirmation(verb: &str, name: Option<&[u8]>, null: &[u8], count: usize) -> Message {
    let mut bytes = Vec::with_capacity(64 + name.map_or(0, <[u8]>::len));
    number(3, &mut bytes);
    bulk(verb.as_bytes(), &mut bytes);
    match name {
        Some(name) => bulk(name, &mut bytes),
        None => bytes.extend_from_slice(null),
    }
    bytes.push(b':');
    number(count, &mut bytes);
    Message::push(bytes)
}

fn number(number: usize, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

fn bulk(word: &[u8], bytes: &mut Vec<u8>) {
    bytes.push(b'$');
    number(word.len(), bytes);
    bytes.extend_from_slice(word);
    bytes.extend_from_slice(b"\r\n");
}

/// A lock that a panic elsewhere does not close for good: what it guards is always whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use protocol::{Dialect, Output};

    use super::*;
    use crate::client::{Arrival, Registry};

    fn client() -> Arc<Client> {
        let arrival = Arrival {
            address: "127.0.0.1:4000".into(),
            local_address: "127.0.0.1:6379".into(),
            fd: 7,
            unix: false,
            admin: false,
        };
        Registry::default().arrive(1, 0, 0, arrival).expect("there is room for one")
    }

    fn heard(client: &Client, dialect: Dialect) -> String {
        let mut output = Output::default();
        client.take_messages(&mut output, dialect);
        String::from_utf8(output.chunks().collect::<Vec<_>>().concat()).expect("it is text")
    }

    #[test]
    fn who_is_subscribed_in_several_ways_gets_a_message_as_often() {
        let (pubsub, client) = (PubSub::default(), client());
        let mut own = Subscriptions::default();
        for (kind, name) in [
            (Kind::Channel, "ab"),
            (Kind::Pattern, "a*"),
            (Kind::Pattern, "?b"),
            (Kind::Pattern, "b*"),
        ] {
            pubsub.subscribe(&client, &mut own, kind, name.as_bytes());
        }
        assert_eq!(pubsub.publish(b"ab", b"x"), 3);
        let heard = heard(&client, Dialect::Resp2);
        assert_eq!(
            (heard.matches("pmessage").count(), heard.matches("$7\r\nmessage").count()),
            (2, 1)
        );
        assert_eq!((pubsub.publish(b"b", b"x"), pubsub.publish(b"c", b"x")), (1, 0));
        assert_eq!(pubsub.publish_on_shard(b"ab", b"x"), 0);
    }

    #[test]
    fn a_message_takes_the_form_of_the_dialect_that_its_reader_speaks_then() {
        let (pubsub, client) = (PubSub::default(), client());
        let mut own = Subscriptions::default();
        pubsub.subscribe(&client, &mut own, Kind::ShardChannel, b"c");
        for (dialect, marker) in [(Dialect::Resp2, "*"), (Dialect::Resp3, ">")] {
            assert_eq!(pubsub.publish_on_shard(b"c", b"hi"), 1);
            let text = format!("{marker}3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n");
            assert_eq!(client.outbox_bytes(), text.len() as u64);
            assert_eq!(heard(&client, dialect), text);
        }
    }

    #[test]
    fn nothing_is_left_of_clients_that_are_gone() {
        let (pubsub, clients) = (PubSub::default(), [client(), client()]);
        for client in &clients {
            let mut own = Subscriptions::default();
            for nth in 0..100 {
                for kind in [Kind::Channel, Kind::Pattern, Kind::ShardChannel] {
                    pubsub.subscribe(client, &mut own, kind, format!("{nth}*").as_bytes());
                }
            }
            pubsub.show(client, own.counts());
            let figures = pubsub.figures();
            let sizes = [figures.channels, figures.patterns, figures.shard_channels];
            assert_eq!((sizes, figures.clients), ([100; 3], 1));
            pubsub.unsubscribe(client, &mut own, Kind::Channel, b"7*");
            pubsub.leave_all(client, &own);
            let nothing = Figures { channels: 0, patterns: 0, shard_channels: 0, clients: 0 };
            assert_eq!((pubsub.figures(), pubsub.is_idle()), (nothing, true));
            assert!(
                pubsub.names(Kind::Channel).is_empty() && pubsub.names(Kind::Pattern).is_empty()
            );
        }
    }

    #[test]
    fn who_reads_nothing_is_killed_when_more_waits_than_may() {
        let (pubsub, client) = (PubSub::default(), client());
        let mut own = Subscriptions::default();
        pubsub.subscribe(&client, &mut own, Kind::Channel, b"c");
        pubsub.limit(100);
        pubsub.publish(b"c", b"short");
        assert_eq!(client.killed(), Kill::No);
        pubsub.publish(b"c", &[b'x'; 100]);
        assert!(client.killed() == Kill::Now && client.killed_for_output());
        let waiting = client.outbox_bytes();
        pubsub.publish(b"c", b"nobody reads this");
        assert_eq!(client.outbox_bytes(), waiting);
    }
}

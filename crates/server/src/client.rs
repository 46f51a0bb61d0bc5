//! What others may know of a connection, and how they reach it.
//!
//! A connection's task owns its [`crate::session::Session`]; beside it lies a [`Client`], shared
//! by reference count, with what CLIENT LIST shows and a bell to ring: to kill it, to wake it
//! from a wait, to hand it a message. The [`Registry`] finds clients by their id.
//!
//! The registry's lock is taken when a connection comes or goes and by commands that look at
//! other clients, never on the way of an ordinary request.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use command::Command;
use protocol::{Dialect, Output};
use smallvec::SmallVec;

use crate::stats::Counter;
use crate::tracking::Terms;

mod weights;

use weights::{Weight, Weights};

/// The number of a connection, never used again.
pub type ClientId = u64;

/// How a client is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kill {
    /// It lives on.
    No = 0,
    /// When its last reply has been written.
    AfterReply = 1,
    /// At once.
    Now = 2,
}

/// As [`Kill::Now`], since more output waits for it than may.
const KILL_FOR_OUTPUT: u8 = 3;

/// As [`Kill::Now`], since all clients together take more memory than they may.
const KILL_FOR_MEMORY: u8 = 4;

/// Memory of a key that is watched, of a subscription and of a prefix that is tracked, beside their
/// names, in bytes: their entries with the client and with the key, channel or prefix.
const WATCH_BYTES: usize = 96;
const SUBSCRIPTION_BYTES: usize = 96;
const PREFIX_BYTES: usize = 96;

/// The words that a client has given of itself.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO lib-name.
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO lib-ver.
    pub lib_version: Vec<u8>,
    /// The user it authenticated as; empty: the default one.
    pub user: Vec<u8>,
    /// What CLIENT TRACKING has set, while it is on.
    pub tracking: Option<Arc<Terms>>,
    /// How far its transaction has got.
    pub progress: Progress,
    /// What it is subscribed to.
    pub subscribed: Subscribed,
}

/// How many subscriptions a client has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscribed {
    /// Of channels.
    pub channels: usize,
    /// Of patterns.
    pub patterns: usize,
    /// Of shard channels.
    pub shard_channels: usize,
}

impl Subscribed {
    /// Whether it has any.
    #[must_use]
    pub fn is_any(self) -> bool {
        self.count() > 0
    }

    /// All of them.
    fn count(self) -> usize {
        self.channels + self.patterns + self.shard_channels
    }
}

impl Names {
    /// The memory of what they tell of, in bytes, as far as it is known.
    fn memory_bytes(&self) -> usize {
        let prefixes = self.tracking.as_ref().and_then(|terms| terms.prefixes());
        let prefixes = prefixes.into_iter().flatten().map(|prefix| PREFIX_BYTES + prefix.len());
        size_of::<Names>()
            + self.name.capacity()
            + self.progress.queued_bytes
            + self.progress.watched * WATCH_BYTES
            + self.subscribed.count() * SUBSCRIPTION_BYTES
            + prefixes.sum::<usize>()
    }
}

/// A message on its way to a client. Its bytes are made once, however many clients get it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Whether it is an aggregate whose marker, which the dialect decides, is left out.
    is_push: bool,
    bytes: Arc<Vec<u8>>,
}

impl Message {
    /// Bytes as they are to be written.
    #[must_use]
    pub fn whole(bytes: Vec<u8>) -> Message {
        Message { is_push: false, bytes: Arc::new(bytes) }
    }

    /// A push message without its first byte: that is `>` in RESP3 and `*` in RESP2.
    #[must_use]
    pub fn push(bytes: Vec<u8>) -> Message {
        Message { is_push: true, bytes: Arc::new(bytes) }
    }

    /// Its bytes, without the marker.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes it is on the wire.
    #[must_use]
    pub fn wire_bytes(&self) -> u64 {
        self.bytes.len() as u64 + u64::from(self.is_push)
    }

    /// Writes it where it belongs.
    pub fn write(&self, output: &mut Output, dialect: Dialect) {
        if self.is_push {
            output.raw(if dialect == Dialect::Resp3 { b">" } else { b"*" });
        }
        output.raw_shared(&self.bytes);
    }
}

/// Messages that wait for a client; one alone, which is the rule, needs no memory.
type Outbox = SmallVec<[Message; 1]>;

/// How far a transaction has got that a client has begun.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// How many requests MULTI has queued; `None`: it queues none.
    pub queued: Option<usize>,
    /// Bytes of memory that they take.
    pub queued_bytes: usize,
    /// How many keys it watches.
    pub watched: usize,
}

/// The class that CLIENT LIST and CLIENT KILL tell clients apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It sends requests and is answered, or watches as a monitor.
    Normal,
    /// It takes in what this server writes.
    Replica,
    /// It is subscribed to channels.
    PubSub,
    /// This server takes in what it writes.
    Primary,
}

/// How CLIENT UNBLOCK ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Unblock {
    /// As if its time was over.
    Timeout = 2,
    /// With an error.
    Error = 3,
}

/// Names one wait of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// What became of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// It goes on.
    On,
    /// The client is to run its request by itself; until then the wait goes on.
    Called,
    /// Somebody has claimed it: it is served, or is over.
    Claimed,
    /// It was cut short.
    Cut(Unblock),
}

/// The low bits of a client's wait say how it is, besides the values of [`Unblock`]; those above
/// count its waits.
const WAIT_BITS: u32 = 3;
const WAITS_NOT: u64 = 0;
const WAITS: u64 = 1;
const CALLED: u64 = 4;

/// A connection as others see it. Numbers are written by its own worker only, unless said.
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// Where it comes from: `address:port`, or the socket's path.
    pub address: String,
    /// Where it came to.
    pub local_address: String,
    /// Its socket's number in the process.
    pub fd: i32,
    /// Which worker serves it.
    pub worker: usize,
    /// When it came, in ms since the epoch.
    pub connected_at: u64,
    /// Whether it came by the Unix socket.
    pub unix: bool,
    /// Whether it came by the admin port.
    pub admin: bool,
    /// When it was last heard of, in ms since the epoch.
    pub last_seen: AtomicU64,
    /// The selected database.
    pub db: AtomicU32,
    /// 2 or 3.
    pub dialect: AtomicU8,
    /// Bytes received.
    pub bytes_in: Counter,
    /// Bytes sent.
    pub bytes_out: Counter,
    /// Commands run.
    pub commands: Counter,
    /// Bytes of requests that wait, but for those of the next.
    pub query_bytes: AtomicU64,
    /// Bytes of memory in reserve for requests.
    pub query_free_bytes: AtomicU64,
    /// Bytes taken for the words that are known of an unfinished request.
    pub argument_bytes: AtomicU64,
    /// Bytes of replies that wait.
    pub output_bytes: AtomicU64,
    /// CLIENT NO-EVICT.
    pub no_evict: AtomicBool,
    /// CLIENT NO-TOUCH.
    pub no_touch: AtomicBool,
    /// CLIENT IMPORT-SOURCE.
    pub imports: AtomicBool,
    /// Whether it is a monitor.
    pub monitor: AtomicBool,
    /// Whether it is subscribed to anything.
    pub subscribed: AtomicBool,
    /// Whether it waits, for keys or as commands are paused.
    pub blocked: AtomicBool,
    /// Whether a command or script of its runs beside its worker: it is not idle, but waits for
    /// nobody else.
    pub away: AtomicBool,
    /// CLIENT CAPA redirect.
    pub follows_redirects: AtomicBool,
    /// A wait that CLIENT UNBLOCK may cut short.
    wait: AtomicU64,
    /// Made when the first word is given: most clients give none.
    names: Mutex<Option<Box<Names>>>,
    last_command: Mutex<Option<(&'static Command, Option<&'static Command>)>>,
    /// How it is to end; written by anybody.
    kill: AtomicU8,
    /// Whether its connection is gone.
    left: AtomicBool,
    /// Somebody rang and nobody has heard it.
    rung: AtomicBool,
    bell: OnceLock<Waker>,
    outbox: Mutex<Outbox>,
    outbox_bytes: AtomicU64,
    /// Its part of the registry's sum, see [`weights`].
    weight: Weight,
}

/// What is known of a connection when it comes.
pub struct Arrival {
    /// See [`Client`].
    pub address: String,
    /// See [`Client`].
    pub local_address: String,
    /// See [`Client`].
    pub fd: i32,
    /// See [`Client`].
    pub unix: bool,
    /// See [`Client`].
    pub admin: bool,
}

impl Ticket {
    fn with(self, state: u64) -> u64 {
        self.0 << WAIT_BITS | state
    }
}

/// A lock that a panic elsewhere does not close for good: what it guards is always whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    fn new(id: ClientId, worker: usize, now: u64, arrival: Arrival) -> Client {
        let Arrival { address, local_address, fd, unix, admin } = arrival;
        Client {
            id,
            address,
            local_address,
            fd,
            worker,
            connected_at: now,
            unix,
            admin,
            last_seen: AtomicU64::new(now),
            db: AtomicU32::new(0),
            dialect: AtomicU8::new(2),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            commands: Counter::default(),
            query_bytes: AtomicU64::new(0),
            query_free_bytes: AtomicU64::new(0),
            argument_bytes: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            imports: AtomicBool::new(false),
            monitor: AtomicBool::new(false),
            subscribed: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            away: AtomicBool::new(false),
            follows_redirects: AtomicBool::new(false),
            wait: AtomicU64::new(WAITS_NOT),
            names: Mutex::new(None),
            last_command: Mutex::new(None),
            kill: AtomicU8::new(Kill::No as u8),
            left: AtomicBool::new(false),
            rung: AtomicBool::new(false),
            bell: OnceLock::new(),
            outbox: Mutex::new(Outbox::new()),
            outbox_bytes: AtomicU64::new(0),
            weight: Weight::default(),
        }
    }

    /// Whether it comes from the same machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let address = self.address.parse::<SocketAddr>();
        self.unix || address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
    }

    /// The words it has given of itself.
    #[must_use]
    pub fn names(&self) -> Names {
        lock(&self.names).as_deref().cloned().unwrap_or_default()
    }

    /// How far its transaction has got.
    #[must_use]
    pub fn progress(&self) -> Progress {
        lock(&self.names).as_ref().map_or_else(Progress::default, |names| names.progress)
    }

    /// Changes the words.
    pub fn rename(&self, change: impl FnOnce(&mut Names)) {
        change(lock(&self.names).get_or_insert_default());
    }

    /// Its class.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.subscribed.load(Ordering::Relaxed) { Kind::PubSub } else { Kind::Normal }
    }

    /// The IP address it comes from; `None`: it came by the Unix socket.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        let (ip, _) = self.address.rsplit_once(':').filter(|_| !self.unix)?;
        Some(ip.trim_start_matches('[').trim_end_matches(']'))
    }

    /// For how long nothing was heard of it; 0 for those that have a reason to be silent.
    #[must_use]
    pub fn idle_millis(&self, now: u64) -> u64 {
        let reasons = [&self.monitor, &self.subscribed, &self.blocked, &self.away];
        let waits = reasons.iter().any(|flag| flag.load(Ordering::Relaxed));
        if waits { 0 } else { now.saturating_sub(self.last_seen.load(Ordering::Relaxed)) }
    }

    /// The memory it takes, in bytes, as far as it is known.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let addresses = self.address.capacity() + self.local_address.capacity();
        let own = size_of::<Client>() + addresses + crate::connection::CONNECTION_BYTES;
        let told = lock(&self.names).as_ref().map_or(0, |names| names.memory_bytes());
        let waiting = [
            &self.query_bytes,
            &self.query_free_bytes,
            &self.argument_bytes,
            &self.output_bytes,
            &self.outbox_bytes,
        ];
        let waiting = waiting.iter().map(|bytes| bytes.load(Ordering::Relaxed));
        (own + told) as u64 + waiting.sum::<u64>()
    }

    /// Notes what its requests take that wait: bytes of the next one whose words are known, all
    /// bytes, and memory in reserve.
    pub fn set_query(&self, argument_bytes: usize, bytes: usize, free_bytes: usize) {
        self.argument_bytes.store(argument_bytes as u64, Ordering::Relaxed);
        self.query_bytes.store(bytes as u64, Ordering::Relaxed);
        self.query_free_bytes.store(free_bytes as u64, Ordering::Relaxed);
    }

    /// Whether its requests that wait take any memory, as far as was noted.
    #[must_use]
    #[inline]
    pub fn has_query(&self) -> bool {
        let known = [&self.argument_bytes, &self.query_bytes, &self.query_free_bytes];
        known.iter().any(|bytes| bytes.load(Ordering::Relaxed) > 0)
    }

    /// Notes that it waits from now on for something that CLIENT UNBLOCK may cut short. Only its
    /// own task begins waits, one after the other.
    pub fn begin_wait(&self) -> Ticket {
        let ticket = Ticket((self.wait.load(Ordering::Relaxed) >> WAIT_BITS) + 1);
        self.wait.store(ticket.with(WAITS), Ordering::Release);
        ticket
    }

    /// Cuts a wait short; whether there was one.
    pub fn unblock(&self, how: Unblock) -> bool {
        let ticket = Ticket(self.wait.load(Ordering::Acquire) >> WAIT_BITS);
        let how = how as u64;
        let cut = self.turn(ticket, WAITS, how) || self.turn(ticket, CALLED, how);
        if cut {
            self.ring();
        }
        cut
    }

    /// Ends a wait, to serve it or to give it up; whether it went on until now.
    pub fn claim(&self, ticket: Ticket) -> bool {
        self.turn(ticket, WAITS, WAITS_NOT) || self.turn(ticket, CALLED, WAITS_NOT)
    }

    /// Tells the client to run its request by itself; whether it waited.
    pub fn call(&self, ticket: Ticket) -> bool {
        let called = self.turn(ticket, WAITS, CALLED);
        if called {
            self.ring();
        }
        called
    }

    /// Has a wait go on that its own task has claimed and could not serve.
    pub fn wait_on(&self, ticket: Ticket) {
        self.turn(ticket, WAITS_NOT, WAITS);
    }

    /// The same of somebody else, who tells the client to run its request by itself.
    pub fn call_back(&self, ticket: Ticket) {
        self.turn(ticket, WAITS_NOT, CALLED);
        self.ring();
    }

    /// What became of a wait.
    #[must_use]
    pub fn wait_of(&self, ticket: Ticket) -> Waits {
        const TIMEOUT: u64 = Unblock::Timeout as u64;
        const ERROR: u64 = Unblock::Error as u64;
        let wait = self.wait.load(Ordering::Acquire);
        match wait & ((1 << WAIT_BITS) - 1) {
            _ if wait >> WAIT_BITS != ticket.0 => Waits::Claimed,
            WAITS => Waits::On,
            CALLED => Waits::Called,
            TIMEOUT => Waits::Cut(Unblock::Timeout),
            ERROR => Waits::Cut(Unblock::Error),
            _ => Waits::Claimed,
        }
    }

    fn turn(&self, ticket: Ticket, from: u64, to: u64) -> bool {
        let (from, to) = (ticket.with(from), ticket.with(to));
        self.wait.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The command it ran last, with its subcommand.
    #[must_use]
    pub fn last_command(&self) -> Option<(&'static Command, Option<&'static Command>)> {
        *lock(&self.last_command)
    }

    /// Notes the command it runs.
    pub fn set_last_command(&self, command: &'static Command, sub: Option<&'static Command>) {
        *lock(&self.last_command) = Some((command, sub));
    }

    /// Ends the connection.
    pub fn kill(&self, how: Kill) {
        self.kill.fetch_max(how as u8, Ordering::Relaxed);
        self.ring();
    }

    /// Ends the connection at once, as more output waits for it than may.
    pub fn kill_for_output(&self) {
        self.kill.fetch_max(KILL_FOR_OUTPUT, Ordering::Relaxed);
        self.ring();
    }

    /// Whether somebody else ended it, as more output waited for it than may.
    #[must_use]
    pub fn killed_for_output(&self) -> bool {
        self.kill.load(Ordering::Relaxed) == KILL_FOR_OUTPUT
    }

    /// Ends the connection at once, as all clients together take more memory than they may.
    fn kill_for_memory(&self) {
        self.kill.fetch_max(KILL_FOR_MEMORY, Ordering::Relaxed);
        self.ring();
    }

    /// Whether it was ended since all clients together took more memory than they may.
    #[must_use]
    pub fn killed_for_memory(&self) -> bool {
        self.kill.load(Ordering::Relaxed) == KILL_FOR_MEMORY
    }

    /// How it is to end.
    #[must_use]
    #[inline]
    pub fn killed(&self) -> Kill {
        match self.kill.load(Ordering::Relaxed) {
            0 => Kill::No,
            1 => Kill::AfterReply,
            _ => Kill::Now,
        }
    }

    /// Whether its connection is gone.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Has the connection look whether something changed that concerns it.
    pub fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        // Either the task sees that it was rung for, or its waker is seen here.
        fence(Ordering::SeqCst);
        if let Some(task) = self.bell.get() {
            task.wake_by_ref();
        }
    }

    /// Ready when somebody has rung since it was last ready. Only the connection's own task may
    /// ask: its waker is always the same, so it is kept from the first time on, and an idle look
    /// costs two plain loads.
    pub fn poll_rung(&self, context: &Context<'_>) -> Poll<()> {
        if self.bell.get().is_none() {
            self.bell.get_or_init(|| context.waker().clone());
            fence(Ordering::SeqCst);
        }
        debug_assert!(self.bell.get().is_some_and(|bell| bell.will_wake(context.waker())));
        if self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::Acquire) {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Waits until somebody rings.
    pub async fn rung(&self) {
        poll_fn(|context| self.poll_rung(context)).await;
    }

    /// Hands the client a message, to be written between replies. Returns how many bytes wait for
    /// it now.
    pub fn send(&self, message: Message) -> u64 {
        let bytes = message.wire_bytes();
        let mut outbox = lock(&self.outbox);
        outbox.push(message);
        let waiting = self.outbox_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        drop(outbox);
        // Where somebody has rung already, the bell is still to be heard, and this with it.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.ring();
        }
        waiting + self.output_bytes.load(Ordering::Relaxed)
    }

    /// Keeps a message for the client whose own request runs now: its task looks for messages when
    /// that is answered, and need not be rung for.
    pub fn keep(&self, message: Message) {
        let bytes = message.wire_bytes();
        let mut outbox = lock(&self.outbox);
        outbox.push(message);
        self.outbox_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of messages that wait.
    #[must_use]
    #[inline]
    pub fn outbox_bytes(&self) -> u64 {
        self.outbox_bytes.load(Ordering::Relaxed)
    }

    /// Writes the messages that wait into `output`.
    pub fn take_messages(&self, output: &mut Output, dialect: Dialect) {
        let messages = {
            let mut outbox = lock(&self.outbox);
            self.outbox_bytes.store(0, Ordering::Relaxed);
            std::mem::take(&mut *outbox)
        };
        messages.iter().for_each(|message| message.write(output, dialect));
    }
}

/// All clients of a server.
#[derive(Default)]
pub struct Registry {
    next: AtomicU64,
    clients: Mutex<BTreeMap<ClientId, Arc<Client>>>,
    /// What they take together, and how much they may.
    weights: Weights,
}

impl Registry {
    /// Takes in a new client; `None` if there are `limit` already.
    pub fn arrive(
        &self,
        limit: usize,
        worker: usize,
        now: u64,
        arrival: Arrival,
    ) -> Option<Arc<Client>> {
        let mut clients = lock(&self.clients);
        if clients.len() >= limit && !arrival.admin {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let client = Arc::new(Client::new(id, worker, now, arrival));
        clients.insert(id, Arc::clone(&client));
        Some(client)
    }

    /// Lets a client go.
    pub fn leave(&self, id: ClientId) {
        if let Some(client) = lock(&self.clients).remove(&id) {
            client.left.store(true, Ordering::Relaxed);
            self.weights.let_go(&client);
        }
    }

    /// Limits what all of them may take together, in bytes; 0: they may take any amount. Closes
    /// the largest if it is too much already.
    pub fn limit(&self, bytes_max: u64) {
        if self.weights.limit(bytes_max) {
            self.all().iter().for_each(|client| self.weights.note(client));
            self.lighten();
        }
    }

    /// To be called when a client may have come to take more memory.
    #[inline]
    pub fn weigh(&self, client: &Client) {
        if self.weights.is_limited() {
            self.weigh_carefully(client);
        }
    }

    #[cold]
    fn weigh_carefully(&self, client: &Client) {
        self.weights.note(client);
        self.lighten();
    }

    /// Closes the largest clients until the others may take what they do.
    fn lighten(&self) {
        if self.weights.is_too_much() {
            // One at a time, or more would be closed than need be.
            let clients = lock(&self.clients);
            self.weights.lighten(clients.values());
        }
    }

    /// All clients, by id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Client>> {
        lock(&self.clients).values().cloned().collect()
    }

    /// The client of this id.
    #[must_use]
    pub fn get(&self, id: ClientId) -> Option<Arc<Client>> {
        lock(&self.clients).get(&id).cloned()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.clients).len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let arrival = Arrival {
            address: "[::1]:4000".into(),
            local_address: "[::1]:6379".into(),
            fd: 7,
            unix: false,
            admin: false,
        };
        Client::new(1, 0, 0, arrival)
    }

    #[test]
    fn only_a_wait_can_be_cut_short_and_only_once() {
        let client = client();
        assert!(!client.unblock(Unblock::Timeout));
        let ticket = client.begin_wait();
        assert!(client.unblock(Unblock::Error));
        assert!(!client.unblock(Unblock::Timeout));
        assert_eq!(client.wait_of(ticket), Waits::Cut(Unblock::Error));
        assert!(!client.claim(ticket));
    }

    #[test]
    fn a_wait_is_claimed_once_and_an_old_ticket_claims_nothing() {
        let client = client();
        let old = client.begin_wait();
        assert!(client.claim(old));
        assert!(!client.claim(old) && !client.unblock(Unblock::Timeout));
        let ticket = client.begin_wait();
        assert!(!client.claim(old) && !client.call(old));
        assert_eq!((client.wait_of(old), client.wait_of(ticket)), (Waits::Claimed, Waits::On));
        assert!(client.call(ticket));
        assert_eq!(client.wait_of(ticket), Waits::Called);
        assert!(client.claim(ticket));
        client.wait_on(ticket);
        assert_eq!(client.wait_of(ticket), Waits::On);
    }

    #[test]
    fn who_is_killed_at_once_is_not_spared_by_a_later_wish() {
        let client = client();
        client.kill(Kill::AfterReply);
        assert_eq!(client.killed(), Kill::AfterReply);
        client.kill(Kill::Now);
        client.kill(Kill::AfterReply);
        assert_eq!(client.killed(), Kill::Now);
    }

    /// Of three clients the largest one goes, then no more than need be; who is spared stays.
    #[test]
    fn the_largest_clients_go_when_all_take_too_much() {
        let registry = Registry::default();
        let arrive = |bytes| {
            let Client { address, local_address, fd, unix, admin, .. } = client();
            let arrival = Arrival { address, local_address, fd, unix, admin };
            let client = registry.arrive(10, 0, 0, arrival).unwrap();
            client.set_query(0, bytes, 0);
            registry.weigh(&client);
            client
        };
        let [small, middle, large, spared] = [10_000, 20_000, 50_000, 60_000].map(arrive);
        spared.no_evict.store(true, Ordering::Relaxed);
        registry.limit(200_000);
        let all = [&small, &middle, &large, &spared];
        let gone = || all.map(|client| client.killed_for_memory());
        assert_eq!(gone(), [false; 4]);
        registry.limit(120_000);
        assert_eq!(gone(), [false, false, true, false]);
        small.set_query(0, 45_000, 0);
        registry.weigh(&small);
        assert_eq!(gone(), [true, false, true, false]);
        registry.leave(small.id);
        registry.leave(large.id);
        middle.set_query(0, 70_000, 0);
        registry.limit(0);
        registry.weigh(&middle);
        assert_eq!(gone(), [true, false, true, false], "nothing is limited any more");
    }

    #[test]
    fn an_address_of_ip_version_6_stands_in_brackets_and_the_ip_does_not() {
        assert_eq!(client().ip(), Some("::1"));
    }

    #[test]
    fn the_registry_counts_up_and_keeps_to_its_limit() {
        let registry = Registry::default();
        let arrive = |admin| {
            let Client { address, local_address, fd, unix, .. } = client();
            let arrival = Arrival { address, local_address, fd, unix, admin };
            registry.arrive(2, 0, 0, arrival).map(|client| client.id)
        };
        assert_eq!([arrive(false), arrive(false), arrive(false)], [Some(1), Some(2), None]);
        assert_eq!(arrive(true), Some(3));
        registry.leave(1);
        registry.leave(3);
        assert_eq!((arrive(false), registry.len()), (Some(4), 2));
        assert!(registry.get(1).is_none());
    }
}

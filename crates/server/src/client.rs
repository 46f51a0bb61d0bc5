//! What others may know of a connection, and how they reach it.
//!
//! A connection's task owns its [`crate::session::Session`]; beside it lies a [`Client`], shared
//! by reference count, with what CLIENT LIST shows and a bell to ring: to kill it, to wake it
//! from a wait, to hand it a message. The [`Registry`] finds clients by their id.
//!
//! The registry's lock is taken when a connection comes or goes and by commands that look at
//! other clients, never on the way of an ordinary request.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use command::Command;

/// The number of a connection, never used again.
pub type ClientId = u64;

/// How a client is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kill {
    /// It lives on.
    No = 0,
    /// At once.
    Now = 1,
    /// When its last reply has been written.
    AfterReply = 2,
}

/// The words that a client has given of itself.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO lib-name.
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO lib-ver.
    pub lib_version: Vec<u8>,
    /// The user it authenticated as.
    pub user: Vec<u8>,
}

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
    pub bytes_in: AtomicU64,
    /// Bytes sent.
    pub bytes_out: AtomicU64,
    /// Commands run.
    pub commands: AtomicU64,
    /// Bytes of requests that wait, and of replies that wait.
    pub query_bytes: AtomicU64,
    /// See `query_bytes`.
    pub output_bytes: AtomicU64,
    /// CLIENT NO-EVICT.
    pub no_evict: AtomicBool,
    /// CLIENT NO-TOUCH.
    pub no_touch: AtomicBool,
    /// Whether it is a monitor.
    pub monitor: AtomicBool,
    /// Whether it waits in a blocking command. Written by its own worker.
    pub blocked: AtomicBool,
    names: Mutex<Names>,
    last_command: Mutex<Option<(&'static Command, Option<&'static Command>)>>,
    /// How it is to end; written by anybody.
    kill: AtomicU8,
    /// Somebody rang and nobody has heard it.
    rung: AtomicBool,
    bell: AtomicWaker,
    outbox: Mutex<VecDeque<Arc<[u8]>>>,
    outbox_bytes: AtomicU64,
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
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            query_bytes: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            monitor: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            names: Mutex::new(Names::default()),
            last_command: Mutex::new(None),
            kill: AtomicU8::new(Kill::No as u8),
            rung: AtomicBool::new(false),
            bell: AtomicWaker::new(),
            outbox: Mutex::new(VecDeque::new()),
            outbox_bytes: AtomicU64::new(0),
        }
    }

    /// The words it has given of itself.
    #[must_use]
    pub fn names(&self) -> Names {
        lock(&self.names).clone()
    }

    /// Changes the words.
    pub fn rename(&self, change: impl FnOnce(&mut Names)) {
        change(&mut lock(&self.names));
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
        if how == Kill::Now {
            self.kill.store(Kill::Now as u8, Ordering::Relaxed);
        }
        self.ring();
    }

    /// How it is to end.
    #[must_use]
    #[inline]
    pub fn killed(&self) -> Kill {
        match self.kill.load(Ordering::Relaxed) {
            0 => Kill::No,
            2 => Kill::AfterReply,
            _ => Kill::Now,
        }
    }

    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.bell.wake();
    }

    /// Ready when somebody has rung since it was last ready. One task at a time may ask.
    pub fn poll_rung(&self, context: &Context<'_>) -> Poll<()> {
        self.bell.register(context.waker());
        if self.rung.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until somebody rings.
    pub async fn rung(&self) {
        poll_fn(|context| self.poll_rung(context)).await;
    }

    /// Hands the client a message: bytes in its own dialect, written between replies.
    pub fn send(&self, message: Arc<[u8]>) {
        self.outbox_bytes.fetch_add(message.len() as u64, Ordering::Relaxed);
        lock(&self.outbox).push_back(message);
        self.ring();
    }

    /// Bytes of messages that wait.
    #[must_use]
    #[inline]
    pub fn outbox_bytes(&self) -> u64 {
        self.outbox_bytes.load(Ordering::Relaxed)
    }

    /// Takes the messages that wait.
    #[must_use]
    pub fn take_outbox(&self) -> VecDeque<Arc<[u8]>> {
        let messages = std::mem::take(&mut *lock(&self.outbox));
        let bytes: usize = messages.iter().map(|message| message.len()).sum();
        self.outbox_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        messages
    }
}

/// All clients of a server.
#[derive(Default)]
pub struct Registry {
    next: AtomicU64,
    clients: Mutex<BTreeMap<ClientId, Arc<Client>>>,
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
        lock(&self.clients).remove(&id);
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

//! One connection, from accept to close: read, run what was read as a batch, write, wait.
//!
//! Input is read into the worker's scratch buffer and run from there; only an unfinished tail is
//! kept with the connection, so an idle one owns no buffers. Replies of a batch are collected in
//! the worker's scratch output and written at once, or after the turns of others
//! ([`crate::turns`]); what the socket does not take is kept.
//!
//! # Invariants
//!
//! 1. The scratch is borrowed only between two awaits.
//! 2. What waits for a client that does not read is bounded: beyond `OUTPUT_PAUSE_BYTES` no
//!    more of its requests are run.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use command::{Command, Flags, Run, Shape};
use protocol::http::looks_like_http;
use protocol::{Limits, Output, Parsed, Parser, ProtocolError, Reply, Span, Words};

use crate::blocking::{Blocked, Wait};
use crate::client::{Kill, Unblock, Waits};
use crate::execute::{Batch, Ran, Request, called};
use crate::long_work::Held;
use crate::server::{CommandEntry, Server};
use crate::session::Session;
use crate::settings::Settings;
use crate::socket::Socket;
use crate::transaction::runs_at_once;
use crate::worker::{Arriving, BATCH_MAX, IDLE_MILLIS, READ_BYTES, Scratch, Worker};

/// With so much output waiting, a connection's further requests wait too. A buffer that grows
/// takes up to three times as much for a moment.
const OUTPUT_PAUSE_BYTES: usize = 16 << 20;

/// Longer output is written at once: to wake the client is little beside it.
const OUTPUT_HELD_BYTES_MAX: usize = 64 << 10;

/// Output that may wait for a client that has not authenticated.
const OUTPUT_BEFORE_AUTH_BYTES: usize = 1 << 20;

/// Output that is written before others have their turn.
const TURN_BYTES_MAX: usize = 256 << 10;

/// Words of one request.
const ARGS_MAX: usize = 1024 * 1024;

/// A tail buffer larger than this is given back when it is empty.
const TAIL_KEPT_BYTES: usize = 16 << 10;

/// A tail buffer larger than this is given back in the background.
const TAIL_DROPPED_BYTES_MAX: usize = 1 << 20;

/// A tail buffer doubles until so much of a request has come; others wait while it is copied.
const TAIL_LEAPS_BYTES_MIN: usize = 1 << 20;

/// How many times as large it becomes then: no copy is of more than such a part of a long word,
/// and a client that announces one has room for so many times what it has sent, no more.
const TAIL_LEAP: usize = 64;

/// The memory of an idle connection beside its [`crate::client::Client`], in bytes: its task, and
/// what the runtime keeps of its socket.
pub const CONNECTION_BYTES: usize = size_of::<Connection>() + RUNTIME_BYTES;

/// What the runtime keeps of a socket and of a task, in bytes.
const RUNTIME_BYTES: usize = 512;

/// A connection.
struct Connection {
    worker: Rc<Worker>,
    socket: Socket,
    session: Session,
    parser: Parser,
    /// Input that is not run yet.
    tail: Vec<u8>,
    /// Output that is not written yet.
    output: Output,
    /// Since when the soft limit of output is passed, in ms since the epoch.
    soft_since: Option<u64>,
    /// Whether its first line has come, and was none of HTTP.
    greeted: bool,
    /// Whether its last input held several requests.
    is_pipelined: bool,
    /// Whether the output waits for the turns of others, see [`crate::turns`].
    holds_replies: bool,
}

/// Why a batch ended.
enum Ended {
    /// All complete requests have run.
    Drained,
    /// So much output waits that what is left must wait until it is read.
    Full,
    /// The request at the front must wait.
    Waits(Ran),
    /// The connection is to be closed when its output is written.
    Closing,
    /// The connection speaks HTTP.
    Http,
}

/// What a connection waits for.
enum News {
    /// So many bytes were read; 0: the client sends no more.
    Input(usize),
    /// The socket takes more output.
    Writable,
    /// Somebody has rung the client's bell.
    Rung,
}

/// Serves a connection on the calling worker until it ends.
pub fn serve(worker: &Rc<Worker>, arriving: Arriving) {
    match admit(worker, arriving) {
        Some(connection) => drop(tokio::task::spawn_local(connection.run())),
        None => worker.server.load.leave(worker.index),
    }
}

fn admit(worker: &Rc<Worker>, arriving: Arriving) -> Option<Box<Connection>> {
    let server = &worker.server;
    let settings = worker.settings();
    let Arriving { socket, arrival, first_bytes } = arriving;
    let now = server.clock.now();
    let Some(client) = server.clients.arrive(settings.maxclients, worker.index, now, arrival)
    else {
        server.arrivals.refused.fetch_add(1, Ordering::Relaxed);
        socket.say(b"-ERR max number of clients reached\r\n");
        return None;
    };
    let Ok(socket) = socket.register() else {
        server.clients.leave(client.id);
        return None;
    };
    worker.stats().connections.add(1);
    if server.is_stopping() {
        client.kill(Kill::AfterReply);
    }
    Some(Box::new(Connection {
        session: Session::new(client, server.acl.default_user(), &settings),
        worker: Rc::clone(worker),
        socket,
        parser: Parser::default(),
        tail: first_bytes,
        output: Output::default(),
        soft_since: None,
        greeted: false,
        is_pipelined: false,
        holds_replies: false,
    }))
}

/// A connection is let go whatever ended it, a panic included.
impl Drop for Connection {
    fn drop(&mut self) {
        self.withdraw();
        let (server, client) = (&self.worker.server, &self.session.client);
        let stats = self.worker.stats();
        stats.output_overflows.add(u64::from(client.killed_for_output()));
        stats.evicted_clients.add(u64::from(client.killed_for_memory()));
        server.clients.leave(client.id);
        server.load.leave(self.worker.index);
        if self.holds_replies {
            self.worker.turns.release();
        }
        if std::thread::panicking() {
            self.worker.mend();
        }
    }
}

impl Connection {
    /// Idle connections are many, so what is seldom waited for lies in a box of its own while it
    /// is, and this future is small.
    async fn run(mut self: Box<Self>) {
        let mut ended = match self.tail.is_empty() {
            true => Ended::Drained,
            false if self.is_http(0) => Ended::Http,
            false => self.run_tail(),
        };
        loop {
            if self.holds_replies {
                tokio::task::yield_now().await;
                if self.write_held().is_err() {
                    break;
                }
            }
            self.worker.server.clients.weigh(&self.session.client);
            if self.deliver().is_err() {
                break;
            }
            let step = match ended {
                Ended::Closing => {
                    Box::pin(self.drain()).await;
                    break;
                }
                Ended::Http => {
                    let server = Arc::clone(&self.worker.server);
                    let (tail, admin) = (std::mem::take(&mut self.tail), self.session.client.admin);
                    return crate::listen::hand_over_http(&server, &self.socket, tail, admin);
                }
                Ended::Waits(ran) => {
                    Box::pin(self.wait(ran)).await;
                    if self.session.closing { Ok(Ended::Closing) } else { Ok(self.run_tail()) }
                }
                Ended::Full if self.output.len() <= OUTPUT_PAUSE_BYTES => {
                    // A client that reads as fast as it is served leaves others their turn.
                    tokio::task::yield_now().await;
                    Ok(self.run_tail())
                }
                Ended::Drained | Ended::Full => self.next_input(ended).await,
            };
            match step {
                Ok(next) => ended = next,
                Err(_) => break,
            }
        }
    }

    /// Takes the client out of what others tell it things by.
    #[cold]
    fn withdraw(&mut self) {
        let (server, client) = (&self.worker.server, &self.session.client);
        server.monitor.leave(client);
        if let Some(subscriptions) = self.session.subscriptions.take() {
            server.pubsub.leave_all(client, &subscriptions);
        }
        if self.session.tracking.take().is_some() {
            server.tracking.leave(server.keyspace, client);
        }
    }

    /// Whether the connection's first line is one of HTTP; then all that was read lies in the
    /// tail. `read`: bytes in the scratch, if there is no tail.
    #[cold]
    fn is_http(&mut self, read: usize) -> bool {
        let scratch = self.worker.scratch.borrow();
        let input = if self.tail.is_empty() { &scratch.input[..read] } else { &self.tail };
        let is_http = looks_like_http(input);
        self.greeted = is_http == Some(false);
        if is_http == Some(true) && self.tail.is_empty() {
            self.tail.extend_from_slice(&scratch.input[..read]);
        }
        is_http == Some(true)
    }

    /// Waits for something to happen, and does what it asks for. `ended`: [`Ended::Drained`], or
    /// [`Ended::Full`], when nothing more is read.
    async fn next_input(&mut self, ended: Ended) -> io::Result<Ended> {
        let to_read = matches!(ended, Ended::Drained);
        match poll_fn(|context| self.poll_news(context, to_read)).await? {
            News::Input(0) => Ok(Ended::Closing),
            News::Input(read) => Ok(self.run_input(read)),
            News::Writable => {
                self.write_waiting()?;
                if !self.output.is_empty() {
                    // A client that reads as fast as it is written to leaves others their turn.
                    tokio::task::yield_now().await;
                }
                Ok(ended)
            }
            News::Rung => match self.session.client.killed() {
                Kill::Now => Err(io::ErrorKind::ConnectionAborted.into()),
                Kill::AfterReply => Ok(Ended::Closing),
                Kill::No => {
                    let worker = Rc::clone(&self.worker);
                    self.session.keep_up(&worker.server.acl);
                    let ended = if self.session.closing { Ended::Closing } else { ended };
                    self.give_back();
                    // Whoever rings many may have more for them when all have been rung.
                    self.holds_replies =
                        self.session.client.outbox_bytes() > 0 && self.worker.turns.hold();
                    self.keep_to_limits().map(|()| ended)
                }
            },
        }
    }

    /// Gives back the memory in reserve for requests, if there was time to come with one.
    fn give_back(&mut self) {
        let now = || self.worker.server.clock.now();
        if self.tail.capacity() > self.tail.len()
            && self.session.client.idle_millis(now()) > IDLE_MILLIS
        {
            self.tail.shrink_to_fit();
            self.note_query();
        }
    }

    /// Input is read into the scratch and run from there, or put behind the tail if there is one.
    /// The scratch is filled when this is ready, and used before anybody else has a turn.
    fn poll_news(&mut self, context: &mut Context<'_>, to_read: bool) -> Poll<io::Result<News>> {
        if to_read && self.output.len() <= OUTPUT_PAUSE_BYTES {
            let read = if self.tail.is_empty() {
                let mut scratch = self.worker.scratch.borrow_mut();
                self.socket.poll_read(context, &mut scratch.input)
            } else {
                self.poll_read_tail(context)
            };
            if let Poll::Ready(read) = read {
                return Poll::Ready(read.map(News::Input));
            }
        }
        if !self.output.is_empty()
            && let Poll::Ready(writable) = self.socket.poll_writable(context)
        {
            return Poll::Ready(writable.map(|()| News::Writable));
        }
        self.session.client.poll_rung(context).map(|()| Ok(News::Rung))
    }

    /// Reads behind the tail by way of the scratch: room to read into would stay with every
    /// connection that waits for the rest of a request.
    fn poll_read_tail(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut scratch = self.worker.scratch.borrow_mut();
        let read = self.socket.poll_read(context, &mut scratch.input);
        if let Poll::Ready(Ok(count)) = read {
            keep(&mut self.tail, self.parser.announced(), &scratch.input[..count]);
        }
        read
    }

    /// What a connection looks after while a request of its waits: input is kept, if there is
    /// `room` for more, and output goes out that the socket did not take at once.
    fn poll_meanwhile(&mut self, context: &mut Context<'_>, room: bool) -> Poll<io::Result<News>> {
        if room && let Poll::Ready(read) = self.poll_read_tail(context) {
            return Poll::Ready(read.map(News::Input));
        }
        if !self.output.is_empty()
            && let Poll::Ready(writable) = self.socket.poll_writable(context)
        {
            return Poll::Ready(writable.map(|()| News::Writable));
        }
        Poll::Pending
    }

    /// Does what it asks for; fails if the client has gone away.
    async fn attend(&mut self, news: io::Result<News>) -> io::Result<()> {
        match news? {
            News::Input(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            News::Input(read) => self.count_input(read),
            News::Writable => {
                self.write_waiting()?;
                tokio::task::yield_now().await;
            }
            News::Rung => {}
        }
        Ok(())
    }

    /// Waits as long as the request at the front must, then runs it if it is due.
    async fn wait(&mut self, ran: Ran) {
        let server = Arc::clone(&self.worker.server);
        match ran {
            Ran::Done | Ran::Brief | Ran::Refused | Ran::Queued => {}
            Ran::Rest(millis) => self.rest(millis).await,
            Ran::Later(millis) => {
                let client = Arc::clone(&self.session.client);
                client.away.store(true, Ordering::Relaxed);
                self.rest(millis).await;
                client.away.store(false, Ordering::Relaxed);
            }
            Ran::Paused(millis) => {
                let client = Arc::clone(&self.session.client);
                client.blocked.store(true, Ordering::Relaxed);
                self.pause(&server, millis).await;
                client.blocked.store(false, Ordering::Relaxed);
            }
            Ran::Busy => {
                self.run_front_waiting(&server).await;
                if self.session.wait.is_some() {
                    self.wait_for_keys(&server).await;
                }
            }
            Ran::Blocked => self.wait_for_keys(&server).await,
        }
    }

    /// Does nothing for so many ms.
    async fn rest(&mut self, millis: u64) {
        let over = tokio::time::sleep(Duration::from_millis(millis));
        tokio::pin!(over);
        while !self.session.closing {
            tokio::select! {
                () = &mut over => return,
                () = self.session.client.rung() => self.obey_kill(),
            }
        }
    }

    /// Waits for the end of a pause, at most for so many ms, or until somebody rings. Reads on a
    /// little, so that a client that goes away is noticed.
    async fn pause(&mut self, server: &Server, millis: u64) {
        let client = Arc::clone(&self.session.client);
        let over = tokio::time::sleep(Duration::from_millis(millis));
        let ended = server.pause.ended();
        tokio::pin!(over, ended);
        loop {
            let room = self.tail.len() < READ_BYTES;
            tokio::select! {
                () = &mut over => return,
                () = &mut ended => return,
                () = client.rung() => return self.obey_kill(),
                news = poll_fn(|context| self.poll_meanwhile(context, room)) => {
                    if self.attend(news).await.is_err() {
                        client.kill(Kill::Now);
                        return self.obey_kill();
                    }
                }
            }
        }
    }

    /// Waits until the session's request is answered, its time is over, or it is cut short.
    async fn wait_for_keys(&mut self, server: &Server) {
        let Some(mut wait) = self.session.wait.take() else { return };
        let client = Arc::clone(&self.session.client);
        client.blocked.store(true, Ordering::Relaxed);
        if self.write_waiting().is_err() {
            client.kill(Kill::Now);
        }
        let timed = usize::from(wait.until.over.is_some());
        server.timed_waits.fetch_add(timed, Ordering::Relaxed);
        let answer = self.answer_of(server, &mut wait).await;
        server.timed_waits.fetch_sub(timed, Ordering::Relaxed);
        let mut is_refused = false;
        if let Some((error, rejected)) = wait.blocked.take_error() {
            self.worker.count_error(Some(wait.number), rejected, &error);
            is_refused = rejected;
        }
        if !wait.blocked.has_left() {
            self.end_wait(server, &wait.blocked).await;
        }
        if answer.is_some() && !is_refused {
            self.book_wait(server, &wait);
        }
        client.blocked.store(false, Ordering::Relaxed);
        if let Some(answer) = answer.filter(|_| !wait.mute) {
            self.output.push_output(answer);
            self.drop_outgrown();
        }
        if self.write_waiting().is_err() {
            client.kill(Kill::Now);
        }
        self.obey_kill();
    }

    /// Counts a request that has waited, and enters it into the slow log if it ran for long.
    fn book_wait(&self, server: &Server, wait: &Wait) {
        let settings = self.worker.settings();
        let batch = Batch::begin(server, &self.worker, &settings);
        let request = look_up(server, wait.blocked.words());
        let Some(entry) = request.entry else { return };
        let command = called(entry.command, request.words);
        if wait.is_counted {
            self.session.client.commands.add(1);
        } else {
            batch.book(entry, command, (1, wait.ran_nanos), &self.session.client);
        }
        batch.note_slow(request, &self.session, wait.ran_nanos / 1000);
    }

    /// The answer of a request that waits, once there is one; `None`: the client is to go.
    async fn answer_of(&mut self, server: &Server, wait: &mut Wait) -> Option<Output> {
        let client = Arc::clone(&self.session.client);
        loop {
            if let Some(answer) = wait.blocked.take_answer() {
                return Some(answer);
            }
            if client.killed() != Kill::No && wait.blocked.end() {
                return None;
            }
            let now = server.clock.now();
            match wait.blocked.state() {
                Waits::Cut(how) => {
                    wait.is_counted = true;
                    return Some(wait.blocked.cut(how));
                }
                _ if wait.until.over.is_some_and(|over| over <= now) && wait.blocked.end() => {
                    return Some(wait.blocked.cut(Unblock::Timeout));
                }
                Waits::Called => {
                    self.run_called(server, wait).await;
                    continue;
                }
                Waits::On if wait.until.again.is_some_and(|again| again <= now) => {
                    wait.blocked.try_again();
                    continue;
                }
                Waits::On | Waits::Claimed => {}
            }
            let next = wait.until.over.into_iter().chain(wait.until.again).min();
            let rest = Duration::from_millis(next.map_or(0, |next| next.saturating_sub(now)));
            let room = self.tail.len() < READ_BYTES;
            tokio::select! {
                () = tokio::time::sleep(rest), if next.is_some() => {}
                () = client.rung() => if self.deliver().is_err() {
                    client.kill(Kill::Now);
                },
                news = poll_fn(|context| self.poll_meanwhile(context, room)) => {
                    if self.attend(news).await.is_err() {
                        client.kill(Kill::Now);
                    }
                }
            }
        }
    }

    /// Tries a request again that waits.
    async fn run_called(&mut self, server: &Server, wait: &mut Wait) {
        let worker = Rc::clone(&self.worker);
        let settings = worker.settings();
        let batch = Batch::begin(server, &worker, &settings);
        batch.run_called(&wait.blocked, &self.session).await;
        // How long it waits in all was settled when it began.
        if let Some(until) = wait.blocked.take_until() {
            wait.until.again = until.again;
        }
    }

    /// Takes a request out of the queues that it still stands in.
    async fn end_wait(&self, server: &Server, blocked: &Arc<Blocked>) {
        let worker = Rc::clone(&self.worker);
        let settings = worker.settings();
        let batch = Batch::begin(server, &worker, &settings);
        batch.leave_queues(blocked, &self.session).await;
    }

    fn obey_kill(&mut self) {
        self.session.closing |= self.session.client.killed() != Kill::No;
    }

    /// Runs the request at the front of the tail, waiting for its shards.
    async fn run_front_waiting(&mut self, server: &Server) {
        let settings = self.worker.settings();
        self.session.keep_up(&server.acl);
        if self.session.closing {
            return;
        }
        let limits = limits_of(&settings, self.session.authenticated);
        let mut spans = Vec::new();
        let tail = std::mem::take(&mut self.tail);
        // The request is shared with the thread that runs it, if it takes long.
        let (held, rest, consumed) = match self.parser.parse(&tail, &mut spans, &limits) {
            Ok(Parsed::Request { consumed }) => (Held::new(tail, spans), None, consumed),
            Ok(Parsed::Inline { consumed }) => {
                (Held::of(self.parser.inline_words().iter()), Some(tail), consumed)
            }
            _ => {
                self.tail = tail;
                return;
            }
        };
        let held = Arc::new(held);
        let worker = Rc::clone(&self.worker);
        let batch = Batch::begin(server, &worker, &settings);
        let request = look_up(server, held.words());
        let before = self.output.len();
        let ran = batch.run_waiting(request, &held, &mut self.session, &mut self.output).await;
        let is_answered = matches!(ran, Ran::Done | Ran::Brief);
        let is_run = is_answered || matches!(ran, Ran::Refused | Ran::Queued | Ran::Blocked);
        if is_run {
            let mut meter = Meter::start(batch);
            meter.before(request.entry, self);
            meter.answered(ran, request, self);
            meter.finish(self);
            if is_answered {
                let written = self.output.len() - before;
                batch.note_large(request, &self.session, consumed, written);
            }
        }
        self.drop_outgrown();
        self.tail = rest.unwrap_or_else(|| Held::into_bytes(held));
        self.tail.drain(..if is_run { consumed } else { 0 });
        self.obey_kill();
    }

    /// Runs input that was just read: `read` bytes in the scratch, or the tail if there is one.
    fn run_input(&mut self, read: usize) -> Ended {
        self.count_input(read);
        if !self.greeted && self.is_http(read) {
            return Ended::Http;
        }
        if !self.tail.is_empty() {
            // A request that is too large is refused even when its end has come.
            return match self.keep_to_query_limit() {
                true => self.run_tail(),
                false => self.finish(Ended::Drained),
            };
        }
        let worker = Rc::clone(&self.worker);
        let mut scratch = worker.scratch.borrow_mut();
        let scratch = &mut *scratch;
        let input = std::mem::take(&mut scratch.input);
        let (consumed, ended) = self.run_batches(&input[..read], scratch);
        if consumed < read {
            keep(&mut self.tail, self.parser.announced(), &input[consumed..read]);
        }
        scratch.input = input;
        self.finish(ended)
    }

    fn count_input(&self, read: usize) {
        let stats = self.worker.stats();
        stats.reads.add(1);
        stats.bytes_in.add(read as u64);
        let client = &self.session.client;
        client.bytes_in.add(read as u64);
    }

    fn run_tail(&mut self) -> Ended {
        let worker = Rc::clone(&self.worker);
        let mut scratch = worker.scratch.borrow_mut();
        let ended = self.run_tail_with(&worker, &mut scratch);
        self.finish(ended)
    }

    fn run_tail_with(&mut self, worker: &Worker, scratch: &mut Scratch) -> Ended {
        let tail = std::mem::take(&mut self.tail);
        let (consumed, ended) = self.run_batches(&tail, scratch);
        self.tail = tail;
        if consumed == self.tail.len() && self.tail.capacity() > TAIL_KEPT_BYTES {
            let tail = std::mem::take(&mut self.tail);
            if tail.capacity() > TAIL_DROPPED_BYTES_MAX {
                worker.server.background.discard_buffer(tail);
            }
        } else {
            self.tail.drain(..consumed);
        }
        ended
    }

    /// Notes what is left to do, and whether the limits of what waits are kept.
    fn finish(&mut self, ended: Ended) -> Ended {
        if self.tail.capacity() > 0 || self.session.client.has_query() {
            self.note_query();
        }
        self.keep_to_query_limit();
        let client = &self.session.client;
        match (client.killed(), self.session.closing) {
            (Kill::Now, _) => {
                self.output.clear();
                Ended::Closing
            }
            (Kill::AfterReply, _) | (_, true) => Ended::Closing,
            _ => ended,
        }
    }

    /// Shows what waits to be run.
    #[cold]
    fn note_query(&self) {
        let understood = self.parser.understood().min(self.tail.len());
        let (len, capacity) = (self.tail.len(), self.tail.capacity());
        let arguments = understood + self.parser.memory_bytes();
        self.session.client.set_query(arguments, len - understood, capacity - len);
    }

    /// Ends the connection if more waits to be run than may; whether it may go on.
    fn keep_to_query_limit(&self) -> bool {
        let queued = self.session.transaction.as_ref().map_or(0, |one| one.queued_bytes());
        let keeps = self.tail.len() + queued <= self.worker.settings().query_bytes_max;
        let client = &self.session.client;
        if !keeps && client.killed() != Kill::Now {
            self.worker.stats().query_overflows.add(1);
            client.kill(Kill::Now);
        }
        keeps
    }

    /// Runs all complete requests of some input. Returns how much of it is used up.
    fn run_batches(&mut self, input: &[u8], scratch: &mut Scratch) -> (usize, Ended) {
        let worker = Rc::clone(&self.worker);
        let settings = worker.settings();
        let server = &*worker.server;
        let waited = !self.output.is_empty();
        self.is_pipelined = false;
        let output = if waited { &mut self.output } else { &mut scratch.output };
        let mut output = std::mem::take(output);
        // What came before the requests is told before their replies.
        if self.session.client.outbox_bytes() > 0 {
            self.session.client.take_messages(&mut output, self.session.dialect);
        }
        let batch = Batch::begin(server, &worker, &settings);
        let now = batch.now;
        let mut at = 0;
        let ended = loop {
            let step = self.run_batch(batch, input, &mut at, &mut scratch.spans, &mut output);
            if let Some(ended) = step {
                break ended;
            }
        };
        self.session.client.last_seen.store(now, Ordering::Relaxed);
        if matches!(ended, Ended::Closing) {
            // Whoever sees the last reply may count on that the client is gone.
            self.session.client.kill(Kill::AfterReply);
            self.withdraw();
        }
        if input.len() > READ_BYTES {
            scratch.forget_words();
        }
        if self.outgrows(&settings, output.len()) {
            output = Output::new();
        }
        let is_short = !waited && output.len() <= OUTPUT_HELD_BYTES_MAX;
        let may_hold = is_short && self.is_pipelined && matches!(ended, Ended::Drained);
        if may_hold && worker.turns.hold() {
            scratch.renew_output();
            self.output = output;
            self.holds_replies = true;
            return (at, ended);
        }
        // One write for all of it; what the socket does not take stays with the connection.
        let sent = self.write(&mut output);
        if sent.is_err() || self.over_limit(&settings, output.len(), now) {
            self.session.client.kill(Kill::Now);
        }
        if output.is_empty() {
            output.clear();
            scratch.output = output;
        } else {
            self.output = output;
        }
        (at, ended)
    }

    /// Parses up to [`BATCH_MAX`] requests, asks for the memory they will read, then runs them.
    /// `None`: there may be more.
    fn run_batch(
        &mut self,
        batch: Batch<'_>,
        input: &[u8],
        at: &mut usize,
        spans: &mut [Vec<Span>],
        output: &mut Output,
    ) -> Option<Ended> {
        let server = batch.server;
        self.session.keep_up(&server.acl);
        if self.session.closing {
            return Some(Ended::Closing);
        }
        let limits = limits_of(batch.settings, self.session.authenticated);
        let db = self.session.db;
        let mut requests: smallvec::SmallVec<[(Planned<'_>, usize); BATCH_MAX]> =
            smallvec::SmallVec::new();
        let mut end = *at;
        let mut failed = None;
        let mut is_drained = false;
        let mut names_members = false;
        let mut ahead: smallvec::SmallVec<[u64; BATCH_MAX]> = smallvec::SmallVec::new();
        let mut last: Option<&CommandEntry> = None;
        for (nth, spans) in spans.iter_mut().enumerate() {
            let rest = &input[end..];
            if rest.is_empty() {
                is_drained = true;
                break;
            }
            match self.parser.parse(rest, spans, &limits) {
                Ok(Parsed::Request { consumed }) => {
                    let words = Words::new(rest, spans);
                    let entry = find(server, words, last);
                    last = entry.or(last);
                    let planned = plan(server, words, entry);
                    let is_alone = nth == 0 && end + consumed >= input.len();
                    // Who writes to one key in a row asks for it once.
                    if planned.is_ahead && ahead.last() != Some(&planned.hash) {
                        ahead.push(planned.hash);
                        // A script has much to do before it comes to its key.
                        if !is_alone || !planned.keyed {
                            server.keyspace.prefetch_gate(planned.hash);
                        }
                    }
                    names_members |= planned.member.is_some();
                    end += consumed;
                    requests.push((planned, end));
                    // What a connection may send changes with this one.
                    if entry.is_some_and(|entry| entry.command.flags.has(Flags::NO_AUTH)) {
                        break;
                    }
                }
                Ok(Parsed::Empty { consumed }) => {
                    end += consumed;
                    requests.push((Planned::NOTHING, end));
                }
                Ok(Parsed::Inline { consumed }) => {
                    // What stands before it runs first.
                    if requests.is_empty() {
                        return self.run_unquoted(batch, consumed, at, output);
                    }
                    break;
                }
                Ok(Parsed::Incomplete { .. }) => {
                    is_drained = true;
                    break;
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if requests.len() > 1 {
            self.is_pipelined = true;
            ahead.iter().for_each(|&hash| server.keyspace.prefetch_bucket(db, hash));
            ahead.iter().for_each(|&hash| server.keyspace.prefetch_record(db, hash));
            if names_members {
                self.prefetch_members(server, &requests);
            }
            let stats = batch.worker.stats();
            stats.batches.add(1);
            stats.batched_commands.add(requests.len() as u64);
            if requests.len() as u64 > stats.batch_max.get() {
                stats.batch_max.set(requests.len() as u64);
            }
        }
        if let Some(ended) = self.run_requests(batch, &requests, at, output) {
            // The rest is parsed anew, from the request that has to wait.
            self.parser = Parser::default();
            return Some(ended);
        }
        *at = end;
        if let Some(error) = failed {
            return Some(self.protocol_error(batch, &error, output));
        }
        is_drained.then_some(Ended::Drained)
    }

    /// Asks for the memory that look-ups of members in large collections will read: the buckets
    /// first, then the members. What the keys' records are is known by now.
    #[inline]
    fn prefetch_members(&self, server: &Server, requests: &[(Planned<'_>, usize)]) {
        let db = self.session.db;
        let named = |(key, _): &(Planned<'_>, usize)| Some((key.hash, key.member?));
        let mut large: smallvec::SmallVec<[(u64, u64); BATCH_MAX]> = smallvec::SmallVec::new();
        large.extend(
            requests
                .iter()
                .filter_map(named)
                .filter(|&(key, member)| server.keyspace.prefetch_member_bucket(db, key, member)),
        );
        for (key, member) in large {
            server.keyspace.prefetch_member(db, key, member);
        }
    }

    /// Runs the inline request with quotes that was parsed just now.
    #[cold]
    fn run_unquoted(
        &mut self,
        batch: Batch<'_>,
        consumed: usize,
        at: &mut usize,
        output: &mut Output,
    ) -> Option<Ended> {
        let request = Held::of(self.parser.inline_words().iter());
        let words = request.words();
        let planned = plan(batch.server, words, find(batch.server, words, None));
        self.run_requests(batch, &[(planned, *at + consumed)], at, output)
    }

    /// Runs requests in order, until one must wait or ends the connection.
    fn run_requests(
        &mut self,
        mut batch: Batch<'_>,
        requests: &[(Planned<'_>, usize)],
        at: &mut usize,
        output: &mut Output,
    ) -> Option<Ended> {
        let mut meter = Meter::start(batch);
        let mut written = output.len();
        let pause_bytes = OUTPUT_PAUSE_BYTES.min(self.reply_bytes_max(batch.settings) - 1);
        for (planned, end) in requests {
            let Some(words) = planned.words else {
                *at = *end;
                continue;
            };
            let request = Request { words, entry: planned.entry, hash: planned.hash };
            if planned.entry.is_none() && is_of_a_browser(words) {
                tracing::warn!(
                    address = self.session.client.address,
                    "closed a connection that sent HTTP among requests, perhaps an attack"
                );
                self.session.closing = true;
                return Some(Ended::Closing);
            }
            meter.before(planned.entry, self);
            let ran = batch.run(request, &mut self.session, output);
            match ran {
                Ran::Done | Ran::Brief | Ran::Refused | Ran::Queued => {
                    let (read, before) = (*end - *at, written);
                    *at = *end;
                    written = output.len();
                    if matches!(ran, Ran::Done | Ran::Brief) {
                        batch.note_large(request, &self.session, read, written - before);
                    }
                    meter.answered(ran, request, self);
                    if !planned.keyed {
                        batch = batch.renewed();
                        self.session.keep_up(&batch.server.acl);
                    }
                    if self.session.closing {
                        meter.finish(self);
                        return Some(Ended::Closing);
                    }
                    if output.len() > pause_bytes {
                        meter.finish(self);
                        return Some(Ended::Full);
                    }
                }
                waits @ (Ran::Rest(_) | Ran::Blocked) => {
                    *at = *end;
                    meter.answered(waits, request, self);
                    meter.finish(self);
                    return Some(Ended::Waits(waits));
                }
                waits => {
                    meter.finish(self);
                    return Some(Ended::Waits(waits));
                }
            }
        }
        meter.finish(self);
        None
    }

    /// Answers input that is no protocol, and ends the connection.
    #[cold]
    fn protocol_error(
        &mut self,
        batch: Batch<'_>,
        error: &ProtocolError,
        output: &mut Output,
    ) -> Ended {
        batch.worker.stats().protocol_errors.add(1);
        Reply::new(output, self.session.dialect).error(format_args!("ERR {error}"));
        self.session.closing = true;
        Ended::Closing
    }

    /// Messages from others go out between replies.
    fn deliver(&mut self) -> io::Result<()> {
        if self.session.client.killed() == Kill::Now {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if self.session.client.outbox_bytes() > 0 {
            if self.output.is_empty() {
                self.output = self.worker.scratch.borrow_mut().spare();
            }
            self.session.client.take_messages(&mut self.output, self.session.dialect);
            self.write_waiting()?;
            self.keep_to_limits()?;
        }
        Ok(())
    }

    /// Fails if more output waits than may.
    fn keep_to_limits(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            self.soft_since = None;
            self.session.client.output_bytes.store(0, Ordering::Relaxed);
            return Ok(());
        }
        let settings = self.worker.settings();
        let now = self.worker.server.clock.now();
        if self.over_limit(&settings, self.output.len(), now) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Writes the replies that were held until the others had their turn.
    fn write_held(&mut self) -> io::Result<()> {
        self.holds_replies = false;
        self.worker.turns.release();
        self.write_output()?;
        self.keep_to_limits()
    }

    /// Writes what waits; its memory is the next one's then.
    fn write_output(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut output = std::mem::take(&mut self.output);
        let written = self.write(&mut output);
        if output.is_empty() {
            self.worker.scratch.borrow_mut().take_back(output);
        } else {
            self.output = output;
        }
        written
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        let written = self.write_output();
        let waiting = self.output.len() as u64;
        let client = &self.session.client;
        if client.output_bytes.swap(waiting, Ordering::Relaxed) > waiting {
            // A client that reads is not idle.
            client.last_seen.store(self.worker.server.clock.now(), Ordering::Relaxed);
        }
        written
    }

    /// Writes as much as the socket takes and one turn allows.
    fn write(&self, output: &mut Output) -> io::Result<()> {
        let mut left = TURN_BYTES_MAX;
        while !output.is_empty() && left > 0 {
            let pieces = first_bytes(output.chunks(), left);
            let Some(written) = self.socket.try_write(pieces)? else { break };
            output.advance(written);
            left = left.saturating_sub(written);
            let stats = self.worker.stats();
            stats.writes.add(1);
            stats.bytes_out.add(written as u64);
            self.session.client.bytes_out.add(written as u64);
        }
        Ok(())
    }

    /// Writes what is left before the connection ends, as long as the client reads.
    async fn drain(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        while !self.output.is_empty() && self.session.client.killed() != Kill::Now {
            let writable = poll_fn(|context| self.socket.poll_writable(context));
            let ready = tokio::select! {
                ready = tokio::time::timeout(PATIENCE, writable) => matches!(ready, Ok(Ok(()))),
                () = self.session.client.rung() => continue,
            };
            if !ready || self.write_waiting().is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    /// With so many bytes of output the connection ends at once.
    #[inline]
    fn reply_bytes_max(&self, settings: &Settings) -> usize {
        settings.reply_bytes_max(self.session.subscriptions.is_some())
    }

    /// Whether replies are more than may wait even for a moment; the connection ends without them.
    #[inline]
    fn outgrows(&self, settings: &Settings, replies: usize) -> bool {
        let outgrows = replies >= self.reply_bytes_max(settings);
        if outgrows {
            self.session.client.kill_for_output();
        }
        outgrows
    }

    /// Drops replies that are more than may wait even for a moment.
    fn drop_outgrown(&mut self) {
        if self.outgrows(&self.worker.settings(), self.output.len()) {
            self.output = Output::new();
        }
    }

    /// Whether more output waits for this client than it may.
    fn over_limit(&mut self, settings: &Settings, waiting: usize, now: u64) -> bool {
        self.session.client.output_bytes.store(waiting as u64, Ordering::Relaxed);
        let limit = settings.output_limit(self.session.subscriptions.is_some());
        let unknown = !self.session.authenticated && waiting > OUTPUT_BEFORE_AUTH_BYTES;
        let over = unknown || limit.is_passed(waiting as u64, &mut self.soft_since, now);
        if over {
            self.worker.stats().output_overflows.add(1);
        }
        over
    }
}

/// Puts input behind a tail, which with the word that has begun is to be `announced` bytes long.
fn keep(tail: &mut Vec<u8>, announced: usize, input: &[u8]) {
    let (len, capacity) = (tail.len() + input.len(), tail.capacity());
    if len > capacity {
        tail.reserve_exact(grown(len, capacity, announced) - tail.len());
    }
    tail.extend_from_slice(input);
}

/// How large the buffer of a tail becomes that is to take `len` bytes, more than its `capacity`.
///
/// It grows by steps that end with the word that has begun, so that how large it is depends on the
/// requests alone. None is wider than [`TAIL_LEAP`] times what has come, whatever is announced.
fn grown(len: usize, capacity: usize, announced: usize) -> usize {
    // A quarter more at a time would be too little where many words come.
    if announced <= len || announced < capacity + capacity / 4 {
        return len * 2;
    }
    let leap = if len >= TAIL_LEAPS_BYTES_MIN { TAIL_LEAP } else { 2 };
    // What comes behind a long word must not make it grow again.
    let behind = if announced > TAIL_LEAPS_BYTES_MIN { READ_BYTES } else { 0 };
    let mut wanted = announced + behind;
    while wanted > len * leap {
        wanted /= leap;
    }
    wanted
}

/// The pieces as far as they are within the first `left` bytes.
#[inline]
fn first_bytes<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    mut left: usize,
) -> impl Iterator<Item = &'a [u8]> {
    pieces.map_while(move |piece| {
        let piece = &piece[..piece.len().min(left)];
        left -= piece.len();
        (!piece.is_empty()).then_some(piece)
    })
}

/// A request of a batch on its way.
struct Planned<'a> {
    /// `None`: an empty line.
    words: Option<Words<'a>>,
    entry: Option<&'a CommandEntry>,
    /// The hash of its key, or of a script's first one.
    hash: u64,
    /// Whether its key is its first word.
    keyed: bool,
    /// Whether its key's memory is to be asked for.
    is_ahead: bool,
    /// The hash of the member it names.
    member: Option<u64>,
}

impl Planned<'_> {
    /// An empty line.
    const NOTHING: Self =
        Planned { words: None, entry: None, hash: 0, keyed: false, is_ahead: false, member: None };
}

fn limits_of(settings: &Settings, authenticated: bool) -> Limits {
    Limits {
        bulk_bytes_max: settings.bulk_bytes_max,
        args_max: ARGS_MAX,
        before_auth: !authenticated,
        ..Limits::DEFAULT
    }
}

/// Finds a request's command; most requests of a batch have that of the one before.
#[inline]
fn find<'a>(
    server: &'a Server,
    words: Words<'_>,
    last: Option<&'a CommandEntry>,
) -> Option<&'a CommandEntry> {
    let name = words.get(0)?;
    match last {
        Some(entry) if entry.called.as_bytes().eq_ignore_ascii_case(name) => Some(entry),
        _ => server.table.find(name),
    }
}

#[inline]
fn plan<'a>(server: &Server, words: Words<'a>, entry: Option<&'a CommandEntry>) -> Planned<'a> {
    let shape = entry.map(|entry| entry.shape);
    let key = words.get(1).filter(|_| shape == Some(Shape::FirstWord));
    if key.is_none()
        && let Some(entry) = entry
        && matches!(entry.command.run, Run::Script)
    {
        return plan_script(server, words, entry);
    }
    let hash = key.map_or(0, |key| server.keyspace.hash(key));
    let member = key.and(entry).and_then(|entry| words.get(usize::from(entry.command.member?)));
    let member = member.map(|member| server.keyspace.hash(member));
    let keyed = key.is_some();
    Planned { words: Some(words), entry, hash, keyed, is_ahead: keyed, member }
}

/// A script's first key is likely to be looked up.
fn plan_script<'a>(server: &Server, words: Words<'a>, entry: &'a CommandEntry) -> Planned<'a> {
    let key = words.get(3).filter(|_| words.get(2) != Some(b"0"));
    let hash = key.map_or(0, |key| server.keyspace.hash(key));
    let (words, entry, is_ahead) = (Some(words), Some(entry), key.is_some());
    Planned { words, entry, hash, is_ahead, ..Planned::NOTHING }
}

/// A request, with its command and the hash of its key.
pub fn look_up<'a>(server: &'a Server, words: Words<'a>) -> Request<'a> {
    let planned = plan(server, words, find(server, words, None));
    Request { words, entry: planned.entry, hash: planned.hash }
}

/// Whether a request is a line of HTTP behind the first one. Browsers can be made to send such
/// lines to any port, with commands among them.
#[cold]
fn is_of_a_browser(words: Words<'_>) -> bool {
    let name = words.get(0).unwrap_or_default();
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"host:")
}

/// Measures how long commands take. Reading the clock costs as much as a GET, so that brief
/// requests of one command are measured together as long as they follow one another.
struct Meter<'a> {
    batch: Batch<'a>,
    since: u64,
    /// When the last ones were booked, if nothing but commands has come since.
    booked: u64,
    running: Option<(&'a CommandEntry, u64)>,
}

impl<'a> Meter<'a> {
    fn start(batch: Batch<'a>) -> Meter<'a> {
        Meter { batch, since: 0, booked: 0, running: None }
    }

    #[inline]
    fn before(&mut self, entry: Option<&'a CommandEntry>, connection: &mut Connection) {
        let same = match (self.running, entry) {
            (Some((running, _)), Some(entry)) => std::ptr::eq(running, entry),
            _ => false,
        };
        if !same {
            self.finish(connection);
            // What is only queued takes no time.
            if connection.session.is_queueing()
                && entry.is_some_and(|entry| !runs_at_once(entry.command))
            {
                self.booked = 0;
                return;
            }
            self.since = match std::mem::take(&mut connection.session.began_nanos) {
                0 if self.booked > 0 => self.booked,
                0 => self.batch.server.clock.nanos(),
                began => began,
            };
            self.running = entry.map(|entry| (entry, 0));
        }
    }

    /// Counts a request that has run. What was refused or queued took no time of its command; what
    /// waits is counted when its wait is over.
    #[inline]
    fn answered(&mut self, ran: Ran, request: Request<'_>, connection: &mut Connection) {
        match ran {
            Ran::Refused | Ran::Queued => self.refused(request, connection),
            Ran::Blocked => self.blocked(connection),
            _ => self.after(ran, request, connection),
        }
    }

    /// Notes with a request that begins to wait how long it took to see that it must.
    #[cold]
    fn blocked(&mut self, connection: &mut Connection) {
        let was_alone = self.running.is_none_or(|(_, calls)| calls == 0);
        self.finish(connection);
        let since = if was_alone { self.since } else { self.booked };
        self.booked = 0;
        if let Some(wait) = &mut connection.session.wait {
            wait.ran_nanos = self.batch.server.clock.nanos().saturating_sub(since);
        }
    }

    #[cold]
    fn refused(&mut self, request: Request<'_>, connection: &Connection) {
        self.finish(connection);
        self.booked = 0;
        let Some(entry) = request.entry else { return };
        let sub = Some(called(entry.command, request.words));
        let sub = sub.filter(|&command| !std::ptr::eq(command, entry.command));
        connection.session.client.set_last_command(entry.command, sub);
    }

    #[inline]
    fn after(&mut self, ran: Ran, request: Request<'_>, connection: &Connection) {
        let Some((entry, calls)) = &mut self.running else { return };
        *calls += 1;
        let is_brief = ran == Ran::Brief || entry.is_brief(request.words.len());
        if !is_brief || self.batch.settings.measures_each() {
            let command = called(entry.command, request.words);
            let micros = self.book(Some(command), connection) / 1000;
            self.batch.note_slow(request, &connection.session, micros);
        }
    }

    /// Books the time since the first of the commands that ran.
    #[inline]
    fn finish(&mut self, connection: &Connection) {
        self.book(None, connection);
    }

    /// The same, for a subcommand of the command that ran if one is given; returns the time.
    #[inline]
    fn book(&mut self, sub: Option<&'static Command>, connection: &Connection) -> u64 {
        let Some((entry, calls)) = self.running.take() else { return 0 };
        if calls == 0 {
            return 0;
        }
        self.booked = self.batch.server.clock.nanos();
        let nanos = self.booked.saturating_sub(self.since);
        let command = sub.unwrap_or(entry.command);
        self.batch.book(entry, command, (calls, nanos), &connection.session.client);
        nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    fn size_of_future<F>(_: impl FnOnce(Box<Connection>) -> F) -> usize {
        size_of::<F>()
    }

    /// However a request comes in pieces, the buffer of its first part is as long as itself.
    #[test]
    fn a_buffer_for_a_large_word_is_as_long_as_that() {
        const ANNOUNCED: usize = 1_000_000;
        for first in [10, 1000, 65_536, 500_000, 700_000] {
            for step in [999, 16_384, 65_536] {
                let mut tail = Vec::new();
                keep(&mut tail, ANNOUNCED, &vec![b'x'; first]);
                while tail.len() < ANNOUNCED - 2 {
                    let rest = ANNOUNCED - 2 - tail.len();
                    keep(&mut tail, ANNOUNCED, &vec![b'x'; step.min(rest)]);
                }
                assert_eq!(tail.capacity(), ANNOUNCED, "{first} then {step}");
            }
        }
    }

    /// What a word of so many bytes costs that comes in pieces of one read: how large the buffer
    /// is after each growth, and how much had to be copied for it.
    fn growths(announced: usize) -> Vec<(usize, usize)> {
        let mut growths: Vec<(usize, usize)> = Vec::new();
        for len in (READ_BYTES..announced + READ_BYTES).step_by(READ_BYTES) {
            let capacity = growths.last().map_or(0, |&(capacity, _)| capacity);
            if len > capacity {
                growths.push((grown(len, capacity, announced), len - READ_BYTES));
                let (grown, _) = growths[growths.len() - 1];
                assert!(grown >= len, "{grown} for {len} of {announced}");
                assert!(grown <= TAIL_LEAP * len, "{grown} for {len} of {announced}");
            }
        }
        growths
    }

    /// Who announces 512 MiB and sends 1 MiB of it does not get a buffer for all.
    #[test]
    fn a_buffer_is_no_larger_than_some_times_what_has_come() {
        for announced in [5 << 20, 64 << 20, 81 << 20, 100_000_007, 512 << 20] {
            let growths = growths(announced);
            let (last, _) = growths[growths.len() - 1];
            assert_eq!(last, announced + READ_BYTES, "it ends with the word");
        }
    }

    #[test]
    fn a_long_word_is_copied_seldom_and_in_small_parts() {
        for announced in [5 << 20, 64 << 20, 81 << 20, 100_000_007, 512 << 20] {
            let copies: Vec<usize> =
                growths(announced).into_iter().map(|(_, copied)| copied).collect();
            let most = announced / TAIL_LEAP + 2 * TAIL_LEAPS_BYTES_MIN;
            assert!(copies.iter().all(|&copied| copied <= most), "{announced}: {copies:?}");
            assert!(copies.iter().sum::<usize>() <= 2 * most, "{announced}: {copies:?}");
        }
    }

    /// Ten thousand idle connections are nothing special, so a field more is to be thought over.
    #[test]
    fn an_idle_connection_is_small() {
        let task = size_of_future(Connection::run);
        assert!(task <= 128, "{task} bytes");
        let state = size_of::<Connection>() + size_of::<Client>();
        assert!(state <= 584, "{state} bytes");
    }
}

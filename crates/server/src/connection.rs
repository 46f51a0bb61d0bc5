//! One connection, from accept to close: read, run what was read as a batch, write, wait.
//!
//! Input is read into the worker's scratch buffer and run from there; only an unfinished tail is
//! kept with the connection, so an idle one owns no buffers. Replies of a batch are collected in
//! the worker's scratch output and written at once, or after the turns of others
//! ([`crate::turns`]); what the socket does not take is kept.
//!
//! Here is what reads and runs; `planned` is what is known of requests before, `meter` how long
//! they took, `waits` what they wait for, `tail` what waits for its rest, `writes` what goes out.
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

use command::Flags;
use protocol::http::looks_like_http;
use protocol::{Limits, Output, Parsed, Parser, ProtocolError, Reply, Span, Words};

use crate::client::Kill;
use crate::execute::{Batch, Ran, Request};
use crate::long_work::Held;
use crate::server::{CommandEntry, Server};
use crate::session::Session;
use crate::settings::Settings;
use crate::socket::Socket;
use crate::worker::{Arriving, BATCH_MAX, IDLE_MILLIS, READ_BYTES, Scratch, Worker};

mod meter;
mod planned;
mod tail;
mod waits;
mod writes;

pub use planned::look_up;

use meter::Meter;
use planned::{Planned, find, is_of_a_browser, plan};
use tail::keep;

/// With so much output waiting, a connection's further requests wait too. A buffer that grows
/// takes up to three times as much for a moment.
const OUTPUT_PAUSE_BYTES: usize = 16 << 20;

/// Longer output is written at once: to wake the client is little beside it.
const OUTPUT_HELD_BYTES_MAX: usize = 64 << 10;

/// Words of one request.
const ARGS_MAX: usize = 1024 * 1024;

/// A tail buffer larger than this is given back when it is empty.
const TAIL_KEPT_BYTES: usize = 16 << 10;

/// A tail buffer larger than this is given back in the background.
const TAIL_DROPPED_BYTES_MAX: usize = 1 << 20;

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
}

fn limits_of(settings: &Settings, authenticated: bool) -> Limits {
    Limits {
        bulk_bytes_max: settings.bulk_bytes_max,
        args_max: ARGS_MAX,
        before_auth: !authenticated,
        ..Limits::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    fn size_of_future<F>(_: impl FnOnce(Box<Connection>) -> F) -> usize {
        size_of::<F>()
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

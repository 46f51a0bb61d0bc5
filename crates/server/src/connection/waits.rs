//! Requests that must wait: for shards, for keys, for a pause or for time to pass.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::{Output, Parsed};

use super::meter::Meter;
use super::planned::look_up;
use super::{Connection, News, limits_of};
use crate::blocking::{Blocked, Wait};
use crate::client::{Kill, Unblock, Waits};
use crate::execute::{Batch, Ran, called};
use crate::long_work::Held;
use crate::server::Server;
use crate::worker::READ_BYTES;

impl Connection {
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
    pub(super) async fn wait(&mut self, ran: Ran) {
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
}

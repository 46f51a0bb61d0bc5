//! What is counted and logged of commands that have run.

use command::{Command, Flags};

use super::{Batch, Request, called};
use crate::client::Client;
use crate::latency;
use crate::secrets;
use crate::server::CommandEntry;
use crate::session::Session;
use crate::settings::passes;
use crate::slowlog::{Slow, shortened};

/// The logs of commands.
#[derive(Clone, Copy)]
enum LogKind {
    Slow,
    LargeRequest,
    LargeReply,
}

impl Batch<'_> {
    /// Enters a command that took long into the slow log.
    #[inline]
    pub fn note_slow(&self, request: Request<'_>, session: &Session, micros: u64) {
        if passes(micros, self.settings.slowlog_micros) {
            self.log(LogKind::Slow, request, session, micros);
        }
    }

    /// Enters a command with a large request or reply into the logs of such.
    #[inline]
    pub fn note_large(
        &self,
        request: Request<'_>,
        session: &Session,
        request_bytes: usize,
        reply_bytes: usize,
    ) {
        let (asked, answered) = (request_bytes as u64, reply_bytes as u64);
        if passes(asked, self.settings.request_log_bytes) {
            self.log(LogKind::LargeRequest, request, session, asked);
        }
        if passes(answered, self.settings.reply_log_bytes) {
            self.log(LogKind::LargeReply, request, session, answered);
        }
    }

    #[cold]
    fn log(&self, kind: LogKind, request: Request<'_>, session: &Session, amount: u64) {
        let Some(entry) = request.entry else { return };
        // The command itself may have changed what is logged.
        let settings = self.worker.settings();
        let server = self.server;
        let (log, threshold, entries_max) = match kind {
            LogKind::Slow => {
                (&server.slowlog, settings.slowlog_micros, settings.slowlog_entries_max)
            }
            LogKind::LargeRequest => {
                let entries_max = settings.request_log_entries_max;
                (&server.large_requests, settings.request_log_bytes, entries_max)
            }
            LogKind::LargeReply => {
                (&server.large_replies, settings.reply_log_bytes, settings.reply_log_entries_max)
            }
        };
        let flags = called(entry.command, request.words).flags;
        if flags.has(Flags::SKIP_SLOWLOG) || !passes(amount, threshold) {
            return;
        }
        let slow = Slow {
            id: 0,
            unix_seconds: self.now / 1000,
            amount,
            words: shortened(secrets::shown(entry.command.name, request.words)),
            address: session.client.address.clone(),
            name: session.client.names().name,
        };
        log.add(slow, entries_max);
    }

    /// Counts calls of a command, the entry's or a subcommand of it, and how long they took, in ns.
    pub fn book(
        &self,
        entry: &CommandEntry,
        command: &'static Command,
        (calls, nanos): (u64, u64),
        client: &Client,
    ) {
        if client.admin {
            self.worker.stats().admin_commands.add(calls);
        }
        client.commands.add(calls);
        note_called(entry, command, client);
        self.book_run(entry, command, (calls, nanos));
    }

    /// The same, for commands that no client has sent.
    pub fn book_run(
        &self,
        entry: &CommandEntry,
        command: &'static Command,
        (calls, nanos): (u64, u64),
    ) {
        let stats = self.worker.stats();
        stats.commands.add(calls);
        let each = &stats.each[entry.number_of(counted(entry.command, command))];
        each.calls.add(calls);
        each.nanos.add(nanos);
        if self.settings.latency_tracking {
            each.latency.get_or_init(Default::default).record(nanos / calls, calls);
        }
        let fast = command.flags.has(Flags::FAST);
        let event = if fast { latency::FAST_COMMAND } else { latency::COMMAND };
        self.worker.note_latency(self.settings, event, nanos / 1000);
    }

    /// How many commands of a kind have been booked.
    pub fn calls_until_now(&self, entry: &CommandEntry, command: &'static Command) -> u64 {
        self.worker.stats().each[entry.number_of(command)].calls.get()
    }

    /// Counts a command whose time another one stands for.
    pub fn book_unmeasured(&self, entry: &CommandEntry, command: &'static Command) {
        let stats = self.worker.stats();
        stats.commands.add(1);
        stats.each[entry.number_of(command)].calls.add(1);
    }

    /// Books the time of commands that are counted already, so many of `nanos` each.
    pub fn book_others(
        &self,
        entry: &CommandEntry,
        command: &'static Command,
        (calls, nanos): (u64, u64),
    ) {
        let each = &self.worker.stats().each[entry.number_of(command)];
        each.nanos.add(nanos.wrapping_mul(calls));
        if self.settings.latency_tracking {
            each.latency.get_or_init(Default::default).record(nanos, calls);
        }
    }
}

/// Notes which command a client has called.
pub(super) fn note_called(entry: &CommandEntry, command: &'static Command, client: &Client) {
    let command = counted(entry.command, command);
    let sub = Some(command).filter(|_| !std::ptr::eq(entry.command, command));
    client.set_last_command(entry.command, sub);
}

/// As what a call is counted and shown: what DEBUG is asked for are no commands in Redis.
#[inline]
pub(super) fn counted(container: &'static Command, command: &'static Command) -> &'static Command {
    if container.flags.has(Flags::PROTECTED) { container } else { command }
}

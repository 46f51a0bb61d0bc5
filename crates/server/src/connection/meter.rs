//! How long the requests of a batch took.

use command::Command;

use super::Connection;
use crate::execute::{Batch, Ran, Request, called};
use crate::server::CommandEntry;
use crate::transaction::runs_at_once;

/// Measures how long commands take. Reading the clock costs as much as a GET, so that brief
/// requests of one command are measured together as long as they follow one another.
pub(super) struct Meter<'a> {
    batch: Batch<'a>,
    since: u64,
    /// When the last ones were booked, if nothing but commands has come since.
    booked: u64,
    running: Option<(&'a CommandEntry, u64)>,
}

impl<'a> Meter<'a> {
    pub(super) fn start(batch: Batch<'a>) -> Meter<'a> {
        Meter { batch, since: 0, booked: 0, running: None }
    }

    #[inline]
    pub(super) fn before(&mut self, entry: Option<&'a CommandEntry>, connection: &mut Connection) {
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
    pub(super) fn answered(&mut self, ran: Ran, request: Request<'_>, connection: &mut Connection) {
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
    pub(super) fn finish(&mut self, connection: &Connection) {
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

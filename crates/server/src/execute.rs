//! Running one request: may it run (`admission`), which shards does it need, what did it do, and
//! what is counted of it (`accounts`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use command::{Args, Command, CommandError, Flags, Run, Shape, Tried, WORD_STEPS};
use keyspace::{
    Frame, Import, Intake, Leftovers, Millis, Mode, Overdue, Plan, Tally, View, Waiter,
};
use protocol::{Output, Reply, Words};
use smallvec::SmallVec;

use crate::blocking::{Blocked, Permit, Wait};
use crate::commands::{Call, Next};
use crate::executor::Executor;
use crate::long_work::Held;
use crate::pubsub::is_publish;
use crate::secrets;
use crate::server::{CommandEntry, Server};
use crate::session::Session;
use crate::settings::Settings;

mod accounts;
mod admission;

use accounts::{counted, note_called};
use admission::unknown_subcommand;

/// A request of up to so many steps is brief: some ten microseconds at most.
const BRIEF_STEPS_MAX: u64 = 128;

/// Values up to this size are dropped where they were replaced.
const DROP_HERE_BYTES_MAX: usize = 64 << 10;

/// The same in small pieces of memory, of which some values have many.
const DROP_HERE_PIECES_MAX: usize = 64;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It is answered.
    Done,
    /// It is answered, and was brief whatever its row says: it took few steps by the estimate.
    Brief,
    /// It is answered with an error, before it ran.
    Refused,
    /// It is answered, and will run with EXEC.
    Queued,
    /// A gate is busy, or it would take long: it is to be run by waiting. Nothing was written.
    Busy,
    /// Commands like it are paused for so many ms. Nothing was written.
    Paused(Millis),
    /// It is answered; the connection does nothing more for so many ms.
    Rest(Millis),
    /// It is to be run again in so many ms. Nothing was written.
    Later(Millis),
    /// It waits for its keys, see [`Session::wait`]. Nothing was written.
    Blocked,
}

/// What is the same for all requests of a batch.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// The server.
    pub server: &'a Server,
    /// Who runs the batch.
    pub worker: &'a Executor,
    /// The settings in force.
    pub settings: &'a Settings,
    /// What time it is.
    pub now: Millis,
    /// Whether no limit of memory, no pause and no monitor concerns its commands.
    pub undisturbed: bool,
    /// How data of another server is treated, if it is not the source's own.
    pub intake: Intake,
}

/// One request, looked up.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Its words.
    pub words: Words<'a>,
    /// Its command, if there is one of that name.
    pub entry: Option<&'a CommandEntry>,
    /// The hash of its key, if its shape is [`Shape::FirstWord`].
    pub hash: u64,
}

/// The shards that a request of the keyspace needs, and how.
pub struct Way {
    /// Which shards.
    pub plan: Plan,
    /// With others or alone.
    pub mode: Mode,
    /// The hashes of its keys, if there may be several.
    pub hashes: SmallVec<[u64; 16]>,
}

impl<'a> Batch<'a> {
    /// A batch that begins now.
    #[must_use]
    pub fn begin(server: &'a Server, worker: &'a Executor, settings: &'a Settings) -> Batch<'a> {
        Batch::at(server, worker, settings, server.clock.now()).renewed()
    }

    /// A batch that runs at this moment, which nothing is known to leave undisturbed.
    #[must_use]
    pub fn at(
        server: &'a Server,
        worker: &'a Executor,
        settings: &'a Settings,
        now: Millis,
    ) -> Batch<'a> {
        let intake = intake_of(server, settings);
        Batch { server, worker, settings, now, undisturbed: false, intake }
    }

    /// The batch after a command that may have changed what concerns the others.
    #[must_use]
    pub fn renewed(self) -> Batch<'a> {
        let server = self.server;
        let undisturbed =
            self.settings.maxmemory == 0 && !server.pause.is_on() && !server.monitor.is_watched();
        Batch { undisturbed, intake: intake_of(server, self.settings), ..self }
    }

    /// The frame of a transaction of a session.
    #[must_use]
    #[inline(always)]
    pub fn frame(&self, session: &Session) -> Frame {
        Frame {
            db: session.db,
            now: self.now,
            // Not one for the whole batch: all of a pipeline would choose the same.
            chance: self.worker.chance(),
            access: self.settings.access,
            touch: !session.no_touch,
            origin: session.client.id,
            by_script: session.is_in_script,
            is_paused: !self.undisturbed && self.server.pause.holds(self.now, true).is_some(),
            layout: self.settings.layout,
            intake: match self.intake.import {
                Import::On if session.imports => Intake { import: Import::Source, ..self.intake },
                _ => self.intake,
            },
        }
    }

    /// Runs a request as far as that goes without waiting.
    #[inline]
    pub fn run(&self, request: Request<'a>, session: &mut Session, output: &mut Output) -> Ran {
        match request.entry {
            Some(entry)
                if entry.shape == Shape::FirstWord
                    && self.undisturbed
                    && session.is_plain()
                    && entry.command.arity.allows(request.words.len()) =>
            {
                self.run_on_one_shard(request, entry, session, output)
            }
            _ => self.run_with_care(request, session, output),
        }
    }

    /// The short way of a command with one key, when nothing stands against it.
    #[inline]
    fn run_on_one_shard(
        &self,
        request: Request<'a>,
        entry: &CommandEntry,
        session: &Session,
        output: &mut Output,
    ) -> Ran {
        let keyspace = self.server.keyspace;
        let command = entry.command;
        let args = Args::new(request.words, 1);
        if self.is_wordy(command, args) {
            return Ran::Busy;
        }
        let mode = if command.writes() { Mode::Exclusive } else { Mode::Shared };
        let id = keyspace.shard_of(request.hash);
        let mark = output.mark();
        let mut failed = None;
        let run = |view: &mut View<'_>| {
            view.know(request.words.get(1).unwrap_or_default(), request.hash);
            let steps = self.steps(command, args, view);
            if steps.is_some_and(|steps| steps >= self.settings.long_command_steps) {
                return Ran::Busy;
            }
            let mut reply = Reply::new(output, session.dialect);
            let done = guarded(|| match command.run {
                Run::Read(read) => read(args, view, &mut reply),
                Run::Write(write) => write(args, view, &mut reply),
                Run::Block(_)
                | Run::Import(_)
                | Run::Transaction
                | Run::Script
                | Run::Session
                | Run::Container => Ok(()),
            });
            failed = done.err();
            if is_few(steps, args) { Ran::Brief } else { Ran::Done }
        };
        let settle = |tally| self.settle(tally, command);
        let ran = keyspace.try_in_one(self.frame(session), id, mode, run, settle);
        if let Some(error) = failed {
            self.refuse(request, false, error, session, output, mark);
        }
        ran.unwrap_or(Ran::Busy)
    }

    /// The long way: everything is asked that may stand against the request.
    #[inline(never)]
    fn run_with_care(
        &self,
        request: Request<'a>,
        session: &mut Session,
        output: &mut Output,
    ) -> Ran {
        let mark = output.mark();
        let admitted = self.admit(request, session);
        let rejected = admitted.is_err();
        let queued = match &admitted {
            Ok((entry, command)) => self.queue(request, entry, command, session, output),
            Err(_) => Ok(None),
        };
        let rejected = rejected || queued.is_err();
        let answered = match queued {
            Ok(Some(ran)) => Ok(ran),
            Err(error) => Err(error),
            Ok(None) => admitted.and_then(|(entry, command)| match command.run {
                Run::Read(_)
                | Run::Write(_)
                | Run::Block(_)
                | Run::Import(_)
                | Run::Transaction => {
                    self.run_on_keyspace(request, entry, command, session, output)
                }
                Run::Script => self.run_script(request, entry, command, session, output),
                Run::Session | Run::Container => {
                    self.run_on_session(request, entry, command, session, output)
                }
            }),
        };
        let answered = if rejected {
            answered.map_err(|error| self.refuse_queued(request, error, session))
        } else {
            answered
        };
        match answered {
            Ok(Ran::Busy) => Ran::Busy,
            Ok(waits @ (Ran::Paused(_) | Ran::Later(_))) => waits,
            Ok(Ran::Blocked) => {
                self.begin_wait(session);
                Ran::Blocked
            }
            Ok(ran) => {
                self.finish(request, session, output, mark);
                ran
            }
            Err(error) => {
                self.refuse(request, rejected, error, session, output, mark);
                self.finish(request, session, output, mark);
                if rejected { Ran::Refused } else { Ran::Done }
            }
        }
    }

    /// What holds for one command alone ends with it: that its reply is not kept, that CLIENT
    /// CACHING came before it.
    pub fn finish(
        &self,
        request: Request<'_>,
        session: &mut Session,
        output: &mut Output,
        mark: protocol::Mark,
    ) {
        if !session.keeps_reply() {
            output.rollback(mark);
        }
        // All commands of a transaction are one in this.
        if session.caching && !session.is_queueing() {
            let command = request.entry.map(|entry| called(entry.command, request.words));
            session.caching = command.is_some_and(|command| command.name == "CACHING");
        }
        // What it has led to comes behind its reply and before the next one.
        if session.client.outbox_bytes() > 0 {
            session.client.take_messages(output, session.dialect);
        }
    }

    /// Writes an error in the place of whatever reply was begun.
    #[cold]
    pub fn refuse(
        &self,
        request: Request<'_>,
        rejected: bool,
        error: CommandError,
        session: &Session,
        output: &mut Output,
        mark: protocol::Mark,
    ) {
        output.rollback(mark);
        Reply::new(output, session.dialect).error(&error);
        let known = !matches!(error, CommandError::UnknownSubcommand { .. });
        let entry = request.entry.filter(|_| known);
        let number = entry.map(|entry| {
            entry.number_of(counted(entry.command, called(entry.command, request.words)))
        });
        self.worker.count_error(number, rejected, &error);
    }

    #[cold]
    fn tell_monitors(
        &self,
        entry: &CommandEntry,
        command: &Command,
        session: &Session,
        words: Words<'_>,
    ) {
        if !command.flags.has(Flags::SKIP_MONITOR) && !command.flags.has(Flags::ADMIN) {
            self.show_monitors(entry, session, words);
        }
    }

    /// Shows a request to the monitors, whatever its row says of that.
    pub fn show_monitors(&self, entry: &CommandEntry, session: &Session, words: Words<'_>) {
        let shown = secrets::shown(entry.command.name, words);
        let address = if session.is_in_script { "lua" } else { &session.client.address };
        let by = (session.db, address);
        self.server.monitor.tell(self.server.clock.unix_micros(), by, shown);
    }

    /// Whether commands that may need memory are refused now.
    #[must_use]
    #[inline]
    pub fn is_out_of_memory(&self) -> bool {
        let limit = self.settings.maxmemory;
        limit > 0 && memory::heap::used_bytes() as u64 > limit
    }

    /// The way into the keyspace that a request needs.
    ///
    /// None of the shards if its words do not say where its keys are: then its function refuses
    /// them, in the order and the words of that command.
    pub fn way(&self, request: Request<'_>, command: &Command, session: &Session) -> Way {
        let keyspace = self.server.keyspace;
        if matches!(command.run, Run::Transaction)
            && let Some(transaction) = session.transaction.as_ref().filter(|one| one.is_queueing())
        {
            return transaction.way(keyspace);
        }
        let mode = mode_of(command, request.words);
        let shape = request.entry.map_or(Shape::Specs, |entry| entry.shape);
        let mut hashes = SmallVec::new();
        let plan = match shape {
            Shape::FirstWord => Plan::One(keyspace.shard_of(request.hash)),
            _ if command.enter.is_all(request.words) => Plan::All,
            _ => {
                let positions = command.key_positions(request.words).unwrap_or_default();
                let keys = positions.iter().filter_map(|&at| request.words.get(at));
                hashes.extend(keys.map(|key| {
                    let hash = keyspace.hash(key);
                    keyspace.prefetch_gate(hash);
                    hash
                }));
                keyspace.plan(hashes.iter().copied())
            }
        };
        Way { plan, mode, hashes }
    }

    #[inline]
    fn run_on_keyspace(
        &self,
        request: Request<'a>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &mut Session,
        output: &mut Output,
    ) -> Result<Ran, CommandError> {
        let writes = match (command.run, &session.transaction) {
            (Run::Transaction, Some(transaction)) => transaction.is_heard(),
            _ => command.writes(),
        };
        if let Some(rest) = self.server.pause.holds(self.now, writes) {
            return Ok(held(entry, command, session, rest));
        }
        let args = args_of(request, entry, command);
        if self.is_wordy(command, args) || session.runs_scripts(command) {
            return Ok(Ran::Busy);
        }
        let way = self.way(request, command, session);
        let frame = self.frame(session);
        let Some(view) = self.server.keyspace.try_enter(frame, &way.plan, way.mode) else {
            return Ok(Ran::Busy);
        };
        if self.is_long(command, args, &view) || self.is_long_exec(command, session, &view) {
            return Ok(Ran::Busy);
        }
        view.prefetch(&way.hashes);
        self.run_in(view, request, entry, command, session, output)
    }

    /// Runs a request in its entered shards, publishes what it did and leaves them.
    #[inline]
    pub fn run_in(
        &self,
        mut view: View<'static>,
        request: Request<'a>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &mut Session,
        output: &mut Output,
    ) -> Result<Ran, CommandError> {
        let done = self.run_row(request, (entry, command), &mut view, session, output);
        // Nobody can come between the look and the wait: the gates are still held.
        if let (Ok(Tried::Waits(until)), Run::Block(block)) = (&done, command.run) {
            let (client, dialect) = (&session.client, session.dialect);
            // Who ends the wait counts it as a call of this command.
            note_called(entry, command, &session.client);
            let attempt = self.attempt(request, entry, command, session);
            let permit = Permit::new(&self.server.acl, &session.user, &attempt);
            let blocked = Blocked::new(client, dialect, block, request.words, permit, &view);
            let blocked = Arc::new(blocked);
            view.wait(blocked.awaited(), &(Arc::clone(&blocked) as Arc<dyn Waiter>));
            let number = entry.number_of(command);
            session.wait = Some(Box::new(Wait {
                blocked,
                until: *until,
                mute: false,
                number,
                ran_nanos: 0,
                is_counted: false,
            }));
        }
        let tally = view.publish();
        self.settle(tally, command);
        Ok(match done? {
            Tried::Answered => Ran::Done,
            Tried::Waits(_) => Ran::Blocked,
        })
    }

    /// Runs the function of a request's row in its entered shards.
    ///
    /// # Errors
    /// Those of the command. Part of a reply may be written.
    #[inline]
    pub fn run_row(
        &self,
        request: Request<'a>,
        (entry, command): (&CommandEntry, &'static Command),
        view: &mut View<'static>,
        session: &mut Session,
        output: &mut Output,
    ) -> Result<Tried, CommandError> {
        let is_exec = matches!(command.run, Run::Transaction) && session.is_queueing();
        if self.server.monitor.is_watched() && !is_exec {
            self.tell_monitors(entry, command, session, request.words);
        }
        if entry.shape == Shape::FirstWord
            && let Some(key) = request.words.get(1)
        {
            view.know(key, request.hash);
        }
        if matches!(command.run, Run::Transaction) {
            let done = self.run_transaction(request, command, view, session, output);
            // It comes behind what it ran.
            if self.server.monitor.is_watched() && is_exec {
                self.tell_monitors(entry, command, session, request.words);
            }
            return done.map(|()| Tried::Answered);
        }
        let args = args_of(request, entry, command);
        let mut reply = Reply::new(output, session.dialect);
        let done = guarded(|| match command.run {
            Run::Read(read) => read(args, view, &mut reply).map(|()| Tried::Answered),
            Run::Write(write) => write(args, view, &mut reply).map(|()| Tried::Answered),
            Run::Block(block) => (block.now)(args, view, &mut reply),
            Run::Import(import) => {
                import(args, session.fieldsets(), view, &mut reply).map(|()| Tried::Answered)
            }
            Run::Transaction | Run::Script | Run::Session | Run::Container => Ok(Tried::Answered),
        });
        if session.remembers_keys() && command.reads() {
            self.remember_keys(request, command, session);
        }
        done
    }

    /// Notes what holds for the reply of a command that waits.
    #[cold]
    fn begin_wait(&self, session: &mut Session) {
        let mute = !session.keeps_reply();
        session.caching = false;
        if let Some(wait) = &mut session.wait {
            wait.mute = mute;
        }
    }

    /// Tries a waiting request by itself, once it was called to.
    pub async fn run_called(&self, blocked: &Arc<Blocked>, session: &Session) {
        let mut view = self.enter_for(blocked, session).await;
        blocked.run_called(&mut view);
        self.settle(view.publish(), &Command::BASE);
    }

    /// Leaves the queues of a request whose wait is over.
    pub async fn leave_queues(&self, blocked: &Arc<Blocked>, session: &Session) {
        let mut view = self.enter_for(blocked, session).await;
        view.stop_waiting(blocked.awaited(), &(Arc::clone(blocked) as Arc<dyn Waiter>));
        self.settle(view.publish(), &Command::BASE);
    }

    async fn enter_for(&self, blocked: &Blocked, session: &Session) -> View<'a> {
        let keyspace = self.server.keyspace;
        let plan = keyspace.plan(blocked.keys().map(|key| keyspace.hash(key)));
        let frame = || Frame { now: self.server.clock.now(), ..self.frame(session) };
        keyspace.enter(&plan, Mode::Exclusive, frame).await
    }

    /// Notes which keys a client has read that is told of changes; their gates are still held.
    #[cold]
    fn remember_keys(&self, request: Request<'_>, command: &Command, session: &Session) {
        let keyspace = self.server.keyspace;
        let positions = command.key_positions(request.words).unwrap_or_default();
        let keys = positions.iter().filter_map(|&at| request.words.get(at));
        let keys = keys.map(|key| (keyspace.shard_of(keyspace.hash(key)), key));
        let keys_max = self.settings.tracked_keys_max;
        self.server.tracking.remember(session.client.id, keys, keys_max);
    }

    /// Waits for the shards of a request that found them busy, then runs it; on another thread if
    /// it takes long. `held` is what its words lie in.
    pub async fn run_waiting(
        &self,
        request: Request<'a>,
        held: &Arc<Held>,
        session: &mut Session,
        output: &mut Output,
    ) -> Ran {
        let mark = output.mark();
        if let Some(away) = session.away.take() {
            let ran = self.await_script(request, *away, session, output).await;
            return self.waited(request, ran, session, output, mark);
        }
        let admitted = self.admit(request, session);
        let Ok((entry, command)) = admitted else {
            return self.run(request, session, output);
        };
        if matches!(command.run, Run::Script) && !session.is_queueing() {
            let ran = self.run_script_waiting(request, command, session, output).await;
            return self.waited(request, ran, session, output, mark);
        }
        if matches!(command.run, Run::Session | Run::Container) {
            // It goes step by step; others have their turn between two of them.
            tokio::task::yield_now().await;
            return self.run(request, session, output);
        }
        if self.is_wordy(command, args_of(request, entry, command)) {
            let ran = self.run_elsewhere(request, held, entry, command, session, output).await;
            if ran != Ran::Busy {
                return ran;
            }
            // It has nothing to answer yet, so it is not much.
            return self.run_here(request, held, (entry, command), false, session, output).await;
        }
        self.run_here(request, held, (entry, command), true, session, output).await
    }

    /// Waits for the shards of a request and runs it; on another thread if it takes long and
    /// `may_leave`.
    async fn run_here(
        &self,
        request: Request<'a>,
        held: &Arc<Held>,
        (entry, command): (&CommandEntry, &'static Command),
        mut may_leave: bool,
        session: &mut Session,
        output: &mut Output,
    ) -> Ran {
        let mark = output.mark();
        let way = self.way(request, command, session);
        let permit = match self.permit_transaction(command, session).await {
            Ok(permit) => permit,
            Err(busy) => return self.refuse_busy(request, busy, session, output, mark),
        };
        let view = loop {
            let view = match self.enter_unless_busy(&way.plan, way.mode, session).await {
                Ok(view) => view,
                Err(busy) => return self.refuse_busy(request, busy, session, output, mark),
            };
            if !may_leave || !self.is_long(command, args_of(request, entry, command), &view) {
                break view;
            }
            drop(view);
            let ran = self.run_elsewhere(request, held, entry, command, session, output).await;
            if ran != Ran::Busy {
                return ran;
            }
            may_leave = false;
        };
        if session.runs_scripts(command) || self.is_long_exec(command, session, &view) {
            return self.exec_apart((view, permit), request, held, session, output).await;
        }
        self.worker.stats().gate_waits.add(1);
        view.prefetch(&way.hashes);
        session.began_nanos = self.server.clock.nanos();
        let ran = self.run_in(view, request, entry, command, session, output);
        self.waited(request, ran, session, output, mark)
    }

    /// Ends a request whose shards a script holds for too long.
    fn refuse_busy(
        &self,
        request: Request<'_>,
        busy: CommandError,
        session: &mut Session,
        output: &mut Output,
        mark: protocol::Mark,
    ) -> Ran {
        let error = self.refuse_queued(request, busy, session);
        self.refuse(request, true, error, session, output, mark);
        self.finish(request, session, output, mark);
        Ran::Refused
    }

    /// Ends a request that had to wait.
    pub fn waited(
        &self,
        request: Request<'_>,
        ran: Result<Ran, CommandError>,
        session: &mut Session,
        output: &mut Output,
        mark: protocol::Mark,
    ) -> Ran {
        match ran {
            Ok(Ran::Blocked) => {
                self.begin_wait(session);
                return Ran::Blocked;
            }
            Ok(Ran::Busy) => return Ran::Busy,
            Ok(_) => {}
            Err(error) => self.refuse(request, false, error, session, output, mark),
        }
        self.finish(request, session, output, mark);
        Ran::Done
    }

    /// Counts what a transaction did, and drops what it left where that disturbs nobody.
    #[inline]
    pub fn settle(&self, tally: Tally, command: &Command) {
        let stats = self.worker.stats();
        stats.hits.add(tally.hits);
        stats.misses.add(tally.misses);
        stats.changes.add(tally.changes);
        if tally.expired + tally.lapsed > 0 {
            stats.expired.add(tally.expired);
            stats.lapsed.add(tally.lapsed);
        }
        if let Some(garbage) = tally.garbage {
            self.discard(garbage, command);
        }
        if let Some(overdue) = tally.overdue {
            self.clear(*overdue);
        }
    }

    /// Removes what a command that only reads has found expired. Nothing expires in a pause, nor
    /// while data is imported.
    #[cold]
    fn clear(&self, overdue: Overdue) {
        if self.settings.import_mode || self.server.pause.holds(self.now, true).is_some() {
            return;
        }
        self.server.keyspace.clear(overdue, |mut tally| {
            if let Some(garbage) = tally.garbage.take().filter(|_| self.settings.lazy_expire) {
                self.server.background.discard(garbage);
            }
            self.settle(tally, &Command::BASE);
        });
    }

    #[cold]
    fn discard(&self, garbage: Box<Leftovers>, command: &Command) {
        if is_dropped_lazily(&garbage, command, self.settings) {
            self.server.background.discard(garbage);
        }
    }

    fn run_on_session(
        &self,
        request: Request<'a>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &mut Session,
        output: &mut Output,
    ) -> Result<Ran, CommandError> {
        // Somebody must be able to look around in a pause, and to end it.
        let exempt = entry.command.name == "CLIENT" && command.name != "PAUSE";
        let is_heard = is_publish(command) || command.writes();
        if !exempt && let Some(rest) = self.server.pause.holds(self.now, is_heard) {
            return Ok(held(entry, command, session, rest));
        }
        self.call(request, entry, command, session, output)
    }

    /// Runs the function of a command of the server.
    ///
    /// # Errors
    /// Those of the command.
    pub fn call(
        &self,
        request: Request<'a>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &mut Session,
        output: &mut Output,
    ) -> Result<Ran, CommandError> {
        let Some(run) = entry.beside else {
            return Err(unknown_subcommand(entry.command, request.words));
        };
        let mut call = Call::new(*self, request.words, entry, command, session, output);
        let next = guarded(|| run(&mut call));
        if !matches!(next, Ok(Next::Busy | Next::Later(_))) {
            session.progress = 0;
            // A monitor that has just left is not told.
            if self.server.monitor.is_watched() {
                self.tell_monitors(entry, command, session, request.words);
            }
        }
        match next? {
            Next::Done => Ok(Ran::Done),
            Next::Close => {
                session.closing = true;
                Ok(Ran::Done)
            }
            Next::Busy => Ok(Ran::Busy),
            Next::Rest(millis) => Ok(Ran::Rest(millis)),
            Next::Later(millis) => Ok(Ran::Later(millis)),
        }
    }
}

/// How data of another server is treated, unless the source itself asks.
fn intake_of(server: &Server, settings: &Settings) -> Intake {
    let import = if settings.import_mode { Import::On } else { Import::Off };
    let unchecked = server.debugging.checksums_skipped.load(Ordering::Relaxed);
    Intake { import, any_version: settings.any_dump_version, unchecked }
}

/// Whether a request of which so many steps are estimated, if that was asked, takes few in all.
#[inline]
fn is_few(steps: Option<u64>, args: Args<'_>) -> bool {
    let words = args.len() as u64 * WORD_STEPS;
    steps.is_some_and(|steps| steps.saturating_add(words) <= BRIEF_STEPS_MAX)
}

fn mode_of(command: &Command, words: Words<'_>) -> Mode {
    if command.is_exclusive(words) { Mode::Exclusive } else { Mode::Shared }
}

/// The arguments of a request that names `entry` and runs `command`: that, or a subcommand of it.
#[inline]
pub fn args_of<'a>(request: Request<'a>, entry: &CommandEntry, command: &Command) -> Args<'a> {
    let is_sub = !std::ptr::eq(entry.command, command);
    Args::new(request.words, 1 + usize::from(is_sub))
}

/// Whether what a command left over is to be dropped in the background.
#[must_use]
pub fn is_dropped_lazily(garbage: &Leftovers, command: &Command, settings: &Settings) -> bool {
    let lazy = garbage.lazily().unwrap_or(match command.name {
        "UNLINK" => true,
        "DEL" => settings.lazy_user_del,
        "FLUSHALL" | "FLUSHDB" => settings.lazy_user_flush,
        _ => settings.lazy_server_del,
    });
    let is_much =
        || garbage.value_bytes() > DROP_HERE_BYTES_MAX || garbage.pieces() > DROP_HERE_PIECES_MAX;
    lazy && (garbage.has_databases() || is_much())
}

/// Notes what a client waits with.
#[cold]
pub fn held(
    entry: &CommandEntry,
    command: &'static Command,
    session: &Session,
    rest: Millis,
) -> Ran {
    note_called(entry, command, &session.client);
    Ran::Paused(rest)
}

/// Runs a command; a panic, which is a bug, becomes an error of that command alone.
///
/// # Errors
/// Those of the command, and that of a panic.
#[inline]
pub fn guarded<T>(run: impl FnOnce() -> Result<T, CommandError>) -> Result<T, CommandError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(panicked()))
}

/// What a client is told of a bug.
#[cold]
#[must_use]
pub fn panicked() -> CommandError {
    tracing::error!("a command panicked; its connection got an error");
    CommandError::text("ERR internal error: this is a bug of the server, please report it")
}

/// The command that a request calls: the subcommand that it names, if it names one.
#[must_use]
#[inline]
pub fn called(command: &'static Command, words: Words<'_>) -> &'static Command {
    if command.subcommands.is_empty() {
        return command;
    }
    words.get(1).and_then(|name| command.subcommand(name)).unwrap_or(command)
}

//! Running one request: may it run, which shards does it need, what did it do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use command::{Args, Command, CommandError, Done, Flags, Run, Shape, Tried, WORD_STEPS};
use keyspace::{
    Frame, Import, Intake, Leftovers, Millis, Mode, Overdue, Plan, Tally, View, Waiter,
};
use protocol::{Output, Reply, Words};
use smallvec::SmallVec;

use crate::acl::{Asked, Attempt, Context, Denial, Refusal};
use crate::blocking::{Blocked, Permit, Wait};
use crate::client::Client;
use crate::commands::{Call, Next};
use crate::executor::Executor;
use crate::latency;
use crate::long_work::Held;
use crate::pubsub::is_publish;
use crate::secrets;
use crate::server::{CommandEntry, Server};
use crate::session::Session;
use crate::settings::{Allowed, Settings, passes};
use crate::slowlog::{Slow, shortened};

/// How much of an unknown command's words its error quotes.
const QUOTED_BYTES_MAX: usize = 128;

/// A request of up to so many steps is brief: some ten microseconds at most.
const BRIEF_STEPS_MAX: u64 = 128;

/// Values up to this size are dropped where they were replaced.
const DROP_HERE_BYTES_MAX: usize = 64 << 10;

/// The same in small pieces of memory, of which some values have many.
const DROP_HERE_PIECES_MAX: usize = 64;

/// The refusal of DEBUG where it is not allowed.
const DEBUG_NOT_ALLOWED: &str = "ERR DEBUG command not allowed. If the enable-debug-command \
    option is set to \"local\", you can run it from a local connection, otherwise you need to set \
    this option in the configuration file, and then restart the server.";

/// The logs of commands.
#[derive(Clone, Copy)]
enum LogKind {
    Slow,
    LargeRequest,
    LargeReply,
}

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
    /// CACHING came before it, that it is a script that begins anew.
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
        if session.holds_all {
            (session.holds_all, session.progress) = (false, 0);
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

    /// Whether the request may run now: its command, with its subcommand, if so.
    #[inline]
    fn admit(
        &self,
        request: Request<'a>,
        session: &Session,
    ) -> Result<(&'a CommandEntry, &'static Command), CommandError> {
        let (entry, command) = self.named(request, session)?;
        if !session.is_free() {
            // The log of refusals tells what it was that led to one.
            note_called(entry, command, &session.client);
        }
        self.permit(request, entry, command, session)?;
        if command.flags.has(Flags::DENY_OOM) && self.is_out_of_memory() {
            self.worker.stats().oom_refusals.add(1);
            return Err(CommandError::OutOfMemory);
        }
        if session.is_confined() && !is_for_subscribers(entry.command) {
            return Err(confined(entry.command, command));
        }
        if self.server.scripts.hold_everything() && !command.flags.has(Flags::ALLOW_BUSY) {
            self.busy(&Plan::All).map_or(Ok(()), Err)?;
        }
        Ok((entry, command))
    }

    /// The command of a request, with its subcommand, if the session may run it.
    ///
    /// # Errors
    /// If there is no such command, its words are too few or too many, or the session may not.
    #[inline]
    pub fn named(
        &self,
        request: Request<'a>,
        session: &Session,
    ) -> Result<(&'a CommandEntry, &'static Command), CommandError> {
        let words = request.words;
        let entry = request.entry.ok_or_else(|| unknown_command(words))?;
        let command = if entry.command.subcommands.is_empty() {
            entry.command
        } else {
            let found = self.subcommand(entry.command, session, words);
            // DEBUG takes its words apart itself in Redis, so whoever may not run it is told that.
            if found.is_err() && entry.command.flags.has(Flags::PROTECTED) {
                self.permit(request, entry, entry.command, session)?;
            }
            let command = found?;
            note_called(entry, command, &session.client);
            command
        };
        if !command.arity.allows(words.len()) {
            return Err(wrong_arity(entry.command, command));
        }
        if !session.authenticated && !command.flags.has(Flags::NO_AUTH) {
            return Err(CommandError::NoAuth);
        }
        Ok((entry, command))
    }

    /// Whether the session's user may make a request.
    ///
    /// # Errors
    /// What is refused; it is entered into the log of refusals.
    #[inline]
    fn permit(
        &self,
        request: Request<'_>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &Session,
    ) -> Done {
        let Some(attempt) = self.questioned(request, entry, command, session) else {
            return Ok(());
        };
        if let Err(denial) = self.check(&attempt, session.context(), session) {
            let refusal = session.user.refusal(denial, &attempt, false);
            return Err(CommandError::text(format!("NOPERM {refusal}")));
        }
        session.user.check_patterns(&attempt).map_err(|option| {
            CommandError::text(format!(
                "ERR {option} option of SORT denied due to insufficient ACL permissions."
            ))
        })
    }

    /// A request as its user's rights see it.
    pub fn attempt<'w>(
        &self,
        request: Request<'w>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &Session,
    ) -> Attempt<'w> {
        let db = session.transaction.as_ref().and_then(|one| one.db()).unwrap_or(session.db);
        let databases = self.server.keyspace.databases();
        Attempt { asked: Asked::of(entry, command), words: request.words, db, databases }
    }

    /// A request that the rights of the session's user are to be asked about; `None`: it may be
    /// made without a question.
    #[inline]
    pub fn questioned<'w>(
        &self,
        request: Request<'w>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &Session,
    ) -> Option<Attempt<'w>> {
        let is_free = session.is_free() && !command.flags.has(Flags::PUBSUB);
        (!is_free).then(|| self.attempt(request, entry, command, session))
    }

    /// Whether the session's user may make a request.
    ///
    /// # Errors
    /// What is denied; it is entered into the log of refusals.
    pub fn check(
        &self,
        attempt: &Attempt<'_>,
        context: Context,
        session: &Session,
    ) -> Result<(), Denial> {
        let user = &session.user;
        user.check(attempt).inspect_err(|denial| {
            if session.is_repeat {
                return;
            }
            let object = denial.object(attempt);
            let refusal =
                Refusal { reason: denial.reason, context, object: &object, user: &user.name };
            self.note_refusal(refusal, &session.client);
        })
    }

    /// Enters a refusal into the log of them.
    pub fn note_refusal(&self, refusal: Refusal<'_>, client: &Client) {
        self.server.acl.note(refusal, client, self.server.clock.now());
    }

    /// The subcommand of a request, or the container itself if it runs without one.
    #[cold]
    fn subcommand(
        &self,
        container: &'static Command,
        session: &Session,
        words: Words<'_>,
    ) -> Result<&'static Command, CommandError> {
        if container.flags.has(Flags::PROTECTED) {
            self.allow_debug(session)?;
        }
        match (words.get(1), container.run) {
            (None, Run::Container) => Err(wrong_arity(container, container)),
            (None, _) => Ok(container),
            (Some(name), _) => {
                container.subcommand(name).ok_or_else(|| unknown_subcommand(container, words))
            }
        }
    }

    /// DEBUG is for those whom `enable-debug-command` allows it.
    fn allow_debug(&self, session: &Session) -> Done {
        let allowed = match self.settings.debug_command {
            Allowed::Yes => true,
            Allowed::Local => session.client.is_local(),
            Allowed::No => false,
        };
        if allowed { Ok(()) } else { Err(CommandError::text(DEBUG_NOT_ALLOWED)) }
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
        if session.is_repeat {
            return;
        }
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
            self.discard(garbage, command, tally.expired > 0);
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
            match tally.garbage.take() {
                Some(garbage) if self.settings.lazy_expire => {
                    self.server.background.discard(garbage);
                }
                Some(garbage) => self.worker.drop_expired(self.settings, garbage),
                None => {}
            }
            self.settle(tally, &Command::BASE);
        });
    }

    #[cold]
    fn discard(&self, garbage: Box<Leftovers>, command: &Command, has_expired: bool) {
        if is_dropped_lazily(&garbage, command, self.settings) {
            self.server.background.discard(garbage);
        } else if has_expired {
            self.worker.drop_expired(self.settings, garbage);
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

/// Notes which command a client has called.
fn note_called(entry: &CommandEntry, command: &'static Command, client: &Client) {
    let command = counted(entry.command, command);
    let sub = Some(command).filter(|_| !std::ptr::eq(entry.command, command));
    client.set_last_command(entry.command, sub);
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

/// As what a call is counted and shown: what DEBUG is asked for are no commands in Redis.
#[inline]
fn counted(container: &'static Command, command: &'static Command) -> &'static Command {
    if container.flags.has(Flags::PROTECTED) { container } else { command }
}

#[cold]
fn wrong_arity(container: &Command, command: &Command) -> CommandError {
    if container.flags.has(Flags::PROTECTED) && !std::ptr::eq(container, command) {
        return unknown_debug(command.name.to_lowercase().as_bytes());
    }
    CommandError::WrongArity(full_name(container, command).into())
}

/// Whether a command may run while its client is subscribed and speaks RESP2.
fn is_for_subscribers(command: &Command) -> bool {
    let subscribes = Flags::PUBSUB.and(Flags::NO_SCRIPT);
    command.flags.has(subscribes) || matches!(command.name, "PING" | "QUIT" | "RESET")
}

#[cold]
fn confined(container: &Command, command: &Command) -> CommandError {
    let name = full_name(container, command);
    CommandError::text(format!(
        "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
         are allowed in this context"
    ))
}

/// The name of a command as errors tell it.
fn full_name(container: &Command, command: &Command) -> String {
    match std::ptr::eq(container, command) {
        true => container.name.to_lowercase(),
        false => format!("{}|{}", container.name, command.name).to_lowercase(),
    }
}

#[cold]
fn unknown_subcommand(container: &Command, words: Words<'_>) -> CommandError {
    let given = words.get(1).unwrap_or_default();
    if container.flags.has(Flags::PROTECTED) {
        return unknown_debug(given);
    }
    let subcommand = quoted(given, QUOTED_BYTES_MAX).into();
    CommandError::UnknownSubcommand { subcommand, command: container.name }
}

/// DEBUG takes its words apart itself in Redis, and so says both things at once.
fn unknown_debug(given: &[u8]) -> CommandError {
    let given = quoted(given, QUOTED_BYTES_MAX);
    CommandError::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{given}'. Try DEBUG HELP."
    ))
}

#[cold]
fn unknown_command(words: Words<'_>) -> CommandError {
    let name = quoted(words.get(0).unwrap_or_default(), QUOTED_BYTES_MAX);
    let mut text = format!("'{name}', with args beginning with: ");
    let start = text.len();
    for at in 1..words.len() {
        let left = QUOTED_BYTES_MAX.saturating_sub(text.len() - start);
        if left == 0 {
            break;
        }
        text.push_str(&format!("'{}' ", quoted(words.get(at).unwrap_or_default(), left)));
    }
    CommandError::UnknownCommand(text.into())
}

fn quoted(word: &[u8], bytes_max: usize) -> String {
    String::from_utf8_lossy(&word[..word.len().min(bytes_max)]).into_owned()
}

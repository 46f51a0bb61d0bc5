//! The server as a running script sees it: `redis.call` and what else reaches out of Lua.
//!
//! A call is a command run in the view that the script holds: the same look-up, rights and
//! function as for a request, and no text in between but the words.
//!
//! # Invariants
//!
//! 1. A command runs only if the shards of all its keys are entered.
//! 2. A script that found a shard missing before it did anything does nothing any more, and is
//!    begun anew with all shards.
//! 3. Nobody is told twice of what such a script does, and nothing of it is counted twice: what
//!    it does again is passed over, by its number. If other data has it do something else then,
//!    what it did at first stays what was told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use command::{Command, CommandError, Flags, Shape, Tried};
use keyspace::{Frame, Mode, Plan, View};
use protocol::{Output, Reply, Words};
use script::{
    Call, Called, Host, KILLED, LogLevel, NOT_ALLOWED, READ_ONLY, UNKNOWN_COMMAND, Verdict,
    WRONG_ARITY,
};
use smallvec::SmallVec;

use super::interpreter::Kit;
use super::{Kind, Running, joined};
use crate::acl::Context;
use crate::connection::look_up;
use crate::execute::{Batch, Ran, Request, Way, args_of, called};
use crate::executor::Executor;
use crate::log;
use crate::pubsub::is_publish;
use crate::server::CommandEntry;
use crate::session::Session;
use crate::settings::Settings;

/// How long a script may keep its worker from its other connections, in ns.
const BRIEF_NANOS: u64 = 500_000;

/// Why a script ends that must begin anew, or whose server ends; nobody sees it.
const STOPPED: &str = "the script cannot go on";

/// What is told when two scripts at once need more shards than they hold, and both have written.
const LATE: &str = "ERR the script has written already, and now uses a key that it was not given \
                    while another script does the same; it may be run again";

/// What a script may do, and how it is run.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Whether it is a script or a function.
    pub kind: Kind,
    /// It may change nothing.
    pub is_read_only: bool,
    /// It may change something though memory is short.
    pub allows_oom: bool,
    /// The shards of its keys, or all.
    pub plan: Plan,
    /// Shared if it may change nothing.
    pub mode: Mode,
    /// The hashes of the keys that it is given.
    pub keys: SmallVec<[u64; 4]>,
    /// It is known to keep to its keys.
    pub is_trusted: bool,
    /// Others may come between its calls: it holds no shard from one to the next.
    pub is_not_atomic: bool,
}

/// Where a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a worker, which others need as well.
    Worker,
    /// On a thread of its own.
    Apart,
}

/// See the module's page.
pub struct ScriptHost {
    kit: Box<Kit>,
    settings: Arc<Settings>,
    session: Session,
    run: Run,
}

/// What a run has entered and done.
struct Run {
    /// What is entered, but for a script that is not atomic.
    view: Option<View<'static>>,
    terms: Terms,
    place: Place,
    /// Whether memory was short when it began.
    is_short: bool,
    running: Option<Arc<Running>>,
    /// The number of the interpreter.
    number: usize,
    /// It has done something that cannot be undone.
    has_acted: bool,
    /// Of how much others knew when it began: it begins anew.
    told_before: u64,
    went: Went,
}

/// How a run went, beside what it returned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Went {
    /// What it has returned is an error, or has one in it.
    pub(super) has_failed: bool,
    /// It has used a key that it was not given.
    pub(super) has_strayed: bool,
    /// It has found that it needs more than it holds, and begins anew.
    pub(super) must_restart: bool,
    /// How many of its calls and of its lines in the log others know of.
    pub(super) told: u64,
    /// When it began.
    pub(super) began_nanos: u64,
}

/// Why a command of a script is not answered as it should be.
enum Refusal {
    /// It did not run.
    Rejected(CommandError),
    /// It ran and failed.
    Failed(CommandError),
    /// Nothing was done; it is to be asked again away from the worker.
    Later,
}

/// What a command is called for by whom.
type Named<'a> = (&'a CommandEntry, &'static Command);

impl ScriptHost {
    /// The host of a script that runs now, for the caller's session. Others have been told of so
    /// many of its calls, if it begins anew.
    pub(super) fn new(
        mut kit: Box<Kit>,
        view: Option<View<'static>>,
        caller: &Session,
        terms: Terms,
        place: Place,
        told_before: u64,
    ) -> Box<ScriptHost> {
        let settings = kit.executor.settings();
        let began_nanos = kit.executor.server.clock.nanos();
        let mut run = Run {
            view,
            terms,
            place,
            is_short: false,
            running: None,
            number: kit.number,
            has_acted: false,
            told_before,
            went: Went { began_nanos, ..Went::default() },
        };
        let mut session = Session::for_script(caller, kit.user.take());
        session.is_repeat = told_before > 0;
        run.is_short = run.batch(&kit.executor, &settings).is_out_of_memory();
        let mut host = Box::new(ScriptHost { kit, settings, session, run });
        if place == Place::Apart {
            host.run.leave_worker(&host.kit.executor);
        }
        host
    }

    /// Publishes what it did and leaves its shards; returns how it went and what belongs to the
    /// interpreter.
    pub(super) fn end(mut self: Box<Self>) -> (Went, Box<Kit>) {
        let batch = self.run.batch(&self.kit.executor, &self.settings);
        if let Some(view) = self.run.view.take() {
            let mut tally = view.publish();
            if self.run.went.must_restart {
                (tally.hits, tally.misses) = (0, 0);
            }
            batch.settle(tally, &Command::BASE);
        }
        self.leave()
    }

    /// What it has entered, to be gone on with.
    pub(super) fn take_view(&mut self) -> Option<View<'static>> {
        self.run.view.take()
    }

    /// As [`ScriptHost::end`], but nothing is published: what it had entered is taken back.
    pub(super) fn leave(self: Box<Self>) -> (Went, Box<Kit>) {
        let ScriptHost { mut kit, session, run, .. } = *self;
        if let Some(running) = &run.running {
            kit.executor.server.scripts.unregister(running);
        }
        kit.user = Some(session.user);
        (run.went, kit)
    }

    /// Notes that others are told of what it does now; whether they knew of it already.
    fn note_told(&mut self) -> bool {
        self.run.went.told += 1;
        let was_repeat = self.session.is_repeat;
        if was_repeat {
            self.session.is_repeat = self.run.went.told < self.run.told_before;
        }
        was_repeat
    }

    fn try_call(
        &mut self,
        words: Words<'_>,
        call: Call,
        output: &mut Output,
    ) -> Result<(), Refusal> {
        let ScriptHost { kit, settings, session, run } = self;
        let executor = &kit.executor;
        if run.went.must_restart {
            return Err(Refusal::Rejected(CommandError::text(format!("ERR {STOPPED}"))));
        }
        session.dialect = call.dialect;
        let batch = run.batch(executor, settings);
        let request = look_up(batch.server, words);
        let named = admit(batch, request, session)?;
        let command = named.1;
        run.permit(batch, command, session)?;
        let on_keyspace = !matches!(command.run, command::Run::Session | command::Run::Container);
        if on_keyspace {
            run.reach(batch, named, request)?;
            run.stay_brief(batch, named, request)?;
        }
        if changes(command) || !(on_keyspace || is_harmless(command)) {
            run.be_trusted(batch)?;
            run.note_act()?;
        }
        if session.is_repeat
            && let Some(done) = run.repeat(batch, request, named, session, output)
        {
            return done;
        }
        let meter = Meter::start(batch, named, request);
        let done = if on_keyspace {
            run.run_on_keyspace(batch, request, named, session, output)
        } else {
            run_on_session(batch, request, named, session, output)
        };
        if let Some(nanos) = meter.finish(batch, named) {
            batch.note_slow(request, session, nanos / 1000);
        }
        done
    }
}

/// Measures a command of a script. Reading the clock twice costs as much as a brief command does,
/// and with Lua between them they cannot be measured together. So once there have been some of a
/// kind, one of so many is drawn, and stands for as many.
struct Meter {
    /// When it began, if it is measured.
    began_nanos: Option<u64>,
    /// How many it stands for.
    weight: u64,
}

/// How many of a kind are all measured.
const FIRST_CALLS: u64 = 64;

/// Of how many brief commands one is measured then.
const BRIEF_PER_MEASURED: u64 = 8;

impl Meter {
    fn start(batch: Batch<'_>, (entry, command): Named<'_>, request: Request<'_>) -> Meter {
        let is_brief = entry.is_brief(request.words.len())
            && !batch.settings.measures_each()
            && batch.calls_until_now(entry, command) >= FIRST_CALLS;
        let weight = if is_brief { BRIEF_PER_MEASURED } else { 1 };
        let is_drawn = weight == 1 || batch.worker.chance().is_multiple_of(weight);
        Meter { began_nanos: is_drawn.then(|| batch.server.clock.nanos()), weight }
    }

    /// Books it, and returns how long it took, in ns, if that is known.
    fn finish(self, batch: Batch<'_>, (entry, command): Named<'_>) -> Option<u64> {
        let Some(began) = self.began_nanos else {
            batch.book_unmeasured(entry, command);
            return None;
        };
        let nanos = batch.server.clock.nanos() - began;
        batch.book_run(entry, command, (1, nanos));
        if self.weight > 1 {
            batch.book_others(entry, command, (self.weight - 1, nanos));
        }
        Some(nanos)
    }
}

impl Run {
    fn batch<'a>(&self, executor: &'a Executor, settings: &'a Settings) -> Batch<'a> {
        let server = &*executor.server;
        let now = self.view.as_ref().map_or_else(|| server.clock.now(), View::now);
        Batch::at(server, executor, settings, now)
    }

    /// Notes that it takes long, and has a thread of its own from here on.
    fn leave_worker(&mut self, executor: &Executor) {
        let terms = &self.terms;
        let plan = match terms.is_not_atomic {
            true => Plan::Some(SmallVec::new()),
            false => terms.plan.clone(),
        };
        let running = Running::new(terms.kind, self.number, self.went.began_nanos, plan);
        if self.has_acted {
            // Nobody knows it yet, so nobody has killed it.
            let _ = running.note_act();
        }
        let running = Arc::new(running);
        executor.server.scripts.register(&running);
        self.running = Some(running);
        self.place = Place::Apart;
    }

    /// Whether the script may run such a command at all.
    fn permit(
        &self,
        batch: Batch<'_>,
        command: &Command,
        session: &Session,
    ) -> Result<(), Refusal> {
        let terms = &self.terms;
        if terms.is_read_only && (changes(command) || command.flags.has(Flags::MAY_REPLICATE)) {
            return Err(Refusal::Rejected(CommandError::text(READ_ONLY)));
        }
        let is_refused = self.is_short && !terms.allows_oom && !self.has_acted;
        if is_refused && command.flags.has(Flags::DENY_OOM) {
            batch.worker.stats().oom_refusals.add(u64::from(!session.is_repeat));
            return Err(Refusal::Rejected(CommandError::OutOfMemory));
        }
        Ok(())
    }

    /// Sees to it that the shards are entered that a command needs.
    fn reach(
        &mut self,
        batch: Batch<'_>,
        (entry, command): Named<'_>,
        request: Request<'_>,
    ) -> Result<(), Refusal> {
        if self.went.has_strayed && self.view.as_ref().is_none_or(View::is_whole) {
            return Ok(());
        }
        let needs_all = command.enter.is_all(request.words);
        let hashes = match entry.shape {
            Shape::FirstWord if request.words.len() > 1 => SmallVec::from_slice(&[request.hash]),
            _ => hashes_of(batch, command, request),
        };
        let strays = needs_all || hashes.iter().any(|hash| !self.terms.keys.contains(hash));
        self.went.has_strayed |= strays;
        let Some(view) = self.view.as_ref().filter(|view| strays && !view.is_whole()) else {
            return Ok(());
        };
        if !needs_all && hashes.iter().all(|&hash| view.holds(hash)) {
            return Ok(());
        }
        if !self.has_acted {
            self.went.must_restart = true;
            return Err(Refusal::Rejected(CommandError::text(format!("ERR {STOPPED}"))));
        }
        let plan = if needs_all { Plan::All } else { batch.server.keyspace.plan(hashes) };
        self.note_shards(batch, &plan);
        match self.enter_more(&plan)? {
            true => Ok(()),
            false => Err(Refusal::Rejected(CommandError::text(LATE))),
        }
    }

    /// Enters these shards, too, waiting for them away from the worker. `false`: another script is
    /// doing so.
    fn enter_more(&mut self, plan: &Plan) -> Result<bool, Refusal> {
        let Some(view) = &mut self.view else { return Ok(true) };
        if view.try_widen(plan) {
            return Ok(true);
        }
        match self.place {
            Place::Worker => Err(Refusal::Later),
            Place::Apart => Ok(view.widen_blocking(plan)),
        }
    }

    /// Notes that it holds these shards, too, or waits for them.
    fn note_shards(&mut self, batch: Batch<'_>, plan: &Plan) {
        self.terms.plan = joined(&self.terms.plan, plan);
        if let Some(running) = &self.running {
            batch.server.scripts.widen(running, plan);
        }
    }

    /// Enters all shards before a script does anything that is not known to keep to its keys: once
    /// it has, it cannot begin anew.
    fn be_trusted(&mut self, batch: Batch<'_>) -> Result<(), Refusal> {
        let is_safe = self.terms.is_trusted || self.has_acted;
        if is_safe || self.view.as_ref().is_none_or(View::is_whole) {
            return Ok(());
        }
        if !self.enter_more(&Plan::All)? {
            self.went.must_restart = true;
            return Err(Refusal::Rejected(CommandError::text(format!("ERR {STOPPED}"))));
        }
        self.note_shards(batch, &Plan::All);
        Ok(())
    }

    /// Leaves the worker before a command that takes long.
    fn stay_brief(
        &self,
        batch: Batch<'_>,
        (entry, command): Named<'_>,
        request: Request<'_>,
    ) -> Result<(), Refusal> {
        let args = args_of(request, entry, command);
        let is_long = |view: &View<'_>| batch.is_long(command, args, view);
        let is_long = batch.is_wordy(command, args) || self.view.as_ref().is_some_and(is_long);
        if is_long && self.place == Place::Worker { Err(Refusal::Later) } else { Ok(()) }
    }

    /// Notes that it does something that cannot be undone, unless it is to end before.
    fn note_act(&mut self) -> Result<(), Refusal> {
        self.has_acted = true;
        match &self.running {
            Some(running) if !running.note_act() => {
                Err(Refusal::Rejected(CommandError::text(format!("ERR {KILLED}"))))
            }
            _ => Ok(()),
        }
    }

    fn run_on_keyspace(
        &mut self,
        batch: Batch<'_>,
        request: Request<'_>,
        named: Named<'_>,
        session: &mut Session,
        output: &mut Output,
    ) -> Result<(), Refusal> {
        if let Some(view) = &mut self.view {
            let done = run_in_view(batch, request, named, view, session, output);
            view.tell();
            return done;
        }
        let mut view = self.enter_once(batch, request, named.1, session)?;
        let done = run_row(batch, request, named, &mut view, session, output);
        batch.settle(view.publish(), named.1);
        done
    }

    /// Runs a command that others have been told of: it is not counted again. If it changes
    /// something it is another one than before, and so is all that follows.
    #[cold]
    fn repeat(
        &mut self,
        batch: Batch<'_>,
        request: Request<'_>,
        named: Named<'_>,
        session: &mut Session,
        output: &mut Output,
    ) -> Option<Result<(), Refusal>> {
        match (named.1.run, &mut self.view) {
            (command::Run::Session, _) if is_harmless(named.1) => {
                Some(run_on_session(batch, request, named, session, output))
            }
            (command::Run::Read(_), Some(view)) => {
                let done = run_in_view(batch, request, named, view, session, output);
                view.pass_over();
                Some(done)
            }
            _ => {
                session.is_repeat = false;
                None
            }
        }
    }

    /// Enters the shards of one command of a script that is not atomic.
    fn enter_once(
        &self,
        batch: Batch<'_>,
        request: Request<'_>,
        command: &Command,
        session: &Session,
    ) -> Result<View<'static>, Refusal> {
        let keyspace = batch.server.keyspace;
        let Way { plan, mode, .. } = batch.way(request, command, session);
        let frame = || Frame { now: batch.server.clock.now(), ..batch.frame(session) };
        match keyspace.try_enter(frame(), &plan, mode) {
            Some(view) => Ok(view),
            None if self.place == Place::Worker => Err(Refusal::Later),
            None => Ok(keyspace.enter_blocking(&plan, mode, frame)),
        }
    }
}

/// The hashes of the keys of a request.
fn hashes_of(batch: Batch<'_>, command: &Command, request: Request<'_>) -> SmallVec<[u64; 8]> {
    let positions = command.key_positions(request.words).unwrap_or_default();
    let keys = positions.iter().filter_map(|&at| request.words.get(at));
    keys.map(|key| batch.server.keyspace.hash(key)).collect()
}

/// The command of a request, if scripts and this user may run it.
fn admit<'a>(
    batch: Batch<'a>,
    request: Request<'a>,
    session: &Session,
) -> Result<Named<'a>, Refusal> {
    let named = batch.named(request, session).map_err(|error| match error {
        CommandError::WrongArity(_) => CommandError::text(WRONG_ARITY),
        CommandError::UnknownCommand(_) | CommandError::UnknownSubcommand { .. } => {
            CommandError::text(UNKNOWN_COMMAND)
        }
        other => other,
    });
    let (entry, command) = named.map_err(Refusal::Rejected)?;
    let may_debug = || batch.server.debugging.scripts_may_debug.load(Ordering::Relaxed);
    let is_debug = entry.command.flags.has(Flags::PROTECTED);
    if command.flags.has(Flags::NO_SCRIPT) && !(is_debug && may_debug()) {
        return Err(Refusal::Rejected(CommandError::text(NOT_ALLOWED)));
    }
    if let Some(attempt) = batch.questioned(request, entry, command, session)
        && let Err(denial) = batch.check(&attempt, Context::Lua, session)
    {
        let refusal = session.user.refusal(denial, &attempt, false);
        let text = format!("ERR ACL failure in script: {refusal}");
        return Err(Refusal::Rejected(CommandError::text(text)));
    }
    Ok((entry, command))
}

/// Runs a command in the view that its script holds.
fn run_in_view(
    batch: Batch<'_>,
    request: Request<'_>,
    named: Named<'_>,
    view: &mut View<'static>,
    session: &mut Session,
    output: &mut Output,
) -> Result<(), Refusal> {
    view.turn_to(session.db, batch.worker.chance());
    view.obey_script(true);
    run_row(batch, request, named, view, session, output)
}

fn run_row(
    batch: Batch<'_>,
    request: Request<'_>,
    named: Named<'_>,
    view: &mut View<'static>,
    session: &mut Session,
    output: &mut Output,
) -> Result<(), Refusal> {
    let tried = batch.run_row(request, named, view, session, output).map_err(Refusal::Failed)?;
    if let (Tried::Waits(_), command::Run::Block(block)) = (tried, named.1.run) {
        (block.nothing)(&mut Reply::new(output, session.dialect));
    }
    Ok(())
}

fn run_on_session(
    batch: Batch<'_>,
    request: Request<'_>,
    (entry, command): Named<'_>,
    session: &mut Session,
    output: &mut Output,
) -> Result<(), Refusal> {
    let ran = batch.call(request, entry, command, session, output).map_err(Refusal::Failed)?;
    match ran {
        Ran::Busy | Ran::Later(_) => Err(Refusal::Rejected(CommandError::text(NOT_ALLOWED))),
        _ => Ok(()),
    }
}

/// Whether a command may change data, or have others told something.
fn changes(command: &Command) -> bool {
    command.writes() || is_publish(command)
}

/// Whether it leaves everything as it is but for the script's own state.
fn is_harmless(command: &Command) -> bool {
    matches!(command.name, "SELECT" | "TIME" | "PING" | "ECHO")
}

impl Host for Box<ScriptHost> {
    fn note_ready(&mut self) {
        // Their buckets, asked for when the shards were entered, are here by now.
        if let Some(view) = &self.run.view {
            view.prefetch_records(&self.run.terms.keys);
        }
    }

    fn call(&mut self, words: Words<'_>, call: Call, reply: &mut Reply<'_>) -> Called {
        let mark = reply.output().mark();
        let (error, rejected) = match self.try_call(words, call, reply.output()) {
            Ok(()) => {
                self.note_told();
                return Called::Answered;
            }
            Err(Refusal::Later) => {
                reply.output().rollback(mark);
                self.run.leave_worker(&self.kit.executor);
                return Called::Later;
            }
            Err(Refusal::Rejected(error)) => (error, true),
            Err(Refusal::Failed(error)) => (error, false),
        };
        reply.output().rollback(mark);
        reply.error(&error);
        if self.run.went.must_restart {
            // Nobody is told of it.
            return Called::Answered;
        }
        if self.note_told() {
            return Called::Answered;
        }
        let request = look_up(&self.kit.executor.server, words);
        let number =
            request.entry.map(|entry| entry.number_of(called(entry.command, request.words)));
        self.kit.executor.count_error(number, rejected, &error);
        Called::Answered
    }

    fn may_call(&mut self, words: Words<'_>) -> Option<bool> {
        let batch = self.run.batch(&self.kit.executor, &self.settings);
        let request = look_up(batch.server, words);
        let entry = request.entry?;
        let command = match entry.command.subcommands {
            [] => entry.command,
            _ => entry.command.subcommand(request.words.get(1)?)?,
        };
        let attempt = batch.attempt(request, entry, command, &self.session);
        Some(self.session.user.check(&attempt).is_ok())
    }

    fn note_returned(&mut self, error: &[u8], is_counted: bool) {
        if self.run.went.must_restart {
            return;
        }
        self.run.went.has_failed = true;
        if !is_counted {
            let error = CommandError::text(String::from_utf8_lossy(error));
            self.kit.executor.count_error(None, false, &error);
        }
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        if self.run.went.must_restart || self.note_told() {
            return;
        }
        log::of_script(level, message);
    }

    fn seed(&mut self) -> u32 {
        self.kit.executor.chance() as u32
    }

    fn look(&mut self) -> Verdict {
        let ScriptHost { kit, run, .. } = &mut **self;
        let executor = &kit.executor;
        if run.went.must_restart || executor.server.is_stopping() {
            return Verdict::Stop(STOPPED);
        }
        match &run.running {
            Some(running) if running.is_killed() => Verdict::Stop(KILLED),
            Some(_) => Verdict::GoOn,
            None if executor.server.clock.nanos() - run.went.began_nanos < BRIEF_NANOS => {
                Verdict::GoOn
            }
            None => {
                run.leave_worker(executor);
                Verdict::Pause
            }
        }
    }
}

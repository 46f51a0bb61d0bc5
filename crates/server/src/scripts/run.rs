//! Running a script: which shards it enters, where it runs, and what its connection is told.
//!
//! A script that is known to keep to its keys enters their shards; any other enters all. It runs
//! on the worker as long as it is brief. Then it is put aside in the midst of what it does, and
//! goes on on a thread of its own, with everything that it holds; its connection waits for the
//! answer, and the worker's other connections go on.
//!
//! # Invariants
//!
//! 1. A script runs once from its beginning to its end, unless it found at a moment when it had
//!    done nothing that it needs shards that it has not entered: then it begins anew with all.
//! 2. A connection has at most one script that is away.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use command::{Command, CommandError, Done, parse_integer};
use keyspace::{Frame, Mode, Plan, View};
use protocol::{Mark, Output, Reply, Words};
use script::{Failure, Finished, Paused, Program, Progress, ScriptId};
use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Kind;
use super::host::{Place, ScriptHost, Terms, Went};
use super::interpreter::{Interpreter, Memory, Remembered, RememberedFunction};
use crate::connection::look_up;
use crate::execute::{Batch, Ran, Request, panicked};
use crate::executor::Executor;
use crate::long_work::Held;
use crate::server::CommandEntry;
use crate::session::Session;
use crate::threads;

/// The niceness of a script's thread: the workers, who keep many waiting, come first.
const NICENESS: i32 = 5;

/// How often those who wait for a gate look whether a script keeps them waiting.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a script waits to begin while as many run as may.
const CROWDED_REST: Duration = Duration::from_millis(1);

/// A script that has left its worker, as its connection knows it.
pub struct Away(oneshot::Receiver<Outcome>);

/// What is to be run.
enum Called {
    Script(Arc<Remembered>),
    Function(Arc<RememberedFunction>),
}

/// A script that may run, with what it is given.
struct Order<'a> {
    called: Called,
    terms: Terms,
    keys: SmallVec<[&'a [u8]; 4]>,
    arguments: SmallVec<[&'a [u8]; 4]>,
}

/// How a run has ended.
struct Outcome {
    /// What it has returned.
    done: Result<Output, Failure>,
    /// There is an error in what it has returned.
    has_failed: bool,
    /// It is to begin anew, and others have been told of so many of its calls.
    must_restart: Option<u64>,
    began_nanos: u64,
}

impl Called {
    fn program(&self) -> Program<'_> {
        match self {
            Called::Script(script) => Program::Script(&script.known.script),
            Called::Function(function) => {
                Program::Function { library: &function.library, name: &function.function.name }
            }
        }
    }

    /// The function's name, or the SHA-1 of the script.
    fn name(&self) -> Vec<u8> {
        match self {
            Called::Script(script) => script.known.script.id().hex().to_vec(),
            Called::Function(function) => function.function.name.clone().into_bytes(),
        }
    }

    /// Notes how it went.
    fn note(&self, went: Went, is_done: bool, nanos: u64) {
        let conduct = match self {
            Called::Script(script) => {
                script.latency.record(nanos, u64::from(!went.must_restart));
                &script.known.conduct
            }
            Called::Function(function) => &function.conduct,
        };
        if went.has_strayed {
            conduct.note_strayed();
        } else if is_done {
            conduct.note_kept();
        }
    }
}

impl<'a> Batch<'a> {
    /// Runs a script as far as that goes without waiting.
    ///
    /// # Errors
    /// If it cannot be run. What it fails with itself is written as its reply.
    pub fn run_script(
        &self,
        request: Request<'a>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &mut Session,
        output: &mut Output,
    ) -> Result<Ran, CommandError> {
        if session.away.is_some() || self.server.scripts.is_full() {
            return Ok(Ran::Busy);
        }
        let (order, interpreter) = self.prepared(request, command, session)?;
        if let Some(rest) = self.server.pause.holds(self.now, !order.terms.is_read_only) {
            self.put_back(interpreter);
            return Ok(crate::execute::held(entry, command, session, rest));
        }
        let view = match self.try_enter_for(&order.terms, session) {
            Some(view) => view,
            None => {
                self.put_back(interpreter);
                return Ok(Ran::Busy);
            }
        };
        Ok(self.start(request, order, interpreter, view, session, output))
    }

    /// Runs a script that could not begin at once, or waits for the one that is away.
    ///
    /// # Errors
    /// As those of [`Batch::run_script`]; or if another script keeps it waiting for too long.
    pub async fn run_script_waiting(
        &self,
        request: Request<'a>,
        command: &'static Command,
        session: &mut Session,
        output: &mut Output,
    ) -> Result<Ran, CommandError> {
        if session.away.is_none() {
            let view = self.enter_for_script(request, command, session).await?;
            let (order, interpreter) = self.prepared(request, command, session)?;
            session.began_nanos = self.server.clock.nanos();
            let ran = self.start(request, order, interpreter, view, session, output);
            if ran == Ran::Done {
                return Ok(ran);
            }
        }
        match session.away.take() {
            Some(away) => self.await_script(request, *away, session, output).await,
            None => Ok(Ran::Busy),
        }
    }

    /// Waits for a script that is away, and writes its answer.
    ///
    /// # Errors
    /// If its thread panicked.
    pub async fn await_script(
        &self,
        request: Request<'_>,
        away: Away,
        session: &mut Session,
        output: &mut Output,
    ) -> Result<Ran, CommandError> {
        session.client.away.store(true, Ordering::Relaxed);
        let outcome = away.0.await;
        session.client.away.store(false, Ordering::Relaxed);
        let outcome = outcome.map_err(|_| panicked())?;
        session.began_nanos = outcome.began_nanos;
        Ok(self.answer(request, outcome, session, output))
    }

    /// Runs EXEC with scripts in its queue on a thread of its own, and waits for its answer. The
    /// session goes there and comes back.
    pub async fn exec_apart(
        &self,
        (view, permit): (View<'static>, Option<OwnedSemaphorePermit>),
        request: Request<'_>,
        held: &Arc<Held>,
        session: &mut Session,
        output: &mut Output,
    ) -> Ran {
        let (sender, receiver) = oneshot::channel();
        let mark = output.mark();
        let stand_in = Session::for_script(session, None);
        let mut session_away = std::mem::replace(session, stand_in);
        let seed = self.worker.chance();
        let executor = self.server.scripts.executor(&self.worker.server, seed);
        let held = Arc::clone(held);
        session.client.away.store(true, Ordering::Relaxed);
        self.worker.stats().long_commands.add(1);
        threads::start("anax-exec", Some(NICENESS), move || {
            let began_nanos = executor.server.clock.nanos();
            let mut output = Output::new();
            let done = exec(&executor, view, held.words(), &mut session_away, &mut output);
            output.cut();
            session_away.began_nanos = began_nanos;
            drop(held);
            let server = Arc::clone(&executor.server);
            server.scripts.put_back_executor(executor);
            drop(permit);
            drop(sender.send((session_away, output, done)));
        });
        let answer = receiver.await;
        session.client.away.store(false, Ordering::Relaxed);
        let ran = match answer {
            Ok((back, written, done)) => {
                *session = back;
                output.push_output(written);
                done
            }
            // What the session was is lost with the thread.
            Err(_) => {
                session.closing = true;
                Err(panicked())
            }
        };
        self.waited(request, ran, session, output, mark)
    }

    /// Runs a script of a transaction, whose shards are entered: all of them.
    ///
    /// # Errors
    /// If it cannot be run. What it fails with itself is written as its reply.
    pub fn run_script_inside(
        &self,
        request: Request<'_>,
        command: &'static Command,
        view: &mut View<'static>,
        session: &mut Session,
        output: &mut Output,
    ) -> Done {
        let (order, interpreter) = self.prepared(request, command, session)?;
        self.tell_monitors_of_script(request, session);
        let Order { called, mut terms, keys, arguments } = order;
        // Nobody comes between the requests of a transaction.
        (terms.plan, terms.is_not_atomic) = (Plan::All, false);
        let Interpreter { mut engine, kit, memory } = interpreter;
        let entered = Some(view.take());
        let number = kit.number;
        let mut host = ScriptHost::new(kit, entered, session, terms, Place::Apart, 0);
        self.server.scripts.describe(number, called.name(), request.words);
        let mark = output.mark();
        let mut reply = Reply::new(output, session.dialect);
        let done = match called.program() {
            Program::Script(script) => engine.run(script, &keys, &arguments, &mut host, &mut reply),
            Program::Function { library, name } => {
                engine.call(library, name, &keys, &arguments, &mut host, &mut reply)
            }
        };
        if let Some(entered) = host.take_view() {
            *view = entered;
        }
        let (went, kit) = host.leave();
        let nanos = self.server.clock.nanos() - went.began_nanos;
        called.note(went, done.is_ok(), nanos);
        self.put_back(Interpreter { engine, kit, memory });
        match done {
            Ok(()) if went.has_failed => self.count_failed(request),
            Ok(()) => {}
            Err(failure) => self.fail(request, &failure, session, output, mark),
        }
        Ok(())
    }

    /// Compiles a script and keeps it, as SCRIPT LOAD does.
    ///
    /// # Errors
    /// If it does not compile.
    pub fn load_script(&self, source: &[u8]) -> Result<ScriptId, CommandError> {
        let mut interpreter = self.interpreter()?;
        let kept = self.keep(source, true, &mut interpreter);
        self.put_back(interpreter);
        kept.map(|kept| kept.known.script.id())
    }

    /// Gives up all Luas, and drops what that leaves in the background if that is to be lazy.
    pub fn give_up_luas(&self, is_lazy: bool) {
        let remains = self.server.scripts.give_up_luas(self.worker);
        if is_lazy {
            self.server.background.drop_later(0, Box::new(remains));
        }
    }

    /// Whether the script or the function of a request says that it changes nothing.
    pub fn only_reads(&self, words: Words<'_>, command: &Command) -> bool {
        let word = words.get(1).unwrap_or_default();
        let flags = match command.name {
            "EVAL" => script::Script::new(word).ok().and_then(|script| script.flags()),
            "EVALSHA" => {
                let known =
                    ScriptId::parse(word).and_then(|id| self.server.scripts.registry.find(id));
                known.and_then(|known| known.script.flags())
            }
            "FCALL" => self.server.functions.find(word).map(|(_, function)| function.flags),
            _ => None,
        };
        flags.is_some_and(|flags| flags.no_writes)
    }

    /// What a request wants to be run, and who is to run it.
    fn prepared<'w>(
        &self,
        request: Request<'w>,
        command: &Command,
        session: &Session,
    ) -> Result<(Order<'w>, Interpreter), CommandError> {
        let mut interpreter = self.interpreter()?;
        match self.order(request, command, session.holds_all, &mut interpreter) {
            Ok(order) => Ok((order, interpreter)),
            Err(error) => {
                self.put_back(interpreter);
                Err(error)
            }
        }
    }

    fn interpreter(&self) -> Result<Interpreter, CommandError> {
        if let Some(interpreter) = self.worker.interpreter.take() {
            return Ok(interpreter);
        }
        let scripts = &self.server.scripts;
        let chance = self.worker.chance();
        scripts.interpreter(&self.worker.server, chance).map_err(|failure| told(&failure))
    }

    fn put_back(&self, interpreter: Interpreter) {
        interpreter.tell_memory();
        if let Some(other) = self.worker.interpreter.replace(Some(interpreter)) {
            self.server.scripts.put_back(other);
        }
    }

    fn keep(
        &self,
        source: &[u8],
        is_loaded: bool,
        interpreter: &mut Interpreter,
    ) -> Result<Arc<Remembered>, CommandError> {
        let script = script::Script::new(source).map_err(|failure| told(&failure))?;
        interpreter.engine.compile(&script).map_err(|failure| told(&failure))?;
        let known = self.server.scripts.registry.keep(script, is_loaded, self.now);
        Ok(interpreter.remember(known))
    }

    /// What a request wants to be run.
    fn order<'w>(
        &self,
        request: Request<'w>,
        command: &Command,
        holds_all: bool,
        interpreter: &mut Interpreter,
    ) -> Result<Order<'w>, CommandError> {
        let words = request.words;
        let first = words.get(1).unwrap_or_default();
        let kind = if command.name.starts_with("FCALL") { Kind::Function } else { Kind::Script };
        // A function is looked for first, a script last.
        let function = match kind {
            Kind::Function => Some(interpreter.find_function(first)?),
            Kind::Script => None,
        };
        let by_name = command.name.starts_with("EVALSHA");
        let id = if by_name { Some(ScriptId::parse(first).ok_or_else(no_script)?) } else { None };
        let count = count_of(words, kind)?;
        let (called, flags) = match function {
            Some(found) => {
                let flags = Some(found.function.flags);
                (Called::Function(found), flags)
            }
            None => {
                let found = self.script(first, id, interpreter)?;
                let flags = found.known.script.flags();
                (Called::Script(found), flags)
            }
        };
        let only_reads = command.name.ends_with("_RO");
        let mut terms = self.terms(kind, flags, only_reads)?;
        let keys: SmallVec<[&[u8]; 4]> = words.iter().skip(3).take(count).collect();
        let arguments = words.iter().skip(3 + count).collect();
        terms.keys = keys.iter().map(|key| self.server.keyspace.hash(key)).collect();
        let conduct = match &called {
            Called::Script(script) => {
                terms.is_not_atomic = script.known.is_not_atomic.load(Ordering::Relaxed);
                &script.known.conduct
            }
            Called::Function(function) => &function.conduct,
        };
        terms.is_trusted = conduct.is_known_to_keep();
        // A script without keys that nobody knows may use any.
        let may_keep = !conduct.is_known_to_stray() && !terms.keys.is_empty();
        if terms.is_trusted || (may_keep && !holds_all) {
            terms.plan = self.server.keyspace.plan(terms.keys.iter().copied());
        }
        Ok(Order { called, terms, keys, arguments })
    }

    /// The script that EVALSHA names, or EVAL brings.
    fn script(
        &self,
        word: &[u8],
        name: Option<ScriptId>,
        interpreter: &mut Interpreter,
    ) -> Result<Arc<Remembered>, CommandError> {
        if let Some(found) = interpreter.find(name.unwrap_or_else(|| ScriptId::of(word))) {
            found.known.touch(self.now);
            return Ok(found);
        }
        match name {
            Some(_) => Err(no_script()),
            None => self.keep(word, false, interpreter),
        }
    }

    /// On what terms a script runs that says this of itself; `None`: nothing.
    fn terms(
        &self,
        kind: Kind,
        flags: Option<script::Flags>,
        only_reads: bool,
    ) -> Result<Terms, CommandError> {
        let says = flags.unwrap_or_default();
        if flags.is_some() && !says.no_writes {
            if only_reads {
                return Err(CommandError::text(
                    "ERR Can not execute a script with write flag using *_ro command.",
                ));
            }
            if !says.allow_oom && self.is_out_of_memory() {
                self.worker.stats().oom_refusals.add(1);
                return Err(CommandError::OutOfMemory);
            }
        }
        let is_read_only = only_reads || says.no_writes;
        Ok(Terms {
            kind,
            is_read_only,
            allows_oom: says.allow_oom || says.no_writes,
            plan: Plan::All,
            mode: if is_read_only { Mode::Shared } else { Mode::Exclusive },
            keys: SmallVec::new(),
            is_trusted: false,
            is_not_atomic: false,
        })
    }

    /// Enters the shards of a script; `None` if one is busy.
    fn try_enter_for(&self, terms: &Terms, session: &Session) -> Option<Option<View<'static>>> {
        if terms.is_not_atomic {
            return Some(None);
        }
        let frame = self.frame(session);
        self.server.keyspace.try_enter(frame, &terms.plan, terms.mode).map(Some)
    }

    /// The same, waiting as long as it takes.
    async fn enter_for_script(
        &self,
        request: Request<'a>,
        command: &'static Command,
        session: &Session,
    ) -> Result<Option<View<'static>>, CommandError> {
        let (order, interpreter) = self.prepared(request, command, session)?;
        self.put_back(interpreter);
        let terms = order.terms;
        while self.server.scripts.is_full() {
            if let Some(busy) = self.busy(&Plan::All) {
                return Err(busy);
            }
            tokio::time::sleep(CROWDED_REST).await;
        }
        if terms.is_not_atomic {
            return Ok(None);
        }
        self.enter_unless_busy(&terms.plan, terms.mode, session).await.map(Some)
    }

    /// Enters shards, waiting as long as it takes, but not for a script that takes too long.
    ///
    /// # Errors
    /// If one does.
    pub async fn enter_unless_busy(
        &self,
        plan: &Plan,
        mode: Mode,
        session: &Session,
    ) -> Result<View<'static>, CommandError> {
        let frame = || Frame { now: self.server.clock.now(), ..self.frame(session) };
        let entering = self.server.keyspace.enter(plan, mode, frame);
        tokio::select! {
            biased;
            view = entering => Ok(view),
            busy = self.until_busy(plan) => Err(busy),
        }
    }

    /// Waits until EXEC, if it runs scripts, may have a thread of its own.
    ///
    /// # Errors
    /// If scripts take too long meanwhile.
    pub async fn permit_transaction(
        &self,
        command: &Command,
        session: &Session,
    ) -> Result<Option<OwnedSemaphorePermit>, CommandError> {
        if !session.runs_scripts(command) {
            return Ok(None);
        }
        tokio::select! {
            biased;
            permit = self.server.scripts.permit_transaction() => Ok(permit),
            busy = self.until_busy(&Plan::All) => Err(busy),
        }
    }

    /// Waits until a script that holds one of these shards has been running for too long.
    async fn until_busy(&self, plan: &Plan) -> CommandError {
        loop {
            if let Some(busy) = self.busy(plan) {
                return busy;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What is told whoever needs these shards, if a script that has one of them has been running
    /// for too long.
    pub fn busy(&self, plan: &Plan) -> Option<CommandError> {
        let limit = self.worker.settings().busy_reply_millis;
        let now = self.server.clock.nanos();
        self.server.scripts.busy(plan, now, limit).filter(|_| limit > 0)
    }

    /// Begins a script in its entered shards. [`Ran::Busy`]: it has left the worker, or is to be
    /// begun anew.
    fn start(
        &self,
        request: Request<'_>,
        order: Order<'_>,
        interpreter: Interpreter,
        view: Option<View<'static>>,
        session: &mut Session,
        output: &mut Output,
    ) -> Ran {
        if !session.holds_all {
            self.tell_monitors_of_script(request, session);
        }
        let Order { called, terms, keys, arguments } = order;
        if let Some(view) = &view {
            view.prefetch_buckets(&terms.keys);
        }
        let Interpreter { engine, kit, memory } = interpreter;
        let number = kit.number;
        let told_before = if session.holds_all { session.progress } else { 0 };
        let host = ScriptHost::new(kit, view, session, terms, Place::Worker, told_before);
        let dialect = session.dialect;
        match engine.start(called.program(), &keys, &arguments, dialect, host) {
            Progress::Done(finished) => {
                let (interpreter, outcome) = conclude(finished, &called, memory);
                self.put_back(interpreter);
                self.answer(request, outcome, session, output)
            }
            Progress::Paused(paused) => {
                self.server.scripts.describe(number, called.name(), request.words);
                let (sender, receiver) = oneshot::channel();
                self.worker.stats().long_commands.add(1);
                let server = Arc::clone(&self.worker.server);
                threads::start("anax-script", Some(NICENESS), move || {
                    let went = catch_unwind(AssertUnwindSafe(|| go_on(paused, &called, memory)));
                    // A panic is a bug, of which the client is told: nobody answers it then.
                    if let Ok((interpreter, outcome)) = went {
                        server.scripts.put_back(interpreter);
                        drop(sender.send(outcome));
                    }
                });
                session.away = Some(Box::new(Away(receiver)));
                Ran::Busy
            }
        }
    }

    /// Writes what a script has returned.
    fn answer(
        &self,
        request: Request<'_>,
        outcome: Outcome,
        session: &mut Session,
        output: &mut Output,
    ) -> Ran {
        if let Some(told) = outcome.must_restart {
            (session.holds_all, session.progress) = (true, told);
            return Ran::Busy;
        }
        let mark = output.mark();
        if outcome.has_failed {
            self.count_failed(request);
        }
        match outcome.done {
            Ok(reply) => output.push_output(reply),
            Err(failure) => self.fail(request, &failure, session, output, mark),
        }
        Ran::Done
    }

    /// Writes the error that a script has ended with. That of a command is counted already.
    #[cold]
    fn fail(
        &self,
        request: Request<'_>,
        failure: &Failure,
        session: &Session,
        output: &mut Output,
        mark: Mark,
    ) {
        if !failure.is_counted {
            return self.refuse(request, false, told(failure), session, output, mark);
        }
        output.rollback(mark);
        Reply::new(output, session.dialect).error(failure.message());
        self.count_failed(request);
    }

    /// Counts a run that has answered with an error which is counted already.
    #[cold]
    fn count_failed(&self, request: Request<'_>) {
        if let Some(entry) = request.entry {
            self.worker.stats().each[entry.number_of(entry.command)].failed.add(1);
        }
    }

    /// Monitors see a script before what it calls.
    fn tell_monitors_of_script(&self, request: Request<'_>, session: &Session) {
        if self.server.monitor.is_watched()
            && let Some(entry) = request.entry
        {
            self.show_monitors(entry, session, request.words);
        }
    }
}

/// Runs EXEC as this executor.
fn exec(
    executor: &Executor,
    view: View<'static>,
    words: Words<'_>,
    session: &mut Session,
    output: &mut Output,
) -> Result<Ran, CommandError> {
    let settings = executor.settings();
    let server = &*executor.server;
    let now = view.now();
    let batch = Batch::at(server, executor, &settings, now);
    let request = look_up(server, words);
    let (entry, command) = batch.named(request, session)?;
    batch.run_in(view, request, entry, command, session, output)
}

/// What is told where a script of this name is not known.
pub fn no_script() -> CommandError {
    CommandError::text("NOSCRIPT No matching script. Please use EVAL.")
}

/// How many keys a request gives to a script.
fn count_of(words: Words<'_>, kind: Kind) -> Result<usize, CommandError> {
    let not_a_number = || match kind {
        Kind::Script => CommandError::NotAnInteger,
        Kind::Function => CommandError::text("ERR Bad number of keys provided"),
    };
    let count = words.get(2).and_then(parse_integer).ok_or_else(not_a_number)?;
    let given = words.len().saturating_sub(3);
    if count > given as i64 {
        let text = "ERR Number of keys can't be greater than number of args";
        return Err(CommandError::text(text));
    }
    usize::try_from(count).map_err(|_| CommandError::text("ERR Number of keys can't be negative"))
}

fn told(failure: &Failure) -> CommandError {
    CommandError::text(failure.message())
}

/// Runs a script to its end on a thread of its own.
fn go_on(
    paused: Paused<Box<ScriptHost>>,
    called: &Called,
    memory: Box<Memory>,
) -> (Interpreter, Outcome) {
    let mut progress = paused.resume();
    loop {
        progress = match progress {
            Progress::Done(finished) => {
                let (interpreter, mut outcome) = conclude(finished, called, memory);
                if let Ok(reply) = &mut outcome.done {
                    reply.cut();
                }
                return (interpreter, outcome);
            }
            Progress::Paused(paused) => paused.resume(),
        };
    }
}

/// Publishes what a script did, leaves its shards, and says how it went.
fn conclude(
    finished: Finished<Box<ScriptHost>>,
    called: &Called,
    memory: Box<Memory>,
) -> (Interpreter, Outcome) {
    let Finished { mut engine, host, done } = finished;
    let (went, kit) = host.end();
    let nanos = kit.executor.server.clock.nanos() - went.began_nanos;
    called.note(went, done.is_ok(), nanos);
    let done = done.map(|()| std::mem::take(engine.reply()));
    let outcome = Outcome {
        // What fails beside its reply is counted with that.
        has_failed: went.has_failed && done.is_ok(),
        done,
        must_restart: went.must_restart.then_some(went.told),
        began_nanos: went.began_nanos,
    };
    (Interpreter { engine, kit, memory }, outcome)
}

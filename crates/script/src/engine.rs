//! One state of Lua, and what is run in it.
//!
//! # Safety contract
//!
//! The state is made in [`Engine::new`], closed when the engine is dropped, and entered only
//! through `&mut Engine`: so it lives whenever it is entered and no two threads are in it.
//! Lua keeps nothing that belongs to a thread, so an engine may move to another one. A run that
//! is put aside keeps its engine, so that nobody else enters the state (see `fiber`).
//!
//! # Invariants
//!
//! 1. Between two runs Lua's stack is empty and no host is lent.
//! 2. What a run has set (dialect, replication, collector, options of `cjson`) ends with it.
//! 3. Everything that can raise runs inside [`Lua::protect`].

use std::collections::HashMap;
use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::Arc;
use std::{fmt, mem, panic};

use corosensei::stack::DefaultStack;
use mlua_sys as ffi;
use protocol::{Dialect, Output, Reply};

use crate::error::{tell_load, tell_run};
use crate::fiber::{self, Ended, Fiber, Finished, Progress, Running};
use crate::host::{Failure, Host, Replicate};
use crate::library::{Function, Registered};
use crate::lua::{ALL, Kind, Lua, Raised, Status};
use crate::sandbox::{self, Kept};
use crate::shared::{Shared, allocate};
use crate::source::{ById, LibrarySource, Script, ScriptId};
use crate::{base, cjson, convert, random, stop};

/// How many compiled scripts are kept before the engine begins anew with them.
const SCRIPTS_MAX: usize = 1_000;

/// After how many runs the collector is turned to, whatever is left.
const RUNS_PER_COLLECTION: u32 = 1_000;

/// How many bytes of keys and arguments may stay until the next script gets others.
const WORDS_KEPT_BYTES: usize = 4 * 1024;

/// How much memory Lua itself needs to begin with, in bytes; no limit is lower.
const MEMORY_MIN_BYTES: usize = 1 << 20;

/// A Lua 5.1 for scripts and functions. Not shared: each worker, or each long run, has its own.
///
/// Scripts and libraries are compiled when they are first run here. It holds no lock and starts
/// no thread; a panic of the host goes on once Lua is left.
pub struct Engine {
    state: NonNull<ffi::lua_State>,
    shared: NonNull<Shared>,
    kept: Kept,
    scripts: ById<c_int>,
    libraries: HashMap<String, Library>,
    runs: u32,
    /// How many bytes of keys and arguments scripts still have, at most.
    words_bytes: usize,
    /// Where runs go on that can be put aside, once there was one.
    stack: Option<DefaultStack>,
    /// What the last of them has returned.
    reply: Output,
}

// SAFETY: the state and what it shares belong to the engine alone, which is entered through
// `&mut` only, and neither knows of threads.
unsafe impl Send for Engine {}

/// A library that is loaded here.
struct Library {
    id: ScriptId,
    functions: Vec<Registered>,
}

/// Why a script has not been compiled.
enum Uncompiled {
    NoMemory,
    Refused(Failure),
}

/// What is run.
#[derive(Clone, Copy, Debug)]
pub enum Program<'a> {
    /// A script.
    Script(&'a Script),
    /// A function of a library.
    Function {
        /// The library.
        library: &'a LibrarySource,
        /// The function's name.
        name: &'a str,
    },
}

/// What is run, once it is compiled.
#[derive(Clone)]
struct Callee {
    /// The kept function.
    function: c_int,
    name: Name,
}

/// By which name errors call what is run.
#[derive(Clone)]
pub(crate) enum Name {
    Script(ScriptId),
    Function(Arc<str>),
}

impl Engine {
    /// An engine whose Lua may have so many bytes; 1 MiB at least.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub fn new(memory_max_bytes: usize) -> Result<Self, Failure> {
        let no_memory = || Failure::new("OOM no memory for Lua");
        let shared = Box::new(Shared::new(memory_max_bytes.max(MEMORY_MIN_BYTES)));
        let shared = NonNull::from(Box::leak(shared));
        // SAFETY: `shared` outlives the state: both end in `Drop`, or below.
        let state = unsafe { ffi::lua_newstate(allocate, shared.as_ptr().cast()) };
        let Some(state) = NonNull::new(state) else {
            // SAFETY: it was leaked above, and no state knows it.
            drop(unsafe { Box::from_raw(shared.as_ptr()) });
            return Err(no_memory());
        };
        let mut engine = Self {
            state,
            shared,
            kept: Kept::NONE,
            scripts: ById::default(),
            libraries: HashMap::new(),
            runs: 0,
            words_bytes: 0,
            stack: None,
            reply: Output::new(),
        };
        let lua = engine.enter();
        // SAFETY: the function has the type that Lua wants, and the state is ours.
        unsafe { ffi::lua_atpanic(engine.state.as_ptr(), die) };
        let mut kept = Kept::NONE;
        let status = lua.protect_first(|lua| {
            kept = sandbox::build(lua);
            base::set_collector(lua);
            lua.set_hook(stop::LOOK_EVERY);
            Ok(0)
        });
        lua.set_top(0);
        engine.kept = kept;
        if status == Status::Done { Ok(engine) } else { Err(no_memory()) }
    }

    /// How many bytes Lua has.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.shared().used_bytes.get()
    }

    /// Changes how many bytes Lua may have; 1 MiB at least.
    pub fn set_memory_max(&mut self, bytes: usize) {
        self.shared().limit_bytes.set(bytes.max(MEMORY_MIN_BYTES));
    }

    /// Compiles a script, so that running it will not fail for its syntax.
    ///
    /// # Errors
    ///
    /// If Lua does not understand it.
    pub fn compile(&mut self, script: &Script) -> Result<(), Failure> {
        self.compiled(script).map(drop)
    }

    /// Runs a script and writes what it returns.
    ///
    /// # Errors
    ///
    /// If it does not compile, or fails, or must stop. Then nothing is in `reply`; what its
    /// commands have done is done.
    pub fn run(
        &mut self,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        host: &mut dyn Host,
        reply: &mut Reply<'_>,
    ) -> Result<(), Failure> {
        let callee = self.script(script)?;
        self.execute(&callee, keys, arguments, host, reply)
    }

    /// Begins a run on a stack of its own and lets it go until it is done or the host wants a
    /// pause. The keys and the arguments are not needed any more then. What it returns is
    /// written in `dialect` and lies in [`Engine::reply`] afterwards.
    ///
    /// A library that is not loaded yet is loaded first, without a pause.
    ///
    /// # Panics
    ///
    /// If the host has panicked. Engine and host are gone then.
    pub fn start<H: Host + Send + 'static>(
        mut self: Box<Self>,
        program: Program<'_>,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        dialect: Dialect,
        mut host: H,
    ) -> Progress<H> {
        self.reply.clear();
        match self.prepare(program, keys, arguments, &mut host) {
            Ok((pushed, name, stack)) => {
                host.note_ready();
                let fiber = self.fiber(stack, pushed, name, dialect, host);
                Running { engine: self, fiber }.go_on()
            }
            Err(failure) => Progress::Done(Finished { engine: self, host, done: Err(failure) }),
        }
    }

    /// What the last run that was begun with [`Engine::start`] has returned; empty if it failed.
    /// It stays until the next one, which needs no new memory for its reply then.
    pub fn reply(&mut self) -> &mut Output {
        &mut self.reply
    }

    /// Loads a library, or loads it anew if its source is another one than before, and says
    /// what it has registered. Functions of the same name are forgotten only if it succeeds.
    ///
    /// # Errors
    ///
    /// If it does not compile, fails, or registers nothing.
    pub fn load(
        &mut self,
        source: &LibrarySource,
        host: &mut dyn Host,
    ) -> Result<Vec<Function>, Failure> {
        if self.libraries.get(source.name()).is_none_or(|known| known.id != source.id()) {
            let functions = self.load_anew(source, host)?;
            let library = Library { id: source.id(), functions };
            if let Some(old) = self.libraries.insert(source.name().to_owned(), library) {
                self.forget(old.functions.iter().map(|old| old.callback).collect());
            }
        }
        let functions = self.libraries.get(source.name()).map(|library| &library.functions);
        Ok(functions.into_iter().flatten().map(|known| known.function.clone()).collect())
    }

    /// Runs a function of a library, which is loaded first where it is not, and writes what it
    /// returns.
    ///
    /// # Errors
    ///
    /// As [`Engine::run`] and [`Engine::load`]; or if the library has no such function.
    pub fn call(
        &mut self,
        source: &LibrarySource,
        function: &str,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        host: &mut dyn Host,
        reply: &mut Reply<'_>,
    ) -> Result<(), Failure> {
        let callee = self.function(source, function, host)?;
        self.execute(&callee, keys, arguments, host, reply)
    }

    /// Forgets one library, if it is loaded.
    pub fn unload(&mut self, name: &str) {
        if let Some(old) = self.libraries.remove(name) {
            self.forget(old.functions.iter().map(|old| old.callback).collect());
        }
    }

    /// Forgets all libraries.
    pub fn unload_all(&mut self) {
        let libraries = mem::take(&mut self.libraries);
        let functions = libraries.values().flat_map(|library| &library.functions);
        self.forget(functions.map(|old| old.callback).collect());
    }

    /// Forgets all compiled scripts.
    pub fn forget_scripts(&mut self) {
        let scripts = mem::take(&mut self.scripts);
        self.forget(scripts.into_values().collect());
    }

    fn shared(&self) -> &Shared {
        // SAFETY: it lives as long as the engine and is only borrowed shared.
        unsafe { self.shared.as_ref() }
    }

    /// The state, for as long as nobody else can enter it.
    pub(crate) fn enter<'a>(&mut self) -> Lua<'a> {
        // SAFETY: the state is ours and alive; callers use it only before they return.
        unsafe { Lua::new(self.state) }
    }

    /// A script, to be run.
    fn script(&mut self, script: &Script) -> Result<Callee, Failure> {
        Ok(Callee { function: self.compiled(script)?, name: Name::Script(script.id()) })
    }

    /// A function, to be run.
    fn function(
        &mut self,
        source: &LibrarySource,
        function: &str,
        host: &mut dyn Host,
    ) -> Result<Callee, Failure> {
        let is_loaded =
            self.libraries.get(source.name()).is_some_and(|known| known.id == source.id());
        if !is_loaded {
            self.load(source, host)?;
        }
        let library = self.libraries.get(source.name()).map(|library| &library.functions);
        let found = library.into_iter().flatten().find(|known| known.function.name == function);
        let found = found.ok_or_else(|| Failure::new("ERR Function not found"))?;
        Ok(Callee { function: found.callback, name: Name::Function(Arc::clone(&found.name)) })
    }

    /// The kept function of a script.
    fn compiled(&mut self, script: &Script) -> Result<c_int, Failure> {
        if let Some(&function) = self.scripts.get(&script.id()) {
            return Ok(function);
        }
        if self.scripts.len() >= SCRIPTS_MAX {
            self.forget_scripts();
        }
        let compiled = match self.try_compile(script) {
            // What is kept may be what leaves no room.
            Err(Uncompiled::NoMemory) => {
                self.forget_scripts();
                self.try_compile(script)
            }
            compiled => compiled,
        };
        match compiled {
            Ok(function) => {
                self.scripts.insert(script.id(), function);
                Ok(function)
            }
            Err(Uncompiled::Refused(failure)) => Err(failure),
            Err(Uncompiled::NoMemory) => {
                let text = "ERR Error compiling script (new function): not enough memory";
                Err(Failure::new(text))
            }
        }
    }

    fn try_compile(&mut self, script: &Script) -> Result<c_int, Uncompiled> {
        let (lua, kept) = (self.enter(), self.kept);
        let mut compiled = Err(Uncompiled::NoMemory);
        let result = &mut compiled;
        lua.protect(|lua| {
            match lua.load(script.body(), c"@user_script") {
                Status::Done => {
                    if !lua.sets_globals(-1) {
                        lua.push_kept(kept.globals);
                        lua.set_environment(-2);
                    }
                    *result = Ok(lua.keep());
                }
                Status::Failed => {
                    let mut failure = Failure::new(*b"");
                    let before = "ERR Error compiling script (new function): ";
                    tell_compile(lua, before, &mut failure);
                    *result = Err(Uncompiled::Refused(failure));
                }
                Status::OutOfMemory => {}
            }
            Ok(0)
        });
        lua.set_top(0);
        compiled
    }

    /// Runs it to its end, on the stack that we are on.
    fn execute(
        &mut self,
        callee: &Callee,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        host: &mut dyn Host,
        reply: &mut Reply<'_>,
    ) -> Result<(), Failure> {
        let lua = self.enter();
        let mark = reply.output().mark();
        self.begin(host);
        let mut failure = Failure::EMPTY;
        let is_done = self.push(callee, keys, arguments).is_some_and(|pushed| {
            let run = || perform(lua, pushed, &callee.name, reply, &mut failure);
            self.shared().lend(host, run)
        });
        self.end();
        if is_done {
            return Ok(());
        }
        reply.output().rollback(mark);
        Err(failure.or_no_memory())
    }

    /// Makes all ready for a run on a stack of its own: what it is given lies on Lua's.
    fn prepare(
        &mut self,
        program: Program<'_>,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        host: &mut dyn Host,
    ) -> Result<(c_int, Name, DefaultStack), Failure> {
        let callee = match program {
            Program::Script(script) => self.script(script)?,
            Program::Function { library, name } => self.function(library, name, host)?,
        };
        let stack = self.stack.take().map_or_else(fiber::new_stack, Ok)?;
        self.begin(host);
        match self.push(&callee, keys, arguments) {
            Some(pushed) => Ok((pushed, callee.name, stack)),
            None => {
                self.stack = Some(stack);
                self.end();
                Err(Failure::EMPTY.or_no_memory())
            }
        }
    }

    /// A fiber that calls what is on Lua's stack.
    fn fiber<H: Host + Send + 'static>(
        &mut self,
        stack: DefaultStack,
        pushed: c_int,
        name: Name,
        dialect: Dialect,
        mut host: H,
    ) -> Fiber<H> {
        let lua = self.enter();
        let mut output = mem::take(&mut self.reply);
        Fiber::with_stack(stack, move |exit, _| {
            let shared = lua.shared();
            let mut failure = Failure::EMPTY;
            let mut reply = Reply::new(&mut output, dialect);
            let run = || perform(lua, pushed, &name, &mut reply, &mut failure);
            let is_done = fiber::with_exit(shared, exit, || shared.lend(&mut host, run));
            Ended { host, reply: output, name, failure, is_done }
        })
    }

    /// Ends a run on a stack of its own; gives back how it went.
    pub(crate) fn end_fiber<H>(
        &mut self,
        stack: DefaultStack,
        ended: Ended<H>,
    ) -> (H, Result<(), Failure>) {
        let Ended { host, reply, name, failure, is_done } = ended;
        drop(name);
        self.stack = Some(stack);
        self.reply = reply;
        self.end();
        if is_done {
            return (host, Ok(()));
        }
        self.reply.clear();
        (host, Err(failure.or_no_memory()))
    }

    /// Pushes the error handler, the function and what it gets. Says how many arguments there
    /// are; `None` if there is no memory for it.
    fn push(&mut self, callee: &Callee, keys: &[&[u8]], arguments: &[&[u8]]) -> Option<c_int> {
        let (lua, kept) = (self.enter(), self.kept);
        self.words_bytes = keys.iter().chain(arguments).map(|word| word.len()).sum();
        let mut pushed = 0;
        let status = lua.protect_with(ALL, |lua| {
            lua.push_kept(kept.handler);
            lua.push_kept(callee.function);
            pushed = match callee.name {
                Name::Script(_) => {
                    set_words(lua, &kept, keys, arguments);
                    0
                }
                Name::Function(_) => {
                    push_list(lua, keys);
                    push_list(lua, arguments);
                    2
                }
            };
            Ok(2 + pushed)
        });
        (status == Status::Done).then_some(pushed)
    }

    fn load_anew(
        &mut self,
        source: &LibrarySource,
        host: &mut dyn Host,
    ) -> Result<Vec<Registered>, Failure> {
        let lua = self.enter();
        let kept = self.kept;
        let mut failure = Failure::new("ERR Error registering functions: ERR not enough memory");
        let mut is_done = false;
        self.begin(host);
        self.shared().registered.replace(Some(Vec::new()));
        self.shared().lend(host, || {
            lua.protect(|lua| {
                is_done = load_library(lua, &kept, source, &mut failure);
                Ok(0)
            })
        });
        lua.set_top(0);
        lua.protect(|lua| {
            kept.show_functions(lua, false);
            Ok(0)
        });
        let registered = self.shared().registered.take().unwrap_or_default();
        self.end();
        if is_done && !registered.is_empty() {
            return Ok(registered);
        }
        self.forget(registered.iter().map(|function| function.callback).collect());
        Err(if is_done { Failure::new("ERR No functions registered") } else { failure })
    }

    /// Sets what a run begins with.
    fn begin(&mut self, host: &mut dyn Host) {
        let seed = host.seed();
        let shared = self.shared();
        shared.stop.set(None);
        shared.dialect.set(Dialect::Resp2);
        shared.replicate.set(Replicate::ALL);
        shared.random.set(random::seeded(seed));
        shared.collected_bytes.set(0);
        shared.steps.set(0);
        cjson::reset(shared);
    }

    /// Ends a run, however it went.
    fn end(&mut self) {
        let lua = self.enter();
        lua.set_top(0);
        lua.set_hook(stop::LOOK_EVERY);
        self.runs = self.runs.wrapping_add(1);
        let shared = self.shared();
        let has_left_words = self.words_bytes > WORDS_KEPT_BYTES;
        let is_time = self.runs.is_multiple_of(RUNS_PER_COLLECTION);
        if has_left_words || is_time || shared.is_collector_changed.get() || stop::is_due(shared) {
            self.clean(is_time);
        }
        let shared = self.shared();
        shared.scratch_cut(0);
        shared.answer.borrow_mut().clear();
        if let Some(panic) = shared.panic.take() {
            panic::resume_unwind(panic);
        }
    }

    /// Lets go what runs have left.
    fn clean(&mut self, is_time: bool) {
        let (lua, kept) = (self.enter(), self.kept);
        self.words_bytes = 0;
        lua.protect(|lua| {
            base::restore_collector(lua);
            forget_words(lua, &kept);
            stop::collect_all(lua);
            stop::collect_little(lua, is_time);
            Ok(0)
        });
        lua.set_top(0);
    }

    /// Lets Lua collect what is kept under these numbers.
    fn forget(&mut self, kept: Vec<c_int>) {
        let lua = self.enter();
        lua.protect(|lua| {
            kept.iter().for_each(|&function| lua.forget(function));
            stop::collect_all(lua);
            Ok(0)
        });
        lua.set_top(0);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("memory_bytes", &self.memory_bytes())
            .field("scripts", &self.scripts.len())
            .field("libraries", &self.libraries.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: the state is ours and nobody is in it.
        unsafe { ffi::lua_close(self.state.as_ptr()) };
        // SAFETY: it was leaked in `new`, and the state that knew it is gone.
        drop(unsafe { Box::from_raw(self.shared.as_ptr()) });
    }
}

/// Calls what lies on the stack: the handler in slot 1, the function, so many arguments. Writes
/// what it returns and says whether that went well.
///
/// It may be on a fiber, so it must not allocate (see `fiber`).
fn perform(
    lua: Lua<'_>,
    arguments: c_int,
    name: &Name,
    reply: &mut Reply<'_>,
    failure: &mut Failure,
) -> bool {
    let status = lua.call_protected(arguments, 1, 1);
    if status == Status::Done && convert::write_plain(lua, reply) {
        return true;
    }
    let mut is_done = false;
    lua.protect_with(0, |lua| {
        if status != Status::Done {
            tell_run(lua, status, name, failure);
        } else if let Err(Raised) = convert::write(lua, reply) {
            tell_run(lua, Status::Failed, name, failure);
        } else {
            is_done = true;
        }
        Ok(0)
    });
    is_done
}

/// Shows a script its keys and arguments.
fn set_words(lua: Lua<'_>, kept: &Kept, keys: &[&[u8]], arguments: &[&[u8]]) {
    lua.push_kept(kept.globals);
    for (name, words) in kept.words.into_iter().zip([keys, arguments]) {
        lua.push_kept(name);
        push_list(lua, words);
        lua.raw_set(-3);
    }
    lua.pop(1);
}

/// Lets go what the last script was given.
fn forget_words(lua: Lua<'_>, kept: &Kept) {
    lua.push_kept(kept.globals);
    for name in kept.words {
        lua.push_kept(name);
        lua.push_nil();
        lua.raw_set(-3);
    }
    lua.pop(1);
}

fn push_list(lua: Lua<'_>, words: &[&[u8]]) {
    lua.new_table(words.len(), 0);
    for (index, word) in (1..).zip(words) {
        lua.push_bytes(word);
        lua.raw_set_at(-2, index);
    }
}

/// Runs the source of a library; says whether that went well.
fn load_library(lua: Lua<'_>, kept: &Kept, source: &LibrarySource, failure: &mut Failure) -> bool {
    kept.show_functions(lua, true);
    if lua.load(source.body(), c"@user_function") != Status::Done {
        tell_compile(lua, "ERR Error compiling function: ", failure);
        return false;
    }
    lua.push_kept(kept.functions);
    lua.set_environment(-2);
    let is_done = lua.call_protected(0, 0, 0) == Status::Done;
    if !is_done {
        tell_load(lua, failure);
    }
    is_done
}

/// Writes what the compiler says.
fn tell_compile(lua: Lua<'_>, before: &str, failure: &mut Failure) {
    failure.text.clear();
    failure.text.extend_from_slice(before.as_bytes());
    let text = if lua.kind(-1) == Kind::String { lua.text(-1) } else { None };
    failure.text.extend_from_slice(text.unwrap_or(b"unknown error"));
}

/// Never called, because everything that raises is protected; if it is, going on is not safe.
///
/// # Safety
///
/// Only Lua calls it.
unsafe extern "C-unwind" fn die(_: *mut ffi::lua_State) -> c_int {
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::NumberText;

    #[test]
    fn a_panic_does_not_go_through_lua() {
        let mut engine = Engine::new(MEMORY_MIN_BYTES).unwrap();
        let lua = engine.enter();
        let status = lua.protect(|lua| {
            lua.push_function(|_| panic!("a bug"), 0);
            let status = lua.call_protected(0, 0, 0);
            assert_eq!(status, Status::Failed);
            lua.push_function(|_| panic!("another bug"), 0);
            lua.call(0, 0);
            Ok(0)
        });
        assert_eq!(status, Status::Failed);
        let panic = engine.shared().panic.take().unwrap();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"another bug"));
        let status = lua.protect(|_| panic!("a third bug"));
        assert_eq!(status, Status::Failed);
        lua.set_top(0);
        assert!(engine.shared().panic.take().is_some());
    }

    #[test]
    fn numbers_become_text_as_the_c_library_writes_them() {
        let mut engine = Engine::new(MEMORY_MIN_BYTES).unwrap();
        let lua = engine.enter();
        let edges = [0.0, -0.0, 0.5, 9e15, f64::MAX, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY];
        let near = |power: i32| [-1.0, 0.0, 0.25, 1.0].map(|step| 10_f64.powi(power) + step);
        let powers = (0..18).flat_map(near);
        let mut random = 1_u64;
        let random = std::iter::repeat_with(|| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            // Every other one is whole.
            let bits = f64::from_bits(random);
            if random >> 63 == 0 { bits } else { (random as i64 >> (random % 60)) as f64 }
        });
        let numbers = edges.into_iter().chain(powers).chain(random.take(20_000));
        for number in numbers.flat_map(|number| [number, -number]) {
            lua.push_number(number);
            let text = lua.text(-1).unwrap();
            assert_eq!(text, NumberText::general(number, 14).as_bytes(), "{number}");
            lua.set_top(0);
        }
    }

    #[test]
    fn memory_is_counted_to_the_last_byte() {
        let mut engine = Engine::new(MEMORY_MIN_BYTES).unwrap();
        let collect = |engine: &mut Engine| {
            let lua = engine.enter();
            lua.protect(|lua| {
                for _ in 0..3 {
                    lua.collect(ffi::LUA_GCCOLLECT, 0);
                }
                Ok(0)
            });
            lua.set_top(0);
        };
        collect(&mut engine);
        let before = engine.memory_bytes();
        let lua = engine.enter();
        let counted = lua.collect(ffi::LUA_GCCOUNT, 0) as usize * 1024
            + lua.collect(ffi::LUA_GCCOUNTB, 0) as usize;
        assert_eq!(before, counted);
        let script = Script::new(b"return {}").unwrap();
        engine.compile(&script).unwrap();
        assert!(engine.memory_bytes() > before);
        engine.forget_scripts();
        collect(&mut engine);
        // The registry keeps the place of what was forgotten.
        assert!(engine.memory_bytes() < before + 256, "{} {before}", engine.memory_bytes());
    }
}

//! A run on a stack of its own, which can be put aside and go on on another thread.
//!
//! ```text
//! Engine::start -> Running::go_on -> [fiber: Lua .. the hook, or long work -> stop::look
//!       ^                                                                        |
//!       +---------------------------- Paused <----------------- pause <----------+
//!                                        |
//!        any thread: Paused::resume -> Running::go_on -> [fiber goes on behind `pause`]
//! ```
//!
//! # Invariants
//!
//! 1. A fiber ends by returning. It is never unwound or reset: a [`Paused`] that is dropped goes
//!    on until the script has noticed that it must stop, which no script can evade.
//! 2. No panic leaves a fiber: [`Lua::protect`](crate::lua::Lua::protect) and what Lua calls of
//!    ours keep it, and it goes on where the run was started or resumed.
//!
//! # Safety contract
//!
//! A fiber that is put aside may go on on another thread. What makes that sound:
//!
//! 1. *Only [`pause`] leaves a fiber before its end*, and only `stop::must_stop` calls it, after
//!    the host has returned. So these are the frames on a fiber that is put aside: its first
//!    one, in `Engine::start`, which owns the host and the output; Lua's own; and those of this
//!    crate between them. The host is `Send`, and so is the output; all else is numbers,
//!    pointers into what belongs to the engine, and pointers into this same stack. Engine and
//!    fiber travel together, in [`Running`], and one thread at a time is in them.
//! 2. *No frame keeps the address of a thread-local*, which the compiler may take once for a
//!    whole function, what it has inlined included. The allocator counts in one, and so do
//!    panics. So what a fiber has on its stack when it is put aside neither allocates nor frees
//!    by itself: it goes through functions that are not inlined and have returned by then, those
//!    of `Shared` for the scratch buffer, those of `convert` that write, `stop::ask`, what tells
//!    an error. Only what catches a panic reads one in such a frame, and no other before it.
//!    Lua's core, in C, has no thread-locals; the guards of stack frames and of `longjmp` are the
//!    same in all threads of a process.
//! 3. *No cell is borrowed* then, because none is while Lua is called (see `lua`).
//! 4. What a run is given is on Lua's stack, in the heap, before its fiber begins, so the
//!    fiber borrows nothing from who starts it.

use std::ptr::NonNull;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use protocol::Output;

use crate::engine::{Engine, Name};
use crate::host::Failure;
use crate::shared::Shared;

/// How large a fiber's stack is, in bytes: Lua goes no deeper than 200 calls of C.
const STACK_BYTES: usize = 1 << 20;

/// Why a run ends that was put aside and dropped.
const ABANDONED: &str = "the run was given up";

/// The way out of a fiber.
pub(crate) type Exit = Yielder<Answer, ()>;

/// A stack, with what runs on it.
pub(crate) type Fiber<H> = Coroutine<Answer, (), Ended<H>>;

/// With what a fiber goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    GoOn,
    /// Nobody waits for the run any more.
    End,
}

/// What a fiber leaves; all that has to be dropped is, outside of it.
pub(crate) struct Ended<H> {
    pub(crate) host: H,
    pub(crate) reply: Output,
    pub(crate) name: Name,
    pub(crate) failure: Failure,
    pub(crate) is_done: bool,
}

/// How far a run has come.
#[derive(Debug)]
pub enum Progress<H> {
    /// It is over.
    Done(Finished<H>),
    /// The host has asked for a pause.
    Paused(Paused<H>),
}

/// A run that is over.
#[derive(Debug)]
pub struct Finished<H> {
    /// What has run it. [`Engine::reply`] has what was returned.
    pub engine: Box<Engine>,
    /// The host that was lent to it.
    pub host: H,
    /// How it went; what its commands have done is done.
    pub done: Result<(), Failure>,
}

/// A run that has been put aside. It holds its engine and its host.
///
/// If it is dropped, the run ends: the script cannot call the host any more and stops as one
/// that has been killed, and then engine and host are dropped.
pub struct Paused<H>(Option<Running<H>>);

// SAFETY: what is on the stack of a fiber that is put aside may go to another thread (1 to 4).
unsafe impl<H: Send> Send for Paused<H> {}

/// An engine and the fiber that is in its state.
pub(crate) struct Running<H> {
    pub(crate) engine: Box<Engine>,
    pub(crate) fiber: Fiber<H>,
}

/// A stack for fibers, which serves one after the other.
pub(crate) fn new_stack() -> Result<DefaultStack, Failure> {
    DefaultStack::new(STACK_BYTES).map_err(|_| Failure::new("OOM no memory for a stack"))
}

/// Leaves the fiber until it is resumed. Without one, nothing happens.
#[inline(never)]
pub(crate) fn pause(shared: &Shared) {
    let Some(exit) = shared.fiber.get() else { return };
    // SAFETY: the fiber has put it there and takes it back before it ends, so it lives, and it
    // is the fiber that we are on: nobody else is in this state of Lua.
    let exit = unsafe { exit.as_ref() };
    if exit.suspend(()) == Answer::End {
        shared.stop.set(Some(ABANDONED));
    }
}

impl<H> Running<H> {
    /// Lets the fiber go on until it is done or the host wants a pause.
    pub(crate) fn go_on(mut self) -> Progress<H> {
        match self.fiber.resume(Answer::GoOn) {
            CoroutineResult::Yield(()) => Progress::Paused(Paused(Some(self))),
            CoroutineResult::Return(ended) => {
                let Self { mut engine, fiber } = self;
                let (host, done) = engine.end_fiber(fiber.into_stack(), ended);
                Progress::Done(Finished { engine, host, done })
            }
        }
    }

    /// Has the script end, whatever it is at.
    fn abandon(mut self) {
        while let CoroutineResult::Yield(()) = self.fiber.resume(Answer::End) {}
    }
}

impl<H> Paused<H> {
    /// Goes on with the run, on whatever thread, until it is done or the host wants a pause.
    ///
    /// # Panics
    ///
    /// If the host has panicked. Engine and host are gone then.
    #[must_use]
    pub fn resume(mut self) -> Progress<H> {
        self.0.take().expect("only `resume` and `drop` take it, and both end this").go_on()
    }

    /// How many bytes Lua has.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |running| running.engine.memory_bytes())
    }
}

impl<H> Drop for Paused<H> {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.abandon();
        }
    }
}

impl<H> std::fmt::Debug for Paused<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paused").field("memory_bytes", &self.memory_bytes()).finish_non_exhaustive()
    }
}

/// Says that this is the way out, while `work` runs on the fiber.
pub(crate) fn with_exit<T>(shared: &Shared, exit: &Exit, work: impl FnOnce() -> T) -> T {
    shared.fiber.set(Some(NonNull::from(exit)));
    let result = work();
    shared.fiber.set(None);
    result
}

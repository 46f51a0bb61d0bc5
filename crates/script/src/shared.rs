//! What the engine and the functions that Lua calls have in common: memory, the run that is
//! on, and room to work in.
//!
//! Lua finds it as its allocator's data, from any function and any thread of its own.
//!
//! # Safety contract
//!
//! [`allocate`] is given by Lua exactly the sizes that it asked for earlier, which is what
//! [`Blocks`] wants. The host is lent for the time of one run:
//! [`Shared::lend`] takes it back before it returns, and only [`Shared::host`] uses it, never
//! twice at once, because a host has no way back into Lua.
//!
//! # Invariants
//!
//! 1. A cell is borrowed only where nothing can raise: see the contract of `lua`.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use protocol::{Dialect, Output};

use crate::blocks::Blocks;
use crate::gathered::Gathered;
use crate::host::{Host, Replicate};
use crate::library::Registered;

/// The largest scratch buffer that is kept between two uses, in bytes.
const SCRATCH_KEPT_BYTES: usize = 64 * 1024;

/// What the engine and the functions that Lua calls have in common.
pub(crate) struct Shared {
    blocks: Blocks,
    /// How many bytes Lua has, and may have.
    pub(crate) used_bytes: Cell<usize>,
    pub(crate) limit_bytes: Cell<usize>,
    /// How many bytes were left by the last full collection in this run.
    pub(crate) collected_bytes: Cell<usize>,
    /// How many bytes were left by the last collection after a run.
    pub(crate) left_bytes: Cell<usize>,
    /// Whether so much lives that [`collect_little`](crate::stop::collect_little) has no use.
    pub(crate) lives_much: Cell<bool>,
    host: Cell<Option<NonNull<dyn Host>>>,
    /// How the run leaves the stack it has for itself, if it has one.
    pub(crate) fiber: Cell<Option<NonNull<crate::fiber::Exit>>>,
    /// Why the script has to stop, once it has.
    pub(crate) stop: Cell<Option<&'static str>>,
    /// A panic, to go on once Lua is left.
    pub(crate) panic: RefCell<Option<Box<dyn Any + Send>>>,
    /// The dialect and the replication that the script has asked for.
    pub(crate) dialect: Cell<Dialect>,
    pub(crate) replicate: Cell<Replicate>,
    /// The state of `math.random`.
    pub(crate) random: Cell<u64>,
    /// Whether the script has changed how garbage is collected.
    pub(crate) is_collector_changed: Cell<bool>,
    /// Steps of long work since the host was asked.
    pub(crate) steps: Cell<u32>,
    /// What is kept in the registry for the engine itself.
    pub(crate) protected: Cell<c_int>,
    /// The tables that may only be read: what stands for them, and the kept table behind it.
    pub(crate) closed: RefCell<Vec<(*const c_void, c_int)>>,
    /// What `getmetatable` says of strings and of the globals.
    pub(crate) shown_metatables: Cell<(c_int, c_int)>,
    /// The strings `ok` and `OK`, of which most replies are made.
    pub(crate) ok: Cell<(c_int, c_int)>,
    /// The environments whose metatable is shown.
    pub(crate) environments: Cell<[*const c_void; 2]>,
    /// How `cjson` works.
    pub(crate) json: Cell<crate::cjson::Options>,
    /// The functions that the library being loaded has registered.
    pub(crate) registered: RefCell<Option<Vec<Registered>>>,
    /// What a command has replied.
    pub(crate) answer: RefCell<Output>,
    scratch: RefCell<Vec<u8>>,
    words: RefCell<Gathered>,
}

impl Shared {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            blocks: Blocks::new(),
            used_bytes: Cell::new(0),
            limit_bytes: Cell::new(limit_bytes),
            collected_bytes: Cell::new(0),
            left_bytes: Cell::new(0),
            lives_much: Cell::new(false),
            host: Cell::new(None),
            fiber: Cell::new(None),
            stop: Cell::new(None),
            panic: RefCell::new(None),
            dialect: Cell::new(Dialect::Resp2),
            replicate: Cell::new(Replicate::ALL),
            random: Cell::new(0),
            is_collector_changed: Cell::new(false),
            steps: Cell::new(0),
            protected: Cell::new(0),
            closed: RefCell::new(Vec::new()),
            shown_metatables: Cell::new((0, 0)),
            ok: Cell::new((0, 0)),
            environments: Cell::new([ptr::null(); 2]),
            json: Cell::new(crate::cjson::Options::DEFAULT),
            registered: RefCell::new(None),
            answer: RefCell::new(Output::new()),
            scratch: RefCell::new(Vec::new()),
            words: RefCell::new(Gathered::new()),
        }
    }

    /// Lends `host` to what Lua calls while `work` runs.
    pub(crate) fn lend<T>(&self, host: &mut dyn Host, work: impl FnOnce() -> T) -> T {
        let host: NonNull<dyn Host + '_> = NonNull::from(host);
        // SAFETY: only the lifetime differs; the host is taken back below before it ends.
        let host =
            unsafe { std::mem::transmute::<NonNull<dyn Host + '_>, NonNull<dyn Host>>(host) };
        self.host.set(Some(host));
        let result = work();
        self.host.set(None);
        result
    }

    /// Lets the host do something. `None` if there is none, the script has to stop, or the host
    /// panicked, which goes on when Lua is left.
    pub(crate) fn host<T>(&self, ask: impl FnOnce(&mut dyn Host) -> T) -> Option<T> {
        if self.stop.get().is_some() {
            return None;
        }
        let mut host = self.host.get()?;
        // SAFETY: it is lent, so it lives, and nobody else uses it: nothing that it can do
        // leads here again.
        let host = unsafe { host.as_mut() };
        match catch_unwind(AssertUnwindSafe(|| ask(host))) {
            Ok(result) => Some(result),
            Err(panic) => {
                self.keep_panic(panic);
                None
            }
        }
    }

    /// Keeps a panic until Lua is left, and has the script end.
    #[cold]
    #[inline(never)]
    pub(crate) fn keep_panic(&self, panic: Box<dyn Any + Send>) {
        self.stop.set(Some("a bug of the server"));
        self.panic.replace(Some(panic));
    }

    /// What was replied last.
    pub(crate) fn answer(&self) -> &Output {
        // SAFETY: it changes only while a command runs, and this is read before the next one.
        unsafe { &*self.answer.as_ptr() }
    }

    /// Appends to the scratch buffer. As all that may allocate here, a frame of its own: see
    /// `fiber`.
    #[inline(never)]
    pub(crate) fn scratch_push(&self, bytes: &[u8]) {
        self.scratch.borrow_mut().extend_from_slice(bytes);
    }

    /// Works on the scratch buffer, without a call of Lua.
    #[inline(never)]
    pub(crate) fn scratch<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        work(&mut self.scratch.borrow_mut())
    }

    /// Works on the words of a call, without a call of Lua that may raise.
    #[inline(never)]
    pub(crate) fn words<T>(&self, work: impl FnOnce(&mut Gathered) -> T) -> T {
        work(&mut self.words.borrow_mut())
    }

    /// How much is in the scratch buffer.
    pub(crate) fn scratch_len(&self) -> usize {
        self.scratch.borrow().len()
    }

    /// Where the bytes from `start` on are, until something is appended.
    pub(crate) fn scratch_from(&self, start: usize) -> (*const u8, usize) {
        let scratch = self.scratch.borrow();
        let bytes = scratch.get(start..).unwrap_or_default();
        (bytes.as_ptr(), bytes.len())
    }

    /// Forgets the bytes from `start` on.
    #[inline(never)]
    pub(crate) fn scratch_cut(&self, start: usize) {
        let mut scratch = self.scratch.borrow_mut();
        scratch.truncate(start);
        if start == 0 && scratch.capacity() > SCRATCH_KEPT_BYTES {
            scratch.shrink_to(SCRATCH_KEPT_BYTES);
        }
    }

    /// Whether Lua may have `more` bytes.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.used_bytes.get().saturating_add(more) <= self.limit_bytes.get()
    }
}

/// Lua's allocator: the process' own one, up to a limit.
///
/// # Safety
///
/// Only Lua calls it, as the module's contract says; `data` is the state's [`Shared`].
pub(crate) unsafe extern "C" fn allocate(
    data: *mut c_void,
    block: *mut c_void,
    old_len: usize,
    new_len: usize,
) -> *mut c_void {
    // SAFETY: the state was made with its `Shared`, which lives longer.
    let shared = unsafe { &*data.cast::<Shared>() };
    let old_len = if block.is_null() { 0 } else { old_len };
    if new_len > old_len && !shared.has_room(new_len - old_len) {
        return ptr::null_mut();
    }
    let moved = match (NonNull::new(block.cast::<u8>()), new_len) {
        (None, 0) => ptr::null_mut(),
        (None, _) => shared.blocks.get(new_len),
        (Some(block), 0) => {
            // SAFETY: Lua gives back what it got, with its length.
            unsafe { shared.blocks.give_back(block, old_len) };
            ptr::null_mut()
        }
        // SAFETY: as above, and neither length is zero.
        (Some(block), _) => unsafe { shared.blocks.change(block, old_len, new_len) },
    };
    if new_len == 0 || !moved.is_null() {
        shared.used_bytes.set(shared.used_bytes.get() - old_len + new_len);
    }
    moved.cast()
}

//! Ending scripts that must end, pausing those that may pause, and collecting their garbage.
//!
//! Lua calls a hook every so many instructions, in every coroutine; the hook asks the host.
//! Functions of ours that work long without Lua's instructions ask by [`Pace::step`]. A run that
//! is to pause does so here, and nowhere else (see `fiber`).
//!
//! # Invariants
//!
//! 1. Once a script must stop, each further instruction of it raises the error again, so no
//!    `pcall` gets past it; a coroutine notices at its next look. No command runs any more.
//! 2. The host has returned from what it was asked when a run pauses.

use std::ffi::c_int;

use mlua_sys as ffi;

use crate::base;
use crate::error::push_error;
use crate::fiber;
use crate::host::Verdict;
use crate::lua::{Lua, Raised};
use crate::shared::Shared;

/// How many instructions there are from one look to the next: about a tenth of a millisecond.
pub(crate) const LOOK_EVERY: i32 = 10_000;

/// How many steps of long work there are from one look to the next.
const STEPS_PER_LOOK: u32 = 20_000;

/// Whether the script must stop: asks the host, if that is not known yet, and pauses if it says
/// so.
fn must_stop(lua: Lua<'_>) -> Option<&'static str> {
    let shared = lua.shared();
    match ask(shared) {
        Some(Verdict::Stop(why)) => shared.stop.set(Some(why)),
        Some(Verdict::Pause) => fiber::pause(shared),
        Some(Verdict::GoOn) | None => {}
    }
    shared.stop.get()
}

/// A frame of its own, so that nothing of the host is left when the run pauses.
#[inline(never)]
fn ask(shared: &Shared) -> Option<Verdict> {
    shared.host(|host| host.look())
}

/// How many collections there are at most after a run.
const COLLECTIONS_MAX: u32 = 4;

/// What the hook does: raises if the script must stop.
pub(crate) fn look(lua: Lua<'_>) -> Result<(), Raised> {
    match must_stop(lua) {
        Some(why) => {
            end(lua);
            Err(push_error(lua, why))
        }
        None => {
            collect_early(lua);
            lua.set_hook(LOOK_EVERY);
            Ok(())
        }
    }
}

/// Makes every further instruction raise.
pub(crate) fn end(lua: Lua<'_>) {
    lua.set_hook_everywhere();
}

/// Lua lets garbage grow to what lives, and large strings faster than that; near the limit it
/// has to go first. Not again until there is an eighth of the limit more than after that.
fn collect_early(lua: Lua<'_>) {
    let shared = lua.shared();
    let (used, limit) = (shared.used_bytes.get(), shared.limit_bytes.get());
    if used > limit / 2 && used > shared.collected_bytes.get().saturating_add(limit / 8) {
        lua.collect(ffi::LUA_GCCOLLECT, 0);
        shared.collected_bytes.set(shared.used_bytes.get());
    }
}

/// Collects what a run with much garbage has left, so that the next one has room. Lua halves
/// its own buffers with each collection, so one is not always enough.
pub(crate) fn collect_all(lua: Lua<'_>) {
    let shared = lua.shared();
    let (used, limit) = (&shared.used_bytes, shared.limit_bytes.get());
    let is_much = || used.get() > limit / 4;
    if !is_much() || used.get() <= shared.left_bytes.get().saturating_add(limit / 8) {
        return;
    }
    for _ in 0..COLLECTIONS_MAX {
        lua.collect(ffi::LUA_GCCOLLECT, 0);
        if !is_much() {
            break;
        }
    }
    shared.left_bytes.set(used.get());
}

/// How much garbage brief runs may leave until it is collected, in bytes; an eighth of the limit
/// if that is less.
const LITTLE_BYTES: usize = 160 * 1024;

fn little_bytes(shared: &Shared) -> usize {
    LITTLE_BYTES.min(shared.limit_bytes.get() / 8)
}

/// Whether a run has left enough for a collection to pay.
pub(crate) fn is_due(shared: &Shared) -> bool {
    let used = shared.used_bytes.get();
    used > shared.limit_bytes.get() / 4 || (used > little_bytes(shared) && !shared.lives_much.get())
}

/// Collects what brief runs have left, when it is enough or it is time. Lua by itself would go
/// through all that lives whenever as much garbage has come, which is every few dozen runs: an
/// engine without large libraries has some 60 KiB. So it is told to begin only beyond that.
/// Where more lives, Lua's own pace is right, and all at once would take too long.
pub(crate) fn collect_little(lua: Lua<'_>, is_time: bool) {
    let shared = lua.shared();
    let (used, little) = (&shared.used_bytes, little_bytes(shared));
    let is_above = used.get() > little;
    if is_above && shared.lives_much.get() || !is_above && !is_time {
        return;
    }
    // What is set here holds for the one collection at whose end Lua looks at it.
    let begin_percent = (little + little / 4) * 100 / used.get().clamp(1, little);
    lua.collect(ffi::LUA_GCSETPAUSE, i32::try_from(begin_percent).unwrap_or(base::PAUSE_PERCENT));
    // Steps to the end of one collection. A full one would first go through everything once more,
    // to forget one that may have begun.
    while lua.collect(ffi::LUA_GCSTEP, c_int::MAX) == 0 {}
    lua.collect(ffi::LUA_GCSETPAUSE, base::PAUSE_PERCENT);
    shared.lives_much.set(used.get() > little / 2);
}

/// Makes room for `more` bytes if garbage can give it.
pub(crate) fn make_room(lua: Lua<'_>, more: usize) {
    if !lua.shared().has_room(more) {
        lua.collect(ffi::LUA_GCCOLLECT, 0);
    }
}

/// Counts long work that Lua does not see.
#[derive(Clone, Copy)]
pub(crate) struct Pace<'a>(Lua<'a>);

impl<'a> Pace<'a> {
    pub(crate) fn new(lua: Lua<'a>) -> Self {
        Self(lua)
    }

    /// One step of long work; raises when the script must stop.
    #[inline]
    pub(crate) fn step(self) -> Result<(), Raised> {
        let steps = &self.0.shared().steps;
        steps.set(steps.get().wrapping_add(1));
        if steps.get().is_multiple_of(STEPS_PER_LOOK) { look(self.0) } else { Ok(()) }
    }

    /// One step where nothing can be raised: whether it is time to end.
    #[inline]
    pub(crate) fn is_stopped(self) -> bool {
        let steps = &self.0.shared().steps;
        steps.set(steps.get().wrapping_add(1));
        steps.get().is_multiple_of(STEPS_PER_LOOK) && must_stop(self.0).is_some()
    }
}

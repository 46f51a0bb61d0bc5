//! What Lua knows of a call but does not tell: how many results its caller takes.
//!
//! Most calls of `redis.call` that write are statements: nobody takes their `{ok='OK'}`, and to
//! make it and to collect it again costs as much as the command. So the beginnings of two of
//! Lua's structures are read here, of which only the last release of Lua 5.1, of 2012, knows
//! more. The sources that this crate builds are that release; the test below notices others.
//!
//! Source: `lstate.h` of Lua 5.1.5, `lua_State` and `CallInfo`.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use mlua_sys::lua_State;

/// How a thread of Lua begins.
#[repr(C)]
struct Thread {
    next: *const c_void,
    kind: u8,
    marked: u8,
    status: u8,
    top: *const c_void,
    base: *const c_void,
    global: *const c_void,
    frame: *const Frame,
}

/// A call that has not returned.
#[repr(C)]
struct Frame {
    base: *const c_void,
    function: *const c_void,
    top: *const c_void,
    next_instruction: *const c_void,
    results: c_int,
}

/// How many results the caller of the running function takes; below zero: all that there are.
///
/// # Safety
///
/// The state is alive, and this thread is in a function that it has called.
pub(crate) unsafe fn results_taken(state: NonNull<lua_State>) -> c_int {
    let thread: NonNull<Thread> = state.cast();
    // SAFETY: a state begins like this, and nobody else changes it meanwhile.
    let frame = unsafe { thread.as_ref() }.frame;
    // SAFETY: while a function runs its frame is the last one of the state, which has one.
    unsafe { &*frame }.results
}

#[cfg(test)]
mod tests {
    use crate::Engine;
    use crate::lua::{ALL, Lua, Outcome, Status};

    /// Notes what its caller takes.
    fn note_taken(lua: Lua<'_>) -> Outcome {
        lua.shared().steps.set(lua.results_taken() as u32);
        Ok(0)
    }

    #[test]
    fn what_a_caller_takes_is_known() {
        let mut engine = Engine::new(1 << 20).unwrap();
        let lua = engine.enter();
        for taken in [0, 1, 2, 7, ALL] {
            let status = lua.protect(|lua| {
                lua.push_function(note_taken, 0);
                lua.call(0, taken);
                Ok(0)
            });
            assert_eq!(status, Status::Done);
            assert_eq!(lua.shared().steps.get() as i32, taken);
        }
    }
}

//! What Lua knows but does not tell.
//!
//! *How many results a caller takes.* Most calls of `redis.call` that write are statements: nobody
//! takes their `{ok='OK'}`, and to make it and to collect it again costs as much as the command.
//!
//! *Whether a script sets a global.* One that does must be refused that, so it finds an empty
//! table in place of its globals, which reads through. That costs as much again for each global
//! that is read; one that sets none, as all do that work, can do without (see `sandbox`).
//!
//! Both are read from the beginnings of Lua's structures. Only the last release of Lua 5.1, of
//! 2012, knows more of them; the sources that this crate builds are that release, and the tests
//! below notice others.
//!
//! Source: `lstate.h`, `lobject.h` and `lopcodes.h` of Lua 5.1.5.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::slice;

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

/// How a function begins that is written in Lua.
#[repr(C)]
struct Closure {
    next: *const c_void,
    kind: u8,
    marked: u8,
    is_native: u8,
    upvalues: u8,
    gray: *const c_void,
    environment: *const c_void,
    prototype: *const Prototype,
}

/// How what has been compiled of a function begins.
#[repr(C)]
struct Prototype {
    next: *const c_void,
    kind: u8,
    marked: u8,
    constants: *const c_void,
    code: *const u32,
    inner: *const *const Prototype,
    lines: *const c_void,
    locals: *const c_void,
    upvalue_names: *const c_void,
    source: *const c_void,
    upvalue_names_len: c_int,
    constants_len: c_int,
    code_len: c_int,
    lines_len: c_int,
    inner_len: c_int,
}

/// The bits of an instruction that say what it does.
const OPERATION: u32 = 0x3f;

/// The one that sets a global.
const SET_GLOBAL: u32 = 7;

/// Whether a function that has been compiled, or one inside of it, sets a global. It may say so of
/// one that does not, since a long list is followed by a number that looks like an instruction.
///
/// # Safety
///
/// The function is alive and written in Lua, and its state is in use by this thread alone.
pub(crate) unsafe fn sets_globals(function: NonNull<c_void>) -> bool {
    let closure: NonNull<Closure> = function.cast();
    // SAFETY: a function of Lua begins like this.
    let prototype = unsafe { closure.as_ref() }.prototype;
    // SAFETY: it holds its prototype.
    unsafe { sets_globals_in(prototype) }
}

/// The same for a prototype; they lie in each other 200 deep at most, as Lua's parser has it.
///
/// # Safety
///
/// It is alive.
unsafe fn sets_globals_in(prototype: *const Prototype) -> bool {
    // SAFETY: it is alive, and nobody changes it once it is compiled.
    let prototype = unsafe { &*prototype };
    let len = |len: c_int| usize::try_from(len).unwrap_or(0);
    // SAFETY: it has so many instructions, one at least.
    let code = unsafe { slice::from_raw_parts(prototype.code, len(prototype.code_len)) };
    let sets = |&instruction: &u32| instruction & OPERATION == SET_GLOBAL;
    let inner: &[*const Prototype] = match len(prototype.inner_len) {
        0 => &[],
        // SAFETY: it has so many others inside.
        inner_len => unsafe { slice::from_raw_parts(prototype.inner, inner_len) },
    };
    // SAFETY: they live as long as it does.
    code.iter().any(sets) || inner.iter().any(|&one| unsafe { sets_globals_in(one) })
}

#[cfg(test)]
mod tests {
    use crate::Engine;
    use crate::lua::{ALL, Lua, Outcome, Status};

    #[test]
    fn who_sets_a_global_is_known() {
        let cases = [
            ("", false),
            ("local a = x; b.c = a; b['d'] = _G; return a, function() return y end", false),
            ("local function f(...) local t = {...} t.x = 1 return t end return f(KEYS)", false),
            ("x = 1", true),
            ("function f() end", true),
            ("for i = 1, 2 do if KEYS then x, y = i, i end end", true),
            ("local function f() return function() x = nil end end", true),
            ("return {a = function(x) local y = x; return function() y = x; z = y end end}", true),
        ];
        let mut engine = Engine::new(1 << 20).unwrap();
        let lua = engine.enter();
        for (source, sets) in cases {
            let mut told = None;
            lua.protect(|lua| {
                assert_eq!(lua.load(source.as_bytes(), c"@test"), Status::Done, "{source}");
                told = Some(lua.sets_globals(-1));
                Ok(0)
            });
            lua.set_top(0);
            assert_eq!(told, Some(sets), "{source}");
        }
    }

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

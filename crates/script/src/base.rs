//! Lua's basic functions where ours have to differ: they know the tables that may only be read,
//! load only source text, and can be stopped.

use mlua_sys as ffi;

use crate::lua::{ALL, Kind, Lua, Outcome, Raised, Status};
use crate::sandbox::{READ_ONLY, behind};

/// Pushes each function and gives its name to `take`, which takes it.
pub(crate) fn each(lua: Lua<'_>, take: impl Fn(&str)) {
    lua.push_function(pcall, 0);
    take("pcall");
    lua.push_function(xpcall, 0);
    take("xpcall");
    lua.push_function(raw_set, 0);
    take("rawset");
    lua.push_function(raw_get, 0);
    take("rawget");
    lua.push_function(next, 0);
    take("next");
    lua.push_function(next, 0);
    lua.push_function(pairs, 1);
    take("pairs");
    lua.push_function(get_metatable, 0);
    take("getmetatable");
    lua.push_function(set_metatable, 0);
    take("setmetatable");
    lua.push_function(load, 0);
    take("load");
    lua.push_function(load_string, 0);
    take("loadstring");
    lua.push_function(unpack, 0);
    take("unpack");
    lua.push_function(collect_garbage, 0);
    take("collectgarbage");
}

/// Puts the table behind in place of the one in slot `at`, if that stands for another.
pub(crate) fn look_behind(lua: Lua<'_>, at: i32) {
    if lua.kind(at) == Kind::Table
        && let Some(kept) = behind(lua, at)
    {
        lua.push_kept(kept);
        lua.replace(at);
    }
}

/// Refuses to write to the table in slot `at` if it may only be read.
pub(crate) fn check_open(lua: Lua<'_>, at: i32) -> Result<(), Raised> {
    if lua.kind(at) == Kind::Table && behind(lua, at).is_some() {
        return Err(lua.fail_plain(READ_ONLY));
    }
    Ok(())
}

/// `pcall(f, ..)`. Of an error that is a table with `err`, only that is given: scripts expect
/// a text there.
fn pcall(lua: Lua<'_>) -> Outcome {
    lua.check_any(1);
    let scratch = lua.shared().scratch_len();
    lua.push_boolean(true);
    lua.insert(1);
    if lua.call_protected(lua.top() - 2, ALL, 0) == Status::Done {
        return Ok(lua.top());
    }
    // What the functions that were left had in work.
    lua.shared().scratch_cut(scratch);
    lua.remove(1);
    if lua.kind(-1) == Kind::Table {
        lua.raw_get_field(-1, "err");
        match lua.kind(-1) {
            Kind::String | Kind::Number => lua.replace(-2),
            _ => lua.pop(1),
        }
    }
    lua.push_boolean(false);
    lua.insert(1);
    Ok(lua.top())
}

/// `xpcall(f, handler)`.
fn xpcall(lua: Lua<'_>) -> Outcome {
    lua.check_any(2);
    lua.set_top(2);
    let scratch = lua.shared().scratch_len();
    if lua.kind(2) == Kind::Function {
        lua.push_function(handle, 1);
    }
    lua.insert(1);
    let status = lua.call_protected(0, ALL, 1);
    if status != Status::Done {
        lua.shared().scratch_cut(scratch);
    }
    lua.push_boolean(status == Status::Done);
    lua.replace(1);
    Ok(lua.top())
}

/// Calls the handler of `xpcall`, unless the script must stop: the hook that raises is not called
/// again below itself, so a handler could run without end.
fn handle(lua: Lua<'_>) -> Outcome {
    lua.set_top(1);
    if lua.shared().stop.get().is_none() {
        lua.copy(Lua::upvalue(1));
        lua.insert(1);
        lua.call(1, 1);
    }
    Ok(1)
}

fn raw_set(lua: Lua<'_>) -> Outcome {
    lua.check_kind(1, Kind::Table);
    lua.check_any(2);
    lua.check_any(3);
    lua.set_top(3);
    check_open(lua, 1)?;
    lua.raw_set(1);
    Ok(1)
}

fn raw_get(lua: Lua<'_>) -> Outcome {
    lua.check_kind(1, Kind::Table);
    lua.check_any(2);
    lua.set_top(2);
    look_behind(lua, 1);
    lua.raw_get(1);
    Ok(1)
}

fn next(lua: Lua<'_>) -> Outcome {
    lua.check_kind(1, Kind::Table);
    lua.set_top(2);
    look_behind(lua, 1);
    if lua.next(1) {
        return Ok(2);
    }
    lua.push_nil();
    Ok(1)
}

fn pairs(lua: Lua<'_>) -> Outcome {
    lua.check_kind(1, Kind::Table);
    lua.copy(Lua::upvalue(1));
    lua.copy(1);
    lua.push_nil();
    Ok(3)
}

fn get_metatable(lua: Lua<'_>) -> Outcome {
    lua.check_any(1);
    let (of_strings, of_globals) = lua.shared().shown_metatables.get();
    if lua.kind(1) == Kind::String {
        lua.push_kept(of_strings);
        return Ok(1);
    }
    if lua.kind(1) == Kind::Table && behind(lua, 1).is_some() {
        let is_environment = lua.shared().environments.get().contains(&lua.identity(1));
        if is_environment {
            lua.push_kept(of_globals);
        } else {
            lua.push_nil();
        }
        return Ok(1);
    }
    if !lua.metatable(1) {
        lua.push_nil();
        return Ok(1);
    }
    lua.raw_get_field(-1, "__metatable");
    if lua.kind(-1) == Kind::Nil {
        lua.pop(1);
    }
    Ok(1)
}

fn set_metatable(lua: Lua<'_>) -> Outcome {
    lua.check_kind(1, Kind::Table);
    if !matches!(lua.kind(2), Kind::Nil | Kind::Table) {
        lua.refuse_argument(2, c"nil or table expected");
    }
    check_open(lua, 1)?;
    if lua.metatable(1) {
        lua.raw_get_field(-1, "__metatable");
        if lua.kind(-1) != Kind::Nil {
            return Err(lua.fail("cannot change a protected metatable"));
        }
    }
    lua.set_top(2);
    lua.set_metatable(1);
    Ok(1)
}

/// `loadstring(text, name)`: source text only.
fn load_string(lua: Lua<'_>) -> Outcome {
    lua.check_bytes(1);
    lua.set_top(2);
    if lua.is_nothing(2) {
        lua.copy(1);
        lua.replace(2);
    }
    compile(lua)
}

/// `load(f, name)`: what `f` gives, piece by piece, is put together before anything of it is
/// compiled, so that no code runs inside the compiler.
fn load(lua: Lua<'_>) -> Outcome {
    lua.check_kind(1, Kind::Function);
    lua.set_top(2);
    if lua.is_nothing(2) {
        lua.push_bytes(b"=(load)");
        lua.replace(2);
    }
    lua.check_bytes(2);
    let shared = lua.shared();
    let start = shared.scratch_len();
    let mut end = start;
    loop {
        lua.copy(1);
        if lua.call_protected(0, 1, 0) != Status::Done {
            shared.scratch_cut(start);
            return failed_load(lua);
        }
        // What the function has left behind in the buffer is not ours.
        shared.scratch_cut(end);
        match lua.kind(-1) {
            Kind::Nil => break,
            Kind::String | Kind::Number => {
                let piece = lua.text(-1).unwrap_or_default();
                if piece.is_empty() {
                    break;
                }
                if !shared.has_room(end - start + piece.len()) {
                    shared.scratch_cut(start);
                    return Err(lua.fail_plain("not enough memory"));
                }
                shared.scratch_push(piece);
                end += piece.len();
            }
            _ => {
                shared.scratch_cut(start);
                lua.push_bytes(b"reader function must return a string");
                return failed_load(lua);
            }
        }
        lua.pop(1);
    }
    lua.push_scratch(start);
    lua.replace(1);
    lua.set_top(2);
    compile(lua)
}

/// The message on top is the second result.
fn failed_load(lua: Lua<'_>) -> Outcome {
    lua.push_nil();
    lua.insert(-2);
    Ok(2)
}

/// Compiles the text in slot 1, named as slot 2 says.
fn compile(lua: Lua<'_>) -> Outcome {
    let name = lua.check_bytes(2);
    // As far as C reads it. Kept on the stack, because the compiler itself does not hold it
    // from the beginning.
    let end = memchr::memchr(0, name).unwrap_or(name.len());
    lua.push_bytes(&name[..end]);
    let name = lua.c_text(-1);
    let source = lua.bytes(1).unwrap_or_default();
    if lua.load(source, name) == Status::Done { Ok(1) } else { failed_load(lua) }
}

/// `unpack(list, from, to)`.
fn unpack(lua: Lua<'_>) -> Outcome {
    lua.check_kind(1, Kind::Table);
    look_behind(lua, 1);
    let from = i64::from(lua.integer_or(2, 1) as i32);
    let to = if lua.is_nothing(3) {
        i64::try_from(lua.len(1)).unwrap_or(i64::MAX)
    } else {
        i64::from(lua.check_int(3))
    };
    if from > to {
        return Ok(0);
    }
    let count = i32::try_from(to - from + 1).unwrap_or(i32::MAX);
    if count == i32::MAX || !lua.reserve(count) {
        return Err(lua.fail("too many results to unpack"));
    }
    for index in from..=to {
        lua.raw_get_at(1, index as i32);
    }
    Ok(count)
}

/// `collectgarbage(what, number)`. What it changes for good ends with the run.
fn collect_garbage(lua: Lua<'_>) -> Outcome {
    let what = if lua.is_nothing(1) { b"collect" } else { lua.check_bytes(1) };
    let data = lua.integer_or(2, 0) as i32;
    let shared = lua.shared();
    let change = |what| {
        shared.is_collector_changed.set(true);
        lua.collect(what, data)
    };
    let result = match what {
        b"stop" => change(ffi::LUA_GCSTOP),
        b"restart" => change(ffi::LUA_GCRESTART),
        b"setpause" => change(ffi::LUA_GCSETPAUSE),
        b"setstepmul" => change(ffi::LUA_GCSETSTEPMUL),
        b"collect" => lua.collect(ffi::LUA_GCCOLLECT, 0),
        b"step" => {
            let is_done = lua.collect(ffi::LUA_GCSTEP, data) != 0;
            lua.push_boolean(is_done);
            return Ok(1);
        }
        b"count" => {
            let kib = lua.collect(ffi::LUA_GCCOUNT, 0);
            let rest = lua.collect(ffi::LUA_GCCOUNTB, 0);
            lua.push_number(f64::from(kib) + f64::from(rest) / 1024.0);
            return Ok(1);
        }
        _ => {
            lua.refuse_option(1, what);
            0
        }
    };
    lua.push_number(f64::from(result));
    Ok(1)
}

/// Collects garbage as usual again.
pub(crate) fn restore_collector(lua: Lua<'_>) {
    if lua.shared().is_collector_changed.replace(false) {
        set_collector(lua);
        lua.collect(ffi::LUA_GCRESTART, 0);
    }
}

/// Has garbage collected as usual.
pub(crate) fn set_collector(lua: Lua<'_>) {
    lua.collect(ffi::LUA_GCSETPAUSE, PAUSE_PERCENT);
    lua.collect(ffi::LUA_GCSETSTEPMUL, STEP_PERCENT);
}

/// How large all may be when a collection begins, in percent of what lived after the last one: as
/// Lua has it. With less each goes through what lives for little; with more, what waits for one is
/// in the way of what is worked on in the processor's caches.
pub(crate) const PAUSE_PERCENT: i32 = 200;

/// How hard each step of a collection works: ten times as hard as Lua has it, so that garbage
/// of few long strings goes before the limit of memory is reached.
const STEP_PERCENT: i32 = 2_000;

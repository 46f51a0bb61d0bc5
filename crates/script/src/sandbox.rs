//! What scripts find around them: the globals, which they may only read.
//!
//! Lua has no tables that are read-only, so scripts never see the tables themselves: for each
//! there is an empty one that stands for it. Reading goes on to the table behind it, writing is
//! refused by a metamethod, and our own `rawset`, `next`, `getmetatable`, .. (see `base`) know
//! which tables stand for another. [`Shared::closed`](crate::shared::Shared) lists them. A script
//! that sets no global, as `layout` sees from its instructions, reads its globals without that
//! way round: nothing gives it the table that they are in.
//!
//! ```text
//! environment of scripts    (empty) -> globals: KEYS, ARGV, pairs, .., string, redis
//!                                       -> error "nonexistent global variable"
//! environment of functions  (empty) -> the same without KEYS, ARGV; or, while a library
//!                                      loads, only redis.register_function, log, versions
//! ```
//!
//! # Invariants
//!
//! 1. No function that a script can reach writes to a table of this module or gives it away.
//! 2. Nothing that reads files, the environment or compiled code, and no debugger, is there.

use std::ffi::c_int;

use mlua_sys as ffi;

use crate::api::{self, Place};
use crate::lua::{GLOBALS, Kind, Library, Lua, Outcome};
use crate::{base, bit, cjson, cmsgpack, error, random, strings, structs, tables};

/// What is said of a write to a table that may only be read.
pub(crate) const READ_ONLY: &str = "Attempt to modify a readonly table";

/// What of Lua's own globals scripts have.
const BUILTINS: &[&str] = &[
    "_VERSION", "assert", "error", "gcinfo", "ipairs", "rawequal", "select", "tonumber",
    "tostring", "type",
];

/// What fills the table on top, or pushes it.
type Make = fn(Lua<'_>);

/// What the engine keeps of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// The globals of scripts, where `KEYS` and `ARGV` are put.
    pub(crate) globals: c_int,
    /// Their names, of the keys and of the arguments.
    pub(crate) words: [c_int; 2],
    /// The error handler of runs.
    pub(crate) handler: c_int,
    /// The environment of functions, its metatable, and what it leads to in a run and in a load.
    pub(crate) functions: c_int,
    functions_meta: c_int,
    functions_run: c_int,
    functions_load: c_int,
}

impl Kept {
    /// Before anything is built.
    pub(crate) const NONE: Self = Self {
        globals: 0,
        words: [0; 2],
        handler: 0,
        functions: 0,
        functions_meta: 0,
        functions_run: 0,
        functions_load: 0,
    };

    /// Shows libraries what they find while they are loaded, or while their functions run.
    pub(crate) fn show_functions(&self, lua: Lua<'_>, is_load: bool) {
        lua.push_kept(self.functions_meta);
        lua.push_kept(if is_load { self.functions_load } else { self.functions_run });
        lua.raw_set_field(-2, "__index");
        lua.pop(1);
    }
}

/// Builds it all. Called once for a state, protected.
pub(crate) fn build(lua: Lua<'_>) -> Kept {
    let libraries = [Library::Base, Library::Table, Library::String, Library::Math, Library::Os];
    libraries.into_iter().for_each(|library| lua.open(library));
    lua.push_protection();
    lua.shared().protected.set(lua.keep());

    // Both lists of globals lie on the stack while they are filled.
    lua.new_table(0, 64);
    lua.new_table(0, 64);
    let (scripts, functions) = (lua.top() - 1, lua.top());
    for name in BUILTINS {
        lua.raw_get_field(GLOBALS, name);
        share(lua, name, scripts, functions);
    }
    base::each(lua, |name| share(lua, name, scripts, functions));
    add_libraries(lua, scripts, functions);
    add_api(lua, scripts, functions);
    hide_string_metatable(lua, scripts);
    finish(lua, scripts, functions)
}

/// Puts the value on top into both lists of globals.
fn share(lua: Lua<'_>, name: &str, scripts: c_int, functions: c_int) {
    lua.copy(-1);
    lua.raw_set_field(scripts, name);
    lua.raw_set_field(functions, name);
}

fn add_libraries(lua: Lua<'_>, scripts: c_int, functions: c_int) {
    lua.new_table(0, 1);
    lua.raw_get_field(GLOBALS, "os");
    lua.raw_get_field(-1, "clock");
    lua.raw_set_field(-3, "clock");
    lua.pop(1);
    close(lua);
    share(lua, "os", scripts, functions);
    let own: [(&str, Make); 5] = [
        ("string", strings::fill),
        ("table", tables::fill),
        ("math", random::fill),
        ("coroutine", |_| ()),
        ("bit", bit::fill),
    ];
    for (name, fill) in own {
        lua.raw_get_field(GLOBALS, name);
        if lua.kind(-1) != Kind::Table {
            lua.pop(1);
            lua.new_table(0, 16);
        }
        fill(lua);
        close(lua);
        share(lua, name, scripts, functions);
    }
    let new: [(&str, Make); 3] =
        [("cjson", cjson::push), ("cmsgpack", cmsgpack::push), ("struct", structs::push)];
    for (name, push) in new {
        push(lua);
        close(lua);
        share(lua, name, scripts, functions);
    }
}

/// `redis` and `server` are one table, another one for scripts than for functions.
fn add_api(lua: Lua<'_>, scripts: c_int, functions: c_int) {
    for (globals, place) in [(scripts, Place::Script), (functions, Place::Function)] {
        lua.new_table(0, 32);
        api::fill(lua, place);
        close(lua);
        lua.copy(-1);
        lua.raw_set_field(globals, "redis");
        lua.raw_set_field(globals, "server");
    }
}

/// What `getmetatable("")` says: something that looks like the metatable, which stays hidden.
fn hide_string_metatable(lua: Lua<'_>, scripts: c_int) {
    lua.new_table(0, 1);
    lua.raw_get_field(scripts, "string");
    lua.raw_set_field(-2, "__index");
    close(lua);
    let of_strings = lua.keep();
    lua.new_table(0, 0);
    close(lua);
    let of_globals = lua.keep();
    lua.shared().shown_metatables.set((of_strings, of_globals));
    let [name, text] = [b"ok", b"OK"].map(|word| {
        lua.push_bytes(word);
        lua.keep()
    });
    lua.shared().ok.set((name, text));
}

fn finish(lua: Lua<'_>, scripts: c_int, functions: c_int) -> Kept {
    refuse_missing(lua, scripts);
    refuse_missing(lua, functions);
    lua.push_function(error::handle, 0);
    lua.copy(-1);
    lua.raw_set_field(scripts, "__redis__err__handler");
    lua.copy(-1);
    lua.raw_set_field(scripts, "__server__err__handler");
    let handler = lua.keep();

    lua.copy(functions);
    let functions_run = lua.keep();
    lua.copy(functions);
    close(lua);
    lua.copy(-1);
    lua.raw_set_field(functions, "_G");
    let of_functions = lua.identity(-1);
    lua.metatable(-1);
    let functions_meta = lua.keep();
    let environment = lua.keep();

    lua.new_table(0, 2);
    lua.new_table(0, 16);
    api::fill(lua, Place::Load);
    refuse_missing(lua, lua.top());
    close(lua);
    lua.copy(-1);
    lua.raw_set_field(-3, "redis");
    lua.raw_set_field(-2, "server");
    refuse_missing(lua, lua.top());
    let functions_load = lua.keep();

    lua.copy(scripts);
    let globals = lua.keep();
    lua.copy(scripts);
    close(lua);
    lua.copy(-1);
    lua.raw_set_field(scripts, "_G");
    lua.shared().environments.set([lua.identity(-1), of_functions]);
    lua.replace(ffi::LUA_GLOBALSINDEX);
    let words = ["KEYS", "ARGV"].map(|name| {
        lua.push_bytes(name.as_bytes());
        lua.keep()
    });
    let functions = environment;
    Kept { globals, words, handler, functions, functions_meta, functions_run, functions_load }
}

/// Puts an empty table in place of the one on top, which stands for it and may only be read.
fn close(lua: Lua<'_>) {
    lua.new_table(0, 0);
    lua.new_table(0, 3);
    lua.copy(-3);
    lua.raw_set_field(-2, "__index");
    lua.set_function("__newindex", refuse_write);
    lua.push_boolean(false);
    lua.raw_set_field(-2, "__metatable");
    lua.set_metatable(-2);
    lua.insert(-2);
    let behind = lua.keep();
    let standing = lua.identity(-1);
    // A table that nothing else holds must not go: its address is in the list.
    lua.copy(-1);
    lua.keep();
    let closed = &lua.shared().closed;
    closed.borrow_mut().push((standing, behind));
    closed.borrow_mut().sort_unstable();
}

/// Reading what is not in the table at `at` is an error.
fn refuse_missing(lua: Lua<'_>, at: c_int) {
    let at = lua.absolute(at);
    lua.new_table(0, 1);
    lua.set_function("__index", missing);
    lua.set_metatable(at);
}

fn refuse_write(lua: Lua<'_>) -> Outcome {
    Err(lua.fail(READ_ONLY))
}

fn missing(lua: Lua<'_>) -> Outcome {
    if !matches!(lua.kind(2), Kind::String | Kind::Number) {
        let text = "Second argument to luaProtectedTableError must be a string or number";
        return Err(lua.fail(text));
    }
    let shared = lua.shared();
    let start = shared.scratch_len();
    shared.scratch_push(b"Script attempted to access nonexistent global variable '");
    shared.scratch_push(lua.text(2).unwrap_or_default());
    shared.scratch_push(b"'");
    Err(lua.fail_scratch(start))
}

/// What the table at `at` stands for, if it stands for another.
pub(crate) fn behind(lua: Lua<'_>, at: c_int) -> Option<c_int> {
    let standing = lua.identity(at);
    let closed = lua.shared().closed.borrow();
    let found = closed.binary_search_by_key(&standing, |(standing, _)| *standing);
    found.ok().map(|at| closed[at].1)
}

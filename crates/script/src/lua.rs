//! Lua's C interface, one method a call, so that nothing else in this crate is unsafe but
//! where the engine begins and ends.
//!
//! # Safety contract
//!
//! 1. A [`Lua`] exists only while its state is alive and in use by this thread alone: it is
//!    made by the engine for the time of a call, and by Lua for functions called from there.
//! 2. Indices name slots of the stack, and [`Lua::reserve`] comes before pushing more than a
//!    function may push anyway (20 values).
//! 3. Bytes and cells that are handed out live as long as the value stays on the stack or in
//!    the function's upvalues. Callers do not keep them longer.
//! 4. Most calls may raise: Lua then jumps over the frames between it and the protected call.
//!    So no frame that makes one holds anything with a destructor, nor a borrowed cell, and
//!    everything runs below [`Lua::protect`] or [`Lua::call_protected`]. A function of ours
//!    raises by returning [`Raised`], after all of its own has ended; a panic does not get out.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt::{self, Display, Write};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use mlua_sys as ffi;
use mlua_sys::lua_State;

use crate::layout;
use crate::shared::Shared;

/// The table that Lua keeps for its host.
pub(crate) const REGISTRY: c_int = ffi::LUA_REGISTRYINDEX;

/// The environment of the main thread.
pub(crate) const GLOBALS: c_int = ffi::LUA_GLOBALSINDEX;

/// All results that there are.
pub(crate) const ALL: c_int = ffi::LUA_MULTRET;

/// The longest text of an error that this crate makes up, in bytes; longer ones are cut.
const ERROR_BYTES_MAX: usize = 512;

/// A state of Lua, entered by this thread.
#[derive(Clone, Copy)]
pub(crate) struct Lua<'a> {
    state: NonNull<lua_State>,
    entered: PhantomData<&'a Shared>,
}

/// The value on top of the stack is an error on its way.
#[derive(Debug)]
pub(crate) struct Raised;

/// What a function of ours ends with: how many results lie on top of the stack.
pub(crate) type Outcome = Result<c_int, Raised>;

/// A function that Lua may call: a `fn` item without captures.
pub(crate) trait Body: Fn(Lua<'_>) -> Outcome + Copy + 'static {}

impl<F: Fn(Lua<'_>) -> Outcome + Copy + 'static> Body for F {}

/// The types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Nil,
    Boolean,
    LightUserdata,
    Number,
    String,
    Table,
    Function,
    Userdata,
    Thread,
}

/// How a protected call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Done,
    Failed,
    OutOfMemory,
}

/// Where a function is in its source.
pub(crate) struct Place<'a> {
    pub(crate) is_native: bool,
    pub(crate) source: &'a [u8],
    pub(crate) line: c_int,
}

/// Calls a function of Lua's interface with the state.
macro_rules! api {
    ($lua:expr, $function:ident $(, $argument:expr)* $(,)?) => {
        // SAFETY: the state is alive and ours (1), the indices are on the stack and there is
        // room for what is pushed (2), and no frame is hurt if it raises (4).
        unsafe { ffi::$function($lua.state.as_ptr() $(, $argument)*) }
    };
}

impl<'a> Lua<'a> {
    /// The state as it is given to a function that Lua calls.
    ///
    /// # Safety
    ///
    /// The state is alive and in use by this thread alone for `'a`.
    pub(crate) unsafe fn new(state: NonNull<lua_State>) -> Self {
        Self { state, entered: PhantomData }
    }

    /// What the engine shares with the functions that Lua calls.
    pub(crate) fn shared(self) -> &'a Shared {
        let mut data: *mut c_void = ptr::null_mut();
        api!(self, lua_getallocf, &mut data);
        // SAFETY: every state is made with its `Shared` as the allocator's data, which lives
        // longer than the state and is only ever borrowed shared.
        unsafe { &*data.cast::<Shared>() }
    }

    /// How many results the caller of the running function takes; [`ALL`]: whatever it returns.
    pub(crate) fn results_taken(self) -> c_int {
        // SAFETY: the state is alive and ours (1), and only functions that Lua calls ask.
        unsafe { layout::results_taken(self.state) }
    }

    pub(crate) fn top(self) -> c_int {
        api!(self, lua_gettop)
    }

    pub(crate) fn set_top(self, top: c_int) {
        api!(self, lua_settop, top);
    }

    pub(crate) fn pop(self, count: c_int) {
        self.set_top(-count - 1);
    }

    pub(crate) fn copy(self, at: c_int) {
        api!(self, lua_pushvalue, at);
    }

    pub(crate) fn insert(self, at: c_int) {
        api!(self, lua_insert, at);
    }

    pub(crate) fn remove(self, at: c_int) {
        api!(self, lua_remove, at);
    }

    pub(crate) fn replace(self, at: c_int) {
        api!(self, lua_replace, at);
    }

    /// Makes room for `count` more values; `false` if the stack may not grow so far.
    #[must_use]
    pub(crate) fn reserve(self, count: c_int) -> bool {
        api!(self, lua_checkstack, count) != 0
    }

    pub(crate) fn kind(self, at: c_int) -> Kind {
        match api!(self, lua_type, at) {
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TLIGHTUSERDATA => Kind::LightUserdata,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TUSERDATA => Kind::Userdata,
            ffi::LUA_TTHREAD => Kind::Thread,
            _ => Kind::None,
        }
    }

    /// The name of the value's type: `nil`, `no value`, `userdata`.
    pub(crate) fn kind_name(self, at: c_int) -> &'static str {
        match self.kind(at) {
            Kind::None => "no value",
            Kind::Nil => "nil",
            Kind::Boolean => "boolean",
            Kind::LightUserdata | Kind::Userdata => "userdata",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Table => "table",
            Kind::Function => "function",
            Kind::Thread => "thread",
        }
    }

    pub(crate) fn is_nothing(self, at: c_int) -> bool {
        matches!(self.kind(at), Kind::None | Kind::Nil)
    }

    /// Whether it is a number or a string that reads as one.
    pub(crate) fn is_numeric(self, at: c_int) -> bool {
        api!(self, lua_isnumber, at) != 0
    }

    /// As a number; 0 where it is none.
    pub(crate) fn number(self, at: c_int) -> f64 {
        api!(self, lua_tonumber, at)
    }

    pub(crate) fn boolean(self, at: c_int) -> bool {
        api!(self, lua_toboolean, at) != 0
    }

    /// The bytes of a string; `None` if it is anything else, numbers included.
    pub(crate) fn bytes(self, at: c_int) -> Option<&'a [u8]> {
        if self.kind(at) == Kind::String { self.text(at) } else { None }
    }

    /// The bytes of a string or of a number, which becomes a string where it lies.
    pub(crate) fn text(self, at: c_int) -> Option<&'a [u8]> {
        let mut len = 0;
        let bytes = api!(self, lua_tolstring, at, &mut len);
        // SAFETY: Lua tells where its string is and how long; it stays while on the stack (3).
        (!bytes.is_null()).then(|| unsafe { std::slice::from_raw_parts(bytes.cast(), len) })
    }

    /// The string at `at` as C reads it: up to the first NUL.
    pub(crate) fn c_text(self, at: c_int) -> &'a CStr {
        let text = api!(self, lua_tolstring, at, ptr::null_mut());
        if text.is_null() {
            return c"";
        }
        // SAFETY: Lua's strings have a NUL behind them; it stays while on the stack (3).
        unsafe { CStr::from_ptr(text) }
    }

    /// How many elements a table has by Lua's `#`, without metamethods.
    pub(crate) fn len(self, at: c_int) -> usize {
        api!(self, lua_objlen, at)
    }

    /// What tells two tables, functions or threads apart.
    pub(crate) fn identity(self, at: c_int) -> *const c_void {
        api!(self, lua_topointer, at)
    }

    /// Whether it is the value that stands for JSON's null.
    pub(crate) fn is_null(self, at: c_int) -> bool {
        self.kind(at) == Kind::LightUserdata && api!(self, lua_touserdata, at).is_null()
    }

    pub(crate) fn push_nil(self) {
        api!(self, lua_pushnil);
    }

    pub(crate) fn push_boolean(self, value: bool) {
        api!(self, lua_pushboolean, c_int::from(value));
    }

    pub(crate) fn push_number(self, value: f64) {
        api!(self, lua_pushnumber, value);
    }

    pub(crate) fn push_len(self, value: usize) {
        self.push_number(value as f64);
    }

    pub(crate) fn push_bytes(self, bytes: &[u8]) {
        api!(self, lua_pushlstring_, bytes.as_ptr().cast(), bytes.len());
    }

    /// Pushes what the scratch buffer holds from `start` on, and takes it out of there.
    pub(crate) fn push_scratch(self, start: usize) {
        let shared = self.shared();
        let (bytes, len) = shared.scratch_from(start);
        api!(self, lua_pushlstring_, bytes.cast(), len);
        shared.scratch_cut(start);
    }

    /// Pushes the value that stands for JSON's null.
    pub(crate) fn push_null(self) {
        api!(self, lua_pushlightuserdata, ptr::null_mut());
    }

    /// Pushes a function of ours; the top `upvalues` values become its upvalues.
    pub(crate) fn push_function<F: Body>(self, _: F, upvalues: c_int) {
        const { assert!(size_of::<F>() == 0, "a function of ours captures nothing") };
        api!(self, lua_pushcclosure, enter::<F>, upvalues);
    }

    /// Where the upvalue `number`, counted from 1, is.
    pub(crate) const fn upvalue(number: c_int) -> c_int {
        ffi::lua_upvalueindex(number)
    }

    /// Pushes a block of memory that holds `value`.
    pub(crate) fn push_cell<T: Copy + 'static>(self, value: T) {
        const { assert!(align_of::<T>() <= 8, "Lua aligns its blocks to 8 bytes at least") };
        let block = api!(self, lua_newuserdata, size_of::<T>()).cast::<T>();
        // SAFETY: the block is new, as large and aligned as a `T` needs, and nobody else's.
        unsafe { block.write(value) };
    }

    /// The block that [`Lua::push_cell`] made with a value of the same type.
    pub(crate) fn cell<T: Copy + 'static>(self, at: c_int) -> &'a Cell<T> {
        let block = api!(self, lua_touserdata, at).cast::<Cell<T>>();
        assert!(!block.is_null(), "the slot holds the block that was put there");
        // SAFETY: scripts cannot reach the upvalues of our functions, where blocks lie, so it
        // holds a `T`; a `Cell` is laid out like what it holds, and no thread shares it.
        unsafe { &*block }
    }

    pub(crate) fn new_table(self, elements: usize, fields: usize) {
        let narrow = |count: usize| c_int::try_from(count).unwrap_or(c_int::MAX);
        api!(self, lua_createtable, narrow(elements), narrow(fields));
    }

    pub(crate) fn raw_get(self, table: c_int) {
        api!(self, lua_rawget_, table);
    }

    pub(crate) fn raw_get_at(self, table: c_int, index: c_int) {
        api!(self, lua_rawgeti_, table, index);
    }

    /// Pushes the field `name`, without metamethods.
    pub(crate) fn raw_get_field(self, table: c_int, name: &str) {
        let table = self.absolute(table);
        self.push_bytes(name.as_bytes());
        self.raw_get(table);
    }

    pub(crate) fn raw_set(self, table: c_int) {
        api!(self, lua_rawset, table);
    }

    pub(crate) fn raw_set_at(self, table: c_int, index: c_int) {
        api!(self, lua_rawseti_, table, index);
    }

    /// Takes a value from the stack into the field `name`, without metamethods.
    pub(crate) fn raw_set_field(self, table: c_int, name: &str) {
        let table = self.absolute(table);
        self.push_bytes(name.as_bytes());
        self.insert(-2);
        self.raw_set(table);
    }

    /// Makes a function of ours, without upvalues, the field `name` of the table on top.
    pub(crate) fn set_function<F: Body>(self, name: &str, function: F) {
        self.push_function(function, 0);
        self.raw_set_field(-2, name);
    }

    /// Replaces the key on top by its value, with metamethods.
    pub(crate) fn get(self, table: c_int) {
        api!(self, lua_gettable_, table);
    }

    /// Whether one value is below another, by Lua's `<`.
    pub(crate) fn is_below(self, one: c_int, other: c_int) -> bool {
        api!(self, lua_lessthan, one, other) != 0
    }

    /// Takes the key on top and pushes the next key and its value; `false` at the end.
    pub(crate) fn next(self, table: c_int) -> bool {
        api!(self, lua_next, table) != 0
    }

    /// Pushes the metatable, if there is one.
    pub(crate) fn metatable(self, at: c_int) -> bool {
        api!(self, lua_getmetatable, at) != 0
    }

    pub(crate) fn set_metatable(self, at: c_int) {
        api!(self, lua_setmetatable, at);
    }

    /// Whether a function that has been compiled may set a global.
    pub(crate) fn sets_globals(self, function: c_int) -> bool {
        let function = NonNull::new(self.identity(function).cast_mut());
        // SAFETY: it is on the stack, so it lives, and the state is ours (1).
        function.is_none_or(|function| unsafe { layout::sets_globals(function) })
    }

    /// The environment of a function is the table on top.
    pub(crate) fn set_environment(self, function: c_int) {
        api!(self, lua_setfenv, function);
    }

    /// Keeps the value on top in the registry; the number finds it again.
    pub(crate) fn keep(self) -> c_int {
        api!(self, luaL_ref, REGISTRY)
    }

    pub(crate) fn forget(self, kept: c_int) {
        api!(self, luaL_unref, REGISTRY, kept);
    }

    pub(crate) fn push_kept(self, kept: c_int) {
        self.raw_get_at(REGISTRY, kept);
    }

    /// Turns the top `count` values into one string.
    pub(crate) fn concat(self, count: c_int) {
        api!(self, lua_concat, count);
    }

    /// Calls the function below its `arguments`; errors go on.
    pub(crate) fn call(self, arguments: c_int, results: c_int) {
        api!(self, lua_call, arguments, results);
    }

    /// Calls the function below its `arguments`; an error is left on the stack. `handler` is
    /// where the function lies that is given the error first, or 0.
    pub(crate) fn call_protected(self, arguments: c_int, results: c_int, handler: c_int) -> Status {
        match api!(self, lua_pcall, arguments, results, handler) {
            ffi::LUA_OK => Status::Done,
            ffi::LUA_ERRMEM => Status::OutOfMemory,
            _ => Status::Failed,
        }
    }

    /// Runs `work` so that it may raise, and drops its results. Needs room for two values and
    /// allocates nothing.
    pub(crate) fn protect(self, work: impl FnMut(Lua<'_>) -> Outcome) -> Status {
        self.protect_with(0, work)
    }

    /// As [`Lua::protect`], but `work` gets all that lies on the stack, and so many `results` of
    /// it come in place of that; an error does if it raises.
    pub(crate) fn protect_with(
        self,
        results: c_int,
        mut work: impl FnMut(Lua<'_>) -> Outcome,
    ) -> Status {
        let mut work: &mut dyn FnMut(Lua<'_>) -> Outcome = &mut work;
        let count = self.top();
        self.push_kept(self.shared().protected.get());
        self.insert(1);
        let work: *mut &mut dyn FnMut(Lua<'_>) -> Outcome = &raw mut work;
        api!(self, lua_pushlightuserdata, work.cast());
        self.insert(2);
        self.call_protected(count + 1, results, 0)
    }

    /// Runs `work` protected where not even the registry is set up yet.
    pub(crate) fn protect_first(self, mut work: impl FnMut(Lua<'_>) -> Outcome) -> Status {
        let mut work: &mut dyn FnMut(Lua<'_>) -> Outcome = &mut work;
        let work: *mut &mut dyn FnMut(Lua<'_>) -> Outcome = &raw mut work;
        match api!(self, lua_cpcall, enter_work, work.cast()) {
            ffi::LUA_OK => Status::Done,
            _ => Status::Failed,
        }
    }

    /// Pushes the function by which [`Lua::protect`] gets into Lua.
    pub(crate) fn push_protection(self) {
        api!(self, lua_pushcclosure, enter_work, 0);
    }

    /// Where the function `level` calls up is; 0 is the one that runs.
    pub(crate) fn place(self, level: c_int) -> Option<Place<'a>> {
        let mut place = empty_place();
        if api!(self, lua_getstack, level, &mut place) == 0 {
            return None;
        }
        api!(self, lua_getinfo, c"Sl".as_ptr(), &mut place);
        // SAFETY: `S` has set both texts, which end with NUL and live while the function runs.
        let what = unsafe { CStr::from_ptr(place.what) };
        // SAFETY: as above.
        let source = unsafe { CStr::from_ptr(place.source) };
        let is_native = what == c"C";
        Some(Place { is_native, source: source.to_bytes(), line: place.currentline })
    }

    /// Compiles source text, whatever it begins with, and pushes the function or a message.
    pub(crate) fn load(self, source: &[u8], name: &CStr) -> Status {
        let mut pieces = Pieces { rest: [b" ", source], at: 0, len: 0 };
        let pieces: *mut Pieces<'_> = &raw mut pieces;
        match api!(self, lua_load, next_piece, pieces.cast(), name.as_ptr()) {
            ffi::LUA_OK => Status::Done,
            ffi::LUA_ERRMEM => Status::OutOfMemory,
            _ => Status::Failed,
        }
    }

    /// Turns to the collector of garbage, one of `LUA_GC*`.
    pub(crate) fn collect(self, what: c_int, data: c_int) -> c_int {
        api!(self, lua_gc, what, data)
    }

    /// Has the hook look every `instructions`.
    pub(crate) fn set_hook(self, instructions: c_int) {
        let mask = ffi::LUA_MASKCOUNT;
        api!(self, lua_sethook, Some(enter_hook), mask, instructions);
    }

    /// Has the hook look at every instruction and every line.
    pub(crate) fn set_hook_everywhere(self) {
        let mask = ffi::LUA_MASKCOUNT | ffi::LUA_MASKLINE;
        api!(self, lua_sethook, Some(enter_hook), mask, 1);
    }

    /// Opens one of Lua's own libraries.
    pub(crate) fn open(self, library: Library) {
        let (open, name): (ffi::lua_CFunction, &CStr) = match library {
            Library::Base => (ffi::luaopen_base, c""),
            Library::Table => (ffi::luaopen_table, c"table"),
            Library::String => (ffi::luaopen_string, c"string"),
            Library::Math => (ffi::luaopen_math, c"math"),
            Library::Os => (ffi::luaopen_os, c"os"),
        };
        api!(self, lua_pushcclosure, open, 0);
        self.push_bytes(name.to_bytes());
        self.call(1, 0);
    }

    pub(crate) fn check_number(self, argument: c_int) -> f64 {
        api!(self, luaL_checknumber, argument)
    }

    pub(crate) fn check_integer(self, argument: c_int) -> i64 {
        api!(self, luaL_checkinteger, argument)
    }

    pub(crate) fn integer_or(self, argument: c_int, default: i64) -> i64 {
        api!(self, luaL_optinteger, argument, default)
    }

    /// An integer as C's `int` holds it.
    pub(crate) fn check_int(self, argument: c_int) -> c_int {
        self.check_integer(argument) as c_int
    }

    pub(crate) fn check_kind(self, argument: c_int, kind: Kind) {
        let kind = match kind {
            Kind::Table => ffi::LUA_TTABLE,
            Kind::Function => ffi::LUA_TFUNCTION,
            _ => ffi::LUA_TSTRING,
        };
        api!(self, luaL_checktype, argument, kind);
    }

    pub(crate) fn check_any(self, argument: c_int) {
        api!(self, luaL_checkany, argument);
    }

    pub(crate) fn check_room(self, count: c_int, why: &CStr) {
        api!(self, luaL_checkstack_, count, why.as_ptr());
    }

    pub(crate) fn check_bytes(self, argument: c_int) -> &'a [u8] {
        let mut len = 0;
        let bytes = api!(self, luaL_checklstring, argument, &mut len);
        // SAFETY: it would have raised if it were no string; it stays while on the stack (3).
        unsafe { std::slice::from_raw_parts(bytes.cast(), len) }
    }

    /// Raises `bad argument #n to 'f' (why)`.
    pub(crate) fn refuse_argument(self, argument: c_int, why: &CStr) {
        api!(self, luaL_argerror, argument, why.as_ptr());
    }

    /// Raises `bad argument #n to 'f' (invalid option 'given')`.
    pub(crate) fn refuse_option(self, argument: c_int, given: &[u8]) {
        let text = Line::new(format_args!("invalid option '{}'", given.escape_ascii()));
        self.push_bytes(text.as_bytes());
        self.refuse_argument(argument, self.c_text(-1));
    }

    /// Raises `bad argument #n to 'f' (kind expected, got ..)`.
    pub(crate) fn refuse_kind(self, argument: c_int, expected: &CStr) {
        api!(self, luaL_typerror, argument, expected.as_ptr());
    }

    /// An error with the place of the caller before it.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(self, text: impl Display) -> Raised {
        api!(self, luaL_where, 1);
        let text = Line::new(text);
        self.push_bytes(text.as_bytes());
        self.concat(2);
        Raised
    }

    /// An error with the place of the caller before what the scratch buffer holds from `start`.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail_scratch(self, start: usize) -> Raised {
        api!(self, luaL_where, 1);
        self.push_scratch(start);
        self.concat(2);
        Raised
    }

    /// An error that is just this text.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail_plain(self, text: impl Display) -> Raised {
        let text = Line::new(text);
        self.push_bytes(text.as_bytes());
        Raised
    }

    /// An index that stays the same while others are pushed.
    pub(crate) fn absolute(self, at: c_int) -> c_int {
        if at < 0 && at > REGISTRY { self.top() + at + 1 } else { at }
    }
}

/// Lua's own libraries.
#[derive(Clone, Copy)]
pub(crate) enum Library {
    Base,
    Table,
    String,
    Math,
    Os,
}

/// Source text in two pieces: the first byte tells text from compiled code, so it is ours.
struct Pieces<'a> {
    rest: [&'a [u8]; 2],
    at: usize,
    len: usize,
}

/// What Lua calls for a function of ours.
///
/// # Safety
///
/// Only Lua calls it, with a state that it runs.
unsafe extern "C-unwind" fn enter<F: Body>(state: *mut lua_State) -> c_int {
    // SAFETY: `F` is no larger than nothing, which `push_function` has checked, and one was
    // given there, so there is nothing to be read.
    let body: F = unsafe { ptr::read(NonNull::<F>::dangling().as_ptr()) };
    // SAFETY: Lua gives its functions the thread that runs.
    let state = unsafe { NonNull::new_unchecked(state) };
    // SAFETY: as above; it does so only while the engine has entered it.
    let lua = unsafe { Lua::new(state) };
    end(lua, guard(lua, || body(lua)))
}

/// What Lua calls for the work of [`Lua::protect`].
///
/// # Safety
///
/// Only Lua calls it, with a pointer to the work on its stack.
unsafe extern "C-unwind" fn enter_work(state: *mut lua_State) -> c_int {
    // SAFETY: Lua gives its functions the thread that runs.
    let state = unsafe { NonNull::new_unchecked(state) };
    // SAFETY: as above; it does so only while the engine has entered it.
    let lua = unsafe { Lua::new(state) };
    let work = api!(lua, lua_touserdata, 1).cast::<&mut dyn FnMut(Lua<'_>) -> Outcome>();
    lua.remove(1);
    // SAFETY: the work is on the stack of `protect`, which waits for it.
    let work = unsafe { &mut *work };
    end(lua, guard(lua, || work(lua)))
}

/// A panic must not go through Lua's frames: it is kept until Lua is left, and the script ends.
fn guard(lua: Lua<'_>, body: impl FnOnce() -> Outcome) -> Outcome {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(outcome) => outcome,
        Err(panic) => {
            lua.shared().keep_panic(panic);
            crate::stop::end(lua);
            Err(lua.fail_plain("a bug of the server"))
        }
    }
}

/// Returns to Lua, or raises: nothing of ours is alive any more.
fn end(lua: Lua<'_>, outcome: Outcome) -> c_int {
    match outcome {
        Ok(count) => count,
        Err(Raised) => api!(lua, lua_error),
    }
}

/// What Lua calls when it is time to look whether the script shall stop.
///
/// # Safety
///
/// Only Lua calls it, with a state that it runs.
unsafe extern "C-unwind" fn enter_hook(state: *mut lua_State, _: *mut ffi::lua_Debug) {
    // SAFETY: Lua gives its hook the thread that runs.
    let state = unsafe { NonNull::new_unchecked(state) };
    // SAFETY: as above; it does so only while the engine has entered it.
    let lua = unsafe { Lua::new(state) };
    if let Err(Raised) = crate::stop::look(lua) {
        api!(lua, lua_error);
    }
}

/// Gives Lua's parser the next piece of [`Pieces`].
///
/// # Safety
///
/// Only Lua calls it, from [`Lua::load`].
unsafe extern "C-unwind" fn next_piece(
    _: *mut lua_State,
    data: *mut c_void,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the pieces are on the stack of `load`, which waits for the parser.
    let pieces = unsafe { &mut *data.cast::<Pieces<'_>>() };
    let piece = pieces.rest.get(pieces.at).copied().unwrap_or_default();
    pieces.at += 1;
    pieces.len = piece.len();
    // SAFETY: Lua has room there for the length.
    unsafe { len.write(pieces.len) };
    if piece.is_empty() { ptr::null() } else { piece.as_ptr().cast() }
}

fn empty_place() -> ffi::lua_Debug {
    // SAFETY: it is a plain C structure of integers and pointers, for which zeros are values.
    unsafe { std::mem::zeroed() }
}

/// A short text without an allocation.
pub(crate) struct Line {
    bytes: [u8; ERROR_BYTES_MAX],
    len: usize,
}

impl Line {
    pub(crate) fn new(text: impl Display) -> Self {
        let mut line = Self { bytes: [0; ERROR_BYTES_MAX], len: 0 };
        // What does not fit is cut.
        let _ = write!(line, "{text}");
        line
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let fitting = text.len().min(room.len());
        room[..fitting].copy_from_slice(&text.as_bytes()[..fitting]);
        self.len += fitting;
        Ok(())
    }
}

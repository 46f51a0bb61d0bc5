//! Libraries of functions: what their source registers while it is loaded.
//!
//! A library is Lua that runs once and calls `redis.register_function`, with a name and a
//! function, or with a table of `function_name`, `callback`, `flags` and `description`.

use std::ffi::c_int;
use std::sync::Arc;

use crate::error::push_error;
use crate::lua::{Kind, Lua, Outcome, Raised};
use crate::source::{BAD_LIBRARY_NAME, Flags, is_name};

/// A function of a library, as it was registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// By which it is called: letters, digits and underscores.
    pub name: String,
    /// What its author says of it.
    pub description: Option<Vec<u8>>,
    /// What it says of itself.
    pub flags: Flags,
}

/// A function that the library being loaded has registered, and where it is kept.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) function: Function,
    /// Its name, to be shared with its runs.
    pub(crate) name: Arc<str>,
    pub(crate) callback: c_int,
}

/// What one call registers, while its parts are on the stack.
#[derive(Default)]
struct Parts {
    name: c_int,
    callback: c_int,
    description: Option<c_int>,
    flags: Flags,
}

/// `redis.register_function(..)`.
pub(crate) fn register(lua: Lua<'_>) -> Outcome {
    if lua.shared().registered.borrow().is_none() {
        let text = "redis.register_function can only be called on FUNCTION LOAD command";
        return Err(push_error(lua, text));
    }
    let parts = match lua.top() {
        1 => named(lua)?,
        2 => positional(lua)?,
        _ => {
            let text = "wrong number of arguments to redis.register_function";
            return Err(push_error(lua, text));
        }
    };
    let name = lua.text(parts.name).unwrap_or_default();
    if !is_name(name) {
        return Err(push_error(lua, BAD_LIBRARY_NAME));
    }
    if is_taken(lua, name) {
        return Err(push_error(lua, "Function already exists in the library"));
    }
    let description = parts.description.and_then(|at| lua.text(at));
    lua.copy(parts.callback);
    let callback = lua.keep();
    let name = String::from_utf8_lossy(name).into_owned();
    let function =
        Function { name, description: description.map(<[u8]>::to_vec), flags: parts.flags };
    if let Some(registered) = lua.shared().registered.borrow_mut().as_mut() {
        let name = Arc::from(function.name.as_str());
        registered.push(Registered { function, name, callback });
    }
    Ok(0)
}

fn is_taken(lua: Lua<'_>, name: &[u8]) -> bool {
    let registered = lua.shared().registered.borrow();
    registered.iter().flatten().any(|other| other.function.name.as_bytes() == name)
}

fn is_text(lua: Lua<'_>, at: c_int) -> bool {
    matches!(lua.kind(at), Kind::String | Kind::Number)
}

fn positional(lua: Lua<'_>) -> Result<Parts, Raised> {
    if !is_text(lua, 1) {
        let text = "first argument to redis.register_function must be a string";
        return Err(push_error(lua, text));
    }
    if lua.kind(2) != Kind::Function {
        let text = "second argument to redis.register_function must be a function";
        return Err(push_error(lua, text));
    }
    Ok(Parts { name: 1, callback: 2, ..Parts::default() })
}

fn named(lua: Lua<'_>) -> Result<Parts, Raised> {
    if lua.kind(1) != Kind::Table {
        let text = "calling redis.register_function with a single argument is only applicable to \
                    Lua table (representing named arguments).";
        return Err(push_error(lua, text));
    }
    // Slots 2 to 4 for the name, the callback and the description.
    lua.set_top(4);
    let mut parts = Parts::default();
    lua.push_nil();
    while lua.next(1) {
        if !is_text(lua, -2) {
            let text = "named argument key given to redis.register_function is not a string";
            return Err(push_error(lua, text));
        }
        // A copy, because a number that became a text would confuse `next`.
        lua.copy(-2);
        let key = lua.text(-1).unwrap_or_default();
        lua.insert(-2);
        named_part(lua, key, &mut parts)?;
        lua.set_top(5);
    }
    if parts.name == 0 {
        let text = "redis.register_function must get a function name argument";
        return Err(push_error(lua, text));
    }
    if parts.callback == 0 {
        return Err(push_error(lua, "redis.register_function must get a callback argument"));
    }
    Ok(parts)
}

/// Takes the value on top for what `key` says it is.
fn named_part(lua: Lua<'_>, key: &[u8], parts: &mut Parts) -> Result<(), Raised> {
    let is = |name: &str| key.eq_ignore_ascii_case(name.as_bytes());
    let kind = lua.kind(-1);
    if is("function_name") {
        if !is_text(lua, -1) {
            let text = "function_name argument given to redis.register_function must be a string";
            return Err(push_error(lua, text));
        }
        lua.replace(2);
        parts.name = 2;
    } else if is("description") {
        if !is_text(lua, -1) {
            let text = "description argument given to redis.register_function must be a string";
            return Err(push_error(lua, text));
        }
        lua.replace(4);
        parts.description = Some(4);
    } else if is("callback") {
        if kind != Kind::Function {
            let text = "callback argument given to redis.register_function must be a function";
            return Err(push_error(lua, text));
        }
        lua.replace(3);
        parts.callback = 3;
    } else if is("flags") {
        if kind != Kind::Table {
            let text = "flags argument to redis.register_function must be a table representing \
                        function flags";
            return Err(push_error(lua, text));
        }
        parts.flags = flags(lua)?;
    } else {
        return Err(push_error(lua, "unknown argument given to redis.register_function"));
    }
    Ok(())
}

/// Reads the list of flags on top.
fn flags(lua: Lua<'_>) -> Result<Flags, Raised> {
    let mut flags = Flags::default();
    for index in 1.. {
        lua.raw_get_at(-1, index);
        if lua.kind(-1) == Kind::Nil {
            break;
        }
        let name = if is_text(lua, -1) { lua.text(-1) } else { None };
        if !name.is_some_and(|name| flags.set(name, <[u8]>::eq_ignore_ascii_case)) {
            return Err(push_error(lua, "unknown flag given"));
        }
        lua.pop(1);
    }
    lua.pop(1);
    Ok(flags)
}

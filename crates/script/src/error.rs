//! Errors as Redis shows them: tables with a field `err`, to which the place is added.

use std::ffi::c_int;
use std::fmt::Display;

use crate::engine::Name;
use crate::host::Failure;
use crate::lua::{Kind, Line, Lua, Outcome, Raised, Status};
use crate::sandbox::behind;

/// Pushes `{err = "ERR text"}`, on its way as an error.
#[cold]
#[inline(never)]
pub(crate) fn push_error(lua: Lua<'_>, text: impl Display) -> Raised {
    let text = Line::new(format_args!("ERR {text}"));
    push_error_table(lua, text.as_bytes());
    Raised
}

/// Pushes `{err = text}`.
pub(crate) fn push_error_table(lua: Lua<'_>, text: &[u8]) {
    lua.new_table(0, 1);
    lua.push_bytes(text);
    lua.raw_set_field(-2, "err");
}

/// Pushes the table that stands for a text with or without a leading code: `-CODE text` is
/// taken as it is, anything else gets `ERR`.
pub(crate) fn push_error_text(lua: Lua<'_>, text: &[u8]) {
    let shared = lua.shared();
    let start = shared.scratch_len();
    match text.strip_prefix(b"-") {
        Some(coded) => match memchr::memchr(b' ', coded) {
            Some(at) => {
                shared.scratch_push(&coded[..=at]);
                shared.scratch_push(trim_line(&coded[at + 1..]));
            }
            None => {
                shared.scratch_push(b"ERR ");
                shared.scratch_push(coded);
            }
        },
        None => {
            shared.scratch_push(b"ERR ");
            shared.scratch_push(trim_line(text));
        }
    }
    lua.new_table(0, 1);
    lua.push_scratch(start);
    lua.raw_set_field(-2, "err");
}

fn trim_line(mut text: &[u8]) -> &[u8] {
    while let [b'\r' | b'\n', rest @ ..] | [rest @ .., b'\r' | b'\n'] = text {
        text = rest;
    }
    text
}

/// The handler of a run: makes any error a table and adds where it came from.
pub(crate) fn handle(lua: Lua<'_>) -> Outcome {
    lua.set_top(1);
    if lua.kind(1) != Kind::Table {
        wrap(lua);
    } else if behind(lua, 1).is_some() {
        // It may only be read, and says nothing of an error.
        return Ok(1);
    }
    let raised_by = lua.place(1);
    let place = match raised_by {
        Some(place) if place.is_native => lua.place(2),
        place => place,
    };
    if let Some(place) = place {
        lua.push_bytes(place.source);
        lua.raw_set_field(1, "source");
        lua.push_number(f64::from(place.line));
        lua.raw_set_field(1, "line");
    }
    lua.set_top(1);
    Ok(1)
}

/// Makes the error in slot 1 a table.
fn wrap(lua: Lua<'_>) {
    lua.push_bytes(b"ERR ");
    match lua.kind(1) {
        Kind::String | Kind::Number => lua.copy(1),
        Kind::Nil | Kind::None => lua.push_bytes(b"nil"),
        Kind::Boolean => lua.push_bytes(if lua.boolean(1) { b"true" } else { b"false" }),
        _ => {
            let name = lua.kind_name(1);
            let text = Line::new(format_args!("{name}: {:p}", lua.identity(1)));
            lua.push_bytes(text.as_bytes());
        }
    }
    lua.concat(2);
    lua.new_table(0, 3);
    lua.insert(-2);
    lua.raw_set_field(-2, "err");
    lua.replace(1);
}

/// What an error on top of the stack says: its text, where it was, whether it is counted.
struct Told<'a> {
    text: &'a [u8],
    place: Option<(&'a [u8], &'a [u8])>,
    is_counted: bool,
}

/// Reads the error table in slot `at`; pushes up to four values to keep what is read.
fn told<'a>(lua: Lua<'a>, at: c_int) -> Told<'a> {
    let field = |name: &str| {
        lua.raw_get_field(at, name);
        match lua.kind(-1) {
            Kind::String | Kind::Number => lua.text(-1),
            _ => None,
        }
    };
    let text = field("err").unwrap_or(b"ERR unknown error");
    let place = field("source").zip(field("line"));
    lua.raw_get_field(at, "ignore_error_stats_update");
    let is_counted = lua.boolean(-1);
    Told { text, place, is_counted }
}

/// Writes what the error on top of the stack is for the client of a run named `name`.
#[cold]
#[inline(never)]
pub(crate) fn tell_run(lua: Lua<'_>, status: Status, name: &Name, failure: &mut Failure) {
    let hex;
    let name = match name {
        Name::Script(id) => {
            hex = id.hex();
            &hex[..]
        }
        Name::Function(name) => name.as_bytes(),
    };
    failure.text.clear();
    if status == Status::OutOfMemory || lua.kind(-1) != Kind::Table {
        let text = lua.text(-1).unwrap_or(b"execution failure");
        failure.text.extend_from_slice(b"ERR Error running script ");
        failure.text.extend_from_slice(name);
        failure.text.extend_from_slice(b", ");
        failure.text.extend_from_slice(&text[..text.len().min(100)]);
        return;
    }
    let told = told(lua, lua.top());
    failure.text.extend_from_slice(told.text);
    failure.is_counted = told.is_counted;
    if let Some((source, line)) = told.place {
        let parts = [b" script: ", name, b", on ", source, b":", line, b"."];
        parts.iter().for_each(|part| failure.text.extend_from_slice(part));
    }
}

/// Writes what the error on top of the stack is for who loads a library.
pub(crate) fn tell_load(lua: Lua<'_>, failure: &mut Failure) {
    failure.text.clear();
    failure.text.extend_from_slice(b"ERR Error registering functions: ");
    if lua.kind(-1) == Kind::Table {
        failure.text.extend_from_slice(told(lua, lua.top()).text);
    } else {
        failure.text.extend_from_slice(b"ERR ");
        failure.text.extend_from_slice(lua.text(-1).unwrap_or(b"unknown error"));
    }
}

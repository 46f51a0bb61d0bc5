//! What a script returns, as a reply.
//!
//! The first of these that fits a table decides: a string `err`, a string `ok`, a number
//! `double`, a string `big_number`, a table `verbatim_string` with strings `format` and
//! `string`, a table `map`, a table `set`; anything else is a list up to the first `nil`.
//! Metamethods are not asked.
//!
//! # Invariants
//!
//! 1. Tables inside each other beyond [`DEPTH_MAX`], and replies beyond [`BYTES_MAX`], are
//!    refused as a whole: a small table that holds itself twice would be endless otherwise.

use protocol::Reply;

use crate::lua::{Kind, Lua, Raised};
use crate::stop::Pace;

/// How deep tables may lie in each other.
const DEPTH_MAX: usize = 500;

/// How much a reply may be, in bytes, estimated.
const BYTES_MAX: usize = 1 << 30;

/// What an element costs beside its text, in bytes, estimated.
const ELEMENT_BYTES: usize = 8;

/// Writes the value on top of the stack, and takes it.
pub(crate) fn write(lua: Lua<'_>, reply: &mut Reply<'_>) -> Result<(), Raised> {
    Writer { lua, pace: Pace::new(lua), bytes: 0 }.value(reply, 0)
}

/// Writes the value on top of the stack, and takes it, if that needs no protection: it is no
/// table and of no great size.
pub(crate) fn write_plain(lua: Lua<'_>, reply: &mut Reply<'_>) -> bool {
    let is_plain = match lua.kind(-1) {
        Kind::Table => false,
        Kind::String => lua.bytes(-1).is_some_and(|text| text.len() < BYTES_MAX / 2),
        _ => true,
    };
    if is_plain {
        plain(lua, reply);
    }
    is_plain
}

/// Writes anything but a table. As all that writes here, a frame of its own: see `fiber`.
#[inline(never)]
fn plain(lua: Lua<'_>, reply: &mut Reply<'_>) {
    match lua.kind(-1) {
        Kind::String => reply.bulk(lua.bytes(-1).unwrap_or_default()),
        Kind::Number => reply.integer(whole(lua.number(-1))),
        Kind::Boolean => boolean(lua, reply),
        _ => reply.null(),
    }
    lua.pop(1);
}

/// Truth values are what the dialect has that the script has asked for.
fn boolean(lua: Lua<'_>, reply: &mut Reply<'_>) {
    match (lua.shared().dialect.get(), lua.boolean(-1)) {
        (protocol::Dialect::Resp3, value) => reply.boolean(value),
        (protocol::Dialect::Resp2, true) => reply.integer(1),
        (protocol::Dialect::Resp2, false) => reply.null(),
    }
}

/// The headers of what has parts.
#[inline(never)]
fn head(reply: &mut Reply<'_>, kind: Parts, count: usize) {
    match kind {
        Parts::Map => reply.map(count),
        Parts::Set => reply.set(count),
        Parts::List => reply.array(count),
    }
}

#[derive(Clone, Copy)]
enum Parts {
    Map,
    Set,
    List,
}

struct Writer<'a> {
    lua: Lua<'a>,
    pace: Pace<'a>,
    bytes: usize,
}

impl Writer<'_> {
    fn value(&mut self, reply: &mut Reply<'_>, depth: usize) -> Result<(), Raised> {
        let lua = self.lua;
        if depth > DEPTH_MAX || !lua.reserve(6) {
            return Err(crate::error::push_error(lua, "reached lua stack limit"));
        }
        self.pace.step()?;
        if lua.kind(-1) == Kind::Table {
            self.count(0)?;
            return self.table(reply, depth);
        }
        self.count(lua.bytes(-1).map_or(0, <[u8]>::len))?;
        plain(lua, reply);
        Ok(())
    }

    fn table(&mut self, reply: &mut Reply<'_>, depth: usize) -> Result<(), Raised> {
        let lua = self.lua;
        let at = lua.top();
        if self.is_line(reply, at)? || self.is_number(reply, at) || self.is_verbatim(reply, at)? {
            lua.set_top(at - 1);
            return Ok(());
        }
        lua.raw_get_field(at, "map");
        if lua.kind(-1) == Kind::Table {
            head(reply, Parts::Map, self.fields(-1));
            self.pairs(reply, depth, true)?;
        } else {
            lua.pop(1);
            lua.raw_get_field(at, "set");
            if lua.kind(-1) == Kind::Table {
                head(reply, Parts::Set, self.fields(-1));
                self.pairs(reply, depth, false)?;
            } else {
                lua.pop(1);
                self.list(reply, depth)?;
            }
        }
        lua.set_top(at - 1);
        Ok(())
    }

    /// `{err=..}` and `{ok=..}`.
    #[inline(never)]
    fn is_line(&mut self, reply: &mut Reply<'_>, at: i32) -> Result<bool, Raised> {
        for (name, marker) in [("err", b"-"), ("ok", b"+")] {
            self.lua.raw_get_field(at, name);
            if let Some(text) = self.lua.bytes(-1) {
                self.count(text.len())?;
                line(reply, marker, text);
                if marker == b"-" {
                    self.note_error(at, text);
                }
                return Ok(true);
            }
            self.lua.pop(1);
        }
        Ok(false)
    }

    /// Tells the host of an error in the table at `at`.
    fn note_error(&self, at: i32, text: &[u8]) {
        self.lua.raw_get_field(at, "ignore_error_stats_update");
        let is_counted = self.lua.boolean(-1);
        self.lua.shared().host(|host| host.note_returned(text, is_counted));
    }

    /// `{double=..}` and `{big_number=..}`.
    #[inline(never)]
    fn is_number(&self, reply: &mut Reply<'_>, at: i32) -> bool {
        self.lua.raw_get_field(at, "double");
        if self.lua.kind(-1) == Kind::Number {
            reply.double(self.lua.number(-1));
            return true;
        }
        self.lua.raw_get_field(at, "big_number");
        let Some(digits) = self.lua.bytes(-1) else {
            self.lua.pop(2);
            return false;
        };
        match reply.dialect() {
            protocol::Dialect::Resp3 => line(reply, b"(", digits),
            protocol::Dialect::Resp2 => {
                self.spaced(digits);
                let shared = self.lua.shared();
                shared.scratch(|text| {
                    reply.bulk(text);
                    text.clear();
                });
            }
        }
        true
    }

    /// Puts `text` into the empty scratch buffer with spaces in place of ends of lines.
    fn spaced(&self, text: &[u8]) {
        self.lua.shared().scratch(|scratch| scratch.extend(text.iter().map(|&byte| space(byte))));
    }

    /// `{verbatim_string={format=.., string=..}}`.
    #[inline(never)]
    fn is_verbatim(&mut self, reply: &mut Reply<'_>, at: i32) -> Result<bool, Raised> {
        let lua = self.lua;
        lua.raw_get_field(at, "verbatim_string");
        if lua.kind(-1) == Kind::Table {
            lua.raw_get_field(-1, "format");
            lua.raw_get_field(-2, "string");
            if let Some((format, text)) = lua.bytes(-2).zip(lua.bytes(-1)) {
                self.count(text.len())?;
                verbatim(reply, format, text);
                return Ok(true);
            }
        }
        lua.set_top(at);
        Ok(false)
    }

    /// Writes the keys of the table on top, with their values or not.
    fn pairs(
        &mut self,
        reply: &mut Reply<'_>,
        depth: usize,
        with_values: bool,
    ) -> Result<(), Raised> {
        let lua = self.lua;
        lua.push_nil();
        while lua.next(-2) {
            lua.copy(-2);
            self.value(reply, depth + 1)?;
            if with_values {
                self.value(reply, depth + 1)?;
            } else {
                lua.pop(1);
            }
        }
        Ok(())
    }

    fn list(&mut self, reply: &mut Reply<'_>, depth: usize) -> Result<(), Raised> {
        let lua = self.lua;
        let mut len = 0;
        loop {
            self.pace.step()?;
            lua.raw_get_at(-1, len + 1);
            let is_end = lua.kind(-1) == Kind::Nil;
            lua.pop(1);
            if is_end {
                break;
            }
            len += 1;
        }
        head(reply, Parts::List, usize::try_from(len).unwrap_or(0));
        for index in 1..=len {
            lua.raw_get_at(-1, index);
            self.value(reply, depth + 1)?;
        }
        Ok(())
    }

    /// How many fields the table at `at` has.
    fn fields(&self, at: i32) -> usize {
        let table = self.lua.absolute(at);
        let mut count = 0;
        self.lua.push_nil();
        while self.lua.next(table) {
            self.lua.pop(1);
            count += 1;
        }
        count
    }

    fn count(&mut self, text_bytes: usize) -> Result<(), Raised> {
        self.bytes = self.bytes.saturating_add(text_bytes + ELEMENT_BYTES);
        if self.bytes > BYTES_MAX {
            return Err(crate::error::push_error(self.lua, "the reply of the script is too large"));
        }
        Ok(())
    }
}

/// A number without its fraction, as C converts it: what no integer holds is the least one.
fn whole(number: f64) -> i64 {
    /// The first number that is too large: 2^63.
    const BEYOND: f64 = (1_u64 << 63) as f64;
    if (-BEYOND..BEYOND).contains(&number) { number as i64 } else { i64::MIN }
}

/// A line of text that need not be Unicode.
fn line(reply: &mut Reply<'_>, marker: &[u8], text: &[u8]) {
    let output = reply.output();
    output.raw(marker);
    let mut rest = text;
    while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
        output.raw(&rest[..end]);
        output.raw(b" ");
        rest = &rest[end + 1..];
    }
    output.raw(rest);
    output.raw(b"\r\n");
}

/// Text for people, whose format need not be three letters long: it is cut and filled up.
fn verbatim(reply: &mut Reply<'_>, format: &[u8], text: &[u8]) {
    let mut three = [b' '; 3];
    three.iter_mut().zip(format).for_each(|(letter, &given)| {
        *letter = if given.is_ascii_graphic() { given } else { b' ' };
    });
    reply.verbatim(std::str::from_utf8(&three).unwrap_or("txt"), text);
}

fn space(byte: u8) -> u8 {
    if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }
}

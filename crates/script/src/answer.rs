//! What a command has replied, as values of Lua. Hot.
//!
//! Commands write RESP, once; it is read here straight onto Lua's stack.
//!
//! | reply | value |
//! | --- | --- |
//! | integer | number |
//! | string; none | string; `false` |
//! | list; none | table; `false` |
//! | line, error | `{ok=..}`, `{err=..}` |
//! | RESP3 null, boolean | `nil`, boolean |
//! | RESP3 double, big number | `{double=..}`, `{big_number=..}` |
//! | RESP3 map, set | `{map={..}}`, `{set={..=true}}` |
//! | RESP3 verbatim text | `{verbatim_string={format=.., string=..}}` |

use protocol::Output;

use crate::error::push_error_text;
use crate::lua::{Kind, Lua, Raised};

/// How deep the lists of a reply may lie in each other.
const DEPTH_MAX: usize = 256;

/// Whether a reply is an error.
pub(crate) fn is_error(output: &Output) -> bool {
    output.chunks().next().is_some_and(|piece| piece.starts_with(b"-"))
}

/// Pushes the reply as one value.
pub(crate) fn push(lua: Lua<'_>, output: &Output) -> Result<(), Raised> {
    let mut reader = Reader { piece: &[], pieces: output.chunks(), len: output.len() };
    let pushed = reader.value(lua, 0);
    pushed.ok_or_else(|| lua.fail_plain("the reply of the command cannot be read"))
}

/// Reads a reply from its pieces. A header lies in one piece, the bytes of a string too.
struct Reader<'a, P> {
    piece: &'a [u8],
    /// The pieces that have not been begun.
    pieces: P,
    /// How long all of it is.
    len: usize,
}

impl<'a, P: Iterator<Item = &'a [u8]>> Reader<'a, P> {
    /// What has not been read of the piece, or of the next one.
    fn rest(&mut self) -> &'a [u8] {
        while self.piece.is_empty()
            && let Some(piece) = self.pieces.next()
        {
            self.piece = piece;
        }
        self.piece
    }

    /// A line without its end.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let end = memchr::memchr(b'\r', rest)?;
        self.piece = rest.get(end + 2..)?;
        Some(&rest[..end])
    }

    /// `len` bytes and the end of their line.
    fn body(&mut self, len: usize) -> Option<&'a [u8]> {
        let rest = self.rest();
        let body = rest.get(..len)?;
        self.piece = &rest[len..];
        let end = self.rest();
        self.piece = end.get(2..)?;
        Some(body)
    }

    /// Pushes the next value.
    fn value(&mut self, lua: Lua<'_>, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX || !lua.reserve(8) {
            return None;
        }
        let line = self.line()?;
        let (&marker, text) = line.split_first()?;
        match marker {
            b':' => lua.push_number(integer(text)? as f64),
            b'$' => match integer(text)? {
                -1 => lua.push_boolean(false),
                len => lua.push_bytes(self.body(usize::try_from(len).ok()?)?),
            },
            b'+' if text == b"OK" => push_ok(lua),
            b'+' => push_field(lua, "ok", text),
            b'-' => {
                push_error_text(lua, line);
                lua.push_boolean(true);
                lua.raw_set_field(-2, "ignore_error_stats_update");
            }
            b'*' | b'>' => match integer(text)? {
                -1 => lua.push_boolean(false),
                len => self.list(lua, len, depth)?,
            },
            b'_' => lua.push_nil(),
            b'#' => lua.push_boolean(text == b"t"),
            b',' => {
                lua.new_table(0, 1);
                lua.push_number(std::str::from_utf8(text).ok()?.parse().ok()?);
                lua.raw_set_field(-2, "double");
            }
            b'(' => push_field(lua, "big_number", text),
            b'=' => self.verbatim(lua, integer(text)?)?,
            b'%' => self.map(lua, integer(text)?, depth)?,
            b'~' => self.set(lua, integer(text)?, depth)?,
            b'|' => self.attribute(lua, integer(text)?, depth)?,
            _ => return None,
        }
        Some(())
    }

    fn list(&mut self, lua: Lua<'_>, len: i64, depth: usize) -> Option<()> {
        lua.new_table(self.plausible(len), 0);
        for index in 1..=i32::try_from(len).ok()? {
            self.value(lua, depth + 1)?;
            lua.raw_set_at(-2, index);
        }
        Some(())
    }

    fn map(&mut self, lua: Lua<'_>, pairs: i64, depth: usize) -> Option<()> {
        lua.new_table(0, 1);
        lua.new_table(0, self.plausible(pairs));
        for _ in 0..pairs {
            self.value(lua, depth + 1)?;
            self.value(lua, depth + 1)?;
            set_if_keyed(lua);
        }
        lua.raw_set_field(-2, "map");
        Some(())
    }

    fn set(&mut self, lua: Lua<'_>, len: i64, depth: usize) -> Option<()> {
        lua.new_table(0, 1);
        lua.new_table(0, self.plausible(len));
        for _ in 0..len {
            self.value(lua, depth + 1)?;
            lua.push_boolean(true);
            set_if_keyed(lua);
        }
        lua.raw_set_field(-2, "set");
        Some(())
    }

    /// Passes over what is said about the value that follows.
    fn attribute(&mut self, lua: Lua<'_>, pairs: i64, depth: usize) -> Option<()> {
        for _ in 0..pairs.checked_mul(2)? {
            self.value(lua, depth + 1)?;
            lua.pop(1);
        }
        self.value(lua, depth + 1)
    }

    fn verbatim(&mut self, lua: Lua<'_>, len: i64) -> Option<()> {
        let body = self.body(usize::try_from(len).ok()?)?;
        lua.new_table(0, 1);
        lua.new_table(0, 2);
        lua.push_bytes(body.get(4..)?);
        lua.raw_set_field(-2, "string");
        lua.push_bytes(&body[..3]);
        lua.raw_set_field(-2, "format");
        lua.raw_set_field(-2, "verbatim_string");
        Some(())
    }

    /// How many elements a table is made for: no more than the reply has bytes for.
    fn plausible(&self, len: i64) -> usize {
        usize::try_from(len).unwrap_or(0).min(self.len)
    }
}

/// Takes a key and a value into the table below, unless no table can hold such a key.
fn set_if_keyed(lua: Lua<'_>) {
    if lua.kind(-2) == Kind::Nil { lua.pop(2) } else { lua.raw_set(-3) }
}

/// `{ok='OK'}`, which most commands that write answer.
fn push_ok(lua: Lua<'_>) {
    let (name, text) = lua.shared().ok.get();
    lua.new_table(0, 1);
    lua.push_kept(name);
    lua.push_kept(text);
    lua.raw_set(-3);
}

fn push_field(lua: Lua<'_>, name: &str, text: &[u8]) {
    lua.new_table(0, 1);
    lua.push_bytes(text);
    lua.raw_set_field(-2, name);
}

fn integer(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    // Below zero, so that the least number fits.
    let below = digits.iter().try_fold(0_i64, |value, &digit| {
        let digit = char::from(digit).to_digit(10)?;
        value.checked_mul(10)?.checked_sub(i64::from(digit))
    })?;
    if is_negative { Some(below) } else { below.checked_neg() }
}

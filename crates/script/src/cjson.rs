//! `cjson`: JSON, byte for byte as lua-cjson 2.1.0 in Redis has it.
//!
//! A table whose keys are all whole numbers from 1 on is an array, if it is not too sparse;
//! any other is an object, an empty one too. JSON's null is a light userdata, `cjson.null`.

use std::cell::Cell;
use std::ffi::{CStr, c_int};

use crate::lua::{Kind, Lua, Outcome, Raised};
use crate::number::{self, NumberText};
use crate::shared::Shared;
use crate::stop::Pace;

/// How deep values may lie in each other, whatever scripts set: a step down needs stack.
const DEPTH_MAX: c_int = 1_000;

/// What a script can set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    sparse_is_object: bool,
    sparse_ratio: c_int,
    sparse_safe: c_int,
    encode_depth_max: c_int,
    decode_depth_max: c_int,
    encode_invalid: Invalid,
    decodes_invalid: bool,
    digits: c_int,
    keeps_buffer: bool,
}

impl Options {
    pub(crate) const DEFAULT: Self = Self {
        sparse_is_object: false,
        sparse_ratio: 2,
        sparse_safe: 10,
        encode_depth_max: 1_000,
        decode_depth_max: 1_000,
        encode_invalid: Invalid::Refused,
        decodes_invalid: true,
        digits: 14,
        keeps_buffer: true,
    };
}

/// What becomes of numbers that JSON does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Invalid {
    Refused,
    Written,
    Null,
}

/// Forgets what a run has set.
pub(crate) fn reset(shared: &Shared) {
    shared.json.set(Options::DEFAULT);
}

/// Pushes the library. Its options are those of the run.
pub(crate) fn push(lua: Lua<'_>) {
    lua.push_nil();
    push_with_options(lua);
}

/// `cjson.new()`: the library again, with options of its own.
fn new(lua: Lua<'_>) -> Outcome {
    lua.push_cell(Options::DEFAULT);
    push_with_options(lua);
    Ok(1)
}

/// Takes the options on top and pushes the library that follows them.
fn push_with_options(lua: Lua<'_>) {
    lua.new_table(0, 16);
    lua.insert(-2);
    let add = |name: &str| {
        // The function has taken a copy of the options.
        lua.raw_set_field(-3, name);
    };
    macro_rules! functions {
        ($($name:literal $function:expr;)*) => {
            $( lua.copy(-1); lua.push_function($function, 1); add($name); )*
        };
    }
    functions! {
        "encode" encode;
        "decode" decode;
        "encode_sparse_array" set_sparse;
        "encode_max_depth" set_encode_depth;
        "decode_max_depth" set_decode_depth;
        "encode_number_precision" set_digits;
        "encode_keep_buffer" set_keeps_buffer;
        "encode_invalid_numbers" set_encode_invalid;
        "decode_invalid_numbers" set_decode_invalid;
        "new" new;
    }
    lua.pop(1);
    lua.push_null();
    lua.raw_set_field(-2, "null");
    lua.push_bytes(b"cjson");
    lua.raw_set_field(-2, "_NAME");
    lua.push_bytes(b"2.1.0");
    lua.raw_set_field(-2, "_VERSION");
}

fn options(lua: Lua<'_>) -> &Cell<Options> {
    let own = Lua::upvalue(1);
    if lua.kind(own) == Kind::Userdata { lua.cell(own) } else { &lua.shared().json }
}

/// Checks that there are no more than `max` arguments, and makes it so many.
fn arguments(lua: Lua<'_>, max: c_int) {
    if lua.top() > max {
        lua.refuse_argument(max + 1, c"found too many arguments");
    }
    lua.set_top(max);
}

/// Sets `value` from an argument, if there is one, and pushes it.
fn integer_option(
    lua: Lua<'_>,
    at: c_int,
    value: &mut c_int,
    min: c_int,
    range: &CStr,
    max: c_int,
) {
    if lua.kind(at) != Kind::Nil {
        let given = lua.check_int(at);
        if !(min..=max).contains(&given) {
            lua.refuse_argument(1, range);
        }
        *value = given;
    }
    lua.push_number(f64::from(*value));
}

/// Which of `names` an argument is, or whether it is `true`; `None` if there is none.
fn choice(lua: Lua<'_>, at: c_int, names: &[&str]) -> Option<usize> {
    match lua.kind(at) {
        Kind::Nil => return None,
        Kind::Boolean => return Some(usize::from(lua.boolean(at))),
        _ => {}
    }
    let given = lua.check_bytes(at);
    let found = names.iter().position(|name| name.as_bytes() == given);
    if found.is_none() {
        lua.refuse_option(at, given);
    }
    found
}

const SWITCH: &[&str] = &["off", "on"];

fn switch_option(lua: Lua<'_>, at: c_int, value: &mut bool) {
    if let Some(chosen) = choice(lua, at, SWITCH) {
        *value = chosen == 1;
    }
    lua.push_boolean(*value);
}

const FROM_0: &CStr = c"expected integer between 0 and 2147483647";
const FROM_1: &CStr = c"expected integer between 1 and 2147483647";
const DIGITS: &CStr = c"expected integer between 1 and 14";

fn set_sparse(lua: Lua<'_>) -> Outcome {
    arguments(lua, 3);
    let cell = options(lua);
    let mut options = cell.get();
    switch_option(lua, 1, &mut options.sparse_is_object);
    integer_option(lua, 2, &mut options.sparse_ratio, 0, FROM_0, c_int::MAX);
    integer_option(lua, 3, &mut options.sparse_safe, 0, FROM_0, c_int::MAX);
    cell.set(options);
    Ok(3)
}

fn set_encode_depth(lua: Lua<'_>) -> Outcome {
    set_integer(lua, |options| &mut options.encode_depth_max, FROM_1, c_int::MAX)
}

fn set_decode_depth(lua: Lua<'_>) -> Outcome {
    set_integer(lua, |options| &mut options.decode_depth_max, FROM_1, c_int::MAX)
}

fn set_digits(lua: Lua<'_>) -> Outcome {
    set_integer(lua, |options| &mut options.digits, DIGITS, 14)
}

fn set_integer(
    lua: Lua<'_>,
    field: fn(&mut Options) -> &mut c_int,
    range: &CStr,
    max: c_int,
) -> Outcome {
    arguments(lua, 1);
    let cell = options(lua);
    let mut options = cell.get();
    integer_option(lua, 1, field(&mut options), 1, range, max);
    cell.set(options);
    Ok(1)
}

fn set_keeps_buffer(lua: Lua<'_>) -> Outcome {
    set_switch(lua, |options| &mut options.keeps_buffer)
}

fn set_decode_invalid(lua: Lua<'_>) -> Outcome {
    set_switch(lua, |options| &mut options.decodes_invalid)
}

fn set_switch(lua: Lua<'_>, field: fn(&mut Options) -> &mut bool) -> Outcome {
    arguments(lua, 1);
    let cell = options(lua);
    let mut options = cell.get();
    switch_option(lua, 1, field(&mut options));
    cell.set(options);
    Ok(1)
}

fn set_encode_invalid(lua: Lua<'_>) -> Outcome {
    const CHOICES: [Invalid; 3] = [Invalid::Refused, Invalid::Written, Invalid::Null];
    arguments(lua, 1);
    let cell = options(lua);
    let mut options = cell.get();
    if let Some(chosen) = choice(lua, 1, &["off", "on", "null"]) {
        options.encode_invalid = CHOICES[chosen];
    }
    match options.encode_invalid {
        Invalid::Refused => lua.push_boolean(false),
        Invalid::Written => lua.push_boolean(true),
        Invalid::Null => lua.push_bytes(b"null"),
    }
    cell.set(options);
    Ok(1)
}

/// `cjson.encode(value)`.
fn encode(lua: Lua<'_>) -> Outcome {
    if lua.top() != 1 {
        lua.refuse_argument(1, c"expected 1 argument");
    }
    let shared = lua.shared();
    let start = shared.scratch_len();
    let encoder = Encoder { lua, shared, options: options(lua).get(), pace: Pace::new(lua) };
    if let Err(raised) = encoder.value(0) {
        shared.scratch_cut(start);
        return Err(raised);
    }
    lua.push_scratch(start);
    Ok(1)
}

/// Appends values to the scratch buffer.
#[derive(Clone, Copy)]
struct Encoder<'a> {
    lua: Lua<'a>,
    shared: &'a Shared,
    options: Options,
    pace: Pace<'a>,
}

impl Encoder<'_> {
    /// The value on top, which stays.
    fn value(&self, depth: c_int) -> Result<(), Raised> {
        let lua = self.lua;
        self.pace.step()?;
        self.check_room(0)?;
        match lua.kind(-1) {
            Kind::String => self.string(-1)?,
            Kind::Number => self.number(-1)?,
            Kind::Boolean if lua.boolean(-1) => self.shared.scratch_push(b"true"),
            Kind::Boolean => self.shared.scratch_push(b"false"),
            Kind::Table => self.table(depth + 1)?,
            Kind::Nil => self.shared.scratch_push(b"null"),
            _ if lua.is_null(-1) => self.shared.scratch_push(b"null"),
            _ => return Err(self.refuse(-1, "type not supported")),
        }
        Ok(())
    }

    fn refuse(&self, at: c_int, why: &str) -> Raised {
        let kind = self.lua.kind_name(at);
        self.lua.fail(format_args!("Cannot serialise {kind}: {why}"))
    }

    fn table(&self, depth: c_int) -> Result<(), Raised> {
        let max = self.options.encode_depth_max.min(DEPTH_MAX);
        if depth > max || !self.lua.reserve(8) {
            let text = format_args!("Cannot serialise, excessive nesting ({depth})");
            return Err(self.lua.fail(text));
        }
        match self.array_len()? {
            Some(len) if len > 0 => self.array(len, depth),
            _ => self.object(depth),
        }
    }

    /// How long the table on top is as an array, if it is one.
    fn array_len(&self) -> Result<Option<c_int>, Raised> {
        let lua = self.lua;
        let (mut len, mut count) = (0_i32, 0_i32);
        lua.push_nil();
        while lua.next(-2) {
            self.pace.step()?;
            let key = if lua.kind(-2) == Kind::Number { lua.number(-2) } else { 0.0 };
            if key.floor() != key || key < 1.0 {
                lua.pop(2);
                return Ok(None);
            }
            if key > f64::from(len) {
                // What no `int` holds is the least one for C.
                len = if key <= f64::from(c_int::MAX) { key as c_int } else { c_int::MIN };
            }
            count = count.saturating_add(1);
            lua.pop(1);
        }
        let is_sparse = self.options.sparse_ratio > 0
            && i64::from(len) > i64::from(count) * i64::from(self.options.sparse_ratio)
            && len > self.options.sparse_safe;
        if is_sparse && !self.options.sparse_is_object {
            return Err(self.refuse(-1, "excessively sparse array"));
        }
        Ok((!is_sparse).then_some(len))
    }

    fn array(&self, len: c_int, depth: c_int) -> Result<(), Raised> {
        self.shared.scratch_push(b"[");
        for index in 1..=len {
            if index > 1 {
                self.shared.scratch_push(b",");
            }
            self.lua.raw_get_at(-1, index);
            self.value(depth)?;
            self.lua.pop(1);
        }
        self.shared.scratch_push(b"]");
        Ok(())
    }

    fn object(&self, depth: c_int) -> Result<(), Raised> {
        let lua = self.lua;
        self.shared.scratch_push(b"{");
        let mut is_first = true;
        lua.push_nil();
        while lua.next(-2) {
            if !std::mem::take(&mut is_first) {
                self.shared.scratch_push(b",");
            }
            match lua.kind(-2) {
                Kind::Number => {
                    self.shared.scratch_push(b"\"");
                    self.number(-2)?;
                    self.shared.scratch_push(b"\":");
                }
                Kind::String => {
                    self.string(-2)?;
                    self.shared.scratch_push(b":");
                }
                _ => return Err(self.refuse(-2, "table key must be a number or string")),
            }
            self.value(depth)?;
            lua.pop(1);
        }
        self.shared.scratch_push(b"}");
        Ok(())
    }

    fn number(&self, at: c_int) -> Result<(), Raised> {
        let number = self.lua.number(at);
        let text = NumberText::general(number, self.options.digits);
        if number.is_finite() {
            self.shared.scratch_push(text.as_bytes());
            return Ok(());
        }
        match self.options.encode_invalid {
            Invalid::Refused => return Err(self.refuse(at, "must not be NaN or Inf")),
            Invalid::Null => self.shared.scratch_push(b"null"),
            Invalid::Written if number.is_nan() => self.shared.scratch_push(b"nan"),
            Invalid::Written => self.shared.scratch_push(text.as_bytes()),
        }
        Ok(())
    }

    fn string(&self, at: c_int) -> Result<(), Raised> {
        let text = self.lua.bytes(at).unwrap_or_default();
        self.check_room(text.len())?;
        self.shared.scratch(|json| quote(text, json));
        Ok(())
    }

    /// Nothing is written that Lua has no memory for.
    fn check_room(&self, more: usize) -> Result<(), Raised> {
        if self.shared.has_room(self.shared.scratch_len() + more) {
            return Ok(());
        }
        Err(self.lua.fail_plain("not enough memory"))
    }
}

/// Appends a string in quotes.
fn quote(text: &[u8], json: &mut Vec<u8>) {
    json.reserve(text.len() + 2);
    json.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| needs_escape(byte)) {
        json.extend_from_slice(&rest[..at]);
        escape(rest[at], json);
        rest = &rest[at + 1..];
    }
    json.extend_from_slice(rest);
    json.push(b'"');
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, 0..32 | b'"' | b'/' | b'\\' | 127)
}

fn escape(byte: u8, json: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        8 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        12 => b'f',
        b'\r' => b'r',
        b'"' | b'/' | b'\\' => byte,
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            return json.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    json.extend_from_slice(&[b'\\', short]);
}

/// `cjson.decode(text)`.
fn decode(lua: Lua<'_>) -> Outcome {
    if lua.top() != 1 {
        lua.refuse_argument(1, c"expected 1 argument");
    }
    let text = lua.check_bytes(1);
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(lua.fail("JSON parser does not support UTF-16 or UTF-32"));
    }
    let options = options(lua).get();
    let mut decoder = Decoder { lua, text, at: 0, depth: 0, options, pace: Pace::new(lua) };
    let token = decoder.next();
    decoder.value(token)?;
    let end = decoder.next();
    match end.kind {
        TokenKind::End => Ok(1),
        _ => Err(decoder.refuse("the end", end)),
    }
}

/// What text consists of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum TokenKind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// A string: where it is between its quotes, and whether it has escapes.
    String(usize, usize, bool),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl TokenKind {
    /// What errors call it.
    fn name(self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::String(..) => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Error(what) => what,
        }
    }
}

/// A token and where it is.
#[derive(Clone, Copy, Debug)]
struct Token {
    kind: TokenKind,
    at: usize,
}

struct Decoder<'a> {
    lua: Lua<'a>,
    text: &'a [u8],
    at: usize,
    depth: c_int,
    options: Options,
    pace: Pace<'a>,
}

impl Decoder<'_> {
    /// The byte at a position; NUL, which ends the text anywhere, behind its end.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn refuse(&self, expected: &str, found: Token) -> Raised {
        let (name, at) = (found.kind.name(), found.at + 1);
        self.lua.fail(format_args!("Expected {expected} but found {name} at character {at}"))
    }

    fn next(&mut self) -> Token {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let at = self.at;
        let single = match self.byte(at) {
            b'{' => TokenKind::ObjectBegin,
            b'}' => TokenKind::ObjectEnd,
            b'[' => TokenKind::ArrayBegin,
            b']' => TokenKind::ArrayEnd,
            b',' => TokenKind::Comma,
            b':' => TokenKind::Colon,
            0 => return Token { kind: TokenKind::End, at },
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => {
                if !self.options.decodes_invalid && self.is_invalid_number() {
                    return Token { kind: TokenKind::Error("invalid number"), at };
                }
                return self.number();
            }
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+' => return self.word(),
            _ => return Token { kind: TokenKind::Error("invalid token"), at },
        };
        self.at += 1;
        Token { kind: single, at }
    }

    fn word(&mut self) -> Token {
        let at = self.at;
        let words = [
            (&b"true"[..], TokenKind::Boolean(true)),
            (b"false", TokenKind::Boolean(false)),
            (b"null", TokenKind::Null),
        ];
        if let Some((word, kind)) =
            words.into_iter().find(|(word, _)| self.rest().starts_with(word))
        {
            self.at += word.len();
            return Token { kind, at };
        }
        if self.options.decodes_invalid && self.is_invalid_number() {
            return self.number();
        }
        Token { kind: TokenKind::Error("invalid token"), at }
    }

    /// Whether what comes is a number for C, but not for JSON.
    fn is_invalid_number(&self) -> bool {
        let at = match self.byte(self.at) {
            b'+' => return true,
            b'-' => self.at + 1,
            _ => self.at,
        };
        match self.byte(at) {
            b'0' => {
                let second = self.byte(at + 1);
                second | 0x20 == b'x' || second.is_ascii_digit()
            }
            0..=b'9' => false,
            _ => {
                let start = self.text.get(at..at + 3).unwrap_or_default();
                start.eq_ignore_ascii_case(b"inf") || start.eq_ignore_ascii_case(b"nan")
            }
        }
    }

    fn number(&mut self) -> Token {
        let at = self.at;
        let (number, len) = number::read(self.rest());
        self.at += len;
        let kind =
            if len == 0 { TokenKind::Error("invalid number") } else { TokenKind::Number(number) };
        Token { kind, at }
    }

    /// Finds the end of a string and checks its escapes.
    fn string(&mut self) -> Token {
        let at = self.at;
        let begin = at + 1;
        let mut has_escapes = false;
        self.at = begin;
        loop {
            let wrong = match self.byte(self.at) {
                b'"' => break,
                0 => Some("unexpected end of string"),
                b'\\' => {
                    has_escapes = true;
                    match unescape(self.text, self.at) {
                        Some((_, len)) => {
                            self.at += len;
                            None
                        }
                        None if self.byte(self.at + 1) == b'u' => {
                            Some("invalid unicode escape code")
                        }
                        None => Some("invalid escape code"),
                    }
                }
                _ => {
                    self.at += 1;
                    None
                }
            };
            if let Some(wrong) = wrong {
                return Token { kind: TokenKind::Error(wrong), at: self.at };
            }
        }
        self.at += 1;
        Token { kind: TokenKind::String(begin, self.at - 1, has_escapes), at }
    }

    fn push_string(&self, begin: usize, end: usize, has_escapes: bool) {
        let text = &self.text[begin..end];
        if !has_escapes {
            return self.lua.push_bytes(text);
        }
        let shared = self.lua.shared();
        let start = shared.scratch_len();
        shared.scratch(|plain| {
            let mut at = 0;
            while let Some(&byte) = text.get(at) {
                let escaped = if byte == b'\\' { unescape(text, at) } else { None };
                let Some((escape, len)) = escaped else {
                    plain.push(byte);
                    at += 1;
                    continue;
                };
                plain.extend_from_slice(escape.as_bytes());
                at += len;
            }
        });
        self.lua.push_scratch(start);
    }

    /// Pushes the value that begins with `token`.
    fn value(&mut self, token: Token) -> Result<(), Raised> {
        let lua = self.lua;
        self.pace.step()?;
        match token.kind {
            TokenKind::String(begin, end, has_escapes) => self.push_string(begin, end, has_escapes),
            TokenKind::Number(number) => lua.push_number(number),
            TokenKind::Boolean(value) => lua.push_boolean(value),
            TokenKind::ObjectBegin => self.object()?,
            TokenKind::ArrayBegin => self.array()?,
            TokenKind::Null => lua.push_null(),
            _ => return Err(self.refuse("value", token)),
        }
        Ok(())
    }

    fn descend(&mut self) -> Result<(), Raised> {
        self.depth += 1;
        let max = self.options.decode_depth_max.min(DEPTH_MAX);
        if self.depth <= max && self.lua.reserve(8) {
            return Ok(());
        }
        let (depth, at) = (self.depth, self.at);
        let text =
            format_args!("Found too many nested data structures ({depth}) at character {at}");
        Err(self.lua.fail(text))
    }

    fn object(&mut self) -> Result<(), Raised> {
        self.descend()?;
        self.lua.new_table(0, 0);
        let mut token = self.next();
        while token.kind != TokenKind::ObjectEnd {
            let TokenKind::String(begin, end, has_escapes) = token.kind else {
                return Err(self.refuse("object key string", token));
            };
            self.push_string(begin, end, has_escapes);
            let colon = self.next();
            if colon.kind != TokenKind::Colon {
                return Err(self.refuse("colon", colon));
            }
            let value = self.next();
            self.value(value)?;
            self.lua.raw_set(-3);
            token = self.next();
            match token.kind {
                TokenKind::ObjectEnd => break,
                TokenKind::Comma => token = self.key_after_comma()?,
                _ => return Err(self.refuse("comma or object end", token)),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// What follows a comma is a key, not the end.
    fn key_after_comma(&mut self) -> Result<Token, Raised> {
        let token = self.next();
        match token.kind {
            TokenKind::String(..) => Ok(token),
            _ => Err(self.refuse("object key string", token)),
        }
    }

    fn array(&mut self) -> Result<(), Raised> {
        self.descend()?;
        self.lua.new_table(0, 0);
        let mut token = self.next();
        if token.kind != TokenKind::ArrayEnd {
            for index in 1.. {
                self.value(token)?;
                self.lua.raw_set_at(-2, index);
                token = self.next();
                match token.kind {
                    TokenKind::ArrayEnd => break,
                    TokenKind::Comma => token = self.next(),
                    _ => return Err(self.refuse("comma or array end", token)),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }
}

/// The bytes that an escape stands for.
#[derive(Clone, Copy)]
struct Escape {
    bytes: [u8; 4],
    len: usize,
}

impl Escape {
    fn one(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], len: 1 }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What the escape at `at` stands for, and how long it is.
fn unescape(text: &[u8], at: usize) -> Option<(Escape, usize)> {
    let plain = match *text.get(at + 1)? {
        byte @ (b'"' | b'\\' | b'/') => byte,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'f' => 12,
        b'r' => b'\r',
        b'u' => return unescape_unicode(text, at),
        _ => return None,
    };
    Some((Escape::one(plain), 2))
}

fn unescape_unicode(text: &[u8], at: usize) -> Option<(Escape, usize)> {
    let unit = hex4(text, at + 2)?;
    if unit & 0xF800 != 0xD800 {
        return Some((encode_utf8(unit), 6));
    }
    // A pair of surrogates, the high one first.
    let has_second = text.get(at + 6..at + 8) == Some(b"\\u");
    let low = if has_second { hex4(text, at + 8)? } else { return None };
    if unit & 0x400 != 0 || low & 0xFC00 != 0xDC00 {
        return None;
    }
    let point = ((unit & 0x3FF) << 10 | low & 0x3FF) + 0x1_0000;
    Some((encode_utf8(point), 12))
}

fn hex4(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |number, &digit| Some(number << 4 | char::from(digit).to_digit(16)?))
}

fn encode_utf8(point: u32) -> Escape {
    let mut bytes = [0; 4];
    let len = char::from_u32(point).map_or(0, |point| point.encode_utf8(&mut bytes).len());
    Escape { bytes, len }
}

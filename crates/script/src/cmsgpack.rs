//! `cmsgpack`: MessagePack, byte for byte as lua-cmsgpack 0.4.0 in Redis has it.
//!
//! A table whose keys are 1 to N is an array, any other a map; an empty one is an array.
//! Numbers without a fraction are integers, others floats of 4 bytes if nothing is lost.

use std::ffi::c_int;

use crate::lua::{Kind, Lua, Outcome, Raised};
use crate::shared::Shared;
use crate::stop::Pace;

/// How deep tables are packed; below that they are nil.
const PACK_DEPTH_MAX: usize = 16;

/// How deep arrays and maps are unpacked: a step down needs stack.
const UNPACK_DEPTH_MAX: usize = 1_000;

/// Pushes the library.
pub(crate) fn push(lua: Lua<'_>) {
    lua.new_table(0, 8);
    lua.set_function("pack", pack);
    lua.set_function("unpack", unpack);
    lua.set_function("unpack_one", unpack_one);
    lua.set_function("unpack_limit", unpack_limit);
    let texts = [
        ("_NAME", "cmsgpack"),
        ("_VERSION", "lua-cmsgpack 0.4.0"),
        ("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo"),
        ("_DESCRIPTION", "MessagePack C implementation for Lua"),
    ];
    for (name, text) in texts {
        lua.push_bytes(text.as_bytes());
        lua.raw_set_field(-2, name);
    }
}

/// `cmsgpack.pack(..)`: all arguments, one after the other.
fn pack(lua: Lua<'_>) -> Outcome {
    let count = lua.top();
    if count == 0 {
        lua.refuse_argument(0, c"MessagePack pack needs input.");
    }
    let shared = lua.shared();
    let start = shared.scratch_len();
    let packer = Packer { lua, shared, pace: Pace::new(lua) };
    for at in 1..=count {
        lua.check_room(8, c"in function mp_check");
        lua.copy(at);
        if let Err(raised) = packer.value(0) {
            shared.scratch_cut(start);
            return Err(raised);
        }
    }
    lua.push_scratch(start);
    Ok(1)
}

/// Appends values to the scratch buffer.
#[derive(Clone, Copy)]
struct Packer<'a> {
    lua: Lua<'a>,
    shared: &'a Shared,
    pace: Pace<'a>,
}

impl Packer<'_> {
    /// The value on top, which is taken.
    fn value(self, depth: usize) -> Result<(), Raised> {
        let lua = self.lua;
        self.pace.step()?;
        if !self.shared.has_room(self.shared.scratch_len()) {
            return Err(lua.fail_plain("not enough memory"));
        }
        match lua.kind(-1) {
            Kind::String => self.bytes(lua.bytes(-1).unwrap_or_default())?,
            Kind::Boolean => self.put(&[if lua.boolean(-1) { 0xC3 } else { 0xC2 }]),
            Kind::Number => self.number(lua.number(-1)),
            Kind::Table if depth < PACK_DEPTH_MAX => self.table(depth)?,
            _ => self.put(&[0xC0]),
        }
        lua.pop(1);
        Ok(())
    }

    fn put(self, bytes: &[u8]) {
        self.shared.scratch_push(bytes);
    }

    fn bytes(self, bytes: &[u8]) -> Result<(), Raised> {
        if !self.shared.has_room(self.shared.scratch_len() + bytes.len()) {
            return Err(self.lua.fail_plain("not enough memory"));
        }
        match bytes.len() {
            len @ 0..32 => self.put(&[0xA0 | len as u8]),
            len @ 32..=0xFF => self.put(&[0xD9, len as u8]),
            len @ 0x100..=0xFFFF => self.head(0xDA, &(len as u16).to_be_bytes()),
            len => self.head(0xDB, &(len as u32).to_be_bytes()),
        }
        self.put(bytes);
        Ok(())
    }

    fn head(self, marker: u8, len: &[u8]) {
        self.put(&[marker]);
        self.put(len);
    }

    fn number(self, number: f64) {
        /// The first number that no 64-bit integer holds: 2^63.
        const BEYOND: f64 = 9_223_372_036_854_775_808.0;
        if number.trunc() == number && (-BEYOND..BEYOND).contains(&number) {
            return self.integer(number as i64);
        }
        let single = number as f32;
        if f64::from(single) == number {
            self.head(0xCA, &single.to_be_bytes());
        } else {
            self.head(0xCB, &number.to_be_bytes());
        }
    }

    fn integer(self, number: i64) {
        let bytes = number.to_be_bytes();
        match number {
            -32..=0x7F => self.put(&bytes[7..]),
            0x80..=0xFF => self.head(0xCC, &bytes[7..]),
            0x100..=0xFFFF => self.head(0xCD, &bytes[6..]),
            0x1_0000..=0xFFFF_FFFF => self.head(0xCE, &bytes[4..]),
            0x1_0000_0000.. => self.head(0xCF, &bytes),
            -0x80..-32 => self.head(0xD0, &bytes[7..]),
            -0x8000..-0x80 => self.head(0xD1, &bytes[6..]),
            -0x8000_0000..-0x8000 => self.head(0xD2, &bytes[4..]),
            _ => self.head(0xD3, &bytes),
        }
    }

    /// The head of an array or of a map: with its length in four bits, in two bytes, in four.
    fn count(self, few: u8, middle: u8, many: u8, count: usize) {
        match count {
            0..=15 => self.put(&[few | count as u8]),
            16..=0xFFFF => self.head(middle, &(count as u16).to_be_bytes()),
            _ => self.head(many, &(count as u32).to_be_bytes()),
        }
    }

    fn table(self, depth: usize) -> Result<(), Raised> {
        self.lua.check_room(8, c"in function mp_encode_lua_table_as_map");
        if self.is_array()? { self.array(depth) } else { self.map(depth) }
    }

    fn array(self, depth: usize) -> Result<(), Raised> {
        let len = self.lua.len(-1);
        self.count(0x90, 0xDC, 0xDD, len);
        for index in 1..=c_int::try_from(len).unwrap_or(c_int::MAX) {
            self.lua.raw_get_at(-1, index);
            self.value(depth + 1)?;
        }
        Ok(())
    }

    fn map(self, depth: usize) -> Result<(), Raised> {
        let lua = self.lua;
        let mut len = 0;
        lua.push_nil();
        while lua.next(-2) {
            self.pace.step()?;
            lua.pop(1);
            len += 1;
        }
        self.count(0x80, 0xDE, 0xDF, len);
        lua.push_nil();
        while lua.next(-2) {
            lua.copy(-2);
            self.value(depth + 1)?;
            self.value(depth + 1)?;
        }
        Ok(())
    }

    /// Whether the keys of the table on top are 1 to N, without a hole.
    fn is_array(self) -> Result<bool, Raised> {
        let lua = self.lua;
        let top = lua.top();
        let (mut largest, mut count) = (0.0_f64, 0.0_f64);
        lua.push_nil();
        while lua.next(-2) {
            self.pace.step()?;
            lua.pop(1);
            let key = if lua.kind(-1) == Kind::Number { lua.number(-1) } else { 0.0 };
            if !(key > 0.0 && key <= f64::from(c_int::MAX) && key.trunc() == key) {
                lua.set_top(top);
                return Ok(false);
            }
            largest = largest.max(key);
            count += 1.0;
        }
        lua.set_top(top);
        Ok(largest == count)
    }
}

/// `cmsgpack.unpack(bytes)`: all values.
fn unpack(lua: Lua<'_>) -> Outcome {
    unpack_some(lua, 0, 0)
}

/// `cmsgpack.unpack_one(bytes, offset)`: the offset of the next value, or -1, and a value.
fn unpack_one(lua: Lua<'_>) -> Outcome {
    let offset = lua.integer_or(2, 0);
    lua.set_top(1);
    unpack_some(lua, 1, offset)
}

/// `cmsgpack.unpack_limit(bytes, limit, offset)`: as `unpack_one`, with up to `limit` values.
fn unpack_limit(lua: Lua<'_>) -> Outcome {
    let limit = lua.check_integer(2);
    let offset = lua.integer_or(3, 0);
    lua.set_top(1);
    unpack_some(lua, limit, offset)
}

fn unpack_some(lua: Lua<'_>, limit: i64, offset: i64) -> Outcome {
    let bytes = lua.check_bytes(1);
    let is_all = limit == 0 && offset == 0;
    let Some(rest) = usize::try_from(offset).ok().filter(|_| limit >= 0) else {
        let (offset, len) = (offset as i32, bytes.len());
        let text =
            format_args!("Invalid request to unpack with offset of {offset} and limit of {len}.");
        return Err(lua.fail(text));
    };
    let Some(rest) = bytes.get(rest..) else {
        let (offset, len) = (offset as i32, bytes.len());
        let text = format_args!("Start offset {offset} greater than input length {len}.");
        return Err(lua.fail(text));
    };
    let limit = if is_all { i64::from(c_int::MAX) } else { limit };
    let mut unpacker = Unpacker { lua, rest, pace: Pace::new(lua) };
    let mut count = 0;
    while !unpacker.rest.is_empty() && i64::from(count) < limit {
        match unpacker.value(0)? {
            Ok(()) => count += 1,
            Err(Wrong::Missing) => return Err(lua.fail("Missing bytes in input.")),
            Err(Wrong::Format) => return Err(lua.fail("Bad data format in input.")),
        }
    }
    if !is_all {
        lua.check_room(8, c"in function mp_unpack_full");
        match unpacker.rest.len() {
            0 => lua.push_number(-1.0),
            left => lua.push_len(bytes.len() - left),
        }
        lua.insert(2);
        count += 1;
    }
    Ok(count)
}

/// What is wrong with the bytes.
enum Wrong {
    Missing,
    Format,
}

struct Unpacker<'a> {
    lua: Lua<'a>,
    rest: &'a [u8],
    pace: Pace<'a>,
}

impl<'a> Unpacker<'a> {
    /// The next bytes, after the marker.
    fn take(&mut self, len: usize) -> Result<&'a [u8], Wrong> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Wrong::Missing)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next bytes as an unsigned integer.
    fn unsigned(&mut self, len: usize) -> Result<u64, Wrong> {
        let bytes = self.take(len)?;
        Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// The next bytes as a signed integer.
    fn signed(&mut self, len: usize) -> Result<i64, Wrong> {
        let unused = 64 - 8 * len as u32;
        Ok((self.unsigned(len)? << unused).cast_signed() >> unused)
    }

    fn size(&mut self, len: usize) -> Result<usize, Wrong> {
        Ok(self.unsigned(len)? as usize)
    }

    /// Pushes the next value.
    fn value(&mut self, depth: usize) -> Result<Result<(), Wrong>, Raised> {
        self.pace.step()?;
        let why = c"too many return values at once; use unpack_one or unpack_limit instead.";
        self.lua.check_room(if depth > UNPACK_DEPTH_MAX { c_int::MAX / 2 } else { 8 }, why);
        let Some((&marker, rest)) = self.rest.split_first() else {
            return Ok(Err(Wrong::Missing));
        };
        self.rest = rest;
        let count = match self.simple(marker) {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(count)) => count,
            Err(wrong) => return Ok(Err(wrong)),
        };
        match count {
            Count::Array(len) => self.array(len, depth),
            Count::Map(len) => self.map(len, depth),
        }
    }

    /// Pushes what is neither array nor map; how many elements those have otherwise.
    fn simple(&mut self, marker: u8) -> Result<Option<Count>, Wrong> {
        let lua = self.lua;
        match marker {
            0..0x80 => lua.push_number(f64::from(marker)),
            0xE0.. => lua.push_number(f64::from(marker.cast_signed())),
            0x80..0x90 => return Ok(Some(Count::Map(usize::from(marker & 15)))),
            0x90..0xA0 => return Ok(Some(Count::Array(usize::from(marker & 15)))),
            0xA0..0xC0 => lua.push_bytes(self.take(usize::from(marker & 31))?),
            0xC0 => lua.push_nil(),
            0xC2 | 0xC3 => lua.push_boolean(marker == 0xC3),
            0xCA => {
                let bits = self.unsigned(4)? as u32;
                lua.push_number(f64::from(f32::from_bits(bits)));
            }
            0xCB => lua.push_number(f64::from_bits(self.unsigned(8)?)),
            // The largest ones become negative, as they do in C.
            0xCC..=0xCF => {
                let number = self.unsigned(1 << (marker - 0xCC))?.cast_signed();
                lua.push_number(number as f64);
            }
            0xD0..=0xD3 => {
                let number = self.signed(1 << (marker - 0xD0))?;
                lua.push_number(number as f64);
            }
            0xD9..=0xDB => {
                let len = self.size(1 << (marker - 0xD9))?;
                lua.push_bytes(self.take(len)?);
            }
            0xDC | 0xDD => return Ok(Some(Count::Array(self.size(2 << (marker - 0xDC))?))),
            0xDE | 0xDF => return Ok(Some(Count::Map(self.size(2 << (marker - 0xDE))?))),
            0xC1 | 0xC4..=0xC9 | 0xD4..=0xD8 => return Err(Wrong::Format),
        }
        Ok(None)
    }

    fn array(&mut self, len: usize, depth: usize) -> Result<Result<(), Wrong>, Raised> {
        self.lua.new_table(0, 0);
        for index in 1..=len {
            self.lua.push_len(index);
            if let Err(wrong) = self.value(depth + 1)? {
                return Ok(Err(wrong));
            }
            self.lua.raw_set(-3);
        }
        Ok(Ok(()))
    }

    fn map(&mut self, len: usize, depth: usize) -> Result<Result<(), Wrong>, Raised> {
        self.lua.new_table(0, 0);
        for _ in 0..len {
            for _ in 0..2 {
                if let Err(wrong) = self.value(depth + 1)? {
                    return Ok(Err(wrong));
                }
            }
            self.lua.raw_set(-3);
        }
        Ok(Ok(()))
    }
}

/// How many elements, or pairs, follow.
enum Count {
    Array(usize),
    Map(usize),
}

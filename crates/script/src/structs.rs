//! `struct`: values as the bytes of C structures.
//!
//! | option | meaning |
//! | --- | --- |
//! | `>` `<` `![n]` `' '` | big endian, little endian, alignment, nothing |
//! | `b` `h` `l` `in`, capitals | signed and unsigned integers of 1, 2, 8, n bytes; `T` as `L` |
//! | `f` `d` | floating-point numbers |
//! | `x` | a byte of padding |
//! | `cn` `s` | n bytes (0: all, or as many as the number before says); up to a NUL |

use std::ffi::c_int;

use crate::lua::{Lua, Outcome, Raised};

/// The largest integer, in bytes.
const INTEGER_BYTES_MAX: usize = 32;

/// The alignment that `!` alone means, in bytes.
const DEFAULT_ALIGN: i32 = 8;

/// The size of `i` and `I` alone, in bytes.
const INT_BYTES: i32 = 4;

/// Pushes the library.
pub(crate) fn push(lua: Lua<'_>) {
    lua.new_table(0, 3);
    lua.set_function("pack", pack);
    lua.set_function("unpack", unpack);
    lua.set_function("size", size);
}

/// A format as it is read.
struct Format<'a> {
    lua: Lua<'a>,
    rest: &'a [u8],
    is_little: bool,
    align: usize,
}

/// One option and the size of its value, in bytes.
#[derive(Clone, Copy)]
struct Item {
    option: u8,
    size: usize,
}

impl<'a> Format<'a> {
    fn new(lua: Lua<'a>) -> Self {
        let text = lua.check_bytes(1);
        let end = memchr::memchr(0, text).unwrap_or(text.len());
        Self { lua, rest: &text[..end], is_little: true, align: 1 }
    }

    fn next(&mut self) -> Result<Option<Item>, Raised> {
        let Some((&option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let size = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.number(1)?.cast_unsigned() as usize,
            b'i' | b'I' => {
                let size = self.number(INT_BYTES)?.cast_unsigned() as usize;
                if size > INTEGER_BYTES_MAX {
                    let text = format_args!(
                        "integral size {size} is larger than limit of {INTEGER_BYTES_MAX}"
                    );
                    return Err(self.lua.fail(text));
                }
                size
            }
            _ => 0,
        };
        Ok(Some(Item { option, size }))
    }

    /// The number that comes next, or `default`.
    fn number(&mut self, default: i32) -> Result<i32, Raised> {
        if !self.rest.first().is_some_and(u8::is_ascii_digit) {
            return Ok(default);
        }
        let mut number = 0_i32;
        while let Some((&digit, rest)) = self.rest.split_first()
            && digit.is_ascii_digit()
        {
            let next = number.checked_mul(10);
            let next = next.and_then(|next| next.checked_add(i32::from(digit - b'0')));
            number = next.ok_or_else(|| self.lua.fail("integral size overflow"))?;
            self.rest = rest;
        }
        Ok(number)
    }

    /// How many bytes come before `item` at `position`.
    fn padding(&self, position: usize, item: Item) -> usize {
        if item.size == 0 || item.option == b'c' {
            return 0;
        }
        let size = item.size.min(self.align);
        size.wrapping_sub(position & (size - 1)) & (size - 1)
    }

    /// An option that has no value.
    fn control(&mut self, option: u8) -> Result<(), Raised> {
        match option {
            b' ' => {}
            b'>' => self.is_little = false,
            b'<' => self.is_little = true,
            b'!' => {
                let align = self.number(DEFAULT_ALIGN)?;
                if !(align > 0 && align & (align - 1) == 0) {
                    let text = format_args!("alignment {align} is not a power of 2");
                    return Err(self.lua.fail(text));
                }
                self.align = align.cast_unsigned() as usize;
            }
            _ => {
                let mut text = *b"invalid format option '?'";
                text[text.len() - 2] = option;
                self.lua.push_bytes(&text);
                self.lua.refuse_argument(1, self.lua.c_text(-1));
            }
        }
        Ok(())
    }

    /// Turns bytes in the order of this machine into the order that is wanted, or back.
    fn order(&self, bytes: &mut [u8]) {
        if self.is_little == cfg!(target_endian = "big") {
            bytes.reverse();
        }
    }
}

fn is_integer(option: u8) -> bool {
    matches!(option, b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I')
}

/// `struct.pack(format, ..)`.
fn pack(lua: Lua<'_>) -> Outcome {
    let shared = lua.shared();
    let start = shared.scratch_len();
    let packed = pack_all(lua, start);
    if packed.is_err() {
        shared.scratch_cut(start);
    }
    packed?;
    lua.push_scratch(start);
    Ok(1)
}

fn pack_all(lua: Lua<'_>, start: usize) -> Result<(), Raised> {
    let shared = lua.shared();
    let mut format = Format::new(lua);
    // A missing argument is nil, as errors call it.
    lua.push_nil();
    let mut argument = 2;
    while let Some(item) = format.next()? {
        let padding = format.padding(shared.scratch_len() - start, item);
        shared.scratch(|bytes| bytes.resize(bytes.len() + padding, 0));
        match item.option {
            b'x' => shared.scratch_push(&[0]),
            b'f' => {
                let mut bytes = (lua.check_number(argument) as f32).to_ne_bytes();
                argument += 1;
                format.order(&mut bytes);
                shared.scratch_push(&bytes);
            }
            b'd' => {
                let mut bytes = lua.check_number(argument).to_ne_bytes();
                argument += 1;
                format.order(&mut bytes);
                shared.scratch_push(&bytes);
            }
            b'c' | b's' => {
                let text = lua.check_bytes(argument);
                argument += 1;
                let size = if item.size == 0 { text.len() } else { item.size };
                if text.len() < size {
                    lua.refuse_argument(argument, c"string too short");
                }
                if !shared.has_room(shared.scratch_len() + size) {
                    return Err(lua.fail_plain("not enough memory"));
                }
                shared.scratch_push(&text[..size]);
                if item.option == b's' {
                    shared.scratch_push(&[0]);
                }
            }
            option if is_integer(option) => {
                let number = lua.check_number(argument);
                argument += 1;
                let bytes = integer_bytes(number, item.size, format.is_little);
                shared.scratch_push(&bytes[..item.size]);
            }
            option => format.control(option)?,
        }
    }
    Ok(())
}

/// A number as an integer of `size` bytes; what it has too many goes.
fn integer_bytes(number: f64, size: usize, is_little: bool) -> [u8; INTEGER_BYTES_MAX] {
    let mut bytes = [0; INTEGER_BYTES_MAX];
    bytes[..8].copy_from_slice(&to_bits(number).to_le_bytes());
    if !is_little {
        bytes[..size].reverse();
    }
    bytes
}

/// A number as C on 64-bit machines converts it to a 64-bit integer.
fn to_bits(number: f64) -> u64 {
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    if number.is_nan() {
        1 << 63
    } else if number < 0.0 {
        (number as i64).cast_unsigned()
    } else if number >= BEYOND {
        0
    } else {
        number as u64
    }
}

/// `struct.unpack(format, bytes, from)`.
fn unpack(lua: Lua<'_>) -> Outcome {
    let mut format = Format::new(lua);
    let data = lua.check_bytes(2);
    let from = lua.integer_or(3, 1).cast_unsigned() as usize;
    if from == 0 {
        lua.refuse_argument(3, c"offset must be 1 or greater");
    }
    let mut position = from.wrapping_sub(1);
    let mut count: c_int = 0;
    while let Some(item) = format.next()? {
        position = position.wrapping_add(format.padding(position, item));
        let found = read(lua, data, position, item.size);
        lua.check_room(8, c"too many results");
        let mut size = item.size;
        match item.option {
            b'x' => {}
            b'f' => {
                let mut bytes: [u8; 4] = found.try_into().unwrap_or_default();
                format.order(&mut bytes);
                lua.push_number(f64::from(f32::from_ne_bytes(bytes)));
                count += 1;
            }
            b'd' => {
                let mut bytes: [u8; 8] = found.try_into().unwrap_or_default();
                format.order(&mut bytes);
                lua.push_number(f64::from_ne_bytes(bytes));
                count += 1;
            }
            b'c' => {
                if size == 0 {
                    if count == 0 || !lua.is_numeric(-1) {
                        return Err(lua.fail("format 'c0' needs a previous size"));
                    }
                    size = to_bits(lua.number(-1)) as usize;
                    lua.pop(1);
                    count -= 1;
                }
                lua.push_bytes(read(lua, data, position, size));
                count += 1;
            }
            b's' => {
                let rest = data.get(position..).unwrap_or_default();
                let Some(end) = memchr::memchr(0, rest) else {
                    return Err(lua.fail("unfinished string in data"));
                };
                lua.push_bytes(&rest[..end]);
                size = end + 1;
                count += 1;
            }
            option if is_integer(option) => {
                let is_signed = option.is_ascii_lowercase();
                lua.push_number(read_integer(found, format.is_little, is_signed));
                count += 1;
            }
            option => format.control(option)?,
        }
        position = position.wrapping_add(size);
    }
    lua.push_len(position.wrapping_add(1));
    Ok(count + 1)
}

/// `size` bytes from `position`, or an error.
fn read<'a>(lua: Lua<'a>, data: &'a [u8], position: usize, size: usize) -> &'a [u8] {
    let found = position.checked_add(size).and_then(|end| data.get(position..end));
    if found.is_none() {
        lua.refuse_argument(2, c"data string too short");
    }
    found.unwrap_or_default()
}

fn read_integer(bytes: &[u8], is_little: bool, is_signed: bool) -> f64 {
    let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    let number =
        if is_little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) };
    if !is_signed {
        return number as f64;
    }
    let bits = (bytes.len() as u32).wrapping_mul(8).wrapping_sub(1);
    let sign = u64::MAX.wrapping_shl(bits);
    let number = if number & sign != 0 { number | sign } else { number };
    number.cast_signed() as f64
}

/// `struct.size(format)`.
fn size(lua: Lua<'_>) -> Outcome {
    let mut format = Format::new(lua);
    let mut position = 0_usize;
    while let Some(item) = format.next()? {
        position = position.wrapping_add(format.padding(position, item));
        match item.option {
            b's' => lua.refuse_argument(1, c"option 's' has no fixed size"),
            b'c' if item.size == 0 => lua.refuse_argument(1, c"option 'c0' has no fixed size"),
            option if !option.is_ascii_alphanumeric() => format.control(option)?,
            _ => {}
        }
        position = position.wrapping_add(item.size);
    }
    lua.push_len(position);
    Ok(1)
}

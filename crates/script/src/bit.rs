//! `bit`: operations on 32-bit integers, as LuaJIT and Redis have them.
//!
//! A number stands for its integer part modulo 2^32; results are signed.

use std::ffi::c_int;

use crate::lua::{Kind, Lua, Outcome};

/// Added to a double, it leaves the integer in the low bits: 2^52 + 2^51.
const SHIFT_TO_BITS: f64 = 6_755_399_441_055_744.0;

/// Fills the table on top.
pub(crate) fn fill(lua: Lua<'_>) {
    lua.push_function(|lua| one(lua, |bits| bits), 0);
    lua.raw_set_field(-2, "tobit");
    lua.push_function(|lua| one(lua, |bits| !bits), 0);
    lua.raw_set_field(-2, "bnot");
    lua.push_function(|lua| one(lua, u32::swap_bytes), 0);
    lua.raw_set_field(-2, "bswap");
    lua.push_function(|lua| many(lua, |one, other| one & other), 0);
    lua.raw_set_field(-2, "band");
    lua.push_function(|lua| many(lua, |one, other| one | other), 0);
    lua.raw_set_field(-2, "bor");
    lua.push_function(|lua| many(lua, |one, other| one ^ other), 0);
    lua.raw_set_field(-2, "bxor");
    lua.push_function(|lua| shift(lua, |bits, by| bits << by), 0);
    lua.raw_set_field(-2, "lshift");
    lua.push_function(|lua| shift(lua, |bits, by| bits >> by), 0);
    lua.raw_set_field(-2, "rshift");
    lua.push_function(|lua| shift(lua, |bits, by| (bits.cast_signed() >> by).cast_unsigned()), 0);
    lua.raw_set_field(-2, "arshift");
    lua.push_function(|lua| shift(lua, u32::rotate_left), 0);
    lua.raw_set_field(-2, "rol");
    lua.push_function(|lua| shift(lua, u32::rotate_right), 0);
    lua.raw_set_field(-2, "ror");
    lua.set_function("tohex", to_hex);
}

/// The bits of an argument.
fn bits(lua: Lua<'_>, argument: c_int) -> u32 {
    let bits = (lua.number(argument) + SHIFT_TO_BITS).to_bits() as u32;
    if bits == 0 && !lua.is_numeric(argument) {
        lua.refuse_kind(argument, c"number");
    }
    bits
}

fn push(lua: Lua<'_>, bits: u32) -> Outcome {
    lua.push_number(f64::from(bits.cast_signed()));
    Ok(1)
}

fn one(lua: Lua<'_>, change: fn(u32) -> u32) -> Outcome {
    push(lua, change(bits(lua, 1)))
}

fn many(lua: Lua<'_>, join: fn(u32, u32) -> u32) -> Outcome {
    let first = bits(lua, 1);
    push(lua, (2..=lua.top()).rev().fold(first, |joined, at| join(joined, bits(lua, at))))
}

fn shift(lua: Lua<'_>, shift: fn(u32, u32) -> u32) -> Outcome {
    let shifted = bits(lua, 1);
    push(lua, shift(shifted, bits(lua, 2) & 31))
}

/// `bit.tohex(number, digits)`: capitals if `digits` is negative.
fn to_hex(lua: Lua<'_>) -> Outcome {
    let mut number = bits(lua, 1);
    let wanted = if lua.kind(2) == Kind::None { 8 } else { bits(lua, 2).cast_signed() };
    let digits: &[u8; 16] = if wanted < 0 { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let count = wanted.unsigned_abs().min(8) as usize;
    let mut text = [0; 8];
    for digit in text[..count].iter_mut().rev() {
        *digit = digits[(number & 15) as usize];
        number >>= 4;
    }
    lua.push_bytes(&text[..count]);
    Ok(1)
}

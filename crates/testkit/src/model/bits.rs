//! Commands on single bits of strings.

use super::numbers;
use super::{Done, Flavour, Model, STRING_BYTES_MAX, Value, length, syntax};

/// A bit's place: the byte, and how far from its least significant bit.
fn place(word: &[u8]) -> Result<(usize, u32), String> {
    let refused = || "ERR bit offset is not an integer or out of range".to_owned();
    let offset = numbers::integer(word).map_err(|_| refused())?;
    if !(0..STRING_BYTES_MAX * 8).contains(&offset) {
        return Err(refused());
    }
    let byte = usize::try_from(offset / 8).map_err(|_| refused())?;
    Ok((byte, 7 - u32::try_from(offset % 8).map_err(|_| refused())?))
}

pub(super) fn getbit(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let (at, shift) = place(&words[2])?;
    let byte = model.bytes(selected, &words[1]).get(at).copied().unwrap_or(0);
    Ok(Value::Integer(i64::from(byte >> shift & 1)))
}

pub(super) fn setbit(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let (at, shift) = place(&words[2])?;
    let bit = match words[3].as_slice() {
        b"0" => 0,
        b"1" => 1,
        _ => return Err("ERR bit is not an integer or out of range".to_owned()),
    };
    let mut bytes = model.bytes(selected, &words[1]).to_vec();
    if bytes.len() <= at {
        bytes.resize(at + 1, 0);
    }
    let old = bytes[at] >> shift & 1;
    bytes[at] = bytes[at] & !(1 << shift) | bit << shift;
    model.update(selected, &words[1], bytes);
    Ok(Value::Integer(i64::from(old)))
}

pub(super) fn bitcount(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    if model.flavour == Flavour::Redis7 && model.read(selected, &words[1]).is_none() {
        return Ok(Value::Integer(0));
    }
    let (start, end, unit) = match &words[2..] {
        [] => return Ok(length(ones(model.bytes(selected, &words[1])).len())),
        [start] if model.flavour.is_like_valkey() => (start, &b"-1".to_vec(), &b"BYTE"[..]),
        [start, end] => (start, end, &b"BYTE"[..]),
        [start, end, unit] => (start, end, &unit[..]),
        _ => return Err(syntax()),
    };
    let (start, end) = (numbers::integer(start)?, numbers::integer(end)?);
    if model.flavour == Flavour::Redis7 && start < 0 && end < 0 && start > end {
        return Ok(Value::Integer(0));
    }
    let bits = match unit.to_ascii_uppercase().as_slice() {
        b"BIT" => 1,
        b"BYTE" => 8,
        _ => return Err(syntax()),
    };
    let bytes = model.bytes(selected, &words[1]);
    let count = numbers::span(start, end, bytes.len() * 8 / bits).map_or(0, |span| {
        let bits = span.start * bits..span.end * bits;
        ones(bytes).into_iter().filter(|at| bits.contains(at)).count()
    });
    Ok(length(count))
}

/// The places of the bits that are set.
fn ones(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len() * 8).filter(|at| bytes[at / 8] << (at % 8) & 0x80 != 0).collect()
}

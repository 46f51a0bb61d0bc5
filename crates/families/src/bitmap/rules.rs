//! The rules over rows of bits, a word at a time.
//!
//! Each is checked against its definition bit by bit, see the tests. The loops are over arrays of
//! fixed size without branches inside, so that the compiler turns them into vector instructions.

use std::ops::Range;

/// Bytes that [`ones`] counts and [`combine`] computes in one go.
const BLOCK: usize = 32;

/// The bit at a position; 0 behind the end.
pub(super) fn bit_at(text: &[u8], at: u64) -> bool {
    let byte = usize::try_from(at / 8).ok().and_then(|byte| text.get(byte));
    byte.is_some_and(|byte| byte & mask_of(at) != 0)
}

/// Writes the bit at a position that the text reaches; tells whether it was another one.
pub(super) fn put_bit(text: &mut [u8], at: u64, bit: bool) -> bool {
    let byte = &mut text[(at / 8) as usize];
    let old = *byte;
    *byte = if bit { old | mask_of(at) } else { old & !mask_of(at) };
    *byte != old
}

fn mask_of(at: u64) -> u8 {
    0x80 >> (at % 8)
}

/// How many bits of a range, which ends inside the text, are 1.
pub(super) fn count_ones(text: &[u8], bits: Range<u64>) -> u64 {
    if bits.is_empty() {
        return 0;
    }
    let (first, last) = ((bits.start / 8) as usize, ((bits.end - 1) / 8) as usize);
    let before = text[first] & !from_bit(bits.start);
    let behind = text[last] & !up_to_bit(bits.end - 1);
    ones(&text[first..=last]) - u64::from(before.count_ones()) - u64::from(behind.count_ones())
}

/// The bits of a byte from this position's on.
fn from_bit(at: u64) -> u8 {
    0xFF >> (at % 8)
}

/// The bits of a byte up to this position's.
fn up_to_bit(at: u64) -> u8 {
    !(0x7F >> (at % 8))
}

fn ones(text: &[u8]) -> u64 {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let in_block = |block: &[u8; BLOCK]| -> u64 {
        let words = block.as_chunks::<8>().0.iter();
        words.map(|&word| u64::from(u64::from_ne_bytes(word).count_ones())).sum()
    };
    let in_rest: u64 = rest.iter().map(|byte| u64::from(byte.count_ones())).sum();
    blocks.iter().map(in_block).sum::<u64>() + in_rest
}

/// The first position of a range, which ends inside the text, where this bit stands.
pub(super) fn position(text: &[u8], bit: bool, bits: Range<u64>) -> Option<u64> {
    if bits.is_empty() {
        return None;
    }
    let (first, last) = ((bits.start / 8) as usize, ((bits.end - 1) / 8) as usize);
    // What is sought becomes 1, what stands before the range 0.
    let flip = if bit { 0x00 } else { 0xFF };
    let head = (text[first] ^ flip) & from_bit(bits.start);
    let (byte, sought) = if head != 0 {
        (first, head)
    } else {
        let skipped = first + 1;
        let ahead = text.get(skipped..=last)?;
        let byte = skipped + other_byte(ahead, flip)?;
        (byte, text[byte] ^ flip)
    };
    let found = byte as u64 * 8 + u64::from(sought.leading_zeros());
    (found < bits.end).then_some(found)
}

/// Where the first byte stands that is another one.
fn other_byte(text: &[u8], byte: u8) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    let same = [byte; 8];
    let skipped = words.iter().position(|word| *word != same);
    let start = 8 * skipped.unwrap_or(words.len());
    let tail = if skipped.is_some() { &text[start..] } else { rest };
    tail.iter().position(|&other| other != byte).map(|at| start + at)
}

/// What BITOP makes of its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// 1 where all are 1.
    And,
    /// 1 where one at least is 1.
    Or,
    /// 1 where an odd number is 1.
    Xor,
    /// 1 where the only source is 0.
    Not,
    /// 1 where the first is 1 and no other.
    Diff,
    /// 1 where the first is 0 and another one 1.
    Diff1,
    /// 1 where the first is 1 and another one, too.
    AndOr,
    /// 1 where exactly one is 1.
    One,
}

/// Combines rows of bits to one as long as the longest; shorter ones go on with 0.
pub(super) fn combine(operation: Operation, sources: &[&[u8]]) -> Vec<u8> {
    let Some((first, others)) = sources.split_first() else { return Vec::new() };
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let mut out = vec![0; len];
    match operation {
        Operation::And => {
            out[..first.len()].copy_from_slice(first);
            for other in others {
                fold(&mut out, other, |a, b| a & b);
                // What is missing is 0.
                out[other.len()..].fill(0);
            }
        }
        Operation::Or => unite(&mut out, sources),
        Operation::Xor => sources.iter().for_each(|source| fold(&mut out, source, |a, b| a ^ b)),
        Operation::Not => {
            out.copy_from_slice(first);
            out.iter_mut().for_each(|byte| *byte = !*byte);
        }
        Operation::Diff => {
            unite(&mut out, others);
            out.iter_mut().for_each(|byte| *byte = !*byte);
            keep_where(&mut out, first);
        }
        Operation::Diff1 => {
            unite(&mut out, others);
            fold(&mut out, first, |a, b| a & !b);
        }
        Operation::AndOr => {
            unite(&mut out, others);
            keep_where(&mut out, first);
        }
        Operation::One => only_one(&mut out, sources),
    }
    out
}

fn unite(out: &mut [u8], sources: &[&[u8]]) {
    sources.iter().for_each(|source| fold(out, source, |a, b| a | b));
}

fn keep_where(out: &mut [u8], source: &[u8]) {
    fold(out, source, |a, b| a & b);
    out[source.len()..].fill(0);
}

/// 1 where exactly one source is: block by block, with a second row for "more than one".
fn only_one(out: &mut [u8], sources: &[&[u8]]) {
    for (at, block) in out.chunks_mut(BLOCK).enumerate() {
        let mut several = [0; BLOCK];
        for source in sources {
            let from = (at * BLOCK).min(source.len());
            let here = &source[from..(from + block.len()).min(source.len())];
            for ((one, several), &bits) in block.iter_mut().zip(&mut several).zip(here) {
                *several |= *one & bits;
                *one |= bits;
            }
        }
        block.iter_mut().zip(several).for_each(|(one, several)| *one &= !several);
    }
}

/// Changes each byte by the source's, as far as the source reaches, which is no further than the
/// text.
#[inline(always)]
fn fold(out: &mut [u8], source: &[u8], rule: impl Fn(u64, u64) -> u64) {
    let (words, rest) = out[..source.len()].as_chunks_mut::<8>();
    let (other_words, other_rest) = source.as_chunks::<8>();
    for (word, &other) in words.iter_mut().zip(other_words) {
        *word = rule(u64::from_ne_bytes(*word), u64::from_ne_bytes(other)).to_ne_bytes();
    }
    for (byte, &other) in rest.iter_mut().zip(other_rest) {
        *byte = rule(u64::from(*byte), u64::from(other)) as u8;
    }
}

/// The number that `width` bits (1 to 64) from a position on make; bits behind the end are 0.
pub(super) fn load(text: &[u8], at: u64, width: u32) -> u64 {
    let (window, _) = window(text, at);
    ((u128::from_be_bytes(window) << (at % 8)) >> (128 - width)) as u64
}

/// Writes a number's lowest `width` bits (1 to 64) at a position; the text reaches behind them.
pub(super) fn store(text: &mut [u8], at: u64, width: u32, number: u64) {
    let (window, len) = window(text, at);
    let left = 128 - width;
    let shift = left - (at % 8) as u32;
    let mask = (u128::MAX >> left) << shift;
    let number = (u128::from(number) << shift) & mask;
    let window = (u128::from_be_bytes(window) & !mask | number).to_be_bytes();
    let byte = (at / 8) as usize;
    text[byte..byte + len].copy_from_slice(&window[..len]);
}

/// Up to nine bytes from that of a position on, zeros behind them, and how many there were.
fn window(text: &[u8], at: u64) -> ([u8; 16], usize) {
    let here = usize::try_from(at / 8).ok().and_then(|byte| text.get(byte..)).unwrap_or_default();
    let here = &here[..here.len().min(9)];
    let mut window = [0; 16];
    window[..here.len()].copy_from_slice(here);
    (window, here.len())
}

#[cfg(test)]
mod tests;

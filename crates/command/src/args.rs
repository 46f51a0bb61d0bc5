//! The arguments of a request, and how their bytes become types.
//!
//! [`Args`] is a cursor over the words behind the command's name. A function takes what it needs
//! in the order in which Redis complains, so that of several errors the same one is answered.

use protocol::Words;

use crate::error::CommandError;

/// The arguments of one request, the command's name (and subcommand) left out.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    words: Words<'a>,
    next: usize,
    end: usize,
}

/// A key: any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a>(pub &'a [u8]);

/// A position counted from the start, or from the end if it is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index(pub i64);

/// A type that an argument can be parsed into.
pub trait Arg<'a>: Sized {
    /// Turns the bytes of one argument into the type.
    ///
    /// # Errors
    /// What Redis answers if the bytes are none of it.
    fn parse(raw: &'a [u8]) -> Result<Self, CommandError>;
}

impl<'a> Args<'a> {
    /// The arguments of a request behind its first `skip` words.
    #[must_use]
    #[inline]
    pub fn new(words: Words<'a>, skip: usize) -> Args<'a> {
        Args { words, next: skip, end: words.len() }
    }

    /// How many are left.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.next)
    }

    /// How many bytes the request takes, its name and what was taken of it counted.
    #[must_use]
    #[inline]
    pub fn request_bytes(&self) -> usize {
        self.words.bytes()
    }

    /// Whether none are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `nth` of those left, without taking it.
    #[must_use]
    #[inline]
    pub fn get(&self, nth: usize) -> Option<&'a [u8]> {
        if nth < self.len() { self.words.get(self.next + nth) } else { None }
    }

    /// Takes the next one as it is.
    ///
    /// # Errors
    /// A syntax error if there is none.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], CommandError> {
        let word = self.get(0).ok_or(CommandError::Syntax)?;
        self.next += 1;
        Ok(word)
    }

    /// Takes the next one as a type.
    ///
    /// # Errors
    /// A syntax error if there is none, the type's own if it is none of it.
    #[inline]
    pub fn take<T: Arg<'a>>(&mut self) -> Result<T, CommandError> {
        T::parse(self.bytes()?)
    }

    /// Takes the next one if it is this word, whatever its case.
    #[inline]
    pub fn word(&mut self, word: &str) -> bool {
        let here = self.get(0).is_some_and(|raw| raw.eq_ignore_ascii_case(word.as_bytes()));
        self.next += usize::from(here);
        here
    }

    /// Takes the next one if it is this word and another one follows it.
    pub fn word_with_value(&mut self, word: &str) -> bool {
        self.len() >= 2 && self.word(word)
    }

    /// Takes all as a tuple of types, in order.
    ///
    /// # Errors
    /// The first argument's that is none of its type; a syntax error if their number is another.
    #[inline]
    pub fn parse<T: ArgTuple<'a>>(mut self) -> Result<T, CommandError> {
        let parsed = T::take_from(&mut self)?;
        self.end()?;
        Ok(parsed)
    }

    /// Makes sure that all are taken.
    ///
    /// # Errors
    /// A syntax error if one is left.
    #[inline]
    pub fn end(&self) -> Result<(), CommandError> {
        if self.is_empty() { Ok(()) } else { Err(CommandError::Syntax) }
    }

    /// The first `count` of those left, or all if there are fewer.
    #[must_use]
    pub fn first(self, count: usize) -> Args<'a> {
        Args { end: self.next + count.min(self.len()), ..self }
    }

    /// Those left behind the first `count`.
    #[must_use]
    pub fn skip(self, count: usize) -> Args<'a> {
        Args { next: self.next + count.min(self.len()), ..self }
    }

    /// The ones left, as they are.
    pub fn rest(self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let Args { words, next, end } = self;
        (next.min(end)..end).map(move |at| words.get(at).unwrap_or_default())
    }
}

/// Several arguments in a row.
pub trait ArgTuple<'a>: Sized {
    /// Takes them from the front.
    ///
    /// # Errors
    /// That of the first that is none of its type.
    fn take_from(args: &mut Args<'a>) -> Result<Self, CommandError>;
}

macro_rules! tuples {
    ($($($name:ident)+;)+) => { $(
        impl<'a, $($name: Arg<'a>),+> ArgTuple<'a> for ($($name,)+) {
            #[inline]
            fn take_from(args: &mut Args<'a>) -> Result<Self, CommandError> {
                Ok(($(args.take::<$name>()?,)+))
            }
        }
    )+ };
}

tuples! { A; A B; A B C; A B C D; A B C D E; }

impl<'a> Arg<'a> for &'a [u8] {
    #[inline]
    fn parse(raw: &'a [u8]) -> Result<Self, CommandError> {
        Ok(raw)
    }
}

impl<'a> Arg<'a> for Key<'a> {
    #[inline]
    fn parse(raw: &'a [u8]) -> Result<Self, CommandError> {
        Ok(Key(raw))
    }
}

impl Arg<'_> for i64 {
    #[inline]
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        parse_integer(raw).ok_or(CommandError::NotAnInteger)
    }
}

impl Arg<'_> for f64 {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        parse_float(raw).ok_or(CommandError::NotAFloat)
    }
}

impl Arg<'_> for Index {
    #[inline]
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        i64::parse(raw).map(Index)
    }
}

impl Index {
    /// The position from the start, in something of `len`; `None` if it lies before the start.
    #[must_use]
    pub fn resolve(self, len: usize) -> Option<usize> {
        if self.0 >= 0 {
            return Some(usize::try_from(self.0).unwrap_or(usize::MAX));
        }
        len.checked_sub(usize::try_from(self.0.unsigned_abs()).unwrap_or(usize::MAX))
    }
}

/// A 64-bit integer in the one way that Redis writes it: no sign but `-`, no leading zero, no
/// space.
#[must_use]
#[inline]
pub fn parse_integer(raw: &[u8]) -> Option<i64> {
    let (negative, digits) = match raw {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let number = match digits.len() {
        4..=8 => sum_at_once(digits)?,
        _ => sum(digits)?,
    };
    if negative { 0_i64.checked_sub_unsigned(number) } else { i64::try_from(number).ok() }
}

/// The number of up to 19 digits, which are below 2^64.
#[inline]
fn sum(digits: &[u8]) -> Option<u64> {
    let mut sum = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        sum = sum * 10 + u64::from(digit - b'0');
    }
    Some(sum)
}

/// The same of four to eight digits, as a word in which neighbours are joined: first digits, then
/// pairs, then fours.
#[inline]
fn sum_at_once(digits: &[u8]) -> Option<u64> {
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    let first = u64::from(u32::from_le_bytes(*digits.first_chunk()?));
    let last = u64::from(u32::from_le_bytes(*digits.last_chunk()?));
    let missing = 8 * (8 - u32::try_from(digits.len()).ok()?);
    // What both of them have lies in the same place of either.
    let word = first << missing | last << 32 | ZEROS & !(u64::MAX << missing);
    // A digit has the upper half of `0`, and so has what is six more.
    const UPPER: u64 = u64::from_le_bytes([0xf0; 8]);
    let above = word.wrapping_add(u64::from_le_bytes([6; 8]));
    if (word & UPPER) != ZEROS || (above & UPPER) != ZEROS {
        return None;
    }
    let digits = word - ZEROS;
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// A count of at least 1.
#[must_use]
pub fn parse_positive(raw: &[u8]) -> Option<usize> {
    let number = parse_integer(raw).and_then(|number| usize::try_from(number).ok());
    number.filter(|&number| number > 0)
}

/// A floating-point number as Redis takes it: no space around it, not NaN, and no overflow of
/// its digits to infinity, though `inf` itself is one.
#[must_use]
pub fn parse_float(raw: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(raw).ok()?;
    if let Some(number) = parse_hexadecimal(text) {
        return number;
    }
    let number: f64 = text.parse().ok()?;
    let unsigned = text.trim_start_matches(['+', '-']);
    let says_infinity = unsigned.starts_with(['i', 'I']);
    (!number.is_nan() && (number.is_finite() || says_infinity)).then_some(number)
}

/// `0x` numbers, which C's reader takes too: `0x1f`, `-0xa.8`, `0x1p-3`. `Some(None)` is one that
/// no double is near enough to.
fn parse_hexadecimal(text: &str) -> Option<Option<f64>> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let unsigned = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"))?;
    let (digits, exponent) = match unsigned.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, binary_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + part.len() == 0 {
        return None;
    }
    // Digits beyond those that fit count only as far as there are some.
    let (mut bits, mut dropped) = (0_u128, 0);
    for digit in whole.chars().chain(part.chars()) {
        let digit = u128::from(digit.to_digit(16)?);
        if bits >> (u128::BITS - 8) == 0 {
            bits = bits << 4 | digit;
        } else {
            bits |= u128::from(digit != 0);
            dropped += 4;
        }
    }
    let exponent = exponent + dropped - 4 * part.len() as i64;
    let number = scaled(bits, exponent);
    Some(number.map(|number| if negative { -number } else { number }))
}

/// What stands behind the `p`: digits with a sign or without. What is far beyond any double is just
/// far beyond.
fn binary_exponent(text: &str) -> Option<i64> {
    const FAR: i64 = 1 << 32;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let exponent = digits.parse().map_or(FAR, |exponent: i64| exponent.min(FAR));
    Some(if text.starts_with('-') { -exponent } else { exponent })
}

/// `bits * 2^exponent`, rounded to the nearest double, to the even one of two; `None` if that is
/// infinite, or zero though `bits` is not.
fn scaled(bits: u128, exponent: i64) -> Option<f64> {
    /// The exponent of the least double.
    const LEAST: i64 = -1074;
    if bits == 0 {
        return Some(0.0);
    }
    let len = i64::from(u128::BITS - bits.leading_zeros());
    let kept = i64::from(f64::MANTISSA_DIGITS).min(len + exponent - LEAST);
    let cut = (len - kept).max(0);
    let bits = match u32::try_from(cut).ok().filter(|&cut| cut < u128::BITS) {
        Some(0) => bits,
        Some(cut) => {
            let (half, rest) = (1 << (cut - 1), bits & ((1 << cut) - 1));
            let whole = bits >> cut;
            let up = rest > half || (rest == half && whole & 1 == 1);
            whole + u128::from(up)
        }
        None => 0,
    };
    // In two steps, since the power alone may be below every double though the product is not.
    let power = i32::try_from((exponent + cut).clamp(-4_000, 4_000)).ok()?;
    let number = bits as f64 * 2_f64.powi(power / 2) * 2_f64.powi(power - power / 2);
    Some(number).filter(|number| number.is_finite() && *number != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        let good = ["0", "1", "-1", "9223372036854775807", "-9223372036854775808"];
        for text in good {
            assert_eq!(parse_integer(text.as_bytes()).map(|n| n.to_string()), Some(text.into()));
        }
        let bad = ["", "-", "-0", "+1", "01", " 1", "1 ", "1.0", "0x1", "9223372036854775808"];
        for text in bad.into_iter().chain(["-9223372036854775809", "18446744073709551616"]) {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn integers_of_any_length_are_what_they_say() {
        let model = |text: &[u8]| -> Option<i64> {
            let text = std::str::from_utf8(text).ok()?;
            text.parse().ok().filter(|number: &i64| number.to_string() == text)
        };
        for len in 1..=20 {
            for digit in b'0'..=b'9' {
                let text = vec![digit; len];
                assert_eq!(parse_integer(&text), model(&text), "{text:?}");
            }
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut text = b"12345678901234567890"[..len].to_vec();
                    text[at] = byte;
                    assert_eq!(parse_integer(&text), model(&text), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn floats_are_finite_unless_they_say_otherwise() {
        assert_eq!(parse_float(b"3.0e2"), Some(300.0));
        assert_eq!(parse_float(b"-inf"), Some(f64::NEG_INFINITY));
        for bad in ["", "nan", "1e999", " 1", "1 ", "abc", "1.2.3"] {
            assert_eq!(parse_float(bad.as_bytes()), None, "{bad}");
        }
    }

    /// As Redis 7 and 8 take them, measured with ZINCRBY.
    #[test]
    fn hexadecimal_floats_are_those_of_c() {
        let good = [
            ("0x10", 16.0),
            ("0x0a.8p1", 21.0),
            ("0xa.8", 10.5),
            ("0X1P-2", 0.25),
            ("0x.8", 0.5),
            ("0x1.", 1.0),
            ("-0x1.8p+1", -3.0),
            ("0x1ffffffffffffffffff", 9.444_732_965_739_29e21),
            // Half-way to the even one below, and a little more, far behind.
            ("0x1.00000000000008", 1.0),
            ("0x1.0000000000000800000000000000000000000000001", 1.0 + f64::EPSILON),
            ("0x1p1023", f64::MAX / 2.0 + 2_f64.powi(970)),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x3p-1075", f64::from_bits(2)),
            ("0x0p99999999999999999999", 0.0),
        ];
        for (text, number) in good {
            assert_eq!(parse_float(text.as_bytes()), Some(number), "{text}");
        }
        for bad in ["0x", "0xp1", "0x1p", "0x1p+", "0x.", "0x1p2000", "0x1p-1075", "0xg", " 0x1"] {
            assert_eq!(parse_float(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn an_index_counts_from_either_end() {
        assert_eq!(Index(-1).resolve(3), Some(2));
        assert_eq!(Index(-4).resolve(3), None);
        assert_eq!(Index(i64::MIN).resolve(3), None);
        assert_eq!(Index(7).resolve(3), Some(7));
    }
}

//! Floating-point numbers of 80 bits, as the x86 has them and C calls them `long double`.
//!
//! `INCRBYFLOAT` of Redis reads, adds and writes such numbers, and clients see the digits:
//! `0.1 + 0.2` is `0.3` there, not `0.30000000000000004`. This module does the same in integers,
//! so that the digits are the same on every machine.
//!
//! # Layout
//!
//! ```text
//! value = mantissa * 2^exponent        64 bits of mantissa, the highest one set, or
//!                                      exponent = -16445 (subnormal), or mantissa = 0
//! ```
//!
//! # Invariants
//!
//! * Each of [`Extended::parse`], [`Extended::plus`] and `Display` is exact but for one rounding
//!   at its end, to the nearest, ties to even, as IEEE 754 asks.
//! * Texts have [`TEXT_MAX`] bytes at most, and exponents of a text are cut off far beyond the
//!   range of numbers, so that no text takes more than a few microseconds.
//!
//! There are no NaNs: what would make one is `None`.

use std::cmp::Ordering;
use std::fmt;

/// The longest text that is read as a number, in bytes.
const TEXT_MAX: usize = 5 * 1024 - 1;

/// The exponent of the smallest numbers.
const EXPONENT_MIN: i32 = -16_445;

/// The exponent of the largest numbers.
const EXPONENT_MAX: i32 = 16_383 - 63;

/// Decimal exponents beyond this make zero or infinity, however many digits there are.
const DECIMAL_MAX: i64 = 20_000;

/// Digits behind the point that are written, before trailing zeros go.
const FRACTION_DIGITS: usize = 17;

/// 10^17.
const FRACTION_UNIT: u128 = 100_000_000_000_000_000;

/// The largest power of ten in 64 bits, and its zeros.
const CHUNK: u64 = 10_000_000_000_000_000_000;
const CHUNK_ZEROS: u32 = 19;

/// A number, or an infinity. See the module's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extended {
    negative: bool,
    size: Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Finite { mantissa: u64, exponent: i32 },
    Infinite,
}

const NOTHING: Size = Size::Finite { mantissa: 0, exponent: EXPONENT_MIN };

impl Extended {
    pub(crate) const ZERO: Extended = Extended { negative: false, size: NOTHING };

    /// The largest finite number.
    pub(crate) const MAX: Extended = Extended {
        negative: false,
        size: Size::Finite { mantissa: u64::MAX, exponent: EXPONENT_MAX },
    };

    /// Reads what C's `strtold` reads: digits with point and exponent, `0x` digits with point and
    /// binary exponent, `inf`, `infinity`. Refuses what is no number, overflows, or vanishes.
    pub(crate) fn parse(text: &[u8]) -> Option<Extended> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let size = match unsigned {
            _ if is_infinity(unsigned) => return Some(Extended { negative, size: Size::Infinite }),
            [b'0', b'x' | b'X', digits @ ..] => parse_binary(digits)?,
            digits => parse_decimal(digits)?,
        };
        (size != Size::Infinite).then_some(Extended { negative, size })
    }

    pub(crate) fn is_infinite(self) -> bool {
        self.size == Size::Infinite
    }

    pub(crate) fn is_zero(self) -> bool {
        matches!(self.size, Size::Finite { mantissa: 0, .. })
    }

    /// The number with the opposite sign.
    pub(crate) fn negated(self) -> Extended {
        Extended { negative: !self.negative, ..self }
    }

    /// The sum, rounded; `None` for opposite infinities.
    pub(crate) fn plus(self, other: Extended) -> Option<Extended> {
        match (self.parts(), other.parts()) {
            (None, None) if self.negative != other.negative => None,
            (None, _) => Some(self),
            (_, None) => Some(other),
            (Some(one), Some(two)) => Some(self.plus_finite(one, other, two)),
        }
    }

    fn parts(self) -> Option<(u64, i32)> {
        match self.size {
            Size::Finite { mantissa, exponent } => Some((mantissa, exponent)),
            Size::Infinite => None,
        }
    }

    fn plus_finite(self, one: (u64, i32), other: Extended, two: (u64, i32)) -> Extended {
        let ((big, high), (small, low)) = if one.1 >= two.1 { (one, two) } else { (two, one) };
        let big_negative = if one.1 >= two.1 { self.negative } else { other.negative };
        let small_negative = if one.1 >= two.1 { other.negative } else { self.negative };
        // 62 bits stay free below the mantissas; one is for the carry above them.
        let base = high - 62;
        let big = u128::from(big) << 62;
        let small = shift_right_sticky(u128::from(small) << 62, (high - low) as u32);
        let (negative, sum) = if big_negative == small_negative {
            (big_negative, big + small)
        } else {
            match big.cmp(&small) {
                Ordering::Equal => (false, 0),
                Ordering::Greater => (big_negative, big - small),
                Ordering::Less => (small_negative, small - big),
            }
        };
        Extended { negative, size: rounded(sum, base, false) }
    }

    /// Which of two is greater.
    pub(crate) fn compare(self, other: Extended) -> Ordering {
        match self.plus(other.negated()) {
            None => Ordering::Equal,
            Some(difference) if difference.is_zero() => Ordering::Equal,
            Some(difference) if difference.negative => Ordering::Less,
            Some(_) => Ordering::Greater,
        }
    }
}

fn is_infinity(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity")
}

/// `value` without its lowest `by` bits; the new lowest bit is set if one of them was.
fn shift_right_sticky(value: u128, by: u32) -> u128 {
    if by >= u128::BITS {
        return u128::from(value != 0);
    }
    let kept = value >> by;
    kept | u128::from(kept << by != value)
}

/// The number `value * 2^exponent`, rounded to 64 bits; `more`: a bit below was not zero.
fn rounded(value: u128, exponent: i32, more: bool) -> Size {
    if value == 0 {
        return NOTHING;
    }
    let spare = (u128::BITS - value.leading_zeros()) as i32 - 64;
    // As many bits go as leave 64, or more if the number is too small for that.
    let drop = spare.max(EXPONENT_MIN - exponent);
    let exponent = exponent + drop;
    let Ok(drop) = u32::try_from(drop) else {
        return Size::Finite { mantissa: (value << drop.unsigned_abs()) as u64, exponent };
    };
    let kept = halved_to_even(value, drop, more);
    if kept == 1 << 64 {
        return finite(1 << 63, exponent + 1);
    }
    finite(kept as u64, exponent)
}

/// A finite number, unless it is too large for one.
fn finite(mantissa: u64, exponent: i32) -> Size {
    match mantissa {
        0 => NOTHING,
        _ if exponent > EXPONENT_MAX => Size::Infinite,
        _ => Size::Finite { mantissa, exponent },
    }
}

/// `value / 2^by`, to the nearest, ties to even; `more`: `value` is a little larger than it says.
fn halved_to_even(value: u128, by: u32, more: bool) -> u128 {
    if by == 0 {
        return value;
    }
    if by > u128::BITS {
        return 0;
    }
    let kept = value.checked_shr(by).unwrap_or(0);
    let rest = value - kept.checked_shl(by).unwrap_or(0);
    let half = 1_u128 << (by - 1);
    let up = match rest.cmp(&half) {
        Ordering::Less => false,
        Ordering::Equal => more || kept & 1 == 1,
        Ordering::Greater => true,
    };
    kept + u128::from(up)
}

/// What stands before an exponent: digits with at most one point.
struct Digits<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Digits<'a> {
    /// Splits a text into digits and the number behind one of the `marks`, which is 0 if there
    /// is none. `None` if there is anything else, or no digit.
    fn split(text: &'a [u8], radix: u32, marks: [u8; 2]) -> Option<(Digits<'a>, i64)> {
        let end = text.iter().position(|byte| marks.contains(byte)).unwrap_or(text.len());
        let (digits, exponent) = text.split_at(end);
        let point = digits.iter().position(|&byte| byte == b'.');
        let (whole, fraction) = match point {
            Some(at) => (&digits[..at], &digits[at + 1..]),
            None => (digits, &[][..]),
        };
        let is_digit = |&byte: &u8| char::from(byte).is_digit(radix);
        let is_good = whole.iter().chain(fraction).all(is_digit);
        if !is_good || whole.len() + fraction.len() == 0 {
            return None;
        }
        let exponent = match exponent {
            [] => 0,
            [_, number @ ..] => parse_exponent(number)?,
        };
        Some((Digits { whole, fraction }, exponent))
    }

    /// All of them, zeros in front and behind left out, and how many of those behind were.
    fn significant(&self) -> (impl Iterator<Item = u8> + use<'a>, i64) {
        let all = self.whole.iter().chain(self.fraction).copied();
        let zeros = all.clone().rev().take_while(|&byte| byte == b'0').count();
        let len = self.whole.len() + self.fraction.len() - zeros;
        (all.take(len).skip_while(|&byte| byte == b'0'), zeros as i64)
    }
}

/// A signed exponent, cut off beyond what could matter.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return None;
    }
    let mut sum = 0_i64;
    for &digit in digits {
        let value = char::from(digit).to_digit(10)?;
        sum = (sum * 10 + i64::from(value)).min(1 << 40);
    }
    Some(if negative { -sum } else { sum })
}

/// `None` if it is no number, or not zero but too small to be told from it.
fn parse_decimal(text: &[u8]) -> Option<Size> {
    let (digits, exponent) = Digits::split(text, 10, [b'e', b'E'])?;
    let (significant, zeros) = digits.significant();
    let exponent = exponent - digits.fraction.len() as i64 + zeros;
    let mut number = Natural::default();
    for digit in significant {
        number.multiply_add(10, u64::from(digit - b'0'));
    }
    if number.is_zero() {
        return Some(NOTHING);
    }
    if exponent > DECIMAL_MAX {
        return Some(Size::Infinite);
    }
    if exponent < -DECIMAL_MAX {
        return None;
    }
    let size = number.times_power_of_ten(exponent as i32);
    (size != NOTHING).then_some(size)
}

/// As [`parse_decimal`], of what stands behind `0x`.
fn parse_binary(text: &[u8]) -> Option<Size> {
    let (digits, exponent) = Digits::split(text, 16, [b'p', b'P'])?;
    let (significant, zeros) = digits.significant();
    let exponent = exponent - 4 * digits.fraction.len() as i64 + 4 * zeros;
    let mut number = Natural::default();
    for digit in significant {
        number.multiply_add(16, u64::from(char::from(digit).to_digit(16).unwrap_or(0)));
    }
    if number.is_zero() {
        return Some(NOTHING);
    }
    let exponent = exponent.clamp(-4 * DECIMAL_MAX, 4 * DECIMAL_MAX);
    let size = number.rounded(exponent as i32, false);
    (size != NOTHING).then_some(size)
}

/// A natural number of any size: 64-bit digits, the lowest first, the highest not zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Natural(Vec<u64>);

impl Natural {
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> usize {
        let high = self.0.last().map_or(0, |high| high.leading_zeros() as usize);
        self.0.len() * 64 - high
    }

    fn multiply_add(&mut self, factor: u64, summand: u64) {
        let mut carry = summand;
        for digit in &mut self.0 {
            let product = u128::from(*digit) * u128::from(factor) + u128::from(carry);
            *digit = product as u64;
            carry = (product >> 64) as u64;
        }
        if carry != 0 {
            self.0.push(carry);
        }
    }

    /// Divides; returns the remainder.
    fn divide(&mut self, divisor: u64) -> u64 {
        let mut rest = 0_u64;
        for digit in self.0.iter_mut().rev() {
            let dividend = u128::from(rest) << 64 | u128::from(*digit);
            *digit = (dividend / u128::from(divisor)) as u64;
            rest = (dividend % u128::from(divisor)) as u64;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        rest
    }

    fn shift_left(&mut self, by: usize) {
        if self.is_zero() {
            return;
        }
        self.multiply_add(1 << (by % 64), 0);
        self.0.splice(0..0, std::iter::repeat_n(0, by / 64));
    }

    /// `self * 10^exponent`, rounded.
    fn times_power_of_ten(mut self, exponent: i32) -> Size {
        let mut left = exponent.unsigned_abs();
        if exponent >= 0 {
            while left > 0 {
                let zeros = left.min(CHUNK_ZEROS);
                self.multiply_add(10_u64.pow(zeros), 0);
                left -= zeros;
            }
            return self.rounded(0, false);
        }
        // 10^n is less than 2^(10n/3 + 1): enough bits for a quotient of 66 at least.
        let shift = left as usize * 10 / 3 + 68;
        self.shift_left(shift);
        let mut more = false;
        while left > 0 {
            let zeros = left.min(CHUNK_ZEROS);
            more |= self.divide(10_u64.pow(zeros)) != 0;
            left -= zeros;
        }
        self.rounded(-(shift as i32), more)
    }

    /// `self * 2^exponent`, rounded; `more`: it is a little larger than it says.
    fn rounded(&self, exponent: i32, more: bool) -> Size {
        let spare = self.bits().saturating_sub(128);
        let (words, bits) = (spare / 64, spare % 64);
        let dropped = self.0[..words].iter().any(|&digit| digit != 0);
        let digit = |at: usize| u128::from(self.0.get(words + at).copied().unwrap_or(0));
        let low = digit(0) | digit(1) << 64;
        let high = if bits == 0 { 0 } else { digit(2) << (128 - bits) };
        let dropped = dropped || low & ((1 << bits) - 1) != 0;
        rounded(low >> bits | high, exponent + spare as i32, more || dropped)
    }
}

impl fmt::Display for Extended {
    /// Up to 17 digits behind the point, trailing zeros left out, no exponent, no `-0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((mantissa, exponent)) = self.parts() else {
            return f.write_str(if self.negative { "-inf" } else { "inf" });
        };
        let sign = if self.negative { "-" } else { "" };
        if exponent > 0 {
            return write!(f, "{sign}{}", large_digits(mantissa, exponent as u32));
        }
        let scaled = u128::from(mantissa) * FRACTION_UNIT;
        let scaled = halved_to_even(scaled, exponent.unsigned_abs(), false);
        let (whole, fraction) = (scaled / FRACTION_UNIT, scaled % FRACTION_UNIT);
        match (scaled, fraction) {
            (0, _) => f.write_str("0"),
            (_, 0) => write!(f, "{sign}{whole}"),
            _ => {
                let digits = format!("{fraction:0FRACTION_DIGITS$}");
                write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
            }
        }
    }
}

/// The digits of a large integer.
fn large_digits(mantissa: u64, exponent: u32) -> String {
    let mut number = Natural(vec![mantissa]);
    number.shift_left(exponent as usize);
    let mut chunks = Vec::new();
    while !number.is_zero() {
        chunks.push(number.divide(CHUNK));
    }
    let highest = chunks.pop().unwrap_or(0);
    let mut digits = highest.to_string();
    for chunk in chunks.iter().rev() {
        digits.push_str(&format!("{chunk:019}"));
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Extended {
        Extended::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is a number"))
    }

    /// The text of a sum.
    fn sum(one: &str, other: &str) -> String {
        number(one).plus(number(other)).unwrap().to_string()
    }

    #[test]
    fn sums_have_the_digits_that_people_expect() {
        let cases = [
            ("0.1", "0.2", "0.3"),
            ("3.0e3", "1.1", "3001.10000000000000009"),
            ("5.0e3", "2.0e2", "5200"),
            ("10.5", "0.1", "10.6"),
            ("-1.5", "1.5", "0"),
            ("1", "-1e-18", "1"),
            ("-0.0", "-0.0", "0"),
            ("1.23", "1e-17", "1.23000000000000001"),
            ("9007199254740993", "1", "9007199254740994"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("18446744073709551616", "1", "18446744073709551616"),
            ("1e21", "0", "1000000000000000000000"),
            ("0x1.8p1", "0XA", "13"),
        ];
        for (one, other, expected) in cases {
            assert_eq!(sum(one, other), expected, "{one} + {other}");
            assert_eq!(sum(other, one), expected, "{other} + {one}");
        }
    }

    #[test]
    fn the_edges_of_the_range_are_where_the_processor_has_them() {
        for text in ["1.18973149535723176502e4932", "-1e4932", "3.6451995318824746e-4951"] {
            assert!(Extended::parse(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["1.18973149535723176509e4932", "1e4933", "1e-4952", "1e999999999999999"] {
            assert_eq!(Extended::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(number("0e999999999999999999"), Extended::ZERO);
        assert!(Extended::MAX.plus(Extended::MAX).unwrap().is_infinite());
        assert_eq!(Extended::MAX.plus(number("1")), Some(Extended::MAX));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let bad = [
            "", ".", "e5", "1e", "1e+", "1.2.3", " 1", "1 ", "nan", "0x", "0x.p1", "--1", "1_0",
            "infinit", "0x1p", "abc", "1f",
        ];
        for text in bad {
            assert_eq!(Extended::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Extended::parse(&[b'1'; TEXT_MAX + 1]), None);
        for text in ["inf", "-Infinity", "+INF"] {
            assert!(number(text).is_infinite());
        }
    }

    #[test]
    fn opposite_infinities_have_no_sum() {
        assert_eq!(number("inf").plus(number("-inf")), None);
        assert_eq!(number("inf").plus(number("-1")), Some(number("inf")));
    }

    #[test]
    fn the_longest_text_is_read() {
        let text = format!("0.{}1", "0".repeat(TEXT_MAX - 4));
        assert_eq!(Extended::parse(text.as_bytes()), None, "too small to be told from zero");
        let text = "9".repeat(4932);
        assert!(number(&text).to_string().starts_with("1000000"));
    }

    /// A text whose value is known exactly as `mantissa * 2^exponent`.
    fn exact(mantissa: u64, exponent: i32) -> Extended {
        let size = rounded(u128::from(mantissa), exponent, false);
        Extended { negative: false, size }
    }

    proptest! {
        #[test]
        fn integers_are_exact(one in -(1_i64 << 62)..1 << 62, other in -(1_i64 << 62)..1 << 62) {
            prop_assert_eq!(sum(&one.to_string(), &other.to_string()), (one + other).to_string());
        }

        #[test]
        fn fractions_of_powers_of_two_are_exact(
            one in -(1_i64 << 40)..1 << 40,
            other in -(1_i64 << 40)..1 << 40,
        ) {
            // A 2^16th is 5^16 * 10^-16, so both texts are exact.
            let text = |number: i64| format!("{}e-16", i128::from(number) * 5_i128.pow(16));
            let total = Extended::parse(text(one + other).as_bytes()).unwrap().to_string();
            prop_assert_eq!(sum(&text(one), &text(other)), total);
        }

        #[test]
        fn hexadecimal_texts_are_exact(mantissa: u64, exponent in -16_000_i32..16_000) {
            let text = format!("0x{mantissa:x}p{exponent}");
            prop_assert_eq!(number(&text), exact(mantissa, exponent));
        }

        #[test]
        fn what_was_written_is_read_back(mantissa: u64, exponent in 0_i32..15_000) {
            let value = exact(mantissa, exponent);
            prop_assert_eq!(number(&value.to_string()), value);
        }

        #[test]
        fn comparison_agrees_with_that_of_integers(one: i64, other: i64) {
            let compared = number(&one.to_string()).compare(number(&other.to_string()));
            prop_assert_eq!(compared, one.cmp(&other));
        }

        #[test]
        fn no_text_is_too_odd(text in "[-+]?[0-9.eExXpPinf]{0,24}") {
            let _ = Extended::parse(text.as_bytes()).map(|number| number.to_string());
        }
    }
}

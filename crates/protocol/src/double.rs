//! Floating-point numbers as text.
//!
//! The shortest digits that read back as the same number (Ryu), laid out as the
//! reference servers do: whole numbers up to 2^62 without point or exponent, six
//! leading zeros at most after the point, an exponent with its sign otherwise.
//! Those servers make their digits with Grisu2, which for about one number in a
//! thousand finds digits that are not the shortest or not the nearest (`1e+23` as
//! 99999999999999990000000); both texts read back as the same number.

/// The longest text of a number, in bytes: sign, 17 digits, point and `e-308`, rounded up.
const TEXT_BYTES_MAX: usize = 32;

/// Whole numbers up to here are written as integers.
const INTEGER_MAX: f64 = (1_u64 << 62) as f64;

/// Appends `value` as text: `nan`, `inf`, `-inf`, `-0`, `3`, `0.1`, `1e-7`, `1.5e+300`.
pub fn format_double(value: f64, text: &mut Vec<u8>) {
    text.extend_from_slice(DoubleText::new(value).as_bytes());
}

/// A number as text, without allocation.
pub(crate) struct DoubleText {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl DoubleText {
    pub(crate) fn new(value: f64) -> Self {
        let mut text = Self { bytes: [0; TEXT_BYTES_MAX], len: 0 };
        if value.is_nan() {
            text.push(b"nan");
        } else if value.is_infinite() {
            text.push(if value > 0.0 { b"inf" } else { b"-inf" });
        } else if value == 0.0 {
            text.push(if value.is_sign_negative() { b"-0" } else { b"0" });
        } else if value.abs() <= INTEGER_MAX && value.trunc() == value {
            text.push(itoa::Buffer::new().format(value as i64).as_bytes());
        } else {
            text.push_finite(value);
        }
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push_zeros(&mut self, count: usize) {
        self.push(&[b'0'; TEXT_BYTES_MAX][..count]);
    }

    fn push_finite(&mut self, value: f64) {
        if value < 0.0 {
            self.push(b"-");
        }
        let Decimal { digits, len, exponent } = Decimal::shortest(value.abs());
        let digits = &digits[..len];
        let count = len as i32;
        let leading = exponent + count - 1;

        if exponent >= 0 && leading < count + 7 {
            self.push(digits);
            self.push_zeros(exponent as usize);
        } else if exponent < 0 && (exponent > -7 || leading.abs() < 4) {
            self.push_with_point(digits, exponent + count);
        } else {
            self.push_scientific(digits, leading);
        }
    }

    /// `digits` with a point behind the first `whole` of them, or before zeros if negative.
    fn push_with_point(&mut self, digits: &[u8], whole: i32) {
        if whole > 0 {
            let (whole, fraction) = digits.split_at(whole as usize);
            self.push(whole);
            self.push(b".");
            self.push(fraction);
        } else {
            self.push(b"0.");
            self.push_zeros(whole.unsigned_abs() as usize);
            self.push(digits);
        }
    }

    fn push_scientific(&mut self, digits: &[u8], exponent: i32) {
        let (first, rest) = digits.split_at(1);
        self.push(first);
        if !rest.is_empty() {
            self.push(b".");
            self.push(rest);
        }
        self.push(if exponent < 0 { b"e-" } else { b"e+" });
        self.push(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
    }
}

/// A positive number as digits without a zero at either end, times a power of ten.
struct Decimal {
    digits: [u8; 17],
    len: usize,
    exponent: i32,
}

impl Decimal {
    /// The shortest digits that read back as `value`, which is positive and finite.
    fn shortest(value: f64) -> Self {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i32 = exponent.parse().expect("Ryu writes its exponent in decimal");

        let all = whole.len() + fraction.len();
        let from = |end: &mut dyn Iterator<Item = u8>| end.take_while(|&b| b == b'0').count();
        let before = from(&mut whole.bytes().chain(fraction.bytes()));
        let after = from(&mut fraction.bytes().rev().chain(whole.bytes().rev()));
        let mut decimal = Self {
            digits: [b'0'; 17],
            len: all - before - after,
            exponent: exponent - fraction.len() as i32 + after as i32,
        };
        let digits = whole.bytes().chain(fraction.bytes()).skip(before);
        for (place, digit) in decimal.digits[..all - before - after].iter_mut().zip(digits) {
            *place = digit;
        }
        decimal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        let mut text = Vec::new();
        format_double(value, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn numbers_are_laid_out_as_the_reference_servers_do() {
        for (value, expected) in REFERENCE {
            assert_eq!(text(*value), *expected);
        }
    }

    proptest! {
        #[test]
        fn every_number_reads_back_as_itself(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(text(value).parse::<f64>().unwrap().to_bits(), bits);
        }
    }

    const REFERENCE: &[(f64, &str)] = &[
        (f64::NAN, "nan"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-0.5, "-0.5"),
        (0.1, "0.1"),
        (0.30000000000000004, "0.30000000000000004"),
        (1e-6, "0.000001"),
        (1.5e-6, "1.5e-6"),
        (1e-7, "1e-7"),
        (0.00012345, "1.2345e-4"),
        (0.001234567890123456, "0.001234567890123456"),
        (1.2345678901234566e-7, "1.2345678901234566e-7"),
        (123456.789, "123456.789"),
        (-55178.4577755, "-5.51784577755e+4"),
        (12345678.9, "12345678.9"),
        (1e17, "100000000000000000"),
        (4.611686018427388e18, "4611686018427387904"),
        (4.611686018427389e18, "4611686018427389000"),
        (9.3e18, "9.3e+18"),
        (1.2345678901234567e19, "12345678901234567000"),
        (99999999999999980000.0, "99999999999999980000"),
        (1e20, "1e+20"),
        (2.5e20, "2.5e+20"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (5e-324, "5e-324"),
        (2.2250738585072014e-308, "2.2250738585072014e-308"),
        (f64::MIN, "-1.7976931348623157e+308"),
    ];
}

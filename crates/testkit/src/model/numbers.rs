//! Numbers as Redis reads and writes them, and ranges of positions.

use std::fmt;
use std::ops::Range;

use super::natural::Natural;

/// Reads a 64-bit integer: no sign but a minus, no blank, no leading zero.
pub(super) fn integer(text: &[u8]) -> Result<i64, String> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
    number
        .filter(|number| number.to_string().as_bytes() == text)
        .ok_or_else(|| "ERR value is not an integer or out of range".to_owned())
}

/// The positions from `start` to `end`, both included, of `length` positions.
///
/// Negative numbers count from the end. Both are moved into the range, unless
/// both are negative and in the wrong order.
pub(super) fn span(start: i64, end: i64, length: usize) -> Option<Range<usize>> {
    if start < 0 && end < 0 && start > end {
        return None;
    }
    let count = i64::try_from(length).expect("no string is that long");
    let from_start = |at: i64| if at < 0 { (count + at).max(0) } else { at };
    let (start, end) = (from_start(start), from_start(end).min(count - 1));
    if start > end {
        return None;
    }
    let at = |position| usize::try_from(position).expect("it was moved into the range");
    Some(at(start)..at(end) + 1)
}

/// A floating-point number with a mantissa of 64 bits, as x87 has it: what
/// `INCRBYFLOAT` computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LongDouble {
    is_finite: bool,
    is_negative: bool,
    /// 0, or with its highest bit set.
    mantissa: u64,
    /// The mantissa's unit is two to the power of this.
    exponent: i32,
}

/// The decimals that are written.
const DECIMALS: u32 = 17;

/// The highest power of ten, up or down, that a number is read with.
const EXPONENT_MAX: i32 = 4_000;

impl LongDouble {
    pub(super) const ZERO: Self =
        Self { is_finite: true, is_negative: false, mantissa: 0, exponent: 0 };

    /// Reads a decimal number, with or without an exponent, or a hexadecimal one without.
    ///
    /// # Panics
    ///
    /// If the exponent is beyond [`EXPONENT_MAX`]: a limit of the model, not of Redis.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let refused = || "ERR value is not a valid float".to_owned();
        let text = std::str::from_utf8(text).map_err(|_| refused())?;
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.eq_ignore_ascii_case("inf") || digits.eq_ignore_ascii_case("infinity") {
            return Ok(Self { is_finite: false, ..Self::ZERO });
        }
        if let Some((number, bits)) = hexadecimal(digits) {
            let unit = Natural::from_u64(1).shifted_up(bits);
            return Ok(Self::quotient(is_negative, &number, &unit));
        }
        let (number, power) = decimal(digits).ok_or_else(refused)?;
        assert!(power.abs() <= EXPONENT_MAX, "the model does not add numbers like {text}");
        let one = Natural::from_u64(1);
        let (over, under) =
            if power >= 0 { (power.unsigned_abs(), 0) } else { (0, power.unsigned_abs()) };
        Ok(Self::quotient(
            is_negative,
            &number.times_power_of_ten(over),
            &one.times_power_of_ten(under),
        ))
    }

    /// The number nearest to `over / under`.
    fn quotient(is_negative: bool, over: &Natural, under: &Natural) -> Self {
        // As many bits as the mantissa has, one for rounding, one more because
        // the first may come out as 0, and one that says "and something".
        let shift = under.bits() as i32 + 66 - over.bits() as i32;
        let (over, under) = if shift >= 0 {
            (over.shifted_up(shift.unsigned_abs()), under.clone())
        } else {
            (over.clone(), under.shifted_up(shift.unsigned_abs()))
        };
        let (quotient, is_more) = over.divided_by(&under, 67);
        Self::rounded(is_negative, quotient << 1 | u128::from(is_more), -shift - 1)
    }

    /// The number nearest to `mantissa * 2^exponent`, the even one if there are two.
    fn rounded(is_negative: bool, mantissa: u128, exponent: i32) -> Self {
        let is_finite = true;
        if mantissa == 0 {
            return Self { is_negative, ..Self::ZERO };
        }
        let bits = 128 - mantissa.leading_zeros();
        if bits <= 64 {
            let up = 64 - bits;
            let mantissa = u64::try_from(mantissa << up).expect("it has 64 bits now");
            return Self { is_finite, is_negative, mantissa, exponent: exponent - up as i32 };
        }
        let down = bits - 64;
        let kept = shifted_down(mantissa, down);
        match u64::try_from(kept) {
            Ok(mantissa) => {
                Self { is_finite, is_negative, mantissa, exponent: exponent + down as i32 }
            }
            // All bits were ones and rounding carried into a 65th.
            Err(_) => Self {
                is_finite,
                is_negative,
                mantissa: 1 << 63,
                exponent: exponent + down as i32 + 1,
            },
        }
    }

    /// The sum, rounded.
    pub(super) fn plus(self, other: Self) -> Result<Self, String> {
        if !self.is_finite || !other.is_finite {
            return Err("ERR increment would produce NaN or Infinity".to_owned());
        }
        if self.mantissa == 0 || other.mantissa == 0 {
            return Ok(if self.mantissa == 0 { other } else { self });
        }
        let (high, low) =
            if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        // 62 bits of room below the higher one; what is lower still is only a
        // bit that says "and something".
        let gap = (high.exponent - low.exponent).unsigned_abs();
        let up = gap.min(62);
        let down = (gap - up).min(127);
        let high_units = u128::from(high.mantissa) << up;
        let low_all = u128::from(low.mantissa);
        let lost = u128::from(low_all & ((1 << down) - 1) != 0);
        let low_units = low_all >> down | lost;
        let exponent = high.exponent - up as i32;
        Ok(if high.is_negative == low.is_negative {
            Self::rounded(high.is_negative, high_units + low_units, exponent)
        } else if high_units >= low_units {
            Self::rounded(high.is_negative, high_units - low_units, exponent)
        } else {
            Self::rounded(low.is_negative, low_units - high_units, exponent)
        })
    }
}

impl fmt::Display for LongDouble {
    /// Writes up to 17 decimals, without zeros at the end.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = match u32::try_from(self.exponent) {
            Ok(up) => {
                let whole = Natural::from_u64(self.mantissa).shifted_up(up);
                whole.times_power_of_ten(DECIMALS).to_decimal()
            }
            Err(_) => {
                let units = u128::from(self.mantissa) * 10_u128.pow(DECIMALS);
                shifted_down(units, self.exponent.unsigned_abs()).to_string()
            }
        };
        let padded = format!("{units:0>18}");
        let (whole, decimals) = padded.split_at(padded.len() - DECIMALS as usize);
        let text = format!("{whole}.{decimals}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let sign = if self.is_negative && text != "0" { "-" } else { "" };
        write!(out, "{sign}{text}")
    }
}

/// `number >> by`, rounded to the nearest, to the even one of two.
fn shifted_down(number: u128, by: u32) -> u128 {
    if by == 0 {
        return number;
    }
    let Some(floor) = number.checked_shr(by) else {
        return 0;
    };
    let half = 1_u128 << (by - 1);
    let rest = number - (floor << by);
    floor + u128::from(rest > half || rest == half && floor & 1 == 1)
}

/// The digits of a hexadecimal number, and how many bits of it are a fraction.
fn hexadecimal(text: &str) -> Option<(Natural, u32)> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let number = Natural::from_digits(&all, 16).filter(|_| !all.is_empty())?;
    Some((number, 4 * u32::try_from(fraction.len()).ok()?))
}

/// The digits of a decimal number, and the power of ten they are multiplied by.
fn decimal(text: &str) -> Option<(Natural, i32)> {
    let (digits, power) = match text.split_once(['e', 'E']) {
        Some((digits, power)) => (digits, power.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction_digits = i32::try_from(fraction.len()).ok()?;
    let digits = all.trim_start_matches('0');
    Some((Natural::from_decimal(digits), power - fraction_digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_they_are_written() {
        for text in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(integer(text.as_bytes()).unwrap().to_string(), text);
        }
        for text in ["", "-0", "+1", "01", " 1", "1 ", "9223372036854775808", "1.0", "x"] {
            assert!(integer(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[track_caller]
    fn assert_sum(left: &str, right: &str, sum: &str) {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).unwrap();
        assert_eq!(parse(left).plus(parse(right)).unwrap().to_string(), sum, "{left} + {right}");
    }

    #[test]
    fn sums_are_those_of_x87() {
        assert_sum("10.50", "0.1", "10.6");
        assert_sum("5.0e3", "2.0e2", "5200");
        assert_sum("3", "-3", "0");
        assert_sum("-0.5", ".25", "-0.25");
        assert_sum("1.", "+1", "2");
        // 3.3 of x87 is short of 3.3 by less than what 17 decimals show.
        assert_sum("3.1", "0.2", "3.3");
        assert_sum("9223372036854775807", "0.5", "9223372036854775807.5");
        assert_sum("123456789012345678901234567890", "1e30", "1123456789012345678933207810048");
        assert_sum("1e-25", "0", "0");
        assert_sum("0x7e3", "+0.25", "2019.25");
        assert_sum("-0X.8", "0xA", "9.5");
        // Twice the size leaves no bit for the half.
        assert_sum("18446744073709551614", "0.5", "18446744073709551614");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in
            ["", "-", ".", "1e", "abc", " 1", "1 ", "1.2.3", "--1", "0x", "0x.", "0xg", "0x1e-2"]
        {
            assert!(LongDouble::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}

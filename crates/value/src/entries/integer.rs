//! Integers written as text.

/// The longest text of a 64-bit integer.
const DIGITS_MAX: usize = 20;

/// The integer that `text` is the only decimal text of.
#[inline]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    // Most texts are told apart by their first byte or their length.
    if !matches!(text.first(), Some(b'0'..=b'9' | b'-')) || text.len() > DIGITS_MAX {
        return None;
    }
    parse_plain(text)
}

fn parse_plain(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_negative = digits.len() < text.len();
    match digits {
        [b'0'] if !is_negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    // Downwards, where there is one integer more.
    let negated = digits.iter().try_fold(0i64, |negated, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then_some(())?;
        negated.checked_mul(10)?.checked_sub(digit.into())
    })?;
    if is_negative { Some(negated) } else { negated.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plain_text_of_an_integer_is_one() {
        for (text, integer) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999", None),
            ("-0", None),
            ("-01", None),
            ("007", None),
            ("+1", None),
            ("", None),
            ("-", None),
            ("1 ", None),
            ("1-", None),
            ("12:4", None),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), integer, "{text:?}");
        }
    }
}

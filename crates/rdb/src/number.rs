//! Numbers written as text: integers that encodings keep in binary, and scores.

use std::ops::Deref;

/// The longest text of a 64-bit integer.
pub(crate) const INTEGER_DIGITS_MAX: usize = 20;

/// A string of the payload: part of it, or an integer that stood there in binary.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(Form<'a>);

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    Slice(&'a [u8]),
    Digits { bytes: [u8; INTEGER_DIGITS_MAX], len: u8 },
}

impl<'a> Text<'a> {
    pub(crate) fn slice(bytes: &'a [u8]) -> Self {
        Self(Form::Slice(bytes))
    }

    pub(crate) fn integer(value: i64) -> Self {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(value).as_bytes();
        let mut bytes = [0; INTEGER_DIGITS_MAX];
        bytes[..digits.len()].copy_from_slice(digits);
        Self(Form::Digits { bytes, len: digits.len() as u8 })
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Form::Slice(bytes) => bytes,
            Form::Digits { bytes, len } => &bytes[..usize::from(*len)],
        }
    }
}

/// The integer that `text` is the only decimal text of.
pub(crate) fn parse_integer(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > INTEGER_DIGITS_MAX {
        return None;
    }
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_plain = match digits {
        [b'0'] => digits.len() == text.len(),
        [first, ..] => *first != b'0' && digits.iter().all(u8::is_ascii_digit),
        [] => false,
    };
    if !is_plain {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The number that a score's text stands for, if it is one.
pub(crate) fn parse_score(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    text.trim_ascii_start().parse::<f64>().ok().filter(|score| !score.is_nan())
}

/// Calls `with` with the shortest text that reads back as `score`.
pub(crate) fn with_score_text<T>(score: f64, with: impl FnOnce(&[u8]) -> T) -> T {
    if score.is_infinite() {
        return with(if score > 0.0 { b"inf" } else { b"-inf" });
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(score);
    with(text.strip_suffix(".0").unwrap_or(text).as_bytes())
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
            ("-0", None),
            ("007", None),
            ("+1", None),
            ("", None),
            ("-", None),
            ("1 ", None),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), integer, "{text:?}");
        }
    }

    #[test]
    fn scores_survive_their_text() {
        for score in [0.0, -0.0, 1.5, 1e300, -5e-324, f64::INFINITY, f64::NEG_INFINITY, 3e17] {
            let back = with_score_text(score, parse_score).expect("a number");
            assert_eq!(back.to_bits(), score.to_bits());
        }
        assert_eq!(parse_score(b"nan"), None);
        assert_eq!(parse_score(b"one"), None);
    }

    #[test]
    fn integers_read_as_their_digits() {
        for value in [0, 7, -1, i64::MIN, i64::MAX] {
            assert_eq!(*Text::integer(value), *value.to_string().as_bytes());
        }
    }
}

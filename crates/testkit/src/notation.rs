//! How commands and replies are written: as at the prompt of `redis-cli`.
//!
//! [`split`] reads the words of a command; `Display` of a [`Value`] writes a
//! reply; [`crate::pattern`] reads one back.
//!
//! # Layout
//!
//! Where `redis-cli` is ambiguous or silent, the notation says more:
//!
//! | reply | `redis-cli` | here |
//! | --- | --- | --- |
//! | `*-1` of RESP2 | `(nil)` | `(nil array)` |
//! | push message | `1) ...` | `1> ...` |
//! | big number | refuses | `(bignum) 123` |
//! | verbatim text | raw lines | `(verbatim) "..."`, `(verbatim:mkd) "..."` |
//! | status with odd bytes | raw | `(status) "..."` |
//! | error with odd bytes or blanks at an end | raw | `(error) "..."` |

use std::fmt::{self, Write as _};

use crate::value::Value;

/// A text that does not follow the notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// The words of a command line.
///
/// Words are separated by blanks. In double quotes `\n`, `\r`, `\t`, `\a`,
/// `\b`, `\\`, `\"` and `\xHH` are escapes; in single quotes only `\'` is.
/// A closing quote ends its word.
pub fn split(line: &str) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut rest = Cursor::new(line);
    let mut words = Vec::new();
    while let Some(next) = rest.peek() {
        if next.is_ascii_whitespace() {
            rest.next();
        } else {
            words.push(word(&mut rest)?);
        }
    }
    Ok(words)
}

/// The words of a command that is known to be well written.
///
/// # Panics
///
/// If `line` is not, as for an open quote.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    split(line).unwrap_or_else(|malformed| panic!("{line}: {malformed}"))
}

/// One command line that [`split`] reads as `words`.
pub fn join<W: AsRef<[u8]>>(words: &[W]) -> String {
    let written: Vec<String> = words.iter().map(|word| write_word(word.as_ref())).collect();
    written.join(" ")
}

fn write_word(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if !word.is_empty() && word.iter().all(plain) {
        String::from_utf8_lossy(word).into_owned()
    } else {
        quote(word)
    }
}

fn word(rest: &mut Cursor<'_>) -> Result<Vec<u8>, Malformed> {
    let mut word = Vec::new();
    while let Some(next) = rest.peek() {
        match next {
            b'"' => {
                rest.next();
                word.extend(quoted(rest)?);
                return closed(rest).map(|()| word);
            }
            b'\'' => {
                rest.next();
                word.extend(single_quoted(rest)?);
                return closed(rest).map(|()| word);
            }
            blank if blank.is_ascii_whitespace() => break,
            byte => {
                rest.next();
                word.push(byte);
            }
        }
    }
    Ok(word)
}

fn closed(rest: &Cursor<'_>) -> Result<(), Malformed> {
    match rest.peek() {
        Some(next) if !next.is_ascii_whitespace() => {
            Err(Malformed("a closing quote must end its word".to_owned()))
        }
        _ => Ok(()),
    }
}

fn single_quoted(rest: &mut Cursor<'_>) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Vec::new();
    while let Some(byte) = rest.next() {
        match byte {
            b'\'' => return Ok(bytes),
            b'\\' if rest.peek() == Some(b'\'') => bytes.extend(rest.next()),
            byte => bytes.push(byte),
        }
    }
    Err(Malformed("a quote is not closed".to_owned()))
}

/// The bytes up to the closing double quote, without their escapes.
pub(crate) fn quoted(rest: &mut Cursor<'_>) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Vec::new();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => return Ok(bytes),
            b'\\' => bytes.push(escaped(rest)?),
            byte => bytes.push(byte),
        }
    }
    Err(Malformed("a quote is not closed".to_owned()))
}

fn escaped(rest: &mut Cursor<'_>) -> Result<u8, Malformed> {
    let byte = match rest.next() {
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'a') => 0x07,
        Some(b'b') => 0x08,
        Some(b'x') => hex(rest)?,
        // A C reader takes it for NUL, `redis-cli` for the digit.
        Some(digit) if digit.is_ascii_digit() => {
            return Err(Malformed(r"write \xHH for a byte by its number".to_owned()));
        }
        Some(other) => other,
        None => return Err(Malformed("a quote is not closed".to_owned())),
    };
    Ok(byte)
}

fn hex(rest: &mut Cursor<'_>) -> Result<u8, Malformed> {
    let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
    match (digit(), digit()) {
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => Err(Malformed(r"\x needs two hexadecimal digits".to_owned())),
    }
}

/// `bytes` in double quotes, everything unprintable escaped.
pub fn quote(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'"' => text.push_str("\\\""),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "\\x{byte:02x}").expect("a String takes everything"),
        }
    }
    text.push('"');
    text
}

/// Bytes being read from left to right.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }
}

impl Iterator for Cursor<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
}

impl fmt::Display for Value {
    /// Writes the reply without a newline at its end.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(self, "", out)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Writes `value`; every line but the first starts with `indent`.
fn write_value(value: &Value, indent: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Simple(text) if is_plain_status(text) => write_plain(text, out),
        Value::Simple(text) => write!(out, "(status) {}", quote(text)),
        Value::Error(text) if is_plain(text) => {
            out.write_str("(error) ")?;
            write_plain(text, out)
        }
        Value::Error(text) => write!(out, "(error) {}", quote(text)),
        Value::Integer(number) => write!(out, "(integer) {number}"),
        Value::Bulk(bytes) => out.write_str(&quote(bytes)),
        Value::Nil => out.write_str("(nil)"),
        Value::NilArray => out.write_str("(nil array)"),
        Value::Double(text) => write!(out, "(double) {}", String::from_utf8_lossy(text)),
        Value::Boolean(truth) => write!(out, "({truth})"),
        Value::BigNumber(text) => write!(out, "(bignum) {}", String::from_utf8_lossy(text)),
        Value::Verbatim { format: [b't', b'x', b't'], text } => {
            write!(out, "(verbatim) {}", quote(text))
        }
        Value::Verbatim { format, text } => {
            write!(out, "(verbatim:{}) {}", String::from_utf8_lossy(format), quote(text))
        }
        Value::Array(values) => write_list(values, ("array", ')'), indent, out),
        Value::Set(values) => write_list(values, ("set", '~'), indent, out),
        Value::Push(values) => write_list(values, ("push", '>'), indent, out),
        Value::Map(pairs) => write_map(pairs, indent, out),
    }
}

fn write_list(
    values: &[Value],
    (name, mark): (&str, char),
    indent: &str,
    out: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    if values.is_empty() {
        return write!(out, "(empty {name})");
    }
    let width = values.len().to_string().len();
    let inner = format!("{indent}{:1$}", "", width + 2);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            write!(out, "\n{indent}")?;
        }
        write!(out, "{:>width$}{mark} ", index + 1)?;
        write_value(value, &inner, out)?;
    }
    Ok(())
}

fn write_map(pairs: &[(Value, Value)], indent: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    if pairs.is_empty() {
        return out.write_str("(empty hash)");
    }
    let width = pairs.len().to_string().len();
    let inner = format!("{indent}{:1$}", "", width + 2);
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            write!(out, "\n{indent}")?;
        }
        write!(out, "{:>width$}# ", index + 1)?;
        write_value(key, &inner, out)?;
        if takes_lines_of_its_own(value) {
            write!(out, " =>\n{inner}")?;
        } else {
            out.write_str(" => ")?;
        }
        write_value(value, &inner, out)?;
    }
    Ok(())
}

fn takes_lines_of_its_own(value: &Value) -> bool {
    match value {
        Value::Array(values) | Value::Set(values) | Value::Push(values) => !values.is_empty(),
        Value::Map(pairs) => !pairs.is_empty(),
        _ => false,
    }
}

fn write_plain(text: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str(&String::from_utf8_lossy(text))
}

/// Whether a text can stand on a line as it is.
fn is_plain(text: &[u8]) -> bool {
    let ends = [text.first(), text.last()];
    ends.iter().all(|end| end.is_some_and(|byte| *byte != b' '))
        && text[0] != b'"'
        && text.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether a status can stand as it is without being taken for something else.
fn is_plain_status(text: &[u8]) -> bool {
    is_plain(text)
        && text[0].is_ascii_alphabetic()
        && !text.iter().any(|byte| matches!(byte, b'>' | b'<'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_split(line: &str, expected: &[&[u8]]) {
        assert_eq!(split(line).unwrap(), expected, "{line}");
    }

    #[test]
    fn words_are_separated_by_blanks() {
        assert_split("", &[]);
        assert_split("  SET  a\tb ", &[b"SET", b"a", b"b"]);
    }

    #[test]
    fn quotes_hold_blanks_and_escapes() {
        assert_split(r#"SET "a b" 'c d'"#, &[b"SET", b"a b", b"c d"]);
        assert_split(r#""\x00\xfF\n\r\t\a\b\\\"\q""#, &[b"\x00\xff\n\r\t\x07\x08\\\"q"]);
        assert_split(r"'a\'b\n'", &[b"a'b\\n"]);
        assert_split(r#""" ''"#, &[b"", b""]);
        assert_split(r#"a"b c""#, &[b"ab c"]);
    }

    #[test]
    fn quotes_that_are_open_or_followed_are_refused() {
        for line in [r#"GET "a"#, "GET 'a", r#"GET "a"b"#, "GET 'a'b", r#""\x0""#, r#""\0""#] {
            assert!(split(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_was_joined_splits_again() {
        let words: [&[u8]; 5] = [b"SET", b"", b"a b", b"\x00\xff", b"it's"];
        assert_eq!(split(&join(&words)).unwrap(), words);
    }

    #[test]
    fn scalars_are_written_as_redis_cli_writes_them() {
        let cases = [
            (Value::ok(), "OK"),
            (Value::error("ERR no such key"), "(error) ERR no such key"),
            (Value::Integer(-8), "(integer) -8"),
            (Value::bulk("a\x00\"\n"), r#""a\x00\"\n""#),
            (Value::Nil, "(nil)"),
            (Value::NilArray, "(nil array)"),
            (Value::Double(b"1.5".to_vec()), "(double) 1.5"),
            (Value::Boolean(true), "(true)"),
            (Value::error("ERR args: 'a' "), "(error) \"ERR args: 'a' \""),
            (Value::simple("(nil)"), "(status) \"(nil)\""),
        ];
        for (value, text) in cases {
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn nested_arrays_are_indented_under_their_number() {
        let inner = Value::Array(vec![Value::Integer(1), Value::Array(vec![])]);
        let mut values = vec![Value::Nil; 9];
        values.push(inner);
        let text = Value::Array(values).to_string();
        assert!(text.starts_with(" 1) (nil)\n 2) (nil)\n"), "{text}");
        assert!(text.ends_with("\n10) 1) (integer) 1\n    2) (empty array)"), "{text}");
    }

    #[test]
    fn a_list_inside_a_map_has_lines_of_its_own() {
        let list = Value::Array(vec![Value::Integer(1), Value::Integer(2)]);
        let map =
            Value::Map(vec![(Value::bulk("a"), list), (Value::bulk("b"), Value::Set(vec![]))]);
        let text = "1# \"a\" =>\n   1) (integer) 1\n   2) (integer) 2\n2# \"b\" => (empty set)";
        assert_eq!(map.to_string(), text);
    }
}

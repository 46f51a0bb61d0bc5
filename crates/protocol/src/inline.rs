//! Requests typed by hand: a line of words, some of them quoted.
//!
//! Double quotes know the escapes `\n \r \t \b \a`, `\xHH`, and a backslash before
//! any other byte for that byte; single quotes know `\'` alone. A closing quote ends
//! its word, so a blank or the end of the line must follow. Line ends, tabs and
//! spaces end a bare word; a vertical tab or form feed is a blank only between words.
//!
//! A line without quotes, which is nearly every line, is split where it lies; only
//! a quoted one is copied, because its words are not a piece of the input.
//!
//! A NUL byte is a byte like any other.

use crate::{ProtocolError, Span, Words};

/// The words of a quoted line, without their quotes.
#[derive(Debug, Default)]
pub(crate) struct Unquoted {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Unquoted {
    /// The words of the last line.
    pub(crate) fn words(&self) -> Words<'_> {
        Words::new(&self.bytes, &self.spans)
    }

    /// How many bytes of memory it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    /// Splits `line`, which has no more than 4 GiB, in place of the line before.
    pub(crate) fn split(&mut self, line: &[u8]) -> Result<(), ProtocolError> {
        self.bytes.clear();
        self.spans.clear();
        let mut rest = skip_blanks(line);
        while !rest.is_empty() {
            let start = self.bytes.len();
            let used = unquote(rest, &mut self.bytes)?;
            self.spans.push(Span::new(start, self.bytes.len()));
            rest = skip_blanks(&rest[used..]);
        }
        Ok(())
    }
}

/// Whether words of `line` need [`Unquoted::split`].
pub(crate) fn is_quoted(line: &[u8]) -> bool {
    memchr::memchr2(b'"', b'\'', line).is_some()
}

/// Splits a line without quotes that starts at offset 0 of the input.
pub(crate) fn split_bare(line: &[u8], spans: &mut Vec<Span>) {
    let mut at = 0;
    while at < line.len() {
        if is_blank(line[at]) {
            at += 1;
            continue;
        }
        let len = line[at..].iter().position(|&b| ends_word(b)).unwrap_or(line.len() - at);
        spans.push(Span::new(at, at + len));
        at += len;
    }
}

/// The part of `text` after the blanks in front.
fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&b| is_blank(b)).count();
    &text[blanks..]
}

/// What is skipped between words.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// What ends a word outside of quotes.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Appends the word at the start of `text` to `word`; says how many bytes it took.
fn unquote(text: &[u8], word: &mut Vec<u8>) -> Result<usize, ProtocolError> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if matches!(byte, b'"' | b'\'') {
            let quoted = &text[at + 1..];
            let used = if byte == b'"' {
                double_quoted(quoted, word)
            } else {
                single_quoted(quoted, word)
            };
            return closed(text, at + 1 + used.ok_or(ProtocolError::UnbalancedQuotes)?);
        }
        if ends_word(byte) {
            break;
        }
        word.push(byte);
        at += 1;
    }
    Ok(at)
}

/// Checks that after the closing quote, at `end`, comes a blank or nothing.
fn closed(text: &[u8], end: usize) -> Result<usize, ProtocolError> {
    match text.get(end) {
        Some(&byte) if !is_blank(byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(end),
    }
}

/// Appends text up to its closing double quote; `None` if there is none.
fn double_quoted(text: &[u8], word: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    loop {
        let (byte, used) = match text.get(at..)? {
            [] => return None,
            [b'"', ..] => return Some(at + 1),
            [b'\\', b'x', high, low, ..] if is_hex(*high) && is_hex(*low) => {
                (hex(*high) << 4 | hex(*low), 4)
            }
            [b'\\', escaped, ..] => (escape(*escaped), 2),
            [byte, ..] => (*byte, 1),
        };
        word.push(byte);
        at += used;
    }
}

/// Appends text up to its closing single quote; `None` if there is none.
fn single_quoted(text: &[u8], word: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    loop {
        let (byte, used) = match text.get(at..)? {
            [] => return None,
            [b'\'', ..] => return Some(at + 1),
            [b'\\', b'\'', ..] => (b'\'', 2),
            [byte, ..] => (*byte, 1),
        };
        word.push(byte);
        at += used;
    }
}

/// What a backslash and this byte stand for.
fn escape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
        let mut unquoted = Unquoted::default();
        unquoted.split(line)?;
        Ok(unquoted.words().iter().map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn double_quotes_know_escapes_and_single_quotes_one() {
        assert_eq!(
            split(br#"a "a\x41\n\r\t\b\a\q\"\\\xzz" "" 'it\'s\n'"#).unwrap(),
            [&b"a"[..], b"aA\n\r\t\x08\x07q\"\\xzz", b"", b"it's\\n"]
        );
    }

    #[test]
    fn a_quote_may_open_within_a_word_but_ends_it() {
        assert_eq!(split(b"a\"b c\" d").unwrap(), [&b"ab c"[..], b"d"]);
        assert_eq!(split(b"\"a\"\x0bb").unwrap(), [&b"a"[..], b"b"]);
        assert_eq!(split(b"\"foo\"bar"), Err(ProtocolError::UnbalancedQuotes));
        assert_eq!(split(b"'foo''bar'"), Err(ProtocolError::UnbalancedQuotes));
    }

    #[test]
    fn an_open_quote_is_refused() {
        for line in [&b"ECHO \"foo"[..], b"ECHO 'foo", b"\"abc\\", b"\"abc\\\"", b"'", b"\"\\x4"] {
            assert_eq!(split(line), Err(ProtocolError::UnbalancedQuotes), "{line:?}");
        }
    }

    #[test]
    fn a_bare_line_is_split_alike_where_it_lies_and_when_copied() {
        for line in [&b"  a\x0b \x0c b\tc\rd  "[..], b"", b" ", b"a", b"a\0b \\n \xff\x85\xa0"] {
            let mut spans = Vec::new();
            split_bare(line, &mut spans);
            let words: Vec<_> = Words::new(line, &spans).iter().map(<[u8]>::to_vec).collect();
            assert_eq!(words, split(line).unwrap(), "{line:?}");
        }
    }
}

//! Words in quotes, as inline requests and configuration files have them; and the other way,
//! requests from words.

use crate::request::is_space;

/// Cuts a line into words at white space. Words in double quotes know `\n`, `\r`, `\t`, `\b`,
/// `\a` and `\xHH`, those in single quotes `\'`. `None`: a quote is not closed, or something
/// follows a closing quote.
#[must_use]
pub fn split_quoted(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.iter().position(|&byte| !is_space(byte));
        let Some(start) = start else { return Some(words) };
        let (word, after) = take_word(&rest[start..])?;
        words.push(word);
        rest = after;
    }
}

fn take_word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' => {
                rest = take_double(after, &mut word)?;
                return ends_here(rest).then_some((word, rest));
            }
            b'\'' => {
                rest = take_single(after, &mut word)?;
                return ends_here(rest).then_some((word, rest));
            }
            _ if is_space(byte) => break,
            _ => {
                word.push(byte);
                rest = after;
            }
        }
    }
    Some((word, rest))
}

fn ends_here(rest: &[u8]) -> bool {
    rest.first().is_none_or(|&byte| is_space(byte))
}

/// Takes what stands before the closing quote; returns what stands behind it.
fn take_double<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match *rest {
            [] => return None,
            [b'"', ..] => return Some(&rest[1..]),
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
                word.push(digit(high) << 4 | digit(low));
                rest = &rest[4..];
            }
            [b'\\', escaped, ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                rest = &rest[2..];
            }
            [byte, ..] => {
                word.push(byte);
                rest = &rest[1..];
            }
        }
    }
}

fn take_single<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match *rest {
            [] => return None,
            [b'\\', b'\'', ..] => {
                word.push(b'\'');
                rest = &rest[2..];
            }
            [b'\'', ..] => return Some(&rest[1..]),
            [byte, ..] => {
                word.push(byte);
                rest = &rest[1..];
            }
        }
    }
}

/// Writes a request of these words, as clients send it.
pub fn encode_request<W: AsRef<[u8]>>(words: &[W], into: &mut Vec<u8>) {
    let mut number = itoa::Buffer::new();
    into.push(b'*');
    into.extend_from_slice(number.format(words.len()).as_bytes());
    into.extend_from_slice(b"\r\n");
    for word in words.iter().map(AsRef::as_ref) {
        into.push(b'$');
        into.extend_from_slice(number.format(word.len()).as_bytes());
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(word);
        into.extend_from_slice(b"\r\n");
    }
}

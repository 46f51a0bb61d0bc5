//! One line of a configuration file to its words, and words back to a line.
//!
//! The syntax is that of Redis' files: blanks separate, `"..."` knows the
//! escapes `\n \r \t \b \a \xHH` and takes any other escaped byte as it is,
//! `'...'` knows only `\'`. A closing quote ends its word.
//!
//! # Invariants
//!
//! 1. [`split`] of what [`quote`] gave is the word that went in.
//! 2. What [`quote`] gives is printable ASCII: it cannot start a new line.

/// The words of a line, or `None` if a quote stays open or is not followed by
/// a blank.
pub(crate) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = skip_blanks(rest);
        if rest.is_empty() {
            return Some(words);
        }
        let (word, after) = next_word(rest)?;
        words.push(word);
        rest = after;
    }
}

/// A word as it can stand in a line.
pub(crate) fn quote(word: &[u8]) -> String {
    let plain = |&byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(&byte);
    if !word.is_empty() && word.iter().all(plain) {
        return word.iter().copied().map(char::from).collect();
    }
    let mut text = String::from("\"");
    for &byte in word {
        push_escaped(&mut text, byte);
    }
    text.push('"');
    text
}

fn push_escaped(text: &mut String, byte: u8) {
    match byte {
        b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
        b'\n' => text.push_str("\\n"),
        b'\r' => text.push_str("\\r"),
        b'\t' => text.push_str("\\t"),
        b' '..=b'~' => text.push(char::from(byte)),
        _ => {
            text.push_str("\\x");
            for nibble in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(nibble), 16));
            }
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0)
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&byte| is_blank(byte)).count();
    &text[blanks..]
}

/// The word that `text` starts with, and what follows it.
fn next_word(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = text;
    loop {
        match rest {
            [b'"', tail @ ..] => return double_quoted(word, tail),
            [b'\'', tail @ ..] => return single_quoted(word, tail),
            [byte, tail @ ..] if !is_blank(*byte) => {
                word.push(*byte);
                rest = tail;
            }
            _ => return Some((word, rest)),
        }
    }
}

fn double_quoted(mut word: Vec<u8>, mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    loop {
        match rest {
            [b'"', tail @ ..] => return closed(word, tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(unescape(*escaped));
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

fn single_quoted(mut word: Vec<u8>, mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    loop {
        match rest {
            [b'\'', tail @ ..] => return closed(word, tail),
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

/// A quoted word, if a blank or the end follows the closing quote.
fn closed(word: Vec<u8>, rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let ends = rest.first().is_none_or(|&byte| is_blank(byte));
    ends.then_some((word, rest))
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.to_ascii_lowercase().wrapping_sub(b'a').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::{quote, split};

    fn words(line: &str) -> Option<Vec<String>> {
        let text = |word: Vec<u8>| String::from_utf8(word).unwrap();
        Some(split(line.as_bytes())?.into_iter().map(text).collect())
    }

    #[test]
    fn blanks_separate_and_quotes_join() {
        assert_eq!(words("  save 900\t1 \r").unwrap(), ["save", "900", "1"]);
        assert_eq!(words(r#"a "b c" 'd e' """#).unwrap(), ["a", "b c", "d e", ""]);
        assert_eq!(words(r#"a "x\x41\n\"\q" 'it\'s'"#).unwrap(), ["a", "xA\n\"q", "it's"]);
        assert_eq!(words(r#"a"b c""#).unwrap(), ["ab c"]);
        assert_eq!(words("").unwrap(), [""; 0]);
    }

    #[test]
    fn an_open_quote_or_one_that_touches_the_next_word_is_refused() {
        for line in ["\"", "'", "a \"b", r#""a\""#, r#""a"b"#, "'a'b"] {
            assert_eq!(words(line), None, "{line}");
        }
    }

    #[test]
    fn every_byte_survives_quoting() {
        for byte in 0..=u8::MAX {
            let word = [b'x', byte];
            let line = quote(&word);
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
            assert_eq!(split(line.as_bytes()).unwrap(), [word]);
        }
        assert_eq!(quote(b""), "\"\"");
        assert_eq!(quote(b"plain-1.2:3"), "plain-1.2:3");
    }
}

//! Telling code from comments and text, without parsing Rust.

/// A file of Rust, taken apart: both parts are as long as the file and have
/// their lines at the same places; what belongs to the other part is blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// Everything but comments; strings and characters are only their quotes.
    pub(super) code: String,
    /// Only comments.
    pub(super) comments: String,
}

/// What a stretch of bytes is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Text,
}

impl Parts {
    /// Takes a file apart.
    pub(super) fn of(source: &str) -> Self {
        let bytes = source.as_bytes();
        let mut parts = Self { code: String::new(), comments: String::new() };
        let mut at = 0;
        while at < bytes.len() {
            let (kind, length) = stretch(bytes, at);
            let end = (at + length).min(bytes.len());
            parts.append(&bytes[at..end], kind);
            at = end;
        }
        parts
    }

    fn append(&mut self, bytes: &[u8], kind: Kind) {
        for (index, &byte) in bytes.iter().enumerate() {
            let is_quote = index == 0 || index + 1 == bytes.len();
            let keep = |wanted: bool| match byte {
                b'\n' => '\n',
                byte if wanted && byte.is_ascii() => char::from(byte),
                _ => ' ',
            };
            self.code.push(keep(kind == Kind::Code || kind == Kind::Text && is_quote));
            self.comments.push(keep(kind == Kind::Comment));
        }
    }

    /// Where `word` stands in the code, as a word of its own: byte positions.
    pub(super) fn words(&self, word: &str) -> Vec<usize> {
        find_words(&self.code, word)
    }

    /// The line of a byte position, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        1 + self.code.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Where `word` stands in `text`, as a word of its own.
pub(super) fn find_words(text: &str, word: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let is_apart =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_none_or(|byte| !is_name(*byte));
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(|&at| is_apart(at.checked_sub(1)) && is_apart(Some(at + word.len())))
        .collect()
}

/// What stands before each brace that is open at `at`, the outermost first:
/// `impl A for B`, `mod c`, `fn f()`.
pub(super) fn open_heads(code: &str, at: usize) -> Vec<&str> {
    let mut open = Vec::new();
    let mut begin = 0;
    for (index, byte) in code[..at].bytes().enumerate() {
        match byte {
            b'{' => open.push(code[begin..index].trim()),
            b'}' => drop(open.pop()),
            b';' => {}
            _ => continue,
        }
        begin = index + 1;
    }
    open
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What begins at `at`, and how long it is.
fn stretch(bytes: &[u8], at: usize) -> (Kind, usize) {
    let rest = &bytes[at..];
    let is_inside_name = at > 0 && is_name(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => (Kind::Comment, until(rest, b"\n").unwrap_or(rest.len())),
        [b'/', b'*', ..] => (Kind::Comment, block_comment(rest)),
        [b'"', ..] => (Kind::Text, quoted(rest)),
        [b'r', b'"' | b'#', ..] if !is_inside_name => raw(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !is_inside_name => raw(rest, 2),
        [b'\'', ..] => character(rest),
        _ => (Kind::Code, 1),
    }
}

fn until(bytes: &[u8], end: &[u8]) -> Option<usize> {
    bytes.windows(end.len()).position(|window| window == end)
}

/// The length of a comment that may hold others.
fn block_comment(bytes: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// The length of a string with escapes, both quotes included.
fn quoted(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// A raw string behind a prefix, or a raw name such as `r#type`.
fn raw(bytes: &[u8], prefix: usize) -> (Kind, usize) {
    let hashes = bytes[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix + hashes;
    if bytes.get(open) != Some(&b'"') {
        return (Kind::Code, open);
    }
    let close = [&b"\""[..], &vec![b'#'; hashes]].concat();
    let text = until(&bytes[open + 1..], &close).unwrap_or(bytes.len());
    (Kind::Text, open + 1 + text + close.len())
}

/// A character, or the tick of a lifetime.
fn character(bytes: &[u8]) -> (Kind, usize) {
    match bytes {
        [_, b'\\', _, rest @ ..] => {
            (Kind::Text, 3 + until(rest, b"'").map_or(rest.len(), |end| end + 1))
        }
        [_, first, rest @ ..] => {
            let width = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if rest.get(width - 1) == Some(&b'\'') {
                (Kind::Text, width + 2)
            } else {
                (Kind::Code, 1)
            }
        }
        _ => (Kind::Code, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_code(source: &str, code: &str) {
        assert_eq!(Parts::of(source).code, code);
    }

    #[test]
    fn comments_and_texts_are_no_code() {
        assert_code("a // unsafe\nb", "a          \nb");
        assert_code("a /* x /* y */ \" */ b", "a                   b");
        assert_code(r#"f("un\"safe", b)"#, r#"f("        ", b)"#);
        assert_code(r##"r#"a"b"# c"##, "r      # c");
        assert_code("'\"' 'a 'x' '\\'' '\\u{41}' b", "' ' 'a ' ' '  ' '      ' b");
        assert_code("'é' r#type", "'  ' r#type");
    }

    #[test]
    fn comments_keep_their_lines() {
        let parts = Parts::of("a\n// SAFETY: x\n/* y */ b\n");
        assert_eq!(parts.comments, " \n// SAFETY: x\n/* y */  \n");
    }

    #[test]
    fn open_braces_are_known_by_their_heads() {
        let code = "mod a { fn f() {} impl A for B { const C: u8 = 1; fn g() { x";
        assert_eq!(open_heads(code, code.len()), ["mod a", "impl A for B", "fn g()"]);
    }

    #[test]
    fn a_word_is_found_only_as_a_word() {
        let parts = Parts::of("unsafe_code\nunsafe { \"unsafe\" }\nnot_unsafe\n");
        let lines: Vec<usize> = parts.words("unsafe").iter().map(|at| parts.line(*at)).collect();
        assert_eq!(lines, [2]);
    }
}

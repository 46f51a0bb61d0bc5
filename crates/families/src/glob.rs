//! Matching keys against the patterns of KEYS, SCAN and CONFIG GET.
//!
//! `*` is any run of bytes, `?` any byte, `[a-c]` and `[^a-c]` sets of bytes, `\` takes the next
//! byte as it is. The matcher is iterative and remembers the last `*` only, so its cost is at
//! most pattern times text, however hostile the pattern. Redis, which calls itself for each `*`,
//! gives up at some depth; so nothing matches here either where it does.

/// The most runs of `*` with something behind them that a text is matched through.
const STARS_MAX: usize = 1000;

/// Whether `text` matches `pattern`. With `fold` letters match in either case.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8], fold: bool) -> bool {
    let (mut at, mut here) = (0, 0);
    // Where to go on after the last `*`: behind it, with one more byte of the text taken by it.
    let mut retry: Option<(usize, usize)> = None;
    let mut stars = 0;
    while here < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += pattern[at..].iter().take_while(|&&byte| byte == b'*').count();
            stars += 1;
            if at == pattern.len() {
                return true;
            }
            if stars > STARS_MAX {
                return false;
            }
            retry = Some((at, here));
            continue;
        }
        match step(pattern, at, text[here], fold) {
            Some(next) => {
                at = next;
                here += 1;
            }
            None => {
                let Some((behind, taken)) = retry else { return false };
                retry = Some((behind, taken + 1));
                (at, here) = (behind, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// The place in the pattern behind the part that matches one byte; `None` if it does not.
fn step(pattern: &[u8], at: usize, byte: u8, fold: bool) -> Option<usize> {
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => set(pattern, at + 1, byte, fold),
        b'\\' if at + 1 < pattern.len() => same(pattern[at + 1], byte, fold).then_some(at + 2),
        literal => same(literal, byte, fold).then_some(at + 1),
    }
}

/// A set of bytes, from behind its `[`. A set without end goes to the pattern's end.
fn set(pattern: &[u8], mut at: usize, byte: u8, fold: bool) -> Option<usize> {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let byte = lower(byte, fold);
    let mut found = false;
    loop {
        match pattern[at.min(pattern.len())..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', literal, ..] => {
                found |= lower(literal, fold) == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                let (from, to) = (lower(from, fold), lower(to, fold));
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= lower(literal, fold) == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

fn same(one: u8, other: u8, fold: bool) -> bool {
    lower(one, fold) == lower(other, fold)
}

fn lower(byte: u8, fold: bool) -> u8 {
    if fold { byte.to_ascii_lowercase() } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_redis_documents_them() {
        let holds = [
            ("*", ""),
            ("h?llo", "hello"),
            ("h*llo", "heeeello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("\\*", "*"),
            ("[c-a]", "b"),
            ("a[b", "ab"),
            ("*a*b*", "xxaxxbxx"),
            ("[\\]]", "]"),
            ("**", "x"),
            ("a\\", "a\\"),
        ];
        for (pattern, text) in holds {
            assert!(matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} {text}");
        }
        let fails = [("", "a"), ("h?llo", "hllo"), ("h[^e]llo", "hello"), ("*a", "b"), ("a", "A")];
        for (pattern, text) in fails {
            assert!(!matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} {text}");
        }
        assert!(matches(b"HE[A-z]lo", b"helLO", true));
    }

    #[test]
    fn a_hostile_pattern_is_answered_at_once() {
        let pattern = [b"a*".repeat(500), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &b"a".repeat(5_000), false));
    }

    #[test]
    fn a_pattern_of_more_stars_than_redis_follows_matches_nothing() {
        let text = b"a".repeat(3_000);
        assert!(matches(&b"*?".repeat(1_000), &text, false));
        assert!(matches(&[b"*?".repeat(1_000), b"**".to_vec()].concat(), &text, false));
        assert!(!matches(&b"*?".repeat(1_001), &text, false));
    }
}

//! Glob patterns: `*`, `?`, `[a-z]`, `[^a]` and `\` as in `KEYS`; for names of
//! settings without regard to letter case, for paths with it.
//!
//! A `*` that fails is retried one byte further, and only the latest one is,
//! so the work is bounded by the product of the two lengths.

/// Whether `pattern` describes all of a setting's name.
pub(crate) fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    matches(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase())
}

/// Whether `pattern` describes all of `text`.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut at) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', tail @ ..] = rest {
            retry = Some((tail, at));
            rest = tail;
        } else if let Some(tail) = one(rest, at) {
            (rest, at) = (tail, &at[1..]);
        } else if rest.is_empty() && at.is_empty() {
            return true;
        } else {
            let Some((after_star, [_, later @ ..])) = retry else { return false };
            retry = Some((after_star, later));
            (rest, at) = (after_star, later);
        }
    }
}

/// Whether `pattern` is more than a plain name.
pub(crate) fn is_pattern(pattern: &[u8]) -> bool {
    pattern.iter().any(|byte| b"[*?".contains(byte))
}

/// What is left of the pattern once its first item took the first byte.
fn one<'a>(pattern: &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
    let &byte = text.first()?;
    match pattern {
        [] => None,
        [b'?', tail @ ..] => Some(tail),
        [b'[', tail @ ..] => class(tail, byte),
        [b'\\', escaped, tail @ ..] => (*escaped == byte).then_some(tail),
        [plain, tail @ ..] => (*plain == byte).then_some(tail),
    }
}

/// What follows a class, if `byte` is in it. A class without an end reaches to
/// the end of the pattern.
fn class(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (negated, mut rest) = match pattern {
        [b'^', tail @ ..] => (true, tail),
        _ => (false, pattern),
    };
    let mut found = false;
    loop {
        let (low, high);
        (low, high, rest) = match rest {
            [] | [b']', ..] => {
                return (found != negated).then_some(rest.get(1..).unwrap_or_default());
            }
            [b'\\', escaped, tail @ ..] => (*escaped, *escaped, tail),
            [low, b'-', high, tail @ ..] => (*low.min(high), *low.max(high), tail),
            [single, tail @ ..] => (*single, *single, tail),
        };
        found |= (low..=high).contains(&byte);
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, matches_name};

    #[test]
    fn patterns_match_as_in_keys() {
        let yes = [
            ("*", ""),
            ("max*", "maxmemory"),
            ("*memory*", "maxmemory-policy"),
            ("m?xmemory", "maxmemory"),
            ("[a-n]axmemory", "maxmemory"),
            ("[^a]*", "maxmemory"),
            ("max\\*", "max*"),
            ("a*b*c", "aXbXbXc"),
            ("h[a", "ha"),
        ];
        for (pattern, text) in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        assert!(matches_name(b"MAX*[X-Z]", b"MaxMemory"));
        let no = [
            ("A", "a"),
            ("", "a"),
            ("a", ""),
            ("max?", "max"),
            ("[^m]*", "maxmemory"),
            ("a*b", "abc"),
        ];
        for (pattern, text) in no {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_forever() {
        let pattern = "*a".repeat(1_000) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(1_000).as_bytes()));
    }
}

//! Values by their text: `ARGREP`.
//!
//! # Invariants
//!
//! * A value costs time linear in its length for each predicate but GLOB: texts are searched for by
//!   a two-way search, regular expressions run as automata of bounded size.
//! * All regular expressions of a request together have a bounded size.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::ControlFlow;

use command::{
    Arg, Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Reply, Run, View,
};
use keyspace::array::INDEX_MAX;
use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use smallvec::SmallVec;
use value::entries::{Digits, Element};

use super::error::ArrayError;
use super::words::{SlotIndex, each_used, meant, take_limit, tell_index};
use crate::element::tell;
use crate::glob;

/// The most predicates of a request.
const PREDICATES_MAX: usize = 250;

/// The most bytes of a regular expression.
const REGEX_BYTES_MAX: usize = 2048;

/// How deep groups of a regular expression may lie in each other.
const REGEX_NEST_MAX: u32 = 64;

/// Bytes of all regular expressions of a request once they are compiled, about.
const REGEXES_COMPILED_MAX: usize = 2 << 20;

/// Bytes of one of them, however many there are, about.
const REGEX_COMPILED_MIN: usize = 16 << 10;

pub(super) const ARGREP: Command = Command {
    name: "ARGREP",
    work: Some(|args, keys| {
        // Two words a predicate, behind key and ends.
        let predicates = args.len().saturating_sub(3).div_ceil(2) as u64;
        meant(args, keys).saturating_mul(predicates)
    }),
    run: Run::Read(argrep),
    arity: Arity::AtLeast(6),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    category: Category::ARRAY,
    group: Group::Array,
    since: "8.8.0",
    summary: "Returns the indexes between two of an array whose values match.",
    complexity: "O(N * C) where N is how many values there are in slices that are touched and C \
                 what it costs to match one",
    syntax: "key start end (EXACT string | MATCH string | GLOB pattern | RE pattern) ... \
             [AND | OR] [LIMIT limit] [WITHVALUES] [NOCASE]",
    ..Command::BASE
};

fn argrep(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, Bound(start)): (Key<'_>, Bound) = (args.take()?, args.take()?);
    let Bound(end) = args.take()?;
    let search = Search::parse(args)?;
    let tests = search.compile()?;
    let Some(array) = keys.array(key.0)? else {
        reply.array(0);
        return Ok(());
    };
    let list = reply.deferred_array();
    let (mut told, mut scratch) = (0, Vec::new());
    let _: ControlFlow<()> = each_used(array, start, end, |index, element| {
        if !search.holds(&tests, element, &mut scratch) {
            return ControlFlow::Continue(());
        }
        if search.with_values {
            reply.array(2);
        }
        tell_index(index, reply);
        if search.with_values {
            tell(element, reply);
        }
        told += 1;
        if told < search.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    reply.finish(list, told as usize);
    Ok(())
}

/// An end of the range: an index, `-` for the first one or `+` for the last one.
struct Bound(u64);

impl Arg<'_> for Bound {
    fn parse(raw: &[u8]) -> Result<Bound, CommandError> {
        match raw {
            b"-" => Ok(Bound(0)),
            b"+" => Ok(Bound(INDEX_MAX)),
            _ => SlotIndex::parse(raw).map(|index| Bound(index.0)),
        }
    }
}

/// What is looked for, as the words say it.
struct Search<'a> {
    predicates: SmallVec<[(Kind, &'a [u8]); 4]>,
    /// Whether all predicates have to hold, not only one.
    all: bool,
    limit: u64,
    with_values: bool,
    fold: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exact,
    Within,
    Glob,
    Regex,
}

/// A predicate, ready to be asked.
enum Test<'a> {
    Exact(&'a [u8]),
    Within(Box<Finder<'a>>),
    Glob(&'a [u8]),
    Regex(Regex),
}

impl<'a> Search<'a> {
    fn parse(mut args: Args<'a>) -> Result<Search<'a>, CommandError> {
        const KINDS: [(&str, Kind); 4] = [
            ("EXACT", Kind::Exact),
            ("MATCH", Kind::Within),
            ("GLOB", Kind::Glob),
            ("RE", Kind::Regex),
        ];
        let mut search = Search {
            predicates: SmallVec::new(),
            all: false,
            limit: u64::MAX,
            with_values: false,
            fold: false,
        };
        while !args.is_empty() {
            let kind = KINDS.into_iter().find(|(word, _)| args.word_with_value(word));
            if let Some((_, kind)) = kind {
                if search.predicates.len() == PREDICATES_MAX {
                    return Err(ArrayError::Predicates.into());
                }
                search.predicates.push((kind, args.bytes()?));
            } else if let Some(limit) = take_limit(&mut args)? {
                search.limit = limit;
            } else if args.word("WITHVALUES") {
                search.with_values = true;
            } else if args.word("NOCASE") {
                search.fold = true;
            } else if args.word("AND") {
                search.all = true;
            } else if args.word("OR") {
                search.all = false;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if search.predicates.is_empty() {
            return Err(CommandError::Syntax);
        }
        Ok(search)
    }

    fn compile(&self) -> Result<SmallVec<[Test<'a>; 4]>, CommandError> {
        let is_regex = |&&(kind, _): &&(Kind, &[u8])| kind == Kind::Regex;
        let regexes = self.predicates.iter().filter(is_regex).count();
        let bytes_max = (REGEXES_COMPILED_MAX / regexes.max(1)).max(REGEX_COMPILED_MIN);
        let tests = self.predicates.iter().map(|&(kind, text)| {
            Ok::<_, CommandError>(match kind {
                Kind::Exact => Test::Exact(text),
                Kind::Within if self.fold => {
                    let folded = Finder::new(&text.to_ascii_lowercase()).into_owned();
                    Test::Within(Box::new(folded))
                }
                Kind::Within => Test::Within(Box::new(Finder::new(text))),
                Kind::Glob => Test::Glob(text),
                Kind::Regex => Test::Regex(regex(text, self.fold, bytes_max)?),
            })
        });
        tests.collect()
    }

    /// Whether a value is one that is looked for.
    fn holds(&self, tests: &[Test<'_>], element: Element<'_>, scratch: &mut Vec<u8>) -> bool {
        let mut digits = Digits::new();
        let text = element.to_text(&mut digits);
        let looks_within = tests.iter().any(|test| matches!(test, Test::Within(_)));
        if self.fold && looks_within {
            scratch.clear();
            scratch.extend(text.iter().map(u8::to_ascii_lowercase));
        }
        let haystack = if self.fold { scratch.as_slice() } else { text };
        let holds = |test: &Test<'_>| match test {
            Test::Exact(sought) if self.fold => sought.eq_ignore_ascii_case(text),
            Test::Exact(sought) => *sought == text,
            Test::Within(finder) => finder.find(haystack).is_some(),
            Test::Glob(pattern) => glob::matches(pattern, text, self.fold),
            Test::Regex(regex) => regex.is_match(text),
        };
        if self.all { tests.iter().all(holds) } else { tests.iter().any(holds) }
    }
}

/// A regular expression over bytes, or over characters if there are others than ASCII's in it.
/// `.` is any of them, line ends too, and `^` and `$` are the ends of the whole value.
fn regex(pattern: &[u8], fold: bool, bytes_max: usize) -> Result<Regex, ArrayError> {
    if pattern.len() > REGEX_BYTES_MAX {
        return Err(ArrayError::RegexTooLong);
    }
    let text = match std::str::from_utf8(pattern) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(escaped(pattern)),
    };
    RegexBuilder::new(&text)
        .unicode(!text.is_ascii())
        .case_insensitive(fold)
        .dot_matches_new_line(true)
        .nest_limit(REGEX_NEST_MAX)
        .size_limit(bytes_max)
        .dfa_size_limit(bytes_max)
        .build()
        .map_err(|_| ArrayError::Regex)
}

/// The same expression with bytes beyond ASCII written as numbers.
fn escaped(pattern: &[u8]) -> String {
    let mut text = String::new();
    for &byte in pattern {
        if byte.is_ascii() {
            text.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = REGEXES_COMPILED_MAX;

    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        regex(pattern, false, BYTES_MAX).unwrap().is_match(text)
    }

    #[test]
    fn expressions_are_over_bytes_and_over_characters_if_they_hold_some() {
        assert!(matches(b"^a.c$", b"a\xffc") && matches(b"^a.c$", b"a\nc"));
        assert!(matches(b"^[[:alpha:]]+[0-9]{2}$", b"abc12"));
        assert!(!matches(b"^c", b"ab\nc") && !matches(b"b$", b"b\n"));
        assert!(matches(b"\xff+", b"a\xff") && !matches(b"\xff", b"\xc3\xbf"));
        let umlaut = "ä".as_bytes();
        assert!(matches("^[äö]$".as_bytes(), umlaut) && matches(b"^..$", umlaut));
        assert!(regex("Ä".as_bytes(), true, BYTES_MAX).unwrap().is_match(umlaut));
    }

    #[test]
    fn what_is_no_expression_or_too_costly_is_refused() {
        for bad in ["(", "[a", "*", r"(a)\1", "a{2,1}", "((a{100}){100}){100}"] {
            let refused = regex(bad.as_bytes(), false, BYTES_MAX).err();
            assert_eq!(refused, Some(ArrayError::Regex), "{bad}");
        }
        let deep = [vec![b'('; 500], vec![b')'; 500]].concat();
        assert_eq!(regex(&deep, false, BYTES_MAX).err(), Some(ArrayError::Regex));
        let long = vec![b'a'; REGEX_BYTES_MAX + 1];
        assert_eq!(regex(&long, false, BYTES_MAX).err(), Some(ArrayError::RegexTooLong));
        assert!(regex(&long[1..], false, BYTES_MAX).is_ok());
    }

    #[test]
    fn a_hostile_expression_is_answered_at_once() {
        let text = vec![b'a'; 100_000];
        assert!(!matches(b"^(a+)+$b", &text));
        assert!(!matches(b"(a|aa)*c", &text));
    }
}

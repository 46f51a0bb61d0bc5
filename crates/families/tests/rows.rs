//! What holds of the rows of all families.

use std::collections::BTreeSet;

use command::{Command, Find, Flags, Run};
use families::FAMILIES;

fn rows() -> impl Iterator<Item = &'static Command> {
    let all = FAMILIES.iter().flat_map(|family| family.iter());
    all.flat_map(|row| std::iter::once(row).chain(row.subcommands))
}

#[test]
fn names_are_unique_and_in_upper_case() {
    let mut names = BTreeSet::new();
    for row in FAMILIES.iter().flat_map(|family| family.iter()) {
        assert!(names.insert(row.name), "{} is there twice", row.name);
    }
    for row in rows() {
        assert_eq!(row.name, row.name.to_ascii_uppercase());
    }
}

#[test]
fn every_version_and_every_line_of_the_manual_is_there() {
    for row in rows() {
        let numbers: Vec<_> = row.since.split('.').map(str::parse::<u8>).collect();
        assert!(numbers.len() == 3 && numbers.iter().all(Result::is_ok), "{}", row.name);
        assert!(row.summary.ends_with('.'), "{}", row.name);
        assert!(row.complexity.starts_with("O("), "{}", row.name);
    }
}

#[test]
fn the_first_key_is_a_word_that_every_request_has() {
    for row in rows() {
        let least = row.arity.number().unsigned_abs();
        for spec in row.keys.iter().filter(|spec| !spec.is_optional()) {
            let begin = spec.begin.least();
            let first = match spec.find {
                Find::Range { .. } | Find::FirstHalf => begin,
                Find::Counted { first, .. } => begin + first,
                Find::Behind(_) | Find::Unknown => unreachable!("they are optional"),
            };
            // Commands that take any number of keys from there on may take none.
            let is_open = matches!(spec.find, Find::Range { last: -1, .. });
            let first = u64::from(first);
            assert!(first < least || is_open && first == least, "{}", row.name);
        }
    }
}

#[test]
fn who_reads_and_writes_says_which_keys() {
    for row in rows() {
        let uses: Vec<&str> =
            row.keys.iter().filter_map(|spec| spec.usage.0.first()).copied().collect();
        if let Run::Read(_) = row.run {
            assert!(uses.iter().all(|&usage| usage == "RO"), "{}", row.name);
        }
        if row.flags.has(Flags::DENY_OOM) {
            assert!(row.writes(), "{} may grow memory but does not write", row.name);
        }
    }
}

/// Commands that may take long for another reason than their number of words, and say nothing of
/// it: how far they go is not known before, and it is never far.
const SHORT: &[&str] = &[
    // A list's chunks are passed over as a whole.
    "LINDEX",
    "LSET",
    // As many as there are words.
    "ARINFO",
    "ARSET",
    "ARMSET",
    "ARINSERT",
    "ARMGET",
    "ARDEL",
    "EXISTS",
    "TOUCH",
    "UNLINK",
    "STICK",
    "MGET",
    "MSET",
    "MSETNX",
    "MSETEX",
    // A long string is referred to, not copied.
    "GETRANGE",
    "SUBSTR",
    // Registers of one HyperLogLog.
    "PFDEBUG",
    "PFSELFTEST",
    // As many as there are words: keys that are looked for.
    "BLPOP",
    "BRPOP",
];

#[test]
fn who_may_take_long_says_how_long() {
    for row in rows().filter(|row| matches!(row.run, Run::Read(_) | Run::Write(_) | Run::Block(_)))
    {
        let may = row.complexity.contains("O(N") || row.complexity.contains("+M");
        let says = row.work.is_some() || SHORT.contains(&row.name);
        assert!(says || !may, "{}: {}", row.name, row.complexity);
    }
}

#[test]
fn who_prepares_what_it_writes_may_take_long_and_names_what_it_writes() {
    for row in rows().filter(|row| row.prepare.is_some()) {
        assert!(row.writes() && row.work.is_some(), "{}", row.name);
        let written = |spec: &command::KeySpec| !spec.usage.0.contains(&"RO");
        assert!(row.keys.iter().any(written), "{}", row.name);
    }
}

/// The words of a syntax that every request has, in order.
fn certain_words(syntax: &str) -> Vec<String> {
    let mut depth = 0;
    let mut text = String::new();
    for letter in syntax.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            '(' | ')' => text.push(' '),
            _ if depth == 0 => text.push(letter),
            _ => {}
        }
    }
    text.split_whitespace().map(str::to_owned).collect()
}

/// ZRANGE took ZADD's place of a member over, so each request had the memory of a member asked for
/// that it does not name.
#[test]
fn a_member_is_where_its_row_says() {
    for row in FAMILIES.iter().copied().flatten() {
        let Some(at) = row.member else { continue };
        let words = certain_words(row.syntax);
        let word = words.get(usize::from(at) - 1);
        let is_member = word.is_some_and(|word| word == "member" || word == "field");
        assert!(is_member, "{}: {word:?}", row.name);
    }
}

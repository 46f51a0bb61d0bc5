//! `LCS`: the longest common subsequence of two strings, by dynamic programming.
//!
//! A cell of the table tells how long the longest common subsequence of two prefixes is. Lengths
//! are kept for one row only; the way back from the last cell needs but one bit a cell, so the
//! table takes a 32nd of what it would take with lengths, and nothing if only the length is
//! asked for.
//!
//! # Invariants
//!
//! * Both strings together are no larger than a table of [`STRING_BYTES_MAX`] bytes with 32-bit
//!   lengths would allow, as in Redis: a bound for the time the command takes.

use command::{
    Args, Arity, Begin, Category, Command, CommandError, Done, Find, Flags, Group, Key, KeySpec,
    KeyUse, Reply, Run, STRING_BYTES_MAX, View,
};
use keyspace::Refused;

pub(super) const LCS: Command = Command {
    name: "LCS",
    work: Some(cells),
    run: Run::Read(lcs),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec {
        begin: Begin::Index(1),
        find: Find::Range { last: 1, step: 1 },
        usage: KeyUse::READ,
        note: "",
    }],
    flags: Flags::NONE,
    category: Category::STRING,
    group: Group::String,
    since: "7.0.0",
    summary: "Finds the longest common subsequence of two strings.",
    complexity: "O(N*M) where N and M are the lengths of the strings",
    syntax: "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    ..Command::BASE
};

/// The steps of filling the table.
fn cells(args: Args<'_>, keys: &View<'_>) -> u64 {
    const CELLS: u64 = 50;
    let len = |nth| args.get(nth).map_or(0, |key| keys.elements(key));
    len(0).saturating_mul(len(1)) / CELLS
}

fn lcs(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (one, other): (Key<'_>, Key<'_>) = (args.take()?, args.take()?);
    let (a, b) = (text_of(one, keys), text_of(other, keys));
    let (a, b) = (a?, b?);
    let options = Options::parse(args)?;
    check_size(a.len(), b.len())?;
    match options {
        Options { len: true, .. } => reply.integer(i64::from(length(a, b))),
        Options { idx: true, .. } => reply_with_matches(&options, &matches(a, b), reply),
        _ => reply.bulk(&common(a, &matches(a, b))),
    }
    Ok(())
}

fn text_of<'v>(key: Key<'_>, keys: &'v View<'_>) -> Result<&'v [u8], CommandError> {
    match keys.str(key.0) {
        Ok(text) => Ok(text.map_or(&[], |text| text.as_bytes())),
        Err(Refused::WrongType) => Err(CommandError::LcsTypes),
        Err(refused) => Err(refused.into()),
    }
}

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    match_len_min: i64,
    with_match_len: bool,
}

impl Options {
    fn parse(mut args: Args<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        while !args.is_empty() {
            if args.word("IDX") {
                options.idx = true;
            } else if args.word("LEN") {
                options.len = true;
            } else if args.word("WITHMATCHLEN") {
                options.with_match_len = true;
            } else if args.word_with_value("MINMATCHLEN") {
                options.match_len_min = args.take::<i64>()?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.len && options.idx { Err(CommandError::LcsLenAndIdx) } else { Ok(options) }
    }
}

/// Refuses strings whose table would be too large.
fn check_size(a: usize, b: usize) -> Result<(), CommandError> {
    let cells = (a + 1).checked_mul(b + 1);
    let bytes = cells.and_then(|cells| cells.checked_mul(size_of::<u32>()));
    let fits = bytes.is_some_and(|bytes| bytes <= STRING_BYTES_MAX);
    if fits { Ok(()) } else { Err(CommandError::LcsTooLong) }
}

/// Bytes that stand side by side in both strings, from these positions on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

fn reply_with_matches(options: &Options, matches: &[Match], reply: &mut Reply<'_>) {
    let total: usize = matches.iter().map(|one| one.len).sum();
    let is_long = |one: &&Match| one.len as i64 >= options.match_len_min;
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(matches.iter().filter(is_long).count());
    for one in matches.iter().filter(is_long) {
        reply.array(2 + usize::from(options.with_match_len));
        for start in [one.a, one.b] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer((start + one.len - 1) as i64);
        }
        if options.with_match_len {
            reply.integer(one.len as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(total as i64);
}

/// The common subsequence that the matches spell.
fn common(a: &[u8], matches: &[Match]) -> Vec<u8> {
    let parts = matches.iter().rev().map(|one| &a[one.a..one.a + one.len]);
    parts.flatten().copied().collect()
}

/// How long the longest common subsequence is.
fn length(a: &[u8], b: &[u8]) -> u32 {
    fill(a, b, |_, _| {})
}

/// Fills the table row by row; `up` hears of each cell without a match whose longer neighbour is
/// the one above, by its row and column. Returns the last cell.
fn fill(a: &[u8], b: &[u8], mut up: impl FnMut(usize, usize)) -> u32 {
    let mut row = vec![0_u32; b.len() + 1];
    for (i, &byte) in a.iter().enumerate() {
        let (mut diagonal, mut left) = (0, 0);
        for (j, &other) in b.iter().enumerate() {
            let above = row[j + 1];
            let cell = if byte == other {
                diagonal + 1
            } else if above > left {
                up(i, j);
                above
            } else {
                left
            };
            (diagonal, left) = (above, cell);
            row[j + 1] = cell;
        }
    }
    row[b.len()]
}

/// The cells of a table whose longer neighbour is the one above, a bit each.
struct Ups {
    columns: usize,
    bits: Vec<u64>,
}

impl Ups {
    fn of(a: &[u8], b: &[u8]) -> Ups {
        let mut ups = Ups { columns: b.len(), bits: vec![0; (a.len() * b.len()).div_ceil(64)] };
        fill(a, b, |row, column| {
            let (word, bit) = ups.place(row, column);
            ups.bits[word] |= 1 << bit;
        });
        ups
    }

    fn place(&self, row: usize, column: usize) -> (usize, usize) {
        let cell = row * self.columns + column;
        (cell / 64, cell % 64)
    }

    fn has(&self, row: usize, column: usize) -> bool {
        let (word, bit) = self.place(row, column);
        self.bits[word] >> bit & 1 == 1
    }
}

/// The matches that make up the longest common subsequence, from the last to the first.
fn matches(a: &[u8], b: &[u8]) -> Vec<Match> {
    let ups = Ups::of(a, b);
    let (mut i, mut j) = (a.len(), b.len());
    let mut found: Vec<Match> = Vec::new();
    let mut goes_on = false;
    while i > 0 && j > 0 {
        let is_match = a[i - 1] == b[j - 1];
        if is_match {
            (i, j) = (i - 1, j - 1);
            match found.last_mut() {
                Some(last) if goes_on => *last = Match { a: i, b: j, len: last.len + 1 },
                _ => found.push(Match { a: i, b: j, len: 1 }),
            }
        } else if ups.has(i - 1, j - 1) {
            i -= 1;
        } else {
            j -= 1;
        }
        goes_on = is_match;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, by trying everything.
    fn longest(a: &[u8], b: &[u8]) -> usize {
        match (a, b) {
            ([], _) | (_, []) => 0,
            ([x, a @ ..], [y, b @ ..]) if x == y => 1 + longest(a, b),
            ([_, rest @ ..], [_, other @ ..]) => longest(rest, b).max(longest(a, other)),
        }
    }

    fn is_subsequence(part: &[u8], of: &[u8]) -> bool {
        let mut rest = of.iter();
        part.iter().all(|byte| rest.any(|other| other == byte))
    }

    proptest! {
        #[test]
        fn it_is_common_and_none_is_longer(a in "[abc]{0,9}", b in "[abc]{0,9}") {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            let found = common(a, &matches(a, b));
            prop_assert!(is_subsequence(&found, a) && is_subsequence(&found, b));
            prop_assert_eq!(found.len(), longest(a, b));
            prop_assert_eq!(length(a, b) as usize, found.len());
        }

        #[test]
        fn matches_are_equal_parts_apart_from_each_other(a in "[ab]{0,12}", b in "[ab]{0,12}") {
            let found = matches(a.as_bytes(), b.as_bytes());
            for one in &found {
                prop_assert_eq!(&a[one.a..][..one.len], &b[one.b..][..one.len]);
            }
            for pair in found.windows(2) {
                let (later, earlier) = (pair[0], pair[1]);
                prop_assert!(earlier.a + earlier.len <= later.a);
                prop_assert!(earlier.b + earlier.len <= later.b);
            }
        }
    }

    #[test]
    fn strings_with_too_large_a_table_are_refused() {
        let cells = STRING_BYTES_MAX / 4;
        assert_eq!(check_size(0, cells - 1), Ok(()));
        assert_eq!(check_size(0, cells), Err(CommandError::LcsTooLong));
        assert_eq!(check_size(usize::MAX - 1, 1 << 40), Err(CommandError::LcsTooLong));
    }
}

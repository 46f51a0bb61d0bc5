//! The rows of all commands: rules that hold of each, and the facts that clients know of them.
//!
//! `data/commands.tsv` has one line for each command of Redis 8 and Valkey 9 in the groups that are
//! served: what COMMAND INFO of those servers tells. A flag behind `?` is known to Valkey only, and
//! a row may have it or not. A row may differ elsewhere where [`DIFFERENT`] says so.

use std::collections::{BTreeMap, BTreeSet};

use command::{Arity, Begin, Command, Find, Flags, KeySpec, Run, Shape, arguments};
use server::server::{CommandTable, command_table};

const FACTS: &str = include_str!("data/commands.tsv");

/// Commands that Redis and Valkey do not have, or not as commands of their own: DEBUG takes its
/// subcommands apart itself there.
fn is_ours(name: &str) -> bool {
    const OURS: [&str; 7] =
        ["CL.THROTTLE", "FIELDEXPIRE", "FIELDTTL", "PREPEND", "RM", "SADDEX", "STICK"];
    OURS.contains(&name) || name.starts_with("DEBUG|")
}

/// Where a row differs from the facts, and why that is right.
const DIFFERENT: &[(&str, &str)] = &[
    // As Redis; Valkey calls it skip_commandlog.
    ("EXEC", "flags"),
    // Redis had it first.
    ("MSETEX", "since"),
    // Dragonfly's form of it has a word less.
    ("HSETEX", "arity"),
    // Those servers do not show this one.
    ("DEBUG", "flags"),
];

/// Writes over another key that need no memory of their own: they move what is there.
const MOVES: [&str; 3] = ["RENAME", "RENAMENX", "SMOVE"];

/// Each command and subcommand with its full name.
fn all(table: &CommandTable) -> Vec<(String, &'static Command)> {
    let each = table.iter().flat_map(|entry| {
        let container = entry.command;
        entry.numbered().map(move |(_, command)| {
            let name = if std::ptr::eq(container, command) {
                container.name.to_owned()
            } else {
                format!("{}|{}", container.name, command.name)
            };
            (name, command)
        })
    });
    each.collect()
}

#[test]
fn names_are_unique_and_in_upper_case() {
    let names: Vec<String> = all(&command_table()).into_iter().map(|(name, _)| name).collect();
    let unique: BTreeSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    for name in names {
        assert_eq!(name, name.to_uppercase());
    }
}

#[test]
fn every_row_is_complete() {
    for (name, command) in all(&command_table()) {
        assert!(!command.summary.is_empty(), "{name} has no summary");
        let numbers: Vec<_> = command.since.split('.').map(str::parse::<u32>).collect();
        assert!(numbers.len() == 3 && numbers.iter().all(Result::is_ok), "{name}: since");
        let holds = |mark: char| command.syntax.matches(mark).count();
        assert_eq!(holds('['), holds(']'), "{name}: syntax");
        assert_eq!(holds('('), holds(')'), "{name}: syntax");
        let takes_words = !matches!(command.run, Run::Container) && command.syntax.is_empty();
        let least = arity_min(command.arity);
        let own = 1 + usize::from(name.contains('|'));
        assert!(!takes_words || least == own, "{name} takes {least} words and has no syntax");
        assert_eq!(arguments(command.syntax).is_empty(), command.syntax.is_empty(), "{name}");
    }
}

fn arity_min(arity: Arity) -> usize {
    match arity {
        Arity::Exactly(words) | Arity::AtLeast(words) => usize::from(words),
    }
}

#[test]
fn keys_stand_among_the_words_that_a_request_must_have() {
    for (name, command) in all(&command_table()) {
        let words = arity_min(command.arity);
        for spec in command.keys.iter().filter(|spec| !spec.is_optional()) {
            let begin = spec.begin.least();
            let last = match spec.find {
                Find::Range { last, .. } if last > 0 => begin as usize + last as usize,
                Find::Range { .. } | Find::Counted { .. } | Find::FirstHalf => begin.into(),
                Find::Behind(_) | Find::Unknown => unreachable!("they are optional"),
            };
            // Commands that take any number of keys may take none.
            let open = matches!(spec.find, Find::Range { last: -1, .. });
            assert!(last < words || open, "{name}: a key at {last}, {words} words");
            assert!(begin as usize > usize::from(name.contains('|')), "{name}: a name is no key");
        }
        let runs_on_keys = !matches!(command.run, Run::Session | Run::Container);
        let has_keys = command.keys.iter().any(|spec| spec.usage.is_of_key());
        assert!(runs_on_keys || !has_keys, "{name} has keys and enters no shard");
    }
}

#[test]
fn a_write_that_may_need_memory_is_refused_when_there_is_none() {
    for (name, command) in all(&command_table()) {
        let may_grow = command.keys.iter().any(|spec| {
            let does = |flag: &str| spec.usage.0.contains(&flag);
            does("insert") || (does("OW") && !does("delete"))
        });
        if command.writes() && may_grow && !MOVES.contains(&name.as_str()) {
            assert!(command.flags.has(Flags::DENY_OOM), "{name}");
        }
        // What the session keeps needs memory, too.
        let may_need = command.writes() || matches!(command.run, Run::Session);
        assert!(may_need || !command.flags.has(Flags::DENY_OOM), "{name} writes nothing");
    }
}

/// What COMMAND INFO tells of a command, in the notation of the facts.
fn told(command: &Command) -> [String; 5] {
    let sorted = |names: Vec<&str>| -> String {
        let names: BTreeSet<&str> = names.into_iter().collect();
        let joined = names.into_iter().collect::<Vec<_>>().join(",");
        if joined.is_empty() { "-".to_owned() } else { joined }
    };
    let keys: Vec<String> = command.keys.iter().map(told_of_keys).collect();
    [
        command.arity.number().to_string(),
        sorted(command.flag_names().collect()),
        sorted(command.categories().names().collect()),
        if keys.is_empty() { "-".to_owned() } else { keys.join(" ") },
        command.since.to_owned(),
    ]
}

fn told_of_keys(spec: &KeySpec) -> String {
    let usage: BTreeSet<&str> = spec.usage.0.iter().copied().collect();
    let usage = usage.into_iter().collect::<Vec<_>>().join("+");
    let begin = match spec.begin {
        Begin::Index(begin) => begin.to_string(),
        Begin::Keyword { word, from } | Begin::Option { word, from, .. } => {
            format!("kw:{word}+{from}")
        }
    };
    let find = match spec.find {
        Find::Behind(_) | Find::Unknown => return format!("?:?()[{usage}]"),
        Find::Range { last, step } => format!("range(last={last},step={step})"),
        Find::Counted { first, step } => format!("keynum(numidx=0,first={first},step={step})"),
        Find::FirstHalf => "range(last=-1,step=1,limit=2)".to_owned(),
    };
    format!("{begin}:{find}[{usage}]")
}

/// Whether a list is the known one, in which a word behind `?` need not be there.
fn agrees(row: &str, known: &str) -> bool {
    let (may, must): (BTreeSet<&str>, BTreeSet<&str>) =
        known.split(',').partition(|word| word.starts_with('?'));
    let row: BTreeSet<&str> = row.split(',').collect();
    let must: BTreeSet<&str> = if must.is_empty() { BTreeSet::from(["-"]) } else { must };
    let extra = |word: &&str| !must.contains(word) && !may.contains(format!("?{word}").as_str());
    must.is_subset(&row) && !row.iter().any(extra)
}

/// Commands with one key run on a short way, which the most used must not leave.
#[test]
fn one_key_behind_the_name_is_seen() {
    let table = command_table();
    let shape = |name: &str| table.find(name.as_bytes()).map(|entry| entry.shape);
    for name in ["GET", "SET", "INCR", "GETEX", "SETEX", "BITFIELD", "DELEX", "EXPIRE", "TTL"] {
        assert_eq!(shape(name), Some(Shape::FirstWord), "{name}");
    }
    for (name, expected) in
        [("MGET", Shape::Specs), ("KEYS", Shape::Everything), ("PING", Shape::Keyless)]
    {
        assert_eq!(shape(name), Some(expected), "{name}");
    }
}

#[test]
fn rows_say_what_clients_know() {
    let lines = FACTS.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    let facts: BTreeMap<&str, Vec<&str>> =
        lines.map(|fields| (fields[0], fields[1..].to_vec())).collect();
    let mut wrong = Vec::new();
    for (name, command) in all(&command_table()) {
        let Some(fact) = facts.get(name.as_str()) else {
            if !is_ours(&name) {
                wrong.push(format!("{name}: no fact"));
            }
            continue;
        };
        let columns = ["arity", "flags", "categories", "keys", "since"];
        for ((column, row), known) in columns.iter().zip(told(command)).zip(&fact[1..]) {
            let excused = DIFFERENT.contains(&(name.as_str(), column));
            if excused == agrees(&row, known) {
                wrong.push(format!("{name} {column}: {row}, known is {known}"));
            }
        }
        if command.group.name() != fact[0] {
            wrong.push(format!("{name} group: {}", command.group.name()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

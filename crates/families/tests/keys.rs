//! No command looks at a key that its row's key positions do not name.
//!
//! Requests made by chance from each row's own syntax run in the shards of the keys that the
//! positions name, and in no others, so that whoever reaches for another key stops: with so many
//! shards hardly two keys share one. What users may do with keys is asked of the same positions.

mod in_process;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use command::{Argument, ArgumentKind, Command, Run, arguments};
use families::FAMILIES;
use in_process::InProcess;
use testkit::Value;
use testkit::executor::Executor;

/// Requests of each row.
const REQUESTS: usize = 400;

/// Rows of which no request made by chance is good: they are asked for what only they have made.
const SELDOM_GOOD: &[&str] = &["RESTORE", "RESTORE-ASKING"];

/// Numbers by chance, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % end
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Keys of every type, and keys that are not there. None is a word of a syntax or a number.
const KEYS: [&str; 10] = [
    "text-k", "number-k", "list-k", "set-k", "hash-k", "zset-k", "stream-k", "array-k", "none-k",
    "other-k",
];

/// What makes them.
const MAKE: [&[&str]; 10] = [
    &["SET", "text-k", "text"],
    &["SET", "number-k", "7"],
    &["RPUSH", "list-k", "1", "2", "3"],
    &["SADD", "set-k", "1", "2", "member"],
    &["HSET", "hash-k", "1", "2", "member", "3"],
    &["ZADD", "zset-k", "1", "1", "2", "member"],
    &["XADD", "stream-k", "1-1", "1", "2"],
    &["XGROUP", "CREATE", "stream-k", "member", "0"],
    &["GEOADD", "zset-k", "13", "38", "place"],
    &["ARSET", "array-k", "0", "1"],
];

fn run(server: &mut InProcess, words: &[String]) -> Value {
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
    server.run("c1", &words)
}

fn make_keys(server: &mut InProcess) {
    let delete: Vec<String> = ["DEL"].iter().chain(&KEYS).map(|&word| word.to_owned()).collect();
    run(server, &delete);
    for words in MAKE {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let made = run(server, &words);
        assert!(!matches!(made, Value::Error(_)), "{words:?}: {made}");
    }
}

/// Writes what an argument may be, with words that are often right.
fn write(argument: &Argument, count: usize, chance: &mut Chance, words: &mut Vec<String>) {
    if argument.optional && chance.below(3) > 0 {
        return;
    }
    let times = if argument.multiple { count } else { 1 };
    for nth in 0..times {
        if let Some(token) = argument.token.as_ref().filter(|_| nth == 0 || argument.multiple_token)
        {
            words.push(token.clone());
        }
        match &argument.kind {
            ArgumentKind::PureToken => {}
            ArgumentKind::OneOf(several) => {
                write(&several[chance.below(several.len())], count, chance, words);
            }
            ArgumentKind::Block(several) => {
                several.iter().for_each(|one| write(one, count, chance, words));
            }
            ArgumentKind::Value(kind) => words.push(value(argument, kind, count, chance)),
        }
    }
}

fn value(argument: &Argument, kind: &str, count: usize, chance: &mut Chance) -> String {
    let name = argument.name.as_str();
    let is_key = kind == "key" || name.contains("key") && !name.starts_with("num");
    if is_key || name.contains("destination") && !name.ends_with("-db") {
        return chance.one(&KEYS).to_owned();
    }
    if name.starts_with("num") && chance.below(8) > 0 {
        return count.to_string();
    }
    if name == "group" {
        return chance.one(&["member", "member", "text"]).to_owned();
    }
    match kind {
        "integer" | "double" | "unix-time" => chance.one(&["0", "1", "2", "1", "7"]).to_owned(),
        "pattern" => chance.one(&["*", "*-k", "m*"]).to_owned(),
        _ if name.contains("id") || name == "start" || name == "end" => {
            chance.one(&["1-1", "0", "-", "+", "1", "2-1", "*", "$", ">"]).to_owned()
        }
        _ if name == "min" || name == "max" => {
            chance.one(&["0", "-", "+", "[1", "(1", "-inf", "+inf"]).to_owned()
        }
        _ => chance.one(&["1", "2", "member", "place", "text", "0", "1-1"]).to_owned(),
    }
}

fn request(names: &[&str], row: &Command, chance: &mut Chance) -> Vec<String> {
    let mut words: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let count = 1 + chance.below(3);
    for argument in &arguments(row.syntax) {
        write(argument, count, chance, &mut words);
    }
    if chance.below(8) == 0 {
        // A word too many, too few, or another one.
        let at = 1 + chance.below(words.len());
        match chance.below(3) {
            0 => words.insert(at, chance.one(&KEYS).to_owned()),
            1 => words.truncate(at.max(names.len())),
            _ => words.extend([chance.one(&KEYS).to_owned()]),
        }
    }
    words
}

/// Each row that runs on the keyspace, with the words that name it.
fn rows() -> Vec<(Vec<&'static str>, &'static Command)> {
    let mut rows = Vec::new();
    for row in FAMILIES.iter().flat_map(|family| family.iter()) {
        rows.push((vec![row.name], row));
        rows.extend(row.subcommands.iter().map(|sub| (vec![row.name, sub.name], sub)));
    }
    rows.retain(|(_, row)| matches!(row.run, Run::Read(_) | Run::Write(_) | Run::Block(_)));
    rows
}

#[test]
fn no_row_touches_a_key_that_its_positions_do_not_name() {
    let mut server = InProcess::new(4096);
    let mut chance = Chance(7);
    let mut never_good = BTreeSet::new();
    for (names, row) in rows() {
        let mut is_good = false;
        for _ in 0..REQUESTS {
            make_keys(&mut server);
            let words = request(&names, row, &mut chance);
            let reply = catch_unwind(AssertUnwindSafe(|| run(&mut server, &words)));
            let Ok(reply) = reply else { panic!("{words:?} reaches for another key") };
            is_good |= !matches!(reply, Value::Error(_));
        }
        if !is_good {
            never_good.insert(names.join(" "));
        }
    }
    let expected: BTreeSet<String> = SELDOM_GOOD.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(never_good, expected, "rows that were never asked well");
}

/// The test above shows something only if a key beside the named ones is noticed.
#[test]
fn a_key_in_another_shard_is_noticed() {
    let server = InProcess::new(4096);
    let shards: BTreeSet<usize> = KEYS
        .iter()
        .map(|key| server.keyspace.shard_of(server.keyspace.hash(key.as_bytes())).index())
        .collect();
    assert_eq!(shards.len(), KEYS.len(), "no two of the keys share a shard");
}

//! Random commands over all types, in process and on a reference server side by side: every reply
//! is compared, and now and then all that is to be seen of a key.
//!
//! Everything follows from a seed. A difference is told with the shortest history that was found
//! to lead to it. `ANAX_SIDE_BY_SIDE` says how many commands each test sends, if it is set.
//!
//! # What is not compared
//!
//! * The order of replies that have none.
//! * Which members a random command chooses: they must be members, as many as asked for, and what
//!   SPOP takes from one server is taken from the other.
//! * Texts of errors of servers older than Redis 8, encodings of strings, lists and sets, and
//!   digits of ZSCAN, see `docs/differences.md`.

mod in_process;
#[path = "side_by_side/replies.rs"]
mod replies;
#[path = "side_by_side/shapes.rs"]
mod shapes;

use std::env;

use in_process::InProcess;
use keyspace::Layout;
use replies::Moment;
use shapes::{ANY, GEO, HASH, KEYS, LEX, SET, SORT, SORTED_SET, STRING, Shape, Since};
use testkit::executor::{Executor, MAIN};
use testkit::random::Random;
use testkit::server::Oracle;
use testkit::transcript::Conditions;
use testkit::{Client, Dialect, Value, notation};

/// How many commands a test sends, unless it is told.
const COMMANDS: usize = 8_000;

/// How many commands are sent before all keys go.
const HISTORY: usize = 1_000;

/// How often a history that ends in a difference is sent again to make it shorter.
const REPLAYS_MAX: usize = 400;

/// Settings of the reference server, as [`layout`] has them: small collections become large soon.
const SETTINGS: &[[&str; 2]] = &[
    ["set-max-intset-entries", "5"],
    ["set-max-listpack-entries", "6"],
    ["set-max-listpack-value", "12"],
    ["hash-max-listpack-entries", "6"],
    ["hash-max-listpack-value", "12"],
    ["zset-max-listpack-entries", "6"],
    ["zset-max-listpack-value", "12"],
    ["list-max-listpack-size", "4"],
];

fn layout() -> Layout {
    Layout {
        set: value::set::Limits { ints_max: 5, entries_max: 6, text_max: 12 },
        hash: value::map::Limits { entries_max: 6, text_max: 12 },
        zset: value::zset::Limits { entries_max: 6, text_max: 12 },
        list_fill: value::list::Fill::from_setting(4),
        ..Layout::default()
    }
}

type Words = Vec<Vec<u8>>;

/// What the two answered, as far as it is compared.
struct Answers {
    ours: Value,
    theirs: Value,
}

/// A history's last command was answered differently.
struct Difference {
    at: usize,
    answers: Answers,
}

struct Both {
    anax: InProcess,
    client: Client,
    /// What the clocks showed at the start.
    now_ms: u64,
    /// Whether the reference server is Redis 8 or later.
    is_redis8: bool,
    /// Whether SORT is among the commands: encodings are not compared then.
    sorts: bool,
    // Ends with the test.
    _oracle: Oracle,
}

impl Both {
    /// `None` if there is no reference server that is fit.
    fn find() -> Option<Both> {
        let oracle = Oracle::find()?;
        let is = |condition| {
            let condition = Conditions::parse(condition).expect("it is a condition");
            condition.hold(oracle.target(), Dialect::Resp2)
        };
        if !is("redis>=7.2") {
            return None;
        }
        let is_redis8 = is("redis>=8");
        let mut client = oracle.server().client().expect("it listens");
        for [name, setting] in SETTINGS {
            let reply = client.command(&["CONFIG", "SET", name, setting]).expect("it answers");
            assert_eq!(reply, Value::ok(), "{name}");
        }
        let mut anax = InProcess::new(8);
        let time = client.command(&["TIME"]).expect("it answers");
        let now_ms = 1000 * replies::parts(&time).next().map_or(0, replies::number);
        anax.now = now_ms;
        anax.layout = layout();
        Some(Both { anax, client, now_ms, is_redis8, sorts: false, _oracle: oracle })
    }

    fn theirs<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Value {
        self.client.command(words).expect("it answers")
    }

    fn ours<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Value {
        let words: Words = words.iter().map(|word| word.as_ref().to_vec()).collect();
        self.anax.run(MAIN, &words)
    }

    fn each<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Answers {
        Answers { ours: self.ours(words), theirs: self.theirs(words) }
    }

    /// Runs a history from an empty keyspace up to a difference.
    fn replay(&mut self, history: &[Words]) -> Option<Difference> {
        self.anax.clear();
        self.theirs(&["FLUSHALL"]);
        history.iter().enumerate().find_map(|(at, words)| {
            let answers = self.compared(words);
            (answers.ours != answers.theirs).then_some(Difference { at, answers })
        })
    }

    /// What is compared of the answers to a command.
    fn compared(&mut self, words: &Words) -> Answers {
        let name = words[0].to_ascii_uppercase();
        let answers = match name.as_slice() {
            b"LOOK" => return self.look(words),
            b"TRANSFER" => self.transfer(words),
            b"SPOP" => self.pop(words),
            b"SRANDMEMBER" | b"HRANDFIELD" | b"ZRANDMEMBER" | b"RANDOMKEY" => self.draw(words),
            b"SCAN" | b"SSCAN" | b"HSCAN" | b"ZSCAN" => self.walk(words),
            _ => self.each(words),
        };
        let moment = Moment { now_ms: self.now_ms };
        let seen = |reply| {
            let reply = replies::compared(words, reply, moment);
            if self.is_redis8 { reply } else { replies::without_texts(reply) }
        };
        Answers { ours: seen(answers.ours), theirs: seen(answers.theirs) }
    }

    /// All that is to be seen of a key.
    fn look(&mut self, words: &Words) -> Answers {
        let key = notation::quote(&words[1]);
        let kind = self.theirs(&[b"TYPE".as_slice(), &words[1]]);
        let content = match kind.as_bytes().unwrap_or_default() {
            b"string" => format!("GET {key}"),
            b"list" => format!("LRANGE {key} 0 -1"),
            b"set" => format!("SMEMBERS {key}"),
            b"hash" => format!("HGETALL {key}"),
            b"zset" => format!("ZRANGE {key} 0 -1 WITHSCORES"),
            b"stream" => format!("XRANGE {key} - +"),
            _ => format!("EXISTS {key}"),
        };
        let mut looks = vec![format!("TYPE {key}"), content, format!("TTL {key}")];
        let told = !matches!(kind.as_bytes(), Some(b"string" | b"list" | b"set"));
        if told && !self.sorts {
            looks.push(format!("OBJECT ENCODING {key}"));
        }
        let all = looks.iter().map(|line| self.compared(&notation::words(line)));
        let (ours, theirs) = all.map(|answers| (answers.ours, answers.theirs)).unzip();
        Answers { ours: Value::Array(ours), theirs: Value::Array(theirs) }
    }

    /// What one dumps, the other restores.
    fn transfer(&mut self, words: &Words) -> Answers {
        let dumped = self.each(&[b"DUMP".as_slice(), &words[1]]);
        let (Value::Bulk(ours), Value::Bulk(theirs)) = (&dumped.ours, &dumped.theirs) else {
            return dumped;
        };
        let restore = |dump: &[u8]| -> Words {
            let words: [&[u8]; 5] = [b"RESTORE", &words[2], b"0", dump, b"REPLACE"];
            words.map(<[u8]>::to_vec).into()
        };
        Answers { ours: self.ours(&restore(theirs)), theirs: self.theirs(&restore(ours)) }
    }

    /// What SPOP takes here is removed there.
    fn pop(&mut self, words: &Words) -> Answers {
        let key = words.get(1).cloned().unwrap_or_default();
        let there = self.theirs(&[b"SCARD".as_slice(), &key]);
        let ours = self.ours(words);
        let popped: Vec<&[u8]> = match &ours {
            Value::Bulk(member) => vec![member],
            list => replies::parts(list).filter_map(Value::as_bytes).collect(),
        };
        if popped.is_empty() {
            let theirs = self.theirs(words);
            return Answers { ours, theirs };
        }
        let asked = words.get(2).map_or(1, |count| replies::number(&Value::bulk(count)));
        let expected = asked.min(replies::number(&there)) as i64;
        let remove: Vec<&[u8]> = [b"SREM".as_slice(), &key].into_iter().chain(popped).collect();
        let removed = self.client.command(&remove).expect("it answers");
        let ours = [Value::Integer(expected), Value::Integer(remove.len() as i64 - 2)];
        Answers {
            ours: Value::Array(ours.into()),
            theirs: Value::Array(vec![removed.clone(), removed]),
        }
    }

    /// Members chosen at random: as many there as here, and ours are members there.
    fn draw(&mut self, words: &Words) -> Answers {
        let key = words.get(1).cloned().unwrap_or_default();
        let with_parts = words.len() > 3;
        let whole = |name: &'static str, more: &[&'static str]| -> Words {
            let rest = more.iter().map(|word| word.as_bytes().to_vec());
            [name.as_bytes().to_vec(), key.clone()].into_iter().chain(rest).collect()
        };
        let all = match words[0].to_ascii_uppercase().as_slice() {
            b"SRANDMEMBER" => whole("SMEMBERS", &[]),
            b"HRANDFIELD" if with_parts => whole("HGETALL", &[]),
            b"HRANDFIELD" => whole("HKEYS", &[]),
            b"ZRANDMEMBER" if with_parts => whole("ZRANGE", &["0", "-1", "WITHSCORES"]),
            b"ZRANDMEMBER" => whole("ZRANGE", &["0", "-1"]),
            _ => vec![b"KEYS".to_vec(), b"*".to_vec()],
        };
        let all = self.theirs(&all);
        let Answers { ours, theirs } = self.each(words);
        let may_repeat = words.get(2).is_some_and(|count| count.starts_with(b"-"));
        let all = replies::entries(&all, with_parts);
        let drawn = match &ours {
            Value::Bulk(_) => vec![vec![ours.clone()]],
            list => replies::entries(list, with_parts),
        };
        let mut distinct = drawn.clone();
        distinct.sort();
        distinct.dedup();
        let good = drawn.iter().all(|entry| all.contains(entry))
            && (may_repeat || distinct.len() == drawn.len());
        let ours = if good { replies::outline(&ours) } else { ours };
        Answers { ours, theirs: replies::outline(&theirs) }
    }

    /// A walk to its end, each member once.
    fn walk(&mut self, words: &Words) -> Answers {
        let ours = replies::walked(words, |words| self.ours(words));
        Answers { ours, theirs: replies::walked(words, |words| self.theirs(words)) }
    }

    /// Leaves out stretches of the history, long ones first, while a difference remains.
    fn shorten(&mut self, mut history: Vec<Words>, mut found: Difference) -> String {
        let (mut replays, mut stretch) = (0, history.len().div_ceil(2));
        while stretch > 0 && replays < REPLAYS_MAX {
            let mut end = history.len().saturating_sub(1);
            while end > 0 && replays < REPLAYS_MAX {
                let start = end.saturating_sub(stretch);
                let mut fewer = history.clone();
                fewer.drain(start..end);
                replays += 1;
                if let Some(still) = self.replay(&fewer) {
                    fewer.truncate(still.at + 1);
                    (history, found) = (fewer, still);
                }
                end = start.min(history.len().saturating_sub(1));
            }
            stretch /= 2;
        }
        let lines: Vec<String> = history.iter().map(|words| notation::join(words)).collect();
        let Answers { ours, theirs } = found.answers;
        format!("{}\nours:\n{ours}\ntheirs:\n{theirs}", lines.join("\n"))
    }
}

/// A command of the first shapes mostly, of the others now and then, or a look at a key.
fn command(random: &mut Random, shapes: [&[Shape]; 2], most: Since, now_ms: u64) -> Words {
    let shape = loop {
        let (since, shape) = match random.below(10) {
            0 | 1 => (Since::Always, "LOOK {key}"),
            2 | 3 => random.pick(shapes[1]),
            _ => random.pick(shapes[0]),
        };
        if since <= most {
            break shape;
        }
    };
    let words = shape.split(' ').flat_map(|part| shapes::fill(part, random, now_ms));
    let mut words: Words = words.map(String::into_bytes).collect();
    // A word too few or too many, where not even the order of complaints differs.
    let spared = [&b"BITCOUNT"[..], b"GETEX", b"HGETDEL", b"TRANSFER"].contains(&&words[0][..]);
    match random.below(60) {
        0 if words.len() > 2 && !spared => drop(words.pop()),
        1 if !spared => words.push(b"NX".to_vec()),
        _ => {}
    }
    words
}

fn compare(seed: u64, shapes: &[Shape], others: &[&[Shape]]) {
    let Some(mut both) = Both::find() else { return };
    let others = others.concat();
    both.sorts = others.iter().any(|(_, shape)| shape.starts_with("SORT"));
    let most = if both.is_redis8 { Since::Redis8 } else { Since::Always };
    let told = env::var("ANAX_SIDE_BY_SIDE").ok();
    let commands = told.map_or(COMMANDS, |text| text.parse().expect("it is a number"));
    let mut random = Random::new(seed);
    for _ in 0..commands.div_ceil(HISTORY) {
        let now_ms = both.now_ms;
        let next = |_| command(&mut random, [shapes, &others], most, now_ms);
        let history: Vec<Words> = (0..HISTORY).map(next).collect();
        if let Some(found) = both.replay(&history) {
            let history = history[..=found.at].to_vec();
            panic!("they differ:\n{}", both.shorten(history, found));
        }
    }
}

#[test]
fn hashes_are_those_of_the_reference_server() {
    compare(0x4a5e, HASH, &[ANY, KEYS]);
}

#[test]
fn sets_are_those_of_the_reference_server() {
    compare(0x5e75, SET, &[ANY, KEYS]);
}

#[test]
fn sorted_sets_are_those_of_the_reference_server() {
    compare(0x2535, SORTED_SET, &[ANY, KEYS, SET]);
}

#[test]
fn orders_by_name_are_those_of_the_reference_server() {
    compare(0x1e8, LEX, &[LEX]);
}

#[test]
fn places_are_those_of_the_reference_server() {
    compare(0x6e0, GEO, &[ANY, KEYS]);
}

#[test]
fn what_is_done_to_keys_of_any_type_is_that_of_the_reference_server() {
    compare(0x6e57, KEYS, &[ANY, HASH, SET, SORTED_SET, STRING]);
}

#[test]
fn sorting_is_that_of_the_reference_server() {
    compare(0x5027, SORT, &[ANY, KEYS, SORT]);
}

#[test]
fn strings_and_their_bits_are_those_of_the_reference_server() {
    compare(0xb175, STRING, &[ANY, KEYS]);
}

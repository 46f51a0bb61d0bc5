//! String and generic commands on a plain map: slow, small and right.
//!
//! The model answers what Redis answers, refusals included, so that a server can
//! be compared with it command by command. It holds strings only. Its clock
//! moves when it is told to.
//!
//! # Invariants
//!
//! 1. Before a command runs, every key whose deadline lies in the past is
//!    removed from its map; no command thinks of expired keys.
//! 2. Arguments are read and refused in Redis' order of complaints.
//!
//! A key expires when the time is later than its deadline, not at its deadline.

use std::collections::BTreeMap;

use crate::executor::Executor;
use crate::transcript::Target;
use crate::value::Value;

mod bits;
mod expiry;
mod keys;
mod natural;
mod numbers;
mod strings;

/// How many databases there are, as a server has without configuration.
pub const DATABASES: usize = 16;

/// The longest string, in bytes.
const STRING_BYTES_MAX: i64 = 512 << 20;

/// A reply, or the text of a refusal.
type Done = Result<Value, String>;

/// One command: a rule over all databases, the selected one and the words.
type Rule = fn(&mut Model, usize, &[Vec<u8>]) -> Done;

type Database = BTreeMap<Vec<u8>, Entry>;

/// A string and when it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    bytes: Vec<u8>,
    deadline_ms: Option<i64>,
}

/// Whose answers a model gives where servers differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Redis 8.
    #[default]
    Redis,
    /// Redis 7.0: `BITCOUNT` of no key is 0 whatever its other arguments are,
    /// of a range that ends before it begins whatever its unit is.
    Redis7,
    /// Valkey 9: `GETEX` checks its number before it looks for the key, and
    /// `BITCOUNT` may go without an end.
    Valkey,
    /// Anax: as Valkey; and it keeps 48 bits of a deadline, so that the last one is in the
    /// year 10889.
    Anax,
}

impl Flavour {
    /// The one that is nearest to a server.
    pub fn of(target: &Target) -> Self {
        match (target.name.as_str(), target.version.first()) {
            ("anax", _) => Self::Anax,
            ("valkey", _) => Self::Valkey,
            ("redis", Some(7)) => Self::Redis7,
            _ => Self::Redis,
        }
    }

    fn is_like_valkey(self) -> bool {
        matches!(self, Self::Valkey | Self::Anax)
    }

    /// The deadline that is kept of one that was given.
    fn kept_ms(self, deadline_ms: i64) -> i64 {
        match self {
            Self::Anax => deadline_ms.min((1 << 48) - 1),
            Self::Redis | Self::Redis7 | Self::Valkey => deadline_ms,
        }
    }
}

/// All databases, the clock, and which database each client has selected.
#[derive(Clone, Debug)]
pub struct Model {
    now_ms: i64,
    flavour: Flavour,
    databases: Vec<Database>,
    selected: BTreeMap<String, usize>,
}

/// How many words a command has, its name included.
enum Arity {
    Exactly(usize),
    AtLeast(usize),
}

use Arity::{AtLeast, Exactly};

const ROWS: &[(&str, Arity, Rule)] = &[
    ("append", Exactly(3), strings::append),
    ("bitcount", AtLeast(2), bits::bitcount),
    ("copy", AtLeast(3), keys::copy),
    ("dbsize", Exactly(1), keys::dbsize),
    ("decr", Exactly(2), strings::decr),
    ("decrby", Exactly(3), strings::decrby),
    ("del", AtLeast(2), keys::del),
    ("exists", AtLeast(2), keys::exists),
    ("expire", AtLeast(3), expiry::expire),
    ("expireat", AtLeast(3), expiry::expireat),
    ("expiretime", Exactly(2), expiry::expiretime),
    ("flushall", AtLeast(1), keys::flushall),
    ("flushdb", AtLeast(1), keys::flushdb),
    ("get", Exactly(2), strings::get),
    ("getbit", Exactly(3), bits::getbit),
    ("getdel", Exactly(2), strings::getdel),
    ("getex", AtLeast(2), strings::getex),
    ("getrange", Exactly(4), strings::getrange),
    ("getset", Exactly(3), strings::getset),
    ("incr", Exactly(2), strings::incr),
    ("incrby", Exactly(3), strings::incrby),
    ("incrbyfloat", Exactly(3), strings::incrbyfloat),
    ("mget", AtLeast(2), strings::mget),
    ("move", Exactly(3), keys::move_),
    ("mset", AtLeast(3), strings::mset),
    ("msetnx", AtLeast(3), strings::msetnx),
    ("persist", Exactly(2), expiry::persist),
    ("pexpire", AtLeast(3), expiry::pexpire),
    ("pexpireat", AtLeast(3), expiry::pexpireat),
    ("pexpiretime", Exactly(2), expiry::pexpiretime),
    ("psetex", Exactly(4), strings::psetex),
    ("pttl", Exactly(2), expiry::pttl),
    ("rename", Exactly(3), keys::rename),
    ("renamenx", Exactly(3), keys::renamenx),
    ("set", AtLeast(3), strings::set),
    ("setbit", Exactly(4), bits::setbit),
    ("setex", Exactly(4), strings::setex),
    ("setnx", Exactly(3), strings::setnx),
    ("setrange", Exactly(4), strings::setrange),
    ("strlen", Exactly(2), strings::strlen),
    ("substr", Exactly(4), strings::getrange),
    ("swapdb", Exactly(3), keys::swapdb),
    ("touch", AtLeast(2), keys::exists),
    ("ttl", Exactly(2), expiry::ttl),
    ("type", Exactly(2), keys::type_),
    ("unlink", AtLeast(2), keys::del),
];

impl Model {
    /// No keys; the answers of Redis; the clock shows `now_ms` milliseconds since 1970.
    pub fn new(now_ms: u64) -> Self {
        Self::like(Flavour::default(), now_ms)
    }

    /// No keys; the answers of `flavour`; the clock shows `now_ms`.
    pub fn like(flavour: Flavour, now_ms: u64) -> Self {
        let now_ms = i64::try_from(now_ms).expect("a clock does not show the year 292 million");
        Self {
            now_ms,
            flavour,
            databases: vec![Database::new(); DATABASES],
            selected: BTreeMap::new(),
        }
    }

    fn answer(&mut self, client: &str, words: &[Vec<u8>]) -> Done {
        let name = words.first().map(|name| String::from_utf8_lossy(name).to_ascii_lowercase());
        let name = name.ok_or("ERR a command has a name")?;
        match (name.as_str(), words) {
            ("reset", [_]) => {
                self.selected.remove(client);
                return Ok(Value::simple("RESET"));
            }
            ("select", [_, index]) => {
                let index = database(numbers::integer(index)?)?;
                self.selected.insert(client.to_owned(), index);
                return Ok(Value::ok());
            }
            ("select", _) => return Err(wrong_arity(&name)),
            _ => {}
        }
        let row = ROWS.iter().find(|row| row.0 == name);
        let (_, arity, rule) = row.ok_or_else(|| unknown(words))?;
        if !arity.allows(words.len()) {
            return Err(wrong_arity(&name));
        }
        self.remove_expired();
        let selected = self.selected.get(client).copied().unwrap_or(0);
        rule(self, selected, words)
    }

    fn remove_expired(&mut self) {
        let now_ms = self.now_ms;
        for database in &mut self.databases {
            database.retain(|_, entry| entry.deadline_ms.is_none_or(|deadline| now_ms <= deadline));
        }
    }

    fn read(&self, database: usize, key: &[u8]) -> Option<&Entry> {
        self.databases[database].get(key)
    }

    /// The bytes of a key, none if it is missing.
    fn bytes(&self, database: usize, key: &[u8]) -> &[u8] {
        self.read(database, key).map_or(&[], |entry| &entry.bytes)
    }

    /// Sets the bytes and leaves the deadline as it is.
    fn update(&mut self, database: usize, key: &[u8], bytes: Vec<u8>) {
        let deadline_ms = self.read(database, key).and_then(|entry| entry.deadline_ms);
        self.databases[database].insert(key.to_vec(), Entry { bytes, deadline_ms });
    }

    /// Sets the bytes and takes the deadline away.
    fn replace(&mut self, database: usize, key: &[u8], bytes: Vec<u8>) {
        self.databases[database].insert(key.to_vec(), Entry { bytes, deadline_ms: None });
    }
}

impl Executor for Model {
    fn run(&mut self, client: &str, words: &[Vec<u8>]) -> Value {
        self.answer(client, words).unwrap_or_else(Value::error)
    }

    fn advance(&mut self, ms: u64) {
        self.now_ms += i64::try_from(ms).expect("a test does not last that long");
    }
}

impl Arity {
    fn allows(&self, count: usize) -> bool {
        match *self {
            Exactly(wanted) => count == wanted,
            AtLeast(least) => count >= least,
        }
    }
}

/// An index of a database that exists.
fn database(index: i64) -> Result<usize, String> {
    let index = usize::try_from(index).ok().filter(|&index| index < DATABASES);
    index.ok_or_else(|| "ERR DB index is out of range".to_owned())
}

fn wrong_arity(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

fn unknown(words: &[Vec<u8>]) -> String {
    let text = |word: &Vec<u8>| format!("'{}'", String::from_utf8_lossy(word));
    let arguments: String = words[1..].iter().map(|word| text(word) + " ").collect();
    format!("ERR unknown command {}, with args beginning with: {arguments}", text(&words[0]))
}

fn syntax() -> String {
    "ERR syntax error".to_owned()
}

fn truth(truth: bool) -> Value {
    Value::Integer(i64::from(truth))
}

fn length(length: usize) -> Value {
    Value::Integer(i64::try_from(length).expect("no string is that long"))
}

#[cfg(test)]
mod tests;

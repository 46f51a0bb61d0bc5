//! The commands without a server around them: a keyspace, a table of the families, a clock that
//! only moves when it is told to.
//!
//! A request takes the steps that it takes in the server: find the row, check the arity, find the
//! shards, enter them, run, publish; an error takes the place of whatever reply was begun.

use std::collections::BTreeMap;

use command::{Args, Command, CommandError, Done, Run, Table, Tried};
use families::FAMILIES;
use keyspace::{Access, DbIndex, Frame, Intake, Keyspace, Layout, Mode, Plan};
use protocol::{Output, Reply, Span, Words, decode};
use testkit::executor::Executor;
use testkit::{Dialect, Value};

/// When the clock starts, in ms of Unix time. Late enough for any "so long ago".
pub(crate) const EPOCH_MS: u64 = 1_800_000_000_000;

/// As many databases as a server has by default.
const DATABASES: DbIndex = 16;

/// See the module's page.
pub(crate) struct InProcess {
    pub(crate) keyspace: Keyspace,
    commands: Table<()>,
    /// What the clock shows.
    pub(crate) now: u64,
    /// When collections are large.
    pub(crate) layout: Layout,
    chance: u64,
    sessions: BTreeMap<String, Session>,
}

#[derive(Clone, Copy)]
struct Session {
    dialect: protocol::Dialect,
    db: DbIndex,
}

const NEW_SESSION: Session = Session { dialect: protocol::Dialect::Resp2, db: 0 };

impl InProcess {
    /// An empty keyspace of so many shards.
    pub(crate) fn new(shards: usize) -> InProcess {
        let rows = FAMILIES.iter().flat_map(|family| family.iter());
        InProcess {
            keyspace: Keyspace::new(shards, DATABASES, [7, 11]),
            commands: Table::new(rows.map(|row| (row, ()))),
            now: EPOCH_MS,
            layout: Layout::default(),
            chance: 1,
            sessions: BTreeMap::new(),
        }
    }

    pub(crate) fn frame(&mut self, db: DbIndex) -> Frame {
        self.chance = self.chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        Frame {
            db,
            now: self.now,
            chance: self.chance,
            access: Access::Lru,
            touch: true,
            origin: 0,
            by_script: false,
            is_paused: false,
            layout: self.layout,
            intake: Intake::default(),
        }
    }

    fn answer(&mut self, client: &str, words: Words<'_>, output: &mut Output) {
        let session = *self.sessions.get(client).unwrap_or(&NEW_SESSION);
        let mark = output.mark();
        let done = self.try_answer(client, words, &mut Reply::new(output, session.dialect));
        if let Err(error) = done {
            output.rollback(mark);
            Reply::new(output, session.dialect).error(&error);
        }
    }

    fn try_answer(&mut self, client: &str, words: Words<'_>, reply: &mut Reply<'_>) -> Done {
        let name = words.get(0).unwrap_or_default();
        if name.eq_ignore_ascii_case(b"SELECT") {
            return self.select(client, words, reply);
        }
        let command = self.find(words)?;
        let skip = if std::ptr::eq(command, self.row(name)?) { 1 } else { 2 };
        let args = Args::new(words, skip);
        let plan = self.plan(command, words);
        let db = self.sessions.get(client).unwrap_or(&NEW_SESSION).db;
        let frame = self.frame(db);
        let mode = if command.is_exclusive(words) { Mode::Exclusive } else { Mode::Shared };
        let mut view = self.keyspace.try_enter(frame, &plan, mode).expect("nobody else enters");
        let done = match command.run {
            Run::Read(run) => run(args, &view, reply),
            Run::Write(run) => run(args, &mut view, reply),
            Run::Block(block) => (block.now)(args, &mut view, reply).map(|tried| {
                if matches!(tried, Tried::Waits(_)) {
                    (block.nothing)(reply);
                }
            }),
            Run::Import(_) | Run::Transaction | Run::Script | Run::Session | Run::Container => {
                panic!("{} needs a server", command.name)
            }
        };
        let _ = view.publish();
        done
    }

    fn row(&self, name: &[u8]) -> Result<&'static Command, CommandError> {
        let entry = self.commands.find(name);
        let unknown = || CommandError::UnknownCommand(String::from_utf8_lossy(name).into());
        Ok(entry.ok_or_else(unknown)?.command)
    }

    fn find(&self, words: Words<'_>) -> Result<&'static Command, CommandError> {
        let command = self.row(words.get(0).unwrap_or_default())?;
        let sub = words.get(1).and_then(|name| command.subcommand(name));
        let row = match sub {
            Some(sub) => sub,
            None if command.subcommands.is_empty() || words.len() == 1 => command,
            None => {
                let subcommand = String::from_utf8_lossy(words.get(1).unwrap_or_default()).into();
                return Err(CommandError::UnknownSubcommand { subcommand, command: command.name });
            }
        };
        let is_container = matches!(row.run, Run::Container);
        if row.arity.allows(words.len()) && !is_container {
            return Ok(row);
        }
        let name = match sub {
            Some(sub) => format!("{}|{}", command.name, sub.name),
            None => command.name.to_owned(),
        };
        Err(CommandError::WrongArity(name.to_lowercase().into()))
    }

    /// The shards of a request. If its words do not say where its keys are it gets none, and its
    /// function says what is wrong.
    fn plan(&self, command: &Command, words: Words<'_>) -> Plan {
        if command.enter.is_all(words) {
            return Plan::All;
        }
        let positions = command.key_positions(words).unwrap_or_default();
        let keys = positions.iter().filter_map(|&at| words.get(at));
        self.keyspace.plan(keys.map(|key| self.keyspace.hash(key)))
    }

    fn select(&mut self, client: &str, words: Words<'_>, reply: &mut Reply<'_>) -> Done {
        if words.len() != 2 {
            return Err(CommandError::WrongArity("select".into()));
        }
        let number = words.get(1).and_then(command::parse_integer);
        let db = number.ok_or(CommandError::NotAnInteger)?;
        let db = DbIndex::try_from(db).ok().filter(|&db| db < DATABASES);
        self.session(client).db = db.ok_or(CommandError::DbIndex)?;
        reply.ok();
        Ok(())
    }

    fn session(&mut self, client: &str) -> &mut Session {
        self.sessions.entry(client.to_owned()).or_insert(NEW_SESSION)
    }
}

impl Executor for InProcess {
    fn run(&mut self, client: &str, words: &[Vec<u8>]) -> Value {
        let (mut input, mut spans) = (Vec::new(), Vec::new());
        for word in words {
            let start = input.len() as u32;
            input.extend_from_slice(word);
            spans.push(Span { start, end: input.len() as u32 });
        }
        let mut output = Output::default();
        self.answer(client, Words::new(&input, &spans), &mut output);
        let bytes = output.chunks().collect::<Vec<_>>().concat();
        read_reply(&bytes)
    }

    fn advance(&mut self, ms: u64) {
        self.now += ms;
    }

    fn clear(&mut self) {
        self.sessions.clear();
        for db in 0..DATABASES {
            let frame = self.frame(db);
            let view = self.keyspace.try_enter(frame, &Plan::All, Mode::Exclusive);
            let mut view = view.expect("nobody else enters");
            view.flush(db);
            let _ = view.publish();
        }
    }

    fn open(&mut self, client: &str, dialect: Dialect) {
        self.sessions.insert(client.to_owned(), NEW_SESSION);
        self.speak(client, dialect);
    }

    fn speak(&mut self, client: &str, dialect: Dialect) {
        self.session(client).dialect = match dialect {
            Dialect::Resp2 => protocol::Dialect::Resp2,
            Dialect::Resp3 => protocol::Dialect::Resp3,
        };
    }
}

/// The one reply that the bytes are.
fn read_reply(bytes: &[u8]) -> Value {
    let text = || String::from_utf8_lossy(bytes).into_owned();
    let decoded = decode::decode(bytes).unwrap_or_else(|_| panic!("no reply: {}", text()));
    let (value, len) = decoded.unwrap_or_else(|| panic!("half a reply: {}", text()));
    assert_eq!(len, bytes.len(), "more than one reply: {}", text());
    value_of(value)
}

fn value_of(value: decode::Value) -> Value {
    let all = |values: Vec<decode::Value>| values.into_iter().map(value_of).collect();
    match value {
        decode::Value::Simple(text) => Value::Simple(text),
        decode::Value::Error(text) => Value::Error(text),
        decode::Value::Integer(number) => Value::Integer(number),
        decode::Value::Bulk(text) => Value::Bulk(text),
        decode::Value::Null => Value::Nil,
        decode::Value::NullArray => Value::NilArray,
        decode::Value::Array(values) => Value::Array(all(values)),
        decode::Value::Set(values) => Value::Set(all(values)),
        decode::Value::Push(values) => Value::Push(all(values)),
        decode::Value::Map(pairs) => {
            let pairs = pairs.into_iter();
            Value::Map(pairs.map(|(key, value)| (value_of(key), value_of(value))).collect())
        }
        // Digits beyond those of a double are seen in RESP2 only, where they are a string.
        decode::Value::Double(number) => Value::Double(digits_of(number)),
        decode::Value::Boolean(truth) => Value::Boolean(truth),
        decode::Value::BigNumber(text) => Value::BigNumber(text),
        decode::Value::Verbatim(format, text) => Value::Verbatim { format, text },
        decode::Value::Attributed(_, value) => value_of(*value),
    }
}

fn digits_of(number: f64) -> Vec<u8> {
    let mut digits = Vec::new();
    protocol::format_double(number, &mut digits);
    digits
}

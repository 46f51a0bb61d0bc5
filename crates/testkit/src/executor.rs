//! Something that runs commands: a server behind a socket, or code in process.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::client::Client;
use crate::notation::words;
use crate::value::{Dialect, Value};

/// The client that speaks where no other one is named.
pub const MAIN: &str = "c1";

/// The client that the executor itself uses; no transcript may name it.
const CONTROL: &str = "-control";

/// How often the reference server is asked whether a command waits.
const BLOCKED_CHECKS_MAX: usize = 20_000;

/// How long [`SocketExecutor`] waits for a message that is expected.
const MESSAGE_WAIT: Duration = Duration::from_secs(5);

/// Runs commands for named clients and moves the time.
///
/// Two methods suffice for code in process without sessions; the others have
/// defaults made of commands.
pub trait Executor {
    /// Runs one command to its reply.
    ///
    /// A failure of the executor itself, such as a lost connection, is an error
    /// reply with a text that no server has.
    fn run(&mut self, client: &str, words: &[Vec<u8>]) -> Value;

    /// Lets `ms` milliseconds pass.
    fn advance(&mut self, ms: u64);

    /// Leaves no key in any database.
    fn clear(&mut self) {
        self.run(MAIN, &words("FLUSHALL"));
    }

    /// Makes `client` a new connection that speaks `dialect`.
    fn open(&mut self, client: &str, dialect: Dialect) {
        self.run(client, &words("RESET"));
        if dialect == Dialect::Resp3 {
            self.speak(client, dialect);
        }
    }

    /// Switches `client` to another dialect.
    fn speak(&mut self, client: &str, dialect: Dialect) {
        self.run(client, &words(hello(dialect)));
    }

    /// Sends a command that may wait: `None` says that it does.
    fn start(&mut self, client: &str, words: &[Vec<u8>]) -> Option<Value> {
        Some(self.run(client, words))
    }

    /// The next message for `client` which answers no [`Executor::run`]: the
    /// reply to a command that waited, or a published message.
    ///
    /// `None` if none comes.
    fn receive(&mut self, client: &str) -> Option<Value> {
        let _ = client;
        None
    }
}

impl<E: Executor + ?Sized> Executor for Box<E> {
    fn run(&mut self, client: &str, words: &[Vec<u8>]) -> Value {
        (**self).run(client, words)
    }

    fn advance(&mut self, ms: u64) {
        (**self).advance(ms);
    }

    fn clear(&mut self) {
        (**self).clear();
    }

    fn open(&mut self, client: &str, dialect: Dialect) {
        (**self).open(client, dialect);
    }

    fn speak(&mut self, client: &str, dialect: Dialect) {
        (**self).speak(client, dialect);
    }

    fn start(&mut self, client: &str, words: &[Vec<u8>]) -> Option<Value> {
        (**self).start(client, words)
    }

    fn receive(&mut self, client: &str) -> Option<Value> {
        (**self).receive(client)
    }
}

fn hello(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Resp2 => "HELLO 2",
        Dialect::Resp3 => "HELLO 3",
    }
}

/// How time is made to pass for a server behind a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// The server moves its clock on `DEBUG ADVANCE-TIME ms`.
    Command,
    /// Really waiting: all that works with a reference server.
    Waiting,
}

/// A server that listens for connections; one connection a client.
pub struct SocketExecutor {
    address: SocketAddr,
    passing: Passing,
    clients: BTreeMap<String, Client>,
}

impl SocketExecutor {
    /// For the server at `address`; connects when a client first speaks.
    pub fn new(address: SocketAddr, passing: Passing) -> Self {
        Self { address, passing, clients: BTreeMap::new() }
    }

    /// The connection of `client`, made if there is none.
    pub fn client(&mut self, client: &str) -> io::Result<&mut Client> {
        if !self.clients.contains_key(client) {
            let connected = Client::connect(self.address)?;
            self.clients.insert(client.to_owned(), connected);
        }
        Ok(self.clients.get_mut(client).expect("it was there or was put there"))
    }

    fn try_run(&mut self, client: &str, words: &[Vec<u8>]) -> io::Result<Value> {
        let client = self.client(client)?;
        client.send_command(words)?;
        loop {
            match client.receive()? {
                Value::Push(items) if answers(words, &items) => return Ok(Value::Push(items)),
                push @ Value::Push(_) => client.keep_push(push),
                reply => return Ok(reply),
            }
        }
    }

    fn try_start(&mut self, client: &str, words: &[Vec<u8>]) -> io::Result<Option<Value>> {
        let before = self.blocked()?;
        self.client(client)?.send_command(words)?;
        for _ in 0..BLOCKED_CHECKS_MAX {
            if self.client(client)?.has_arrived()? {
                return self.client(client)?.receive().map(Some);
            }
            if self.blocked()? > before {
                return Ok(None);
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the command neither answers nor waits"))
    }

    /// How many clients the server says are waiting in a command.
    fn blocked(&mut self) -> io::Result<u64> {
        self.counted("blocked_clients:")?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "INFO has no blocked_clients")
        })
    }

    /// What INFO says of clients in a field, if it has that.
    fn counted(&mut self, field: &str) -> io::Result<Option<u64>> {
        let info = self.client(CONTROL)?.command(&["INFO", "clients"])?;
        let text = String::from_utf8_lossy(info.as_bytes().unwrap_or_default());
        let count = text.lines().find_map(|line| line.strip_prefix(field));
        Ok(count.and_then(|count| count.trim().parse().ok()))
    }

    /// Waits until those who have hung up are subscribed to nothing any more. A server that does
    /// not count them is quick enough.
    fn wait_for_parting(&mut self) -> io::Result<()> {
        for _ in 0..BLOCKED_CHECKS_MAX {
            if self.counted("pubsub_clients:")?.unwrap_or(0) == 0 {
                break;
            }
        }
        Ok(())
    }

    fn try_receive(&mut self, client: &str) -> io::Result<Option<Value>> {
        let client = self.client(client)?;
        if client.has_pushes() {
            return client.push().map(Some);
        }
        client.wait_at_most(MESSAGE_WAIT)?;
        match client.receive() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        }
    }

    fn try_advance(&mut self, ms: u64) -> io::Result<()> {
        match self.passing {
            Passing::Waiting => {
                // One more: a deadline of this very millisecond has passed then.
                std::thread::sleep(Duration::from_millis(ms + 1));
                Ok(())
            }
            Passing::Command => {
                let ms = ms.to_string();
                let reply = self.client(CONTROL)?.command(&["DEBUG", "ADVANCE-TIME", &ms])?;
                assert_eq!(reply, Value::ok(), "the server must be able to move its clock");
                Ok(())
            }
        }
    }
}

/// Whether a push message is the confirmation of a command, as of `SUBSCRIBE`.
fn answers(words: &[Vec<u8>], items: &[Value]) -> bool {
    let kind = items.first().and_then(Value::as_bytes).unwrap_or_default();
    words.first().is_some_and(|name| name.eq_ignore_ascii_case(kind))
}

fn lost(error: &io::Error) -> Value {
    Value::error(format!("LOST {error}"))
}

impl Executor for SocketExecutor {
    fn run(&mut self, client: &str, words: &[Vec<u8>]) -> Value {
        self.try_run(client, words).unwrap_or_else(|error| lost(&error))
    }

    fn advance(&mut self, ms: u64) {
        self.try_advance(ms).expect("time can only pass for a server that answers");
    }

    fn clear(&mut self) {
        self.clients.clear();
        self.wait_for_parting().expect("a server tells of its clients");
        let cleared = self.run(CONTROL, &words("FLUSHALL"));
        assert_eq!(cleared, Value::ok(), "a transcript starts from an empty keyspace");
    }

    fn open(&mut self, client: &str, dialect: Dialect) {
        self.clients.remove(client);
        if dialect == Dialect::Resp3 {
            self.speak(client, dialect);
        }
    }

    fn start(&mut self, client: &str, words: &[Vec<u8>]) -> Option<Value> {
        self.try_start(client, words).unwrap_or_else(|error| Some(lost(&error)))
    }

    fn receive(&mut self, client: &str) -> Option<Value> {
        self.try_receive(client).unwrap_or_else(|error| Some(lost(&error)))
    }
}

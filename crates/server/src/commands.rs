//! The server's own commands: those that concern the session, other clients or the server.
//!
//! They have rows like all others, and a function that is given a [`Call`]. A command with
//! subcommands has one function, which looks at the subcommand's row.

mod acl;
mod client;
mod cluster;
mod command;
pub mod config;
mod connection;
mod debug;
mod function;
mod himport;
mod info;
mod latency;
mod memory;
mod monitor;
mod pubsub;
mod scripting;
mod server;
mod slowlog;
mod transactions;

pub(crate) use client::client_line;
pub(crate) use connection::REDIS_VERSION;

use ::command::{Args, Command, CommandError, Flags};
use protocol::{Dialect, Output, Reply, Words};

use crate::client::Message;
use crate::execute::Batch;
use crate::server::CommandEntry;
use crate::session::Session;

/// What a command of the server asks for when it has replied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Done,
    /// That the connection is closed when its output is written.
    Close,
    /// To be called again when others have had their turn: it runs in steps, or something it
    /// needs is busy. Nothing is written.
    Busy,
    /// That the connection does nothing for so many ms.
    Rest(u64),
    /// To be called again in so many ms. Nothing is written.
    Later(u64),
}

/// The function of a command of the server.
pub type SessionFn = fn(&mut Call<'_>) -> Result<Next, CommandError>;

/// A row with its function.
pub struct SessionRow {
    /// The row; it says [`::command::Run::Session`] or [`::command::Run::Container`].
    pub command: Command,
    /// Its function.
    pub run: SessionFn,
}

/// The rows of all families of the server.
pub const ROWS: &[&[SessionRow]] = &[
    acl::ROWS,
    connection::ROWS,
    client::ROWS,
    cluster::ROWS,
    command::ROWS,
    config::ROWS,
    debug::ROWS,
    function::ROWS,
    himport::ROWS,
    info::ROWS,
    latency::ROWS,
    memory::ROWS,
    monitor::ROWS,
    pubsub::ROWS,
    scripting::ROWS,
    server::ROWS,
    slowlog::ROWS,
    transactions::ROWS,
];

/// The row of a container's HELP.
const HELP: Command = Command {
    name: "HELP",
    run: ::command::Run::Session,
    arity: ::command::Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    group: ::command::Group::Server,
    since: "5.0.0",
    summary: "Tells what subcommands there are.",
    ..Command::BASE
};

/// The server's commands that run in entered shards, as those of families do.
pub const ON_SHARDS: &[Command] = &[
    server::LOLWUT,
    scripting::EVAL,
    scripting::EVALSHA,
    scripting::EVALSHA_RO,
    scripting::EVAL_RO,
    scripting::FCALL,
    scripting::FCALL_RO,
    transactions::EXEC,
    transactions::WATCH,
];

/// One call of a command of the server.
pub struct Call<'a> {
    /// Server, worker, settings, time.
    pub batch: Batch<'a>,
    /// The whole request.
    pub words: Words<'a>,
    /// Its command.
    pub entry: &'a CommandEntry,
    /// The row that was called: the command's, or its subcommand's.
    pub command: &'static Command,
    /// The session that called.
    pub session: &'a mut Session,
    output: &'a mut Output,
}

impl<'a> Call<'a> {
    /// See the type's page.
    pub fn new(
        batch: Batch<'a>,
        words: Words<'a>,
        entry: &'a CommandEntry,
        command: &'static Command,
        session: &'a mut Session,
        output: &'a mut Output,
    ) -> Call<'a> {
        Call { batch, words, entry, command, session, output }
    }

    /// The arguments behind the command's name, and its subcommand's.
    #[must_use]
    pub fn args(&self) -> Args<'a> {
        let container = !std::ptr::eq(self.entry.command, self.command);
        Args::new(self.words, 1 + usize::from(container))
    }

    /// Writes the reply.
    pub fn reply(&mut self) -> Reply<'_> {
        Reply::new(self.output, self.session.dialect)
    }

    /// Writes a reply that is laid out already.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.output.raw(bytes);
    }

    /// Hands the client a push message: in EXEC as a reply in its place, else by its outbox.
    pub fn push(&mut self, message: Message) {
        if self.session.executing {
            message.write(self.output, self.session.dialect);
        } else {
            self.session.client.keep(message);
        }
    }

    /// Writes a reply of fixed lines, as HELP does.
    pub fn lines(&mut self, lines: &[&str]) -> Next {
        let mut reply = self.reply();
        reply.array(lines.len());
        lines.iter().for_each(|line| reply.simple(line));
        Next::Done
    }

    /// Writes the reply of a container's HELP, as its subcommands' rows say it.
    pub fn help(&mut self) -> Next {
        let container = self.entry.command;
        let mut lines = vec![format!(
            "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            container.name
        )];
        if matches!(container.run, ::command::Run::Session) {
            lines.extend(["(no subcommand)".to_owned(), format!("    {}", container.summary)]);
        }
        let is_help = |sub: &&Command| sub.name == "HELP";
        let others = container.subcommands.iter().filter(|sub| !is_help(sub));
        for sub in others.chain(container.subcommands.iter().filter(is_help)) {
            lines.extend(folded(&format!("{} {}", sub.name, sub.syntax)));
            lines.push(format!("    {}", sub.summary));
        }
        self.lines(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Whether the session speaks RESP3.
    #[must_use]
    pub fn is_resp3(&self) -> bool {
        self.session.dialect == Dialect::Resp3
    }
}

/// A line of HELP is no longer than this, in bytes, if its words allow it.
const HELP_WIDTH: usize = 80;

/// A long line as several, all but the first moved to the right.
fn folded(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first one");
        if !line.is_empty() && line.len() + 1 + word.len() > HELP_WIDTH {
            lines.push(format!("        {word}"));
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_of_help_is_folded_between_words() {
        assert_eq!(folded("GET key "), ["GET key"]);
        let long = vec!["word"; 40].join(" ");
        let lines = folded(&long);
        assert!(lines.iter().all(|line| line.len() <= HELP_WIDTH), "{lines:?}");
        assert!(lines[1..].iter().all(|line| line.starts_with("        word")), "{lines:?}");
        let words: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
        assert_eq!(words.join(" "), long);
        assert_eq!(folded(&"x".repeat(200)), ["x".repeat(200)]);
    }
}

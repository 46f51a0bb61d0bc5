//! Tests of commands, written as sessions at a prompt.
//!
//! # Layout
//!
//! ```text
//! # A comment: what the next lines show.
//! > SET greeting hello PX 20
//! OK
//! @ advance 20ms
//! > GET greeting
//! (nil)
//!
//! c2> BLPOP queue 0
//! (waits)
//! > RPUSH queue a
//! (integer) 1
//! c2<
//! 1) "queue"
//! 2) "a"
//! ```
//!
//! A line is, by its beginning:
//!
//! | line | meaning |
//! | --- | --- |
//! | `# ..` | a comment |
//! | `> ..`, `c2> ..` | a command of the client `c1`, of the client `c2` |
//! | `c1<`, `c2<` | the client's next message that answers no command: the reply to one that waited, a published message |
//! | `@ ..` | a directive, see below |
//! | `[..]` | in a reply: the lines after it are the reply where the condition holds |
//! | nothing | the end of a block |
//! | anything else | the reply, as [`crate::notation`] writes it |
//!
//! | directive | meaning |
//! | --- | --- |
//! | `@ advance 20ms` | lets time pass; also `s`, `m`, `h` |
//! | `@ resp3`, `@ resp2` | switches the dialect for what follows |
//! | `@ only anax` | leaves the block out where no condition holds; alone in its block: the rest of the file |
//! | `@ not oracle` | leaves the block out where a condition holds |
//! | `@ unordered` | the order of the command's reply is free; before or after the command |
//! | `@ match (error) ERR*` | in a reply: the written reply must match the pattern of `*` and `?` |
//!
//! Conditions are `anax`, `redis`, `valkey`, `oracle` (any server but Anax),
//! `resp2`, `resp3`; a server's name may carry a version: `redis>=8`,
//! `valkey<9.1`. Several, separated by blanks, mean "one of them".
//!
//! A reply is written once, in the types of RESP3; a run in RESP2 expects what
//! they become there. Where more than types differ a second reply follows:
//!
//! ```text
//! > ZRANGE board 0 -1 WITHSCORES
//! 1) "ann"
//! 2) "7"
//! [resp3]
//! 1) 1) "ann"
//!    2) (double) 7
//! ```
//!
//! # Invariants
//!
//! 1. A file starts with no key in any database and with new connections.
//! 2. A command without a reply is a failure, not something to skip.
//! 3. After the first failure in a block the rest of that block still runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::executor::{Executor, MAIN};
use crate::notation::{self, Malformed};
use crate::pattern::{Order, Pattern};
use crate::value::{Dialect, Value};

mod condition;
mod parse;
mod run;
mod transcribe;

pub use condition::{Condition, Conditions, Target};
pub use run::{Report, Run, run_file, run_folder};
pub use transcribe::transcribe;

/// A parsed file.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// Where it came from; only for messages.
    pub path: PathBuf,
    /// What stands between blank lines.
    pub blocks: Vec<Block>,
}

/// Lines without a blank one between them.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Where the block applies.
    pub scope: Scope,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// The targets and dialects that a block is for.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// One of each must hold.
    pub only: Vec<Conditions>,
    /// None of these may hold.
    pub not: Vec<Conditions>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// Time passes, in milliseconds.
    Advance(u64),
    /// Clients speak another dialect from here.
    Speak(Dialect),
    /// A client says or hears something.
    Exchange(Exchange),
}

/// A command, or a message to wait for, with what should come back.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The line it stands on, from 1.
    pub line: usize,
    /// The last line of its replies.
    pub line_last: usize,
    /// Who speaks.
    pub client: String,
    /// The words of the command; `None` waits for a message.
    pub words: Option<Vec<Vec<u8>>>,
    /// Whether the reply's order matters.
    pub order: Order,
    /// The replies, by condition; the first that applies is expected.
    pub replies: Vec<Reply>,
}

/// One reply and where it is expected.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Where; `None` is everywhere.
    pub when: Option<Conditions>,
    /// What.
    pub expected: Expected,
}

/// What should come back.
#[derive(Clone, Debug)]
pub enum Expected {
    /// A reply like this.
    Pattern {
        /// What it is.
        pattern: Pattern,
        /// How it was written.
        written: String,
    },
    /// A reply whose notation matches a pattern of `*` and `?`.
    Glob(String),
    /// No reply yet: the command waits.
    Waits,
}

/// A reply that is not what the transcript says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The file.
    pub path: PathBuf,
    /// The line of the command, from 1.
    pub line: usize,
    /// The command as it was written.
    pub command: String,
    /// The expected reply.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}:{}: {}", self.path.display(), self.line, self.command)?;
        write_indented("expected", &self.expected, out)?;
        write_indented("got", &self.got, out)
    }
}

fn write_indented(title: &str, text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(out, "  {title}:")?;
    text.lines().try_for_each(|line| writeln!(out, "    {line}"))
}

impl Expected {
    fn describe(&self, order: Order) -> String {
        let text = match self {
            Self::Pattern { written, .. } => written.clone(),
            Self::Glob(glob) => format!("what matches: {glob}"),
            Self::Waits => "(waits)".to_owned(),
        };
        match order {
            Order::Kept => text,
            Order::Free => format!("{text}\n(in any order)"),
        }
    }
}

impl Exchange {
    /// The command as it is said at the prompt.
    fn command(&self) -> String {
        match &self.words {
            Some(words) if self.client == MAIN => format!("> {}", notation::join(words)),
            Some(words) => format!("{}> {}", self.client, notation::join(words)),
            None => format!("{}<", self.client),
        }
    }
}

/// Whether `text` is what `pattern` with its `*` and `?` describes.
fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut pattern_at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(pattern_at) {
            Some(b'*') => {
                star = Some((pattern_at, at));
                pattern_at += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == text[at] => {
                pattern_at += 1;
                at += 1;
            }
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    pattern_at = star_at + 1;
                    at = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[pattern_at..].iter().all(|&byte| byte == b'*')
}

/// The files of a folder and its folders that end with `.txt`, in order of path.
fn transcript_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(transcript_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Makes an error out of what went wrong on a line.
fn at_line(line: usize, malformed: impl fmt::Display) -> Malformed {
    Malformed(format!("line {line}: {malformed}"))
}

#[cfg(test)]
mod tests;

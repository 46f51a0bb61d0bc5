//! What a script needs of the server that runs it.

use std::borrow::Cow;

use protocol::{Dialect, Reply, Words};

/// Why a script stops when a client has asked to kill it.
pub const KILLED: &str = "Script killed by user with SCRIPT KILL...";

/// Why a library stops that takes too long to load.
pub const LOAD_TIMEOUT: &str = "FUNCTION LOAD timeout";

/// What a host answers to a command that does not exist, with its code.
pub const UNKNOWN_COMMAND: &str = "ERR Unknown Redis command called from script";

/// What a host answers to a command with too few or too many arguments.
pub const WRONG_ARITY: &str = "ERR Wrong number of args calling Redis command from script";

/// What a host answers to a command that scripts must not call.
pub const NOT_ALLOWED: &str = "ERR This Redis command is not allowed from script";

/// What a host answers to a writing command in a script that may only read.
pub const READ_ONLY: &str = "ERR Write commands are not allowed from read-only scripts.";

/// The server, as a script sees it. It is lent to the engine for one run and gets no way back
/// into Lua.
pub trait Host {
    /// Told by [`Engine::start`](crate::Engine::start) that what the script is given has been laid
    /// out, and it runs next.
    fn note_ready(&mut self) {}

    /// Runs a command and writes its reply, or its refusal, into `reply`, which speaks the
    /// dialect that the script has asked for. An [`Reply::error`] is what makes `redis.call`
    /// raise; its text begins with its code.
    fn call(&mut self, words: Words<'_>, call: Call, reply: &mut Reply<'_>) -> Called;

    /// Whether the user may run a command; `None` if there is no such command.
    fn may_call(&mut self, words: Words<'_>) -> Option<bool>;

    /// Told of each error in what the script returns, and whether it is one of a command, which
    /// has been counted when that ran.
    fn note_returned(&mut self, error: &[u8], is_counted: bool) {
        let _ = (error, is_counted);
    }

    /// Writes a line to the server's log.
    fn log(&mut self, level: LogLevel, message: &[u8]);

    /// Asked now and then while a script runs: what becomes of it.
    fn look(&mut self) -> Verdict;

    /// Where `math.random` begins in this run. The same seed gives the same numbers.
    fn seed(&mut self) -> u32 {
        0
    }
}

/// What becomes of a script that has run for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It runs on.
    GoOn,
    /// It ends. The text becomes the error of the run, with `ERR` before it; nothing of the
    /// script is run after that, and the host is not called again.
    Stop(&'static str),
    /// It is put aside if it has a stack of its own, as with
    /// [`Engine::start`](crate::Engine::start); otherwise it runs on.
    Pause,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// It is answered.
    Answered,
    /// Nothing was done or written: it is to be called again after a pause. Only for a script that
    /// has a stack of its own.
    Later,
}

/// How a script wants a command to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The dialect of the reply, as `redis.setresp` has set it.
    pub dialect: Dialect,
    /// Where the effects go, as `redis.set_repl` has set it.
    pub replicate: Replicate,
}

/// Where the effects of a script's commands go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicate {
    /// To the log on disk.
    pub to_log: bool,
    /// To the replicas.
    pub to_replicas: bool,
}

impl Replicate {
    /// Everywhere, as at the beginning of a run.
    pub const ALL: Self = Self { to_log: true, to_replicas: true };

    /// By the flags of `redis.REPL_*`.
    pub(crate) fn from_flags(flags: i64) -> Option<Self> {
        let known = (0..=3).contains(&flags);
        known.then_some(Self { to_log: flags & 1 != 0, to_replicas: flags & 2 != 0 })
    }
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// `redis.LOG_DEBUG`.
    Debug,
    /// `redis.LOG_VERBOSE`.
    Verbose,
    /// `redis.LOG_NOTICE`.
    Notice,
    /// `redis.LOG_WARNING`.
    Warning,
}

impl LogLevel {
    /// By the number of `redis.LOG_*`.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        [Self::Debug, Self::Verbose, Self::Notice, Self::Warning]
            .get(usize::try_from(number).ok()?)
            .copied()
    }
}

/// Why a script, a function or a library came to no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error as the client gets it, with its code: `ERR user_script:1: ...`.
    pub text: Vec<u8>,
    /// Whether it is the error of a command, which has been counted when that ran.
    pub is_counted: bool,
}

impl Failure {
    /// Before anything is said.
    pub(crate) const EMPTY: Self = Self { text: Vec::new(), is_counted: false };

    pub(crate) fn new(text: impl Into<Vec<u8>>) -> Self {
        Self { text: text.into(), is_counted: false }
    }

    /// What is left to be said where nothing is: Lua had no memory to say it.
    pub(crate) fn or_no_memory(self) -> Self {
        if self.text.is_empty() {
            return Self::new("ERR Error running script, not enough memory");
        }
        self
    }

    /// The text for where only Unicode goes.
    #[must_use]
    pub fn message(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }
}

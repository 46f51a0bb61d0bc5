//! Lua 5.1 for scripts (`EVAL`) and functions (`FCALL`), as Redis has it.
//!
//! [`Script`] and [`LibrarySource`] are sources, checked as far as that goes without Lua; any
//! thread may hold them. An [`Engine`] is one state of Lua that compiles and runs them. What a
//! script does to the outside goes through the [`Host`] that is lent for the run. [`Engine::run`]
//! runs to the end; [`Engine::start`] can put a run aside for another thread (see `fiber`).
//!
//! ```text
//! EVAL -> Engine::run -> Lua -> redis.call -> Host::call -> the commands
//!                                  ^                             |
//!                                  +------ answer: RESP read <---+
//!         reply <- convert <- what the script returns
//! ```
//!
//! Lua's interface is in `lua`, with what makes it safe to use; `sandbox` says what scripts
//! find around them, and `base`, `tables`, `strings`, `random` replace what Lua has and cannot
//! be left as it is. `bit`, `cjson`, `cmsgpack` and `structs` are libraries that Redis adds.
//!
//! # Invariants
//!
//! 1. A script ends: the host is asked every few thousand instructions or steps of long work,
//!    and no `pcall` gets past its answer.
//! 2. A script has so much memory as the engine may have, and no more.
//! 3. One run leaves nothing behind for the next, but for what a library keeps in its locals.
//!
//! It knows no connection and no keyspace, reads no clock but the processor's (`os.clock`) and
//! no random number: [`Host::seed`] gives one.

mod answer;
mod api;
mod base;
mod bit;
mod blocks;
mod cjson;
mod cmsgpack;
mod convert;
mod engine;
mod error;
mod fiber;
mod gathered;
mod host;
mod layout;
mod library;
mod lua;
mod number;
mod pattern;
mod random;
mod sandbox;
mod sha1;
mod shared;
mod source;
mod stop;
mod strings;
mod structs;
mod tables;

pub use api::REDIS_VERSION;
pub use engine::{Engine, Program};
pub use fiber::{Finished, Paused, Progress};
pub use host::{
    Call, Called, Failure, Host, KILLED, LOAD_TIMEOUT, LogLevel, NOT_ALLOWED, READ_ONLY, Replicate,
    UNKNOWN_COMMAND, Verdict, WRONG_ARITY,
};
pub use library::Function;
pub use sha1::{Digest, sha1};
pub use source::{ById, Flags, IdHasher, LibrarySource, Script, ScriptId};

//! How much a request comes to, and what of it can be done before its keys are changed.
//!
//! Whoever runs requests asks a row how much one of them will be ([`Command::work`]), and runs it
//! elsewhere if it is much, so that others need not wait for it. A command that computes something
//! of its keys and then puts the result somewhere says so ([`Command::prepare`]): then the
//! computing, which takes long, is done under shared gates, and only the putting under exclusive
//! ones. A command that goes through all keys says which of them it tells ([`Command::sift`]): then
//! they are gathered shard by shard.
//!
//! [`Command::work`]: crate::Command::work
//! [`Command::prepare`]: crate::Command::prepare
//! [`Command::sift`]: crate::Command::sift

use keyspace::View;
use protocol::Reply;

use crate::args::Args;
use crate::error::{CommandError, Done};

/// About how many steps a request takes beyond what its number of words says. A step is to meet an
/// element of a collection and reply with it: about 100 ns.
///
/// It only estimates, takes no longer than a look-up for each key, and counts as no use of a key.
/// Of a request that is refused it may say anything.
pub type Work = fn(Args<'_>, &View<'_>) -> u64;

/// The first half of a writing command: computes what it puts.
pub type Prepare =
    for<'a> fn(Args<'a>, &View<'_>, &mut Reply<'_>) -> Result<Prepared<'a>, CommandError>;

/// What the first half of a writing command came to.
pub enum Prepared<'a> {
    /// This is to be put where it belongs.
    Put(Put<'a>),
    /// This is to be run once the gates are left, as it needs none, and says what is to be put.
    Apart(Box<dyn FnOnce() -> Put<'a> + Send + 'a>),
    /// There is nothing to put; it has replied.
    Answered,
    /// It depends on more than the keys that are named: it must run as a whole. It has not replied.
    Undone,
}

/// The second half: puts what was computed, and replies.
pub type Put<'a> = Box<dyn FnOnce(&mut View<'_>, &mut Reply<'_>) -> Done + Send + 'a>;

/// Makes what says which keys are told, of a command that replies with an array of such keys of its
/// database.
pub type Sift = fn(Args<'_>) -> Result<Wanted, CommandError>;

/// Whether a key is told.
pub type Wanted = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// The steps that a word of a request takes.
pub const WORD_STEPS: u64 = 2;

/// Bytes that are copied into new memory in a step.
pub const COPIED_BYTES: u64 = 256;

//! The slow log: the latest commands that took longer than a threshold.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use protocol::Words;

/// Words of a command that are kept.
const WORDS_MAX: usize = 32;

/// Bytes of a word that are kept.
const WORD_BYTES_MAX: usize = 128;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slow {
    /// Counts up by one for each entry ever made.
    pub id: u64,
    /// When it ran, in seconds since the epoch.
    pub unix_seconds: u64,
    /// How long it took.
    pub micros: u64,
    /// Its words, the many and the long ones shortened.
    pub words: Vec<Vec<u8>>,
    /// Where the client came from.
    pub address: String,
    /// The client's name.
    pub name: Vec<u8>,
}

/// The entries, newest first.
#[derive(Default)]
pub struct SlowLog {
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    next: u64,
    entries: VecDeque<Slow>,
}

impl SlowLog {
    /// Adds an entry and forgets the oldest beyond `entries_max`. The entry's id is given here.
    pub fn add(&self, slow: Slow, entries_max: usize) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let id = log.next;
        log.next += 1;
        log.entries.push_front(Slow { id, ..slow });
        log.entries.truncate(entries_max);
    }

    /// The newest entries.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<Slow> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.entries.iter().take(count).cloned().collect()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all entries.
    pub fn reset(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).entries.clear();
    }
}

/// The words of a command, shortened as Redis shortens them.
#[must_use]
pub fn shortened(words: Words<'_>) -> Vec<Vec<u8>> {
    let kept = if words.len() > WORDS_MAX { WORDS_MAX - 1 } else { words.len() };
    let mut short: Vec<Vec<u8>> = words.iter().take(kept).map(shorten).collect();
    if kept < words.len() {
        let more = words.len() - kept;
        short.push(format!("... ({more} more arguments)").into_bytes());
    }
    short
}

fn shorten(word: &[u8]) -> Vec<u8> {
    match word.len().checked_sub(WORD_BYTES_MAX) {
        None | Some(0) => word.to_vec(),
        Some(more) => {
            let mut short = word[..WORD_BYTES_MAX].to_vec();
            short.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
            short
        }
    }
}

//! The command logs: the latest commands that took longer than a threshold (the slow log), and
//! those whose request or reply was larger than one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

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
    /// How long it took in microseconds, or how large it was in bytes.
    pub amount: u64,
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
        if entries_max == 0 {
            return;
        }
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
pub fn shortened<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let count = words.len();
    let kept = if count > WORDS_MAX { WORDS_MAX - 1 } else { count };
    let mut short: Vec<Vec<u8>> = words.take(kept).map(shorten).collect();
    if kept < count {
        let more = count - kept;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(amount: u64) -> Slow {
        let (words, name) = (Vec::new(), Vec::new());
        Slow { id: 0, unix_seconds: 1, amount, words, address: String::new(), name }
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let log = SlowLog::default();
        (0..5).for_each(|amount| log.add(entry(amount), 3));
        let kept: Vec<_> =
            log.newest(usize::MAX).iter().map(|slow| (slow.id, slow.amount)).collect();
        assert_eq!(kept, [(4, 4), (3, 3), (2, 2)]);
        log.reset();
        log.add(entry(8), 0);
        log.add(entry(9), 3);
        assert_eq!(log.newest(1)[0].id, 5, "ids go on after a reset, and count what is kept");
    }

    #[test]
    fn long_requests_are_cut_to_32_words_of_128_bytes() {
        let word = [b'x'; 200];
        let words = shortened((0..40).map(|_| &word[..]));
        assert_eq!(words.len(), 32);
        assert!(words[0].ends_with(b"x... (72 more bytes)"));
        assert_eq!(words[31], b"... (9 more arguments)");
        assert_eq!(shortened((0..32).map(|_| &b"a"[..])).len(), 32);
    }
}

//! What ACL LOG shows: who was refused what.
//!
//! The same refusal again within a minute is counted, not entered anew.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyspace::Millis;

use super::rights::Reason;

/// How long the same refusals are one entry, in ms.
const GROUPED_MILLIS: Millis = 60_000;

/// How many entries are looked through for the same refusal.
const LOOKED_AT: usize = 10;

/// Bytes that are kept of what was refused, and of the name of who it was refused to. Whoever is
/// refused something chooses both.
const TEXT_BYTES_MAX: usize = 1024;

/// Where a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// It came by itself.
    TopLevel,
    /// It is part of a transaction.
    Multi,
    /// A script made it.
    Lua,
}

/// A refusal, or several of the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: Reason,
    /// Where.
    pub context: Context,
    /// What was refused: a command, a key, a channel, a database.
    pub object: Vec<u8>,
    /// To whom.
    pub user: Vec<u8>,
    /// The last client, as CLIENT INFO describes it.
    pub client: String,
    /// Its number; none is used again.
    pub id: u64,
    /// When it was entered, in ms since the epoch.
    pub created: Millis,
    /// When it was last counted.
    pub updated: Millis,
}

/// The refusals of a server.
#[derive(Default)]
pub struct Log {
    entries: Mutex<VecDeque<Entry>>,
    entries_max: AtomicUsize,
    next: AtomicU64,
    counts: [AtomicU64; Reason::ALL.len()],
}

impl Context {
    /// Its name in ACL LOG.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Context::TopLevel => "toplevel",
            Context::Multi => "multi",
            Context::Lua => "lua",
        }
    }
}

impl Entry {
    fn is_like(&self, other: &Entry) -> bool {
        self.reason == other.reason
            && self.context == other.context
            && self.updated.abs_diff(other.updated) <= GROUPED_MILLIS
            && self.object == other.object
            && self.user == other.user
    }
}

/// What is kept of a text: of a long one the beginning, and how much more there was.
#[must_use]
pub fn kept(text: &[u8]) -> Vec<u8> {
    match text.len().checked_sub(TEXT_BYTES_MAX) {
        None | Some(0) => text.to_vec(),
        Some(more) => {
            let said = format!("... ({more} more bytes)");
            [&text[..TEXT_BYTES_MAX], said.as_bytes()].concat()
        }
    }
}

impl Log {
    /// Enters a refusal, as the newest; the oldest go that are too many.
    pub fn enter(&self, mut new: Entry) {
        let entries_max = self.entries_max.load(Ordering::Relaxed);
        self.counts[new.reason as usize].fetch_add(1, Ordering::Relaxed);
        let mut entries = self.lock();
        let like = entries.iter().take(LOOKED_AT).position(|known| known.is_like(&new));
        if let Some(known) = like.and_then(|at| entries.remove(at)) {
            new =
                Entry { client: new.client, updated: new.updated, count: known.count + 1, ..known };
        } else if entries_max > 0 {
            new.id = self.next.fetch_add(1, Ordering::Relaxed);
        }
        entries.push_front(new);
        entries.truncate(entries_max);
    }

    /// The newest entries, as many as are asked for.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<Entry> {
        self.lock().iter().take(count).cloned().collect()
    }

    /// Keeps no more entries than this from the next one on.
    pub fn limit(&self, entries_max: usize) {
        self.entries_max.store(entries_max, Ordering::Relaxed);
    }

    /// Forgets all entries.
    pub fn reset(&self) {
        self.lock().clear();
    }

    /// How many refusals there were of this kind since the start: CONFIG RESETSTAT leaves that.
    #[must_use]
    pub fn total(&self, reason: Reason) -> u64 {
        self.counts[reason as usize].load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(object: &str, at: Millis) -> Entry {
        Entry {
            count: 1,
            reason: Reason::Key,
            context: Context::TopLevel,
            object: object.into(),
            user: b"ann".to_vec(),
            client: format!("at={at}"),
            id: 0,
            created: at,
            updated: at,
        }
    }

    fn log(entries_max: usize) -> Log {
        let log = Log::default();
        log.limit(entries_max);
        log
    }

    fn seen(log: &Log) -> Vec<(String, u64, u64)> {
        let text = |entry: Entry| String::from_utf8(entry.object).unwrap();
        let all = log.newest(100).into_iter();
        all.map(|entry| (text(entry.clone()), entry.count, entry.id)).collect()
    }

    #[test]
    fn the_same_within_a_minute_is_counted_and_comes_to_the_front() {
        let log = log(10);
        for (object, at) in [("a", 0), ("b", 10), ("a", 60_000), ("a", 120_001)] {
            log.enter(refusal(object, at));
        }
        let expected = [("a", 1, 2), ("a", 2, 0), ("b", 1, 1)];
        assert_eq!(seen(&log), expected.map(|(object, count, id)| (object.to_owned(), count, id)));
        let merged = &log.newest(2)[1];
        assert_eq!((merged.created, merged.updated, &*merged.client), (0, 60_000, "at=60000"));
        let other = Entry { context: Context::Multi, ..refusal("a", 120_001) };
        log.enter(other);
        assert_eq!(log.newest(1)[0].count, 1, "another context is something else");
    }

    /// A client that may do nothing, and one that has not even said who it is, could fill the
    /// memory with what they are refused.
    #[test]
    fn of_a_long_text_the_beginning_is_kept() {
        let long = vec![b'k'; 1 << 20];
        let (short, more) = (&long[..TEXT_BYTES_MAX], long.len() - TEXT_BYTES_MAX);
        let said = format!("... ({more} more bytes)");
        assert_eq!(kept(&long), [short, said.as_bytes()].concat());
        assert_ne!(kept(&long), kept(&long[1..]), "each length is told apart");
        assert_eq!((kept(short), kept(b"")), (short.to_vec(), Vec::new()));
    }

    #[test]
    fn no_more_is_kept_than_asked_for_but_everything_is_counted() {
        let log = log(3);
        for at in 0..5 {
            log.enter(refusal(&at.to_string(), at));
        }
        assert_eq!(seen(&log).len(), 3);
        assert_eq!(log.newest(2).len(), 2);
        log.limit(0);
        log.enter(refusal("x", 9));
        log.limit(3);
        assert_eq!(seen(&log), []);
        assert_eq!((log.total(Reason::Key), log.total(Reason::Auth)), (6, 0));
        log.reset();
        assert_eq!(seen(&log), []);
    }
}

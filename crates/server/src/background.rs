//! Where things are dropped that take long to drop: flushed databases, big values, libraries, the
//! memory of long requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use keyspace::Leftovers;

/// The thread's niceness: it takes what the workers leave of the machine.
const NICENESS: i32 = 10;

/// A thread that drops what it is given.
pub struct Background {
    sender: Sender<Burden>,
    counts: Arc<Counts>,
}

/// What is to be dropped.
struct Burden {
    /// How many entries it counts as.
    entries: u64,
    what: Box<dyn Send>,
}

#[derive(Default)]
struct Counts {
    pending: AtomicU64,
    freed: AtomicU64,
    /// What `freed` was when it was last reset.
    freed_before: AtomicU64,
}

impl Background {
    /// Starts the thread. It ends with the server.
    #[must_use]
    pub fn start() -> Background {
        let (sender, receiver) = channel();
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        crate::threads::start("anax-free", Some(NICENESS), move || work(&receiver, &theirs));
        Background { sender, counts }
    }

    /// Drops what a command has left over on the thread.
    pub fn discard(&self, leftovers: Box<Leftovers>) {
        self.drop_later(leftovers.entries() as u64, leftovers);
    }

    /// Drops something that counts as so many entries on the thread; here, if the thread has ended.
    pub fn drop_later(&self, entries: u64, what: Box<dyn Send>) {
        self.counts.pending.fetch_add(entries, Ordering::Relaxed);
        drop(self.sender.send(Burden { entries, what }));
    }

    /// Gives the memory of a long buffer back on the thread, which takes a while for each MiB.
    pub fn discard_buffer(&self, buffer: Vec<u8>) {
        self.drop_later(0, Box::new(buffer));
    }

    /// How many entries wait to be dropped.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.counts.pending.load(Ordering::Relaxed)
    }

    /// How many entries have been dropped here since the count was last reset.
    #[must_use]
    pub fn freed(&self) -> u64 {
        self.freed_total().saturating_sub(self.counts.freed_before.load(Ordering::Relaxed))
    }

    /// How many entries have been dropped here since the server started.
    #[must_use]
    pub fn freed_total(&self) -> u64 {
        self.counts.freed.load(Ordering::Relaxed)
    }

    /// Starts counting from zero again.
    pub fn reset(&self) {
        self.counts.freed_before.store(self.freed_total(), Ordering::Relaxed);
    }
}

fn work(receiver: &Receiver<Burden>, counts: &Counts) {
    while let Ok(Burden { entries, what }) = receiver.recv() {
        drop(what);
        counts.pending.fetch_sub(entries, Ordering::Relaxed);
        counts.freed.fetch_add(entries, Ordering::Relaxed);
    }
}

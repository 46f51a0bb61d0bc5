//! CLIENT PAUSE: until a moment, clients that want to write (or all) are held back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keyspace::Millis;
use tokio::sync::Notify;

/// The pause of a server; none at first.
#[derive(Default)]
pub struct Pause {
    /// Until when, in ms since the epoch; 0: there is none.
    until: AtomicU64,
    everything: AtomicBool,
    over: Notify,
}

impl Pause {
    /// Holds back commands until a moment. A pause that is in force is never shortened, and one
    /// of everything stays one of everything.
    pub fn begin(&self, now: Millis, until: Millis, everything: bool) {
        let running = self.until.load(Ordering::Relaxed) > now;
        let everything = everything || (running && self.everything.load(Ordering::Relaxed));
        self.everything.store(everything, Ordering::Relaxed);
        if running {
            self.until.fetch_max(until, Ordering::Release);
        } else {
            self.until.store(until, Ordering::Release);
        }
    }

    /// Whether a pause was begun and not ended, so that each command has to ask whether it is
    /// held. Its time may be over.
    #[must_use]
    #[inline]
    pub fn is_on(&self) -> bool {
        self.until.load(Ordering::Acquire) != 0
    }

    /// Ends the pause.
    pub fn end(&self) {
        self.until.store(0, Ordering::Release);
        self.over.notify_waiters();
    }

    /// How long a command has to wait from now on, in ms; `None`: it may run.
    #[must_use]
    #[inline]
    pub fn holds(&self, now: Millis, writes: bool) -> Option<Millis> {
        let until = self.until.load(Ordering::Acquire);
        if until == 0 {
            return None;
        }
        if until <= now {
            // Its time is over; another one may have begun meanwhile.
            let _ = self.until.compare_exchange(until, 0, Ordering::Release, Ordering::Relaxed);
            return None;
        }
        let held = writes || self.everything.load(Ordering::Relaxed);
        held.then(|| until - now)
    }

    /// Waits until the pause is ended before its time; not at all if it has been.
    pub async fn ended(&self) {
        let told = self.over.notified();
        tokio::pin!(told);
        // From here on nobody's call is missed, also if it comes between the next two lines.
        told.as_mut().enable();
        if self.until.load(Ordering::Acquire) > 0 {
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_writes_holds_writers_alone() {
        let pause = Pause::default();
        assert_eq!(pause.holds(0, true), None);
        pause.begin(100, 150, false);
        assert_eq!((pause.holds(100, true), pause.holds(100, false)), (Some(50), None));
        assert!(pause.is_on());
        assert_eq!(pause.holds(150, true), None);
        assert!(!pause.is_on());
    }

    #[test]
    fn a_pause_in_force_becomes_neither_shorter_nor_milder() {
        let pause = Pause::default();
        pause.begin(100, 200, true);
        pause.begin(110, 150, false);
        assert_eq!((pause.holds(120, true), pause.holds(120, false)), (Some(80), Some(80)));
        pause.begin(130, 300, false);
        assert_eq!(pause.holds(130, false), Some(170));
    }

    #[test]
    fn a_pause_that_is_over_leaves_nothing_behind() {
        let pause = Pause::default();
        pause.begin(100, 200, true);
        pause.begin(200, 250, false);
        assert_eq!((pause.holds(200, true), pause.holds(200, false)), (Some(50), None));
        pause.end();
        assert_eq!(pause.holds(201, true), None);
    }

    #[test]
    fn a_pause_of_no_time_does_nothing() {
        let pause = Pause::default();
        pause.begin(100, 100, true);
        assert_eq!(pause.holds(100, true), None);
    }
}

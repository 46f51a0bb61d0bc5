//! Replies that are held back until the connections that are ready have had their turn.
//!
//! The first reply to a client that sleeps wakes it, which costs the kernel as much as many
//! commands cost here. A client is often one process with many connections: when their replies are
//! written one after another it is woken once, not once for each.
//!
//! Where the connections come one at a time there is nothing to be gained by waiting for others: a
//! worker that finds none does not try again for a while.

use std::cell::Cell;

/// How many pipelines are answered at once after one that waited for others in vain.
const SOLITARY: u32 = 32;

/// What a worker knows of the replies that its connections hold.
#[derive(Default)]
pub struct Turns {
    /// Connections that hold replies.
    holding: Cell<u32>,
    /// Those that have held some since there last were none.
    met: Cell<u32>,
    /// How many more pipelines are to be answered at once.
    solitary: Cell<u32>,
}

impl Turns {
    /// Whether a connection is to hold its replies until the others have had their turn. If so it
    /// gives them up by [`Turns::release`].
    pub fn hold(&self) -> bool {
        let solitary = self.solitary.get();
        if solitary > 0 && self.holding.get() == 0 {
            self.solitary.set(solitary - 1);
            return false;
        }
        self.holding.set(self.holding.get() + 1);
        self.met.set(self.met.get() + 1);
        true
    }

    /// A connection writes the replies that it has held.
    pub fn release(&self) {
        self.holding.set(self.holding.get() - 1);
        if self.holding.get() == 0 {
            let was_alone = self.met.replace(0) == 1;
            self.solitary.set(if was_alone { SOLITARY } else { 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_alone_does_not_wait_again_for_a_while() {
        let turns = Turns::default();
        assert!(turns.hold());
        turns.release();
        for _ in 0..SOLITARY {
            assert!(!turns.hold());
        }
        assert!(turns.hold());
    }

    #[test]
    fn who_met_others_waits_again() {
        let turns = Turns::default();
        for _ in 0..3 {
            assert!(turns.hold() && turns.hold());
            turns.release();
            assert!(turns.hold(), "a third one while the second still waits");
            turns.release();
            turns.release();
        }
    }
}

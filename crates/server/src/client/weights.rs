//! What all clients take together, while that is limited: `maxmemory-clients`.
//!
//! Each client's task notes what its client takes whenever that may have grown, as the difference
//! to what it noted before, so that the sum is known without asking all of them. When it passes
//! the limit the largest clients are closed.
//!
//! # Invariants
//!
//! 1. The sum is that of the clients' weights. One that is gone weighs nothing, and never again.
//! 2. Without a limit nothing is noted: that costs a look at one number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Client, Kill};

/// The weight of a client that is gone.
const GONE: u64 = u64::MAX;

/// What was last noted that a client takes, in bytes.
#[derive(Default)]
pub(super) struct Weight(AtomicU64);

/// See the module's page.
#[derive(Default)]
pub(super) struct Weights {
    /// 0: there is none.
    limit: AtomicU64,
    sum: AtomicU64,
}

impl Weights {
    /// Sets the limit; whether there is one, so that all clients are to be noted.
    pub(super) fn limit(&self, bytes_max: u64) -> bool {
        self.limit.swap(bytes_max, Ordering::Relaxed) != bytes_max && bytes_max > 0
    }

    #[inline]
    pub(super) fn is_limited(&self) -> bool {
        self.limit.load(Ordering::Relaxed) > 0
    }

    /// Whether they take more than they may.
    pub(super) fn is_too_much(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        limit > 0 && self.sum.load(Ordering::Relaxed) > limit
    }

    /// Notes what a client takes now.
    pub(super) fn note(&self, client: &Client) {
        let now = client.memory_bytes();
        let known = |before: u64| (before != GONE).then_some(now);
        let noted = client.weight.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, known);
        if let Ok(before) = noted {
            // Two's complement: a difference below zero is subtracted.
            self.sum.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        }
    }

    /// Forgets a client.
    pub(super) fn let_go(&self, client: &Client) {
        let before = client.weight.0.swap(GONE, Ordering::Relaxed);
        if before != GONE {
            self.sum.fetch_sub(before, Ordering::Relaxed);
        }
    }

    /// Closes the largest of these clients until the others may take what they do.
    pub(super) fn lighten<'c>(&self, clients: impl Iterator<Item = &'c Arc<Client>>) {
        let mut largest: Vec<_> = clients
            .filter(|client| may_be_closed(client))
            .map(|client| (client.weight.0.load(Ordering::Relaxed), client))
            .collect();
        largest.sort_unstable_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        for (bytes, client) in largest {
            if !self.is_too_much() {
                return;
            }
            let (id, address) = (client.id, &client.address);
            tracing::info!(id, address, bytes, "closed a client: all take too much memory");
            self.let_go(client);
            client.kill_for_memory();
        }
    }
}

/// Whether a client may be closed for want of memory.
fn may_be_closed(client: &Client) -> bool {
    !client.admin && !client.no_evict.load(Ordering::Relaxed) && client.killed() != Kill::Now
}

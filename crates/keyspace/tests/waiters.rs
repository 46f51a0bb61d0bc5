//! Who is offered a key that changed, and in which order.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use common::{frame, keyspace, set, write, write_in};
use keyspace::{Expiry, Keyspace, Offer, View, Waiter, event};

/// What was offered: to whom, and the key.
type Offered = Arc<Mutex<Vec<(u64, Vec<u8>)>>>;

/// A client that answers every offer alike.
struct Scripted {
    origin: u64,
    answer: Offer,
    awaits_absence: bool,
    offered: Offered,
    /// Written when an offer is taken.
    sets: Option<&'static [u8]>,
}

impl Waiter for Scripted {
    fn origin(&self) -> u64 {
        self.origin
    }

    fn awaits_absence(&self) -> bool {
        self.awaits_absence
    }

    fn offer(&self, key: &[u8], view: &mut View<'_>) -> Offer {
        assert_eq!(view.frame().origin, self.origin);
        self.offered.lock().unwrap().push((self.origin, key.to_vec()));
        if let Some(other) = self.sets {
            set(view, other, b"chained", Expiry::Clear);
        }
        self.answer
    }
}

struct Queues {
    keyspace: Keyspace,
    offered: Offered,
}

impl Queues {
    fn new() -> Queues {
        Queues { keyspace: keyspace(4), offered: Offered::default() }
    }

    fn client(&self, origin: u64, answer: Offer) -> Scripted {
        let offered = Arc::clone(&self.offered);
        Scripted { origin, answer, awaits_absence: false, offered, sets: None }
    }

    fn wait(&self, keys: &[&[u8]], client: Scripted) -> Arc<dyn Waiter> {
        let waiter: Arc<dyn Waiter> = Arc::new(client);
        write(&self.keyspace, |view| view.wait(keys.iter().copied(), &waiter));
        waiter
    }

    fn set(&self, key: &[u8]) {
        write(&self.keyspace, |view| set(view, key, b"value", Expiry::Clear));
    }

    /// Who was offered which key since the last time.
    fn told(&self) -> Vec<(u64, Vec<u8>)> {
        std::mem::take(&mut self.offered.lock().unwrap())
    }

    fn keys_awaited(&self) -> usize {
        self.keyspace.awaited().keys.load(Ordering::Relaxed)
    }
}

fn offers<const N: usize>(of: [(u64, &str); N]) -> Vec<(u64, Vec<u8>)> {
    of.iter().map(|&(origin, key)| (origin, key.as_bytes().to_vec())).collect()
}

#[test]
fn a_change_is_offered_in_the_order_in_which_clients_came() {
    let queues = Queues::new();
    queues.wait(&[b"a"], queues.client(1, Offer::Declined));
    queues.wait(&[b"a", b"b", b"b"], queues.client(2, Offer::Taken));
    queues.wait(&[b"a"], queues.client(3, Offer::Over));
    queues.wait(&[b"a"], queues.client(4, Offer::Declined));
    assert_eq!(queues.keys_awaited(), 2);
    queues.set(b"other");
    assert_eq!(queues.told(), []);
    queues.set(b"a");
    assert_eq!(queues.told(), offers([(1, "a"), (2, "a"), (3, "a"), (4, "a")]));
    // Who took it, or was no more, is out of this queue, and of no other.
    queues.set(b"a");
    assert_eq!(queues.told(), offers([(1, "a"), (4, "a")]));
    queues.set(b"b");
    assert_eq!(queues.told(), offers([(2, "b")]));
    assert_eq!(queues.keys_awaited(), 1);
}

#[test]
fn nobody_behind_a_client_that_was_called_is_offered_anything() {
    let queues = Queues::new();
    let called = queues.wait(&[b"a"], queues.client(1, Offer::Called));
    queues.wait(&[b"a"], queues.client(2, Offer::Declined));
    queues.set(b"a");
    queues.set(b"a");
    assert_eq!(queues.told(), offers([(1, "a"), (1, "a")]));
    // It goes, and those behind it are asked.
    write(&queues.keyspace, |view| view.stop_waiting([b"a".as_slice()], &called));
    assert_eq!(queues.told(), offers([(2, "a")]));
}

#[test]
fn a_client_that_waits_again_keeps_its_place_where_it_stands() {
    let queues = Queues::new();
    let first = queues.wait(&[b"a"], queues.client(1, Offer::Declined));
    queues.wait(&[b"a", b"b"], queues.client(2, Offer::Declined));
    write(&queues.keyspace, |view| {
        view.wait_again([b"a".as_slice(), b"b".as_slice()], &first);
    });
    queues.set(b"a");
    queues.set(b"b");
    assert_eq!(queues.told(), offers([(1, "a"), (2, "a"), (2, "b"), (1, "b")]));
}

#[test]
fn only_those_who_wait_for_it_are_told_that_a_key_has_gone() {
    let queues = Queues::new();
    queues.wait(&[b"a"], queues.client(1, Offer::Declined));
    queues.set(b"a");
    queues.told();
    write(&queues.keyspace, |view| view.remove(b"a", event::DEL));
    assert_eq!(queues.told(), []);
    let to_go = Scripted { awaits_absence: true, ..queues.client(2, Offer::Declined) };
    queues.wait(&[b"a"], to_go);
    queues.set(b"a");
    queues.told();
    write(&queues.keyspace, |view| view.flush(0));
    assert_eq!(queues.told(), offers([(1, "a"), (2, "a")]));
    assert_eq!(queues.keyspace.awaited().keys_to_go.load(Ordering::Relaxed), 1);
}

#[test]
fn databases_that_are_swapped_offer_what_they_bring() {
    let queues = Queues::new();
    queues.wait(&[b"a"], queues.client(1, Offer::Taken));
    write_in(&queues.keyspace, frame(1, 0), |view| set(view, b"a", b"value", Expiry::Clear));
    assert_eq!(queues.told(), []);
    write(&queues.keyspace, |view| view.swap(0, 1));
    assert_eq!(queues.told(), offers([(1, "a")]));
    assert_eq!(queues.keys_awaited(), 0);
}

#[test]
fn what_a_served_client_changes_serves_the_next() {
    let queues = Queues::new();
    let chained = Scripted { sets: Some(b"b"), ..queues.client(1, Offer::Taken) };
    queues.wait(&[b"a"], chained);
    queues.wait(&[b"b"], queues.client(2, Offer::Taken));
    queues.set(b"a");
    assert_eq!(queues.told(), offers([(1, "a"), (2, "b")]));
    assert_eq!(queues.keys_awaited(), 0);
}

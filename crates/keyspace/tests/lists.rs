//! The guard of lists: what it tells, and when a list becomes a large one.

#![allow(clippy::unwrap_used, reason = "a test ends where something is amiss")]

mod common;

use std::sync::mpsc::{Sender, channel};

use common::{frame, keyspace, write, write_in};
use keyspace::{End, Frame, Layout, ListFill, Publication, Sink, Stored, View, event};

struct Recorder(Sender<(Vec<u8>, &'static str)>);

impl Sink for Recorder {
    fn publish(&self, publication: &Publication<'_>) {
        for change in publication.changes() {
            self.0.send((change.key.to_vec(), change.event.name)).expect("the test listens");
        }
    }
}

fn push(view: &mut View<'_>, texts: &[&[u8]]) {
    let texts = texts.iter().copied();
    view.list_entry(b"l").unwrap().push(End::Back, texts, event::RPUSH).unwrap();
}

fn pop(view: &mut View<'_>, count: usize) -> Vec<Vec<u8>> {
    let mut popped = Vec::new();
    let mut entry = view.list_entry(b"l").unwrap();
    let show = |element: value::entries::Element<'_>| {
        popped.push(element.to_text(&mut value::entries::Digits::new()).to_vec());
    };
    entry.pop(End::Front, count, event::LPOP, show).unwrap();
    popped
}

fn encoding(view: &View<'_>) -> &'static str {
    match view.stored(b"l").unwrap() {
        Stored::Packed(kind, bytes) => kind.packed_encoding(bytes),
        Stored::Big(big) => big.encoding(),
        Stored::Str(_) => "none",
    }
}

fn is_large(view: &View<'_>) -> bool {
    matches!(view.stored(b"l"), Some(Stored::Big(_)))
}

#[test]
fn what_becomes_empty_goes_after_it_is_told_what_was_taken() {
    let keyspace = keyspace(8);
    let (sender, told) = channel();
    assert!(keyspace.set_sink(Box::new(Recorder(sender))));
    write(&keyspace, |view| push(view, &[b"1", b"two", b"3"]));
    let popped = write(&keyspace, |view| {
        let first = pop(view, 1);
        [first, pop(view, 7), pop(view, 1)].concat()
    });
    assert_eq!(popped, [&b"1"[..], b"two", b"3"]);
    let names: Vec<_> = told.try_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["new", "rpush", "lpop", "lpop", "del"]);
    write(&keyspace, |view| assert!(view.stored(b"l").is_none()));
}

#[test]
fn a_list_is_large_when_its_record_cannot_hold_it_and_a_listpack_still() {
    let keyspace = keyspace(1);
    write(&keyspace, |view| {
        push(view, &[b"first"]);
        assert!(!is_large(view));
        let middle = [b'x'; 1000];
        push(view, &[&middle, b"last"]);
        assert!(is_large(view) && encoding(view) == "listpack");
        (0..8).for_each(|_| push(view, &[&middle]));
        assert_eq!(encoding(view), "quicklist", "9,000 bytes are beyond a node of 8 KiB");
        assert_eq!(pop(view, 6)[2], b"last");
        assert_eq!(encoding(view), "quicklist", "5,000 bytes are more than half of a node");
        pop(view, 2);
        assert_eq!(encoding(view), "listpack");
        assert_eq!(pop(view, 9).len(), 3);
    });
}

#[test]
fn a_node_may_be_limited_by_the_number_of_its_elements() {
    let keyspace = keyspace(1);
    let layout = Layout { list_fill: ListFill::from_setting(4), ..Layout::default() };
    write_in(&keyspace, Frame { layout, ..frame(0, 0) }, |view| {
        push(view, &[b"a", b"b", b"c", b"d"]);
        assert_eq!((is_large(view), encoding(view)), (false, "listpack"));
        push(view, &[b"e"]);
        assert_eq!((is_large(view), encoding(view)), (true, "quicklist"));
        pop(view, 2);
        assert_eq!(encoding(view), "quicklist");
        pop(view, 1);
        assert_eq!(encoding(view), "listpack");
        assert_eq!(pop(view, 9), [b"d", b"e"]);
    });
}

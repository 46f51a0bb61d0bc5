//! Members against a map of the standard library.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

/// A tail of a length byte and as many bytes.
struct Tailed;

impl Layout for Tailed {
    fn tail_len(bytes: &[u8]) -> usize {
        1 + usize::from(bytes[0])
    }
}

fn hasher() -> KeyHasher {
    KeyHasher::new([3, 5])
}

/// Members, what they should be, and the handles that somebody would keep.
struct Model {
    members: Members<Tailed>,
    expected: HashMap<Vec<u8>, Vec<u8>>,
    handles: HashMap<u32, Vec<u8>>,
}

impl Model {
    fn new() -> Model {
        Model { members: Members::new(), expected: HashMap::new(), handles: HashMap::new() }
    }

    fn set(&mut self, name: &[u8], tail: &[u8]) {
        let (hasher, head) = (hasher(), [tail.len() as u8]);
        let hash = hasher.hash(name);
        let parts = [&head[..], tail];
        let old = self.members.find(hash, name);
        let handle = match old {
            None => self.members.insert(&hasher, hash, name, &parts).unwrap(),
            Some(at) => {
                self.handles.remove(&at.handle());
                let mut moves = Vec::new();
                let moved =
                    |old, new, member: Member<'_>| moves.push((old, new, member.name.to_vec()));
                let new = self.members.replace_tail(&hasher, hash, at, &parts, moved).unwrap();
                self.follow(moves);
                new
            }
        };
        self.handles.insert(handle, name.to_vec());
        self.expected.insert(name.to_vec(), tail.to_vec());
    }

    fn remove(&mut self, name: &[u8]) {
        let hasher = hasher();
        let hash = hasher.hash(name);
        let found = self.members.find(hash, name);
        assert_eq!(found.is_some(), self.expected.remove(name).is_some());
        let Some(at) = found else { return };
        self.handles.remove(&at.handle());
        let mut moves = Vec::new();
        let moved = |old, new, member: Member<'_>| moves.push((old, new, member.name.to_vec()));
        self.members.remove(&hasher, hash, at, moved);
        self.follow(moves);
    }

    fn follow(&mut self, moves: Vec<(u32, u32, Vec<u8>)>) {
        for (old, new, name) in moves {
            assert_eq!(self.handles.remove(&old), Some(name.clone()));
            self.handles.insert(new, name);
        }
    }

    fn check(&self) {
        assert_eq!(self.members.len(), self.expected.len());
        for (name, tail) in &self.expected {
            let found = self.members.tail(hasher().hash(name), name).unwrap();
            assert_eq!(&found[1..], tail);
        }
        for (&handle, name) in &self.handles {
            assert_eq!(self.members.member(handle).name, name);
        }
        let seen: HashSet<_> = self.members.iter().map(|member| member.name.to_vec()).collect();
        assert_eq!(seen.len(), self.expected.len());
        assert_eq!(self.members.iter().count(), seen.len());
    }
}

proptest! {
    #[test]
    fn members_are_what_a_map_holds(
        steps in prop::collection::vec((0..3_u8, 0..400_u16, 0..60_usize), 1..800),
    ) {
        let mut model = Model::new();
        for (kind, name, len) in steps {
            let name = if name % 97 == 0 { vec![7; 300 + usize::from(name)] } else { format!("m{name}").into_bytes() };
            match kind {
                0 | 1 => model.set(&name, &vec![len as u8; len]),
                _ => model.remove(&name),
            }
        }
        model.check();
    }
}

#[test]
fn what_stays_is_met_by_a_scan_whatever_comes_and_goes() {
    let mut model = Model::new();
    (0..5000).for_each(|n| model.set(format!("stays{n}").as_bytes(), b"x"));
    let mut seen = HashSet::new();
    let (mut cursor, mut n) = (Some(Cursor::START), 0);
    while let Some(here) = cursor {
        cursor = model.members.scan(here, &hasher(), |member| {
            seen.insert(member.name.to_vec());
        });
        n += 1;
        model.set(format!("comes{n}").as_bytes(), &[0; 30]);
        if n > 100 {
            model.remove(format!("comes{}", n - 100).as_bytes());
        }
        assert!(n < 100_000, "the walk ends");
    }
    assert!((0..5000).all(|n| seen.contains(format!("stays{n}").as_bytes())));
}

#[test]
fn members_come_and_go_by_the_ten_thousand() {
    let mut model = Model::new();
    (0..30_000).for_each(|n| model.set(format!("member:{n:08}").as_bytes(), &[1; 12]));
    let full = model.members.bytes();
    (0..29_900).for_each(|n| model.remove(format!("member:{n:08}").as_bytes()));
    model.check();
    assert!(model.members.bytes() < full / 10, "{} of {full}", model.members.bytes());
}

#[test]
fn who_keeps_handles_is_told_while_tails_change_length() {
    let mut model = Model::new();
    let name = |n: usize| format!("member:{n:06}").into_bytes();
    (0..6000).for_each(|n| model.set(&name(n), &[1; 20]));
    for round in 0..6 {
        // 7919 is a prime, so each member is met, in an order far from that of the records.
        for n in 0..6000 {
            let nth = n * 7919 % 6000;
            model.set(&name(nth), &vec![round; 10 + (nth * 13 + usize::from(round) * 37) % 90]);
        }
        model.check();
    }
    (0..6000).filter(|n| n % 9 != 0).for_each(|n| model.remove(&name(n * 7919 % 6000)));
    model.check();
}

/// A shorter tail finds room in the very chunk that its old one leaves sparse: the record moves
/// twice, and whoever keeps handles never saw the one in between.
#[test]
fn a_record_that_moves_twice_is_told_of_once() {
    let mut model = Model::new();
    let name = |n: usize| format!("member:{n:06}").into_bytes();
    let tail_len = |n: usize| if n.is_multiple_of(2) { 8 } else { 72 };
    (0..4000).for_each(|n| model.set(&name(n), &vec![1; tail_len(n)]));
    let small = (0..4000).rev().filter(|n| n % 2 == 0);
    small.for_each(|n| model.remove(&name(n)));
    let large = (0..4000).filter(|n| n % 2 == 1);
    large.clone().filter(|n| n % 3 != 0).for_each(|n| model.remove(&name(n)));
    for n in large.filter(|n| n % 3 == 0) {
        model.set(&name(n), &[2; 8]);
        let hash = hasher().hash(&name(n));
        let handle = model.members.find(hash, &name(n)).map(At::handle);
        assert!(handle.is_some_and(|handle| model.handles[&handle] == name(n)));
    }
    model.check();
}

#[test]
fn random_members_are_members_and_not_always_the_same() {
    let mut model = Model::new();
    assert_eq!(model.members.random(7), None);
    (0..3000_u32).for_each(|n| model.set(&n.to_le_bytes(), b"t"));
    let drawn: HashSet<Vec<u8>> = (1..=3000_u64)
        .filter_map(|n| model.members.random(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .map(|member| member.name.to_vec())
        .collect();
    assert!(drawn.iter().all(|name| model.expected.contains_key(name)));
    assert!(drawn.len() > 1000, "{} of 3000 drawn", drawn.len());
}

#[test]
fn a_deadline_leads_to_the_segment_of_its_member() {
    let mut model = Model::new();
    (0..5000_u32).for_each(|n| model.set(&n.to_le_bytes(), b"t"));
    let name = 777_u32.to_le_bytes();
    model.members.table_mut().note_deadline(hasher().hash(&name), 50);
    (5000..9000_u32).for_each(|n| model.set(&n.to_le_bytes(), b"t"));

    let table = model.members.table();
    assert_eq!((table.due(), table.next_due(Cursor::START, 49)), (50, None));
    let (mut cursor, mut looks, mut found) = (table.next_due(Cursor::START, 50), 0, false);
    while let Some(here) = cursor {
        looks += 1;
        let is_it = |handle| found |= model.members.member(handle).name == name;
        let next = model.members.table().segment_handles(here, is_it);
        model.members.table_mut().set_segment_due(here, u64::MAX);
        cursor = next.and_then(|next| model.members.table().next_due(next, 50));
    }
    assert!(found && looks < 4, "found after {looks} looks");
    assert_eq!(model.members.table().due(), u64::MAX);
}

#[test]
fn a_member_of_a_large_set_takes_fourteen_bytes_beside_itself() {
    let (mut members, hasher) = (Members::<Bare>::new(), hasher());
    const COUNT: usize = 1_000_000;
    for n in 0..COUNT {
        let name = format!("member:{n:012}");
        members.insert(&hasher, hasher.hash(name.as_bytes()), name.as_bytes(), &[]).unwrap();
    }
    let beside = members.bytes() as f64 / COUNT as f64 - 19.0;
    assert!(beside < 14.0, "{beside}");
}

#[test]
fn a_copy_lives_on_its_own() {
    let mut model = Model::new();
    (0..2000).for_each(|n| model.set(format!("{n}").as_bytes(), b"tail"));
    let copy = model.members.clone();
    (0..2000).for_each(|n| model.remove(format!("{n}").as_bytes()));
    assert!(model.members.is_empty());
    let hash = hasher().hash(b"1234");
    assert_eq!((copy.len(), copy.tail(hash, b"1234")), (2000, Some(&b"\x04tail"[..])));
}

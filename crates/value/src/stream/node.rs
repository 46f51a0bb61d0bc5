//! One node of a log: up to some hundred entries in one string of bytes.
//!
//! Entries mostly have the same names of fields, so those of the node's first entry are written
//! once, and ids lie close together, so only how far they are from the first is written.
//!
//! # Layout
//!
//! ```text
//! node:   count  (length name) ..                          the first entry's names
//!         entry ..
//! entry:  length  flags  ms  seq  (length value) ..        names as the first entry's
//!         length  flags  ms  seq  count  (length name  length value) ..
//! ```
//!
//! Numbers are of variable length, seven bits a byte, the low ones first. An entry's first length
//! is that of what follows it. `ms` counts from the first entry's; so does `seq` if the
//! milliseconds are the same. An entry that was deleted keeps its bytes and gets a flag.
//!
//! # Invariants
//!
//! 1. `live` entries have no flag of deletion, `dead` ones have it, and there are no others.
//! 2. Ids ascend; `last` is that of the last entry, deleted or not.

use super::StreamId;

/// The entry was deleted.
const DEAD: u8 = 1;
/// The entry's names are the node's.
const SAME_NAMES: u8 = 2;

/// See the module's page.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) first: StreamId,
    pub(super) last: StreamId,
    pub(super) live: u32,
    pub(super) dead: u32,
    entries_at: u32,
    bytes: Vec<u8>,
}

impl Node {
    /// A node of one entry, of names and values in turn.
    pub(super) fn new<'a>(
        id: StreamId,
        fields: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) -> Node {
        let mut bytes = Vec::new();
        put_number(&mut bytes, (fields.len() / 2) as u64);
        fields.clone().step_by(2).for_each(|name| put_bytes(&mut bytes, name));
        let entries_at = bytes.len() as u32;
        let mut node = Node { first: id, last: id, live: 0, dead: 0, entries_at, bytes };
        node.push(id, fields);
        node
    }

    /// Bytes of it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes on the heap.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives room back that no more entries will take.
    pub(super) fn close(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// How many entries lie in it, deleted ones counted.
    pub(super) fn entries_len(&self) -> u64 {
        u64::from(self.live) + u64::from(self.dead)
    }

    /// Adds an entry behind all others.
    pub(super) fn push<'a>(
        &mut self,
        id: StreamId,
        fields: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) {
        let ms = id.ms.wrapping_sub(self.first.ms);
        let seq = if ms == 0 { id.seq.wrapping_sub(self.first.seq) } else { id.seq };
        let count = fields.len() / 2;
        let same_names = self.has_names(count, fields.clone().step_by(2));
        let (skip, step) = if same_names { (1, 2) } else { (0, 1) };
        let items = fields.skip(skip).step_by(step);
        let items_len: usize =
            items.clone().map(|item| number_len(item.len() as u64) + item.len()).sum();
        let count_len = if same_names { 0 } else { number_len(count as u64) };
        let len = 1 + number_len(ms) + number_len(seq) + count_len + items_len;

        let bytes = &mut self.bytes;
        bytes.reserve(number_len(len as u64) + len);
        put_number(bytes, len as u64);
        bytes.push(if same_names { SAME_NAMES } else { 0 });
        put_number(bytes, ms);
        put_number(bytes, seq);
        if !same_names {
            put_number(bytes, count as u64);
        }
        items.for_each(|item| put_bytes(bytes, item));
        self.last = id;
        self.live += 1;
    }

    fn has_names<'a>(&self, count: usize, mut names: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut own = Cursor(&self.bytes);
        own.number() == count as u64 && names.all(|name| own.bytes() == name)
    }

    /// All entries that were not deleted.
    pub(super) fn entries(&self) -> Entries<'_> {
        let mut names = Cursor(self.bytes.get(..self.entries_at as usize).unwrap_or_default());
        let names_count = names.number() as usize;
        Entries { node: self, names, names_count, at: self.entries_at as usize }
    }

    /// Where each entry begins that was not deleted and whose id lies between two, both included.
    pub(super) fn places(&self, from: StreamId, to: StreamId) -> impl Iterator<Item = u32> + '_ {
        let mut entries = self.entries();
        std::iter::from_fn(move || {
            loop {
                let at = entries.at as u32;
                let entry = entries.next_any()?;
                if entry.id > to {
                    return None;
                }
                if entry.id >= from && !entry.is_dead {
                    return Some(at);
                }
            }
        })
    }

    /// The entry that begins there.
    pub(super) fn entry_at(&self, at: u32) -> Option<Entry<'_>> {
        let mut entries = self.entries();
        entries.at = at as usize;
        entries.next()
    }

    /// Marks an entry as deleted; tells whether there was one.
    pub(super) fn delete(&mut self, id: StreamId) -> bool {
        let Some(at) = self.places(id, id).next() else { return false };
        let mut rest = Cursor(&self.bytes[at as usize..]);
        rest.number();
        let flags_at = self.bytes.len() - rest.0.len();
        self.bytes[flags_at] |= DEAD;
        self.live -= 1;
        self.dead += 1;
        true
    }
}

/// One entry of a stream.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    is_dead: bool,
    fields: Fields<'a>,
}

impl<'a> Entry<'a> {
    /// Its names and values, in order.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        self.fields
    }
}

/// The names and values of an entry.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    left: usize,
    /// The names, if they do not stand before each value.
    names: Option<Cursor<'a>>,
    items: Cursor<'a>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.items.0.is_empty() {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(names) => names.bytes(),
            None => self.items.bytes(),
        };
        Some((name, self.items.bytes()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// The entries of a node, from some place on.
#[derive(Clone)]
pub(super) struct Entries<'a> {
    node: &'a Node,
    names: Cursor<'a>,
    names_count: usize,
    at: usize,
}

impl<'a> Entries<'a> {
    /// The next entry, deleted or not.
    #[inline]
    fn next_any(&mut self) -> Option<Entry<'a>> {
        let rest = self.node.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let mut cursor = Cursor(rest);
        let body = cursor.bytes();
        self.at = self.node.bytes.len() - cursor.0.len();
        let (&flags, body) = body.split_first()?;
        let mut items = Cursor(body);
        let (ms, seq) = (items.number(), items.number());
        let first = self.node.first;
        let seq = if ms == 0 { first.seq.wrapping_add(seq) } else { seq };
        let id = StreamId { ms: first.ms.wrapping_add(ms), seq };
        let fields = if flags & SAME_NAMES == 0 {
            Fields { left: items.number() as usize, names: None, items }
        } else {
            Fields { left: self.names_count, names: Some(self.names), items }
        };
        Some(Entry { id, is_dead: flags & DEAD != 0, fields })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let entry = self.next_any()?;
            if !entry.is_dead {
                return Some(entry);
            }
        }
    }
}

/// What is left to read.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    fn number(&mut self) -> u64 {
        let mut number = 0;
        let mut shift = 0;
        while let Some((&byte, rest)) = self.0.split_first() {
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// A length and so many bytes.
    #[inline]
    fn bytes(&mut self) -> &'a [u8] {
        let len = usize::try_from(self.number()).unwrap_or(usize::MAX);
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

#[inline]
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[inline]
fn put_bytes(bytes: &mut Vec<u8>, item: &[u8]) {
    put_number(bytes, item.len() as u64);
    bytes.extend_from_slice(item);
}

/// Bytes of a number.
#[inline]
fn number_len(number: u64) -> usize {
    let bits = u64::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat<'a>(
        fields: &'a [(&'a str, &'a str)],
    ) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        let items = fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        items.collect::<Vec<_>>().into_iter()
    }

    fn read(node: &Node) -> Vec<(StreamId, Vec<(String, String)>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        node.entries()
            .map(|entry| {
                (entry.id, entry.fields().map(|(name, value)| (text(name), text(value))).collect())
            })
            .collect()
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::MAX / 2, u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(bytes.len(), number_len(number), "{number}");
            assert_eq!(Cursor(&bytes).number(), number);
        }
    }

    #[test]
    fn the_same_names_are_written_once_and_others_beside_their_values() {
        let first = StreamId::new(u64::MAX - 1, u64::MAX - 1);
        let mut node = Node::new(first, flat(&[("name", "a"), ("long-name", "")]));
        let before = node.len();
        node.push(
            StreamId::new(u64::MAX - 1, u64::MAX),
            flat(&[("name", "b"), ("long-name", "c")]),
        );
        assert_eq!(node.len() - before, 4 + 2 + 2);
        node.push(StreamId::new(u64::MAX, 3), flat(&[("name", "b")]));
        let entries = read(&node);
        assert_eq!(entries[0].0, first);
        assert_eq!(entries[1].0, StreamId::new(u64::MAX - 1, u64::MAX));
        assert_eq!(entries[1].1[1], ("long-name".into(), "c".into()));
        assert_eq!(entries[2], (StreamId::new(u64::MAX, 3), vec![("name".into(), "b".into())]));
    }

    #[test]
    fn a_deleted_entry_is_passed_by() {
        let ids = [StreamId::new(1, 1), StreamId::new(1, 2), StreamId::new(7, 0)];
        let mut node = Node::new(ids[0], flat(&[("a", "1")]));
        node.push(ids[1], flat(&[("b", "2")]));
        node.push(ids[2], flat(&[("a", "3")]));
        assert!(node.delete(ids[1]) && !node.delete(ids[1]) && !node.delete(StreamId::new(2, 0)));
        assert_eq!((node.live, node.dead), (2, 1));
        assert_eq!(read(&node).iter().map(|entry| entry.0).collect::<Vec<_>>(), [ids[0], ids[2]]);
        assert_eq!(node.places(ids[1], ids[2]).count(), 1);
    }

    #[test]
    fn bytes_that_nobody_wrote_end_somewhere() {
        let fields_of = |bytes: &[u8]| {
            let (first, bytes) = (StreamId::ZERO, bytes.to_vec());
            let node = Node { first, last: first, live: 0, dead: 0, entries_at: 0, bytes };
            node.entries().flat_map(|entry| entry.fields()).count()
        };
        assert_eq!(fields_of(&[0xff; 40]), 0);
        assert_eq!(fields_of(&[6, 0, 0, 0, 0x7f, 1, b'a']), 1, "more are announced than come");
        assert_eq!(fields_of(&[0, 0, 9, 0]), 0);
    }
}

//! Lists, sets and sorted sets.

use super::{Options, PACKED_ELEMENTS_MAX, PACKED_STRING_BYTES_MAX};
use crate::decode::{NODE_PACKED, NODE_PLAIN};
use crate::error::RdbError;
use crate::listpack::Builder;
use crate::number::{parse_integer, with_score_text};
use crate::primitives::{Blank, put_length, put_string};
use crate::{intset, types};

/// A node of a list is written once it has as many bytes.
const NODE_BYTES: usize = 8 << 10;

/// A longer element is a node of its own.
const NODE_ELEMENT_BYTES_MAX: usize = 4 << 10;

/// The most members of an intset.
const INTSET_MEMBERS_MAX: usize = 512;

/// Writes a list whose length need not be known.
pub struct ListEncoder<'o> {
    out: &'o mut Vec<u8>,
    options: Options,
    nodes: u64,
    nodes_blank: Blank,
    node: Builder,
}

impl<'o> ListEncoder<'o> {
    /// Begins a list at the end of `out`.
    pub fn new(options: Options, out: &'o mut Vec<u8>) -> Self {
        out.push(types::LIST_QUICKLIST_2);
        let nodes_blank = Blank::put(out);
        let node = Builder::new(options.format.back_lengths());
        Self { out, options, nodes: 0, nodes_blank, node }
    }

    /// Appends an element.
    pub fn element(&mut self, element: &[u8]) {
        if element.len() > NODE_ELEMENT_BYTES_MAX {
            self.flush();
            self.put_node(NODE_PLAIN, element);
            return;
        }
        if !self.node.is_empty() && self.node.bytes() + element.len() > NODE_BYTES {
            self.flush();
        }
        self.node.push(element);
    }

    fn flush(&mut self) {
        if !self.node.is_empty() {
            let next = Builder::new(self.options.format.back_lengths());
            let node = std::mem::replace(&mut self.node, next).finish();
            self.put_node(NODE_PACKED, &node);
        }
    }

    fn put_node(&mut self, form: u64, node: &[u8]) {
        put_length(form, self.out);
        put_string(node, self.options.compress, self.out);
        self.nodes += 1;
    }

    /// Ends the list.
    ///
    /// # Errors
    ///
    /// [`RdbError::Empty`] if it has no element.
    pub fn finish(mut self) -> Result<(), RdbError> {
        self.flush();
        if self.nodes == 0 {
            return Err(RdbError::Empty);
        }
        self.nodes_blank.fill(self.nodes, self.out);
        Ok(())
    }
}

/// Writes a set of a known number of members, which have to differ.
pub struct SetEncoder<'o> {
    out: &'o mut Vec<u8>,
    options: Options,
    announced: usize,
    seen: usize,
    /// All members so far, while they are integers and few.
    integers: Option<Vec<i64>>,
}

impl<'o> SetEncoder<'o> {
    /// Begins a set of `count` members at the end of `out`.
    pub fn new(count: usize, options: Options, out: &'o mut Vec<u8>) -> Self {
        let is_small = count <= INTSET_MEMBERS_MAX;
        let integers = is_small.then(|| Vec::with_capacity(count));
        let mut set = Self { out, options, announced: count, seen: 0, integers };
        if !is_small {
            set.put_head();
        }
        set
    }

    fn put_head(&mut self) {
        self.out.push(types::SET);
        put_length(self.announced as u64, self.out);
    }

    /// Appends a member.
    pub fn member(&mut self, member: &[u8]) {
        self.seen += 1;
        if let Some(integers) = &mut self.integers {
            if let Some(integer) = parse_integer(member)
                && integers.len() < INTSET_MEMBERS_MAX
            {
                integers.push(integer);
                return;
            }
            self.spill();
        }
        put_string(member, self.options.compress, self.out);
    }

    /// It is no intset: writes what waits as strings.
    fn spill(&mut self) {
        self.put_head();
        for integer in self.integers.take().into_iter().flatten() {
            let mut buffer = itoa::Buffer::new();
            put_string(buffer.format(integer).as_bytes(), false, self.out);
        }
    }

    /// Ends the set.
    ///
    /// # Errors
    ///
    /// If it is empty, has another number of members than announced, or has an
    /// integer twice.
    pub fn finish(self) -> Result<(), RdbError> {
        check_count(self.seen, self.announced)?;
        if let Some(mut integers) = self.integers {
            integers.sort_unstable();
            if integers.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(RdbError::Duplicate);
            }
            self.out.push(types::SET_INTSET);
            put_string(&intset::build(&integers), self.options.compress, self.out);
        }
        Ok(())
    }
}

/// Writes a sorted set of a known number of members, which have to differ, in any order.
pub struct ZSetEncoder<'o> {
    out: &'o mut Vec<u8>,
    options: Options,
    announced: usize,
    seen: usize,
    has_no_number: bool,
    /// All members so far, while they are short and few.
    small: Option<Vec<(Vec<u8>, f64)>>,
}

impl<'o> ZSetEncoder<'o> {
    /// Begins a sorted set of `count` members at the end of `out`.
    pub fn new(count: usize, options: Options, out: &'o mut Vec<u8>) -> Self {
        let is_small = count <= PACKED_ELEMENTS_MAX;
        let small = is_small.then(|| Vec::with_capacity(count));
        let mut sorted =
            Self { out, options, announced: count, seen: 0, has_no_number: false, small };
        if !is_small {
            sorted.put_head();
        }
        sorted
    }

    fn put_head(&mut self) {
        self.out.push(types::ZSET_2);
        put_length(self.announced as u64, self.out);
    }

    /// Appends a member.
    pub fn scored(&mut self, member: &[u8], score: f64) {
        self.seen += 1;
        self.has_no_number |= score.is_nan();
        if let Some(small) = &mut self.small {
            if member.len() <= PACKED_STRING_BYTES_MAX && small.len() < PACKED_ELEMENTS_MAX {
                small.push((member.to_vec(), score));
                return;
            }
            self.spill();
        }
        self.put(member, score);
    }

    /// It is no listpack: writes what waits.
    fn spill(&mut self) {
        self.put_head();
        for (member, score) in self.small.take().into_iter().flatten() {
            self.put(&member, score);
        }
    }

    fn put(&mut self, member: &[u8], score: f64) {
        put_string(member, self.options.compress, self.out);
        self.out.extend_from_slice(&score.to_le_bytes());
    }

    /// Ends the sorted set.
    ///
    /// # Errors
    ///
    /// If it is empty, has another number of members than announced, or a score
    /// is not a number.
    pub fn finish(self) -> Result<(), RdbError> {
        check_count(self.seen, self.announced)?;
        if self.has_no_number {
            return Err(RdbError::NotANumber);
        }
        if let Some(mut small) = self.small {
            // Readers keep the listpack as it is, so its order is theirs.
            small.sort_by(|left, right| {
                let by_score = left.1.partial_cmp(&right.1).expect("no score is NaN");
                by_score.then_with(|| left.0.cmp(&right.0))
            });
            let mut packed = Builder::new(self.options.format.back_lengths());
            for (member, score) in &small {
                packed.push(member);
                with_score_text(*score, |text| packed.push(text));
            }
            self.out.push(types::ZSET_LISTPACK);
            put_string(&packed.finish(), self.options.compress, self.out);
        }
        Ok(())
    }
}

/// Refuses a collection that is empty or not what its head announced.
pub(super) fn check_count(seen: usize, announced: usize) -> Result<(), RdbError> {
    match seen {
        _ if seen != announced => Err(RdbError::Count),
        0 => Err(RdbError::Empty),
        _ => Ok(()),
    }
}

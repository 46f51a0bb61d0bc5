//! The output of a connection: bytes, with long values referred to instead of copied.

use std::ops::Range;
use std::sync::Arc;

/// A buffer larger than this is given back when the output is cleared.
const KEPT_BYTES: usize = 256 << 10;

/// Replies that are not written yet.
#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    references: Vec<Reference>,
    /// Bytes of all references.
    referenced: usize,
    written: Written,
}

/// A value that stands between the bytes.
struct Reference {
    /// Before this byte.
    at: usize,
    value: Arc<Vec<u8>>,
    range: Range<usize>,
}

/// How far the output has been written.
#[derive(Default, Clone, Copy)]
struct Written {
    bytes: usize,
    references: usize,
    /// Bytes of the first reference that is not done.
    within: usize,
    total: usize,
}

/// A place in an output to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    references: usize,
    referenced: usize,
}

impl Output {
    /// Whether nothing waits to be written.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes wait to be written.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.referenced - self.written.total
    }

    /// The end of the output as it is now.
    #[must_use]
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark {
            bytes: self.bytes.len(),
            references: self.references.len(),
            referenced: self.referenced,
        }
    }

    /// Takes back everything behind a mark. Nothing behind it may have been written.
    pub fn rollback(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.references.truncate(mark.references);
        self.referenced = mark.referenced;
    }

    /// Forgets everything; keeps the buffer if it is of ordinary size.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.references.clear();
        self.referenced = 0;
        self.written = Written::default();
    }

    /// What waits, in pieces, in order.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let Written { bytes, references, within, .. } = self.written;
        let mut at = bytes;
        let mut skip = within;
        let pairs = self.references[references..].iter().flat_map(move |reference| {
            let before = &self.bytes[at..reference.at];
            at = reference.at;
            let value = &reference.value[reference.range.clone()][skip..];
            skip = 0;
            [before, value]
        });
        let last = self.references.last().map_or(bytes, |last| last.at.max(bytes));
        pairs.chain(std::iter::once(&self.bytes[last..])).filter(|piece| !piece.is_empty())
    }

    /// Notes that so many bytes more have been written. What is written is given back when it
    /// makes up half of the buffer, so that an output that never runs empty stays small; marks
    /// taken before are of no use then.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        self.written.total += count;
        if self.references.is_empty() {
            self.written.bytes += count;
        } else {
            self.advance_over_references(count);
        }
        if self.written.total > KEPT_BYTES {
            self.compact();
        }
    }

    /// Drops what is written if it takes as much memory as what is not.
    #[cold]
    fn compact(&mut self) {
        let memory = |bytes, references| bytes + references * size_of::<Reference>();
        let Written { bytes, references, within, .. } = self.written;
        let written = memory(bytes, references);
        if written < KEPT_BYTES || written * 2 < memory(self.bytes.len(), self.references.len()) {
            return;
        }
        let waiting = self.len();
        self.bytes.drain(..bytes);
        self.references.drain(..references);
        self.references.iter_mut().for_each(|reference| reference.at -= bytes);
        self.referenced = waiting + within - self.bytes.len();
        self.written = Written { within, total: within, ..Written::default() };
    }

    fn advance_over_references(&mut self, mut count: usize) {
        let written = &mut self.written;
        while let Some(reference) = self.references.get_mut(written.references) {
            let before = reference.at - written.bytes;
            if count < before {
                written.bytes += count;
                return;
            }
            written.bytes = reference.at;
            count -= before;
            let left = reference.range.len() - written.within;
            if count < left {
                written.within += count;
                return;
            }
            count -= left;
            // Written: the value is not needed any more.
            reference.value = Arc::default();
            reference.range = 0..0;
            written.within = 0;
            written.references += 1;
        }
        written.bytes += count;
    }

    /// Adds bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds part of a value without copying it.
    pub fn refer(&mut self, value: &Arc<Vec<u8>>, range: Range<usize>) {
        self.referenced += range.len();
        self.references.push(Reference { at: self.bytes.len(), value: Arc::clone(value), range });
    }

    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Puts bytes in at a place that lies behind the last reference or moves those behind it.
    pub(crate) fn insert(&mut self, at: usize, bytes: &[u8]) {
        self.bytes.splice(at..at, bytes.iter().copied());
        for reference in self.references.iter_mut().rev().take_while(|other| other.at >= at) {
            reference.at += bytes.len();
        }
    }
}

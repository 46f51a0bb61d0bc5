//! The bytes that wait to be written to one connection. Hot.
//!
//! Replies are appended to one buffer. A long value is not copied there: the place
//! where it belongs is noted together with a reference to it, and the writer gets
//! the pieces in order, for one vectored write.
//!
//! # Layout
//!
//! ```text
//! bytes   +OK\r\n$20000\r\n|\r\n:1\r\n      sent: written already, from the left
//! shared                   ^ a value of 20,000 bytes goes here
//! ```
//!
//! # Invariants
//!
//! 1. The places of the shared values never decrease and lie inside `bytes`.
//! 2. What was written is behind `sent` and `shared_sent`, and nothing of it comes again.

use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;

/// Values longer than this, in bytes, are referenced; shorter ones are copied.
pub const SHARE_MIN: usize = 16 * 1024;

/// The largest buffer that [`Output::clear`] keeps, in bytes.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// What [`Output::cut`] cuts a buffer into, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// The output of one connection: bytes, with long values referenced.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    shared: Vec<Shared>,
    /// How many of `bytes` have been written.
    sent: usize,
    /// How many of `shared` have been written.
    shared_sent: usize,
    /// How many bytes of shared values wait.
    shared_bytes: usize,
}

/// A value that belongs at one place of the bytes.
#[derive(Debug)]
struct Shared {
    at: usize,
    value: Arc<Vec<u8>>,
    range: Range<usize>,
}

/// A position in an [`Output`] to which it can be rolled back. Stale once some of the output
/// has been written or cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    bytes: usize,
    shared: usize,
}

impl Output {
    /// An empty output, without memory of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing waits to be written.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == self.sent && self.shared_bytes == 0
    }

    /// How many bytes wait to be written, those of shared values included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent + self.shared_bytes
    }

    /// How many bytes of memory it holds for itself; shared values are not counted.
    #[inline]
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.shared.capacity() * size_of::<Shared>()
    }

    /// The present end, to come back to with [`Output::rollback`].
    #[inline]
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), shared: self.shared.len() }
    }

    /// Forgets what was appended since `mark`; never what has been written.
    pub fn rollback(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes.max(self.sent));
        let kept = mark.shared.clamp(self.shared_sent, self.shared.len());
        self.shared_bytes -= self.shared.drain(kept..).map(|s| s.range.len()).sum::<usize>();
    }

    /// Forgets everything. Keeps its memory up to 64 KiB.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.shared.clear();
        (self.sent, self.shared_sent, self.shared_bytes) = (0, 0, 0);
        self.trim(KEPT_BYTES_MAX);
    }

    /// Gives memory back beyond `kept_bytes` and what waits to be written.
    pub fn trim(&mut self, kept_bytes: usize) {
        if self.bytes.capacity() > kept_bytes {
            self.bytes.shrink_to(kept_bytes);
        }
        if self.shared.capacity() * size_of::<Shared>() > kept_bytes {
            self.shared.shrink_to(kept_bytes / size_of::<Shared>());
        }
    }

    /// The pieces that wait, in order, none of them empty.
    #[inline]
    #[must_use]
    pub fn chunks(&self) -> Chunks<'_> {
        Chunks { bytes: &self.bytes, at: self.sent, shared: &self.shared[self.shared_sent..] }
    }

    /// Notes that the first `count` waiting bytes have been written. Panics if fewer wait.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "no more can be written than waits");
        if count == self.len() {
            return self.clear();
        }
        let mut left = count;
        while left > 0 {
            left -= self.advance_in_piece(left);
        }
        self.drop_sent();
    }

    /// Moves over at most `count` bytes of the first piece; says how many.
    fn advance_in_piece(&mut self, count: usize) -> usize {
        let shared = self.shared.get_mut(self.shared_sent);
        let end = shared.as_ref().map_or(self.bytes.len(), |shared| shared.at);
        if self.sent < end {
            let step = count.min(end - self.sent);
            self.sent += step;
            return step;
        }
        let shared = shared.expect("bytes are left, so a value stands before them");
        let step = count.min(shared.range.len());
        shared.range.start += step;
        self.shared_bytes -= step;
        if shared.range.is_empty() {
            shared.value = Arc::default();
            self.shared_sent += 1;
        }
        step
    }

    /// Closes the gap in front once it is the larger part, so that the output of a client
    /// which reads slowly, yet reads, stays in proportion to what waits.
    fn drop_sent(&mut self) {
        if self.sent > KEPT_BYTES_MAX && self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.shared.drain(..self.shared_sent);
            for shared in &mut self.shared {
                shared.at -= self.sent;
            }
            (self.sent, self.shared_sent) = (0, 0);
        }
    }

    /// Adds bytes as they are: whole messages that were written before, for several clients.
    pub fn raw(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
    }

    /// Adds a whole message, referenced if it is longer than [`SHARE_MIN`].
    pub fn raw_shared(&mut self, message: &Arc<Vec<u8>>) {
        if message.len() <= SHARE_MIN {
            return self.raw(message);
        }
        self.push_shared(message, 0..message.len());
    }

    /// Appends what waits in `other`.
    pub fn push_output(&mut self, other: Self) {
        if self.is_empty() && self.memory_bytes() <= other.memory_bytes() {
            *self = other;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes[other.sent..]);
        let moved = other.shared.into_iter().skip(other.shared_sent);
        self.shared.extend(moved.map(|s| Shared { at: start + s.at - other.sent, ..s }));
        self.shared_bytes += other.shared_bytes;
    }

    /// Cuts a large buffer into values of 256 KiB, which are given back one by one as they
    /// are written; nothing of it is moved then. Marks are stale afterwards.
    pub fn cut(&mut self) {
        if self.bytes.len() - self.sent <= PIECE_BYTES {
            return;
        }
        let mut pieces: Vec<Shared> = Vec::new();
        let mut values = self.shared.drain(..).skip(self.shared_sent).rev().peekable();
        // From the end, so that the buffer becomes smaller as the pieces become more.
        while self.bytes.len() > self.sent || values.peek().is_some() {
            let end = self.bytes.len();
            if let Some(value) = values.next_if(|value| value.at == end) {
                pieces.push(Shared { at: 0, ..value });
                continue;
            }
            let start = values.peek().map_or(self.sent, |value| value.at);
            let start = start.max(end.saturating_sub(PIECE_BYTES));
            let value = Arc::new(self.bytes.split_off(start));
            let range = 0..value.len();
            self.shared_bytes += range.len();
            pieces.push(Shared { at: 0, value, range });
            if start < self.bytes.capacity() / 2 {
                self.bytes.shrink_to(start);
            }
        }
        drop(values);
        pieces.reverse();
        self.shared = pieces;
        self.bytes = Vec::new();
        (self.sent, self.shared_sent) = (0, 0);
    }

    /// The buffer, to append to.
    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends a reference to bytes of `value`. Panics if `range` is not inside of it.
    pub(crate) fn push_shared(&mut self, value: &Arc<Vec<u8>>, range: Range<usize>) {
        assert!(range.start <= range.end && range.end <= value.len(), "the range is in the value");
        if !range.is_empty() {
            self.shared_bytes += range.len();
            self.shared.push(Shared { at: self.bytes.len(), value: Arc::clone(value), range });
        }
    }

    /// Puts `text` in place of the bytes in `hole`, and moves what follows.
    pub(crate) fn fill(&mut self, hole: Range<usize>, text: &[u8]) {
        let grown = text.len() - hole.len();
        let first = self.shared.partition_point(|shared| shared.at < hole.end);
        for shared in &mut self.shared[first..] {
            shared.at += grown;
        }
        self.bytes.splice(hole, text.iter().copied());
    }
}

/// The pieces of an [`Output`] in order.
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    bytes: &'a [u8],
    at: usize,
    shared: &'a [Shared],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let Some((first, rest)) = self.shared.split_first() else {
            let tail = self.bytes.get(self.at..).filter(|tail| !tail.is_empty());
            self.at = self.bytes.len();
            return tail;
        };
        if self.at < first.at {
            let piece = &self.bytes[self.at..first.at];
            self.at = first.at;
            return Some(piece);
        }
        self.shared = rest;
        Some(&first.value[first.range.clone()])
    }
}

impl FusedIterator for Chunks<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, Reply};

    fn value(len: usize, byte: u8) -> Arc<Vec<u8>> {
        Arc::new(vec![byte; len])
    }

    fn text(out: &Output) -> Vec<u8> {
        assert!(out.chunks().all(|chunk| !chunk.is_empty()));
        let text = out.chunks().collect::<Vec<_>>().concat();
        assert_eq!((text.len(), text.is_empty()), (out.len(), out.is_empty()));
        text
    }

    fn expected(len: usize, byte: u8) -> Vec<u8> {
        [format!("${len}\r\n").as_bytes(), &vec![byte; len], b"\r\n"].concat()
    }

    /// Replies with values around [`SHARE_MIN`], and their bytes.
    fn sample() -> (Output, Vec<u8>) {
        let (mut out, mut bytes) = (Output::new(), Vec::new());
        let mut reply = Reply::new(&mut out, Dialect::Resp2);
        for (len, byte) in [(3, b'a'), (SHARE_MIN + 1, b'b'), (SHARE_MIN, b'c'), (40_000, b'd')] {
            reply.bulk_shared(&value(len, byte), 0..len);
            bytes.extend(expected(len, byte));
        }
        reply.ok();
        bytes.extend(b"+OK\r\n");
        (out, bytes)
    }

    #[test]
    fn long_values_are_referenced_where_they_belong() {
        let (out, bytes) = sample();
        assert_eq!(text(&out), bytes);
        assert_eq!(out.shared.len(), 2);
        assert_eq!(out.chunks().count(), 5);
    }

    #[test]
    fn a_part_of_a_value_is_referenced_alone() {
        let mut out = Output::new();
        let shared = Arc::new([vec![b'x'; 10], vec![b'y'; 20_000], vec![b'z'; 10]].concat());
        Reply::new(&mut out, Dialect::Resp3).bulk_shared(&shared, 10..20_010);
        assert_eq!(text(&out), expected(20_000, b'y'));
        assert_eq!(Arc::strong_count(&shared), 2);
        out.advance(20_009);
        assert_eq!((Arc::strong_count(&shared), text(&out)), (1, b"\n".to_vec()));
    }

    #[test]
    fn what_was_written_in_any_steps_does_not_come_again() {
        for step in [1, 7, 1000, 16_384, 50_000, 100_000] {
            let (mut out, bytes) = sample();
            let mut written = 0;
            while written < bytes.len() {
                assert_eq!(text(&out), &bytes[written..], "step {step} at {written}");
                let count =
                    if step < 1000 && out.len() > 100 && written > 100 { 1009 } else { step };
                let count = count.min(out.len());
                out.advance(count);
                written += count;
            }
            assert!(out.is_empty() && out.shared.is_empty());
        }
    }

    #[test]
    fn replies_follow_what_was_partly_written() {
        let (mut out, bytes) = sample();
        out.advance(20_000);
        Reply::new(&mut out, Dialect::Resp2).integer(7);
        assert_eq!(text(&out), [&bytes[20_000..], b":7\r\n"].concat());
    }

    #[test]
    fn a_client_that_reads_slowly_does_not_make_the_buffer_grow() {
        let mut out = Output::new();
        let chunk = [b'x'; 10_000];
        Reply::new(&mut out, Dialect::Resp2).bulk(&chunk);
        for _ in 0..1000 {
            Reply::new(&mut out, Dialect::Resp2).bulk(&chunk);
            out.advance(10_000);
            assert!(out.memory_bytes() <= 4 * (KEPT_BYTES_MAX + out.len()), "{out:?}");
        }
    }

    #[test]
    fn a_rollback_takes_values_and_bytes_back() {
        let (mut out, bytes) = sample();
        let mark = out.mark();
        let mut reply = Reply::new(&mut out, Dialect::Resp2);
        reply.bulk_shared(&value(30_000, b'e'), 0..30_000);
        reply.integer(5);
        out.rollback(mark);
        assert_eq!(text(&out), bytes);
        out.rollback(Output::new().mark());
        assert!(out.is_empty());
    }

    #[test]
    fn an_output_is_appended_to_another_without_what_it_has_written() {
        for (written, before) in [(0, 0), (9, 0), (16_390, 5), (33_000, 5)] {
            let (mut other, bytes) = sample();
            other.advance(written);
            let mut out = Output::new();
            out.bytes_mut().extend_from_slice(&vec![b'+'; before]);
            out.push_output(other);
            assert_eq!(text(&out), [&vec![b'+'; before], &bytes[written..]].concat());
            out.advance(before);
            out.advance(bytes.len() - written);
            assert!(out.is_empty());
        }
    }

    #[test]
    fn a_large_output_is_cut_into_pieces_and_stays_the_same() {
        for written in [0, 5, 70_000, 2 * PIECE_BYTES + 3] {
            let (mut out, mut bytes) = sample();
            let mut reply = Reply::new(&mut out, Dialect::Resp2);
            for nth in 0..3 * PIECE_BYTES / 8 {
                reply.integer(1_000_000 + nth as i64);
                bytes.extend(format!(":{}\r\n", 1_000_000 + nth).as_bytes());
                if nth == 50_000 {
                    reply.bulk_shared(&value(40_000, b'v'), 0..40_000);
                    bytes.extend(expected(40_000, b'v'));
                }
            }
            out.advance(written);
            out.cut();
            assert!(out.bytes.capacity() == 0 && out.chunks().count() >= 3);
            assert!(out.chunks().all(|piece| piece.len() <= PIECE_BYTES));
            Reply::new(&mut out, Dialect::Resp2).ok();
            bytes.extend(b"+OK\r\n");
            assert!(text(&out) == bytes[written..]);
            while !out.is_empty() {
                out.advance(out.len().min(100_000));
            }
        }
    }

    #[test]
    fn memory_is_kept_up_to_a_bound() {
        let mut out = Output::new();
        out.bytes_mut().resize(2 * KEPT_BYTES_MAX, 0);
        out.clear();
        assert!((1..=KEPT_BYTES_MAX).contains(&out.memory_bytes()));
        out.bytes_mut().push(b'x');
        out.trim(0);
        assert!(out.memory_bytes() < KEPT_BYTES_MAX && out.len() == 1);
        out.clear();
        out.trim(0);
        assert_eq!(out.memory_bytes(), 0);
    }
}

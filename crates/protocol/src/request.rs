//! One request as the server sees it: words that lie in a read buffer.
//!
//! A word is a pair of offsets, so that a request costs no copy and no
//! allocation, and so that the buffer may move while the request is unfinished.

use std::iter::FusedIterator;
use std::ops::Index;
use std::slice;

/// Where one word lies in the input: byte offsets from the start of the buffer given to
/// [`Parser::parse`](crate::Parser::parse).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The offset of the first byte.
    pub start: u32,
    /// The offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` to `end`; the parser never looks beyond 4 GiB.
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && u32::try_from(end).is_ok());
        Self { start: start as u32, end: end as u32 }
    }

    /// The bytes it names. Panics if they are not inside `input`.
    #[inline]
    #[must_use]
    pub fn of(self, input: &[u8]) -> &[u8] {
        &input[self.start as usize..self.end as usize]
    }
}

/// The words of one request, borrowed from the input.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    input: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Words<'a> {
    /// The words that `spans` names in `input`, which is the buffer that was parsed (or one
    /// that begins with the same request). A span outside of it panics when its word is read.
    #[inline]
    #[must_use]
    pub fn new(input: &'a [u8], spans: &'a [Span]) -> Self {
        Self { input, spans }
    }

    /// How many words there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no word.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many bytes the words take in the input, with what lies between them.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        let ends = self.spans.first().zip(self.spans.last());
        ends.map_or(0, |(first, last)| (last.end - first.start) as usize)
    }

    /// The word at `index`, counted from 0.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| span.of(self.input))
    }

    /// The words from index `from` on; none if there are not so many.
    #[inline]
    #[must_use]
    pub fn tail(&self, from: usize) -> Self {
        Self { input: self.input, spans: self.spans.get(from..).unwrap_or_default() }
    }

    /// The words in order.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Iter<'a> {
        Iter { input: self.input, spans: self.spans.iter() }
    }
}

impl Index<usize> for Words<'_> {
    type Output = [u8];

    /// The word at `index`. Panics if there are not so many.
    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.spans[index].of(self.input)
    }
}

impl<'a> IntoIterator for Words<'a> {
    type Item = &'a [u8];
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Words<'a> {
    type Item = &'a [u8];
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The words of one request in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    input: &'a [u8],
    spans: slice::Iter<'a, Span>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.spans.next().map(|span| span.of(self.input))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.spans.next_back().map(|span| span.of(self.input))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl FusedIterator for Iter<'_> {}

/// How much one request may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest word, in bytes (`proto-max-bulk-len`).
    pub bulk_bytes_max: u64,
    /// The most words of one request.
    pub args_max: usize,
    /// The longest line, in bytes: an inline request, or the digits of a count.
    pub inline_bytes_max: usize,
    /// Whether the client has yet to authenticate; then [`Limits::ARGS_MAX_BEFORE_AUTH`] and
    /// [`Limits::BULK_BYTES_MAX_BEFORE_AUTH`] hold as well, with refusals of their own.
    pub before_auth: bool,
}

impl Limits {
    /// The most words of one request before authentication.
    pub const ARGS_MAX_BEFORE_AUTH: usize = 10;

    /// The longest word before authentication, in bytes.
    pub const BULK_BYTES_MAX_BEFORE_AUTH: u64 = 16 * 1024;

    /// What holds unless configured otherwise: words of 512 MiB, as many as an `i32` can
    /// count, lines of 64 KiB.
    pub const DEFAULT: Self = Self {
        bulk_bytes_max: 512 * 1024 * 1024,
        args_max: i32::MAX as usize,
        inline_bytes_max: 64 * 1024,
        before_auth: false,
    };

    /// What holds for a client which has yet to authenticate.
    pub const BEFORE_AUTH: Self = Self { before_auth: true, ..Self::DEFAULT };

    /// The most words that pass all limits.
    #[inline]
    pub(crate) fn args_allowed(&self) -> usize {
        if self.before_auth { Self::ARGS_MAX_BEFORE_AUTH.min(self.args_max) } else { self.args_max }
    }

    /// The most bytes of a word that pass all limits.
    #[inline]
    pub(crate) fn bulk_bytes_allowed(&self) -> u64 {
        if self.before_auth {
            Self::BULK_BYTES_MAX_BEFORE_AUTH.min(self.bulk_bytes_max)
        } else {
            self.bulk_bytes_max
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: &[u8] = b"one two three";
    const SPANS: [Span; 3] =
        [Span { start: 0, end: 3 }, Span { start: 4, end: 7 }, Span { start: 8, end: 13 }];

    #[test]
    fn words_are_read_by_index_by_tail_and_from_both_ends() {
        let words = Words::new(INPUT, &SPANS);
        assert_eq!((words.len(), words.is_empty()), (3, false));
        assert_eq!(&words[1], b"two");
        assert_eq!((words.get(2), words.get(3)), (Some(&b"three"[..]), None));
        assert_eq!(words.iter().rev().collect::<Vec<_>>(), [&b"three"[..], b"two", b"one"]);
        assert_eq!(words.tail(1).iter().collect::<Vec<_>>(), [&b"two"[..], b"three"]);
        assert!(words.tail(3).is_empty() && words.tail(4).is_empty());
    }
}

//! The ids of a stream's entries.

use std::fmt;

/// Milliseconds and a number among the entries of one millisecond, in the order of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds of Unix time, if a clock chose it.
    pub ms: u64,
    /// The number among those of one millisecond.
    pub seq: u64,
}

impl StreamId {
    /// `0-0`: less than the id of any entry.
    pub const ZERO: StreamId = StreamId::new(0, 0);

    /// The greatest.
    pub const MAX: StreamId = StreamId::new(u64::MAX, u64::MAX);

    /// The longest text of an id in bytes.
    pub const TEXT_BYTES_MAX: usize = 41;

    /// An id of its two numbers.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// The least id that is greater.
    #[must_use]
    pub fn next(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId { seq, ..self }),
            None => Some(StreamId { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The greatest id that is less.
    #[must_use]
    pub fn previous(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId { seq, ..self }),
            None => Some(StreamId { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Reads `ms-seq`, or `ms`, whose number is `missing_seq`.
    #[must_use]
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        match text.iter().position(|&byte| byte == b'-') {
            Some(dash) => {
                Some(StreamId::new(parse_number(&text[..dash])?, parse_number(&text[dash + 1..])?))
            }
            None => Some(StreamId::new(parse_number(text)?, missing_seq)),
        }
    }

    /// The milliseconds of `ms-*`, whose number is to be chosen.
    #[must_use]
    pub fn parse_open(text: &[u8]) -> Option<u64> {
        text.strip_suffix(b"-*").and_then(parse_number)
    }

    /// Its text, without an allocation.
    #[must_use]
    pub fn text(self) -> IdText {
        let mut text = IdText { bytes: [0; StreamId::TEXT_BYTES_MAX], len: 0 };
        text.push(itoa::Buffer::new().format(self.ms));
        text.push("-");
        text.push(itoa::Buffer::new().format(self.seq));
        text
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text of an id.
#[derive(Clone, Copy)]
pub struct IdText {
    bytes: [u8; StreamId::TEXT_BYTES_MAX],
    len: usize,
}

impl IdText {
    fn push(&mut self, part: &str) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part.as_bytes());
        self.len += part.len();
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A number as C's `strtoull` takes it, but for a minus.
fn parse_number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for id in [StreamId::ZERO, StreamId::new(15, 3), StreamId::MAX] {
            assert_eq!(StreamId::parse(id.text().as_bytes(), 9), Some(id));
            assert_eq!(id.text().as_bytes(), id.to_string().as_bytes());
        }
    }

    #[test]
    fn what_is_missing_is_filled_in_and_what_is_wrong_refused() {
        assert_eq!(StreamId::parse(b"007", 9), Some(StreamId::new(7, 9)));
        for bad in ["", "-", "+", "1-", "-1", "1-2-3", "a", "1-*", "18446744073709551616", "1--1"] {
            assert_eq!(StreamId::parse(bad.as_bytes(), 0), None, "{bad}");
        }
        assert_eq!(StreamId::parse_open(b"5-*"), Some(5));
        assert_eq!(StreamId::parse_open(b"5"), None);
    }

    #[test]
    fn neighbours_carry_into_the_milliseconds() {
        assert_eq!(StreamId::new(1, u64::MAX).next(), Some(StreamId::new(2, 0)));
        assert_eq!(StreamId::new(2, 0).previous(), Some(StreamId::new(1, u64::MAX)));
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::ZERO.previous(), None);
    }
}

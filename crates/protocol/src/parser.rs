//! Finds the next request in the bytes of a connection. Hot.
//!
//! Two parsers in one. The first, [`whole_request`], takes the request that is all
//! there and well-formed, and gives up at the first byte that is not as it should be.
//! The second begins again and takes its time: it finds out what is missing or wrong,
//! in the order in which the reference servers complain.
//!
//! A request that comes in pieces is given again, extended, until it is whole.
//! Nothing is remembered of a short one, which is quickly read again; from
//! [`REMEMBERED_ARGS_MIN`] words on, the parser keeps the words it has found.
//!
//! # Invariants
//!
//! 1. What comes out does not depend on how the input was cut into pieces. So a line
//!    beyond its limit is refused even when its end is already there.
//! 2. No byte is searched twice for the end of a line.
//! 3. Offsets fit 32 bits: what lies beyond 4 GiB is not looked at.

use crate::inline::{self, Unquoted};
use crate::{Limits, ProtocolError, Span, Words};

/// From how many words on an unfinished request is remembered, not read again.
const REMEMBERED_ARGS_MIN: usize = 32;

/// The longest input that offsets can tell, in bytes.
const INPUT_BYTES_MAX: usize = u32::MAX as usize;

/// What the input begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A request, whose words are in the spans.
    Request {
        /// How many bytes of the input it took.
        consumed: usize,
    },
    /// An inline request with quotes, whose words are in [`Parser::inline_words`].
    Inline {
        /// How many bytes of the input it took.
        consumed: usize,
    },
    /// A request without a word: nothing to do and nothing to reply.
    Empty {
        /// How many bytes of the input it took.
        consumed: usize,
    },
    /// Not yet a whole request.
    Incomplete {
        /// How many bytes the input must have at least before there is any use in parsing
        /// again. The client only announced them, so reserving more than a small multiple
        /// of what has come trusts a stranger.
        needs: usize,
    },
}

/// The state of one connection's requests. Small: what is rare is boxed.
#[derive(Debug, Default)]
pub struct Parser {
    /// The words of an unfinished request with many of them.
    unfinished: Option<Box<Unfinished>>,
    /// The words of the last inline request that had quotes.
    inline: Option<Box<Unquoted>>,
    /// The line whose end has not come.
    open: OpenLine,
}

const _: () = assert!(size_of::<Parser>() <= 32, "there is one for each idle connection");

/// How far an unfinished array of words has been read.
#[derive(Debug)]
struct Unfinished {
    /// Where the next word's header begins.
    at: usize,
    /// How many words are missing.
    left: usize,
    /// The words so far.
    spans: Vec<Span>,
}

/// A line whose end has not come, and up to where it has been looked for.
#[derive(Clone, Copy, Debug, Default)]
struct OpenLine {
    start: u32,
    searched: u32,
}

impl Parser {
    /// A parser at the start of a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses the request that `input` begins with; its words go to `spans`, in place of
    /// what was there.
    ///
    /// After [`Parsed::Incomplete`], `input` must come again with more bytes behind it.
    /// After a complete request, `input` must begin behind it. After an error the
    /// connection is of no more use: what follows cannot be told from a request.
    ///
    /// Allocates nothing for a complete request once `spans` has the capacity.
    #[inline]
    pub fn parse(
        &mut self,
        input: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Parsed, ProtocolError> {
        spans.clear();
        self.parse_onto(input, spans, limits)
    }

    /// As [`Parser::parse`], but the words go behind those already in `spans`, so that one
    /// list serves a whole batch. Offsets still count from the start of this `input`.
    /// Without a complete request, `spans` is left as it was.
    #[inline]
    pub fn parse_onto(
        &mut self,
        input: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Parsed, ProtocolError> {
        if self.unfinished.is_none() {
            let before = spans.len();
            if let Some(consumed) = whole_request(input, spans, limits) {
                self.open = OpenLine::default();
                return Ok(Parsed::Request { consumed });
            }
            spans.truncate(before);
        }
        self.parse_carefully(&input[..input.len().min(INPUT_BYTES_MAX)], spans, limits)
    }

    /// The words of the inline request with quotes that was parsed last.
    #[must_use]
    pub fn inline_words(&self) -> Words<'_> {
        self.inline.as_ref().map_or(Words::new(&[], &[]), |inline| inline.words())
    }

    /// How many bytes of memory the state of an unfinished or quoted request holds.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let unfinished = self.unfinished.as_ref().map_or(0, |unfinished| {
            size_of::<Unfinished>() + unfinished.spans.capacity() * size_of::<Span>()
        });
        unfinished + self.inline.as_ref().map_or(0, |inline| inline.memory_bytes())
    }

    #[cold]
    fn parse_carefully(
        &mut self,
        input: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Parsed, ProtocolError> {
        let parsed = match (self.unfinished.take(), input.first()) {
            (Some(unfinished), _) => self.resume_array(unfinished, input, spans, limits),
            (None, Some(b'*')) => self.begin_array(input, spans, limits),
            (None, Some(_)) => self.parse_inline(input, spans, limits),
            (None, None) => return Ok(Parsed::Incomplete { needs: 1 }),
        };
        if !matches!(parsed, Ok(Parsed::Incomplete { .. })) {
            self.open = OpenLine::default();
        }
        parsed
    }

    fn parse_inline(
        &mut self,
        input: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Parsed, ProtocolError> {
        let too_big = ProtocolError::TooBigInline;
        let Some(feed) = self.find_in_line(b'\n', input, 0, too_big, limits)? else {
            return Ok(Parsed::Incomplete { needs: input.len() + 1 });
        };
        let consumed = feed + 1;
        let line = input[..feed].strip_suffix(b"\r").unwrap_or(&input[..feed]);
        if inline::is_quoted(line) {
            self.inline.get_or_insert_default().split(line)?;
            return Ok(Parsed::Inline { consumed });
        }
        let before = spans.len();
        inline::split_bare(line, spans);
        let is_empty = spans.len() == before;
        Ok(if is_empty { Parsed::Empty { consumed } } else { Parsed::Request { consumed } })
    }

    fn begin_array(
        &mut self,
        input: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Parsed, ProtocolError> {
        let too_big = ProtocolError::TooBigMultibulkCount;
        let Some(line_end) = self.find_line_end(input, 0, too_big, limits)? else {
            return Ok(Parsed::Incomplete { needs: input.len() + 1 });
        };
        check_crlf(input, line_end)?;
        let mut at = line_end + 2;
        let mut left = word_count(&input[1..line_end], limits)?;
        if left == 0 {
            return Ok(Parsed::Empty { consumed: at });
        }

        let before = spans.len();
        let needs = self.read_words(input, &mut at, &mut left, spans, limits);
        if let Ok(None) = needs {
            return Ok(Parsed::Request { consumed: at });
        }
        if needs.is_ok() && spans.len() - before >= REMEMBERED_ARGS_MIN {
            let spans = spans[before..].to_vec();
            self.unfinished = Some(Box::new(Unfinished { at, left, spans }));
        }
        spans.truncate(before);
        needs.map(|needs| Parsed::Incomplete { needs: needs.unwrap_or(0) })
    }

    fn resume_array(
        &mut self,
        mut unfinished: Box<Unfinished>,
        input: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Parsed, ProtocolError> {
        let Unfinished { at, left, spans: found } = &mut *unfinished;
        if let Some(needs) = self.read_words(input, at, left, found, limits)? {
            self.unfinished = Some(unfinished);
            return Ok(Parsed::Incomplete { needs });
        }
        if spans.is_empty() {
            *spans = unfinished.spans;
        } else {
            spans.extend_from_slice(&unfinished.spans);
        }
        Ok(Parsed::Request { consumed: unfinished.at })
    }

    /// Reads words until none is missing (`None`) or more input is needed (how much).
    fn read_words(
        &mut self,
        input: &[u8],
        at: &mut usize,
        left: &mut usize,
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        while *left > 0 {
            let too_big = ProtocolError::TooBigBulkCount;
            let Some(line_end) = self.find_line_end(input, *at, too_big, limits)? else {
                return Ok(Some(input.len().max(*at) + 1));
            };
            if input[*at] != b'$' {
                return Err(ProtocolError::ExpectedDollar(input[*at]));
            }
            check_crlf(input, line_end)?;
            let len = word_len(&input[*at + 1..line_end], limits)?;
            let (start, end) = (line_end + 2, line_end as u64 + 2 + len);
            if end + 2 > INPUT_BYTES_MAX as u64 {
                return Err(ProtocolError::TooBigRequest);
            }
            let end = end as usize;
            if input.len() < end + 2 {
                return Ok(Some(end + 2));
            }
            check_crlf(input, end)?;
            spans.push(Span::new(start, end));
            *at = end + 2;
            *left -= 1;
        }
        Ok(None)
    }

    /// Where the carriage return lies that ends the line from `start`, once a byte is behind it.
    fn find_line_end(
        &mut self,
        input: &[u8],
        start: usize,
        too_big: ProtocolError,
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        let end = self.find_in_line(b'\r', input, start, too_big, limits)?;
        Ok(end.filter(|end| end + 1 < input.len()))
    }

    /// Where `end` lies in the line from `start`; `too_big` if that is beyond the limit of a line.
    fn find_in_line(
        &mut self,
        end: u8,
        input: &[u8],
        start: usize,
        too_big: ProtocolError,
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        let is_open = self.open.start as usize == start;
        let from = if is_open { start.max(self.open.searched as usize) } else { start };
        let found = memchr::memchr(end, input.get(from..).unwrap_or_default());
        let searched = found.map_or(input.len(), |found| from + found);
        if searched.saturating_sub(start) > limits.inline_bytes_max {
            return Err(too_big);
        }
        self.open = OpenLine { start: start as u32, searched: searched as u32 };
        Ok(found.map(|_| searched))
    }
}

/// Takes a request that is all there, with counts of few digits and within the limits, and
/// says how many bytes it took. `None` for anything else, with words left behind in `spans`.
#[inline]
fn whole_request(input: &[u8], spans: &mut Vec<Span>, limits: &Limits) -> Option<usize> {
    let input = &input[..input.len().min(INPUT_BYTES_MAX)];
    let bulk_bytes_max = limits.bulk_bytes_allowed();

    let (count, mut at) = short_count(input, 0, b'*')?;
    if count == 0 || count > limits.args_allowed() {
        return None;
    }
    for _ in 0..count {
        let (len, start) = short_count(input, at, b'$')?;
        let end = start + len;
        if len as u64 > bulk_bytes_max || input.get(end..end + 2) != Some(b"\r\n") {
            return None;
        }
        spans.push(Span::new(start, end));
        at = end + 2;
    }
    Some(at)
}

/// Reads `marker`, digits, CR LF at `at`: the number and the offset behind it.
#[inline]
fn short_count(input: &[u8], at: usize, marker: u8) -> Option<(usize, usize)> {
    match input.get(at..)? {
        [first, a, b'\r', b'\n', ..] if *first == marker && a.is_ascii_digit() => {
            Some((usize::from(a - b'0'), at + 4))
        }
        [first, a @ b'1'..=b'9', b, b'\r', b'\n', ..] if *first == marker && b.is_ascii_digit() => {
            Some((usize::from(a - b'0') * 10 + usize::from(b - b'0'), at + 5))
        }
        [first, digits @ ..] if *first == marker => {
            let (count, used) = longer_count(digits)?;
            Some((count, at + 1 + used))
        }
        _ => None,
    }
}

/// Reads a number of three to nine digits and CR LF: the number and how many bytes it took.
fn longer_count(text: &[u8]) -> Option<(usize, usize)> {
    const DIGITS_MAX: usize = 9;

    let mut count = 0;
    for (at, &byte) in text.iter().enumerate().take(DIGITS_MAX + 1) {
        match byte {
            b'0' if at == 0 => return None,
            b'0'..=b'9' if at < DIGITS_MAX => count = count * 10 + usize::from(byte - b'0'),
            b'\r' if at > 0 && text.get(at + 1) == Some(&b'\n') => return Some((count, at + 2)),
            _ => return None,
        }
    }
    None
}

/// The number of words that an array announces; none for a negative number.
fn word_count(digits: &[u8], limits: &Limits) -> Result<usize, ProtocolError> {
    let count = integer(digits).ok_or(ProtocolError::InvalidMultibulkLength)?;
    let count = usize::try_from(count).unwrap_or(0);
    if count > limits.args_max {
        return Err(ProtocolError::InvalidMultibulkLength);
    }
    if count > limits.args_allowed() {
        return Err(ProtocolError::UnauthenticatedMultibulkLength);
    }
    Ok(count)
}

/// The length that a word announces, in bytes.
fn word_len(digits: &[u8], limits: &Limits) -> Result<u64, ProtocolError> {
    let len = integer(digits).and_then(|len| u64::try_from(len).ok());
    let len = len.filter(|&len| len <= limits.bulk_bytes_max);
    let len = len.ok_or(ProtocolError::InvalidBulkLength)?;
    if len > limits.bulk_bytes_allowed() {
        return Err(ProtocolError::UnauthenticatedBulkLength);
    }
    Ok(len)
}

/// A 64-bit integer in its only spelling: no plus sign, no leading zero, no minus zero.
fn integer(digits: &[u8]) -> Option<i64> {
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    match unsigned {
        [b'0'] if unsigned.len() == digits.len() => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {
            str::from_utf8(digits).ok()?.parse().ok()
        }
        _ => None,
    }
}

/// Checks that CR LF stands at `at`, where the input has two bytes.
fn check_crlf(input: &[u8], at: usize) -> Result<(), ProtocolError> {
    if input[at..].starts_with(b"\r\n") { Ok(()) } else { Err(ProtocolError::InvalidCrlf) }
}

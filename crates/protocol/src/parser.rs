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
    /// The word that has begun and whose end has not come.
    partial: Partial,
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

/// A word that is announced and not all there, if there is one: where it begins, and how long the
/// input is with it.
#[derive(Clone, Copy, Debug, Default)]
struct Partial {
    start: u32,
    needs: u32,
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
    /// Allocates nothing for a complete request once `spans` has the capacity. A request of
    /// many words that came in pieces may replace the memory of `spans` by its own.
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

    /// After [`Parsed::Incomplete`]: how many bytes of the input are understood, because a word
    /// begins behind them whose length is known. 0: no such word has begun.
    #[inline]
    #[must_use]
    pub fn understood(&self) -> usize {
        self.partial.start as usize
    }

    /// After [`Parsed::Incomplete`]: how long the input will be with the word that has begun, as
    /// far as the client has announced it. 0: no such word has begun.
    #[inline]
    #[must_use]
    pub fn announced(&self) -> usize {
        self.partial.needs as usize
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
        self.partial = Partial::default();
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
                // Both fit, as the end does.
                self.partial = Partial { start: start as u32, needs: end as u32 + 2 };
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
        if found.is_none() {
            self.open = OpenLine { start: start as u32, searched: searched as u32 };
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(input: &[u8], limits: &Limits) -> Result<Parsed, ProtocolError> {
        let mut spans = Vec::new();
        let parsed = Parser::new().parse(input, &mut spans, limits);
        assert!(matches!(parsed, Ok(Parsed::Request { .. })) || spans.is_empty());
        parsed
    }

    fn words(input: &[u8]) -> Vec<Vec<u8>> {
        let (mut parser, mut spans) = (Parser::new(), Vec::new());
        let parsed = parser.parse(input, &mut spans, &Limits::DEFAULT);
        assert_eq!(parsed, Ok(Parsed::Request { consumed: input.len() }));
        Words::new(input, &spans).iter().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_request_is_an_array_of_strings_or_a_line() {
        assert_eq!(words(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), [&b"GET"[..], b"k"]);
        assert_eq!(words(b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n"), [&b"ECHO"[..], b""]);
        assert_eq!(words(b"*1\r\n$11\r\n\r\n$1\r\n*1\r\n\0\r\n"), [b"\r\n$1\r\n*1\r\n\0"]);
        assert_eq!(words(b"GET k\r\n"), [&b"GET"[..], b"k"]);
        assert_eq!(words(b"\tGET   k \n"), [&b"GET"[..], b"k"]);
        assert_eq!(words(b"PING\r\r\n"), [b"PING"]);
    }

    #[test]
    fn counts_of_every_number_of_digits_are_read() {
        for len in [0_usize, 1, 9, 10, 99, 100, 999, 1000, 16_384, 123_456] {
            let word = vec![b'x'; len];
            let input = [format!("*1\r\n${len}\r\n").as_bytes(), &word[..], b"\r\n"].concat();
            assert_eq!(words(&input), [word]);
        }
        for count in [1_usize, 9, 10, 99, 100, 1000] {
            let input = [format!("*{count}\r\n"), "$1\r\na\r\n".repeat(count)].concat();
            assert_eq!(words(input.as_bytes()).len(), count);
        }
    }

    #[test]
    fn the_words_of_a_quoted_line_are_kept_by_the_parser() {
        let (mut parser, mut spans) = (Parser::new(), Vec::new());
        assert!(parser.inline_words().is_empty());
        let parsed = parser.parse(b"SET 'a b' \"\\x00\"\r\nPING\r\n", &mut spans, &Limits::DEFAULT);
        assert_eq!(parsed, Ok(Parsed::Inline { consumed: 18 }));
        let words: Vec<_> = parser.inline_words().iter().collect();
        assert_eq!(words, [&b"SET"[..], b"a b", b"\0"]);
    }

    #[test]
    fn a_request_without_words_is_empty() {
        let cases: [(&[u8], usize); 8] = [
            (b"\r\nPING", 2),
            (b"\nPING", 1),
            (b" \t\x0b \r\n", 6),
            (b"*0\r\nPING", 4),
            (b"*-1\r\nPING", 5),
            (b"*-5\r\n", 5),
            (b"*-9223372036854775808\r\n", 23),
            (b"\r\r\nPING", 3),
        ];
        for (input, consumed) in cases {
            assert_eq!(parse(input, &Limits::DEFAULT), Ok(Parsed::Empty { consumed }), "{input:?}");
        }
    }

    #[test]
    fn an_unfinished_request_tells_how_much_it_needs() {
        let cases: [(&[u8], usize); 12] = [
            (b"", 1),
            (b"*", 2),
            (b"*1\r", 4),
            (b"*1\r\n", 5),
            (b"*1\r\n$", 6),
            (b"*1\r\nx", 6),
            (b"*1\r\nx\r", 7),
            (b"*1\r\n$4\r\n", 14),
            (b"*1\r\n$4\r\nPING", 14),
            (b"*1\r\n$4\r\nPINGX", 14),
            (b"*1\r\n$536870912\r\n", 16 + 536_870_912 + 2),
            (b"*2147483647\r\n", 14),
        ];
        for (input, needs) in cases {
            let parsed = parse(input, &Limits::DEFAULT);
            assert_eq!(parsed, Ok(Parsed::Incomplete { needs }), "{input:?}");
        }
    }

    #[test]
    fn what_is_not_a_request_is_refused_as_the_reference_server_does() {
        use ProtocolError::*;
        let cases: [(&[u8], ProtocolError); 29] = [
            (b"*abc\r\n", InvalidMultibulkLength),
            (b"*\r\n", InvalidMultibulkLength),
            (b"*+1\r\n", InvalidMultibulkLength),
            (b"*01\r\n", InvalidMultibulkLength),
            (b"*-0\r\n", InvalidMultibulkLength),
            (b"*-\r\n", InvalidMultibulkLength),
            (b"* 1\r\n", InvalidMultibulkLength),
            (b"*1 \r\n", InvalidMultibulkLength),
            (b"*1\nX$4\r\nPING\r\n", InvalidMultibulkLength),
            (b"*2147483648\r\n", InvalidMultibulkLength),
            (b"*-9223372036854775809\r\n", InvalidMultibulkLength),
            (b"*1\rX", InvalidCrlf),
            (b"*1\r\n*4\r\n", ExpectedDollar(b'*')),
            (b"*1\r\n\r\n", ExpectedDollar(b'\r')),
            (b"*1\r\n\nPING\r\n", ExpectedDollar(b'\n')),
            (b"*1\r\n\xffPING\r\n", ExpectedDollar(0xff)),
            (b"*1\r\nx4\rX", ExpectedDollar(b'x')),
            (b"*1\r\n$4\rX", InvalidCrlf),
            (b"*1\r\n$-1\r\n", InvalidBulkLength),
            (b"*1\r\n$-0\r\n", InvalidBulkLength),
            (b"*1\r\n$\r\n", InvalidBulkLength),
            (b"*1\r\n$abc\r\n", InvalidBulkLength),
            (b"*1\r\n$+4\r\nPING\r\n", InvalidBulkLength),
            (b"*1\r\n$04\r\nPING\r\n", InvalidBulkLength),
            (b"*1\r\n$536870913\r\n", InvalidBulkLength),
            (b"*1\r\n$4\r\nPINGXX", InvalidCrlf),
            (b"*1\r\n$4\r\nPING\nX", InvalidCrlf),
            (b"ECHO \"foo\r\n", UnbalancedQuotes),
            (b"SET \"\"\"key\"\"\" v\r\n", UnbalancedQuotes),
        ];
        for (input, error) in cases {
            assert_eq!(parse(input, &Limits::DEFAULT), Err(error), "{input:?}");
        }
    }

    #[test]
    fn a_line_may_reach_its_limit_but_not_exceed_it() {
        let max = Limits::DEFAULT.inline_bytes_max;
        let begin = |start: &str, len: usize| [start, &"1".repeat(len)].concat().into_bytes();
        for (start, line, error) in [
            ("", 0, ProtocolError::TooBigInline),
            ("*", 1, ProtocolError::TooBigMultibulkCount),
            ("*1\r\n$", 1, ProtocolError::TooBigBulkCount),
            ("*1\r\nx", 1, ProtocolError::TooBigBulkCount),
        ] {
            let fits = begin(start, max - line);
            let needs = fits.len() + 1;
            assert_eq!(parse(&fits, &Limits::DEFAULT), Ok(Parsed::Incomplete { needs }));
            let exceeds = begin(start, max - line + 1);
            assert_eq!(parse(&exceeds, &Limits::DEFAULT), Err(error));
            let ended = [&exceeds[..], b"\r\n"].concat();
            assert_eq!(parse(&ended, &Limits::DEFAULT), Err(error), "{start}");
        }
        let longest = [&vec![b'a'; max][..], b"\n"].concat();
        assert_eq!(words(&longest).len(), 1);
    }

    #[test]
    fn a_stranger_may_send_little() {
        use ProtocolError::*;
        let parse = |input: &[u8]| parse(input, &Limits::BEFORE_AUTH);
        assert_eq!(parse(b"*10\r\n"), Ok(Parsed::Incomplete { needs: 6 }));
        assert_eq!(parse(b"*11\r\n"), Err(UnauthenticatedMultibulkLength));
        assert_eq!(parse(b"*2147483648\r\n"), Err(InvalidMultibulkLength));
        assert!(matches!(parse(b"*1\r\n$16384\r\n"), Ok(Parsed::Incomplete { .. })));
        assert_eq!(parse(b"*1\r\n$16385\r\n"), Err(UnauthenticatedBulkLength));
        assert_eq!(parse(b"*1\r\n$536870913\r\n"), Err(InvalidBulkLength));

        let whole = [&b"*1\r\n$16385\r\n"[..], &[b'x'; 16_385], b"\r\n"].concat();
        assert_eq!(parse(&whole), Err(UnauthenticatedBulkLength));
        let whole = ["*11\r\n", &"$1\r\na\r\n".repeat(11)].concat();
        assert_eq!(parse(whole.as_bytes()), Err(UnauthenticatedMultibulkLength));
    }

    #[test]
    fn a_word_that_ends_beyond_32_bits_is_refused() {
        let limits = Limits { bulk_bytes_max: u64::MAX, ..Limits::DEFAULT };
        for len in [u64::from(u32::MAX) - 16, u64::from(u32::MAX), i64::MAX as u64] {
            let input = format!("*1\r\n${len}\r\n");
            assert_eq!(parse(input.as_bytes(), &limits), Err(ProtocolError::TooBigRequest));
        }
        let input = format!("*1\r\n${}\r\n", u32::MAX - 19);
        let needs = u32::MAX as usize;
        assert_eq!(parse(input.as_bytes(), &limits), Ok(Parsed::Incomplete { needs }));
    }

    /// What has been read is overwritten before the rest comes: reading it again would fail.
    #[test]
    fn the_words_of_a_long_unfinished_request_are_not_read_again() {
        let count = 2 * REMEMBERED_ARGS_MIN;
        let whole = [format!("*{count}\r\n"), "$1\r\na\r\n".repeat(count)].concat().into_bytes();
        let (mut parser, mut spans) = (Parser::new(), Vec::new());

        let cut = whole.len() / 4 * 3;
        let parsed = parser.parse(&whole[..cut], &mut spans, &Limits::DEFAULT);
        assert!(matches!(parsed, Ok(Parsed::Incomplete { .. })));
        assert!(parser.memory_bytes() > 0);

        let mut extended = vec![0; cut - 16];
        extended.extend_from_slice(&whole[cut - 16..]);
        let parsed = parser.parse(&extended, &mut spans, &Limits::DEFAULT);
        assert_eq!(parsed, Ok(Parsed::Request { consumed: whole.len() }));
        assert!(Words::new(&whole, &spans).iter().eq([b"a"; 64]));
        assert_eq!(parser.memory_bytes(), 0);
    }

    #[test]
    fn a_line_is_searched_once_for_its_end() {
        for (input, overwritten) in
            [(&b"ECHO abc"[..], b'\n'), (b"*123", b'\r'), (b"*1\r\n$12", b'\r')]
        {
            let (mut parser, mut spans) = (Parser::new(), Vec::new());
            let incomplete = Ok(Parsed::Incomplete { needs: input.len() + 1 });
            assert_eq!(parser.parse(input, &mut spans, &Limits::DEFAULT), incomplete);
            let mut extended = input.to_vec();
            *extended.last_mut().unwrap() = overwritten;
            extended.push(b'9');
            let incomplete = Ok(Parsed::Incomplete { needs: input.len() + 2 });
            assert_eq!(parser.parse(&extended, &mut spans, &Limits::DEFAULT), incomplete);
        }
    }

    #[test]
    fn the_word_that_has_begun_is_known() {
        let (mut parser, mut spans) = (Parser::new(), Vec::new());
        let mut known = |input: &[u8]| {
            let parsed = parser.parse(input, &mut spans, &Limits::DEFAULT);
            assert!(matches!(parsed, Ok(Parsed::Incomplete { .. })));
            (parser.understood(), parser.announced())
        };
        assert_eq!(known(b"*2\r\n$3\r"), (0, 0), "its length is not all there");
        assert_eq!(known(b"*2\r\n$3\r\n"), (8, 13));
        assert_eq!(known(b"*2\r\n$3\r\nGET\r"), (8, 13));
        assert_eq!(known(b"*2\r\n$3\r\nGET\r\n"), (0, 0), "the next one has not begun");
        assert_eq!(known(b"*2\r\n$3\r\nGET\r\n$2\r\na"), (17, 21));
    }

    #[test]
    fn announced_words_take_no_memory_before_they_come() {
        let (mut parser, mut spans) = (Parser::new(), Vec::new());
        let parsed = parser.parse(b"*2147483647\r\n$536870912\r\n", &mut spans, &Limits::DEFAULT);
        assert!(matches!(parsed, Ok(Parsed::Incomplete { .. })));
        assert_eq!((parser.memory_bytes(), spans.capacity()), (0, 0));
    }

    #[test]
    fn requests_of_a_batch_share_one_list_of_spans() {
        let input = b"*1\r\n$4\r\nPING\r\nGET k\r\n*1\r\n$4\r\nPI";
        let (mut parser, mut spans) = (Parser::new(), Vec::new());
        let limits = &Limits::DEFAULT;
        let first = parser.parse_onto(input, &mut spans, limits);
        assert_eq!((first, spans.len()), (Ok(Parsed::Request { consumed: 14 }), 1));
        let second = parser.parse_onto(&input[14..], &mut spans, limits);
        assert_eq!((second, spans.len()), (Ok(Parsed::Request { consumed: 7 }), 3));
        let third = parser.parse_onto(&input[21..], &mut spans, limits);
        assert_eq!((third, spans.len()), (Ok(Parsed::Incomplete { needs: 14 }), 3));
        assert!(Words::new(&input[14..], &spans[1..]).iter().eq([&b"GET"[..], b"k"]));
    }
}

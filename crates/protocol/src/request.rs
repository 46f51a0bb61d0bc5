//! Requests: arrays of bulk strings, or inline commands.
//!
//! A request that lies whole in the buffer is parsed in one pass over its headers, without
//! allocating. Of one that does not, the parser remembers how far it got, so that a request of a
//! million words that arrives in pieces is not read from its beginning again and again.

use std::fmt;

/// Digits of a count or a length that are looked at before the line is called too long.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Where one word lies: byte offsets from the start of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: u32,
    /// The byte behind its last.
    pub end: u32,
}

/// The words of one request, in the buffer they came in.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    input: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Words<'a> {
    /// The words that the spans find in the input.
    #[must_use]
    #[inline]
    pub fn new(input: &'a [u8], spans: &'a [Span]) -> Words<'a> {
        Words { input, spans }
    }

    /// How many there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// One of them.
    #[must_use]
    #[inline]
    pub fn get(&self, nth: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(nth)?;
        self.input.get(span.start as usize..span.end as usize)
    }

    /// All of them, in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        let Words { input, spans } = self;
        spans
            .iter()
            .map(move |span| input.get(span.start as usize..span.end as usize).unwrap_or_default())
    }
}

/// What a request may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one word (`proto-max-bulk-len`).
    pub bulk_bytes_max: u64,
    /// Words.
    pub args_max: i64,
    /// Bytes of an inline request.
    pub inline_bytes_max: usize,
    /// Whether these are the limits of somebody who has not authenticated, which the errors say.
    pub before_auth: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bulk_bytes_max: 512 << 20,
            args_max: 1 << 20,
            inline_bytes_max: 64 << 10,
            before_auth: false,
        }
    }
}

impl Limits {
    /// The limits of somebody who has not authenticated.
    pub const BEFORE_AUTH: Limits = Limits {
        bulk_bytes_max: 16_384,
        args_max: 10,
        inline_bytes_max: 64 << 10,
        before_auth: true,
    };
}

/// What the buffer begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A request of so many bytes; its words are in the spans.
    Request {
        /// Its bytes.
        consumed: usize,
    },
    /// An inline request with quotes: its words had to be taken apart.
    Quoted {
        /// Its bytes.
        consumed: usize,
        /// Its words.
        words: Vec<Vec<u8>>,
    },
    /// Nothing to do: an empty line or an empty array.
    Empty {
        /// Its bytes.
        consumed: usize,
    },
    /// A request that is not all here.
    Incomplete {
        /// How many bytes there must be at least before it is worth another look.
        needs: usize,
    },
}

/// Input that is no request. The connection is answered and closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The count of an array is none, or too large.
    MultibulkLength,
    /// The length of a word is none, or too large.
    BulkLength,
    /// A word does not begin with `$`.
    ExpectedDollar(u8),
    /// An inline request without end.
    InlineTooLong,
    /// A count without end.
    CountTooLong,
    /// A length without end.
    LengthTooLong,
    /// A quote that is not closed, or closed in the middle of a word.
    UnbalancedQuotes,
    /// Too many words for somebody who has not authenticated.
    UnauthenticatedMultibulk,
    /// Too long a word for somebody who has not authenticated.
    UnauthenticatedBulk,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            ProtocolError::MultibulkLength => "invalid multibulk length",
            ProtocolError::BulkLength => "invalid bulk length",
            ProtocolError::ExpectedDollar(got) => {
                let got = if got.is_ascii_graphic() { char::from(*got) } else { ' ' };
                return write!(f, "Protocol error: expected '$', got '{got}'");
            }
            ProtocolError::InlineTooLong => "too big inline request",
            ProtocolError::CountTooLong => "too big mbulk count string",
            ProtocolError::LengthTooLong => "too big bulk count string",
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request",
            ProtocolError::UnauthenticatedMultibulk => "unauthenticated multibulk length",
            ProtocolError::UnauthenticatedBulk => "unauthenticated bulk length",
        };
        write!(f, "Protocol error: {text}")
    }
}

/// Parses the requests of one connection.
#[derive(Default)]
pub struct Parser {
    /// How far it got in a request that was not all there.
    progress: Option<Box<Progress>>,
}

struct Progress {
    spans: Vec<Span>,
    /// Words still to come.
    missing: usize,
    /// Where the next word's header begins.
    at: usize,
}

/// What a header line says.
enum Header {
    Number { value: i64, next: usize },
    Invalid,
    Incomplete,
}

impl Parser {
    /// Looks at the beginning of `input`: the start of a request, which stays the same, only
    /// longer, as long as the answer is [`Parsed::Incomplete`]. Spans are valid for a
    /// [`Parsed::Request`] only.
    ///
    /// # Errors
    /// If the input is no request.
    #[inline]
    pub fn parse(
        &mut self,
        input: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Parsed, ProtocolError> {
        spans.clear();
        if self.progress.is_some() {
            return self.go_on(input, spans, limits);
        }
        match input.first() {
            None => Ok(Parsed::Incomplete { needs: 1 }),
            Some(b'*') => self.parse_array(input, spans, limits),
            Some(_) => parse_inline(input, spans, limits),
        }
    }

    #[inline]
    fn parse_array(
        &mut self,
        input: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Parsed, ProtocolError> {
        let (count, next) = match header(input, 1) {
            Header::Number { value, next } => (value, next),
            Header::Invalid => return Err(ProtocolError::MultibulkLength),
            Header::Incomplete if input.len() > LINE_BYTES_MAX => {
                return Err(ProtocolError::CountTooLong);
            }
            Header::Incomplete => return Ok(Parsed::Incomplete { needs: input.len() + 1 }),
        };
        if count > limits.args_max {
            return Err(if limits.before_auth {
                ProtocolError::UnauthenticatedMultibulk
            } else {
                ProtocolError::MultibulkLength
            });
        }
        match usize::try_from(count) {
            Ok(missing @ 1..) => self.parse_words(input, spans, limits, missing, next),
            _ => Ok(Parsed::Empty { consumed: next }),
        }
    }

    #[inline]
    fn parse_words(
        &mut self,
        input: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
        mut missing: usize,
        mut at: usize,
    ) -> Result<Parsed, ProtocolError> {
        while missing > 0 {
            let (start, end) = match word(input, at, limits)? {
                Ok(found) => found,
                Err(needs) => {
                    let spans = std::mem::take(spans);
                    self.progress = Some(Box::new(Progress { spans, missing, at }));
                    return Ok(Parsed::Incomplete { needs });
                }
            };
            spans.push(Span { start: start as u32, end: end as u32 });
            at = end + 2;
            missing -= 1;
        }
        Ok(Parsed::Request { consumed: at })
    }

    #[cold]
    fn go_on(
        &mut self,
        input: &[u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Parsed, ProtocolError> {
        let Some(progress) = self.progress.take() else {
            return Ok(Parsed::Incomplete { needs: 1 });
        };
        let Progress { spans: known, missing, at } = *progress;
        *spans = known;
        self.parse_words(input, spans, limits, missing, at)
    }
}

/// Finds the word whose header begins at `at`: its start and end, or how many bytes the input
/// must have for another look.
#[inline]
fn word(
    input: &[u8],
    at: usize,
    limits: &Limits,
) -> Result<Result<(usize, usize), usize>, ProtocolError> {
    let (length, start) = match header(input, at + 1) {
        Header::Number { value, next } if input[at] == b'$' => (value, next),
        Header::Incomplete if input.len() - at > LINE_BYTES_MAX => {
            return Err(ProtocolError::LengthTooLong);
        }
        Header::Incomplete => return Ok(Err(input.len() + 1)),
        Header::Number { .. } | Header::Invalid => {
            return Err(match input[at] {
                b'$' => ProtocolError::BulkLength,
                other => ProtocolError::ExpectedDollar(other),
            });
        }
    };
    let length = u64::try_from(length).map_err(|_| ProtocolError::BulkLength)?;
    if length > limits.bulk_bytes_max {
        return Err(if limits.before_auth {
            ProtocolError::UnauthenticatedBulk
        } else {
            ProtocolError::BulkLength
        });
    }
    let end = start as u64 + length;
    // A span reaches no farther than 4 GiB; no buffer is that large either.
    if end + 2 > u64::from(u32::MAX) {
        return Err(ProtocolError::BulkLength);
    }
    let end = end as usize;
    if input.len() < end + 2 { Ok(Err(end + 2)) } else { Ok(Ok((start, end))) }
}

/// Reads the number of a header line, from behind its mark. The line ends with CR and one more
/// byte, which is not looked at.
#[inline]
fn header(input: &[u8], at: usize) -> Header {
    let rest = input.get(at..).unwrap_or_default();
    // Most numbers have one or two digits.
    match *rest {
        [a @ b'0'..=b'9', b'\r', _, ..] => {
            return Header::Number { value: i64::from(a - b'0'), next: at + 3 };
        }
        [a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => {
            let value = i64::from(a - b'0') * 10 + i64::from(b - b'0');
            return Header::Number { value, next: at + 4 };
        }
        _ => {}
    }
    let Some(length) = memchr::memchr(b'\r', &rest[..rest.len().min(LINE_BYTES_MAX + 1)]) else {
        return Header::Incomplete;
    };
    if length + 1 >= rest.len() {
        return Header::Incomplete;
    }
    let text = std::str::from_utf8(&rest[..length]).ok().filter(|text| !text.starts_with('+'));
    let canonical = |text: &&str| text.len() == 1 || !text.trim_start_matches('-').starts_with('0');
    match text.filter(canonical).and_then(|text| text.parse().ok()) {
        Some(value) => Header::Number { value, next: at + length + 2 },
        None => Header::Invalid,
    }
}

fn parse_inline(
    input: &[u8],
    spans: &mut Vec<Span>,
    limits: &Limits,
) -> Result<Parsed, ProtocolError> {
    let seen = &input[..input.len().min(limits.inline_bytes_max + 1)];
    let Some(newline) = memchr::memchr(b'\n', seen) else {
        return match input.len() > limits.inline_bytes_max {
            true => Err(ProtocolError::InlineTooLong),
            false => Ok(Parsed::Incomplete { needs: input.len() + 1 }),
        };
    };
    let consumed = newline + 1;
    let line = input[..newline].strip_suffix(b"\r").unwrap_or(&input[..newline]);
    if memchr::memchr2(b'"', b'\'', line).is_some() {
        let words = crate::split_quoted(line).ok_or(ProtocolError::UnbalancedQuotes)?;
        return Ok(Parsed::Quoted { consumed, words });
    }
    let mut at = 0;
    while at < line.len() {
        let length = line[at..].iter().position(|&byte| is_space(byte));
        let end = length.map_or(line.len(), |length| at + length);
        if end > at {
            spans.push(Span { start: at as u32, end: end as u32 });
        }
        at = end + 1;
    }
    if spans.is_empty() { Ok(Parsed::Empty { consumed }) } else { Ok(Parsed::Request { consumed }) }
}

/// C's `isspace` and NUL, which ends a line in C.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0)
}

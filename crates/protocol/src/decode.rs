//! Reads replies: the client's side of the protocol, for the benchmark and the tests.
//!
//! Both dialects are one grammar here: what a server does not send is simply never
//! met. Values of unknown length (`$?`, `*?`) are refused, because no server of this
//! family sends them.
//!
//! # Invariants
//!
//! 1. Memory follows the bytes that have come, not the lengths they tell.
//! 2. Nesting is limited by [`DEPTH_MAX`], so no reply exhausts the stack.

use std::fmt;

/// How deep aggregates may be nested.
pub const DEPTH_MAX: usize = 128;

/// The longest line, in bytes.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// The longest string, in bytes.
const BULK_BYTES_MAX: i64 = u32::MAX as i64;

/// For how many elements memory is taken before they have come.
const RESERVED_ELEMENTS_MAX: usize = 64;

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A line of text: `+OK`.
    Simple(Vec<u8>),
    /// A refusal with its code: `-ERR syntax error`, or the same as a string (`!`).
    Error(Vec<u8>),
    /// `:1`
    Integer(i64),
    /// A string of bytes: `$3`.
    Bulk(Vec<u8>),
    /// The absence of a value: `$-1` or `_`.
    Null,
    /// The absence of a list: `*-1`.
    NullArray,
    /// `#t`
    Boolean(bool),
    /// `,3.5`
    Double(f64),
    /// An integer of any size in decimal: `(1234567890123456789012`.
    BigNumber(Vec<u8>),
    /// Text for people and the three letters of its format: `=7`, `txt:abc`.
    Verbatim([u8; 3], Vec<u8>),
    /// `*2`
    Array(Vec<Value>),
    /// `%1`
    Map(Vec<(Value, Value)>),
    /// `~2`
    Set(Vec<Value>),
    /// An out-of-band message: `>2`.
    Push(Vec<Value>),
    /// A reply with pairs about it before it: `|1`.
    Attributed(Vec<(Value, Value)>, Box<Value>),
}

/// What came is not a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// No reply begins with this byte.
    UnknownMarker(u8),
    /// A length or number cannot be read, or is beyond its limit.
    InvalidNumber,
    /// A line or string does not end with CR LF.
    InvalidCrlf,
    /// A text for people does not tell its format.
    InvalidVerbatim,
    /// A line has no end within the limit.
    LineTooLong,
    /// Aggregates are nested too deep.
    TooDeep,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownMarker(byte) => {
                return write!(f, "no reply begins with {:?}", char::from(*byte));
            }
            Self::InvalidNumber => "a length or number cannot be read",
            Self::InvalidCrlf => "a line or string does not end with CR LF",
            Self::InvalidVerbatim => "a verbatim string has no format",
            Self::LineTooLong => "a line has no end",
            Self::TooDeep => "aggregates are nested too deep",
        })
    }
}

impl std::error::Error for DecodeError {}

/// Decodes the reply that `input` begins with: it and how many bytes it took, or `None`
/// if more must come. Begins anew each time.
pub fn decode(input: &[u8]) -> Result<Option<(Value, usize)>, DecodeError> {
    let mut reader = Reader { input, at: 0 };
    let value = reader.value(DEPTH_MAX)?;
    Ok(value.map(|value| (value, reader.at)))
}

/// How many bytes the reply takes that `input` begins with, or `None` if more must come.
/// As [`decode`] without the value: no allocation, no limit of depth.
pub fn measure(input: &[u8]) -> Result<Option<usize>, DecodeError> {
    let mut reader = Reader { input, at: 0 };
    let mut missing: u64 = 1;
    while missing > 0 {
        let Some(item) = reader.item()? else { return Ok(None) };
        missing = missing.saturating_add(item.elements()) - 1;
    }
    Ok(Some(reader.at))
}

/// Appends a request of `words` to `bytes`, as an array of strings.
pub fn encode_request<W>(words: W, bytes: &mut Vec<u8>)
where
    W: IntoIterator<Item: AsRef<[u8]>, IntoIter: ExactSizeIterator>,
{
    let words = words.into_iter();
    encode_header(b'*', words.len(), bytes);
    for word in words {
        let word = word.as_ref();
        encode_header(b'$', word.len(), bytes);
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
}

fn encode_header(marker: u8, len: usize, bytes: &mut Vec<u8>) {
    bytes.push(marker);
    bytes.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

/// One element of the grammar: a value without elements, or the header of an aggregate.
enum Item<'a> {
    Simple(&'a [u8]),
    Error(&'a [u8]),
    Integer(i64),
    Bulk(&'a [u8]),
    Null,
    NullArray,
    Boolean(bool),
    Double(f64),
    BigNumber(&'a [u8]),
    Verbatim([u8; 3], &'a [u8]),
    Array(u32),
    Map(u32),
    Set(u32),
    Push(u32),
    Attribute(u32),
}

impl Item<'_> {
    /// How many items follow that belong to it.
    fn elements(&self) -> u64 {
        match *self {
            Item::Array(count) | Item::Set(count) | Item::Push(count) => u64::from(count),
            Item::Map(pairs) => 2 * u64::from(pairs),
            Item::Attribute(pairs) => 2 * u64::from(pairs) + 1,
            _ => 0,
        }
    }
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Option<Value>, DecodeError> {
        let Some(item) = self.item()? else { return Ok(None) };
        if item.elements() > 0 && depth == 0 {
            return Err(DecodeError::TooDeep);
        }
        let depth = depth.saturating_sub(1);
        Ok(Some(match item {
            Item::Simple(text) => Value::Simple(text.to_vec()),
            Item::Error(text) => Value::Error(text.to_vec()),
            Item::Integer(value) => Value::Integer(value),
            Item::Bulk(bytes) => Value::Bulk(bytes.to_vec()),
            Item::Null => Value::Null,
            Item::NullArray => Value::NullArray,
            Item::Boolean(value) => Value::Boolean(value),
            Item::Double(value) => Value::Double(value),
            Item::BigNumber(digits) => Value::BigNumber(digits.to_vec()),
            Item::Verbatim(format, text) => Value::Verbatim(format, text.to_vec()),
            Item::Array(count) => return Ok(self.list(count, depth)?.map(Value::Array)),
            Item::Set(count) => return Ok(self.list(count, depth)?.map(Value::Set)),
            Item::Push(count) => return Ok(self.list(count, depth)?.map(Value::Push)),
            Item::Map(pairs) => return Ok(self.pairs(pairs, depth)?.map(Value::Map)),
            Item::Attribute(pairs) => {
                let Some(pairs) = self.pairs(pairs, depth)? else { return Ok(None) };
                let value = self.value(depth)?;
                return Ok(value.map(|value| Value::Attributed(pairs, Box::new(value))));
            }
        }))
    }

    fn list(&mut self, count: u32, depth: usize) -> Result<Option<Vec<Value>>, DecodeError> {
        let mut list = Vec::with_capacity(reserved(count));
        for _ in 0..count {
            let Some(value) = self.value(depth)? else { return Ok(None) };
            list.push(value);
        }
        Ok(Some(list))
    }

    fn pairs(
        &mut self,
        count: u32,
        depth: usize,
    ) -> Result<Option<Vec<(Value, Value)>>, DecodeError> {
        let mut pairs = Vec::with_capacity(reserved(count));
        for _ in 0..count {
            let Some(key) = self.value(depth)? else { return Ok(None) };
            let Some(value) = self.value(depth)? else { return Ok(None) };
            pairs.push((key, value));
        }
        Ok(Some(pairs))
    }

    fn item(&mut self) -> Result<Option<Item<'a>>, DecodeError> {
        let Some(&marker) = self.input.get(self.at) else { return Ok(None) };
        if !b"+-:$*_#,(=!%~>|".contains(&marker) {
            return Err(DecodeError::UnknownMarker(marker));
        }
        let Some(line) = self.line()? else { return Ok(None) };
        Ok(Some(match marker {
            b'+' => Item::Simple(line),
            b'-' => Item::Error(line),
            b':' => Item::Integer(number(line)?),
            b'(' => Item::BigNumber(big_number(line)?),
            b',' => Item::Double(number(line)?),
            b'#' => Item::Boolean(boolean(line)?),
            b'_' => null(line)?,
            b'$' if line == b"-1" => Item::Null,
            b'*' if line == b"-1" => Item::NullArray,
            b'*' => Item::Array(number(line)?),
            b'~' => Item::Set(number(line)?),
            b'>' => Item::Push(number(line)?),
            b'%' => Item::Map(number(line)?),
            b'|' => Item::Attribute(number(line)?),
            _ => {
                let Some(bytes) = self.bytes(number(line)?)? else { return Ok(None) };
                match marker {
                    b'$' => Item::Bulk(bytes),
                    b'!' => Item::Error(bytes),
                    _ => verbatim(bytes)?,
                }
            }
        }))
    }

    /// The rest of the line behind its marker.
    fn line(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let rest = &self.input[self.at + 1..];
        let rest = &rest[..rest.len().min(LINE_BYTES_MAX)];
        let Some(end) = memchr::memchr(b'\r', rest) else {
            return if rest.len() < LINE_BYTES_MAX {
                Ok(None)
            } else {
                Err(DecodeError::LineTooLong)
            };
        };
        self.at += 1 + end;
        Ok(self.crlf()?.then_some(&rest[..end]))
    }

    /// A string of `len` bytes and its CR LF.
    fn bytes(&mut self, len: i64) -> Result<Option<&'a [u8]>, DecodeError> {
        if !(0..=BULK_BYTES_MAX).contains(&len) {
            return Err(DecodeError::InvalidNumber);
        }
        let len = len as usize;
        let Some(bytes) = self.input[self.at..].get(..len) else { return Ok(None) };
        self.at += len;
        Ok(self.crlf()?.then_some(bytes))
    }

    /// Moves over CR LF; `false` if it has not come.
    fn crlf(&mut self) -> Result<bool, DecodeError> {
        match &self.input[self.at..] {
            [] | [b'\r'] => Ok(false),
            [b'\r', b'\n', ..] => {
                self.at += 2;
                Ok(true)
            }
            _ => Err(DecodeError::InvalidCrlf),
        }
    }
}

/// For how many of `count` elements memory is taken at once.
fn reserved(count: u32) -> usize {
    (count as usize).min(RESERVED_ELEMENTS_MAX)
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Result<T, DecodeError> {
    let text = str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok()).ok_or(DecodeError::InvalidNumber)
}

fn big_number(text: &[u8]) -> Result<&[u8], DecodeError> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if is_number { Ok(text) } else { Err(DecodeError::InvalidNumber) }
}

fn boolean(text: &[u8]) -> Result<bool, DecodeError> {
    match text {
        b"t" => Ok(true),
        b"f" => Ok(false),
        _ => Err(DecodeError::InvalidNumber),
    }
}

fn null(text: &[u8]) -> Result<Item<'static>, DecodeError> {
    if text.is_empty() { Ok(Item::Null) } else { Err(DecodeError::InvalidNumber) }
}

fn verbatim(bytes: &[u8]) -> Result<Item<'_>, DecodeError> {
    match bytes {
        [a, b, c, b':', text @ ..] => Ok(Item::Verbatim([*a, *b, *c], text)),
        _ => Err(DecodeError::InvalidVerbatim),
    }
}

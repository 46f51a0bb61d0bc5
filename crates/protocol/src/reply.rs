//! Writes replies in the client's dialect. Hot.
//!
//! A command says what it replies, not how that looks: the same call is a flat array
//! for a RESP2 client and a map for a RESP3 client.
//!
//! | call | RESP2 | RESP3 |
//! | --- | --- | --- |
//! | `null`, `null_array` | `$-1`, `*-1` | `_` |
//! | `array`, `set`, `push` | `*n` | `*n`, `~n`, `>n` |
//! | `map` | `*2n` | `%n` |
//! | `double`, `big_number`, `verbatim` | `$` | `,` `(` `=` |
//! | `boolean` | `:1` | `#t` |
//! | `attribute` | nothing | `\|n` |
//!
//! # Invariants
//!
//! 1. Texts of one line have spaces in place of CR, LF and NUL.
//! 2. An aggregate's header tells how many elements the caller will write; nobody counts them.

use std::fmt::{self, Display, Write};
use std::ops::Range;
use std::sync::Arc;

use crate::double::DoubleText;
use crate::output::{Output, SHARE_MIN};

/// The version of the protocol that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// RESP2, spoken until the client says `HELLO 3`.
    #[default]
    Resp2,
    /// RESP3.
    Resp3,
}

/// The header of an aggregate whose length is not known yet; give it to [`Reply::finish`].
///
/// Headers are finished in the reverse order of their beginning.
#[derive(Debug)]
#[must_use = "an aggregate without its header breaks the protocol"]
pub struct Deferred {
    /// Where the header begins.
    at: usize,
    marker: u8,
    /// How many elements each counted one stands for.
    factor: usize,
}

/// What stands where a deferred header will be: as long as the shortest one.
const HOLE: &[u8] = b"*0\r\n";

/// The longest string that is written in one piece with what stands around it.
const SHORT_MAX: usize = 32;

/// Bytes that are enough for a short string with its header of up to five and its end of two,
/// a whole number of words.
const SHORT_ROOM: usize = 40;

/// The headers of short strings, by their lengths.
static SHORT_HEADERS: [[u8; 8]; SHORT_MAX + 1] = short_headers();

const fn short_headers() -> [[u8; 8]; SHORT_MAX + 1] {
    let mut headers = [[0; 8]; SHORT_MAX + 1];
    let mut len = 0;
    while len <= SHORT_MAX {
        let (tens, ones) = (b'0' + (len / 10) as u8, b'0' + (len % 10) as u8);
        headers[len] = match len {
            ..10 => [b'$', ones, b'\r', b'\n', 0, 0, 0, 0],
            _ => [b'$', tens, ones, b'\r', b'\n', 0, 0, 0],
        };
        len += 1;
    }
    headers
}

/// Writes one reply into the output of a connection.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Output,
    dialect: Dialect,
    /// With so much output nobody wants the rest of it.
    bytes_max: usize,
}

impl<'a> Reply<'a> {
    /// A writer that appends to `out` in `dialect`.
    #[inline]
    pub fn new(out: &'a mut Output, dialect: Dialect) -> Self {
        Self { out, dialect, bytes_max: usize::MAX }
    }

    /// The same, where a reply from so many bytes on is thrown away whatever else it says.
    #[must_use]
    pub fn within(self, bytes_max: usize) -> Self {
        Self { bytes_max, ..self }
    }

    /// Whether a reply may be of any length.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        self.bytes_max == usize::MAX
    }

    /// Whether what is written will be thrown away, so that there is no use in going on.
    #[inline]
    #[must_use]
    pub fn is_in_vain(&self) -> bool {
        self.out.len() >= self.bytes_max
    }

    /// The dialect it writes.
    #[inline]
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The output it writes to.
    #[inline]
    pub fn output(&mut self) -> &mut Output {
        self.out
    }

    /// `OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.push_bytes(b"+OK\r\n");
    }

    /// A line of text.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text);
    }

    /// A refusal; the text includes its code: `ERR syntax error`.
    #[cold]
    pub fn error(&mut self, text: impl Display) {
        self.push_bytes(b"-");
        // A `Display` that fails has still written a prefix, which is what is sent.
        let _ = write!(Line(self.out.bytes_mut()), "{text}");
        self.push_bytes(b"\r\n");
    }

    /// A 64-bit integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.number(b':', value);
    }

    /// A string of bytes.
    #[inline]
    pub fn bulk(&mut self, value: &[u8]) {
        if value.len() <= SHORT_MAX {
            return self.short_bulk(value);
        }
        self.out.bytes_mut().reserve(value.len() + 16);
        self.header(b'$', value.len());
        self.push_bytes(value);
        self.push_bytes(b"\r\n");
    }

    /// A short string of bytes. Most replies of many elements are made of such, so room is made
    /// once for all parts of one, and no part is copied by a call.
    #[inline]
    fn short_bulk(&mut self, value: &[u8]) {
        let bytes = self.out.bytes_mut();
        let start = bytes.len();
        bytes.extend_from_slice(&[0; SHORT_ROOM]);
        let room = &mut bytes[start..];
        let header = if value.len() < 10 { 4 } else { 5 };
        let end = header + value.len();
        room[..8].copy_from_slice(&SHORT_HEADERS[value.len()]);
        copy_short(value, &mut room[header..end]);
        room[end..end + 2].copy_from_slice(b"\r\n");
        bytes.truncate(start + end + 2);
    }

    /// A part of a string of bytes, referenced if it is longer than [`SHARE_MIN`].
    /// Panics if `range` is not inside of it.
    #[inline]
    pub fn bulk_shared(&mut self, value: &Arc<Vec<u8>>, range: Range<usize>) {
        if range.len() <= SHARE_MIN {
            return self.bulk(&value[range]);
        }
        self.header(b'$', range.len());
        self.out.push_shared(value, range);
        self.push_bytes(b"\r\n");
    }

    /// An integer as a string of bytes.
    #[inline]
    pub fn bulk_i64(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Anything that can be written as text, as a string of bytes.
    pub fn bulk_display(&mut self, value: impl Display) {
        let start = self.out.bytes_mut().len();
        // A `Display` that fails has still written a prefix, which is what is sent.
        let _ = write!(Raw(self.out.bytes_mut()), "{value}");
        let header = Header::new(b'$', self.out.bytes_mut().len() - start);
        self.out.fill(start..start, header.as_bytes());
        self.push_bytes(b"\r\n");
    }

    /// The absence of a value.
    #[inline]
    pub fn null(&mut self) {
        self.push_bytes(match self.dialect {
            Dialect::Resp2 => b"$-1\r\n",
            Dialect::Resp3 => b"_\r\n",
        });
    }

    /// The absence of a value, `count` times.
    pub fn nulls(&mut self, count: usize) {
        for _ in 0..count {
            self.null();
        }
    }

    /// The absence of a list.
    #[inline]
    pub fn null_array(&mut self) {
        self.push_bytes(match self.dialect {
            Dialect::Resp2 => b"*-1\r\n",
            Dialect::Resp3 => b"_\r\n",
        });
    }

    /// The header of a list of `count` elements.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.header(b'*', count);
    }

    /// The header of `pairs` keys, each with its value behind it.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        match self.dialect {
            Dialect::Resp2 => self.header(b'*', pairs * 2),
            Dialect::Resp3 => self.header(b'%', pairs),
        }
    }

    /// The header of a set of `count` elements.
    #[inline]
    pub fn set(&mut self, count: usize) {
        self.header(self.marker(b'~'), count);
    }

    /// The header of an out-of-band message of `count` elements.
    #[inline]
    pub fn push(&mut self, count: usize) {
        self.header(self.marker(b'>'), count);
    }

    /// The header of `pairs` keys and values about the reply that follows. Says whether they
    /// may be written: RESP2 has no such thing.
    #[must_use = "in RESP2 the pairs must not be written"]
    pub fn attribute(&mut self, pairs: usize) -> bool {
        let has_attributes = self.dialect == Dialect::Resp3;
        if has_attributes {
            self.header(b'|', pairs);
        }
        has_attributes
    }

    /// A floating-point number, as [`format_double`](crate::format_double) writes it.
    pub fn double(&mut self, value: f64) {
        let text = DoubleText::new(value);
        match self.dialect {
            Dialect::Resp2 => self.bulk(text.as_bytes()),
            Dialect::Resp3 => {
                self.push_bytes(b",");
                self.push_bytes(text.as_bytes());
                self.push_bytes(b"\r\n");
            }
        }
    }

    /// A floating-point number whose digits are given, where a double would have others.
    pub fn decimal(&mut self, digits: &[u8]) {
        if self.dialect == Dialect::Resp3 {
            self.out.raw(b",");
            self.out.raw(digits);
            self.out.raw(b"\r\n");
        } else {
            self.bulk(digits);
        }
    }

    /// A truth value.
    pub fn boolean(&mut self, value: bool) {
        self.push_bytes(match (self.dialect, value) {
            (Dialect::Resp2, false) => b":0\r\n",
            (Dialect::Resp2, true) => b":1\r\n",
            (Dialect::Resp3, false) => b"#f\r\n",
            (Dialect::Resp3, true) => b"#t\r\n",
        });
    }

    /// An integer of any size, in decimal.
    pub fn big_number(&mut self, digits: &str) {
        match self.dialect {
            Dialect::Resp2 => self.bulk(digits.as_bytes()),
            Dialect::Resp3 => self.line(b'(', digits),
        }
    }

    /// Text for people; `format` is three letters: `txt` or `mkd`.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        debug_assert_eq!(format.len(), 3, "the protocol has room for three letters");
        if self.dialect == Dialect::Resp2 {
            return self.bulk(text);
        }
        self.header(b'=', format.len() + 1 + text.len());
        self.push_bytes(format.as_bytes());
        self.push_bytes(b":");
        self.push_bytes(text);
        self.push_bytes(b"\r\n");
    }

    /// Begins a list whose length will be known at its end.
    pub fn deferred_array(&mut self) -> Deferred {
        self.defer(b'*', 1)
    }

    /// Begins a set whose size will be known at its end.
    pub fn deferred_set(&mut self) -> Deferred {
        self.defer(self.marker(b'~'), 1)
    }

    /// Begins a map whose number of pairs will be known at its end.
    pub fn deferred_map(&mut self) -> Deferred {
        match self.dialect {
            Dialect::Resp2 => self.defer(b'*', 2),
            Dialect::Resp3 => self.defer(b'%', 1),
        }
    }

    /// Ends an aggregate: it has got `count` elements, or pairs if it is a map.
    pub fn finish(&mut self, deferred: Deferred, count: usize) {
        let Deferred { at, marker, factor } = deferred;
        self.out.fill(at..at + HOLE.len(), Header::new(marker, count * factor).as_bytes());
    }

    fn defer(&mut self, marker: u8, factor: usize) -> Deferred {
        let at = self.out.bytes_mut().len();
        self.push_bytes(HOLE);
        Deferred { at, marker, factor }
    }

    /// The marker of a RESP3 aggregate, which RESP2 knows as an array.
    #[inline]
    fn marker(&self, resp3: u8) -> u8 {
        match self.dialect {
            Dialect::Resp2 => b'*',
            Dialect::Resp3 => resp3,
        }
    }

    /// `marker`, a length and the end of the line.
    #[inline]
    fn header(&mut self, marker: u8, len: usize) {
        let digit = |value: usize| b'0' + (value % 10) as u8;
        match len {
            0..10 => self.push_bytes(&[marker, digit(len), b'\r', b'\n']),
            10..100 => self.push_bytes(&[marker, digit(len / 10), digit(len), b'\r', b'\n']),
            _ => self.push_bytes(Header::new(marker, len).as_bytes()),
        }
    }

    /// `marker`, a number and the end of the line.
    #[inline]
    fn number(&mut self, marker: u8, value: i64) {
        match usize::try_from(value) {
            Ok(value @ 0..100) => self.header(marker, value),
            _ => self.push_bytes(Header::new(marker, value).as_bytes()),
        }
    }

    /// `marker`, a text that cannot break the line, and the end of the line.
    fn line(&mut self, marker: u8, text: &str) {
        self.push_bytes(&[marker]);
        Line(self.out.bytes_mut()).push(text);
        self.push_bytes(b"\r\n");
    }

    #[inline]
    fn push_bytes(&mut self, bytes: &[u8]) {
        self.out.bytes_mut().extend_from_slice(bytes);
    }
}

/// Copies up to [`SHORT_MAX`] bytes: their beginning and their end, which may overlap.
#[inline]
fn copy_short(from: &[u8], to: &mut [u8]) {
    copy_ends::<16>(from, to)
        .or_else(|| copy_ends::<8>(from, to))
        .or_else(|| copy_ends::<4>(from, to))
        .or_else(|| copy_ends::<2>(from, to))
        .or_else(|| copy_ends::<1>(from, to));
}

/// Copies the first and the last `N` bytes, if there are so many.
#[inline]
fn copy_ends<const N: usize>(from: &[u8], to: &mut [u8]) -> Option<()> {
    *to.first_chunk_mut()? = *from.first_chunk::<N>()?;
    *to.last_chunk_mut()? = *from.last_chunk::<N>()?;
    Some(())
}

/// A marker, a number of up to 20 characters, CR LF.
struct Header {
    bytes: [u8; 24],
    len: usize,
}

impl Header {
    fn new(marker: u8, number: impl itoa::Integer) -> Self {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(number).as_bytes();
        let mut header = Self { bytes: [0; 24], len: digits.len() + 3 };
        header.bytes[0] = marker;
        header.bytes[1..=digits.len()].copy_from_slice(digits);
        header.bytes[digits.len() + 1..header.len].copy_from_slice(b"\r\n");
        header
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Text goes to the bytes as it is.
struct Raw<'a>(&'a mut Vec<u8>);

impl Write for Raw<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Text goes to the bytes with spaces in place of what would break its line.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    fn push(&mut self, text: &str) {
        let breaks = |byte| matches!(byte, b'\r' | b'\n' | b'\0');
        self.0.extend(text.bytes().map(|byte| if breaks(byte) { b' ' } else { byte }));
    }
}

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

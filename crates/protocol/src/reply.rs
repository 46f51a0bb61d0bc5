//! Writing replies, in the dialect of the session.

use std::fmt::{Display, Write};
use std::ops::Range;
use std::sync::Arc;

use crate::output::Output;

/// Values of at least so many bytes are referred to, not copied.
pub const SHARE_MIN: usize = 16 << 10;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Version 2.
    Resp2,
    /// Version 3: maps, sets, doubles, booleans and more have types of their own.
    Resp3,
}

/// Writes replies to the end of an output.
pub struct Reply<'a> {
    output: &'a mut Output,
    dialect: Dialect,
}

/// The place of an array's header that is written when its length is known.
#[must_use]
pub struct Deferred {
    at: usize,
    mark: &'static str,
    factor: usize,
}

impl<'a> Reply<'a> {
    /// Writes to `output` in a dialect.
    #[must_use]
    #[inline]
    pub fn new(output: &'a mut Output, dialect: Dialect) -> Reply<'a> {
        Reply { output, dialect }
    }

    /// The dialect.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Changes the dialect from here on.
    pub fn speak(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    fn is_resp3(&self) -> bool {
        self.dialect == Dialect::Resp3
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        self.output.raw(bytes);
    }

    #[inline]
    fn header(&mut self, mark: u8, number: impl itoa::Integer) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        let mut line = [0_u8; 24];
        line[0] = mark;
        line[1..=digits.len()].copy_from_slice(digits);
        line[digits.len() + 1] = b'\r';
        line[digits.len() + 2] = b'\n';
        self.raw(&line[..digits.len() + 3]);
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A status line.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text);
    }

    /// An error line; the text begins with its code.
    pub fn error(&mut self, text: &dyn Display) {
        self.line(b'-', text);
    }

    fn line(&mut self, mark: u8, text: impl Display) {
        let mut line = String::new();
        // Writing to a string does not fail.
        let _ = write!(line, "{text}");
        let harmless =
            line.bytes().map(|byte| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { byte });
        let bytes = self.output.bytes();
        bytes.push(mark);
        bytes.extend(harmless);
        bytes.extend_from_slice(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, number: i64) {
        self.header(b':', number);
    }

    /// A string of bytes.
    #[inline]
    pub fn bulk(&mut self, value: &[u8]) {
        self.output.bytes().reserve(value.len() + 24);
        self.header(b'$', value.len());
        self.raw(value);
        self.raw(b"\r\n");
    }

    /// Part of a string that others hold, too: a long one is referred to.
    pub fn bulk_shared(&mut self, value: &Arc<Vec<u8>>, range: Range<usize>) {
        if range.len() < SHARE_MIN {
            return self.bulk(&value[range]);
        }
        self.header(b'$', range.len());
        self.output.refer(value, range);
        self.raw(b"\r\n");
    }

    /// A string made of what something displays.
    pub fn bulk_display(&mut self, value: impl Display) {
        self.bulk(value.to_string().as_bytes());
    }

    /// An integer as a string.
    pub fn bulk_i64(&mut self, number: i64) {
        let mut digits = itoa::Buffer::new();
        self.bulk(digits.format(number).as_bytes());
    }

    /// Nothing, where a string was expected.
    #[inline]
    pub fn null(&mut self) {
        self.raw(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// Nothing, where an array was expected.
    pub fn null_array(&mut self) {
        self.raw(if self.is_resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// The beginning of an array.
    #[inline]
    pub fn array(&mut self, items: usize) {
        self.header(b'*', items);
    }

    /// The beginning of a map of so many pairs.
    pub fn map(&mut self, pairs: usize) {
        if self.is_resp3() { self.header(b'%', pairs) } else { self.header(b'*', pairs * 2) }
    }

    /// The beginning of a set.
    pub fn set(&mut self, items: usize) {
        self.header(if self.is_resp3() { b'~' } else { b'*' }, items);
    }

    /// The beginning of a message that is no reply.
    pub fn push(&mut self, items: usize) {
        self.header(if self.is_resp3() { b'>' } else { b'*' }, items);
    }

    /// A floating-point number.
    pub fn double(&mut self, number: f64) {
        let mut text = Vec::new();
        format_double(number, &mut text);
        self.decimal(&text);
    }

    /// A floating-point number whose digits are given, where a double would have others.
    pub fn decimal(&mut self, digits: &[u8]) {
        if self.is_resp3() {
            self.raw(b",");
            self.raw(digits);
            self.raw(b"\r\n");
        } else {
            self.bulk(digits);
        }
    }

    /// A truth value.
    pub fn boolean(&mut self, value: bool) {
        match (self.is_resp3(), value) {
            (true, true) => self.raw(b"#t\r\n"),
            (true, false) => self.raw(b"#f\r\n"),
            (false, value) => self.integer(i64::from(value)),
        }
    }

    /// A text with its format, three letters.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if !self.is_resp3() {
            return self.bulk(text);
        }
        self.header(b'=', text.len() + 4);
        self.raw(format.as_bytes());
        self.raw(b":");
        self.raw(text);
        self.raw(b"\r\n");
    }

    /// The beginning of an array whose length is told by [`Reply::finish`].
    pub fn deferred_array(&mut self) -> Deferred {
        Deferred { at: self.output.bytes().len(), mark: "*", factor: 1 }
    }

    /// The beginning of a map whose number of pairs is told by [`Reply::finish`].
    pub fn deferred_map(&mut self) -> Deferred {
        let (mark, factor) = if self.is_resp3() { ("%", 1) } else { ("*", 2) };
        Deferred { at: self.output.bytes().len(), mark, factor }
    }

    /// Tells the length of a deferred array, or the pairs of a map, all of which are written.
    pub fn finish(&mut self, deferred: Deferred, items: usize) {
        let Deferred { at, mark, factor } = deferred;
        self.output.insert(at, format!("{mark}{}\r\n", items * factor).as_bytes());
    }
}

/// Writes a number as Redis writes scores: `inf`, `-inf`, `nan`, integers without a point, else
/// the shortest digits that read back as the same number, in the style of C's `%.17g`.
pub fn format_double(number: f64, into: &mut Vec<u8>) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.is_nan() {
        into.extend_from_slice(b"nan");
    } else if number.is_infinite() {
        into.extend_from_slice(if number > 0.0 { b"inf" } else { b"-inf" });
    } else if number == 0.0 {
        into.extend_from_slice(if number.is_sign_negative() { b"-0" } else { b"0" });
    } else if number.fract() == 0.0 && number.abs() < EXACT {
        into.extend_from_slice(itoa::Buffer::new().format(number as i64).as_bytes());
    } else {
        format_shortest(number, into);
    }
}

/// Lays the shortest digits out as `%g` does: plain for exponents from -4 to 16, else with one.
fn format_shortest(number: f64, into: &mut Vec<u8>) {
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..17).contains(&exponent) {
        into.extend_from_slice(format!("{number}").as_bytes());
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let text = format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
        into.extend_from_slice(text.as_bytes());
    }
}

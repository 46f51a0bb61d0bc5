//! Counts the replies in a stream of bytes, RESP2 and RESP3.
//!
//! The bytes come in pieces of any size. A piece is looked at once and not
//! kept: the scanner remembers how much of the current bulk string is still to
//! come and how many elements of the open arrays, and the beginning of a line
//! that was cut.
//!
//! # Invariants
//!
//! 1. The counts do not depend on how the stream is cut.
//! 2. Memory is bounded: [`LINE_BYTES_KEPT`] and [`DEPTH_MAX`] hold whatever comes.
//!
//! Streamed strings and aggregates (`$?`, `*?`) are absent: no server sends them.

use std::fmt;

/// How much of a line is kept when it is cut, and of an error's text, in bytes.
const LINE_BYTES_KEPT: usize = 512;

/// How deep arrays may be nested.
const DEPTH_MAX: usize = 128;

/// Largest announced length, in bytes or elements.
const LENGTH_MAX: u64 = 1 << 40;

/// What a piece of the stream held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Replies that ended in this piece.
    pub(crate) replies: u64,
    /// Those of them that were errors.
    pub(crate) errors: u64,
}

/// The stream is not RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// A line begins with a byte that is no type.
    UnknownType(u8),
    /// A length is no number or too large.
    BadLength,
    /// Arrays are nested more deeply than the scanner follows.
    TooDeep,
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(byte) => {
                write!(f, "the reply has the unknown type '{}'", byte.escape_ascii())
            }
            Self::BadLength => f.write_str("the reply announces an impossible length"),
            Self::TooDeep => f.write_str("the reply is nested too deeply"),
        }
    }
}

impl std::error::Error for ScanError {}

/// What completes when the last element of an open aggregate has come.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// An array, set or map: a value of its own.
    Value,
    /// An attribute: says something of the value that follows.
    Attribute,
    /// A push message: not a reply.
    Push,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    kind: Kind,
    left: u64,
}

/// The state between two pieces of the stream.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// The aggregates that are not complete, outermost first.
    open: Vec<Open>,
    /// Bytes of the current bulk string that are still to come, line end included.
    bulk_left: u64,
    /// The beginning of a line that was cut; of a bulk error, its text.
    line: Vec<u8>,
    /// Whether the current bulk string is an error.
    in_error: bool,
    /// The first error that was met.
    first_error: Option<Vec<u8>>,
}

impl Scanner {
    /// Scans one piece of the stream to its end.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<Scanned, ScanError> {
        let mut scanned = Scanned::default();
        while !piece.is_empty() {
            let (used, ended) = self.next(piece)?;
            piece = &piece[used..];
            if let Some(error) = ended {
                scanned.replies += 1;
                scanned.errors += u64::from(error);
            }
        }
        Ok(scanned)
    }

    /// Scans to the end of the next reply or of the piece: how many bytes that
    /// took, and if a reply ended, whether it was an error.
    pub(crate) fn next(&mut self, piece: &[u8]) -> Result<(usize, Option<bool>), ScanError> {
        let mut at = 0;
        while at < piece.len() {
            let ended = if self.bulk_left > 0 {
                at += self.skip_bulk(&piece[at..]);
                if self.bulk_left > 0 {
                    break;
                }
                self.end_bulk()
            } else {
                let (used, ended) = self.scan_line(&piece[at..])?;
                at += used;
                ended
            };
            if ended.is_some() {
                return Ok((at, ended));
            }
        }
        Ok((at, None))
    }

    /// The text of the first error that was met.
    pub(crate) fn take_first_error(&mut self) -> Option<Vec<u8>> {
        self.first_error.take()
    }

    /// Passes over what has come of a bulk string.
    fn skip_bulk(&mut self, piece: &[u8]) -> usize {
        let used = self.bulk_left.min(piece.len() as u64) as usize;
        self.bulk_left -= used as u64;
        if self.in_error {
            self.keep(&piece[..used]);
        }
        used
    }

    fn end_bulk(&mut self) -> Option<bool> {
        let error = std::mem::take(&mut self.in_error);
        if error {
            let text = std::mem::take(&mut self.line);
            self.note_error(&text);
        }
        self.complete(error)
    }

    /// Takes one line, or keeps its beginning if its end has not come.
    fn scan_line(&mut self, piece: &[u8]) -> Result<(usize, Option<bool>), ScanError> {
        let Some(end) = memchr::memchr(b'\n', piece) else {
            self.keep(piece);
            return Ok((piece.len(), None));
        };
        if self.line.is_empty() {
            return Ok((end + 1, self.take_line(&piece[..end])?));
        }
        self.keep(&piece[..end]);
        let line = std::mem::take(&mut self.line);
        Ok((end + 1, self.take_line(&line)?))
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_KEPT - self.line.len();
        self.line.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    /// Acts on a whole line, given without its `\n`.
    fn take_line(&mut self, line: &[u8]) -> Result<Option<bool>, ScanError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (&kind, text) = line.split_first().ok_or(ScanError::UnknownType(b'\n'))?;
        match kind {
            b'+' | b':' | b'_' | b',' | b'#' | b'(' => Ok(self.complete(false)),
            b'$' | b'=' => self.begin_bulk(text, false),
            b'-' => {
                self.note_error(text);
                Ok(self.complete(true))
            }
            b'!' => self.begin_bulk(text, true),
            b'*' | b'~' => self.begin(Kind::Value, text, 1),
            b'%' => self.begin(Kind::Value, text, 2),
            b'|' => self.begin(Kind::Attribute, text, 2),
            b'>' => self.begin(Kind::Push, text, 1),
            other => Err(ScanError::UnknownType(other)),
        }
    }

    fn begin_bulk(&mut self, length: &[u8], error: bool) -> Result<Option<bool>, ScanError> {
        let Some(length) = parse_length(length)? else { return Ok(self.complete(false)) };
        self.bulk_left = length + 2;
        self.in_error = error;
        Ok(None)
    }

    /// Opens an aggregate; an empty one is complete at once.
    fn begin(&mut self, kind: Kind, count: &[u8], each: u64) -> Result<Option<bool>, ScanError> {
        let left = parse_length(count)?.unwrap_or(0) * each;
        if left > 0 && self.open.len() == DEPTH_MAX {
            return Err(ScanError::TooDeep);
        }
        if left > 0 {
            self.open.push(Open { kind, left });
            return Ok(None);
        }
        Ok(match kind {
            Kind::Value => self.complete(false),
            Kind::Attribute | Kind::Push => None,
        })
    }

    /// A value is complete, and with it perhaps the aggregates around it.
    /// `Some` if that ends a reply.
    fn complete(&mut self, error: bool) -> Option<bool> {
        if self.open.is_empty() {
            return Some(error);
        }
        while let Some(inner) = self.open.last_mut() {
            inner.left -= 1;
            if inner.left > 0 {
                return None;
            }
            match self.open.pop().map(|done| done.kind) {
                Some(Kind::Value) => {}
                _ => return None,
            }
        }
        Some(false)
    }

    fn note_error(&mut self, text: &[u8]) {
        if self.first_error.is_none() {
            let text = text.trim_ascii_end();
            self.first_error = Some(text[..text.len().min(LINE_BYTES_KEPT)].to_vec());
        }
    }
}

/// A length; `None` for the RESP2 null's `-1`.
fn parse_length(text: &[u8]) -> Result<Option<u64>, ScanError> {
    if text == b"-1" {
        return Ok(None);
    }
    if text.is_empty() || text.len() > 13 {
        return Err(ScanError::BadLength);
    }
    let mut length = 0;
    for byte in text {
        if !byte.is_ascii_digit() {
            return Err(ScanError::BadLength);
        }
        length = length * 10 + u64::from(byte - b'0');
    }
    if length > LENGTH_MAX { Err(ScanError::BadLength) } else { Ok(Some(length)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One reply of every type, with the errors it counts for.
    const REPLIES: &[(&[u8], u64)] = &[
        (b"+OK\r\n", 0),
        (b"-ERR no\r\n", 1),
        (b":-12\r\n", 0),
        (b"$-1\r\n", 0),
        (b"$0\r\n\r\n", 0),
        (b"$5\r\na\r\n-b\r\n", 0),
        (b"*-1\r\n", 0),
        (b"*0\r\n", 0),
        (b"*2\r\n$1\r\na\r\n:1\r\n", 0),
        (b"*2\r\n*2\r\n+a\r\n*0\r\n*1\r\n*1\r\n$-1\r\n", 0),
        (b"*2\r\n-ERR inside\r\n+OK\r\n", 0),
        (b"_\r\n", 0),
        (b"#t\r\n", 0),
        (b",3.25\r\n", 0),
        (b"(3492890328409238509324850943850943825024385\r\n", 0),
        (b"!9\r\nERR blob!\r\n", 1),
        (b"=7\r\ntxt:abc\r\n", 0),
        (b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n%0\r\n", 0),
        (b"~2\r\n+a\r\n+b\r\n", 0),
        (b"|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n|0\r\n|1\r\n+x\r\n+y\r\n:2\r\n", 0),
    ];

    /// Messages that are no replies.
    const PUSHES: &[&[u8]] = &[b">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n", b">0\r\n"];

    fn scan(pieces: &[&[u8]]) -> Result<Scanned, ScanError> {
        let mut scanner = Scanner::default();
        let mut sum = Scanned::default();
        for piece in pieces {
            let scanned = scanner.feed(piece)?;
            sum.replies += scanned.replies;
            sum.errors += scanned.errors;
        }
        Ok(sum)
    }

    #[test]
    fn a_reply_of_every_type_counts_once_wherever_it_is_cut() {
        for &(reply, errors) in REPLIES {
            for cut in 0..=reply.len() {
                let found = scan(&[&reply[..cut], &reply[cut..]]);
                let name = reply.escape_ascii();
                assert_eq!(found, Ok(Scanned { replies: 1, errors }), "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn no_reply_ends_before_its_last_byte() {
        for &(reply, _) in REPLIES {
            let found = scan(&[&reply[..reply.len() - 1]]);
            assert_eq!(found, Ok(Scanned::default()), "{}", reply.escape_ascii());
        }
    }

    #[test]
    fn a_stream_counts_the_same_in_pieces_of_any_size() {
        let mut stream = Vec::new();
        for (at, (reply, _)) in REPLIES.iter().enumerate() {
            stream.extend_from_slice(reply);
            stream.extend_from_slice(PUSHES[at % PUSHES.len()]);
        }
        let errors = REPLIES.iter().map(|(_, errors)| errors).sum();
        let expected = Ok(Scanned { replies: REPLIES.len() as u64, errors });
        for size in 1..=stream.len() {
            assert_eq!(scan(&stream.chunks(size).collect::<Vec<_>>()), expected, "size {size}");
        }
    }

    #[test]
    fn next_stops_behind_each_reply() {
        let mut scanner = Scanner::default();
        for &(reply, errors) in REPLIES {
            let stream = [reply, b"+NEXT\r\n"].concat();
            assert_eq!(scanner.next(&stream), Ok((reply.len(), Some(errors == 1))));
        }
    }

    #[test]
    fn the_first_error_is_kept() {
        for stream in
            [&b"+OK\r\n-ERR one\r\n-ERR two\r\n"[..], b"!7\r\nERR one\r\n!7\r\nERR two\r\n"]
        {
            let mut scanner = Scanner::default();
            for byte in stream {
                scanner.feed(&[*byte]).unwrap();
            }
            assert_eq!(scanner.take_first_error().as_deref(), Some(&b"ERR one"[..]));
        }
    }

    #[test]
    fn what_is_not_resp_is_refused() {
        for (stream, error) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], ScanError::UnknownType(b'H')),
            (b"\r\n", ScanError::UnknownType(b'\n')),
            (b"$x\r\n", ScanError::BadLength),
            (b"$-2\r\n", ScanError::BadLength),
            (b"$\r\n", ScanError::BadLength),
            (b"*99999999999999999999\r\n", ScanError::BadLength),
            (b"*2000000000000\r\n", ScanError::BadLength),
        ] {
            assert_eq!(scan(&[stream]), Err(error), "{}", stream.escape_ascii());
        }
        assert_eq!(scan(&[&b"*1\r\n".repeat(DEPTH_MAX + 1)]), Err(ScanError::TooDeep));
        assert_eq!(scan(&[&b"*1\r\n".repeat(DEPTH_MAX)]), Ok(Scanned::default()));
    }

    #[test]
    fn an_endless_line_costs_no_memory() {
        let mut scanner = Scanner::default();
        for _ in 0..1000 {
            scanner.feed(&[b'+'; 1000]).unwrap();
        }
        assert_eq!(scanner.line.len(), LINE_BYTES_KEPT);
        assert_eq!(scanner.feed(b"\r\n").unwrap().replies, 1);
    }
}

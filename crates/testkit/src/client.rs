//! A small blocking client over TCP or a Unix socket.
//!
//! For tests only: it reads one reply at a time, keeps push messages apart and
//! lets a test send any bytes. Attributes (`|`) are read and dropped, since no
//! server sends them unasked.
//!
//! # Invariants
//!
//! 1. A frame is read whole or the connection is of no further use.
//! 2. No frame makes the client take more than [`BULK_BYTES_MAX`] at once, or
//!    nest deeper than [`DEPTH_MAX`].

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::value::Value;

/// The longest string that is read, in bytes.
pub const BULK_BYTES_MAX: usize = 512 << 20;

/// The deepest nesting that is read.
pub const DEPTH_MAX: usize = 64;

/// How long a client waits for a reply before it calls the test failed.
pub const REPLY_WAIT: Duration = Duration::from_secs(20);

/// Room for elements taken ahead of their arrival.
const RESERVE_MAX: usize = 1024;

/// A connection to a server.
pub struct Client {
    socket: BufReader<Socket>,
    pushes: VecDeque<Value>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}

impl Socket {
    fn wait_at_most(&self, wait: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(wait)),
            Self::Unix(stream) => stream.set_read_timeout(Some(wait)),
        }
    }

    fn block(&self, blocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(!blocking),
            Self::Unix(stream) => stream.set_nonblocking(!blocking),
        }
    }
}

impl Client {
    /// Connects over TCP.
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Self::over(Socket::Tcp(stream))
    }

    /// Connects to a Unix socket.
    pub fn connect_unix(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::over(Socket::Unix(UnixStream::connect(path)?))
    }

    fn over(socket: Socket) -> io::Result<Self> {
        socket.wait_at_most(REPLY_WAIT)?;
        Ok(Self { socket: BufReader::new(socket), pushes: VecDeque::new() })
    }

    /// Sends one command and reads its reply.
    pub fn command<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<Value> {
        self.send_command(words)?;
        self.reply()
    }

    /// Sends all commands at once and reads all replies.
    ///
    /// Meant for as much as fits into the buffers of the sockets; a server that
    /// stops reading until its replies are taken would wait for ever.
    pub fn pipeline<W: AsRef<[u8]>>(&mut self, commands: &[Vec<W>]) -> io::Result<Vec<Value>> {
        let mut request = Vec::new();
        for words in commands {
            encode_command(words, &mut request);
        }
        self.send(&request)?;
        commands.iter().map(|_| self.reply()).collect()
    }

    /// Sends one command and reads nothing.
    pub fn send_command<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<()> {
        let mut request = Vec::new();
        encode_command(words, &mut request);
        self.send(&request)
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.get_mut().write_all(bytes)
    }

    /// Reads the next reply; push messages before it are kept for [`Client::push`].
    pub fn reply(&mut self) -> io::Result<Value> {
        loop {
            match self.receive()? {
                push @ Value::Push(_) => self.pushes.push_back(push),
                reply => return Ok(reply),
            }
        }
    }

    /// Reads whatever comes next on the wire, reply or push message.
    pub fn receive(&mut self) -> io::Result<Value> {
        decode(&mut self.socket, DEPTH_MAX)
    }

    /// The oldest push message, waiting for one if none was kept.
    ///
    /// It is an error if a reply comes instead.
    pub fn push(&mut self) -> io::Result<Value> {
        if let Some(push) = self.pushes.pop_front() {
            return Ok(push);
        }
        match self.receive()? {
            push @ Value::Push(_) => Ok(push),
            reply => Err(wrong(&format!("a reply came instead of a push message: {reply}"))),
        }
    }

    /// The push messages that came before the replies read so far.
    pub fn take_pushes(&mut self) -> Vec<Value> {
        self.pushes.drain(..).collect()
    }

    /// Puts a push message behind those that are kept.
    pub(crate) fn keep_push(&mut self, push: Value) {
        self.pushes.push_back(push);
    }

    /// Whether push messages are kept for [`Client::push`].
    pub fn has_pushes(&self) -> bool {
        !self.pushes.is_empty()
    }

    /// Whether something can be read without waiting; the end of the stream counts.
    pub fn has_arrived(&mut self) -> io::Result<bool> {
        if self.has_pushes() || !self.socket.buffer().is_empty() {
            return Ok(true);
        }
        self.socket.get_ref().block(false)?;
        let filled = self.socket.fill_buf().map(|_| true);
        self.socket.get_ref().block(true)?;
        match filled {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            other => other,
        }
    }

    /// Whether the server has closed the connection, waiting for it to do so.
    ///
    /// Anything still to be read is read and dropped.
    pub fn is_closed(&mut self) -> io::Result<bool> {
        let mut rest = [0; 4096];
        loop {
            match self.socket.read(&mut rest) {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// How long to wait for the next bytes before an error of kind `WouldBlock`.
    pub fn wait_at_most(&self, wait: Duration) -> io::Result<()> {
        self.socket.get_ref().wait_at_most(wait)
    }
}

/// Appends a command as an array of strings.
pub fn encode_command<W: AsRef<[u8]>>(words: &[W], into: &mut Vec<u8>) {
    into.extend(format!("*{}\r\n", words.len()).into_bytes());
    for word in words {
        let word = word.as_ref();
        into.extend(format!("${}\r\n", word.len()).into_bytes());
        into.extend(word);
        into.extend(b"\r\n");
    }
}

/// Reads one frame of RESP2 or RESP3, nested at most `depth` deep.
///
/// An error of kind `InvalidData` names the bytes that no server may send.
pub fn decode(from: &mut impl BufRead, depth: usize) -> io::Result<Value> {
    let line = line(from)?;
    let (&kind, rest) = line.split_first().ok_or_else(|| wrong("an empty line"))?;
    match kind {
        b'+' => Ok(Value::Simple(rest.to_vec())),
        b'-' => Ok(Value::Error(rest.to_vec())),
        b':' => Ok(Value::Integer(integer(rest)?)),
        b',' => Ok(Value::Double(rest.to_vec())),
        b'(' => Ok(Value::BigNumber(rest.to_vec())),
        b'_' if rest.is_empty() => Ok(Value::Nil),
        b'#' => boolean(rest),
        b'$' if rest == b"-1" => Ok(Value::Nil),
        b'$' => Ok(Value::Bulk(bulk(from, rest)?)),
        b'!' => Ok(Value::Error(bulk(from, rest)?)),
        b'=' => verbatim(&bulk(from, rest)?),
        b'*' if rest == b"-1" => Ok(Value::NilArray),
        b'*' => Ok(Value::Array(list(from, length(rest)?, depth)?)),
        b'~' => Ok(Value::Set(list(from, length(rest)?, depth)?)),
        b'>' => Ok(Value::Push(list(from, length(rest)?, depth)?)),
        b'%' => Ok(Value::Map(map(from, length(rest)?, depth)?)),
        b'|' => {
            map(from, length(rest)?, depth)?;
            decode(from, depth.checked_sub(1).ok_or_else(too_deep)?)
        }
        _ => Err(wrong(&format!("a line of no known kind: {}", line.escape_ascii()))),
    }
}

fn list(from: &mut impl BufRead, length: usize, depth: usize) -> io::Result<Vec<Value>> {
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    let mut values = Vec::with_capacity(length.min(RESERVE_MAX));
    for _ in 0..length {
        values.push(decode(from, depth)?);
    }
    Ok(values)
}

fn map(from: &mut impl BufRead, length: usize, depth: usize) -> io::Result<Vec<(Value, Value)>> {
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    let mut pairs = Vec::with_capacity(length.min(RESERVE_MAX));
    for _ in 0..length {
        pairs.push((decode(from, depth)?, decode(from, depth)?));
    }
    Ok(pairs)
}

/// A line without its `\r\n`.
fn line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.by_ref().take(BULK_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the server closed the connection",
        ));
    }
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(text.to_vec()),
        None => Err(wrong(&format!("a line without its end: {}", line.escape_ascii()))),
    }
}

fn bulk(from: &mut impl BufRead, length_text: &[u8]) -> io::Result<Vec<u8>> {
    let length = length(length_text)?;
    if length > BULK_BYTES_MAX {
        return Err(wrong(&format!("a string of {length} bytes")));
    }
    let mut bytes = Vec::new();
    from.by_ref().take(length as u64 + 2).read_to_end(&mut bytes)?;
    match bytes.strip_suffix(b"\r\n") {
        Some(text) if text.len() == length => Ok(text.to_vec()),
        _ => Err(wrong("a string that is shorter or longer than it says")),
    }
}

fn verbatim(bytes: &[u8]) -> io::Result<Value> {
    match bytes {
        [a, b, c, b':', text @ ..] => {
            Ok(Value::Verbatim { format: [*a, *b, *c], text: text.to_vec() })
        }
        _ => Err(wrong("a text without its format")),
    }
}

fn boolean(text: &[u8]) -> io::Result<Value> {
    match text {
        b"t" => Ok(Value::Boolean(true)),
        b"f" => Ok(Value::Boolean(false)),
        _ => Err(wrong("neither true nor false")),
    }
}

fn integer(text: &[u8]) -> io::Result<i64> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| wrong(&format!("not an integer: {}", text.escape_ascii())))
}

fn length(text: &[u8]) -> io::Result<usize> {
    usize::try_from(integer(text)?).map_err(|_| wrong("a negative length"))
}

fn too_deep() -> io::Error {
    wrong("a reply nested too deep")
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("protocol: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> io::Result<Value> {
        let mut from = bytes;
        let value = decode(&mut from, 4)?;
        assert!(from.is_empty(), "{value} leaves bytes behind");
        Ok(value)
    }

    #[test]
    fn every_type_of_both_dialects_is_read() {
        let cases: [(&[u8], &str); 17] = [
            (b"+OK\r\n", "OK"),
            (b"-ERR no\r\n", "(error) ERR no"),
            (b"!6\r\nERR no\r\n", "(error) ERR no"),
            (b":-12\r\n", "(integer) -12"),
            (b"$3\r\na\r\n\r\n", "\"a\\r\\n\""),
            (b"$-1\r\n", "(nil)"),
            (b"_\r\n", "(nil)"),
            (b"*-1\r\n", "(nil array)"),
            (b"*2\r\n:1\r\n*0\r\n", "1) (integer) 1\n2) (empty array)"),
            (b"~1\r\n+a\r\n", "1~ a"),
            (b">1\r\n+a\r\n", "1> a"),
            (b"%1\r\n+a\r\n:1\r\n", "1# a => (integer) 1"),
            (b",1.5\r\n", "(double) 1.5"),
            (b"#t\r\n", "(true)"),
            (b"(123456789012345678901\r\n", "(bignum) 123456789012345678901"),
            (b"=6\r\ntxt:hi\r\n", "(verbatim) \"hi\""),
            (b"|1\r\n+a\r\n:1\r\n+b\r\n", "b"),
        ];
        for (bytes, text) in cases {
            assert_eq!(decoded(bytes).unwrap().to_string(), text);
        }
    }

    #[test]
    fn broken_frames_are_refused() {
        let cases: [&[u8]; 12] = [
            b"",
            b"\r\n",
            b"+OK\n",
            b"?x\r\n",
            b":x\r\n",
            b"$2\r\nabc\r\n",
            b"$3\r\nab\r\n",
            b"$-2\r\n",
            b"#x\r\n",
            b"=2\r\nhi\r\n",
            b"*1\r\n",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        ];
        for bytes in cases {
            assert!(decoded(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_length_that_no_memory_holds_is_refused() {
        assert!(decoded(b"$999999999999\r\n").is_err());
        assert!(decoded(b"*999999999999\r\n:1\r\n").is_err());
    }

    #[test]
    fn a_command_is_an_array_of_strings() {
        let mut request = Vec::new();
        encode_command(&["GET", ""], &mut request);
        assert_eq!(request, b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
    }
}

//! A client that waits for its answers, for everything but the load itself.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::stop::Stop;
use crate::target::{Session, Target};
use crate::wire::{self, Scanner};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long one read waits before it looks whether it is time to stop.
const TURN: Duration = Duration::from_millis(100);

/// How much one read takes, in bytes.
const READ_BYTES: usize = 1 << 16;

/// One connection.
pub(crate) struct Client {
    socket: Socket,
    scanner: Scanner,
    /// What was read, and which part of it was not yet looked at.
    buffer: Vec<u8>,
    unread: Range<usize>,
    stop: Stop,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(target: &Target, stop: &Stop) -> io::Result<Self> {
        let socket = target.connect()?;
        socket.set_read_timeout(Some(TURN))?;
        let buffer = vec![0; READ_BYTES];
        let (scanner, stop) = (Scanner::default(), stop.clone());
        Ok(Self { socket, scanner, buffer, unread: 0..0, stop })
    }

    /// Says what a session begins with; a refusal is an error with the server's text.
    pub(crate) fn greet(&mut self, session: &Session) -> io::Result<()> {
        for request in session.requests() {
            self.write(&request)?;
            self.skip(1)?;
        }
        Ok(())
    }

    /// Sends a command and gives its reply as bytes; an error reply is an error.
    pub(crate) fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<Vec<u8>> {
        self.write(&wire::encode(words))?;
        let mut reply = Vec::new();
        self.read_reply(&mut |bytes| reply.extend_from_slice(bytes))?;
        Ok(reply)
    }

    /// Sends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Waits for replies and drops them; the first error reply is an error.
    pub(crate) fn skip(&mut self, replies: usize) -> io::Result<()> {
        for _ in 0..replies {
            self.read_reply(&mut |_| {})?;
        }
        Ok(())
    }

    /// The socket, for somebody else to use.
    pub(crate) fn into_socket(self) -> io::Result<Socket> {
        self.socket.set_read_timeout(None)?;
        Ok(self.socket)
    }

    fn read_reply(&mut self, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let begin = Instant::now();
        loop {
            let unread = &self.buffer[self.unread.clone()];
            let (used, ended) = self.scanner.next(unread).map_err(io::Error::other)?;
            sink(&unread[..used]);
            self.unread.start += used;
            match ended {
                Some(false) => return Ok(()),
                Some(true) => return Err(self.refusal()),
                None => self.fill(begin)?,
            }
        }
    }

    /// Reads once; waits in turns, so that a wish to stop is heard.
    fn fill(&mut self, begin: Instant) -> io::Result<()> {
        loop {
            match (&self.socket).read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.unread = 0..count;
                    return Ok(());
                }
                Err(e) if is_turn_over(&e) => self.check_patience(begin)?,
                Err(e) => return Err(e),
            }
        }
    }

    fn check_patience(&self, begin: Instant) -> io::Result<()> {
        if self.stop.is_raised() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped"));
        }
        if begin.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn refusal(&mut self) -> io::Error {
        let text = self.scanner.take_first_error().unwrap_or_default();
        io::Error::other(String::from_utf8_lossy(&text).into_owned())
    }
}

fn is_turn_over(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

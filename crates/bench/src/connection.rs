//! One connection of the load: what is written and what has come back.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::Socket;

use crate::wire::{ScanError, Scanned, Scanner};

/// Why a connection cannot go on.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Reading or writing failed.
    Io(io::Error),
    /// The server closed it.
    Closed,
    /// What came is not RESP.
    Garbled(ScanError),
    /// More replies came than requests were sent.
    Unasked,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A connection that does not block.
pub(crate) struct Connection {
    socket: Socket,
    scanner: Scanner,
    /// What the kernel did not take yet.
    unwritten: Vec<u8>,
    /// Replies to the session's greeting that are still to come.
    greetings: u64,
    /// Requests of the current batch that have no reply yet.
    in_flight: u64,
    /// Whether the connection is still being made.
    connecting: bool,
    /// Whether the poll waits for room to write.
    pub(crate) wants_room: bool,
    /// The oldest request without a reply, as the schedule counts.
    pub(crate) first: u64,
    /// When the batch was sent.
    pub(crate) sent_ns: u64,
    /// Whether the batch counts, or belongs to the warm-up.
    pub(crate) measured: bool,
}

impl Connection {
    /// Takes a connected socket that has said its greeting.
    pub(crate) fn new(socket: Socket) -> Self {
        Self {
            socket,
            scanner: Scanner::default(),
            unwritten: Vec::new(),
            greetings: 0,
            in_flight: 0,
            connecting: false,
            wants_room: false,
            first: 0,
            sent_ns: 0,
            measured: false,
        }
    }

    /// Takes a socket that is still connecting, and says the greeting on it.
    pub(crate) fn connecting(socket: Socket, greeting: &[Vec<u8>]) -> Self {
        let mut connection = Self::new(socket);
        connection.unwritten = greeting.concat();
        connection.connecting = true;
        connection.greetings = greeting.len() as u64;
        connection
    }

    /// Sends a batch; what the kernel does not take follows with [`Self::flush`].
    pub(crate) fn send(&mut self, bytes: &[u8], requests: u64) -> io::Result<()> {
        self.in_flight = requests;
        if self.connecting || !self.unwritten.is_empty() {
            self.unwritten.extend_from_slice(bytes);
            return Ok(());
        }
        let written = write_some(&self.socket, bytes)?;
        self.unwritten.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    /// Writes what is left over.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.connecting = false;
        let written = write_some(&self.socket, &self.unwritten)?;
        self.unwritten.drain(..written);
        Ok(())
    }

    /// Whether bytes wait for room.
    pub(crate) fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Reads once and counts the replies to the batch.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<Scanned, Broken> {
        let count = match (&self.socket).read(buffer) {
            Ok(0) => return Err(Broken::Closed),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Scanned::default()),
            Err(e) => return Err(e.into()),
        };
        let mut scanned = self.scanner.feed(&buffer[..count]).map_err(Broken::Garbled)?;
        let greetings = self.greetings.min(scanned.replies);
        self.greetings -= greetings;
        scanned.replies -= greetings;
        self.in_flight = self.in_flight.checked_sub(scanned.replies).ok_or(Broken::Unasked)?;
        Ok(scanned)
    }

    /// Requests that wait for their replies.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The text of an error reply, if one came since the last call.
    pub(crate) fn take_error(&mut self) -> Option<Vec<u8>> {
        self.scanner.take_first_error()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// How much the kernel takes at the moment.
fn write_some(mut socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    match socket.write(bytes) {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}

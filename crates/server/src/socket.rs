//! All socket I/O of connections, behind one type, so that another driver can take its place.
//!
//! Tokio says when a socket is ready; reading and writing go to the system directly, by rustix.
//! The C library's functions of the same name are points where a thread may be cancelled, which
//! costs a request that comes alone two hundredths of its time.

use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// Pieces handed to one vectored write at most.
const PIECES_MAX: usize = 16;

/// The socket of a connection, which does not block.
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

/// A socket that no worker has yet.
pub enum Incoming {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// A Unix socket.
    Unix(std::os::unix::net::UnixStream),
}

impl Incoming {
    /// Writes a line to a client that is not let in, if the socket takes it at once, as a new one
    /// does. Nobody waits for it.
    pub fn say(&self, line: &[u8]) {
        drop(match self {
            Incoming::Tcp(socket) => (&*socket).write(line),
            Incoming::Unix(socket) => (&*socket).write(line),
        });
    }

    /// Registers the socket with the calling worker.
    ///
    /// # Errors
    /// What the system says.
    pub fn register(self) -> io::Result<Socket> {
        match self {
            Incoming::Tcp(socket) => TcpStream::from_std(socket).map(Socket::Tcp),
            Incoming::Unix(socket) => UnixStream::from_std(socket).map(Socket::Unix),
        }
    }
}

impl Socket {
    /// Reads what is there, 0 bytes at the end of the stream. A read that does not fill the buffer
    /// has emptied the socket, so the next one waits for news and asks the system once less.
    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self {
                Socket::Tcp(socket) => ready!(socket.poll_read_ready(context))?,
                Socket::Unix(socket) => ready!(socket.poll_read_ready(context))?,
            }
            let room = into.len();
            let mut emptied = None;
            let read = self.try_io(Interest::READABLE, |socket| {
                let read = rustix::net::recv(socket, &mut *into, RecvFlags::empty())?.0;
                if (1..room).contains(&read) {
                    // What makes Tokio wait for news.
                    emptied = Some(read);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(read)
            });
            match emptied.map_or(read, Ok) {
                Err(error) if is_passing(&error) => {}
                read => return Poll::Ready(read),
            }
        }
    }

    /// Does something on the socket if it may be ready, and remembers that it is not if so told.
    fn try_io<T>(
        &self,
        interest: Interest,
        work: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Socket::Tcp(socket) => socket.try_io(interest, || work(socket.as_fd())),
            Socket::Unix(socket) => socket.try_io(interest, || work(socket.as_fd())),
        }
    }

    /// Writes pieces, as far as there is room: `None` if there is none now.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_write<'a>(
        &self,
        mut pieces: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<Option<usize>> {
        let (Some(first), second) = (pieces.next(), pieces.next()) else { return Ok(Some(0)) };
        pending_is_none(match second {
            None => self.try_io(Interest::WRITABLE, |socket| {
                Ok(rustix::net::send(socket, first, SendFlags::NOSIGNAL)?)
            }),
            Some(second) => self.try_write_all(first, second, pieces),
        })
    }

    /// Writes two pieces and more.
    fn try_write_all<'a>(
        &self,
        first: &'a [u8],
        second: &'a [u8],
        others: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip([first, second].into_iter().chain(others)) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        match self {
            Socket::Tcp(socket) => socket.try_write_vectored(&slices[..count]),
            Socket::Unix(socket) => socket.try_write_vectored(&slices[..count]),
        }
    }

    /// Ready when the socket may take more.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(socket) => socket.poll_write_ready(context),
            Socket::Unix(socket) => socket.poll_write_ready(context),
        }
    }

    /// A TCP socket for another thread, the same as this one, which is then to be dropped.
    #[must_use]
    pub fn duplicate_tcp(&self) -> Option<std::net::TcpStream> {
        match self {
            Socket::Tcp(socket) => SockRef::from(socket).try_clone().map(Into::into).ok(),
            Socket::Unix(_) => None,
        }
    }
}

/// Whether it is worth to try again, when the socket is ready.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn pending_is_none(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_passing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

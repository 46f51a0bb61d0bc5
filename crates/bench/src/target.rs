//! Where the server is, and what a connection says first.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::wire;

/// How long a connection may take to be accepted.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// A server's address.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// An address and what the user called it.
    Tcp {
        /// As given: host and port.
        name: String,
        /// As resolved.
        address: SocketAddr,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Target {
    /// Looks up a host.
    pub(crate) fn resolve(host: &str, port: u16) -> io::Result<Self> {
        let mut found = (host, port).to_socket_addrs()?;
        let address = found.next().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self::Tcp { name: format!("{host}:{port}"), address })
    }

    /// The server on a port of this machine.
    pub(crate) fn loopback(port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self::Tcp { name: address.to_string(), address }
    }

    /// Connects and waits until that is done.
    pub(crate) fn connect(&self) -> io::Result<Socket> {
        let (socket, address) = self.socket()?;
        match self {
            Self::Tcp { .. } => socket.connect_timeout(&address, CONNECT_PATIENCE)?,
            Self::Unix(_) => socket.connect(&address)?,
        }
        Ok(socket)
    }

    /// Begins to connect; the socket becomes writable once that is done.
    pub(crate) fn begin_connect(&self) -> io::Result<Socket> {
        let (socket, address) = self.socket()?;
        socket.set_nonblocking(matches!(self, Self::Tcp { .. }))?;
        match socket.connect(&address) {
            Err(e) if e.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(e),
            _ => {
                socket.set_nonblocking(true)?;
                Ok(socket)
            }
        }
    }

    fn socket(&self) -> io::Result<(Socket, SockAddr)> {
        match self {
            Self::Tcp { address, .. } => {
                let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
                socket.set_tcp_nodelay(true)?;
                Ok((socket, (*address).into()))
            }
            Self::Unix(path) => {
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                Ok((socket, SockAddr::unix(path)?))
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, .. } => f.write_str(name),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What every connection says before the load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    /// The ACL user; the default user if absent.
    pub(crate) user: Option<String>,
    /// The password; no `AUTH` if absent.
    pub(crate) password: Option<String>,
    /// Whether replies are RESP3.
    pub(crate) resp3: bool,
    /// The database.
    pub(crate) database: u32,
}

impl Session {
    /// The requests in the order in which they are sent.
    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        let mut requests = Vec::new();
        match (&self.user, &self.password) {
            (Some(user), Some(password)) => requests.push(wire::encode(&["AUTH", user, password])),
            (None, Some(password)) => requests.push(wire::encode(&["AUTH", password])),
            (_, None) => {}
        }
        if self.resp3 {
            requests.push(wire::encode(&["HELLO", "3"]));
        }
        if self.database != 0 {
            requests.push(wire::encode(&["SELECT", &self.database.to_string()]));
        }
        requests
    }
}

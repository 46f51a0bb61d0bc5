//! Accepting connections and giving each to a worker.
//!
//! Runs on the control thread, so that a worker at 100 % delays nobody's arrival. A new
//! connection goes to the worker with the fewest.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::client::Arrival;
use crate::server::Server;
use crate::settings::Settings;
use crate::socket::{Incoming, Socket};
use crate::worker::{Arriving, Door};

/// How long accepting rests after the system refused, as when all file descriptors are used.
const REFUSED_REST: Duration = Duration::from_millis(100);

/// A TCP listener on one address.
///
/// # Errors
/// What the system says, the address added.
pub fn bind_tcp(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let bind = || {
        let domain = Domain::for_address(address);
        let socket = RawSocket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// A listener on a Unix socket. A socket that is left over there is replaced.
///
/// # Errors
/// What the system says, the path added.
pub fn bind_unix(path: &Path, mode: Option<u32>) -> io::Result<UnixListener> {
    let bind = || {
        if std::os::unix::net::UnixStream::connect(path).is_err() && path.exists() {
            std::fs::remove_file(path)?;
        }
        // Nobody may connect between the creation of the socket and the setting of its mode.
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
        let listener = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = listener?;
        let mode = mode.unwrap_or(0o777 & !before.as_raw_mode());
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path, permissions)?;
        Ok(listener)
    };
    bind().map_err(|error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    })
}

/// Accepts TCP connections until the server ends. `admin`: those of the admin port.
pub async fn accept_tcp(server: Arc<Server>, listener: TcpListener, doors: Vec<Door>, admin: bool) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.stopped() => return,
        };
        let Ok((socket, address)) = accepted else {
            server.accept_errors.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(REFUSED_REST).await;
            continue;
        };
        let Ok(socket) = socket.into_std() else { continue };
        let settings = server.settings();
        drop(socket.set_nodelay(true));
        set_keepalive(&socket, settings.keepalive_seconds);
        let local = socket.local_addr().map_or_else(|_| String::new(), |local| local.to_string());
        if !admin && is_protected_from(&settings, address.ip()) {
            refuse_unprotected(&socket);
            server.refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            continue;
        }
        let fd = socket.as_raw_fd();
        let address = address.to_string();
        let arrival = Arrival { address, local_address: local, fd, unix: false, admin };
        let arriving = Arriving { socket: Incoming::Tcp(socket), arrival, first_bytes: Vec::new() };
        give(&server, &doors, arriving);
    }
}

/// Accepts connections of a Unix socket until the server ends.
pub async fn accept_unix(
    server: Arc<Server>,
    listener: UnixListener,
    path: String,
    doors: Vec<Door>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.stopped() => return,
        };
        let Some(socket) = accepted.ok().and_then(|(socket, _)| socket.into_std().ok()) else {
            tokio::time::sleep(REFUSED_REST).await;
            continue;
        };
        let fd = socket.as_raw_fd();
        let address = format!("{path}:0");
        let local_address = address.clone();
        let arrival = Arrival { address, local_address, fd, unix: true, admin: false };
        let arriving =
            Arriving { socket: Incoming::Unix(socket), arrival, first_bytes: Vec::new() };
        give(&server, &doors, arriving);
    }
}

/// Gives a connection to the worker with the fewest.
fn give(server: &Server, doors: &[Door], arriving: Arriving) {
    let fewest = server.load.place();
    doors[fewest % doors.len()].send(arriving);
}

fn set_keepalive(socket: &std::net::TcpStream, seconds: u64) {
    if seconds > 0 {
        let time = Duration::from_secs(seconds);
        let interval = Duration::from_secs((seconds / 3).max(1));
        let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(3);
        drop(SockRef::from(socket).set_tcp_keepalive(&keepalive));
    }
}

/// Whether clients from this address are refused, as anybody there could do anything.
fn is_protected_from(settings: &Settings, address: IpAddr) -> bool {
    settings.protected_mode && settings.requirepass.is_empty() && !is_loopback(address)
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
    }
}

/// Tells a client from elsewhere why it may not come in.
fn refuse_unprotected(mut socket: &std::net::TcpStream) {
    use std::io::Write;
    let text = "-DENIED Anax is running in protected mode because protected mode is enabled and \
                no password is set for the default user. In this mode connections are only \
                accepted from the loopback interface. To accept others, set a password with the \
                setting 'requirepass', or disable protected mode with the setting \
                'protected-mode no' and make sure that the server cannot be reached from the \
                internet.\r\n";
    drop(socket.set_nonblocking(true));
    drop(socket.write_all(text.as_bytes()));
}

/// Gives a connection that speaks HTTP to the control thread, with what it has sent.
pub fn hand_over_http(server: &Server, socket: Socket, first_bytes: Vec<u8>) {
    if let Some(socket) = socket.into_tcp() {
        server.http.send(socket, first_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protected_mode_lets_nobody_in_from_elsewhere_while_there_is_no_password() {
        let open = Settings::default();
        for here in ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"] {
            assert!(!is_protected_from(&open, here.parse().expect("an address")), "{here}");
        }
        let elsewhere = ["10.0.0.1", "192.168.1.1", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0"];
        let with_password = Settings { requirepass: b"secret".to_vec(), ..Settings::default() };
        let unprotected = Settings { protected_mode: false, ..Settings::default() };
        for there in elsewhere.map(|there| there.parse().expect("an address")) {
            assert!(is_protected_from(&open, there), "{there}");
            assert!(!is_protected_from(&with_password, there), "{there}");
            assert!(!is_protected_from(&unprotected, there), "{there}");
        }
    }
}

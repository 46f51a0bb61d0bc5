//! Accepting connections and giving each to a worker.
//!
//! Runs on the control thread, so that a worker at 100 % delays nobody's arrival. A new
//! connection goes to the worker with the fewest. On the admin port the first line is looked at
//! here: HTTP is answered on the control thread, everything else is given to a worker.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use config::{BindAddress, ListenPort};
use protocol::http::looks_like_http;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::client::Arrival;
use crate::http::{self, Guest};
use crate::server::Server;
use crate::settings::Settings;
use crate::socket::{Incoming, Socket};
use crate::worker::{Arriving, Door};

/// How long accepting rests after the system refused, as when all file descriptors are used.
const REFUSED_REST: Duration = Duration::from_millis(100);

/// How long a connection of the admin port may be silent before a worker takes it.
const SILENCE: Duration = Duration::from_secs(1);

/// Connections of the admin port whose first line is waited for; beyond, workers take them.
const SILENT_MAX: usize = 1024;

/// How often another free port is tried if one is free on some addresses only.
const FREE_PORT_TRIES: usize = 10;

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address; port 0 means any free one.
    pub address: SocketAddr,
    /// Whether the machine need not have it.
    pub optional: bool,
}

/// The addresses that a list of hosts means. A host name is looked up, which may take a while.
///
/// # Errors
/// If a name is not known and must be.
pub fn places(hosts: &[BindAddress], port: ListenPort) -> io::Result<Vec<Place>> {
    let Some(port) = port.to_bind() else { return Ok(Vec::new()) };
    let mut places = Vec::with_capacity(hosts.len());
    for BindAddress { host, optional } in hosts {
        match address(host, port) {
            Ok(address) => places.push(Place { address, optional: *optional }),
            Err(_) if *optional => {}
            Err(error) => return Err(io::Error::new(error.kind(), format!("{host}: {error}"))),
        }
    }
    Ok(places)
}

fn address(host: &str, port: u16) -> io::Result<SocketAddr> {
    match host {
        "*" => return Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        "::*" => return Ok((Ipv6Addr::UNSPECIFIED, port).into()),
        _ => {}
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut found = (bare, port).to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// The listeners of one kind: those of the main port, or those of the admin port.
pub struct Listeners {
    server: Arc<Server>,
    doors: Vec<Door>,
    backlog: i32,
    admin: bool,
    open: Vec<Open>,
}

/// A listener that is accepting.
struct Open {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Listeners {
    /// None yet.
    #[must_use]
    pub fn new(server: Arc<Server>, doors: Vec<Door>, backlog: i32, admin: bool) -> Listeners {
        Listeners { server, doors, backlog, admin, open: Vec::new() }
    }

    /// The port; 0 if nothing listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.open.first().map_or(0, |open| open.address.port())
    }

    /// Listens at these places and no others. Listeners that stay are not touched; if one of the
    /// new ones cannot be, all is as it was.
    ///
    /// # Errors
    /// What the system says of the first address that could not be had.
    pub async fn change(&mut self, places: &[Place]) -> io::Result<()> {
        let is_wanted = |open: &Open| places.iter().any(|place| place.address == open.address);
        let (stay, go): (Vec<Open>, Vec<Open>) =
            std::mem::take(&mut self.open).into_iter().partition(is_wanted);
        let is_new = |place: &&Place| !stay.iter().any(|open| open.address == place.address);
        let wanted: Vec<Place> = places.iter().filter(is_new).copied().collect();
        self.open = stay;
        match bind_all(&wanted, self.backlog) {
            Ok(bound) => {
                close(go).await;
                self.accept(bound);
                Ok(())
            }
            // An address may be taken by a listener that is to go: all of 127.0.0.1 by 0.0.0.0.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && !go.is_empty() => {
                self.replace(go, &wanted).await
            }
            Err(error) => {
                self.open.extend(go);
                Err(error)
            }
        }
    }

    /// Closes some listeners, then binds others; if that fails, the old ones come back.
    async fn replace(&mut self, go: Vec<Open>, wanted: &[Place]) -> io::Result<()> {
        let old = |open: &Open| Place { address: open.address, optional: false };
        let old: Vec<Place> = go.iter().map(old).collect();
        close(go).await;
        let bound = bind_all(wanted, self.backlog);
        let (bound, result) = match bound {
            Ok(bound) => (bound, Ok(())),
            Err(error) => {
                let again = bind_all(&old, self.backlog).inspect_err(|lost| {
                    tracing::error!("a listener that was closed for another is lost: {lost}");
                });
                (again.unwrap_or_default(), Err(error))
            }
        };
        self.accept(bound);
        result
    }

    fn accept(&mut self, bound: Vec<(SocketAddr, TcpListener)>) {
        for (address, listener) in bound {
            let (server, doors) = (Arc::clone(&self.server), self.doors.clone());
            let accepting = tokio::spawn(accept_tcp(server, listener, doors, self.admin));
            self.open.push(Open { address, accepting });
        }
    }
}

/// Ends accepting; the sockets are closed when this is ready.
async fn close(listeners: Vec<Open>) {
    for open in listeners {
        open.accepting.abort();
        // It ends as aborted, which is what was wanted.
        drop(open.accepting.await);
    }
}

/// A listener for each place, with its address as it came to be; none if one cannot be had.
fn bind_all(places: &[Place], backlog: i32) -> io::Result<Vec<(SocketAddr, TcpListener)>> {
    let mut tries = 0;
    loop {
        match bind_each(places, backlog) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && places.iter().any(|place| place.address.port() == 0)
                    && tries < FREE_PORT_TRIES =>
            {
                tries += 1;
            }
            done => return done,
        }
    }
}

fn bind_each(places: &[Place], backlog: i32) -> io::Result<Vec<(SocketAddr, TcpListener)>> {
    let mut bound: Vec<(SocketAddr, TcpListener)> = Vec::with_capacity(places.len());
    for &Place { mut address, optional } in places {
        if address.port() == 0
            && let Some((first, _)) = bound.first()
        {
            address.set_port(first.port());
        }
        let listener = bind_tcp(address, backlog);
        match listener.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok(listener) => bound.push(listener),
            Err(error) if is_absent(&error, optional) => {
                tracing::debug!("not listening on {address}: {error}");
            }
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("{address}: {error}")));
            }
        }
    }
    if bound.is_empty() && !places.is_empty() {
        let text = "the machine has none of the addresses to listen on";
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
    }
    Ok(bound)
}

/// Whether the machine has no such address, or knows none of its kind, and that is allowed.
fn is_absent(error: &io::Error, optional: bool) -> bool {
    const UNKNOWN: [Errno; 5] = [
        Errno::NOPROTOOPT,
        Errno::PROTONOSUPPORT,
        Errno::SOCKTNOSUPPORT,
        Errno::PFNOSUPPORT,
        Errno::AFNOSUPPORT,
    ];
    match Errno::from_io_error(error) {
        Some(Errno::ADDRNOTAVAIL) => optional,
        Some(errno) => UNKNOWN.contains(&errno),
        None => false,
    }
}

/// A TCP listener on one address.
///
/// # Errors
/// What the system says.
pub fn bind_tcp(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
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
}

/// A listener on a Unix socket. A socket that is left over there is replaced, one that somebody
/// listens on is not. To be called before other threads make files.
///
/// # Errors
/// What the system says, the path added.
pub fn bind_unix(path: &Path, mode: Option<u32>) -> io::Result<UnixListener> {
    let bind = || {
        if is_left_over(path) {
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

fn is_left_over(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket && std::os::unix::net::UnixStream::connect(path).is_err()
}

/// Accepts TCP connections until the server ends. `admin`: those of the admin port.
pub async fn accept_tcp(server: Arc<Server>, listener: TcpListener, doors: Vec<Door>, admin: bool) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.stopped() => return,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                rest_after(&server, &error).await;
                continue;
            }
        };
        let settings = server.settings();
        drop(socket.set_nodelay(true));
        set_keepalive(&socket, settings.keepalive_seconds);
        let is_closed = !server.acl.default_user().rules.needs_no_password();
        if !is_allowed(address.ip(), admin, &settings, is_closed) {
            refuse_unprotected(&socket);
            server.arrivals.refused.fetch_add(1, Ordering::Relaxed);
            server.arrivals.unprotected.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let local = socket.local_addr().map_or_else(|_| String::new(), |local| local.to_string());
        let fd = socket.as_raw_fd();
        let address = address.to_string();
        let arrival = Arrival { address, local_address: local, fd, unix: false, admin };
        match SILENT.try_acquire() {
            Ok(permit) if admin => {
                let (server, doors) = (Arc::clone(&server), doors.clone());
                tokio::spawn(async move {
                    receive(&server, &doors, socket, arrival).await;
                    drop(permit);
                });
            }
            _ => give_tcp(&server, &doors, socket, arrival, Vec::new()),
        }
    }
}

/// Bounds how many connections are waited for at one time.
static SILENT: Semaphore = Semaphore::const_new(SILENT_MAX);

async fn rest_after(server: &Server, error: &io::Error) {
    server.arrivals.accept_errors.fetch_add(1, Ordering::Relaxed);
    tracing::warn!("a connection could not be accepted: {error}");
    tokio::time::sleep(REFUSED_REST).await;
}

/// Whether protected mode lets this address in. `is_closed`: the default user needs a password.
fn is_allowed(address: IpAddr, admin: bool, settings: &Settings, is_closed: bool) -> bool {
    is_closed
        || !settings.protected_mode
        || (admin && settings.admin_nopass)
        || is_loopback(address)
}

/// Looks at what a connection of the admin port says first, and gives it to who understands it.
async fn receive(server: &Arc<Server>, doors: &[Door], socket: TcpStream, arrival: Arrival) {
    let mut input = Vec::new();
    let first = first_line(&socket, &mut input);
    match tokio::time::timeout(SILENCE, first).await {
        Ok(Ok(true)) => http::serve(Arc::clone(server), socket, input, true).await,
        Ok(Err(_)) => {}
        Ok(Ok(false)) | Err(_) => give_tcp(server, doors, socket, arrival, input),
    }
}

/// Reads until it is known whether a connection speaks HTTP.
async fn first_line(socket: &TcpStream, input: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 1024];
    loop {
        socket.readable().await?;
        match socket.try_read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => input.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if let Some(is_http) = looks_like_http(input) {
            return Ok(is_http);
        }
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
        let socket = match accepted.and_then(|(socket, _)| socket.into_std()) {
            Ok(socket) => socket,
            Err(error) => {
                rest_after(&server, &error).await;
                continue;
            }
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

fn give_tcp(
    server: &Server,
    doors: &[Door],
    socket: TcpStream,
    arrival: Arrival,
    first_bytes: Vec<u8>,
) {
    if let Ok(socket) = socket.into_std() {
        give(server, doors, Arriving { socket: Incoming::Tcp(socket), arrival, first_bytes });
    }
}

/// Gives a connection to the worker with the fewest.
fn give(server: &Server, doors: &[Door], arriving: Arriving) {
    let fewest = server.load.place();
    doors[fewest % doors.len()].send(arriving);
}

fn set_keepalive(socket: &TcpStream, seconds: u64) {
    if seconds > 0 {
        let time = Duration::from_secs(seconds);
        let interval = Duration::from_secs((seconds / 3).max(1));
        let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(3);
        drop(SockRef::from(socket).set_tcp_keepalive(&keepalive));
    }
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
fn refuse_unprotected(socket: &TcpStream) {
    let text = "-DENIED Anax is running in protected mode because protected mode is enabled and \
                no password is set for the default user. In this mode connections are only \
                accepted from the loopback interface. To accept others, set a password with the \
                setting 'requirepass', or disable protected mode with the setting \
                'protected-mode no' and make sure that the server cannot be reached from the \
                internet.\r\n";
    // Past the runtime, which has not seen yet that a new socket takes output.
    drop(SockRef::from(socket).send(text.as_bytes()));
}

/// Gives a connection that speaks HTTP to the control thread, with what it has sent.
pub fn hand_over_http(server: &Server, socket: &Socket, first_bytes: Vec<u8>, admin: bool) {
    if let Some(socket) = socket.duplicate_tcp() {
        server.http.send(Guest { socket, first_bytes, admin });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(hosts: &[&str]) -> Vec<BindAddress> {
        let host = |host: &&str| BindAddress {
            host: host.trim_start_matches('-').to_owned(),
            optional: host.starts_with('-'),
        };
        hosts.iter().map(host).collect()
    }

    #[test]
    fn stars_and_brackets_are_addresses() {
        let hosts = hosts(&["*", "-::*", "127.0.0.1", "[::1]", "::1"]);
        let places = places(&hosts, ListenPort::At(7)).unwrap();
        let shown: Vec<String> = places.iter().map(|place| place.address.to_string()).collect();
        assert_eq!(shown, ["0.0.0.0:7", "[::]:7", "127.0.0.1:7", "[::1]:7", "[::1]:7"]);
        assert_eq!(places.iter().filter(|place| place.optional).count(), 1);
    }

    #[test]
    fn a_port_that_is_off_has_no_places() {
        assert!(places(&hosts(&["*"]), ListenPort::Off).unwrap().is_empty());
    }

    #[test]
    fn protected_mode_asks_where_a_client_comes_from_and_for_a_password() {
        let elsewhere: IpAddr = Ipv4Addr::new(192, 0, 2, 1).into();
        let mapped: IpAddr = Ipv4Addr::LOCALHOST.to_ipv6_mapped().into();
        let open = Settings::default();
        assert!(
            !is_allowed(elsewhere, false, &open, false)
                && !is_allowed(elsewhere, true, &open, false)
        );
        assert!(is_allowed(mapped, false, &open, false));
        assert!(is_allowed(elsewhere, false, &open, true));
        let admin = Settings { admin_nopass: true, ..Settings::default() };
        assert!(
            is_allowed(elsewhere, true, &admin, false)
                && !is_allowed(elsewhere, false, &admin, false)
        );
        let off = Settings { protected_mode: false, ..Settings::default() };
        assert!(is_allowed(elsewhere, false, &off, false));
    }

    #[tokio::test]
    async fn places_that_share_a_free_port_have_the_same() {
        let place =
            |last| Place { address: (Ipv4Addr::new(127, 0, 0, last), 0).into(), optional: false };
        let bound = bind_all(&[place(1), place(2)], 8).unwrap();
        assert_eq!(bound.len(), 2);
        assert!(bound[0].0.port() > 0);
        assert_eq!(bound[0].0.port(), bound[1].0.port());
    }

    #[tokio::test]
    async fn an_address_the_machine_lacks_may_be_optional() {
        let lacking = |optional| Place { address: ([192, 0, 2, 1], 0).into(), optional };
        let here = Place { address: (Ipv4Addr::LOCALHOST, 0).into(), optional: false };
        assert_eq!(bind_all(&[lacking(true), here], 8).unwrap().len(), 1);
        assert!(bind_all(&[lacking(false), here], 8).is_err());
        assert!(bind_all(&[lacking(true)], 8).is_err(), "somewhere it must listen");
    }

    #[test]
    fn protected_mode_lets_nobody_in_from_elsewhere_while_there_is_no_password() {
        let open = Settings::default();
        for here in ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"] {
            assert!(is_allowed(here.parse().expect("an address"), false, &open, false), "{here}");
        }
        let elsewhere = ["10.0.0.1", "192.168.1.1", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0"];
        let unprotected = Settings { protected_mode: false, ..Settings::default() };
        for there in elsewhere.map(|there| there.parse().expect("an address")) {
            assert!(!is_allowed(there, false, &open, false), "{there}");
            assert!(is_allowed(there, false, &open, true), "{there}");
            assert!(is_allowed(there, false, &unprotected, false), "{there}");
        }
    }
}

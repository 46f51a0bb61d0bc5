//! Servers as child processes, for as long as a test needs them.
//!
//! A server listens on a port that was free a moment before; if another process
//! takes it in between, the server ends and is started again with another one.
//!
//! # Invariants
//!
//! 1. A server that was started is killed, by its process id, when its
//!    [`ServerProcess`] is dropped.
//! 2. It works in a directory of its own, which is removed then.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, io, process, thread};

use crate::client::Client;
use crate::executor::{Passing, SocketExecutor};
use crate::transcript::Target;
use crate::value::Value;

/// How many ports are tried before giving up.
const STARTS_MAX: u32 = 10;

/// How often a starting server is asked, with [`ASK_PAUSE`] in between.
const ASKS_MAX: u32 = 2_000;

/// The pause between two questions to a starting server.
const ASK_PAUSE: Duration = Duration::from_millis(10);

/// What stands for the port in an argument.
const PORT_PLACE: &str = "{port}";

/// The environment variable that names the reference server's binary.
const ORACLE_VARIABLE: &str = "ANAX_ORACLE";

/// A running server on 127.0.0.1.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl ServerProcess {
    /// Starts `program` with `arguments` and waits until it answers `PING`.
    ///
    /// `{port}` in an argument stands for the port to listen on; where no
    /// argument says it, `--port` and the port are appended.
    ///
    /// # Errors
    ///
    /// If the program cannot be run, or ends or stays silent on every port; the
    /// error ends with the last lines of its log.
    pub fn start(program: &Path, arguments: &[&str]) -> io::Result<Self> {
        let mut last = None;
        for _ in 0..STARTS_MAX {
            let mut server = Self::spawn(program, arguments)?;
            match server.wait_until_ready() {
                Ok(()) => return Ok(server),
                Err(error) => last = Some(server.with_log(&error)),
            }
        }
        Err(last.expect("it was started at least once"))
    }

    fn spawn(program: &Path, arguments: &[&str]) -> io::Result<Self> {
        let directory = new_directory()?;
        let address = free_address()?;
        let log = fs::File::create(directory.join("log"))?;
        let spawned = Command::new(program)
            .args(with_port(arguments, address.port()))
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        match spawned {
            Ok(child) => Ok(Self { child, address, directory }),
            Err(error) => {
                fs::remove_dir_all(&directory)?;
                Err(io::Error::new(error.kind(), format!("start {}: {error}", program.display())))
            }
        }
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        for _ in 0..ASKS_MAX {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended: {status}")));
            }
            if Client::connect(self.address).is_ok_and(|client| self.is_ready(client)) {
                return Ok(());
            }
            thread::sleep(ASK_PAUSE);
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer"))
    }

    /// Whether the one that answers is this server, not another on its port.
    fn is_ready(&self, mut client: Client) -> bool {
        let is_up = client.command(&["PING"]).is_ok_and(|reply| match reply {
            // It wants a password, so it is up.
            Value::Error(text) => text.starts_with(b"NOAUTH "),
            other => other == Value::simple("PONG"),
        });
        let says = |mut client: Client| info(&mut client, "process_id:").ok().flatten();
        is_up && says(client).is_none_or(|id| id == self.child.id().to_string())
    }

    fn with_log(&self, error: &io::Error) -> io::Error {
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        io::Error::new(error.kind(), format!("{error}\n{last}"))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its working directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A new connection to it.
    pub fn client(&self) -> io::Result<Client> {
        Client::connect(self.address)
    }

    /// Waits until it ends by itself, as after `SHUTDOWN`, and says how.
    pub fn wait(&mut self) -> io::Result<process::ExitStatus> {
        self.child.wait()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself, and the directory may be gone: both are
        // what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// An address on 127.0.0.1 that was free when it was looked for.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The arguments with the port in them.
fn with_port(arguments: &[&str], port: u16) -> Vec<String> {
    let port = port.to_string();
    let mut all: Vec<String> =
        arguments.iter().map(|argument| argument.replace(PORT_PLACE, &port)).collect();
    if !arguments.iter().any(|argument| argument.contains(PORT_PLACE)) {
        all.extend(["--port".to_owned(), port]);
    }
    all
}

fn new_directory() -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("anax-test-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let directory = env::temp_dir().join(name);
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir(&directory)?;
    Ok(directory)
}

/// The value of a line of `INFO server`, named with its colon.
fn info(client: &mut Client, field: &str) -> io::Result<Option<String>> {
    let reply = client.command(&["INFO", "server"])?;
    let text = String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned();
    Ok(text.lines().find_map(|line| line.strip_prefix(field)).map(str::to_owned))
}

/// Which server answers, by its `INFO`.
pub fn identify(client: &mut Client) -> io::Result<Target> {
    if info(client, "anax_version:")?.is_some() {
        return Ok(Target::anax());
    }
    if let Some(version) = info(client, "valkey_version:")? {
        return Ok(Target::new("valkey", &version));
    }
    let version = info(client, "redis_version:")?;
    let version = version.ok_or_else(|| io::Error::other("INFO names no version"))?;
    Ok(Target::new("redis", &version))
}

/// A reference server: expectations are true if it meets them too.
#[derive(Debug)]
pub struct Oracle {
    server: ServerProcess,
    target: Target,
}

impl Oracle {
    /// Starts the binary that `$ANAX_ORACLE` names, or else the `redis-server`
    /// or `valkey-server` of the search path. `None` if there is none.
    ///
    /// # Panics
    ///
    /// If there is one and it does not start: a broken oracle must not look
    /// like an absent one.
    pub fn find() -> Option<Self> {
        let program = oracle_program()?;
        let oracle = Self::start(&program);
        Some(oracle.unwrap_or_else(|error| panic!("{}: {error}", program.display())))
    }

    /// Starts a reference server from its binary.
    pub fn start(program: &Path) -> io::Result<Self> {
        let arguments = [
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--enable-debug-command",
            "yes",
        ];
        let server = ServerProcess::start(program, &arguments)?;
        let target = identify(&mut server.client()?)?;
        Ok(Self { server, target })
    }

    /// Its name and version.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its process.
    pub fn server(&self) -> &ServerProcess {
        &self.server
    }

    /// An executor over new connections.
    pub fn executor(&self) -> SocketExecutor {
        SocketExecutor::new(self.server.address(), Passing::Waiting)
    }
}

fn oracle_program() -> Option<PathBuf> {
    if let Some(named) = env::var_os(ORACLE_VARIABLE).filter(|named| !named.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let places = ["redis-server", "valkey-server"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|place| place.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_stands_where_an_argument_wants_it() {
        assert_eq!(with_port(&["-a", "--port={port}"], 80), ["-a", "--port=80"]);
        assert_eq!(with_port(&["-a"], 80), ["-a", "--port", "80"]);
    }

    #[test]
    fn a_program_that_ends_is_reported_with_its_log() {
        let failed =
            ServerProcess::start(Path::new("/bin/sh"), &["-c", "echo no such thing; exit 3"]);
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("the server ended") && text.contains("no such thing"), "{text}");
    }

    #[test]
    fn a_program_that_is_missing_is_reported_by_its_name() {
        let failed = ServerProcess::start(Path::new("/nowhere/server"), &[]);
        assert!(failed.unwrap_err().to_string().contains("/nowhere/server"));
    }

    #[test]
    fn dropping_a_server_ends_it_and_removes_its_directory() {
        let Some(oracle) = Oracle::find() else { return };
        let (address, directory) = (oracle.server.address(), oracle.server.directory().to_owned());
        assert!(directory.is_dir());
        drop(oracle);
        assert!(Client::connect(address).is_err());
        assert!(!directory.exists());
    }
}

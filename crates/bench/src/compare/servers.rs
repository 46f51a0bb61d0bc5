//! Which servers are installed, and how each is started.

use std::env;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::CompareArgs;

/// Connections that a server is told to accept.
const CONNECTIONS_MAX: &str = "20000";

/// How long a program may take to say its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(3);

/// How a server is told what it should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// Redis' settings; so many workers.
    Anax,
    /// Redis' settings; the main thread counts as one of the I/O threads.
    Redis,
    /// Redis' settings; so many server threads.
    KeyDb,
    /// Dragonfly's flags.
    Dragonfly,
}

/// Names, programs and dialects of the servers that are looked for.
const KNOWN: &[(&str, &str, Dialect)] = &[
    ("anax", "anax", Dialect::Anax),
    ("valkey", "valkey-server", Dialect::Redis),
    ("redis", "redis-server", Dialect::Redis),
    ("redis8", "redis8-server", Dialect::Redis),
    ("keydb", "keydb-server", Dialect::KeyDb),
    ("dragonfly", "dragonfly", Dialect::Dragonfly),
];

/// A server that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// What it is called in the results.
    pub(crate) name: String,
    /// What it says its version is.
    pub(crate) version: String,
    /// Its colour in every plot, whichever other servers are there.
    pub(crate) colour: usize,
    start: Start,
}

#[derive(Clone, Debug)]
enum Start {
    Known { program: PathBuf, dialect: Dialect },
    Given { command: String },
}

impl Server {
    /// Its name with its version, for people.
    pub(crate) fn label(&self) -> String {
        let words = self.version.split(|c: char| c.is_whitespace() || c == '=');
        let numbers = words.map(|word| word.trim_start_matches('v'));
        let mut numbers = numbers.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let Some(number) = numbers.find(|word| word.contains('.')) else {
            return self.name.clone();
        };
        // `redis8`, version 8.0, is Redis 8.0.
        let plain = self.name.trim_end_matches(|c: char| c.is_ascii_digit());
        let major = &self.name[plain.len()..];
        let name = if number.starts_with(major) { plain } else { &self.name };
        format!("{name} {number}")
    }

    /// The program and its arguments.
    pub(crate) fn command(&self, port: u16, folder: &Path, workers: u16) -> Vec<OsString> {
        match &self.start {
            Start::Known { program, dialect } => {
                let mut words = vec![program.clone().into_os_string()];
                words.extend(arguments(*dialect, port, folder, workers));
                words
            }
            Start::Given { command } => command
                .replace("PORT", &port.to_string())
                .replace("THREADS", &workers.to_string())
                .replace("DIR", &folder.to_string_lossy())
                .split_whitespace()
                .map(OsString::from)
                .collect(),
        }
    }
}

fn arguments(dialect: Dialect, port: u16, folder: &Path, workers: u16) -> Vec<OsString> {
    let (port, workers) = (port.to_string(), workers.to_string());
    let mut settings: Vec<(&str, OsString)> = vec![
        ("port", port.into()),
        ("bind", "127.0.0.1".into()),
        ("dir", folder.as_os_str().to_owned()),
    ];
    if dialect == Dialect::Dragonfly {
        settings.push(("dbfilename", OsString::new()));
    } else {
        settings.extend([
            ("save", OsString::new()),
            ("appendonly", "no".into()),
            ("protected-mode", "no".into()),
            ("maxclients", CONNECTIONS_MAX.into()),
        ]);
    }
    match dialect {
        Dialect::Anax | Dialect::Dragonfly => settings.push(("proactor_threads", workers.into())),
        Dialect::Redis => settings.push(("io-threads", workers.into())),
        Dialect::KeyDb => settings.push(("server-threads", workers.into())),
    }
    let joined = matches!(dialect, Dialect::Anax | Dialect::Dragonfly);
    settings.into_iter().flat_map(|(name, value)| as_words(name, value, joined)).collect()
}

/// `--name=value`, or `--name value` as Redis wants it.
fn as_words(name: &str, value: OsString, joined: bool) -> Vec<OsString> {
    let mut name = OsString::from(format!("--{name}"));
    if joined {
        name.push("=");
        name.push(value);
        return vec![name];
    }
    vec![name, value]
}

/// `NAME=COMMAND` as given on the command line.
pub(crate) fn parse_named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, command)) if !name.is_empty() && command.contains("PORT") => {
            Ok((name.to_owned(), command.to_owned()))
        }
        Some((_, command)) if !command.contains("PORT") => {
            Err("the command does not say PORT where the port goes".to_owned())
        }
        _ => Err("not of the form NAME=COMMAND".to_owned()),
    }
}

/// The servers that are installed or given; an error if there are none.
pub(crate) fn find(args: &CompareArgs) -> Result<Vec<Server>, String> {
    let mut servers = Vec::new();
    for (colour, &(name, program, dialect)) in KNOWN.iter().enumerate() {
        let Some(program) = locate(name, program, args)? else { continue };
        let version = version_of(&program);
        let start = Start::Known { program, dialect };
        servers.push(Server { name: name.to_owned(), version, colour, start });
    }
    for (at, (name, command)) in args.servers.iter().enumerate() {
        servers.push(given(name, command, KNOWN.len() + at));
    }
    servers.retain(|server| !args.without.contains(&server.name));
    if servers.is_empty() {
        return Err("No server was found; see --anax, --peers and --server".to_owned());
    }
    Ok(servers)
}

/// A server that the user describes.
pub(crate) fn given(name: &str, command: &str, colour: usize) -> Server {
    let program = command.split_whitespace().next().unwrap_or_default();
    let start = Start::Given { command: command.to_owned() };
    let version = version_of(Path::new(program));
    Server { name: name.to_owned(), version, colour, start }
}

/// Where a server's program is; an error if the user says where and it is not there.
fn locate(name: &str, program: &str, args: &CompareArgs) -> Result<Option<PathBuf>, String> {
    if let ("anax", Some(given)) = (name, &args.anax) {
        let found = path::absolute(given).ok().filter(|found| found.is_file());
        return found.map(Some).ok_or_else(|| format!("No anax at {}", given.display()));
    }
    let own = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let beside = own.filter(|_| name == "anax");
    let peers = args.peers.as_ref().map(|folder| folder.join("bin"));
    let search = env::var_os("PATH").unwrap_or_default();
    let folders = beside.into_iter().chain(peers).chain(env::split_paths(&search));
    let mut found = folders.filter_map(|folder| path::absolute(folder.join(program)).ok());
    Ok(found.find(|found| found.is_file()))
}

/// The first line of what a program says of its version; nothing if it goes on
/// to do something else.
fn version_of(program: &Path) -> String {
    let text = output_of(program).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let end = line.find(" sha=").unwrap_or(line.len());
    line[..end].trim().to_owned()
}

fn output_of(program: &Path) -> io::Result<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let begin = Instant::now();
    while child.try_wait()?.is_none() {
        if begin.elapsed() > VERSION_PATIENCE {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let mut text = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(dialect: Dialect, workers: u16) -> String {
        let words = arguments(dialect, 7000, Path::new("/d"), workers);
        words.iter().map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_dialect_gets_port_folder_and_workers() {
        for (dialect, workers) in [
            (Dialect::Anax, "--proactor_threads=3"),
            (Dialect::Redis, "--io-threads 3"),
            (Dialect::KeyDb, "--server-threads 3"),
            (Dialect::Dragonfly, "--proactor_threads=3"),
        ] {
            let words = words(dialect, 3);
            let plain = words.replace('=', " ");
            assert!(plain.starts_with("--port 7000 --bind 127.0.0.1 --dir /d"), "{words}");
            assert!(words.contains(workers), "{words}");
        }
    }

    #[test]
    fn a_given_command_has_its_marks_replaced() {
        let (name, command) = parse_named("mine=/bin/mine -p PORT -w THREADS -d DIR").unwrap();
        let server = given(&name, &command, 0);
        let words = server.command(7000, Path::new("/d"), 2);
        assert_eq!(words, ["/bin/mine", "-p", "7000", "-w", "2", "-d", "/d"]);
    }

    #[test]
    fn a_label_has_the_number_of_the_version() {
        for (name, version, label) in [
            ("anax", "anax v0.1.0", "anax 0.1.0"),
            ("valkey", "Valkey server v=9.1.2", "valkey 9.1.2"),
            ("redis", "Redis server v=7.0.15", "redis 7.0.15"),
            ("redis8", "Redis server v=8.0.6", "redis 8.0.6"),
            ("redis8", "Redis server v=7.4.0", "redis8 7.4.0"),
            ("mine", "", "mine"),
            ("mine", "usage: mine 4 more", "mine"),
        ] {
            let mut server = given(name, "/no/such PORT", 0);
            server.version = version.to_owned();
            assert_eq!(server.label(), label);
        }
    }

    #[test]
    fn a_program_that_is_not_there_has_no_version() {
        assert_eq!(version_of(Path::new("/no/such")), "");
    }

    #[test]
    fn a_server_needs_a_name_and_a_port() {
        for text in ["mine", "=cmd PORT", "mine=cmd"] {
            assert!(parse_named(text).is_err(), "{text}");
        }
    }
}

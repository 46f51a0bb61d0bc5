//! From the command line to a running server, and from a signal to its end.
//!
//! The main thread becomes the control thread: it accepts connections, answers HTTP, hears
//! signals and moves listeners. It never touches the data.
//!
//! # Invariants
//!
//! 1. What cannot be done as asked stops the start with one line and exit code 1.
//! 2. The end comes in order: no new connections, replies written, workers joined, files removed.
//!    A second signal ends the process at once.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender as Answer;
use std::thread::JoinHandle;

use config::{
    Config, Directive, Files, ListenPort, Live, Loaded, LogLevel, Notice, Outcome, Reason, SetError,
};
use rustix::process::{Resource, Rlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::acl::storage::LINE;
use crate::listen::{self, Listeners, Place};
use crate::log::{self, Log};
use crate::server::Server;
use crate::settings::{Configuration, Outside};
use crate::worker::{self, Door};
use crate::{http, threads};

/// The line of a configuration file that renames a command.
const RENAMING: &str = "rename-command";

/// Shards for each worker, see `docs/decisions/0006`.
const SHARDS_PER_WORKER: usize = 128;

/// As many shards as the hash has bits for.
const SHARDS_MAX: usize = 1 << 16;

/// File descriptors that are no connections: files, listeners, the control thread.
const RESERVED_FILES: u64 = 64;

/// File descriptors of a worker's own.
const FILES_PER_WORKER: u64 = 8;

/// The exit code of a start that failed and of an end that was forced.
const FAILED: u8 = 1;

/// Runs the server with these arguments (without the program's name) and this environment.
pub fn run(
    arguments: impl Iterator<Item = OsString>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let started = read_settings(arguments, environment).and_then(|outcome| match outcome {
        Outcome::Help => say(&config::help_text()),
        Outcome::Version => say(&format!("anax v{}\n", env!("CARGO_PKG_VERSION"))),
        Outcome::Start(loaded) => start(*loaded),
    });
    started.unwrap_or_else(|problem| {
        // Nobody is left to tell if standard error is closed.
        drop(writeln!(io::stderr(), "anax: {problem}"));
        ExitCode::from(FAILED)
    })
}

fn say(text: &str) -> Result<ExitCode, String> {
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|error| format!("standard output: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

/// The machine's files, as the settings read them.
struct SystemFiles;

impl Files for SystemFiles {
    fn read(&mut self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn list(&mut self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(folder)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    fn stdin(&mut self) -> io::Result<String> {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        Ok(text)
    }
}

fn read_settings(
    arguments: impl Iterator<Item = OsString>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Outcome, String> {
    let not_text = |word: OsString| {
        format!("command line: '{}' is not UTF-8", word.to_string_lossy().escape_default())
    };
    let arguments: Result<Vec<String>, OsString> = arguments.map(OsString::into_string).collect();
    // A variable that is not ours may be any bytes.
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let environment: Vec<(String, String)> = environment.filter_map(text).collect();
    let loaded = config::load(&arguments.map_err(not_text)?, &environment, &mut SystemFiles);
    loaded.map_err(|error| error.to_string())
}

/// Why the start failed.
type Problem = String;

/// Everything up to the running server, then the server until it ends.
fn start(loaded: Loaded) -> Result<ExitCode, Problem> {
    refuse_what_cannot_be(&loaded)?;
    let file = loaded.file.map(std::path::absolute).transpose();
    let file = file.map_err(|error| format!("the configuration file's folder: {error}"))?;
    let config = enter_folder(loaded.config)?;
    let log = log::start(config.live()).map_err(|error| error.to_string())?;
    log::report_panics();
    let (version, id) = (env!("CARGO_PKG_VERSION"), std::process::id());
    tracing::info!("Anax {version} is starting, PID: {id}");
    report_unobeyed(&loaded.notices);
    let live = config.live();
    let is_on_stderr = live.logtostderr && live.logfile.is_none();
    let is_visible = is_on_stderr && live.loglevel < LogLevel::Nothing;
    let (renamings, users): (Vec<_>, Vec<_>) =
        loaded.directives.into_iter().partition(|directive| directive.name == RENAMING);
    serve(config, file, log, (&renamings, &users)).or_else(|problem| {
        tracing::error!("{problem}");
        if is_visible { Ok(ExitCode::from(FAILED)) } else { Err(problem) }
    })
}

/// Logs which settings were given and are not obeyed.
fn report_unobeyed(notices: &[Notice]) {
    for notice in notices {
        match notice.reason {
            Reason::Inert => tracing::debug!("{notice}"),
            _ => tracing::warn!("{notice}"),
        }
    }
}

/// Refuses to go on without what bears on security.
fn refuse_what_cannot_be(loaded: &Loaded) -> Result<(), Problem> {
    let is_known = |name| [LINE, RENAMING].contains(&name);
    if let Some(directive) = loaded.directives.iter().find(|one| !is_known(one.name)) {
        let (origin, name) = (&directive.origin, directive.name);
        return Err(format!("{origin}: '{name}' is not implemented yet, and cannot be left out"));
    }
    let unprotected = loaded.notices.iter().find(|notice| notice.reason == Reason::Unprotected);
    unprotected.map_or(Ok(()), |notice| Err(notice.to_string()))
}

/// Has commands be called by other names.
fn rename_commands(server: &mut Server, renamings: &[Directive]) -> Result<(), Problem> {
    for Directive { words, origin, .. } in renamings {
        if let [from, to] = &words[..] {
            let renamed = server.table.rename(from, to);
            renamed.map_err(|error| format!("{origin}: {error}"))?;
        }
    }
    Ok(())
}

/// Makes `dir` the working folder; the settings then hold its full path.
fn enter_folder(config: Config) -> Result<Config, Problem> {
    let folder = &config.live().dir;
    let enter = std::env::set_current_dir(folder).and_then(|()| std::env::current_dir());
    let problem = |error: &dyn std::fmt::Display| {
        format!("the working folder '{}': {error}", folder.display())
    };
    let full = enter.map_err(|error| problem(&error))?;
    config.with("dir", full.as_os_str().as_encoded_bytes()).map_err(|error| problem(&error))
}

/// A shard for whoever comes, but so many that two keys rarely meet.
fn shards(live: &Live, workers: usize) -> usize {
    let wanted = match live.num_shards {
        0 => SHARDS_PER_WORKER * workers,
        given => given,
    };
    wanted.next_power_of_two().min(SHARDS_MAX)
}

fn workers(live: &Live) -> usize {
    match live.proactor_threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        given => given,
    }
}

/// Random words from the system.
fn random<const WORDS: usize>() -> Result<[u64; WORDS], Problem> {
    let mut words = [0; WORDS];
    for word in &mut words {
        let drawn = getrandom::u64();
        *word = drawn.map_err(|error| format!("the system gives no random numbers: {error}"))?;
    }
    Ok(words)
}

fn serve(
    config: Config,
    file: Option<PathBuf>,
    log: Log,
    (renamings, users): (&[Directive], &[Directive]),
) -> Result<ExitCode, Problem> {
    let workers = workers(config.live());
    let config = fit_clients(config, workers)?;
    let secret = random::<2>()?;
    let run_id: String = random::<3>()?.iter().map(|word| format!("{word:016x}")).collect();
    let run_id = run_id[..40].to_owned();
    let shards = shards(config.live(), workers);
    let live = config.live().clone();
    let configuration = Configuration::new(config, file);
    let mut server = Server::new(workers, shards, configuration, secret, run_id);
    rename_commands(&mut server, renamings)?;
    let server = Arc::new(server);
    server.make_users(users, live.aclfile.as_deref())?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the control thread's runtime: {error}"))?;
    let (doors, arriving): (Vec<Door>, Vec<_>) = (0..workers).map(|_| worker::door()).unzip();
    let control = runtime.block_on(Control::open(&server, doors, &live, log, workers))?;
    let (ended, ends) = unbounded_channel();
    let mut team = Vec::with_capacity(workers);
    for (index, arriving) in arriving.into_iter().enumerate() {
        let [seed] = random()?;
        let (server, ended) = (Arc::clone(&server), Ended(ended.clone()));
        team.push(threads::start(&format!("anax-{index}"), None, move || {
            let _ended = ended;
            worker::run(server, index, arriving, seed);
        }));
    }
    drop(ended);
    runtime.block_on(control.run(Team::new(team, ends), &live))
}

/// The workers that have not ended yet, as the control thread knows them.
struct Team {
    threads: Vec<JoinHandle<()>>,
    left: usize,
    ends: UnboundedReceiver<()>,
}

impl Team {
    fn new(threads: Vec<JoinHandle<()>>, ends: UnboundedReceiver<()>) -> Team {
        Team { left: threads.len(), threads, ends }
    }

    /// Waits until one more worker has ended; for ever if none is left.
    async fn one_ended(&mut self) {
        if self.left == 0 {
            std::future::pending::<()>().await;
        }
        // The channel is closed when the last worker has ended, and every one says so before.
        self.left = self.ends.recv().await.map_or(0, |()| self.left - 1);
    }

    /// Joins the threads, which have ended. Whether all did so in order.
    fn join(self) -> bool {
        let joined = self.threads.into_iter().map(JoinHandle::join);
        joined.filter(Result::is_err).count() == 0
    }
}

/// Says that a worker has ended, when it is dropped.
struct Ended(UnboundedSender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        // Nobody listens once the process ends.
        let _ = self.0.send(());
    }
}

/// Writes the file with the process id. Returns the files to be removed at the end.
fn write_files(live: &Live) -> Vec<PathBuf> {
    let mut leftovers: Vec<PathBuf> = live.unixsocket.iter().cloned().collect();
    if let Some(path) = &live.pidfile {
        match std::fs::write(path, format!("{}\n", std::process::id())) {
            Ok(()) => leftovers.push(path.clone()),
            Err(error) => tracing::warn!("the pid file {}: {error}", path.display()),
        }
    }
    leftovers
}

/// Fewer clients than the settings say, if the system allows no more open files.
fn fit_clients(config: Config, workers: usize) -> Result<Config, Problem> {
    let wanted = config.live().maxclients as u64;
    let room = room_for_clients(wanted, workers);
    if room >= wanted {
        return Ok(config);
    }
    if room == 0 {
        return Err("the limit of open files leaves no room for connections".to_owned());
    }
    tracing::warn!(
        wanted,
        room,
        "the limit of open files is too low for maxclients, which has been lowered"
    );
    let fitting = config.with("maxclients", room.to_string().as_bytes());
    fitting.map_err(|error| error.to_string())
}

/// Raises the limit of open files so that so many clients fit. Returns how many do.
fn room_for_clients(wanted: u64, workers: usize) -> u64 {
    let reserved = RESERVED_FILES + FILES_PER_WORKER * workers as u64;
    let needed = wanted + reserved;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if !is_enough(limit.current) {
        let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
        let both = Rlimit { current: Some(needed), maximum: Some(needed) };
        let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let attempts = if is_enough(limit.maximum) { [raised, most] } else { [both, most] };
        // The last attempt may fail too; what counts is what the limit is then.
        let _ = attempts
            .into_iter()
            .any(|attempt| rustix::process::setrlimit(Resource::Nofile, attempt).is_ok());
    }
    let limit = rustix::process::getrlimit(Resource::Nofile).current;
    limit.map_or(wanted, |limit| limit.saturating_sub(reserved).min(wanted))
}

/// What the control thread works with.
struct Control {
    server: Arc<Server>,
    main: Listeners,
    admin: Listeners,
    moves: UnboundedReceiver<Move>,
    signals: Signals,
}

/// A request to listen elsewhere.
struct Move {
    places: Vec<Place>,
    answer: Answer<io::Result<()>>,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn hear() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal that asks for the end. A hang-up is heard and ignored.
    async fn end(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => {}
            }
        }
    }
}

impl Control {
    /// Opens every way in.
    async fn open(
        server: &Arc<Server>,
        doors: Vec<Door>,
        live: &Live,
        log: Log,
        workers: usize,
    ) -> Result<Control, Problem> {
        let signals = Signals::hear().map_err(|error| format!("signals: {error}"))?;
        let (guests, arriving) = unbounded_channel();
        server.http.open(guests);
        tokio::spawn(http::receive(Arc::clone(server), arriving));

        let backlog = i32::try_from(live.tcp_backlog).unwrap_or(i32::MAX);
        let listeners = |admin| Listeners::new(Arc::clone(server), doors.clone(), backlog, admin);
        let mut main = listeners(false);
        listen_at(&mut main, &live.bind, live.port).await?;
        let mut admin = listeners(true);
        let admin_bind = if live.admin_bind.is_empty() { &live.bind } else { &live.admin_bind };
        listen_at(&mut admin, admin_bind, live.admin_port).await?;
        if let Some(path) = &live.unixsocket {
            let listener = listen::bind_unix(path, live.unixsocketperm);
            let listener = listener.map_err(|error| format!("the Unix socket {error}"))?;
            let path = path.display().to_string();
            tokio::spawn(listen::accept_unix(Arc::clone(server), listener, path, doors));
        }
        server.arrivals.tcp_port.store(main.port(), Ordering::Relaxed);
        server.arrivals.admin_port.store(admin.port(), Ordering::Relaxed);
        let (mover, moves) = unbounded_channel();
        let process = Process { log, workers, moves: mover, server: Arc::downgrade(server) };
        server.config.reach(Box::new(process));
        Ok(Control { server: Arc::clone(server), main, admin, moves, signals })
    }

    /// Runs until the server ends, then ends it in order.
    async fn run(mut self, mut team: Team, live: &Live) -> Result<ExitCode, Problem> {
        let leftovers = write_files(live);
        self.report_ready(live.unixsocket.as_deref());
        let server = Arc::clone(&self.server);
        let mut is_whole = true;
        loop {
            tokio::select! {
                () = server.stopped() => break,
                name = self.signals.end() => {
                    tracing::info!("received {name}, ending");
                    server.shut_down();
                }
                Some(request) = self.moves.recv() => self.follow(request).await,
                () = team.one_ended() => {
                    if !server.is_stopping() {
                        tracing::error!("a worker has ended on its own; the server ends too");
                        is_whole = false;
                        server.shut_down();
                    }
                }
            }
        }
        // The listeners end with the server; the workers write what they have promised.
        while team.left > 0 {
            tokio::select! {
                () = team.one_ended() => {}
                name = self.signals.end() => {
                    tracing::warn!("received {name} again, ending at once");
                    std::process::exit(i32::from(FAILED));
                }
            }
        }
        is_whole &= team.join();
        for path in leftovers {
            // It may have been removed by somebody else, which is what is wanted.
            drop(std::fs::remove_file(path));
        }
        tracing::info!("bye");
        Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    }

    /// In the words of Redis, which scripts wait for.
    fn report_ready(&self, unix: Option<&Path>) {
        tracing::info!("Server initialized");
        for (listeners, kind) in [(&self.main, "tcp"), (&self.admin, "admin")] {
            let port = listeners.port();
            if port > 0 {
                tracing::info!(port, "Ready to accept connections {kind}");
            }
        }
        if let Some(path) = unix {
            let path = path.display().to_string();
            tracing::info!(path, "Ready to accept connections unix");
        }
    }

    async fn follow(&mut self, request: Move) {
        let moved = self.main.change(&request.places).await;
        if let Err(error) = &moved {
            tracing::warn!("cannot listen elsewhere: {error}");
        }
        let port = self.main.port();
        self.server.arrivals.tcp_port.store(port, Ordering::Relaxed);
        // Whoever asked may have ended.
        drop(request.answer.send(moved));
    }
}

async fn listen_at(
    listeners: &mut Listeners,
    hosts: &[config::BindAddress],
    port: ListenPort,
) -> Result<(), Problem> {
    let places = listen::places(hosts, port);
    let places = places.map_err(|error| format!("cannot listen on {error}"))?;
    listeners.change(&places).await.map_err(|error| format!("cannot listen on {error}"))
}

/// The process, as its settings change it.
struct Process {
    log: Log,
    workers: usize,
    moves: UnboundedSender<Move>,
    server: std::sync::Weak<Server>,
}

impl Outside for Process {
    fn follow(&self, old: &Config, new: Config) -> Result<Config, SetError> {
        let changes = |name: &str| old.value(name) != new.value(name);
        if changes("maxclients") {
            self.make_room(&new)?;
        }
        let folder = changes("dir").then(|| change_folder(&new)).transpose()?;
        if (changes("port") || changes("bind"))
            && let Err(error) = self.listen(old, &new)
        {
            if folder.is_some() {
                // It was the folder a moment ago.
                drop(std::env::set_current_dir(&old.live().dir));
            }
            return Err(error);
        }
        self.log.change(new.live());
        report_unobeyed(&new.unobeyed_since(old));
        match folder {
            Some(folder) => new.with("dir", folder.as_encoded_bytes()),
            None => Ok(new),
        }
    }
}

/// Makes another folder the working one. Returns its full path.
fn change_folder(new: &Config) -> Result<OsString, SetError> {
    let changed = std::env::set_current_dir(&new.live().dir).and_then(|()| std::env::current_dir());
    let full = changed.map_err(|error| SetError::failed("dir", plain(&error)))?;
    Ok(full.into_os_string())
}

/// What went wrong, without the number that Rust adds.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

impl Process {
    fn make_room(&self, new: &Config) -> Result<(), SetError> {
        let wanted = new.live().maxclients as u64;
        let room = room_for_clients(wanted, self.workers);
        if room < wanted {
            let why = format!(
                "The operating system is not able to handle the specified number of clients, try \
                 with {room}"
            );
            return Err(SetError::failed("maxclients", why));
        }
        Ok(())
    }

    /// Has the control thread listen elsewhere, which it does without waiting for anybody.
    fn listen(&self, old: &Config, new: &Config) -> Result<(), SetError> {
        let is_port = old.value("port") != new.value("port");
        let refused = || match is_port {
            true => SetError::failed("port", "Unable to listen on this port. Check server logs."),
            false => SetError::failed("bind", "Failed to bind to specified addresses."),
        };
        let live = new.live();
        let port = self
            .server
            .upgrade()
            .map_or(0, |server| server.arrivals.tcp_port.load(Ordering::Relaxed));
        let port = match live.port {
            ListenPort::AnyFree if !is_port && port > 0 => ListenPort::At(port),
            port => port,
        };
        let places = listen::places(&live.bind, port).map_err(|_| refused())?;
        let (answer, answered) = std::sync::mpsc::channel();
        self.moves.send(Move { places, answer }).map_err(|_| refused())?;
        answered.recv().map_err(|_| refused())?.map_err(|_| refused())
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        let with = |config: Config, (name, value): &(&str, &str)| {
            config.with(name, value.as_bytes()).unwrap()
        };
        pairs.iter().fold(Config::default(), with)
    }

    #[test]
    fn shards_are_a_power_of_two_with_many_for_each_worker() {
        let by_default = config(&[]);
        assert_eq!(shards(by_default.live(), 1), 128);
        assert_eq!(shards(by_default.live(), 4), 512);
        assert_eq!(shards(by_default.live(), 6), 1024);
        assert_eq!(shards(by_default.live(), 1024), 65_536, "as many as the hash has bits for");
        assert_eq!(shards(config(&[("num_shards", "100")]).live(), 1), 128);
    }

    /// A server that was told to end sometimes did not, and kept a core busy instead. Its control
    /// thread asked once more who had ended when nobody was left, was told "nobody" at once, and
    /// counted that as one less than none.
    #[test]
    fn nobody_ends_when_nobody_is_left() {
        let (ended, ends) = unbounded_channel();
        let mut team = Team::new(vec![threads::start("member", None, || {})], ends);
        let poll = |team: &mut Team| {
            let mut ending = std::pin::pin!(team.one_ended());
            ending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        assert!(!poll(&mut team));
        drop(Ended(ended));
        assert!(poll(&mut team));
        assert!(!poll(&mut team), "the channel is closed, but nobody has ended");
        assert_eq!(team.left, 0);
        assert!(team.join());
    }

    #[test]
    fn words_of_chance_differ() {
        let [one, other] = random().unwrap();
        assert_ne!(one, other);
    }

    #[test]
    fn the_limit_of_open_files_bounds_the_clients() {
        assert_eq!(room_for_clients(1, 2), 1);
        let room = room_for_clients(u64::from(u32::MAX), 2);
        if let Some(limit) = rustix::process::getrlimit(Resource::Nofile).current {
            assert!(room < limit, "some are kept for the server itself");
        }
    }

    #[test]
    fn an_error_of_the_system_is_told_without_its_number() {
        assert_eq!(plain(&io::Error::from_raw_os_error(2)), "No such file or directory");
    }
}

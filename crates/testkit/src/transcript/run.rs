//! Running transcripts and reporting what differs.

use std::collections::BTreeSet;

use super::{
    Exchange, Executor, Expected, Failure, Path, Reply, Scope, Step, Target, Transcript, Value,
    fmt, fs, glob_matches, io, transcript_files,
};
use crate::value::Dialect;

/// Against what, and how, transcripts run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The server.
    pub target: Target,
    /// The dialect a file starts in.
    pub dialect: Dialect,
}

/// What came of running transcripts.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many files ran.
    pub files: usize,
    /// How many replies were compared.
    pub compared: usize,
    /// How many blocks were not meant for the target.
    pub left_out: usize,
    /// Every reply that was not as expected, and every file that was not readable.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Ends a test.
    ///
    /// # Panics
    ///
    /// If something failed, with all of it; and if nothing was compared.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.failures.is_empty(), "\n{self}");
        assert!(self.compared > 0, "no reply was compared");
    }

    /// Adds what another run came to.
    pub fn merge(&mut self, other: Report) {
        self.files += other.files;
        self.compared += other.compared;
        self.left_out += other.left_out;
        self.failures.extend(other.failures);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failures.iter().try_for_each(|failure| writeln!(out, "{failure}"))?;
        write!(
            out,
            "{} files, {} replies compared, {} blocks left out, {} failures",
            self.files,
            self.compared,
            self.left_out,
            self.failures.len()
        )
    }
}

/// Runs every `.txt` below `folder`, each with an executor of its own.
///
/// # Errors
///
/// If the folder cannot be read, or holds no transcript.
pub fn run_folder<E: Executor>(
    folder: impl AsRef<Path>,
    run: &Run,
    mut executor: impl FnMut() -> E,
) -> io::Result<Report> {
    let folder = folder.as_ref();
    let files = transcript_files(folder)?;
    if files.is_empty() {
        let what = format!("no transcript in {}", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    let mut report = Report::default();
    for file in files {
        report.merge(run_file(&file, run, &mut executor())?);
    }
    Ok(report)
}

/// Runs one file.
///
/// # Errors
///
/// If the file cannot be read. A file that is not well written is a failure.
pub fn run_file(path: &Path, run: &Run, executor: &mut dyn Executor) -> io::Result<Report> {
    let text = fs::read_to_string(path)?;
    Ok(match Transcript::parse(path, &text) {
        Ok(transcript) => transcript.run(run, executor),
        Err(malformed) => Report {
            files: 1,
            failures: vec![Failure {
                path: path.to_owned(),
                line: 0,
                command: malformed.to_string(),
                expected: "a transcript".to_owned(),
                got: "something else".to_owned(),
            }],
            ..Report::default()
        },
    })
}

impl Transcript {
    /// Runs all blocks, from an empty keyspace.
    pub fn run(&self, run: &Run, executor: &mut dyn Executor) -> Report {
        let mut report = Report { files: 1, ..Report::default() };
        let mut session = Session::new(run, executor);
        for block in &self.blocks {
            if !session.is_meant(&block.scope) {
                report.left_out += 1;
                continue;
            }
            for step in &block.steps {
                if let Some((exchange, outcome)) = session.step(step) {
                    report.compared += 1;
                    let failure = session.judge(exchange, &outcome);
                    report.failures.extend(failure.map(|expected| Failure {
                        path: self.path.clone(),
                        line: exchange.line,
                        command: exchange.command(),
                        expected,
                        got: outcome.to_string(),
                    }));
                }
            }
        }
        report
    }
}

/// What came back.
pub(super) enum Outcome {
    Replied(Value),
    Waits,
    NoMessage,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replied(value) => value.fmt(out),
            Self::Waits => out.write_str("(waits)"),
            Self::NoMessage => out.write_str("no message"),
        }
    }
}

/// One file while it runs.
pub(super) struct Session<'a> {
    executor: &'a mut dyn Executor,
    target: &'a Target,
    dialect: Dialect,
    clients: BTreeSet<String>,
}

impl<'a> Session<'a> {
    pub(super) fn new(run: &'a Run, executor: &'a mut dyn Executor) -> Self {
        executor.clear();
        Self { executor, target: &run.target, dialect: run.dialect, clients: BTreeSet::new() }
    }

    pub(super) fn is_meant(&self, scope: &Scope) -> bool {
        scope.only.iter().all(|conditions| conditions.hold(self.target, self.dialect))
            && !scope.not.iter().any(|conditions| conditions.hold(self.target, self.dialect))
    }

    /// Does one step; what came back if it was an exchange.
    pub(super) fn step<'s>(&mut self, step: &'s Step) -> Option<(&'s Exchange, Outcome)> {
        match step {
            Step::Advance(ms) => self.executor.advance(*ms),
            Step::Speak(dialect) => self.speak(*dialect),
            Step::Exchange(exchange) => return Some((exchange, self.exchange(exchange))),
        }
        None
    }

    fn speak(&mut self, dialect: Dialect) {
        self.dialect = dialect;
        for client in &self.clients {
            self.executor.speak(client, dialect);
        }
    }

    fn exchange(&mut self, exchange: &Exchange) -> Outcome {
        let client = &exchange.client;
        if self.clients.insert(client.clone()) {
            self.executor.open(client, self.dialect);
        }
        let Some(words) = &exchange.words else {
            return self.executor.receive(client).map_or(Outcome::NoMessage, Outcome::Replied);
        };
        match self.expected(exchange) {
            Some(Expected::Waits) => {
                self.executor.start(client, words).map_or(Outcome::Waits, Outcome::Replied)
            }
            _ => Outcome::Replied(self.executor.run(client, words)),
        }
    }

    /// The expectation that applies here.
    fn expected<'s>(&self, exchange: &'s Exchange) -> Option<&'s Expected> {
        let applies = |reply: &&Reply| match &reply.when {
            Some(conditions) => conditions.hold(self.target, self.dialect),
            None => false,
        };
        let special = exchange.replies.iter().find(applies);
        let plain = || exchange.replies.iter().find(|reply| reply.when.is_none());
        special.or_else(plain).map(|reply| &reply.expected)
    }

    /// What was expected, if it is not what came.
    pub(super) fn judge(&self, exchange: &Exchange, outcome: &Outcome) -> Option<String> {
        let Some(expected) = self.expected(exchange) else {
            return Some("a reply, but none is written".to_owned());
        };
        let is_met = match (expected, outcome) {
            (Expected::Pattern { pattern, .. }, Outcome::Replied(value)) => {
                pattern.matches(value, self.dialect, exchange.order)
            }
            (Expected::Glob(glob), Outcome::Replied(value)) => {
                glob_matches(glob.as_bytes(), value.to_string().as_bytes())
            }
            (Expected::Waits, Outcome::Waits) => true,
            _ => false,
        };
        (!is_met).then(|| expected.describe(exchange.order))
    }
}

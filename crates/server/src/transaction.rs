//! Transactions of a client: what MULTI queues and EXEC runs, and the keys that WATCH watches.
//!
//! EXEC enters the shards of all queued requests at once, and of the watched keys, runs the
//! requests one after the other in that one view, and publishes what they did as one transaction.
//! So nobody sees a part of it, whatever worker he is on.
//!
//! # Invariants
//!
//! 1. What is queued was admitted: its command is known, has enough words, and may be queued.
//! 2. The shards of a queue are those of its requests' keys; a request that runs in a transaction
//!    enters no other.
//! 3. Watched keys are looked at under their gates: whatever changed before EXEC holds them is
//!    seen, and nothing changes until it has run.

use std::sync::Arc;

use command::{
    COPIED_BYTES, Command, CommandError, Done, Flags, Run, Tried, WORD_STEPS, parse_integer,
};
use keyspace::{DbIndex, Keyspace, Mode, Plan, View, Watch};
use protocol::{Output, Reply, Span, Words};
use smallvec::SmallVec;

use crate::acl::{Context, Reason};
use crate::client::Progress;
use crate::connection::look_up;
use crate::execute::{Batch, Ran, Request, Way, args_of, called};
use crate::pubsub::is_publish;
use crate::server::CommandEntry;
use crate::session::Session;

/// Steps for a queued request beyond those for its words.
const REQUEST_STEPS: u64 = 4;

/// What a session has begun; made when it begins.
#[derive(Default)]
pub struct Transaction {
    queue: Option<Queue>,
    watched: Option<Watched>,
}

/// The requests since MULTI.
#[derive(Default)]
struct Queue {
    requests: Requests,
    /// A request was refused, so that nothing will be run.
    is_broken: bool,
    /// The hashes of all keys, if not every shard is needed.
    hashes: Vec<u64>,
    needs_all: bool,
    writes: bool,
    publishes: bool,
    has_scripts: bool,
    may_grow: bool,
    /// The database that SELECT has queued last, if it has.
    db: Option<DbIndex>,
}

/// Requests, one behind the other.
#[derive(Default)]
struct Requests {
    bytes: Vec<u8>,
    /// Their words; each begins to count with its own bytes.
    spans: Vec<Span>,
    /// Where each begins, among the bytes and among the words.
    starts: Vec<(usize, usize)>,
}

impl Requests {
    fn push(&mut self, words: Words<'_>) {
        let base = self.bytes.len();
        self.starts.push((base, self.spans.len()));
        for word in words.iter() {
            let start = self.bytes.len() - base;
            self.bytes.extend_from_slice(word);
            // The parser takes no request of more than 4 GiB.
            self.spans.push(Span { start: start as u32, end: (start + word.len()) as u32 });
        }
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    /// Bytes of memory that they take.
    fn held_bytes(&self) -> usize {
        let starts = self.starts.capacity() * size_of::<(usize, usize)>();
        self.bytes.capacity() + self.spans.capacity() * size_of::<Span>() + starts
    }

    fn iter(&self) -> impl Iterator<Item = Words<'_>> {
        let ends = self.starts.iter().skip(1).map(|&(_, word)| word);
        let ends = ends.chain([self.spans.len()]);
        let parts = self.starts.iter().zip(ends);
        parts.map(|(&(byte, word), end)| Words::new(&self.bytes[byte..], &self.spans[word..end]))
    }
}

/// The keys since WATCH.
#[derive(Default)]
struct Watched {
    watch: Arc<Watch>,
    keys: Vec<WatchedKey>,
}

struct WatchedKey {
    db: DbIndex,
    key: Box<[u8]>,
    /// Whether there was something under it.
    existed: bool,
}

impl Transaction {
    /// Begins to queue; `false` if that was begun already.
    pub fn begin(&mut self) -> bool {
        let is_new = self.queue.is_none();
        self.queue.get_or_insert_default();
        is_new
    }

    /// Whether requests are queued.
    #[must_use]
    pub fn is_queueing(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether there is neither a queue nor a watched key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_none() && self.watched.is_none()
    }

    /// Watches no key any more.
    pub fn unwatch(&mut self) {
        self.watched = None;
    }

    /// Notes that a request was refused, if they are queued.
    pub fn refuse(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.is_broken = true;
        }
    }

    /// How far it has got.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            queued: self.queue.as_ref().map(|queue| queue.requests.len()),
            queued_bytes: self.queued_bytes(),
            watched: self.watched.as_ref().map_or(0, |watched| watched.keys.len()),
        }
    }

    /// Bytes that the queued requests take.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.requests.held_bytes())
    }

    /// The database that a request would run in that is queued now, if it is not the session's.
    #[must_use]
    pub fn db(&self) -> Option<DbIndex> {
        self.queue.as_ref().and_then(|queue| queue.db)
    }

    /// Whether a pause of writes concerns what is queued: it changes data or publishes something.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.writes || queue.publishes)
    }

    /// Queues a request. `only_reads`: it is a script that says that it changes nothing.
    fn push(&mut self, words: Words<'_>, command: &Command, only_reads: bool, keyspace: &Keyspace) {
        let Some(queue) = &mut self.queue else { return };
        queue.requests.push(words);
        queue.writes |= command.writes();
        queue.publishes |= is_publish(command);
        queue.may_grow |= command.flags.has(Flags::DENY_OOM);
        if command.name == "SELECT" {
            let number = words.get(1).and_then(parse_integer);
            let db = number.and_then(|number| DbIndex::try_from(number).ok());
            queue.db = db.filter(|&db| db < keyspace.databases()).or(queue.db);
        }
        if matches!(command.run, Run::Script) {
            // It holds everything: what its keys are is found out too late to begin anew.
            let may_write = command.flags.has(Flags::MAY_REPLICATE) && !only_reads;
            (queue.has_scripts, queue.needs_all) = (true, true);
            queue.writes |= may_write;
            queue.publishes |= may_write;
        } else if !matches!(command.run, Run::Session | Run::Container) {
            queue.needs_all |= command.enter.is_all(words);
            let positions = command.key_positions(words).unwrap_or_default();
            let keys = positions.iter().filter_map(|&at| words.get(at));
            queue.hashes.extend(keys.map(|key| keyspace.hash(key)));
        }
    }

    /// The shards that EXEC needs.
    #[must_use]
    pub fn way(&self, keyspace: &Keyspace) -> Way {
        let mut hashes: SmallVec<[u64; 16]> = SmallVec::new();
        let Some(queue) = self.queue.as_ref().filter(|queue| !queue.is_broken) else {
            return Way { plan: Plan::Some(SmallVec::new()), mode: Mode::Shared, hashes };
        };
        hashes.extend(queue.hashes.iter().copied());
        let watched = self.watched.iter().flat_map(|watched| &watched.keys);
        hashes.extend(watched.map(|watched| keyspace.hash(&watched.key)));
        let plan = match queue.needs_all {
            true => Plan::All,
            false => keyspace.plan(hashes.iter().copied()),
        };
        let mode = if queue.writes { Mode::Exclusive } else { Mode::Shared };
        Way { plan, mode, hashes }
    }
}

impl Watched {
    fn add(&mut self, key: &[u8], view: &mut View<'static>) {
        let db = view.db();
        if !self.keys.iter().any(|watched| watched.db == db && &*watched.key == key) {
            let existed = view.watch(key, &self.watch);
            self.keys.push(WatchedKey { db, key: key.into(), existed });
        }
    }

    /// Whether a key is not as it was, whose shards are all entered. What has expired may still be
    /// there to be cleared away.
    fn is_touched(&self, view: &View<'_>) -> bool {
        let has_expired =
            |watched: &WatchedKey| watched.existed && !view.contains_in(watched.db, &watched.key);
        self.watch.is_touched() || self.keys.iter().any(has_expired)
    }
}

/// Whether a command is run in the midst of a queue, not queued.
pub fn runs_at_once(command: &Command) -> bool {
    matches!(command.name, "MULTI" | "EXEC" | "DISCARD" | "WATCH" | "QUIT" | "RESET")
}

impl<'a> Batch<'a> {
    /// Queues a request; `None`: it is one that runs in the midst of a queue, or none is queued.
    ///
    /// # Errors
    /// If its command must not be part of a transaction.
    pub fn queue(
        &self,
        request: Request<'a>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &mut Session,
        output: &mut Output,
    ) -> Result<Option<Ran>, CommandError> {
        let transaction = session.transaction.as_mut().filter(|one| one.is_queueing());
        let Some(transaction) = transaction else { return Ok(None) };
        if runs_at_once(entry.command) {
            return Ok(None);
        }
        if command.flags.has(Flags::NO_MULTI) {
            return Err(CommandError::text("ERR Command not allowed inside a transaction"));
        }
        let only_reads =
            matches!(command.run, Run::Script) && self.only_reads(request.words, command);
        transaction.push(request.words, command, only_reads, self.server.keyspace);
        session.tell_transaction();
        Reply::new(output, session.dialect).simple("QUEUED");
        Ok(Some(Ran::Queued))
    }

    /// Whether this command is EXEC, and what it runs would keep the worker from its other
    /// connections for too long, by what the keys hold before it.
    #[inline]
    pub fn is_long_exec(&self, command: &Command, session: &Session, view: &View<'_>) -> bool {
        matches!(command.run, Run::Transaction) && self.runs_much(command, session, view)
    }

    fn runs_much(&self, command: &Command, session: &Session, view: &View<'_>) -> bool {
        let queue = session.transaction.as_ref().and_then(|transaction| transaction.queue.as_ref());
        let queue = queue.filter(|queue| command.name == "EXEC" && !queue.is_broken);
        let mut steps = 0u64;
        queue.is_some_and(|queue| {
            queue.requests.iter().any(|words| {
                steps = steps.saturating_add(self.steps_of(words, view));
                steps >= self.settings.long_command_steps
            })
        })
    }

    /// How much a queued request comes to.
    fn steps_of(&self, words: Words<'_>, view: &View<'_>) -> u64 {
        let by_words =
            REQUEST_STEPS + words.len() as u64 * WORD_STEPS + words.bytes() as u64 / COPIED_BYTES;
        let Some(entry) = self.server.table.find(words.get(0).unwrap_or_default()) else {
            return by_words;
        };
        let command = called(entry.command, words);
        let request = Request { words, entry: Some(entry), hash: 0 };
        let by_keys = match command.work {
            Some(_) => self.measure(command, args_of(request, entry, command), view),
            None => 0,
        };
        by_words.saturating_add(by_keys)
    }

    /// Notes with what is queued that a request was refused. An EXEC that is refused ends it.
    pub fn refuse_queued(
        &self,
        request: Request<'_>,
        error: CommandError,
        session: &mut Session,
    ) -> CommandError {
        if request.entry.is_none_or(|entry| entry.command.name != "EXEC") {
            if let Some(transaction) = &mut session.transaction {
                transaction.refuse();
            }
            return error;
        }
        session.transaction = None;
        session.tell_transaction();
        let text = error.to_string();
        let text = text.strip_prefix("ERR ").unwrap_or(&text);
        CommandError::text(format!("EXECABORT Transaction discarded because of: {text}"))
    }

    /// WATCH and EXEC, in their entered shards.
    pub fn run_transaction(
        &self,
        request: Request<'_>,
        command: &Command,
        view: &mut View<'static>,
        session: &mut Session,
        output: &mut Output,
    ) -> Done {
        match command.name {
            "WATCH" => watch(request.words, view, session, output),
            _ => self.exec(view, session, output),
        }
    }

    fn exec(&self, view: &mut View<'static>, session: &mut Session, output: &mut Output) -> Done {
        if !session.is_queueing() {
            return Err(CommandError::text("ERR EXEC without MULTI"));
        }
        let transaction = session.transaction.take().map_or_else(Transaction::default, |one| *one);
        session.tell_transaction();
        let queue = transaction.queue.unwrap_or_default();
        if queue.is_broken {
            let text = "EXECABORT Transaction discarded because of previous errors.";
            return Err(CommandError::text(text));
        }
        if queue.may_grow && self.is_out_of_memory() {
            let text = CommandError::OutOfMemory.to_string();
            let text = text.split_once(' ').map_or(&*text, |(_, text)| text);
            return Err(CommandError::text(format!(
                "EXECABORT Transaction discarded because of: OOM {text}"
            )));
        }
        let mut reply = Reply::new(output, session.dialect);
        if transaction.watched.is_some_and(|watched| watched.is_touched(view)) {
            reply.null_array();
            return Ok(());
        }
        reply.array(queue.requests.len());
        session.executing = true;
        let mut began = self.server.clock.nanos();
        for words in queue.requests.iter() {
            began = self.run_queued(words, began, view, session, output);
        }
        session.executing = false;
        // Who waits is served with what has not expired meanwhile.
        view.catch_up(self.server.clock.now());
        Ok(())
    }

    /// Runs one of the requests, which began at a moment in ns; returns when it ended.
    fn run_queued(
        &self,
        words: Words<'_>,
        began: u64,
        view: &mut View<'static>,
        session: &mut Session,
        output: &mut Output,
    ) -> u64 {
        let batch: Batch<'_> = *self;
        let request = look_up(batch.server, words);
        let mark = output.mark();
        session.keep_up(&self.server.acl);
        let named = batch.named(request, session);
        let permitted = named.and_then(|(entry, command)| {
            batch.permit_still(request, entry, command, session)?;
            Ok((entry, command))
        });
        let (entry, command) = match permitted {
            Ok(permitted) => permitted,
            Err(error) => {
                self.refuse(request, true, error, session, output, mark);
                return began;
            }
        };
        if let Err(error) = batch.run_one(request, (entry, command), view, session, output) {
            self.refuse(request, false, error, session, output, mark);
        }
        view.tell();
        let ended = self.server.clock.nanos();
        self.book(entry, command, (1, ended - began), &session.client);
        self.note_slow(request, session, (ended - began) / 1000);
        ended
    }

    /// Whether the session's user may still make a request that was queued.
    fn permit_still(
        &self,
        request: Request<'_>,
        entry: &CommandEntry,
        command: &'static Command,
        session: &Session,
    ) -> Done {
        let Some(attempt) = self.questioned(request, entry, command, session) else {
            return Ok(());
        };
        let Err(denial) = self.check(&attempt, Context::Multi, session) else { return Ok(()) };
        let reason = match denial.reason {
            Reason::Command => "no permission to execute the command or subcommand",
            Reason::Key => "no permission to touch the specified keys",
            Reason::Channel => "no permission to access one of the channels used as arguments",
            Reason::Auth | Reason::Database => "no permission",
        };
        Err(CommandError::text(format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the \
             EXEC call. This command is no longer allowed for the following reason: {reason}"
        )))
    }

    fn run_one(
        self,
        request: Request<'a>,
        (entry, command): (&CommandEntry, &'static Command),
        view: &mut View<'static>,
        session: &mut Session,
        output: &mut Output,
    ) -> Done {
        if matches!(command.run, Run::Session | Run::Container) {
            return match self.call(request, entry, command, session, output)? {
                Ran::Busy | Ran::Later(_) => {
                    Err(CommandError::text("ERR Command not allowed inside a transaction"))
                }
                _ => Ok(()),
            };
        }
        view.turn_to(session.db, self.worker.chance());
        view.obey_script(false);
        if matches!(command.run, Run::Script) {
            return self.run_script_inside(request, command, view, session, output);
        }
        let tried = self.run_row(request, (entry, command), view, session, output)?;
        if let (Tried::Waits(_), Run::Block(block)) = (tried, command.run) {
            (block.nothing)(&mut Reply::new(output, session.dialect));
        }
        Ok(())
    }
}

fn watch(
    words: Words<'_>,
    view: &mut View<'static>,
    session: &mut Session,
    output: &mut Output,
) -> Done {
    if session.is_queueing() {
        return Err(CommandError::text("ERR WATCH inside MULTI is not allowed"));
    }
    let transaction = session.transaction.get_or_insert_default();
    let watched = transaction.watched.get_or_insert_default();
    for key in words.iter().skip(1) {
        watched.add(key, view);
    }
    session.tell_transaction();
    Reply::new(output, session.dialect).ok();
    Ok(())
}

impl Session {
    /// Whether its requests are queued.
    #[must_use]
    pub fn is_queueing(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.is_queueing())
    }

    /// Whether this command is EXEC, and scripts are among what it runs.
    #[must_use]
    pub fn runs_scripts(&self, command: &Command) -> bool {
        let queue = self.transaction.as_ref().and_then(|transaction| transaction.queue.as_ref());
        command.name == "EXEC" && queue.is_some_and(|queue| queue.has_scripts && !queue.is_broken)
    }

    /// Shows others how far its transaction has got.
    pub fn tell_transaction(&mut self) {
        if self.transaction.as_ref().is_some_and(|transaction| transaction.is_empty()) {
            self.transaction = None;
        }
        let progress = self.transaction.as_ref().map(|transaction| transaction.progress());
        self.client.rename(|names| names.progress = progress.unwrap_or_default());
    }
}

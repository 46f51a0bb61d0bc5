//! A request that waits for its keys: what others need to run it in its client's stead.
//!
//! # Invariants
//!
//! 1. Whoever ends a wait says so by one compare-and-swap of the client's [`Ticket`]: it is served
//!    once, or times out, or is cut short, never two of them.
//! 2. An answer is there before the client's bell is rung for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use command::{Args, Block, CommandError, Tried, Until};
use keyspace::{DbIndex, Millis, Offer, View, Waiter};
use protocol::{Dialect, Output, Reply, Words};
use smallvec::SmallVec;

use crate::acl::{Acl, Asked, Attempt, Context, Refusal, User};
use crate::client::{Client, Ticket, Unblock, Waits};
use crate::execute::guarded;
use crate::long_work::Held;

/// See the module's page.
pub struct Blocked {
    client: Arc<Client>,
    ticket: Ticket,
    block: Block,
    dialect: Dialect,
    request: Held,
    permit: Permit,
    /// Which words are its keys.
    keys: SmallVec<[usize; 8]>,
    answer: Mutex<Answer>,
}

/// What is needed to ask once more whether a waiting request may be made.
pub struct Permit {
    acl: Arc<Acl>,
    user: Arc<User>,
    asked: Asked,
    db: DbIndex,
    databases: u16,
}

impl Permit {
    /// That of a request which was permitted just now.
    #[must_use]
    pub fn new(acl: &Arc<Acl>, user: &Arc<User>, attempt: &Attempt<'_>) -> Permit {
        let (acl, user) = (Arc::clone(acl), Arc::clone(user));
        let Attempt { asked, db, databases, .. } = *attempt;
        Permit { acl, user, asked, db, databases }
    }

    /// Whether the request may still be made; if not, that is entered into the log.
    fn check(&self, words: Words<'_>, client: &Client, now: Millis) -> Result<(), CommandError> {
        if !self.user.is_superseded() {
            return Ok(());
        }
        let Some(user) = self.acl.find(&self.user.name) else {
            // Its client is about to be told nothing at all.
            return Err(CommandError::NoAuth);
        };
        let Permit { asked, db, databases, .. } = *self;
        let attempt = Attempt { asked, words, db, databases };
        let Err(denial) = user.check(&attempt) else { return Ok(()) };
        let (reason, context) = (denial.reason, Context::TopLevel);
        let object = denial.object(&attempt);
        let refusal = Refusal { reason, context, object: &object, user: &user.name };
        self.acl.note(refusal, client, now);
        let text = user.refusal(denial, &attempt, false);
        Err(CommandError::text(format!("NOPERM {text}")))
    }
}

/// What a waiting request has come to.
#[derive(Default)]
struct Answer {
    output: Option<Output>,
    /// What was refused, if the answer is an error.
    error: Option<CommandError>,
    /// Whether it was refused before it ran.
    rejected: bool,
    /// Whether it is in no queue any more.
    left: bool,
    /// The new end of the wait, where it was tried in vain.
    until: Option<Until>,
}

/// The wait of a connection's request, as its own task knows it.
pub struct Wait {
    /// What others see of it.
    pub blocked: Arc<Blocked>,
    /// How long it lasts.
    pub until: Until,
    /// Whether its reply is not written.
    pub mute: bool,
    /// Its command in statistics.
    pub number: usize,
    /// For how long it ran before it began to wait, in ns.
    pub ran_nanos: u64,
    /// Whether who ended the wait has counted it.
    pub is_counted: bool,
}

impl Blocked {
    /// A request that begins to wait, whose shards are entered; its words are kept.
    #[must_use]
    pub fn new(
        client: &Arc<Client>,
        dialect: Dialect,
        block: Block,
        words: Words<'_>,
        permit: Permit,
        view: &View<'_>,
    ) -> Blocked {
        let pins = block.pin.map(|pin| pin(Args::new(words, 1), view)).unwrap_or_default();
        // Places are told without the command's name.
        let pinned = |place: usize| pins.iter().find(|(at, _)| at + 1 == place);
        let kept = words.iter().enumerate();
        let kept = kept.map(|(place, word)| pinned(place).map_or(word, |(_, pin)| pin));
        Blocked {
            client: Arc::clone(client),
            ticket: client.begin_wait(),
            block,
            dialect,
            keys: permit.asked.command.key_positions(words).unwrap_or_default(),
            permit,
            request: Held::of(kept),
            answer: Mutex::default(),
        }
    }

    fn args(&self) -> Args<'_> {
        Args::new(self.words(), 1)
    }

    /// The words of the request.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        self.request.words()
    }

    /// All its keys.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().filter_map(|&at| self.words().get(at))
    }

    /// The keys that it waits for.
    pub fn awaited(&self) -> impl Iterator<Item = &[u8]> {
        self.keys().take(if self.block.whole { 1 } else { usize::MAX })
    }

    /// What became of its wait.
    #[must_use]
    pub fn state(&self) -> Waits {
        self.client.wait_of(self.ticket)
    }

    /// Ends the wait, if nobody has; tells whether.
    pub fn end(&self) -> bool {
        self.client.claim(self.ticket)
    }

    /// The answer, once somebody has given it.
    #[must_use]
    pub fn take_answer(&self) -> Option<Output> {
        self.answer().output.take()
    }

    /// The error that was answered, to be counted; and whether the request did not run at all.
    #[must_use]
    pub fn take_error(&self) -> Option<(CommandError, bool)> {
        let mut answer = self.answer();
        answer.error.take().map(|error| (error, answer.rejected))
    }

    /// The new end of the wait, if it was tried in vain since the last time this was asked.
    #[must_use]
    pub fn take_until(&self) -> Option<Until> {
        self.answer().until.take()
    }

    /// Whether whoever answered it took it out of its queues.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.answer().left
    }

    fn answer(&self) -> MutexGuard<'_, Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has its own client try again, whose task looks at all of its keys.
    pub fn try_again(&self) {
        self.client.call(self.ticket);
    }

    /// Runs the request where its shards are entered, after its wait was claimed; tells whether it
    /// is answered. If so, the caller takes it out of a queue, of its last one if `leaves`.
    fn run(&self, view: &mut View<'_>, leaves: bool) -> bool {
        let mut output = Output::default();
        let mut reply = Reply::new(&mut output, self.dialect);
        let permitted = self.permit.check(self.words(), &self.client, view.now());
        let rejected = permitted.is_err();
        let run = || permitted.and_then(|()| (self.block.now)(self.args(), view, &mut reply));
        let error = match guarded(run) {
            Ok(Tried::Waits(until)) => {
                self.answer().until = Some(until);
                return false;
            }
            Ok(Tried::Answered) => None,
            Err(error) => {
                output = Output::default();
                Reply::new(&mut output, self.dialect).error(&error);
                Some(error)
            }
        };
        let mut answer = self.answer();
        (answer.output, answer.error, answer.left) = (Some(output), error, leaves);
        answer.rejected = rejected;
        drop(answer);
        self.client.ring();
        true
    }

    /// Tries again where all of its shards are entered, unless its wait is over; then it stands in
    /// its queues, or waits no more.
    pub fn run_called(self: &Arc<Self>, view: &mut View<'_>) {
        if !self.end() {
            return;
        }
        let waiter = Arc::clone(self) as Arc<dyn Waiter>;
        if self.run(view, true) {
            view.stop_waiting(self.awaited(), &waiter);
        } else {
            view.wait_again(self.awaited(), &waiter);
            self.client.wait_on(self.ticket);
        }
    }

    /// What a request is answered whose wait ends without anything for it.
    #[must_use]
    pub fn cut(&self, how: Unblock) -> Output {
        let mut output = Output::default();
        let mut reply = Reply::new(&mut output, self.dialect);
        match how {
            Unblock::Timeout => reply.null_array(),
            Unblock::Error => {
                let error = CommandError::text("UNBLOCKED client unblocked via CLIENT UNBLOCK");
                reply.error(&error);
                self.answer().error = Some(error);
            }
        }
        output
    }
}

impl Waiter for Blocked {
    fn origin(&self) -> u64 {
        self.client.id
    }

    fn offer(&self, key: &[u8], view: &mut View<'_>) -> Offer {
        match self.state() {
            Waits::On => {}
            Waits::Called => return Offer::Called,
            _ => return Offer::Over,
        }
        if !(self.block.awaits)(self.args(), view, key) {
            return Offer::Declined;
        }
        if self.block.whole && !self.keys().all(|key| view.has_entered(key)) {
            return if self.client.call(self.ticket) { Offer::Called } else { Offer::Over };
        }
        if !self.client.claim(self.ticket) {
            return Offer::Over;
        }
        if self.run(view, self.awaited().nth(1).is_none()) {
            return Offer::Taken;
        }
        // Somebody else may have found it claimed, and taken it out of another queue.
        self.client.call_back(self.ticket);
        Offer::Called
    }

    fn awaits_absence(&self) -> bool {
        self.block.awaits_absence
    }
}

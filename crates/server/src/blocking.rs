//! A request that waits for its keys: what others need to run it in its client's stead.
//!
//! # Invariants
//!
//! 1. Whoever ends a wait says so by one compare-and-swap of the client's [`Ticket`]: it is served
//!    once, or times out, or is cut short, never two of them.
//! 2. An answer is there before the client's bell is rung for it.

use std::sync::{Arc, Mutex, PoisonError};

use command::{Args, Block, Command, Tried};
use keyspace::{Millis, Offer, View, Waiter};
use protocol::{Dialect, Output, Reply, Span, Words};

use crate::client::{Client, Ticket, Waits};
use crate::execute::guarded;

/// See the module's page.
pub struct Blocked {
    client: Arc<Client>,
    ticket: Ticket,
    block: Block,
    dialect: Dialect,
    request: Vec<u8>,
    spans: Vec<Span>,
    /// Which words are its keys.
    keys: smallvec::SmallVec<[usize; 8]>,
    answer: Mutex<Option<Output>>,
}

/// The wait of a connection's request, as its own task knows it.
pub struct Wait {
    /// What others see of it.
    pub blocked: Arc<Blocked>,
    /// Until when it lasts.
    pub until: Option<Millis>,
    /// Whether its reply is not written.
    pub mute: bool,
}

impl Blocked {
    /// A request that begins to wait; its words are kept.
    #[must_use]
    pub fn new(
        client: &Arc<Client>,
        dialect: Dialect,
        command: &Command,
        block: Block,
        words: Words<'_>,
    ) -> Blocked {
        let (mut request, mut spans) = (Vec::new(), Vec::new());
        protocol::decode::encode_request(words.iter(), &mut request);
        let limits = protocol::Limits { bulk_bytes_max: u64::MAX, ..protocol::Limits::DEFAULT };
        let parsed = protocol::Parser::default().parse(&request, &mut spans, &limits);
        debug_assert!(parsed.is_ok(), "what was a request is one");
        Blocked {
            client: Arc::clone(client),
            ticket: client.begin_wait(),
            block,
            dialect,
            keys: command.key_positions(words).unwrap_or_default(),
            request,
            spans,
            answer: Mutex::new(None),
        }
    }

    fn words(&self) -> Words<'_> {
        Words::new(&self.request, &self.spans)
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
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs the request where its shards are entered, after its wait was claimed; tells whether it
    /// is answered. If not, it waits on.
    pub fn run(&self, view: &mut View<'_>) -> bool {
        let mut output = Output::default();
        let mut reply = Reply::new(&mut output, self.dialect);
        let args = Args::new(self.words(), 1);
        match guarded(|| (self.block.now)(args, view, &mut reply)) {
            Ok(Tried::Waits(_)) => {
                self.client.wait_on(self.ticket);
                return false;
            }
            Ok(Tried::Answered) => {}
            Err(error) => {
                output = Output::default();
                Reply::new(&mut output, self.dialect).error(&error);
            }
        }
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
        self.client.ring();
        true
    }

    /// Writes what a request is answered whose time is over.
    pub fn time_out(&self, output: &mut Output) {
        Reply::new(output, self.dialect).null_array();
    }

    /// Writes what a request is answered that CLIENT UNBLOCK ends with an error.
    pub fn refuse(&self, output: &mut Output) {
        let text = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
        Reply::new(output, self.dialect).error(text);
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
        if !(self.block.awaits)(view, key) {
            return Offer::Declined;
        }
        if self.block.whole && !self.keys().all(|key| view.has_entered(key)) {
            return if self.client.call(self.ticket) { Offer::Called } else { Offer::Over };
        }
        if !self.client.claim(self.ticket) {
            return Offer::Over;
        }
        if self.run(view) { Offer::Taken } else { Offer::Declined }
    }
}

//! A client that notes what it did and saw, and when.

use testkit::linearizability::Counter;
use testkit::random::Random;
use testkit::serializability::{Step, Transaction};
use testkit::server::ServerProcess;
use testkit::{Client, Value};

use crate::act::{Act, is_nothing, items};

/// What a script is told that cannot have the shards it needs.
const LATE: &[u8] = b"ERR the script has written already";

/// Elements that one client adds at most.
const ADDED_MAX: u64 = 1_000_000;

/// See the module's page.
pub(crate) struct Recorder<'t> {
    /// Which client it is.
    pub(crate) number: usize,
    /// What it does next.
    pub(crate) random: Random,
    connection: Client,
    times: &'t Counter,
    added: u64,
    history: Vec<Transaction>,
}

impl<'t> Recorder<'t> {
    /// A new client; every other one speaks RESP3.
    pub(crate) fn new(
        server: &ServerProcess,
        number: usize,
        seed: u64,
        times: &'t Counter,
    ) -> Self {
        let mut connection = server.client().expect("it listens");
        if number % 2 == 1 {
            let greeted = connection.command(&["HELLO", "3"]).expect("the server answers");
            assert!(matches!(greeted, Value::Map(_)), "{greeted}");
        }
        let random = Random::new(seed << 8 | number as u64);
        Self { number, random, connection, times, added: 0, history: Vec::new() }
    }

    /// An element that nobody else adds.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.added += 1;
        self.number as u64 * ADDED_MAX + self.added
    }

    /// All that it did.
    pub(crate) fn into_history(self) -> Vec<Transaction> {
        self.history
    }

    /// Says something that is not part of the history.
    pub(crate) fn say(&mut self, words: &[String]) -> Value {
        let reply = self.connection.command(words).expect("the server answers");
        assert!(!reply.is_error(), "{words:?}: {reply}");
        reply
    }

    /// Does each act by itself, sent at once.
    pub(crate) fn each(&mut self, acts: Vec<Act>) -> Vec<Value> {
        let commands: Vec<_> = acts.iter().map(Act::words).collect();
        let (span, replies) = self.send(&commands);
        for (act, reply) in acts.iter().zip(&replies) {
            self.note("alone", span, true, act.steps(reply));
        }
        replies
    }

    /// Does acts in one EXEC, which may be refused for what was watched.
    pub(crate) fn exec(&mut self, how: &'static str, acts: Vec<Act>) {
        let (span, reply) = self.queue(&acts, &["EXEC"]);
        if is_nothing(&reply) {
            return self.note(how, span, false, acts.iter().flat_map(Act::intended).collect());
        }
        let replies = acts.iter().zip(items(&reply));
        self.note(how, span, true, replies.flat_map(|(act, reply)| act.steps(reply)).collect());
    }

    /// Queues acts and does none of them: the last words say why.
    pub(crate) fn abandon(&mut self, acts: Vec<Act>, end: &[&str]) {
        let (span, reply) = self.queue(&acts, end);
        let is_refused = matches!(&reply, Value::Error(text) if text.starts_with(b"EXECABORT"));
        assert!(is_refused || reply == Value::ok(), "{reply}");
        self.note("not at all", span, false, acts.iter().flat_map(Act::intended).collect());
    }

    /// Sends MULTI, acts and the words that end it; the last reply.
    fn queue(&mut self, acts: &[Act], end: &[&str]) -> ((u64, u64), Value) {
        let words = acts.iter().map(Act::words);
        let end = end.iter().map(|&word| vec![word.to_owned()]);
        let commands: Vec<_> =
            std::iter::once(vec!["MULTI".to_owned()]).chain(words).chain(end).collect();
        let (span, mut replies) = self.send(&commands);
        (span, replies.pop().expect("a reply for each"))
    }

    /// Does acts in a script, which these commands run; the script's replies are the last ones.
    pub(crate) fn script(&mut self, how: &'static str, acts: &[Act], commands: &[Vec<String>]) {
        let (span, mut replies) = self.send(commands);
        let mut reply = replies.pop().expect("a reply for each");
        if commands.len() > 1 {
            // Of EXEC, with the script as the last of its queue.
            reply = items(&reply).last().expect("a queue with a script").clone();
        }
        assert!(!reply.is_error(), "{how}: {reply}");
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        for (act, reply) in acts.iter().zip(items(&reply)) {
            match reply {
                Value::Error(text) if text.starts_with(LATE) => refused.extend(act.intended()),
                _ => done.extend(act.steps(reply)),
            }
        }
        assert_eq!(items(&reply).len(), acts.len(), "{how}: {reply}");
        self.note(how, span, true, done);
        if !refused.is_empty() {
            self.note(how, span, false, refused);
        }
    }

    /// Does something whose steps are told by its reply; `None`: it is not part of the history.
    pub(crate) fn once(
        &mut self,
        how: &'static str,
        line: &str,
        steps: impl FnOnce(&Value) -> Option<Vec<Step>>,
    ) -> bool {
        let words = line.split(' ').map(str::to_owned).collect();
        let (span, replies) = self.send(&[words]);
        assert!(!replies[0].is_error(), "{line}: {}", replies[0]);
        let steps = steps(&replies[0]);
        let is_part = steps.is_some();
        steps.into_iter().for_each(|steps| self.note(how, span, true, steps));
        is_part
    }

    /// Sends commands at once; when that was begun and ended, and the replies.
    fn send(&mut self, commands: &[Vec<String>]) -> ((u64, u64), Vec<Value>) {
        let invoked = self.times.tick();
        let replies = self.connection.pipeline(commands).expect("the server answers");
        ((invoked, self.times.tick()), replies)
    }

    fn note(
        &mut self,
        how: &'static str,
        (invoked, returned): (u64, u64),
        happened: bool,
        steps: Vec<Step>,
    ) {
        let client = self.number;
        self.history.push(Transaction { client, how, invoked, returned, happened, steps });
    }
}

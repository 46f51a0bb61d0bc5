//! A client that does all sorts of transactions at random.

use std::sync::Barrier;

use testkit::serializability::Transaction;

use crate::act::{Act, items, numbers};
use crate::recorder::Recorder;
use crate::script::{Call, Version};

/// So many rounds of a client are at the same lists; then come new ones, so that no list gets long.
const EPOCH_ROUNDS: usize = 25;

/// How many lists, texts and queues there are at a time.
const LISTS: u64 = 3;
const TEXTS: u64 = 2;
pub(crate) const QUEUES: u64 = 3;

/// Where elements of queues go, to be taken once more.
pub(crate) const MOVED: &str = "moved";

/// One of the queues.
pub(crate) fn queue(nth: u64) -> String {
    format!("queue:{nth}")
}

/// Does so many transactions, or a little more.
pub(crate) fn play(recorder: Recorder<'_>, start: &Barrier, rounds: usize) -> Vec<Transaction> {
    let version = Version { client: recorder.number, number: 0 };
    let mut player = Player { recorder, epoch: 0, version, is_loaded: false, has_kept: false };
    start.wait();
    for round in 0..rounds {
        player.epoch = round / EPOCH_ROUNDS;
        player.round();
    }
    player.recorder.into_history()
}

struct Player<'t> {
    recorder: Recorder<'t>,
    epoch: usize,
    version: Version,
    /// Whether the function of this version is loaded.
    is_loaded: bool,
    /// Whether this version has run, and kept to its keys.
    has_kept: bool,
}

impl Player<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        self.recorder.random.below(bound)
    }

    fn round(&mut self) {
        match self.below(12) {
            0 | 1 => {
                let acts = self.acts(3);
                self.recorder.each(acts);
            }
            2 | 3 => {
                let acts = self.acts(5);
                self.recorder.exec("EXEC", acts);
            }
            4 => self.watch(),
            5 => self.set_what_is_watched(),
            6 => {
                let acts = self.acts(3);
                let ends: [&[&str]; 2] = [&["DISCARD"], &["NOSUCHCOMMAND", "EXEC"]];
                let end = self.recorder.random.pick(&ends);
                self.recorder.abandon(acts, end);
            }
            7 => self.read_in_script(),
            _ => self.run_script(),
        }
    }

    fn list(&mut self) -> String {
        let nth = self.below(LISTS);
        format!("list:{}:{nth}", self.epoch)
    }

    fn text(&self, nth: u64) -> String {
        format!("text:{}:{nth}", self.epoch)
    }

    fn queue(&mut self) -> String {
        queue(self.below(QUEUES))
    }

    fn act(&mut self) -> Act {
        match self.below(17) {
            0..3 => Act::Push(self.list(), vec![self.recorder.fresh()]),
            3 => Act::Push(self.list(), vec![self.recorder.fresh(), self.recorder.fresh()]),
            4..6 => {
                let nth = self.below(TEXTS);
                Act::Append(self.text(nth), self.recorder.fresh())
            }
            6 | 7 => Act::Push(self.queue(), vec![self.recorder.fresh()]),
            8 => Act::Push(self.queue(), vec![self.recorder.fresh(), self.recorder.fresh()]),
            9 => Act::Pop(self.queue()),
            10 => Act::Move(self.queue(), MOVED.into()),
            _ => self.reading(),
        }
    }

    fn reading(&mut self) -> Act {
        match self.below(7) {
            0..3 => Act::Range(self.list()),
            3 => Act::Length(self.list()),
            4 => Act::Range(self.queue()),
            _ => Act::Texts((0..TEXTS).map(|nth| self.text(nth)).collect()),
        }
    }

    fn acts(&mut self, most: u64) -> Vec<Act> {
        let count = 1 + self.below(most);
        (0..count).map(|_| self.act()).collect()
    }

    /// EXEC with WATCH of some of its keys, and something in between.
    fn watch(&mut self) {
        let acts = self.acts(4);
        let keys = acts.iter().flat_map(Act::keys).take(3);
        let words: Vec<String> = std::iter::once("WATCH".to_owned()).chain(keys).collect();
        self.recorder.say(&words);
        let reading = self.reading();
        self.recorder.each(vec![reading]);
        self.recorder.exec("EXEC after WATCH", acts);
    }

    /// Reads texts, and sets them to what they were and one element more, unless they have changed.
    fn set_what_is_watched(&mut self) {
        let keys: Vec<String> = (0..TEXTS).map(|nth| self.text(nth)).collect();
        let words: Vec<String> =
            std::iter::once("WATCH".to_owned()).chain(keys.iter().cloned()).collect();
        self.recorder.say(&words);
        let replies = self.recorder.each(vec![Act::Texts(keys.clone())]);
        let seen = keys.into_iter().zip(items(&replies[0]));
        let one_more = seen.map(|(key, text)| (key, numbers(text), self.recorder.fresh()));
        let set = Act::Set(one_more.collect());
        self.recorder.exec("MSET after WATCH", vec![set]);
    }

    /// A script that only reads, with other readers.
    fn read_in_script(&mut self) {
        let count = 2 + self.below(3);
        let acts: Vec<Act> = (0..count).map(|_| self.reading()).collect();
        let call = Call { acts: &acts, keys: keys_of(&acts), is_long: self.below(8) == 0 };
        if self.below(2) == 0 {
            let words = self.version.eval("EVAL_RO", &call);
            return self.recorder.script("EVAL_RO", &acts, &[words]);
        }
        self.load();
        let words = self.version.fcall_ro(&call);
        self.recorder.script("FCALL_RO", &acts, &[words]);
    }

    /// A script or a function, by turns.
    fn run_script(&mut self) {
        let mut acts = self.acts(4);
        let strays = self.has_kept && self.below(3) == 0;
        if strays {
            // Something to write before it strays.
            acts.insert(0, Act::Push(self.list(), vec![self.recorder.fresh()]));
        }
        let keys = if strays { self.some_keys(&acts) } else { keys_of(&acts) };
        let call = Call { acts: &acts, keys, is_long: self.below(8) == 0 };
        if self.version.number % 2 == 1 {
            self.load();
            let how = if strays { "FCALL, strays" } else { "FCALL" };
            self.recorder.script(how, &acts, &[self.version.fcall(&call)]);
        } else if self.below(3) == 0 {
            let [multi, exec] = ["MULTI", "EXEC"].map(|word| vec![word.to_owned()]);
            let commands = [multi, self.version.eval("EVAL", &call), exec];
            self.recorder.script("EVAL in EXEC", &acts, &commands);
        } else {
            let how = if strays { "EVAL, strays" } else { "EVAL" };
            self.recorder.script(how, &acts, &[self.version.eval("EVAL", &call)]);
        }
        self.has_kept = !strays;
        if strays {
            self.version.number += 1;
            self.is_loaded = false;
        }
    }

    /// Keys of which a script strays: as soon as it begins, or after it has written.
    fn some_keys(&mut self, acts: &[Act]) -> Vec<String> {
        let (first, others) = (keys_of(&acts[..1]), keys_of(&acts[1..]));
        if self.below(3) == 0 { others } else { first }
    }

    fn load(&mut self) {
        if !self.is_loaded {
            self.recorder.say(&self.version.library());
            self.is_loaded = true;
        }
    }
}

fn keys_of(acts: &[Act]) -> Vec<String> {
    acts.iter().flat_map(Act::keys).collect()
}

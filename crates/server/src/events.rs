//! Keyspace events: subscribers are told what happens to keys.
//!
//! What a command noted is published on two channels for each note: on that of the key the
//! name of the event, on that of the event the name of the key. Which classes are told is the
//! setting `notify-keyspace-events`; while it names none, or neither kind of channel, the keyspace
//! notes nothing for the sake of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use keyspace::{Change, Class, Keyspace, Listener, Step};

use crate::pubsub::PubSub;

/// What `notify-keyspace-events` asks for, a bit for each letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u32);

/// Each letter that asks for something by itself; its place is its bit.
const LETTERS: &[u8] = b"KEg$lshzxetdamn";

/// The letters that `A` stands for.
const ALL: &[u8] = b"g$lshzxetda";

impl Classes {
    /// What letters ask for; those of no meaning are none.
    #[must_use]
    pub fn of(letters: &[u8]) -> Classes {
        let bits = letters.iter().map(|letter| match letter {
            b'A' => Classes::of(ALL).0,
            _ => Classes::bit(*letter),
        });
        Classes(bits.fold(0, |all, bits| all | bits))
    }

    fn bit(letter: u8) -> u32 {
        LETTERS.iter().position(|&known| known == letter).map_or(0, |at| 1 << at)
    }

    /// Whether a letter is asked for.
    #[must_use]
    pub fn has(self, letter: u8) -> bool {
        self.0 & Classes::bit(letter) != 0
    }

    /// Whether events of a class are told.
    fn tells(self, class: Class) -> bool {
        letter_of(class).is_some_and(|letter| self.has(letter))
    }

    /// Puts it in force: the keyspace notes what is asked for from now on.
    pub fn apply(self, wanted: &Wanted, keyspace: &Keyspace) {
        let tells = self.has(b'K') || self.has(b'E');
        let changes = self.0 & Classes::of(b"An").0 != 0;
        wanted.0.store(self.0, Ordering::Relaxed);
        keyspace.listen(Listener::Events, tells && changes);
        keyspace.listen(Listener::Misses, tells && self.has(b'm'));
    }
}

/// The letter of a class; `None`: nobody is told of it.
fn letter_of(class: Class) -> Option<u8> {
    match class {
        Class::Generic => Some(b'g'),
        Class::String => Some(b'$'),
        Class::List => Some(b'l'),
        Class::Set => Some(b's'),
        Class::Hash => Some(b'h'),
        Class::ZSet => Some(b'z'),
        Class::Stream => Some(b't'),
        Class::Array => Some(b'a'),
        Class::Expired => Some(b'x'),
        Class::New => Some(b'n'),
        Class::Miss => Some(b'm'),
        Class::Database | Class::Rewrite => None,
    }
}

/// The classes in force.
#[derive(Default)]
pub struct Wanted(AtomicU32);

impl Wanted {
    fn classes(&self) -> Classes {
        Classes(self.0.load(Ordering::Relaxed))
    }
}

/// See the module's page.
pub struct Events {
    /// Where they are published.
    pub pubsub: Arc<PubSub>,
    /// Which of them.
    pub wanted: Arc<Wanted>,
}

impl Events {
    /// Publishes the events of a command.
    pub fn announce(&self, step: &Step<'_>) {
        let classes = self.wanted.classes();
        if classes == Classes::default() || self.pubsub.is_idle() {
            return;
        }
        let told = step.changes().filter(|change| classes.tells(change.event.class));
        told.for_each(|change| self.tell(&change, classes));
    }

    fn tell(&self, change: &Change<'_>, classes: Classes) {
        let name = change.event.name.as_bytes();
        if classes.has(b'K') {
            self.pubsub.publish(&channel("keyspace", change, change.key), name);
        }
        if classes.has(b'E') {
            self.pubsub.publish(&channel("keyevent", change, name), change.key);
        }
    }
}

/// `__keyspace@0__:key`.
fn channel(kind: &str, change: &Change<'_>, last: &[u8]) -> Vec<u8> {
    let mut channel = format!("__{kind}@{}__:", change.db).into_bytes();
    channel.extend_from_slice(last);
    channel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_told_if_its_letter_or_that_of_all_is_there() {
        assert!(Classes::of(b"A").tells(Class::ZSet) && Classes::of(b"Kz").tells(Class::ZSet));
        assert!(!Classes::of(b"Kg").tells(Class::ZSet) && !Classes::of(b"AK").has(b'E'));
        for (class, letter) in [(Class::New, b'n'), (Class::Miss, b'm')] {
            assert!(!Classes::of(b"AKE").tells(class) && Classes::of(&[letter]).tells(class));
        }
        let untold = [Class::Database, Class::Rewrite];
        assert!(untold.iter().all(|&class| !Classes::of(b"AKEmn").tells(class)));
    }
}

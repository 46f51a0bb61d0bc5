//! Keyspace events: subscribers are told what happens to keys.
//!
//! What a command noted is published on two channels for each note: on that of the key the
//! name of the event, on that of the event the name of the key. An event that is about fields of a
//! hash is published on four more, which name them. Which classes are told, on which channels, is
//! the setting `notify-keyspace-events`; while it names none, or no kind of channel, the keyspace
//! notes nothing for the sake of events.
//!
//! # Invariants
//!
//! 1. A message that names fields can be taken apart again, whatever bytes are in names: where what
//!    stands between two of them could belong to the first, there is no message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use keyspace::{Change, Class, Keyspace, Listener, Parts, Step};

use crate::pubsub::PubSub;

/// What `notify-keyspace-events` asks for, a bit for each letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u32);

/// Each letter that asks for something by itself; its place is its bit.
const LETTERS: &[u8] = b"KEg$lshzxetdamnocSTIV";

/// The letters that `A` stands for.
const ALL: &[u8] = b"g$lshzxetda";

/// The letters of channels that are told of keys.
const KEY_CHANNELS: &[u8] = b"KE";

/// The letters of channels that are told of fields.
const PART_CHANNELS: &[u8] = b"STIV";

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

    /// Whether one of several letters is asked for.
    fn has_any(self, letters: &[u8]) -> bool {
        self.0 & Classes::of(letters).0 != 0
    }

    /// Whether events of a class are told.
    fn tells(self, class: Class) -> bool {
        letter_of(class).is_some_and(|letter| self.has(letter))
    }

    /// Puts it in force: the keyspace notes what is asked for from now on.
    pub fn apply(self, wanted: &Wanted, keyspace: &Keyspace) {
        wanted.0.store(self.0, Ordering::Relaxed);
        for whom in [Listener::Events, Listener::Misses, Listener::Parts, Listener::Overwrites] {
            keyspace.listen(whom, self.needs(whom));
        }
    }

    /// Whether the keyspace is to note something for the sake of events.
    fn needs(self, what: Listener) -> bool {
        let (keys, parts) = (self.has_any(KEY_CHANNELS), self.has_any(PART_CHANNELS));
        match what {
            Listener::Events => keys && self.has_any(b"Anoc") || self.needs(Listener::Parts),
            Listener::Misses => keys && self.has(b'm'),
            Listener::Overwrites => keys && self.has_any(b"oc"),
            Listener::Parts => parts && self.tells(Class::Hash),
            Listener::Followers => false,
        }
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
        Class::Overwritten => Some(b'o'),
        Class::TypeChanged => Some(b'c'),
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
        told.for_each(|change| {
            let publish = |channel: &[u8], message: &[u8]| {
                self.pubsub.publish(channel, message);
            };
            tell(&change, classes, publish);
        });
    }
}

/// Publishes one event on each of the channels that are asked for.
fn tell(change: &Change<'_>, classes: Classes, mut publish: impl FnMut(&[u8], &[u8])) {
    let name = change.event.name.as_bytes();
    if classes.has(b'K') {
        publish(&channel("keyspace", change, &[change.key]), name);
    }
    if classes.has(b'E') {
        publish(&channel("keyevent", change, &[name]), change.key);
    }
    if !change.parts.is_empty() && classes.has_any(PART_CHANNELS) {
        tell_parts(change, classes, publish);
    }
}

/// The same on the channels that name fields.
fn tell_parts(change: &Change<'_>, classes: Classes, mut publish: impl FnMut(&[u8], &[u8])) {
    let (name, key) = (change.event.name.as_bytes(), change.key);
    let parts = list(change.parts);
    let is_name_plain = !name.contains(&b'|');
    if classes.has(b'S') && is_name_plain {
        let message = [name, b"|", &parts].concat();
        publish(&channel("subkeyspace", change, &[key]), &message);
    }
    if classes.has(b'T') {
        let mut message = counted(key);
        message.push(b'|');
        message.extend_from_slice(&parts);
        publish(&channel("subkeyevent", change, &[name]), &message);
    }
    if classes.has(b'I') && !key.contains(&b'\n') {
        let mut channel = channel("subkeyspaceitem", change, &[key, b"\n"]);
        let start = channel.len();
        for part in change.parts.iter() {
            channel.truncate(start);
            channel.extend_from_slice(part);
            publish(&channel, name);
        }
    }
    if classes.has(b'V') && is_name_plain {
        publish(&channel("subkeyspaceevent", change, &[name, b"|", key]), &parts);
    }
}

/// `__keyspace@0__:key`, of the words behind the colon.
fn channel(kind: &str, change: &Change<'_>, words: &[&[u8]]) -> Vec<u8> {
    let mut channel = format!("__{kind}@{}__:", change.db).into_bytes();
    words.iter().for_each(|word| channel.extend_from_slice(word));
    channel
}

/// `5:field,3:own`.
fn list(parts: Parts<'_>) -> Vec<u8> {
    let mut list = Vec::new();
    for part in parts.iter() {
        if !list.is_empty() {
            list.push(b',');
        }
        list.extend_from_slice(&counted(part));
    }
    list
}

/// `5:field`.
fn counted(name: &[u8]) -> Vec<u8> {
    let mut text = format!("{}:", name.len()).into_bytes();
    text.extend_from_slice(name);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_told_if_its_letter_or_that_of_all_is_there() {
        assert!(Classes::of(b"A").tells(Class::ZSet) && Classes::of(b"Kz").tells(Class::ZSet));
        assert!(!Classes::of(b"Kg").tells(Class::ZSet) && !Classes::of(b"AK").has(b'E'));
        let apart = [
            (Class::New, b'n'),
            (Class::Miss, b'm'),
            (Class::Overwritten, b'o'),
            (Class::TypeChanged, b'c'),
        ];
        for (class, letter) in apart {
            assert!(!Classes::of(b"AKE").tells(class) && Classes::of(&[letter]).tells(class));
        }
        let untold = [Class::Database, Class::Rewrite];
        assert!(untold.iter().all(|&class| !Classes::of(b"AKEmnocSTIV").tells(class)));
    }

    /// What is noted costs, so nothing is that nobody could be told of.
    #[test]
    fn the_keyspace_notes_what_a_channel_and_a_class_ask_for_together() {
        use Listener::{Events, Misses, Overwrites, Parts};
        let cases: [(&str, &[Listener]); 14] = [
            ("", &[]),
            ("KE", &[]),
            ("Anocm", &[]),
            ("STIV", &[]),
            ("g$lszxetdaSTIVmnoc", &[]),
            ("Kz", &[Events]),
            ("En", &[Events]),
            ("Km", &[Misses]),
            ("Eo", &[Events, Overwrites]),
            ("Kc", &[Events, Overwrites]),
            ("Vh", &[Events, Parts]),
            ("AI", &[Events, Parts]),
            ("KhT", &[Events, Parts]),
            ("AKESTIVmnoc", &[Events, Misses, Overwrites, Parts]),
        ];
        for (letters, expected) in cases {
            let classes = Classes::of(letters.as_bytes());
            let needed = [Events, Misses, Overwrites, Parts].map(|what| classes.needs(what));
            let wanted = [Events, Misses, Overwrites, Parts].map(|what| expected.contains(&what));
            assert_eq!(needed, wanted, "{letters}");
        }
    }
}

//! MONITOR: clients that are told of every command that runs.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keyspace::DbIndex;

use crate::client::{Client, ClientId, Message};

/// The monitors of a server.
#[derive(Default)]
pub struct Monitor {
    count: AtomicUsize,
    clients: Mutex<Vec<Arc<Client>>>,
}

impl Monitor {
    /// Whether anybody watches.
    #[must_use]
    #[inline]
    pub fn is_watched(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Takes a client in; it is told from the next command on.
    pub fn join(&self, client: &Arc<Client>) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if !client.monitor.swap(true, Ordering::Relaxed) {
            clients.push(Arc::clone(client));
        }
        self.count.store(clients.len(), Ordering::Relaxed);
    }

    /// Lets a client go.
    pub fn leave(&self, client: &Arc<Client>) {
        if self.is_watched() {
            let id: ClientId = client.id;
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            clients.retain(|other| other.id != id);
            self.count.store(clients.len(), Ordering::Relaxed);
        }
    }

    /// Tells all monitors of a command that runs now, in a database, for whoever has this address.
    #[cold]
    pub fn tell<'a>(
        &self,
        unix_micros: u64,
        by: (DbIndex, &str),
        words: impl Iterator<Item = &'a [u8]>,
    ) {
        let line = Message::whole(line(unix_micros, by, words).into_bytes());
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        for client in clients.iter() {
            client.send(line.clone());
        }
    }
}

/// `+1700000000.123456 [0 127.0.0.1:5000] "SET" "a" "b"`, as clients parse it.
fn line<'a>(
    unix_micros: u64,
    (db, address): (DbIndex, &str),
    words: impl Iterator<Item = &'a [u8]>,
) -> String {
    let (seconds, micros) = (unix_micros / 1_000_000, unix_micros % 1_000_000);
    let mut line = format!("+{seconds}.{micros:06} [{db} {address}]");
    for word in words {
        line.push(' ');
        quote(word, &mut line);
    }
    line.push_str("\r\n");
    line
}

/// Writes bytes in double quotes, those that cannot be printed as escapes.
pub fn quote(word: &[u8], into: &mut String) {
    into.push('"');
    for &byte in word {
        match byte {
            b'"' | b'\\' => into.extend(['\\', char::from(byte)]),
            b'\n' => into.push_str("\\n"),
            b'\r' => into.push_str("\\r"),
            b'\t' => into.push_str("\\t"),
            7 => into.push_str("\\a"),
            8 => into.push_str("\\b"),
            b' '..=b'~' => into.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(into, "\\x{byte:02x}")),
        }
    }
    into.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_printed_is_escaped() {
        let mut text = String::new();
        quote(b"a\"b\\\r\n\x00\xff", &mut text);
        assert_eq!(text, r#""a\"b\\\r\n\x00\xff""#);
    }
}

//! Replies that are compared only as far as two servers mean to be alike.

use testkit::executor::Executor;
use testkit::{Dialect, Value};

/// A deadline after this, in the year 9892, is just far away: Anax keeps 48 bits of it, which end
/// in the year 10889, others 63.
const FAR_MS: i64 = 250_000_000_000_000;

/// What is compared of a reply to a command of this name.
pub(crate) fn compared(name: &[u8], reply: Value) -> Value {
    let far = match name.to_ascii_uppercase().as_slice() {
        b"PTTL" | b"PEXPIRETIME" => FAR_MS,
        b"TTL" | b"EXPIRETIME" => FAR_MS / 1000,
        _ => return reply,
    };
    match reply {
        Value::Integer(time) if time >= far => Value::Integer(far),
        near => near,
    }
}

/// An executor of which only that is seen which is compared.
pub(crate) struct Alike<E> {
    inner: E,
    /// Commands that are not sent at all, in capitals.
    spared: &'static [&'static str],
}

impl<E: Executor> Alike<E> {
    /// Spares `inner` some commands.
    pub(crate) fn new(inner: E, spared: &'static [&'static str]) -> Self {
        Self { inner, spared }
    }
}

impl<E: Executor> Executor for Alike<E> {
    fn run(&mut self, client: &str, words: &[Vec<u8>]) -> Value {
        if self.spared.iter().any(|name| words[0].eq_ignore_ascii_case(name.as_bytes())) {
            return Value::Nil;
        }
        compared(&words[0], self.inner.run(client, words))
    }

    fn advance(&mut self, ms: u64) {
        self.inner.advance(ms);
    }

    fn clear(&mut self) {
        self.inner.clear();
    }

    fn open(&mut self, client: &str, dialect: Dialect) {
        self.inner.open(client, dialect);
    }
}

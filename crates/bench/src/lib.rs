//! Load generator and comparison for servers that speak the Redis protocol: the
//! binary `anax-benchmark`.
//!
//! Two things are done here. `anax-benchmark [FLAGS]` puts load on one server
//! and takes redis-benchmark's flags, so that scripts and habits carry over;
//! `anax-benchmark compare` starts the servers that are installed side by side
//! and writes down what an operation, a key and a big event cost each of them.
//!
//! Latency is the reason for an own generator. With `--rate` a request has a
//! moment at which it should be sent, and its latency counts from that moment,
//! so the time that a request spends waiting for a stalled server is measured
//! rather than left out.
//!
//! # Layout
//!
//! | module | what |
//! | --- | --- |
//! | `args`, `tests` | the command line; the tests that `-t` knows |
//! | `wire` | requests to bytes, bytes to replies: all that is specific to one protocol |
//! | `keys`, `schedule` | which key comes next; when a request is due |
//! | `load` | threads and connections that send the load |
//! | `report` | text, CSV and JSON of a finished test |
//! | `compare` | servers side by side |
//!
//! # Invariants
//!
//! 1. A reply is counted once, for the request that asked for it; push messages are not replies.
//! 2. A request's latency ends with the read that brought the end of its reply.
//! 3. A child process does not outlive the comparison that started it.
//!
//! Nothing here is on the server's data path. The generator reads clocks and
//! prints, because that is its job. Linux only: it waits with `epoll` and reads
//! `/proc`. TLS and Memcached's protocol are absent; the latter's place is `wire`.
#![expect(clippy::disallowed_methods, reason = "measuring time is what this crate is for")]
#![expect(clippy::print_stdout, reason = "the report goes to the terminal")]
#![expect(clippy::print_stderr, reason = "progress and complaints go to the terminal")]

mod args;
mod client;
mod compare;
mod connection;
mod json;
mod keys;
mod load;
mod report;
mod run;
mod schedule;
mod stop;
mod target;
mod tests;
mod wire;

pub use run::main;

//! What the tests of the other crates lean on.
//!
//! * [`value`]: a reply, as any dialect of the protocol can carry it.
//! * [`notation`] and [`pattern`]: replies written as `redis-cli` prints them,
//!   and expectations read back from such text.
//! * [`client`] and [`server`]: a small blocking client, and servers as child
//!   processes; the reference server ("oracle") among them.
//! * [`transcript`]: tests of commands, written as sessions at a prompt.
//! * [`model`] and [`random`]: string and generic commands on a plain map, and
//!   random commands to compare two implementations with.
//! * [`linearizability`]: whether a concurrent history could have happened one
//!   operation at a time.
//! * [`serializability`]: whether a concurrent history of transactions could have
//!   happened one transaction at a time.
//!
//! Only the standard library is used, and none of the crates under test: a
//! mistake in one of them cannot hide behind the same mistake here.

pub mod client;
pub mod executor;
pub mod linearizability;
pub mod model;
pub mod notation;
pub mod pattern;
pub mod random;
pub mod serializability;
pub mod server;
pub mod transcript;
pub mod value;

pub use client::Client;
pub use executor::{Executor, SocketExecutor};
pub use value::{Dialect, Value};

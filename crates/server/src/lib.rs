//! Anax, the server: connections, sessions, settings, metrics; the commands that concern them.
//!
//! A [`server::Server`] is shared by all threads. Each [`worker`] serves its connections on one
//! thread: [`connection`] reads requests into batches, [`execute`] runs them, and what waits,
//! waits as a task. A control thread accepts connections and answers the admin port.
//!
//! # Invariants
//!
//! 1. No gate of the keyspace is held across an `.await` once a command runs.
//! 2. Only [`clock`] reads a clock, only [`threads`] starts threads.
//! 3. A panic in a command ends its connection with an error and nothing else.

pub mod acl;
pub mod background;
pub mod blocking;
pub mod client;
pub mod clock;
pub mod commands;
pub mod connection;
pub mod events;
pub mod execute;
pub mod executor;
pub mod functions;
pub mod http;
pub mod info;
pub mod latency;
pub mod listen;
pub mod log;
pub mod long_work;
pub mod metrics;
pub mod monitor;
pub mod pause;
pub mod process;
pub mod pubsub;
pub mod sampler;
pub mod scripts;
pub mod secrets;
pub mod server;
pub mod session;
pub mod settings;
pub mod slowlog;
pub mod socket;
pub mod start;
pub mod stats;
pub mod threads;
pub mod tracking;
pub mod transaction;
pub mod turns;
pub mod worker;

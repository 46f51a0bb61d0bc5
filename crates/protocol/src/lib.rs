//! The wire format: requests in, replies out.
//!
//! Requests come as RESP arrays of bulk strings or as inline lines; replies go
//! out in RESP2 or RESP3. Everything here is a function of bytes: no socket, no
//! clock, no knowledge of commands.
//!
//! * [`Parser`] finds the words of the next request in a read buffer and leaves
//!   them where they are: a request is a list of [`Span`]s, read through [`Words`].
//! * [`Reply`] writes one reply into the [`Output`] of a connection, in the
//!   [`Dialect`] that the client speaks.
//! * [`decode`] reads replies back, for clients: the benchmark and the tests.
//! * [`http`] tells a web client that knocked on the wrong door.
//!
//! # Invariants
//!
//! 1. However a stream of requests is cut into pieces, the same requests come out.
//! 2. Parsing a request costs time linear in its bytes, in however many pieces it
//!    comes, and memory linear in the bytes that have come, not in those announced.
//! 3. No text that is given to [`Reply`] can end its line early.
//! 4. No input makes anything here panic.

mod double;
mod error;
mod inline;
mod output;
mod parser;
mod reply;
mod request;

pub mod decode;
pub mod http;

pub use double::format_double;
pub use error::ProtocolError;
pub use output::{Chunks, Mark, Output, SHARE_MIN};
pub use parser::{Parsed, Parser};
pub use reply::{Deferred, Dialect, Reply};
pub use request::{Iter, Limits, Span, Words};

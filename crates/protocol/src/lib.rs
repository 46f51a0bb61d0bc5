//! The Redis protocol, RESP2 and RESP3: requests in, replies out. No socket, no session.
//!
//! [`Parser`] finds the words of requests in a buffer without copying them; [`Reply`] writes
//! replies into an [`Output`], which may refer to long values instead of copying them.
//! [`decode`] is the other side: it reads replies, for clients and tests.
//!
//! # Invariants
//!
//! 1. No input makes the parser panic, allocate more than the input's own size, or take more than
//!    linear time in total, however it is cut into pieces.
//! 2. A status or error line never contains CR, LF or NUL, whatever text it is made of.

pub mod decode;
mod http;
mod inline;
mod output;
mod reply;
mod request;

pub use http::looks_like_http;
pub use inline::{encode_request, split_quoted};
pub use output::{Mark, Output};
pub use reply::{Deferred, Dialect, Reply, SHARE_MIN, format_double};
pub use request::{Limits, Parsed, Parser, ProtocolError, Span, Words};

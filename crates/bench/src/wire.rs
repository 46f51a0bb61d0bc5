//! What is specific to the Redis protocol: requests to bytes and bytes to replies.
//!
//! A request is encoded once, before the load starts. Its placeholders
//! `__rand_int__` are twelve bytes wide and so is every number that takes their
//! place, so that sending a request again means overwriting a few digits of a
//! ready buffer. Replies are counted rather than decoded.

mod batch;
mod scanner;

pub(crate) use batch::{Batch, Template, encode};
pub(crate) use scanner::{ScanError, Scanned, Scanner};

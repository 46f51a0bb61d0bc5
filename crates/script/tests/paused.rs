//! The tests of scripts once more, with runs that pause at each look and go on on other threads.

#![allow(clippy::duplicate_mod, reason = "each has the small server with it")]

#[path = "bytes.rs"]
mod bytes;
#[path = "functions.rs"]
mod functions;
#[path = "hostile.rs"]
mod hostile;
#[path = "runs.rs"]
mod runs;
#[path = "sandbox.rs"]
mod sandbox;

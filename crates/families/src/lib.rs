//! The commands over the keyspace: one file a family, one row and one function a command.
//!
//! A command function takes its arguments apart, asks or changes the view, and replies; the rules
//! over values are pure functions beside it. [`FAMILIES`] is all that the server takes from here.

pub mod array;
pub mod bitmap;
mod chance;
mod element;
mod extended;
pub mod generic;
pub mod geo;
pub mod glob;
pub mod hash;
pub mod hyperloglog;
pub mod list;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod string;
mod walk;
mod work;

use command::Command;

/// The rows of every family.
pub const FAMILIES: &[&[Command]] = &[
    string::COMMANDS,
    bitmap::COMMANDS,
    hyperloglog::COMMANDS,
    list::COMMANDS,
    set::COMMANDS,
    hash::COMMANDS,
    sorted_set::COMMANDS,
    geo::COMMANDS,
    stream::COMMANDS,
    array::COMMANDS,
    generic::COMMANDS,
];

//! Strings.

mod basic;

use command::Command;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[basic::GET, basic::SET];

//! What a command is: one row of a `const` table, typed arguments, and the errors it may answer.
//!
//! A family of commands is a file with one [`Command`] and one function a command; everything
//! else that must be known of it (COMMAND, COMMAND DOCS, ACL categories, key positions, the pages
//! of the manual) is computed from the row. The row's [`Run`] says what the function may touch.
//!
//! The crate knows no single command, no connection and no clock.

mod args;
mod block;
mod docs;
mod error;
mod fieldsets;
mod options;
mod row;
mod table;
mod work;

pub use args::{Arg, Args, Index, Key, parse_float, parse_integer, parse_positive};
pub use block::{Attempt, Awaits, Block, Now, Pins, Tried, Until, wait_millis, wait_seconds};
pub use docs::{Argument, ArgumentKind, arguments};
pub use error::{CommandError, Done};
pub use fieldsets::Fieldsets;
pub use options::{Lifetime, LifetimeWord, STRING_BYTES_MAX, Unit, deadline_of};
pub use row::{Arity, Begin, Category, Command, Enter, Find, Flags, Group, KeySpec, KeyUse, Run};
pub use table::{Entry, Shape, Table};
pub use work::{COPIED_BYTES, Prepare, Prepared, Put, Sift, WORD_STEPS, Wanted, Work};

pub use keyspace::{View, event};
pub use protocol::{Reply, Words};

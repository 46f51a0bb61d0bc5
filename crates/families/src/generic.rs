//! Commands for keys whatever they hold, and for whole databases.
//!
//! What holds for several keys or databases at once (RENAME, COPY, MOVE, SWAPDB) is one
//! transaction like any other: the view has entered all that is needed before the function runs.

mod databases;
mod dump;
pub(crate) mod expire;
pub(crate) mod fields;
mod keys;
mod object;
mod scan;
mod sort;
mod transfer;

use command::{Arg, Command, CommandError, parse_integer};

pub use dump::{reload, saved_len};
pub use object::{USAGE, encoding_of_stored, nodes_of_stored};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    keys::DEL,
    keys::UNLINK,
    keys::EXISTS,
    keys::TOUCH,
    keys::TYPE,
    keys::RANDOMKEY,
    keys::KEYS,
    keys::STICK,
    expire::EXPIRE,
    expire::PEXPIRE,
    expire::EXPIREAT,
    expire::PEXPIREAT,
    expire::TTL,
    expire::PTTL,
    expire::EXPIRETIME,
    expire::PEXPIRETIME,
    expire::PERSIST,
    fields::FIELDEXPIRE,
    fields::FIELDTTL,
    transfer::RENAME,
    transfer::RENAMENX,
    transfer::COPY,
    transfer::MOVE,
    scan::SCAN,
    scan::RM,
    sort::SORT,
    sort::SORT_RO,
    object::OBJECT,
    dump::DUMP,
    dump::RESTORE,
    dump::RESTORE_ASKING,
    databases::DBSIZE,
    databases::FLUSHDB,
    databases::FLUSHALL,
    databases::SWAPDB,
];

/// The number of a database, not yet compared with how many there are.
struct DbNumber(i32);

impl DbNumber {
    /// The database, if there are so many.
    fn within(&self, databases: u16) -> Result<u16, CommandError> {
        let index = u16::try_from(self.0).ok().filter(|&index| index < databases);
        index.ok_or(CommandError::DbIndex)
    }
}

impl Arg<'_> for DbNumber {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        let number = parse_integer(raw).ok_or(CommandError::NotAnInteger)?;
        i32::try_from(number).map(DbNumber).map_err(|_| CommandError::NotAnInt32)
    }
}

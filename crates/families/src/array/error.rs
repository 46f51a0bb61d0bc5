//! What the commands of arrays refuse.

use std::fmt;

use command::CommandError;

/// A refusal that only commands of arrays know.
///
/// The text is wire contract, as of [`CommandError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArrayError {
    /// A word is no index, or there is none behind the last one.
    Index,
    /// There are not as many indexes behind the cursor.
    InsertOverflow,
    /// A range has more indexes than are told at once.
    RangeTooLong,
    /// A limit has to let something through.
    LimitNotPositive,
    /// There are too many predicates.
    Predicates,
    /// A regular expression is too long.
    RegexTooLong,
    /// A regular expression is none, or too costly.
    Regex,
}

impl From<ArrayError> for CommandError {
    fn from(error: ArrayError) -> CommandError {
        CommandError::text(error.to_string())
    }
}

impl fmt::Display for ArrayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ArrayError::Index => "ERR invalid array index",
            ArrayError::InsertOverflow => "ERR insert index overflow",
            ArrayError::RangeTooLong => "ERR range exceeds maximum of 1000000 items",
            ArrayError::LimitNotPositive => "ERR LIMIT must be > 0",
            ArrayError::Predicates => "ERR too many predicates",
            ArrayError::RegexTooLong => "ERR regular expression too long",
            ArrayError::Regex => "ERR invalid regular expression",
        })
    }
}

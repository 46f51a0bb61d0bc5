//! Why a dump or a payload is refused.

use std::error::Error;
use std::fmt;

/// A refusal of a dump, of a payload, or of what was given to an encoder.
///
/// `RESTORE` tells two kinds apart: [`RdbError::is_footer`] says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RdbError {
    /// The dump is shorter than its footer, or has a version that is not known.
    Version,
    /// The checksum of the dump is another one.
    Checksum,
    /// The payload ends inside a value.
    Truncated,
    /// Bytes follow the value.
    Trailing,
    /// A length stands where none can, or exceeds what follows or a limit.
    Length,
    /// A string says an encoding that does not exist.
    Encoding,
    /// A compressed string is broken.
    Compression,
    /// A listpack, ziplist, zipmap or intset is broken.
    Packed,
    /// A field has no value, or a member no score.
    Pairs,
    /// A member, field, group, consumer or id stands there twice.
    Duplicate,
    /// A score is not a number, or a deadline is not a time.
    NotANumber,
    /// A collection without elements.
    Empty,
    /// Ids or integers are not in order.
    Order,
    /// As many elements as were announced did not come, or more.
    Count,
    /// Entries pend without an owner, or with two.
    Pending,
    /// A type that the version does not know.
    UnknownType,
    /// The value of a module.
    Module,
    /// A known type whose layout is not known.
    Unsupported,
    /// A hash refers to a template that there is none of.
    Template,
    /// The format has no place for arrays.
    Array,
    /// The format has no place for deadlines of fields.
    FieldDeadline,
}

impl RdbError {
    /// Whether the dump is refused for its version or checksum, not for its data.
    pub fn is_footer(self) -> bool {
        matches!(self, Self::Version | Self::Checksum)
    }
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "the version of the dump is not known",
            Self::Checksum => "the checksum of the dump is wrong",
            Self::Truncated => "the value is cut off",
            Self::Trailing => "bytes follow the value",
            Self::Length => "a length is out of range",
            Self::Encoding => "an encoding of a string is not known",
            Self::Compression => "a compressed string is broken",
            Self::Packed => "a packed collection is broken",
            Self::Pairs => "half a pair is missing",
            Self::Duplicate => "an element stands there twice",
            Self::NotANumber => "a score or a deadline is not a number",
            Self::Empty => "the collection is empty",
            Self::Order => "ids or integers are not in order",
            Self::Count => "the count of elements is wrong",
            Self::Pending => "a pending entry has not exactly one owner",
            Self::UnknownType => "the type is not known in this version",
            Self::Module => "values of modules are not supported",
            Self::Unsupported => "this type of value is not supported",
            Self::Template => "the template of a hash is not known",
            Self::Array => "the format has no arrays",
            Self::FieldDeadline => "the format has no deadlines of fields",
        })
    }
}

impl Error for RdbError {}

//! The refusals of commands.

use std::fmt;

use keyspace::Refused;

/// What a command function returns: its reply is written, or this error is the reply.
pub type Done = Result<(), CommandError>;

/// A refusal of one command. The connection lives on.
///
/// The text is wire contract: clients match on it, so it is written here once, never at a call
/// site. Tests compare every line with the reference server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The key holds another type.
    WrongType,
    /// An argument is where none belongs, or misses where one does.
    Syntax,
    /// An argument is not a 64-bit integer.
    NotAnInteger,
    /// An integer is not one of 32 bits.
    NotAnInt32,
    /// An argument or a value is not a floating-point number.
    NotAFloat,
    /// An argument must not be negative.
    NotPositive,
    /// A count must be greater than zero.
    CountNotPositive,
    /// A limit must not be negative.
    LimitNegative,
    /// The timeout of a command that waits is no number.
    TimeoutNotAFloat,
    /// It is negative.
    TimeoutNegative,
    /// It ends beyond all time.
    TimeoutOutOfRange,
    /// A sum leaves the range of 64-bit integers.
    Overflow,
    /// A decrement has no positive twin.
    DecrementOverflow,
    /// A sum is not a number or infinite.
    NotFinite,
    /// A position in a string is negative or beyond reach.
    OffsetOutOfRange,
    /// A string would outgrow `proto-max-bulk-len`.
    StringTooLong,
    /// A position in a bitmap is negative or beyond reach.
    BitOffset,
    /// A bit is neither 0 nor 1.
    BitValue,
    /// The bit that BITPOS looks for is neither 0 nor 1.
    BitPosValue,
    /// BITOP NOT takes one source.
    BitopNot,
    /// BITOP DIFF, DIFF1 and ANDOR take two sources at least.
    BitopSources(&'static str),
    /// A type of BITFIELD is not one of `i1` to `i64`, `u1` to `u63`.
    BitfieldType,
    /// OVERFLOW of BITFIELD is not WRAP, SAT or FAIL.
    BitfieldOverflow,
    /// BITFIELD_RO writes nothing.
    BitfieldReadOnly,
    /// A time to live is zero or negative, or its end is out of range; for this command.
    InvalidExpire(&'static str),
    /// NX of the EXPIRE family excludes the others.
    ExpireNxAlone,
    /// GT and LT exclude each other.
    ExpireGtLt,
    /// An option that the EXPIRE family does not know.
    UnsupportedOption(Box<str>),
    /// There is no such key where one is needed.
    NoSuchKey,
    /// Source and destination are the same.
    SameObject,
    /// A database number is not an integer in range.
    DbIndex,
    /// A database number is not an integer.
    InvalidDbIndex,
    /// The first database of SWAPDB is not an integer.
    InvalidFirstDb,
    /// The second database of SWAPDB is not an integer.
    InvalidSecondDb,
    /// A SCAN cursor is not a number.
    InvalidCursor,
    /// A TYPE filter names no type.
    UnknownType(Box<str>),
    /// A command got too many or too few words.
    WrongArity(Box<str>),
    /// There is no such command; the text quotes its beginning.
    UnknownCommand(Box<str>),
    /// There is no such subcommand of this command.
    UnknownSubcommand {
        /// As it was given.
        subcommand: Box<str>,
        /// The command, in upper case.
        command: &'static str,
    },
    /// A command that may grow memory, while the limit is reached.
    OutOfMemory,
    /// The command needs a password first.
    NoAuth,
    /// The protocol version of HELLO is neither 2 nor 3.
    NoProto,
    /// A digest of a comparison is not 16 hexadecimal digits.
    InvalidDigest,
    /// `numkeys` is zero, negative or not an integer.
    NumKeys,
    /// `numkeys` of MSETEX is not one from 1 to 2^31 - 1.
    InvalidNumKeys,
    /// `numkeys` does not fit what follows.
    WrongKeyCount,
    /// INCREX has bounds with nothing between them.
    BoundsCrossed,
    /// ENX of INCREX needs one of EX, PX, EXAT and PXAT.
    EnxWithoutExpire,
    /// LCS cannot be asked for both length and matches.
    LcsLenAndIdx,
    /// LCS needs strings.
    LcsTypes,
    /// LCS would need more memory than is sane.
    LcsTooLong,
    /// OBJECT FREQ asks what only an LFU policy records.
    NotLfu,
    /// OBJECT IDLETIME asks what an LFU policy does not record.
    IsLfu,
    /// A string is no HyperLogLog.
    NotHyperLogLog,
    /// A HyperLogLog's registers are not in order.
    CorruptHyperLogLog,
    /// CL.THROTTLE cannot work with a rate of zero.
    ZeroRate,
    /// A position is not in the list.
    IndexOutOfRange,
    /// RANK of LPOS is zero.
    RankZero,
    /// An integer has no positive twin.
    NoPositiveTwin,
    /// An option of LPOS must not be negative.
    OptionNegative(&'static str),
    /// What is to be sorted by numbers holds something else.
    SortWeight,
    /// Any other text of the server's own commands, code included.
    Text(Box<str>),
}

impl CommandError {
    /// An error whose text is made where it happens: for the server's own commands only, whose
    /// texts name settings and addresses.
    #[must_use]
    pub fn text(text: impl Into<String>) -> CommandError {
        CommandError::Text(text.into().into_boxed_str())
    }
}

impl From<Refused> for CommandError {
    fn from(refused: Refused) -> CommandError {
        match refused {
            Refused::WrongType => CommandError::WrongType,
            Refused::Full => CommandError::OutOfMemory,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            CommandError::WrongType => {
                "WRONGTYPE Operation against a key holding the wrong kind of value"
            }
            CommandError::Syntax => "ERR syntax error",
            CommandError::NotAnInteger => "ERR value is not an integer or out of range",
            CommandError::NotAnInt32 => {
                "ERR value is out of range, value must between -2147483648 and 2147483647"
            }
            CommandError::NotAFloat => "ERR value is not a valid float",
            CommandError::NotPositive => "ERR value is out of range, must be positive",
            CommandError::CountNotPositive => "ERR count should be greater than 0",
            CommandError::LimitNegative => "ERR LIMIT can't be negative",
            CommandError::TimeoutNotAFloat => "ERR timeout is not a float or out of range",
            CommandError::TimeoutNegative => "ERR timeout is negative",
            CommandError::TimeoutOutOfRange => "ERR timeout is out of range",
            CommandError::Overflow => "ERR increment or decrement would overflow",
            CommandError::DecrementOverflow => "ERR decrement would overflow",
            CommandError::NotFinite => "ERR increment would produce NaN or Infinity",
            CommandError::OffsetOutOfRange => "ERR offset is out of range",
            CommandError::StringTooLong => {
                "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
            }
            CommandError::BitOffset => "ERR bit offset is not an integer or out of range",
            CommandError::BitValue => "ERR bit is not an integer or out of range",
            CommandError::BitPosValue => "ERR The bit argument must be 1 or 0.",
            CommandError::BitopNot => "ERR BITOP NOT must be called with a single source key.",
            CommandError::BitopSources(operation) => {
                return write!(
                    f,
                    "ERR BITOP {operation} must be called with at least two source keys."
                );
            }
            CommandError::BitfieldType => {
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not \
                 supported but i64 is."
            }
            CommandError::BitfieldOverflow => "ERR Invalid OVERFLOW type specified",
            CommandError::BitfieldReadOnly => "ERR BITFIELD_RO only supports the GET subcommand",
            CommandError::InvalidExpire(command) => {
                return write!(f, "ERR invalid expire time in '{command}' command");
            }
            CommandError::ExpireNxAlone => {
                "ERR NX and XX, GT or LT options at the same time are not compatible"
            }
            CommandError::ExpireGtLt => "ERR GT and LT options at the same time are not compatible",
            CommandError::UnsupportedOption(option) => {
                return write!(f, "ERR Unsupported option {option}");
            }
            CommandError::NoSuchKey => "ERR no such key",
            CommandError::SameObject => "ERR source and destination objects are the same",
            CommandError::DbIndex => "ERR DB index is out of range",
            CommandError::InvalidDbIndex => "ERR invalid DB index",
            CommandError::InvalidFirstDb => "ERR invalid first DB index",
            CommandError::InvalidSecondDb => "ERR invalid second DB index",
            CommandError::InvalidCursor => "ERR invalid cursor",
            CommandError::UnknownType(name) => return write!(f, "ERR unknown type name '{name}'"),
            CommandError::WrongArity(command) => {
                return write!(f, "ERR wrong number of arguments for '{command}' command");
            }
            CommandError::UnknownCommand(quoted) => {
                return write!(f, "ERR unknown command {quoted}");
            }
            CommandError::UnknownSubcommand { subcommand, command } => {
                return write!(f, "ERR unknown subcommand '{subcommand}'. Try {command} HELP.");
            }
            CommandError::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            CommandError::NoAuth => "NOAUTH Authentication required.",
            CommandError::NoProto => "NOPROTO unsupported protocol version",
            CommandError::InvalidDigest => {
                "ERR The digest must be exactly 16 hexadecimal characters"
            }
            CommandError::NumKeys => "ERR numkeys should be greater than 0",
            CommandError::InvalidNumKeys => "ERR invalid numkeys value",
            CommandError::WrongKeyCount => "ERR wrong number of key-value pairs",
            CommandError::BoundsCrossed => "ERR LBOUND can't be greater than UBOUND",
            CommandError::EnxWithoutExpire => "ERR ENX flag requires an expiration",
            CommandError::LcsLenAndIdx => {
                "ERR If you want both the length and indexes, please just use IDX."
            }
            CommandError::LcsTypes => "ERR The specified keys must contain string values",
            CommandError::LcsTooLong => {
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
            }
            CommandError::NotLfu => {
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. \
                 Please note that when switching between policies at runtime LRU and LFU data \
                 will take some time to adjust."
            }
            CommandError::IsLfu => {
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note \
                 that when switching between policies at runtime LRU and LFU data will take some \
                 time to adjust."
            }
            CommandError::NotHyperLogLog => {
                "WRONGTYPE Key is not a valid HyperLogLog string value."
            }
            CommandError::CorruptHyperLogLog => "INVALIDOBJ Corrupted HLL object detected",
            CommandError::ZeroRate => "ERR zero rates are not supported",
            CommandError::IndexOutOfRange => "ERR index out of range",
            CommandError::RankZero => {
                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second \
                 ... or use negative to start from the end of the list"
            }
            CommandError::NoPositiveTwin => {
                "ERR value is out of range, value must between -9223372036854775807 and \
                 9223372036854775807"
            }
            CommandError::OptionNegative(option) => {
                return write!(f, "ERR {option} can't be negative");
            }
            CommandError::SortWeight => "ERR One or more scores can't be converted into double",
            CommandError::Text(text) => text,
        };
        f.write_str(text)
    }
}

//! What the commands of streams refuse.

use std::fmt;

use command::CommandError;

/// A refusal that only commands of streams know.
///
/// The text is wire contract, as of [`CommandError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamError<'a> {
    /// A word is no id.
    InvalidId,
    /// There is no id behind an exclusive start.
    InvalidStart,
    /// There is no id before an exclusive end.
    InvalidEnd,
    /// `0-0` is no entry's id.
    ZeroId,
    /// An id is not greater than the last one.
    IdNotGreater,
    /// All ids were given.
    Exhausted,
    /// An entry is too large.
    TooLarge,
    /// MAXLEN is negative.
    MaxLenNegative,
    /// LIMIT is negative.
    LimitNegative,
    /// MAXLEN and MINID exclude each other.
    TwoStrategies,
    /// LIMIT has nothing to limit.
    LimitWithoutStrategy,
    /// XTRIM needs MAXLEN or MINID.
    NoStrategy,
    /// LIMIT is for trims that are nearly exact.
    LimitExact,
    /// XGROUP needs a key.
    NoKeyForGroup,
    /// There is a group of this name.
    GroupExists,
    /// ENTRIESREAD is less than -1.
    EntriesRead,
    /// There is no such group under this key.
    NoGroup { group: &'a [u8], key: &'a [u8] },
    /// There is no such key, or no such group under it.
    NoKeyOrGroup { key: &'a [u8], group: &'a [u8] },
    /// The same, where XREADGROUP wants it.
    NoKeyOrGroupToRead { key: &'a [u8], group: &'a [u8] },
    /// A subcommand's words are wrong.
    Subcommand { name: &'a [u8], command: &'static str },
    /// ENTRIESADDED is negative.
    EntriesAddedNegative,
    /// The last id would be less than MAXDELETEDID.
    SetBelowGivenDeleted,
    /// The last id would be less than that of a deleted entry.
    SetBelowDeleted,
    /// The last id would be less than that of an entry.
    SetBelowTop,
    /// Fewer entries would have been added than there are.
    EntriesAddedBelowLen,
    /// An option's number is none; of this option of this command.
    BadNumber { option: &'static str, command: &'static str },
    /// XCLAIM knows no such option.
    UnknownClaimOption(&'a [u8]),
    /// COUNT of XAUTOCLAIM is not positive.
    CountNotPositive,
    /// The number of ids is not positive.
    IdCount,
    /// The number of ids is not that of the words behind it.
    IdCountWrong,
    /// XNACK knows no such mode.
    NackMode,
    /// RETRYCOUNT is negative.
    RetryCountNegative,
    /// GROUP or NOACK is given to XREAD.
    OnlyInGroup(&'static str),
    /// XREADGROUP needs GROUP.
    NoGroupOption,
    /// `$` or `+` is given to XREADGROUP.
    Meaningless(char),
    /// `>` is given to XREAD.
    NewOnlyInGroup,
    /// There are not as many ids as keys.
    Unbalanced { command: &'static str, ids: &'static str },
    /// A timeout is no integer.
    Timeout,
    /// A timeout is negative.
    TimeoutNegative,
    /// CLAIM is no integer of at least 0.
    ClaimIdle,
    /// This option, MAXCOUNT or MAXSIZE, is no integer above 0.
    LimitNotPositive(&'static str),
    /// MAXCOUNT is less than COUNT.
    MaxCountBelowCount,
    /// The name of a producer or of a message is empty.
    EmptyMessage,
    /// IDMP and IDMPAUTO are for ids that the clock gives.
    MessageWithId,
    /// IDMP-DURATION is out of range.
    Duration,
    /// IDMP-MAXSIZE is out of range.
    MaxSize,
    /// There is no such entry.
    NoSuchEntry,
    /// A message has become another entry.
    OtherEntry,
}

impl From<StreamError<'_>> for CommandError {
    fn from(error: StreamError<'_>) -> CommandError {
        CommandError::text(error.to_string())
    }
}

impl fmt::Display for StreamError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lossy = |bytes| String::from_utf8_lossy(bytes);
        f.write_str(match *self {
            StreamError::InvalidId => "ERR Invalid stream ID specified as stream command argument",
            StreamError::InvalidStart => "ERR invalid start ID for the interval",
            StreamError::InvalidEnd => "ERR invalid end ID for the interval",
            StreamError::ZeroId => "ERR The ID specified in XADD must be greater than 0-0",
            StreamError::IdNotGreater => {
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
            }
            StreamError::Exhausted => {
                "ERR The stream has exhausted the last possible ID, unable to add more items"
            }
            StreamError::TooLarge => "ERR Elements are too large to be stored",
            StreamError::MaxLenNegative => "ERR The MAXLEN argument must be >= 0.",
            StreamError::LimitNegative => "ERR The LIMIT argument must be >= 0.",
            StreamError::TwoStrategies => {
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
            }
            StreamError::LimitWithoutStrategy => {
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
            }
            StreamError::NoStrategy => {
                "ERR syntax error, XTRIM must be called with a trimming strategy"
            }
            StreamError::LimitExact => {
                "ERR syntax error, LIMIT cannot be used without the special ~ option"
            }
            StreamError::NoKeyForGroup => {
                "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may \
                 want to use the MKSTREAM option to create an empty stream automatically."
            }
            StreamError::GroupExists => "BUSYGROUP Consumer Group name already exists",
            StreamError::EntriesRead => "ERR value for ENTRIESREAD must be positive or -1",
            StreamError::NoGroup { group, key } => {
                let (group, key) = (lossy(group), lossy(key));
                return write!(f, "NOGROUP No such consumer group '{group}' for key name '{key}'");
            }
            StreamError::NoKeyOrGroup { key, group } => {
                let (key, group) = (lossy(key), lossy(group));
                return write!(f, "NOGROUP No such key '{key}' or consumer group '{group}'");
            }
            StreamError::NoKeyOrGroupToRead { key, group } => {
                let (key, group) = (lossy(key), lossy(group));
                return write!(
                    f,
                    "NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with \
                     GROUP option"
                );
            }
            StreamError::Subcommand { name, command } => {
                let name = lossy(name);
                return write!(
                    f,
                    "ERR unknown subcommand or wrong number of arguments for '{name}'. Try \
                     {command} HELP."
                );
            }
            StreamError::EntriesAddedNegative => "ERR entries_added must be positive",
            StreamError::SetBelowGivenDeleted => {
                "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
            }
            StreamError::SetBelowDeleted => {
                "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
            }
            StreamError::SetBelowTop => {
                "ERR The ID specified in XSETID is smaller than the target stream top item"
            }
            StreamError::EntriesAddedBelowLen => {
                "ERR The entries_added specified in XSETID is smaller than the target stream length"
            }
            StreamError::BadNumber { option, command } => {
                return write!(f, "ERR Invalid {option} argument for {command}");
            }
            StreamError::UnknownClaimOption(option) => {
                return write!(f, "ERR Unrecognized XCLAIM option '{}'", lossy(option));
            }
            StreamError::CountNotPositive => "ERR COUNT must be > 0",
            StreamError::IdCount => "ERR Number of IDs must be a positive integer",
            StreamError::IdCountWrong => {
                "ERR The `numids` parameter must match the number of arguments"
            }
            StreamError::NackMode => "ERR mode must be one of SILENT, FAIL, FATAL",
            StreamError::RetryCountNegative => "ERR RETRYCOUNT must be >= 0",
            StreamError::OnlyInGroup(option) => {
                return write!(
                    f,
                    "ERR The {option} option is only supported by XREADGROUP. You called XREAD \
                     instead."
                );
            }
            StreamError::LimitNotPositive(option) => {
                return write!(f, "ERR {option} must be > 0");
            }
            StreamError::NoGroupOption => "ERR Missing GROUP option for XREADGROUP",
            StreamError::Meaningless(id) => {
                return write!(
                    f,
                    "ERR The {id} ID is meaningless in the context of XREADGROUP: you want to read \
                     the history of this consumer by specifying a proper ID, or use the > ID to get \
                     new messages. The {id} ID would just return an empty result set."
                );
            }
            StreamError::NewOnlyInGroup => {
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP \
                 <group> <consumer> option."
            }
            StreamError::Unbalanced { command, ids } => {
                return write!(
                    f,
"ERR Unbalanced '{command}' list of streams: for each stream key {ids} must be \
                     specified."
                );
            }
            StreamError::Timeout => "ERR timeout is not an integer or out of range",
            StreamError::TimeoutNegative => "ERR timeout is negative",
            StreamError::EmptyMessage => "ERR producer and message IDs must not be empty",
            StreamError::MessageWithId => {
                "ERR IDMP/IDMPAUTO can be used only with auto-generated IDs"
            }
            StreamError::Duration => "ERR invalid duration",
            StreamError::MaxSize => "ERR invalid maxsize",
            StreamError::NoSuchEntry => "ERR no such entry in the stream",
            StreamError::OtherEntry => "ERR the message is recorded with another stream ID",
            StreamError::MaxCountBelowCount => "ERR MAXCOUNT must be greater than or equal to COUNT",
            StreamError::ClaimIdle => "ERR min-idle-time must be a non-negative integer",
        })
    }
}

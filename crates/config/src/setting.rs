//! What a row of the registry is: [`Setting`], its [`Kind`], when it may be
//! changed and what it does today.
//!
//! A row is built by one of three functions, [`live`], [`later`] and
//! [`inert`], and refined by the methods below them, so that a line of the
//! table says only what is special about it.

use crate::rules::Rule;

/// One setting: everything the command line, `CONFIG`, the help text and the
/// docs page know of it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name: the one Redis uses where Redis has it, Dragonfly's otherwise.
    pub name: &'static str,
    /// Other names of the same setting. Dashes and underscores are alike
    /// everywhere, so a spelling that differs only in them is listed only
    /// where `CONFIG GET *` of the others shows it.
    pub aliases: &'static [&'static str],
    /// Which values it takes.
    pub kind: Kind,
    /// Its value when nobody gives one, as `CONFIG GET` prints it.
    pub default: &'static str,
    /// When it may be changed.
    pub change: Change,
    /// What giving it does today.
    pub status: Status,
    /// Whether it asks for protection, so that a server which cannot give it
    /// had better not start.
    pub guards: bool,
    /// Whether `CONFIG GET` shows it only to who asks for it by name, and the
    /// help and the docs leave it out: for tests of the servers that have it.
    pub hidden: bool,
    /// The chapter of the docs it stands in.
    pub group: Group,
    /// What it is for, in one line.
    pub doc: &'static str,
}

/// Which values a setting takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `yes` or `no`; also `true`, `false`, `1` and `0`.
    Bool,
    /// A whole number in a unit, both bounds included.
    Int {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
        /// What it counts.
        unit: Unit,
    },
    /// A number of bytes, with `k`, `kb`, `m`, `mb`, `g` or `gb` behind it if
    /// wanted (`k` is 1000 and `kb` 1024, as in Redis).
    Bytes {
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
    /// A number of bytes, or a share of `maxmemory` such as `10%`.
    BytesOrPercent,
    /// A decimal number, both bounds included.
    Float {
        /// The smallest value.
        min: f64,
        /// The largest value.
        max: f64,
    },
    /// File permissions in octal digits.
    Octal {
        /// The largest value.
        max: u32,
    },
    /// One of some words; letter case does not matter.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// Any text that must not be shown in logs or errors.
    Secret,
    /// A format of its own.
    Custom(&'static Rule),
}

/// What a whole number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nothing in particular.
    Count,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Bytes, written without a suffix.
    Bytes,
    /// Percent.
    Percent,
}

/// When a setting may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// By `CONFIG SET`, at any time.
    Anytime,
    /// By `CONFIG SET` where `enable-protected-configs` allows it.
    Protected,
    /// Only at start; `CONFIG SET` takes nothing but the value that it has, so that what
    /// `CONFIG GET` has told can be given back.
    AtStart,
    /// Only at start; `CONFIG SET` refuses it whatever the value, as Redis does, which has it.
    Immutable,
}

/// What giving a setting does today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is obeyed.
    Live,
    /// These values are obeyed, the others are accepted and come later.
    LiveFor(&'static [&'static str]),
    /// It is accepted; what it controls comes later. It need not be mentioned
    /// to the operator when its value is one of these.
    Later(&'static [&'static str]),
    /// As `Later`; it need not be mentioned when it has its default.
    LaterUnlessDefault,
    /// It is accepted and stored, and there is nothing here for it to control.
    Inert,
}

/// A chapter of the docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Listeners and addresses.
    Network,
    /// Limits on one connection and on all of them.
    Clients,
    /// Users, passwords and what is locked away.
    Security,
    /// Limits on memory, eviction, expiry and defragmentation.
    Memory,
    /// Workers, shards and budgets.
    Threads,
    /// Encodings and defaults of the data types.
    Types,
    /// Scripts and transactions.
    Scripts,
    /// Logs, slow logs and latency.
    Observability,
    /// Snapshots, the append-only file and object storage.
    Persistence,
    /// Replicas and their primary.
    Replication,
    /// Cluster mode and slot migration.
    Cluster,
    /// Search indexes.
    Search,
    /// Values on disk.
    Tiering,
    /// Encryption.
    Tls,
    /// The process and its host.
    Process,
}

impl Group {
    /// The groups in the order of the docs.
    pub const ALL: [Group; 15] = [
        Group::Network,
        Group::Clients,
        Group::Security,
        Group::Memory,
        Group::Threads,
        Group::Types,
        Group::Scripts,
        Group::Observability,
        Group::Persistence,
        Group::Replication,
        Group::Cluster,
        Group::Search,
        Group::Tiering,
        Group::Tls,
        Group::Process,
    ];

    /// Its heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Group::Network => "Network",
            Group::Clients => "Clients",
            Group::Security => "Security",
            Group::Memory => "Memory",
            Group::Threads => "Threads",
            Group::Types => "Data types",
            Group::Scripts => "Scripts and transactions",
            Group::Observability => "Logs and latency",
            Group::Persistence => "Persistence",
            Group::Replication => "Replication",
            Group::Cluster => "Cluster",
            Group::Search => "Search",
            Group::Tiering => "Tiering",
            Group::Tls => "TLS",
            Group::Process => "Process",
        }
    }
}

impl Setting {
    /// Whether `name` is one of its names; letter case does not matter, and
    /// dashes and underscores are alike.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.names().any(|own| same_name(own, name))
    }

    /// Its name, then its aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Whether its value must be kept out of logs and errors.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// Whether all or part of it is obeyed today.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.status, Status::Live | Status::LiveFor(_))
    }

    pub(crate) const fn alias(mut self, names: &'static [&'static str]) -> Setting {
        self.aliases = names;
        self
    }

    pub(crate) const fn fixed(mut self) -> Setting {
        self.change = Change::AtStart;
        self
    }

    pub(crate) const fn immutable(mut self) -> Setting {
        self.change = Change::Immutable;
        self
    }

    pub(crate) const fn protected(mut self) -> Setting {
        self.change = Change::Protected;
        self
    }

    pub(crate) const fn guard(mut self) -> Setting {
        self.guards = true;
        self
    }

    pub(crate) const fn hidden(mut self) -> Setting {
        self.hidden = true;
        self
    }

    /// The values that need no mention, in place of the default alone.
    pub(crate) const fn off(mut self, values: &'static [&'static str]) -> Setting {
        self.status = Status::Later(values);
        self
    }

    /// The values that are obeyed, where not all are.
    pub(crate) const fn only(mut self, values: &'static [&'static str]) -> Setting {
        self.status = Status::LiveFor(values);
        self
    }
}

/// Whether two spellings mean one setting.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(a, b)| fold(a) == fold(b))
}

/// One form for the two letter cases, and one for dash and underscore.
fn fold(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

const fn row(
    status: Status,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    let (aliases, change, group) = (&[], Change::Anytime, Group::Process);
    let (guards, hidden) = (false, false);
    Setting { name, aliases, kind, default, change, status, guards, hidden, group, doc }
}

/// A setting that is obeyed and may be changed at any time.
pub(crate) const fn live(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    row(Status::Live, name, kind, default, doc)
}

/// A setting whose feature comes later.
pub(crate) const fn later(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    row(Status::LaterUnlessDefault, name, kind, default, doc)
}

/// A setting that has nothing to control here.
pub(crate) const fn inert(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    row(Status::Inert, name, kind, default, doc)
}

/// The largest value of a C `int`, the bound of most numbers.
const INT_MAX: i64 = i32::MAX as i64;

/// A count from `min` to `max`.
pub(crate) const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max, unit: Unit::Count }
}

/// A count that is not negative and fits a C `int`.
pub(crate) const COUNT: Kind = int(0, INT_MAX);
/// A count that is not negative.
pub(crate) const LONG: Kind = int(0, i64::MAX);
/// A TCP port; 0 for none.
pub(crate) const PORT: Kind = int(0, 65_535);
/// A TCP port to listen on; 0 for none, -1 for any free one.
pub(crate) const LISTEN_PORT: Kind = int(-1, 65_535);
/// Seconds, 0 or more.
pub(crate) const SECONDS: Kind = Kind::Int { min: 0, max: INT_MAX, unit: Unit::Seconds };
/// Milliseconds, 0 or more.
pub(crate) const MILLIS: Kind = Kind::Int { min: 0, max: i64::MAX, unit: Unit::Millis };
/// Microseconds, 0 or more.
pub(crate) const MICROS: Kind = Kind::Int { min: 0, max: i64::MAX, unit: Unit::Micros };
/// A percentage.
pub(crate) const PERCENT: Kind = Kind::Int { min: 0, max: 100, unit: Unit::Percent };
/// Bytes, 0 or more.
pub(crate) const BYTES: Kind = bytes(0, i64::MAX as u64);
/// Bytes of any number.
pub(crate) const ANY_BYTES: Kind = bytes(0, u64::MAX);
/// A share from 0 to 1.
pub(crate) const RATIO: Kind = Kind::Float { min: 0.0, max: 1.0 };

/// Bytes from `min` to `max`.
pub(crate) const fn bytes(min: u64, max: u64) -> Kind {
    Kind::Bytes { min, max }
}

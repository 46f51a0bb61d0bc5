//! The row of a command, and what can be computed from it.

use std::ops::BitOr;

use keyspace::View;
use protocol::{Reply, Words};

use crate::args::Args;
use crate::block::Block;
use crate::error::{CommandError, Done};
use crate::fieldsets::Fieldsets;
use crate::work::{Prepare, Sift, Work};

/// All there is to know of a command, but for what its function does.
pub struct Command {
    /// In upper case, without the container's name.
    pub name: &'static str,
    /// What it does, and what it may touch.
    pub run: Run,
    /// How many words a request has, the command's name counted (and the container's).
    pub arity: Arity,
    /// Where the keys are among the words.
    pub keys: &'static [KeySpec],
    /// What a request does to its keys, where its words decide that: where a spec says
    /// `variable_flags`.
    pub key_use: Option<fn(Words<'_>) -> KeyUse>,
    /// The word that names a member of the collection at its first word's key: so the memory of
    /// both can be asked for ahead. Only a hint.
    pub member: Option<u8>,
    /// Which shards it enters.
    pub enter: Enter,
    /// How much a request may come to; `None`: no more than its number of words says.
    pub work: Option<Work>,
    /// Whether it is only long by what it drops.
    pub drops: bool,
    /// What a writing command does before it changes anything, if that may take long. It reads
    /// those of its keys that it does not write over.
    pub prepare: Option<Prepare>,
    /// Which keys a reading command tells that replies with all of them that are such.
    pub sift: Option<Sift>,
    /// What else holds of it.
    pub flags: Flags,
    /// The categories that do not follow from `run` and `flags`.
    pub category: Category,
    /// The chapter of the manual.
    pub group: Group,
    /// The version of Redis (or of the server that had it first) that brought it.
    pub since: &'static str,
    /// One line for the manual.
    pub summary: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// The arguments in the manual's notation, from which COMMAND DOCS is computed.
    pub syntax: &'static str,
    /// What later versions changed: each with the change.
    pub history: &'static [(&'static str, &'static str)],
    /// Since when another command should be used, and which.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// Hints for cluster clients.
    pub tips: &'static [&'static str],
    /// The commands behind this name.
    pub subcommands: &'static [Command],
}

/// The function of a command. Its type is the permission.
#[derive(Clone, Copy)]
pub enum Run {
    /// Reads the entered shards.
    Read(fn(Args<'_>, &View<'_>, &mut Reply<'_>) -> Done),
    /// Changes the entered shards.
    Write(fn(Args<'_>, &mut View<'_>, &mut Reply<'_>) -> Done),
    /// Changes the entered shards, or waits until it can.
    Block(Block),
    /// Changes the entered shards by what the session has prepared.
    Import(fn(Args<'_>, &Fieldsets, &mut View<'_>, &mut Reply<'_>) -> Done),
    /// Concerns a transaction of the session and the shards that it needs; the server runs it.
    Transaction,
    /// Runs a script in the shards of the keys that it is given, or in all; the server runs it.
    Script,
    /// Concerns the session or the server, which runs it.
    Session,
    /// Only its subcommands run.
    Container,
}

/// How many words a request must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Neither more nor fewer.
    Exactly(u8),
    /// At least so many.
    AtLeast(u8),
}

/// Which shards a command enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enter {
    /// Those of the keys it names.
    Keys,
    /// All of them.
    All,
    /// All of them if one of these words, in upper case, is among its words, whatever their case;
    /// else those of the keys it names.
    AllWith(&'static [&'static str]),
}

impl Enter {
    /// Whether a request of these words enters all of them.
    #[must_use]
    pub fn is_all(self, words: Words<'_>) -> bool {
        match self {
            Enter::Keys => false,
            Enter::All => true,
            Enter::AllWith(named) => words
                .iter()
                .any(|word| named.iter().any(|named| word.eq_ignore_ascii_case(named.as_bytes()))),
        }
    }
}

/// Where keys are among the words of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Where to begin.
    pub begin: Begin,
    /// Which words from there on are keys.
    pub find: Find,
    /// What happens to them.
    pub usage: KeyUse,
    /// Why that is so, where it is not plain.
    pub note: &'static str,
}

/// Where the search for keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this word; the command's name is 0.
    Index(u8),
    /// Behind this word, whatever its case, which is looked for from a word on.
    Keyword {
        /// In upper case.
        word: &'static str,
        /// The first place where it may stand.
        from: u8,
    },
    /// Behind this option, if it is the last of two that replace each other. Both have a value,
    /// which may be any word, and every word from `from` on is an option or such a value.
    Option {
        /// In upper case.
        word: &'static str,
        /// The other one, in upper case.
        other: &'static str,
        /// The first place where one may stand.
        from: u8,
    },
}

/// Which words are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Up to the word `last` behind the first (negative: from the end), every `step`th.
    Range {
        /// The last key, counted from the first; -1 is the last word of the request.
        last: i8,
        /// 1: each word; 2: every other one.
        step: u8,
    },
    /// The word at the beginning says how many.
    Counted {
        /// How far behind it the first key is.
        first: u8,
        /// 1: each word; 2: every other one.
        step: u8,
    },
    /// The one behind the last of this word, from the beginning on.
    Behind(&'static str),
    /// None, though what lies there is used: its names are made of patterns among the words.
    Unknown,
    /// The first half of the words up to the end of the request.
    FirstHalf,
}

/// What happens to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse(pub &'static [&'static str]);

impl KeyUse {
    /// Its value is read and returned.
    pub const READ: KeyUse = KeyUse(&["RO", "access"]);
    /// Only what is known of it is read.
    pub const LOOK: KeyUse = KeyUse(&["RO"]);
    /// It is read and changed.
    pub const UPDATE: KeyUse = KeyUse(&["RW", "access", "update"]);
    /// It is changed, and nothing of its old value returned.
    pub const CHANGE: KeyUse = KeyUse(&["RW", "update"]);
    /// It is added to.
    pub const INSERT: KeyUse = KeyUse(&["RW", "insert"]);
    /// It is written over.
    pub const OVERWRITE: KeyUse = KeyUse(&["OW", "update"]);
    /// It is made, if it is not there.
    pub const CREATE: KeyUse = KeyUse(&["OW", "insert"]);
    /// It is removed.
    pub const DELETE: KeyUse = KeyUse(&["RM", "delete"]);
    /// It is read and returned, and its layout may change.
    pub const CACHE: KeyUse = KeyUse(&["RW", "access"]);
    /// It is read, returned and removed.
    pub const TAKE: KeyUse = KeyUse(&["RW", "access", "delete"]);
    /// Members of it are removed, and nothing of it returned.
    pub const PRUNE: KeyUse = KeyUse(&["RW", "delete"]);
    /// It is no key, yet belongs to a hash slot as if it were.
    pub const NO_KEY: KeyUse = KeyUse(&["not_key"]);

    /// Whether it is a key.
    #[must_use]
    pub fn is_of_key(self) -> bool {
        self != KeyUse::NO_KEY
    }

    /// What a request of this command does to the key: see [`Command::key_use`].
    #[must_use]
    pub fn of(self, command: &Command, words: Words<'_>) -> KeyUse {
        let variable = self.0.contains(&"variable_flags");
        command.key_use.filter(|_| variable).map_or(self, |of| of(words))
    }
}

impl Begin {
    /// The word of a request where it is; the end of the request if it is nowhere.
    fn position(self, words: Words<'_>) -> usize {
        match self {
            Begin::Index(begin) => usize::from(begin),
            Begin::Keyword { word, from } => {
                let is_it = |&at: &usize| {
                    words.get(at).is_some_and(|raw| raw.eq_ignore_ascii_case(word.as_bytes()))
                };
                (usize::from(from)..words.len()).find(is_it).map_or(words.len(), |at| at + 1)
            }
            Begin::Option { word, other, from } => {
                let is = |at: usize, option: &str| {
                    words.get(at).is_some_and(|raw| raw.eq_ignore_ascii_case(option.as_bytes()))
                };
                let (mut at, mut found) = (usize::from(from), words.len());
                while at + 1 < words.len() {
                    let (is_word, is_other) = (is(at, word), is(at, other));
                    if is_word || is_other {
                        at += 1;
                        found = if is_word { at } else { words.len() };
                    }
                    at += 1;
                }
                found
            }
        }
    }

    /// The least word where it can be.
    #[must_use]
    pub fn least(self) -> u8 {
        match self {
            Begin::Index(begin) => begin,
            Begin::Keyword { from, .. } | Begin::Option { from, .. } => from + 1,
        }
    }
}

impl KeySpec {
    /// One key at this word.
    #[must_use]
    pub const fn one(at: u8, usage: KeyUse) -> KeySpec {
        KeySpec { begin: Begin::Index(at), find: Find::Range { last: 0, step: 1 }, usage, note: "" }
    }

    /// All words from this one on.
    #[must_use]
    pub const fn from(at: u8, usage: KeyUse) -> KeySpec {
        KeySpec {
            begin: Begin::Index(at),
            find: Find::Range { last: -1, step: 1 },
            usage,
            note: "",
        }
    }

    /// All words from this one on but the last.
    #[must_use]
    pub const fn but_last(at: u8, usage: KeyUse) -> KeySpec {
        KeySpec {
            begin: Begin::Index(at),
            find: Find::Range { last: -2, step: 1 },
            usage,
            note: "",
        }
    }

    /// As many words as the one at this place says, behind it.
    #[must_use]
    pub const fn counted(at: u8, usage: KeyUse) -> KeySpec {
        KeySpec {
            begin: Begin::Index(at),
            find: Find::Counted { first: 1, step: 1 },
            usage,
            note: "",
        }
    }

    /// Every other word from this one on.
    #[must_use]
    pub const fn pairs(at: u8, usage: KeyUse) -> KeySpec {
        KeySpec {
            begin: Begin::Index(at),
            find: Find::Range { last: -1, step: 2 },
            usage,
            note: "",
        }
    }

    /// Whether a request may do without the keys.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        matches!(self.begin, Begin::Option { .. })
            || matches!(self.find, Find::Behind(_) | Find::Unknown)
    }

    /// Whether it names the first word behind the command's name and no other.
    #[must_use]
    pub fn is_first_word(&self) -> bool {
        self.begin == Begin::Index(1) && self.find == Find::Range { last: 0, step: 1 }
    }

    /// The same, with the reason of what happens to the keys.
    #[must_use]
    pub const fn noting(self, note: &'static str) -> KeySpec {
        KeySpec { note, ..self }
    }

    /// The positions of the keys in a request.
    ///
    /// # Errors
    /// [`CommandError::NumKeys`] if a count is none, or reaches behind the last word.
    pub fn positions(
        &self,
        words: Words<'_>,
    ) -> Result<impl Iterator<Item = usize> + use<>, CommandError> {
        let begin = self.begin.position(words);
        let (first, end, step) = match self.find {
            Find::FirstHalf => (begin, begin + words.len().saturating_sub(begin) / 2, 1),
            Find::Range { last, step } if last < 0 => {
                (begin, (words.len() + 1).saturating_sub(usize::from(last.unsigned_abs())), step)
            }
            Find::Range { last, step } => {
                (begin, begin + usize::from(last.unsigned_abs()) + 1, step)
            }
            Find::Counted { first, step } => {
                let count = words.get(begin).and_then(crate::args::parse_integer);
                let count = count.and_then(|count| usize::try_from(count).ok());
                let count = count.filter(|&count| (1..=words.len()).contains(&count));
                let first = begin + usize::from(first);
                let end = count.map(|count| first + count * usize::from(step));
                let end = end.filter(|&end| end <= words.len()).ok_or(CommandError::NumKeys)?;
                (first, end, step)
            }
            Find::Behind(word) => {
                let is_word = |at: &usize| {
                    words.get(*at).is_some_and(|raw| raw.eq_ignore_ascii_case(word.as_bytes()))
                };
                let last = (begin..words.len()).rev().find(is_word);
                let first = last.map_or(words.len(), |at| at + 1);
                (first, first + 1, 1)
            }
            Find::Unknown => (0, 0, 1),
        };
        Ok((first..end.min(words.len())).step_by(usize::from(step)))
    }
}

/// A set of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// It may make memory grow, so it is refused when the limit is reached.
    pub const DENY_OOM: Flags = Flags(1);
    /// It takes constant or logarithmic time.
    pub const FAST: Flags = Flags(1 << 1);
    /// For administrators.
    pub const ADMIN: Flags = Flags(1 << 2);
    /// Allowed while data is loaded.
    pub const LOADING: Flags = Flags(1 << 3);
    /// Allowed on a replica whose data is stale.
    pub const STALE: Flags = Flags(1 << 4);
    /// Not allowed in scripts.
    pub const NO_SCRIPT: Flags = Flags(1 << 5);
    /// Allowed before authentication.
    pub const NO_AUTH: Flags = Flags(1 << 6);
    /// Allowed while a script keeps the server busy.
    pub const ALLOW_BUSY: Flags = Flags(1 << 7);
    /// Not allowed in a transaction block.
    pub const NO_MULTI: Flags = Flags(1 << 8);
    /// Not seen by MONITOR.
    pub const SKIP_MONITOR: Flags = Flags(1 << 9);
    /// Not seen by the slow log, as its arguments are secret.
    pub const SKIP_SLOWLOG: Flags = Flags(1 << 10);
    /// Its keys are not all at fixed places.
    pub const MOVABLE_KEYS: Flags = Flags(1 << 11);
    /// It may touch keys that it does not name.
    pub const ARBITRARY_KEYS: Flags = Flags(1 << 12);
    /// Sentinels have it, too.
    pub const SENTINEL: Flags = Flags(1 << 13);
    /// Allowed only where the settings allow it.
    pub const PROTECTED: Flags = Flags(1 << 14);
    /// It may wait for others.
    pub const BLOCKING: Flags = Flags(1 << 15);
    /// It concerns pub/sub.
    pub const PUBSUB: Flags = Flags(1 << 16);
    /// Not allowed while another node's data is loaded.
    pub const NO_ASYNC_LOADING: Flags = Flags(1 << 17);
    /// It runs as one that reads data and reads none, as HELP does.
    pub const READS_NOTHING: Flags = Flags(1 << 18);
    /// For servers among themselves and for those who look into them.
    pub const SYSTEM: Flags = Flags(1 << 19);
    /// A read to those who use it, though it may write what it computed into the value.
    pub const MAY_REPLICATE: Flags = Flags(1 << 20);
    /// As if ASKING stood before it.
    pub const ASKING: Flags = Flags(1 << 21);
    /// It changes what is kept, though it enters no shard: the libraries of functions.
    pub const WRITES: Flags = Flags(1 << 22);

    /// Whether all flags of `other` are set.
    #[must_use]
    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// The names that COMMAND INFO shows.
    const NAMES: [(Flags, &'static str); 17] = [
        (Flags::DENY_OOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NO_SCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_SLOWLOG, "skip_slowlog"),
        (Flags::ASKING, "asking"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_ASYNC_LOADING, "no_async_loading"),
        (Flags::MAY_REPLICATE, "may_replicate"),
        (Flags::NO_MULTI, "no_multi"),
        (Flags::MOVABLE_KEYS, "movablekeys"),
        (Flags::ALLOW_BUSY, "allow_busy"),
    ];
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        self.and(other)
    }
}

/// A set of ACL categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Category(u32);

macro_rules! categories {
    ($($name:ident $bit:literal $text:literal;)+) => {
        #[expect(missing_docs, reason = "a category is its name")]
        impl Category {
            pub const NONE: Category = Category(0);
            $(pub const $name: Category = Category(1 << $bit);)+

            /// Every category with its name, as `ACL CAT` lists them.
            pub const ALL: &'static [(Category, &'static str)] =
                &[$((Category::$name, $text)),+];
        }
    };
}

categories! {
    KEYSPACE 0 "keyspace"; READ 1 "read"; WRITE 2 "write"; SET 3 "set"; SORTED_SET 4 "sortedset";
    LIST 5 "list"; HASH 6 "hash"; STRING 7 "string"; BITMAP 8 "bitmap";
    HYPERLOGLOG 9 "hyperloglog"; GEO 10 "geo"; STREAM 11 "stream"; PUBSUB 12 "pubsub";
    ADMIN 13 "admin"; FAST 14 "fast"; SLOW 15 "slow"; BLOCKING 16 "blocking";
    DANGEROUS 17 "dangerous"; CONNECTION 18 "connection"; TRANSACTION 19 "transaction";
    SCRIPTING 20 "scripting"; ARRAY 21 "array";
}

impl Category {
    /// Whether all categories of `other` are in it.
    #[must_use]
    pub const fn has(self, other: Category) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Category) -> Category {
        Category(self.0 | other.0)
    }

    /// The names of the categories in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Category::ALL.iter().filter(move |(one, _)| self.has(*one)).map(|(_, name)| *name)
    }
}

/// The chapter of the manual that a command stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a chapter is its name")]
pub enum Group {
    String,
    Bitmap,
    List,
    Set,
    Hash,
    SortedSet,
    Geo,
    HyperLogLog,
    Stream,
    Array,
    Generic,
    Connection,
    Cluster,
    PubSub,
    Scripting,
    Server,
    Transactions,
}

impl Group {
    /// Its name in COMMAND DOCS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::Set => "set",
            Group::Hash => "hash",
            Group::SortedSet => "sorted_set",
            Group::Geo => "geo",
            Group::HyperLogLog => "hyperloglog",
            Group::List => "list",
            Group::Stream => "stream",
            Group::Array => "array",
            Group::Generic => "generic",
            Group::Connection => "connection",
            Group::Cluster => "cluster",
            Group::PubSub => "pubsub",
            Group::Scripting => "scripting",
            Group::Server => "server",
            Group::Transactions => "transactions",
        }
    }
}

impl Arity {
    /// The number that COMMAND INFO shows: negative for "at least".
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Arity::Exactly(words) => i64::from(words),
            Arity::AtLeast(words) => -i64::from(words),
        }
    }

    /// The least number of words.
    #[must_use]
    pub fn least(self) -> usize {
        let (Arity::Exactly(least) | Arity::AtLeast(least)) = self;
        usize::from(least)
    }

    /// Whether a request of so many words is right.
    #[must_use]
    #[inline]
    pub fn allows(self, words: usize) -> bool {
        match self {
            Arity::Exactly(exactly) => words == usize::from(exactly),
            Arity::AtLeast(least) => words >= usize::from(least),
        }
    }
}

impl Command {
    /// What holds of a row unless it says otherwise: a container without keys.
    pub const BASE: Command = Command {
        name: "",
        run: Run::Container,
        arity: Arity::AtLeast(1),
        keys: &[],
        key_use: None,
        member: None,
        enter: Enter::Keys,
        work: None,
        drops: false,
        prepare: None,
        sift: None,
        flags: Flags::NONE,
        category: Category::NONE,
        group: Group::Generic,
        since: "1.0.0",
        summary: "",
        complexity: "O(1)",
        syntax: "",
        history: &[],
        deprecated: None,
        tips: &[],
        subcommands: &[],
    };

    /// Whether it changes data.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self.run {
            Run::Write(_) | Run::Import(_) => true,
            Run::Block(block) => block.reads.is_none(),
            Run::Session => self.flags.has(Flags::WRITES),
            Run::Read(_) | Run::Transaction | Run::Script | Run::Container => false,
        }
    }

    /// Whether a request enters its shards exclusively.
    #[must_use]
    #[inline]
    pub fn is_exclusive(&self, words: Words<'_>) -> bool {
        match self.run {
            Run::Write(_) | Run::Import(_) => true,
            Run::Block(block) => block.reads.is_none_or(|waits| waits(Args::new(words, 1))),
            Run::Transaction | Run::Script => true,
            Run::Read(_) | Run::Session | Run::Container => false,
        }
    }

    /// Whether it reads data and changes none.
    #[must_use]
    pub fn reads(&self) -> bool {
        let reads = match self.run {
            Run::Read(_) => true,
            Run::Block(block) => block.reads.is_some(),
            Run::Write(_)
            | Run::Import(_)
            | Run::Transaction
            | Run::Script
            | Run::Session
            | Run::Container => false,
        };
        reads && !self.flags.has(Flags::READS_NOTHING)
    }

    /// The names of its flags, as COMMAND INFO shows them.
    pub fn flag_names(&self) -> impl Iterator<Item = &'static str> {
        let kind = match self.run {
            Run::Write(_) if self.flags.has(Flags::MAY_REPLICATE) => Some("readonly"),
            _ if self.writes() => Some("write"),
            Run::Script if !self.flags.has(Flags::MAY_REPLICATE) => Some("readonly"),
            _ => Some("readonly").filter(|_| self.reads()),
        };
        let flags = self.flags;
        let named = Flags::NAMES.iter().filter(move |(flag, _)| flags.has(*flag));
        kind.into_iter().chain(named.map(|(_, name)| *name))
    }

    /// All its ACL categories, those that follow from its kind and flags included.
    #[must_use]
    pub fn categories(&self) -> Category {
        let when = |holds: bool, category| if holds { category } else { Category::NONE };
        let has = |flag| self.flags.has(flag);
        self.category
            .and(when(self.writes() && !has(Flags::MAY_REPLICATE), Category::WRITE))
            .and(when(self.reads() || (self.writes() && has(Flags::MAY_REPLICATE)), Category::READ))
            .and(when(has(Flags::ADMIN), Category::ADMIN.and(Category::DANGEROUS)))
            .and(when(has(Flags::PUBSUB), Category::PUBSUB))
            .and(when(has(Flags::BLOCKING), Category::BLOCKING))
            .and(if has(Flags::FAST) { Category::FAST } else { Category::SLOW })
    }

    /// First key, last key and step, as COMMAND INFO shows them for old clients.
    #[must_use]
    pub fn legacy_range(&self) -> (i64, i64, i64) {
        let mut whole: Option<(i64, i64, i64)> = None;
        for spec in self.keys {
            let Begin::Index(begin) = spec.begin else { continue };
            let Find::Range { last, step } = spec.find else { continue };
            let (first, step) = (i64::from(begin), i64::from(step));
            let last = if last < 0 { i64::from(last) } else { first + i64::from(last) };
            whole = Some(match whole {
                None => (first, last, step),
                Some((start, _, _)) => (start, last, 1),
            });
        }
        whole.unwrap_or((0, 0, 0))
    }

    /// The positions of all keys in a request.
    ///
    /// # Errors
    /// If a count among the words does not say how many there are.
    pub fn key_positions(
        &self,
        words: Words<'_>,
    ) -> Result<smallvec::SmallVec<[usize; 8]>, CommandError> {
        let mut positions = smallvec::SmallVec::new();
        for spec in self.keys.iter().filter(|spec| spec.usage.is_of_key()) {
            positions.extend(spec.positions(words)?);
        }
        Ok(positions)
    }

    /// The positions of the keys that it reads before it changes any.
    ///
    /// # Errors
    /// As those of [`Command::key_positions`].
    pub fn source_positions(
        &self,
        words: Words<'_>,
    ) -> Result<smallvec::SmallVec<[usize; 8]>, CommandError> {
        let mut positions = smallvec::SmallVec::new();
        let is_read = |spec: &&KeySpec| !spec.usage.of(self, words).0.contains(&"OW");
        for spec in self.keys.iter().filter(is_read) {
            positions.extend(spec.positions(words)?);
        }
        Ok(positions)
    }

    /// The subcommand of this name, whatever its case.
    #[must_use]
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Command> {
        self.subcommands.iter().find(|sub| sub.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

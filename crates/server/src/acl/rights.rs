//! Whether a user may make a request.
//!
//! The keys that are looked at are those that the row's key positions name: the same that the
//! request enters shards for, and that its function is given.

use std::cell::OnceCell;

use command::{Args, Category, Command, KeyUse, Words, parse_integer};
use keyspace::DbIndex;
use smallvec::SmallVec;

use super::names::Asked;
use super::selector::{ChannelName, KeyRights, Selector};
use super::user::User;

/// A request, as far as its user's rights depend on it.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// What it calls.
    pub asked: Asked,
    /// All its words.
    pub words: Words<'a>,
    /// The database it would run in.
    pub db: DbIndex,
    /// How many databases there are.
    pub databases: u16,
}

/// Why something is refused. Of several reasons a later one is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The name or the password.
    Auth,
    /// The database.
    Database,
    /// The command or subcommand.
    Command,
    /// A key.
    Key,
    /// A channel.
    Channel,
}

/// A refusal of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// The word that is to blame; 0: the command itself.
    pub place: usize,
}

impl Denial {
    /// What was denied: the command, or the key, channel or database that a word names.
    #[must_use]
    pub fn object(self, attempt: &Attempt<'_>) -> Vec<u8> {
        match attempt.words.get(self.place) {
            Some(word) if self.place > 0 => word.to_vec(),
            _ => attempt.asked.full_name().into_bytes(),
        }
    }
}

/// The keys of a request, found once for all selectors.
type Keys = OnceCell<SmallVec<[(usize, KeyRights); 8]>>;

impl Reason {
    /// All of them, each at its number.
    pub const ALL: [Reason; 5] =
        [Reason::Auth, Reason::Database, Reason::Command, Reason::Key, Reason::Channel];

    /// Its name in ACL LOG.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::Auth => "auth",
            Reason::Database => "database",
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
        }
    }
}

impl User {
    /// Whether the user may make a request: if one of its selectors allows all of it.
    ///
    /// # Errors
    /// What is refused, if none does.
    pub fn check(&self, attempt: &Attempt<'_>) -> Result<(), Denial> {
        let keys = Keys::new();
        let mut worst = Denial { reason: Reason::Database, place: 0 };
        for selector in self.rules.selectors() {
            match selector.check(attempt, &keys) {
                Ok(()) => return Ok(()),
                Err(denial) => worst = worst.max(denial),
            }
        }
        Err(worst)
    }

    /// Whether the user may make a request whose words name keys by patterns, which may be any:
    /// SORT with BY or GET.
    ///
    /// # Errors
    /// The option that is refused.
    pub fn check_patterns(&self, attempt: &Attempt<'_>) -> Result<(), &'static str> {
        let Some(option) = pattern_option(attempt) else { return Ok(()) };
        let keys = Keys::new();
        let read = KeyRights { read: true, write: false };
        let mut selectors = self.rules.selectors();
        let may =
            selectors.any(|one| one.check(attempt, &keys).is_ok() && one.may_touch_all(b"", read));
        if may { Ok(()) } else { Err(option) }
    }

    /// The text of a refusal, without its code; `tells`: with what is refused.
    #[must_use]
    pub fn refusal(&self, denial: Denial, attempt: &Attempt<'_>, tells: bool) -> String {
        let user = String::from_utf8_lossy(&self.name);
        let word = attempt.words.get(denial.place).map(String::from_utf8_lossy).unwrap_or_default();
        match denial.reason {
            Reason::Command | Reason::Auth => {
                let command = attempt.asked.full_name();
                format!("User {user} has no permissions to run the '{command}' command")
            }
            Reason::Key if tells => {
                format!("User {user} has no permissions to access the '{word}' key")
            }
            Reason::Channel if tells => {
                format!("User {user} has no permissions to access the '{word}' channel")
            }
            Reason::Database if tells => {
                format!("User {user} has no permissions to access database {word}")
            }
            Reason::Key => "No permissions to access a key".to_owned(),
            Reason::Channel => "No permissions to access a channel".to_owned(),
            Reason::Database => "No permissions to access database".to_owned(),
        }
    }
}

impl Selector {
    fn check(&self, attempt: &Attempt<'_>, keys: &Keys) -> Result<(), Denial> {
        self.check_databases(attempt)?;
        let Asked { container, command, number } = attempt.asked;
        let first_arg = attempt.words.get(1).filter(|_| std::ptr::eq(container, command));
        if !command.flags.has(command::Flags::NO_AUTH) && !self.may_run(number, first_arg) {
            return Err(Denial { reason: Reason::Command, place: 0 });
        }
        self.check_keys(attempt, keys)?;
        self.check_channels(attempt)
    }

    fn check_databases(&self, attempt: &Attempt<'_>) -> Result<(), Denial> {
        let denial = |place| Err(Denial { reason: Reason::Database, place });
        let command = attempt.asked.command;
        let named = database_words(command, attempt.words);
        for &(place, number) in &named {
            if number < attempt.databases && !self.may_enter(number.into()) {
                return denial(place);
            }
        }
        let enters_its_own = match command.name {
            "SELECT" | "SWAPDB" => false,
            "FLUSHALL" => {
                let mut all = 0..u32::from(attempt.databases);
                return if all.all(|db| self.may_enter(db)) { Ok(()) } else { denial(0) };
            }
            _ => touches_data(command),
        };
        if enters_its_own && !self.may_enter(attempt.db.into()) { denial(0) } else { Ok(()) }
    }

    fn check_keys(&self, attempt: &Attempt<'_>, keys: &Keys) -> Result<(), Denial> {
        if self.has_all_keys() || attempt.asked.command.keys.is_empty() {
            return Ok(());
        }
        let keys = keys.get_or_init(|| keys_of(attempt.asked.command, attempt.words));
        let refused = keys.iter().find(|&&(place, wanted)| {
            attempt.words.get(place).is_some_and(|key| !self.may_touch(key, wanted))
        });
        match refused {
            Some(&(place, _)) => Err(Denial { reason: Reason::Key, place }),
            None => Ok(()),
        }
    }

    fn check_channels(&self, attempt: &Attempt<'_>) -> Result<(), Denial> {
        for (place, channel) in channels_of(attempt.asked.command, attempt.words) {
            if !self.may_use(channel) {
                return Err(Denial { reason: Reason::Channel, place });
            }
        }
        Ok(())
    }
}

/// Whether a command looks at keys of the database it runs in, or at the database itself.
fn touches_data(command: &Command) -> bool {
    let categories = command.categories();
    let any = [Category::KEYSPACE, Category::READ, Category::WRITE];
    any.into_iter().any(|one| categories.has(one))
        || command.keys.iter().any(|spec| is_key(spec.usage))
}

/// The keys of a request, and what it does to them. None if its words do not say where they are:
/// then its function refuses them, and no shard is entered.
pub(super) fn keys_of(command: &Command, words: Words<'_>) -> SmallVec<[(usize, KeyRights); 8]> {
    let mut keys = SmallVec::new();
    for spec in command.keys {
        let usage = spec.usage.of(command, words);
        if is_key(usage)
            && let Ok(positions) = spec.positions(words)
        {
            keys.extend(positions.map(|place| (place, rights_of(usage))));
        }
    }
    keys
}

/// Whether what stands there is a key at all, not a channel that is placed as one.
fn is_key(usage: KeyUse) -> bool {
    !usage.0.contains(&"not_key")
}

/// What a key is used for that must be allowed. Who only asks what is known of a key needs any
/// right to it.
fn rights_of(usage: KeyUse) -> KeyRights {
    let does = |flag: &str| usage.0.contains(&flag);
    let write = ["insert", "update", "delete"].into_iter().any(does);
    KeyRights { read: does("access"), write }
}

/// The words of a request that name databases, with the databases; those that name none are left
/// to the command.
fn database_words(command: &Command, words: Words<'_>) -> SmallVec<[(usize, u16); 2]> {
    let places: SmallVec<[usize; 2]> = match command.name {
        "SELECT" => [1].into_iter().collect(),
        "SWAPDB" => [1, 2].into_iter().collect(),
        "MOVE" => [2].into_iter().collect(),
        "COPY" => (3..words.len())
            .filter(|&at| words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(b"DB")))
            .map(|at| at + 1)
            .collect(),
        _ => return SmallVec::new(),
    };
    let number = |at: usize| words.get(at).and_then(parse_integer);
    let known = |at: usize| Some((at, number(at).and_then(|number| u16::try_from(number).ok())?));
    places.into_iter().filter_map(known).collect()
}

/// The channels of a request, with their places.
fn channels_of<'a>(
    command: &Command,
    words: Words<'a>,
) -> impl Iterator<Item = (usize, ChannelName<'a>)> {
    let (first, end, by_pattern) = match command.name {
        "SUBSCRIBE" | "SSUBSCRIBE" => (1, words.len(), false),
        "PSUBSCRIBE" => (1, words.len(), true),
        "PUBLISH" | "SPUBLISH" => (1, 2, false),
        _ => (0, 0, false),
    };
    (first..end).filter_map(move |place| {
        let name = words.get(place)?;
        Some((
            place,
            if by_pattern { ChannelName::Pattern(name) } else { ChannelName::Literal(name) },
        ))
    })
}

/// The option of SORT that names other keys by a pattern, if it has one before the first word that
/// is refused.
fn pattern_option(attempt: &Attempt<'_>) -> Option<&'static str> {
    if !matches!(attempt.asked.command.name, "SORT" | "SORT_RO") {
        return None;
    }
    let mut args = Args::new(attempt.words, 2);
    while !args.is_empty() {
        if args.word_with_value("BY") {
            // Without a star it names no key, and nothing is sorted.
            if args.bytes().ok()?.contains(&b'*') {
                return Some("BY");
            }
        } else if args.word_with_value("GET") {
            return Some("GET");
        } else if args.word_with_value("STORE") {
            args.bytes().ok()?;
        } else if args.word_with_value("LIMIT") {
            args.take::<i64>().and_then(|_| args.take::<i64>()).ok()?;
        } else if !["ASC", "DESC", "ALPHA"].into_iter().any(|word| args.word(word)) {
            return None;
        }
    }
    None
}

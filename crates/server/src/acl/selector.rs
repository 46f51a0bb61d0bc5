//! A selector: which commands a user may run on which keys, channels and databases.
//!
//! A request is allowed if one selector of its user allows all of it by itself. Rules work from
//! left to right, each on what those before it have made.
//!
//! # Invariants
//!
//! 1. The rules of commands that are kept, read again behind the `+@all` or `-@all` that they began
//!    with, make the same set of commands.
//! 2. No pattern, name or argument that is kept holds a blank, a line's end or a zero: what a
//!    selector is described with is read back as it was.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RuleError;
use super::names::{CommandSet, Names};

/// See the module's page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    commands: CommandSet,
    /// Whether the rules of commands began with `+@all`.
    from_all: bool,
    /// What rules have said of commands since: whether to allow it, and its name.
    rules: Vec<(bool, Vec<u8>)>,
    /// First arguments with which commands are allowed that are not allowed otherwise, by number.
    first_args: BTreeMap<usize, Vec<Vec<u8>>>,
    /// `None`: every key.
    keys: Option<Vec<KeyPattern>>,
    /// `None`: every channel.
    channels: Option<Vec<Vec<u8>>>,
    /// `None`: every database.
    databases: Option<BTreeSet<u32>>,
}

/// Keys, and what may be done to them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    rights: KeyRights,
    pattern: Vec<u8>,
}

/// What may be done to a key, or what is to be done to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyRights {
    /// Its value is read.
    pub read: bool,
    /// It is changed.
    pub write: bool,
}

/// How a channel is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelName<'a> {
    /// By its name, as SUBSCRIBE and PUBLISH do.
    Literal(&'a [u8]),
    /// By a pattern, as PSUBSCRIBE does: only who may use that very pattern may.
    Pattern(&'a [u8]),
}

impl KeyRights {
    /// Both.
    pub const ALL: KeyRights = KeyRights { read: true, write: true };

    /// Whether who has these may do what is `wanted`.
    #[must_use]
    pub fn allow(self, wanted: KeyRights) -> bool {
        (self.read || !wanted.read) && (self.write || !wanted.write)
    }

    fn and(self, other: KeyRights) -> KeyRights {
        KeyRights { read: self.read || other.read, write: self.write || other.write }
    }
}

impl KeyPattern {
    /// The rule that it was added by. `~*` would be every key, behind which no pattern may stand.
    fn describe(&self) -> Vec<u8> {
        let mark: &[u8] = match (self.rights.read, self.rights.write) {
            (true, false) => b"%R~",
            (false, true) => b"%W~",
            _ if self.pattern == b"*" => b"%RW~",
            _ => b"~",
        };
        [mark, &self.pattern].concat()
    }
}

impl Selector {
    /// One that allows nothing, but perhaps every channel; any database.
    #[must_use]
    pub fn new(names: Names<'_>, all_channels: bool) -> Selector {
        Selector {
            commands: CommandSet::new(names, false),
            from_all: false,
            rules: Vec::new(),
            first_args: BTreeMap::new(),
            keys: Some(Vec::new()),
            channels: (!all_channels).then(Vec::new),
            databases: None,
        }
    }

    /// Obeys one rule.
    ///
    /// # Errors
    /// If it is none; nothing is changed then.
    pub fn apply(&mut self, rule: &[u8], names: Names<'_>) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => self.keys = None,
            b"resetkeys" => self.keys = Some(Vec::new()),
            b"allchannels" | b"&*" => self.channels = None,
            b"resetchannels" => self.channels = Some(Vec::new()),
            b"alldbs" => self.databases = None,
            b"resetdbs" => self.databases = Some(BTreeSet::new()),
            b"allcommands" | b"+@all" => self.begin_with(names, true),
            b"nocommands" | b"-@all" => self.begin_with(names, false),
            [b'd', b'b', b'=', list @ ..] => self.databases = Some(databases(list)?),
            [b'~' | b'%', ..] => return self.add_keys(rule),
            [b'&', ..] => return self.add_channels(&rule[1..]),
            [sign @ (b'+' | b'-'), b'@', category @ ..] => {
                return self.turn_category(category, *sign == b'+', names);
            }
            [b'+', name @ ..] => return self.allow(name, names),
            [b'-', name @ ..] => return self.turn_command(name, false, names),
            _ => return Err(RuleError::Syntax),
        }
        Ok(())
    }

    fn begin_with(&mut self, names: Names<'_>, all: bool) {
        self.commands = CommandSet::new(names, all);
        self.from_all = all;
        self.rules.clear();
        self.first_args.clear();
    }

    fn add_keys(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let Some(patterns) = &mut self.keys else { return Err(RuleError::AfterAllKeys) };
        let (rights, pattern) = key_rule(rule)?;
        check_text(pattern)?;
        match patterns.iter_mut().find(|known| known.pattern == pattern) {
            Some(known) => known.rights = known.rights.and(rights),
            None => patterns.push(KeyPattern { rights, pattern: pattern.to_vec() }),
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        let Some(patterns) = &mut self.channels else { return Err(RuleError::AfterAllChannels) };
        check_text(pattern)?;
        if !patterns.iter().any(|known| known == pattern) {
            patterns.push(pattern.to_vec());
        }
        Ok(())
    }

    fn turn_category(
        &mut self,
        name: &[u8],
        allow: bool,
        names: Names<'_>,
    ) -> Result<(), RuleError> {
        let numbers = names.in_category(name).ok_or(RuleError::Unknown)?;
        self.turn(numbers, allow);
        self.note([b"@", name].concat(), allow);
        Ok(())
    }

    /// `+name`: a command, a subcommand, or a command with a first argument.
    fn allow(&mut self, name: &[u8], names: Names<'_>) -> Result<(), RuleError> {
        let Some(at) = name.iter().rposition(|&byte| byte == b'|') else {
            return self.turn_command(name, true, names);
        };
        let (container, argument) = (&name[..at], &name[at + 1..]);
        let container = names.find(container).ok_or(RuleError::Unknown)?;
        if container.is_sub {
            return Err(RuleError::FirstOfSubcommand);
        }
        if argument.is_empty() {
            return Err(RuleError::Syntax);
        }
        if container.has_subs || names.find(name).is_some() {
            return self.turn_command(name, true, names);
        }
        check_text(argument)?;
        let known = self.first_args.entry(container.numbers.start).or_default();
        if !known.iter().any(|one| one == argument) {
            known.push(argument.to_vec());
        }
        self.note(name.to_vec(), true);
        Ok(())
    }

    fn turn_command(
        &mut self,
        name: &[u8],
        allow: bool,
        names: Names<'_>,
    ) -> Result<(), RuleError> {
        let named = names.find(name).ok_or(RuleError::Unknown)?;
        self.turn(named.numbers, allow);
        self.note(named.full_name, allow);
        Ok(())
    }

    fn turn(&mut self, numbers: impl IntoIterator<Item = usize> + Clone, allow: bool) {
        self.commands.put(numbers.clone(), allow);
        for number in numbers {
            self.first_args.remove(&number);
        }
    }

    /// Keeps a rule of commands; what it replaces goes: the same name, and what lies behind it.
    fn note(&mut self, name: Vec<u8>, allow: bool) {
        self.rules.retain(|(_, known)| {
            let rest = known.strip_prefix(name.as_slice());
            rest.is_none_or(|rest| !rest.is_empty() && rest[0] != b'|')
        });
        self.rules.push((allow, name));
    }

    /// Whether a command may be run with this first argument.
    pub(super) fn may_run(&self, number: usize, first_arg: Option<&[u8]>) -> bool {
        self.commands.has(number)
            || self.first_args.get(&number).is_some_and(|known| {
                first_arg
                    .is_some_and(|given| known.iter().any(|one| one.eq_ignore_ascii_case(given)))
            })
    }

    /// Whether this may be done to a key.
    pub(super) fn may_touch(&self, key: &[u8], wanted: KeyRights) -> bool {
        let Some(patterns) = &self.keys else { return true };
        let allows = |known: &KeyPattern| {
            known.rights.allow(wanted) && families::glob::matches(&known.pattern, key, false)
        };
        patterns.iter().any(allows)
    }

    /// Whether this may be done to all keys that begin with a text, as far as that can be seen:
    /// if a pattern ends with the only star of it.
    pub(super) fn may_touch_all(&self, prefix: &[u8], wanted: KeyRights) -> bool {
        let Some(patterns) = &self.keys else { return true };
        let covers = |known: &KeyPattern| match known.pattern.split_last() {
            Some((b'*', text)) if !text.iter().any(|byte| b"*?[\\".contains(byte)) => {
                prefix.starts_with(text)
            }
            _ => false,
        };
        patterns.iter().any(|known| known.rights.allow(wanted) && covers(known))
    }

    /// Whether a channel may be used.
    pub(super) fn may_use(&self, channel: ChannelName<'_>) -> bool {
        let Some(patterns) = &self.channels else { return true };
        match channel {
            ChannelName::Literal(name) => {
                patterns.iter().any(|pattern| families::glob::matches(pattern, name, false))
            }
            ChannelName::Pattern(given) => patterns.iter().any(|pattern| pattern == given),
        }
    }

    /// Whether a database may be used.
    pub(super) fn may_enter(&self, database: u32) -> bool {
        self.databases.as_ref().is_none_or(|known| known.contains(&database))
    }

    /// Whether every key may be read and changed.
    pub(super) fn has_all_keys(&self) -> bool {
        self.keys.is_none()
    }

    /// Whether every command may be run on every key of every database.
    pub(super) fn is_free_on_keys(&self) -> bool {
        self.commands.is_full() && self.has_all_keys() && self.databases.is_none()
    }

    /// The rules of commands, as they can be read again.
    #[must_use]
    pub fn describe_commands(&self) -> Vec<u8> {
        let mut text = if self.from_all { b"+@all".to_vec() } else { b"-@all".to_vec() };
        for (allow, name) in &self.rules {
            text.extend_from_slice(if *allow { b" +" } else { b" -" });
            text.extend_from_slice(name);
        }
        text
    }

    /// The rules of keys, as they can be read again.
    #[must_use]
    pub fn describe_keys(&self) -> Vec<u8> {
        let Some(patterns) = &self.keys else { return b"~*".to_vec() };
        let each = patterns.iter().map(KeyPattern::describe);
        each.collect::<Vec<_>>().join(&b' ')
    }

    /// The rules of channels, as they can be read again behind `resetchannels`.
    #[must_use]
    pub fn describe_channels(&self) -> Vec<u8> {
        let Some(patterns) = &self.channels else { return b"&*".to_vec() };
        let each = patterns.iter().map(|pattern| [b"&".as_slice(), pattern].concat());
        each.collect::<Vec<_>>().join(&b' ')
    }

    /// The rule of databases; empty: none may be used.
    #[must_use]
    pub fn describe_databases(&self) -> Vec<u8> {
        match &self.databases {
            None => b"alldbs".to_vec(),
            Some(known) if known.is_empty() => Vec::new(),
            Some(known) => {
                let known: Vec<String> = known.iter().map(u32::to_string).collect();
                format!("db={}", known.join(",")).into_bytes()
            }
        }
    }

    /// All its rules, as they can be read again.
    #[must_use]
    pub fn describe(&self) -> Vec<u8> {
        let databases = match &self.databases {
            None => Vec::new(),
            Some(known) if known.is_empty() => b"resetdbs".to_vec(),
            Some(_) => self.describe_databases(),
        };
        let reset = if self.channels.is_some() { b"resetchannels".to_vec() } else { Vec::new() };
        let (keys, channels) = (self.describe_keys(), self.describe_channels());
        let parts = [keys, reset, channels, databases, self.describe_commands()];
        let parts: Vec<Vec<u8>> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(&b' ')
    }
}

/// The rights and the pattern of a rule about keys.
fn key_rule(rule: &[u8]) -> Result<(KeyRights, &[u8]), RuleError> {
    let Some(marked) = rule.strip_prefix(b"%") else {
        return Ok((KeyRights::ALL, &rule[1..]));
    };
    let letters = marked.iter().position(|&byte| byte == b'~').unwrap_or(marked.len());
    let mut rights = KeyRights::default();
    for letter in &marked[..letters] {
        let right = match letter.to_ascii_uppercase() {
            b'R' => &mut rights.read,
            b'W' => &mut rights.write,
            _ => return Err(RuleError::Syntax),
        };
        if std::mem::replace(right, true) {
            return Err(RuleError::Syntax);
        }
    }
    if rights == KeyRights::default() {
        return Err(RuleError::Syntax);
    }
    Ok((rights, marked.get(letters + 1..).unwrap_or_default()))
}

/// The numbers of a list with commas.
fn databases(list: &[u8]) -> Result<BTreeSet<u32>, RuleError> {
    list.split(|&byte| byte == b',').map(database).collect()
}

fn database(text: &[u8]) -> Result<u32, RuleError> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(RuleError::Syntax);
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i32>().ok());
    number.and_then(|number| u32::try_from(number).ok()).ok_or(RuleError::DatabaseRange)
}

/// Whether a text may stand in a description.
pub(super) fn check_text(text: &[u8]) -> Result<(), RuleError> {
    let breaks = |&byte: &u8| byte == 0 || is_blank(byte);
    if text.iter().any(breaks) { Err(RuleError::Syntax) } else { Ok(()) }
}

/// Whether a byte separates words.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

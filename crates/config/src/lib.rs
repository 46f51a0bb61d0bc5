//! The settings of the server: one registry, and what is computed from it.
//!
//! [`SETTINGS`] has a row for each setting of Redis, Valkey and Dragonfly and
//! for our own. The command line, files, the environment, `CONFIG GET`,
//! `CONFIG SET`, `CONFIG REWRITE`, `--help` and the docs page all come from
//! these rows, so a new setting is one line in one file (and, once it is
//! obeyed, one field of [`Live`]).
//!
//! A [`Config`] is a value: [`Config::set`] gives a changed copy and leaves the
//! original alone, so it is atomic by construction and can be published to
//! readers that hold the old one. Limits are read from [`Config::live`], which
//! is plain fields.
//!
//! # Invariants
//!
//! 1. A [`Config`] holds only values that their rows accept, in the form that
//!    `CONFIG GET` prints.
//! 2. [`Config::rewrite`] followed by a load gives the same values.
//! 3. No value, whatever its bytes, can add a line to a rewritten file.
//!
//! Nothing here reads a file, the environment or the command line: they are
//! arguments of [`load`].

mod error;
mod glob;
mod live;
mod load;
mod render;
mod rewrite;
mod rules;
mod setting;
mod table;
mod value;
mod words;

use std::borrow::Cow;
use std::fmt;

pub use error::{ConfigError, Origin, SetError};
pub use live::{
    Allowed, BindAddress, EvictionPolicy, LazyFree, ListenPort, Live, LogFormat, LogLevel,
    OutputLimit, OutputLimits, Password,
};
pub use load::{Directive, Files, Loaded, Notice, Outcome, Reason, load};
pub use render::{docs_page, help_text};
pub use rewrite::rewrite_users;
pub use rules::{Repeats, Rule};
pub use setting::{Change, Group, Kind, Setting, Status, Unit};
pub use table::{SETTINGS, find};

/// A value as `CONFIG GET` prints it.
type Value = Cow<'static, [u8]>;

/// The values of all settings.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// A value for each row, in the order of [`SETTINGS`].
    values: Vec<Value>,
    live: Live,
}

impl Default for Config {
    /// Every setting at its default.
    fn default() -> Config {
        let default = |setting: &Setting| Cow::Borrowed(setting.default.as_bytes());
        Config::of(SETTINGS.iter().map(default).collect())
    }
}

impl fmt::Debug for Config {
    /// What differs from the defaults, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (setting, value) in SETTINGS.iter().zip(&self.values) {
            if value.as_ref() != setting.default.as_bytes() {
                map.entry(&setting.name, &load::shown(setting, value));
            }
        }
        map.finish()
    }
}

impl Config {
    fn of(values: Vec<Value>) -> Config {
        let live = Live::of(live::Values(&values));
        Config { values, live }
    }

    /// The settings that are obeyed today, in types.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The value of one setting by any of its names, as `CONFIG GET` prints it.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        table::place(name).map(|at| self.values[at].as_ref())
    }

    /// `CONFIG GET pattern ...`: names and values, sorted by name, each name once.
    ///
    /// A name without glob signs is found by any of its spellings and printed
    /// as it was given; a pattern finds names and aliases, each in its own right,
    /// but nothing hidden.
    #[must_use]
    pub fn get<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Vec<(String, &[u8])> {
        let mut found: Vec<(String, &[u8])> = Vec::new();
        for pattern in patterns {
            self.find(pattern.as_ref(), &mut found);
        }
        found.sort_unstable();
        found
    }

    /// Adds what one pattern finds and is not there yet.
    fn find<'a>(&'a self, pattern: &[u8], found: &mut Vec<(String, &'a [u8])>) {
        let mut add = |name: &str, value| {
            if !found.iter().any(|(there, _)| there.eq_ignore_ascii_case(name)) {
                found.push((name.to_owned(), value));
            }
        };
        if !glob::is_pattern(pattern) {
            let name = std::str::from_utf8(pattern).ok();
            if let Some((name, value)) = name.and_then(|name| Some((name, self.value(name)?))) {
                add(name, value);
            }
            return;
        }
        let shown = SETTINGS.iter().zip(&self.values).filter(|(setting, _)| !setting.hidden);
        for (setting, value) in shown {
            for name in setting.names().filter(|name| glob::matches_name(pattern, name.as_bytes()))
            {
                add(name, value);
            }
        }
    }

    /// `CONFIG SET name value ...`: a copy with these changes, or the refusal
    /// of all of them. `local` says that the client is of this machine.
    ///
    /// # Errors
    ///
    /// In the order of Redis: first the names are looked at from left to right
    /// (unknown, immutable, protected, given twice), then the values.
    pub fn set<N, V>(&self, pairs: &[(N, V)], local: bool) -> Result<Config, SetError>
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut places = Vec::with_capacity(pairs.len());
        for (name, text) in pairs {
            places.push(self.settable((name.as_ref(), text.as_ref()), &places, local)?);
        }
        let mut values = self.values.clone();
        for (&at, (given, text)) in places.iter().zip(pairs) {
            let setting = &SETTINGS[at];
            let parsed = setting.parse_text(&values[at], text.as_ref());
            let parsed = parsed.map_err(|why| {
                let given = String::from_utf8_lossy(given.as_ref());
                let exact = setting.names().find(|own| own.eq_ignore_ascii_case(&given));
                let own =
                    exact.or_else(|| setting.names().find(|own| setting::same_name(own, &given)));
                SetError::Failed { name: own.unwrap_or(setting.name).to_owned(), why }
            })?;
            if load::reason(setting, &parsed) == Some(Reason::Unprotected) {
                let why = "it asks for protection that is not implemented yet";
                return Err(SetError::failed(setting.name, why));
            }
            values[at] = Cow::Owned(parsed);
        }
        Ok(Config::of(values))
    }

    /// What has changed since `old` and is not obeyed, in the table's order.
    #[must_use]
    pub fn unobeyed_since(&self, old: &Config) -> Vec<Notice> {
        let pairs = SETTINGS.iter().zip(self.values.iter().zip(&old.values));
        let changed = pairs.filter(|(_, (new, old))| new != old);
        let notice = |(setting, (value, _)): (&'static Setting, (&Value, &Value))| {
            let (value, reason) = (load::shown(setting, value), load::reason(setting, value)?);
            Some(Notice { setting, value, origin: Origin::ConfigSet, reason })
        };
        changed.filter_map(notice).collect()
    }

    /// The place of a setting that may be set to `text` now, if that is a value of it, and is not
    /// in `taken`.
    fn settable(
        &self,
        (name, text): (&[u8], &[u8]),
        taken: &[usize],
        local: bool,
    ) -> Result<usize, SetError> {
        let name = String::from_utf8_lossy(name);
        let Some(at) = table::place(&name) else {
            return Err(SetError::Unknown { name: name.into_owned() });
        };
        let may_protected = self.live.enable_protected_configs.admits(local);
        let setting = &SETTINGS[at];
        let is_same = || {
            setting.parse_text(&self.values[at], text).is_ok_and(|value| value == *self.values[at])
        };
        // Another name than the one that Redis has is no concern of its clients.
        let is_redis = setting::same_name(setting.name, &name);
        let why = match setting.change {
            Change::Immutable if is_redis || !is_same() => "can't set immutable config",
            Change::AtStart if !is_same() => "can't set immutable config",
            Change::Protected if !may_protected => "can't set protected config",
            _ if taken.contains(&at) => "duplicate parameter",
            _ => return Ok(at),
        };
        Err(SetError::failed(name, why))
    }

    /// A copy in which one setting has this value, whenever it may be changed:
    /// for facts the server finds out, such as the full path of `dir`.
    ///
    /// # Errors
    ///
    /// There is no such setting, or the value is refused.
    pub fn with(&self, name: &str, value: &[u8]) -> Result<Config, SetError> {
        let at = table::place(name).ok_or_else(|| SetError::Unknown { name: name.to_owned() })?;
        let parsed = SETTINGS[at].parse_text(&self.values[at], value);
        let mut values = self.values.clone();
        values[at] = Cow::Owned(parsed.map_err(|why| SetError::failed(name, why))?);
        Ok(Config::of(values))
    }

    /// The settings whose value differs in `other`.
    pub fn changes<'a>(&'a self, other: &'a Config) -> impl Iterator<Item = &'static Setting> + 'a {
        let pairs = self.values.iter().zip(&other.values);
        SETTINGS.iter().zip(pairs).filter(|(_, (one, two))| one != two).map(|(setting, _)| setting)
    }
}

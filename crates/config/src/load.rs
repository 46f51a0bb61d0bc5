//! From the command line, the environment and files to a [`Config`].
//!
//! Later sources win: defaults, environment, files, command line. Within the
//! environment `ANAX_` wins over `DFLY_`; among files the one named first on
//! the command line is read first, flag files after it. What adds to a value
//! that is there (`save`) does so from files to the command line, as in Redis.
//!
//! Everything outside is reached through [`Files`], so a load is a function of
//! its arguments.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::one_line;
use crate::setting::{Kind, Setting, Status, same_name};
use crate::table::{self, RETIRED};
use crate::{Config, ConfigError, Origin, SETTINGS, Value, glob, words};

/// How deep files may include one another.
const INCLUDE_DEPTH_MAX: usize = 16;
/// How many files one load reads.
const FILES_MAX: usize = 256;
/// How much of a value an error shows, in characters.
const SHOWN_MAX: usize = 100;
/// Longest name that is compared with the known ones.
const NAME_MAX: usize = 64;

/// The outside world of a load.
pub trait Files {
    /// The text of a file.
    ///
    /// # Errors
    ///
    /// It cannot be read or is not UTF-8.
    fn read(&mut self, path: &Path) -> io::Result<String>;

    /// The names in a folder, in any order.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn list(&mut self, folder: &Path) -> io::Result<Vec<String>>;

    /// All of standard input.
    ///
    /// # Errors
    ///
    /// It cannot be read or is not UTF-8.
    fn stdin(&mut self) -> io::Result<String>;
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Start with these settings.
    Start(Box<Loaded>),
    /// Print [`crate::help_text`] and exit.
    Help,
    /// Print the version and exit.
    Version,
}

/// The settings to start with.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// What was given and is not obeyed, to be logged, in the table's order.
    pub notices: Vec<Notice>,
    /// Lines that are no settings. They bear on security, so the server must
    /// carry each out or refuse to start.
    pub directives: Vec<Directive>,
    /// The file that was named first, which `CONFIG REWRITE` writes.
    pub file: Option<PathBuf>,
}

/// A line that is no setting: `user`, `rename-command` or `loadmodule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its first word in lower case.
    pub name: &'static str,
    /// The words after it.
    pub words: Vec<Vec<u8>>,
    /// Where it stood.
    pub origin: Origin,
}

/// A setting that was given and is not obeyed.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value, unless it is a secret.
    pub value: String,
    /// Where it was given last.
    pub origin: Origin,
    /// Why it is not obeyed.
    pub reason: Reason,
}

impl PartialEq for Notice {
    fn eq(&self, other: &Notice) -> bool {
        let name = self.setting.name == other.setting.name;
        name && self.value == other.value
            && self.origin == other.origin
            && self.reason == other.reason
    }
}

/// Why a setting is not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It asks for protection that is not there yet: worth not starting.
    Unprotected,
    /// What it controls is not there yet: worth a warning.
    Later,
    /// Its other values are obeyed, this one is not yet: worth a warning.
    ValueLater,
    /// There is nothing here for it to control, and nothing is lost.
    Inert,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.reason {
            Reason::Unprotected => "asks for protection that is not implemented yet",
            Reason::Later => "accepted, but what it controls is not implemented yet",
            Reason::ValueLater => "accepted, but this value has no effect yet",
            Reason::Inert => "accepted; there is nothing here for it to control",
        };
        write!(f, "{}: {} '{}': {why}", self.origin, self.setting.name, one_line(&self.value))
    }
}

/// Reads everything that was given at start. `args` is the command line
/// without the program's name, `env` the environment.
///
/// # Errors
///
/// The first thing that is unknown, malformed, out of bounds or unreadable.
pub fn load(
    args: &[String],
    env: &[(String, String)],
    files: &mut dyn Files,
) -> Result<Outcome, ConfigError> {
    let given = match CommandLine::parse(args)? {
        Asked::Start(given) => given,
        Asked::Help => return Ok(Outcome::Help),
        Asked::Version => return Ok(Outcome::Version),
    };
    let mut loader = Loader::new(files);
    loader.environment(env)?;
    loader.next_source();
    if let Some(path) = &given.file {
        loader.read_file(path, 0)?;
    }
    if given.stdin {
        loader.read_stdin()?;
    }
    let env_flag_files = std::mem::take(&mut loader.flag_files);
    for path in env_flag_files.iter().chain(&given.flag_files) {
        loader.read_flag_file(path, 0)?;
    }
    for Given { name, words, is_flag } in given.options {
        loader.line(&name, words, is_flag, &Origin::CommandLine, 0)?;
    }
    Ok(Outcome::Start(Box::new(loader.finish(given.file))))
}

/// A value as logs may show it.
pub(crate) fn shown(setting: &Setting, value: &[u8]) -> String {
    if setting.is_secret() {
        return "(hidden)".to_owned();
    }
    String::from_utf8_lossy(value).chars().take(SHOWN_MAX).collect()
}

/// What the words of the command line ask for.
enum Asked {
    Start(CommandLine),
    Help,
    Version,
}

/// A name on the command line, and the words after it.
struct Given {
    name: String,
    words: Vec<Vec<u8>>,
    /// Whether it stands as `--name=value`.
    is_flag: bool,
}

/// The command line, its parts told apart.
#[derive(Default)]
struct CommandLine {
    file: Option<String>,
    stdin: bool,
    flag_files: Vec<String>,
    options: Vec<Given>,
}

impl CommandLine {
    fn parse(args: &[String]) -> Result<Asked, ConfigError> {
        let mut line = CommandLine::default();
        let mut rest = line.take_files(args);
        let mut is_first = true;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            // Redis reads the words behind the file as a line of it.
            let bare = Some(first.as_str()).filter(|name| is_first && table::find(name).is_some());
            is_first = false;
            let name = first.strip_prefix("--").or_else(|| first.strip_prefix('-')).or(bare);
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                return Err(wrong(format!("found '{first}' where a --name should be")));
            };
            match name {
                "h" | "help" => return Ok(Asked::Help),
                "v" | "version" => return Ok(Asked::Version),
                _ => {}
            }
            let (name, words, is_flag) = match name.split_once(['=', ' ', '\t']) {
                Some((before, value)) if name.as_bytes()[before.len()] == b'=' => {
                    (before, vec![value.as_bytes().to_vec()], true)
                }
                Some((before, line)) => (before, words_of(before, line, &mut rest)?, false),
                None => (name, take_words(name, &mut rest)?, false),
            };
            line.add(Given { name: name.to_owned(), words, is_flag });
        }
        Ok(Asked::Start(line))
    }

    /// Takes the file in front and the `-` at either end.
    fn take_files<'a>(&mut self, mut args: &'a [String]) -> &'a [String] {
        if let Some((first, after)) = args.split_first() {
            if !first.starts_with('-') {
                self.file = Some(first.clone());
                args = after;
            } else if first == "-" {
                self.stdin = true;
                args = after;
            }
        }
        if let Some((last, before)) = args.split_last()
            && last == "-"
        {
            self.stdin = true;
            args = before;
        }
        args
    }

    fn add(&mut self, given: Given) {
        if same_name(&given.name, "flagfile") {
            let paths = given.words.iter().map(|word| String::from_utf8_lossy(word).into_owned());
            self.flag_files.extend(paths);
        } else {
            self.options.push(given);
        }
    }
}

fn wrong(problem: String) -> ConfigError {
    ConfigError { origin: Origin::CommandLine, problem }
}

/// The words of `--name word word`, given as one argument, and what follows it.
fn words_of(name: &str, line: &str, rest: &mut &[String]) -> Result<Vec<Vec<u8>>, ConfigError> {
    let split = words::split(line.as_bytes());
    let mut words = split.ok_or_else(|| wrong(format!("{name}: unbalanced quotes")))?;
    let more = rest.iter().take_while(|word| !word.starts_with("--")).count();
    let (more, after) = rest.split_at(more);
    *rest = after;
    words.extend(more.iter().map(|word| word.as_bytes().to_vec()));
    Ok(words)
}

/// The words that belong to a name on the command line: all up to the next
/// `--name`, but none where a yes-or-no setting stands alone. A text that must
/// be there may look like a name.
fn take_words(name: &str, rest: &mut &[String]) -> Result<Vec<Vec<u8>>, ConfigError> {
    let setting = table::find(name);
    let stands_alone = negated(name).is_some()
        || is_bool(name) && rest.first().is_none_or(|word| word.starts_with('-'));
    let is_text = setting.is_some_and(|setting| matches!(setting.kind, Kind::Text));
    let count = match rest.first() {
        _ if stands_alone => 0,
        Some(first) if is_text && first.starts_with("--") => 1,
        _ => rest.iter().take_while(|word| !word.starts_with("--")).count(),
    };
    let may_be_none = stands_alone || setting.is_some_and(Setting::takes_many_words);
    if count == 0 && !may_be_none {
        let expects = setting.map(|setting| setting.kind.expects());
        let expects = expects.or_else(|| same_name(name, "flagfile").then(|| "a path".into()));
        if let Some(expects) = expects {
            return Err(wrong(format!("{name} needs a value (allowed: {expects})")));
        }
    }
    let (words, after) = rest.split_at(count);
    *rest = after;
    Ok(words.iter().map(|word| word.as_bytes().to_vec()).collect())
}

fn is_bool(name: &str) -> bool {
    matches!(table::find(name), Some(Setting { kind: Kind::Bool, .. }))
}

/// The setting that `--noname` turns off.
fn negated(name: &str) -> Option<&str> {
    let rest = name.get(..2).filter(|no| no.eq_ignore_ascii_case("no")).map(|_| &name[2..])?;
    (table::find(name).is_none() && is_bool(rest)).then_some(rest)
}

/// A load in progress.
struct Loader<'f> {
    files: &'f mut dyn Files,
    values: Vec<Value>,
    /// Where each setting was given last.
    origins: Vec<Option<Origin>>,
    /// Which settings the present source has given.
    in_source: Vec<bool>,
    directives: Vec<Directive>,
    /// Flag files named in the environment.
    flag_files: Vec<String>,
    files_read: usize,
}

impl<'f> Loader<'f> {
    fn new(files: &'f mut dyn Files) -> Loader<'f> {
        Loader {
            files,
            values: Config::default().values,
            origins: vec![None; SETTINGS.len()],
            in_source: vec![false; SETTINGS.len()],
            directives: Vec::new(),
            flag_files: Vec::new(),
            files_read: 0,
        }
    }

    /// From here on a repeated setting takes the place of what was before.
    fn next_source(&mut self) {
        self.in_source.fill(false);
    }

    fn finish(self, file: Option<String>) -> Loaded {
        let mut notices = Vec::new();
        for ((setting, value), origin) in SETTINGS.iter().zip(&self.values).zip(self.origins) {
            if let (Some(origin), Some(reason)) = (origin, reason(setting, value)) {
                let value = shown(setting, value);
                notices.push(Notice { setting, value, origin, reason });
            }
        }
        let (config, directives) = (Config::of(self.values), self.directives);
        Loaded { config, notices, directives, file: file.map(PathBuf::from) }
    }

    /// Names are matched in their own letter case, because orchestrators put
    /// variables such as `ANAX_PORT=tcp://10.0.0.1:6379` into every container.
    fn environment(&mut self, env: &[(String, String)]) -> Result<(), ConfigError> {
        for prefix in ["DFLY_", "ANAX_"] {
            self.next_source();
            for (variable, value) in env {
                let Some(name) = variable.strip_prefix(prefix) else { continue };
                let name = if name == "PASSWORD" { "requirepass" } else { name };
                let ours = table::find(name).is_some_and(|setting| is_exact(setting, name));
                if !ours && name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    continue;
                }
                if same_name(name, "flagfile") {
                    self.flag_files.push(value.clone());
                    continue;
                }
                let origin = Origin::Environment { variable: variable.clone() };
                self.assign(name, &[value.as_bytes().to_vec()], &origin)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, path: &str, depth: usize) -> Result<(), ConfigError> {
        let text = self.text_of(path, depth)?;
        self.config_text(&text, path, depth)
    }

    fn read_stdin(&mut self) -> Result<(), ConfigError> {
        let read = self.files.stdin();
        let text = read.map_err(|error| file_error("-", format!("cannot be read: {error}")))?;
        self.config_text(&text, "-", 0)
    }

    fn text_of(&mut self, path: &str, depth: usize) -> Result<String, ConfigError> {
        if depth > INCLUDE_DEPTH_MAX {
            let problem = format!("files include one another more than {INCLUDE_DEPTH_MAX} deep");
            return Err(file_error(path, problem));
        }
        self.files_read += 1;
        if self.files_read > FILES_MAX {
            return Err(file_error(path, format!("more than {FILES_MAX} files are included")));
        }
        let read = self.files.read(Path::new(path));
        read.map_err(|error| file_error(path, format!("cannot be read: {error}")))
    }

    /// A file in the form of `redis.conf`.
    fn config_text(&mut self, text: &str, path: &str, depth: usize) -> Result<(), ConfigError> {
        for (at, line) in text.trim_start_matches('\u{feff}').split('\n').enumerate() {
            let line = trimmed(line);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let origin = Origin::File { path: path.to_owned(), line: at + 1 };
            let Some(mut words) = words::split(line.as_bytes()) else {
                let problem = "Unbalanced quotes in configuration line".to_owned();
                return Err(ConfigError { origin, problem });
            };
            if words.is_empty() {
                continue;
            }
            let name = String::from_utf8_lossy(&words.remove(0)).into_owned();
            self.line(&name, words, false, &origin, depth)?;
        }
        Ok(())
    }

    /// A name and its words, as a file or the command line gives them, there perhaps as a flag.
    fn line(
        &mut self,
        name: &str,
        words: Vec<Vec<u8>>,
        is_flag: bool,
        origin: &Origin,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let from_file = matches!(origin, Origin::File { .. });
        if let Some(name) = directive(name, &words, is_flag) {
            let origin = origin.clone();
            self.directives.push(Directive { name, words, origin });
            return Ok(());
        }
        if same_name(name, "include")
            && let [pattern] = words.as_slice()
        {
            return self.include(&String::from_utf8_lossy(pattern), depth + 1);
        }
        if is_retired(name) {
            return Ok(());
        }
        if !from_file && words.is_empty() {
            return self.bare(name, origin);
        }
        self.assign(name, &words, origin)
    }

    /// `--name` or `--noname`.
    fn bare(&mut self, name: &str, origin: &Origin) -> Result<(), ConfigError> {
        let (name, word) = match negated(name) {
            Some(name) => (name, "no"),
            None if is_bool(name) => (name, "yes"),
            None => (name, ""),
        };
        self.assign(name, &[word.as_bytes().to_vec()], origin)
    }

    fn assign(
        &mut self,
        name: &str,
        words: &[Vec<u8>],
        origin: &Origin,
    ) -> Result<(), ConfigError> {
        let wrong = |problem| Err(ConfigError { origin: origin.clone(), problem });
        let Some(at) = table::place(name) else { return wrong(unknown(name)) };
        let setting = &SETTINGS[at];
        match setting.parse_line(&self.values[at], self.in_source[at], words) {
            Ok(value) => self.values[at] = Cow::Owned(value),
            Err(why) => {
                let given = shown(setting, &words.join(&b' '));
                let expects = setting.kind.expects();
                return wrong(format!("{name} '{given}': {why} (allowed: {expects})"));
            }
        }
        self.origins[at] = Some(origin.clone());
        self.in_source[at] = true;
        Ok(())
    }

    /// `include path`: a pattern that finds nothing is no error.
    fn include(&mut self, pattern: &str, depth: usize) -> Result<(), ConfigError> {
        if !glob::is_pattern(pattern.as_bytes()) {
            return self.read_file(pattern, depth);
        }
        for path in self.expand(pattern) {
            self.read_file(&path, depth)?;
        }
        Ok(())
    }

    /// The paths a pattern describes, sorted, folder by folder.
    fn expand(&mut self, pattern: &str) -> Vec<String> {
        let start = if pattern.starts_with('/') { "/" } else { "" };
        let mut paths = vec![start.to_owned()];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            let mut longer = Vec::new();
            for path in &paths {
                longer.extend(self.matching(path, part).into_iter().take(FILES_MAX + 1));
            }
            longer.truncate(FILES_MAX + 1);
            paths = longer;
        }
        paths
    }

    fn matching(&mut self, folder: &str, part: &str) -> Vec<String> {
        let join = |name: &str| match folder {
            "" | "/" => format!("{folder}{name}"),
            _ => format!("{folder}/{name}"),
        };
        if !glob::is_pattern(part.as_bytes()) {
            return vec![join(part)];
        }
        let place = if folder.is_empty() { "." } else { folder };
        let mut names = self.files.list(Path::new(place)).unwrap_or_default();
        names.retain(|name| {
            let hidden = name.starts_with('.') && !part.starts_with('.');
            !hidden && glob::matches(part.as_bytes(), name.as_bytes())
        });
        names.sort_unstable();
        names.iter().map(|name| join(name)).collect()
    }

    /// A file of flags, `--name=value` a line.
    fn read_flag_file(&mut self, path: &str, depth: usize) -> Result<(), ConfigError> {
        let text = self.text_of(path, depth)?;
        for (at, line) in text.split('\n').enumerate() {
            let line = trimmed(line);
            if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
                continue;
            }
            let origin = Origin::File { path: path.to_owned(), line: at + 1 };
            let Some(flag) = line.strip_prefix("--").or_else(|| line.strip_prefix('-')) else {
                let problem = format!("found '{line}' where a --name=value should be");
                return Err(ConfigError { origin, problem });
            };
            match flag.split_once('=') {
                Some((name, value)) if same_name(name, "flagfile") => {
                    self.read_flag_file(value, depth + 1)?;
                }
                Some((name, value)) => self.assign(name, &[value.as_bytes().to_vec()], &origin)?,
                None => self.bare(flag, &origin)?,
            }
        }
        Ok(())
    }
}

/// Whether a name is spelled in the letter case of the setting it means.
fn is_exact(setting: &Setting, name: &str) -> bool {
    let dashed = |text: &str| text.replace('_', "-");
    setting.names().any(|own| dashed(own) == dashed(name))
}

fn file_error(path: &str, problem: String) -> ConfigError {
    ConfigError { origin: Origin::File { path: path.to_owned(), line: 0 }, problem }
}

/// A line without the blanks around it.
pub(crate) fn trimmed(line: &str) -> &str {
    line.trim_matches([' ', '\t', '\r', '\n'])
}

/// Whether a name is read over.
pub(crate) fn is_retired(name: &str) -> bool {
    RETIRED.iter().any(|retired| same_name(retired, name))
}

/// The directive that a line is, if it is one. `user name` is one wherever it stands; the flag
/// `--user=name` names an account.
pub(crate) fn directive(name: &str, words: &[Vec<u8>], is_flag: bool) -> Option<&'static str> {
    match words.len() {
        1.. if same_name(name, "user") && !is_flag => Some("user"),
        2 if same_name(name, "rename-command") => Some("rename-command"),
        1.. if same_name(name, "loadmodule") => Some("loadmodule"),
        _ => None,
    }
}

/// Why a setting that was given is not obeyed, if it is not.
pub(crate) fn reason(setting: &Setting, value: &[u8]) -> Option<Reason> {
    let among = |values: &[&str]| values.iter().any(|known| known.as_bytes() == value);
    let later = if setting.guards { Reason::Unprotected } else { Reason::Later };
    let (obeyed, reason) = match setting.status {
        Status::Live => return None,
        Status::LiveFor(values) => (among(values), Reason::ValueLater),
        Status::Later(values) => (among(values), later),
        Status::LaterUnlessDefault => (among(&[setting.default]), later),
        Status::Inert => (among(&[setting.default]), Reason::Inert),
    };
    (!obeyed).then_some(reason)
}

/// The error for a name nobody knows, with the nearest one that is known.
fn unknown(name: &str) -> String {
    let name: String = name.chars().take(SHOWN_MAX).collect();
    match nearest(&name) {
        Some(near) => format!("unknown setting '{name}'; did you mean '{near}'?"),
        None => format!("unknown setting '{name}'; --help lists them all"),
    }
}

/// The known name that takes the fewest edits to reach, if they are few.
fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > NAME_MAX {
        return None;
    }
    let own = ["flagfile", "include", "help", "version"];
    let names = SETTINGS.iter().flat_map(Setting::names).chain(own);
    let (distance, near) = names.map(|known| (edits(name, known), known)).min()?;
    (distance <= name.len().div_ceil(3)).then_some(near)
}

/// How many letters must be put in, taken out or changed to get from one name
/// to another (Levenshtein's distance, one row at a time).
fn edits(from: &str, to: &str) -> usize {
    let fold = |text: &str| text.to_ascii_lowercase().replace('_', "-").into_bytes();
    let (from, to) = (fold(from), fold(to));
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, byte) in from.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (at, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(byte != other);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

//! The source of scripts and libraries, up to where Lua begins.
//!
//! A script may begin with `#!lua flags=no-writes,allow-oom`, a library must begin with
//! `#!lua name=mylib`. A line `--!df flags=disable-atomicity,allow-undeclared-keys` among the
//! first comments of a script says more to servers that cut their keyspace, as ours does.
//! Neither line is taken out of what Lua compiles, so line numbers stay.

use std::collections::HashMap;
use std::fmt::{self, Debug, Display};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::host::Failure;
use crate::sha1::{Digest, sha1};

/// The name of a script: the SHA-1 of its source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScriptId(Digest);

impl Hash for ScriptId {
    /// A part of a digest tells names apart as well as all of it.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// Scripts by their names, found without hashing what is a hash.
pub type ById<V> = HashMap<ScriptId, V, BuildHasherDefault<IdHasher>>;

/// Takes a [`ScriptId`] as it is. Who makes up names can do no more than miss: what is stored
/// under one is a source that has it.
#[derive(Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, part: u64) {
        self.0 = part;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What each byte is worth as a hexadecimal digit; 255 if it is none.
const DIGITS: [u8; 256] = {
    let mut digits = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        let digit = HEX[value];
        digits[digit as usize] = value as u8;
        digits[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    digits
};

impl ScriptId {
    /// The name of a source.
    #[must_use]
    pub fn of(source: &[u8]) -> Self {
        Self(sha1(source))
    }

    /// From 40 hexadecimal digits, in capitals or not.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits: &[u8; 40] = text.try_into().ok()?;
        let (mut id, mut all) = ([0; 20], 0);
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| DIGITS[usize::from(digit)]);
            *byte = high << 4 | low;
            all |= high | low;
        }
        (all < 16).then_some(Self(id))
    }

    /// As 40 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> [u8; 40] {
        let mut hex = [0; 40];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        hex
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl Display for ScriptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Debug for ScriptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// What a script or a function says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `no-writes`: it only reads.
    pub no_writes: bool,
    /// `allow-oom`: it may run when memory is full.
    pub allow_oom: bool,
    /// `allow-stale`: it may run on a replica that has lost its master.
    pub allow_stale: bool,
    /// `no-cluster`: it must not run in a cluster.
    pub no_cluster: bool,
    /// `allow-cross-slot-keys`: it may touch keys of several hash slots.
    pub allow_cross_slot_keys: bool,
}

impl Flags {
    /// Their names, in the order in which they are listed.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let mut flags = self;
        NAMES.iter().filter(|(_, field)| *field(&mut flags)).map(|(name, _)| *name).collect()
    }

    /// Sets the flag of this name; `false` if there is none.
    pub(crate) fn set(&mut self, name: &[u8], matches: fn(&[u8], &[u8]) -> bool) -> bool {
        match NAMES.iter().find(|(known, _)| matches(known.as_bytes(), name)) {
            Some((_, field)) => {
                *field(self) = true;
                true
            }
            None => false,
        }
    }
}

type Field = fn(&mut Flags) -> &mut bool;

const NAMES: &[(&str, Field)] = &[
    ("no-writes", |flags| &mut flags.no_writes),
    ("allow-oom", |flags| &mut flags.allow_oom),
    ("allow-stale", |flags| &mut flags.allow_stale),
    ("no-cluster", |flags| &mut flags.no_cluster),
    ("allow-cross-slot-keys", |flags| &mut flags.allow_cross_slot_keys),
];

/// A script, checked as far as that goes without Lua. Engines compile it when they run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    id: ScriptId,
    source: Box<[u8]>,
    body_at: usize,
    flags: Option<Flags>,
    is_not_atomic: bool,
    allows_undeclared_keys: bool,
}

impl Script {
    /// Takes the source of a script.
    ///
    /// # Errors
    ///
    /// If its first line is a `#!` that says what nobody understands.
    pub fn new(source: &[u8]) -> Result<Self, Failure> {
        let (flags, body_at) = match shebang(source) {
            None => (None, 0),
            Some(line) => {
                let line = line.map_err(|NoLine| Failure::new("ERR Invalid script shebang"))?;
                (Some(script_flags(line)?), line.len())
            }
        };
        let mut script = Self {
            id: ScriptId::of(source),
            source: source.into(),
            body_at,
            flags,
            is_not_atomic: false,
            allows_undeclared_keys: false,
        };
        script.read_comments();
        Ok(script)
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> ScriptId {
        self.id
    }

    /// All of its source.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// What its first line says of it; `None` if it has no such line, and the old rules apply.
    #[must_use]
    pub fn flags(&self) -> Option<Flags> {
        self.flags
    }

    /// Whether it does not mind what others do between its commands (`disable-atomicity`).
    #[must_use]
    pub fn is_not_atomic(&self) -> bool {
        self.is_not_atomic
    }

    /// Whether it says that it touches keys that it is not given (`allow-undeclared-keys`).
    #[must_use]
    pub fn allows_undeclared_keys(&self) -> bool {
        self.allows_undeclared_keys
    }

    /// What Lua compiles.
    pub(crate) fn body(&self) -> &[u8] {
        &self.source[self.body_at..]
    }

    /// Reads the `--!df` lines among the first comments. Flags that it does not know are left
    /// to those who do.
    fn read_comments(&mut self) {
        let body = self.source[self.body_at..].to_vec();
        let lines = body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.take_while(|line| line.is_empty() || line.starts_with(b"--")) {
            let Some(options) = line.strip_prefix(b"--!df ") else { continue };
            let Some(flags) = options.trim_ascii().strip_prefix(b"flags=") else { continue };
            for flag in flags.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                self.is_not_atomic |= flag == b"disable-atomicity";
                self.allows_undeclared_keys |= flag == b"allow-undeclared-keys";
            }
        }
    }
}

/// A library of functions, checked as far as that goes without Lua.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibrarySource {
    id: ScriptId,
    name: String,
    source: Box<[u8]>,
    body_at: usize,
}

impl LibrarySource {
    /// Takes the source of a library.
    ///
    /// # Errors
    ///
    /// If its first line does not say what it must.
    pub fn new(source: &[u8]) -> Result<Self, Failure> {
        let invalid = || Failure::new("ERR Invalid library metadata");
        let line = shebang(source).ok_or_else(|| Failure::new("ERR Missing library metadata"))?;
        let line = line.map_err(|NoLine| invalid())?;
        let words = words(line).ok_or_else(invalid)?;
        let name = library_name(&words)?;
        if !is_name(&name) {
            return Err(Failure::new(format!("ERR {BAD_LIBRARY_NAME}")));
        }
        let engine = words.first().map_or(&[][..], |word| word.get(2..).unwrap_or_default());
        if !engine.eq_ignore_ascii_case(b"lua") {
            let text = [b"ERR Engine '", engine, b"' not found"].concat();
            return Err(Failure::new(text));
        }
        // It is a name: letters, digits and underscores.
        let name = String::from_utf8_lossy(&name).into_owned();
        Ok(Self { id: ScriptId::of(source), name, source: source.into(), body_at: line.len() })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of its source.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// What tells two versions of it apart.
    #[must_use]
    pub fn id(&self) -> ScriptId {
        self.id
    }

    /// What Lua compiles.
    pub(crate) fn body(&self) -> &[u8] {
        &self.source[self.body_at..]
    }
}

/// What is said of a name that is none, be it of a library or of a function.
pub(crate) const BAD_LIBRARY_NAME: &str = "Library names can only contain letters, numbers, or \
                                           underscores(_) and must be at least one character long";

/// Whether it can name a library or a function.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A first line that has no end.
struct NoLine;

/// The first line, without its end, if it begins with `#!`.
fn shebang(source: &[u8]) -> Option<Result<&[u8], NoLine>> {
    source.starts_with(b"#!").then(|| match memchr::memchr(b'\n', source) {
        Some(end) => Ok(&source[..end]),
        None => Err(NoLine),
    })
}

fn script_flags(line: &[u8]) -> Result<Flags, Failure> {
    let engine = words(line).filter(|words| words.first().is_some_and(|word| word.len() >= 2));
    let words = engine.ok_or_else(|| Failure::new("ERR Invalid engine in script shebang"))?;
    if words[0] != b"#!lua" {
        let text = [b"ERR Unexpected engine in script shebang: ", &words[0][..]].concat();
        return Err(Failure::new(text));
    }
    let mut flags = Flags::default();
    for word in &words[1..] {
        let Some(names) = word.strip_prefix(b"flags=") else {
            let text = [b"ERR Unknown lua shebang option: ", &word[..]].concat();
            return Err(Failure::new(text));
        };
        // An empty list has no flag, not one empty one.
        for name in
            names.split(|&byte| byte == b',').take(usize::MAX * usize::from(!names.is_empty()))
        {
            if !flags.set(name, |known, name| known == name) {
                let text = [b"ERR Unexpected flag in script shebang: ", name].concat();
                return Err(Failure::new(text));
            }
        }
    }
    Ok(flags)
}

fn library_name(words: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    let mut name = None;
    for word in words.iter().skip(1) {
        match word.get(..5) {
            Some(key) if key.eq_ignore_ascii_case(b"name=") => {
                if name.replace(word[5..].to_vec()).is_some() {
                    return Err(Failure::new(
                        "ERR Invalid metadata value, name argument was given multiple times",
                    ));
                }
            }
            _ => {
                let text = [b"ERR Invalid metadata value given: ", &word[..]].concat();
                return Err(Failure::new(text));
            }
        }
    }
    name.ok_or_else(|| Failure::new("ERR Library name was not given"))
}

/// The words of a line as a shell has them: in quotes or not. `None` if a quote stays open or
/// something follows one at once.
fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let mut word = Vec::new();
        rest = word_end(rest, &mut word)?.trim_ascii_start();
        words.push(word);
    }
    Some(words)
}

/// Reads one word; says what follows it.
fn word_end<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return Some(rest),
            [byte, ..] if byte.is_ascii_whitespace() => return Some(rest),
            [quote @ (b'"' | b'\''), inside @ ..] => {
                let after = quoted(*quote, inside, word)?;
                return after.first().is_none_or(u8::is_ascii_whitespace).then_some(after);
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

/// Reads up to the closing quote; says what follows it.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [byte, after @ ..] if *byte == quote => return Some(after),
            [b'\\', byte, after @ ..] if quote == b'"' || *byte == b'\'' => {
                word.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    byte => *byte,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

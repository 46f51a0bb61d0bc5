//! Settings whose format is their own: save points, output buffer limits,
//! keyspace events and the like.
//!
//! A rule turns the words it is given into the text that `CONFIG GET` prints.
//! The error texts are wire contract, each written here once.

use std::fmt;

use crate::value::{self, Refusal};

/// The format of one setting.
pub struct Rule {
    /// What is allowed, for errors and the docs.
    pub expects: &'static str,
    /// Whether the words of a line each mean something, so that
    /// `--save 900 1` is one value.
    pub many_words: bool,
    /// How a second line of the same setting in one file joins the first.
    pub repeats: Repeats,
    pub(crate) parse: Parse,
}

/// From the present value and the given words to the new value.
type Parse = fn(old: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal>;

/// How a second line of the same setting in one file joins the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// It takes its place.
    Replace,
    /// It is added, and an empty one starts anew.
    Append,
    /// It changes a part and leaves the rest; so does `CONFIG SET`.
    Merge,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("expects", &self.expects).finish_non_exhaustive()
    }
}

/// As many addresses as `bind` takes.
const BIND_ADDRESSES_MAX: usize = 16;

/// `save`: pairs of seconds and changes.
pub(crate) static SAVE: Rule = Rule {
    expects: "pairs of seconds and changes such as `3600 1 300 100`, or an empty text for none",
    many_words: true,
    repeats: Repeats::Append,
    parse: save,
};

fn save(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    if let [] | [b""] = words {
        return Ok(Vec::new());
    }
    let number = |(at, word): (usize, &&[u8])| {
        let least = if at % 2 == 0 { 1 } else { 0 };
        value::integer(word).filter(|number| (least..=i64::from(i32::MAX)).contains(number))
    };
    let numbers: Option<Vec<i64>> = words.iter().enumerate().map(number).collect();
    match numbers {
        Some(numbers) if numbers.len() % 2 == 0 => Ok(join(&numbers)),
        _ => Err("Invalid save parameters".into()),
    }
}

/// `bind` and its like: addresses, each with a `-` before it if it may be missing.
pub(crate) static ADDRESSES: Rule = Rule {
    expects: "up to 16 addresses such as `127.0.0.1 -::1`, `*` for all",
    many_words: true,
    repeats: Repeats::Replace,
    parse: addresses,
};

fn addresses(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    if words.len() > BIND_ADDRESSES_MAX {
        return Err("Too many bind addresses specified.".into());
    }
    if let [] | [b""] = words {
        return Ok(Vec::new());
    }
    let is_address = |word: &&[u8]| {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"*-.:%_[]".contains(byte);
        !word.is_empty() && word.iter().all(allowed)
    };
    if !words.iter().all(is_address) {
        return Err("Failed to bind to specified addresses.".into());
    }
    Ok(words.join(&b' '))
}

/// `client-output-buffer-limit`: a class, a hard limit, a soft limit and seconds.
pub(crate) static OUTPUT_LIMITS: Rule = Rule {
    expects: "groups of class (normal, replica or pubsub), hard limit, soft limit and seconds",
    many_words: true,
    repeats: Repeats::Merge,
    parse: output_limits,
};

/// The classes of clients in the order of the value, as the value spells them.
pub(crate) const CLIENT_CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

fn output_limits(old: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let words = if let [b""] = words { &[] } else { words };
    let (groups, []) = words.as_chunks::<4>() else {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    };
    let mut classes = CLIENT_CLASSES.map(|class| format!("{class} 0 0 0"));
    let old = String::from_utf8_lossy(old);
    let old_words: Vec<&str> = old.split(' ').collect();
    for (class, group) in classes.iter_mut().zip(old_words.chunks_exact(4)) {
        *class = group.join(" ");
    }
    for [class, hard, soft, seconds] in groups {
        let class = client_class(class)
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        let limits = (value::bytes(hard), value::bytes(soft), value::integer(seconds));
        let (Some(hard), Some(soft), Some(seconds @ 0..=0x7fff_ffff)) = limits else {
            return Err(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.".into(),
            );
        };
        classes[class] = format!("{} {hard} {soft} {seconds}", CLIENT_CLASSES[class]);
    }
    Ok(classes.join(" ").into_bytes())
}

fn client_class(name: &[u8]) -> Option<usize> {
    if name.eq_ignore_ascii_case(b"replica") {
        return Some(1);
    }
    CLIENT_CLASSES.iter().position(|class| name.eq_ignore_ascii_case(class.as_bytes()))
}

/// `latency-tracking-info-percentiles`.
pub(crate) static PERCENTILES: Rule = Rule {
    expects: "percentages from 0 to 100 such as `50 99 99.9`, or an empty text for none",
    many_words: true,
    repeats: Repeats::Replace,
    parse: percentiles,
};

fn percentiles(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    if let [] | [b""] = words {
        return Ok(Vec::new());
    }
    let mut texts = Vec::new();
    for word in words {
        let number =
            value::float(word).ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&number) {
            let why = "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
            return Err(why.into());
        }
        texts.push(value::decimal(number));
    }
    Ok(texts.join(" ").into_bytes())
}

/// `notify-keyspace-events`: letters for classes of events, and for channels.
pub(crate) static EVENTS: Rule = Rule {
    expects: "letters out of `Ag$lshzxeKEtmdnocaSTIV`, or an empty text for none",
    many_words: false,
    repeats: Repeats::Replace,
    parse: events,
};

/// The classes that `A` stands for, in the order of the value.
const EVENT_CLASSES: &[u8] = b"g$lshzxetda";
/// The letters after them.
const EVENT_MODIFIERS: &[u8] = b"nocKEmSTIV";

fn events(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let [given] = words else { return Err("wrong number of arguments".into()) };
    let known =
        |byte: &u8| *byte == b'A' || EVENT_CLASSES.contains(byte) || EVENT_MODIFIERS.contains(byte);
    if !given.iter().all(known) {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdnocaSTIV'.".into());
    }
    let all = given.contains(&b'A') || EVENT_CLASSES.iter().all(|byte| given.contains(byte));
    let classes = if all { b"A" } else { EVENT_CLASSES };
    let wanted = |byte: &&u8| **byte == b'A' || given.contains(byte);
    Ok(classes.iter().chain(EVENT_MODIFIERS).filter(wanted).copied().collect())
}

/// `replicaof`: a host and a port.
pub(crate) static PRIMARY: Rule = Rule {
    expects: "`host port`, `host:port`, or `no one`",
    many_words: true,
    repeats: Repeats::Replace,
    parse: primary,
};

fn primary(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let (host, port): (&[u8], &[u8]) = match words {
        [] | [b""] => return Ok(Vec::new()),
        [host, port] => (host, port),
        [both] => match both.iter().rposition(|&byte| byte == b':') {
            Some(colon) => (&both[..colon], &both[colon + 1..]),
            None => return Err("wrong number of arguments".into()),
        },
        _ => return Err("wrong number of arguments".into()),
    };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(Vec::new());
    }
    if host.is_empty() || !host.iter().all(|byte| is_plain(*byte)) {
        return Err("Invalid primary host".into());
    }
    let number = value::integer(port).filter(|number| (0..=65_535).contains(number));
    let port = number.ok_or("Invalid primary port")?;
    Ok([host, port.to_string().as_bytes()].join(&b' '))
}

/// A byte that needs no quotes in a file.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"'\\".contains(&byte)
}

/// `oom-score-adj-values`: three numbers.
pub(crate) static SCORES: Rule = Rule {
    expects: "three numbers from -2000 to 2000: primary, replica, background child",
    many_words: true,
    repeats: Repeats::Replace,
    parse: scores,
};

fn scores(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    if words.len() != 3 {
        return Err("wrong number of arguments".into());
    }
    let score =
        |word: &&[u8]| value::integer(word).filter(|number| (-2000..=2000).contains(number));
    let numbers: Option<Vec<i64>> = words.iter().map(score).collect();
    let why = "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
    Ok(join(&numbers.ok_or(why)?))
}

/// `oom-score-adj`, where `relative` is another word for `yes`.
pub(crate) static SCORE_MODE: Rule = Rule {
    expects: "one of no, yes, relative, absolute",
    many_words: false,
    repeats: Repeats::Replace,
    parse: score_mode,
};

fn score_mode(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    renamed(words, &["no", "yes", "relative", "absolute"], &[("relative", "yes")])
}

/// One of some words, a few of which stand for another.
fn renamed(
    words: &[&[u8]],
    choices: &[&str],
    same: &[(&str, &'static str)],
) -> Result<Vec<u8>, Refusal> {
    let [word] = words else { return Err("wrong number of arguments".into()) };
    let choice = value::choice(choices, word)?;
    let meant = same.iter().find(|(other, _)| *other == choice);
    Ok(meant.map_or(choice, |(_, meant)| meant).as_bytes().to_vec())
}

/// `shutdown-on-sigint` and `shutdown-on-sigterm`: flags of `SHUTDOWN`.
pub(crate) static SHUTDOWN: Rule = Rule {
    expects: "words out of default, save, nosave, now, force, safe, failover",
    many_words: true,
    repeats: Repeats::Replace,
    parse: shutdown,
};

fn shutdown(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let flags = ["default", "save", "nosave", "now", "force", "safe", "failover"];
    let mut given = [false; 7];
    for word in words {
        let choice = value::choice(&flags, word)?;
        given[flags.iter().position(|flag| *flag == choice).expect("it was chosen from them")] =
            true;
    }
    if given[1] && given[2] {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    let chosen: Vec<&str> =
        flags.into_iter().zip(given).skip(1).filter(|(_, on)| *on).map(|(flag, _)| flag).collect();
    let text = if chosen.is_empty() { "default".to_owned() } else { chosen.join(" ") };
    Ok(text.into_bytes())
}

/// `hz`: any number is taken, the bounds of what is useful are kept.
pub(crate) static HERTZ: Rule = Rule {
    expects: "a whole number from 0 to 2147483647, of which 1 to 500 are used",
    many_words: false,
    repeats: Repeats::Replace,
    parse: hertz,
};

fn hertz(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let [word] = words else { return Err("wrong number of arguments".into()) };
    let number = value::integer_in(0, i64::from(i32::MAX), word)?;
    Ok(number.clamp(1, 500).to_string().into_bytes())
}

/// `dbfilename` and `appendfilename`: the name of a file without its folder.
pub(crate) static DB_FILE: Rule = base_name(db_file);
/// `appendfilename`.
pub(crate) static APPEND_FILE: Rule = base_name(append_file);
/// `appenddirname`.
pub(crate) static APPEND_DIR: Rule = base_name(append_dir);

const fn base_name(parse: Parse) -> Rule {
    let expects = "a name without a folder";
    Rule { expects, many_words: false, repeats: Repeats::Replace, parse }
}

fn db_file(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    match words {
        // None: nothing is loaded at the start, and nothing saved at the end.
        [b""] => Ok(Vec::new()),
        _ => name_only(words, "", "dbfilename can't be a path, just a filename"),
    }
}

fn append_file(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let path = "appendfilename can't be a path, just a filename";
    name_only(words, "appendfilename can't be empty", path)
}

fn append_dir(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let path = "appenddirname can't be a path, just a dirname";
    name_only(words, "appenddirname can't be empty", path)
}

fn name_only(words: &[&[u8]], empty: &'static str, path: &'static str) -> Result<Vec<u8>, Refusal> {
    let [name] = words else { return Err("wrong number of arguments".into()) };
    if name.is_empty() {
        return Err(empty.into());
    }
    if name.iter().any(|byte| b"/\\\0".contains(byte)) || matches!(*name, b"." | b"..") {
        return Err(path.into());
    }
    Ok(name.to_vec())
}

/// `dir`: a folder or the address of an object store.
pub(crate) static DIR: Rule = Rule {
    expects: "the path of a folder",
    many_words: false,
    repeats: Repeats::Replace,
    parse: dir,
};

fn dir(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let [path] = words else { return Err("wrong number of arguments".into()) };
    if path.is_empty() {
        return Err("dir can't be empty".into());
    }
    Ok(path.to_vec())
}

/// `cluster-config-file`, which may not be empty.
pub(crate) static CLUSTER_FILE: Rule = Rule {
    expects: "the name of a file",
    many_words: false,
    repeats: Repeats::Replace,
    parse: cluster_file,
};

fn cluster_file(_: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let [path] = words else { return Err("wrong number of arguments".into()) };
    if path.is_empty() {
        return Err("cluster-config-file can't be empty".into());
    }
    Ok(path.to_vec())
}

/// Numbers with a blank between them.
fn join(numbers: &[i64]) -> Vec<u8> {
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    texts.join(" ").into_bytes()
}

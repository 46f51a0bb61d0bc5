//! Commands on strings.

use super::expiry::{self, Unit};
use super::numbers::{self, LongDouble};
use super::{Done, Entry, Model, STRING_BYTES_MAX, Value, length, syntax, truth, wrong_arity};

pub(super) fn get(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    Ok(found(model, selected, &words[1]))
}

fn found(model: &Model, selected: usize, key: &[u8]) -> Value {
    model.read(selected, key).map_or(Value::Nil, |entry| Value::bulk(&entry.bytes))
}

pub(super) fn strlen(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    Ok(length(model.bytes(selected, &words[1]).len()))
}

pub(super) fn mget(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let values = words[1..].iter().map(|key| found(model, selected, key));
    Ok(Value::Array(values.collect()))
}

pub(super) fn getdel(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let old = found(model, selected, &words[1]);
    model.databases[selected].remove(&words[1]);
    Ok(old)
}

pub(super) fn getset(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let old = found(model, selected, &words[1]);
    model.replace(selected, &words[1], words[2].clone());
    Ok(old)
}

/// The options of `SET` and `GETEX`, before their number is read.
#[derive(Default)]
struct Options<'a> {
    nx: bool,
    xx: bool,
    get: bool,
    /// `KEEPTTL` or `PERSIST`.
    bare: bool,
    /// The last one given; the same unit may be given again, another one not.
    expiry: Option<(Unit, &'a [u8])>,
}

impl<'a> Options<'a> {
    /// Reads options; `bare` is the one about deadlines that takes no number.
    fn parse(words: &'a [Vec<u8>], bare: &[u8], is_set: bool) -> Result<Self, String> {
        let mut all = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word.to_ascii_uppercase();
            let unit = unit(&name);
            match name.as_slice() {
                b"NX" if is_set && !all.xx => all.nx = true,
                b"XX" if is_set && !all.nx => all.xx = true,
                b"GET" if is_set => all.get = true,
                name if name == bare && all.expiry.is_none() => all.bare = true,
                _ => match (unit, words.next()) {
                    (Some(unit), Some(number)) if all.takes(unit) => {
                        all.expiry = Some((unit, number));
                    }
                    _ => return Err(syntax()),
                },
            }
        }
        Ok(all)
    }

    fn takes(&self, unit: Unit) -> bool {
        !self.bare && self.expiry.is_none_or(|(given, _)| given == unit)
    }

    fn deadline_ms(&self, words: &[Vec<u8>], model: &Model) -> Result<Option<i64>, String> {
        self.expiry.map(|(unit, number)| deadline_ms(unit, number, words, model)).transpose()
    }
}

fn unit(name: &[u8]) -> Option<Unit> {
    match name {
        b"EX" => Some(expiry::SECONDS),
        b"PX" => Some(expiry::MILLISECONDS),
        b"EXAT" => Some(expiry::AT_SECOND),
        b"PXAT" => Some(expiry::AT_MILLISECOND),
        _ => None,
    }
}

fn deadline_ms(unit: Unit, number: &[u8], words: &[Vec<u8>], model: &Model) -> Result<i64, String> {
    let number = numbers::integer(number)?;
    let deadline = unit.deadline_ms(number, model.now_ms).filter(|_| number > 0);
    deadline.map(|at_ms| model.flavour.kept_ms(at_ms)).ok_or_else(|| expiry::invalid(words))
}

pub(super) fn set(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let options = Options::parse(&words[3..], b"KEEPTTL", true)?;
    let new_ms = options.deadline_ms(words, model)?;

    let old = found(model, selected, &words[1]);
    let is_there = old != Value::Nil;
    let is_done = !(options.nx && is_there || options.xx && !is_there);
    if is_done {
        let kept_ms = model.read(selected, &words[1]).and_then(|entry| entry.deadline_ms);
        let deadline_ms = if options.bare { kept_ms } else { new_ms };
        put(model, selected, words, Entry { bytes: words[2].clone(), deadline_ms });
    }
    Ok(match (options.get, is_done) {
        (true, _) => old,
        (false, true) => Value::ok(),
        (false, false) => Value::Nil,
    })
}

/// Puts an entry under the first key of `words`, unless it has expired already.
fn put(model: &mut Model, selected: usize, words: &[Vec<u8>], entry: Entry) {
    if entry.deadline_ms.is_some_and(|at_ms| at_ms <= model.now_ms) {
        model.databases[selected].remove(&words[1]);
    } else {
        model.databases[selected].insert(words[1].clone(), entry);
    }
}

pub(super) fn setnx(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let is_new = model.read(selected, &words[1]).is_none();
    if is_new {
        model.replace(selected, &words[1], words[2].clone());
    }
    Ok(truth(is_new))
}

pub(super) fn setex(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    set_with(model, selected, words, expiry::SECONDS)
}

pub(super) fn psetex(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    set_with(model, selected, words, expiry::MILLISECONDS)
}

fn set_with(model: &mut Model, selected: usize, words: &[Vec<u8>], unit: Unit) -> Done {
    let deadline_ms = Some(deadline_ms(unit, &words[2], words, model)?);
    put(model, selected, words, Entry { bytes: words[3].clone(), deadline_ms });
    Ok(Value::ok())
}

pub(super) fn getex(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let options = Options::parse(&words[2..], b"PERSIST", false)?;
    let new_ms = options.deadline_ms(words, model);
    let Some(mut entry) = model.read(selected, &words[1]).cloned() else {
        return if model.flavour.is_like_valkey() {
            new_ms.and(Ok(Value::Nil))
        } else {
            Ok(Value::Nil)
        };
    };
    let new_ms = new_ms?;

    let reply = Value::bulk(&entry.bytes);
    if options.bare || new_ms.is_some() {
        entry.deadline_ms = new_ms;
        put(model, selected, words, entry);
    }
    Ok(reply)
}

pub(super) fn mset(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    for (key, value) in pairs(words, "mset")? {
        model.replace(selected, key, value.to_vec());
    }
    Ok(Value::ok())
}

pub(super) fn msetnx(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let pairs = pairs(words, "msetnx")?;
    let are_new = pairs.iter().all(|(key, _)| model.read(selected, key).is_none());
    if are_new {
        mset(model, selected, words)?;
    }
    Ok(truth(are_new))
}

/// A key and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

fn pairs<'a>(words: &'a [Vec<u8>], name: &str) -> Result<Vec<Pair<'a>>, String> {
    if words.len().is_multiple_of(2) {
        return Err(wrong_arity(name));
    }
    Ok(words[1..].chunks_exact(2).map(|pair| (&pair[0][..], &pair[1][..])).collect())
}

pub(super) fn append(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let bytes = [model.bytes(selected, &words[1]), &words[2]].concat();
    let reply = length(bytes.len());
    model.update(selected, &words[1], bytes);
    Ok(reply)
}

pub(super) fn getrange(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let (start, end) = (numbers::integer(&words[2])?, numbers::integer(&words[3])?);
    let bytes = model.bytes(selected, &words[1]);
    Ok(Value::bulk(numbers::span(start, end, bytes.len()).map_or(&[][..], |span| &bytes[span])))
}

pub(super) fn setrange(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let offset = numbers::integer(&words[2])?;
    let patch = &words[3];
    let start = usize::try_from(offset).map_err(|_| "ERR offset is out of range")?;

    let mut bytes = model.bytes(selected, &words[1]).to_vec();
    if patch.is_empty() {
        return Ok(length(bytes.len()));
    }
    if offset > STRING_BYTES_MAX - i64::try_from(patch.len()).expect("no word is that long") {
        return Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)".to_owned());
    }
    let end = start + patch.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(patch);
    let reply = length(bytes.len());
    model.update(selected, &words[1], bytes);
    Ok(reply)
}

pub(super) fn incr(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    add(model, selected, &words[1], 1)
}

pub(super) fn decr(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    add(model, selected, &words[1], -1)
}

pub(super) fn incrby(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let step = numbers::integer(&words[2])?;
    add(model, selected, &words[1], step)
}

pub(super) fn decrby(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let step = numbers::integer(&words[2])?;
    let step = step.checked_neg().ok_or("ERR decrement would overflow")?;
    add(model, selected, &words[1], step)
}

fn add(model: &mut Model, selected: usize, key: &[u8], step: i64) -> Done {
    let old = match model.read(selected, key) {
        Some(entry) => numbers::integer(&entry.bytes)?,
        None => 0,
    };
    let new = old.checked_add(step).ok_or("ERR increment or decrement would overflow")?;
    model.update(selected, key, new.to_string().into_bytes());
    Ok(Value::Integer(new))
}

pub(super) fn incrbyfloat(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let old = match model.read(selected, &words[1]) {
        Some(entry) => LongDouble::parse(&entry.bytes)?,
        None => LongDouble::ZERO,
    };
    let new = old.plus(LongDouble::parse(&words[2])?)?;
    let text = new.to_string().into_bytes();
    model.update(selected, &words[1], text.clone());
    Ok(Value::Bulk(text))
}

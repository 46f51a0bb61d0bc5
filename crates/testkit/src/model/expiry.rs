//! Deadlines of keys: the `EXPIRE` and `TTL` families and `PERSIST`.

use super::{Done, Model, Value, numbers, truth};

/// How a number says when a key expires.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    /// Milliseconds of one.
    pub(super) ms: i64,
    /// Whether it counts from now, not from 1970.
    pub(super) relative: bool,
}

pub(super) const SECONDS: Unit = Unit { ms: 1000, relative: true };
pub(super) const MILLISECONDS: Unit = Unit { ms: 1, relative: true };
pub(super) const AT_SECOND: Unit = Unit { ms: 1000, relative: false };
pub(super) const AT_MILLISECOND: Unit = Unit { ms: 1, relative: false };

impl Unit {
    /// The deadline of `number`, if an `i64` of milliseconds can hold it.
    pub(super) fn deadline_ms(self, number: i64, now_ms: i64) -> Option<i64> {
        number.checked_mul(self.ms)?.checked_add(if self.relative { now_ms } else { 0 })
    }
}

pub(super) fn invalid(words: &[Vec<u8>]) -> String {
    let name = String::from_utf8_lossy(&words[0]).to_ascii_lowercase();
    format!("ERR invalid expire time in '{name}' command")
}

pub(super) fn expire(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    expire_in(model, selected, words, SECONDS)
}

pub(super) fn pexpire(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    expire_in(model, selected, words, MILLISECONDS)
}

pub(super) fn expireat(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    expire_in(model, selected, words, AT_SECOND)
}

pub(super) fn pexpireat(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    expire_in(model, selected, words, AT_MILLISECOND)
}

fn expire_in(model: &mut Model, selected: usize, words: &[Vec<u8>], unit: Unit) -> Done {
    let conditions = Conditions::parse(&words[3..])?;
    let number = numbers::integer(&words[2])?;
    let new_ms = unit.deadline_ms(number, model.now_ms).ok_or_else(|| invalid(words))?;
    let new_ms = model.flavour.kept_ms(new_ms);

    let now_ms = model.now_ms;
    let Some(entry) = model.databases[selected].get_mut(&words[1]) else {
        return Ok(truth(false));
    };
    if !conditions.hold(entry.deadline_ms, new_ms) {
        return Ok(truth(false));
    }
    entry.deadline_ms = Some(new_ms);
    if new_ms <= now_ms {
        model.databases[selected].remove(&words[1]);
    }
    Ok(truth(true))
}

/// `NX`, `XX`, `GT`, `LT`, as they were given.
#[derive(Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(words: &[Vec<u8>]) -> Result<Self, String> {
        let mut all = Self::default();
        for word in words {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" => all.nx = true,
                b"XX" => all.xx = true,
                b"GT" => all.gt = true,
                b"LT" => all.lt = true,
                _ => {
                    return Err(format!(
                        "ERR Unsupported option {}",
                        String::from_utf8_lossy(word)
                    ));
                }
            }
        }
        if all.nx && (all.xx || all.gt || all.lt) {
            return Err(
                "ERR NX and XX, GT or LT options at the same time are not compatible".to_owned()
            );
        }
        if all.gt && all.lt {
            return Err("ERR GT and LT options at the same time are not compatible".to_owned());
        }
        Ok(all)
    }

    /// A key without a deadline counts as one that expires never, at infinity.
    fn hold(&self, old_ms: Option<i64>, new_ms: i64) -> bool {
        !(self.nx && old_ms.is_some()
            || self.xx && old_ms.is_none()
            || self.gt && old_ms.is_none_or(|old_ms| new_ms <= old_ms)
            || self.lt && old_ms.is_some_and(|old_ms| new_ms >= old_ms))
    }
}

pub(super) fn ttl(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let now_ms = model.now_ms;
    Ok(deadline(model, selected, words, |at_ms| rounded_seconds(at_ms - now_ms)))
}

pub(super) fn pttl(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let now_ms = model.now_ms;
    Ok(deadline(model, selected, words, |at_ms| at_ms - now_ms))
}

pub(super) fn expiretime(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    Ok(deadline(model, selected, words, rounded_seconds))
}

pub(super) fn pexpiretime(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    Ok(deadline(model, selected, words, |at_ms| at_ms))
}

/// A number made of the deadline; -2 if there is no key, -1 if it has none.
fn deadline(
    model: &Model,
    selected: usize,
    words: &[Vec<u8>],
    number: impl Fn(i64) -> i64,
) -> Value {
    Value::Integer(match model.read(selected, &words[1]) {
        None => -2,
        Some(entry) => entry.deadline_ms.map_or(-1, number),
    })
}

fn rounded_seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

pub(super) fn persist(model: &mut Model, selected: usize, words: &[Vec<u8>]) -> Done {
    let entry = model.databases[selected].get_mut(&words[1]);
    Ok(truth(entry.is_some_and(|entry| entry.deadline_ms.take().is_some())))
}

//! What is compared of a reply: without the order that it does not have, without the time that
//! passes meanwhile.

use testkit::Value;

use super::shapes::STEP_SECONDS;

/// What the clocks showed at the start.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now_ms: u64,
}

impl Moment {
    /// Which step of deadlines a reply to such a command means.
    fn step(self, name: &[u8], reply: Value) -> Value {
        let number = match reply {
            Value::Integer(number) if number >= 0 => number,
            Value::Array(parts) => {
                return Value::Array(parts.into_iter().map(|part| self.step(name, part)).collect());
            }
            other => return other,
        };
        let seconds = match name.strip_prefix(b"H").unwrap_or(name) {
            b"TTL" => number,
            b"PTTL" => number / 1000,
            b"EXPIRETIME" => number - (self.now_ms / 1000) as i64,
            _ => (number - self.now_ms as i64) / 1000,
        };
        let step = STEP_SECONDS as i64;
        Value::Integer((seconds + step / 2).div_euclid(step))
    }
}

/// What is compared of a reply to a command.
pub(crate) fn compared(words: &[Vec<u8>], reply: Value, moment: Moment) -> Value {
    let has = |word: &[u8]| words.iter().any(|own| own.eq_ignore_ascii_case(word));
    match words[0].to_ascii_uppercase().as_slice() {
        b"SMEMBERS" | b"SINTER" | b"SUNION" | b"SDIFF" | b"HKEYS" | b"HVALS" | b"KEYS" => {
            sorted(reply, false)
        }
        b"HGETALL" => sorted(reply, true),
        b"GEOSEARCH" if !has(b"ASC") && !has(b"DESC") => sorted(reply, false),
        b"SORT" | b"SORT_RO" if has(b"BY") => sorted(reply, false),
        name @ (b"TTL" | b"PTTL" | b"EXPIRETIME" | b"PEXPIRETIME" | b"HTTL" | b"HPTTL"
        | b"HEXPIRETIME" | b"HPEXPIRETIME") => moment.step(name, reply),
        b"OBJECT" if matches!(reply.as_bytes(), Some(b"int" | b"embstr" | b"raw")) => {
            Value::bulk("string")
        }
        b"OBJECT" if matches!(reply.as_bytes(), Some(b"quicklist" | b"listpackex")) => {
            Value::bulk("listpack")
        }
        b"OBJECT" if matches!(reply, Value::Integer(_)) => Value::Integer(1),
        b"ZUNION" | b"ZINTER" => unsigned_zeros(reply),
        _ => reply,
    }
}

/// Zero weighed negatively is told as `-0`, by some servers in some layouts.
fn unsigned_zeros(reply: Value) -> Value {
    match reply {
        Value::Array(parts) => Value::Array(parts.into_iter().map(unsigned_zeros).collect()),
        zero if zero == Value::bulk("-0") => Value::bulk("0"),
        other => other,
    }
}

/// The reply, of an error only that it is one.
pub(crate) fn without_texts(reply: Value) -> Value {
    match reply {
        Value::Error(_) => Value::error("ERR"),
        Value::Array(parts) => Value::Array(parts.into_iter().map(without_texts).collect()),
        other => other,
    }
}

fn sorted(reply: Value, by_pairs: bool) -> Value {
    if reply.is_error() {
        return reply;
    }
    let mut all = entries(&reply, by_pairs);
    all.sort();
    Value::Array(all.into_iter().flatten().collect())
}

/// What an array holds.
pub(crate) fn parts(reply: &Value) -> impl Iterator<Item = &Value> {
    match reply {
        Value::Array(parts) => parts.as_slice(),
        _ => &[],
    }
    .iter()
}

/// What an array holds, one by one or in pairs.
pub(crate) fn entries(reply: &Value, by_pairs: bool) -> Vec<Vec<Value>> {
    let all: Vec<Value> = parts(reply).cloned().collect();
    all.chunks(if by_pairs { 2 } else { 1 }).map(<[Value]>::to_vec).collect()
}

/// The number that a reply is, or 0.
pub(crate) fn number(reply: &Value) -> u64 {
    let text = reply.as_bytes().and_then(|text| std::str::from_utf8(text).ok());
    let number = reply.as_integer().or_else(|| text?.parse().ok());
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// How many members were chosen.
pub(crate) fn outline(reply: &Value) -> Value {
    match reply {
        Value::Bulk(_) => Value::bulk("a member"),
        Value::Array(parts) => Value::Integer(parts.len() as i64),
        other => other.clone(),
    }
}

/// A pair whose second part is told in the shortest digits, if it is a number: ZSCAN of a large
/// sorted set tells 17 of them on a reference server.
fn by_number(mut entry: Vec<Value>) -> Vec<Value> {
    let text = entry.get(1).and_then(Value::as_bytes);
    let number = text.and_then(|text| std::str::from_utf8(text).ok()?.parse::<f64>().ok());
    if let Some(number) = number {
        entry[1] = Value::bulk(number.to_string());
    }
    entry
}

/// All that a walk tells, from its beginning to its end, each once; or its error.
pub(crate) fn walked(words: &[Vec<u8>], mut run: impl FnMut(&[Vec<u8>]) -> Value) -> Value {
    let cursor_at = if words[0].eq_ignore_ascii_case(b"SCAN") { 1 } else { 2 };
    let is_hash = words[0].eq_ignore_ascii_case(b"HSCAN");
    let has_values = is_hash && !words.iter().any(|word| word.eq_ignore_ascii_case(b"NOVALUES"));
    let by_pairs = has_values || words[0].eq_ignore_ascii_case(b"ZSCAN");
    let mut words = words.to_vec();
    let mut all = Vec::new();
    loop {
        let reply = run(&words);
        let halves: Vec<Value> = parts(&reply).cloned().collect();
        let [cursor, found] = &halves[..] else { return reply };
        all.extend(entries(found, by_pairs).into_iter().map(by_number));
        words[cursor_at] = cursor.as_bytes().unwrap_or_default().to_vec();
        if words[cursor_at] == b"0" {
            all.sort();
            all.dedup();
            return Value::Array(all.into_iter().flatten().collect());
        }
    }
}

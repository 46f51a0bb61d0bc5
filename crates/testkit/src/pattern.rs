//! An expected reply, read from the notation of [`crate::notation`].
//!
//! A pattern knows the reply in the richest dialect it was written in, and
//! matches what that reply becomes in the other one: a map is met by a flat
//! array in RESP2, a double by its text, a push message by an array.
//!
//! * Sets and maps are met in any order, as their type says.
//! * An array is met in its order, unless the caller says otherwise.
//! * `(integer) 95..100` is met by every number from 95 to 100.
//!
//! A key of a map is a scalar; no reply of a server has another one.

use crate::notation::{Cursor, Malformed, quoted};
use crate::value::{Dialect, Value};

/// A reply with some room for variation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// One scalar, as it is.
    Exactly(Value),
    /// An integer between two bounds, both included.
    Between(i64, i64),
    /// Elements of one kind of list.
    List(Kind, Vec<Pattern>),
    /// Pairs.
    Map(Vec<(Pattern, Pattern)>),
}

/// The kinds of list that a reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Written `1) ..`; the order matters.
    Array,
    /// Written `1~ ..`; the order is free.
    Set,
    /// Written `1> ..`; the order matters.
    Push,
}

/// Whether the order of the outermost array matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Elements stand where they were written.
    #[default]
    Kept,
    /// Elements may come in any order.
    Free,
}

impl Pattern {
    /// Reads a pattern from the lines of a reply.
    pub fn parse(lines: &[&str]) -> Result<Self, Malformed> {
        let reader = Reader { lines };
        let (pattern, next) = reader.value(Place { line: 0, column: 0 })?;
        match lines.get(next) {
            None => Ok(pattern),
            Some(line) => Err(Malformed(format!("does not belong to the reply: {line}"))),
        }
    }

    /// Whether `value`, spoken in `dialect`, is what was meant.
    pub fn matches(&self, value: &Value, dialect: Dialect, order: Order) -> bool {
        match self {
            Self::Exactly(wanted) => wanted.clone().in_dialect(dialect) == *value,
            Self::Between(low, high) => {
                value.as_integer().is_some_and(|number| (*low..=*high).contains(&number))
            }
            Self::List(kind, wanted) => elements(*kind, value, dialect)
                .is_some_and(|values| list_matches(*kind, wanted, values, dialect, order)),
            Self::Map(wanted) => pairs(value, dialect).is_some_and(|pairs| {
                in_any_order(wanted, &pairs, |(key, wanted), (k, v)| {
                    key.matches(k, dialect, Order::Kept) && wanted.matches(v, dialect, Order::Kept)
                })
            }),
        }
    }
}

fn list_matches(
    kind: Kind,
    wanted: &[Pattern],
    values: &[Value],
    dialect: Dialect,
    order: Order,
) -> bool {
    let one = |wanted: &Pattern, value: &Value| wanted.matches(value, dialect, Order::Kept);
    if kind == Kind::Set || order == Order::Free {
        in_any_order(wanted, values, one)
    } else {
        wanted.len() == values.len() && wanted.iter().zip(values).all(|(w, v)| one(w, v))
    }
}

/// The elements of `value`, if it is the list that `kind` is in `dialect`.
fn elements(kind: Kind, value: &Value, dialect: Dialect) -> Option<&[Value]> {
    match (kind, value) {
        (_, Value::Array(values)) if dialect == Dialect::Resp2 => Some(values),
        (Kind::Array, Value::Array(values))
        | (Kind::Set, Value::Set(values))
        | (Kind::Push, Value::Push(values)) => Some(values),
        _ => None,
    }
}

/// The pairs of `value`, if it is what a map is in `dialect`.
fn pairs(value: &Value, dialect: Dialect) -> Option<Vec<(&Value, &Value)>> {
    match value {
        Value::Map(pairs) => Some(pairs.iter().map(|(key, value)| (key, value)).collect()),
        Value::Array(flat) if dialect == Dialect::Resp2 && flat.len().is_multiple_of(2) => {
            Some(flat.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect())
        }
        _ => None,
    }
}

/// Whether each of `wanted` meets another one of `values`, with none left.
///
/// Takes the first that fits; an exact pattern is tried before a range, so that
/// a range cannot take what only the exact one could have met.
fn in_any_order<W, V>(wanted: &[W], values: &[V], meets: impl Fn(&W, &V) -> bool) -> bool {
    if wanted.len() != values.len() {
        return false;
    }
    let mut choices: Vec<Vec<usize>> = wanted
        .iter()
        .map(|wanted| (0..values.len()).filter(|&at| meets(wanted, &values[at])).collect())
        .collect();
    choices.sort_by_key(Vec::len);
    let mut taken = vec![false; values.len()];
    choices.iter().all(|choices| match choices.iter().find(|&&at| !taken[at]) {
        Some(&free) => {
            taken[free] = true;
            true
        }
        None => false,
    })
}

/// A position in the lines of a reply.
#[derive(Clone, Copy)]
struct Place {
    line: usize,
    column: usize,
}

/// Reads nested lists by the column their numbers stand in.
struct Reader<'a> {
    lines: &'a [&'a str],
}

/// The number before an element, such as ` 1) `.
struct Marker {
    number: usize,
    mark: u8,
    width: usize,
}

impl Reader<'_> {
    /// The value that starts at `place`, and the line after it.
    fn value(&self, place: Place) -> Result<(Pattern, usize), Malformed> {
        match self.marker(place) {
            Some(first) if first.number == 1 && first.mark == b'#' => self.map(place),
            Some(first) if first.number == 1 => self.list(place, first.mark),
            _ => Ok((scalar(self.text(place)?)?, place.line + 1)),
        }
    }

    fn list(&self, start: Place, mark: u8) -> Result<(Pattern, usize), Malformed> {
        let kind = match mark {
            b')' => Kind::Array,
            b'~' => Kind::Set,
            _ => Kind::Push,
        };
        let mut elements = Vec::new();
        let mut place = start;
        while let Some(marker) = self.element(place, start, elements.len() + 1, mark) {
            let inside = Place { column: place.column + marker.width, ..place };
            let (element, next) = self.value(inside)?;
            elements.push(element);
            place.line = next;
        }
        Ok((Pattern::List(kind, elements), place.line))
    }

    fn map(&self, start: Place) -> Result<(Pattern, usize), Malformed> {
        let mut pairs = Vec::new();
        let mut place = start;
        while let Some(marker) = self.element(place, start, pairs.len() + 1, b'#') {
            let inside = Place { column: place.column + marker.width, ..place };
            let (key, after_key) = self.key(inside)?;
            let (value, next) = if self.text(after_key)?.is_empty() {
                self.value(Place { line: inside.line + 1, ..inside })?
            } else {
                self.value(after_key)?
            };
            pairs.push((key, value));
            place.line = next;
        }
        Ok((Pattern::Map(pairs), place.line))
    }

    /// The marker at `place`, if it is the `number`th of the list begun at `start`.
    fn element(&self, place: Place, start: Place, number: usize, mark: u8) -> Option<Marker> {
        let before = self.lines.get(place.line)?.get(..place.column)?;
        let continues = place.line == start.line || before.bytes().all(|byte| byte == b' ');
        self.marker(place)
            .filter(|marker| continues && marker.number == number && marker.mark == mark)
    }

    fn marker(&self, place: Place) -> Option<Marker> {
        let text = self.lines.get(place.line)?.get(place.column..)?;
        let blanks = text.len() - text.trim_start_matches(' ').len();
        let digits = text[blanks..].bytes().take_while(u8::is_ascii_digit).count();
        let end = blanks + digits;
        let mark = *text.as_bytes().get(end)?;
        let is_marker =
            matches!(mark, b')' | b'~' | b'#' | b'>') && text[end + 1..].starts_with(' ');
        let number = text[blanks..end].parse().ok()?;
        is_marker.then_some(Marker { number, mark, width: end + 2 })
    }

    /// A map's key, and the place behind the arrow.
    fn key(&self, place: Place) -> Result<(Pattern, Place), Malformed> {
        let text = self.text(place)?;
        let key_width = if text.starts_with('"') {
            let mut rest = Cursor::new(text);
            rest.next();
            quoted(&mut rest)?;
            rest.position()
        } else {
            text.find(" =>").unwrap_or(text.len())
        };
        let after = text[key_width..]
            .strip_prefix(" =>")
            .ok_or_else(|| Malformed(format!("a map's pair needs ` => `: {text}")))?;
        let column = place.column + key_width + 3 + usize::from(after.starts_with(' '));
        Ok((scalar(&text[..key_width])?, Place { column, ..place }))
    }

    fn text(&self, place: Place) -> Result<&str, Malformed> {
        self.lines
            .get(place.line)
            .and_then(|line| line.get(place.column..))
            .ok_or_else(|| Malformed("the reply ends too soon".to_owned()))
    }
}

/// Reads a reply that stands on one line.
fn scalar(text: &str) -> Result<Pattern, Malformed> {
    if let Some(rest) = text.strip_prefix("(integer) ") {
        return integer(rest);
    }
    if let Some((name, rest)) = prefixed(text) {
        return Ok(Pattern::Exactly(tagged(name, rest)?));
    }
    let empty = |kind| Ok(Pattern::List(kind, Vec::new()));
    let value = match text {
        "(nil)" => Value::Nil,
        "(nil array)" => Value::NilArray,
        "(true)" => Value::Boolean(true),
        "(false)" => Value::Boolean(false),
        "(empty array)" => return empty(Kind::Array),
        "(empty set)" => return empty(Kind::Set),
        "(empty push)" => return empty(Kind::Push),
        "(empty hash)" => return Ok(Pattern::Map(Vec::new())),
        _ if text.starts_with('"') => Value::Bulk(whole_quote(text)?),
        _ if text.is_empty() || text.starts_with(['(', ' ']) => {
            return Err(Malformed(format!("not a reply: {text:?}")));
        }
        status => Value::simple(status),
    };
    Ok(Pattern::Exactly(value))
}

/// Splits `(name) rest`.
fn prefixed(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('(')?.split_once(") ")
}

fn tagged(name: &str, rest: &str) -> Result<Value, Malformed> {
    let text = || if rest.starts_with('"') { whole_quote(rest) } else { Ok(rest.into()) };
    Ok(match name {
        "error" => Value::Error(text()?),
        "status" => Value::Simple(text()?),
        "double" => Value::Double(rest.into()),
        "bignum" => Value::BigNumber(rest.into()),
        "verbatim" => Value::Verbatim { format: *b"txt", text: whole_quote(rest)? },
        _ => match name.strip_prefix("verbatim:").map(|format| format.as_bytes().try_into()) {
            Some(Ok(format)) => Value::Verbatim { format, text: whole_quote(rest)? },
            _ => return Err(Malformed(format!("not a kind of reply: ({name})"))),
        },
    })
}

fn integer(text: &str) -> Result<Pattern, Malformed> {
    let number =
        |text: &str| text.parse::<i64>().map_err(|_| Malformed(format!("not an integer: {text}")));
    match text.split_once("..") {
        Some((low, high)) => Ok(Pattern::Between(number(low)?, number(high)?)),
        None => Ok(Pattern::Exactly(Value::Integer(number(text)?))),
    }
}

fn whole_quote(text: &str) -> Result<Vec<u8>, Malformed> {
    let mut rest = Cursor::new(text);
    if rest.next() != Some(b'"') {
        return Err(Malformed(format!("a quote must stand here: {text}")));
    }
    let bytes = quoted(&mut rest)?;
    match rest.peek() {
        None => Ok(bytes),
        Some(_) => Err(Malformed(format!("something follows the quote: {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Pattern {
        let lines: Vec<&str> = text.lines().collect();
        Pattern::parse(&lines).unwrap_or_else(|malformed| panic!("{text}: {malformed}"))
    }

    fn samples() -> Vec<Value> {
        let numbers = |count| (0..count).map(Value::Integer).collect::<Vec<_>>();
        let pair = |key: &str, value| (Value::bulk(key), value);
        vec![
            Value::ok(),
            Value::simple("1) odd"),
            Value::error("WRONGTYPE Operation"),
            Value::error("ERR ends with a blank "),
            Value::bulk("a \"b\" \x00 => c"),
            Value::Nil,
            Value::NilArray,
            Value::Double(b"1e+300".to_vec()),
            Value::BigNumber(b"-99999999999999999999".to_vec()),
            Value::Verbatim { format: *b"txt", text: b"two\nlines".to_vec() },
            Value::Verbatim { format: *b"mkd", text: b"# head".to_vec() },
            Value::Array(numbers(12)),
            Value::Array(vec![Value::Array(numbers(2)), Value::Array(vec![]), Value::Nil]),
            Value::Array(vec![Value::Array(vec![Value::Array(numbers(11))]), Value::Integer(2)]),
            Value::Set(vec![Value::Boolean(true), Value::Set(vec![])]),
            Value::Push(vec![Value::bulk("message")]),
            Value::Map(vec![
                pair("plain", Value::Integer(1)),
                pair(" => ", Value::Array(numbers(10))),
                pair("map", Value::Map(vec![pair("x", Value::Map(vec![]))])),
                (Value::Integer(7), Value::Boolean(false)),
                (Value::simple("status"), Value::ok()),
            ]),
            Value::Array(vec![Value::Map(vec![pair("a", Value::Array(numbers(1)))]); 10]),
        ]
    }

    #[test]
    fn what_is_written_is_read_back() {
        for value in samples() {
            let pattern = parse(&value.to_string());
            assert!(
                pattern.matches(&value, Dialect::Resp3, Order::Kept) || value == Value::NilArray,
                "{value}"
            );
        }
    }

    #[test]
    fn a_rich_pattern_is_met_by_its_resp2_form() {
        for value in samples() {
            let pattern = parse(&value.to_string());
            let lowered = value.in_dialect(Dialect::Resp2);
            assert!(pattern.matches(&lowered, Dialect::Resp2, Order::Kept), "{lowered}");
        }
    }

    #[test]
    fn another_value_is_not_met() {
        for (at, value) in samples().iter().enumerate() {
            let pattern = parse(&value.to_string());
            for (other_at, other) in samples().iter().enumerate() {
                let met = pattern.matches(other, Dialect::Resp3, Order::Kept);
                assert!(
                    at == other_at || !met || *other == Value::Nil,
                    "{value} is met by {other}"
                );
            }
        }
    }

    #[test]
    fn a_range_includes_its_bounds() {
        let range = parse("(integer) -2..3");
        let met: Vec<i64> = (-5..=5)
            .filter(|&at| range.matches(&Value::Integer(at), Dialect::Resp2, Order::Kept))
            .collect();
        assert_eq!(met, [-2, -1, 0, 1, 2, 3]);
    }

    #[test]
    fn an_array_is_free_in_its_order_only_when_that_is_said() {
        let pattern = parse("1) (integer) 1..2\n2) (integer) 2");
        let swapped = Value::Array(vec![Value::Integer(2), Value::Integer(1)]);
        assert!(!pattern.matches(&swapped, Dialect::Resp2, Order::Kept));
        assert!(pattern.matches(&swapped, Dialect::Resp2, Order::Free));
    }

    #[test]
    fn broken_replies_are_refused() {
        for text in [
            "(what)",
            "(integer) x",
            "\"open",
            "\"a\" b",
            "1) (nil)\n3) (nil)",
            "OK\nOK",
            "1# \"a\"",
            "(integer) 1..",
            "",
        ] {
            let lines: Vec<&str> = text.lines().collect();
            assert!(Pattern::parse(&lines).is_err(), "{text}");
        }
    }
}

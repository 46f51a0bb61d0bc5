//! What a transaction may be made of: commands that add to lists, and read them and take from them.
//!
//! A list of the check is a list of the server, or a text of numbers, each with a comma behind it.

use testkit::Value;
use testkit::serializability::Step;

/// What the names of texts begin with.
const TEXT: &str = "text:";

/// A command that is known to the check.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// RPUSH.
    Push(String, Vec<u64>),
    /// LRANGE of the whole list.
    Range(String),
    /// LLEN.
    Length(String),
    /// LPOP.
    Pop(String),
    /// LMOVE from the first list's left to the other's right.
    Move(String, String),
    /// APPEND to a text.
    Append(String, u64),
    /// MGET of texts.
    Texts(Vec<String>),
    /// MSET of texts, each of which had certain elements and gets one more.
    Set(Vec<(String, Vec<u64>, u64)>),
}

impl Act {
    /// That which reads a list.
    pub(crate) fn read(key: &str) -> Self {
        match key.starts_with(TEXT) {
            true => Self::Texts(vec![key.into()]),
            false => Self::Range(key.into()),
        }
    }

    /// The command's words.
    pub(crate) fn words(&self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        match self {
            Self::Push(key, values) => {
                let values = values.iter().map(u64::to_string);
                ["RPUSH".to_owned(), key.clone()].into_iter().chain(values).collect()
            }
            Self::Range(key) => words(&["LRANGE", key, "0", "-1"]),
            Self::Length(key) => words(&["LLEN", key]),
            Self::Pop(key) => words(&["LPOP", key]),
            Self::Move(from, to) => words(&["LMOVE", from, to, "LEFT", "RIGHT"]),
            Self::Append(key, value) => words(&["APPEND", key, &text(&[*value])]),
            Self::Texts(keys) => {
                std::iter::once("MGET".to_owned()).chain(keys.iter().cloned()).collect()
            }
            Self::Set(texts) => {
                let pair = |(key, values, value): &(String, Vec<u64>, u64)| {
                    [key.clone(), text(values) + &text(&[*value])]
                };
                std::iter::once("MSET".to_owned()).chain(texts.iter().flat_map(pair)).collect()
            }
        }
    }

    /// The keys that it names.
    pub(crate) fn keys(&self) -> Vec<String> {
        match self {
            Self::Push(key, _)
            | Self::Range(key)
            | Self::Length(key)
            | Self::Pop(key)
            | Self::Append(key, _) => vec![key.clone()],
            Self::Move(from, to) => vec![from.clone(), to.clone()],
            Self::Texts(keys) => keys.clone(),
            Self::Set(texts) => texts.iter().map(|(key, ..)| key.clone()).collect(),
        }
    }

    /// What it did, by its reply.
    pub(crate) fn steps(&self, reply: &Value) -> Vec<Step> {
        assert!(!reply.is_error(), "{self:?}: {reply}");
        match self {
            Self::Push(key, values) => {
                let added = values.iter().map(|&value| Step::Append(key.clone(), value));
                added.chain([Step::Length(key.clone(), count(reply))]).collect()
            }
            Self::Range(key) => vec![Step::Read(key.clone(), elements(reply))],
            Self::Length(key) => vec![Step::Length(key.clone(), count(reply))],
            Self::Pop(key) => vec![Step::Take(key.clone(), element(reply))],
            Self::Move(from, to) => moved(from, to, reply),
            Self::Append(key, value) => vec![Step::Append(key.clone(), *value)],
            Self::Texts(keys) => {
                let texts = keys.iter().zip(items(reply));
                texts.map(|(key, text)| Step::Read(key.clone(), numbers(text))).collect()
            }
            Self::Set(texts) => {
                let steps = |(key, values, value): &(String, Vec<u64>, u64)| {
                    [Step::Read(key.clone(), values.clone()), Step::Append(key.clone(), *value)]
                };
                texts.iter().flat_map(steps).collect()
            }
        }
    }

    /// What it would have added, had it happened.
    pub(crate) fn intended(&self) -> Vec<Step> {
        match self {
            Self::Push(key, values) => {
                values.iter().map(|&value| Step::Append(key.clone(), value)).collect()
            }
            Self::Append(key, value) => vec![Step::Append(key.clone(), *value)],
            Self::Set(texts) => {
                let added = |(key, _, value): &(String, _, u64)| Step::Append(key.clone(), *value);
                texts.iter().map(added).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What LMOVE and BLMOVE did.
pub(crate) fn moved(from: &str, to: &str, reply: &Value) -> Vec<Step> {
    let value = element(reply);
    let added = value.map(|value| Step::Append(to.into(), value));
    std::iter::once(Step::Take(from.into(), value)).chain(added).collect()
}

/// A text of these elements.
fn text(values: &[u64]) -> String {
    values.iter().map(|value| format!("{value},")).collect()
}

/// The elements of a text.
pub(crate) fn numbers(text: &Value) -> Vec<u64> {
    let Some(text) = text.as_bytes() else {
        assert!(is_nothing(text), "{text} is no text");
        return Vec::new();
    };
    let text = std::str::from_utf8(text).expect("a text of numbers");
    let parts = text.split_terminator(',');
    parts.map(|part| part.parse().unwrap_or_else(|_| panic!("{text} is torn"))).collect()
}

/// The elements of an array.
pub(crate) fn elements(reply: &Value) -> Vec<u64> {
    items(reply).iter().filter_map(element).collect()
}

/// An element, or nothing.
pub(crate) fn element(reply: &Value) -> Option<u64> {
    let text = match reply.as_bytes() {
        Some(text) => std::str::from_utf8(text).ok(),
        None => {
            assert!(is_nothing(reply), "{reply} is no element");
            return None;
        }
    };
    let number = text.and_then(|text| text.parse().ok());
    Some(number.unwrap_or_else(|| panic!("{reply} is no element")))
}

/// The parts of an array.
pub(crate) fn items(reply: &Value) -> &[Value] {
    match reply {
        Value::Array(items) => items,
        other => panic!("{other} is no array"),
    }
}

/// Whether a reply says that there is nothing, in either dialect.
pub(crate) fn is_nothing(reply: &Value) -> bool {
    matches!(reply, Value::Nil | Value::NilArray)
}

fn count(reply: &Value) -> usize {
    let number = reply.as_integer().and_then(|number| usize::try_from(number).ok());
    number.unwrap_or_else(|| panic!("{reply} is no length"))
}

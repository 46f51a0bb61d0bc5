//! The specification of a few commands on strings, of one key and of several.

use std::collections::BTreeMap;
use std::fmt;

use super::Specification;
use crate::executor::Executor;
use crate::model::Model;
use crate::notation;
use crate::value::Value;

/// A command on strings.
#[derive(Clone, PartialEq, Eq)]
pub enum Op {
    /// `GET key`
    Get(Vec<u8>),
    /// `SET key value`
    Set(Vec<u8>, Vec<u8>),
    /// `GETSET key value`
    GetSet(Vec<u8>, Vec<u8>),
    /// `SETNX key value`
    SetNx(Vec<u8>, Vec<u8>),
    /// `APPEND key value`
    Append(Vec<u8>, Vec<u8>),
    /// `INCR key`
    Incr(Vec<u8>),
    /// `DEL key`
    Del(Vec<u8>),
    /// `MSET key value ..`
    MSet(Vec<(Vec<u8>, Vec<u8>)>),
    /// `MGET key ..`
    MGet(Vec<Vec<u8>>),
    /// `RENAME key key`
    Rename(Vec<u8>, Vec<u8>),
    /// `COPY key key REPLACE`
    Copy(Vec<u8>, Vec<u8>),
}

impl Op {
    /// The words to send to a server.
    pub fn words(&self) -> Vec<Vec<u8>> {
        let command = |name: &str, rest: &[&Vec<u8>]| {
            let rest = rest.iter().map(|word| word.to_vec());
            std::iter::once(name.as_bytes().to_vec()).chain(rest).collect()
        };
        match self {
            Self::Get(key) => command("GET", &[key]),
            Self::Set(key, value) => command("SET", &[key, value]),
            Self::GetSet(key, value) => command("GETSET", &[key, value]),
            Self::SetNx(key, value) => command("SETNX", &[key, value]),
            Self::Append(key, value) => command("APPEND", &[key, value]),
            Self::Incr(key) => command("INCR", &[key]),
            Self::Del(key) => command("DEL", &[key]),
            Self::MSet(pairs) => {
                let words: Vec<&Vec<u8>> =
                    pairs.iter().flat_map(|(key, value)| [key, value]).collect();
                command("MSET", &words)
            }
            Self::MGet(keys) => command("MGET", &keys.iter().collect::<Vec<_>>()),
            Self::Rename(from, to) => command("RENAME", &[from, to]),
            Self::Copy(from, to) => command("COPY", &[from, to, &b"REPLACE".to_vec()]),
        }
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&notation::join(&self.words()))
    }
}

/// Strings under keys, none at the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Strings;

impl Specification for Strings {
    type Op = Op;
    type Answer = Value;
    type State = BTreeMap<Vec<u8>, Vec<u8>>;

    fn keys(op: &Op) -> Vec<Vec<u8>> {
        match op {
            Op::Get(key)
            | Op::Set(key, _)
            | Op::GetSet(key, _)
            | Op::SetNx(key, _)
            | Op::Append(key, _)
            | Op::Incr(key)
            | Op::Del(key) => vec![key.clone()],
            Op::MSet(pairs) => pairs.iter().map(|(key, _)| key.clone()).collect(),
            Op::MGet(keys) => keys.clone(),
            Op::Rename(from, to) | Op::Copy(from, to) => vec![from.clone(), to.clone()],
        }
    }

    fn apply(state: &mut Self::State, op: &Op) -> Value {
        let string = |bytes: Option<&Vec<u8>>| bytes.map_or(Value::Nil, Value::bulk);
        let count = |yes: bool| Value::Integer(i64::from(yes));
        match op {
            Op::Get(key) => string(state.get(key)),
            Op::Set(key, value) => {
                state.insert(key.clone(), value.clone());
                Value::ok()
            }
            Op::GetSet(key, value) => string(state.insert(key.clone(), value.clone()).as_ref()),
            Op::SetNx(key, value) => {
                let is_new = !state.contains_key(key);
                state.entry(key.clone()).or_insert_with(|| value.clone());
                count(is_new)
            }
            Op::Append(key, value) => {
                let bytes = state.entry(key.clone()).or_default();
                bytes.extend_from_slice(value);
                Value::Integer(i64::try_from(bytes.len()).expect("a test's string is short"))
            }
            Op::Incr(key) => incr(state, key),
            Op::Del(key) => count(state.remove(key).is_some()),
            Op::MSet(pairs) => {
                state.extend(pairs.iter().cloned());
                Value::ok()
            }
            Op::MGet(keys) => Value::Array(keys.iter().map(|key| string(state.get(key))).collect()),
            Op::Rename(from, to) => match state.remove(from) {
                Some(bytes) => {
                    state.insert(to.clone(), bytes);
                    Value::ok()
                }
                None => Value::error("ERR no such key"),
            },
            Op::Copy(from, to) if from == to => {
                Value::error("ERR source and destination objects are the same")
            }
            Op::Copy(from, to) => {
                let bytes = state.get(from).cloned();
                let is_there = bytes.is_some();
                state.extend(bytes.map(|bytes| (to.clone(), bytes)));
                count(is_there)
            }
        }
    }
}

fn incr(state: &mut BTreeMap<Vec<u8>, Vec<u8>>, key: &[u8]) -> Value {
    // The model knows what a number is, and how one overflows.
    let mut model = Model::new(0);
    if let Some(bytes) = state.get(key) {
        model.run("c1", &[b"SET".to_vec(), key.to_vec(), bytes.clone()]);
    }
    let reply = model.run("c1", &[b"INCR".to_vec(), key.to_vec()]);
    if let Value::Integer(number) = reply {
        state.insert(key.to_vec(), number.to_string().into_bytes());
    }
    reply
}

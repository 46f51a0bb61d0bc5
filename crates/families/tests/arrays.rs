//! Random commands of arrays in process, against a map of the standard library and the rules of the
//! cursor in their plainest form.

mod in_process;

use std::collections::BTreeMap;

use in_process::InProcess;
use proptest::prelude::*;
use testkit::Value;
use testkit::executor::{Executor, MAIN};

const INDEX_MAX: u64 = u64::MAX - 1;

/// An array as one would write it without thinking of memory.
#[derive(Default)]
struct Model {
    slots: BTreeMap<u64, Vec<u8>>,
    next: u64,
    ring: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Set(u64, Vec<Vec<u8>>),
    SetMany(Vec<(u64, Vec<u8>)>),
    Insert(Vec<Vec<u8>>),
    Ring(u64, Vec<Vec<u8>>),
    Seek(u64),
    Delete(Vec<u64>),
    DeleteRange(Vec<(u64, u64)>),
    Get(u64),
    GetRange(u64, u64),
    Scan(u64, u64, usize),
    Last(u64, bool),
    Sum(u64, u64),
    Copy,
    Travel,
    Look,
}

fn number(number: u64) -> Value {
    match i64::try_from(number) {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::bulk(number.to_string()),
    }
}

fn maybe(text: Option<&Vec<u8>>) -> Value {
    text.map_or(Value::Nil, Value::bulk)
}

impl Model {
    fn len(&self) -> u64 {
        self.slots.last_key_value().map_or(0, |(index, _)| index + 1)
    }

    /// Puts texts one behind the other.
    fn put_row(&mut self, first: u64, texts: &[Vec<u8>]) -> u64 {
        self.put(texts.iter().cloned().zip(first..).map(|(text, index)| (index, text)))
    }

    fn put(&mut self, slots: impl IntoIterator<Item = (u64, Vec<u8>)>) -> u64 {
        let puts = slots.into_iter().map(|(index, text)| self.slots.insert(index, text));
        puts.filter(Option::is_none).count() as u64
    }

    fn delete(&mut self, low: u64, high: u64) -> u64 {
        let before = self.slots.len();
        self.slots.retain(|&index, _| index < low || high < index);
        (before - self.slots.len()) as u64
    }

    /// What goes with the last value.
    fn settle(&mut self) {
        if self.slots.is_empty() {
            *self = Model::default();
        }
    }

    /// The indexes before the cursor, the nearest first, all the way round.
    fn back(&self) -> impl Iterator<Item = u64> {
        let len = self.len();
        let end = if self.next == 0 { len } else { self.next.min(len) };
        (0..end).rev().chain((end..len).rev())
    }

    fn last(&self, count: u64, back: bool) -> Vec<Value> {
        let count = count.min(self.slots.len() as u64) as usize;
        let told = self.back().take(count).map(|index| maybe(self.slots.get(&index)));
        let mut told: Vec<Value> = told.collect();
        if !back {
            told.reverse();
        }
        told
    }

    fn insert(&mut self, texts: &[Vec<u8>]) -> Option<u64> {
        let next = self.next.checked_add(texts.len() as u64)?;
        self.put_row(self.next, texts);
        self.next = next;
        Some(next - 1)
    }

    fn insert_into_ring(&mut self, size: u64, texts: &[Vec<u8>]) -> u64 {
        let (len, ring) = (self.len(), self.ring);
        let has_turned = 0 < self.next && self.next < len;
        if len > size || ring != 0 && ring < size && has_turned {
            let kept = self.back().map_while(|index| self.slots.get(&index).cloned());
            let mut kept: Vec<Vec<u8>> = kept.take(size as usize).collect();
            kept.reverse();
            self.next = kept.len() as u64;
            self.slots = (0..).zip(kept).collect();
        }
        for text in texts {
            let index = self.next % size;
            self.slots.insert(index, text.clone());
            self.next = index + 1;
        }
        self.ring = size;
        self.next - 1
    }

    fn scan(&self, start: u64, end: u64) -> Vec<(u64, Vec<u8>)> {
        let within = self.slots.range(start.min(end)..=start.max(end));
        let mut told: Vec<_> = within.map(|(&index, text)| (index, text.clone())).collect();
        if end < start {
            told.reverse();
        }
        told
    }

    fn sum(&self, start: u64, end: u64) -> Value {
        let texts = self.scan(start.min(end), start.max(end)).into_iter().map(|(_, text)| text);
        let integer = |text: Vec<u8>| String::from_utf8(text).ok()?.parse::<i128>().ok();
        let numbers: Vec<i128> = texts.filter_map(integer).collect();
        match numbers.is_empty() {
            true => Value::Nil,
            false => Value::bulk(numbers.iter().sum::<i128>().to_string()),
        }
    }

    /// The words of a step, and what is to be answered.
    fn run(&mut self, step: &Step) -> (Vec<Vec<u8>>, Value) {
        let mut words: Vec<Vec<u8>> = vec![b"key".to_vec()];
        let mut word = |text: &dyn ToString| words.push(text.to_string().into_bytes());
        let (name, reply) = match step {
            Step::Set(index, texts) => {
                word(index);
                words.extend(texts.iter().cloned());
                let fits = INDEX_MAX - index >= texts.len() as u64 - 1;
                let added = fits.then(|| self.put_row(*index, texts));
                let wrong = Value::error("ERR invalid array index");
                ("ARSET", added.map_or(wrong, number))
            }
            Step::SetMany(slots) => {
                for (index, text) in slots {
                    words.extend([index.to_string().into_bytes(), text.clone()]);
                }
                ("ARMSET", number(self.put(slots.iter().cloned())))
            }
            Step::Insert(texts) => {
                words.extend(texts.iter().cloned());
                let wrong = Value::error("ERR insert index overflow");
                ("ARINSERT", self.insert(texts).map_or(wrong, number))
            }
            Step::Ring(size, texts) => {
                word(size);
                words.extend(texts.iter().cloned());
                ("ARRING", number(self.insert_into_ring(*size, texts)))
            }
            Step::Seek(index) => {
                word(index);
                let found = !self.slots.is_empty();
                self.next = if found { *index } else { 0 };
                ("ARSEEK", Value::Integer(found.into()))
            }
            Step::Delete(indexes) => {
                indexes.iter().for_each(|index| word(index));
                let deleted = indexes.iter().map(|&index| self.delete(index, index)).sum();
                ("ARDEL", number(deleted))
            }
            Step::DeleteRange(ranges) => {
                ranges.iter().for_each(|(start, end)| {
                    word(start);
                    word(end);
                });
                let ranges = ranges.iter().map(|&(one, other)| (one.min(other), one.max(other)));
                ("ARDELRANGE", number(ranges.map(|(low, high)| self.delete(low, high)).sum()))
            }
            Step::Get(index) => {
                word(index);
                ("ARGET", maybe(self.slots.get(index)))
            }
            Step::GetRange(start, len) => {
                let end = start.saturating_add(*len).min(INDEX_MAX);
                let (start, end) = if len % 2 == 0 { (*start, end) } else { (end, *start) };
                word(&start);
                word(&end);
                let told = (start.min(end)..=start.max(end)).map(|at| maybe(self.slots.get(&at)));
                let mut told: Vec<Value> = told.collect();
                if end < start {
                    told.reverse();
                }
                ("ARGETRANGE", Value::Array(told))
            }
            Step::Scan(start, end, limit) => {
                word(start);
                word(end);
                word(&"LIMIT");
                word(limit);
                let told = self.scan(*start, *end).into_iter().take(*limit);
                let pairs =
                    told.map(|(at, text)| Value::Array(vec![number(at), Value::bulk(text)]));
                ("ARSCAN", Value::Array(pairs.collect()))
            }
            Step::Last(count, back) => {
                word(count);
                if *back {
                    word(&"REV");
                }
                ("ARLASTITEMS", Value::Array(self.last(*count, *back)))
            }
            Step::Sum(start, end) => {
                word(start);
                word(end);
                word(&"SUM");
                ("AROP", self.sum(*start, *end))
            }
            Step::Copy | Step::Travel | Step::Look => unreachable!("these are several commands"),
        };
        words.insert(0, name.as_bytes().to_vec());
        self.settle();
        (words, reply)
    }

    /// What ARCOUNT, ARLEN and ARNEXT answer.
    fn look(&self) -> [(&'static str, Value); 3] {
        let next = if self.next == u64::MAX { Value::Nil } else { number(self.next) };
        let count = number(self.slots.len() as u64);
        [("ARCOUNT key", count), ("ARLEN key", number(self.len())), ("ARNEXT key", next)]
    }
}

fn index() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0..12_u64,
        2 => 4_090..4_100_u64,
        1 => (0..9_u64).prop_map(|step| step * 1_000),
        1 => (0..5_u64).prop_map(|from_end| INDEX_MAX - from_end),
    ]
}

/// Indexes from which one can walk to the start.
fn near() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..12_u64, 1 => 0..6_000_u64]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (-200..200_i64).prop_map(|integer| integer.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
        3 => "[a-z ]{0,12}".prop_map(String::into_bytes),
        1 => (0..700_usize).prop_map(|len| vec![b'x'; len]),
    ]
}

fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop_oneof![
        6 => prop::collection::vec(text(), 1..4),
        1 => prop::collection::vec(text(), 4..80),
    ]
}

fn step(index: impl Strategy<Value = u64> + Clone + 'static) -> impl Strategy<Value = Step> {
    let slots = prop::collection::vec((index.clone(), text()), 1..5);
    let indexes = prop::collection::vec(index.clone(), 1..5);
    let ranges = prop::collection::vec((index.clone(), index.clone()), 1..3);
    let seek = prop_oneof![8 => index.clone(), 1 => Just(0)];
    prop_oneof![
        4 => (index.clone(), texts()).prop_map(|(index, texts)| Step::Set(index, texts)),
        3 => slots.prop_map(Step::SetMany),
        5 => texts().prop_map(Step::Insert),
        3 => (1..8_u64, texts()).prop_map(|(size, texts)| Step::Ring(size, texts)),
        1 => (8..200_u64, texts()).prop_map(|(size, texts)| Step::Ring(size, texts)),
        1 => seek.prop_map(Step::Seek),
        3 => indexes.prop_map(Step::Delete),
        1 => ranges.prop_map(Step::DeleteRange),
        1 => index.clone().prop_map(Step::Get),
        1 => (index.clone(), 0..40_u64).prop_map(|(start, len)| Step::GetRange(start, len)),
        1 => (index.clone(), index.clone(), 1..9_usize)
            .prop_map(|(start, end, limit)| Step::Scan(start, end, limit)),
        1 => (index.clone(), index).prop_map(|(start, end)| Step::Sum(start, end)),
        1 => Just(Step::Copy),
        1 => Just(Step::Travel),
        2 => Just(Step::Look),
    ]
}

/// The same, and what walks over all indexes.
fn near_step() -> impl Strategy<Value = Step> {
    let last = (0..30_u64, any::<bool>()).prop_map(|(count, back)| Step::Last(count, back));
    prop_oneof![9 => step(near().boxed()), 2 => last]
}

fn check(steps: &[Step]) {
    let (mut anax, mut model) = (InProcess::new(4), Model::default());
    let words = testkit::notation::words;
    for step in steps {
        match step {
            Step::Copy => {
                anax.run(MAIN, &words("COPY key other REPLACE"));
                anax.run(MAIN, &words("RENAME other key"));
            }
            Step::Travel => {
                // A dump does not say how large a ring was.
                let dump = anax.run(MAIN, &words("DUMP key"));
                let Some(dump) = dump.as_bytes() else { continue };
                let mut restore = words("RESTORE key 0 dump REPLACE");
                restore[3] = dump.to_vec();
                assert_eq!(anax.run(MAIN, &restore), Value::simple("OK"));
                model.ring = 0;
            }
            Step::Look => {
                for (line, expected) in model.look() {
                    assert_eq!(anax.run(MAIN, &words(line)), expected, "{line}");
                }
                let exists = Value::Integer((!model.slots.is_empty()).into());
                assert_eq!(anax.run(MAIN, &words("EXISTS key")), exists);
            }
            step => {
                let (words, expected) = model.run(step);
                assert_eq!(anax.run(MAIN, &words), expected, "{step:?}");
            }
        }
    }
    let all = anax.run(MAIN, &words(&format!("ARSCAN key 0 {INDEX_MAX}")));
    let expected = model.scan(0, INDEX_MAX).into_iter();
    let expected = expected.map(|(at, text)| Value::Array(vec![number(at), Value::bulk(text)]));
    assert_eq!(all, Value::Array(expected.collect()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn commands_answer_as_a_map_would(
        steps in prop::collection::vec(step(index().boxed()), 1..60),
    ) {
        check(&steps);
    }

    #[test]
    fn the_cursor_goes_where_its_rules_say(steps in prop::collection::vec(near_step(), 1..60)) {
        check(&steps);
    }
}

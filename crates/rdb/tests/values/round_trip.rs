//! Random values: what is encoded decodes to the same value.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use rdb::{
    Array, Consumer, Entry, Format, Group, HashEncoder, HashField, Limits, ListEncoder, Options,
    Pending, Producer, Producers, RdbError, SetEncoder, Slot, Stream, StreamId, StreamState, Value,
    ZSetEncoder,
};

use super::kept::{FORMATS, as_kept, has_deadlines, sorted};

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..12),
        2 => any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
        2 => (-200i64..200).prop_map(|integer| integer.to_string().into_bytes()),
        1 => (any::<u8>(), 0usize..6_000).prop_map(|(byte, len)| vec![byte; len]),
        1 => vec(any::<u8>(), 50..90),
    ]
}

fn integer_text() -> impl Strategy<Value = Vec<u8>> {
    any::<i64>().prop_map(|integer| integer.to_string().into_bytes())
}

fn score() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("a number", |score| !score.is_nan())
}

fn deadline() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(0..=i64::MAX as u64)
}

fn hash(fields: BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>) -> Value {
    let field = |(field, (value, deadline_ms))| HashField { field, value, deadline_ms };
    Value::Hash(fields.into_iter().map(field).collect())
}

fn value() -> impl Strategy<Value = Value> {
    let set = |members: BTreeSet<Vec<u8>>| Value::Set(members.into_iter().collect());
    prop_oneof![
        text().prop_map(Value::Str),
        vec(text(), 1..300).prop_map(Value::List),
        btree_set(text(), 1..300).prop_map(set),
        btree_set(integer_text(), 1..600).prop_map(set),
        btree_map(text(), (text(), Just(None)), 1..200).prop_map(hash),
        btree_map(text(), (text(), deadline()), 1..200).prop_map(hash),
        btree_map(text(), score(), 1..200)
            .prop_map(|members| Value::ZSet(members.into_iter().collect())),
        stream().prop_map(Value::Stream),
        array().prop_map(Value::Array),
    ]
}

fn array() -> impl Strategy<Value = Array> {
    let index = || prop_oneof![0..100u64, 0..u64::MAX];
    let slot = prop_oneof![
        any::<i64>().prop_map(Slot::Integer),
        score().prop_map(Slot::Double),
        text().prop_map(|text| Slot::Text(text.into())),
    ];
    let slots = btree_map(index(), slot, 1..200).prop_map(|slots| slots.into_iter().collect());
    (prop::option::of(index()), slots).prop_map(|(inserted, slots)| Array { inserted, slots })
}

fn producers() -> impl Strategy<Value = Producers> {
    let messages = btree_map(text(), id(), 1..8);
    let producer = |(name, messages): (_, BTreeMap<_, _>)| Producer {
        name,
        messages: messages.into_iter().collect(),
    };
    let each = btree_map(text(), messages, 0..4)
        .prop_map(move |each| each.into_iter().map(producer).collect::<Vec<_>>());
    (1..=86_400u64, 1..=10_000u64, each, any::<u64>(), any::<u64>()).prop_map(
        |(seconds, messages_max, each, added, duplicates)| Producers {
            seconds,
            messages_max,
            each,
            added,
            duplicates,
        },
    )
}

fn id() -> impl Strategy<Value = StreamId> {
    prop_oneof![(any::<u64>(), any::<u64>()), (1u64..500, 0u64..3), (Just(u64::MAX), any::<u64>()),]
        .prop_map(|(ms, seq)| StreamId { ms, seq: seq.max(1) })
}

fn stream() -> impl Strategy<Value = Stream> {
    let few = vec((prop::sample::select(&["a", "b"][..]), text()), 0..3)
        .prop_map(|fields| fields.into_iter().map(|(name, text)| (name.into(), text)).collect());
    let fields = prop_oneof![few, vec((text(), text()), 0..3)];
    let entries = btree_map(id(), fields, 0..250).prop_map(|entries| {
        entries.into_iter().map(|(id, fields)| Entry { id, fields }).collect::<Vec<_>>()
    });
    let groups = btree_map(text(), group(), 0..3).prop_map(|groups| {
        let named = |(name, group): (_, Group)| Group { name, ..group };
        groups.into_iter().map(named).collect::<Vec<_>>()
    });
    let producers = prop::option::of(producers());
    let numbers = (id(), id(), 0u64..1_000);
    (entries, groups, numbers, producers).prop_map(|(entries, groups, numbers, producers)| {
        let (last, deleted, more) = numbers;
        let last_entry = entries.last().map_or(last, |entry| entry.id);
        let state = StreamState {
            last_id: last.max(last_entry),
            first_id: entries.first().map_or(StreamId::default(), |entry| entry.id),
            max_deleted_id: deleted,
            entries_added: entries.len() as u64 + more,
        };
        Stream { entries, state, groups, producers }
    })
}

/// A group of which each pending entry belongs to one of two consumers.
fn group() -> impl Strategy<Value = Group> {
    let pending = btree_map(id(), (0..1u64 << 50, any::<u64>(), any::<bool>()), 0..20);
    let read = prop::option::of(0..u64::MAX);
    (id(), read, pending, deadline()).prop_map(|(last_id, entries_read, pending, active_ms)| {
        let of = |wanted: bool| {
            let owned = pending.iter().filter(|(_, (.., owner))| *owner == wanted);
            owned.map(|(id, _)| *id).collect()
        };
        let consumer = |name: &str, active_ms, pending| Consumer {
            name: name.into(),
            seen_ms: 12,
            active_ms,
            pending,
        };
        let consumers =
            vec![consumer("one", active_ms, of(true)), consumer("two", Some(0), of(false))];
        let pending = pending.into_iter().map(|(id, (delivered_ms, deliveries, _))| Pending {
            id,
            delivered_ms,
            deliveries,
        });
        Group { name: vec![], last_id, entries_read, pending: pending.collect(), consumers }
    })
}

/// A value some of whose pending entries nobody owns.
fn disowned(mut value: Value) -> Value {
    if let Value::Stream(stream) = &mut value {
        stream.groups.iter_mut().for_each(|group| {
            group.consumers.iter_mut().for_each(|consumer| {
                consumer.pending.pop();
            });
        });
    }
    value
}

fn round_trip(value: &Value, options: Options) -> Result<Value, RdbError> {
    let mut payload = Vec::new();
    value.encode(options, &mut payload)?;
    Value::decode(&payload, options.format.version(), &Limits::default())
}

const PLAIN: Options = Options { format: Format::Redis11, compress: false };

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(value in value(), compress in any::<bool>()) {
        for format in FORMATS {
            let again = round_trip(&value, Options { format, compress });
            let wanted = as_kept(value.clone(), format);
            if matches!(value, Value::Array(_)) && format != Format::Redis14 {
                prop_assert_eq!(again, Err(RdbError::Array));
            } else if has_deadlines(&value) && format.version() < 12 {
                prop_assert_eq!(again, Err(RdbError::FieldDeadline));
            } else {
                prop_assert_eq!(again.map(sorted), Ok(sorted(wanted)));
            }
        }
    }

    #[test]
    fn what_was_given_back_has_a_place_in_newer_formats(
        stream in stream(), compress in any::<bool>(),
    ) {
        let value = disowned(Value::Stream(stream));
        let format = Format::Redis14;
        let again = round_trip(&value, Options { format, compress });
        prop_assert_eq!(again.map(sorted), Ok(sorted(as_kept(value, format))));
    }

    #[test]
    fn no_bytes_panic(
        kind in 0u8..34, body in vec(any::<u8>(), 0..80),
        version in prop::sample::select(&[1u16, 9, 11, 12, 15, 80][..]),
    ) {
        let payload = [&[kind], &body[..]].concat();
        let limits = Limits { string_bytes_max: 1 << 16, unpacked_bytes_max: 1 << 16 };
        if let Ok(value) = Value::decode(&payload, version, &limits) {
            let is_new = matches!(value, Value::Array(_) | Value::Stream(_));
            let format = if is_new { Format::Redis14 } else { Format::Valkey80 };
            let again = round_trip(&value, Options { format, compress: true });
            prop_assert_eq!(again.map(sorted), Ok(sorted(as_kept(value, format))));
        }
    }
}

#[test]
fn encoders_hold_callers_to_what_they_announced() {
    let mut out = Vec::new();
    let mut set = SetEncoder::new(3, PLAIN, &mut out);
    set.member(b"a");
    assert_eq!(set.finish(), Err(RdbError::Count));

    let mut sorted = ZSetEncoder::new(1, PLAIN, &mut out);
    sorted.scored(b"a", f64::NAN);
    assert_eq!(sorted.finish(), Err(RdbError::NotANumber));

    let mut hash = HashEncoder::new(1, None, PLAIN, &mut out).expect("no deadlines");
    assert_eq!(hash.field(b"f", b"v", Some(5)), Err(RdbError::FieldDeadline));

    let dying = Options { format: Format::Redis12, compress: false };
    let mut hash = HashEncoder::new(1, Some(5), dying, &mut out).expect("it has deadlines");
    assert_eq!(hash.field(b"f", b"v", Some(4)), Err(RdbError::FieldDeadline));

    assert_eq!(ListEncoder::new(PLAIN, &mut out).finish(), Err(RdbError::Empty));
}

#[test]
fn more_than_was_announced_is_an_error_and_no_panic() {
    let mut out = Vec::new();
    let mut set = SetEncoder::new(1, PLAIN, &mut out);
    (0..2_000).for_each(|at| set.member(at.to_string().as_bytes()));
    assert_eq!(set.finish(), Err(RdbError::Count));

    let mut sorted = ZSetEncoder::new(1, PLAIN, &mut out);
    (0..2_000).for_each(|at| sorted.scored(at.to_string().as_bytes(), 1.0));
    assert_eq!(sorted.finish(), Err(RdbError::Count));
}

/// The bytes behind the groups, which the layout draws.
#[test]
fn messages_of_producers_stand_behind_the_groups() {
    let id = StreamId { ms: 1, seq: 0 };
    let producer = |name: &str, message: &str| Producer {
        name: name.into(),
        messages: vec![(message.into(), id)],
    };
    let producers = Producers {
        seconds: 100,
        messages_max: 10,
        each: vec![producer("p", "m"), producer("q", "7")],
        added: 5,
        duplicates: 2,
    };
    let state = StreamState { last_id: id, entries_added: 1, ..StreamState::default() };
    let stream = Stream { state, producers: Some(producers), ..Stream::default() };
    for (format, kind) in [(Format::Redis13, 26), (Format::Redis14, 27)] {
        let mut payload = Vec::new();
        let options = Options { format, compress: false };
        Value::Stream(stream.clone()).encode(options, &mut payload).expect("it has a place");
        let behind = b"\x40\x64\x0a\x02\x01p\x01\x01m\x01\0\x01q\x01\xc0\x07\x01\0\x05\x02";
        // A length, three ids, entries ever added, and no group.
        let before = b"\0\x01\0\0\0\0\0\x01\0";
        assert_eq!(payload[0], kind);
        assert!(payload.ends_with(&[&before[..], behind].concat()), "{payload:02x?}");
    }
}

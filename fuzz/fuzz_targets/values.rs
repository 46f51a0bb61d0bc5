//! Any payload decodes to a value or to an error; what decodes, once encoded in any format
//! that has a place for it, decodes to the same value.
//!
//! The first byte is the RDB version.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rdb::{Format, Group, HashField, Limits, Options, Producers, RdbError, Slot, Stream, Value};

const FORMATS: [Format; 6] = [
    Format::Redis10,
    Format::Redis11,
    Format::Redis12,
    Format::Redis13,
    Format::Redis14,
    Format::Valkey80,
];

const LIMITS: Limits = Limits { string_bytes_max: 1 << 20, unpacked_bytes_max: 4 << 20 };

fuzz_target!(|data: &[u8]| {
    let Some((&version, payload)) = data.split_first() else { return };
    let Ok(value) = Value::decode(payload, version.into(), &LIMITS) else { return };
    for format in FORMATS {
        for compress in [false, true] {
            check(&value, Options { format, compress });
        }
    }
});

fn check(value: &Value, options: Options) {
    let mut payload = Vec::new();
    let encoded = value.encode(options, &mut payload);
    if has_deadlines(value) && options.format.version() < Format::Redis12.version() {
        assert_eq!(encoded, Err(RdbError::FieldDeadline));
        return;
    }
    if matches!(value, Value::Array(_)) && options.format != Format::Redis14 {
        assert_eq!(encoded, Err(RdbError::Array));
        return;
    }
    if has_unowned(value) && options.format != Format::Redis14 {
        assert_eq!(encoded, Err(RdbError::Pending));
        return;
    }
    encoded.expect("what was decoded has a payload");
    let again = Value::decode(&payload, options.format.version(), &Limits::default());
    let again = again.expect("an own payload");
    assert_eq!(in_order(again), in_order(as_kept(value.clone(), options.format)));
}

fn has_deadlines(value: &Value) -> bool {
    let is_dying = |field: &HashField| field.deadline_ms.is_some();
    matches!(value, Value::Hash(fields) if fields.iter().any(is_dying))
}

fn has_unowned(value: &Value) -> bool {
    matches!(value, Value::Stream(stream) if stream.groups.iter().any(Group::has_unowned))
}

/// What the format keeps of a value.
fn as_kept(mut value: Value, format: Format) -> Value {
    match &mut value {
        Value::Stream(Stream { groups, producers, .. }) => {
            if format == Format::Redis10 {
                let consumers = groups.iter_mut().flat_map(|group| &mut group.consumers);
                consumers.for_each(|consumer| consumer.active_ms = Some(consumer.seen_ms));
            }
            *producers = match format {
                Format::Redis13 | Format::Redis14 => Some(known(producers.take())),
                _ => None,
            };
        }
        _ => {}
    }
    value
}

/// Whom nothing is kept of is not told.
fn known(producers: Option<Producers>) -> Producers {
    let mut producers = producers.unwrap_or_default();
    producers.each.retain(|producer| !producer.messages.is_empty());
    producers
}

/// A value whose order means nothing, in an order.
fn in_order(mut value: Value) -> Value {
    match &mut value {
        Value::Str(_) | Value::List(_) | Value::Stream(_) => {}
        // Integers that a reader does not keep as such are written as texts.
        Value::Array(array) => array.slots.iter_mut().for_each(|(_, slot)| {
            if let Slot::Integer(value) = slot {
                *slot = Slot::Text(value.to_string().into_bytes().into());
            }
        }),
        Value::Set(members) => members.sort(),
        Value::Hash(fields) => fields.sort(),
        Value::ZSet(members) => members.sort_by(|left, right| left.0.cmp(&right.0)),
    }
    value
}

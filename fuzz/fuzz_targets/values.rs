//! Any payload decodes to a value or to an error; what decodes, once encoded in any format
//! that has a place for it, decodes to the same value.
//!
//! The first byte is the RDB version.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rdb::{Format, Group, HashField, Limits, Options, RdbError, Stream, Value};

const LIMITS: Limits = Limits { string_bytes_max: 1 << 20, unpacked_bytes_max: 4 << 20 };

fuzz_target!(|data: &[u8]| {
    let Some((&version, payload)) = data.split_first() else { return };
    let Ok(value) = Value::decode(payload, version.into(), &LIMITS) else { return };
    for format in [Format::Redis10, Format::Redis11, Format::Redis12, Format::Valkey80] {
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
    if has_unowned(value) {
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
    if let (Value::Stream(Stream { groups, .. }), Format::Redis10) = (&mut value, format) {
        let consumers = groups.iter_mut().flat_map(|group| &mut group.consumers);
        consumers.for_each(|consumer| consumer.active_ms = Some(consumer.seen_ms));
    }
    value
}

/// A value whose order means nothing, in an order.
fn in_order(mut value: Value) -> Value {
    match &mut value {
        Value::Str(_) | Value::List(_) | Value::Stream(_) => {}
        Value::Set(members) => members.sort(),
        Value::Hash(fields) => fields.sort(),
        Value::ZSet(members) => members.sort_by(|left, right| left.0.cmp(&right.0)),
    }
    value
}

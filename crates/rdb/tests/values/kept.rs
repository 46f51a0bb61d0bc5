//! What a value is like when it has been written and read again, whatever wrote it. The fuzz target
//! of values is made with this page, too.

use rdb::{Format, Slot, Value};

/// The formats that can be written.
pub(crate) const FORMATS: [Format; 6] = [
    Format::Redis10,
    Format::Redis11,
    Format::Redis12,
    Format::Redis13,
    Format::Redis14,
    Format::Valkey80,
];

/// Whether it has fields that end by themselves: RDB has a place for those from 12 on.
pub(crate) fn has_deadlines(value: &Value) -> bool {
    matches!(value, Value::Hash(fields) if fields.iter().any(|field| field.deadline_ms.is_some()))
}

/// What a format keeps of a value. A producer of whom nothing is kept is not told of.
pub(crate) fn as_kept(mut value: Value, format: Format) -> Value {
    if let Value::Stream(stream) = &mut value {
        if format == Format::Redis10 {
            let consumers = stream.groups.iter_mut().flat_map(|group| &mut group.consumers);
            consumers.for_each(|consumer| consumer.active_ms = Some(consumer.seen_ms));
        }
        let has_producers = matches!(format, Format::Redis13 | Format::Redis14);
        let producers = stream.producers.take().unwrap_or_default();
        stream.producers = has_producers.then_some(producers);
        if let Some(producers) = &mut stream.producers {
            producers.each.retain(|producer| !producer.messages.is_empty());
        }
    }
    value
}

/// A value in an order of its own, where it has none.
pub(crate) fn sorted(mut value: Value) -> Value {
    match &mut value {
        Value::Str(_) | Value::List(_) => {}
        // Integers that a reader does not keep as such are written as texts.
        Value::Array(array) => array.slots.iter_mut().for_each(|(_, slot)| {
            if let Slot::Integer(value) = slot {
                *slot = Slot::Text(value.to_string().into_bytes().into());
            }
        }),
        Value::Set(members) => members.sort(),
        Value::Hash(fields) => fields.sort(),
        Value::ZSet(members) => members.sort_by(|left, right| left.0.cmp(&right.0)),
        Value::Stream(stream) => stream.groups.sort_by(|left, right| left.name.cmp(&right.name)),
    }
    value
}

//! Any payload decodes to a value or to an error; what decodes, once encoded in any format
//! that has a place for it, decodes to the same value.
//!
//! The first byte is the RDB version.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rdb::{Format, Group, Limits, Options, RdbError, Value};

#[path = "../../crates/rdb/tests/values/kept.rs"]
mod kept;

use kept::{FORMATS, as_kept, has_deadlines, sorted};

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
    assert_eq!(sorted(again), sorted(as_kept(value.clone(), options.format)));
}

fn has_unowned(value: &Value) -> bool {
    matches!(value, Value::Stream(stream) if stream.groups.iter().any(Group::has_unowned))
}

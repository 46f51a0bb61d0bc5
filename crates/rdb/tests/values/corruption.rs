//! Damaged dumps: an error or a valid value, never a panic.

use rdb::{Format, Limits, Options, RdbError, Value, open};

use super::fixtures::stored;
use super::kept::sorted;

/// Payloads up to this length get every value in every byte.
const EXHAUSTIVE_BYTES_MAX: usize = 64;

/// Longer payloads get these differences in every byte.
const DIFFERENCES: [u8; 5] = [0x01, 0x02, 0x40, 0x80, 0xff];

/// Beyond this length only each few bytes are changed.
const DENSE_BYTES_MAX: usize = 300;

fn decode(payload: &[u8], version: u16) -> Result<Value, RdbError> {
    let limits = Limits { string_bytes_max: 1 << 20, unpacked_bytes_max: 1 << 20 };
    Value::decode(payload, version, &limits)
}

/// What decodes is a value like any other: it can be written and read back.
fn is_consistent(value: Value, what: &str) {
    let options = Options { format: Format::Valkey80, compress: false };
    let mut payload = Vec::new();
    value.encode(options, &mut payload).unwrap_or_else(|error| panic!("{what}: {error}"));
    let again = decode(&payload, options.format.version()).expect("own payloads decode");
    // Not a number is not decoded, so values are equal to themselves.
    assert!(sorted(again) == sorted(value), "{what}");
}

#[test]
fn a_payload_that_is_cut_off_is_refused() {
    for fixture in stored() {
        let dump = open(&fixture.dump).expect("it is stored whole");
        let step = dump.payload.len().div_ceil(DENSE_BYTES_MAX);
        for len in (0..dump.payload.len()).step_by(step) {
            let cut = decode(&dump.payload[..len], dump.version);
            assert!(cut.is_err(), "{} {} {len}", fixture.server, fixture.name);
        }
    }
}

#[test]
fn a_payload_with_bytes_behind_it_is_refused() {
    for fixture in stored() {
        let dump = open(&fixture.dump).expect("it is stored whole");
        let long = [dump.payload, b"\0"].concat();
        assert_eq!(decode(&long, dump.version), Err(RdbError::Trailing), "{}", fixture.name);
    }
}

#[test]
fn a_changed_byte_makes_an_error_or_another_value() {
    for fixture in stored() {
        let dump = open(&fixture.dump).expect("it is stored whole");
        let mut payload = dump.payload.to_vec();
        let step = payload.len().div_ceil(DENSE_BYTES_MAX);
        for at in (0..payload.len()).step_by(step) {
            let was = payload[at];
            for change in changes(dump.payload.len()) {
                payload[at] = was ^ change;
                if let Ok(value) = decode(&payload, dump.version) {
                    let what = format!("{} {} {at} {change}", fixture.server, fixture.name);
                    is_consistent(value, &what);
                }
            }
            payload[at] = was;
        }
    }
}

fn changes(len: usize) -> Vec<u8> {
    if len <= EXHAUSTIVE_BYTES_MAX { (1..=255).collect() } else { DIFFERENCES.to_vec() }
}

//! Layouts that no server of today writes, and payloads that every server refuses.

use rdb::{
    Array, Builder, Consumer, Entry, Group, HashField, Limits, Pending, RdbError, Slot, Stream,
    StreamId, StreamState, Templates, Value, decode_body,
};

/// A payload in an old layout.
pub(crate) struct OldLayout {
    pub(crate) name: &'static str,
    pub(crate) version: u16,
    pub(crate) payload: Vec<u8>,
    pub(crate) value: Value,
}

/// A blob as a string, behind its type.
fn blob(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], &string(bytes)[..]].concat()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let len = u8::try_from(bytes.len()).expect("short");
    assert!(len < 64, "short");
    [&[len], bytes].concat()
}

/// A ziplist of entries, each an encoding with its data.
fn ziplist(entries: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut before = 0;
    let mut tail = 10;
    for entry in entries {
        tail = 10 + body.len();
        body.push(before);
        body.extend_from_slice(entry);
        before = entry.len() as u8 + 1;
    }
    let mut blob = (11 + body.len() as u32).to_le_bytes().to_vec();
    blob.extend((tail as u32).to_le_bytes());
    blob.extend((entries.len() as u16).to_le_bytes());
    blob.extend(body);
    blob.push(0xff);
    blob
}

/// A listpack of elements, each an encoding with its data.
fn listpack(elements: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for element in elements {
        body.extend_from_slice(element);
        body.push(element.len() as u8);
    }
    let mut blob = (7 + body.len() as u32).to_le_bytes().to_vec();
    blob.extend((elements.len() as u16).to_le_bytes());
    blob.extend(body);
    blob.push(0xff);
    blob
}

fn list(elements: &[&str]) -> Value {
    Value::List(elements.iter().map(|element| element.as_bytes().to_vec()).collect())
}

fn set(members: &[&str]) -> Value {
    Value::Set(members.iter().map(|member| member.as_bytes().to_vec()).collect())
}

fn hash(fields: &[(&str, &str, Option<u64>)]) -> Value {
    let field = |&(field, value, deadline_ms): &(&str, &str, _)| HashField {
        field: field.into(),
        value: value.into(),
        deadline_ms,
    };
    Value::Hash(fields.iter().map(field).collect())
}

fn sorted_set(members: &[(&str, f64)]) -> Value {
    Value::ZSet(members.iter().map(|&(member, score)| (member.into(), score)).collect())
}

/// Every layout, with the value it stands for.
pub(crate) fn layouts() -> Vec<OldLayout> {
    [plain(), packed(), streams(), with_deadlines(), templates(), arrays()]
        .into_iter()
        .flatten()
        .collect()
}

fn layout(name: &'static str, version: u16, payload: Vec<u8>, value: Value) -> OldLayout {
    OldLayout { name, version, payload, value }
}

fn plain() -> Vec<OldLayout> {
    let old_scores = b"\x03\x04\x01a\x03-.5\x01b\xfe\x01c\xff\x01d\x043e10";
    vec![
        layout("list of strings", 1, b"\x01\x02\x01a\xc1\x2c\x01".to_vec(), list(&["a", "300"])),
        layout("set of strings", 1, b"\x02\x02\x01a\xc0\xfb".to_vec(), set(&["a", "-5"])),
        layout(
            "sorted set in digits",
            2,
            old_scores.to_vec(),
            sorted_set(&[("a", -0.5), ("b", f64::INFINITY), ("c", f64::NEG_INFINITY), ("d", 3e10)]),
        ),
        layout("hash of strings", 2, b"\x04\x01\x01f\x01v".to_vec(), hash(&[("f", "v", None)])),
        layout(
            "string in long forms",
            6,
            b"\0\x81\0\0\0\0\0\0\0\x03abc".to_vec(),
            Value::Str(b"abc".to_vec()),
        ),
    ]
}

fn packed() -> Vec<OldLayout> {
    let zipmap = b"\x02\x01f\x03\x02bar??\x01g\x00\x00\xff";
    let pairs = ziplist(&[b"\x01f", b"\xfe\xfb", b"\x01g", b"\xf1"]);
    let scores = ziplist(&[b"\x01a", b"\x041.25", b"\x01b", b"\xc0\xe8\x03"]);
    let elements = ziplist(&[b"\x01a", b"\xfd", b"\xd0\x70\x11\x01\x00", b"\xf0\xff\xff\x7f"]);
    let wide = ziplist(&[b"\xe0\0\0\0\0\0\0\0\x80", b"\x40\x03xyz", b"\x80\0\0\0\x01w"]);
    let nodes = [&[14, 2][..], &string(&elements), &string(&wide)].concat();
    let all = ["a", "12", "70000", "8388607", "-9223372036854775808", "xyz", "w"];
    vec![
        layout("zipmap", 3, blob(9, zipmap), hash(&[("f", "bar", None), ("g", "", None)])),
        layout("list ziplist", 3, blob(10, &elements), list(&all[..4])),
        layout("zset ziplist", 3, blob(12, &scores), sorted_set(&[("a", 1.25), ("b", 1_000.0)])),
        layout("hash ziplist", 4, blob(13, &pairs), hash(&[("f", "-5", None), ("g", "0", None)])),
        layout("quicklist of ziplists", 7, nodes, list(&all)),
    ]
}

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId { ms, seq }
}

/// A node with 5-1 and 6-0, which share a field, and 7-0, which is deleted.
fn node() -> Vec<u8> {
    listpack(&[
        &[2],
        &[1],
        &[1],
        b"\x81f",
        &[0], // what the entries share
        &[2],
        &[0],
        &[0],
        b"\x81x",
        &[4], // 5-1
        &[2],
        &[1],
        &[0xdf, 0xff],
        b"\x81y",
        &[4], // 6-0
        &[1],
        &[2],
        &[0xdf, 0xff],
        &[1],
        b"\x81g",
        &[1],
        &[6], // 7-0
    ])
}

/// Both forms before RDB 11; the first one knows less.
fn streams() -> Vec<OldLayout> {
    let id_bytes = |ms: u8, seq: u8| [0, 0, 0, 0, 0, 0, 0, ms, 0, 0, 0, 0, 0, 0, 0, seq];
    let packed = node();
    let packed = [&[0x40 | (packed.len() >> 8) as u8, packed.len() as u8], &packed[..]].concat();
    let nodes = [&[1, 16][..], &id_bytes(5, 1), &packed, &[2, 7, 0]].concat();
    let time = 1_700_000_000_000u64.to_le_bytes();
    let group = |read: &[u8]| {
        let pending = [&[1][..], &id_bytes(5, 1), &time, &[3]].concat();
        let consumer = [&[1, 1, b'c'][..], &time, &[1], &id_bytes(5, 1)].concat();
        [&[1, 1, b'g', 5, 1], read, &pending, &consumer].concat()
    };
    let first = [&[15][..], &nodes, &group(&[])].concat();
    let second = [&[19][..], &nodes, &[5, 1, 7, 0, 3], &group(&[1])].concat();
    let value = |max_deleted_id, entries_added| {
        let entry = |id, value: &str| Entry { id, fields: vec![(b"f".to_vec(), value.into())] };
        let pending = Pending { id: id(5, 1), delivered_ms: 1_700_000_000_000, deliveries: 3 };
        let consumer = Consumer {
            name: b"c".to_vec(),
            seen_ms: 1_700_000_000_000,
            active_ms: Some(1_700_000_000_000),
            pending: vec![id(5, 1)],
        };
        let group = Group {
            name: b"g".to_vec(),
            last_id: id(5, 1),
            entries_read: Some(1),
            pending: vec![pending],
            consumers: vec![consumer],
        };
        let (last_id, first_id) = (id(7, 0), id(5, 1));
        Value::Stream(Stream {
            entries: vec![entry(id(5, 1), "x"), entry(id(6, 0), "y")],
            state: StreamState { last_id, first_id, max_deleted_id, entries_added },
            groups: vec![group],
            producers: None,
        })
    };
    vec![
        layout("stream without offsets", 9, first, value(id(0, 0), 2)),
        layout("stream with offsets", 10, second, value(id(7, 0), 3)),
    ]
}

fn with_deadlines() -> Vec<OldLayout> {
    let earliest = 1_000u64.to_le_bytes();
    let triples = listpack(&[b"\x81a", b"\x811", &[0xc7, 0xd0], b"\x81b", b"\x812", &[0]]);
    let triples = string(&triples);
    let value = || hash(&[("a", "1", Some(2_000)), ("b", "2", None)]);
    let numbers = b"\x02\x47\xd0\x01a\x011\0\x01b\x012";
    let later = b"\x02\x43\xe9\x01a\x011\0\x01b\x012";
    let valkey =
        [&b"\x02\x01a\x011"[..], &2_000u64.to_le_bytes(), b"\x01b\x012", &u64::MAX.to_le_bytes()];
    vec![
        layout("hash of 7.4-RC", 12, [&[22][..], numbers].concat(), value()),
        layout("hash listpack of 7.4-RC", 12, [&[23][..], &triples].concat(), value()),
        layout("hash of 7.4", 12, [&[24], &earliest[..], later].concat(), value()),
        layout("hash listpack of 7.4", 12, [&[25], &earliest[..], &triples].concat(), value()),
        layout("hash of Valkey 9", 80, [&[22], &valkey.concat()[..]].concat(), value()),
    ]
}

/// The names of a template, in both forms: shorter ones come first.
const NAMES: [&str; 3] = ["b", "-5", "aa"];

fn packed_names() -> Vec<u8> {
    let names = listpack(&[b"\x81b", &[0xdf, 0xfb], b"\x82aa"]);
    [&[0], &string(&names)[..]].concat()
}

const LISTED_NAMES: &[u8] = b"\x01\x03\x01b\xc0\xfb\x02aa";

/// Values behind the number 7.
fn packed_values() -> Vec<u8> {
    string(&listpack(&[&[7], b"\x81x", &[0], b"\x80"]))
}

const LISTED_VALUES: &[u8] = b"\x01x\xc0\0\0";

fn of_template() -> Value {
    hash(&[(NAMES[0], "x", None), (NAMES[1], "0", None), (NAMES[2], "", None)])
}

fn templates() -> Vec<OldLayout> {
    let dump = |kind: u8, names: &[u8], values: &[u8]| [&[kind], names, values].concat();
    let packed = packed_names();
    [
        ("packed names and values", dump(29, &packed, &packed_values())),
        ("listed names, packed values", dump(29, LISTED_NAMES, &packed_values())),
        ("packed names, listed values", dump(31, &packed, LISTED_VALUES)),
        ("listed names and values", dump(31, LISTED_NAMES, LISTED_VALUES)),
    ]
    .map(|(name, payload)| layout(name, 15, payload, of_template()))
    .into()
}

fn arrays() -> Vec<OldLayout> {
    let slots = [
        &b"\x04\0\0\x04long"[..],
        b"\x01\x01",
        &42i64.to_le_bytes(),
        b"\x02\x02",
        &1.5f64.to_le_bytes(),
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xfe\x03\xc0\x07",
    ]
    .concat();
    let value = |inserted| {
        let text = |text: &str| Slot::Text(text.as_bytes().to_vec().into());
        let slots = vec![
            (0, text("long")),
            (1, Slot::Integer(42)),
            (2, Slot::Double(1.5)),
            (u64::MAX - 1, text("7")),
        ];
        Value::Array(Array { inserted, slots })
    };
    let (count, slots) = (slots[0], &slots[1..]);
    let seldom = [&[28, count, 0], slots].concat();
    let inserted = [&[28, count, 1, 49], slots].concat();
    vec![
        layout("array", 14, seldom, value(None)),
        layout("array with a cursor", 14, inserted, value(Some(49))),
    ]
}

#[test]
fn hashes_of_a_file_refer_to_its_templates() {
    let limits = Limits::default();
    let mut known = Templates::new();
    let record = [&b"\x07\x03"[..], &LISTED_NAMES[2..], b"rest"].concat();
    assert_eq!(known.read(&record, &limits), Ok(&b"rest"[..]));
    assert_eq!(known.read(&record, &limits), Err(RdbError::Duplicate));

    let listed = [b"\x07", LISTED_VALUES].concat();
    let decode = |kind: u8, body: &[u8], version, limits: &Limits| {
        let mut builder = Builder::default();
        let rest = decode_body(kind, body, version, limits, &known, &mut builder)?;
        assert!(rest.is_empty());
        builder.finish()
    };
    assert_eq!(decode(30, &packed_values(), 15, &limits), Ok(of_template()));
    assert_eq!(decode(32, &listed, 15, &limits), Ok(of_template()));
    assert_eq!(decode(32, &listed, 14, &limits), Err(RdbError::UnknownType));
    assert_eq!(
        decode(32, &[b"\x08", LISTED_VALUES].concat(), 15, &limits),
        Err(RdbError::Template)
    );
    // The names do not stand there, so they count.
    let few = |unpacked_bytes_max| Limits { unpacked_bytes_max, ..limits };
    assert!(decode(32, &listed, 15, &few(5)).is_ok());
    assert_eq!(decode(32, &listed, 15, &few(4)), Err(RdbError::Length));
    let unknown = string(&listpack(&[&[8], b"\x81x", &[0], b"\x80"]));
    assert_eq!(decode(30, &unknown, 15, &limits), Err(RdbError::Template));
    let negative = string(&listpack(&[&[0xdf, 0xff], b"\x81x", &[0], b"\x80"]));
    assert_eq!(decode(30, &negative, 15, &limits), Err(RdbError::Template));
    // No dump can refer to one.
    let payload = [&[32], &listed[..]].concat();
    assert_eq!(Value::decode(&payload, 15, &limits), Err(RdbError::Template));
}

#[test]
fn templates_say_what_is_wrong_with_them() {
    let names = |names: &[u8]| [&[31], names, LISTED_VALUES].concat();
    let packed = |values: &[&[u8]]| [&[29], LISTED_NAMES, &string(&listpack(values))].concat();
    for (payload, error) in [
        (names(b"\x02\x03\x01b\x02-5\x02aa"), RdbError::Encoding),
        (names(b"\x01\0"), RdbError::Empty),
        (names(b"\x01\x03\x02aa\x02-5\x01b"), RdbError::Order),
        (names(b"\x01\x03\x01b\x02aa\x02-5"), RdbError::Order),
        (names(b"\x01\x03\x01b\x02aa\x02aa"), RdbError::Order),
        (names(b"\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff"), RdbError::Length),
        (names(b"\0\x03abc"), RdbError::Packed),
        ([&[31], LISTED_NAMES, b"\x01x\0"].concat(), RdbError::Truncated),
        ([&[31], LISTED_NAMES, LISTED_VALUES, b"\0"].concat(), RdbError::Trailing),
        (packed(&[&[7], b"\x81x", &[0]]), RdbError::Count),
        (packed(&[&[7], b"\x81x", &[0], b"\x80", b"\x80"]), RdbError::Count),
        (packed(&[b"\x817", b"\x81x", &[0], b"\x80"]), RdbError::Packed),
        (packed(&[]), RdbError::Packed),
    ] {
        assert_eq!(decode(&payload, 15), Err(error), "{payload:?}");
    }
}

#[test]
fn arrays_say_what_is_wrong_with_them() {
    for (body, error) in [
        (&b"\0\0"[..], RdbError::Empty),
        (b"\x01\x02\0\x03\x01a", RdbError::Encoding),
        (b"\x01\0\0\x04\x01a", RdbError::Encoding),
        (b"\x02\0\x01\x03\x01a\x01\x03\x01a", RdbError::Order),
        (b"\x02\0\x01\x03\x01a\0\x03\x01a", RdbError::Order),
        (b"\x01\0\x81\xff\xff\xff\xff\xff\xff\xff\xff\x03\x01a", RdbError::Length),
        (b"\x01\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\0\x03\x01a", RdbError::Length),
        (b"\x02\0\0\x03\x01a", RdbError::Length),
        (b"\x01\0\0\x01abcdefg", RdbError::Truncated),
        (b"\x01\0\0\x02\0\0\0\0\0\0\xf8\x7f", RdbError::NotANumber),
    ] {
        assert_eq!(decode(&[&[28], body].concat(), 14), Err(error), "{body:?}");
    }
}

/// Payloads, and what each is refused for.
pub(crate) fn refused() -> Vec<(&'static str, Vec<u8>, RdbError)> {
    let odd = listpack(&[b"\x81a"]);
    let twice = listpack(&[b"\x81a", b"\x811", b"\x81a", b"\x812"]);
    let empty = listpack(&[]);
    let intset = |integers: &[u8]| [&[2, 0, 0, 0, 2, 0, 0, 0], integers].concat();
    let nan = f64::NAN.to_le_bytes();
    vec![
        ("hash with half a pair", blob(16, &odd), RdbError::Pairs),
        ("hash with a field twice", blob(16, &twice), RdbError::Duplicate),
        ("hash without fields", blob(16, &empty), RdbError::Empty),
        ("sorted set with half a pair", blob(17, &odd), RdbError::Pairs),
        ("sorted set with a member twice", blob(17, &twice), RdbError::Duplicate),
        ("scores that are no number", [&b"\x05\x01\x01a"[..], &nan].concat(), RdbError::NotANumber),
        ("list without elements", b"\x01\0".to_vec(), RdbError::Empty),
        ("set of a member twice", b"\x02\x02\x01a\x01a".to_vec(), RdbError::Duplicate),
        ("hash of a field twice", b"\x04\x02\x01a\x01b\x01a\x01c".to_vec(), RdbError::Duplicate),
        ("intset out of order", blob(11, &intset(&[2, 0, 1, 0])), RdbError::Order),
        ("node of no kind", b"\x12\x01\x03\x01a".to_vec(), RdbError::Packed),
        ("string cut off", b"\0\x3fabc".to_vec(), RdbError::Truncated),
        ("compressed string too short", b"\0\xc3\x04\x06\0a\x40\0".to_vec(), RdbError::Compression),
        ("digits that are none", b"\x03\x01\x01a\x01x".to_vec(), RdbError::NotANumber),
        ("type of no value", b"\x08\x01a".to_vec(), RdbError::UnknownType),
    ]
}

fn decode(payload: &[u8], version: u16) -> Result<Value, RdbError> {
    Value::decode(payload, version, &Limits::default())
}

#[test]
fn old_layouts_are_read() {
    for OldLayout { name, version, payload, value } in layouts() {
        assert_eq!(decode(&payload, version), Ok(value), "{name}");
    }
}

#[test]
fn damaged_values_are_refused() {
    for (name, payload, error) in refused() {
        assert_eq!(decode(&payload, 10), Err(error), "{name}");
    }
}

/// Servers take this one and order by it, each in its own way.
#[test]
fn a_packed_score_that_is_no_number_is_refused() {
    for score in [&b"\x83nan"[..], b"\x83one", b"\x80"] {
        let payload = blob(17, &listpack(&[b"\x81a", score]));
        assert_eq!(decode(&payload, 10), Err(RdbError::NotANumber));
    }
}

#[test]
fn a_deadline_that_overflows_is_refused() {
    let hash = |earliest: u64, later: &[u8]| {
        let payload = [&[24], &earliest.to_le_bytes()[..], &[1], later, b"\x01f\x01v"].concat();
        decode(&payload, 12)
    };
    let latest = i64::MAX as u64;
    assert_eq!(hash(latest, &[1]), Ok(self::hash(&[("f", "v", Some(latest))])));
    assert_eq!(hash(latest, &[2]), Err(RdbError::NotANumber));
    assert_eq!(hash(u64::MAX, &[2]), Err(RdbError::NotANumber));
    assert_eq!(hash(u64::MAX, &[0]), Ok(self::hash(&[("f", "v", None)])));
    let absolute = [&[22, 1, 0x81][..], &[0xff; 8], b"\x01f\x01v"].concat();
    assert_eq!(decode(&absolute, 12), Err(RdbError::NotANumber));
}

#[test]
fn a_type_exists_from_some_version_on() {
    let hash_2 = layouts().into_iter().find(|layout| layout.version == 80).expect("it is there");
    assert!(decode(&hash_2.payload, 80).is_ok());
    assert!(decode(&hash_2.payload, 12).is_err());
    assert_eq!(decode(&hash_2.payload, 11), Err(RdbError::UnknownType));
    for kind in 23..=32 {
        assert_eq!(decode(&[kind, 1, 0], 80), Err(RdbError::UnknownType), "{kind}");
        assert_eq!(decode(&[kind, 1, 0], 11), Err(RdbError::UnknownType), "{kind}");
    }
    assert_eq!(decode(&[28, 1, 0], 13), Err(RdbError::UnknownType));
    for kind in 29..=32 {
        assert_eq!(decode(&[kind, 1, 0], 14), Err(RdbError::UnknownType), "{kind}");
    }
    for kind in [6, 7] {
        assert_eq!(decode(&[kind, 1, 0], 11), Err(RdbError::Module), "{kind}");
    }
    for kind in [8, 33, 200, 255] {
        assert_eq!(decode(&[kind, 1, 0], 15), Err(RdbError::UnknownType), "{kind}");
    }
}

#[test]
fn streams_say_what_is_wrong_with_them() {
    let good = layouts().into_iter().find(|layout| layout.payload[0] == 15).expect("it is there");
    let len = good.payload.len();
    // The last 16 bytes are the id that pends at the consumer, 8 before them its time.
    for (back, byte, error) in [
        (1, 2, RdbError::Pending),
        (17, 0, RdbError::Pending),
        (17, 2, RdbError::Length),
        (18, 0xff, RdbError::NotANumber),
    ] {
        let mut bad = good.payload.clone();
        bad[len - back] = byte;
        let cut = if byte == 0 { &bad[..len - 16] } else { &bad[..] };
        assert_eq!(decode(cut, 9), Err(error), "{back}");
    }
    let mut bad = good.payload.clone();
    // The seventh byte after the id of the node is its count of live entries.
    let count = 3 + 16 + 2 + 6;
    assert_eq!(bad[count], 2);
    bad[count] = 3;
    assert_eq!(decode(&bad, 9), Err(RdbError::Count));
}

#[test]
fn names_of_fields_that_are_said_once_count_each_time() {
    let good = layouts().into_iter().find(|layout| layout.payload[0] == 15).expect("it is there");
    let with = |unpacked_bytes_max| {
        let limits = Limits { unpacked_bytes_max, ..Limits::default() };
        Value::decode(&good.payload, 9, &limits)
    };
    assert!(with(2).is_ok());
    assert_eq!(with(1), Err(RdbError::Length));
}

//! Values by the commands that make them.

use rdb::{Consumer, Entry, Group, HashField, Pending, Stream, StreamId, StreamState, Value};

use super::kept::sorted;

/// Stands for every time that a server reads from its clock.
pub(crate) const SOME_TIME_MS: u64 = 1;

/// A deadline that no test lives to see.
const DEADLINE_MS: u64 = 4_102_444_800_000;

/// What a server makes of some commands.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) commands: Vec<Vec<Vec<u8>>>,
    pub(crate) value: Value,
    /// Whether it needs a server with deadlines of fields.
    pub(crate) has_deadlines: bool,
    /// Whether a listpack in it has a back-length that servers write differently.
    pub(crate) has_full_back_length: bool,
}

impl Sample {
    fn new(name: &'static str, commands: Vec<Vec<Vec<u8>>>, value: Value) -> Self {
        Self { name, commands, value, has_deadlines: false, has_full_back_length: false }
    }
}

/// Every sample; the key is `key`.
pub(crate) fn all() -> Vec<Sample> {
    [strings(), lists(), sets(), hashes(), sorted_sets(), streams()].into_iter().flatten().collect()
}

fn words(texts: &[&[u8]]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.to_vec()).collect()
}

/// `name key argument*`
fn command<'a>(name: &str, arguments: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<Vec<u8>> {
    let head = [name.as_bytes().to_vec(), b"key".to_vec()];
    head.into_iter().chain(arguments.into_iter().cloned()).collect()
}

fn strings() -> Vec<Sample> {
    let hardly: Vec<u8> = (0..300u32).map(|at| (at * at * 7 % 251) as u8).collect();
    let texts: [(&'static str, Vec<u8>); 11] = [
        ("string-empty", vec![]),
        ("string-short", b"hello".to_vec()),
        ("string-binary", b"\0\xff\r\n".to_vec()),
        ("string-int8", b"-12".to_vec()),
        ("string-int16", b"300".to_vec()),
        ("string-int32", b"-52000".to_vec()),
        ("string-int64", b"123456789012".to_vec()),
        ("string-almost-int", b"0012".to_vec()),
        ("string-repeated", b"abc".repeat(400)),
        ("string-hardly-repeated", hardly),
        ("string-runs", [vec![b'a'; 600], vec![b'b'; 300]].concat()),
    ];
    let sample = |(name, text): (_, Vec<u8>)| {
        Sample::new(name, vec![command("SET", [&text])], Value::Str(text))
    };
    texts.into_iter().map(sample).collect()
}

fn numbered(prefix: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|at| format!("{prefix}{at}").into_bytes()).collect()
}

fn lists() -> Vec<Sample> {
    let mixed = words(&[b"a", b"", b"0", b"-1", b"4096", b"52000", b"9223372036854775807", b"a"]);
    // The last ones are those whose back-length is all ones, and their neighbours.
    let long = [100, 5_000, 9_000, 16_377, 16_378, 16_379].map(|len| vec![b'z'; len]).to_vec();
    let lists =
        [("list-mixed", mixed), ("list-many", numbered("element:", 1_100)), ("list-long", long)];
    let sample = |(name, list): (_, Vec<Vec<u8>>)| {
        Sample::new(name, vec![command("RPUSH", &list)], Value::List(list))
    };
    lists.into_iter().map(sample).collect()
}

fn sets() -> Vec<Sample> {
    let sets = [
        ("set-int16", words(&[b"1", b"-2", b"300"])),
        ("set-int32", words(&[b"1", b"-52000"])),
        ("set-int64", words(&[b"1", b"-9223372036854775808"])),
        ("set-short", words(&[b"a", b"", b"12", b"bc"])),
        ("set-many-integers", numbered("", 520)),
        ("set-many", numbered("member:", 520)),
        ("set-long", vec![vec![b'm'; 200], b"short".to_vec()]),
    ];
    let sample = |(name, set): (_, Vec<Vec<u8>>)| {
        Sample::new(name, vec![command("SADD", &set)], Value::Set(set))
    };
    sets.into_iter().map(sample).collect()
}

fn pairs(fields: &[Vec<u8>]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter().map(|field| (field.clone(), [b"v:", &field[..]].concat())).collect()
}

fn hash(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<HashField> {
    let field = |(field, value): &(Vec<u8>, Vec<u8>)| HashField {
        field: field.clone(),
        value: value.clone(),
        deadline_ms: None,
    };
    pairs.iter().map(field).collect()
}

fn hashes() -> Vec<Sample> {
    let small = vec![(b"f".to_vec(), b"1".to_vec()), (b"".to_vec(), b"".to_vec())];
    let long = vec![(b"f".to_vec(), vec![b'v'; 300]), (vec![b'f'; 300], b"-5".to_vec())];
    let hashes = [
        ("hash-small", small),
        ("hash-long", long),
        ("hash-many", pairs(&numbered("field:", 520))),
    ];
    let set = |pairs: &[(Vec<u8>, Vec<u8>)]| {
        command("HSET", pairs.iter().flat_map(|(field, value)| [field, value]))
    };
    let plain =
        hashes.map(|(name, pairs)| Sample::new(name, vec![set(&pairs)], Value::Hash(hash(&pairs))));
    let dying = [("hash-deadlines", 6), ("hash-many-deadlines", 520)].map(|(name, count)| {
        let pairs = pairs(&numbered("field:", count));
        let mut fields = hash(&pairs);
        let mut commands = vec![set(&pairs)];
        for (at, field) in fields.iter_mut().enumerate().filter(|(at, _)| at % 3 != 1) {
            let deadline = DEADLINE_MS + (at as u64 * 7_919) % 1_000_003;
            field.deadline_ms = Some(deadline);
            let deadline = deadline.to_string().into_bytes();
            let one = words(&[&deadline, b"FIELDS", b"1", &field.field]);
            commands.push(command("HPEXPIREAT", &one));
        }
        Sample { has_deadlines: true, ..Sample::new(name, commands, Value::Hash(fields)) }
    });
    plain.into_iter().chain(dying).collect()
}

fn sorted_sets() -> Vec<Sample> {
    let small = [
        ("low", f64::NEG_INFINITY),
        ("half", -0.5),
        ("zero", 0.0),
        ("seven", 7.0),
        ("huge", 1e300),
        ("big", 1e18),
        ("third", 1.0 / 3.0),
        ("top", f64::INFINITY),
    ];
    let small = small.map(|(member, score)| (member.as_bytes().to_vec(), score)).to_vec();
    let many = numbered("member:", 300).into_iter().enumerate();
    let many = many.map(|(at, member)| (member, at as f64 * 0.1 - 3.0)).collect();
    let long = vec![(vec![b'm'; 100], 2.5), (b"short".to_vec(), 1.0)];
    let sorted = [("zset-small", small), ("zset-many", many), ("zset-long", long)];
    let sample = |(name, members): (_, Vec<(Vec<u8>, f64)>)| {
        let scored =
            |(member, score): &(Vec<u8>, f64)| [score.to_string().into_bytes(), member.clone()];
        let words: Vec<_> = members.iter().flat_map(scored).collect();
        Sample::new(name, vec![command("ZADD", &words)], Value::ZSet(members))
    };
    sorted.into_iter().map(sample).collect()
}

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId { ms, seq }
}

fn entry(ms: u64, fields: &[(&str, &str)]) -> Entry {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let fields = fields.iter().map(|(field, value)| (bytes(field), bytes(value)));
    Entry { id: id(ms, ms % 3), fields: fields.collect() }
}

fn add(entry: &Entry) -> Vec<Vec<u8>> {
    let id = format!("{}-{}", entry.id.ms, entry.id.seq).into_bytes();
    let fields = entry.fields.iter().flat_map(|(field, value)| [field, value]);
    command("XADD", std::iter::once(&id).chain(fields))
}

/// A command with the key in its midst.
fn line(text: &str) -> Vec<Vec<u8>> {
    text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

fn streams() -> Vec<Sample> {
    vec![stream_small(), stream_many(), stream_long(), stream_empty()]
}

/// Entries that share fields and others; the third is deleted, and two groups read.
fn stream_small() -> Sample {
    let mut entries = vec![
        entry(5, &[("a", "1"), ("b", "x")]),
        entry(6, &[("a", "2"), ("b", "y")]),
        entry(7, &[("a", "3"), ("b", "z")]),
        entry(9, &[("other", "-52000")]),
        entry(2_000_000_000_000, &[("a", ""), ("b", "2000000000000")]),
    ];
    let mut commands: Vec<_> = entries.iter().map(add).collect();
    commands.extend([
        line("XGROUP CREATE key readers 0"),
        line("XGROUP CREATE key idle 9-0"),
        line("XREADGROUP GROUP readers anna COUNT 2 STREAMS key >"),
        line("XREADGROUP GROUP readers bert COUNT 1 STREAMS key >"),
        line("XREADGROUP GROUP readers bert COUNT 1 STREAMS key >"),
        line("XGROUP CREATECONSUMER key readers carl"),
        line("XACK key readers 6-0"),
        line("XDEL key 7-1"),
    ]);
    entries.remove(2);
    let pending = |ms| Pending { id: id(ms, ms % 3), delivered_ms: SOME_TIME_MS, deliveries: 1 };
    let consumer = |name: &str, pending: &[u64]| Consumer {
        name: name.into(),
        seen_ms: SOME_TIME_MS,
        active_ms: (!pending.is_empty()).then_some(SOME_TIME_MS),
        pending: pending.iter().map(|&ms| id(ms, ms % 3)).collect(),
    };
    let readers = Group {
        name: b"readers".to_vec(),
        last_id: id(9, 0),
        entries_read: Some(4),
        pending: vec![pending(5), pending(7), pending(9)],
        consumers: vec![consumer("anna", &[5]), consumer("bert", &[7, 9]), consumer("carl", &[])],
    };
    let idle = Group {
        name: b"idle".to_vec(),
        last_id: id(9, 0),
        entries_read: None,
        pending: vec![],
        consumers: vec![],
    };
    let state = StreamState {
        last_id: entries[3].id,
        first_id: id(5, 2),
        max_deleted_id: id(7, 1),
        entries_added: 5,
    };
    let stream = Stream { entries, state, groups: vec![idle, readers], producers: None };
    Sample::new("stream-small", commands, Value::Stream(stream))
}

fn stream_many() -> Sample {
    let text = |at| format!("value {at}");
    let entries: Vec<_> = (1..=250)
        .map(|at| match at % 50 {
            0 => entry(at * 10, &[("odd", &text(at)), ("more", "1"), ("still more", "")]),
            _ => entry(at * 10, &[("temperature", &text(at)), ("unit", "K")]),
        })
        .collect();
    let state = StreamState {
        last_id: entries[249].id,
        first_id: entries[0].id,
        max_deleted_id: id(0, 0),
        entries_added: 250,
    };
    let commands = entries.iter().map(add).collect();
    let stream = Stream { entries, state, groups: vec![], producers: None };
    Sample::new("stream-many", commands, Value::Stream(stream))
}

/// Values of which one has a back-length of only ones, if its length is packed in five bytes.
fn stream_long() -> Sample {
    let entries: Vec<_> =
        (16_377..=16_379).map(|len| entry(len, &[("f", &"x".repeat(len as usize))])).collect();
    let state = StreamState {
        last_id: entries[2].id,
        first_id: entries[0].id,
        max_deleted_id: id(0, 0),
        entries_added: 3,
    };
    let commands = entries.iter().map(add).collect();
    let stream = Stream { entries, state, groups: vec![], producers: None };
    let sample = Sample::new("stream-long", commands, Value::Stream(stream));
    Sample { has_full_back_length: true, ..sample }
}

fn stream_empty() -> Sample {
    let only = entry(5, &[("a", "1")]);
    let commands = vec![add(&only), line("XDEL key 5-2"), line("XGROUP CREATE key late $")];
    let late = Group {
        name: b"late".to_vec(),
        last_id: only.id,
        entries_read: None,
        pending: vec![],
        consumers: vec![],
    };
    let state = StreamState {
        last_id: only.id,
        first_id: id(0, 0),
        max_deleted_id: only.id,
        entries_added: 1,
    };
    let stream = Stream { entries: vec![], state, groups: vec![late], producers: None };
    Sample::new("stream-empty", commands, Value::Stream(stream))
}

/// A value as it is compared: sorted, and without what a clock said.
pub(crate) fn comparable(value: Value) -> Value {
    let mut value = sorted(value);
    if let Value::Stream(stream) = &mut value {
        stream.groups.iter_mut().for_each(without_times);
    }
    value
}

fn without_times(group: &mut Group) {
    for pending in &mut group.pending {
        pending.delivered_ms = SOME_TIME_MS;
    }
    for consumer in &mut group.consumers {
        consumer.seen_ms = SOME_TIME_MS;
        // Before RDB 11 a consumer that never got anything can't be told.
        consumer.active_ms = (!consumer.pending.is_empty()).then_some(SOME_TIME_MS);
    }
}

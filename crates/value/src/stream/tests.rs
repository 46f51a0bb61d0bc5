//! A stream against a model that has its entries in a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LIMITS: NodeLimits = NodeLimits { entries_max: 4, bytes_max: 60 };

type Text = Vec<u8>;
type Model = BTreeMap<StreamId, Vec<Text>>;

fn append(stream: &mut Stream, id: StreamId, fields: &[Text]) -> Result<(), NotAdded> {
    stream.log.append(id, fields.iter().map(Vec::as_slice), LIMITS)
}

fn numbered(count: u64) -> Stream {
    let mut stream = Stream::default();
    for ms in 1..=count {
        append(&mut stream, StreamId::new(ms, 0), &[b"n".to_vec(), vec![b'0' + ms as u8]]).unwrap();
    }
    stream
}

fn ids(stream: &Stream) -> Vec<u64> {
    stream.log.range(StreamId::ZERO, StreamId::MAX).map(|entry| entry.id.ms).collect()
}

fn read(entry: Entry<'_>) -> (StreamId, Vec<Text>) {
    let fields = entry.fields().flat_map(|(name, value)| [name.to_vec(), value.to_vec()]);
    (entry.id, fields.collect())
}

#[derive(Clone, Debug)]
enum Step {
    Append { ms: u64, seq: u64, fields: Vec<Text> },
    Delete(usize),
    TrimLen { len: u64, nearly: bool, limit: u64 },
    TrimId { at: usize, nearly: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = || prop::collection::vec(prop::sample::select(b"ab".to_vec()), 0..3);
    let fields = prop::collection::vec([text(), text()].prop_map(|pair| pair.to_vec()), 1..3);
    let fields = fields.prop_map(|pairs| pairs.concat());
    let step = prop_oneof![
        6 => (0..3_u64, 0..4_u64, fields)
            .prop_map(|(ms, seq, fields)| Step::Append { ms, seq, fields }),
        2 => (0..40_usize).prop_map(Step::Delete),
        1 => (0..30_u64, any::<bool>(), 0..20_u64)
            .prop_map(|(len, nearly, limit)| Step::TrimLen { len, nearly, limit }),
        1 => (0..40_usize, any::<bool>()).prop_map(|(at, nearly)| Step::TrimId { at, nearly }),
    ];
    prop::collection::vec(step, 0..80)
}

fn take(stream: &mut Stream, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
    match step {
        Step::Append { ms, seq, fields } => {
            let last = stream.log.counters().last;
            let id = StreamId::new(last.ms + ms, seq);
            let added = append(stream, id, &fields);
            prop_assert_eq!(added.is_ok(), id > last);
            if added.is_ok() {
                model.insert(id, fields);
            }
        }
        Step::Delete(at) => {
            let id = model.keys().nth(at).copied().unwrap_or(StreamId::MAX);
            prop_assert_eq!(stream.log.delete(id), model.remove(&id).is_some());
            prop_assert!(!stream.log.delete(id));
        }
        Step::TrimLen { len, nearly, limit } => {
            trim(stream, model, Trim { until: Until::Len(len), nearly, limit })?;
            prop_assert!(nearly || limit > 0 || model.len() as u64 <= len);
            prop_assert!(limit == 0 || nearly || stream.log.len() == model.len() as u64);
        }
        Step::TrimId { at, nearly } => {
            let id = model.keys().nth(at).copied().unwrap_or(StreamId::MAX);
            trim(stream, model, Trim { until: Until::Id(id), nearly, limit: 0 })?;
            prop_assert!(nearly || model.keys().all(|&one| one >= id));
        }
    }
    Ok(())
}

fn trim(stream: &mut Stream, model: &mut Model, trim: Trim) -> Result<(), TestCaseError> {
    let doomed: Vec<StreamId> = stream.log.doomed(trim).collect();
    let first: Vec<StreamId> = model.keys().take(doomed.len()).copied().collect();
    prop_assert_eq!(&doomed, &first, "the first ones go");
    prop_assert_eq!(stream.log.trim(trim), doomed.len() as u64);
    if let Until::Len(len) = trim.until {
        prop_assert!(doomed.is_empty() || stream.log.len() >= len);
    }
    model.retain(|id, _| !doomed.contains(id));
    Ok(())
}

fn compare(
    stream: &Stream,
    model: &Model,
    from: StreamId,
    to: StreamId,
) -> Result<(), TestCaseError> {
    let found: Vec<_> = stream.log.range(from, to).map(read).collect();
    let between = |id: &StreamId| (from..=to).contains(id);
    let expected: Vec<_> =
        model.iter().filter(|(id, _)| between(id)).map(|(id, f)| (*id, f.clone())).collect();
    prop_assert_eq!(&found, &expected);
    let back: Vec<_> = stream.log.range_back(from, to).map(read).collect();
    prop_assert!(back.iter().rev().eq(&expected));
    Ok(())
}

proptest! {
    #[test]
    fn a_log_is_a_map_that_grows_at_its_end(steps in steps(), from in 0..30_u64, to in 0..30_u64) {
        let (mut stream, mut model) = (Stream::default(), Model::new());
        for step in steps {
            take(&mut stream, &mut model, step)?;
            let counters = stream.log.counters();
            prop_assert_eq!(counters.len, model.len() as u64);
            prop_assert_eq!(counters.first, model.keys().next().copied().unwrap_or_default());
            prop_assert_eq!(stream.log.last_entry_id(), model.keys().next_back().copied());
        }
        compare(&stream, &model, StreamId::ZERO, StreamId::MAX)?;
        compare(&stream, &model, StreamId::new(from, 2), StreamId::new(to, 1))?;
        for &id in model.keys() {
            compare(&stream, &model, id, id)?;
        }
    }
}

#[test]
fn a_full_node_is_followed_by_another_and_whole_nodes_are_trimmed() {
    let mut stream = numbered(9);
    assert_eq!(stream.log.nodes(), 3);
    let nearly = Trim { until: Until::Len(3), nearly: true, limit: 0 };
    assert_eq!(stream.trim(nearly, References::Keep), 4);
    assert_eq!(ids(&stream), [5, 6, 7, 8, 9]);
    let limited = Trim { until: Until::Id(StreamId::MAX), nearly: true, limit: 4 };
    assert_eq!(stream.trim(limited, References::Keep), 4);
    assert_eq!(ids(&stream), [9]);
}

#[test]
fn an_entry_that_is_too_large_is_refused() {
    let long = vec![0; ENTRY_BYTES_MAX / 1024];
    let fields = std::iter::repeat_n(long.as_slice(), 1026);
    let fields: Vec<&[u8]> = fields.collect();
    let mut log = Log::default();
    let added = log.append(StreamId::new(1, 1), fields.iter().copied(), LIMITS);
    assert_eq!(added, Err(NotAdded::TooLarge));
    assert!(log.is_empty() && log.counters() == Counters::default());
}

/// Two groups: `a` has read all and acknowledged 1 and 2; `b` has read 1 and 3 and nothing else.
fn with_groups() -> Stream {
    let mut stream = numbered(4);
    for (name, last, pending) in [(b"a", 4, &[3, 4][..]), (b"b", 3, &[3])] {
        let mut group = Group::new(StreamId::new(last, 0), None);
        let (consumer, is_new) = group.see(b"reader", 7);
        assert!(is_new);
        for &ms in pending {
            group.deliver(StreamId::new(ms, 0), consumer, 7, 1);
        }
        assert!(stream.add_group(name, group));
        assert!(!stream.add_group(name, Group::new(StreamId::ZERO, None)));
    }
    stream
}

#[test]
fn references_are_kept_deleted_or_respected() {
    let id = |ms| StreamId::new(ms, 0);
    let pending = |stream: &Stream| -> usize {
        stream.groups().values().map(|group| group.pending().len()).sum()
    };

    let mut stream = with_groups();
    assert_eq!(stream.remove(id(3), References::Respect), Removal::Refused, "it is pending");
    assert_eq!(stream.remove(id(4), References::Respect), Removal::Refused, "b has not read it");
    assert_eq!(stream.remove(id(1), References::Respect), Removal::Done);
    assert_eq!(stream.remove(id(1), References::Respect), Removal::Missing);
    assert_eq!(stream.remove(id(3), References::Keep), Removal::Done);
    assert_eq!(pending(&stream), 3);
    assert_eq!(stream.remove(id(3), References::Delete), Removal::Missing);
    assert_eq!(pending(&stream), 1, "references go even where the entry has gone");

    let all = Trim { until: Until::Len(0), nearly: false, limit: 0 };
    let mut stream = with_groups();
    assert_eq!(stream.trim(all, References::Respect), 2);
    assert_eq!(ids(&stream), [3, 4]);
    assert_eq!(stream.trim(all, References::Delete), 2);
    assert_eq!(pending(&stream), 0);
    let mut stream = with_groups();
    assert_eq!(stream.trim(all, References::Keep), 4);
    assert_eq!(pending(&stream), 3);
}

#[test]
fn a_pending_entry_has_one_owner_and_is_found_by_its_time() {
    let id = |ms| StreamId::new(ms, 0);
    let mut group = Group::new(id(9), None);
    let (ann, _) = group.see(b"ann", 1);
    let (bob, _) = group.see(b"bob", 1);
    group.deliver(id(1), ann, 10, 1);
    group.deliver(id(2), ann, 5, 1);
    assert_eq!(group.pending_until(9).collect::<Vec<_>>(), [id(2)]);
    group.deliver(id(2), bob, 20, 2);
    group.give_back(id(1), 7);
    group.deliver(id(3), bob, 15, 1);
    assert_eq!(group.pending_until(20).collect::<Vec<_>>(), [id(1), id(3), id(2)]);
    let count = |group: &Group, one| group.consumer(one).unwrap().pending().len();
    assert_eq!((count(&group, ann), count(&group, bob)), (0, 2));
    assert_eq!(group.pending()[&id(1)], Pending { owner: None, time: 0, count: 7 });

    assert!(group.acknowledge(id(3)) && !group.acknowledge(id(3)));
    assert_eq!(group.remove(b"bob"), Some(1));
    assert_eq!(group.remove(b"bob"), None);
    assert_eq!(group.pending_until(99).collect::<Vec<_>>(), [id(1)]);
    assert!(group.create(b"cid", 3) && !group.create(b"ann", 3));
    let names: Vec<&[u8]> = group.consumers().map(Consumer::name).collect();
    assert_eq!(names, [b"ann", b"cid"]);
}

#[test]
fn a_group_counts_what_it_reads_until_entries_before_it_were_deleted() {
    let id = |ms| StreamId::new(ms, 0);
    let mut stream = numbered(5);
    let counters = stream.log.counters();
    let mut group = Group::new(StreamId::ZERO, None);
    assert_eq!(group.lag(&counters), Some(5));
    group.advance(id(1), &counters);
    assert_eq!((group.entries_read(), group.lag(&counters)), (Some(1), Some(4)));
    group.advance(id(2), &counters);
    group.advance(id(1), &counters);
    assert_eq!((group.last(), group.entries_read()), (id(2), Some(2)));

    stream.log.delete(id(4));
    let counters = stream.log.counters();
    assert_eq!(group.lag(&counters), None, "nobody knows how many are behind");
    group.advance(id(3), &counters);
    assert_eq!(group.entries_read(), None);
    group.advance(id(5), &counters);
    assert_eq!((group.entries_read(), group.lag(&counters)), (Some(5), Some(0)));
}

#[test]
fn the_next_id_follows_the_clock_and_never_goes_back() {
    let mut log = Log::default();
    assert_eq!(log.id_at(0), Some(StreamId::new(0, 1)));
    assert_eq!(log.id_at(5), Some(StreamId::new(5, 0)));
    assert_eq!(log.id_in(0), Some(StreamId::new(0, 1)));
    log.set_last(StreamId::new(7, u64::MAX), None, None);
    assert_eq!(log.id_at(5), Some(StreamId::new(8, 0)));
    assert_eq!(log.id_in(7), None);
    assert_eq!(log.id_in(6), Some(StreamId::new(6, 0)), "which will be refused");
    log.set_last(StreamId::MAX, Some(3), Some(StreamId::new(1, 1)));
    assert_eq!(log.id_at(5), None);
    assert_eq!(log.counters().added, 3);
}

//! Histories that happened, that cannot have happened, and random ones judged
//! by trying every order.

use super::*;
use crate::executor::Executor;
use crate::model::Model;
use crate::random::Random;
use crate::value::Value;

type StringEvent = EventOf<Strings>;

fn key(name: &str) -> Vec<u8> {
    name.into()
}

fn set(name: &str, value: &str) -> Op {
    Op::Set(key(name), value.into())
}

fn get(name: &str) -> Op {
    Op::Get(key(name))
}

/// An event that began and returned at these times.
fn event(invoked: u64, returned: u64, op: Op, answer: Value) -> StringEvent {
    Event { client: 0, invoked, op, returned: Some((returned, answer)) }
}

fn unanswered(invoked: u64, op: Op) -> StringEvent {
    Event { client: 9, invoked, op, returned: None }
}

fn is_accepted(history: &[StringEvent]) -> bool {
    check::<Strings>(history).is_ok()
}

#[test]
fn overlapping_operations_may_happen_in_either_order() {
    for seen in [Value::Nil, Value::bulk("1")] {
        assert!(is_accepted(&[
            event(0, 9, set("a", "1"), Value::ok()),
            event(1, 2, get("a"), seen)
        ]));
    }
}

#[test]
fn a_stale_read_is_refused() {
    let history = [
        event(0, 1, set("a", "1"), Value::ok()),
        event(2, 3, set("a", "2"), Value::ok()),
        event(4, 5, get("a"), Value::bulk("1")),
    ];
    let violation = check::<Strings>(&history).unwrap_err();
    let text = violation.to_string();
    assert!(text.ends_with("4 to 5: GET a: \"1\"\n"), "{text}");
}

#[test]
fn two_reads_may_not_go_back_in_time() {
    let history = |first: Value, second: Value| {
        [
            event(0, 9, set("a", "1"), Value::ok()),
            event(1, 2, get("a"), first),
            event(3, 4, get("a"), second),
        ]
    };
    assert!(is_accepted(&history(Value::Nil, Value::bulk("1"))));
    assert!(!is_accepted(&history(Value::bulk("1"), Value::Nil)));
}

#[test]
fn a_lost_update_is_refused() {
    let incr = |answer| event(0, 5, Op::Incr(key("n")), Value::Integer(answer));
    assert!(is_accepted(&[incr(2), incr(1), incr(3)]));
    assert!(!is_accepted(&[incr(1), incr(1)]));
}

#[test]
fn a_torn_mset_is_refused() {
    let mset = Op::MSet(vec![(key("a"), b"1".to_vec()), (key("b"), b"1".to_vec())]);
    let mget = |a: Value, b: Value| {
        let op = Op::MGet(vec![key("a"), key("b")]);
        [event(0, 9, mset.clone(), Value::ok()), event(1, 2, op, Value::Array(vec![a, b]))]
    };
    assert!(is_accepted(&mget(Value::Nil, Value::Nil)));
    assert!(is_accepted(&mget(Value::bulk("1"), Value::bulk("1"))));
    assert!(!is_accepted(&mget(Value::bulk("1"), Value::Nil)));
}

#[test]
fn a_torn_mset_is_seen_by_single_reads_too() {
    let mset = Op::MSet(vec![(key("a"), b"1".to_vec()), (key("b"), b"1".to_vec())]);
    let history = [
        event(0, 9, mset, Value::ok()),
        event(1, 2, get("a"), Value::bulk("1")),
        event(3, 4, get("b"), Value::Nil),
    ];
    assert!(!is_accepted(&history));
}

#[test]
fn a_rename_never_shows_both_names_or_none() {
    let history = |a: Value, b: Value| {
        let op = Op::MGet(vec![key("a"), key("b")]);
        [
            event(0, 1, set("a", "1"), Value::ok()),
            event(2, 9, Op::Rename(key("a"), key("b")), Value::ok()),
            event(3, 4, op, Value::Array(vec![a, b])),
        ]
    };
    assert!(is_accepted(&history(Value::bulk("1"), Value::Nil)));
    assert!(is_accepted(&history(Value::Nil, Value::bulk("1"))));
    assert!(!is_accepted(&history(Value::Nil, Value::Nil)));
    assert!(!is_accepted(&history(Value::bulk("1"), Value::bulk("1"))));
}

#[test]
fn an_operation_without_an_answer_may_have_happened_or_not() {
    let lost = unanswered(2, set("a", "2"));
    let read = |at, seen: &str| event(at, at + 1, get("a"), Value::bulk(seen));
    let base = event(0, 1, set("a", "1"), Value::ok());
    assert!(is_accepted(&[base.clone(), lost.clone(), read(3, "1"), read(5, "1")]));
    assert!(is_accepted(&[base.clone(), lost.clone(), read(3, "1"), read(5, "2")]));
    assert!(!is_accepted(&[base.clone(), lost.clone(), read(3, "2"), read(5, "1")]));
    // It cannot have happened before it was invoked.
    assert!(!is_accepted(&[base, unanswered(6, set("a", "2")), read(3, "2")]));
}

#[test]
fn an_empty_history_is_accepted() {
    assert!(is_accepted(&[]));
    assert!(is_accepted(&[unanswered(0, get("a"))]));
}

#[test]
fn the_specification_answers_as_the_model_does() {
    let mut random = Random::new(11);
    let (mut state, mut model) = (BTreeMap::new(), Model::new(0));
    for _ in 0..3_000 {
        let op = random_op(&mut random);
        let answer = Strings::apply(&mut state, &op);
        assert_eq!(answer, model.run("c1", &op.words()), "{op:?}");
    }
}

fn random_op(random: &mut Random) -> Op {
    let mut name = || key(random.pick(&["a", "b", "c"]));
    let (one, other) = (name(), name());
    let value = random.pick(&[&b"1"[..], b"2", b"x"]).to_vec();
    match random.below(11) {
        0 | 1 => Op::Get(one),
        2 => Op::Set(one, value),
        3 => Op::GetSet(one, value),
        4 => Op::SetNx(one, value),
        5 => Op::Append(one, value),
        6 => Op::Incr(one),
        7 => Op::Del(one),
        8 => Op::MSet(vec![(one, value.clone()), (other, value)]),
        9 => Op::MGet(vec![one, other]),
        _ if random.once_in(2) => Op::Rename(one, other),
        _ => Op::Copy(one, other),
    }
}

/// A history of clients that each do one operation after the other, all of
/// which take effect at one moment between their beginning and their end.
fn happened(random: &mut Random, clients: usize, operations: usize) -> Vec<StringEvent> {
    let mut state = BTreeMap::new();
    let counter = Counter::default();
    let mut history: Vec<StringEvent> = Vec::new();
    // What each client is doing: the event, and its answer once it has one.
    let mut doing: Vec<Option<(usize, Option<Value>)>> = vec![None; clients];
    while history.len() < operations || doing.iter().any(Option::is_some) {
        let client = random.below(clients as u64) as usize;
        doing[client] = match doing[client].take() {
            None if history.len() < operations => {
                let (invoked, op) = (counter.tick(), random_op(random));
                history.push(Event { client, invoked, op, returned: None });
                Some((history.len() - 1, None))
            }
            None => None,
            Some((at, None)) => Some((at, Some(Strings::apply(&mut state, &history[at].op)))),
            Some((at, Some(answer))) => {
                // Now and then the answer is lost.
                history[at].returned = (!random.once_in(20)).then(|| (counter.tick(), answer));
                None
            }
        };
    }
    history
}

#[test]
fn what_happened_is_accepted() {
    let mut random = Random::new(5);
    for _ in 0..40 {
        let history = happened(&mut random, 5, 300);
        if let Err(violation) = check::<Strings>(&history) {
            panic!("{violation}");
        }
    }
}

/// Whether some order explains the history, by trying all of them.
fn is_explained_by_force(done: &mut Vec<usize>, history: &[StringEvent]) -> bool {
    let mut state = BTreeMap::new();
    for &at in done.iter() {
        let answer = Strings::apply(&mut state, &history[at].op);
        if history[at].returned.as_ref().is_some_and(|(_, given)| *given != answer) {
            return false;
        }
    }
    let left = |at: &usize| !done.contains(at);
    let all: Vec<usize> = (0..history.len()).filter(left).collect();
    let end = |at: usize| history[at].returned.as_ref().map_or(u64::MAX, |(time, _)| *time);
    if all.iter().all(|&at| end(at) == u64::MAX) {
        return true;
    }
    let first_end = all.iter().map(|&at| end(at)).min().unwrap_or(u64::MAX);
    all.into_iter().filter(|&at| history[at].invoked < first_end).any(|at| {
        done.push(at);
        let is_explained = is_explained_by_force(done, history);
        done.pop();
        is_explained
    })
}

#[test]
fn spoilt_histories_are_judged_as_by_trying_every_order() {
    let mut random = Random::new(77);
    let mut refused = 0;
    for _ in 0..1_500 {
        let mut history = happened(&mut random, 3, 7);
        // An answer of one operation is given to another.
        let answer = history[random.below(history.len() as u64) as usize].returned.clone();
        let at = random.below(history.len() as u64) as usize;
        if let (Some((_, answer)), Some(returned)) = (answer, history[at].returned.as_mut()) {
            returned.1 = answer;
        }
        let expected = is_explained_by_force(&mut Vec::new(), &history);
        assert_eq!(is_accepted(&history), expected, "{history:?}");
        refused += u32::from(!expected);
    }
    assert!((300..1_300).contains(&refused), "{refused} were refused");
}

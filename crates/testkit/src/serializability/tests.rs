//! Histories with each anomaly, histories that happened, and the same ones spoilt.

use std::collections::VecDeque;

use super::*;
use crate::random::Random;

fn add(key: &str, value: u64) -> Step {
    Step::Append(key.into(), value)
}

fn read(key: &str, values: &[u64]) -> Step {
    Step::Read(key.into(), values.into())
}

fn length(key: &str, length: usize) -> Step {
    Step::Length(key.into(), length)
}

fn take(key: &str, value: u64) -> Step {
    Step::Take(key.into(), Some(value))
}

fn nothing(key: &str) -> Step {
    Step::Take(key.into(), None)
}

/// A transaction of a client of its own.
fn done(invoked: u64, returned: u64, steps: &[Step]) -> Transaction {
    let (client, steps) = (invoked as usize, steps.to_vec());
    Transaction { client, how: "test", invoked, returned, happened: true, steps }
}

/// Transactions all of which run at once.
fn at_once(all: &[&[Step]]) -> Vec<Transaction> {
    let done = |(nth, steps): (usize, &&[Step])| done(nth as u64, 99, steps);
    all.iter().enumerate().map(done).collect()
}

/// Transactions one after the other.
fn in_turn(all: &[&[Step]]) -> Vec<Transaction> {
    let done = |(nth, steps): (usize, &&[Step])| done(2 * nth as u64, 2 * nth as u64 + 1, steps);
    all.iter().enumerate().map(done).collect()
}

fn anomaly(history: &[Transaction]) -> Anomaly {
    *check(history).expect_err("this cannot have happened")
}

/// The class of the cycle in a history, and how often it is left by each kind of dependency.
#[track_caller]
fn assert_cycle(history: &[Transaction], class: Class, is_of_time: bool, mut kinds: Vec<Kind>) {
    let Anomaly::Cycle(cycle) = anomaly(history) else { panic!("{}", anomaly(history)) };
    let found = cycle.links.iter().map(|link| link.kind);
    assert_eq!((cycle.class, cycle.is_of_time), (class, is_of_time), "{cycle}");
    for kind in found {
        let at = kinds.iter().position(|&wanted| wanted == kind);
        kinds.swap_remove(at.unwrap_or_else(|| panic!("too many {kind:?} in {cycle}")));
    }
    assert_eq!(kinds, [], "are missing in {cycle}");
}

#[test]
fn what_happens_one_at_a_time_is_accepted() {
    let history = in_turn(&[
        &[read("a", &[]), add("a", 1), length("a", 1), add("b", 1), nothing("q")],
        &[read("a", &[1]), add("a", 2), read("a", &[1, 2]), add("q", 1), add("q", 2)],
        &[read("b", &[1]), read("q", &[1, 2]), take("q", 1), read("q", &[2]), add("done", 1)],
        &[take("q", 2), nothing("q"), read("q", &[]), add("done", 2)],
        &[read("a", &[1, 2]), length("a", 2), read("b", &[1]), read("done", &[1, 2])],
    ]);
    assert_eq!(check(&history), Ok(()));
    assert_eq!(check(&[]), Ok(()));
}

#[test]
fn writes_that_are_mixed_are_g0() {
    let history = at_once(&[
        &[add("a", 1), add("b", 1)],
        &[add("a", 2), add("b", 2)],
        &[read("a", &[1, 2])],
        &[read("b", &[2, 1])],
    ]);
    assert_cycle(&history, Class::G0, false, vec![Kind::Ww, Kind::Ww]);
}

#[test]
fn two_that_see_what_the_other_wrote_are_g1c() {
    let history = at_once(&[&[add("a", 1), read("b", &[1])], &[add("b", 1), read("a", &[1])]]);
    assert_cycle(&history, Class::G1c, false, vec![Kind::Wr, Kind::Wr]);
}

#[test]
fn a_torn_read_is_g_single() {
    let history = at_once(&[&[add("a", 1), add("b", 1)], &[read("a", &[1]), read("b", &[])]]);
    assert_cycle(&history, Class::GSingle, false, vec![Kind::Wr, Kind::Rw]);
    // What is not read is told by a length.
    let history = at_once(&[
        &[add("a", 1), add("b", 1)],
        &[length("a", 1), length("b", 0)],
        &[read("a", &[1]), read("b", &[1])],
    ]);
    assert_cycle(&history, Class::GSingle, false, vec![Kind::Wr, Kind::Rw]);
}

#[test]
fn a_lost_update_is_g_single() {
    let history = at_once(&[
        &[read("a", &[]), add("a", 1)],
        &[read("a", &[]), add("a", 2)],
        &[read("a", &[1, 2])],
    ]);
    assert_cycle(&history, Class::GSingle, false, vec![Kind::Ww, Kind::Rw]);
}

#[test]
fn a_write_skew_is_g2() {
    let history = at_once(&[&[read("a", &[]), add("b", 1)], &[read("b", &[]), add("a", 1)]]);
    assert_cycle(&history, Class::G2, false, vec![Kind::Rw, Kind::Rw]);
}

#[test]
fn a_stale_read_contradicts_the_time_only() {
    let transactions: [&[Step]; 2] = [&[add("a", 1)], &[read("a", &[])]];
    assert_cycle(&in_turn(&transactions), Class::GSingle, true, vec![Kind::Rw, Kind::Time]);
    assert_eq!(check(&at_once(&transactions)), Ok(()));
}

#[test]
fn a_lost_element_contradicts_the_time_only() {
    let history = in_turn(&[&[add("a", 1)], &[add("a", 2)], &[read("a", &[2])]]);
    assert_cycle(&history, Class::G0, true, vec![Kind::Ww, Kind::Time]);
}

#[test]
fn orders_that_contradict_the_time_are_found_over_several_transactions() {
    let history = [
        done(0, 1, &[add("a", 1)]),
        done(2, 3, &[add("b", 1)]),
        done(1, 9, &[read("b", &[1]), read("a", &[])]),
    ];
    assert_cycle(&history, Class::GSingle, true, vec![Kind::Rw, Kind::Time, Kind::Wr]);
}

#[test]
fn a_pipeline_happens_in_its_order() {
    let mut history = at_once(&[&[add("a", 1)], &[read("a", &[])]]);
    history.iter_mut().for_each(|one| (one.client, one.invoked) = (1, 1));
    assert_cycle(&history, Class::GSingle, true, vec![Kind::Rw, Kind::Time]);
    history.reverse();
    assert_eq!(check(&history), Ok(()));
}

#[test]
fn an_element_of_what_did_not_happen_is_g1a() {
    let mut history = at_once(&[&[add("a", 1)], &[read("a", &[])]]);
    history[0].happened = false;
    assert_eq!(check(&history), Ok(()));
    history[1].steps = vec![read("a", &[1])];
    assert!(matches!(anomaly(&history), Anomaly::Aborted { value: 1, .. }));
}

#[test]
fn a_list_in_the_midst_of_a_transaction_is_g1b() {
    let history = at_once(&[&[add("a", 1), add("a", 2)], &[read("a", &[1])]]);
    assert_cycle(&history, Class::GSingle, false, vec![Kind::Wr, Kind::Rw]);
    let history =
        at_once(&[&[add("a", 1), add("a", 2)], &[read("a", &[1])], &[read("a", &[1, 2])]]);
    assert!(matches!(anomaly(&history), Anomaly::Intermediate { .. }));
}

#[test]
fn reads_must_be_beginnings_of_each_other() {
    let history =
        at_once(&[&[add("a", 1)], &[add("a", 2)], &[read("a", &[1])], &[read("a", &[2, 1])]]);
    assert!(matches!(anomaly(&history), Anomaly::IncompatibleOrders { .. }));
}

#[test]
fn elements_of_one_transaction_stand_in_its_order() {
    for steps in [&[][..], &[take("a", 2), take("a", 1)]] {
        let history = at_once(&[&[add("a", 1), add("a", 2)], &[read("a", &[2, 1])], steps]);
        assert!(matches!(anomaly(&history), Anomaly::Turned { .. }));
    }
}

#[test]
fn nobody_sees_what_nobody_added() {
    for step in [read("a", &[7]), take("a", 7)] {
        assert!(matches!(anomaly(&at_once(&[&[step]])), Anomaly::Unwritten { value: 7, .. }));
    }
}

#[test]
fn nothing_is_there_twice() {
    let spoilt: [&[&[Step]]; 3] = [
        &[&[add("a", 1)], &[read("a", &[1, 1])]],
        &[&[add("a", 1)], &[take("a", 1)], &[take("a", 1)]],
        &[&[add("a", 1)], &[add("a", 1)]],
    ];
    for history in spoilt {
        assert!(matches!(anomaly(&at_once(history)), Anomaly::Twice { value: 1, .. }));
    }
}

#[test]
fn a_transaction_sees_what_it_did() {
    let spoilt: [&[Step]; 9] = [
        &[add("a", 1), read("a", &[])],
        &[read("a", &[]), read("a", &[9])],
        &[read("a", &[]), add("a", 1), read("a", &[9, 1])],
        &[read("a", &[9, 1]), add("a", 1)],
        &[add("a", 1), length("a", 0)],
        &[read("a", &[]), add("a", 1), length("a", 2)],
        &[add("a", 1), nothing("a")],
        &[read("a", &[9]), take("a", 9), take("a", 9)],
        &[nothing("a"), add("a", 1), add("a", 2), take("a", 2)],
    ];
    for steps in spoilt {
        let last = steps.len() - 1;
        let mut history = at_once(&[steps, &[add("a", 9)]]);
        assert!(matches!(anomaly(&history), Anomaly::Internal { step, .. } if step == last));
        history[0].happened = false;
        assert_eq!(check(&history), Ok(()));
    }
}

#[test]
fn a_transaction_counts_what_it_has_added_and_nothing_else() {
    let length_of = |before, after| {
        let steps = [length("a", before), add("a", 1), length("a", after), add("a", 2)];
        at_once(&[&steps, &[add("a", 9)], &[read("a", &[9, 1, 2])]])
    };
    assert_eq!(check(&length_of(1, 2)), Ok(()));
    assert!(matches!(anomaly(&length_of(2, 2)), Anomaly::Internal { step: 0, .. }));
    assert!(matches!(anomaly(&length_of(1, 3)), Anomaly::Internal { step: 2, .. }));
    assert!(matches!(anomaly(&length_of(1, 1)), Anomaly::Internal { step: 2, .. }));
}

#[test]
fn a_queue_is_emptied_in_its_order() {
    // What one client added in turn is taken in turn.
    let mut history = vec![
        done(0, 1, &[add("q", 1)]),
        done(2, 3, &[add("q", 2)]),
        done(4, 5, &[take("q", 2)]),
        done(6, 7, &[take("q", 1)]),
    ];
    history[..2].iter_mut().for_each(|one| one.client = 7);
    assert_cycle(&history, Class::G0, true, vec![Kind::Ww, Kind::Time]);
    history[2].returned = 7;
    assert_eq!(check(&history), Ok(()));
    history.pop();
    assert!(matches!(anomaly(&history), Anomaly::Overtaken { left: 1, value: 2, .. }));
}

#[test]
fn what_is_moved_to_a_list_tells_the_order_of_a_queue() {
    let moved = |value| [take("q", value), add("done", value)];
    let history = at_once(&[
        &[add("q", 1), add("a", 1)],
        &[add("q", 2), add("a", 2)],
        &moved(1),
        &moved(2),
        &[read("a", &[2, 1]), read("done", &[1, 2])],
    ]);
    assert_cycle(&history, Class::G0, false, vec![Kind::Ww, Kind::Ww]);
}

#[test]
fn a_torn_transaction_is_seen_in_a_queue() {
    let adds: &[Step] = &[add("q", 1), add("q", 2)];
    let torn = at_once(&[adds, &[read("q", &[1])], &[take("q", 1), take("q", 2)]]);
    assert_cycle(&torn, Class::GSingle, false, vec![Kind::Wr, Kind::Rw]);
    // In the midst of what takes.
    let torn = at_once(&[adds, &[read("q", &[2])], &[take("q", 1), take("q", 2)]]);
    assert_cycle(&torn, Class::GSingle, false, vec![Kind::Wr, Kind::Rw]);
    // Before it was taken, and after.
    let torn =
        at_once(&[adds, &[read("q", &[1, 2]), read("b", &[1])], &[take("q", 1), add("b", 1)]]);
    assert_cycle(&torn, Class::GSingle, false, vec![Kind::Wr, Kind::Rw]);
}

#[test]
fn an_element_that_waits_in_a_queue_is_not_missed() {
    for step in [nothing("q"), read("q", &[])] {
        let history = in_turn(&[&[add("q", 1)], &[step], &[take("q", 1)]]);
        assert!(matches!(anomaly(&history), Anomaly::Missed { value: 1, .. }));
    }
}

#[test]
fn a_cycle_is_told_with_its_transactions() {
    let history = at_once(&[&[add("a", 1), add("b", 1)], &[read("a", &[1]), read("b", &[])]]);
    let told = anomaly(&history).to_string();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "GSingle, each before the next and the last before the first:",
            "  client 1, test, 1 to 99: a=[1] b=[]",
            "    Rw b",
            "  client 0, test, 0 to 99: a+1 b+1",
            "    Wr a",
        ]
    );
}

/// The lists as they are.
type State = BTreeMap<String, VecDeque<u64>>;

/// What a random transaction is made of.
struct World {
    lists: &'static [&'static str],
    queues: &'static [&'static str],
    /// How many elements were added.
    count: u64,
}

const LISTS_ONLY: World = World { lists: &["a", "b", "c"], queues: &[], count: 0 };

const WITH_QUEUES: World = World { lists: &["a", "b"], queues: &["p", "q"], count: 0 };

impl World {
    /// Something that a transaction may want to do; what it sees is filled in later.
    fn step(&mut self, random: &mut Random) -> Step {
        let all: Vec<&str> = self.lists.iter().chain(self.queues).copied().collect();
        let key = random.pick(&all);
        self.count += 1;
        match random.below(6) {
            0..3 => add(key, self.count),
            3 => length(key, 0),
            4 if self.queues.contains(&key) => nothing(key),
            _ => read(key, &[]),
        }
    }

    fn steps(&mut self, random: &mut Random) -> Vec<Step> {
        let count = 1 + random.below(4);
        (0..count).map(|_| self.step(random)).collect()
    }

    /// A history of clients that each do one transaction after the other, all of which take
    /// effect at one moment between their beginning and their end; at last all lists are read.
    fn happened(mut self, random: &mut Random, clients: usize, count: usize) -> Vec<Transaction> {
        let (mut state, mut time) = (State::new(), 0);
        let mut history: Vec<Transaction> = Vec::new();
        // What each client is doing, and whether it has taken effect.
        let mut doing: Vec<Option<(usize, bool)>> = vec![None; clients];
        while history.len() < count || doing.iter().any(Option::is_some) {
            let client = random.below(clients as u64) as usize;
            time += 1;
            doing[client] = match doing[client].take() {
                None if history.len() < count => {
                    let steps = self.steps(random);
                    history.push(Transaction { client, ..done(time, 0, &steps) });
                    Some((history.len() - 1, false))
                }
                None => None,
                Some((at, false)) => {
                    history[at].happened = !random.once_in(10);
                    if history[at].happened {
                        history[at].steps.iter_mut().for_each(|step| apply(&mut state, step));
                    }
                    Some((at, true))
                }
                Some((at, true)) => {
                    history[at].returned = time;
                    None
                }
            };
        }
        let all = self.lists.iter().chain(self.queues);
        let mut last = done(time + 1, time + 2, &all.map(|key| read(key, &[])).collect::<Vec<_>>());
        last.steps.iter_mut().for_each(|step| apply(&mut state, step));
        history.push(last);
        history
    }
}

/// Does a step, and fills in what it sees.
fn apply(state: &mut State, step: &mut Step) {
    let list = state.entry(step.key().to_owned()).or_default();
    match step {
        Step::Append(_, value) => list.push_back(*value),
        Step::Read(_, values) => *values = list.iter().copied().collect(),
        Step::Length(_, length) => *length = list.len(),
        Step::Take(_, value) => *value = list.pop_front(),
    }
}

#[test]
fn what_happened_is_accepted() {
    let mut random = Random::new(3);
    for _ in 0..30 {
        for world in [LISTS_ONLY, WITH_QUEUES] {
            let history = world.happened(&mut random, 6, 300);
            check(&history).unwrap_or_else(|anomaly| panic!("{anomaly}"));
        }
    }
}

/// The longest of what a history's transactions have seen.
fn longest_read<'h>(history: &'h mut [Transaction], keys: &[&str]) -> &'h mut Vec<u64> {
    let happened = history.iter_mut().filter(|one| one.happened);
    let reads = happened.flat_map(|one| &mut one.steps).filter_map(|step| match step {
        Step::Read(key, values) if keys.contains(&&key[..]) => Some(values),
        _ => None,
    });
    reads.max_by_key(|values| values.len()).expect("all is read at last")
}

#[test]
fn elements_that_are_swapped_or_lost_in_one_read_are_found() {
    let mut random = Random::new(4);
    for _ in 0..60 {
        for world in [LISTS_ONLY, WITH_QUEUES] {
            let keys = if random.once_in(2) || world.queues.is_empty() {
                world.lists
            } else {
                world.queues
            };
            let history = world.happened(&mut random, 4, 120);

            let mut swapped = history.clone();
            let values = longest_read(&mut swapped, keys);
            let at = random.below(values.len() as u64 - 1) as usize;
            values.swap(at, at + 1);
            // Somebody else has read it, too.
            swapped.extend(history.last().cloned());
            assert!(check(&swapped).is_err(), "swapped at {at}");

            let mut lost = history.clone();
            let values = longest_read(&mut lost, keys);
            let value = values.remove(random.below(values.len() as u64) as usize);
            assert!(check(&lost).is_err(), "lost {value}");
        }
    }
}

/// Whether some order explains a history, by trying all of them.
fn is_explained_by_force(history: &[Transaction], left: &mut Vec<usize>, state: &State) -> bool {
    let first_end = left.iter().map(|&at| history[at].returned).min();
    let Some(first_end) = first_end else { return true };
    (0..left.len()).any(|nth| {
        let at = left[nth];
        let mut after = state.clone();
        let mut steps = history[at].steps.clone();
        steps.iter_mut().for_each(|step| apply(&mut after, step));
        if history[at].invoked > first_end || steps != history[at].steps {
            return false;
        }
        left.remove(nth);
        let is_explained = is_explained_by_force(history, left, &after);
        left.insert(nth, at);
        is_explained
    })
}

/// Gives what one step has seen to another, or moves a transaction in time.
fn spoil(history: &mut [Transaction], random: &mut Random) {
    let at = random.below(history.len() as u64) as usize;
    if random.once_in(2) {
        let later = 1 + random.below(8);
        history[at].invoked += later;
        history[at].returned += later;
        // Its client may do something else by now.
        history[at].client = history.len();
        return;
    }
    let other = history[random.below(history.len() as u64) as usize].steps.clone();
    for step in &mut history[at].steps {
        let is_like = |other: &&Step| {
            let is_seen = !matches!(step, Step::Append(..));
            is_seen && std::mem::discriminant(step) == std::mem::discriminant(*other)
        };
        if let Some(like) = other.iter().find(is_like).filter(|like| like.key() == step.key()) {
            *step = like.clone();
        }
    }
}

/// How many spoilt histories are refused, out of how many that no order explains.
fn judge_spoilt(world: fn() -> World, random: &mut Random) -> (usize, usize) {
    let (mut refused, mut wrong) = (0, 0);
    for _ in 0..2_000 {
        let mut history = world().happened(random, 3, 6);
        spoil(&mut history, random);
        let mut left: Vec<usize> = (0..history.len()).filter(|&at| history[at].happened).collect();
        let is_explained = is_explained_by_force(&history, &mut left, &State::new());
        let checked = check(&history);
        assert!(checked.is_ok() || !is_explained, "{history:?}: {checked:?}");
        refused += usize::from(checked.is_err());
        wrong += usize::from(!is_explained);
    }
    (refused, wrong)
}

#[test]
fn of_spoilt_lists_exactly_those_are_refused_that_no_order_explains() {
    let (refused, wrong) = judge_spoilt(|| LISTS_ONLY, &mut Random::new(5));
    assert_eq!(refused, wrong);
    assert!((100..1_000).contains(&wrong), "{wrong} were wrong");
}

#[test]
fn of_spoilt_queues_most_are_refused_and_none_that_an_order_explains() {
    let (refused, wrong) = judge_spoilt(|| WITH_QUEUES, &mut Random::new(6));
    assert!((100..1_000).contains(&wrong), "{wrong} were wrong");
    assert!(refused * 10 > wrong * 8, "{refused} of {wrong} were refused");
}

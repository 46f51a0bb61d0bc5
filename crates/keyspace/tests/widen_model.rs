//! A model of how shards are entered, with transactions that find out late that they need more:
//! every order of steps of a few of them is looked at.
//!
//! Three rules are modelled (see `widen` in the crate): who needs a few gates takes them all at
//! once or none; who needs all takes them in order, and waits while he holds some; who runs and
//! needs more waits while he holds what he has. The last two would lock up, were it not that only
//! one at a time may widen, and that those who enter in order give way to it.

use std::collections::HashSet;

/// A set of gates, a bit each.
type Gates = u8;

const ALL: Gates = 0b111;

/// Who enters, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Actor {
    /// Enters these at once; then, having changed something, needs those as well.
    Late { first: Gates, then: Gates },
    /// Enters all in order.
    Wide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// It has changed nothing yet.
    Entering,
    /// It has all that it thought it needs, and has changed something.
    Running,
    /// It waits for more.
    Widening,
    Done,
    /// It was refused, as another one was widening.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// Of each actor: its phase, and what it holds.
    actors: Vec<(Phase, Gates)>,
}

/// Which of the rules hold, so that it can be seen that each is needed.
#[derive(Clone, Copy)]
struct Rules {
    one_widens: bool,
    gives_way: bool,
}

const RULES: Rules = Rules { one_widens: true, gives_way: true };

impl State {
    fn free(&self) -> Gates {
        ALL & !self.actors.iter().fold(0, |held, (_, gates)| held | gates)
    }

    fn is_widened(&self) -> bool {
        self.actors.iter().any(|(phase, _)| *phase == Phase::Widening)
    }

    fn is_over(&self) -> bool {
        self.actors.iter().all(|(phase, _)| matches!(phase, Phase::Done | Phase::Refused))
    }

    fn with(&self, at: usize, phase: Phase, gates: Gates) -> State {
        let mut next = self.clone();
        next.actors[at] = (phase, gates);
        next
    }

    /// What one actor may do now.
    fn steps_of(&self, at: usize, actor: Actor, rules: Rules) -> Vec<State> {
        let (phase, held) = self.actors[at];
        let free = self.free();
        match (phase, actor) {
            (Phase::Done | Phase::Refused, _) => vec![],
            (Phase::Entering, Actor::Late { first, .. }) => {
                let enters = first & !free == 0;
                enters.then(|| self.with(at, Phase::Running, first)).into_iter().collect()
            }
            (Phase::Entering, Actor::Wide) => self.steps_in_order(at, held, free, rules),
            (Phase::Running, Actor::Wide) => vec![self.with(at, Phase::Done, 0)],
            (Phase::Running, Actor::Late { then, .. }) if then & !(free | held) == 0 => {
                vec![self.with(at, Phase::Done, 0)]
            }
            (Phase::Running, Actor::Late { .. }) if rules.one_widens && self.is_widened() => {
                vec![self.with(at, Phase::Refused, 0)]
            }
            (Phase::Running, Actor::Late { .. }) => vec![self.with(at, Phase::Widening, held)],
            (Phase::Widening, Actor::Late { then, .. }) => {
                // It takes what is free of what it needs, in order, and runs when it has all.
                let next = then & !held & free;
                match (then & !held, next) {
                    (0, _) => vec![self.with(at, Phase::Done, 0)],
                    (missing, _) if lowest(missing) & free != 0 => {
                        vec![self.with(at, Phase::Widening, held | lowest(missing))]
                    }
                    _ => vec![],
                }
            }
            (Phase::Widening, Actor::Wide) => unreachable!("it holds everything when it runs"),
        }
    }

    fn steps_in_order(&self, at: usize, held: Gates, free: Gates, rules: Rules) -> Vec<State> {
        if rules.gives_way && self.is_widened() {
            // It holds nothing until that is over.
            return if held == 0 { vec![] } else { vec![self.with(at, Phase::Entering, 0)] };
        }
        let next = lowest(ALL & !held);
        match next {
            0 => vec![self.with(at, Phase::Running, held)],
            next if next & free != 0 => vec![self.with(at, Phase::Entering, held | next)],
            _ => vec![],
        }
    }
}

fn lowest(gates: Gates) -> Gates {
    gates & gates.wrapping_neg()
}

/// Looks at every state that can be reached. Returns one in which nobody can do anything though
/// not all are done, if there is one, and how often somebody was refused.
fn explore(actors: &[Actor], rules: Rules) -> (Option<State>, usize) {
    let start = State { actors: vec![(Phase::Entering, 0); actors.len()] };
    let (mut seen, mut left) = (HashSet::from([start.clone()]), vec![start]);
    let mut refused = 0;
    while let Some(state) = left.pop() {
        let held: u32 = state.actors.iter().map(|(_, gates)| gates.count_ones()).sum();
        assert_eq!(held, (ALL & !state.free()).count_ones(), "two hold one gate: {state:?}");
        let steps = (0..).zip(actors).flat_map(|(at, actor)| state.steps_of(at, *actor, rules));
        let steps: Vec<State> = steps.collect();
        if steps.is_empty() && !state.is_over() {
            return (Some(state), refused);
        }
        refused += usize::from(state.actors.iter().any(|(phase, _)| *phase == Phase::Refused));
        left.extend(steps.into_iter().filter(|next| seen.insert(next.clone())));
    }
    (None, refused)
}

/// All late ones that need one gate first and two in the end, and the wide one.
fn all_actors() -> Vec<Actor> {
    let pairs = [(1, 2), (1, 4), (2, 1), (2, 4), (4, 1), (4, 2), (1, 6), (4, 3)];
    let late = pairs.map(|(first, then)| Actor::Late { first, then: first | then });
    late.into_iter().chain([Actor::Wide]).collect()
}

#[test]
fn nobody_waits_in_a_circle_whatever_the_order() {
    let all = all_actors();
    for a in &all {
        for b in &all {
            for c in &all {
                for d in [Actor::Wide, *a] {
                    let actors = [*a, *b, *c, d];
                    let (stuck, _) = explore(&actors, RULES);
                    assert_eq!(stuck, None, "{actors:?}");
                }
            }
        }
    }
}

#[test]
fn only_two_that_widen_at_once_are_ever_refused() {
    for late in all_actors() {
        let (stuck, refused) = explore(&[late, Actor::Wide, Actor::Wide], RULES);
        assert_eq!((stuck, refused), (None, 0), "{late:?}");
    }
    let first = Actor::Late { first: 1, then: 3 };
    let second = Actor::Late { first: 2, then: 3 };
    assert!(explore(&[first, second], RULES).1 > 0);
}

#[test]
fn without_either_rule_they_do_wait_in_a_circle() {
    let first = Actor::Late { first: 1, then: 3 };
    let second = Actor::Late { first: 2, then: 3 };
    let rules = Rules { one_widens: false, ..RULES };
    assert!(explore(&[first, second], rules).0.is_some());
    let rules = Rules { gives_way: false, ..RULES };
    assert!(explore(&[second, Actor::Wide], rules).0.is_some());
}

//! The search for an order that explains one part of a history.
//!
//! The beginnings and ends of operations form a linked list by time. Any
//! operation whose beginning stands before the first end may come next: it is
//! taken out of the list with its end. Where an end is met first, its operation
//! fits nowhere, and the last one taken is put back.

use super::{CONFIGURATIONS_MAX, EventOf, HashSet, Refusal, Specification, Violation};

/// The place before the first entry.
const HEAD: usize = 0;

/// A beginning or an end.
#[derive(Clone, Copy)]
struct Entry {
    /// Which event.
    event: usize,
    is_end: bool,
    /// The other one of the event, [`HEAD`] if it has no end.
    partner: usize,
    before: usize,
    /// [`HEAD`] after the last one.
    after: usize,
}

/// A list whose entries can be taken out and put back in reverse.
struct Timeline {
    entries: Vec<Entry>,
    ends: usize,
}

impl Timeline {
    fn new<S: Specification>(events: &[&EventOf<S>]) -> Self {
        let mut times: Vec<(u64, usize, bool)> = Vec::new();
        for (at, event) in events.iter().enumerate() {
            times.push((event.invoked, at, false));
            times.extend(event.returned.as_ref().map(|(time, _)| (*time, at, true)));
        }
        // At the same time a beginning comes before an end: they overlap.
        times.sort_by_key(|&(time, _, is_end)| (time, is_end));

        let count = times.len();
        let mut entries = vec![Entry {
            event: 0,
            is_end: false,
            partner: HEAD,
            before: HEAD,
            after: count.min(1),
        }];
        let mut begun = vec![HEAD; events.len()];
        for (index, (_, event, is_end)) in times.into_iter().enumerate() {
            let at = index + 1;
            let partner = if is_end { begun[event] } else { HEAD };
            if is_end {
                entries[partner].partner = at;
            } else {
                begun[event] = at;
            }
            let after = if at == count { HEAD } else { at + 1 };
            entries.push(Entry { event, is_end, partner, before: at - 1, after });
        }
        let ends = entries.iter().filter(|entry| entry.is_end).count();
        Self { entries, ends }
    }

    fn first(&self) -> usize {
        self.entries[HEAD].after
    }

    fn unlink(&mut self, at: usize) {
        let Entry { before, after, .. } = self.entries[at];
        self.entries[before].after = after;
        self.entries[after].before = before;
    }

    fn link(&mut self, at: usize) {
        let Entry { before, after, .. } = self.entries[at];
        self.entries[before].after = at;
        self.entries[after].before = at;
    }

    /// Takes a beginning and its end out.
    fn take(&mut self, at: usize) {
        self.unlink(at);
        let end = self.entries[at].partner;
        if end != HEAD {
            self.unlink(end);
            self.ends -= 1;
        }
    }

    /// Puts back what was taken out last.
    fn put_back(&mut self, at: usize) {
        let end = self.entries[at].partner;
        if end != HEAD {
            self.link(end);
            self.ends += 1;
        }
        self.link(at);
    }
}

/// Which events are done, a bit each.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Done(Vec<u64>);

impl Done {
    fn flip(&mut self, event: usize) {
        self.0[event / 64] ^= 1 << (event % 64);
    }
}

/// Finds an order for `events`, or says where the longest one ends.
pub(super) fn explain<S: Specification>(events: &[&EventOf<S>]) -> Result<(), Refusal<S>> {
    let mut timeline = Timeline::new::<S>(events);
    let mut state = S::State::default();
    let mut done = Done(vec![0; events.len().div_ceil(64)]);
    let mut tried: HashSet<(Done, S::State)> = HashSet::new();
    // What was taken, with the state before it.
    let mut taken: Vec<(usize, S::State)> = Vec::new();
    let mut longest: Vec<usize> = Vec::new();
    let mut stuck_at = 0;

    let mut at = timeline.first();
    while timeline.ends > 0 {
        let entry = timeline.entries[at];
        if entry.is_end {
            if longest.is_empty() || taken.len() > longest.len() {
                longest = taken.iter().map(|(at, _)| timeline.entries[*at].event).collect();
                stuck_at = entry.event;
            }
            let Some((last, before)) = taken.pop() else {
                let event = |at: usize| events[at].clone();
                return Err(Box::new(Violation::NotLinearizable {
                    explained: longest.into_iter().map(event).collect(),
                    stuck_at: event(stuck_at),
                }));
            };
            state = before;
            done.flip(timeline.entries[last].event);
            timeline.put_back(last);
            at = timeline.entries[last].after;
            continue;
        }
        if let Some(next) = step::<S>(&state, events[entry.event]) {
            done.flip(entry.event);
            if tried.insert((done.clone(), next.clone())) {
                if tried.len() > CONFIGURATIONS_MAX {
                    return Err(Box::new(Violation::TooHard));
                }
                taken.push((at, std::mem::replace(&mut state, next)));
                timeline.take(at);
                at = timeline.first();
                continue;
            }
            done.flip(entry.event);
        }
        at = entry.after;
    }
    Ok(())
}

/// The state after an event, if its answer is the right one.
fn step<S: Specification>(state: &S::State, event: &EventOf<S>) -> Option<S::State> {
    let mut next = state.clone();
    let answer = S::apply(&mut next, &event.op);
    let is_right = event.returned.as_ref().is_none_or(|(_, given)| *given == answer);
    is_right.then_some(next)
}

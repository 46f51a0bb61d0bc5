//! How far a comparison is, and how long it will still take.
//!
//! The work is known beforehand: parts, each of so many steps that cost about the
//! same. What a step of a part takes is a guess until the first is done, and then
//! the mean of those that are done; what is left is the sum over all parts.

use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// Steps of one kind.
#[derive(Clone, Debug)]
struct Part {
    name: &'static str,
    left: u32,
    done: u32,
    done_s: f64,
    guess_s: f64,
}

impl Part {
    fn step_s(&self) -> f64 {
        if self.done == 0 { self.guess_s } else { self.done_s / f64::from(self.done) }
    }

    fn left_s(&self) -> f64 {
        f64::from(self.left) * self.step_s()
    }
}

/// All parts, and the step that is under way.
#[derive(Debug, Default)]
struct Plan {
    parts: Vec<Part>,
    current: Option<usize>,
}

impl Plan {
    fn add(&mut self, name: &'static str, steps: usize, guess_s: f64) {
        let left = u32::try_from(steps).unwrap_or(u32::MAX);
        self.parts.push(Part { name, left, done: 0, done_s: 0.0, guess_s });
    }

    fn begin(&mut self, name: &str) {
        self.current = self.parts.iter().position(|part| part.name == name);
    }

    fn end(&mut self, took_s: f64) {
        if let Some(part) = self.current.take().map(|at| &mut self.parts[at]) {
            part.left = part.left.saturating_sub(1);
            part.done += 1;
            part.done_s += took_s;
        }
    }

    /// The steps that are left will not be made.
    fn close(&mut self, name: &str) {
        self.parts.iter_mut().filter(|part| part.name == name).for_each(|part| part.left = 0);
    }

    /// What is left when the current step has gone on for a while.
    fn left_s(&self, passed_s: f64) -> f64 {
        let all: f64 = self.parts.iter().map(Part::left_s).sum();
        let current = self.current.map_or(0.0, |at| self.parts[at].step_s());
        all - passed_s.min(current)
    }
}

/// Shows how far it is: on a terminal in a line that changes, elsewhere in a line
/// for each load.
pub(crate) struct Progress {
    live: bool,
    begin: Instant,
    state: RefCell<State>,
}

struct State {
    plan: Plan,
    text: String,
    step_begin: Instant,
}

impl Progress {
    /// Nothing is planned yet.
    pub(crate) fn new() -> Self {
        let begin = Instant::now();
        let state = State { plan: Plan::default(), text: String::new(), step_begin: begin };
        Self { live: io::stderr().is_terminal(), begin, state: RefCell::new(state) }
    }

    /// Plans so many steps that take about so many seconds each.
    pub(crate) fn plan(&self, part: &'static str, steps: usize, guess_s: f64) {
        self.state.borrow_mut().plan.add(part, steps, guess_s);
    }

    /// Says what comes next.
    pub(crate) fn announce(&self, text: &str) {
        if !self.live {
            let left = self.left();
            eprintln!("{text}; {} passed, about {} left", spoken(self.elapsed()), spoken(left));
        }
    }

    /// A step begins.
    pub(crate) fn begin(&self, part: &str, text: String) {
        {
            let mut state = self.state.borrow_mut();
            state.plan.begin(part);
            state.text = text;
            state.step_begin = Instant::now();
        }
        self.tick();
    }

    /// The step has ended.
    pub(crate) fn end(&self) {
        let mut state = self.state.borrow_mut();
        let took_s = state.step_begin.elapsed().as_secs_f64();
        state.plan.end(took_s);
    }

    /// A part is over, whatever is left of it.
    pub(crate) fn close(&self, part: &str) {
        self.state.borrow_mut().plan.close(part);
    }

    /// Brings the line up to date.
    pub(crate) fn tick(&self) {
        if self.live {
            let left = spoken(self.left());
            let state = self.state.borrow();
            eprint!("\r{}; {} passed, about {left} left\x1b[K", state.text, spoken(self.elapsed()));
        }
    }

    /// Shows a line that stays.
    pub(crate) fn note(&self, text: &str) {
        self.clear();
        eprintln!("  {text}");
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        if self.live {
            eprint!("\r\x1b[K");
        }
    }

    /// Since the comparison began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    fn left(&self) -> Duration {
        let state = self.state.borrow();
        let passed_s = state.step_begin.elapsed().as_secs_f64();
        Duration::try_from_secs_f64(state.plan.left_s(passed_s)).unwrap_or_default()
    }
}

/// A time as one would say it.
pub(crate) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-9
    }

    #[test]
    fn a_guess_holds_until_a_step_is_done_and_then_the_mean() {
        let mut plan = Plan::default();
        plan.add("cells", 4, 1.0);
        plan.add("fills", 2, 10.0);
        assert!(is_near(plan.left_s(0.0), 24.0));
        plan.begin("cells");
        plan.end(3.0);
        assert!(is_near(plan.left_s(0.0), 3.0 * 3.0 + 20.0));
        plan.begin("cells");
        plan.end(1.0);
        assert!(is_near(plan.left_s(0.0), 2.0 * 2.0 + 20.0));
    }

    #[test]
    fn a_step_under_way_counts_down_but_not_below_its_own_time() {
        let mut plan = Plan::default();
        plan.add("cells", 2, 5.0);
        plan.begin("cells");
        assert!(is_near(plan.left_s(2.0), 8.0));
        assert!(is_near(plan.left_s(60.0), 5.0));
    }

    #[test]
    fn a_part_that_is_over_leaves_nothing() {
        let mut plan = Plan::default();
        plan.add("cells", 2, 5.0);
        plan.add("fills", 1, 7.0);
        plan.close("cells");
        assert!(is_near(plan.left_s(0.0), 7.0));
        plan.begin("fills");
        plan.end(7.0);
        plan.end(7.0);
        assert!(is_near(plan.left_s(0.0), 0.0));
    }

    #[test]
    fn times_are_spoken_with_two_units_at_most() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3599, "59 min 59 s"),
            (3725, "1 h 2 min"),
        ] {
            assert_eq!(spoken(Duration::from_secs(seconds)), text);
        }
    }
}

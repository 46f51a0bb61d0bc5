//! When the requests of an open loop are due.
//!
//! Request `i` of the whole load is due `i / rate` seconds after the start,
//! whatever became of the requests before it. Thread `t` of `n` sends the
//! requests `t`, `t + n`, `t + 2n` and so on, so that no thread waits for
//! another and the load is as even as that of one thread.

/// Nanoseconds of a second.
const SECOND_NS: u128 = 1_000_000_000;

/// The part of a schedule that one thread keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Requests a second, of all threads.
    rate: u64,
    thread: u64,
    threads: u64,
    /// When the schedule begins, in nanoseconds of the load's clock.
    start_ns: u64,
}

impl Schedule {
    /// The share of `thread` in a load of `rate` requests a second.
    pub(crate) fn new(rate: u64, thread: u64, threads: u64, start_ns: u64) -> Self {
        Self { rate: rate.max(1), thread, threads: threads.max(1), start_ns }
    }

    /// When this thread's request `index` is due, in nanoseconds; rounded up.
    pub(crate) fn due_ns(&self, index: u64) -> u64 {
        let overall = u128::from(index) * u128::from(self.threads) + u128::from(self.thread);
        let offset = (overall * SECOND_NS).div_ceil(u128::from(self.rate));
        self.start_ns.saturating_add(u64::try_from(offset).unwrap_or(u64::MAX))
    }

    /// How many of this thread's requests are due at `now_ns`.
    pub(crate) fn due_count(&self, now_ns: u64) -> u64 {
        let Some(passed) = now_ns.checked_sub(self.start_ns) else { return 0 };
        let last = u128::from(passed) * u128::from(self.rate) / SECOND_NS;
        let Some(mine) = last.checked_sub(u128::from(self.thread)) else { return 0 };
        u64::try_from(mine / u128::from(self.threads)).unwrap_or(u64::MAX - 1) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_is_due_at_the_start() {
        let schedule = Schedule::new(1000, 0, 1, 500);
        assert_eq!(schedule.due_ns(0), 500);
        assert_eq!(schedule.due_count(499), 0);
        assert_eq!(schedule.due_count(500), 1);
    }

    #[test]
    fn a_count_is_the_number_of_due_moments_passed() {
        for (rate, threads) in [(1, 1), (3, 1), (7, 2), (1000, 3), (1_000_000_007, 4)] {
            for thread in 0..threads {
                let schedule = Schedule::new(rate, thread, threads, 12_345);
                for index in [0, 1, 2, 10, 999, 123_456] {
                    let due = schedule.due_ns(index);
                    assert!(schedule.due_count(due) > index, "{rate} {threads} {thread} {index}");
                    if due > 12_345 {
                        assert!(schedule.due_count(due - 1) <= index);
                    }
                }
            }
        }
    }

    #[test]
    fn a_second_of_a_rate_has_as_many_requests_and_the_next_begins_with_one() {
        let schedule = Schedule::new(5000, 0, 1, 100);
        assert_eq!(schedule.due_count(100 + 1_000_000_000 - 1), 5000);
        assert_eq!(schedule.due_count(100 + 1_000_000_000), 5001);
    }

    #[test]
    fn threads_together_keep_the_rate_without_drift() {
        let shares: Vec<Schedule> = (0..3).map(|t| Schedule::new(999_983, t, 3, 0)).collect();
        for seconds in [1, 60, 86_400] {
            let now = seconds * 1_000_000_000 - 1;
            let sum: u64 = shares.iter().map(|share| share.due_count(now)).sum();
            assert_eq!(sum, 999_983 * seconds);
        }
    }

    #[test]
    fn far_away_moments_do_not_overflow() {
        let schedule = Schedule::new(1, 0, 1000, u64::MAX - 10);
        assert_eq!(schedule.due_ns(u64::MAX), u64::MAX);
        assert_eq!(Schedule::new(u64::MAX, 0, 1, 0).due_count(u64::MAX), u64::MAX);
    }
}

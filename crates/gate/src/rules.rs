//! The rules of entry (see the crate's page), each tested on one thread: tasks
//! are polled by hand, so every order of events is the one that is written.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::{Gate, Read, ReadFuture, Write, WriteFuture};

/// A future with a waker that counts.
struct Task<F> {
    future: F,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<F: Future + Unpin> Task<F> {
    fn new(future: F) -> Self {
        Task { future, wakes: Arc::default() }
    }

    fn poll(&mut self) -> Option<F::Output> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        match Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    /// How often it was woken since this was last asked.
    fn wakes(&self) -> u32 {
        self.wakes.0.swap(0, Ordering::Relaxed)
    }
}

/// A reader that has been refused once and is in the queue.
fn queued_reader<T>(gate: &Gate<T>) -> Task<ReadFuture<'_, T>> {
    let mut task = Task::new(gate.read());
    assert!(task.poll().is_none());
    task
}

/// A writer that has been refused once and is in the queue.
fn queued_writer<T>(gate: &Gate<T>) -> Task<WriteFuture<'_, T>> {
    let mut task = Task::new(gate.write());
    assert!(task.poll().is_none());
    task
}

fn write<T>(gate: &Gate<T>) -> Write<'_, T> {
    gate.try_write().expect("the gate is free")
}

fn read<T>(gate: &Gate<T>) -> Read<'_, T> {
    gate.try_read().expect("no writer is inside")
}

/// Makes the only waiter, who sleeps, a beaten one; `inside` is who is inside.
/// Gives the newcomer that beat it.
fn beat<'g, T>(
    gate: &'g Gate<T>,
    inside: Write<'g, T>,
    poll: impl FnOnce() -> bool,
) -> Write<'g, T> {
    drop(inside);
    let newcomer = write(gate);
    assert!(!poll(), "the waiter is beaten");
    assert!(gate.state().is_reserved());
    newcomer
}

/// Nobody is inside, nobody waits and nothing is marked.
fn assert_idle<T>(gate: &Gate<T>) {
    assert!(gate.state().is_free());
    assert!(gate.try_write().is_some());
}

#[test]
fn gate_guards_and_futures_may_move_to_another_thread() {
    fn moves<T: Send>(_: &T) {}
    fn is_shared<T: Sync>(_: &T) {}
    let gate = Gate::new(0);
    moves(&gate);
    is_shared(&gate);
    moves(&gate.read());
    moves(&gate.write());
    moves(&gate.try_read());
    moves(&gate.try_write());
}

#[test]
fn an_idle_gate_with_a_small_value_takes_two_cache_lines() {
    assert_eq!(size_of::<Gate<[u64; 4]>>(), 128);
    assert_eq!(align_of::<Gate<u8>>(), 128);
}

#[test]
fn readers_share_the_gate() {
    let gate = Gate::new(7);
    let (first, second) = (read(&gate), gate.spin_read());
    assert_eq!(second.map(|second| *second + *first), Some(14));
    assert!(gate.try_write().is_none());
    drop(first);
    assert_idle(&gate);
}

#[test]
fn a_writer_is_alone() {
    let mut gate = Gate::new(1);
    let mut inside = write(&gate);
    *inside += 1;
    assert!(gate.try_read().is_none());
    assert!(gate.try_write().is_none());
    assert!(gate.spin_read().is_none());
    assert!(gate.spin_write().is_none());
    drop(inside);
    assert_idle(&gate);
    assert_eq!(*gate.get_mut(), 2);
}

#[test]
fn a_gate_that_is_never_waited_for_counts_no_waits() {
    let gate = Gate::new(());
    drop(gate.write_blocking());
    drop(gate.read_blocking());
    assert!(Task::new(gate.read()).poll().is_some());
    assert!(Task::new(gate.write()).poll().is_some());
    assert_eq!(gate.waits(), 0);
}

#[test]
fn an_entry_counts_as_one_wait_however_often_it_is_polled() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let mut waiter = queued_reader(&gate);
    assert!(waiter.poll().is_none());
    drop(inside);
    assert!(waiter.poll().is_some());
    assert_eq!(gate.waits(), 1);
}

#[test]
fn leaving_wakes_the_first_writer_only() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let (mut first, second) = (queued_writer(&gate), queued_writer(&gate));
    drop(inside);
    assert_eq!((first.wakes(), second.wakes()), (1, 0));

    let entered = first.poll().expect("it was woken");
    assert_eq!(second.wakes(), 0);
    drop(entered);
    assert_eq!(second.wakes(), 1);
}

#[test]
fn leaving_wakes_all_readers_up_to_the_next_writer() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let mut readers = [queued_reader(&gate), queued_reader(&gate)];
    let (mut writer, late) = (queued_writer(&gate), queued_reader(&gate));
    drop(inside);
    assert_eq!(readers.each_ref().map(Task::wakes), [1, 1]);
    assert_eq!((writer.wakes(), late.wakes()), (0, 0));

    let entered = readers.each_mut().map(|reader| reader.poll().expect("it was woken"));
    assert_eq!(writer.wakes(), 0);
    drop(entered);
    assert_eq!(writer.wakes(), 1);
    assert!(writer.poll().is_some());
    assert_eq!(late.wakes(), 1);
}

#[test]
fn only_the_last_reader_to_leave_wakes_a_writer() {
    let gate = Gate::new(());
    let (first, second) = (read(&gate), read(&gate));
    let writer = queued_writer(&gate);
    drop(first);
    assert_eq!(writer.wakes(), 0);
    drop(second);
    assert_eq!(writer.wakes(), 1);
}

#[test]
fn a_waiter_that_was_not_woken_does_not_enter() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let (mut first, mut second) = (queued_writer(&gate), queued_writer(&gate));
    drop(inside);
    assert!(second.poll().is_none(), "the first goes first");
    assert!(first.poll().is_some());
    assert!(second.poll().is_some());
    assert_idle(&gate);
}

#[test]
fn a_newcomer_may_not_join_readers_while_a_writer_waits() {
    let gate = Gate::new(());
    let inside = read(&gate);
    let mut writer = queued_writer(&gate);
    assert!(gate.try_read().is_none());
    assert!(gate.spin_read().is_none());
    let mut late = queued_reader(&gate);
    drop(inside);
    assert!(late.poll().is_none());
    assert!(writer.poll().is_some());
    assert!(late.poll().is_some());
}

#[test]
fn a_newcomer_may_take_a_free_gate_before_a_woken_waiter() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let mut waiter = queued_writer(&gate);
    drop(inside);
    for _ in 0..3 {
        assert!(gate.try_write().is_some());
        assert!(gate.try_read().is_some());
        assert!(gate.spin_write().is_some());
        assert!(Task::new(gate.read()).poll().is_some());
    }
    assert_eq!(waiter.wakes(), 1, "once is enough");
    assert!(waiter.poll().is_some());
    assert_idle(&gate);
}

#[test]
fn a_woken_reader_joins_a_reader_that_was_faster() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let mut waiter = queued_reader(&gate);
    drop(inside);
    let faster = read(&gate);
    let joined = waiter.poll();
    assert!(joined.is_some());
    drop(faster);
    drop(joined);
    assert_idle(&gate);
}

#[test]
fn a_beaten_waiter_keeps_newcomers_out_until_it_is_in() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let mut waiter = queued_writer(&gate);
    let newcomer = beat(&gate, inside, || waiter.poll().is_some());
    drop(newcomer);
    assert_eq!(waiter.wakes(), 2);

    assert!(gate.try_write().is_none());
    assert!(gate.try_read().is_none());
    assert!(gate.spin_write().is_none());
    assert!(gate.spin_read().is_none());
    let (mut late_reader, mut late_writer) = (queued_reader(&gate), queued_writer(&gate));

    let entered = waiter.poll();
    assert!(entered.is_some());
    assert!(!gate.state().is_reserved());
    drop(entered);
    assert!(late_reader.poll().is_some());
    assert!(late_writer.poll().is_some());
    assert_idle(&gate);
}

#[test]
fn a_waiter_beaten_away_from_the_front_reserves_the_gate_when_it_gets_there() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let (mut first, mut second) = (queued_reader(&gate), queued_reader(&gate));
    drop(inside);
    let newcomer = write(&gate);
    assert!(second.poll().is_none());
    assert!(!gate.state().is_reserved(), "the first was not beaten");
    drop(newcomer);

    let entered = first.poll();
    assert!(entered.is_some());
    assert!(gate.state().is_reserved());
    assert_eq!(second.wakes(), 2, "the first lets it in");
    drop(entered);
    assert!(gate.try_write().is_none());
    assert!(second.poll().is_some());
    assert_idle(&gate);
}

#[test]
fn a_reader_that_enters_wakes_the_readers_that_came_after_it_was_woken() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let mut first = queued_reader(&gate);
    drop(inside);
    let faster = read(&gate);
    let mut second = queued_reader(&gate);
    assert_eq!(second.wakes(), 0);

    let entered = first.poll();
    assert!(entered.is_some());
    assert_eq!(second.wakes(), 1);
    assert!(second.poll().is_some());
    drop(faster);
}

#[test]
fn a_woken_waiter_that_gives_up_passes_the_wake_on() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let (first, mut second) = (queued_writer(&gate), queued_writer(&gate));
    drop(inside);
    drop(first);
    assert_eq!(second.wakes(), 1);
    assert!(second.poll().is_some());
    assert_idle(&gate);
}

#[test]
fn a_waiter_that_gives_up_wakes_nobody_the_gate_is_closed_to() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let (first, mut second) = (queued_writer(&gate), queued_writer(&gate));
    drop(inside);
    let newcomer = write(&gate);
    drop(first);
    assert_eq!(second.wakes(), 0);
    drop(newcomer);
    assert_eq!(second.wakes(), 1);
    assert!(second.poll().is_some());
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_behind_it_join_those_inside() {
    let gate = Gate::new(());
    let inside = read(&gate);
    let writer = queued_writer(&gate);
    let mut late = [queued_reader(&gate), queued_reader(&gate)];
    drop(writer);
    assert_eq!(late.each_ref().map(Task::wakes), [1, 1]);
    let entered = late.each_mut().map(Task::poll);
    assert!(entered.iter().all(Option::is_some));
    drop(inside);
    drop(entered);
    assert_idle(&gate);
}

#[test]
fn the_last_waiter_that_gives_up_opens_the_gate_to_newcomers() {
    let gate = Gate::new(());
    let inside = read(&gate);
    drop(queued_writer(&gate));
    assert!(gate.try_read().is_some());
    drop(inside);
    assert_idle(&gate);
}

#[test]
fn a_beaten_waiter_that_gives_up_ends_the_reservation() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let mut waiter = queued_writer(&gate);
    let newcomer = beat(&gate, inside, || waiter.poll().is_some());
    drop(waiter);
    assert!(!gate.state().is_reserved());
    drop(newcomer);
    assert_idle(&gate);
}

#[test]
fn a_beaten_and_woken_waiter_that_gives_up_passes_the_wake_on() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let mut waiter = queued_writer(&gate);
    let newcomer = beat(&gate, inside, || waiter.poll().is_some());
    let mut second = queued_reader(&gate);
    drop(newcomer);
    drop(waiter);
    assert_eq!(second.wakes(), 1);
    assert!(!gate.state().is_reserved(), "the second was never beaten");
    assert!(second.poll().is_some());
    assert_idle(&gate);
}

#[test]
fn a_reservation_is_passed_on_to_a_beaten_waiter_behind() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let (mut first, mut second) = (queued_reader(&gate), queued_reader(&gate));
    drop(inside);
    let newcomer = write(&gate);
    assert!(first.poll().is_none());
    assert!(second.poll().is_none());
    drop(first);
    assert!(gate.state().is_reserved());
    drop(newcomer);
    assert!(gate.try_read().is_none());
    assert!(second.poll().is_some());
    assert_idle(&gate);
}

#[test]
fn a_future_that_was_never_polled_leaves_no_trace() {
    let gate = Gate::new(());
    let inside = write(&gate);
    drop(gate.read());
    drop(gate.write());
    drop(inside);
    assert_idle(&gate);
    assert_eq!(gate.waits(), 0);
}

#[test]
fn the_last_waker_is_the_one_that_is_called() {
    let gate = Gate::new(());
    let inside = write(&gate);
    let mut waiter = queued_writer(&gate);
    let first = std::mem::take(&mut waiter.wakes);
    assert!(waiter.poll().is_none());
    drop(inside);
    assert_eq!(first.0.load(Ordering::Relaxed), 0);
    assert_eq!(waiter.wakes(), 1);
}

#[test]
fn a_panic_inside_leaves_the_gate() {
    let gate = Gate::new(());
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _inside = write(&gate);
        std::panic::resume_unwind(Box::new("stop"));
    }));
    assert!(outcome.is_err());
    assert_idle(&gate);
}

/// A waker that comes back to the gate when it is called, and when it is dropped.
struct Busybody(Arc<Gate<()>>);

impl Wake for Busybody {
    fn wake(self: Arc<Self>) {
        assert!(self.0.waits() > 0);
        assert!(self.0.try_write().is_some());
    }
}

impl Drop for Busybody {
    fn drop(&mut self) {
        assert!(self.0.waits() > 0);
    }
}

/// Polls with a fresh [`Busybody`], of which the queue keeps the only copy.
fn poll_as_busybody<F: Future + Unpin>(gate: &Arc<Gate<()>>, future: &mut F) -> bool {
    let waker = Waker::from(Arc::new(Busybody(Arc::clone(gate))));
    Pin::new(future).poll(&mut Context::from_waker(&waker)).is_ready()
}

#[test]
fn wakers_are_called_and_dropped_outside_of_the_lock() {
    let gate = Arc::new(Gate::new(()));
    let inside = write(&gate);
    let (mut first, mut second) = (gate.write(), gate.write());
    assert!(!poll_as_busybody(&gate, &mut first));
    assert!(!poll_as_busybody(&gate, &mut second));
    assert!(!poll_as_busybody(&gate, &mut second), "drops the waker of the poll before");
    drop(second);
    drop(inside);
    assert!(poll_as_busybody(&gate, &mut first));
}

/// Three readers keep coming in, one entering before the other leaves wherever
/// the gate lets them; the writer's worker looks after it only now and then.
#[test]
fn a_writer_among_barging_readers_waits_for_a_bounded_number_of_entries() {
    for rounds_between_polls in 1..20 {
        let gate = Gate::new(());
        let mut inside = [gate.try_read(), gate.try_read(), gate.try_read()];
        let mut writer = queued_writer(&gate);
        let mut entries = 0;
        for round in 1.. {
            let reader = &mut inside[round % 3];
            *reader = None;
            *reader = gate.try_read();
            entries += usize::from(reader.is_some());
            if round % rounds_between_polls == 0 && writer.poll().is_some() {
                break;
            }
            assert!(entries <= rounds_between_polls + 3, "the writer starves");
        }
    }
}

/// A newcomer is there whenever the gate becomes free, before the waiter is.
#[test]
fn every_waiter_is_beaten_at_most_once() {
    let gate = Gate::new(());
    let mut newcomer = gate.try_write();
    let waiters = [(); 4].map(|()| queued_writer(&gate));
    for mut waiter in waiters {
        drop(newcomer.take());
        newcomer = gate.try_write();
        assert!(newcomer.is_some(), "the waiter was not beaten yet");
        assert!(waiter.poll().is_none());

        drop(newcomer.take());
        newcomer = gate.try_write();
        assert!(newcomer.is_none(), "the waiter was beaten once");
        assert!(waiter.poll().is_some());
    }
    assert_idle(&gate);
}

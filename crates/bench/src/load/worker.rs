//! One thread of the load: its connections, and one `epoll` that watches them.
//!
//! A connection carries one batch at a time. When the last reply of a batch has
//! come, the connection sends the next one in the same turn, or waits among the
//! idle ones until a request is due. The thread prepares a batch in one buffer
//! for all its connections, so a request costs the numbers that change in it,
//! and a system call each to write and to read.
//!
//! A timetable needs a timer of its own: `epoll` waits in whole milliseconds, and
//! up to one of them would be added to the latency of a request that is sent late.
//!
//! # Invariants
//!
//! 1. A connection is idle, or has requests in flight, never both.
//! 2. The thread sends its share of the requests and not one more.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_setaffinity, set_current_timer_slack};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::{Amount, Clock, Done, LATENCY_NS_MAX, Load, LoadError, Pace, Place, Tally};
use crate::connection::{Broken, Connection};
use crate::keys::{KeyChoice, Keys};
use crate::schedule::Schedule;
use crate::stop::Stop;
use crate::wire::Batch;

/// How many events one wait may give.
const EVENTS: usize = 256;

/// How much one read takes, in bytes.
const READ_BYTES: usize = 1 << 16;

/// The longest wait without a look at the clock and the stop flag.
const TURN_NS: u64 = 100_000_000;

/// How long after the beginning the first request of an open loop is due, so
/// that every thread is there.
const LEAD_NS: u64 = 5_000_000;

/// How long replies may take to come in once the time is up.
const DRAIN_NS: u64 = 5_000_000_000;

/// How long after the end what was due before it may still be sent, in an open
/// loop: a thread does not wake in the very moment.
const GRACE_NS: u64 = 20_000_000;

/// What the poll calls the timer; no connection has this number.
const TIMER: u64 = u64::MAX;

/// How often an error is shown, at most.
const SHOW_EVERY_NS: u64 = 1_000_000_000;

/// The state of one thread.
pub(super) struct Worker<'a> {
    load: &'a Load,
    place: Place,
    clock: Clock,
    done: &'a Done,
    poll: OwnedFd,
    connections: Vec<Connection>,
    idle: VecDeque<usize>,
    batch: Batch,
    keys: Option<Keys>,
    greeting: Vec<Vec<u8>>,
    schedule: Option<Schedule>,
    timer: Option<Timer>,
    /// Whether the warm-up is over.
    measuring: bool,
    /// Requests sent in this phase.
    issued: u64,
    /// Most requests that this phase sends.
    issued_max: u64,
    /// When sending ends.
    end_ns: u64,
    /// When the last reply came.
    replied_ns: u64,
    /// When an error was last shown.
    shown_ns: Option<u64>,
    tally: Tally,
}

impl<'a> Worker<'a> {
    /// A thread's state, before the thread is there.
    pub(super) fn new(
        load: &'a Load,
        place: Place,
        connections: Vec<Connection>,
        clock: Clock,
        done: &'a Done,
    ) -> Result<Self, LoadError> {
        let batch = Batch::new(&load.template, load.depth).ok_or(LoadError::TooLarge)?;
        let numbered = load.template.has_places() && load.keys != KeyChoice::Literal;
        let poll = epoll::create(CreateFlags::CLOEXEC).map_err(io)?;
        for (at, connection) in connections.iter().enumerate() {
            watch(&poll, connection, at)?;
        }
        let timer = match load.pace {
            Pace::Open { .. } => Some(Timer::new(&poll)?),
            Pace::Closed => None,
        };
        Ok(Self {
            load,
            place,
            clock,
            done,
            poll,
            idle: (0..connections.len()).collect(),
            connections,
            batch,
            keys: numbered.then(|| load.keys.keys(load.seed, place.thread, place.threads)),
            greeting: load.session.requests(),
            schedule: None,
            timer,
            measuring: false,
            issued: 0,
            issued_max: u64::MAX,
            end_ns: u64::MAX,
            replied_ns: 0,
            shown_ns: None,
            tally: Tally::new(),
        })
    }

    /// Sends until all is sent, the time is up or somebody wants to stop.
    /// `stops` are the user's wish and the failure of another thread.
    pub(super) fn run(mut self, stops: &[Stop; 2]) -> Result<Tally, LoadError> {
        let result = self.settle().and_then(|()| self.turns(stops));
        if result.is_err() {
            stops[1].raise();
        }
        result.map(|()| self.tally)
    }

    /// Makes the thread ready: its cores, its timers, its schedule.
    fn settle(&mut self) -> Result<(), LoadError> {
        if !self.load.cores.is_empty() {
            let mut set = CpuSet::new();
            self.load.cores.iter().for_each(|&core| set.set(core));
            sched_setaffinity(None, &set).map_err(io)?;
        }
        set_current_timer_slack(NonZeroU64::new(1)).map_err(io)?;
        self.replied_ns = self.clock.now_ns();
        let begin_ns = match self.load.pace {
            Pace::Closed => self.replied_ns,
            Pace::Open { .. } => LEAD_NS,
        };
        if self.load.warmup.is_zero() {
            self.begin_measuring(begin_ns);
        } else {
            self.schedule = self.schedule_from(begin_ns);
        }
        Ok(())
    }

    fn turns(&mut self, stops: &[Stop; 2]) -> Result<(), LoadError> {
        let mut events = Vec::with_capacity(EVENTS);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let now = self.clock.now_ns();
            self.check_phase(now);
            self.dispatch(now)?;
            if self.is_over(now) || stops.iter().any(Stop::is_raised) {
                break;
            }
            self.check_patience(now)?;
            self.wait(now, &mut events)?;
            for event in events.drain(..) {
                self.serve(event, &mut buffer)?;
            }
        }
        self.tally.unsent = self.overdue(self.clock.now_ns());
        Ok(())
    }

    /// Ends the warm-up when it is time.
    fn check_phase(&mut self, now: u64) {
        if !self.measuring && now >= self.load.warmup.as_nanos() as u64 {
            self.begin_measuring(now);
        }
    }

    fn begin_measuring(&mut self, begin_ns: u64) {
        self.measuring = true;
        self.issued = 0;
        self.schedule = self.schedule_from(begin_ns);
        self.tally.begin_ns = begin_ns;
        let time = match self.load.amount {
            Amount::Requests { count, within } => {
                self.issued_max = self.place.share(count);
                within
            }
            Amount::Time(time) => Some(time),
        };
        if let Some(time) = time {
            self.end_ns = begin_ns.saturating_add(time.as_nanos() as u64);
        }
    }

    fn schedule_from(&self, begin_ns: u64) -> Option<Schedule> {
        let Pace::Open { rate } = self.load.pace else { return None };
        Some(Schedule::new(rate, self.place.thread, self.place.threads, begin_ns))
    }

    /// Requests of an open loop that are due and not sent; one that is due when
    /// the time is up is not.
    fn overdue(&self, now: u64) -> u64 {
        let Some(schedule) = &self.schedule else { return 0 };
        let last_ns = now.min(self.end_ns.saturating_sub(1));
        let due = schedule.due_count(last_ns).min(self.issued_max);
        due.saturating_sub(self.issued)
    }

    /// Gives idle connections something to do.
    fn dispatch(&mut self, now: u64) -> Result<(), LoadError> {
        while let Some(&at) = self.idle.front() {
            if !self.send_next(at, now)? {
                break;
            }
            self.idle.pop_front();
        }
        Ok(())
    }

    /// Sends the next batch on a connection; false if there is nothing to send.
    fn send_next(&mut self, at: usize, now: u64) -> Result<bool, LoadError> {
        let count = self.count_to_send(now);
        if count == 0 {
            return Ok(false);
        }
        let bytes = match &mut self.keys {
            Some(keys) => self.batch.refresh(count as usize, keys),
            None => self.batch.as_is(count as usize),
        };
        let connection = &mut self.connections[at];
        connection.first = self.issued;
        connection.measured = self.measuring;
        connection.sent_ns = self.clock.now_ns();
        connection.send(bytes, count).map_err(LoadError::Io)?;
        self.issued += count;
        self.check_room(at)?;
        Ok(true)
    }

    fn count_to_send(&self, now: u64) -> u64 {
        let depth = self.load.depth as u64;
        match &self.schedule {
            _ if now >= self.sending_end_ns() => 0,
            Some(_) => self.overdue(now).min(depth),
            None => (self.issued_max - self.issued).min(depth),
        }
    }

    /// From when on nothing is sent any more.
    fn sending_end_ns(&self) -> u64 {
        let grace_ns = if self.schedule.is_some() { GRACE_NS } else { 0 };
        self.end_ns.saturating_add(grace_ns)
    }

    /// Whether nothing is left to send or to wait for.
    fn is_over(&self, now: u64) -> bool {
        let all_idle = self.idle.len() == self.connections.len();
        let is_late = now >= self.end_ns && self.count_to_send(now) == 0;
        let all_sent = is_late || self.issued >= self.issued_max;
        (all_idle && all_sent) || now >= self.end_ns.saturating_add(DRAIN_NS)
    }

    fn check_patience(&self, now: u64) -> Result<(), LoadError> {
        let Some(patience) = self.load.patience else { return Ok(()) };
        let waits = self.idle.len() < self.connections.len();
        let waited_ns = now.saturating_sub(self.replied_ns);
        if waits && waited_ns > patience.as_nanos() as u64 {
            return Err(LoadError::Stalled);
        }
        Ok(())
    }

    /// Waits for events, for the next request that is due, or for a turn.
    fn wait(&mut self, now: u64, events: &mut Vec<Event>) -> Result<(), LoadError> {
        let mut wait_ns = TURN_NS.min(self.end_ns.saturating_sub(now).max(1));
        if let (Some(schedule), Some(timer), false) =
            (&self.schedule, &mut self.timer, self.idle.is_empty())
        {
            let due_ns = schedule.due_ns(self.issued);
            match due_ns.checked_sub(now) {
                None | Some(0) => wait_ns = 0,
                Some(left_ns) if left_ns < wait_ns => timer.set(due_ns, left_ns)?,
                Some(_) => {}
            }
        }
        let timeout = timespec(wait_ns);
        match epoll::wait(&self.poll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(io(e)),
        }
    }

    fn serve(&mut self, event: Event, buffer: &mut [u8]) -> Result<(), LoadError> {
        if event.data.u64() == TIMER {
            return Ok(());
        }
        let (at, flags) = (event.data.u64() as usize, event.flags);
        if flags.contains(EventFlags::OUT) {
            self.connections[at].flush().map_err(LoadError::Io)?;
            self.check_room(at)?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.receive(at, buffer)?;
        }
        Ok(())
    }

    fn receive(&mut self, at: usize, buffer: &mut [u8]) -> Result<(), LoadError> {
        let connection = &mut self.connections[at];
        let scanned = match connection.receive(buffer) {
            Ok(scanned) => scanned,
            Err(Broken::Closed) => return Err(LoadError::Closed(self.tally.first_error.take())),
            Err(broken) => return Err(broken.into()),
        };
        let now = self.clock.now_ns();
        if scanned.errors > 0 {
            self.note_errors(at, scanned.errors, now);
        }
        if scanned.replies == 0 {
            return Ok(());
        }
        self.record(at, scanned.replies, now);
        if self.connections[at].in_flight() == 0 { self.next_batch(at, now) } else { Ok(()) }
    }

    /// Counts replies that came together, and records their latencies.
    fn record(&mut self, at: usize, replies: u64, now: u64) {
        let connection = &mut self.connections[at];
        self.replied_ns = now;
        let first = connection.first;
        connection.first += replies;
        let mut sum_ns = 0;
        let mut record = |since_ns: u64, count: u64| {
            let latency_ns = now.saturating_sub(since_ns).min(LATENCY_NS_MAX);
            sum_ns += latency_ns * count;
            if connection.measured {
                self.tally.latency.saturating_record_n(latency_ns, count);
            }
        };
        match &self.schedule {
            Some(schedule) => (first..first + replies).for_each(|i| record(schedule.due_ns(i), 1)),
            None => record(connection.sent_ns, replies),
        }
        if connection.measured {
            self.tally.requests += replies;
            self.tally.end_ns = now;
        }
        add(&self.done.replies, replies);
        add(&self.done.latency_ns, sum_ns);
    }

    #[cold]
    fn note_errors(&mut self, at: usize, errors: u64, now: u64) {
        let connection = &mut self.connections[at];
        if connection.measured {
            self.tally.errors += errors;
        }
        let Some(text) = connection.take_error() else { return };
        let text = String::from_utf8_lossy(&text).into_owned();
        let is_due = self.shown_ns.is_none_or(|shown| now - shown >= SHOW_EVERY_NS);
        if self.load.show_errors && is_due {
            self.shown_ns = Some(now);
            eprintln!("Error from server: {text}");
        }
        self.tally.first_error.get_or_insert(text);
    }

    /// The batch is answered: the connection goes on, is renewed or rests.
    fn next_batch(&mut self, at: usize, now: u64) -> Result<(), LoadError> {
        if !self.load.keep_alive && self.issued < self.issued_max {
            self.renew(at)?;
        }
        if !self.send_next(at, now)? {
            self.idle.push_back(at);
        }
        Ok(())
    }

    /// Replaces a connection by a new one.
    fn renew(&mut self, at: usize) -> Result<(), LoadError> {
        let target = &self.load.target;
        let socket = target.begin_connect().map_err(|e| LoadError::Connect(target.clone(), e))?;
        self.connections[at] = Connection::connecting(socket, &self.greeting);
        watch(&self.poll, &self.connections[at], at)?;
        self.check_room(at)
    }

    /// Waits for room to write as long as something is left to write.
    fn check_room(&mut self, at: usize) -> Result<(), LoadError> {
        let connection = &mut self.connections[at];
        let wants_room = connection.has_unwritten();
        if wants_room != connection.wants_room {
            connection.wants_room = wants_room;
            let room = if wants_room { EventFlags::OUT } else { EventFlags::empty() };
            let data = EventData::new_u64(at as u64);
            epoll::modify(&self.poll, &*connection, data, EventFlags::IN | room).map_err(io)?;
        }
        Ok(())
    }
}

/// Wakes the poll at a moment that is exact to some microseconds.
struct Timer {
    descriptor: OwnedFd,
    /// The moment for which it was last set.
    due_ns: u64,
}

impl Timer {
    /// A timer that is not set. The poll reports each of its ends once, so that
    /// nothing has to be read from it.
    fn new(poll: &OwnedFd) -> Result<Self, LoadError> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(io)?;
        let events = EventFlags::IN | EventFlags::ET;
        epoll::add(poll, &descriptor, EventData::new_u64(TIMER), events).map_err(io)?;
        Ok(Self { descriptor, due_ns: 0 })
    }

    /// Sets it to end at `due_ns`, which is `left_ns` from now.
    fn set(&mut self, due_ns: u64, left_ns: u64) -> Result<(), LoadError> {
        if self.due_ns == due_ns {
            return Ok(());
        }
        self.due_ns = due_ns;
        let once = Itimerspec { it_interval: timespec(0), it_value: timespec(left_ns) };
        timerfd_settime(&self.descriptor, TimerfdTimerFlags::empty(), &once).map_err(io)?;
        Ok(())
    }
}

fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}

/// Lets the poll watch a connection; it forgets it when the connection is dropped.
fn watch(poll: &OwnedFd, connection: &Connection, at: usize) -> Result<(), LoadError> {
    epoll::add(poll, connection, EventData::new_u64(at as u64), EventFlags::IN).map_err(io)
}

/// Adds to a counter that this thread alone writes.
fn add(counter: &std::sync::atomic::AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
}

fn io(errno: Errno) -> LoadError {
    LoadError::Io(errno.into())
}

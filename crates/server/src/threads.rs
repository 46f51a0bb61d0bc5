//! Starting threads: all have a name, and one place that says how they run.

use std::thread::{Builder, JoinHandle};

/// Starts a named thread, nicer than the others if a niceness is given.
///
/// # Panics
/// If the system gives no more threads.
pub fn start(
    name: &str,
    niceness: Option<i32>,
    work: impl FnOnce() + Send + 'static,
) -> JoinHandle<()> {
    let run = move || {
        if let Some(niceness) = niceness {
            be_nice(niceness);
        }
        work();
    };
    Builder::new().name(name.to_owned()).spawn(run).expect("the system has room for the thread")
}

/// Makes the calling thread nicer. On Linux niceness belongs to threads, and 0 is the caller.
fn be_nice(niceness: i32) {
    let _ = rustix::process::setpriority_process(None, niceness);
}

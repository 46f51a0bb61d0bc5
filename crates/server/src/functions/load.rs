//! Loading a library: its source runs once, by itself, in a Lua that knows nothing else.

use std::sync::Arc;

use protocol::{Reply, Words};
use script::{
    Call, Called, Engine, Failure, Host, LOAD_TIMEOUT, LibrarySource, LogLevel, NOT_ALLOWED,
    Verdict,
};

use super::Library;
use crate::clock::Clock;
use crate::log;

/// How long a library may take to load, in ns.
const LOAD_NANOS_MAX: u64 = 500_000_000;

/// How much memory Lua may have for it, in bytes.
const MEMORY_BYTES_MAX: usize = 64 << 20;

/// Loads libraries, one after the other.
pub(super) struct Loader {
    engine: Engine,
}

impl Loader {
    pub(super) fn new() -> Result<Loader, Failure> {
        Engine::new(MEMORY_BYTES_MAX).map(|engine| Loader { engine })
    }

    /// Loads a library and forgets it.
    pub(super) fn load(
        &mut self,
        source: LibrarySource,
        clock: &Clock,
    ) -> Result<Arc<Library>, Failure> {
        let until_nanos = clock.nanos().saturating_add(LOAD_NANOS_MAX);
        let functions = self.engine.load(&source, &mut Loading { clock, until_nanos })?;
        self.engine.unload(source.name());
        let functions = functions.into_iter().map(Arc::new).collect();
        Ok(Arc::new(Library { source: Arc::new(source), functions }))
    }
}

/// What a library finds around it while it is loaded: a log, and not much time.
struct Loading<'a> {
    clock: &'a Clock,
    until_nanos: u64,
}

impl Host for Loading<'_> {
    /// The engine shows no way here before functions run.
    fn call(&mut self, _: Words<'_>, _: Call, reply: &mut Reply<'_>) -> Called {
        reply.error(NOT_ALLOWED);
        Called::Answered
    }

    fn may_call(&mut self, _: Words<'_>) -> Option<bool> {
        None
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        log::of_script(level, message);
    }

    fn look(&mut self) -> Verdict {
        match self.clock.nanos() >= self.until_nanos {
            true => Verdict::Stop(LOAD_TIMEOUT),
            false => Verdict::GoOn,
        }
    }
}

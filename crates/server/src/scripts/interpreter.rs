//! A Lua with what it needs to run commands.
//!
//! An executor has one at hand for its scripts, and there are more for as many scripts as run
//! beside the workers at once. A script that leaves its worker takes its interpreter with it.

use std::collections::HashMap;
use std::sync::Arc;

use command::CommandError;
use script::{ById, Engine, Failure, Function, LibrarySource, ScriptId};

use super::registry::{Conduct, Known};
use crate::acl::User;
use crate::executor::Executor;
use crate::server::Server;
use crate::stats::Histogram;

/// How much memory a Lua may have, in bytes.
const MEMORY_MAX_BYTES: usize = 1 << 30;

/// The most scripts, or functions, that an interpreter remembers before it begins anew.
const REMEMBERED_MAX: usize = 1_000;

/// A script as an interpreter remembers it, so that running it writes no memory that others read.
pub struct Remembered {
    /// What all know of it.
    pub known: Arc<Known>,
    /// How long its runs took here.
    pub latency: Arc<Histogram>,
}

/// A function as an interpreter remembers it.
pub struct RememberedFunction {
    /// Its library.
    pub library: Arc<LibrarySource>,
    /// The function.
    pub function: Arc<Function>,
    /// Whether it keeps to its keys.
    pub conduct: Arc<Conduct>,
}

/// See the module's page.
pub struct Interpreter {
    /// Lua.
    pub engine: Box<Engine>,
    /// With what its scripts run commands.
    pub kit: Box<Kit>,
    /// What it knows of scripts.
    pub memory: Box<Memory>,
}

/// What scripts run commands with, from one to the next. It outlives its Lua: another may take
/// the place of that, and goes on with its number and its counters.
pub struct Kit {
    /// What tells its interpreter from the others.
    pub number: usize,
    /// As who they do.
    pub executor: Executor,
    /// The user of the last script: mostly that of the next, who is then not counted again in a
    /// line of memory that all workers write.
    pub user: Option<Arc<User>>,
}

/// What an interpreter remembers, so that it asks nobody.
pub struct Memory {
    /// How often all Luas had been given up when it began.
    born: u64,
    scripts: ById<Arc<Remembered>>,
    functions: HashMap<Box<[u8]>, Arc<RememberedFunction>>,
    libraries_seen: u64,
}

/// A Lua that is given up, and what was remembered of it: only to be dropped.
pub struct Remains {
    _engine: Box<Engine>,
    _memory: Box<Memory>,
}

impl Kit {
    /// What a new interpreter of this number runs commands with.
    #[must_use]
    pub fn new(server: &Arc<Server>, number: usize, seed: u64) -> Kit {
        let executor = Executor::new(Arc::clone(server), server.more_stats(), seed);
        Kit { number, executor, user: None }
    }
}

impl Interpreter {
    /// One that remembers nothing, and begins after all Luas have been given up so many times.
    #[must_use]
    pub fn new(engine: Box<Engine>, kit: Box<Kit>, born: u64) -> Interpreter {
        let memory =
            Memory { born, scripts: ById::default(), functions: HashMap::new(), libraries_seen: 0 };
        Interpreter { engine, kit, memory: Box::new(memory) }
    }

    /// A new Lua for one.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new_engine() -> Result<Box<Engine>, Failure> {
        Engine::new(MEMORY_MAX_BYTES).map(Box::new)
    }

    /// Whether all Luas have been given up since it began; so many times were they until now.
    #[must_use]
    pub fn is_outlived(&self, times: u64) -> bool {
        self.memory.born != times
    }

    /// Gives its Lua up; what it leaves may take long to drop.
    #[must_use]
    pub fn give_up(self) -> (Box<Kit>, Remains) {
        let Interpreter { engine, mut kit, memory } = self;
        kit.user = None;
        kit.executor.stats().lua_bytes.set(0);
        (kit, Remains { _engine: engine, _memory: memory })
    }

    /// Tells others how much memory its Lua takes now.
    #[inline]
    pub fn tell_memory(&self) {
        self.kit.executor.stats().lua_bytes.set(self.engine.memory_bytes() as u64);
    }

    /// The script of this name, if it is known.
    pub fn find(&mut self, id: ScriptId) -> Option<Arc<Remembered>> {
        if let Some(known) = self.memory.scripts.get(&id).filter(|one| !one.known.is_gone()) {
            return Some(Arc::clone(known));
        }
        let known = self.kit.executor.server.scripts.registry.find(id);
        known.map(|known| self.remember(known))
    }

    /// Remembers a script that is known.
    pub fn remember(&mut self, known: Arc<Known>) -> Arc<Remembered> {
        if self.memory.scripts.len() >= REMEMBERED_MAX {
            self.memory.scripts.clear();
        }
        let latency = known.latency_of(self.kit.number);
        let (id, remembered) = (known.script.id(), Arc::new(Remembered { known, latency }));
        self.memory.scripts.insert(id, Arc::clone(&remembered));
        remembered
    }

    /// The function of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn find_function(&mut self, name: &[u8]) -> Result<Arc<RememberedFunction>, CommandError> {
        self.forget_libraries();
        if let Some(found) = self.memory.functions.get(name) {
            return Ok(Arc::clone(found));
        }
        let server = &self.kit.executor.server;
        let found = server.functions.find(name);
        let (library, function) =
            found.ok_or_else(|| CommandError::text("ERR Function not found"))?;
        let conduct = server.scripts.conduct_of(&library, name);
        let found = Arc::new(RememberedFunction { library, function, conduct });
        if self.memory.functions.len() >= REMEMBERED_MAX {
            self.memory.functions.clear();
        }
        self.memory.functions.insert(name.into(), Arc::clone(&found));
        Ok(found)
    }

    /// Forgets the libraries that are gone or others now; what the rest keeps in its locals stays.
    fn forget_libraries(&mut self) {
        let known = &self.kit.executor.server.functions;
        let version = known.version();
        if std::mem::replace(&mut self.memory.libraries_seen, version) == version {
            return;
        }
        let engine = &mut self.engine;
        self.memory.functions.retain(|name, old| {
            let library = known.find(name).map(|(library, _)| library.id());
            let is_same = library == Some(old.library.id());
            if !is_same {
                engine.unload(old.library.name());
            }
            is_same
        });
    }
}

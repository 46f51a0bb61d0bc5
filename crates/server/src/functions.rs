//! Libraries of functions: FUNCTION loads, shows, deletes, dumps and restores them; FCALL finds a
//! function here.
//!
//! What there is at one moment is a [`Catalog`], which never changes: another takes its place. So
//! whoever calls many functions can keep one for as long as [`Functions::version`] stays, and
//! takes no lock.
//!
//! A library is loaded by a Lua of its own, which says what the library registers and is thrown
//! away; those who call functions load it again, each into theirs, when they first need it.
//!
//! # Invariants
//!
//! 1. Every library of a catalog has been loaded once without an error.
//! 2. No two libraries have the same name, and no two have functions whose names differ only in
//!    case.
//! 3. A change is made wholly or not at all.

mod catalog;
mod load;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use command::CommandError;
use rdb::{LIBRARIES_VERSION, Libraries, Limits, RdbError, encode_library};
use script::{Failure, Function, LibrarySource};

use self::catalog::Conflict;
pub use self::catalog::{Catalog, Library};
use self::load::Loader;
use crate::clock::Clock;

/// The most that the sources in a payload may come to, in bytes, beside what stands in it as it
/// is.
const UNPACKED_BYTES_MAX: usize = 512 << 20;

/// What RESTORE does with what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It stays, and nothing is restored if a library of the same name is among it.
    #[default]
    Append,
    /// It goes.
    Flush,
    /// It stays, but for libraries that are restored.
    Replace,
}

/// See the module's page.
#[derive(Default)]
pub struct Functions {
    catalog: Mutex<Arc<Catalog>>,
    version: AtomicU64,
}

impl Functions {
    /// The library and the function of this name, whatever its case.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<(Arc<LibrarySource>, Arc<Function>)> {
        self.catalog().find(name).cloned()
    }

    /// What there is now.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.lock())
    }

    /// Counts the changes. Whoever asks for this first and then for the catalog has one that is
    /// no older.
    #[must_use]
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Loads a library, in the place of the one of its name if that is allowed; returns its name.
    ///
    /// # Errors
    /// Why its source is refused, or what else has its name or that of one of its functions.
    pub fn load(
        &self,
        source: &[u8],
        replace: bool,
        clock: &Clock,
    ) -> Result<String, CommandError> {
        let source = LibrarySource::new(source).map_err(refused)?;
        let name = source.name().to_owned();
        if !replace && self.catalog().has(&name) {
            return Err(taken(&Conflict::Library(name)));
        }
        let library = Loader::new().and_then(|mut loader| loader.load(source, clock));
        let library = library.map_err(refused)?;
        self.change(|catalog| {
            if replace {
                catalog.remove(&name);
            }
            // Somebody may have loaded the same meanwhile.
            catalog.add(library).map_err(|conflict| taken(&conflict))
        })?;
        Ok(name)
    }

    /// Deletes a library; whether there was one.
    #[must_use]
    pub fn delete(&self, name: &[u8]) -> bool {
        let name = std::str::from_utf8(name).unwrap_or_default();
        self.change(|catalog| catalog.remove(name).then_some(()).ok_or(())).is_ok()
    }

    /// Deletes all libraries.
    pub fn flush(&self) {
        let _: Result<(), ()> = self.change(|catalog| {
            *catalog = Catalog::default();
            Ok(())
        });
    }

    /// All libraries as a payload for [`Functions::restore`].
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        let mut dump = Vec::new();
        for library in self.catalog().libraries() {
            encode_library(library.source.source(), true, &mut dump);
        }
        rdb::seal(&mut dump, LIBRARIES_VERSION);
        dump
    }

    /// Loads the libraries of a payload.
    ///
    /// # Errors
    /// What is wrong with it, or with a library in it, or what is in its way.
    pub fn restore(
        &self,
        payload: &[u8],
        policy: Policy,
        clock: &Clock,
    ) -> Result<(), CommandError> {
        let restored = read(payload, clock)?;
        self.change(|catalog| {
            if policy == Policy::Flush {
                *catalog = restored;
                return Ok(());
            }
            for library in restored.libraries() {
                let name = library.source.name();
                if catalog.has(name) && policy == Policy::Append {
                    return Err(CommandError::text(format!("ERR Library {name} already exists")));
                }
                catalog.remove(name);
            }
            restored.libraries().try_for_each(|library| {
                catalog.add(Arc::clone(library)).map_err(|conflict| taken(&conflict))
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Catalog>> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a changed catalog in the place of the one there is, unless the change fails.
    fn change<E>(&self, change: impl FnOnce(&mut Catalog) -> Result<(), E>) -> Result<(), E> {
        let old;
        {
            let mut catalog = self.lock();
            let mut changed = Catalog::clone(&catalog);
            change(&mut changed)?;
            old = std::mem::replace(&mut *catalog, Arc::new(changed));
            self.version.fetch_add(1, Ordering::Release);
        }
        // Dropping what nobody has any more keeps nobody waiting.
        drop(old);
        Ok(())
    }
}

/// The libraries of a payload, each loaded.
fn read(payload: &[u8], clock: &Clock) -> Result<Catalog, CommandError> {
    let dump = rdb::open(payload)
        .map_err(|_| CommandError::text("ERR DUMP payload version or checksum are wrong"))?;
    let limits = Limits { unpacked_bytes_max: UNPACKED_BYTES_MAX, ..Limits::default() };
    let mut loader = Loader::new().map_err(refused)?;
    let mut catalog = Catalog::default();
    for source in Libraries::new(dump.payload, &limits) {
        let source = LibrarySource::new(&source.map_err(unread)?).map_err(refused)?;
        if catalog.has(source.name()) {
            return Err(taken(&Conflict::Library(source.name().to_owned())));
        }
        let library = loader.load(source, clock).map_err(refused)?;
        catalog.add(library).map_err(|conflict| taken(&conflict))?;
    }
    Ok(catalog)
}

fn refused(failure: Failure) -> CommandError {
    CommandError::text(failure.message())
}

fn unread(error: RdbError) -> CommandError {
    CommandError::text(match error {
        RdbError::UnknownType => "ERR given type is not a function",
        RdbError::Unsupported => "ERR Pre-GA function format not supported",
        _ => "ERR Failed loading library payload",
    })
}

fn taken(conflict: &Conflict) -> CommandError {
    CommandError::text(match conflict {
        Conflict::Library(name) => format!("ERR Library '{name}' already exists"),
        Conflict::Function(name) => format!("ERR Function {name} already exists"),
    })
}

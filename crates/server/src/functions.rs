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
            let old = if replace { catalog.remove(&name) } else { None };
            // Somebody may have loaded the same meanwhile.
            catalog.add(library).map_err(|conflict| {
                if let Some(old) = old {
                    // It was there just now.
                    let _ = catalog.add(old);
                }
                taken(&conflict)
            })
        })?;
        Ok(name)
    }

    /// Deletes a library; whether there was one.
    pub fn delete(&self, name: &[u8]) -> bool {
        let name = std::str::from_utf8(name).unwrap_or_default();
        self.change(|catalog| catalog.remove(name).map(drop).ok_or(())).is_ok()
    }

    /// Deletes all libraries; returns what there was, which may take long to drop.
    pub fn flush(&self) -> Arc<Catalog> {
        self.replace(Catalog::default())
    }

    /// Puts another catalog in the place of the one there is.
    fn replace(&self, new: Catalog) -> Arc<Catalog> {
        let mut catalog = self.lock();
        self.version.fetch_add(1, Ordering::Release);
        std::mem::replace(&mut *catalog, Arc::new(new))
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
        if policy == Policy::Flush {
            // Dropping what nobody has any more keeps nobody waiting.
            drop(self.replace(restored));
            return Ok(());
        }
        self.change(|catalog| {
            // All of them or none.
            let mut changed = catalog.clone();
            for library in restored.libraries() {
                let name = library.source.name();
                if changed.has(name) && policy == Policy::Append {
                    return Err(CommandError::text(format!("ERR Library {name} already exists")));
                }
                drop(changed.remove(name));
            }
            restored.libraries().try_for_each(|library| {
                changed.add(Arc::clone(library)).map_err(|conflict| taken(&conflict))
            })?;
            *catalog = changed;
            Ok(())
        })
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Catalog>> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the catalog, which is left as it was if the change fails. Whoever still looks at it
    /// goes on with the old one.
    fn change<E>(&self, change: impl FnOnce(&mut Catalog) -> Result<(), E>) -> Result<(), E> {
        let mut catalog = self.lock();
        change(Arc::make_mut(&mut catalog))?;
        self.version.fetch_add(1, Ordering::Release);
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A library whose functions return nothing.
    fn source(name: &str, functions: &[&str]) -> String {
        let register = |name: &&str| format!("redis.register_function('{name}', function() end)\n");
        format!("#!lua name={name}\n{}", functions.iter().map(register).collect::<String>())
    }

    fn loaded(sources: &[String]) -> Functions {
        let functions = Functions::default();
        for source in sources {
            functions.load(source.as_bytes(), false, &Clock::default()).unwrap();
        }
        functions
    }

    /// A dump of these sources, whatever they are.
    fn dump(sources: &[&str]) -> Vec<u8> {
        let mut dump = Vec::new();
        sources.iter().for_each(|source| encode_library(source.as_bytes(), true, &mut dump));
        rdb::seal(&mut dump, LIBRARIES_VERSION);
        dump
    }

    fn names(functions: &Functions) -> Vec<String> {
        let catalog = functions.catalog();
        catalog.libraries().map(|library| library.source.name().to_owned()).collect()
    }

    #[test]
    fn every_change_has_a_number_of_its_own() {
        let clock = Clock::default();
        let functions = Functions::default();
        let mut seen = functions.version();
        let mut is_new = |functions: &Functions| {
            std::mem::replace(&mut seen, functions.version()) != functions.version()
        };
        let one = source("a", &["one"]);
        functions.load(one.as_bytes(), false, &clock).unwrap();
        assert!(is_new(&functions));
        functions.load(one.as_bytes(), false, &clock).unwrap_err();
        assert!(!is_new(&functions));
        functions.load(one.as_bytes(), true, &clock).unwrap();
        assert!(is_new(&functions));
        assert!(!functions.delete(b"b") && !is_new(&functions));
        assert!(functions.delete(b"a") && is_new(&functions));
        functions.restore(&dump(&[&one]), Policy::Append, &clock).unwrap();
        assert!(is_new(&functions));
        functions.flush();
        assert!(is_new(&functions));
    }

    #[test]
    fn a_catalog_stays_as_it_is() {
        let functions = loaded(&[source("a", &["one"])]);
        let before = functions.catalog();
        functions.flush();
        let (source, function) = before.find(b"ONE").unwrap();
        assert_eq!((source.name(), function.name.as_str()), ("a", "one"));
        assert!(functions.find(b"one").is_none());
    }

    #[test]
    fn what_is_dumped_is_restored() {
        let long = source("long", &["a", "b", "c", "d", "e", "f"])
            + &"-- a comment that says the same again and again\n".repeat(1000);
        let functions = loaded(&[source("a", &["one", "two"]), long.clone()]);
        let dump = functions.dump();
        assert!(dump.len() < long.len() / 10, "it is compressed");
        let restored = Functions::default();
        restored.restore(&dump, Policy::Append, &Clock::default()).unwrap();
        assert_eq!(names(&restored), ["a", "long"]);
        assert_eq!(restored.dump(), dump);
        assert_eq!(restored.find(b"F").unwrap().0.source(), long.as_bytes());
    }

    #[test]
    fn who_loses_a_race_for_a_name_leaves_nothing() {
        let functions = Functions::default();
        let (functions, clock) = (&functions, &Clock::default());
        let won = thread::scope(|scope| {
            let racer = |nth: usize| {
                let source = source(&format!("lib{nth}"), &["shared", &format!("own{nth}")]);
                scope.spawn(move || functions.load(source.as_bytes(), nth.is_multiple_of(2), clock))
            };
            let racers: Vec<_> = (0..8).map(racer).collect();
            let results = racers.into_iter().map(|racer| racer.join().unwrap());
            results.filter_map(Result::ok).collect::<Vec<String>>()
        });
        assert_eq!(won.len(), 1);
        assert_eq!(names(functions), won);
        assert_eq!((functions.catalog().functions_len(), functions.version()), (2, 1));
    }

    #[test]
    fn a_library_that_does_not_end_is_ended() {
        let functions = loaded(&[source("a", &["one"])]);
        let endless = "#!lua name=a\nwhile true do end";
        let clock = Clock::default();
        let loaded = functions.load(endless.as_bytes(), true, &clock);
        let expected = "ERR Error registering functions: ERR FUNCTION LOAD timeout";
        assert_eq!(loaded.unwrap_err().to_string(), expected);
        let restored = functions.restore(&dump(&[endless]), Policy::Flush, &clock);
        assert_eq!(restored.unwrap_err().to_string(), expected);
        assert_eq!(names(&functions), ["a"]);
    }

    #[test]
    fn a_library_that_wants_all_memory_is_refused() {
        let hungry = "#!lua name=a\nlocal s = 'x' while true do s = s .. s end";
        let refused = Functions::default().load(hungry.as_bytes(), false, &Clock::default());
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("not enough memory"), "{refused}");
    }

    #[test]
    fn a_broken_payload_changes_nothing_and_breaks_nothing() {
        let clock = Clock::default();
        let functions = loaded(&[source("kept", &["kept"])]);
        let whole = dump(&[&source("a", &["one"]), &source("b", &["two", "three", "four"])]);
        let payload = &whole[..whole.len() - rdb::FOOTER_BYTES];
        for at in 0..payload.len() {
            for byte in [0, payload[at] ^ 1, payload[at] ^ 0x80, 0xff] {
                let mut broken = payload.to_vec();
                broken[at] = byte;
                assert!(functions.restore(&broken, Policy::Flush, &clock).is_err());
                rdb::seal(&mut broken, LIBRARIES_VERSION);
                match functions.restore(&broken, Policy::Flush, &clock) {
                    // Some bytes are names, and may be others.
                    Ok(()) => {
                        let kept = source("kept", &["kept"]);
                        functions.restore(&dump(&[&kept]), Policy::Flush, &clock).unwrap();
                    }
                    Err(_) => assert_eq!(names(&functions), ["kept"], "{at} {byte}"),
                }
            }
            let mut cut = payload[..at].to_vec();
            rdb::seal(&mut cut, LIBRARIES_VERSION);
            let restored = functions.restore(&cut, Policy::Append, &clock);
            assert!(restored.is_err() || at == 0 || names(&functions) == ["a", "kept"], "{at}");
            functions.delete(b"a");
        }
    }
}

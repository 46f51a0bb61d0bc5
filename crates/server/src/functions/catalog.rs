//! All libraries at one moment, and their functions by name.
//!
//! A library's name is what it is to the letter; a function is found whatever the case of its
//! name. Of functions of one library whose names differ only in case the first one is found.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use script::{Function, LibrarySource};
use smallvec::SmallVec;

/// A library that has been loaded once.
#[derive(Debug)]
pub struct Library {
    /// Its source.
    pub source: Arc<LibrarySource>,
    /// What it has registered, in this order.
    pub functions: Vec<Arc<Function>>,
}

/// A function, and the source of its library.
type Found = (Arc<LibrarySource>, Arc<Function>);

/// See the module's page.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    libraries: BTreeMap<String, Arc<Library>>,
    /// By their names in lower case.
    functions: HashMap<Name, Found>,
}

/// A name in lower case.
type Name = SmallVec<[u8; 32]>;

/// Why a library cannot be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// There is a library of this name.
    Library(String),
    /// Another library has this function.
    Function(String),
}

impl Catalog {
    /// The library and the function of this name, whatever its case.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Found> {
        self.functions.get(&lower_case(name))
    }

    /// Whether there is a library of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.libraries.contains_key(name)
    }

    /// All libraries, in the order of their names.
    pub fn libraries(&self) -> impl ExactSizeIterator<Item = &Arc<Library>> {
        self.libraries.values()
    }

    /// How many functions the libraries have together.
    #[must_use]
    pub fn functions_len(&self) -> usize {
        self.libraries().map(|library| library.functions.len()).sum()
    }

    /// About how many bytes all this takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.libraries().map(|library| library.bytes()).sum()
    }

    /// How many bytes the sources of the libraries have together.
    #[must_use]
    pub fn source_bytes(&self) -> usize {
        self.libraries().map(|library| library.source.source().len()).sum()
    }

    /// Adds a library, or nothing.
    pub(super) fn add(&mut self, library: Arc<Library>) -> Result<(), Conflict> {
        let name = library.source.name();
        if self.has(name) {
            return Err(Conflict::Library(name.to_owned()));
        }
        if let Some(taken) = library.functions.iter().find(|one| self.find_its(one).is_some()) {
            return Err(Conflict::Function(taken.name.clone()));
        }
        for function in &library.functions {
            let found = || (Arc::clone(&library.source), Arc::clone(function));
            let name = lower_case(function.name.as_bytes());
            self.functions.entry(name).or_insert_with(found);
        }
        self.libraries.insert(name.to_owned(), library);
        Ok(())
    }

    /// Takes a library out, if there is one.
    pub(super) fn remove(&mut self, name: &str) -> Option<Arc<Library>> {
        let library = self.libraries.remove(name)?;
        for function in &library.functions {
            self.functions.remove(&lower_case(function.name.as_bytes()));
        }
        Some(library)
    }

    fn find_its(&self, function: &Function) -> Option<&Found> {
        self.find(function.name.as_bytes())
    }
}

impl Library {
    fn bytes(&self) -> usize {
        let functions = self.functions.iter().map(|function| {
            let description = function.description.as_ref().map_or(0, Vec::len);
            // The name is there twice: as it is, and in lower case.
            size_of::<Function>()
                + size_of::<(Name, Found)>()
                + 2 * function.name.len()
                + description
        });
        let source = self.source.source().len() + 2 * self.source.name().len();
        size_of::<Library>() + size_of::<LibrarySource>() + source + functions.sum::<usize>()
    }
}

fn lower_case(name: &[u8]) -> Name {
    name.iter().map(u8::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use script::Flags;

    use super::*;

    fn library(name: &str, functions: &[&str]) -> Arc<Library> {
        let source = LibrarySource::new(format!("#!lua name={name}\n").as_bytes()).unwrap();
        let function = |name: &&str| {
            let (name, flags) = ((*name).to_owned(), Flags::default());
            Arc::new(Function { name, description: None, flags })
        };
        let functions = functions.iter().map(function).collect();
        Arc::new(Library { source: Arc::new(source), functions })
    }

    fn found(catalog: &Catalog, name: &str) -> Option<(String, String)> {
        let (source, function) = catalog.find(name.as_bytes())?;
        Some((source.name().to_owned(), function.name.clone()))
    }

    #[test]
    fn functions_are_found_whatever_the_case_of_their_names() {
        let mut catalog = Catalog::default();
        catalog.add(library("a", &["One", "two"])).unwrap();
        let one = Some(("a".to_owned(), "One".to_owned()));
        assert_eq!(found(&catalog, "one"), one);
        assert_eq!(found(&catalog, "ONE"), one);
        assert_eq!(found(&catalog, "three"), None);
    }

    #[test]
    fn names_of_libraries_are_as_they_are_written() {
        let mut catalog = Catalog::default();
        catalog.add(library("a", &["one"])).unwrap();
        catalog.add(library("A", &["two"])).unwrap();
        let again = catalog.add(library("A", &["three"]));
        assert_eq!(again, Err(Conflict::Library("A".into())));
        assert!(catalog.remove("A").is_some() && catalog.remove("A").is_none());
        assert!(catalog.has("a"));
    }

    #[test]
    fn a_library_whose_function_is_taken_adds_nothing() {
        let mut catalog = Catalog::default();
        catalog.add(library("a", &["one"])).unwrap();
        let taken = catalog.add(library("b", &["two", "ONE"]));
        assert_eq!(taken, Err(Conflict::Function("ONE".into())));
        assert_eq!((catalog.libraries().len(), catalog.functions_len()), (1, 1));
        assert_eq!(found(&catalog, "two"), None);
    }

    #[test]
    fn of_names_that_differ_in_case_the_first_is_found_and_all_go() {
        let mut catalog = Catalog::default();
        catalog.add(library("a", &["ONE", "one"])).unwrap();
        assert_eq!(found(&catalog, "one"), Some(("a".into(), "ONE".into())));
        assert_eq!(catalog.functions_len(), 2);
        catalog.remove("a");
        assert_eq!((found(&catalog, "one"), catalog.bytes()), (None, 0));
        catalog.add(library("b", &["one"])).unwrap();
    }
}

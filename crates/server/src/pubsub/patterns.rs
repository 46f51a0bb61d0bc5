//! Finding the patterns that a name matches, without trying all of them.
//!
//! A pattern can match only names that begin as it does up to its first special byte. So patterns
//! lie under that beginning, and a name is looked up once for each length that such a beginning
//! has; only patterns that lie there are tried.
//!
//! # Invariants
//!
//! * A pattern lies under its `literal` beginning, in the table of that length.
//! * There is no empty table and no empty list.
//!
//! # Complexity
//!
//! Finding: a look-up for each length of a beginning that is not longer than the name, and a try
//! for each pattern whose beginning the name has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use families::glob;

/// Patterns that begin alike.
type Alike<T> = BTreeMap<Arc<[u8]>, T>;

/// See the module's page. Something is kept with each pattern.
#[derive(Clone)]
pub struct PatternIndex<T> {
    /// By the length of the beginning, then by the beginning.
    by_beginning: BTreeMap<usize, HashMap<Box<[u8]>, Alike<T>>>,
    len: usize,
}

impl<T> Default for PatternIndex<T> {
    fn default() -> PatternIndex<T> {
        PatternIndex { by_beginning: BTreeMap::new(), len: 0 }
    }
}

/// The bytes that every match of a pattern begins with, as far as that is plain.
fn literal(pattern: &[u8]) -> &[u8] {
    let special = |byte: &u8| b"*?[\\".contains(byte);
    &pattern[..pattern.iter().position(special).unwrap_or(pattern.len())]
}

impl<T> PatternIndex<T> {
    /// How many patterns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A pattern, if it is there, and what is kept with it.
    #[must_use]
    pub fn get(&self, pattern: &[u8]) -> Option<(&Arc<[u8]>, &T)> {
        let beginning = literal(pattern);
        self.by_beginning.get(&beginning.len())?.get(beginning)?.get_key_value(pattern)
    }

    /// Adds a pattern. Returns what was kept with it before.
    pub fn insert(&mut self, pattern: Arc<[u8]>, kept: T) -> Option<T> {
        let beginning = literal(&pattern);
        let table = self.by_beginning.entry(beginning.len()).or_default();
        let alike = table.entry(beginning.into()).or_default();
        let before = alike.insert(pattern, kept);
        self.len += usize::from(before.is_none());
        before
    }

    /// Takes a pattern out.
    pub fn remove(&mut self, pattern: &[u8]) -> Option<T> {
        let beginning = literal(pattern);
        let table = self.by_beginning.get_mut(&beginning.len())?;
        let alike = table.get_mut(beginning)?;
        let kept = alike.remove(pattern)?;
        self.len -= 1;
        if alike.is_empty() {
            table.remove(beginning);
            if table.is_empty() {
                self.by_beginning.remove(&beginning.len());
            }
        }
        Some(kept)
    }

    /// The patterns that a name matches, with what is kept with them.
    pub fn matching<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = (&'a Arc<[u8]>, &'a T)> {
        let tables = self.by_beginning.range(..=name.len());
        let alike = tables.filter_map(|(&len, table)| table.get(&name[..len]));
        alike.flatten().filter(|(pattern, _)| glob::matches(pattern, name, false))
    }

    /// All patterns.
    pub fn names(&self) -> impl Iterator<Item = &Arc<[u8]>> {
        self.by_beginning.values().flat_map(|table| table.values().flat_map(BTreeMap::keys))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Short texts over few bytes, so that many match.
    fn text(bytes: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
        vec(prop::sample::select(bytes), 0..6)
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_trying_each_pattern_finds(
            added in vec(text(b"ab*?[]^-\\"), 0..40),
            removed in vec(any::<prop::sample::Index>(), 0..10),
            names in vec(text(b"ab-\\[*"), 1..20),
        ) {
            let mut index = PatternIndex::default();
            let mut each: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
            for (nth, pattern) in added.iter().enumerate() {
                let before = index.insert(pattern.as_slice().into(), nth);
                prop_assert_eq!(before, each.insert(pattern.clone(), nth));
            }
            for nth in removed.iter().filter(|_| !added.is_empty()) {
                let pattern = nth.get(&added);
                prop_assert_eq!(index.remove(pattern), each.remove(pattern));
            }
            prop_assert_eq!((index.len(), index.names().count()), (each.len(), each.len()));
            prop_assert_eq!(index.by_beginning.is_empty(), each.is_empty());
            for name in &names {
                let mut found: Vec<_> =
                    index.matching(name).map(|(pattern, &nth)| (pattern.to_vec(), nth)).collect();
                found.sort();
                let tried = each.iter().filter(|(pattern, _)| glob::matches(pattern, name, false));
                let tried: Vec<_> = tried.map(|(pattern, &nth)| (pattern.clone(), nth)).collect();
                prop_assert_eq!(found, tried);
            }
            for pattern in &added {
                prop_assert_eq!(index.get(pattern).map(|(_, nth)| nth), each.get(pattern));
            }
        }
    }

    #[test]
    fn a_beginning_ends_at_the_first_special_byte() {
        for (pattern, beginning) in [
            ("news.*", "news."),
            ("*", ""),
            ("a?c", "a"),
            ("a[bc]", "a"),
            ("a\\*b", "a"),
            ("ab", "ab"),
        ] {
            assert_eq!(literal(pattern.as_bytes()), beginning.as_bytes(), "{pattern}");
        }
    }
}

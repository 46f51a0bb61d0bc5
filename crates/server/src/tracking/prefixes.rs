//! Finding the prefixes that a key begins with, without trying all of them.
//!
//! Prefixes lie in a table for each length, so a key is looked up once for each length of a prefix
//! that is not longer than it. How many prefixes there are, and how many clients have other ones,
//! does not matter to who changes a key.
//!
//! # Invariants
//!
//! * There is no empty table, and no prefix without a client.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::client::ClientId;

/// The prefixes of one length, with who has them, in order.
type Table = HashMap<Box<[u8]>, SmallVec<[ClientId; 2]>>;

/// See the module's page.
#[derive(Clone, Default)]
pub(super) struct PrefixIndex {
    /// By length. A table is copied when it changes while somebody looks into it.
    by_length: BTreeMap<usize, Arc<Table>>,
    len: usize,
}

impl PrefixIndex {
    /// How many different prefixes there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a client to those of a prefix.
    pub(super) fn insert(&mut self, prefix: &[u8], client: ClientId) {
        let table = Arc::make_mut(self.by_length.entry(prefix.len()).or_default());
        if !table.contains_key(prefix) {
            table.insert(prefix.into(), SmallVec::new());
            self.len += 1;
        }
        if let Some(clients) = table.get_mut(prefix)
            && let Err(place) = clients.binary_search(&client)
        {
            clients.insert(place, client);
        }
    }

    /// Takes a client out of those of a prefix.
    pub(super) fn remove(&mut self, prefix: &[u8], client: ClientId) {
        let Some(shared) = self.by_length.get_mut(&prefix.len()) else { return };
        let table = Arc::make_mut(shared);
        let Some(clients) = table.get_mut(prefix) else { return };
        if let Ok(place) = clients.binary_search(&client) {
            clients.remove(place);
        }
        if clients.is_empty() {
            table.remove(prefix);
            self.len -= 1;
        }
        if table.is_empty() {
            self.by_length.remove(&prefix.len());
        }
    }

    /// The prefixes that a key begins with, the short ones first.
    pub(super) fn beginning<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let tables = self.by_length.range(..=key.len());
        tables.filter_map(|(&length, table)| Some(&**table.get_key_value(&key[..length])?.0))
    }

    /// The clients of a prefix.
    pub(super) fn of(&self, prefix: &[u8]) -> &[ClientId] {
        let table = self.by_length.get(&prefix.len());
        table.and_then(|table| table.get(prefix)).map_or(&[], SmallVec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        vec(prop::sample::select(&b"ab"[..]), 0..5)
    }

    proptest! {
        #[test]
        fn who_is_found_is_who_has_a_prefix_of_the_key(
            steps in vec((text(), 0..4_u64, any::<bool>()), 0..60),
            keys in vec(text(), 1..20),
        ) {
            let mut index = PrefixIndex::default();
            let mut each: BTreeSet<(Vec<u8>, ClientId)> = BTreeSet::new();
            for (prefix, client, adds) in steps {
                if adds {
                    index.insert(&prefix, client);
                    each.insert((prefix, client));
                } else {
                    index.remove(&prefix, client);
                    each.remove(&(prefix, client));
                }
            }
            let prefixes: BTreeSet<&[u8]> = each.iter().map(|(prefix, _)| &prefix[..]).collect();
            prop_assert_eq!(index.len(), prefixes.len());
            prop_assert_eq!(index.by_length.is_empty(), each.is_empty());
            for key in &keys {
                let found: Vec<_> = index.beginning(key).collect();
                let begins = |prefix: &&&[u8]| key.starts_with(prefix);
                let mut expected: Vec<_> = prefixes.iter().filter(begins).copied().collect();
                expected.sort_by_key(|prefix| prefix.len());
                prop_assert_eq!(&found, &expected);
                for prefix in found {
                    let clients = index.of(prefix).to_vec();
                    let known = each.iter().filter(|(one, _)| one == prefix);
                    prop_assert_eq!(clients, known.map(|(_, id)| *id).collect::<Vec<_>>());
                }
            }
        }
    }
}

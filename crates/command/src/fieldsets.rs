//! Names of fields that a session has prepared, to send only values later: HIMPORT.
//!
//! They belong to one connection, take memory as long as it lasts, and so have limits.

use std::collections::BTreeMap;

use crate::error::CommandError;

/// How many fieldsets a session may keep.
const FIELDSETS_MAX: usize = 1024;

/// How many bytes their names and fields may have together.
const BYTES_MAX: usize = 1 << 20;

/// Bytes that a fieldset and each of its fields count beside their names.
const OVERHEAD_BYTES: usize = 16;

/// The fieldsets of a session, by name.
#[derive(Debug, Default)]
pub struct Fieldsets {
    sets: BTreeMap<Box<[u8]>, Fields>,
    bytes: usize,
}

/// Fields in the order in which their values will come; no two are the same.
type Fields = Box<[Box<[u8]>]>;

impl Fieldsets {
    /// No fieldsets.
    pub const NONE: Fieldsets = Fieldsets { sets: BTreeMap::new(), bytes: 0 };

    /// Prepares a fieldset, which takes the place of the one of this name.
    ///
    /// # Errors
    /// If a field is there twice, or the limits do not allow it; the old one is kept then.
    pub fn prepare<'a>(
        &mut self,
        name: &[u8],
        fields: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) -> Result<(), CommandError> {
        let mut sorted: Vec<&[u8]> = fields.clone().collect();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(CommandError::text("ERR duplicate field name in fieldset"));
        }
        let old_bytes = self.sets.get(name).map_or(0, |old| bytes_of(name, old.iter()));
        let bytes = self.bytes - old_bytes + bytes_of(name, fields.clone());
        if bytes > BYTES_MAX || old_bytes == 0 && self.sets.len() >= FIELDSETS_MAX {
            return Err(CommandError::text("ERR too many fieldsets in this connection"));
        }
        self.bytes = bytes;
        self.sets.insert(name.into(), fields.map(Box::from).collect());
        Ok(())
    }

    /// The fields of a fieldset.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[Box<[u8]>]> {
        self.sets.get(name).map(|fields| &**fields)
    }

    /// Forgets a fieldset; tells whether there was one.
    pub fn discard(&mut self, name: &[u8]) -> bool {
        let Some(fields) = self.sets.remove(name) else { return false };
        self.bytes -= bytes_of(name, fields.iter());
        true
    }

    /// Forgets all; returns how many there were.
    pub fn discard_all(&mut self) -> usize {
        let count = self.sets.len();
        *self = Fieldsets::NONE;
        count
    }

    /// Bytes that they take, nearly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn bytes_of(name: &[u8], fields: impl Iterator<Item = impl AsRef<[u8]>>) -> usize {
    let fields: usize = fields.map(|field| field.as_ref().len() + OVERHEAD_BYTES).sum();
    name.len() + OVERHEAD_BYTES + fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(sets: &mut Fieldsets, name: &str, fields: &[&str]) -> Result<(), CommandError> {
        sets.prepare(name.as_bytes(), fields.iter().map(|field| field.as_bytes()))
    }

    #[test]
    fn a_refused_fieldset_leaves_the_old_one() {
        let mut sets = Fieldsets::default();
        prepare(&mut sets, "a", &["x", "y"]).expect("they differ");
        assert!(prepare(&mut sets, "a", &["z", "y", "z"]).is_err());
        let fields = sets.get(b"a").expect("it was prepared");
        assert_eq!(fields, [Box::from(*b"x"), Box::from(*b"y")]);
        assert!(sets.get(b"b").is_none());
    }

    #[test]
    fn bytes_come_and_go_with_the_fieldsets() {
        let mut sets = Fieldsets::default();
        prepare(&mut sets, "a", &["x", "yy"]).expect("they differ");
        let bytes = sets.bytes();
        assert_eq!(bytes, 1 + 1 + 2 + 3 * OVERHEAD_BYTES);
        prepare(&mut sets, "a", &["yy", "z"]).expect("they differ");
        assert_eq!(sets.bytes(), bytes);
        prepare(&mut sets, "b", &["x"]).expect("there is one");
        assert!(sets.discard(b"b") && !sets.discard(b"b"));
        assert_eq!(sets.bytes(), bytes);
        assert_eq!((sets.discard_all(), sets.bytes()), (1, 0));
    }

    #[test]
    fn there_are_so_many_fieldsets_and_bytes_at_most() {
        let mut sets = Fieldsets::default();
        for n in 0..FIELDSETS_MAX {
            prepare(&mut sets, &n.to_string(), &["x"]).expect("there is room");
        }
        assert!(prepare(&mut sets, "more", &["x"]).is_err());
        assert!(prepare(&mut sets, "7", &["y"]).is_ok(), "it takes the place of another");
        sets.discard_all();
        let long = "x".repeat(BYTES_MAX - 3 * OVERHEAD_BYTES - 2);
        assert!(prepare(&mut sets, "a", &[&long, "y"]).is_ok());
        assert_eq!(sets.bytes(), BYTES_MAX);
        assert!(prepare(&mut sets, "b", &["x"]).is_err());
        assert!(prepare(&mut sets, "a", &["x"]).is_ok());
        assert!(prepare(&mut sets, "b", &["x"]).is_ok());
    }
}

//! How long collections are: how many there are of each type and of each doubling of length.
//!
//! Streams are not told apart, as in Redis. A hash counts with its fields whose deadlines have
//! passed, as long as they are there.
//!
//! # Invariants
//!
//! 1. Each list, set, sorted set and hash of the database counts once, where its length was when
//!    its guard last noted a change ([`crate::CollectionEntry::noted`]).

use packed::lengths::{Lengths, doubling};
use value::Type;

/// The types that are counted, in the order in which INFO tells of them.
pub const COUNTED: [Type; 4] = [Type::List, Type::Set, Type::ZSet, Type::Hash];

/// Where a collection counts: the place of its type in [`COUNTED`], and the doubling its length is
/// in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    kind: u8,
    doubling: u8,
}

impl Place {
    /// The place of a collection; `None` if its type is not counted.
    #[inline]
    pub(crate) fn of(kind: Type, len: usize) -> Option<Place> {
        let kind = match kind {
            Type::List => 0,
            Type::Set => 1,
            Type::ZSet => 2,
            Type::Hash => 3,
            Type::String | Type::Stream | Type::Array => return None,
        };
        Some(Place { kind, doubling: doubling(len) as u8 })
    }
}

/// Counts of collections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes([Lengths; COUNTED.len()]);

impl Sizes {
    /// The counts of each type.
    pub fn iter(&self) -> impl Iterator<Item = (Type, &Lengths)> {
        COUNTED.into_iter().zip(&self.0)
    }

    /// A collection has come (`before` is `None`), has gone (`after` is `None`), or has another
    /// length.
    #[inline]
    pub(crate) fn change(&mut self, before: Option<Place>, after: Option<Place>) {
        if before == after {
            return;
        }
        if let Some(place) = before {
            self.0[usize::from(place.kind)].take(usize::from(place.doubling));
        }
        if let Some(place) = after {
            self.0[usize::from(place.kind)].add(usize::from(place.doubling));
        }
    }
}

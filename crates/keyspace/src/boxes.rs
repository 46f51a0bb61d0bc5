//! The large collections of one database of one shard, named by numbers.
//!
//! A record holds the number, so that it stays a small string of bytes which can be moved and
//! compared; the collection itself owns all its memory, so that it can be dropped elsewhere, or
//! become the value of another key in another shard, without being copied.
//!
//! Each state of a collection has a version, so that who has left the shard can tell later
//! whether it is still as it was: each time it is put or lent to be changed it gets the next one.
//!
//! # Invariants
//!
//! 1. Each number in use belongs to one record.
//! 2. A number without a collection is in `vacant`, or its collection is on its way to another
//!    key ([`Boxes::take`]).
//! 3. No version was given twice by the same `Boxes`.

use value::Big;

/// See the module's page.
#[derive(Default)]
pub(crate) struct Boxes {
    places: Vec<Place>,
    vacant: Vec<u32>,
    /// The version given last.
    versions: u64,
}

/// A number's collection, while there is one.
#[derive(Default)]
struct Place {
    big: Option<Box<Big>>,
    version: u64,
}

impl Boxes {
    /// The number that [`Boxes::put`] may be given next.
    pub(crate) fn next(&mut self) -> u32 {
        if let Some(&number) = self.vacant.last() {
            return number;
        }
        let number = u32::try_from(self.places.len());
        // 16 GiB of records of at least 12 bytes, each with one number.
        let number = number.expect("there are fewer than 2^32 large collections in a shard");
        self.places.push(Place::default());
        self.vacant.push(number);
        number
    }

    /// Keeps a collection under a number: the next one, or one it was taken from.
    pub(crate) fn put(&mut self, number: u32, big: Box<Big>) {
        // What it replaces may have given its own number up since this one was told.
        let newest = self.vacant.len().saturating_sub(2);
        let own = self.vacant[newest..].iter().position(|&vacant| vacant == number);
        if let Some(own) = own {
            self.vacant.remove(newest + own);
        }
        self.versions += 1;
        self.places[number as usize] = Place { big: Some(big), version: self.versions };
    }

    /// The collection with this number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> &Big {
        let place = self.places.get(number as usize).and_then(|place| place.big.as_deref());
        place.expect("a record's number leads to a collection")
    }

    /// The version of the collection with this number.
    pub(crate) fn version(&self, number: u32) -> u64 {
        self.places.get(number as usize).map_or(0, |place| place.version)
    }

    /// The same, if it is there.
    #[inline]
    pub(crate) fn find(&self, number: u32) -> Option<&Big> {
        self.places.get(number as usize)?.big.as_deref()
    }

    /// The collection with this number, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut Big {
        self.versions += 1;
        let place = self.places.get_mut(number as usize);
        let big = place.and_then(|place| {
            place.version = self.versions;
            place.big.as_deref_mut()
        });
        big.expect("a record's number leads to a collection")
    }

    /// Takes a collection out and keeps its number for it.
    pub(crate) fn take(&mut self, number: Option<u32>) -> Option<Box<Big>> {
        self.places.get_mut(number? as usize)?.big.take()
    }

    /// A copy of a collection.
    pub(crate) fn copy(&self, number: Option<u32>) -> Option<Box<Big>> {
        self.places.get(number? as usize)?.big.clone()
    }

    /// Takes a collection out, if it is still there, and gives its number up.
    pub(crate) fn remove(&mut self, number: u32) -> Option<Box<Big>> {
        self.vacant.push(number);
        self.places.get_mut(number as usize)?.big.take()
    }

    /// Bytes of all collections: a walk over them.
    pub(crate) fn bytes(&self) -> usize {
        let bigs = self.places.iter().filter_map(|place| place.big.as_ref());
        let bigs: usize = bigs.map(|big| big.bytes()).sum();
        bigs + self.places.capacity() * size_of::<Place>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_a_collection_may_leave_without_its_number() {
        let mut boxes = Boxes::default();
        let (one, other) = (boxes.next(), boxes.next());
        assert_eq!(one, other, "a number that nobody took is offered again");
        boxes.put(one, Box::new(Big::Set(Default::default())));
        let second = boxes.next();
        assert_ne!(one, second);
        boxes.put(second, Box::new(Big::Set(Default::default())));

        let gone = boxes.take(Some(one)).unwrap();
        assert_ne!(boxes.next(), one, "it is kept for the one that left");
        boxes.put(one, gone);
        assert!(boxes.remove(one).is_some());
        assert_eq!(boxes.next(), one);
        assert!(boxes.take(Some(one)).is_none() && boxes.take(Some(second)).is_some());
    }

    /// SUNIONSTORE of a large set over another one left the new number among the vacant ones: the
    /// next large collections of the shard were two under one number.
    #[test]
    fn a_collection_may_replace_one_that_gives_its_number_up() {
        let big = || Box::new(Big::Set(Default::default()));
        let mut boxes = Boxes::default();
        let old = boxes.next();
        boxes.put(old, big());
        let new = boxes.next();
        assert!(boxes.remove(old).is_some());
        boxes.put(new, big());
        assert_eq!(boxes.next(), old);
        boxes.put(old, big());
        assert!(![old, new].contains(&boxes.next()));
    }

    #[test]
    fn each_state_of_a_collection_has_a_version_of_its_own() {
        let mut boxes = Boxes::default();
        let number = boxes.next();
        boxes.put(number, Box::new(Big::Set(Default::default())));
        let first = boxes.version(number);
        assert_eq!(boxes.version(number), first, "a look changes nothing");
        boxes.get_mut(number);
        let second = boxes.version(number);
        let big = boxes.remove(number).unwrap();
        boxes.put(boxes.vacant[0], big);
        let third = boxes.version(number);
        assert!(first < second && second < third);
    }
}

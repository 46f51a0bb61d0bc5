//! The large collections of one database of one shard, named by numbers.
//!
//! A record holds the number, so that it stays a small string of bytes which can be moved and
//! compared; the collection itself owns all its memory, so that it can be dropped elsewhere, or
//! become the value of another key in another shard, without being copied.
//!
//! # Invariants
//!
//! 1. Each number in use belongs to one record.
//! 2. A number without a collection is in `vacant`, or its collection is on its way to another
//!    key ([`Boxes::take`]).

use value::Big;

/// See the module's page.
#[derive(Default)]
pub(crate) struct Boxes {
    places: Vec<Option<Box<Big>>>,
    vacant: Vec<u32>,
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
        self.places.push(None);
        self.vacant.push(number);
        number
    }

    /// Keeps a collection under a number: the next one, or one it was taken from.
    pub(crate) fn put(&mut self, number: u32, big: Box<Big>) {
        if self.vacant.last() == Some(&number) {
            self.vacant.pop();
        }
        self.places[number as usize] = Some(big);
    }

    /// The collection with this number.
    pub(crate) fn get(&self, number: u32) -> &Big {
        let place = self.places.get(number as usize).and_then(Option::as_deref);
        place.expect("a record's number leads to a collection")
    }

    /// The collection with this number, to be changed.
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut Big {
        let place = self.places.get_mut(number as usize).and_then(Option::as_deref_mut);
        place.expect("a record's number leads to a collection")
    }

    /// Takes a collection out and keeps its number for it.
    pub(crate) fn take(&mut self, number: Option<u32>) -> Option<Box<Big>> {
        self.places.get_mut(number? as usize)?.take()
    }

    /// A copy of a collection.
    pub(crate) fn copy(&self, number: Option<u32>) -> Option<Box<Big>> {
        self.places.get(number? as usize)?.clone()
    }

    /// Takes a collection out, if it is still there, and gives its number up.
    pub(crate) fn remove(&mut self, number: u32) -> Option<Box<Big>> {
        self.vacant.push(number);
        self.places.get_mut(number as usize)?.take()
    }

    /// Bytes of all collections: a walk over them.
    pub(crate) fn bytes(&self) -> usize {
        let bigs: usize = self.places.iter().flatten().map(|big| big.bytes()).sum();
        bigs + self.places.capacity() * size_of::<Option<Box<Big>>>()
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
}

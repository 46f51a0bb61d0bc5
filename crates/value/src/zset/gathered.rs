//! Members of several sorted sets, put together before they are put in order.
//!
//! They are gathered in the table of what becomes the large set, so that each is written once; the
//! tree is made at the end, of all of them. Look-ups go block by block: the memory that a block of
//! them reads is asked for at once.

use smallvec::SmallVec;

use super::score::{Scored, Tail, score_in};
use super::{Pair, ZSet};
use crate::KeyHasher;
use crate::entries::Digits;
use crate::heap::Full;
use crate::members::Members;

/// How many members are looked up together.
const BLOCK: usize = 32;

/// See the module's page.
#[derive(Default)]
pub struct Gathered {
    members: Members<Scored>,
}

impl Gathered {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Gathered {
        Gathered::default()
    }

    /// Adds the members of one more set. The score of one that is there already becomes
    /// `both(the one that it has, the new one)`.
    ///
    /// # Errors
    /// [`Full`] if it cannot hold so many.
    pub fn add<'e>(
        &mut self,
        mut pairs: impl Iterator<Item = Pair<'e>>,
        both: impl Fn(f64, f64) -> f64,
        hasher: &KeyHasher,
    ) -> Result<(), Full> {
        let mut block: SmallVec<[Pair<'e>; BLOCK]> = SmallVec::new();
        let mut hashes: SmallVec<[u64; BLOCK]> = SmallVec::new();
        loop {
            block.clear();
            block.extend(pairs.by_ref().take(BLOCK));
            if block.is_empty() {
                return Ok(());
            }
            hashes.clear();
            let hash_of = |(name, _): &Pair<'_>| hasher.hash(name.to_text(&mut Digits::new()));
            hashes.extend(block.iter().map(hash_of));
            self.members.prefetch_all(&hashes);
            for ((name, score), &hash) in block.iter().zip(&hashes) {
                self.put(hash, name.to_text(&mut Digits::new()), *score, &both, hasher)?;
            }
        }
    }

    fn put(
        &mut self,
        hash: u64,
        name: &[u8],
        score: f64,
        both: impl Fn(f64, f64) -> f64,
        hasher: &KeyHasher,
    ) -> Result<(), Full> {
        let Some(at) = self.members.find(hash, name) else {
            self.members.insert(hasher, hash, name, &[Tail::of(score).as_bytes()])?;
            return Ok(());
        };
        let old = score_in(self.members.member(at.handle()).tail);
        let tail = Tail::of(both(old, score));
        self.members.replace_tail(hasher, hash, at, &[tail.as_bytes()], |_, _, _| {})?;
        Ok(())
    }

    /// All of it as a sorted set.
    #[must_use]
    pub fn into_zset(self) -> ZSet {
        ZSet::of(self.members)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::entries::Element;
    use crate::zset::{Name, ZSetRef, sort};

    fn hasher() -> KeyHasher {
        KeyHasher::new([4, 4])
    }

    fn text_of(number: u16) -> Name {
        match number % 3 {
            0 => Name::from_slice(number.to_string().as_bytes()),
            1 => Name::from_slice(format!("member:{number}").as_bytes()),
            _ => Name::from_slice(format!("{number}{}", "long".repeat(300)).as_bytes()),
        }
    }

    proptest! {
        #[test]
        fn what_is_gathered_is_the_union_in_order(
            sets in prop::collection::vec(
                prop::collection::hash_map(0..200_u16, -3..3_i8, 0..150), 1..4),
            fraction in prop::bool::ANY,
        ) {
            let score_of = |score: i8| f64::from(score) / if fraction { 3.0 } else { 1.0 };
            let mut expected: HashMap<Name, f64> = HashMap::new();
            let mut gathered = Gathered::new();
            for set in &sets {
                let pairs: Vec<_> =
                    set.iter().map(|(&name, &score)| (text_of(name), score_of(score))).collect();
                for (name, score) in &pairs {
                    let kept = expected.entry(name.clone());
                    kept.and_modify(|kept| *kept += score).or_insert(*score);
                }
                let elements = pairs.iter().map(|(name, score)| (Element::of(name), *score));
                gathered.add(elements, |one, other| one + other, &hasher()).unwrap();
            }
            let mut expected: Vec<_> = expected.into_iter().collect();
            sort(&mut expected);
            let (set, hasher) = (gathered.into_zset(), hasher());
            let set = ZSetRef::Big(&set, &hasher);
            let listed: Vec<_> = set.iter().collect();
            let expected: Vec<_> =
                expected.iter().map(|(name, score)| (Element::Bytes(name), *score)).collect();
            prop_assert_eq!(&listed, &expected);
            for (rank, (name, score)) in expected.into_iter().enumerate() {
                let name = name.to_text(&mut Digits::new()).to_vec();
                prop_assert_eq!(set.rank(&name), Some((rank, score)));
            }
            prop_assert_eq!(set.unordered().count(), set.len());
        }
    }
}

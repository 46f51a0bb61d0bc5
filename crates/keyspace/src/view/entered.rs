//! The gates that a view has entered.

use gate::{Read, Write};

use crate::shard::{Shard, ShardId};

/// One entered gate.
pub(crate) enum Guard<'g> {
    Shared(Read<'g, Shard>),
    Exclusive(Write<'g, Shard>),
}

impl Guard<'_> {
    #[inline(always)]
    pub(super) fn shard(&self) -> &Shard {
        match self {
            Guard::Shared(shard) => shard,
            Guard::Exclusive(shard) => shard,
        }
    }

    #[inline(always)]
    pub(super) fn shard_mut(&mut self) -> &mut Shard {
        match self {
            Guard::Exclusive(shard) => shard,
            Guard::Shared(_) => unreachable!("a view that writes holds its gates exclusively"),
        }
    }
}

/// The entered gates, by the number of shards.
pub(crate) enum Entered<'g> {
    One(ShardId, Guard<'g>),
    /// In ascending order of their ids.
    Some(Vec<(ShardId, Guard<'g>)>),
    /// All of them, by index.
    All(Vec<Guard<'g>>),
}

impl Entered<'_> {
    #[inline(always)]
    pub(super) fn shard_mut(&mut self, id: ShardId) -> &mut Shard {
        match self {
            Entered::One(one, guard) => {
                assert!(*one == id, "the row's key positions name every key that is used");
                guard.shard_mut()
            }
            Entered::Some(list) => {
                let at = list.binary_search_by_key(&id, |(id, _)| *id);
                let at = at.expect("the row's key positions name every key that is used");
                list[at].1.shard_mut()
            }
            Entered::All(list) => list[id.index()].shard_mut(),
        }
    }
}

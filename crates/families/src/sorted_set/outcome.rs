//! Sorted sets that commands compute and store: made first, put then, perhaps at another moment.

use command::{CommandError, Done, Key, Prepared, Reply, View};
use keyspace::{Event, Expiry};
use value::zset::{Name, NewZSet};

/// A sorted set to be stored; none removes what is there.
pub(crate) struct Outcome {
    set: Option<NewZSet>,
    count: usize,
}

impl Outcome {
    /// The set of these members, none of which is there twice.
    pub(crate) fn of(pairs: Vec<(Name, f64)>, keys: &View<'_>) -> Result<Outcome, CommandError> {
        let count = pairs.len();
        Ok(Outcome { set: keys.new_zset(pairs)?, count })
    }

    /// A set that is made already.
    pub(crate) fn made(set: NewZSet, keys: &View<'_>) -> Outcome {
        let count = set.as_ref(keys.hasher()).len();
        Outcome { set: Some(set).filter(|_| count > 0), count }
    }

    /// Stores it, and replies with how many members it has.
    pub(crate) fn put(
        self,
        destination: Key<'_>,
        event: Event,
        keys: &mut View<'_>,
        reply: &mut Reply<'_>,
    ) -> Done {
        keys.put_zset(destination.0, self.set, Expiry::Clear, event)?;
        reply.integer(self.count as i64);
        Ok(())
    }

    /// Stores it later.
    pub(crate) fn later<'p>(self, destination: Vec<u8>, event: Event) -> Prepared<'p> {
        Prepared::Put(Box::new(move |keys, reply| self.put(Key(&destination), event, keys, reply)))
    }
}

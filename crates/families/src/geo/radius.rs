//! Places around another one, in the words of old: GEORADIUS, GEORADIUSBYMEMBER and their twins
//! that store nothing.
//!
//! The searches are those of GEOSEARCH ([`Search`]); only the words before the options are others.
//! The last of several STORE and STOREDIST says where to. It is the one whose key the row names
//! ([`Begin::Option`]), so that no key is written to whose shard was not entered.

use command::{
    Args, Arity, Begin, Command, CommandError, Done, Find, Flags, Key, KeySpec, KeyUse, Prepared,
    Reply, Run, View, event,
};
use keyspace::zset_of;
use value::zset::ZSetRef;

use super::places::{GEOADD, take_point};
use super::search::{Search, member_place, take_radius};
use crate::sorted_set::Outcome;
use crate::work;

pub(super) const GEORADIUS: Command = Command {
    name: "GEORADIUS",
    run: Run::Write(|args, keys, reply| find_or_store(Middle::Point, args, keys, reply)),
    prepare: Some(|args, keys, reply| prepare(Middle::Point, args, keys, reply)),
    work: Some(|args, keys| visited(Middle::Point, args, keys)),
    arity: Arity::AtLeast(6),
    keys: &[
        KeySpec::one(1, KeyUse::READ),
        stored("STORE", "STOREDIST", 6),
        stored("STOREDIST", "STORE", 6),
    ],
    flags: Flags::DENY_OOM.and(Flags::MOVABLE_KEYS),
    since: "3.2.0",
    summary: "Returns the places within a circle around a point, or stores them.",
    complexity: "O(N+log(M)) for N places around the circle, of M",
    syntax: "key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC|DESC] [STORE key|STOREDIST key]",
    history: &[
        ("6.2.0", "Added the `ANY` option for `COUNT`."),
        ("7.0.0", "Added support for uppercase unit names."),
    ],
    deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")),
    ..GEOADD
};

pub(super) const GEORADIUSBYMEMBER: Command = Command {
    name: "GEORADIUSBYMEMBER",
    run: Run::Write(|args, keys, reply| find_or_store(Middle::Member, args, keys, reply)),
    prepare: Some(|args, keys, reply| prepare(Middle::Member, args, keys, reply)),
    work: Some(|args, keys| visited(Middle::Member, args, keys)),
    arity: Arity::AtLeast(5),
    keys: &[
        KeySpec::one(1, KeyUse::READ),
        stored("STORE", "STOREDIST", 5),
        stored("STOREDIST", "STORE", 5),
    ],
    summary: "Returns the places within a circle around a member, or stores them.",
    syntax: "key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC|DESC] [STORE key|STOREDIST key]",
    deprecated: Some((
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    )),
    ..GEORADIUS
};

pub(super) const GEORADIUS_RO: Command = Command {
    name: "GEORADIUS_RO",
    run: Run::Read(|args, keys, reply| find(Middle::Point, args, keys, reply)),
    prepare: None,
    work: Some(|args, keys| visited(Middle::Point, args, keys)),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    since: "3.2.10",
    summary: "Returns the places within a circle around a point.",
    syntax: "key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC|DESC]",
    deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")),
    ..GEORADIUS
};

pub(super) const GEORADIUSBYMEMBER_RO: Command = Command {
    name: "GEORADIUSBYMEMBER_RO",
    run: Run::Read(|args, keys, reply| find(Middle::Member, args, keys, reply)),
    work: Some(|args, keys| visited(Middle::Member, args, keys)),
    arity: Arity::AtLeast(5),
    summary: "Returns the places within a circle around a member.",
    syntax: "key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC|DESC]",
    deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")),
    ..GEORADIUS_RO
};

/// The key behind an option that may stand from a word on.
const fn stored(word: &'static str, other: &'static str, from: u8) -> KeySpec {
    KeySpec {
        begin: Begin::Option { word, other, from },
        find: Find::Range { last: 0, step: 1 },
        usage: KeyUse::OVERWRITE,
        note: "",
    }
}

/// What the words behind the key say of the middle.
#[derive(Clone, Copy)]
enum Middle {
    Point,
    Member,
}

impl Middle {
    /// Takes the words up to the options. Nothing is asked of a member, or of the radius around
    /// it, where there is no set.
    fn take(self, args: &mut Args<'_>, set: Option<ZSetRef<'_>>) -> Result<Search, CommandError> {
        let middle = match (self, set) {
            (Middle::Point, _) => take_point(args)?,
            (Middle::Member, Some(set)) => member_place(set, args.bytes()?)?,
            (Middle::Member, None) => {
                *args = args.skip(3);
                return Ok(Search::NEW);
            }
        };
        Ok(Search::around(middle, take_radius(args)?))
    }
}

fn find(middle: Middle, mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let set = keys.zset(key.0)?;
    let mut search = middle.take(&mut args, set)?;
    while !args.is_empty() {
        if !search.take_option(&mut args)? {
            return Err(CommandError::Syntax);
        }
    }
    search.check_count()?;
    search.answer(set, reply);
    Ok(())
}

fn find_or_store(
    middle: Middle,
    args: Args<'_>,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    match outcome(middle, args, keys, reply)? {
        None => Ok(()),
        Some((destination, outcome)) => {
            outcome.put(Key(destination), event::GEORADIUSSTORE, keys, reply)
        }
    }
}

fn prepare<'p>(
    middle: Middle,
    args: Args<'_>,
    keys: &View<'_>,
    reply: &mut Reply<'_>,
) -> Result<Prepared<'p>, CommandError> {
    Ok(match outcome(middle, args, keys, reply)? {
        None => Prepared::Answered,
        Some((destination, outcome)) => outcome.later(destination.to_vec(), event::GEORADIUSSTORE),
    })
}

/// What is to be stored and where; none if nothing is, and the search is answered.
fn outcome<'a>(
    middle: Middle,
    mut args: Args<'a>,
    keys: &View<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<(&'a [u8], Outcome)>, CommandError> {
    let key: Key<'_> = args.take()?;
    let set = keys.zset(key.0)?;
    let mut search = middle.take(&mut args, set)?;
    let mut destination: Option<&[u8]> = None;
    while !args.is_empty() {
        let by_distance = args.word_with_value("STOREDIST");
        if by_distance || args.word_with_value("STORE") {
            destination = Some(args.bytes()?);
            search.by_distance = by_distance;
        } else if !search.take_option(&mut args)? {
            return Err(CommandError::Syntax);
        }
    }
    if destination.is_some() {
        search.check_stores("STORE option in GEORADIUS")?;
    }
    search.check_count()?;
    let Some(destination) = destination else {
        search.answer(set, reply);
        return Ok(None);
    };
    Ok(Some((destination, Outcome::of(search.pairs(set), keys)?)))
}

/// How many places a search looks at.
fn visited(middle: Middle, args: Args<'_>, keys: &View<'_>) -> u64 {
    work::part(args, keys, |key| {
        let set = keys.stored(key).and_then(|stored| zset_of(stored, keys.hasher()));
        let search = middle.take(&mut args.skip(1), set).ok();
        search.map_or(0, |search| search.visited(set))
    })
}

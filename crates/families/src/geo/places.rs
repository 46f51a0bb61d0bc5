//! Places by name: GEOADD, GEODIST, GEOHASH, GEOPOS.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event,
};
use keyspace::count_done;

use super::hash::{Point, geohash};
use super::shape::{Unit, distance, distance_text};
use crate::sorted_set::When;

pub(super) const GEOADD: Command = Command {
    name: "GEOADD",
    run: Run::Write(geoadd),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::one(1, KeyUse::CHANGE)],
    flags: Flags::DENY_OOM,
    category: Category::GEO,
    group: Group::Geo,
    since: "3.2.0",
    summary: "Adds places to a sorted set, which is made if need be, or moves them.",
    complexity: "O(log(N)) for each place",
    syntax: "key [NX|XX] [CH] (longitude latitude member) ...",
    history: &[("6.2.0", "`CH`, `NX` and `XX`.")],
    ..Command::BASE
};

fn geoadd(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let (mut when, mut count_changed) = (When::default(), false);
    loop {
        if args.word("NX") {
            when.if_new = true;
        } else if args.word("XX") {
            when.if_present = true;
        } else if args.word("CH") {
            count_changed = true;
        } else {
            break;
        }
    }
    if !args.len().is_multiple_of(3) || when.if_new && when.if_present {
        return Err(CommandError::Syntax);
    }
    let mut checked = args;
    while !checked.is_empty() {
        take_point(&mut checked)?;
        checked.bytes()?;
    }
    if args.is_empty() {
        return Err(CommandError::Syntax);
    }
    let mut entry = keys.zset_entry(key.0)?;
    if !when.if_present {
        entry.expect(args.len() / 3, args.get(2).map_or(0, <[u8]>::len));
    }
    let mut added = 0;
    let (done, outcome) = count_done(0..args.len() / 3, |_| {
        let score = take_point(&mut args)?.score() as f64;
        let name = args.bytes()?;
        let update = entry.update(name, |old| Ok::<_, CommandError>(when.decide(old, score)))?;
        added += usize::from(update.is_added());
        Ok::<_, CommandError>(update.is_added() || update.is_changed())
    });
    if done > 0 {
        entry.noted_parts(event::ZADD, done);
    }
    outcome?;
    reply.integer(if count_changed { done } else { added } as i64);
    Ok(())
}

/// Takes a longitude and a latitude.
pub(super) fn take_point(args: &mut Args<'_>) -> Result<Point, CommandError> {
    let (longitude, latitude): (f64, f64) = (args.take()?, args.take()?);
    Point::new(longitude, latitude).ok_or_else(|| {
        CommandError::text(format!(
            "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        ))
    })
}

/// Takes a unit.
pub(super) fn take_unit(args: &mut Args<'_>) -> Result<Unit, CommandError> {
    Unit::parse(args.bytes()?).ok_or_else(|| {
        CommandError::text("ERR unsupported unit provided. please use M, KM, FT, MI")
    })
}

pub(super) const GEODIST: Command = Command {
    name: "GEODIST",
    run: Run::Read(geodist),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    summary: "Returns the distance of two places.",
    complexity: "O(1)",
    syntax: "key member other [M|KM|FT|MI]",
    history: &[],
    ..GEOADD
};

fn geodist(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, one, other): (Key<'_>, &[u8], &[u8]) = (args.take()?, args.take()?, args.take()?);
    if args.len() > 1 {
        return Err(CommandError::Syntax);
    }
    let unit = if args.is_empty() { Unit::Metre } else { take_unit(&mut args)? };
    let scores = keys.zset(key.0)?.and_then(|set| Some((set.score(one)?, set.score(other)?)));
    match scores {
        None => reply.null(),
        Some((one, other)) => {
            let metres = distance(Point::of_score(one), Point::of_score(other));
            reply.bulk(distance_text(metres / unit.metres()).as_bytes());
        }
    }
    Ok(())
}

pub(super) const GEOHASH: Command = Command {
    name: "GEOHASH",
    run: Run::Read(|args, keys, reply| {
        each(args, keys, reply, Reply::null, |point, reply| reply.bulk(&geohash(point)))
    }),
    arity: Arity::AtLeast(2),
    summary: "Returns places as geohashes, by which places near each other have texts alike.",
    complexity: "O(1) for each place",
    syntax: "key [member ...]",
    ..GEODIST
};

pub(super) const GEOPOS: Command = Command {
    name: "GEOPOS",
    run: Run::Read(|args, keys, reply| each(args, keys, reply, Reply::null_array, tell_point)),
    summary: "Returns the longitudes and latitudes of places.",
    ..GEOHASH
};

fn each<'a>(
    mut args: Args<'_>,
    keys: &View<'_>,
    reply: &mut Reply<'a>,
    none: impl Fn(&mut Reply<'a>),
    tell: impl Fn(Point, &mut Reply<'a>),
) -> Done {
    let key: Key<'_> = args.take()?;
    let set = keys.zset(key.0)?;
    reply.array(args.len());
    for name in args.rest() {
        match set.and_then(|set| set.score(name)) {
            Some(score) => tell(Point::of_score(score), reply),
            None => none(reply),
        }
    }
    Ok(())
}

/// Tells a longitude and a latitude.
pub(super) fn tell_point(point: Point, reply: &mut Reply<'_>) {
    reply.array(2);
    reply.double(point.longitude);
    reply.double(point.latitude);
}

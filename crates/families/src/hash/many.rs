//! All fields: HGETALL, HKEYS, HVALS, HSCAN.

use command::{Args, Arity, Command, Done, Flags, Key, KeySpec, KeyUse, Reply, Run, View};
use keyspace::Type;
use value::entries::Digits;
use value::map::MapRef;

use super::fields::HGET;
use crate::element::tell;
use crate::walk::Walk;
use crate::work;

pub(super) const HGETALL: Command = Command {
    name: "HGETALL",
    member: None,
    work: Some(work::whole),
    run: Run::Read(hgetall),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    summary: "Returns all fields of a hash with their values.",
    complexity: "O(N)",
    syntax: "key",
    tips: &["nondeterministic_output_order"],
    ..HGET
};

fn hgetall(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let Some(map) = keys.hash_map(key.0)? else {
        reply.map(0);
        return Ok(());
    };
    reply.map(map.len());
    for (field, value) in map.iter() {
        tell(field, reply);
        tell(value, reply);
    }
    Ok(())
}

pub(super) const HKEYS: Command = Command {
    name: "HKEYS",
    run: Run::Read(hkeys),
    summary: "Returns all fields of a hash.",
    ..HGETALL
};

fn hkeys(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let map = keys.hash_map(key.0)?;
    reply.array(map.map_or(0, |map| map.len()));
    map.iter().flat_map(MapRef::iter).for_each(|(field, _)| tell(field, reply));
    Ok(())
}

pub(super) const HVALS: Command = Command {
    name: "HVALS",
    run: Run::Read(hvals),
    summary: "Returns the values of all fields of a hash.",
    ..HGETALL
};

fn hvals(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let map = keys.hash_map(key.0)?;
    reply.array(map.map_or(0, |map| map.len()));
    map.iter().flat_map(MapRef::iter).for_each(|(_, value)| tell(value, reply));
    Ok(())
}

pub(super) const HSCAN: Command = Command {
    name: "HSCAN",
    work: Some(work::met),
    run: Run::Read(hscan),
    arity: Arity::AtLeast(3),
    since: "2.8.0",
    summary: "Returns some fields of a hash with their values, and where to go on.",
    complexity: "O(1) a call, O(N) for all",
    syntax: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
    tips: &["nondeterministic_output"],
    ..HGETALL
};

fn hscan(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut walk = Walk::begin(&mut args)?;
    let Some(map) = keys.hash_map(key.0)? else { return walk.tell_nothing(reply) };
    walk.parse(args, Type::Hash)?;
    let small = matches!(map, MapRef::Packed(..));
    walk.run(small, reply, |cursor, found| {
        map.scan(cursor, |(field, value)| {
            let mut digits = Digits::new();
            let field = field.to_text(&mut digits);
            if !found.takes(field) {
                return;
            }
            found.part(field);
            if !walk.names_only {
                found.part(value.to_text(&mut Digits::new()));
            }
        })
    })
}

//! Members one by one: SADD, SREM, SMOVE, SCARD, SISMEMBER, SMISMEMBER, SMEMBERS, SSCAN.

use command::{
    Args, Arity, Category, Command, Done, Flags, Group, Key, KeySpec, KeyUse, Reply, Run, View,
    event,
};
use keyspace::{Type, count_done};

use crate::element::tell;
use crate::walk::Walk;
use crate::work;

pub(super) const SADD: Command = Command {
    name: "SADD",
    run: Run::Write(sadd),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::INSERT)],
    member: Some(2),
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::SET,
    group: Group::Set,
    since: "1.0.0",
    summary: "Adds members to a set, which is made if need be.",
    complexity: "O(1) for each member",
    syntax: "key member ...",
    history: &[("2.4.0", "Several members.")],
    ..Command::BASE
};

fn sadd(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut entry = keys.set_entry(key.0)?;
    let added = entry.insert_all(args.rest())?;
    if added > 0 {
        entry.noted_parts(event::SADD, added);
    }
    reply.integer(added as i64);
    Ok(())
}

pub(super) const SREM: Command = Command {
    name: "SREM",
    run: Run::Write(srem),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "delete"]))],
    flags: Flags::FAST,
    summary: "Takes members out of a set.",
    ..SADD
};

fn srem(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut entry = keys.set_entry(key.0)?;
    let (removed, outcome) = count_done(args.rest(), |member| entry.remove(member));
    if removed > 0 {
        entry.noted_parts(event::SREM, removed);
    }
    outcome?;
    reply.integer(removed as i64);
    Ok(())
}

pub(super) const SMOVE: Command = Command {
    name: "SMOVE",
    member: Some(3),
    run: Run::Write(smove),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::TAKE), KeySpec::one(2, KeyUse::INSERT)],
    flags: Flags::FAST,
    summary: "Moves a member from one set to another.",
    complexity: "O(1)",
    syntax: "source destination member",
    history: &[],
    ..SADD
};

/// A member that is new to the destination takes its deadline along.
fn smove(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (from, to, member): (Key<'_>, Key<'_>, &[u8]) = args.parse()?;
    let source = keys.set_entry(from.0)?;
    let is_there = !source.is_empty();
    let found = source.get().and_then(|set| set.deadline(member));
    if is_there {
        // The type of the destination matters even if nothing moves.
        keys.set_entry(to.0)?;
    }
    if let Some(deadline) = found
        && from.0 != to.0
    {
        let mut destination = keys.set_entry(to.0)?;
        let is_there = destination.get().is_some_and(|set| set.contains(member));
        let is_new = match deadline.filter(|_| !is_there) {
            Some(deadline) => destination.insert_until(member, deadline)?,
            None => destination.insert(member)?,
        };
        // The source is told of first.
        destination.recount();
        let mut source = keys.set_entry(from.0)?;
        let removed = source.remove(member);
        if removed.is_ok() {
            source.noted(event::SREM);
        }
        if is_new {
            keys.set_entry(to.0)?.noted(event::SADD);
        }
        removed?;
    }
    reply.integer(i64::from(found.is_some()));
    Ok(())
}

pub(super) const SCARD: Command = Command {
    name: "SCARD",
    member: None,
    run: Run::Read(scard),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::LOOK)],
    flags: Flags::FAST,
    summary: "Returns how many members a set has.",
    complexity: "O(1)",
    syntax: "key",
    history: &[],
    ..SADD
};

fn scard(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    reply.integer(keys.set(key.0)?.map_or(0, |set| set.len()) as i64);
    Ok(())
}

pub(super) const SISMEMBER: Command = Command {
    name: "SISMEMBER",
    member: Some(2),
    run: Run::Read(sismember),
    arity: Arity::Exactly(3),
    summary: "Returns whether a set has a member.",
    syntax: "key member",
    ..SCARD
};

fn sismember(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, member): (Key<'_>, &[u8]) = args.parse()?;
    let is_there = keys.set(key.0)?.is_some_and(|set| set.contains(member));
    reply.integer(i64::from(is_there));
    Ok(())
}

pub(super) const SMISMEMBER: Command = Command {
    name: "SMISMEMBER",
    member: Some(2),
    run: Run::Read(smismember),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    since: "6.2.0",
    summary: "Returns of each of several members whether a set has it.",
    complexity: "O(1) for each member",
    syntax: "key member ...",
    ..SCARD
};

fn smismember(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let set = keys.set(key.0)?;
    reply.array(args.len());
    for member in args.rest() {
        let is_there = set.is_some_and(|set| set.contains(member));
        reply.integer(i64::from(is_there));
    }
    Ok(())
}

pub(super) const SMEMBERS: Command = Command {
    name: "SMEMBERS",
    work: Some(work::whole),
    run: Run::Read(smembers),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    summary: "Returns all members of a set.",
    complexity: "O(N)",
    tips: &["nondeterministic_output_order"],
    ..SCARD
};

fn smembers(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let Some(set) = keys.set(key.0)? else {
        reply.set(0);
        return Ok(());
    };
    reply.set(set.len());
    set.iter().for_each(|element| tell(element, reply));
    Ok(())
}

pub(super) const SSCAN: Command = Command {
    name: "SSCAN",
    work: Some(work::met),
    run: Run::Read(sscan),
    arity: Arity::AtLeast(3),
    since: "2.8.0",
    summary: "Returns some members of a set, and where to go on.",
    complexity: "O(1) a call, O(N) for all",
    syntax: "key cursor [MATCH pattern] [COUNT count]",
    tips: &["nondeterministic_output"],
    ..SMEMBERS
};

fn sscan(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut walk = Walk::begin(&mut args)?;
    let Some(set) = keys.set(key.0)? else { return walk.tell_nothing(reply) };
    walk.parse(args, Type::Set)?;
    walk.run(set.is_small(), reply, |cursor, found| {
        set.scan(cursor, |element| found.element(element))
    })
}

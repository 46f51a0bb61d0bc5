//! Elements added: `LPUSH`, `RPUSH`, `LPUSHX`, `RPUSHX`, `LINSERT`.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event,
};
use keyspace::End;

use super::end::pushed;
use crate::work;

pub(super) const LPUSH: Command = Command {
    name: "LPUSH",
    run: Run::Write(lpush),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::INSERT)],
    flags: Flags::DENY_OOM.and(Flags::FAST),
    category: Category::LIST,
    group: Group::List,
    since: "1.0.0",
    summary: "Puts elements before the first one of a list, which is made if there is none.",
    complexity: "O(1) for each element",
    syntax: "key element ...",
    history: &[("2.4.0", "Accepts multiple `element` arguments.")],
    ..Command::BASE
};

pub(super) const RPUSH: Command = Command {
    name: "RPUSH",
    run: Run::Write(rpush),
    summary: "Puts elements behind the last one of a list, which is made if there is none.",
    ..LPUSH
};

pub(super) const LPUSHX: Command = Command {
    name: "LPUSHX",
    run: Run::Write(lpushx),
    since: "2.2.0",
    summary: "Puts elements before the first one of a list, if there is a list.",
    history: &[("4.0.0", "Accepts multiple `element` arguments.")],
    ..LPUSH
};

pub(super) const RPUSHX: Command = Command {
    name: "RPUSHX",
    run: Run::Write(rpushx),
    summary: "Puts elements behind the last one of a list, if there is a list.",
    ..LPUSHX
};

fn lpush(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    push(args, keys, reply, End::Front)
}

fn rpush(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    push(args, keys, reply, End::Back)
}

#[inline]
fn push(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>, end: End) -> Done {
    let key: Key<'_> = args.take()?;
    let len = keys.list_entry(key.0)?.push(end, args.rest(), pushed(end))?;
    reply.integer(len as i64);
    Ok(())
}

fn lpushx(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    push_if_there(args, keys, reply, End::Front)
}

fn rpushx(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    push_if_there(args, keys, reply, End::Back)
}

fn push_if_there(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>, end: End) -> Done {
    let key: Key<'_> = args.take()?;
    let mut entry = keys.list_entry(key.0)?;
    let len = if entry.exists() { entry.push(end, args.rest(), pushed(end))? } else { 0 };
    reply.integer(len as i64);
    Ok(())
}

pub(super) const LINSERT: Command = Command {
    name: "LINSERT",
    work: Some(work::looks),
    run: Run::Write(linsert),
    arity: Arity::Exactly(5),
    flags: Flags::DENY_OOM,
    since: "2.2.0",
    summary: "Puts an element before or behind another one of a list.",
    complexity: "O(N) where N is how many elements are before the other one",
    syntax: "key <BEFORE | AFTER> pivot element",
    history: &[],
    ..LPUSH
};

fn linsert(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let behind = args.word("AFTER");
    if !behind && !args.word("BEFORE") {
        return Err(CommandError::Syntax);
    }
    let (pivot, element): (&[u8], &[u8]) = args.parse()?;
    let mut entry = keys.list_entry(key.0)?;
    let len = match entry.exists() {
        false => 0,
        true => entry.insert(pivot, behind, element, event::LINSERT)?.map_or(-1, |len| len as i64),
    };
    reply.integer(len);
    Ok(())
}

//! Elements taken at an end: `LPOP`, `RPOP`, `LMPOP`.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, parse_integer, parse_positive,
};
use keyspace::End;

use super::end::{Side, popped};
use super::reply_with;
use crate::work;

pub(super) const LPOP: Command = Command {
    name: "LPOP",
    work: Some(work::taken),
    run: Run::Write(lpop),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse::TAKE)],
    flags: Flags::FAST,
    category: Category::LIST,
    group: Group::List,
    since: "1.0.0",
    summary: "Takes the first elements of a list and returns them.",
    complexity: "O(N) where N is how many are returned",
    syntax: "key [count]",
    history: &[("6.2.0", "Added the `count` argument.")],
    ..Command::BASE
};

pub(super) const RPOP: Command = Command {
    name: "RPOP",
    run: Run::Write(rpop),
    summary: "Takes the last elements of a list and returns them, the last one first.",
    ..LPOP
};

fn lpop(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    pop(args, keys, reply, End::Front, "lpop")
}

fn rpop(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    pop(args, keys, reply, End::Back, "rpop")
}

#[inline]
fn pop(
    mut args: Args<'_>,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
    end: End,
    name: &str,
) -> Done {
    let key: Key<'_> = args.take()?;
    if !args.is_empty() {
        return pop_several(key, args, keys, reply, end, name);
    }
    let mut entry = keys.list_entry(key.0)?;
    if !entry.pop(end, 1, popped(end), |element| reply_with(element, reply))? {
        reply.null();
    }
    Ok(())
}

fn pop_several(
    key: Key<'_>,
    args: Args<'_>,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
    end: End,
    name: &str,
) -> Done {
    if args.len() > 1 {
        return Err(CommandError::WrongArity(name.into()));
    }
    let count = args.get(0).and_then(parse_integer).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or(CommandError::NotPositive)?;
    if !reply_popped(key.0, end, count, keys, reply)? {
        reply.null_array();
    }
    Ok(())
}

/// Takes up to `count` elements of a list and answers with them; tells whether there is a list,
/// and answers nothing if there is none.
fn reply_popped(
    key: &[u8],
    end: End,
    count: usize,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Result<bool, CommandError> {
    let mut entry = keys.list_entry(key)?;
    if !entry.exists() {
        return Ok(false);
    }
    reply.array(count.min(entry.len()));
    Ok(entry.pop(end, count, popped(end), |element| reply_with(element, reply))?)
}

pub(super) const LMPOP: Command = Command {
    name: "LMPOP",
    work: Some(work::taken_of_any),
    run: Run::Write(lmpop),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::counted(1, KeyUse::TAKE)],
    flags: Flags::MOVABLE_KEYS,
    since: "7.0.0",
    summary: "Takes elements at an end of the first list that there is among several keys.",
    complexity: "O(N + M) where N is the number of keys and M how many elements are returned",
    syntax: "numkeys key ... <LEFT | RIGHT> [COUNT count]",
    history: &[],
    ..LPOP
};

fn lmpop(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    if !Popping::parse(args)?.run(keys, reply)? {
        reply.null_array();
    }
    Ok(())
}

/// What is taken of the first list among several keys.
pub(super) struct Popping<'a> {
    names: Args<'a>,
    end: End,
    count: usize,
}

impl<'a> Popping<'a> {
    pub(super) fn parse(mut args: Args<'a>) -> Result<Popping<'a>, CommandError> {
        let numkeys = parse_positive(args.bytes()?).ok_or(CommandError::NumKeys)?;
        let names = args.first(numkeys);
        let mut args = args.skip(numkeys);
        let Side(end) = args.take()?;
        let mut count = 1;
        if args.word_with_value("COUNT") {
            count = parse_positive(args.bytes()?).ok_or(CommandError::CountNotPositive)?;
        }
        args.end()?;
        Ok(Popping { names, end, count })
    }

    /// Takes and answers; tells whether there is a list in the entered shards, and answers nothing
    /// if there is none.
    pub(super) fn run(
        self,
        keys: &mut View<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<bool, CommandError> {
        for key in self.names.rest() {
            if keys.has_entered(key) && pop_of_one(key, self.end, self.count, keys, reply)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Takes up to `count` elements of a list and answers with its key and with them; tells whether
/// there is a list, and answers nothing if there is none.
pub(super) fn pop_of_one(
    key: &[u8],
    end: End,
    count: usize,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Result<bool, CommandError> {
    if !keys.list_entry(key)?.exists() {
        return Ok(false);
    }
    reply.array(2);
    reply.bulk(key);
    reply_popped(key, end, count, keys, reply)
}

//! Elements moved from list to list: `LMOVE`, `LMOVEM`, `RPOPLPUSH`.
//!
//! An element comes to its new place before it goes from the old one, and that is the order in
//! which it is told.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, parse_positive,
};
use keyspace::End;

use super::end::{Side, popped, pushed};
use super::texts::Texts;
use crate::work;

pub(super) const LMOVE: Command = Command {
    name: "LMOVE",
    run: Run::Write(lmove),
    arity: Arity::Exactly(5),
    keys: &[KeySpec::one(1, KeyUse::TAKE), KeySpec::one(2, KeyUse::INSERT)],
    flags: Flags::DENY_OOM,
    category: Category::LIST,
    group: Group::List,
    since: "6.2.0",
    summary: "Moves an element from an end of a list to an end of another, and returns it.",
    syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
    ..Command::BASE
};

pub(super) const RPOPLPUSH: Command = Command {
    name: "RPOPLPUSH",
    run: Run::Write(rpoplpush),
    arity: Arity::Exactly(3),
    since: "1.2.0",
    summary: "Moves the last element of a list to the front of another, and returns it.",
    syntax: "source destination",
    deprecated: Some(("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
    ..LMOVE
};

pub(super) const LMOVEM: Command = Command {
    name: "LMOVEM",
    run: Run::Write(lmovem),
    work: Some(|args, keys| moved(args, 4, keys)),
    arity: Arity::AtLeast(5),
    since: "8.10.0",
    summary: "Moves elements from an end of a list to an end of another, and returns them.",
    complexity: "O(N) where N is how many elements are moved",
    syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT> \
             [<COUNT count | EXACTLY exactly> <OBO | BULK>]",
    ..LMOVE
};

/// To move as many elements of the first key as a number says behind the word at `at`.
pub(super) fn moved(args: Args<'_>, at: usize, keys: &View<'_>) -> u64 {
    let count = work::number_in(args.get(at + 1)).map_or(1, i64::unsigned_abs);
    work::REMOVE_STEPS * work::some(count, args, keys)
}

/// What is moved, and where to.
#[derive(Clone, Copy)]
pub(super) struct Move<'a> {
    pub(super) source: Key<'a>,
    pub(super) destination: Key<'a>,
    pub(super) from: End,
    pub(super) to: End,
}

fn lmove(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let step = Move::parse(&mut args)?;
    args.end()?;
    reply_moved(step, keys, reply)
}

fn rpoplpush(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (source, destination) = args.parse()?;
    reply_moved(Move { source, destination, from: End::Back, to: End::Front }, keys, reply)
}

fn reply_moved(step: Move<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    match step.run(1, false, keys)? {
        Some(moved) => moved.texts(false).for_each(|text| reply.bulk(text)),
        None => reply.null(),
    }
    Ok(())
}

/// How many elements LMOVEM moves, and in which order they lie then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    count: usize,
    /// Nothing is moved if there are fewer.
    exactly: bool,
    /// One by one, which turns the order round where both ends are the same.
    one_by_one: bool,
}

fn lmovem(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let step = Move::parse(&mut args)?;
    if !step.run_many(Amount::parse(args)?, keys, reply)? {
        reply.null();
    }
    Ok(())
}

impl Amount {
    /// Whether elements are moved where so many are, at least one.
    pub(super) fn allows(self, there: usize) -> bool {
        !self.exactly || there >= self.count
    }

    pub(super) fn parse(mut args: Args<'_>) -> Result<Amount, CommandError> {
        if args.is_empty() {
            return Ok(Amount { count: 1, exactly: false, one_by_one: true });
        }
        let exactly = args.word_with_value("EXACTLY");
        if !exactly && !args.word_with_value("COUNT") {
            return Err(CommandError::Syntax);
        }
        let count = parse_positive(args.bytes()?).ok_or(CommandError::CountNotPositive)?;
        let one_by_one = args.word("OBO");
        if !one_by_one && !args.word("BULK") {
            return Err(CommandError::Syntax);
        }
        args.end()?;
        Ok(Amount { count, exactly, one_by_one })
    }
}

impl<'a> Move<'a> {
    pub(super) fn parse(args: &mut Args<'a>) -> Result<Move<'a>, CommandError> {
        let (source, destination) = (args.take()?, args.take()?);
        let (Side(from), Side(to)) = (args.take()?, args.take()?);
        Ok(Move { source, destination, from, to })
    }

    /// Moves elements and answers with them, as they lie in the destination then; tells whether
    /// there are enough, and answers nothing if not.
    pub(super) fn run_many(
        self,
        amount: Amount,
        keys: &mut View<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<bool, CommandError> {
        let there = keys.list_entry(self.source.0)?.len();
        let moved = match amount.allows(there) {
            true => self.run(amount.count, !amount.one_by_one, keys)?,
            false => None,
        };
        let Some(moved) = moved else { return Ok(false) };
        reply.array(moved.len());
        // Whichever way they came there.
        moved.texts(self.to == End::Front).for_each(|text| reply.bulk(text));
        Ok(true)
    }

    /// Moves up to `count` elements, in the order in which they are returned; `None` if there is
    /// no list to move from. `in_order`: they lie in the destination as they did in the source.
    pub(super) fn run(
        self,
        count: usize,
        in_order: bool,
        keys: &mut View<'_>,
    ) -> Result<Option<Texts>, CommandError> {
        let Move { source, destination, from, to } = self;
        let before = keys.changes();
        let entry = keys.list_entry(source.0)?;
        let Some(list) = entry.get() else { return Ok(None) };
        let count = count.min(list.len());
        let mut moved = Texts::default();
        match from {
            End::Front => list.range(0..count).for_each(|one| moved.add_element(one)),
            End::Back => {
                let last = list.range(list.len() - count..list.len());
                last.rev().for_each(|one| moved.add_element(one));
            }
        }
        // Taken one by one and put to the same end they lie the other way round.
        if in_order && from == to {
            moved.turn();
        }
        keys.list_entry(destination.0)?.push(to, moved.texts(false), pushed(to))?;
        // In a list that is turned round in itself they come to lie before those that go.
        let first = if source == destination && from == to { count } else { 0 };
        let mut entry = keys.list_entry(source.0)?;
        let gone = match from {
            End::Front => first..first + count,
            End::Back => {
                let end = entry.len() - first;
                end - count..end
            }
        };
        entry.remove(gone, popped(from))?;
        keys.count_since(before, count);
        Ok(Some(moved))
    }
}

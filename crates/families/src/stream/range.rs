//! XLEN, XRANGE, XREVRANGE: what is in a stream.

use command::{
    Arg, Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Reply, Run, View,
};
use keyspace::Stored;
use keyspace::stream::StreamId;
use value::Big;

use super::words::{End, Start, at_least_zero, tell_entries};
use crate::work;

pub(super) const XLEN: Command = Command {
    name: "XLEN",
    run: Run::Read(xlen),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::LOOK)],
    flags: Flags::FAST,
    category: Category::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    summary: "Returns the number of entries of a stream.",
    syntax: "key",
    ..Command::BASE
};

fn xlen(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let len = keys.stream(key.0)?.map_or(0, |stream| stream.log.len());
    reply.integer(len.cast_signed());
    Ok(())
}

pub(super) const XRANGE: Command = Command {
    name: "XRANGE",
    work: Some(|args, keys| amount(args.get(1), args.get(2), args, keys)),
    run: Run::Read(xrange),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    category: Category::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    summary: "Returns the entries of a stream between two ids.",
    complexity: "O(N) where N is the number of entries returned",
    syntax: "key start end [COUNT count]",
    history: &[("6.2.0", "Added exclusive ranges.")],
    ..Command::BASE
};

fn xrange(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, Start(from)): (Key<'_>, Start) = (args.take()?, args.take()?);
    let End(to) = args.take()?;
    tell_range(args, keys, reply, Range { key, from, to, back: false })
}

pub(super) const XREVRANGE: Command = Command {
    name: "XREVRANGE",
    work: Some(|args, keys| amount(args.get(2), args.get(1), args, keys)),
    run: Run::Read(xrevrange),
    summary: "Returns the entries of a stream between two ids, the last one first.",
    syntax: "key end start [COUNT count]",
    ..XRANGE
};

fn xrevrange(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, end): (Key<'_>, &[u8]) = (args.take()?, args.bytes()?);
    // The start is looked at first, though it comes last.
    let Start(from) = args.take()?;
    let End(to) = Arg::parse(end)?;
    tell_range(args, keys, reply, Range { key, from, to, back: true })
}

/// About how many entries a request means.
fn amount(from: Option<&[u8]>, to: Option<&[u8]>, args: Args<'_>, keys: &View<'_>) -> u64 {
    work::part(args, keys, |key| {
        let from = from.and_then(|from| Start::parse(from).ok());
        let to = to.and_then(|to| End::parse(to).ok());
        let Some((Start(from), End(to))) = from.zip(to) else { return 0 };
        let Some(Stored::Big(Big::Stream(stream))) = keys.stored(key) else { return 0 };
        stream.log.about(from, to).min(work::limit(args.skip(3)))
    })
}

/// The entries that are asked for.
struct Range<'a> {
    key: Key<'a>,
    from: StreamId,
    to: StreamId,
    back: bool,
}

fn tell_range(
    mut options: Args<'_>,
    keys: &View<'_>,
    reply: &mut Reply<'_>,
    range: Range<'_>,
) -> Done {
    let mut count = usize::MAX;
    while !options.is_empty() {
        if !options.word_with_value("COUNT") {
            return Err(CommandError::Syntax);
        }
        count = at_least_zero(options.take()?);
    }
    let Range { key, from, to, back } = range;
    let Some(stream) = keys.stream(key.0)? else {
        reply.array(0);
        return Ok(());
    };
    if count == 0 {
        reply.null_array();
    } else if back {
        tell_entries(reply, stream.log.range_back(from, to).take(count));
    } else {
        tell_entries(reply, stream.log.range(from, to).take(count));
    }
    Ok(())
}

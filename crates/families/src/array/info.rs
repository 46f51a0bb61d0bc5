//! How an array lies: `ARINFO`.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View,
};
use keyspace::ArrayRef;
use keyspace::array::{SLICE_SLOTS, Shape};

use super::words::tell_index;
use crate::work;

pub(super) const ARINFO: Command = Command {
    name: "ARINFO",
    // Slices hold many values, mostly.
    work: Some(work::looks),
    run: Run::Read(arinfo),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    category: Category::ARRAY,
    group: Group::Array,
    since: "8.8.0",
    summary: "Tells what is known of an array.",
    complexity: "O(1), with FULL O(N) where N is the number of slices",
    syntax: "key [FULL]",
    ..Command::BASE
};

fn arinfo(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let full = args.word("FULL");
    args.end()?;
    let array = keys.array(key.0)?.ok_or(CommandError::NoSuchKey)?;
    reply.map(if full { 12 } else { 7 });
    tell_summary(array, reply);
    if full {
        tell_shape(array.shape(), reply);
    }
    Ok(())
}

/// Seven pairs.
fn tell_summary(array: ArrayRef<'_>, reply: &mut Reply<'_>) {
    let (facts, next) = (array.facts(), array.cursor().next);
    let pairs = [
        ("len", array.len()),
        ("count", array.count()),
        ("next-insert-index", if next == u64::MAX { 0 } else { next }),
        ("slices", facts.slices),
        ("directory-size", facts.directory),
        // What finds the slices has one level to clients.
        ("super-dir-entries", 0),
        ("slice-size", SLICE_SLOTS),
    ];
    for (name, number) in pairs {
        reply.bulk(name.as_bytes());
        tell_index(number, reply);
    }
}

/// Five pairs.
fn tell_shape(shape: Shape, reply: &mut Reply<'_>) {
    for (name, number) in [("dense-slices", shape.dense), ("sparse-slices", shape.sparse)] {
        reply.bulk(name.as_bytes());
        tell_index(number, reply);
    }
    let means = [
        ("avg-dense-size", ratio(shape.dense_room, shape.dense)),
        ("avg-dense-fill", ratio(shape.dense_used, shape.dense_room)),
        ("avg-sparse-size", ratio(shape.sparse_room, shape.sparse)),
    ];
    for (name, number) in means {
        reply.bulk(name.as_bytes());
        reply.double(number);
    }
}

fn ratio(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}

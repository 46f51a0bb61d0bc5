//! XDEL, XDELEX, XACKDEL: entries removed from anywhere in a stream.

use command::{
    Args, Arity, Category, Command, Done, Flags, Group, Key, KeySpec, KeyUse, Reply, Run, View,
    event,
};
use keyspace::StreamEntry;
use keyspace::stream::{References, Removal, Stream, StreamId};

use super::words::{ids, references_and_ids};

pub(super) const XDEL: Command = Command {
    name: "XDEL",
    run: Run::Write(xdel),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "delete"]))],
    flags: Flags::FAST,
    category: Category::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    summary: "Removes entries from a stream; returns how many there were.",
    complexity: "O(1) for each entry",
    syntax: "key id [id ...]",
    ..Command::BASE
};

fn xdel(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let mut entry = keys.stream_entry(key.0)?;
    let Some(stream) = entry.get_mut() else {
        reply.integer(0);
        return Ok(());
    };
    let deleted = ids(args)?.into_iter().filter(|&id| stream.log.delete(id)).count();
    if deleted > 0 {
        entry.noted(event::XDEL);
    }
    reply.integer(deleted as i64);
    Ok(())
}

pub(super) const XDELEX: Command = Command {
    name: "XDELEX",
    run: Run::Write(xdelex),
    arity: Arity::AtLeast(5),
    since: "8.2.0",
    summary: "Removes entries from a stream, and says what becomes of what refers to them.",
    syntax: "key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
    ..XDEL
};

fn xdelex(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let (references, ids) = references_and_ids(args)?;
    let mut entry = keys.stream_entry(key.0)?;
    reply.array(ids.len());
    let Some(stream) = entry.get_mut() else {
        ids.iter().for_each(|_| tell(reply, Removal::Missing));
        return Ok(());
    };
    let mut changes = Changes::default();
    for id in ids {
        let removal = remove(stream, id, references, &mut changes);
        tell(reply, removal);
    }
    note(&mut entry, changes);
    Ok(())
}

pub(super) const XACKDEL: Command = Command {
    name: "XACKDEL",
    run: Run::Write(xackdel),
    arity: Arity::AtLeast(6),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "update", "delete"]))],
    summary: "Acknowledges entries in a group and removes them from the stream.",
    syntax: "key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
    ..XDELEX
};

fn xackdel(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, name): (Key<'_>, &[u8]) = (args.take()?, args.bytes()?);
    let (references, ids) = references_and_ids(args)?;
    let mut entry = keys.stream_entry_read(key.0)?;
    reply.array(ids.len());
    let stream = entry.get_mut().filter(|stream| stream.group(name).is_some());
    let Some(stream) = stream else {
        ids.iter().for_each(|_| tell(reply, Removal::Missing));
        return Ok(());
    };
    let mut changes = Changes::default();
    for id in ids {
        let is_pending = stream.group_mut(name).is_some_and(|(group, _)| group.acknowledge(id));
        changes.any |= is_pending;
        let removal = if is_pending {
            remove(stream, id, references, &mut changes)
        } else {
            Removal::Missing
        };
        tell(reply, removal);
    }
    note(&mut entry, changes);
    Ok(())
}

/// What was done to a stream.
#[derive(Clone, Copy, Default)]
struct Changes {
    any: bool,
    deleted: bool,
}

fn remove(
    stream: &mut Stream,
    id: StreamId,
    references: References,
    changes: &mut Changes,
) -> Removal {
    changes.any |= references == References::Delete;
    // With no group there is nobody who could have acknowledged it.
    if references == References::Respect && stream.groups().is_empty() && stream.log.contains(id) {
        return Removal::Refused;
    }
    let removal = stream.remove(id, references);
    changes.deleted |= removal == Removal::Done;
    removal
}

fn note(entry: &mut StreamEntry<'_>, changes: Changes) {
    if changes.deleted {
        entry.noted(event::XDEL);
    } else if changes.any {
        entry.noted_silently();
    }
}

fn tell(reply: &mut Reply<'_>, removal: Removal) {
    reply.integer(match removal {
        Removal::Missing => -1,
        Removal::Done => 1,
        Removal::Refused => 2,
    });
}

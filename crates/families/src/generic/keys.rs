//! Keys as such: removed, looked for, touched, listed, protected.

use command::{
    Args, Arity, Category, Command, Done, Enter, Flags, Group, Key, KeySpec, KeyUse, Reply, Run,
    View, event,
};
use keyspace::ScanCursor;

use crate::glob;
use crate::work;

pub(super) const DEL: Command = Command {
    name: "DEL",
    work: Some(work::all),
    drops: true,
    run: Run::Write(del),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::from(1, KeyUse::DELETE)],
    flags: Flags::NONE,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "1.0.0",
    summary: "Removes keys; returns how many there were.",
    complexity: "O(N)",
    syntax: "key ...",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    ..Command::BASE
};

/// Big values are dropped by whoever publishes, so UNLINK has nothing to do better.
pub(super) const UNLINK: Command = Command {
    name: "UNLINK",
    work: None,
    flags: Flags::FAST,
    since: "4.0.0",
    summary: "Removes keys, as DEL does; in neither does anybody wait for memory to be given back.",
    ..DEL
};

fn del(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let removed = args.rest().filter(|key| keys.remove(key, event::DEL)).count();
    reply.integer(removed as i64);
    Ok(())
}

pub(super) const EXISTS: Command = Command {
    name: "EXISTS",
    run: Run::Read(exists),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::from(1, KeyUse::LOOK)],
    flags: Flags::FAST,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "1.0.0",
    summary: "Counts how many of these keys exist; one that is named twice counts twice.",
    complexity: "O(N)",
    syntax: "key ...",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    history: &[("3.0.3", "Several keys.")],
    ..Command::BASE
};

fn exists(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    reply.integer(args.rest().filter(|key| keys.contains(key)).count() as i64);
    Ok(())
}

pub(super) const TOUCH: Command = Command {
    name: "TOUCH",
    run: Run::Read(touch),
    since: "3.2.1",
    summary: "Notes a use of keys, for eviction; returns how many exist.",
    history: &[],
    ..EXISTS
};

fn touch(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    reply.integer(args.rest().filter(|key| keys.touch_anyway(key)).count() as i64);
    Ok(())
}

pub(super) const TYPE: Command = Command {
    name: "TYPE",
    run: Run::Read(type_of),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::LOOK)],
    flags: Flags::FAST,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "1.0.0",
    summary: "Returns the type of the value that a key holds.",
    syntax: "key",
    ..Command::BASE
};

fn type_of(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    reply.simple(keys.look(key.0).map_or("none", |info| info.kind.name()));
    Ok(())
}

pub(super) const RANDOMKEY: Command = Command {
    name: "RANDOMKEY",
    run: Run::Read(randomkey),
    arity: Arity::Exactly(1),
    enter: Enter::All,
    flags: Flags::ARBITRARY_KEYS,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "1.0.0",
    summary: "Returns some key of the database.",
    tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
    ..Command::BASE
};

fn randomkey(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    args.end()?;
    match keys.random_key() {
        Some(key) => reply.bulk(key),
        None => reply.null(),
    }
    Ok(())
}

pub(super) const KEYS: Command = Command {
    name: "KEYS",
    work: Some(|_, keys| keys.len(keys.db()) as u64 / 2),
    sift: Some(|args| {
        let (pattern,): (&[u8],) = args.parse()?;
        let pattern = pattern.to_vec();
        Ok(Box::new(move |key| glob::matches(&pattern, key, false)))
    }),
    run: Run::Read(list),
    arity: Arity::Exactly(2),
    enter: Enter::All,
    flags: Flags::NONE,
    category: Category::KEYSPACE.and(Category::DANGEROUS),
    group: Group::Generic,
    since: "1.0.0",
    summary: "Returns all keys of the database that match a pattern.",
    complexity: "O(N)",
    syntax: "pattern",
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
    ..Command::BASE
};

fn list(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (pattern,): (&[u8],) = args.parse()?;
    let (mark, mut listed) = (reply.deferred_array(), 0);
    let mut cursor = ScanCursor::default();
    loop {
        cursor = keys.scan(cursor, usize::MAX, |met| {
            if glob::matches(pattern, met.key, false) {
                reply.bulk(met.key);
                listed += 1;
            }
        });
        if cursor == ScanCursor::default() {
            break;
        }
    }
    reply.finish(mark, listed);
    Ok(())
}

pub(super) const STICK: Command = Command {
    name: "STICK",
    run: Run::Write(stick),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::from(1, KeyUse::CHANGE)],
    flags: Flags::FAST,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "1.0.0",
    summary: "Protects keys from eviction; returns how many were not protected before.",
    complexity: "O(N)",
    syntax: "key ...",
    ..Command::BASE
};

fn stick(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    reply.integer(args.rest().filter(|key| keys.stick(key)).count() as i64);
    Ok(())
}

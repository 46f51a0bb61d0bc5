//! GET and SET.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Lifetime, Reply, Run, View, event, parse_lifetime,
};
use keyspace::Expiry;

pub(super) const GET: Command = Command {
    name: "GET",
    run: Run::Read(get),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::FAST,
    category: Category::STRING,
    group: Group::String,
    since: "1.0.0",
    summary: "Returns the string value of a key.",
    syntax: "key",
    ..Command::BASE
};

fn get(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    match keys.str(key.0)? {
        None => reply.null(),
        Some(text) => match text.shared() {
            None => reply.bulk(text.as_bytes()),
            Some(shared) => reply.bulk_shared(shared, 0..shared.len()),
        },
    }
    Ok(())
}

pub(super) const SET: Command = Command {
    name: "SET",
    run: Run::Write(set),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::UPDATE)],
    flags: Flags::DENY_OOM,
    category: Category::STRING,
    group: Group::String,
    since: "1.0.0",
    summary: "Sets the string value of a key, whatever it held.",
    syntax: "key value [EX seconds | PX milliseconds | KEEPTTL]",
    ..Command::BASE
};

fn set(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let value = args.bytes()?;
    let lifetime = parse_lifetime(&mut args, keys.now(), "set")?;
    args.end()?;
    let expiry = match lifetime {
        None => Expiry::Clear,
        Some(Lifetime::Keep) => Expiry::Keep,
        Some(Lifetime::Until(moment)) => Expiry::At(moment),
        Some(Lifetime::Persist) => return Err(CommandError::Syntax),
    };
    keys.str_entry(key.0)?.set(value, expiry, event::SET)?;
    reply.ok();
    Ok(())
}

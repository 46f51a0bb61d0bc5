//! A hash of the fields that the session has prepared: HIMPORT SET.

use command::{
    Args, Arity, Command, CommandError, Done, Fieldsets, Flags, Key, KeySpec, KeyUse, Reply, Run,
    View, event,
};
use keyspace::Expiry;
use value::map::NewMap;

use super::fields::HSET;

/// `HIMPORT SET key fieldset-name value ...`: a row for the container that the server has.
pub const IMPORT: Command = Command {
    name: "SET",
    run: Run::Import(import),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::one(2, KeyUse::OVERWRITE)],
    member: None,
    flags: Flags::DENY_OOM,
    since: "8.10.0",
    summary: "Makes a hash of the fields of a prepared fieldset and of these values.",
    complexity: "O(N) for N fields",
    syntax: "key fieldset-name value ...",
    history: &[],
    ..HSET
};

fn import(
    mut args: Args<'_>,
    prepared: &Fieldsets,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let (key, name): (Key<'_>, &[u8]) = (args.take()?, args.take()?);
    // What is there is replaced, if it is a hash.
    keys.hash_entry(key.0)?;
    let fields = prepared.get(name);
    let fields = fields.ok_or_else(|| CommandError::text("ERR no such fieldset"))?;
    if fields.len() != args.len() {
        return Err(CommandError::text("ERR value count does not match fieldset field count"));
    }
    let (limits, hasher) = (keys.frame().layout.hash, keys.hasher());
    let mut new = if limits.take(fields.len()) { NewMap::new() } else { NewMap::large() };
    for (field, value) in fields.iter().zip(args.rest()) {
        new.set(field, value, &limits, hasher).map_err(keyspace::Refused::from)?;
    }
    keys.put_hash(key.0, new, Expiry::Clear, event::HSET)?;
    reply.ok();
    Ok(())
}

//! Members that are there for so many seconds: Dragonfly's SADDEX.

use command::{Args, Arity, Command, CommandError, Done, Key, Reply, Run, View, event};
use keyspace::{Refused, count_done};

use super::basic::SADD;
use crate::generic::fields::in_seconds;

pub(super) const SADDEX: Command = Command {
    name: "SADDEX",
    run: Run::Write(saddex),
    arity: Arity::AtLeast(4),
    member: Some(3),
    summary: "Adds members to a set, each for so many seconds.",
    syntax: "key [KEEPTTL] seconds member ...",
    history: &[],
    ..SADD
};

fn saddex(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let keeps = args.word("KEEPTTL");
    let deadline = in_seconds(args.bytes()?, keys.now())?;
    if args.is_empty() {
        return Err(CommandError::WrongArity("saddex".into()));
    }
    let mut entry = keys.set_entry(key.0)?;
    let mut added = 0;
    let (dated, outcome) = count_done(args.rest(), |member| {
        if keeps && entry.get().is_some_and(|set| set.contains(member)) {
            return Ok(false);
        }
        added += i64::from(entry.insert_until(member, deadline)?);
        Ok::<_, Refused>(true)
    });
    if added > 0 {
        entry.also(event::SADD);
    }
    if dated > 0 {
        entry.noted(event::SEXPIRE);
    }
    outcome?;
    reply.integer(added);
    Ok(())
}

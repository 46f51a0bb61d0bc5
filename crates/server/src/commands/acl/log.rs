//! ACL LOG: what was refused to whom.

use ::command::{Arity, Command, CommandError, parse_integer};
use keyspace::Millis;
use protocol::Reply;

use super::super::Call;
use super::{BASE, surplus};
use crate::acl::log::Entry;

/// How many entries are shown if it is not told how many.
const SHOWN: i64 = 10;

pub(super) const LOG: Command = Command {
    name: "LOG",
    arity: Arity::AtLeast(2),
    since: "6.0.0",
    summary: "Shows what was refused to whom lately, or forgets it.",
    complexity: "O(N) where N is the number of entries shown.",
    syntax: "[count | RESET]",
    history: &[(
        "7.2.0",
        "The fields `entry-id`, `timestamp-created` and `timestamp-last-updated`.",
    )],
    ..BASE
};

pub(super) fn log(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = call.args();
    if args.len() > 1 {
        return Err(surplus(call));
    }
    let log = &call.batch.server.acl.log;
    if args.word("RESET") {
        log.reset();
        call.reply().ok();
        return Ok(());
    }
    let count = args.get(0).map_or(Some(SHOWN), parse_integer);
    let count = count.ok_or(CommandError::NotAnInteger)?;
    let entries = log.newest(usize::try_from(count).unwrap_or(0));
    let now = call.batch.server.clock.now();
    let mut reply = call.reply();
    reply.array(entries.len());
    entries.iter().for_each(|entry| show(&mut reply, entry, now));
    Ok(())
}

fn show(reply: &mut Reply<'_>, entry: &Entry, now: Millis) {
    let integer = |reply: &mut Reply<'_>, name: &str, number: u64| {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(number).unwrap_or(i64::MAX));
    };
    let text = |reply: &mut Reply<'_>, name: &str, text: &[u8]| {
        reply.bulk(name.as_bytes());
        reply.bulk(text);
    };
    reply.map(10);
    integer(reply, "count", entry.count);
    text(reply, "reason", entry.reason.name().as_bytes());
    text(reply, "context", entry.context.name().as_bytes());
    text(reply, "object", &entry.object);
    text(reply, "username", &entry.user);
    reply.bulk(b"age-seconds");
    reply.double(now.saturating_sub(entry.updated) as f64 / 1000.0);
    text(reply, "client-info", entry.client.as_bytes());
    integer(reply, "entry-id", entry.id);
    integer(reply, "timestamp-created", entry.created);
    integer(reply, "timestamp-last-updated", entry.updated);
}

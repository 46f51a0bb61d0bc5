//! HIMPORT: names of fields that the session keeps, so that hashes come as values only.

use command::{Arity, Category, Command, CommandError, Flags, Group, Run};

use super::{Call, Next, SessionRow};

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: HIMPORT, run: himport }];

const BASE: Command = Command {
    run: Run::Session,
    arity: Arity::Exactly(2),
    category: Category::HASH,
    group: Group::Hash,
    since: "8.10.0",
    ..Command::BASE
};

const HIMPORT: Command = Command {
    name: "HIMPORT",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    summary: "Makes hashes of fields that are named once for many of them.",
    complexity: "Depends on subcommand.",
    subcommands: &[DISCARD, DISCARDALL, PREPARE, families::hash::IMPORT],
    ..BASE
};

const DISCARD: Command = Command {
    name: "DISCARD",
    arity: Arity::Exactly(3),
    summary: "Forgets a fieldset of this connection.",
    complexity: "O(N) for N fields",
    syntax: "fieldset-name",
    tips: &["request_policy:all_shards"],
    ..BASE
};

const DISCARDALL: Command = Command {
    name: "DISCARDALL",
    summary: "Forgets all fieldsets of this connection.",
    complexity: "O(N) for N fieldsets",
    tips: &["request_policy:all_shards"],
    ..BASE
};

const PREPARE: Command = Command {
    name: "PREPARE",
    arity: Arity::AtLeast(4),
    flags: Flags::DENY_OOM,
    summary: "Keeps names of fields for this connection, in the order in which values will come.",
    complexity: "O(N*log(N)) for N fields",
    syntax: "fieldset-name field ...",
    tips: &["request_policy:all_shards"],
    ..BASE
};

fn himport(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let mut args = call.args();
    match call.command.name {
        "PREPARE" => {
            let name = args.bytes()?;
            call.session.fieldsets_mut().prepare(name, args.rest())?;
            call.reply().ok();
        }
        "DISCARD" => {
            let was_there = call.session.fieldsets_mut().discard(args.bytes()?);
            call.reply().integer(i64::from(was_there));
        }
        _ => {
            let count = call.session.fieldsets_mut().discard_all();
            call.reply().integer(count as i64);
        }
    }
    Ok(Next::Done)
}

//! INFO.

use command::{Arity, Category, Command, CommandError, Flags, Group, Run};

use super::{Call, Next, SessionRow};
use crate::info::{Scene, render, wanted};

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: INFO, run: info }];

const INFO: Command = Command {
    name: "INFO",
    run: Run::Session,
    arity: Arity::AtLeast(1),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::SENTINEL),
    category: Category::DANGEROUS,
    group: Group::Server,
    since: "1.0.0",
    summary: "Tells how the server is and what it has done.",
    syntax: "[section ...]",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    history: &[("7.0.0", "Several sections.")],
    ..Command::BASE
};

fn info(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let sections = wanted(call.args().rest());
    let batch = call.batch;
    let chance = batch.worker.chance();
    let scene = Scene { server: batch.server, settings: batch.settings, chance };
    let text = render(&sections, &scene);
    call.reply().verbatim("txt", text.as_bytes());
    Ok(Next::Done)
}

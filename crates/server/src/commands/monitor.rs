//! MONITOR.

use command::{Arity, Command, CommandError, Flags, Group, Run};

use super::{Call, Next, SessionRow};

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: MONITOR, run: monitor }];

const MONITOR: Command = Command {
    name: "MONITOR",
    run: Run::Session,
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.and(Flags::NO_SCRIPT).and(Flags::LOADING).and(Flags::STALE),
    group: Group::Server,
    since: "1.0.0",
    summary: "Shows the connection every command that any client runs from now on.",
    complexity: "",
    ..Command::BASE
};

fn monitor(call: &mut Call<'_>) -> Result<Next, CommandError> {
    call.batch.server.monitor.join(&call.session.client);
    call.reply().ok();
    Ok(Next::Done)
}

//! What clients of a cluster say to each of its nodes. This server is none, and says so: tools
//! that send READONLY before they scan expect that very answer.

use command::{Arity, Category, Command, CommandError, Flags, Group, Run};

use super::{Call, Next, SessionRow};

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[
    SessionRow { command: READONLY, run: refuse },
    SessionRow { command: READWRITE, run: refuse },
    SessionRow { command: ASKING, run: refuse },
];

const READONLY: Command = Command {
    name: "READONLY",
    run: Run::Session,
    arity: Arity::Exactly(1),
    flags: Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
    category: Category::CONNECTION,
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Lets the connection read from a replica of a cluster.",
    ..Command::BASE
};

const READWRITE: Command =
    Command { name: "READWRITE", summary: "Ends what READONLY began.", ..READONLY };

const ASKING: Command = Command {
    name: "ASKING",
    flags: Flags::FAST,
    summary: "Lets the next command reach a hash slot that is on its way to this node.",
    ..READONLY
};

fn refuse(_: &mut Call<'_>) -> Result<Next, CommandError> {
    Err(CommandError::text("ERR This instance has cluster support disabled"))
}

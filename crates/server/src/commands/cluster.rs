//! What clients of a cluster say to each of its nodes. This server is none, and says so: tools
//! that send READONLY before they scan expect that very answer.

use command::{Arity, Category, Command, CommandError, Flags, Group, Run};

use super::{Call, HELP as HELP_ROW, Next, SessionRow};

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[
    SessionRow { command: CLUSTER, run: refuse },
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

const BASE: Command =
    Command { run: Run::Session, group: Group::Cluster, since: "3.0.0", ..Command::BASE };

const CLUSTER: Command = Command {
    name: "CLUSTER",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    summary: "Holds the commands about the cluster.",
    complexity: "Depends on the subcommand.",
    subcommands: &[
        changes("ADDSLOTS", Arity::AtLeast(3), "slot ...", "Gives hash slots to this node."),
        Command {
            since: "7.0.0",
            ..changes(
                "ADDSLOTSRANGE",
                Arity::AtLeast(4),
                "(start-slot end-slot) ...",
                "Gives ranges of hash slots to this node.",
            )
        },
        Command {
            tips: UNLIKE,
            ..changes("BUMPEPOCH", Arity::Exactly(2), "", "Raises the node's configuration epoch.")
        },
        Command {
            flags: Flags::ADMIN.and(Flags::STALE),
            tips: UNLIKE,
            ..shows(
                "COUNT-FAILURE-REPORTS",
                3,
                "node-id",
                "Counts the nodes that say that a node has failed.",
            )
        },
        shows("COUNTKEYSINSLOT", 3, "slot", "Counts the keys of a hash slot."),
        changes("DELSLOTS", Arity::AtLeast(3), "slot ...", "Takes hash slots from this node."),
        Command {
            since: "7.0.0",
            ..changes(
                "DELSLOTSRANGE",
                Arity::AtLeast(4),
                "(start-slot end-slot) ...",
                "Takes ranges of hash slots from this node.",
            )
        },
        changes(
            "FAILOVER",
            Arity::AtLeast(2),
            "[FORCE | TAKEOVER]",
            "Has a replica take the place of its primary.",
        ),
        changes("FLUSHSLOTS", Arity::Exactly(2), "", "Takes all hash slots from this node."),
        changes("FORGET", Arity::Exactly(3), "node-id", "Has the node forget another one."),
        Command {
            tips: UNLIKE,
            ..shows("GETKEYSINSLOT", 4, "slot count", "Returns keys of a hash slot.")
        },
        Command { group: Group::Cluster, since: "5.0.0", ..HELP_ROW },
        Command { tips: UNLIKE, ..shows("INFO", 2, "", "Tells how the cluster is.") },
        shows("KEYSLOT", 3, "key", "Returns the hash slot of a key."),
        Command {
            since: "7.0.0",
            tips: UNLIKE,
            ..shows("LINKS", 2, "", "Returns the node's connections to others.")
        },
        changes(
            "MEET",
            Arity::AtLeast(4),
            "ip port [cluster-bus-port]",
            "Has the node and another one know each other.",
        ),
        shows("MYID", 2, "", "Returns the id of this node."),
        Command {
            since: "7.2.0",
            tips: UNLIKE,
            ..shows("MYSHARDID", 2, "", "Returns the id of this node's shard.")
        },
        Command { tips: UNLIKE, ..shows("NODES", 2, "", "Returns all nodes, a line each.") },
        Command {
            flags: Flags::ADMIN.and(Flags::STALE),
            since: "5.0.0",
            tips: UNLIKE,
            ..shows("REPLICAS", 3, "node-id", "Returns the replicas of a primary.")
        },
        changes("REPLICATE", Arity::Exactly(3), "node-id", "Makes this node a replica of another."),
        Command {
            flags: Flags::ADMIN.and(Flags::STALE).and(Flags::NO_SCRIPT),
            ..changes("RESET", Arity::AtLeast(2), "[HARD | SOFT]", "Has the node begin anew.")
        },
        changes("SAVECONFIG", Arity::Exactly(2), "", "Writes the node's view of the cluster down."),
        changes(
            "SET-CONFIG-EPOCH",
            Arity::Exactly(3),
            "config-epoch",
            "Sets the configuration epoch of a new node.",
        ),
        changes(
            "SETSLOT",
            Arity::AtLeast(4),
            "slot (IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE)",
            "Says whose a hash slot is, or where it is going.",
        ),
        Command {
            flags: Flags::LOADING.and(Flags::STALE),
            since: "7.0.0",
            tips: UNLIKE,
            ..shows("SHARDS", 2, "", "Returns which shards there are and which slots they have.")
        },
        Command {
            flags: Flags::ADMIN.and(Flags::STALE),
            deprecated: Some(("5.0.0", "`CLUSTER REPLICAS`")),
            tips: UNLIKE,
            ..shows("SLAVES", 3, "node-id", "Returns the replicas of a primary.")
        },
        Command {
            flags: Flags::LOADING.and(Flags::STALE),
            deprecated: Some(("7.0.0", "`CLUSTER SHARDS`")),
            tips: UNLIKE,
            ..shows("SLOTS", 2, "", "Returns which nodes have which slots.")
        },
    ],
    ..BASE
};

/// Of what no two nodes answer alike.
const UNLIKE: &[&str] = &["nondeterministic_output"];

/// The row of a subcommand that changes the cluster.
const fn changes(
    name: &'static str,
    arity: Arity,
    syntax: &'static str,
    summary: &'static str,
) -> Command {
    let flags = Flags::ADMIN.and(Flags::NO_ASYNC_LOADING).and(Flags::STALE);
    Command { name, arity, flags, syntax, summary, ..BASE }
}

/// The row of a subcommand that looks at it, of so many words.
const fn shows(
    name: &'static str,
    words: u8,
    syntax: &'static str,
    summary: &'static str,
) -> Command {
    Command { name, arity: Arity::Exactly(words), flags: Flags::STALE, syntax, summary, ..BASE }
}

fn refuse(_: &mut Call<'_>) -> Result<Next, CommandError> {
    Err(CommandError::text("ERR This instance has cluster support disabled"))
}

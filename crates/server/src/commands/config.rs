//! CONFIG: looking at the settings, changing them, writing them down; and resetting statistics.

use std::net::SocketAddr;

use command::{Arity, Category, Command, CommandError, Flags, Group, Run};

use super::{Call, Next, SessionRow};
use crate::client::Client;
use crate::settings::RewriteError;

/// The rows of this family.
pub const ROWS: &[SessionRow] = &[SessionRow { command: CONFIG, run: config }];

/// Of all subcommands but HELP.
const ADMIN: Flags = Flags::ADMIN.and(Flags::NO_SCRIPT).and(Flags::LOADING).and(Flags::STALE);

const BASE: Command =
    Command { run: Run::Session, category: Category::NONE, group: Group::Server, ..Command::BASE };

/// Of what concerns every node of a cluster.
const EVERY_NODE: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

const CONFIG: Command = Command {
    name: "CONFIG",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    since: "2.0.0",
    summary: "Holds the commands about the server's settings.",
    complexity: "Depends on the subcommand.",
    subcommands: &[GET, SET, RESETSTAT, REWRITE, HELP],
    ..BASE
};

const GET: Command = Command {
    name: "GET",
    arity: Arity::AtLeast(3),
    flags: ADMIN,
    since: "2.0.0",
    summary: "Shows the settings whose names match.",
    complexity: "O(N) where N is the number of settings",
    syntax: "parameter [parameter ...]",
    history: &[("7.0.0", "Several patterns.")],
    ..BASE
};

const SET: Command = Command {
    name: "SET",
    arity: Arity::AtLeast(4),
    flags: ADMIN,
    since: "2.0.0",
    summary: "Changes settings, all or none.",
    complexity: "O(N) where N is the number of settings",
    syntax: "parameter value [parameter value ...]",
    tips: EVERY_NODE,
    history: &[("7.0.0", "Several settings at once.")],
    ..BASE
};

const REWRITE: Command = Command {
    name: "REWRITE",
    arity: Arity::Exactly(2),
    flags: ADMIN,
    since: "2.8.0",
    summary: "Writes the settings as they are into the configuration file.",
    complexity: "O(1)",
    tips: EVERY_NODE,
    ..BASE
};

const RESETSTAT: Command = Command {
    name: "RESETSTAT",
    arity: Arity::Exactly(2),
    flags: ADMIN,
    since: "2.0.0",
    summary: "Begins the statistics of INFO anew.",
    complexity: "O(1)",
    tips: EVERY_NODE,
    ..BASE
};

const HELP: Command = Command {
    name: "HELP",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE),
    since: "5.0.0",
    summary: "Lists the subcommands.",
    complexity: "O(1)",
    ..BASE
};

fn config(call: &mut Call<'_>) -> Result<Next, CommandError> {
    match call.command.name {
        "GET" => get(call),
        "SET" => set(call),
        "REWRITE" => rewrite(call),
        "RESETSTAT" => {
            call.batch.server.reset_stats();
            call.reply().ok();
            Ok(Next::Done)
        }
        _ => Ok(call.help()),
    }
}

fn get(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let patterns: Vec<&[u8]> = call.args().rest().collect();
    let config = call.batch.server.config.current();
    let found = config.get(&patterns);
    let mut reply = call.reply();
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(name.as_bytes());
        reply.bulk(value);
    }
    Ok(Next::Done)
}

fn set(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let words: Vec<&[u8]> = call.args().rest().collect();
    let (pairs, []) = words.as_chunks::<2>() else { return Err(CommandError::Syntax) };
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|&[name, value]| (name, value)).collect();
    let local = is_local(&call.session.client);
    let changed = call.batch.server.change_settings(&pairs, local);
    changed.map_err(|refused| CommandError::text(refused.to_string()))?;
    call.reply().ok();
    Ok(Next::Done)
}

fn rewrite(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let written = call.batch.server.config.rewrite(&call.batch.server.user_lines());
    tell_rewritten(call, written)
}

/// Answers how a rewrite of the configuration file went.
pub(super) fn tell_rewritten(
    call: &mut Call<'_>,
    written: Result<(), RewriteError>,
) -> Result<Next, CommandError> {
    match written {
        Ok(()) => {
            tracing::info!("CONFIG REWRITE wrote the configuration file");
            call.reply().ok();
            Ok(Next::Done)
        }
        Err(RewriteError::NoFile) => {
            Err(CommandError::text("ERR The server is running without a config file"))
        }
        Err(RewriteError::System(error)) => {
            tracing::warn!("CONFIG REWRITE failed: {error}");
            Err(CommandError::text(format!("ERR Rewriting config file: {error}")))
        }
    }
}

/// Whether a client is of this machine.
#[must_use]
pub fn is_local(client: &Client) -> bool {
    let address: Option<SocketAddr> = client.address.parse().ok();
    client.unix || address.is_some_and(|address| address.ip().to_canonical().is_loopback())
}

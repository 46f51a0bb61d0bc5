//! The command logs: SLOWLOG, and COMMANDLOG, which has those of large requests and replies, too.

use command::{Args, Arity, Command, CommandError, Flags, Group, Run, parse_integer};
use protocol::Reply;

use super::{Call, HELP, Next, SessionRow};
use crate::slowlog::{Slow, SlowLog};

/// Entries that SLOWLOG GET shows if it is not told how many.
const SHOWN: i64 = 10;

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[
    SessionRow { command: SLOWLOG, run: slowlog },
    SessionRow { command: COMMANDLOG, run: commandlog },
];

const ADMIN: Flags = Flags::ADMIN.and(Flags::LOADING).and(Flags::STALE);

const BASE: Command =
    Command { run: Run::Session, flags: ADMIN, group: Group::Server, ..Command::BASE };

const SLOWLOG: Command = Command {
    name: "SLOWLOG",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    flags: Flags::NONE,
    since: "2.2.12",
    summary: "Shows and forgets the commands that took long.",
    complexity: "Depends on subcommand.",
    subcommands: &[GET, Command { since: "6.2.0", ..HELP }, LEN, RESET],
    ..BASE
};

const GET: Command = Command {
    name: "GET",
    arity: Arity::AtLeast(2),
    since: "2.2.12",
    summary: "Returns the latest entries, 10 if not told how many; -1 means all.",
    complexity: "O(N) where N is the number of entries returned",
    syntax: "[count]",
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
    history: &[("4.0.0", "Address and name of the client.")],
    ..BASE
};

const LEN: Command = Command {
    name: "LEN",
    arity: Arity::Exactly(2),
    since: "2.2.12",
    summary: "Returns how many entries there are.",
    tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
    ..BASE
};

const RESET: Command = Command {
    name: "RESET",
    arity: Arity::Exactly(2),
    since: "2.2.12",
    summary: "Forgets all entries.",
    complexity: "O(N) where N is the number of entries",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..BASE
};

fn slowlog(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let log = &call.batch.server.slowlog;
    let mut args = call.args();
    match call.command.name {
        "GET" => {
            if args.len() > 1 {
                let given = String::from_utf8_lossy(call.words.get(1).unwrap_or_default());
                return Err(CommandError::text(format!(
                    "ERR unknown subcommand or wrong number of arguments for '{given}'. \
                     Try SLOWLOG HELP."
                )));
            }
            let count = if args.is_empty() { SHOWN } else { parse_count(&mut args)? };
            show(call, log, count);
        }
        "LEN" => call.reply().integer(log.len() as i64),
        "RESET" => {
            log.reset();
            call.reply().ok();
        }
        _ => return Ok(call.help()),
    }
    Ok(Next::Done)
}

/// The logs of COMMANDLOG.
macro_rules! logs {
    () => {
        "(SLOW | LARGE-REQUEST | LARGE-REPLY)"
    };
}

const COMMANDLOG: Command = Command {
    name: "COMMANDLOG",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    flags: Flags::NONE,
    since: "8.1.0",
    summary: "Shows and forgets the commands that took long, or whose request or reply was large.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        Command {
            arity: Arity::Exactly(4),
            syntax: concat!("count ", logs!()),
            since: "8.1.0",
            history: &[],
            ..GET
        },
        Command { since: "8.1.0", ..HELP },
        Command { arity: Arity::Exactly(3), syntax: logs!(), since: "8.1.0", ..LEN },
        Command { arity: Arity::Exactly(3), syntax: logs!(), since: "8.1.0", ..RESET },
    ],
    ..BASE
};

fn commandlog(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let mut args = call.args();
    match call.command.name {
        "GET" => {
            let count = parse_count(&mut args)?;
            let log = log_of(call, args.bytes()?)?;
            show(call, log, count);
        }
        "LEN" => {
            let len = log_of(call, args.bytes()?)?.len();
            call.reply().integer(len as i64);
        }
        "RESET" => {
            log_of(call, args.bytes()?)?.reset();
            call.reply().ok();
        }
        _ => return Ok(call.help()),
    }
    Ok(Next::Done)
}

fn log_of<'a>(call: &Call<'a>, kind: &[u8]) -> Result<&'a SlowLog, CommandError> {
    let server = call.batch.server;
    let logs = [
        ("slow", &server.slowlog),
        ("large-request", &server.large_requests),
        ("large-reply", &server.large_replies),
    ];
    let mut named = logs.iter().filter(|(name, _)| kind.eq_ignore_ascii_case(name.as_bytes()));
    named.next().map(|(_, log)| *log).ok_or_else(|| {
        CommandError::text(
            "ERR type should be one of the following: slow, large-request, large-reply",
        )
    })
}

fn parse_count(args: &mut Args<'_>) -> Result<i64, CommandError> {
    let count = parse_integer(args.bytes()?).filter(|&count| count >= -1);
    count.ok_or_else(|| CommandError::text("ERR count should be greater than or equal to -1"))
}

fn show(call: &mut Call<'_>, log: &SlowLog, count: i64) {
    let entries = log.newest(usize::try_from(count).unwrap_or(usize::MAX));
    let mut reply = call.reply();
    reply.array(entries.len());
    entries.iter().for_each(|entry| show_entry(&mut reply, entry));
}

fn show_entry(reply: &mut Reply<'_>, entry: &Slow) {
    reply.array(6);
    reply.integer(entry.id as i64);
    reply.integer(entry.unix_seconds as i64);
    reply.integer(entry.amount as i64);
    reply.array(entry.words.len());
    entry.words.iter().for_each(|word| reply.bulk(word));
    reply.bulk(entry.address.as_bytes());
    reply.bulk(&entry.name);
}

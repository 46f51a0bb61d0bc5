//! EVAL, FCALL and SCRIPT: how they are called; what they do is in [`crate::scripts`].

use std::sync::atomic::Ordering;

use command::{Args, Arity, Category, Command, CommandError, Flags, Group, KeySpec, KeyUse, Run};
use script::ScriptId;

use super::{Call, HELP as HELP_ROW, Next, SessionRow};
use crate::scripts::Kind;
use crate::scripts::run::no_script;

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: SCRIPT, run: script }];

const BASE: Command =
    Command { category: Category::SCRIPTING, group: Group::Scripting, ..Command::BASE };

/// The flags of all that run scripts.
const RUNS: Flags = Flags::NO_SCRIPT.and(Flags::STALE).and(Flags::SKIP_MONITOR);

pub(super) const EVAL: Command = Command {
    name: "EVAL",
    run: Run::Script,
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::counted(2, KeyUse::UPDATE).noting(WHY)],
    flags: RUNS.and(Flags::MAY_REPLICATE).and(Flags::MOVABLE_KEYS),
    since: "2.6.0",
    summary: "Runs a script of Lua.",
    complexity: "Depends on the script that is executed.",
    syntax: "script numkeys [key [key ...]] [arg [arg ...]]",
    ..BASE
};

/// Why the keys of a script are said to be changed.
const WHY: &str = "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE";

pub(super) const EVALSHA: Command = Command {
    name: "EVALSHA",
    summary: "Runs a script that the server knows, by its SHA-1.",
    syntax: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
    ..EVAL
};

pub(super) const EVAL_RO: Command = Command {
    name: "EVAL_RO",
    keys: &[KeySpec::counted(2, KeyUse::READ).noting(WHY_READ)],
    flags: RUNS.and(Flags::MOVABLE_KEYS),
    since: "7.0.0",
    summary: "Runs a script of Lua that may only read.",
    ..EVAL
};

/// Why the keys of a script that only reads are said to be read.
const WHY_READ: &str =
    "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS";

pub(super) const EVALSHA_RO: Command = Command {
    name: "EVALSHA_RO",
    summary: "Runs a script that the server knows and that may only read, by its SHA-1.",
    syntax: EVALSHA.syntax,
    ..EVAL_RO
};

pub(super) const FCALL: Command = Command {
    name: "FCALL",
    since: "7.0.0",
    summary: "Runs a function of a library.",
    complexity: "Depends on the function that is executed.",
    syntax: "function numkeys [key [key ...]] [arg [arg ...]]",
    ..EVAL
};

pub(super) const FCALL_RO: Command = Command {
    name: "FCALL_RO",
    summary: "Runs a function of a library that may only read.",
    complexity: FCALL.complexity,
    syntax: FCALL.syntax,
    ..EVAL_RO
};

const SCRIPT: Command = Command {
    name: "SCRIPT",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    category: Category::NONE,
    since: "2.6.0",
    summary: "Keeps, shows, forgets and ends scripts.",
    complexity: "Depends on subcommand.",
    subcommands: &[DEBUG, EXISTS, FLAGS, FLUSH, HELP, KILL, LATENCY, LIST, LOAD, SHOW],
    ..BASE
};

const SUB: Command = Command {
    run: Run::Session,
    arity: Arity::Exactly(3),
    flags: Flags::NO_SCRIPT,
    since: "2.6.0",
    ..BASE
};

const DEBUG: Command = Command {
    name: "DEBUG",
    since: "3.2.0",
    summary: "Says that there is no debugger; NO is taken.",
    syntax: "YES|SYNC|NO",
    ..SUB
};

const EXISTS: Command = Command {
    name: "EXISTS",
    arity: Arity::AtLeast(3),
    summary: "Tells which scripts are known.",
    complexity: "O(N) with N being the number of scripts to check",
    syntax: "sha1 [sha1 ...]",
    tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
    ..SUB
};

const FLAGS: Command = Command {
    name: "FLAGS",
    arity: Arity::AtLeast(4),
    since: "8.0.0",
    summary: "Says of a script how it is run: disable-atomicity lets others come between its calls.",
    syntax: "sha1 flag [flag ...]",
    ..SUB
};

const FLUSH: Command = Command {
    name: "FLUSH",
    arity: Arity::AtLeast(2),
    summary: "Forgets all scripts.",
    complexity: "O(N) with N being the number of scripts",
    syntax: "[ASYNC|SYNC]",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..SUB
};

const HELP: Command =
    Command { category: Category::SCRIPTING, group: Group::Scripting, ..HELP_ROW };

const KILL: Command = Command {
    name: "KILL",
    arity: Arity::Exactly(2),
    flags: Flags::NO_SCRIPT.and(Flags::ALLOW_BUSY),
    summary: "Ends a script that takes long and has changed nothing.",
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    ..SUB
};

const LATENCY: Command = Command {
    name: "LATENCY",
    arity: Arity::Exactly(2),
    since: "8.0.0",
    summary: "Tells how long the runs of each script took.",
    complexity: "O(N) with N being the number of scripts",
    ..SUB
};

const LIST: Command = Command {
    name: "LIST",
    since: "8.0.0",
    summary: "Lists all scripts, each with its SHA-1.",
    ..LATENCY
};

const LOAD: Command = Command {
    name: "LOAD",
    flags: Flags::NO_SCRIPT.and(Flags::STALE),
    summary: "Keeps a script without running it.",
    complexity: "O(N) with N being the length in bytes of the script",
    syntax: "script",
    tips: FLUSH.tips,
    ..SUB
};

const SHOW: Command = Command {
    name: "SHOW",
    flags: LOAD.flags,
    since: "8.0.0",
    summary: "Shows the source of a script.",
    syntax: "sha1",
    ..SUB
};

fn script(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let args = call.args();
    match call.command.name {
        "DEBUG" => debug(call, args),
        "EXISTS" => exists(call, args),
        "FLAGS" => flags(call, args),
        "FLUSH" => flush(call, args),
        "KILL" => kill(call),
        "LATENCY" => latency(call),
        "LIST" => list(call),
        "LOAD" => load(call, args),
        "SHOW" => show(call, args),
        _ => Ok(call.help()),
    }
}

fn debug(call: &mut Call<'_>, mut args: Args<'_>) -> Result<Next, CommandError> {
    let word = args.bytes()?;
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if is("YES") || is("SYNC") {
        let text = "ERR there is no debugger: redis.log writes to the log, redis.breakpoint and \
                    redis.debug do nothing";
        return Err(CommandError::text(text));
    }
    if !is("NO") {
        return Err(CommandError::text("ERR Use SCRIPT DEBUG YES/SYNC/NO"));
    }
    call.reply().ok();
    Ok(Next::Done)
}

fn exists(call: &mut Call<'_>, args: Args<'_>) -> Result<Next, CommandError> {
    let registry = &call.batch.server.scripts.registry;
    let known = args.rest().map(|word| ScriptId::parse(word).and_then(|id| registry.find(id)));
    let known: Vec<bool> = known.map(|known| known.is_some()).collect();
    let mut reply = call.reply();
    reply.array(known.len());
    known.iter().for_each(|&known| reply.integer(known.into()));
    Ok(Next::Done)
}

fn flags(call: &mut Call<'_>, mut args: Args<'_>) -> Result<Next, CommandError> {
    let id = ScriptId::parse(args.bytes()?).ok_or_else(no_script)?;
    let known = call.batch.server.scripts.registry.find(id).ok_or_else(no_script)?;
    let flags: Vec<&[u8]> = args.rest().collect();
    let is_known = |flag: &&&[u8]| {
        // Undeclared keys are always allowed; the rest is about how Dragonfly runs a script.
        matches!(**flag, b"disable-atomicity" | b"allow-undeclared-keys" | b"no-writes")
    };
    if let Some(wrong) = flags.iter().find(|flag| !is_known(flag)) {
        let wrong = String::from_utf8_lossy(wrong);
        return Err(CommandError::text(format!("ERR Invalid argument: unknown flag {wrong}")));
    }
    let is_not_atomic = flags.contains(&&b"disable-atomicity"[..]);
    known.is_not_atomic.store(is_not_atomic, Ordering::Relaxed);
    call.reply().ok();
    Ok(Next::Done)
}

fn flush(call: &mut Call<'_>, args: Args<'_>) -> Result<Next, CommandError> {
    let is_lazy = match (args.len(), args.get(0)) {
        (0, _) => call.batch.settings.lazy_user_flush,
        (1, Some(word)) if word.eq_ignore_ascii_case(b"ASYNC") => true,
        (1, Some(word)) if word.eq_ignore_ascii_case(b"SYNC") => false,
        _ => {
            let text = "ERR SCRIPT FLUSH only support SYNC|ASYNC option";
            return Err(CommandError::text(text));
        }
    };
    // Texts alone: dropping them takes no time.
    call.batch.server.scripts.registry.flush();
    call.batch.give_up_luas(is_lazy);
    call.reply().ok();
    Ok(Next::Done)
}

fn kill(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let (server, settings) = (call.batch.server, call.batch.settings);
    server.scripts.kill(Kind::Script, server.clock.nanos(), settings.busy_reply_millis)?;
    call.reply().ok();
    Ok(Next::Done)
}

/// Of each script that was run: its SHA-1, then how many runs took how long, as a text.
fn latency(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let all = call.batch.server.scripts.registry.all();
    let run = all.iter().filter_map(|known| Some((known.script.id().hex(), known.latency()?)));
    let run: Vec<_> = run.collect();
    let mut reply = call.reply();
    reply.array(run.len());
    for (id, histogram) in run {
        let filled = histogram.buckets().filter(|&(_, count)| count > 0);
        let lines: Vec<String> =
            filled.map(|(nanos, count)| format!("<= {} us: {count}", nanos / 1000)).collect();
        reply.array(2);
        reply.bulk(&id);
        reply.bulk(lines.join("\n").as_bytes());
    }
    Ok(Next::Done)
}

fn list(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let all = call.batch.server.scripts.registry.all();
    let mut reply = call.reply();
    reply.array(all.len());
    for known in all {
        reply.array(2);
        reply.bulk(&known.script.id().hex());
        reply.bulk(known.script.source());
    }
    Ok(Next::Done)
}

fn load(call: &mut Call<'_>, mut args: Args<'_>) -> Result<Next, CommandError> {
    let id = call.batch.load_script(args.bytes()?)?;
    call.reply().bulk(&id.hex());
    Ok(Next::Done)
}

fn show(call: &mut Call<'_>, mut args: Args<'_>) -> Result<Next, CommandError> {
    let id = ScriptId::parse(args.bytes()?);
    let known = id.and_then(|id| call.batch.server.scripts.registry.find(id));
    let known = known.ok_or_else(|| CommandError::text("NOSCRIPT No matching script."))?;
    call.reply().bulk(known.script.source());
    Ok(Next::Done)
}

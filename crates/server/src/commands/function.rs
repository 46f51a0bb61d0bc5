//! FUNCTION: the libraries of functions.

use command::{Arity, Category, Command, CommandError, Flags, Group, Run};
use families::glob;
use protocol::Reply;
use script::Function;

use super::{Call, HELP as HELP_ROW, Next, SessionRow};
use crate::functions::{Library, Policy};
use crate::scripts::{Kind, Running};

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: FUNCTION, run: function }];

/// The name of the only engine there is.
const ENGINE: &[u8] = b"LUA";

const BASE: Command = Command {
    run: Run::Session,
    flags: Flags::NO_SCRIPT,
    category: Category::SCRIPTING,
    group: Group::Scripting,
    since: "7.0.0",
    ..Command::BASE
};

/// What changes the libraries of every shard of a cluster.
const CHANGE: Command = Command {
    flags: BASE.flags.and(Flags::WRITES),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    ..BASE
};

const FUNCTION: Command = Command {
    name: "FUNCTION",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    flags: Flags::NONE,
    category: Category::NONE,
    summary: "Commands about libraries of functions.",
    complexity: "Depends on subcommand.",
    subcommands: &[DELETE, DUMP, FLUSH, HELP, KILL, LIST, LOAD, RESTORE, STATS],
    ..BASE
};

const HELP: Command =
    Command { category: Category::SCRIPTING, group: Group::Scripting, since: "7.0.0", ..HELP_ROW };

fn function(call: &mut Call<'_>) -> Result<Next, CommandError> {
    match call.command.name {
        "DELETE" => delete(call)?,
        "DUMP" => {
            let dump = call.batch.server.functions.dump();
            call.reply().bulk(&dump);
        }
        "FLUSH" => flush(call)?,
        "KILL" => kill(call)?,
        "LIST" => list(call)?,
        "LOAD" => load(call)?,
        "RESTORE" => restore(call)?,
        "STATS" => stats(call),
        _ => return Ok(call.help()),
    }
    Ok(Next::Done)
}

/// More words than a subcommand knows, though its arity allows them.
fn surplus(call: &Call<'_>) -> CommandError {
    let given = String::from_utf8_lossy(call.words.get(1).unwrap_or_default());
    CommandError::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{given}'. Try FUNCTION HELP."
    ))
}

const LOAD: Command = Command {
    name: "LOAD",
    arity: Arity::AtLeast(3),
    flags: CHANGE.flags.and(Flags::DENY_OOM),
    summary: "Loads a library of functions.",
    complexity: "O(1), but for compiling the library",
    syntax: "[REPLACE] function-code",
    ..CHANGE
};

/// `FUNCTION LOAD [REPLACE] function-code`
fn load(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (args, server) = (call.args(), call.batch.server);
    let options = args.len().saturating_sub(1);
    for option in args.first(options).rest() {
        if !option.eq_ignore_ascii_case(b"REPLACE") {
            let option = String::from_utf8_lossy(option);
            return Err(CommandError::text(format!("ERR Unknown option given: {option}")));
        }
    }
    let source = args.get(options).unwrap_or_default();
    let name = server.functions.load(source, options > 0, &server.clock)?;
    call.reply().bulk(name.as_bytes());
    Ok(())
}

const DELETE: Command = Command {
    name: "DELETE",
    arity: Arity::Exactly(3),
    summary: "Deletes a library and its functions.",
    syntax: "library-name",
    ..CHANGE
};

/// `FUNCTION DELETE library-name`
fn delete(call: &mut Call<'_>) -> Result<(), CommandError> {
    if !call.batch.server.functions.delete(call.args().bytes()?) {
        return Err(CommandError::text("ERR Library not found"));
    }
    call.reply().ok();
    Ok(())
}

const FLUSH: Command = Command {
    name: "FLUSH",
    arity: Arity::AtLeast(2),
    summary: "Deletes all libraries.",
    complexity: "O(N) where N is the number of functions deleted",
    syntax: "[ASYNC | SYNC]",
    ..CHANGE
};

/// Libraries up to this number are dropped where they were deleted.
const DROP_HERE_MAX: usize = 64;

/// `FUNCTION FLUSH [ASYNC | SYNC]`
fn flush(call: &mut Call<'_>) -> Result<(), CommandError> {
    let args = call.args();
    if args.len() > 1 {
        return Err(surplus(call));
    }
    let is_lazy = match args.get(0) {
        None => call.batch.settings.lazy_user_flush,
        Some(word) if word.eq_ignore_ascii_case(b"ASYNC") => true,
        Some(word) if word.eq_ignore_ascii_case(b"SYNC") => false,
        Some(_) => {
            let text = "ERR FUNCTION FLUSH only supports SYNC|ASYNC option";
            return Err(CommandError::text(text));
        }
    };
    let server = call.batch.server;
    let old = server.functions.flush();
    let libraries = old.libraries().len();
    if is_lazy && libraries > DROP_HERE_MAX {
        // What holds them counts, too.
        server.background.drop_later(libraries as u64 + 1, Box::new(old));
    }
    call.batch.give_up_luas(is_lazy);
    call.reply().ok();
    Ok(())
}

const DUMP: Command = Command {
    name: "DUMP",
    arity: Arity::Exactly(2),
    summary: "Returns all libraries in the form in which other servers can restore them.",
    complexity: "O(N) where N is the number of functions",
    ..BASE
};

const RESTORE: Command = Command {
    name: "RESTORE",
    arity: Arity::AtLeast(3),
    flags: CHANGE.flags.and(Flags::DENY_OOM),
    summary: "Loads the libraries that a server has dumped.",
    complexity: "O(N) where N is the number of functions in the payload",
    syntax: "serialized-value [FLUSH | APPEND | REPLACE]",
    ..CHANGE
};

/// `FUNCTION RESTORE serialized-value [FLUSH | APPEND | REPLACE]`
fn restore(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (mut args, server) = (call.args(), call.batch.server);
    if args.len() > 2 {
        return Err(surplus(call));
    }
    let payload = args.bytes()?;
    let policy = args.get(0).map_or(Ok(Policy::default()), policy)?;
    server.functions.restore(payload, policy, &server.clock)?;
    call.reply().ok();
    Ok(())
}

fn policy(word: &[u8]) -> Result<Policy, CommandError> {
    let known: [(&[u8], Policy); 3] =
        [(b"FLUSH", Policy::Flush), (b"APPEND", Policy::Append), (b"REPLACE", Policy::Replace)];
    let named = known.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    named.map(|(_, policy)| policy).ok_or_else(|| {
        CommandError::text(
            "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
        )
    })
}

const LIST: Command = Command {
    name: "LIST",
    arity: Arity::AtLeast(2),
    summary: "Lists libraries and their functions.",
    complexity: "O(N) where N is the number of functions",
    syntax: "[LIBRARYNAME library-name-pattern] [WITHCODE]",
    tips: &["nondeterministic_output_order"],
    ..BASE
};

/// `FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]`
fn list(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = call.args();
    let (mut pattern, mut with_code) = (None, false);
    while !args.is_empty() {
        if !with_code && args.word("WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && args.word("LIBRARYNAME") {
            let missing = || CommandError::text("ERR library name argument was not given");
            pattern = Some(args.bytes().map_err(|_| missing())?);
        } else {
            let word = String::from_utf8_lossy(args.bytes()?);
            return Err(CommandError::text(format!("ERR Unknown argument {word}")));
        }
    }
    let catalog = call.batch.server.functions.catalog();
    let mut libraries: Vec<_> = catalog.libraries().collect();
    libraries.retain(|library| {
        pattern.is_none_or(|pattern| glob::matches(pattern, library.source.name().as_bytes(), true))
    });
    let mut reply = call.reply();
    reply.array(libraries.len());
    libraries.iter().for_each(|library| show_library(library, with_code, &mut reply));
    Ok(())
}

fn show_library(library: &Library, with_code: bool, reply: &mut Reply<'_>) {
    reply.map(3 + usize::from(with_code));
    reply.bulk(b"library_name");
    reply.bulk(library.source.name().as_bytes());
    reply.bulk(b"engine");
    reply.bulk(ENGINE);
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    library.functions.iter().for_each(|function| show_function(function, reply));
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(library.source.source());
    }
}

fn show_function(function: &Function, reply: &mut Reply<'_>) {
    let flags = function.flags.names();
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(function.name.as_bytes());
    reply.bulk(b"description");
    match &function.description {
        Some(description) => reply.bulk(description),
        None => reply.null(),
    }
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
}

const STATS: Command = Command {
    name: "STATS",
    arity: Arity::Exactly(2),
    flags: BASE.flags.and(Flags::ALLOW_BUSY),
    summary: "Tells which function runs, and how many libraries and functions there are.",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..BASE
};

/// `FUNCTION STATS`. Of several functions that run, it shows the one that began first.
fn stats(call: &mut Call<'_>) {
    let server = call.batch.server;
    let running = server.scripts.longest(Kind::Function);
    let catalog = server.functions.catalog();
    let now_nanos = server.clock.nanos();
    let mut reply = call.reply();
    reply.map(2);
    reply.bulk(b"running_script");
    match running {
        Some(running) => show_running(&running, now_nanos, &mut reply),
        None => reply.null(),
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(ENGINE);
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.integer(catalog.libraries().len() as i64);
    reply.bulk(b"functions_count");
    reply.integer(catalog.functions_len() as i64);
}

fn show_running(running: &Running, now_nanos: u64, reply: &mut Reply<'_>) {
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(running.name());
    reply.bulk(b"command");
    reply.array(running.words().len());
    running.words().iter().for_each(|word| reply.bulk(word));
    reply.bulk(b"duration_ms");
    reply.integer(running.millis(now_nanos) as i64);
}

const KILL: Command = Command {
    name: "KILL",
    arity: Arity::Exactly(2),
    flags: BASE.flags.and(Flags::ALLOW_BUSY),
    summary: "Ends the function that runs, if it has changed nothing.",
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    ..BASE
};

/// `FUNCTION KILL`
fn kill(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (server, busy_millis) = (call.batch.server, call.batch.settings.busy_reply_millis);
    server.scripts.kill(Kind::Function, server.clock.nanos(), busy_millis)?;
    call.reply().ok();
    Ok(())
}

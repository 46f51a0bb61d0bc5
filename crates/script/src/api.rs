//! `redis.*`, also known as `server.*`: what scripts ask of the server. Hot.

use protocol::{Dialect, Reply, Words};

use crate::answer;
use crate::error::{push_error, push_error_text};
use crate::fiber;
use crate::host::{Call, Called, LogLevel, Replicate};
use crate::library;
use crate::lua::{Kind, Lua, Outcome};
use crate::source::ScriptId;
use crate::stop;

/// The version of Redis that scripts are told.
pub const REDIS_VERSION: &str = "8.4.0";

/// What scripts are told of the server itself.
const SERVER_NAME: &str = "anax";
const SERVER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where a table of the API is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In scripts.
    Script,
    /// In functions that run.
    Function,
    /// In libraries while they are loaded.
    Load,
}

/// Fills the table on top.
pub(crate) fn fill(lua: Lua<'_>, place: Place) {
    log_fields(lua);
    version_fields(lua);
    if place == Place::Load {
        lua.push_function(library::register, 0);
        lua.raw_set_field(-2, "register_function");
        return;
    }
    run_functions(lua);
    let flags = [("NONE", 0.0), ("AOF", 1.0), ("SLAVE", 2.0), ("REPLICA", 2.0), ("ALL", 3.0)];
    for (name, flag) in flags {
        push_joined(lua, "REPL_", name);
        lua.push_number(flag);
        lua.raw_set(-3);
    }
    if place == Place::Script {
        lua.set_function("breakpoint", no_breakpoint);
        lua.set_function("debug", nothing);
        lua.set_function("replicate_commands", yes);
    }
}

fn run_functions(lua: Lua<'_>) {
    lua.set_function("call", call);
    lua.set_function("pcall", pcall);
    lua.set_function("error_reply", error_reply);
    lua.set_function("status_reply", status_reply);
    lua.set_function("sha1hex", sha1hex);
    lua.set_function("setresp", set_dialect);
    lua.set_function("set_repl", set_replication);
    lua.set_function("acl_check_cmd", may_call);
}

fn log_fields(lua: Lua<'_>) {
    lua.set_function("log", log);
    for (name, level) in [("DEBUG", 0.0), ("VERBOSE", 1.0), ("NOTICE", 2.0), ("WARNING", 3.0)] {
        push_joined(lua, "LOG_", name);
        lua.push_number(level);
        lua.raw_set(-3);
    }
}

fn version_fields(lua: Lua<'_>) {
    lua.push_bytes(REDIS_VERSION.as_bytes());
    lua.raw_set_field(-2, "REDIS_VERSION");
    lua.push_number(version_number(REDIS_VERSION));
    lua.raw_set_field(-2, "REDIS_VERSION_NUM");
    lua.push_bytes(SERVER_NAME.as_bytes());
    lua.raw_set_field(-2, "SERVER_NAME");
    lua.push_bytes(SERVER_VERSION.as_bytes());
    lua.raw_set_field(-2, "SERVER_VERSION");
    lua.push_number(version_number(SERVER_VERSION));
    lua.raw_set_field(-2, "SERVER_VERSION_NUM");
}

/// `major.minor.patch` as 0x00MMmmpp.
fn version_number(version: &str) -> f64 {
    let parts = version.split('.').map(|part| part.parse::<u8>().unwrap_or(0));
    f64::from(parts.take(3).fold(0_u32, |number, part| number << 8 | u32::from(part)))
}

fn push_joined(lua: Lua<'_>, prefix: &str, name: &str) {
    lua.push_bytes(prefix.as_bytes());
    lua.push_bytes(name.as_bytes());
    lua.concat(2);
}

/// `redis.call(..)`: an error of the command is raised.
fn call(lua: Lua<'_>) -> Outcome {
    run_command(lua, true)
}

/// `redis.pcall(..)`: an error of the command is the result.
fn pcall(lua: Lua<'_>) -> Outcome {
    run_command(lua, false)
}

fn run_command(lua: Lua<'_>, raises: bool) -> Outcome {
    if lua.top() == 0 {
        let refused = push_error(lua, NO_WORDS);
        return if raises { Err(refused) } else { Ok(1) };
    }
    let shared = lua.shared();
    let call = Call { dialect: shared.dialect.get(), replicate: shared.replicate.get() };
    loop {
        let called = with_words(lua, |words| {
            shared.host(|host| {
                let mut answer = shared.answer.borrow_mut();
                answer.clear();
                host.call(words, call, &mut Reply::new(&mut answer, call.dialect))
            })
        });
        match called {
            Ok(Some(Called::Answered)) => break,
            Ok(Some(Called::Later)) => fiber::pause(shared),
            Ok(None) => return stopped(lua),
            Err(refusal) => {
                let refused = push_error(lua, refusal);
                return if raises { Err(refused) } else { Ok(1) };
            }
        }
        if shared.stop.get().is_some() {
            return stopped(lua);
        }
    }
    lua.set_top(0);
    let is_error = answer::is_error(shared.answer());
    if !is_error && lua.results_taken() == 0 {
        return Ok(0);
    }
    answer::push(lua, shared.answer())?;
    if is_error && raises { Err(crate::lua::Raised) } else { Ok(1) }
}

/// The host has failed: nothing of the script runs any more.
fn stopped(lua: Lua<'_>) -> Outcome {
    stop::end(lua);
    Err(push_error(lua, lua.shared().stop.get().unwrap_or("there is no script running")))
}

/// What is told if a call has no word.
const NO_WORDS: &str = "Please specify at least one argument for this redis lib call";

/// What is told if a word of a call is neither a text nor a number.
const NOT_TEXTS: &str = "Lua redis lib command arguments must be strings or integers";

/// What is told if the words of a call are more than a request may have.
const TOO_LONG: &str = "Lua redis lib command arguments are too long";

/// Hands over all values of the stack; a number is written without loss, and becomes no string of
/// Lua's.
///
/// # Errors
///
/// If one is neither a text nor a number, or they are 4 GiB or more.
fn with_words<T>(lua: Lua<'_>, work: impl FnOnce(Words<'_>) -> T) -> Result<T, &'static str> {
    lua.shared().words(|gathered| {
        gathered.clear();
        for at in 1..=lua.top() {
            let is_short = match lua.kind(at) {
                // A zero below zero is zero to commands.
                Kind::Number => gathered.push_number(lua.number(at) + 0.0),
                Kind::String => gathered.push(lua.text(at).unwrap_or_default()),
                _ => return Err(NOT_TEXTS),
            };
            if !is_short {
                return Err(TOO_LONG);
            }
        }
        Ok(work(gathered.words()))
    })
}

/// `redis.error_reply(text)`.
fn error_reply(lua: Lua<'_>) -> Outcome {
    let Some(text) = only_string(lua) else { return wrong_arguments(lua) };
    let shared = lua.shared();
    let start = shared.scratch_len();
    if text.starts_with(b"-") {
        push_error_text(lua, text);
    } else {
        shared.scratch_push(b"-");
        shared.scratch_push(text);
        lua.push_scratch(start);
        push_error_text(lua, lua.bytes(-1).unwrap_or_default());
    }
    Ok(1)
}

/// `redis.status_reply(text)`.
fn status_reply(lua: Lua<'_>) -> Outcome {
    if only_string(lua).is_none() {
        return wrong_arguments(lua);
    }
    lua.new_table(0, 1);
    lua.copy(1);
    lua.raw_set_field(-2, "ok");
    Ok(1)
}

fn only_string(lua: Lua<'_>) -> Option<&[u8]> {
    if lua.top() == 1 { lua.bytes(1) } else { None }
}

/// Returned, not raised.
fn wrong_arguments(lua: Lua<'_>) -> Outcome {
    let _ = push_error(lua, "wrong number or type of arguments");
    Ok(1)
}

/// `redis.sha1hex(text)`.
fn sha1hex(lua: Lua<'_>) -> Outcome {
    if lua.top() != 1 {
        return Err(push_error(lua, "wrong number of arguments"));
    }
    let text = match lua.kind(1) {
        Kind::String | Kind::Number => lua.text(1).unwrap_or_default(),
        _ => &[],
    };
    lua.push_bytes(&ScriptId::of(text).hex());
    Ok(1)
}

/// `redis.log(level, text..)`.
fn log(lua: Lua<'_>) -> Outcome {
    let count = lua.top();
    if count < 2 {
        return Err(push_error(lua, "redis.log() requires two arguments or more."));
    }
    if !lua.is_numeric(1) {
        return Err(push_error(lua, "First argument must be a number (log level)."));
    }
    let Some(level) = LogLevel::from_number(lua.number(1) as i64) else {
        return Err(push_error(lua, "Invalid log level."));
    };
    let shared = lua.shared();
    let start = shared.scratch_len();
    for at in 2..=count {
        let text = match lua.kind(at) {
            Kind::String | Kind::Number => lua.text(at),
            _ => None,
        };
        let Some(text) = text else { continue };
        if shared.scratch_len() > start {
            shared.scratch_push(b" ");
        }
        shared.scratch_push(text);
    }
    let done = shared.scratch(|message| {
        let done = shared.host(|host| host.log(level, &message[start..]));
        message.truncate(start);
        done
    });
    if done.is_none() { stopped(lua) } else { Ok(0) }
}

/// `redis.setresp(2 or 3)`.
fn set_dialect(lua: Lua<'_>) -> Outcome {
    if lua.top() != 1 {
        return Err(push_error(lua, "redis.setresp() requires one argument."));
    }
    let dialect = match lua.number(1) as i64 {
        2 => Dialect::Resp2,
        3 => Dialect::Resp3,
        _ => return Err(push_error(lua, "RESP version must be 2 or 3.")),
    };
    lua.shared().dialect.set(dialect);
    Ok(0)
}

/// `redis.set_repl(flags)`.
fn set_replication(lua: Lua<'_>) -> Outcome {
    if lua.top() != 1 {
        return Err(push_error(lua, "redis.set_repl() requires one argument."));
    }
    let Some(replicate) = Replicate::from_flags(lua.number(1) as i64) else {
        let text = "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return Err(push_error(lua, text));
    };
    lua.shared().replicate.set(replicate);
    Ok(0)
}

/// `redis.acl_check_cmd(..)`.
fn may_call(lua: Lua<'_>) -> Outcome {
    if lua.top() == 0 {
        return Err(push_error(lua, NO_WORDS));
    }
    let answer = with_words(lua, |words| lua.shared().host(|host| host.may_call(words)));
    match answer {
        Ok(Some(Some(may))) => lua.push_boolean(may),
        Ok(Some(None)) => {
            return Err(push_error(lua, "Invalid command passed to redis.acl_check_cmd()"));
        }
        Ok(None) => return stopped(lua),
        Err(refusal) => return Err(push_error(lua, refusal)),
    }
    Ok(1)
}

/// `redis.breakpoint()`: there is no debugger.
fn no_breakpoint(lua: Lua<'_>) -> Outcome {
    lua.push_boolean(false);
    Ok(1)
}

/// `redis.replicate_commands()`: effects are replicated anyway.
fn yes(lua: Lua<'_>) -> Outcome {
    lua.push_boolean(true);
    Ok(1)
}

/// `redis.debug(..)`: there is no debugger.
fn nothing(_: Lua<'_>) -> Outcome {
    Ok(0)
}

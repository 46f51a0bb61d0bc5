//! CLIENT: what a connection says of itself, and what it may know of and do to others.

use std::sync::atomic::{AtomicBool, Ordering};

use command::{Args, Arity, Category, Command, CommandError, Flags, Group, Run, parse_integer};

use super::connection::set_name;
use super::{Call, Next, SessionRow};
use crate::client::{Client, Kill, Unblock};
use crate::session::ReplyMode;

mod filter;
mod line;
mod tracking;

use filter::Filter;
pub(super) use tracking::end_forbidden;

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: CLIENT, run: client }];

/// A client as CLIENT INFO describes it, without the line's end.
pub(crate) fn client_line(client: &Client, now: keyspace::Millis) -> String {
    let mut text = String::new();
    line::write(client, now, &mut text);
    text.truncate(text.trim_end().len());
    text
}

/// Allowed while data is loaded or stale, and not in scripts.
const PLAIN: Flags = Flags::NO_SCRIPT.and(Flags::LOADING).and(Flags::STALE);

/// Allowed while a script keeps the server busy, too.
const ALWAYS: Flags = PLAIN.and(Flags::ALLOW_BUSY);

const ADMIN: Flags = PLAIN.and(Flags::ADMIN).and(Flags::SENTINEL);

const BASE: Command = Command {
    run: Run::Session,
    category: Category::CONNECTION,
    group: Group::Connection,
    ..Command::BASE
};

const CLIENT: Command = Command {
    name: "CLIENT",
    run: Run::Container,
    category: Category::NONE,
    arity: Arity::AtLeast(2),
    flags: Flags::SENTINEL,
    since: "2.4.0",
    summary: "Commands about client connections.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        tracking::CACHING,
        CAPA,
        GETNAME,
        tracking::GETREDIR,
        HELP,
        ID,
        IMPORT_SOURCE,
        INFO,
        KILL,
        LIST,
        NO_EVICT,
        NO_TOUCH,
        PAUSE,
        REPLY,
        SETINFO,
        SETNAME,
        tracking::TRACKING,
        tracking::TRACKINGINFO,
        UNBLOCK,
        UNPAUSE,
    ],
    ..BASE
};

fn client(call: &mut Call<'_>) -> Result<Next, CommandError> {
    match call.command.name {
        "CACHING" => tracking::caching(call)?,
        "CAPA" => capa(call),
        "GETNAME" => name(call),
        "GETREDIR" => tracking::redirection(call),
        "HELP" => return Ok(call.help()),
        "ID" => id(call),
        "IMPORT-SOURCE" => import_source(call)?,
        "INFO" => info(call),
        "KILL" => return kill(call),
        "LIST" => list(call)?,
        "NO-EVICT" => no_evict(call)?,
        "NO-TOUCH" => no_touch(call)?,
        "PAUSE" => pause(call)?,
        "REPLY" => reply(call)?,
        "SETINFO" => set_info(call)?,
        "SETNAME" => set_name_of_connection(call)?,
        "TRACKING" => tracking::tracking(call)?,
        "TRACKINGINFO" => tracking::information(call),
        "UNBLOCK" => unblock(call)?,
        _ => unpause(call),
    }
    Ok(Next::Done)
}

const CAPA: Command = Command {
    name: "CAPA",
    arity: Arity::AtLeast(3),
    flags: ALWAYS,
    since: "8.0.0",
    summary: "Tells the server what the client is able to do.",
    syntax: "capability [capability ...]",
    ..BASE
};

/// `CLIENT CAPA capability..`: those that nobody knows are passed over, as later clients may
/// have more.
fn capa(call: &mut Call<'_>) {
    if call.args().rest().any(|word| word.eq_ignore_ascii_case(b"redirect")) {
        call.session.client.follows_redirects.store(true, Ordering::Relaxed);
    }
    call.reply().ok();
}

const GETNAME: Command = Command {
    name: "GETNAME",
    arity: Arity::Exactly(2),
    flags: ALWAYS.and(Flags::SENTINEL),
    since: "2.6.9",
    summary: "Answers the connection's name.",
    ..BASE
};

fn name(call: &mut Call<'_>) {
    let name = call.session.client.names().name;
    let mut reply = call.reply();
    if name.is_empty() { reply.null() } else { reply.bulk(&name) }
}

const HELP: Command = Command {
    name: "HELP",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::SENTINEL),
    since: "5.0.0",
    summary: "Lists the subcommands.",
    ..BASE
};

const ID: Command = Command {
    name: "ID",
    arity: Arity::Exactly(2),
    flags: ALWAYS.and(Flags::SENTINEL),
    since: "5.0.0",
    summary: "Answers the connection's number, which no other one ever gets.",
    ..BASE
};

fn id(call: &mut Call<'_>) {
    let id = call.session.client.id as i64;
    call.reply().integer(id);
}

const IMPORT_SOURCE: Command = Command {
    name: "IMPORT-SOURCE",
    arity: Arity::Exactly(3),
    flags: Flags::NO_SCRIPT.and(Flags::LOADING).and(Flags::STALE),
    since: "8.1.0",
    summary: "Marks the connection as one that data is taken over from.",
    syntax: "ON | OFF",
    ..BASE
};

fn import_source(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = call.args();
    let off = args.word("OFF");
    if !off && !call.batch.settings.import_mode {
        return Err(CommandError::text("ERR Server is not in import mode"));
    }
    if !off && !args.word("ON") {
        return Err(CommandError::Syntax);
    }
    call.session.imports = !off;
    switch(call, |client| &client.imports, !off);
    Ok(())
}

const INFO: Command = Command {
    name: "INFO",
    arity: Arity::Exactly(2),
    flags: PLAIN.and(Flags::SENTINEL),
    since: "6.2.0",
    summary: "Describes the connection as a line of CLIENT LIST.",
    tips: &["nondeterministic_output"],
    ..BASE
};

fn info(call: &mut Call<'_>) {
    let mut text = String::new();
    line::write_own(&call.session.client, call.batch.now, call.words, &mut text);
    call.reply().verbatim("txt", text.as_bytes());
}

/// Which connections LIST describes and KILL closes.
macro_rules! filters {
    () => {
        "[ID client-id [client-id ...]] [NOT-ID client-id [client-id ...]] \
         [TYPE (NORMAL | PRIMARY | MASTER | REPLICA | SLAVE | PUBSUB)] \
         [NOT-TYPE (NORMAL | PRIMARY | MASTER | REPLICA | SLAVE | PUBSUB)] [USER username] \
         [NOT-USER username] [ADDR ip:port] [NOT-ADDR ip:port] [LADDR ip:port] \
         [NOT-LADDR ip:port] [SKIPME (YES | NO)] [MAXAGE maxage] [IDLE seconds] [FLAGS flags] \
         [NOT-FLAGS flags] [NAME name] [NOT-NAME name] [LIB-NAME libname] [NOT-LIB-NAME libname] \
         [LIB-VER libver] [NOT-LIB-VER libver] [DB db] [NOT-DB db] [CAPA capability] \
         [NOT-CAPA capability] [IP ip] [NOT-IP ip]"
    };
}

const KILL: Command = Command {
    name: "KILL",
    arity: Arity::AtLeast(3),
    flags: ADMIN,
    since: "2.4.0",
    summary: "Closes connections.",
    complexity: "O(N) where N is the number of connections",
    syntax: concat!("ip:port | (", filters!(), ")"),
    history: &[
        ("2.8.12", "Filters, and `ID` among them."),
        ("3.2.0", "`TYPE master`."),
        ("5.0.0", "`TYPE replica`, another word for `slave`."),
        ("6.2.0", "`LADDR`."),
        ("7.4.0", "`MAXAGE`; since 8.0.0 in Valkey."),
        ("8.0.0", "`TYPE primary`, another word for `master` (Valkey)."),
        ("8.1.0", "Several ids (Valkey)."),
        (
            "9.0.0",
            "`NAME`, `IDLE`, `FLAGS`, `LIB-NAME`, `LIB-VER`, `DB`, `CAPA`, `IP`, and `NOT-` before a filter (Valkey).",
        ),
    ],
    ..BASE
};

/// `CLIENT KILL ip:port`, which answers OK, and `CLIENT KILL filter..`, which answers how many.
fn kill(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let args = call.args();
    let old_form = args.len() == 1;
    let filter = if old_form {
        Filter::address(args.get(0).unwrap_or_default())
    } else {
        Filter::parse(args, true, call.batch.server)?
    };
    let own = call.session.client.id;
    let (mut killed, mut next) = (0, Next::Done);
    for client in call.batch.server.clients.all() {
        if !filter.takes(&client, own, call.batch.now) {
            continue;
        }
        killed += 1;
        if client.id == own {
            next = Next::Close;
        } else {
            client.kill(Kill::Now);
        }
    }
    match (old_form, killed) {
        (true, 0) => return Err(CommandError::text("ERR No such client")),
        (true, _) => call.reply().ok(),
        (false, _) => call.reply().integer(killed),
    }
    Ok(next)
}

const LIST: Command = Command {
    name: "LIST",
    arity: Arity::AtLeast(2),
    flags: ADMIN,
    since: "2.4.0",
    summary: "Describes connections, one on each line.",
    complexity: "O(N) where N is the number of connections",
    syntax: filters!(),
    tips: &["nondeterministic_output"],
    history: &[
        ("2.8.12", "The field `id`."),
        ("5.0.0", "`TYPE`."),
        ("6.0.0", "The field `user`."),
        ("6.2.0", "The fields `argv-mem`, `tot-mem`, `laddr` and `redir`; `ID`."),
        ("7.0.0", "The fields `resp`, `multi-mem`, `rbs` and `rbp`."),
        ("7.0.3", "The field `ssub`."),
        ("7.2.0", "The fields `lib-name` and `lib-ver`."),
        ("7.4.0", "The field `watch`."),
        (
            "8.0.0",
            "The field `io-thread` (Redis); `TYPE primary`, another word for `master` (Valkey).",
        ),
        ("8.1.0", "`USER`, `ADDR`, `LADDR`, `SKIPME` and `MAXAGE` (Valkey)."),
        (
            "9.0.0",
            "`NAME`, `IDLE`, `FLAGS`, `LIB-NAME`, `LIB-VER`, `DB`, `CAPA`, `IP`, and `NOT-` before a filter (Valkey).",
        ),
    ],
    ..BASE
};

fn list(call: &mut Call<'_>) -> Result<(), CommandError> {
    if call.args().len() == 1 {
        return Err(CommandError::Syntax);
    }
    let filter = Filter::parse(call.args(), false, call.batch.server)?;
    let own = call.session.client.id;
    let mut text = String::new();
    let now = call.batch.now;
    for client in call.batch.server.clients.all() {
        if !filter.takes(&client, own, now) {
            continue;
        }
        if client.id == own {
            line::write_own(&client, now, call.words, &mut text);
        } else if client.killed() != Kill::Now {
            line::write(&client, now, &mut text);
        }
    }
    call.reply().verbatim("txt", text.as_bytes());
    Ok(())
}

const NO_EVICT: Command = Command {
    name: "NO-EVICT",
    arity: Arity::Exactly(3),
    flags: ADMIN.and(Flags::ALLOW_BUSY),
    since: "7.0.0",
    summary: "Spares the connection when clients are dropped for want of memory.",
    syntax: "ON | OFF",
    ..BASE
};

fn no_evict(call: &mut Call<'_>) -> Result<(), CommandError> {
    let on = on_or_off(call.args())?;
    switch(call, |client| &client.no_evict, on);
    Ok(())
}

const NO_TOUCH: Command = Command {
    name: "NO-TOUCH",
    arity: Arity::Exactly(3),
    flags: ALWAYS,
    since: "7.2.0",
    summary: "Says whether the connection's commands count as use of the keys they name.",
    syntax: "ON | OFF",
    ..BASE
};

fn no_touch(call: &mut Call<'_>) -> Result<(), CommandError> {
    let on = on_or_off(call.args())?;
    call.session.no_touch = on;
    switch(call, |client| &client.no_touch, on);
    Ok(())
}

fn on_or_off(mut args: Args<'_>) -> Result<bool, CommandError> {
    let on = args.word("ON");
    if on || args.word("OFF") { Ok(on) } else { Err(CommandError::Syntax) }
}

fn switch(call: &mut Call<'_>, flag: impl Fn(&Client) -> &AtomicBool, on: bool) {
    flag(&call.session.client).store(on, Ordering::Relaxed);
    call.reply().ok();
}

const PAUSE: Command = Command {
    name: "PAUSE",
    arity: Arity::AtLeast(3),
    flags: ADMIN,
    since: "3.0.0",
    summary: "Holds back all commands, or those that write, for some time.",
    syntax: "timeout [WRITE | ALL]",
    history: &[("6.2.0", "`WRITE` and `ALL`.")],
    ..BASE
};

/// `CLIENT PAUSE milliseconds [WRITE|ALL]`.
fn pause(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = call.args();
    if args.len() > 2 {
        return Err(surplus("PAUSE"));
    }
    let time = args.bytes()?;
    let everything = !args.word("WRITE");
    if everything && !args.is_empty() && !args.word("ALL") {
        return Err(CommandError::text("ERR CLIENT PAUSE mode must be WRITE or ALL"));
    }
    let now = call.batch.now;
    let until = now + pause_millis(time, now)?;
    call.batch.server.pause.begin(now, until, everything);
    call.reply().ok();
    Ok(())
}

fn pause_millis(raw: &[u8], now: u64) -> Result<u64, CommandError> {
    let error = |text| CommandError::text(format!("ERR timeout is {text}"));
    let millis = parse_integer(raw).ok_or_else(|| error("not an integer or out of range"))?;
    let millis = u64::try_from(millis).map_err(|_| error("negative"))?;
    let end = now.checked_add(millis).filter(|&end| i64::try_from(end).is_ok());
    end.map(|_| millis).ok_or_else(|| error("out of range"))
}

/// More words than a subcommand knows, though its arity allows them.
fn surplus(subcommand: &str) -> CommandError {
    CommandError::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try CLIENT HELP."
    ))
}

const REPLY: Command = Command {
    name: "REPLY",
    arity: Arity::Exactly(3),
    flags: ALWAYS.and(Flags::SENTINEL).and(Flags::NO_MULTI),
    since: "3.2.0",
    summary: "Says whether the connection's commands are answered.",
    syntax: "ON | OFF | SKIP",
    ..BASE
};

/// `CLIENT REPLY ON|OFF|SKIP`: only ON is answered.
fn reply(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = call.args();
    let mode = &mut call.session.reply_mode;
    if args.word("ON") {
        *mode = ReplyMode::On;
        call.reply().ok();
    } else if args.word("OFF") {
        *mode = ReplyMode::Off;
    } else if args.word("SKIP") {
        if *mode != ReplyMode::Off {
            *mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(())
}

const SETINFO: Command = Command {
    name: "SETINFO",
    arity: Arity::Exactly(4),
    flags: ALWAYS.and(Flags::SENTINEL),
    since: "7.2.0",
    summary: "Names the library that the client uses, or its version.",
    syntax: "LIB-NAME libname | LIB-VER libver",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..BASE
};

fn set_info(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = call.args();
    let (option, value) = (args.bytes()?, args.bytes()?);
    let names_library = option.eq_ignore_ascii_case(b"lib-name");
    let quoted = String::from_utf8_lossy(option);
    if !names_library && !option.eq_ignore_ascii_case(b"lib-ver") {
        return Err(CommandError::text(format!("ERR Unrecognized option '{quoted}'")));
    }
    if value.iter().any(|byte| !byte.is_ascii_graphic()) {
        let rule = "cannot contain spaces, newlines or special characters.";
        return Err(CommandError::text(format!("ERR {quoted} {rule}")));
    }
    call.session.client.rename(|names| {
        let field = if names_library { &mut names.lib_name } else { &mut names.lib_version };
        *field = value.to_vec();
    });
    call.reply().ok();
    Ok(())
}

const SETNAME: Command = Command {
    name: "SETNAME",
    arity: Arity::Exactly(3),
    flags: ALWAYS.and(Flags::SENTINEL),
    since: "2.6.9",
    summary: "Names the connection.",
    syntax: "connection-name",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..BASE
};

fn set_name_of_connection(call: &mut Call<'_>) -> Result<(), CommandError> {
    let name = call.args().bytes()?;
    set_name(call, name)?;
    call.reply().ok();
    Ok(())
}

const UNBLOCK: Command = Command {
    name: "UNBLOCK",
    arity: Arity::AtLeast(3),
    flags: ADMIN,
    since: "5.0.0",
    summary: "Ends the wait of another connection's blocking command.",
    complexity: "O(log N) where N is the number of connections",
    syntax: "client-id [TIMEOUT | ERROR]",
    ..BASE
};

/// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`: answers whether that client waited.
fn unblock(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = call.args();
    if args.len() > 2 {
        return Err(surplus("UNBLOCK"));
    }
    let id = args.bytes()?;
    let how = if args.word("ERROR") { Unblock::Error } else { Unblock::Timeout };
    if how == Unblock::Timeout && !args.is_empty() && !args.word("TIMEOUT") {
        return Err(CommandError::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    }
    let id = parse_integer(id).ok_or(CommandError::NotAnInteger)?;
    let other = u64::try_from(id).ok().and_then(|id| call.batch.server.clients.get(id));
    // As long as it waits it runs nothing else.
    let waits_in = other.as_ref().and_then(|other| other.last_command());
    let waited = other.is_some_and(|other| other.unblock(how));
    let table = &call.batch.server.table;
    if waited
        && let Some((command, sub)) = waits_in
        && let Some(entry) = table.find(command.name.as_bytes())
    {
        // Its own task would do so a moment later, when somebody may have looked already.
        call.batch.book_run(entry, sub.unwrap_or(command), (1, 0));
    }
    call.reply().integer(i64::from(waited));
    Ok(())
}

const UNPAUSE: Command = Command {
    name: "UNPAUSE",
    arity: Arity::Exactly(2),
    flags: ADMIN,
    since: "6.2.0",
    summary: "Ends a pause before its time.",
    complexity: "O(N) where N is the number of connections that are held back",
    ..BASE
};

fn unpause(call: &mut Call<'_>) {
    call.batch.server.pause.end();
    call.reply().ok();
}

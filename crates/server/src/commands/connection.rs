//! The session's own state: AUTH, HELLO, SELECT, PING, ECHO, QUIT, RESET.

use command::{Arity, Category, Command, CommandError, Flags, Group, Run, parse_integer};
use protocol::Dialect;

use super::client::end_forbidden;
use super::{Call, Next, SessionRow};
use crate::acl::{Reason, Refusal};
use crate::session::ReplyMode;

/// The version of Redis whose behaviour clients may expect.
pub(crate) const REDIS_VERSION: &str = "8.4.0";

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[
    SessionRow { command: AUTH, run: auth },
    SessionRow { command: HELLO, run: hello },
    SessionRow { command: SELECT, run: select },
    SessionRow { command: PING, run: ping },
    SessionRow { command: ECHO, run: echo },
    SessionRow { command: QUIT, run: quit },
    SessionRow { command: RESET, run: reset },
];

/// Allowed whatever state the server is in, and before authentication.
const ALWAYS: Flags = Flags::NO_AUTH
    .and(Flags::NO_SCRIPT)
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::FAST)
    .and(Flags::ALLOW_BUSY)
    .and(Flags::SENTINEL);

const BASE: Command = Command {
    run: Run::Session,
    category: Category::CONNECTION,
    group: Group::Connection,
    ..Command::BASE
};

const AUTH: Command = Command {
    name: "AUTH",
    arity: Arity::AtLeast(2),
    flags: ALWAYS,
    since: "1.0.0",
    summary: "Authenticates the connection.",
    complexity: "O(N) where N is the number of passwords of the user",
    syntax: "[username] password",
    history: &[("6.0.0", "A username may come first.")],
    ..BASE
};

fn auth(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let mut args = call.args();
    let (user, password) = match args.len() {
        1 => (&b"default"[..], args.bytes()?),
        2 => (args.bytes()?, args.bytes()?),
        _ => return Err(CommandError::Syntax),
    };
    let names_user = call.words.len() == 3;
    authenticate(call, user, password, names_user)?;
    call.reply().ok();
    Ok(Next::Done)
}

/// Lets the session in if the password is right.
fn authenticate(
    call: &mut Call<'_>,
    user: &[u8],
    password: &[u8],
    names_user: bool,
) -> Result<(), CommandError> {
    let server = call.batch.server;
    if !names_user && server.acl.default_user().rules.needs_no_password() {
        return Err(CommandError::text(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        ));
    }
    let Some(user) = server.acl.authenticate(user, password) else {
        let object = call.words.get(0).unwrap_or_default();
        let context = call.session.context();
        call.batch.note_refusal(
            Refusal { reason: Reason::Auth, context, object, user },
            &call.session.client,
        );
        return Err(CommandError::text(
            "WRONGPASS invalid username-password pair or user is disabled.",
        ));
    };
    call.session.enter(user);
    end_forbidden(call);
    Ok(())
}

const HELLO: Command = Command {
    name: "HELLO",
    arity: Arity::AtLeast(1),
    flags: ALWAYS,
    since: "6.0.0",
    summary: "Agrees on a protocol version, and tells what the server is.",
    syntax: "[protover [AUTH username password] [SETNAME clientname]]",
    history: &[("6.2.0", "The version may be left out: nothing is changed then.")],
    ..BASE
};

fn hello(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let mut args = call.args();
    let mut dialect = call.session.dialect;
    if !args.is_empty() {
        dialect = match parse_integer(args.bytes()?) {
            None => {
                return Err(CommandError::text(
                    "ERR Protocol version is not an integer or out of range",
                ));
            }
            Some(2) => Dialect::Resp2,
            Some(3) => Dialect::Resp3,
            Some(_) => return Err(CommandError::NoProto),
        };
    }
    let (mut credentials, mut name) = (None, None);
    while let Some(word) = args.get(0) {
        if args.len() >= 3 && args.word("AUTH") {
            credentials = Some((args.bytes()?, args.bytes()?));
        } else if args.word_with_value("SETNAME") {
            name = Some(checked_name(args.bytes()?)?);
        } else {
            let word = String::from_utf8_lossy(word);
            return Err(CommandError::text(format!("ERR Syntax error in HELLO option '{word}'")));
        }
    }
    if let Some((user, password)) = credentials {
        authenticate(call, user, password, true)?;
    }
    if !call.session.authenticated {
        return Err(CommandError::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        set_name(call, name)?;
    }
    call.session.speak(dialect);
    let id = call.session.client.id as i64;
    let number = if dialect == Dialect::Resp3 { 3 } else { 2 };
    let config = call.batch.server.config.current();
    let zone = &config.live().availability_zone;
    let mut reply = call.reply();
    reply.map(7 + usize::from(!zone.is_empty()));
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    for (name, value) in [("proto", number), ("id", id)] {
        reply.bulk(name.as_bytes());
        reply.integer(value);
    }
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    if !zone.is_empty() {
        reply.bulk(b"availability_zone");
        reply.bulk(zone.as_bytes());
    }
    Ok(Next::Done)
}

/// Names the connection, for CLIENT LIST.
pub(super) fn set_name(call: &mut Call<'_>, name: &[u8]) -> Result<(), CommandError> {
    let name = checked_name(name)?;
    call.session.client.rename(|names| names.name = name.to_vec());
    Ok(())
}

/// A name as it may stand in a line of CLIENT LIST.
fn checked_name(name: &[u8]) -> Result<&[u8], CommandError> {
    if name.iter().all(u8::is_ascii_graphic) {
        return Ok(name);
    }
    Err(CommandError::text(
        "ERR Client names cannot contain spaces, newlines or special characters.",
    ))
}

const SELECT: Command = Command {
    name: "SELECT",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    since: "1.0.0",
    summary: "Changes the selected database.",
    syntax: "index",
    ..BASE
};

fn select(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let number: i64 = call.args().take()?;
    let number = i32::try_from(number).map_err(|_| CommandError::NotAnInt32)?;
    let databases = call.batch.server.keyspace.databases();
    let db = u16::try_from(number).ok().filter(|&db| db < databases);
    call.session.select(db.ok_or(CommandError::DbIndex)?);
    call.reply().ok();
    Ok(Next::Done)
}

const PING: Command = Command {
    name: "PING",
    arity: Arity::AtLeast(1),
    flags: Flags::FAST.and(Flags::SENTINEL),
    since: "1.0.0",
    summary: "Answers PONG, or what it is given.",
    syntax: "[message]",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    ..BASE
};

fn ping(call: &mut Call<'_>) -> Result<Next, CommandError> {
    if call.session.is_confined() && call.words.len() <= 2 {
        let message = call.words.get(1).unwrap_or_default();
        let mut reply = call.reply();
        reply.array(2);
        reply.bulk(b"pong");
        reply.bulk(message);
        return Ok(Next::Done);
    }
    match call.words.len() {
        1 => call.reply().simple("PONG"),
        2 => {
            let message = call.args().bytes()?;
            call.reply().bulk(message);
        }
        _ => return Err(CommandError::WrongArity("ping".into())),
    }
    Ok(Next::Done)
}

const ECHO: Command = Command {
    name: "ECHO",
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    since: "1.0.0",
    summary: "Answers what it is given.",
    syntax: "message",
    ..BASE
};

fn echo(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let message = call.args().bytes()?;
    call.reply().bulk(message);
    Ok(Next::Done)
}

const QUIT: Command = Command {
    name: "QUIT",
    arity: Arity::AtLeast(1),
    flags: ALWAYS,
    since: "1.0.0",
    summary: "Closes the connection.",
    deprecated: Some(("7.2.0", "just closing the connection")),
    ..BASE
};

fn quit(call: &mut Call<'_>) -> Result<Next, CommandError> {
    call.reply().ok();
    Ok(Next::Close)
}

const RESET: Command = Command {
    name: "RESET",
    arity: Arity::Exactly(1),
    flags: ALWAYS,
    since: "6.2.0",
    summary: "Makes the connection as it was at its beginning.",
    ..BASE
};

fn reset(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let server = call.batch.server;
    server.monitor.leave(&call.session.client);
    call.session.unsubscribe_all(&server.pubsub);
    server.tracking.leave(server.keyspace, &call.session.client);
    let settings = call.batch.settings;
    // Whose own reply was to be skipped gets none.
    let is_skipped = call.session.reply_mode == ReplyMode::Skip;
    call.session.reset(server.acl.default_user(), settings);
    if is_skipped {
        call.session.reply_mode = ReplyMode::Skip;
    }
    call.reply().simple("RESET");
    Ok(Next::Done)
}

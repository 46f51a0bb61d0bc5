//! ACL: users, what they may do, and what they were refused.

use ::command::{Arity, Category, Command, CommandError, Flags, Group, Run, parse_integer};
use protocol::Reply;

use super::{Call, HELP, Next, SessionRow};
use crate::acl::{Asked, Attempt, Selector, User, category, file, is_name};
use crate::execute::called;

mod log;
mod storage;

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: ACL, run: acl }];

/// For everybody.
const PLAIN: Flags = Flags::NO_SCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::SENTINEL);

/// For administrators.
const ADMIN: Flags = PLAIN.and(Flags::ADMIN);

const BASE: Command =
    Command { run: Run::Session, flags: ADMIN, group: Group::Server, ..Command::BASE };

/// Of what concerns every node of a cluster.
const EVERY_NODE: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

/// The bits of a password that GENPASS makes if it is not told how many, and the most it makes.
const PASSWORD_BITS: i64 = 256;
const PASSWORD_BITS_MAX: i64 = 4096;

const ACL: Command = Command {
    name: "ACL",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    flags: Flags::SENTINEL,
    since: "6.0.0",
    summary: "Commands about users and what they may do.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        CAT,
        DELUSER,
        DRYRUN,
        GENPASS,
        GETUSER,
        Command { flags: HELP.flags.and(Flags::SENTINEL), since: "6.0.0", ..HELP },
        LIST,
        storage::LOAD,
        log::LOG,
        storage::SAVE,
        SETUSER,
        USERS,
        WHOAMI,
    ],
    ..BASE
};

fn acl(call: &mut Call<'_>) -> Result<Next, CommandError> {
    match call.command.name {
        "CAT" => cat(call)?,
        "DELUSER" => return delete(call),
        "DRYRUN" => dry_run(call)?,
        "GENPASS" => generate(call)?,
        "GETUSER" => show_user(call)?,
        "LIST" => list(call),
        "LOAD" => return storage::load(call),
        "LOG" => log::log(call)?,
        "SAVE" => storage::save(call)?,
        "SETUSER" => return set(call),
        "USERS" => list_names(call),
        "WHOAMI" => {
            let user = call.session.user.name.clone();
            call.reply().bulk(&user);
        }
        _ => return Ok(call.help()),
    }
    Ok(Next::Done)
}

/// More words than a subcommand knows, though its arity allows them.
fn surplus(call: &Call<'_>) -> CommandError {
    let given = String::from_utf8_lossy(call.words.get(1).unwrap_or_default());
    CommandError::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{given}'. Try ACL HELP."
    ))
}

const CAT: Command = Command {
    name: "CAT",
    arity: Arity::AtLeast(2),
    flags: PLAIN,
    since: "6.0.0",
    summary: "Lists the categories of commands, or the commands of one.",
    syntax: "[category]",
    ..BASE
};

fn cat(call: &mut Call<'_>) -> Result<(), CommandError> {
    let args = call.args();
    if args.len() > 1 {
        return Err(surplus(call));
    }
    let Some(name) = args.get(0) else {
        let mut reply = call.reply();
        reply.array(Category::ALL.len());
        Category::ALL.iter().for_each(|(_, name)| reply.bulk(name.as_bytes()));
        return Ok(());
    };
    let wanted = category(name).ok_or_else(|| {
        let name = String::from_utf8_lossy(&name[..name.len().min(128)]);
        CommandError::text(format!("ERR Unknown category '{name}'"))
    })?;
    let entries = call.batch.server.table.iter();
    let all = entries
        .flat_map(|entry| entry.numbered().map(move |(_, command)| Asked::of(entry, command)));
    let within: Vec<Asked> = all.filter(|asked| asked.command.categories().has(wanted)).collect();
    let mut reply = call.reply();
    reply.array(within.len());
    within.iter().for_each(|asked| reply.bulk(asked.full_name().as_bytes()));
    Ok(())
}

const DELUSER: Command = Command {
    name: "DELUSER",
    arity: Arity::AtLeast(3),
    since: "6.0.0",
    summary: "Deletes users, and closes their connections.",
    complexity: "O(1) for each user.",
    syntax: "username [username ...]",
    tips: EVERY_NODE,
    ..BASE
};

fn delete(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let server = call.batch.server;
    if call.args().rest().any(|name| name == crate::acl::DEFAULT_USER) {
        return Err(CommandError::text("ERR The 'default' user cannot be removed"));
    }
    let changed = server.acl.remove(call.args().rest());
    server.part_with(&changed, call.session.client.id);
    call.reply().integer(changed.len() as i64);
    Ok(storage::next_of(call, &changed))
}

const DRYRUN: Command = Command {
    name: "DRYRUN",
    arity: Arity::AtLeast(4),
    since: "7.0.0",
    summary: "Tells whether a user may run a command, without running it.",
    syntax: "username command [arg ...]",
    ..BASE
};

fn dry_run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let server = call.batch.server;
    let error = |text: String| Err(CommandError::text(format!("ERR {text}")));
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let name = call.args().get(0).unwrap_or_default();
    let Some(user) = server.acl.find(name) else {
        return error(format!("User '{}' not found", text(name)));
    };
    let words = call.words.tail(3);
    let named = words.get(0).unwrap_or_default();
    let entry = server.table.find(named);
    let found = entry.map(|entry| (entry, called(entry.command, words)));
    let is_whole = |command: &Command| !matches!(command.run, Run::Container) || words.len() == 1;
    let Some((entry, command)) = found.filter(|(_, command)| is_whole(command)) else {
        return error(format!("Command '{}' not found", text(named)));
    };
    let asked = Asked::of(entry, command);
    if !command.arity.allows(words.len()) {
        return error(format!("wrong number of arguments for '{}' command", asked.full_name()));
    }
    let db = call.session.db;
    let attempt = Attempt { asked, words, db, databases: server.keyspace.databases() };
    match user.check(&attempt) {
        Ok(()) => call.reply().ok(),
        Err(denial) => {
            let refusal = user.refusal(denial, &attempt, true);
            call.reply().bulk(refusal.as_bytes());
        }
    }
    Ok(())
}

const GENPASS: Command = Command {
    name: "GENPASS",
    arity: Arity::AtLeast(2),
    flags: PLAIN,
    since: "6.0.0",
    summary: "Makes a password of random bits, 256 if not told how many.",
    syntax: "[bits]",
    ..BASE
};

fn generate(call: &mut Call<'_>) -> Result<(), CommandError> {
    let args = call.args();
    if args.len() > 1 {
        return Err(surplus(call));
    }
    let bits = args.get(0).map_or(Some(PASSWORD_BITS), parse_integer);
    let bits = bits.ok_or(CommandError::NotAnInteger)?;
    if !(1..=PASSWORD_BITS_MAX).contains(&bits) {
        return Err(CommandError::text(format!(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a \
             positive number up to {PASSWORD_BITS_MAX}"
        )));
    }
    let digits = usize::try_from(bits).unwrap_or_default().div_ceil(4);
    let mut bytes = vec![0; digits.div_ceil(2)];
    if getrandom::fill(&mut bytes).is_err() {
        return Err(CommandError::text("ERR the system gives no random numbers"));
    }
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    call.reply().bulk(&text.as_bytes()[..digits]);
    Ok(())
}

const GETUSER: Command = Command {
    name: "GETUSER",
    arity: Arity::Exactly(3),
    since: "6.0.0",
    summary: "Shows the rules of a user.",
    complexity: "O(N) where N is the number of passwords, commands and patterns of the user.",
    syntax: "username",
    history: &[
        ("6.2.0", "The patterns of channels."),
        ("7.0.0", "Selectors; key and channel patterns as rules."),
        ("9.1.0", "Databases (Valkey)."),
    ],
    ..BASE
};

fn show_user(call: &mut Call<'_>) -> Result<(), CommandError> {
    let name = call.args().bytes()?;
    let user = call.batch.server.acl.find(name);
    let mut reply = call.reply();
    match user {
        None => reply.null(),
        Some(user) => describe(&mut reply, &user),
    }
    Ok(())
}

/// The fields of a selector in ACL GETUSER.
const SELECTOR_FIELDS: usize = 4;

fn describe(reply: &mut Reply<'_>, user: &User) {
    let rules = &user.rules;
    reply.map(3 + SELECTOR_FIELDS);
    reply.bulk(b"flags");
    reply.set(rules.flags().count());
    rules.flags().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(rules.passwords().len());
    rules.passwords().iter().for_each(|digest| reply.bulk(digest.to_hex().as_bytes()));
    describe_selector(reply, rules.root());
    reply.bulk(b"selectors");
    reply.array(rules.others().len());
    for selector in rules.others() {
        reply.map(SELECTOR_FIELDS);
        describe_selector(reply, selector);
    }
}

fn describe_selector(reply: &mut Reply<'_>, selector: &Selector) {
    let fields: [(&str, Vec<u8>); SELECTOR_FIELDS] = [
        ("commands", selector.describe_commands()),
        ("keys", selector.describe_keys()),
        ("channels", selector.describe_channels()),
        ("databases", selector.describe_databases()),
    ];
    for (name, text) in fields {
        reply.bulk(name.as_bytes());
        reply.bulk(&text);
    }
}

const LIST: Command = Command {
    name: "LIST",
    arity: Arity::Exactly(2),
    since: "6.0.0",
    summary: "Shows all users, each as a line of a file of users.",
    complexity: "O(N) where N is the number of users.",
    ..BASE
};

fn list(call: &mut Call<'_>) {
    let users = call.batch.server.acl.all();
    let mut reply = call.reply();
    reply.array(users.len());
    users.iter().for_each(|user| reply.bulk(&file::line(user)));
}

const SETUSER: Command = Command {
    name: "SETUSER",
    arity: Arity::AtLeast(3),
    since: "6.0.0",
    summary: "Makes a user, or changes its rules.",
    complexity: "O(N) where N is the number of rules given.",
    syntax: "username [rule ...]",
    tips: EVERY_NODE,
    history: &[
        ("6.2.0", "Channels."),
        ("7.0.0", "Selectors, and rights to read and to write keys."),
        ("9.1.0", "Databases (Valkey)."),
    ],
    ..BASE
};

fn set(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let server = call.batch.server;
    let mut args = call.args();
    let name = args.bytes()?;
    if !is_name(name) {
        return Err(CommandError::text("ERR Usernames can't contain spaces or null characters"));
    }
    let changed = server.acl.set(name, args.rest(), server.beginning());
    let changed = changed.map_err(|error| CommandError::text(format!("ERR {error}")))?;
    server.part_with(changed.as_slice(), call.session.client.id);
    call.reply().ok();
    Ok(storage::next_of(call, changed.as_slice()))
}

const USERS: Command = Command {
    name: "USERS",
    arity: Arity::Exactly(2),
    since: "6.0.0",
    summary: "Lists the names of all users.",
    complexity: "O(N) where N is the number of users.",
    ..BASE
};

fn list_names(call: &mut Call<'_>) {
    let users = call.batch.server.acl.all();
    let mut reply = call.reply();
    reply.array(users.len());
    users.iter().for_each(|user| reply.bulk(&user.name));
}

const WHOAMI: Command = Command {
    name: "WHOAMI",
    arity: Arity::Exactly(2),
    flags: PLAIN,
    since: "6.0.0",
    summary: "Tells which user the connection belongs to.",
    ..BASE
};
